"""Published speech emotion systems, by name, each runnable with one line on any clip table.

Examples:
    >>> from ser_kit import corpora, recipes
    >>> recipe = recipes.get("rastogi_mlp")
    >>> print(recipe.run(corpora.load("demo"), protocol="speaker"))  # doctest: +SKIP
"""

from __future__ import annotations

from ..errors import UnknownNameError
from ._base import Recipe
from .ahmadov import ahmadov_cnn_bilstm
from .rastogi import rastogi_mlp

__all__ = ["RECIPES", "Recipe", "get", "names"]

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (ahmadov_cnn_bilstm, rastogi_mlp)}
"""Every recipe by name."""


def names() -> list[str]:
    """Names of all recipes."""
    return sorted(RECIPES)


def get(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in RECIPES:
        raise UnknownNameError("recipe", name, RECIPES)
    return RECIPES[name]
