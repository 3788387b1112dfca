"""What builders have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras


def together(**settings: Sequence) -> Iterator[tuple]:
    """The settings of each layer in turn, from sequences with one value for each layer.

    Raises:
        ValueError: they are of different lengths.

    Examples:
        >>> list(together(units=(64, 32), dropout=(0.3, 0.0)))
        [(64, 0.3), (32, 0.0)]
    """
    if len({len(values) for values in settings.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(values)}" for name, values in settings.items())
        raise ValueError(f"expected as many values of each: {lengths}")
    return zip(*settings.values(), strict=True)


def dense_layers(
    x: keras.KerasTensor,
    units: Sequence[int],
    dropout: Sequence[float],
    batch_norm: Sequence[bool],
    activation: str = "relu",
    momentum: float = 0.99,
) -> keras.KerasTensor:
    """Dense layers, each with optional batch normalisation and dropout."""
    for width, rate, normalise in together(units=units, dropout=dropout, batch_norm=batch_norm):
        x = keras.layers.Dense(width, activation=activation)(x)
        if normalise:
            x = keras.layers.BatchNormalization(momentum=momentum)(x)
        if rate:
            x = keras.layers.Dropout(rate)(x)
    return x


def classifier(inputs: keras.KerasTensor, x: keras.KerasTensor, n_classes: int, name: str) -> keras.Model:
    """The network from ``inputs`` to a softmax over the classes after ``x``.

    The softmax is of float32 whatever the precision policy.
    """
    outputs = keras.layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name=name)


def alone(layer: keras.Layer, input_shape: tuple[int, ...], name: str) -> keras.Model:
    """A network of one layer, whose inputs are functionals."""
    inputs = keras.Input(input_shape, name="functionals")
    return keras.Model(inputs, layer(inputs), name=name)
