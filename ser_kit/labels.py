"""Canonical emotions, their synonyms, and the label sets that corpora are joined under.

Examples:
    >>> canonical("Fearful"), canonical("ps"), canonical("happiness")
    ('fear', 'surprised', 'happy')
    >>> label_set("six").label("calm") is None
    True
    >>> label_set("four").label("excited")
    'happy'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .errors import LabelError, UnknownNameError

EMOTIONS: tuple[str, ...] = (
    "neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised",
    "boredom", "excited", "frustrated", "other",
)  # fmt: skip
"""Canonical emotion names; the first eight are RAVDESS's, in its order."""

_SYNONYMS: dict[str, tuple[str, ...]] = {
    "neutral": ("neu", "neutrality"),
    "calm": ("calmness",),
    "happy": ("happiness", "joy", "joyful", "hap"),
    "sad": ("sadness",),
    "angry": ("anger", "ang", "mad"),
    "fear": ("fearful", "scared", "afraid", "anxiety", "fea"),
    "disgust": ("disgusted", "dis"),
    "surprised": ("surprise", "ps", "pleasant surprise", "pleasant_surprise", "pleasant_surprised", "sur"),
    "boredom": ("bored",),
    "excited": ("excitement", "exc"),
    "frustrated": ("frustration", "fru"),
    "other": ("oth", "xxx"),
}
_CANONICAL = {name: name for name in EMOTIONS} | {s: name for name, words in _SYNONYMS.items() for s in words}


def canonical(name: str) -> str:
    """The canonical emotion for a common English name of it, whatever its case.

    Args:
        name: such as ``"Fearful"``, ``"ps"`` or ``"anger"``.

    Returns:
        One of :data:`EMOTIONS`.

    Raises:
        LabelError: the name is not known.
    """
    found = _CANONICAL.get(str(name).strip().lower())
    if found is None:
        raise LabelError(f"unknown emotion {name!r}; expected one of {', '.join(EMOTIONS)} or a common synonym")
    return found


@dataclass(frozen=True)
class LabelSet:
    """The classes that a model tells apart, in the order of its outputs.

    Args:
        name: how the set is asked for.
        labels: canonical emotions, in output order.
        merged: canonical emotion -> label, for emotions counted as another one.
    """

    name: str
    labels: tuple[str, ...]
    merged: Mapping[str, str] = field(default_factory=dict)

    def label(self, emotion: str) -> str | None:
        """The label of a canonical emotion, or ``None`` where the set has no place for it."""
        emotion = self.merged.get(emotion, emotion)
        return emotion if emotion in self.labels else None

    def __len__(self) -> int:
        return len(self.labels)


LABEL_SETS: dict[str, LabelSet] = {
    s.name: s
    for s in (
        # "Excited" counts as happy: the convention of four-class IEMOCAP (5,531 clips).
        LabelSet("four", ("neutral", "happy", "sad", "angry"), {"excited": "happy"}),
        LabelSet("six", ("neutral", "happy", "sad", "angry", "fear", "disgust")),
        LabelSet("seven", ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised")),
        LabelSet("eight", EMOTIONS[:8]),
    )
}


def label_set(labels: str | LabelSet | Iterable[str]) -> LabelSet:
    """A label set by name, or one made of the emotions given.

    Args:
        labels: ``"four"``, ``"six"``, ``"seven"``, ``"eight"``; a :class:`LabelSet`; or emotion names.

    Raises:
        UnknownNameError: no set has that name.
        LabelError: an emotion is unknown, or fewer than two different ones are given.
    """
    if isinstance(labels, LabelSet):
        return labels
    if isinstance(labels, str):
        if labels not in LABEL_SETS:
            raise UnknownNameError("label set", labels, LABEL_SETS)
        return LABEL_SETS[labels]
    names = tuple(dict.fromkeys(canonical(name) for name in labels))
    if len(names) < 2:
        raise LabelError(f"a label set needs at least two emotions, not {names}")
    return LabelSet("custom", names)
