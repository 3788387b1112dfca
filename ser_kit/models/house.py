"""ser_kit's own network: a waveform of any length in, emotions out."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

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
    dropout: float = 0.1,
    formants: float = 0.1,
    pitch: float = 2.0,
    tempo: float = 0.12,
    time_masks: int = 2,
    band_masks: int = 2,
) -> keras.Model:
    """Convolutions over two spectrograms, then over time, then statistics weighted by attention.

    One spectrogram is log-mel, of short windows: what is said and how the voice is coloured. The other has long windows
    and narrow bands, and shows pitch and harmonics. Both are made inside, at 16 kHz, and each clip is measured against
    its own loudest moment. Silence is left out of the statistics, so that pauses around an utterance change nothing.
    While it trains, formants, pitch and tempo are moved apart from each other, as if other people spoke, and stretches
    and bands of the spectrograms are hidden. Sources: N. Jaitly and G. E. Hinton, ICML 2013 workshop (VTLP); D. S. Park
    et al., Interspeech 2019 (SpecAugment); K. Okabe et al., Interspeech 2018 (attentive statistics).

    Args:
        input_shape: ``(samples, 1)`` at 16 kHz; ``(None, 1)`` for any length from 0.1 s on.
        n_classes: number of emotions, at least 2.
        channels: of the convolutions over time and the mel bands.
        harmonic_channels: of those over time and the narrow bands; empty leaves the second spectrogram out.
        width: of what each step in time (80 ms) is described by.
        dilations: of the convolutions over time.
        heads: of the attention.
        dropout: rate before the output, in [0, 1).
        formants: a training clip's are moved by up to this share (:class:`~ser_kit.models.layers.Vtlp`).
        pitch: its harmonics are moved by up to so many of the narrow bands, 16 to an octave.
        tempo: it is slowed down or sped up by up to this share.
        time_masks: stretches of up to 0.3 s hidden from a training clip.
        band_masks: stretches of up to 10 bands hidden from a training clip.

    Returns:
        An uncompiled model, ``[batch, samples, 1] -> [batch, n_classes]``.

    Examples:
        >>> house((None, 1), 8).output_shape
        (None, 8)
    """
    inputs = keras.Input(input_shape, name="samples")
    samples = WholeFrames()(ops.squeeze(inputs, 2))

    spectra = [Vtlp(formants)(Loudness()(LogMelSpectrogram()(samples)))]
    if harmonic_channels:
        spectra.append(BandShift(pitch)(Loudness()(HarmonicSpectrogram()(samples))))
    bands = spectra[0].shape[2]
    both = Tempo(tempo)(ops.concatenate(spectra, axis=2))
    sound = ops.any(both[:, :, :bands] > _SOUND, axis=2)

    def heard(spectrum, blocks):
        x = ops.expand_dims(SpecMask(time_masks=time_masks, band_masks=band_masks)(spectrum), 3)
        for filters, size, strides in blocks:
            x = _activated(layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False)(x))
        return layers.Reshape((-1, x.shape[2] * x.shape[3]))(x)

    c = channels
    x = heard(
        both[:, :, :bands],
        [(c[0], 5, 2), (c[1], 3, 2), (c[1], 3, 1), (c[2], 3, (1, 2)), (c[2], 3, 1), (c[3], 3, 2)],
    )
    if harmonic_channels:
        c = harmonic_channels
        y = heard(both[:, :, bands:], [(c[0], 5, 2), (c[1], 3, 2), (c[2], 3, (1, 2)), (c[3], 3, 2)])
        x = layers.Concatenate()([x, y])
    x = _activated(layers.Dense(width, use_bias=False)(x))
    for dilation in dilations:
        y = layers.Conv1D(width, 3, padding="same", dilation_rate=dilation, use_bias=False)(x)
        x = layers.Add()([x, _activated(y)])
    steps = ops.squeeze(layers.MaxPooling1D(8, padding="same")(ops.expand_dims(ops.cast(sound, "float32"), 2)), 2)
    x = AttentiveStatistics(heads=heads, name="statistics")(x, steps > 0)
    x = layers.Dropout(dropout)(x)
    outputs = layers.Dense(n_classes, activation="softmax", dtype="float32", name="emotion")(x)
    return keras.Model(inputs, outputs, name="house")


def _activated(x):
    return layers.Activation("swish")(layers.BatchNormalization(momentum=_MOMENTUM)(x))
