"""What every extractor is: a frozen dataclass of its parameters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..audio import transforms
from ..audio.blocks import MAX_RATE, MAX_SECONDS, MIN_RATE
from ..audio.recording import MIN_SECONDS, Recording, read_audio
from ..audio.transforms import Step
from ..core.config import Settings, listed
from ..core.errors import FeatureError, TooShortError

_READING = ("av", "soundfile", "soxr")


@dataclass(frozen=True, kw_only=True)
class Extractor(Settings, ABC):
    """Turns one recording into one array of numbers.

    The fields of a subclass are its parameters, and every parameter changes the result: two extractors of
    equal :attr:`identity` give equal arrays. Raise ``version`` whenever the same parameters begin to give
    other numbers.

    Args:
        sr: sampling rate (Hz) that a recording is resampled to before anything is measured.
        preprocess: steps that the samples go through at that rate, in order:
            :class:`~ser_kit.audio.transforms.Step`, their names, or what their ``to_dict`` gives.
    """

    error = FeatureError
    renamed = {"sr": "rate", "hop_length": "hop", "win_length": "window"}
    corpus_markers: ClassVar[tuple[str, ...]] = ()
    """Names of features that tell corpora apart rather than emotions."""
    valid = {
        "sr": range(MIN_RATE, MAX_RATE + 1),
        "seconds": (MIN_SECONDS, float(MAX_SECONDS)),
        "n_fft": range(16, 65_537),
        "win_length": range(1, 65_537),
        "hop_length": range(1, 65_537),
        "window_ms": (0.001, 1000.0),
        "hop_ms": (0.001, 1000.0),
        "segment_ms": (0.001, 1000.0),
        "n_mels": range(1, 1025),
        "n_mfcc": range(1, 1025),
        "frames": range(1, 100_001),
        "segments": range(1, 100_001),
        "top_db": (1.0, 1000.0),
        "pitch_floor": (10.0, 5000.0),
        "pitch_ceiling": (10.0, 5000.0),
        "size": range(1, 6),
    }
    """What a parameter of that name may be, in every extractor that has it."""
    ordered = (("n_mfcc", "n_mels"), ("pitch_floor", "pitch_ceiling"))

    sr: int
    preprocess: tuple[Step, ...] = ()

    def __post_init__(self):
        steps = listed(self._called("preprocess"), self.preprocess, FeatureError)
        object.__setattr__(self, "preprocess", tuple(map(transforms.step, steps)))
        super().__post_init__()

    @classmethod
    def _called(cls, key: str) -> str:
        return f"{cls.__name__}: {key}"

    @property
    def dependencies(self) -> frozenset[str]:
        return super().dependencies.union(_READING)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters, ready for JSON: ``features.get(e.name)(**e.parameters) == e``."""
        parameters = {key: value for key, value in asdict(self).items() if key != "preprocess"}
        if self.preprocess:
            parameters["preprocess"] = [step.to_dict() for step in self.preprocess]
        return parameters

    @cached_property
    def identity(self) -> str:
        """Class, version and parameters in one line, such as ``LogMel/1(rate=16000, ...)``."""
        named, values = self._named(), self.parameters
        stored = self.stored({key: values[key] for key in named if key != "preprocess"})
        parameters = [f"{key}={value!r}" for key, value in stored.items()]
        if self.preprocess:
            parameters.append(f"preprocess=[{', '.join(step.identity for step in self.preprocess)}]")
        return f"{type(self).__name__}/{self.version}({', '.join(parameters)})"

    @property
    @abstractmethod
    def shape(self) -> tuple[int | None, ...]:
        """Shape of one clip's array; ``None`` stands for a length that follows the clip."""

    @property
    @abstractmethod
    def feature_names(self) -> tuple[str, ...]:
        """Names along the last axis."""

    @property
    def units(self) -> Mapping[str, str]:
        """Feature name -> unit (``""`` for a bare number), for those that have a name worth showing."""
        return {}

    @property
    def model_columns(self) -> tuple[int, ...]:
        """Places along the last axis that a model may see: all but the :attr:`corpus_markers`."""
        return tuple(i for i, name in enumerate(self.feature_names) if name not in self.corpus_markers)

    def ready(self) -> None:  # noqa: B027 - most need nothing
        """Fetch what extraction needs beside the recordings; called once before those of a table.

        Raises:
            FeatureError: it cannot be had.
        """

    def extract(self, recording: Recording | Any) -> np.ndarray:
        """The features of one recording.

        Args:
            recording: a :class:`~ser_kit.audio.Recording`, or whatever :func:`~ser_kit.audio.read_audio`
                takes.

        Returns:
            float32 ``[*shape]``.

        Raises:
            TooShortError: the recording lasts less than 0.1 s.
            AudioError: it cannot be read at all.
        """
        return self.extract_with_length(recording)[0]

    def extract_with_length(self, recording: Recording | Any) -> tuple[np.ndarray, int]:
        """As :meth:`extract`, with the number of leading rows that are sound and not padding.

        A clip that yields one row of functionals counts one.
        """
        if not isinstance(recording, Recording):
            recording = read_audio(recording)
        if self.preprocess and recording.duration >= MIN_SECONDS:
            samples = transforms.apply(self.preprocess, recording.at(self.sr), self.sr)
            recording = replace(recording, samples=samples, rate=self.sr)
        if recording.duration < MIN_SECONDS:
            raise TooShortError(
                f"{recording.name or 'the recording'} lasts {recording.duration:.3f} s; "
                f"features need at least {MIN_SECONDS} s"
            )
        values, length = self._extract(recording)
        return values.astype(np.float32, copy=False), length

    @abstractmethod
    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        """The array and its number of valid rows, for a recording that is long enough."""


class RowExtractor(Extractor):
    """An extractor of one row per clip; its names are those in :attr:`units` by default."""

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(self.units)

    @property
    def shape(self) -> tuple[int]:
        return (len(self.feature_names),)

    @abstractmethod
    def _row(self, recording: Recording) -> np.ndarray:
        """The row, for a recording that is long enough."""

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        return self._row(recording), 1
