"""ser_kit's own network: from a waveform of any length to emotions.

While it trains, formants, pitch and tempo are varied independently of each other, and stretches and bands of
the spectrograms are masked.

Sources: N. Jaitly and G. E. Hinton, ICML 2013 workshop (VTLP); D. S. Park et al., Interspeech 2019
(SpecAugment); K. Okabe et al., Interspeech 2018 (attentive statistics).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .building import classifier
from .layers import (
    AttentiveStatistics,
    BandShift,
    HarmonicSpectrogram,
    LogMelSpectrogram,
    Loudness,
    SpecMask,
    Tempo,
    Vtlp,
    WholeFrames,
)

_SOUND = 0.4  # of the clip's range: frames without a band above this are silence
_MOMENTUM = 0.95  # of batch normalisation: trainings are some thousand steps long


def dual_view_cnn(
    input_shape: tuple[int | None, ...],
    n_classes: int,
    *,
    channels: Sequence[int] = (16, 32, 64, 96),
    harmonic_channels: Sequence[int] = (16, 24, 32, 48),
    width: int = 96,
    dilations: Sequence[int] = (1, 2),
    heads: int = 4,
    dropout: float = 0.1,
    formants: float = 0.1,
    pitch: float = 2.0,
    tempo: float = 0.12,
    time_masks: int = 2,
    band_masks: int = 2,
) -> keras.Model:
    """Convolutions over two spectrograms, then over time, then statistics weighted by attention.

    A log-mel spectrogram of short windows, and one of long windows and narrow bands that shows pitch and
    harmonics, are computed from the samples, relative to the loudest moment of a clip. Silence is left out of
    the statistics.

    Args:
        input_shape: ``(samples, 1)`` at 16 kHz; ``(None, 1)`` for any length from 0.1 s on.
        n_classes: number of emotions, at least 2.
        channels: of the convolutions over time and the mel bands.
        harmonic_channels: of those over time and the narrow bands; empty leaves the second spectrogram out.
        width: dimensions of each step in time (80 ms).
        dilations: of the convolutions over time.
        heads: of the attention.
        dropout: rate before the output, in [0, 1).
        formants: :class:`~ser_kit.models.layers.Vtlp` of the mel bands, in training.
        pitch: :class:`~ser_kit.models.layers.BandShift` of the narrow bands (16 to an octave), in training.
        tempo: :class:`~ser_kit.models.layers.Tempo` of both, in training.
        time_masks: :class:`~ser_kit.models.layers.SpecMask` of up to 0.3 s, in training.
        band_masks: of up to 10 bands, in training.

    Returns:
        An uncompiled model, ``[batch, samples, 1] -> [batch, n_classes]``.

    Examples:
        >>> dual_view_cnn((None, 1), 8).output_shape
        (None, 8)
    """
    inputs = keras.Input(input_shape, name="samples")
    mel, harmonic, sound = _spectrograms(inputs, formants, pitch if harmonic_channels else None, tempo)
    masks = {"time_masks": time_masks, "band_masks": band_masks}
    a, b, c, d = channels
    x = _convolved(mel, [(a, 5, 2), (b, 3, 2), (b, 3, 1), (c, 3, (1, 2)), (c, 3, 1), (d, 3, 2)], masks)
    if harmonic_channels:
        a, b, c, d = harmonic_channels
        y = _convolved(harmonic, [(a, 5, 2), (b, 3, 2), (c, 3, (1, 2)), (d, 3, 2)], masks)
        x = layers.Concatenate()([x, y])
    x = _activated(layers.Dense(width, use_bias=False)(x))
    for dilation in dilations:
        y = layers.Conv1D(width, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        x = layers.Add()([x, _activated(y)])
    steps = layers.MaxPooling1D(8, padding="same")(ops.expand_dims(ops.cast(sound, "float32"), 2))
    x = AttentiveStatistics(heads=heads, name="statistics")(x, ops.squeeze(steps, 2) > 0)
    return classifier(inputs, layers.Dropout(dropout)(x), n_classes, "dual_view_cnn")


def _spectrograms(inputs, formants, pitch, tempo):
    """Both spectrograms (the second ``None`` without a pitch), and which frames are sound."""
    samples = WholeFrames()(ops.squeeze(inputs, 2))
    spectra = [Vtlp(formants)(Loudness()(LogMelSpectrogram()(samples)))]
    if pitch is not None:
        spectra.append(BandShift(pitch)(Loudness()(HarmonicSpectrogram()(samples))))
    bands = spectra[0].shape[2]
    both = Tempo(tempo)(ops.concatenate(spectra, axis=2))
    sound = ops.any(both[:, :, :bands] > _SOUND, axis=2)
    return both[:, :, :bands], both[:, :, bands:], sound


def _convolved(spectrum, blocks, masks):
    """A convolution for each of ``(filters, size, strides)``: ``[batch, frames, bands * filters]``."""
    x = ops.expand_dims(SpecMask(**masks)(spectrum), 3)
    for filters, size, strides in blocks:
        x = _activated(layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x))
    return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)


def _activated(x):
    return layers.Activation("swish")(layers.BatchNormalization(momentum=_MOMENTUM)(x))
