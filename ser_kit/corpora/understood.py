"""What was understood of your own recordings, in a few lines, before anything is computed."""

from __future__ import annotations

import os
import shlex
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import LabelError, printable
from .naming import unknown_labels

if TYPE_CHECKING:
    from .base import Entry

_SHOWN = 3
_LABELS_SHOWN = 20


@dataclass
class Understood:
    """Counts of the recordings of a corpus.

    Args:
        labels: each label as it is written, with the number of its clips.
        unknown: those of them that are no known emotions.
        unused: line and reason of what is left out, except for its label.
        missing: number of files that are not there.
        speakers: named speakers.
    """

    labels: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    unused: list[tuple[int, str]] = field(default_factory=list)
    missing: int = 0
    speakers: set[str] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        """Count a recording."""
        if entry.label:
            self.labels[entry.label] += 1
            self.unknown[entry.label] += entry.kind == "label not known"
        elif entry.reason:
            self.unused.append((entry.line, entry.reason))
            self.missing += bool(entry.line) and not os.path.isfile(entry.path)
        if not entry.reason and entry.fields.get("speaker"):
            self.speakers.add(entry.fields["speaker"])

    def report_unknown(self, corpus: str, folder: Path, clips: int) -> None:
        """Warn of labels that are no known emotions.

        Raises:
            LabelError: none of the labels is one.
        """
        unknown = {label: count for label, count in self.unknown.items() if count}
        if not unknown:
            return
        sentence = unknown_labels(corpus, unknown, clips, shlex.quote(f"{corpus}:{folder}"))
        if len(unknown) == len(self.labels):
            raise LabelError(sentence)
        warnings.warn(sentence, stacklevel=4)

    def lines(self) -> Iterator[str]:
        """Labels, speakers and missing files, and the first rows that were not understood."""
        if self.labels:
            common = self.labels.most_common(_LABELS_SHOWN)
            more = f" and {len(self.labels) - len(common)} more" if len(self.labels) > len(common) else ""
            yield f"labels: {', '.join(f'{label} {clips}' for label, clips in common)}{more}"
        named = sorted(self.speakers)
        examples = f" ({', '.join(named[:_SHOWN])}{', ...' if len(named) > _SHOWN else ''})" if named else ""
        missing = f"; missing files: {self.missing}" if self.missing else ""
        yield f"speakers: {len(named)}{examples}{missing}"
        twins: dict[str, list[str]] = {}
        for label in self.labels:
            twins.setdefault(label.casefold(), []).append(label)
        for same in twins.values():
            if len(same) > 1:
                yield f"labels that differ in case alone: {', '.join(same)}"
        for line, reason in self.unused[:_SHOWN]:
            yield f"{f'line {line}' if line else 'file'} not used: {printable(reason)}"
        if len(self.unused) > _SHOWN:
            yield f"... and {len(self.unused) - _SHOWN} more not used"
