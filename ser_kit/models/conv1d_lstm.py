"""One-dimensional convolutions and LSTMs along functionals."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from .building import classifier, dense_layers, together


def conv1d_lstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 256),
    kernels: Sequence[int] = (5, 5, 3),
    conv_dropout: Sequence[float] = (0.0, 0.3, 0.3),
    pool: int = 2,
    lstm_units: Sequence[int] = (128, 64),
    lstm_dropout: float = 0.4,
    dense_units: Sequence[int] = (128, 64),
    dense_dropout: Sequence[float] = (0.5, 0.3),
    dense_batch_norm: Sequence[bool] = (True, False),
    momentum: float = 0.99,
    padding: str = "same",
    pool_first: bool = False,
) -> keras.Model:
    """One-dimensional convolutions and LSTMs along the functionals of a clip, as along a sequence.

    Args:
        input_shape: ``(n_features,)``, at least ``pool ** len(filters)`` with padding ``"same"``; 28 without
            padding.
        n_classes: number of emotions, at least 2.
        filters: channels of each convolution, which batch normalisation and max-pooling follow.
        kernels: length of each convolution, in features.
        conv_dropout: rate after each pooling, in [0, 1); 0 leaves the layer out.
        pool: max-pooling factor.
        lstm_units: units of each LSTM.
        lstm_dropout: rate after each LSTM, in [0, 1).
        dense_units: width of each layer before the softmax.
        dense_dropout: rate after each of them; 0 leaves the layer out.
        dense_batch_norm: whether batch normalisation follows each of them.
        momentum: of the averages that batch normalisation keeps, in [0, 1).
        padding: of the convolutions: ``"same"`` keeps the length, ``"valid"`` adds nothing at the ends.
        pool_first: max-pooling before batch normalisation, not after it.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``;
        405,830 parameters at 6 classes with the defaults, however many features.

    Source:
        Zhao, Mao & Chen (2019), Speech emotion recognition using deep 1D & 2D CNN LSTM networks, Biomedical
        Signal Processing and Control 47, whose networks take samples and log-mel spectrograms.

    Examples:
        >>> conv1d_lstm((45,), 6).count_params()
        405830
    """
    inputs = keras.Input(input_shape, name="functionals")
    x = layers.Reshape((*input_shape, 1))(inputs)
    for channels, kernel_size, rate in together(filters=filters, kernels=kernels, conv_dropout=conv_dropout):
        x = layers.Conv1D(channels, kernel_size, padding=padding, activation="relu")(x)
        steps = [layers.BatchNormalization(momentum=momentum), layers.MaxPooling1D(pool)]
        for step in reversed(steps) if pool_first else steps:
            x = step(x)
        if rate:
            x = layers.Dropout(rate)(x)
    for i, units in enumerate(lstm_units, start=1):
        x = layers.LSTM(units, return_sequences=i < len(lstm_units))(x)
        x = layers.Dropout(lstm_dropout)(x)
    x = dense_layers(x, dense_units, dense_dropout, dense_batch_norm, momentum=momentum)
    return classifier(inputs, x, n_classes, "conv1d_lstm")
