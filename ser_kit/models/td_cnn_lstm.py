"""One convolutional network for all chunks of a spectrogram, and an LSTM over the chunks."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .building import classifier, together
from .cnn2d import block
from .layers import AttentionPooling, Chunks


def td_cnn_lstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    chunk: int = 64,
    hop: int = 32,
    filters: Sequence[int] = (8, 16, 32, 64, 128, 256),
    kernels: Sequence[int] = (5, 5, 3, 3, 3, 3),
    pools: Sequence[int] = (2, 2, 2, 4, 4, 4),
    dropout: float = 0.2,
    recurrent: bool = True,
    lstm_units: int = 128,
    bidirectional: bool = False,
    attention: bool = False,
    dense_units: int = 64,
    momentum: float = 0.99,
) -> keras.Model:
    """A convolutional network over overlapping chunks of a spectrogram, then an LSTM over the chunks.

    Batch normalisation is over the chunks of all clips of a batch.

    Args:
        input_shape: ``(frames, bands)``.
        n_classes: number of emotions, at least 2.
        chunk: frames in a chunk.
        hop: frames between the starts of two chunks.
        filters: channels of the convolution in each block.
        kernels: side of each convolution.
        pools: max-pooling factor of each block, over frames and bands; an axis of 1 stays.
        dropout: rate after each block, in [0, 1).
        recurrent: use an LSTM over the chunks; else (an ablation) their vectors are averaged.
        lstm_units: units of the LSTM, in each direction.
        bidirectional: use the LSTM in both directions.
        attention: weigh the chunks (all states of the LSTM) by learnt attention, instead of the last state or
            mean.
        dense_units: width of the layer before the softmax.
        momentum: of the averages that batch normalisation keeps, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, bands] -> [batch, n_classes]``;
        603,366 parameters at 64 bands and 6 classes with the defaults, however many frames.

    Source:
        Lim, Jang & Lee (2016), Speech Emotion Recognition using Convolutional and Recurrent Neural Networks,
        APSIPA.

    Examples:
        >>> td_cnn_lstm((301, 64), 6).count_params()
        603366
    """
    inputs = keras.Input(input_shape, name="frames")
    chunks = Chunks(chunk, hop)(inputs)
    x = _convolved(chunks, together(filters=filters, kernels=kernels, pools=pools), dropout, momentum)
    if recurrent:
        lstm = layers.LSTM(lstm_units, return_sequences=attention)
        x = layers.Bidirectional(lstm)(x) if bidirectional else lstm(x)
    if attention:
        x = AttentionPooling()(x)
    elif not recurrent:
        x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(dense_units, activation="relu")(x)
    return classifier(inputs, x, n_classes, "td_cnn_lstm")


def _convolved(chunks, blocks, dropout, momentum):
    """A vector for each chunk, ``[batch, chunks, frames, bands] -> [batch, chunks, dims]``."""
    _, count, frames, bands = chunks.shape
    # As one long batch: keras.layers.TimeDistributed would run the network once for each chunk.
    x = ops.reshape(chunks, (-1, frames, bands, 1))
    for channels, kernel_size, pool in blocks:
        x = block(x, channels, kernel_size, pool, activation="elu", padding="same", momentum=momentum)
        x = layers.Dropout(dropout)(x)
    return ops.reshape(layers.Flatten()(x), (-1, count, x.shape[1] * x.shape[2] * x.shape[3]))
