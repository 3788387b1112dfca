"""Feature extraction in a TensorFlow graph, so that an exported file takes samples.

Features that a graph cannot compute, such as those of Praat, are not included, and neither are most
preprocessing steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ..audio.transforms import HighPass, PeakNormalise, Trim
from ..features import (
    MIN_SECONDS,
    Extractor,
    FrameFeatures,
    LogMel,
    SpeechEncoder,
    StackedFrames,
    Waveform,
    encoders,
    spectra,
)
from ..features.speech_encoder import SHORTEST

_TINY = np.finfo(np.float32).tiny


def takes_samples(extractor: Extractor) -> bool:
    """Whether a graph can compute the features of an extractor.

    Examples:
        >>> [takes_samples(Waveform(preprocess=(step,))) for step in (Trim(), "wavelet_denoise")]
        [True, False]
    """
    return type(extractor) in _GRAPHS and all(type(step) in _STEPS for step in extractor.preprocess)


def inputs(extractor: Extractor) -> Callable:
    """Feature extraction as a TensorFlow function.

    Args:
        extractor: an extractor for which :func:`takes_samples` is true.

    Returns:
        Function from ``float32 [1, samples]`` at the extractor's sampling rate to
        ``float32 [1, *extractor.shape]``.

    Examples:
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype("float32")
        >>> logmel = LogMel(seconds=1.0)
        >>> bool(np.allclose(inputs(logmel)(noise[None])[0], logmel.extract((noise, 16000)), atol=1e-3))
        True
    """
    import tensorflow as tf

    make = _GRAPHS[type(extractor)]

    def graph(x):
        with tf.name_scope("trim"):
            for step in extractor.preprocess:
                x = _STEPS[type(step)](x, step, extractor.sr)
        with tf.name_scope("spectrogram"):
            return make(x, extractor)

    return graph


def networks(extractor: Extractor) -> list:
    """Networks used by :func:`inputs`, whose weights a SavedModel must hold."""
    return (
        [encoders.load(extractor.encoder, extractor.blocks)] if isinstance(extractor, SpeechEncoder) else []
    )


def high_passed(x, step: HighPass, rate: int):
    """:class:`~ser_kit.audio.transforms.HighPass` of ``[1, samples]``."""
    import tensorflow as tf

    taps, hop = step.low_pass(rate)
    n, around = tf.shape(x)[1], len(taps) - 1
    x -= tf.reduce_mean(x, axis=1, keepdims=True)
    places = tf.range(-around, (n + hop - 1) // hop * hop + around)  # ONNX has no negative remainders
    inside = tf.clip_by_value(places, 0, n - 1)
    mirrored = tf.clip_by_value(2 * inside - places, 0, n - 1)
    continued = 2 * tf.gather(x, inside, axis=1) - tf.gather(x, mirrored, axis=1)
    kernel = taps.astype(np.float32)[:, None, None]
    few = tf.nn.conv1d(continued[:, :, None], kernel, stride=hop, padding="VALID")
    # Interpolate ``hop`` samples from each sample at the low rate and its neighbours: every hop-th tap.
    phases = np.append(hop * taps, np.zeros(hop - 1)).reshape(-1, hop)[::-1]
    slow = tf.nn.conv1d(few, phases.astype(np.float32)[:, None, :], stride=1, padding="VALID")
    return x - tf.reshape(slow, (1, -1))[:, :n]


def _trimmed(x, step: Trim, rate: int):
    """:class:`~ser_kit.audio.transforms.Trim` of ``[1, samples]``."""
    import tensorflow as tf

    length, hop = round(step.frame_seconds * rate), round(step.hop_seconds * rate)
    squares = tf.pad(tf.square(x), [[0, 0], [length // 2, length // 2]])
    frames = step.shortest_frames(rate)
    energies = -tf.nn.max_pool1d(-_sums(squares, length, hop)[None, :, None], frames, 1, "VALID")[0, :, 0]
    loud = energies > tf.reduce_max(energies) * np.float32(10 ** (-step.top_db / 10))
    first, last = _ends(loud)
    whole, margin = tf.shape(x)[1], round(step.margin_seconds * rate)
    start, end = tf.maximum(first * hop - margin, 0), tf.minimum((last + frames) * hop + margin, whole)
    too_short = end - start < math.ceil(MIN_SECONDS * rate)
    return x[:, tf.where(too_short, 0, start) : tf.where(too_short, whole, end)]


def _normalised(x, step: PeakNormalise, rate: int):
    """:class:`~ser_kit.audio.transforms.PeakNormalise` of ``[1, samples]``."""
    import tensorflow as tf

    loudest = tf.reduce_max(tf.abs(x))
    return x * tf.where(loudest > 0, np.float32(step.peak) / tf.maximum(loudest, _TINY), np.float32(1))


def _sums(x, length: int, hop: int):
    """Sum of each frame of ``[1, n]``: ``[1 + (n - length) // hop]``."""
    import tensorflow as tf

    kernel = np.ones((length, 1, 1), np.float32)
    return tf.nn.conv1d(x[:, :, None], kernel, stride=hop, padding="VALID")[0, :, 0]


def _ends(found):
    """First and last index of a true value; the whole range if all are false."""
    import tensorflow as tf

    count = tf.shape(found)[0]
    places = tf.range(count)
    found = tf.logical_or(found, tf.logical_not(tf.reduce_any(found)))
    return tf.reduce_min(tf.where(found, places, count)), tf.reduce_max(tf.where(found, places, 0))


def _filled(x, length: int):
    """``[1, samples]`` cut or zero-padded to a length."""
    import tensorflow as tf

    x = x[:, :length]
    return tf.reshape(tf.pad(x, [[0, 0], [0, length - tf.shape(x)[1]]]), (1, length))


def _samples(x, extractor: Waveform):
    """Samples without trailing zeros, which may be padding."""
    import tensorflow as tf

    x = x[:, : None if extractor.seconds is None else round(extractor.seconds * extractor.sr)]
    return tf.expand_dims(x[:, : _ends(x[0] != 0)[1] + 1], 2)


def _logmel(x, e: LogMel):
    import tensorflow as tf

    from ..models.layers import LogMelSpectrogram

    settings = {key: getattr(e, key) for key in ("sr", "n_fft", "win_length", "hop_length", "n_mels", "htk")}
    x = x if e.n_samples is None else _filled(x, e.n_samples)
    found = LogMelSpectrogram(**settings)(x)
    return tf.reshape(found, (1, *[n or -1 for n in e.shape]))


def _mel(power, extractor: FrameFeatures | StackedFrames, n_fft: int):
    """Mel spectrogram in decibels, limited to ``top_db`` below its maximum."""
    import tensorflow as tf

    from ..models.layers import decibels

    filters = spectra.mel_filters(extractor.sr, n_fft, extractor.n_mels).astype(np.float32)
    found = decibels(tf.matmul(power, filters))
    return tf.maximum(found, tf.reduce_max(found) - extractor.top_db)


def _mfcc(mel, n_mfcc: int):
    """Mel-frequency cepstral coefficients.

    The minimum is subtracted first, so that all but the first coefficient of silence are exactly 0, and added
    back to the first.
    """
    import tensorflow as tf

    lowest, bands = tf.reduce_min(mel), mel.shape[2]
    found = tf.matmul(mel - lowest, spectra.dct_basis(bands, n_mfcc).astype(np.float32))
    return found + lowest * np.float32(np.sqrt(bands)) * np.eye(1, n_mfcc, dtype=np.float32)


def _chroma(power, rate: int, n_fft: int):
    import tensorflow as tf

    found = tf.matmul(power, spectra.chroma_filters(rate, n_fft).astype(np.float32))
    return found / tf.maximum(tf.reduce_max(found, axis=2, keepdims=True), _TINY)


def _frames(x, extractor: FrameFeatures):
    import tensorflow as tf

    from ..models.layers import powers

    e = extractor
    x = x[:, : e.frames * e.hop_length + e.n_fft]
    below = tf.cast(x < -1e-10, tf.float32)
    changes = tf.pad(tf.abs(below[:, 1:] - below[:, :-1]), [[0, 0], [e.n_fft // 2, e.n_fft // 2]])
    crossings = _sums(changes, e.n_fft - 1, e.hop_length)[None, :, None] / e.n_fft

    def padded(part):
        return tf.pad(part, [[0, 0], [0, e.frames - tf.shape(part)[1]], [0, 0]])

    power, crossings = powers(x, e.n_fft, e.hop_length, e.n_fft)[:, : e.frames], crossings[:, : e.frames]
    if not e.zero_padding:  # frames of silence: their mel bands are at the floor, all other features are 0
        power, crossings = padded(power), padded(crossings)
    mel, chroma = _mel(power, e, e.n_fft), _chroma(power, e.sr, e.n_fft)
    values = tf.concat([_mfcc(mel, e.n_mfcc), chroma, mel, crossings], axis=2)
    return tf.reshape(padded(values), (1, *e.shape))


def _stacked(x, extractor: StackedFrames):
    import tensorflow as tf

    from ..models.layers import powers

    e = extractor
    power = powers(_filled(x, e.n_samples), e.transform, e.hop_length, e.win_length)
    mel = _mel(power, e, e.transform)
    blocks = {"mfcc": _mfcc(mel, e.n_mfcc), "chroma": _chroma(power, e.sr, e.transform), "mel": mel}
    values = tf.concat([blocks[part] for part in e.parts], axis=2)
    last = e.n_samples // e.hop_length
    moments = np.linspace(0, last, e.frames)
    before = moments.astype(np.int32)
    here, then = tf.gather(values, before, axis=1), tf.gather(values, np.minimum(before + 1, last), axis=1)
    shares = (moments - before).astype(np.float32)[:, None]
    return tf.reshape(here + shares * (then - here), (1, *e.shape))


def _encoded(x, extractor: SpeechEncoder):
    import tensorflow as tf

    e = extractor
    x = tf.pad(x, [[0, 0], [0, tf.maximum(0, round(SHORTEST * e.sr) - tf.shape(x)[1])]])
    length, longest = tf.shape(x)[1], round(e.longest * e.sr)
    count = (length + longest - 1) // longest
    size = (length + count - 1) // count
    starts = tf.range(count) * (length - size) // tf.maximum(count - 1, 1)
    windows = tf.gather(x[0], starts[:, None] + tf.range(size))
    found = encoders.load(e.encoder, e.blocks)(windows)  # [windows, frames, blocks, width]
    with tf.name_scope("statistics"):
        mean = tf.reduce_mean(found, axis=(0, 1))
        statistics = {"mean": mean, "std": tf.sqrt(tf.reduce_mean(tf.square(found - mean), axis=(0, 1)))}
        return tf.reshape(tf.stack([statistics[name] for name in e.statistics], axis=1), (1, *e.shape))


_STEPS = {HighPass: high_passed, PeakNormalise: _normalised, Trim: _trimmed}
_GRAPHS = {
    Waveform: _samples,
    LogMel: _logmel,
    FrameFeatures: _frames,
    StackedFrames: _stacked,
    SpeechEncoder: _encoded,
}
