"""Statistics over time of what the blocks of a frozen speech encoder give: one row per clip."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.config import listed
from ..core.errors import EncoderError, FeatureError, UnknownNameError
from . import encoders
from .base import RowExtractor
from .encoders import Encoder

SHORTEST = 0.5
"""In seconds: shorter clips are followed by silence."""
_STATISTICS = ("mean", "std")


@dataclass(frozen=True, kw_only=True)
class SpeechEncoder(RowExtractor):
    """Mean and standard deviation over time of what blocks of a speech encoder give: 3,072 values by default.

    Encoders are those of :mod:`ser_kit.features.encoders`: two are part of the package, larger ones need
    ``keras_hub`` and are fetched on first use (extract with ``jobs=1``: each worker process would load its
    own). Clips under 0.5 s are followed by silence. Longer ones than the encoder was trained on (30 s) are
    encoded in equal windows, and the statistics are those of all their frames.

    Args:
        sr: 16000 Hz, the rate that the encoders take.
        encoder: a name in :func:`ser_kit.features.encoders.names`.
        blocks: numbers of the blocks, from 1, in the order of the values.
        statistics: of each block: ``"mean"``, ``"std"`` or both, in the order of the values.

    Raises:
        FeatureError: a parameter is out of range.

    Examples:
        >>> tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
        >>> tiny = SpeechEncoder(encoder="whisper_tiny_en", blocks=(2, 3), statistics=("mean",))
        >>> tiny.extract((tone, 16000)).shape, tiny.feature_names[384]
        ((768,), 'whisper_tiny_en_b3_mean_001')
    """

    name: ClassVar[str] = "speech_encoder"
    version: ClassVar[int] = 2
    packages: ClassVar = ("tensorflow", "tensorflow-cpu", "keras", "keras-hub")

    sr: int = 16000
    encoder: str = "whisper_base"
    blocks: tuple[int, ...] = (3, 4, 5)
    statistics: tuple[str, ...] = _STATISTICS

    def __post_init__(self):
        super().__post_init__()
        try:
            if self.sr != self._encoder.rate:
                raise FeatureError(
                    f"SpeechEncoder: sr={self.sr!r}; the encoder takes {self._encoder.rate} Hz"
                )
            blocks = self._encoder.chosen(listed("blocks", self.blocks, FeatureError))
            object.__setattr__(self, "blocks", blocks)
        except (EncoderError, UnknownNameError) as error:
            raise FeatureError(f"SpeechEncoder: {error}") from None
        chosen = listed("SpeechEncoder: statistics", self.statistics, FeatureError)
        if not chosen or any(each not in _STATISTICS or chosen.count(each) > 1 for each in chosen):
            allowed = ", ".join(_STATISTICS)
            raise FeatureError(
                f"SpeechEncoder: statistics={list(chosen)!r} must be some of {allowed}, none twice"
            )
        object.__setattr__(self, "statistics", chosen)

    @property
    def _encoder(self) -> Encoder:
        return encoders.get(self.encoder)

    @cached_property
    def identity(self) -> str:
        """As of every extractor, with what identifies the encoder's weights."""
        return f"{super().identity}, weights {self._encoder.origin}"

    @property
    def longest(self) -> float:
        """Seconds in a window, at most."""
        return self._encoder.longest

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(
            f"{self.encoder}_b{block}_{statistic}_{i:03d}"
            for block in self.blocks
            for statistic in self.statistics
            for i in range(1, self._encoder.width + 1)
        )

    def ready(self) -> None:
        try:
            self._encoder.ready()
        except EncoderError as error:
            raise FeatureError(str(error)) from None

    def windows(self, length: int) -> tuple[int, np.ndarray]:
        """How a recording is cut: one window, or several that overlap a little if it is too long.

        Args:
            length: samples.

        Returns:
            Samples in a window, and where each begins, ``[windows]``.

        Examples:
            >>> SpeechEncoder().windows(16000 * 45)
            (360000, array([     0, 360000]))
        """
        count = math.ceil(length / (self.longest * self.sr))
        size = math.ceil(length / count)
        # As in deploy/graph.py, without rounding.
        return size, np.arange(count) * (length - size) // max(count - 1, 1)

    def _row(self, recording: Recording) -> np.ndarray:
        encode = encoders.forward(self.encoder, self.blocks)
        samples = np.asarray(recording.at(self.sr), np.float32)
        samples = np.pad(samples, (0, max(0, round(SHORTEST * self.sr) - len(samples))))
        size, starts = self.windows(len(samples))
        frames, mean, squares = 0, 0.0, 0.0  # squares: the sum of squared distances from the mean
        for start in starts:
            found = encode(samples[None, start : start + size])[0]
            count, here = len(found), found.mean(axis=0, dtype=np.float64)
            apart = here - mean
            squares = (
                squares
                + np.square(found - here).sum(axis=0)
                + np.square(apart) * frames * count / (frames + count)
            )
            frames += count
            mean = mean + apart * count / frames
        statistics = {"mean": mean, "std": np.sqrt(squares / frames)}
        return np.stack([statistics[name] for name in self.statistics], axis=1).ravel()
