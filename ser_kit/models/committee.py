"""Several networks of one kind as one, which gives the mean of their probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers


def committee(
    input_shape: tuple[int | None, ...],
    n_classes: int,
    *,
    builder: str = "mlp",
    members: int = 5,
    hyperparameters: Mapping[str, Any] | None = None,
) -> keras.Model:
    """Networks of one builder side by side, whose probabilities are averaged.

    What is the same in all of them, such as the spectrogram, is computed once by a compiler.

    Args:
        input_shape: of each member.
        n_classes: number of emotions.
        builder: name of the members' builder.
        members: how many, at least 1.
        hyperparameters: the builder's arguments.

    Returns:
        An uncompiled model with the members as layers ``member_1``, ``member_2`` ...

    Source:
        Hansen & Salamon (1990), Neural network ensembles, IEEE Transactions on Pattern Analysis and Machine
        Intelligence 12.

    Examples:
        >>> network = committee((30,), 6, members=3)
        >>> [layer.name for layer in network.layers]
        ['features', 'member_1', 'member_2', 'member_3', 'emotion']
    """
    from . import get

    inputs = keras.Input(input_shape, name="features")
    networks: Sequence[keras.Model] = [
        get(builder)(input_shape, n_classes, **(hyperparameters or {})) for _ in range(members)
    ]
    for i, network in enumerate(networks, start=1):
        network.name = f"member_{i}"
    answers = [network(inputs) for network in networks]
    return keras.Model(inputs, layers.Average(dtype="float32", name="emotion")(answers), name="committee")
