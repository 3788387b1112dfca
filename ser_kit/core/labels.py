"""Canonical emotions, their synonyms, and label sets to combine corpora with.

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

from .errors import LabelError
from .registry import Registry

EMOTIONS: tuple[str, ...] = (
    "neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprised",
    "boredom", "excited", "frustrated", "other",
)  # fmt: skip
"""Canonical emotion names; the first eight are RAVDESS's, in its order."""

COLOURS: dict[str, str] = {
    "neutral": "#888178",
    "calm": "#84daf1",
    "happy": "#edc84c",
    "sad": "#15397d",
    "angry": "#dd260f",
    "fear": "#954dc3",
    "disgust": "#14a240",
    "surprised": "#e989b9",
    "boredom": "#bfa18a",
    "excited": "#f0821d",
    "frustrated": "#491416",
    "other": "#3d3d3d",
}
"""One colour per canonical emotion."""

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
    """Canonical emotion for a common English name, ignoring case.

    Args:
        name: such as ``"Fearful"``, ``"ps"`` or ``"anger"``.

    Returns:
        One of :data:`EMOTIONS`.

    Raises:
        LabelError: if the name is not known.
    """
    found = _CANONICAL.get(str(name).strip().lower())
    if found is None:
        raise LabelError(
            f"unknown emotion {name!r}; expected one of {', '.join(EMOTIONS)} or a common synonym"
        )
    return found


NEAREST = {"calm": "neutral", "excited": "happy", "frustrated": "angry"}
"""Nearest emotion, used to map predictions to a label set that lacks an emotion. It is not used for
training."""


@dataclass(frozen=True)
class LabelSet:
    """The classes of a model, in the order of its outputs.

    Args:
        name: name of the set.
        labels: canonical emotions, in output order.
        merged: canonical emotion -> label, for emotions that are merged into another.
    """

    name: str
    labels: tuple[str, ...]
    merged: Mapping[str, str] = field(default_factory=dict)

    def label(self, emotion: str) -> str | None:
        """Label of a canonical emotion, or ``None`` if the set does not contain it."""
        emotion = self.merged.get(emotion, emotion)
        return emotion if emotion in self.labels else None

    def nearest(self, emotion: str) -> str | None:
        """As :meth:`label`, falling back to the label of the :data:`NEAREST` emotion."""
        return self.label(emotion) or self.label(NEAREST.get(emotion, emotion))

    def __len__(self) -> int:
        return len(self.labels)


LABEL_SETS: Registry[LabelSet] = Registry.of(
    "label set",
    # "Excited" counts as happy: the convention of four-class IEMOCAP (5,531 clips).
    LabelSet("four", ("neutral", "happy", "sad", "angry"), {"excited": "happy"}),
    LabelSet("six", ("neutral", "happy", "sad", "angry", "fear", "disgust")),
    # Calm counts as neutral, as in most work that combines RAVDESS with corpora without calm speech.
    LabelSet(
        "seven", ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprised"), {"calm": "neutral"}
    ),
    LabelSet("eight", EMOTIONS[:8]),
    LabelSet("emodb", ("neutral", "happy", "sad", "angry", "fear", "disgust", "boredom")),
)


def label_set(labels: str | LabelSet | Iterable[str]) -> LabelSet:
    """Label set by name, or a new one of the emotions given.

    Args:
        labels: ``"four"``, ``"six"``, ``"seven"``, ``"eight"``,
            ``"emodb"`` (the seven of that corpus, with boredom); a :class:`LabelSet`; or emotion names.

    Raises:
        UnknownNameError: if no set has that name.
        LabelError: if an emotion is unknown, or fewer than two different ones are given.
    """
    if isinstance(labels, LabelSet):
        return labels
    if isinstance(labels, str):
        return LABEL_SETS[labels]
    names = tuple(dict.fromkeys(canonical(name) for name in labels))
    if len(names) < 2:
        raise LabelError(f"a label set needs at least two emotions, not {names}")
    return LabelSet("custom", names)


def labels_of(text: str | None) -> str | list[str] | None:
    """Parse a text such as ``"six"`` (the name of a label set) or ``"happy,sad"`` (a list of emotions)."""
    return [name.strip() for name in text.split(",") if name.strip()] if text and "," in text else text


def merged(labels: Iterable[str], into: str | LabelSet | Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Map the labels of a model to those of a smaller label set; probabilities of merged labels are added.

    Args:
        labels: labels of the model.
        into: the target label set, as for :func:`label_set`.

    Returns:
        Label of the set -> labels of the model. Labels of the model without a counterpart, such as surprise
        in ``"six"``, are omitted.

    Raises:
        LabelError: if fewer than two labels of the set can be predicted.

    Examples:
        >>> merged(EMOTIONS[:8], "six")["neutral"]
        ('neutral', 'calm')
    """
    wanted, labels = label_set(into), tuple(labels)
    homes = {label: wanted.nearest(label) for label in labels}
    found = {label: tuple(given for given in labels if homes[given] == label) for label in wanted.labels}
    found = {label: given for label, given in found.items() if given}
    if len(found) < 2:
        raise LabelError(
            f"a model that tells {', '.join(labels)} apart cannot answer in {', '.join(wanted.labels)}; "
            "expected two of these among them"
        )
    return found
