"""Merge a bundle's labels into the requested ones, and describe what the confidence was calibrated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..bundles.bundle import strangeness
from ..core.formats import percent
from ..core.probabilities import mean_log
from ..features import Functionals
from . import speech_check
from .prediction import Windowed

ENROLLED_SHARE = 0.5
"""Share of a speaker's deviation from the average neutral voice that is subtracted as the speaker's habit."""

FEWEST_ANSWERS = 20
"""Clips that a confidence must be reached by to be relied on."""
BEYOND = "it sounds most like {}, which is not among the labels"
"""Reason given where the most probable emotion is not among the labels."""
NO_SPEECH = "it does not sound like speech"

RIGHT_SHARE = 0.9
"""Share of right answers, on held-out speakers, among those as confident as a sure one."""


@dataclass(frozen=True)
class LabelMap:
    """Maps the labels of a bundle to the labels of an answer.

    Args:
        given: the bundle's labels, in the order of its probabilities.
        merged: label of the answer -> labels of the bundle that count as it.
    """

    given: tuple[str, ...]
    merged: Mapping[str, Sequence[str]]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the answer."""
        return tuple(self.merged)

    def shares(self, probabilities: np.ndarray) -> np.ndarray:
        """Sum the probabilities of the bundle's labels for each label of the answer.

        Args:
            probabilities: of the bundle's labels, ``[k]``.

        Returns:
            ``float [labels]``. The sum is below 1 where the answer leaves out labels of the bundle.
        """
        places = [[self.given.index(each) for each in labels] for labels in self.merged.values()]
        return np.array([probabilities[place].sum() for place in places])

    @cached_property
    def _left_out(self) -> set[str]:
        """Labels of the bundle that the answer leaves out."""
        return set(self.given).difference(*self.merged.values())

    def covered(self, probabilities: np.ndarray) -> float:
        """Probability that the emotion is one of the answer's labels, 0..1."""
        # Exactly 1 where no label is left out, not 0.9999999999999999.
        return min(1.0, float(self.shares(probabilities).sum())) if self._left_out else 1.0

    def beyond(self, probabilities: np.ndarray) -> str:
        """The left-out emotion that is more probable than every label of the answer, or ``""``."""
        given = dict(zip(self.given, probabilities, strict=True))
        most, label = max(((given[label], label) for label in self._left_out), default=(0.0, ""))
        return label if most > self.shares(probabilities).max() else ""

    def named(self, probabilities: np.ndarray) -> dict[str, Any]:
        """The fields ``emotion``, ``confidence`` and ``probabilities`` of an answer.

        The probabilities are renormalised over the labels of the answer.

        Args:
            probabilities: of the bundle's labels, ``[k]``.
        """
        probabilities = self.shares(probabilities)
        covered = probabilities.sum()  # a forest may give the remaining labels a probability of exactly 0
        uniform = np.full(len(probabilities), 1 / len(probabilities))
        probabilities = probabilities / covered if covered else uniform
        return {
            "emotion": self.labels[int(probabilities.argmax())],
            "confidence": float(probabilities.max()),
            "probabilities": dict(zip(self.labels, probabilities.tolist(), strict=True)),
        }


def rests_on(card: Mapping[str, Any], known: set[str]) -> str:
    """Describe the clips that the confidence was calibrated on.

    Args:
        card: card of the bundle.
        known: training corpora that the windows of the recording resemble; ``""`` for a window that resembles
            none.

    Returns:
        A phrase for :attr:`ser_kit.inference.prediction.Prediction.rests_on`; ``""`` where the card has no
        evaluation.
    """
    if known and "" not in known:
        return f"held-out speakers of {', '.join(sorted(known))}, which the recording resembles"
    if "left_out" in card:
        return f"held-out corpora: {', '.join(sorted(row['corpus'] for row in card['left_out']))}"
    if not card.get("evaluation") or not card.get("trained_on"):
        return ""
    corpora = ", ".join(sorted(each["corpus"] for each in card["trained_on"]))
    if card["evaluation"]["speaker_independent"]:
        return f"held-out speakers of {corpora}"
    return f"clips of {corpora} by speakers of the training data"


def sure_from(card: Mapping[str, Any]) -> float:
    """The confidence from which nine in ten answers were right, on speakers or corpora held out.

    Args:
        card: card of the bundle; read are the clips at each confidence, ``evaluation.reliability``.

    Returns:
        A confidence that at least 20 clips reach; infinity where there is none, or the evaluation is not
        speaker-independent.

    Examples:
        >>> bins = [{"low": 0.5, "accuracy": 0.6, "clips": 50}, {"low": 0.75, "accuracy": 0.95, "clips": 50}]
        >>> sure_from({"evaluation": {"speaker_independent": True, "reliability": bins}})
        0.75
    """
    evaluation = card.get("evaluation", {})
    clips, right, found = 0, 0.0, np.inf
    if evaluation.get("speaker_independent"):
        for each in sorted(evaluation.get("reliability", ()), key=lambda row: -row["low"]):
            clips += each["clips"]
            right += each["clips"] * (each["accuracy"] or 0)
            if clips >= FEWEST_ANSWERS and right >= RIGHT_SHARE * clips:
                found = each["low"]
    return found


def no_speech(evidence: Sequence[speech_check.Evidence], weights: np.ndarray | None = None) -> str:
    """Why windows are not speech, or ``""``; the arguments are those of :func:`doubt`."""
    against = speech_check.against(evidence, weights)
    return f"{NO_SPEECH} ({', '.join(against)})" if against else ""


def doubt(card: Mapping[str, Any], answers: LabelMap, functionals: Functionals, found: Windowed) -> str:
    """Why a prediction is uncertain, or ``""``.

    Args:
        card: card of the bundle.
        answers: labels of the answer.
        functionals: extractor of the windows' functionals.
        found: the windows; they have functionals if the card has ``strange_above``.
    """
    if against := no_speech(found.evidence, found.weights):
        return against
    if card.get("strange_above") is not None:
        rows = np.stack([each.functionals for each in found.results])
        strange = found.weights @ strangeness(rows, card["typical"]["all"])
        if strange.mean() > card["strange_above"]:
            names = [functionals.feature_names[column] for column in functionals.model_columns]
            farthest = ", ".join(names[i] for i in np.argsort(-strange)[:3])
            return f"it is unlike the training recordings (most of all in {farthest})"
    probabilities = found.probabilities
    if label := answers.beyond(probabilities):
        return BEYOND.format(label)
    if answers.shares(probabilities).max() < card["uncertain_below"]:
        named = answers.named(probabilities)["probabilities"]
        likely = sorted(named.items(), key=lambda each: -each[1])[:2]
        return f"no emotion stands out: {', '.join(f'{label} {percent(p)}' for label, p in likely)}"
    return ""


def habit(neutral: Sequence[Sequence[float]] | np.ndarray, usual: Sequence[float] | np.ndarray) -> np.ndarray:
    """Estimate a speaker's habit from neutral clips.

    Args:
        neutral: probabilities of the speaker's neutral clips, ``[n, k]``.
        usual: mean log probabilities of other speakers' neutral clips, ``[k]``.

    Returns:
        ``float64 [k]``, the log probabilities that :func:`ser_kit.core.probabilities.without_habit`
        subtracts.

    Examples:
        >>> habit([[0.5, 0.5]], np.log([0.5, 0.125])).round(2).tolist()
        [0.0, 0.69]
    """
    return ENROLLED_SHARE * (mean_log(neutral) - np.asarray(usual))
