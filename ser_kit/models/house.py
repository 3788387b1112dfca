"""ser_kit's own network: a waveform of any length in, emotions out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .layers import AttentiveStatistics, LogMelSpectrogram, Loudness, SpecMask

_SOUND = 0.4  # of the clip's range: frames whose loudest band is below this are silence
_MOMENTUM = 0.95  # of the normalisations: trainings are some thousand steps long


def house(
    input_shape: tuple[int | None, ...],
    n_classes: int,
    *,
    channels: Sequence[int] = (24, 48, 96, 128),
    width: int = 128,
    dilations: Sequence[int] = (1, 2),
    heads: int = 4,
    dropout: float = 0.3,
    time_masks: int = 2,
    band_masks: int = 2,
) -> keras.Model:
    """Convolutions over a log-mel spectrogram, then over time, then statistics weighted by attention.

    The spectrogram is made inside, at 16 kHz, and each clip is measured against its own loudest moment. Silence is left
    out of the statistics, so that pauses around an utterance change nothing. Stretches and bands of the spectrogram are
    hidden while it trains (SpecAugment). Sources: D. S. Park et al., Interspeech 2019 (SpecAugment); K. Okabe et al.,
    Interspeech 2018 (attentive statistics).

    Args:
        input_shape: ``(samples, 1)`` at 16 kHz; ``(None, 1)`` for any length from 0.1 s on.
        n_classes: number of emotions, at least 2.
        channels: of the convolutions over time and frequency.
        width: of what each step in time (80 ms) is described by.
        dilations: of the convolutions over time.
        heads: of the attention.
        dropout: rate after each convolution over time, in [0, 1); a third of it between the others.
        time_masks: stretches of up to 0.3 s hidden from a training clip.
        band_masks: stretches of up to 10 mel bands hidden from a training clip.

    Returns:
        An uncompiled model, ``[batch, samples, 1] -> [batch, n_classes]``.

    Examples:
        >>> house((None, 1), 8).output_shape
        (None, 8)
    """
    inputs = keras.Input(input_shape, name="samples")
    spectrum = Loudness(name="loudness")(LogMelSpectrogram(name="logmel")(ops.squeeze(inputs, 2)))
    sound = ops.any(spectrum > _SOUND, axis=2)
    x = SpecMask(time_masks=time_masks, band_masks=band_masks, name="mask")(spectrum)
    x = ops.expand_dims(x, 3)
    first, second, third, fourth = channels
    x = _block(x, first, 5, (2, 2))
    x = _block(x, second, 3, (2, 2))
    x = layers.SpatialDropout2D(dropout / 3)(x)
    x = _block(x, second, 3, (1, 1))
    x = _block(x, third, 3, (1, 2))
    x = layers.SpatialDropout2D(dropout / 3)(x)
    x = _block(x, third, 3, (1, 1))
    x = _block(x, fourth, 3, (2, 2))
    x = layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)
    x = layers.Dropout(dropout)(_activated(layers.Dense(width, use_bias=False)(x)))
    for dilation in dilations:
        y = layers.Conv1D(width, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        x = layers.Add()([x, layers.Dropout(dropout)(_activated(y))])
    steps = ops.squeeze(layers.MaxPooling1D(8, padding="same")(ops.expand_dims(ops.cast(sound, "float32"), 2)), 2)
    x = AttentiveStatistics(heads=heads, name="statistics")(x, steps > 0)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="house")


def _block(x, filters, kernel_size, strides):
    return _activated(layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(x))


def _activated(x):
    return layers.Activation("swish")(layers.BatchNormalization(momentum=_MOMENTUM)(x))
