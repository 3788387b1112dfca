"""Layers that Keras lacks, made of ``keras.ops`` only so that they run on TensorFlow and JAX alike."""

from __future__ import annotations

import keras
from keras import ops

from ..features import LogMel, _spectrum


@keras.saving.register_keras_serializable("ser_kit")
class LogMelSpectrogram(keras.layers.Layer):
    """Waveform to log-mel spectrogram inside the network: ``[batch, samples]`` -> ``[batch, frames, n_mels]``.

    Gives what :class:`ser_kit.features.LogMel` gives (decibels, floor at -100 dB, ``frames = 1 + samples // hop``).
    Each clip stands for itself, unlike in ``keras.layers.MelSpectrogram``, which cuts ``top_db`` under the loudest clip
    of the batch. It has no weights, and works in float32 whatever the precision policy: half floats cannot hold the
    range.

    Args:
        rate: of the waveform, in Hz.
        n_fft: length of the Fourier transform.
        window: samples in the Hann window.
        hop: samples between frames.
        n_mels: mel bands, from 0 Hz to ``rate / 2``.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> tuple(LogMelSpectrogram()(np.zeros((2, 16000), "float32")).shape)
        (2, 101, 64)
    """

    def __init__(self, rate=16000, n_fft=512, window=400, hop=160, n_mels=64, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.extractor = LogMel(rate=rate, n_fft=n_fft, window=window, hop=hop, n_mels=n_mels)

    def call(self, waveform):
        e = self.extractor
        margin = e.n_fft // 2
        padded = ops.pad(waveform, [[0, 0], [margin, margin]])
        starts = e.hop * ops.arange(1 + ops.shape(waveform)[1] // e.hop)
        frames = ops.take(padded, starts[:, None] + ops.arange(e.n_fft), axis=1)
        real, imaginary = ops.rfft(frames * _spectrum.hann(e.window, e.n_fft).astype("float32"))
        power = ops.square(real) + ops.square(imaginary)
        mel = ops.matmul(power, _spectrum.mel_filters(e.rate, e.n_fft, e.n_mels).astype("float32"))
        return 10.0 * ops.log10(ops.maximum(mel, _spectrum.AMIN))

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return batch, None if samples is None else 1 + samples // self.extractor.hop, self.extractor.n_mels

    def get_config(self):
        parameters = {key: value for key, value in self.extractor.parameters.items() if key != "seconds"}
        return super().get_config() | parameters
