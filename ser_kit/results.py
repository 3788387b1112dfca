"""Answers for many recordings in a file that grows: what is in it is not judged again.

Examples:
    >>> from ser_kit import Predictor
    >>> from ser_kit.results import Results
    >>> predictor = Predictor.from_preset()                                  # doctest: +SKIP
    >>> with Results("answers.csv", predictor) as results:                   # doctest: +SKIP
    ...     for answer in predictor.predict_many(results.missing(["a.wav", "b.wav"])):
    ...         results.add(answer)
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from .errors import TableError
from .predictor import Failure, Prediction, Predictor
from .stream import Moment

SUFFIXES = (".csv", ".jsonl")


def to_dict(answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> dict[str, Any]:
    """An answer, with the moments of its timeline where there is one, ready for JSON."""
    told = answer.to_dict()
    return told if moments is None else told | {"timeline": [moment.to_dict() for moment in moments]}


def rows(answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> list[dict[str, Any]]:
    """An answer as flat rows, for CSV: one for the recording, or one for each moment of its timeline."""
    told = answer.to_dict()
    if moments is None or isinstance(answer, Failure):
        return [_flat(told)]
    return [_flat({"path": told["path"], **moment.to_dict()}) for moment in moments]


def columns(predictor: Predictor, timeline: bool = False) -> list[str]:
    """The columns of these rows."""
    said = ["emotion", "confidence", *(f"p_{label}" for label in predictor.labels)]
    if timeline:
        return ["path", "start", "end", *said, "reason", "error"]
    return ["path", *said, "uncertain", "reason", "duration", "error"]


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    probabilities = told.pop("probabilities", {})
    return told | {f"p_{label}": p for label, p in probabilities.items()}


class Results:
    """A CSV or JSON Lines file of answers, each written as soon as it is known.

    Args:
        path: ``.csv`` or ``.jsonl``; what is there already is kept and gone on with. A last line that a kill cut short
            is removed.
        predictor: whose answers they are.
        timeline: whether the answers come with their moments.

    Raises:
        TableError: the file's name says of no known format, or what is in it are no such answers.
        OSError: it cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike, predictor: Predictor, timeline: bool = False):
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise TableError(
                f"answers are written as {' or '.join(SUFFIXES)}, not {self.path.suffix or 'without one'!r}"
            )
        self._columns, self._timeline = columns(predictor, timeline), timeline
        self._labels = list(predictor.labels)
        whole = self._whole_lines()
        self.paths = self._read(whole)
        self._file = self.path.open("r+b" if self.path.exists() else "wb")
        self._file.truncate(len(whole))
        self._file.seek(len(whole))
        if not whole and self.path.suffix == ".csv":
            self._write(_line(self._columns))

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Those that it has no answer for."""
        return [path for path in paths if path not in self.paths]

    def add(self, answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> None:
        """Write an answer; it is in the file as a whole or not at all."""
        self.paths.add(answer.path)
        if self.path.suffix == ".csv":
            lines = [_line([row.get(column, "") for column in self._columns]) for row in rows(answer, moments)]
            self._write("".join(lines))
        else:
            self._write(json.dumps(to_dict(answer, moments), ensure_ascii=False, allow_nan=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape"))
        self._file.flush()

    def _whole_lines(self) -> bytes:
        if not self.path.exists():
            return b""
        content = self.path.read_bytes()
        return content[: content.rfind(b"\n") + 1]

    def _read(self, content: bytes) -> set[str]:
        """The paths that are answered for."""
        text = content.decode("utf-8", "surrogateescape")
        try:
            if self.path.suffix == ".csv":
                head, *body = csv.reader(io.StringIO(text, newline="")) if text else [self._columns]
                known = head == self._columns and all(len(row) == len(head) for row in body)
                found = [row[0] for row in body] if known else []
            else:
                told = [json.loads(line) for line in text.splitlines()]
                known = all(
                    "error" in each
                    or (list(each["probabilities"]) == self._labels and ("timeline" in each) == self._timeline)
                    for each in told
                )
                found = [each["path"] for each in told]
        except (csv.Error, ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise TableError(
                f"{self.path} holds something else than answers for {', '.join(self._labels)}"
                f"{' over time' if self._timeline else ''}; name another file, or delete it"
            )
        return set(found)


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, lineterminator="\n").writerow(values)
    return buffer.getvalue()
