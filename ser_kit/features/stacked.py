"""Stacked frames: MFCC, chroma and mel spectrogram of a clip, brought to a fixed number of frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.errors import FeatureError
from . import spectra
from .base import Extractor
from .frames import _PITCH_CLASSES

PARTS = ("mfcc", "chroma", "mel")
"""What can be stacked, in the order in which it is."""


@dataclass(frozen=True, kw_only=True)
class StackedFrames(Extractor):
    """MFCC, chroma and mel spectrogram side by side, resampled in time: ``[150, 180]`` with the defaults.

    Columns, in order, as far as they are among ``parts``: ``n_mfcc`` MFCC, 12 chroma (0..1), ``n_mels`` mel
    bands in dB. The waveform is cut to ``seconds`` or filled up with zeros at its end, and one short-time
    Fourier transform serves all. Each block equals the Librosa call of its name:
    ``power_to_db(melspectrogram(...), top_db=top_db)`` (reference 1, everything more than ``top_db`` under
    the loudest value raised to that), ``mfcc`` of the same decibels, ``chroma_stft(..., tuning=0.0)``. Then
    each column is resampled to ``frames`` values at evenly spaced moments, the first and the last frame kept,
    by linear interpolation (``numpy.interp``). Equal means to within 1e-5 (relative, or absolute under 1) of
    Librosa in double precision; the tests check it on recordings and on made-up sounds.

    ``extract_with_length`` gives how many of the ``frames`` lie no later than the last frame whose centre is
    sound.

    Args:
        sr: Hz.
        seconds: length that the waveform is cut or filled up to, in s.
        window_ms: Hann window in ms, to the nearest sample: 551 samples with the defaults.
        hop_ms: time between frames in ms, to the nearest sample: 220 samples with the defaults, 301 frames in
            3 s.
        n_fft: length of the Fourier transform, which the window is zero-padded to; ``None`` for the next
            power of two that holds the window, 1024 with the defaults.
        n_mfcc: cepstral coefficients, at most ``n_mels``.
        n_mels: mel bands, from 0 Hz to ``sr / 2``.
        frames: frames kept after resampling in time.
        top_db: how far under the loudest mel value of the clip its floor lies, in dB.
        parts: which of ``"mfcc"``, ``"chroma"`` and ``"mel"`` to stack, in that order.

    Raises:
        FeatureError: a parameter is out of range, or ``parts`` holds another name, one twice, none, or
            another order.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 22050)
        >>> values, valid = StackedFrames().extract_with_length((noise, 22050))
        >>> values.shape, valid
        ((150, 180), 50)
        >>> StackedFrames(parts=("mfcc",)).extract((noise, 22050)).shape
        (150, 40)

    Sources:
        B. McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.
    """

    name: ClassVar[str] = "stacked"

    sr: int = 22050
    seconds: float = 3.0
    window_ms: float = 25.0
    hop_ms: float = 10.0
    n_fft: int | None = None
    n_mfcc: int = 40
    n_mels: int = 128
    frames: int = 150
    top_db: float = 80.0
    parts: tuple[str, ...] = PARTS

    def __post_init__(self):
        super().__post_init__()
        parts = tuple(self.parts) if isinstance(self.parts, list | tuple) else ()
        if not parts or parts != tuple(part for part in PARTS if part in parts):
            raise FeatureError(
                f"StackedFrames: parts={self.parts!r} must be one or more of {', '.join(PARTS)}, "
                "each once, in order"
            )
        object.__setattr__(self, "parts", parts)  # a list, as JSON gives it, would not be hashable
        for key, samples in (
            ("seconds", self.n_samples),
            ("window_ms", self.win_length),
            ("hop_ms", self.hop_length),
        ):
            if samples < 1:
                raise FeatureError(
                    f"StackedFrames: {key}={getattr(self, key)!r} is less than a sample at {self.sr} Hz"
                )
        if self.win_length > self.transform:
            raise FeatureError(
                f"StackedFrames: the window of {self.win_length} samples (window_ms={self.window_ms!r}) "
                f"must not exceed n_fft={self.n_fft}"
            )

    @property
    def n_samples(self) -> int:
        """Samples that every clip is cut or filled up to."""
        return round(self.seconds * self.sr)

    @property
    def win_length(self) -> int:
        """Samples in the Hann window."""
        return round(self.window_ms * self.sr / 1000)

    @property
    def hop_length(self) -> int:
        """Samples between frames."""
        return round(self.hop_ms * self.sr / 1000)

    @property
    def transform(self) -> int:
        """Samples in the Fourier transform: ``n_fft``, or the next power of two that holds the window."""
        return self.n_fft or 1 << (self.win_length - 1).bit_length()

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        names = {
            "mfcc": [f"mfcc_{i:02d}" for i in range(1, self.n_mfcc + 1)],
            "chroma": [f"chroma_{name}" for name in _PITCH_CLASSES],
            "mel": [f"mel_{i:03d}" for i in range(1, self.n_mels + 1)],
        }
        return tuple(name for part in self.parts for name in names[part])

    @property
    def shape(self) -> tuple[int, int]:
        return self.frames, len(self.feature_names)

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.sr)[: self.n_samples]
        valid = 1 + len(samples) // self.hop_length
        samples = np.pad(samples, (0, self.n_samples - len(samples)))
        power = spectra.powers(samples, self.transform, self.hop_length, self.win_length)

        blocks = {}
        if "mfcc" in self.parts or "mel" in self.parts:
            mel = spectra.log_mel(power, self.sr, self.transform, self.n_mels)
            blocks["mel"] = mel = np.maximum(mel, mel.max() - self.top_db)
            # A constant shows in the first coefficient only. Taken out beforehand, it leaves exact zeros of
            # silence and not the rounding of a matrix product, which differs from row to row and with the
            # number of threads.
            lowest = mel.min()
            blocks["mfcc"] = (mel - lowest) @ spectra.dct_basis(self.n_mels, self.n_mfcc)
            blocks["mfcc"][:, 0] += lowest * np.sqrt(self.n_mels)
        if "chroma" in self.parts:
            chroma = power @ spectra.chroma_filters(self.sr, self.transform)
            largest = chroma.max(axis=-1, keepdims=True)
            blocks["chroma"] = chroma / np.maximum(largest, np.finfo(np.float32).tiny)
        values = np.hstack([blocks[part] for part in self.parts])

        moments = np.linspace(0, len(values) - 1, self.frames)
        before = moments.astype(int)
        after = np.minimum(before + 1, len(values) - 1)
        resampled = values[before] + (moments - before)[:, None] * (values[after] - values[before])
        return resampled, int(np.count_nonzero(moments <= valid - 1))
