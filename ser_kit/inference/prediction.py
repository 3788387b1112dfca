"""What is answered for a recording, and what for one that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..audio.recording import Recording
from ..core.errors import SerKitError
from ..core.probabilities import apply_temperature
from . import speech_check
from .pieces import digest


@dataclass(frozen=True)
class Segment:
    """One window of a recording.

    Args:
        start: s.
        end: s.
        emotion: the most probable label.
        confidence: its calibrated probability, 0..1.
        probabilities: label -> probability.
    """

    start: float
    end: float
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True)
class Prediction:
    """What a recording sounds like to the model.

    Args:
        emotion: the most probable label.
        confidence: its calibrated probability, 0..1; given that it is one of the labels, where ``covered`` is below 1.
        probabilities: label -> probability; they sum to 1.
        uncertain: the answer should not be relied on.
        reason: why, in a sentence; ``""`` when it is not uncertain.
        segments: the windows of a long recording, or one segment for a short one.
        duration: s.
        path: where the recording came from, or ``""``.
        covered: probability that the emotion is one of the labels at all, 0..1; below 1 only where the labels of the
            predictor leave some of the bundle's out.
        rests_on: what clips the model's confidence was fitted on that counts here.
    """

    emotion: str
    confidence: float
    probabilities: Mapping[str, float]
    uncertain: bool
    reason: str
    segments: tuple[Segment, ...]
    duration: float
    path: str = ""
    covered: float = 1.0
    rests_on: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The answer as plain values, ready for JSON."""
        return {
            "path": self.path,
            "emotion": self.emotion,
            "confidence": round(self.confidence, 6),
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "covered": round(self.covered, 6),
            "uncertain": self.uncertain,
            "reason": self.reason,
            "rests_on": self.rests_on,
            "duration": round(self.duration, 3),
        }


class Judged(NamedTuple):
    """What :meth:`Predictor.judge` finds.

    Args:
        probabilities: ``[labels of the bundle]``.
        evidence: for and against its being speech.
        functionals: ``[46]``, where the answer needs them.
        unadapted: probabilities as they are for a speaker of whom nothing is known, ``[labels of the bundle]``.
        sharpness: of :class:`ser_kit.bundles.Places`.
        corpus: name of the training corpus whose recordings this is like, or ``""``.
    """

    probabilities: np.ndarray
    evidence: speech_check.Evidence
    functionals: np.ndarray | None
    unadapted: np.ndarray
    sharpness: float
    corpus: str


class Observation(NamedTuple):
    """What :meth:`Predictor.observe` finds in one stretch of speech.

    Args:
        probabilities: calibrated, without adaptation and for a distance of no account, ``[labels of the bundle]``.
        sound: a digest of its samples.
    """

    probabilities: np.ndarray
    sound: str

    @classmethod
    def of(cls, piece: Recording, judged: Judged) -> Observation:
        """What is learned from a stretch of speech, from the probabilities that it was given."""
        return cls(apply_temperature(judged.unadapted[None], judged.sharpness)[0], digest(piece))


@dataclass(frozen=True)
class Failure:
    """A recording that could not be judged, and why."""

    path: str
    error: str

    @classmethod
    def of(cls, path: str, error: Exception) -> Failure:
        """What an error says of a recording; that of a library with its kind, since its text alone may say little."""
        return cls(path, str(error) if isinstance(error, SerKitError) else f"{type(error).__name__}: {error}")

    def to_dict(self) -> dict[str, str]:
        """``path`` and ``error``, ready for JSON."""
        return {"path": self.path, "error": self.error}
