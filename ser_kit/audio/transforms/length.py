"""Steps that change the length of a clip, and its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ...core.errors import PreprocessError
from ..blocks import MAX_SECONDS
from ..recording import MIN_SECONDS
from .base import Step


@dataclass(frozen=True, kw_only=True)
class Trim(Step):
    """Cut leading and trailing quiet: what lies more than ``top_db`` under the loudest frame.

    Without a margin the same cut as ``librosa.effects.trim`` makes, which the tests hold it to, but without
    Librosa's floor of -100 dBFS, so that the cut does not depend on how loud the recording is. Digital
    silence is left as it is.

    Args:
        top_db: decibels under the RMS of the loudest frame, 1 to 200.
        frame_seconds: length of a frame, 0.001 to 1 s.
        hop_seconds: time between frames, and how finely is cut, 0.001 to 1 s.
        margin_seconds: of the quiet, how much is kept at either end, 0 to 10 s.
        shortest_seconds: of sound, 0 to 0.1 s. What is shorter, such as the click of a button, counts as
            quiet, and every frame as what the quietest of those that follow it within this time is.

    Examples:
        >>> import numpy as np
        >>> tone = np.sin(np.arange(16000) / 10)
        >>> 1.0 <= len(Trim()(np.pad(tone, 16000), 16000)) / 16000 < 1.04
        True
    """

    name: ClassVar[str] = "trim"
    valid: ClassVar = {
        "top_db": (1.0, 200.0), "frame_seconds": (0.001, 1.0), "hop_seconds": (0.001, 1.0),
        "margin_seconds": (0.0, 10.0), "shortest_seconds": (0.0, MIN_SECONDS),
    }  # fmt: skip

    top_db: float = 40.0
    frame_seconds: float = 0.025
    hop_seconds: float = 0.010
    margin_seconds: float = 0.0
    shortest_seconds: float = 0.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        length, hop = round(self.frame_seconds * rate), round(self.hop_seconds * rate)
        centred = np.lib.stride_tricks.sliding_window_view(np.pad(samples, length // 2), length)[::hop]
        energies = np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
        frames = min(self.shortest_frames(rate), len(energies))
        energies = np.lib.stride_tricks.sliding_window_view(energies, frames).min(axis=1)
        loud = np.flatnonzero(energies > energies.max() * 10 ** (-self.top_db / 10))
        if not loud.size:
            return samples
        margin = round(self.margin_seconds * rate)
        return samples[max(0, loud[0] * hop - margin) : (loud[-1] + frames) * hop + margin]

    def shortest_frames(self, rate: int) -> int:
        """How many frames in a row the shortest sound lasts, at least 1."""
        return max(1, round(self.shortest_seconds * rate / round(self.hop_seconds * rate)))


@dataclass(frozen=True, kw_only=True)
class Fix(Step):
    """Cut off the end, or fill it up with zeros, so that every clip has one length.

    Args:
        seconds: that length, 0.1 s to 3 hours.

    Examples:
        >>> Fix(seconds=2)([0.5] * 8000, 8000).shape
        (16000,)
    """

    name: ClassVar[str] = "fix_length"
    valid: ClassVar = {"seconds": (MIN_SECONDS, float(MAX_SECONDS))}
    shortest: ClassVar[float] = 0.0

    seconds: float = 3.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return fitted(samples, max(round(self.seconds * rate), math.ceil(MIN_SECONDS * rate)))


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """The samples cut, or filled up with zeros, at their end: ``[length]``."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def without_filling(values: np.ndarray) -> np.ndarray:
    """A clip ``[n, ...]`` without the zeros that pad its end; one of zeros alone as it is."""
    sounding = np.flatnonzero(values.reshape(len(values), -1).any(axis=1))
    return values[: sounding[-1] + 1] if len(sounding) else values


def frame(
    samples: np.ndarray,
    rate: int,
    *,
    seconds: float = 0.025,
    hop_seconds: float = 0.010,
    window: Literal["hann"] | None = None,
) -> np.ndarray:
    """Overlapping frames; the first begins with the first sample, and zeros fill up the last.

    Args:
        samples: mono float ``[n]``, not empty.
        rate: Hz.
        seconds: length of a frame, rounded to whole samples.
        hop_seconds: time from the beginning of a frame to that of the next, rounded likewise.
        window: ``"hann"`` multiplies each frame by a periodic Hann window.

    Returns:
        float32 ``[frames, length]``; read-only without a window, since the frames then share their samples.

    Raises:
        PreprocessError: the samples are not one channel, a length is less than one sample, or the window is
            unknown.

    Examples:
        >>> frame([1, 2, 3, 4, 5], 1000, seconds=0.003, hop_seconds=0.002)
        array([[1., 2., 3.],
               [3., 4., 5.]], dtype=float32)
        >>> frame(np.ones(16000), 16000, window="hann").shape
        (99, 400)
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not samples.size:
        raise PreprocessError(f"frame: expected samples of one channel, got shape {samples.shape}")
    length, hop = round(seconds * rate), round(hop_seconds * rate)
    if length < 1 or hop < 1:
        raise PreprocessError(
            f"frame: seconds={seconds!r} and hop_seconds={hop_seconds!r} must be a sample or more"
        )
    if window not in (None, "hann"):
        raise PreprocessError(f"frame: window={window!r} must be 'hann' or None")
    count = 1 + max(0, math.ceil((len(samples) - length) / hop))
    padded = fitted(samples, (count - 1) * hop + length)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    if window is None:
        return frames
    return frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
