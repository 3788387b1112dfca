"""The samples themselves, for networks that do all measuring inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from .base import Extractor


@dataclass(frozen=True, kw_only=True)
class Waveform(Extractor):
    """The samples of one channel: ``[samples, 1]``, full scale 1.

    Args:
        sr: Hz.
        seconds: longer clips are cut to this length; ``None`` keeps them whole.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
        >>> Waveform().extract((noise, 16000)).shape
        (16000, 1)
        >>> Waveform(seconds=0.5).extract((noise, 16000)).shape
        (8000, 1)
    """

    name: ClassVar[str] = "waveform"

    sr: int = 16000
    seconds: float | None = None

    @property
    def shape(self) -> tuple[int | None, int]:
        return None, 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("sample",)

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.sr)[: None if self.seconds is None else round(self.seconds * self.sr)]
        return samples[:, None], len(samples)
