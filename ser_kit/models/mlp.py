"""Multi-layer perceptrons over functionals or over the samples themselves."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .layers import MeanOfSound, together


def mlp(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (256, 128, 64),
    dropout: Sequence[float] = (0.4, 0.3, 0.0),
    batch_norm: Sequence[bool] = (True, True, False),
    activation: str = "relu",
    squash: bool = False,
) -> keras.Model:
    """Dense layers, each with optional batch normalisation and dropout, then softmax.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of emotions, at least 2.
        units: width of each hidden layer.
        dropout: rate after each hidden layer, in [0, 1); 0 leaves the layer out.
        batch_norm: whether each hidden layer is followed by batch normalisation.
        activation: of the hidden layers, by the name Keras gives it.
        squash: bring the (standardised) input into 0..1 by a sigmoid, as restricted Boltzmann machines want it.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``;
        51,014 parameters at 30 features and 6 classes with the defaults.

    Examples:
        >>> mlp((30,), 6).output_shape
        (None, 6)
    """
    inputs = keras.Input(input_shape, name="functionals")
    x = layers.Activation("sigmoid")(inputs) if squash else inputs
    for width, rate, normalise in together(units=units, dropout=dropout, batch_norm=batch_norm):
        x = layers.Dense(width, activation=activation)(x)
        if normalise:
            x = layers.BatchNormalization()(x)
        if rate:
            x = layers.Dropout(rate)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="mlp")


def segment_dnn(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (256, 128, 64),
    dropout: float = 0.3,
) -> keras.Model:
    """A perceptron that sees short segments of sound one by one, and the mean of what it says of a clip's segments.

    ``model.get_layer("segment")`` is the perceptron, ``[batch, samples] -> [batch, n_classes]``, which can be trained
    on single segments; the whole model then has its weights. Segments that are all zeros pad a clip and do not count,
    so the inputs must be scaled without a shift.

    Args:
        input_shape: ``(segments, samples)``.
        n_classes: number of emotions, at least 2.
        units: width of each hidden layer.
        dropout: rate after the last hidden layer, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, segments, samples] -> [batch, n_classes]``;
        123,718 parameters at 320 samples and 6 classes with the defaults, however many segments.

    Examples:
        >>> model = segment_dnn((100, 320), 6)
        >>> model.count_params()
        123718
        >>> model.get_layer("segment").output_shape
        (None, 6)
    """
    segments, samples = input_shape
    one = keras.Input((samples,), name="samples")
    x = one
    for width in units:
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    posteriors = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    segment = keras.Model(one, posteriors, name="segment")

    inputs = keras.Input(input_shape, name="segments")
    # As one long batch: keras.layers.TimeDistributed would run the perceptron once for each segment.
    x = ops.reshape(segment(ops.reshape(inputs, (-1, samples))), (-1, segments, n_classes))
    outputs = MeanOfSound(dtype="float32", name="emotion")(x, inputs)
    return keras.Model(inputs, outputs, name="segment_dnn")
