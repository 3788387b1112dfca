"""The check for speech as an ONNX file, for pages that run without Python.

``python -m ser_kit.app.check_graph`` writes the file that is part of ser_kit; it needs the extra ``export``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..audio.transforms import HighPass
from ..deploy.graph import high_passed
from ..deploy.onnx import exactly_half, finished, written
from ..deploy.saved_model import quietly
from ..features import spectra
from ..inference import speech_check as check

FILE = Path(__file__).parent / "speech_check.onnx"
"""Takes ``samples``, ``[1, n]`` at 16 kHz, 0.1 s or more; gives ``measures`` (voiced, crossings, movement and
slope of :class:`~ser_kit.inference.speech_check.Evidence`) and ``pitch``, ``[steps]``."""


def measured(samples) -> dict[str, Any]:
    """:func:`ser_kit.inference.speech_check.measure` as a TensorFlow function.

    Args:
        samples: ``float32 [1, n]``.
    """
    import tensorflow as tf

    from ..models.layers.spectrogram import decibels, transformed

    samples = high_passed(samples, HighPass(), check.RATE)
    count = 1 + (tf.shape(samples)[1] - check.WINDOW) // check.STEP
    frames = tf.gather(samples[0], check.STEP * tf.range(count)[:, None] + tf.range(check.WINDOW))
    frames -= tf.reduce_mean(frames, axis=1, keepdims=True)
    real, imaginary = transformed((frames * check.window())[None], check.N_FFT)
    power = (tf.square(real) + tf.square(imaginary))[0]

    loud = tf.reduce_max(tf.abs(frames), axis=1)
    pitch = _pitch(power, loud / tf.maximum(tf.reduce_max(loud), check.TINY))
    below = tf.cast(frames < 0, tf.float32)
    crossings = tf.reduce_mean(tf.abs(below[:, 1:] - below[:, :-1]), axis=1)
    directions = tf.sqrt(power / tf.maximum(tf.reduce_sum(power, axis=1, keepdims=True), check.TINY))
    moves = tf.reduce_sum(tf.square(directions[1:] - directions[:-1]), axis=1)
    filters = spectra.mel_filters(check.RATE, check.N_FFT, check.BANDS).astype(np.float32)
    mel = decibels(tf.matmul(power, filters))
    basis = spectra.dct_basis(check.BANDS, 2)[:, 1:].astype(np.float32)
    slope = tf.matmul(tf.maximum(mel, tf.reduce_max(mel) - check.TOP_DB), basis)[:, 0]
    voiced = tf.reduce_mean(tf.cast(pitch > 0, tf.float32))
    measures = voiced, _deviation(crossings), tf.reduce_mean(moves), _deviation(slope)
    return {"measures": tf.stack(measures), "pitch": pitch}


def _deviation(values):
    import tensorflow as tf

    return tf.sqrt(tf.reduce_mean(tf.square(values - tf.reduce_mean(values))))


def _pitch(power, loudness):
    """Pitch of each frame (Hz), as in :mod:`ser_kit.inference.speech_check`."""
    import tensorflow as tf

    lags, bins, length = check.LAGS, check.N_FFT // 4 + 1, check.N_FFT // 2
    waves = (
        np.cos(2 * np.pi / length * (np.outer(np.arange(bins), np.arange(lags.stop + 1)) % length)) / length
    )
    waves[1:-1] *= 2
    correlation = tf.matmul(power[:, :bins], waves.astype(np.float32))
    correlation = correlation / tf.maximum(correlation[:, :1], check.TINY) / check.window_correlation()
    here = correlation[:, lags]
    before, after = (correlation[:, lags.start + step : lags.stop + step] for step in (-1, 1))
    curve = before - 2 * here + after
    top = tf.logical_and(here > before, here >= after)
    curve = tf.where(top, tf.minimum(curve, -1e-9), -1.0)
    shift = 0.5 * (before - after) / curve
    strength = tf.where(top, here - 0.25 * (before - after) * shift, -1.0)
    places = np.arange(lags.start, lags.stop).astype(np.float32)
    cost = (check.OCTAVE_COST * np.log2(places / places[0])).astype(np.float32)
    best = tf.one_hot(tf.argmax(strength - cost, axis=1), len(places))
    found, reached = (tf.reduce_sum(best * values, axis=1) for values in (places + shift, strength))
    needed = check.VOICING + tf.maximum(0.0, 2 - loudness / check.SILENCE * (1 + check.VOICING))
    return tf.where(reached > needed, check.HALF / found, 0.0)


def content() -> bytes:
    """The file.

    Raises:
        MissingDependencyError: the extra ``export`` is not installed.
    """
    import tensorflow as tf

    from ..models.layers import fourier_as_products

    class Served(tf.Module):
        """What the converter takes."""

    served = Served()
    spec = tf.TensorSpec((1, None), tf.float32, name="samples")
    served.serve = tf.function(measured, input_signature=[spec], autograph=False)
    with quietly(), fourier_as_products():
        served.serve.get_concrete_function()
        return finished(exactly_half(written(served)), {"rate": check.RATE})


if __name__ == "__main__":
    FILE.write_bytes(content())
