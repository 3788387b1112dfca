"""A recipe for tests of what all recipes have in common."""

from __future__ import annotations

import dataclasses

from ser_kit import recipes


def perceptron(**settings) -> recipes.Recipe:
    """``rastogi_mlp`` on Praat's functionals, which take half as long to measure as its own.

    Args:
        **settings: changes, by path with ``__`` for the dot, such as ``training__epochs=2``.
    """
    changes = {path.replace("__", "."): value for path, value in settings.items()}
    tuned = recipes.get("rastogi_mlp+ours").with_settings(changes)
    return dataclasses.replace(tuned, name="rastogi_mlp", ablations=recipes.get("rastogi_mlp").ablations)
