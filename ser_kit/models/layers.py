"""Layers that Keras lacks, made of ``keras.ops`` only so that they run on TensorFlow and JAX alike."""

from __future__ import annotations

import math
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from ..core.backend import import_keras
from ..features import LogMel, spectra

keras = import_keras()  # the layers are also imported by themselves, and then no builder has done so
ops = keras.ops


_as_products: ContextVar[bool] = ContextVar("_as_products", default=False)


def together(**settings):
    """The settings of each layer in turn, from sequences with one value a layer.

    Raises:
        ValueError: they are of different lengths.
    """
    if len({len(values) for values in settings.values()}) > 1:
        lengths = ", ".join(f"{name} has {len(values)}" for name, values in settings.items())
        raise ValueError(f"expected as many values of each: {lengths}")
    return zip(*settings.values(), strict=True)


def alone(layer, input_shape, name):
    """A network of one layer, which takes functionals."""
    inputs = keras.Input(input_shape, name="functionals")
    return keras.Model(inputs, layer(inputs), name=name)


@contextmanager
def fourier_as_products():
    """Let Fourier transforms be matrix products in what is traced meanwhile, for runtimes that have no transforms.

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


def _transformed(frames, n_fft):
    """Real and imaginary part of the Fourier transform of ``[batch, count, samples]``, filled up with zeros.

    As products: with two small matrices and a turn in between (J. W. Cooley and J. W. Tukey, "An algorithm for the
    machine calculation of complex Fourier series", 1965), not with a large one.
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
        ops.reshape(ops.transpose(part, (0, 1, 3, 2)), (-1, ops.shape(part)[1], half * rows))[:, :, : n_fft // 2 + 1]
        for part in parts
    ]


def _powers(padded, count, hop, window, n_fft):
    """Squared magnitudes of the transforms of so many frames of padded samples, ``[batch, count, bins]``.

    The samples reach over the last window to the next multiple of the hop. Frames are put together of rows of a hop
    each, which is faster than gathering their samples.
    """
    width = -(-len(window) // hop)
    rows = ops.reshape(padded[:, : (count - 1 + width) * hop], (-1, count - 1 + width, hop))
    parts = [rows[:, i : i + count, : len(window) - i * hop] for i in range(width)]
    real, imaginary = _transformed(ops.concatenate(parts, axis=2) * window, n_fft)
    return ops.square(real) + ops.square(imaginary)


def powers(samples, n_fft, hop, window):
    """Squared magnitudes of the short-time Fourier transform, with a Hann window, as of ``librosa.stft``.

    Args:
        samples: ``[batch, samples]``.
        n_fft: length of the transform.
        hop: samples between frames.
        window: samples in the window.

    Returns:
        ``[batch, 1 + samples // hop, 1 + n_fft // 2]``.

    Examples:
        >>> tuple(powers(np.zeros((1, 16000), "float32"), 512, 160, 400).shape)
        (1, 101, 257)
    """
    margin = n_fft // 2 - (n_fft - window) // 2  # the window lies in the middle of the transform
    padded = ops.pad(samples, [[0, 0], [margin, window - margin + hop]])
    return _powers(padded, 1 + ops.shape(samples)[1] // hop, hop, spectra.hann(window, window).astype("float32"), n_fft)


def decibels(power):
    """``10 log10(power)``, -100 at least.

    Examples:
        >>> keras.ops.convert_to_numpy(decibels(np.array([1.0, 0.0], "float32"))).tolist()
        [0.0, -100.0]
    """
    return 10.0 * ops.log10(ops.maximum(power, spectra.AMIN))


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
        filters = spectra.mel_filters(e.rate, e.n_fft, e.n_mels).astype("float32")
        return decibels(ops.matmul(powers(waveform, e.n_fft, e.hop, e.window), filters))

    def compute_output_shape(self, input_shape):
        batch, samples = input_shape
        return batch, None if samples is None else 1 + samples // self.extractor.hop, self.extractor.n_mels

    def get_config(self):
        parameters = {key: value for key, value in self.extractor.parameters.items() if key != "seconds"}
        return super().get_config() | parameters


@keras.saving.register_keras_serializable("ser_kit")
class WholeFrames(keras.layers.Layer):
    """Zeros after the samples, until their frames come to a multiple: ``[batch, samples]`` -> ``[batch, more]``.

    Recordings then have few lengths. TensorFlow prepares for each new one, which takes it longer than the answer, and
    convolutions that halve the frames see a recording in the same way however long it is.

    Args:
        frames: what the number of frames is a multiple of.
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

    Decibels (floor at -100 dB) in narrow bands that are equally far apart on a logarithmic scale, so that a higher
    voice is the same picture moved up. The windows of :class:`LogMelSpectrogram` are too short for that, and its bands
    too wide; the frames are the same. What lies above the bands is filtered out first and the rest computed at a fifth
    of the rate, which makes it cheap. No weights; float32 whatever the precision policy.

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
                f"bands up to {highest:.0f} Hz and a hop of {hop} at {rate} Hz; expected at most {0.08 * rate:.0f} Hz, "
                f"and a hop divisible by {self._DECIMATION}"
            )
        from scipy.signal import firwin

        slow = rate / self._DECIMATION
        self.lowpass = firwin(101, 0.47 * slow, fs=rate).astype("float32")
        self.window = np.hanning(round(seconds * slow) | 1).astype("float32")
        self.n_fft = 1 << int(np.ceil(np.log2(2 * len(self.window))))
        self.filters = self._filters(np.fft.rfftfreq(self.n_fft, 1 / slow)).astype("float32")

    def _filters(self, frequencies):
        """Triangles that reach to the neighbouring bands' centres, 10 Hz at least: ``[frequencies, bands]``."""
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
        return decibels(ops.matmul(_powers(slow, frames, self.hop // step, self.window, self.n_fft), self.filters))

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


class _Warp(keras.layers.Layer):
    """Spectra bent by a draw of its own for every clip and step, while a network trains; as they are otherwise."""

    def __init__(self, most, **kwargs):
        super().__init__(**kwargs)
        self.most = most
        self.generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training or not self.most:
            return x
        drawn = keras.random.uniform((ops.shape(x)[0], 1), -self.most, self.most, seed=self.generator)
        return self._bent(x, drawn)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"most": self.most}


def _read(bands, places, corners):
    """Spectra between their bands: linear interpolation at ``[batch, n]`` places, at the edges what stands there.

    Bands lie at all corners but the first and the last.
    """
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    places = ops.expand_dims(ops.clip(places, centre[0], centre[-1]), 2)
    shares = ops.maximum(0, ops.minimum((places - low) / (centre - low), (high - places) / (high - centre)))
    return ops.einsum("bnc,bfc->bfn", shares, bands)


@keras.saving.register_keras_serializable("ser_kit")
class Vtlp(_Warp):
    """Formants moved, as if vocal tracts were longer or shorter, in mel bands: ``[batch, frames, bands]``.

    Up to 4.8 kHz frequencies are divided by a factor, and from there to the highest one squeezed or stretched to fit
    (vocal tract length perturbation: N. Jaitly and G. E. Hinton, "Vocal tract length perturbation (VTLP) improves
    speech recognition", ICML 2013 workshop). Only while training, with another factor for every clip and step.

    Args:
        most: factors lie within 1 ± this, in [0, 0.4].
        rate: of the waveform, in Hz.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(2, 100, 64)).astype("float32")
        >>> bool((Vtlp(0.1)(x) == x).numpy().all()), Vtlp(0.1)(x, training=True).shape == x.shape
        (True, True)
    """

    _BEND = 4800.0  # Hz

    def __init__(self, most=0.1, rate=16000, **kwargs):
        super().__init__(most, **kwargs)
        self.rate = rate

    def _bent(self, x, drawn):
        corners = spectra.mel_corners(self.rate, x.shape[2]).astype("float32")
        centres = corners[1:-1]
        factor, top = 1 + drawn, self.rate / 2
        to = self._BEND * ops.minimum(factor, 1)
        bend = to / factor
        above = top - (top - to) / (top - bend) * (top - centres)
        return _read(x, ops.where(centres <= bend, centres * factor, above), corners)

    def get_config(self):
        return super().get_config() | {"rate": self.rate}


@keras.saving.register_keras_serializable("ser_kit")
class BandShift(_Warp):
    """Whole spectra moved up or down: ``[batch, frames, bands]``; on a logarithmic scale that is another pitch.

    What comes in from beyond an edge is like the band at the edge. Only while training, another way for every clip and
    step.

    Args:
        most: bands to move by, up or down.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.tile(np.arange(64, dtype="float32"), (1, 10, 1))
        >>> moved = BandShift(2)(x, training=True).numpy() - x
        >>> bool(np.ptp(moved[..., 2:-2]) < 1e-4 and abs(moved).max() <= 2)
        True
    """

    def __init__(self, most=2.0, **kwargs):
        super().__init__(most, **kwargs)

    def _bent(self, x, drawn):
        corners = np.arange(-1, x.shape[2] + 1, dtype="float32")
        return _read(x, corners[1:-1] - drawn, corners)


@keras.saving.register_keras_serializable("ser_kit")
class Tempo(_Warp):
    """Slower or faster speech of the same pitch: ``[batch, frames, bands]``, as many frames, zeros after its end.

    Only while training, another factor for every clip and step.

    Args:
        most: factors lie within 1 ± this, in [0, 0.5].
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.tile(np.arange(100, dtype="float32")[:, None], (1, 1, 4))
        >>> faster = Tempo(0.1)(x, training=True).numpy()[0, :, 0]
        >>> bool(0.9 <= faster[10] / 10 <= 1.1)
        True
    """

    def __init__(self, most=0.1, **kwargs):
        super().__init__(most, **kwargs)

    def _bent(self, x, drawn):
        frames = ops.arange(ops.shape(x)[1], dtype="float32")
        distance = ops.abs(ops.expand_dims(frames * (1 + drawn), 2) - frames)
        return ops.matmul(ops.maximum(0, 1 - distance), x)


@keras.saving.register_keras_serializable("ser_kit")
class SpecMask(keras.layers.Layer):
    """Zeros in stretches of time and bands of frequency while a network trains, others in every clip and step.

    What :class:`ser_kit.training.batches.SpecAugment` does to arrays, inside a network; masks as there.

    Args:
        time_masks: masks in time per clip.
        time_width: most frames that one hides.
        band_masks: masks in frequency per clip.
        band_width: most neighbouring bands that one hides.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> x = np.ones((2, 200, 64), "float32")
        >>> hidden = keras.ops.convert_to_numpy(SpecMask()(x, training=True))
        >>> sorted(set(hidden.ravel().tolist())), bool((SpecMask()(x) == x).numpy().all())
        ([0.0, 1.0], True)
    """

    def __init__(self, time_masks=2, time_width=30, band_masks=2, band_width=10, **kwargs):
        super().__init__(**kwargs)
        self.time_masks, self.time_width = time_masks, time_width
        self.band_masks, self.band_width = band_masks, band_width
        self.generator = keras.random.SeedGenerator()

    def call(self, x, training=False):
        if not training:
            return x
        batch, frames, bands = ops.shape(x)
        hidden = ops.expand_dims(self._masks(batch, frames, self.time_masks, self.time_width), 2)
        hidden = ops.logical_or(hidden, ops.expand_dims(self._masks(batch, bands, self.band_masks, self.band_width), 1))
        return ops.where(hidden, ops.zeros_like(x), x)

    def _masks(self, batch, length, masks, width):
        """Where any of the masks lies: bool ``[batch, length]``."""
        drawn = keras.random.uniform((2, batch, masks, 1), seed=self.generator)
        length = ops.cast(length, drawn.dtype)
        widths = ops.floor(drawn[0] * (ops.minimum(width, length) + 1))
        starts = ops.floor(drawn[1] * (length - widths + 1))
        places = ops.arange(length, dtype=drawn.dtype)
        return ops.any(ops.logical_and(places >= starts, places < starts + widths), axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = ("time_masks", "time_width", "band_masks", "band_width")
        return super().get_config() | {name: getattr(self, name) for name in names}


@keras.saving.register_keras_serializable("ser_kit")
class Chunks(keras.layers.Layer):
    """Overlapping chunks of a sequence: ``[batch, frames, dims]`` -> ``[batch, chunks, length, dims]``.

    Frames after the last whole chunk are dropped; a sequence shorter than one chunk is padded with zeros to one.
    The number of frames must be known when the model is built.

    Args:
        length: frames in a chunk.
        hop: frames between the starts of two chunks.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(Chunks(4, 2)(np.arange(9.0).reshape(1, 9, 1)))[0, :, :, 0]
        array([[0., 1., 2., 3.],
               [2., 3., 4., 5.],
               [4., 5., 6., 7.]], dtype=float32)
    """

    def __init__(self, length, hop, **kwargs):
        super().__init__(**kwargs)
        self.length, self.hop = length, hop

    def call(self, sequence):
        missing = max(0, self.length - sequence.shape[1])
        sequence = ops.pad(sequence, [[0, 0], [0, missing], [0, 0]])
        starts = self.hop * np.arange(self._count(sequence.shape[1]))
        return ops.take(sequence, starts[:, None] + np.arange(self.length), axis=1)

    def compute_output_shape(self, input_shape):
        batch, frames, dims = input_shape
        return batch, self._count(frames), self.length, dims

    def _count(self, frames):
        return 1 + max(0, frames - self.length) // self.hop

    def get_config(self):
        return super().get_config() | {"length": self.length, "hop": self.hop}


@keras.saving.register_keras_serializable("ser_kit")
class AttentionPooling(keras.layers.Layer):
    """Average over time with learnt weights: ``[batch, steps, dims]`` -> ``[batch, dims]``.

    The weight of a step with the state ``h`` is the softmax over time of ``tanh(w h + b)``.

    Examples:
        >>> import numpy as np
        >>> tuple(AttentionPooling()(np.zeros((2, 8, 16), "float32")).shape)
        (2, 16)
    """

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 1), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

    def attention(self, states):
        """Weights of the steps, ``[batch, steps, 1]``: above 0, and 1 in sum over the steps."""
        return ops.softmax(ops.tanh(ops.matmul(states, self.kernel) + self.bias), axis=1)

    def call(self, states):
        return ops.sum(self.attention(states) * states, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable("ser_kit")
class AttentiveStatistics(keras.layers.Layer):
    """Weighted means and standard deviations over time: ``[batch, steps, dims]`` -> ``[batch, 2 heads dims]``.

    Each head weighs the steps by the softmax over time of a small network's output. Called on two arrays, the states
    and ``[batch, steps]`` that is true where there is sound, it leaves the other steps out. Source: K. Okabe,
    T. Koshinaka and K. Shinoda, "Attentive statistics pooling for deep speaker embedding", Interspeech 2018.

    Args:
        heads: sets of weights.
        units: width of the small network.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> states, sound = np.zeros((2, 8, 16), "float32"), np.ones((2, 8), bool)
        >>> tuple(AttentiveStatistics(heads=4)(states, sound).shape)
        (2, 128)
    """

    def __init__(self, heads=4, units=32, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.units = heads, units
        self.hidden = keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy)
        self.score = keras.layers.Dense(heads, dtype=self.dtype_policy)

    def build(self, states_shape, sound_shape=None):
        self.hidden.build(states_shape)
        self.score.build((*states_shape[:-1], self.units))

    def call(self, states, sound):
        scores = self.score(self.hidden(states))
        scores = ops.where(ops.expand_dims(sound, 2), scores, ops.full_like(scores, -1e9))
        weights = ops.transpose(ops.softmax(scores, axis=1), (0, 2, 1))
        mean, square = ops.matmul(weights, states), ops.matmul(weights, ops.square(states))
        # Of a constant the difference may come out below nought; the root of nought has no gradient.
        deviation = ops.sqrt(ops.maximum(square - ops.square(mean), 1e-5))
        pooled = ops.concatenate([mean, deviation], axis=1)
        return ops.reshape(pooled, (-1, 2 * self.heads * states.shape[2]))

    def compute_output_shape(self, states_shape, sound_shape=None):
        return states_shape[0], 2 * self.heads * states_shape[2]

    def get_config(self):
        return super().get_config() | {"heads": self.heads, "units": self.units}


@keras.saving.register_keras_serializable("ser_kit")
class MeanOfSound(keras.layers.Layer):
    """Mean of the segments' posteriors without those of segments that are all zeros, which only pad a clip.

    Called on two arrays: posteriors ``[batch, segments, classes]`` and the segments they belong to,
    ``[batch, segments, samples]``. Gives ``[batch, classes]``; for a clip of zeros only, the mean of all segments.

    Examples:
        >>> import numpy as np
        >>> posteriors = np.array([[[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]])
        >>> segments = np.array([[[0.1, 0.0], [0.0, -0.3], [0.0, 0.0]]])
        >>> keras.ops.convert_to_numpy(MeanOfSound()(posteriors, segments)).round(2)
        array([[0.7, 0.3]], dtype=float32)
    """

    def call(self, posteriors, segments):
        sound = ops.cast(ops.any(segments != 0, axis=2, keepdims=True), posteriors.dtype)
        sound = ops.where(ops.any(segments != 0, axis=(1, 2), keepdims=True), sound, 1.0)
        return ops.sum(sound * posteriors, axis=1) / ops.sum(sound, axis=1)

    def compute_output_shape(self, posteriors_shape, segments_shape):
        return posteriors_shape[0], posteriors_shape[2]


@keras.saving.register_keras_serializable("ser_kit")
class DecisionForest(keras.layers.Layer):
    """Mean of the leaves that decision trees lead to: ``[batch, features]`` -> ``[batch, classes]``.

    At each node an input goes to the left child if ``input[feature] <= threshold``, else to the right one. A leaf is
    its own child. Works in float32 whatever the precision policy, as the thresholds demand.

    The weights, none trainable, are ``feature`` (int32), ``threshold``, ``left`` and ``right`` (int32), all
    ``[trees, nodes]``, and ``leaf`` (``[trees, nodes, classes]``, probabilities). Node 0 is the root.

    Args:
        trees: number of trees.
        nodes: nodes of the largest tree.
        classes: number of classes.
        depth: steps from the root to the deepest leaf.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        A tree of one question, whether the only feature is at most 0.5:

        >>> import numpy as np
        >>> layer = DecisionForest(trees=1, nodes=3, classes=2, depth=1)
        >>> layer.build((None, 1))
        >>> values = [[[0, 0, 0]], [[0.5, 0, 0]], [[1, 1, 2]], [[2, 1, 2]], [[[0, 0], [1, 0], [0, 1]]]]
        >>> layer.set_weights([np.array(value) for value in values])
        >>> keras.ops.convert_to_numpy(layer(np.array([[0.5], [0.6]], "float32")))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, trees, nodes, classes, depth, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.trees, self.nodes, self.classes, self.depth = trees, nodes, classes, depth

    def build(self, input_shape):
        def weight(name, dtype, *shape, initializer="zeros"):
            shape = (self.trees, self.nodes, *shape)
            return self.add_weight(name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False)

        self.feature = weight("feature", "int32")
        self.threshold = weight("threshold", "float32")
        self.left = weight("left", "int32")
        self.right = weight("right", "int32")
        evenly = keras.initializers.Constant(1 / self.classes)
        self.leaf = weight("leaf", "float32", self.classes, initializer=evenly)

    def call(self, inputs):
        feature, threshold, left, right = (
            ops.reshape(weight, (-1,)) for weight in (self.feature, self.threshold, self.left, self.right)
        )
        roots = self.nodes * np.arange(self.trees, dtype="int32")
        # Places in the flattened weights, [batch, trees].
        place = ops.zeros_like(inputs[:, :1], dtype="int32") + roots
        for _ in range(self.depth):
            value = ops.take_along_axis(inputs, ops.take(feature, place), axis=1)
            goes_left = value <= ops.take(threshold, place)
            place = roots + ops.where(goes_left, ops.take(left, place), ops.take(right, place))
        leaves = ops.take(ops.reshape(self.leaf, (-1, self.classes)), place, axis=0)
        return ops.mean(leaves, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.classes

    def get_config(self):
        sizes = {"trees": self.trees, "nodes": self.nodes, "classes": self.classes, "depth": self.depth}
        return super().get_config() | sizes


@keras.saving.register_keras_serializable("ser_kit")
class SupportVectors(keras.layers.Layer):
    """A one-against-one support vector classifier, Gaussian kernel: ``[batch, features]`` -> ``[batch, classes]``.

    Each pair of classes has its decision, which is a vote for the first of the two if it is not negative. The output is
    the softmax of the votes plus the sum of a class's decisions, squeezed into (-1/3, 1/3) so that they only break
    ties; as in scikit-learn's ``SVC.decision_function``. Works in float32 whatever the precision policy.

    The weights, none trainable, are ``vectors`` (``[count, features]``), ``gamma`` (the kernel is
    ``exp(-gamma * distance ** 2)``), ``dual`` (``[count, pairs]``) and ``intercept`` (``[pairs]``), where the pairs run
    0-1, 0-2, ..., 1-2, ...

    Args:
        count: number of support vectors.
        classes: number of classes.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> layer = SupportVectors(count=2, classes=2)
        >>> layer.build((None, 1))
        >>> layer.set_weights([np.array(value) for value in ([[-1], [1]], 1.0, [[1], [-1]], [0])])
        >>> keras.ops.convert_to_numpy(layer(np.array([[-2], [3]], "float32"))).argmax(axis=1)
        array([0, 1])
    """

    def __init__(self, count, classes, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.count, self.classes = count, classes

    def build(self, input_shape):
        def weight(name, *shape):
            return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

        pairs = self.classes * (self.classes - 1) // 2
        self.vectors = weight("vectors", self.count, input_shape[-1])
        self.gamma = weight("gamma")
        self.dual = weight("dual", self.count, pairs)
        self.intercept = weight("intercept", pairs)

    def call(self, inputs):
        lengths = ops.sum(ops.square(inputs), axis=1, keepdims=True) + ops.sum(ops.square(self.vectors), axis=1)
        distances = lengths - 2 * ops.matmul(inputs, ops.transpose(self.vectors))
        kernel = ops.exp(-self.gamma * ops.maximum(distances, 0))
        decisions = (ops.matmul(kernel, self.dual) + self.intercept)[:, :, None]
        first, second = (np.eye(self.classes, dtype="float32")[i] for i in np.triu_indices(self.classes, 1))
        votes = ops.sum(ops.where(decisions >= 0, first, second), axis=1)
        confidence = ops.sum(decisions * (first - second), axis=1)
        return ops.softmax(votes + confidence / (3 * (ops.abs(confidence) + 1)))

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.classes

    def get_config(self):
        return super().get_config() | {"count": self.count, "classes": self.classes}
