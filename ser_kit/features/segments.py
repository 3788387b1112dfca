"""Segments: the waveform itself in short pieces, for networks that find their own features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.errors import FeatureError, TooShortError
from .base import Extractor


@dataclass(frozen=True, kw_only=True)
class Segments(Extractor):
    """The samples of a clip, one segment after the other without overlap: ``[200, 320]`` with the defaults.

    Samples are as they come, full scale 1: whatever is to be done about loudness or pauses, ``preprocess``
    does before. A clip longer than ``segments`` segments is cut. A shorter one is followed by segments of
    zeros, and what does not fill its last segment is dropped. ``extract_with_length`` gives how many segments
    are sound.

    Args:
        sr: Hz.
        segment_ms: length of a segment in ms, to the nearest sample; 320 samples with the defaults.
        segments: segments kept; 200 of 20 ms are 4 s.

    Raises:
        FeatureError: a parameter is out of range.
        TooShortError: when extracting, a clip does not fill one segment; only where ``segment_ms`` is some
            100 or more.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
        >>> values, valid = Segments().extract_with_length((noise, 16000))
        >>> values.shape, valid
        ((200, 320), 50)
        >>> np.array_equal(values[:valid].ravel(), noise.astype("float32")), bool(values[valid:].any())
        (True, False)
    """

    name: ClassVar[str] = "segments"

    sr: int = 16000
    segment_ms: float = 20.0
    segments: int = 200

    def __post_init__(self):
        super().__post_init__()
        if self.n_samples < 1:
            raise FeatureError(
                f"Segments: segment_ms={self.segment_ms!r} is less than a sample at {self.sr} Hz"
            )

    @property
    def n_samples(self) -> int:
        """Samples in a segment."""
        return round(self.segment_ms * self.sr / 1000)

    @property
    def shape(self) -> tuple[int, int]:
        return self.segments, self.n_samples

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"sample_{i:03d}" for i in range(self.n_samples))

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.sr)
        valid = min(self.segments, len(samples) // self.n_samples)
        if not valid:
            raise TooShortError(
                f"{recording.name or 'the recording'} lasts {recording.duration:.3f} s; "
                f"a segment lasts {self.segment_ms / 1000:.3f} s"
            )
        values = np.zeros(self.shape, np.float32)
        values[:valid] = samples[: valid * self.n_samples].reshape(valid, self.n_samples)
        return values, valid
