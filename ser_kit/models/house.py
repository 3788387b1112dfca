"""ser_kit's own network: a waveform of any length in, emotions out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .layers import AttentiveStatistics, HarmonicSpectrogram, LogMelSpectrogram, Loudness, SpecMask

_SOUND = 0.4  # of the clip's range: frames whose loudest band is below this are silence
_MOMENTUM = 0.95  # of the normalisations: trainings are some thousand steps long


def house(
    input_shape: tuple[int | None, ...],
    n_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64, 96),
    harmonic_channels: Sequence[int] = (16, 24, 32, 48),
    width: int = 96,
    dilations: Sequence[int] = (1, 2),
    heads: int = 4,
    dropout: float = 0.15,
    time_masks: int = 2,
    band_masks: int = 2,
) -> keras.Model:
    """Convolutions over two spectrograms, then over time, then statistics weighted by attention.

    One spectrogram is log-mel, of short windows: what is said and how the voice is coloured. The other has long windows
    and narrow bands, and shows pitch and harmonics. Both are made inside, at 16 kHz, and each clip is measured against
    its own loudest moment. Silence is left out of the statistics, so that pauses around an utterance change nothing.
    Stretches and bands of the spectrograms are hidden while it trains (SpecAugment). Sources: D. S. Park et al.,
    Interspeech 2019 (SpecAugment); K. Okabe et al., Interspeech 2018 (attentive statistics).

    Args:
        input_shape: ``(samples, 1)`` at 16 kHz; ``(None, 1)`` for any length from 0.1 s on.
        n_classes: number of emotions, at least 2.
        channels: of the convolutions over time and the mel bands.
        harmonic_channels: of those over time and the narrow bands; empty leaves the second spectrogram out.
        width: of what each step in time (80 ms) is described by.
        dilations: of the convolutions over time.
        heads: of the attention.
        dropout: rate after each convolution over time, in [0, 1); a third of it between the others.
        time_masks: stretches of up to 0.3 s hidden from a training clip.
        band_masks: stretches of up to 10 bands hidden from a training clip.

    Returns:
        An uncompiled model, ``[batch, samples, 1] -> [batch, n_classes]``.

    Examples:
        >>> house((None, 1), 8).output_shape
        (None, 8)
    """
    inputs = keras.Input(input_shape, name="samples")
    samples = ops.squeeze(inputs, 2)

    def hidden(spectrum):
        return ops.expand_dims(SpecMask(time_masks=time_masks, band_masks=band_masks)(spectrum), 3)

    spectrum = Loudness()(LogMelSpectrogram()(samples))
    sound = ops.any(spectrum > _SOUND, axis=2)
    first, second, third, fourth = channels
    x = _block(_block(hidden(spectrum), first, 5, (2, 2)), second, 3, (2, 2))
    x = _block(layers.SpatialDropout2D(dropout / 3)(x), second, 3, (1, 1))
    x = _block(x, third, 3, (1, 2))
    x = _block(layers.SpatialDropout2D(dropout / 3)(x), third, 3, (1, 1))
    x = _flat(_block(x, fourth, 3, (2, 2)))
    if harmonic_channels:
        first, second, third, fourth = harmonic_channels
        y = _block(_block(hidden(Loudness()(HarmonicSpectrogram()(samples))), first, 5, (2, 2)), second, 3, (2, 2))
        y = _block(layers.SpatialDropout2D(dropout / 3)(y), third, 3, (1, 2))
        y = _block(layers.SpatialDropout2D(dropout / 3)(y), fourth, 3, (2, 2))
        x = layers.Concatenate()([x, _flat(y)])
    x = layers.Dropout(dropout)(_activated(layers.Dense(width, use_bias=False)(x)))
    for dilation in dilations:
        y = layers.Conv1D(width, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        x = layers.Add()([x, layers.Dropout(dropout)(_activated(y))])
    steps = ops.squeeze(layers.MaxPooling1D(8, padding="same")(ops.expand_dims(ops.cast(sound, "float32"), 2)), 2)
    x = AttentiveStatistics(heads=heads, name="statistics")(x, steps > 0)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="house")


def _flat(x):
    return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)


def _block(x, filters, kernel_size, strides):
    return _activated(layers.Conv2D(filters, kernel_size, strides=strides, padding="same", use_bias=False)(x))


def _activated(x):
    return layers.Activation("swish")(layers.BatchNormalization(momentum=_MOMENTUM)(x))
