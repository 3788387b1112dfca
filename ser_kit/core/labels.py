"""Canonical emotions, their synonyms, label sets to combine corpora with, and custom labels.

Examples:
    >>> canonical("Fearful"), canonical("ps"), canonical("happiness")
    ('fear', 'surprised', 'happy')
    >>> label_set("six").label("calm") is None
    True
    >>> label_set("four").label("excited")
    'happy'
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .errors import LabelError
from .registry import Registry
from .synonyms import meaning

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

_FURTHER_COLOURS = (
    "#3b2bee", "#ee2b6c", "#737a1f", "#68a2f3", "#ee2bee", "#0b8e78", "#99c610", "#8e370b", "#9fca91",
    "#ee2bad", "#f37f68", "#0b6d8e", "#10c610", "#2b6cee", "#914665", "#ab762b", "#366732", "#915846",
    "#ad91ca", "#8910c6", "#47d198", "#ab2b40", "#ab2b81", "#de7cde",
)  # fmt: skip
"""Colours of other labels: of those of 72 hues at four brightnesses and three saturations, each the one that
is farthest (CIELAB) from the emotions' colours and those before it; at least 25."""

OWN = "own"
"""Stands for the labels as the recordings have them, in place of the name of a label set."""
MOST_LABELS, LONGEST_LABEL = 100, 100
"""Most labels of a model, and most characters of a label."""

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


def ordered(labels: Iterable[str]) -> list[str]:
    """Labels in the order of :data:`EMOTIONS`, in any case of their letters; others after them, by alphabet.

    Examples:
        >>> ordered(["Wut", "sad", "Angst", "Neutral"])
        ['Neutral', 'sad', 'Angst', 'Wut']
    """
    places = {emotion: place for place, emotion in enumerate(EMOTIONS)}
    return sorted(
        set(labels), key=lambda label: (places.get(label.casefold(), len(EMOTIONS)), label.casefold(), label)
    )


def colours(labels: Iterable[str]) -> dict[str, str]:
    """A colour for each of some labels, no two alike among the first 24 that are not emotions.

    Emotions have the colour of :data:`COLOURS`; so has a label that names one in another language or form
    (:func:`ser_kit.core.synonyms.meaning`), unless that is taken. The colour of any other label depends on
    its name, and on the other labels only where two would have the same.

    Args:
        labels: of one model or figure.

    Returns:
        Label -> colour as ``#rrggbb``, in the order of :func:`ordered`.

    Examples:
        >>> colours(["Wut", "sad"]) == {"sad": COLOURS["sad"], "Wut": COLOURS["angry"]}
        True
    """
    names = ordered(labels)
    found = {label: COLOURS[label.casefold()] for label in names if label.casefold() in COLOURS}
    for label in names:
        named = COLOURS.get(meaning(label) or "")
        if label not in found and named and named not in found.values():
            found[label] = named
    for label in names:
        if label not in found:
            first = zlib.crc32(unicodedata.normalize("NFC", label).encode("utf-8", "replace"))
            places = [(first + step) % len(_FURTHER_COLOURS) for step in range(len(_FURTHER_COLOURS))]
            free = [place for place in places if _FURTHER_COLOURS[place] not in found.values()]
            found[label] = _FURTHER_COLOURS[(free or places)[0]]
    return {label: found[label] for label in names}


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


def label_set(labels: str | LabelSet | Iterable[str], known: Iterable[str] = ()) -> LabelSet:
    """Label set by name, or a new one of the emotions given.

    Args:
        labels: ``"four"``, ``"six"``, ``"seven"``, ``"eight"``,
            ``"emodb"`` (the seven of that corpus, with boredom); a :class:`LabelSet`; or emotion names.
        known: labels that count as they are, such as those of a model; ``"own"`` is the set of them.

    Raises:
        UnknownNameError: if no set has that name.
        LabelError: if an emotion is unknown, or fewer than two different ones are given.
    """
    if isinstance(labels, LabelSet):
        return labels
    known = tuple(known)
    if labels == OWN and known:
        return LabelSet(OWN, known)
    if isinstance(labels, str):
        return LABEL_SETS[labels]
    names = tuple(dict.fromkeys(name if name in known else canonical(name) for name in labels))
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
        into: the target label set, as for :func:`label_set`; labels of the model count as they are.

    Returns:
        Label of the set -> labels of the model. Labels of the model without a counterpart, such as surprise
        in ``"six"``, are omitted.

    Raises:
        LabelError: if fewer than two labels of the set can be predicted.

    Examples:
        >>> merged(EMOTIONS[:8], "six")["neutral"]
        ('neutral', 'calm')
    """
    labels = tuple(labels)
    wanted = label_set(into, labels)
    homes = {label: wanted.nearest(label) for label in labels}
    found = {label: tuple(given for given in labels if homes[given] == label) for label in wanted.labels}
    found = {label: given for label, given in found.items() if given}
    if len(found) < 2:
        raise LabelError(
            f"a model that tells {', '.join(labels)} apart cannot answer in {', '.join(wanted.labels)}; "
            "expected two of these among them"
        )
    return found
