"""Two-dimensional convolutions over frames and bands, alone or with LSTMs behind them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers, ops, regularizers

from .building import classifier


def cnn2d(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (16, 32, 64),
    kernel_size: int = 3,
    pool: int = 2,
    l2: float = 0.0,
    dense_units: int = 64,
    dropout: float = 0.3,
    momentum: float = 0.99,
) -> keras.Model:
    """Convolution blocks over a spectrogram, then an average over time that keeps channels and bands apart.

    Args:
        input_shape: ``(frames, bands)``, each at least ``pool ** len(filters)``.
        n_classes: number of emotions, at least 2.
        filters: channels of the convolution in each block.
        kernel_size: side of the convolutions.
        pool: max-pooling factor of each block, over frames and bands.
        l2: weight penalty of the convolutions and of the dense layer; 0 leaves it out.
        dense_units: width of the layer before the softmax.
        dropout: rate before the softmax, in [0, 1).
        momentum: of the averages that batch normalisation keeps, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, bands] -> [batch, n_classes]``;
        56,966 parameters at 64 bands and 6 classes with the defaults, however many frames.

    Source:
        LeCun, Bottou, Bengio & Haffner (1998), Gradient-based learning applied to document recognition,
        Proceedings of the IEEE 86.

    Examples:
        >>> cnn2d((301, 64), 6).count_params()
        56966
    """
    penalty = regularizers.L2(l2) if l2 else None
    inputs = keras.Input(input_shape, name="frames")
    x = _convolved(inputs, filters, kernel_size, pool, penalty, momentum)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(dense_units, activation="relu", kernel_regularizer=penalty)(x)
    x = layers.Dropout(dropout)(x)
    return classifier(inputs, x, n_classes, "cnn2d")


def cnn2d_lstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (32,),
    kernel_size: int = 3,
    pool: int = 2,
    l2: float = 0.0,
    lstm_units: Sequence[int] = (128, 64),
    dense_units: int = 64,
    dropout: float = 0.3,
    momentum: float = 0.99,
    channels: Sequence[int] = (),
) -> keras.Model:
    """Convolution blocks, then LSTMs along the frames that the pooling leaves.

    Args:
        input_shape: ``(frames, dims)``, each at least ``pool ** len(filters)``.
        n_classes: number of emotions, at least 2.
        filters: channels of the convolution in each block.
        kernel_size: side of the convolutions.
        pool: max-pooling factor of each block, over frames and dims.
        l2: weight penalty of the convolutions, of the LSTMs' input kernels and of the dense layer; 0 leaves
            it out.
        lstm_units: units of each LSTM; the last one's last state is classified.
        dense_units: width of the layer before the softmax.
        dropout: rate before the softmax, in [0, 1).
        momentum: of the averages that batch normalisation keeps, in [0, 1).
        channels: how many of the dims, from the first on, make up each channel of the picture; narrower
            channels are stretched to the widest by repeating dims. Empty: all dims are one channel, side by
            side.

    Returns:
        An uncompiled model, ``[batch, frames, dims] -> [batch, n_classes]``;
        1,595,014 parameters at ``(150, 180)`` and 6 classes with the defaults.

    Source:
        Zhao, Mao & Chen (2019), Speech emotion recognition using deep 1D & 2D CNN LSTM networks, Biomedical
        Signal Processing and Control 47.

    Examples:
        >>> cnn2d_lstm((150, 180), 6).count_params()
        1595014
    """
    penalty = regularizers.L2(l2) if l2 else None
    inputs = keras.Input(input_shape, name="frames")
    x = _convolved(inputs, filters, kernel_size, pool, penalty, momentum, channels)
    for i, units in enumerate(lstm_units, start=1):
        x = layers.LSTM(units, return_sequences=i < len(lstm_units), kernel_regularizer=penalty)(x)
    x = layers.Dense(dense_units, activation="relu", kernel_regularizer=penalty)(x)
    x = layers.Dropout(dropout)(x)
    return classifier(inputs, x, n_classes, "cnn2d_lstm")


def _convolved(inputs, filters, kernel_size, pool, penalty, momentum, channels=()):
    """A block for each number of filters, ``[batch, frames, bands] -> [batch, frames, bands * channels]``."""
    x = _channels(inputs, channels) if channels else layers.Reshape((-1, inputs.shape[-1], 1))(inputs)
    for each in filters:
        x = block(x, each, kernel_size, pool, penalty=penalty, momentum=momentum)
    return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)


def _channels(inputs, widths):
    """``[batch, frames, sum of widths]`` as ``[batch, frames, widest, channel]``."""
    if sum(widths) != inputs.shape[-1]:
        raise ValueError(
            f"channels of {tuple(widths)} dims do not make up the {inputs.shape[-1]} of the features"
        )
    ends, widest = np.cumsum(widths), max(widths)
    dims = [
        end - width + np.arange(widest) * width // widest for end, width in zip(ends, widths, strict=True)
    ]
    return ops.stack([ops.take(inputs, each.tolist(), axis=-1) for each in dims], axis=-1)


def block(x, filters, kernel_size, pool, *, activation="relu", padding="valid", penalty=None, momentum=0.99):
    """Convolution, batch normalisation, activation, max-pooling; ``padding`` is the pooling's."""
    x = layers.Conv2D(filters, kernel_size, padding="same", kernel_regularizer=penalty)(x)
    x = layers.BatchNormalization(momentum=momentum)(x)
    x = layers.Activation(activation)(x)
    return layers.MaxPooling2D(pool, padding=padding)(x)
