"""Frame statistics: one row per clip, the mean and the spread of each frame feature."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from .base import RowExtractor
from .frames import FrameFeatures


@dataclass(frozen=True, kw_only=True)
class FrameStatistics(RowExtractor):
    """Mean and standard deviation of :class:`FrameFeatures` over a clip: 308 values by default.

    First the means of all its columns, ``mfcc_01_mean`` to ``zcr_mean``, then the standard deviations,
    ``mfcc_01_std`` to ``zcr_std``, each in the unit of its column. Only frames that are sound count, never
    padding. Standard deviations are of the population (divisor *n*).

    Args:
        sr: Hz.
        n_fft: samples in a frame (Hann window).
        hop_length: samples between frames.
        n_mels: mel bands.
        n_mfcc: cepstral coefficients.
        frames: frames looked at, from the start of the clip; 300 at the default hop is 6.97 s.
        top_db: how far under the loudest mel value of the clip its floor lies, in dB.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 22050)
        >>> statistics = FrameStatistics()
        >>> row = dict(zip(statistics.feature_names, statistics.extract((noise, 22050))))
        >>> len(row), round(float(row["zcr_mean"]), 1)
        (308, 0.5)
    """

    name: ClassVar[str] = "frame_statistics"
    version: ClassVar[int] = FrameFeatures.version  # other frames, other statistics

    sr: int = FrameFeatures.sr
    n_fft: int = FrameFeatures.n_fft
    hop_length: int = FrameFeatures.hop_length
    n_mels: int = FrameFeatures.n_mels
    n_mfcc: int = FrameFeatures.n_mfcc
    frames: int = FrameFeatures.frames
    top_db: float = FrameFeatures.top_db

    @cached_property
    def frame_features(self) -> FrameFeatures:
        """The frame features that are summed up; preprocessing comes before them and is not theirs."""
        return FrameFeatures(**{key: value for key, value in self.parameters.items() if key != "preprocess"})

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        names = self.frame_features.feature_names
        return tuple(f"{name}_{kind}" for kind in ("mean", "std") for name in names)

    def _row(self, recording: Recording) -> np.ndarray:
        values, valid = self.frame_features.extract_with_length(recording)
        sound = values[:valid].astype(np.float64)
        return np.concatenate([sound.mean(axis=0), sound.std(axis=0)])
