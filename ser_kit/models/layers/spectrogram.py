"""Spectrograms inside the network, from samples.

Windows, mel filters and the floor of decibels are those of :mod:`ser_kit.features.spectra`.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from ...core.backend import import_keras
from ...features import LogMel, spectra

keras = import_keras()
ops = keras.ops

_as_products: ContextVar[bool] = ContextVar("_as_products", default=False)


@contextmanager
def fourier_as_products():
    """Trace Fourier transforms as matrix products meanwhile, for runtimes without transforms.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(1, 16000)).astype("float32")
        >>> plain = LogMelSpectrogram()(x)
        >>> with fourier_as_products():
        ...     bool(np.allclose(LogMelSpectrogram()(x), plain, atol=1e-3))
        True
    """
    token = _as_products.set(True)
    try:
        yield
    finally:
        _as_products.reset(token)


def transformed(frames, n_fft):
    """Real and imaginary part of the Fourier transform of ``[batch, count, samples]``, filled up with zeros.

    As products: with two small matrices and twiddle factors between them, not with a large one (J. W. Cooley
    and J. W. Tukey, "An algorithm for the machine calculation of complex Fourier series", 1965).
    """
    if not _as_products.get():
        return ops.rfft(frames, n_fft)
    rows = max(n for n in range(1, math.isqrt(n_fft) + 1) if n_fft % n == 0)
    columns, half = n_fft // rows, n_fft // rows // 2 + 1

    def waves(first, second, period):
        turns = np.outer(np.arange(first), np.arange(second)) % period * (2 * np.pi / period)
        return np.cos(turns).astype("float32"), np.sin(turns).astype("float32")

    x = ops.pad(frames, [[0, 0], [0, 0], [0, n_fft - frames.shape[2]]])
    x = ops.transpose(ops.reshape(x, (-1, ops.shape(x)[1], rows, columns)), (0, 1, 3, 2))
    real, imaginary = (ops.matmul(x, wave) for wave in waves(rows, rows, rows))
    cosine, sine = waves(columns, rows, n_fft)
    turned = real * cosine - imaginary * sine, real * sine + imaginary * cosine
    real, imaginary = (ops.transpose(part, (0, 1, 3, 2)) for part in turned)
    cosine, sine = waves(columns, half, columns)
    parts = (
        ops.matmul(real, cosine) - ops.matmul(imaginary, sine),
        ops.matmul(real, sine) + ops.matmul(imaginary, cosine),
    )
    return [
        ops.reshape(ops.transpose(part, (0, 1, 3, 2)), (-1, ops.shape(part)[1], half * rows))[
            :, :, : n_fft // 2 + 1
        ]
        for part in parts
    ]


def _powers(padded, count, hop, window, n_fft):
    """Squared magnitudes of the transforms of so many frames of padded samples, ``[batch, count, bins]``.

    The samples reach over the last window to the next multiple of the hop. Frames are put together of rows of
    a hop each, which is faster than gathering their samples.
    """
    width = -(-len(window) // hop)
    rows = ops.reshape(padded[:, : (count - 1 + width) * hop], (-1, count - 1 + width, hop))
    parts = [rows[:, i : i + count, : len(window) - i * hop] for i in range(width)]
    real, imaginary = transformed(ops.concatenate(parts, axis=2) * window, n_fft)
    return ops.square(real) + ops.square(imaginary)


def powers(samples, n_fft, hop_length, win_length):
    """Squared magnitudes of the short-time Fourier transform, with a Hann window, as of ``librosa.stft``.

    Args:
        samples: ``[batch, samples]``.
        n_fft: length of the transform.
        hop_length: samples between frames.
        win_length: samples in the window.

    Returns:
        ``[batch, 1 + samples // hop_length, 1 + n_fft // 2]``.

    Examples:
        >>> tuple(powers(np.zeros((1, 16000), "float32"), 512, 160, 400).shape)
        (1, 101, 257)
    """
    margin = n_fft // 2 - (n_fft - win_length) // 2  # the window lies in the middle of the transform
    padded = ops.pad(samples, [[0, 0], [margin, win_length - margin + hop_length]])
    window = spectra.hann(win_length, win_length).astype("float32")
    return _powers(padded, 1 + ops.shape(samples)[1] // hop_length, hop_length, window, n_fft)


def decibels(power):
    """``10 log10(power)``, -100 at least.

    Examples:
        >>> keras.ops.convert_to_numpy(decibels(np.array([1.0, 0.0], "float32"))).tolist()
        [0.0, -100.0]
    """
    return 10.0 * ops.log10(ops.maximum(power, spectra.AMIN))


@keras.saving.register_keras_serializable("ser_kit")
class LogMelSpectrogram(keras.layers.Layer):
    """Log-mel spectrogram inside the network: ``[batch, samples]`` -> ``[batch, frames, n_mels]``.

    The values are those of :class:`ser_kit.features.LogMel` (decibels, floor at -100 dB, ``frames = 1 +
    samples // hop_length``). A clip's values do not depend on the other clips, unlike those of
    ``keras.layers.MelSpectrogram``, which cuts ``top_db`` under the loudest clip of the batch. No weights;
    float32 whatever the precision policy, since half floats cannot hold the range.

    Args:
        sr: sampling rate of the waveform, in Hz.
        n_fft: length of the Fourier transform.
        win_length: samples in the Hann window.
        hop_length: samples between frames.
        n_mels: mel bands, from 0 Hz to ``sr / 2``.
        htk: HTK's mel scale, not Slaney's.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> tuple(LogMelSpectrogram()(np.zeros((2, 16000), "float32")).shape)
        (2, 101, 64)
    """

    def __init__(self, sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=64, htk=False, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.extractor = LogMel(
            sr=sr, n_fft=n_fft, win_length=win_length, hop_length=hop_length, n_mels=n_mels, htk=htk
        )

    def call(self, waveform):
        e = self.extractor
        filters = spectra.mel_filters(e.sr, e.n_fft, e.n_mels, e.htk).astype("float32")
        return decibels(ops.matmul(powers(waveform, e.n_fft, e.hop_length, e.win_length), filters))

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return (
            batch,
            None if samples is None else 1 + samples // self.extractor.hop_length,
            self.extractor.n_mels,
        )

    def get_config(self):
        parameters = {key: value for key, value in self.extractor.parameters.items() if key != "seconds"}
        return super().get_config() | parameters

    @classmethod
    def from_config(cls, config):
        """The layer of a configuration; those of earlier networks have the earlier names."""
        return cls(**LogMel.current(config))


@keras.saving.register_keras_serializable("ser_kit")
class WholeFrames(keras.layers.Layer):
    """Zeros after the samples, up to a multiple of some frames: ``[batch, samples]`` -> ``[batch, more]``.

    Recordings then have few different lengths. TensorFlow traces each new length, which takes longer than the
    answer, and strided convolutions are aligned in the same way for all lengths.

    Args:
        frames: the number of frames becomes a multiple of this.
        hop: samples between frames.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> samples = WholeFrames(frames=64)(np.ones((2, 16000), "float32"))
        >>> tuple(LogMelSpectrogram()(samples).shape)
        (2, 128, 64)
    """

    def __init__(self, frames=64, hop=160, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.frames, self.hop = frames, hop

    def call(self, samples):
        padded = ops.pad(samples, [[0, 0], [0, self.frames * self.hop]])
        return padded[:, : self._length(ops.shape(samples)[1])]

    def _length(self, samples):
        frames = 1 + samples // self.hop
        return (frames + self.frames - 1) // self.frames * self.frames * self.hop - 1

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return batch, None if samples is None else self._length(samples)

    def get_config(self):
        return super().get_config() | {"frames": self.frames, "hop": self.hop}


@keras.saving.register_keras_serializable("ser_kit")
class HarmonicSpectrogram(keras.layers.Layer):
    """Waveform to a spectrogram that shows harmonics: ``[batch, samples]`` -> ``[batch, frames, bands]``.

    Decibels (floor at -100 dB) in narrow bands that are equally far apart on a logarithmic scale, so that a
    higher voice is the same picture moved up. The windows of :class:`LogMelSpectrogram` are too short for
    that, and its bands too wide; the frames are the same. What lies above the bands is filtered out first and
    the rest computed at a fifth of the rate, which makes it cheap. No weights; float32 whatever the precision
    policy.

    Args:
        rate: of the waveform, in Hz.
        seconds: of the Hann window.
        hop: samples between frames, divisible by 5.
        low: centre of the lowest band, in Hz.
        bands: number of bands.
        per_octave: bands to an octave.
        **kwargs: of ``keras.layers.Layer``.

    Raises:
        ValueError: the bands reach beyond 0.08 of the rate, or the hop cannot be divided by 5.

    Examples:
        The band of a tone of 160 Hz, an octave above the lowest:

        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 160 * np.arange(16000) / 16000).astype("float32")
        >>> int(keras.ops.convert_to_numpy(HarmonicSpectrogram()(tone[None]))[0, 50].argmax())
        16
    """

    _DECIMATION = 5

    def __init__(self, rate=16000, seconds=0.064, hop=160, low=80.0, bands=64, per_octave=16, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.rate, self.seconds, self.hop = rate, seconds, hop
        self.low, self.bands, self.per_octave = low, bands, per_octave
        highest = low * 2 ** (bands / per_octave)
        if highest > 0.081 * rate or hop % self._DECIMATION:
            raise ValueError(
                f"bands up to {highest:.0f} Hz and a hop of {hop} at {rate} Hz; expected at most "
                f"{0.08 * rate:.0f} Hz, and a hop divisible by {self._DECIMATION}"
            )
        from scipy.signal import firwin

        slow = rate / self._DECIMATION
        self.lowpass = firwin(101, 0.47 * slow, fs=rate).astype("float32")
        self.window = np.hanning(round(seconds * slow) | 1).astype("float32")
        self.n_fft = 1 << int(np.ceil(np.log2(2 * len(self.window))))
        self.filters = self._filters(np.fft.rfftfreq(self.n_fft, 1 / slow)).astype("float32")

    def _filters(self, frequencies):
        """Triangles up to the centres of the neighbouring bands, 10 Hz at least: ``[frequencies, bands]``."""
        centres = self.low * 2 ** (np.arange(self.bands) / self.per_octave)
        reach = np.maximum(centres * (2 ** (1 / self.per_octave) - 1), 10.0)
        weights = np.maximum(0, 1 - np.abs(frequencies[:, None] - centres) / reach)
        return weights / weights.sum(axis=0)

    def call(self, waveform):
        step, margin, half = self._DECIMATION, len(self.lowpass) // 2, len(self.window) // 2
        padded = ops.expand_dims(ops.pad(waveform, [[0, 0], [margin, margin]]), 2)
        slow = ops.squeeze(ops.conv(padded, self.lowpass[:, None, None], strides=step, padding="valid"), 2)
        slow = ops.pad(slow, [[0, 0], [half, half + 1 + self.hop // step]])
        frames = 1 + ops.shape(waveform)[1] // self.hop
        return decibels(
            ops.matmul(_powers(slow, frames, self.hop // step, self.window, self.n_fft), self.filters)
        )

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return batch, None if samples is None else 1 + samples // self.hop, self.bands

    def get_config(self):
        names = ("rate", "seconds", "hop", "low", "bands", "per_octave")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("ser_kit")
class Loudness(keras.layers.Layer):
    """Decibels as shares of a clip's own range: ``[batch, frames, bands]``, the loudest value 1, the floor 0.

    Each clip stands for itself, so how near the microphone was does not matter.

    Args:
        decibels: from the loudest value down to the floor.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(Loudness(decibels=80)(np.array([[[-20.0, -60.0, -100.0]]])))
        array([[[1. , 0.5, 0. ]]], dtype=float32)
    """

    def __init__(self, decibels=80.0, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.decibels = decibels

    def call(self, levels):
        floor = ops.max(levels, axis=(1, 2), keepdims=True) - self.decibels
        return ops.maximum(levels - floor, 0) / self.decibels

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"decibels": self.decibels}
