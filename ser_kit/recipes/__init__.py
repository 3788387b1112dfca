"""Speech emotion recognition systems by name: published systems and ser_kit's own.

Examples:
    >>> from ser_kit import corpora, recipes
    >>> recipe = recipes.get("rastogi_mlp")
    >>> print(recipe.run(corpora.load("demo"), protocol="speaker"))  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from .. import _old_names
from ..core.errors import UnknownNameError
from ..core.registry import Registry

if TYPE_CHECKING:
    from .system import System

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__getattr__ = _old_names.moved(__name__, _public)
__all__ += ["OWN", "RECIPES", "get", "names", "recipe"]

RECIPES: Registry[System] = Registry(
    "recipe",
    {
        "staged_cnn_lstm": f"{__name__}.staged:staged_cnn_lstm",
        "rastogi_mlp": f"{__name__}.rastogi:rastogi_mlp",
        "rastogi_cnn_lstm": f"{__name__}.rastogi:rastogi_cnn_lstm",
        "voting_soft": f"{__name__}.voting:voting_soft",
        "voting_hard": f"{__name__}.voting:voting_hard",
        "voting_bagging": f"{__name__}.voting:voting_bagging",
        "voting_boosting": f"{__name__}.voting:voting_boosting",
        "voting_features": f"{__name__}.voting:voting_features",
        "voting_cnn": f"{__name__}.voting:voting_cnn",
        "voting_lstm": f"{__name__}.voting:voting_lstm",
        "voting_cnn_lstm": f"{__name__}.voting:voting_cnn_lstm",
        "voting_mfcc": f"{__name__}.voting:voting_mfcc",
        "voting_chroma": f"{__name__}.voting:voting_chroma",
        "voting_pitch_energy": f"{__name__}.voting:voting_pitch_energy",
        "voting_svm": f"{__name__}.voting:voting_svm",
        "voting_forest": f"{__name__}.voting:voting_forest",
        "costga": f"{__name__}.voting:costga",
        "segment_dnn": f"{__name__}.voting:segment_dnn",
        "deep_belief_network": f"{__name__}.voting:deep_belief_network",
        "stacked_autoencoder": f"{__name__}.voting:stacked_autoencoder",
        "td_cnn_lstm": f"{__name__}.time_distributed:td_cnn_lstm",
        "td_cnn_bilstm_attention": f"{__name__}.time_distributed:td_cnn_bilstm_attention",
        "ahmadov_cnn_bilstm": f"{__name__}.ahmadov:ahmadov_cnn_bilstm",
        "ahmadov_forest": f"{__name__}.ahmadov:ahmadov_forest",
    },
)
"""Published systems by name, in the order of the documentation."""

OWN: Registry[System] = Registry(
    "recipe",
    {
        "from_scratch": f"{__name__}.from_scratch:from_scratch",
        "from_scratch_single": f"{__name__}.from_scratch:from_scratch_single",
        "whisper_base_linear": f"{__name__}.transfer:whisper_base_linear",
        "whisper_tiny_linear": f"{__name__}.transfer:whisper_tiny_linear",
        "whisper_small_linear": f"{__name__}.transfer:whisper_small_linear",
        "whisper_medium_linear": f"{__name__}.transfer:whisper_medium_linear",
        "whisper_large_linear": f"{__name__}.transfer:whisper_large_linear",
        "whisper_base_mlp": f"{__name__}.transfer:whisper_base_mlp",
        "yamnet_linear": f"{__name__}.transfer:yamnet_linear",
        "trillsson_linear": f"{__name__}.transfer:trillsson_linear",
    },
)
"""ser_kit's own systems by name."""

RENAMED = {"house": "from_scratch", "house_one": "from_scratch_single"}
"""Old name -> new name. Old names (up to 0.5) still work, with a warning."""


def names() -> list[str]:
    """Names of all recipes."""
    return sorted([*RECIPES, *OWN])


def get(name: str) -> System:
    """The recipe of that name; ``"name+ablation"`` gives an ablation.

    Raises:
        UnknownNameError: if there is none.
        RecipeError: if the recipe has no such ablation.

    Examples:
        >>> get("staged_cnn_lstm+MFCC alone").extractor.shape
        (150, 40)
    """
    name, _, ablation = name.partition("+")
    if name in RENAMED:
        _old_names.warn(f"recipe {name!r}", repr(name := RENAMED[name]))
    if name not in RECIPES and name not in OWN:
        raise UnknownNameError("recipe", name, names())
    found = RECIPES[name] if name in RECIPES else OWN[name]
    return found.variant(ablation) if ablation else found


recipe = get  # as ``ser_kit.recipe``
