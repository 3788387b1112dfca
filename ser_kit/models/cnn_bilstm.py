"""A convolution over time and a bidirectional LSTM."""

from __future__ import annotations

import keras
from keras import layers, regularizers

from .building import classifier


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

    Source:
        Schuster & Paliwal (1997), Bidirectional Recurrent Neural Networks, IEEE Transactions on Signal
        Processing 45.

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
    return classifier(inputs, x, n_classes, "cnn_bilstm")
