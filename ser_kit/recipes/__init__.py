"""Speech emotion systems by name, published ones and ser_kit's own, each runnable with one line on any clip table.

Examples:
    >>> from ser_kit import corpora, recipes
    >>> recipe = recipes.get("rastogi_mlp")
    >>> print(recipe.run(corpora.load("demo"), protocol="speaker"))  # doctest: +SKIP
"""

from __future__ import annotations

from ..core.errors import UnknownNameError
from .ahmadov import ahmadov_cnn_bilstm, ahmadov_forest
from .ensemble import Ensemble
from .house import house, house_one
from .rastogi import rastogi_cnn_lstm, rastogi_mlp
from .staged import staged_cnn_lstm
from .system import PUBLISHED, Material, Published, Recipe, Split, System, versions
from .time_distributed import td_cnn_bilstm_attention, td_cnn_lstm
from .transfer import (
    trillsson_linear,
    whisper_base_linear,
    whisper_base_mlp,
    whisper_large_linear,
    whisper_medium_linear,
    whisper_small_linear,
    whisper_tiny_linear,
    yamnet_linear,
)
from .voting import (
    deep_belief_network,
    segment_dnn,
    stacked_autoencoder,
    voting_bagging,
    voting_boosting,
    voting_cnn,
    voting_cnn_lstm,
    voting_forest,
    voting_hard,
    voting_lstm,
    voting_soft,
    voting_svm,
)

__all__ = [
    "OWN", "PUBLISHED", "RECIPES", "Ensemble", "Material", "Published", "Recipe", "Split", "System", "get", "names",
    "versions",
]  # fmt: skip

RECIPES: dict[str, System] = {
    system.name: system
    for system in (
        staged_cnn_lstm, rastogi_mlp, rastogi_cnn_lstm, voting_soft, voting_hard, voting_bagging, voting_boosting,
        voting_cnn, voting_lstm, voting_cnn_lstm, voting_svm, voting_forest, segment_dnn, deep_belief_network,
        stacked_autoencoder, td_cnn_lstm, td_cnn_bilstm_attention, ahmadov_cnn_bilstm, ahmadov_forest,
    )
}  # fmt: skip
"""Every published system by name, in the order of the documents."""

OWN: dict[str, System] = {
    system.name: system
    for system in (
        house, house_one, whisper_base_linear, whisper_tiny_linear, whisper_small_linear, whisper_medium_linear,
        whisper_large_linear, whisper_base_mlp, yamnet_linear, trillsson_linear,
    )
}  # fmt: skip
"""Systems of ser_kit's own by name."""


def names() -> list[str]:
    """Names of all recipes."""
    return sorted(RECIPES | OWN)


def get(name: str) -> System:
    """The recipe of that name; ``"name+ablation"`` is one of its ablations.

    Raises:
        UnknownNameError: there is none.
        RecipeError: the recipe has no such ablation.

    Examples:
        >>> get("staged_cnn_lstm+MFCC alone").extractor.shape
        (150, 40)
    """
    name, _, ablation = name.partition("+")
    known = RECIPES | OWN
    if name not in known:
        raise UnknownNameError("recipe", name, known)
    return known[name].variant(ablation) if ablation else known[name]


recipe = get  # as ``ser_kit.recipe``
