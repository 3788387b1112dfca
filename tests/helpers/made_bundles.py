"""Bundles for the tests of what is made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ser_kit import recipes
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.member import Member
from ser_kit.training import Scaler, seed_everything

SIX = ("neutral", "happy", "sad", "angry", "fear", "disgust")
SMALL = {"hyperparameters": {"channels": (8, 16, 16, 16), "harmonic_channels": (8, 8, 8, 8), "width": 32}}
"""Changes that make the network of ``from_scratch_single`` quick."""


def untrained(recipe: recipes.Recipe, labels: Sequence[str] = SIX, **card) -> Bundle:
    """A bundle whose networks have their first weights: what is exported does not depend on what they are."""
    seed_everything(0)
    rng = np.random.default_rng(0)
    dims = len(recipe.columns)
    model = recipe.build(len(labels))
    for layer in model.layers:  # as they are after training: statistics that are not zero and one
        if type(layer).__name__ == "BatchNormalization":
            layer.set_weights([w + 0.1 * np.abs(rng.normal(size=w.shape)) for w in layer.get_weights()])
    scaler = Scaler(*(rng.uniform(0.5, 2, dims).astype(np.float32) for _ in range(2)))
    member = Member(
        extractor=recipe.extractor,
        columns=recipe.columns,
        scaler=scaler if recipe.scale else Scaler.identity(dims),
        builder=recipe.model,
        hyperparameters=recipe.hyperparameters,
        model=model,
    )
    facts = {"name": recipe.name, "labels": list(labels), "combine": "soft", "temperature": 0.7, "licence": "CC0"}
    return Bundle(
        facts | {"prior": [0.1, 0.3, 0.2, 0.1, 0.1, 0.2], "uncertain_below": 0, "typical": {}} | card, (member,)
    )
