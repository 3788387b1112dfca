"""Predictions, and failures for recordings that cannot be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..audio.recording import Recording
from ..core.errors import SerKitError
from ..core.probabilities import apply_temperature
from . import speech_check
from .pieces import digest, voiced_shares

SOUNDS, LEANS, NOT_SURE = "sounds", "leans towards", "not sure"
"""The three verdicts, see :attr:`Prediction.verdict`."""
EVEN = 0.5
"""Probability below which no emotion is named: all others together are more probable."""


@dataclass(frozen=True)
class Segment:
    """One window of a recording.

    Args:
        start: seconds.
        end: seconds.
        emotion: the most probable label.
        confidence: its calibrated probability, 0..1.
        probabilities: label -> probability.
        reason: why the window is not speech; ``""`` where it may be.
    """

    start: float
    end: float
    emotion: str
    confidence: float
    probabilities: Mapping[str, float]
    reason: str = ""


@dataclass(frozen=True)
class Prediction:
    """The predicted emotion of a recording.

    Args:
        emotion: the most probable label.
        confidence: its calibrated probability, 0..1. Where ``covered`` is below 1, this is the probability
            given that the emotion is one of the labels.
        probabilities: label -> probability; they sum to 1.
        uncertain: whether the answer is unreliable.
        reason: why the answer is unreliable; ``""`` when it is not uncertain.
        segments: the windows of a long recording, or one segment for a short one.
        duration: seconds.
        path: path of the recording, or ``""``.
        covered: probability that the emotion is one of the labels, 0..1; below 1 only where the predictor's
            labels leave out labels of the bundle.
        rests_on: the clips that the confidence was calibrated on.
        sure: whether nine in ten answers as confident as this one were right on held-out speakers.

    Examples:
        >>> shares = {"angry": 0.8, "sad": 0.2}
        >>> Prediction("angry", 0.8, shares, False, "", (), 3.0).verdict
        'leans towards'
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
    sure: bool = False

    @property
    def verdict(self) -> str:
        """How sure the answer is, in words that go before the emotion.

        ``"not sure"`` where the answer is uncertain, or the emotion less probable than all others together;
        ``"sounds"`` where it is :attr:`sure`; else ``"leans towards"``.
        """
        if self.uncertain or self.confidence * self.covered < EVEN:
            return NOT_SURE
        return SOUNDS if self.sure else LEANS

    def to_dict(self) -> dict[str, Any]:
        """The prediction as plain values, ready for JSON."""
        return {
            "path": self.path,
            "emotion": self.emotion,
            "confidence": round(self.confidence, 6),
            "probabilities": {label: round(p, 6) for label, p in self.probabilities.items()},
            "covered": round(self.covered, 6),
            "verdict": self.verdict,
            "uncertain": self.uncertain,
            "reason": self.reason,
            "rests_on": self.rests_on,
            "duration": round(self.duration, 3),
        }


class WindowResult(NamedTuple):
    """Result of :meth:`Predictor.predict_window` for one window.

    Args:
        probabilities: adapted to the speaker, ``[labels of the bundle]``.
        evidence: measurements of the speech check.
        functionals: ``[46]``, or ``None`` where the bundle does not need them.
        unadapted: probabilities for an unknown speaker, ``[labels of the bundle]``.
        sharpness: see :class:`ser_kit.bundles.Places`.
        corpus: name of the training corpus that the window resembles, or ``""``.
    """

    probabilities: np.ndarray
    evidence: speech_check.Evidence
    functionals: np.ndarray | None
    unadapted: np.ndarray
    sharpness: float
    corpus: str


@dataclass(frozen=True)
class Windowed:
    """Results for all windows of a recording that are not silent; see :meth:`Predictor.windowed`.

    Args:
        recording: the recording.
        pieces: its windows as ``(start in seconds, window)``.
        results: the result for each window.
    """

    recording: Recording
    pieces: Sequence[tuple[float, Recording]]
    results: Sequence[WindowResult]

    @cached_property
    def evidence(self) -> list[speech_check.Evidence]:
        """Measurements of the speech check for each window."""
        return [each.evidence for each in self.results]

    @cached_property
    def weights(self) -> np.ndarray:
        """Weight of each window, proportional to its voiced share; they sum to 1."""
        return voiced_shares(self.evidence)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Weighted mean over the windows, ``[labels of the bundle]``."""
        return self.weights @ np.stack([each.probabilities for each in self.results])


class Observation(NamedTuple):
    """Result of :meth:`Predictor.observe` for one clip or window of a speaker.

    Args:
        probabilities: calibrated, without adaptation and without the correction for distance from the
            training data, ``[labels of the bundle]``.
        sound: digest of the samples.
    """

    probabilities: np.ndarray
    sound: str

    @classmethod
    def of(cls, piece: Recording, result: WindowResult) -> Observation:
        """The observation of a window, from its probabilities."""
        return cls(apply_temperature(result.unadapted[None], result.sharpness)[0], digest(piece))


@dataclass(frozen=True)
class Failure:
    """A recording without a prediction.

    Args:
        path: path of the recording, or ``""``.
        error: the error message.
    """

    path: str
    error: str

    @classmethod
    def of(cls, path: str, error: Exception) -> Failure:
        """The failure for an error.

        Errors of other libraries are named with their class, as their text may be terse.
        """
        return cls(path, str(error) if isinstance(error, SerKitError) else f"{type(error).__name__}: {error}")

    def to_dict(self) -> dict[str, str]:
        """``path`` and ``error``, ready for JSON."""
        return {"path": self.path, "error": self.error}
