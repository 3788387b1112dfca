"""Recurrent networks, with or without one-dimensional convolutions before them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, regularizers

from .layers import together


def cnn_bilstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: int = 32,
    kernel_size: int = 3,
    l2: float = 1e-5,
    pool: int = 2,
    lstm_units: int = 32,
    dense_units: int = 32,
    dropout: float = 0.3,
) -> keras.Model:
    """One convolution over time, then a bidirectional LSTM whose last states are classified.

    Args:
        input_shape: ``(frames, dims)``.
        n_classes: number of emotions, at least 2.
        filters: channels of the convolution.
        kernel_size: its length in frames.
        l2: weight penalty of the convolution.
        pool: max-pooling factor over time.
        lstm_units: units of the LSTM in each direction.
        dense_units: width of the layer before the softmax.
        dropout: rate after the pooling and before the softmax, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, dims] -> [batch, n_classes]``;
        33,862 parameters at ``(300, 154)`` and 6 classes with the defaults.

    Examples:
        >>> cnn_bilstm((300, 154), 6).count_params()
        33862
    """
    inputs = keras.Input(input_shape, name="frames")
    x = layers.Conv1D(filters, kernel_size, activation="relu", kernel_regularizer=regularizers.L2(l2))(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.MaxPooling1D(pool)(x)
    x = layers.Dropout(dropout)(x)
    x = layers.Bidirectional(layers.LSTM(lstm_units))(x)
    x = layers.Dense(dense_units, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="cnn_bilstm")


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
) -> keras.Model:
    """Convolutions and LSTMs that go along the functionals of a clip as if they were a sequence.

    Args:
        input_shape: ``(n_features,)``, at least ``pool ** len(filters)``.
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

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``;
        405,830 parameters at 6 classes with the defaults, however many features.

    Examples:
        >>> conv1d_lstm((45,), 6).count_params()
        405830
    """
    inputs = keras.Input(input_shape, name="functionals")
    x = layers.Reshape((*input_shape, 1))(inputs)
    for channels, kernel_size, rate in together(filters=filters, kernels=kernels, conv_dropout=conv_dropout):
        x = layers.Conv1D(channels, kernel_size, padding="same", activation="relu")(x)
        x = layers.BatchNormalization(momentum=momentum)(x)
        x = layers.MaxPooling1D(pool)(x)
        if rate:
            x = layers.Dropout(rate)(x)
    for i, units in enumerate(lstm_units, start=1):
        x = layers.LSTM(units, return_sequences=i < len(lstm_units))(x)
        x = layers.Dropout(lstm_dropout)(x)
    for width, rate, normalise in together(
        dense_units=dense_units, dense_dropout=dense_dropout, dense_batch_norm=dense_batch_norm
    ):
        x = layers.Dense(width, activation="relu")(x)
        if normalise:
            x = layers.BatchNormalization(momentum=momentum)(x)
        if rate:
            x = layers.Dropout(rate)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="conv1d_lstm")


def lstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (64, 64),
    bidirectional: bool = False,
    pool: str = "last",
    l2: float = 0.0,
    dense_units: int = 64,
    dropout: float = 0.3,
) -> keras.Model:
    """LSTMs over frame features. Padding is not masked: the frames of silence at the end count as frames.

    Args:
        input_shape: ``(frames, dims)``.
        n_classes: number of emotions, at least 2.
        units: units of each LSTM, in each direction.
        bidirectional: whether the LSTMs go both ways.
        pool: what of the last LSTM is classified: its ``"last"`` state or the ``"mean"`` of all its states.
        l2: weight penalty of the LSTMs' input kernels and of the dense layer; 0 leaves it out.
        dense_units: width of the layer before the softmax.
        dropout: rate after each LSTM and before the softmax, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, dims] -> [batch, n_classes]``;
        93,638 parameters at ``(300, 154)`` and 6 classes with the defaults.

    Raises:
        ValueError: ``pool`` is neither.

    Examples:
        >>> lstm((300, 154), 6).count_params()
        93638
    """
    if pool not in ("last", "mean"):
        raise ValueError(f"pool must be 'last' or 'mean', not {pool!r}")
    penalty = regularizers.L2(l2) if l2 else None
    inputs = keras.Input(input_shape, name="frames")
    x = inputs
    for i, width in enumerate(units, start=1):
        sequences = i < len(units) or pool == "mean"
        layer = layers.LSTM(width, return_sequences=sequences, kernel_regularizer=penalty)
        x = layers.Bidirectional(layer)(x) if bidirectional else layer(x)
        x = layers.Dropout(dropout)(x)
    if pool == "mean":
        x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(dense_units, activation="relu", kernel_regularizer=penalty)(x)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="lstm")
