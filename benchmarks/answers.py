"""How long ser_kit's own networks take to answer for three seconds of sound, on one core."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ser_kit import recipes
from ser_kit.bundles.bundle import chosen
from ser_kit.features import Waveform

from .racing import race
from .rows import Goal, Row

if TYPE_CHECKING:
    import keras

_SECONDS, _MOST = 3.0, 30  # of sound; milliseconds
BESIDE = "rastogi_mlp"


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure, and give the row of each system.

    Args:
        table: clips to answer for.
    """
    systems = networks()
    took = times(table, systems)
    for name in names():
        parameters = systems[name].count_params()
        yield Row(
            f"{name}, samples of {_SECONDS:g} s to answer", f"{BESIDE}, samples to functionals to answer", "ms",
            float(np.median(took[name])), float(np.median(took[BESIDE])), tuple((took[BESIDE] / took[name]).tolist()),
            Goal(_MOST, of="ours", at_most=True), f"{parameters:,} parameters, {4e-6 * parameters:.1f} MB",
        )  # fmt: skip


def times(table: pd.DataFrame, systems: Mapping[str, keras.Model]) -> dict[str, np.ndarray]:
    """Milliseconds a clip of 3 s takes each system in each round: samples in, probabilities out.

    Args:
        table: clips to answer for.
        systems: from :func:`networks`.

    Returns:
        For each of the systems.
    """
    waveform, beside = Waveform(seconds=_SECONDS), recipes.get(BESIDE)
    clips = [waveform.extract(path) for path in table["path"]]

    def answer(name: str):
        def samples(i: int) -> None:
            systems[name].predict_on_batch(clips[i][None])

        def features(i: int) -> None:
            values = beside.extractor.extract((clips[i][:, 0], waveform.rate))
            systems[name].predict_on_batch(chosen(values, beside.columns)[None])

        return features if name == BESIDE else samples

    return race({name: answer(name) for name in systems}, len(clips), "answers")


def names() -> list[str]:
    """Systems of our own that take the samples themselves and need no network from elsewhere."""
    return [name for name, system in recipes.OWN.items() if isinstance(system.extractors[0], Waveform)]


def networks() -> dict[str, keras.Model]:
    """The network of each of :func:`names` and of :data:`BESIDE`, untrained: what the weights are does not matter."""
    return {name: network(recipes.get(name)) for name in (*names(), BESIDE)}


def network(system: recipes.System) -> keras.Model:
    """A system's network for eight emotions, an ensemble's as the one that it is saved as."""
    from ser_kit import models

    if isinstance(system, recipes.Ensemble):
        (member,) = system.members
        options = {"builder": member.model, "members": system.rounds, "hyperparameters": member.hyperparameters}
        return models.get("committee")((None, 1), 8, **options)
    return system.build(8)
