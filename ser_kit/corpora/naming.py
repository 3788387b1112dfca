"""How the labels of recordings become emotions: as they are, by a map, or by common English names.

Examples:
    >>> Naming().emotion("Fearful"), Naming(own=True).emotion("Fearful")
    ('fear', 'Fearful')
    >>> Naming(map={"Wut": "angry"}).emotion("wut")
    'angry'
"""

from __future__ import annotations

import csv
import difflib
import io
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from ..core.errors import LabelError, TableError, printable
from ..core.labels import EMOTIONS, LONGEST_LABEL, canonical
from ..core.synonyms import meaning
from . import cells

_SHOWN = 5
LEFT_OUT = "the map leaves its label out"
"""Reason for clips whose label a map maps to nothing."""


def _bare(label: str) -> str:
    return cells.bare(label.strip())


@dataclass(frozen=True)
class Naming:
    """How labels become emotions.

    Args:
        own: take labels that the map does not have as they are, rather than as English names of emotions.
        map: label -> emotion, or ``""`` for labels whose clips are left out. A label that is not in it as it
            is written is looked for without case.
    """

    own: bool = False
    map: Mapping[str, str] = field(default_factory=dict)

    def mapped(self, label: str) -> str | None:
        """What the map says of a label; ``None`` where it says nothing."""
        if label in self.map:
            return self.map[label]
        return self._bare_map.get(_bare(label))

    @cached_property
    def _bare_map(self) -> dict[str, str]:
        return {_bare(label): emotion for label, emotion in self.map.items()}

    def emotion(self, label: str) -> str:
        """The emotion of a label as somebody wrote it; ``""`` where the map leaves it out.

        Raises:
            LabelError: without ``own`` the label is not known; with it, it can be the label of no model.
        """
        mapped = self.mapped(label)
        if mapped == "":
            return ""
        name = label.strip() if mapped is None else mapped
        if not self.own:
            return canonical(name)
        if not name or len(name) > LONGEST_LABEL or printable(name) != name or "\n" in name or "\t" in name:
            raise LabelError(
                f"its label is {name[:LONGEST_LABEL]!r}; expected 1 to {LONGEST_LABEL} printable characters"
            )
        return name


def read_map(file: str | os.PathLike, own: bool = False) -> dict[str, str]:
    """A map from a CSV file with the columns ``label`` and ``emotion``.

    Args:
        file: read as any table is, see :func:`ser_kit.corpora.cells.read`. An empty emotion leaves the clips
            of the label out.
        own: whether emotions may be custom labels; else they are canonical or common English names.

    Returns:
        Label -> emotion.

    Raises:
        TableError: it is no such file; the message names the lines that are wrong.
    """
    table = cells.read(file)
    lowered = [name.lower() for name in table.columns]
    if sorted(name for name in lowered if name in ("label", "emotion")) != ["emotion", "label"]:
        raise TableError(
            f"{file} has the columns {', '.join(table.columns)}; expected label and emotion, each once, in "
            "its first line"
        )
    places = lowered.index("label"), lowered.index("emotion")
    found: dict[str, str] = {}
    wrong = []
    for row, line in zip(table.rows, table.lines, strict=True):
        label, emotion = (row[place] for place in places)
        try:
            if not label:
                raise LabelError("it has no label")
            if found.setdefault(label, emotion) != emotion:
                raise LabelError(f"{label!r} is mapped to {found[label]!r} and to {emotion!r}")
            if emotion:
                Naming(own).emotion(emotion)
        except LabelError as error:
            hint = "" if own or not label else " (--labels own takes any label)"
            wrong.append(f"line {line}: {error}{hint}")
    if wrong:
        more = f"; and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise TableError(f"{file}: {'; '.join(wrong[:_SHOWN])}{more}")
    if not found:
        raise TableError(f"{file} maps no label; expected a line for each, such as Wut,angry")
    return found


def unused(map: Mapping[str, str], labels: Iterable[str]) -> list[str]:
    """Labels of a map that no clip has, each as a phrase with a label that may be meant.

    Examples:
        >>> unused({"Wut": "angry", "Freud": "happy"}, ["wut", "Freude"])
        ["'Freud' (did you mean 'Freude'?)"]
    """
    there = {_bare(label): label for label in labels}
    found = []
    for label in map:
        if _bare(label) not in there:
            close = difflib.get_close_matches(_bare(label), there, n=1)
            found.append(f"{label!r}" + (f" (did you mean {there[close[0]]!r}?)" if close else ""))
    return found


def map_text(labels: Iterable[str]) -> str:
    """The text of a map for labels: an emotion where one is known or offered, else the label itself.

    Examples:
        >>> print(map_text(["Wut", "tense", "joy"]), end="")
        label,emotion
        Wut,angry
        joy,happy
        tense,tense
    """
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(("label", "emotion"))
    for label in sorted(set(labels)):
        writer.writerow((label, offered(label) or label))
    return written.getvalue()


def offered(label: str) -> str | None:
    """The emotion that a label is an English name of, or may name in another language."""
    try:
        return canonical(label)
    except LabelError:
        return meaning(label)


def unknown_labels(corpus: str, unknown: Mapping[str, int], clips: int, place: str) -> str:
    """One sentence about labels that are no known emotions, and what to do.

    Args:
        corpus: name of the corpus.
        unknown: label -> number of clips.
        clips: number of all clips.
        place: the corpus as a command takes it, ``NAME:PATH``.
    """
    common = Counter(unknown).most_common()
    named = ", ".join(f"{printable(label)!r} ({count})" for label, count in common[:_SHOWN])
    more = f" and {len(common) - _SHOWN} more" if len(common) > _SHOWN else ""
    lines = [f"{label},{found}" for label, _ in common if (found := meaning(label))]
    hint = f"; lines that may fit: {' '.join(lines[:8])}" if lines else ""
    return (
        f"{corpus}: the labels of {sum(unknown.values())} of {clips} clips are no known emotions: "
        f"{named}{more}; --labels own takes labels as they are, and --map FILE (label,emotion) maps them to "
        f"{', '.join(EMOTIONS[:3])} ..., for which ser-kit validate {place} --write-map FILE writes a "
        f"beginning{hint}"
    )
