"""The samples themselves, for networks that do all measuring inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..audio import Recording
from ._base import Extractor


@dataclass(frozen=True, kw_only=True)
class Waveform(Extractor):
    """The samples of one channel: ``[samples, 1]``, full scale 1.

    Args:
        rate: Hz.
        seconds: cut to this length, or fill up with zeros; ``None`` leaves every clip its own length.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
        >>> Waveform().extract((noise, 16000)).shape
        (16000, 1)
        >>> Waveform(seconds=3.0).extract_with_length((noise, 16000))[1]
        16000
    """

    name: ClassVar[str] = "waveform"

    rate: int = 16000
    seconds: float | None = None

    @property
    def shape(self) -> tuple[int | None, int]:
        return None if self.seconds is None else round(self.seconds * self.rate), 1

    @property
    def feature_names(self) -> tuple[str, ...]:
        return ("sample",)

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.rate)[: self.shape[0]]
        filling = 0 if self.seconds is None else self.shape[0] - len(samples)
        return np.pad(samples, (0, filling))[:, None], len(samples)
