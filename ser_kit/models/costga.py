"""Convolutions, LSTMs and self-attention side by side over frame features."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from .building import classifier


def costga(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: int = 32,
    kernel_size: int = 3,
    dilations: Sequence[int] = (1, 2, 4, 8),
    lstm_units: int = 32,
    width: int = 32,
    heads: int = 4,
    encoders: int = 1,
    dense_units: int = 64,
    dropout: float = 0.3,
) -> keras.Model:
    """The audio part of CoSTGA: three branches over the same frames, and self-attention over all of them.

    Dilated causal convolutions see what is close in time, a bidirectional LSTM what follows on what, and
    transformer encoders any two frames together; these have no positional encoding, since the other branches
    know the order of the frames. The three sequences are put side by side, go through multi-head
    self-attention, and are averaged over time. The text branch of the original is not here.

    Args:
        input_shape: ``(frames, dims)``.
        n_classes: number of emotions, at least 2.
        filters: channels of each convolution.
        kernel_size: its length in frames.
        dilations: frames between the taps of each convolution; with the defaults the last one sees 31 frames.
        lstm_units: units of the LSTM, in each direction.
        width: dims of the transformer encoders.
        heads: of all attention layers; ``width`` is a multiple of it.
        encoders: number of transformer encoders, one after the other.
        dense_units: width of the layer before the softmax.
        dropout: rate after each convolution, in the encoders, and before the softmax, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, dims] -> [batch, n_classes]``;
        160,454 parameters at ``(300, 154)`` and 6 classes with the defaults.

    Source:
        Kakuba, Poulose & Han (2022), Deep Learning-Based Speech Emotion Recognition Using Multi-Level Fusion
        of Concurrent Features, IEEE Access 10. The sizes here are ours.

    Examples:
        >>> costga((300, 154), 6).count_params()
        160454
    """
    inputs = keras.Input(input_shape, name="frames")
    spatial = inputs
    for dilation in dilations:
        spatial = layers.Conv1D(
            filters, kernel_size, padding="causal", dilation_rate=dilation, activation="relu"
        )(spatial)
        spatial = layers.Dropout(dropout)(spatial)
    temporal = layers.Bidirectional(layers.LSTM(lstm_units, return_sequences=True))(inputs)
    related = layers.Dense(width)(inputs)
    for _ in range(encoders):
        related = _attended(related, heads, dropout)
        forward = layers.Dense(width)(layers.Dense(2 * width, activation="relu")(related))
        related = layers.LayerNormalization()(layers.Add()([related, layers.Dropout(dropout)(forward)]))
    x = _attended(layers.Concatenate()([spatial, temporal, related]), heads, dropout)
    x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(dense_units, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    return classifier(inputs, x, n_classes, "costga")


def _attended(x, heads, dropout):
    """Multi-head self-attention with a way around it, normalised."""
    found = layers.MultiHeadAttention(heads, x.shape[-1] // heads, dropout=dropout)(x, x)
    return layers.LayerNormalization()(layers.Add()([x, found]))
