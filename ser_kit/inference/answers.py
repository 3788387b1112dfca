"""From the probabilities of a bundle's labels to an answer in the labels asked for, and what its confidence rests on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core.probabilities import mean_log

ENROLLED_SHARE = 0.5
"""How much of what sets a speaker's neutral voice apart is taken for the speaker's and not for an emotion."""


@dataclass(frozen=True)
class LabelMap:
    """Labels of a bundle, merged into those of an answer.

    Args:
        given: the bundle's labels, in the order of its probabilities.
        merged: label of an answer -> those of the bundle that count as it.
    """

    given: tuple[str, ...]
    merged: Mapping[str, Sequence[str]]

    @property
    def labels(self) -> tuple[str, ...]:
        """The emotions of an answer."""
        return tuple(self.merged)

    def shares(self, probabilities: np.ndarray) -> np.ndarray:
        """Probabilities of the bundle's labels, added up to those of the answer's; their sum is what is covered."""
        places = [[self.given.index(each) for each in labels] for labels in self.merged.values()]
        return np.array([probabilities[place].sum() for place in places])

    @cached_property
    def _left_out(self) -> set[str]:
        """Labels of the bundle that have no place in the answer."""
        return set(self.given).difference(*self.merged.values())

    def covered(self, probabilities: np.ndarray) -> float:
        """Probability that the emotion is one of the answer's labels, 0..1."""
        return min(1.0, float(self.shares(probabilities).sum())) if self._left_out else 1.0  # not 0.9999999999999999

    def beyond(self, probabilities: np.ndarray) -> str:
        """The emotion that the answer's labels leave out and that is more probable than each of them, or ``""``."""
        given = dict(zip(self.given, probabilities, strict=True))
        most, label = max(((given[label], label) for label in self._left_out), default=(0.0, ""))
        return label if most > self.shares(probabilities).max() else ""

    def named(self, probabilities: np.ndarray) -> dict[str, Any]:
        """Probabilities of the bundle's labels as the fields ``emotion``, ``confidence`` and ``probabilities`` of an
        answer, as if the emotion were certainly one of its labels."""
        probabilities = self.shares(probabilities)
        covered = probabilities.sum()  # a forest may give nothing at all to what is left
        probabilities = probabilities / covered if covered else np.full(len(probabilities), 1 / len(probabilities))
        return {
            "emotion": self.labels[int(probabilities.argmax())],
            "confidence": float(probabilities.max()),
            "probabilities": dict(zip(self.labels, probabilities.tolist(), strict=True)),
        }


def rests_on(card: Mapping[str, Any], known: set[str]) -> str:
    """What a confidence rests on.

    Args:
        card: of the bundle.
        known: the corpora that the windows of the recording are like, ``""`` for none.
    """
    if known and "" not in known:
        return f"speakers of {', '.join(sorted(known))} that were left out in turn, since the recording is like these"
    if "left_out" in card:
        return f"corpora that were left out in turn: {', '.join(sorted(row['corpus'] for row in card['left_out']))}"
    if not card.get("evaluation") or not card.get("trained_on"):
        return ""
    corpora = ", ".join(sorted(each["corpus"] for each in card["trained_on"]))
    if card["evaluation"]["speaker_independent"]:
        return f"speakers of {corpora} that were left out in turn"
    return f"clips of {corpora} whose speakers were trained on"


def habit(neutral: Sequence[Sequence[float]] | np.ndarray, usual: Sequence[float] | np.ndarray) -> np.ndarray:
    """What is taken for a speaker's habit, to be taken off by :func:`ser_kit.core.probabilities.without_habit`.

    Args:
        neutral: probabilities of the speaker's neutral clips, ``[n, k]``.
        usual: mean log probabilities of other people's, ``[k]``.

    Returns:
        ``float64 [k]``.

    Examples:
        >>> habit([[0.5, 0.5]], np.log([0.5, 0.125])).round(2).tolist()
        [0.0, 0.69]
    """
    return ENROLLED_SHARE * (mean_log(neutral) - np.asarray(usual))
