"""Answers for many recordings in a file that grows: what it holds is not computed again.

Examples:
    >>> from ser_kit import Predictor
    >>> from ser_kit.inference.results import Results
    >>> predictor = Predictor.from_preset()                                  # doctest: +SKIP
    >>> with Results("answers.csv", predictor) as results:                   # doctest: +SKIP
    ...     for answer in predictor.predict_many(results.missing(["a.wav", "b.wav"])):
    ...         results.add(answer)
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from ..core.errors import TableError
from ..extraction.store import content_of
from .prediction import Failure, Prediction
from .predictor import Predictor
from .stream import HOP_SECONDS, SMOOTHING_SECONDS, WINDOW_SECONDS, Moment

try:
    import fcntl
except ImportError:  # Windows, where two commands that write one file are not noticed
    fcntl = None

SUFFIXES = (".csv", ".jsonl")
_OURS = ("content", "model")
"""Columns that say what an answer is of, and by what: digests of the recording's bytes, and of bundle and settings."""
_FORMULA = tuple("=+-@\t\r'")
"""First characters of a text that spreadsheets take for a formula, and the one that keeps them from it."""


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
        return ["path", "start", "end", *said, "covered", "reason", "error"]
    return ["path", *said, "covered", "uncertain", "reason", "duration", "error"]


def _flat(told: dict[str, Any]) -> dict[str, Any]:
    probabilities = told.pop("probabilities", {})
    return told | {f"p_{label}": p for label, p in probabilities.items()}


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], header: bool = True) -> str:
    """Rows as comma-separated values that are safe to open in a spreadsheet.

    A text that a spreadsheet would take for a formula gets an apostrophe before it, and so does one that begins with an
    apostrophe; numbers stay as they are.

    Args:
        rows: column -> value; what a row lacks stays empty.
        columns: names, in order.
        header: whether the names come first.

    Examples:
        >>> print(csv_text([{"path": "=1+1.wav", "p_sad": -0.5}], ["path", "p_sad"]), end="")
        path,p_sad
        '=1+1.wav,-0.5
    """
    lines = [list(columns)] if header else []
    lines += [[_guarded(row.get(column, "")) for column in columns] for row in rows]
    text = []
    for line in lines:
        buffer = io.StringIO(newline="")
        csv.writer(buffer).writerow(line)  # it quotes what its own line ending holds: a bare CR, too
        text.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(text)


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


class _Record(NamedTuple):
    """One answer as it stands in a file."""

    path: str
    content: str
    failed: bool
    raw: bytes


class Results:
    """A CSV or JSON Lines file of answers, each written as soon as it is known.

    Each answer stands beside a digest of the recording's bytes and one of bundle, labels, speaker (the clips that were
    enrolled or adapted to) and timeline settings, so that answers of something else are never taken for these.

    Args:
        path: ``.csv`` or ``.jsonl``; what is there already is kept and gone on with. A last line that a kill cut short
            is removed.
        predictor: whose answers they are.
        timeline: whether the answers come with their moments.
        settings: ``window``, ``hop`` and ``smoothing`` of the timeline, in seconds, where they are not the defaults.
        speakers: predictors for single speakers, where some answers are theirs.

    Raises:
        TableError: the file's name says of no known format, it holds something else than such answers or answers of
            another bundle or other settings, or another process is writing it.
        OSError: it cannot be read or written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        predictor: Predictor,
        timeline: bool = False,
        settings: Mapping[str, float] | None = None,
        speakers: Iterable[Predictor] = (),
    ):
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise TableError(
                f"answers are written as {' or '.join(SUFFIXES)}, not {self.path.suffix or 'without one'!r}"
            )
        self._columns, self._timeline = [*columns(predictor, timeline), *_OURS], timeline
        self._labels = list(predictor.labels)
        defaults = {"window": WINDOW_SECONDS, "hop": HOP_SECONDS, "smoothing": SMOOTHING_SECONDS}
        made = [predictor.identity, {**defaults, **(settings or {})} if timeline else None]
        made += [each.identity for each in speakers]
        self._model = hashlib.blake2b(json.dumps(made).encode(), digest_size=8).hexdigest()
        self._file = self._locked(self.path.open("a+b"))
        try:
            self._file.seek(0)
            content = self._file.read()
            lines = self._lines(content)
            self._records = self._read(lines or [content] * (not self._begins(content)))
            self._file.truncate(sum(map(len, lines)))
        except BaseException:
            self._file.close()
            raise
        if not lines and self.path.suffix == ".csv":
            self._write(csv_text([], self._columns))

    def missing(self, paths: Iterable[str]) -> list[str]:
        """Recordings to answer for: those that it has no answer for, that failed, or whose bytes have changed since.

        What it holds of the latter two is taken out of the file.
        """
        known = {record.path: record for record in self._records}
        missing = [
            path
            for path in dict.fromkeys(paths)
            if path not in known or known[path].failed or known[path].content != _content(path)
        ]
        self._forget(set(missing) & known.keys())
        return missing

    def add(self, answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> None:
        """Write an answer; it counts as a whole or not at all."""
        ours = dict(zip(_OURS, (_content(answer.path), self._model), strict=True))
        if self.path.suffix == ".csv":
            told = [row | ours for row in rows(answer, moments)]
            for row in told[:-1]:
                row["content"] = ""  # the last one says that all are there
            self._write(csv_text(told, self._columns, header=False))
        else:
            self._write(json.dumps(to_dict(answer, moments) | ours, ensure_ascii=False, allow_nan=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def _locked(self, file: IO[bytes]) -> IO[bytes]:
        """The open file, which no other process may write until it is closed."""
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == self.path.stat().st_ino:  # else it was replaced in between
                return file
        except BlockingIOError:
            pass
        except OSError:  # a file system without locks
            return file
        file.close()
        raise TableError(f"{self.path} is being written by another process; wait for it, or name another file")

    def _forget(self, paths: set[str]) -> None:
        """Take answers out: the file is replaced as a whole."""
        if not paths:
            return
        self._records = [record for record in self._records if record.path not in paths]
        head = csv_text([], self._columns).encode() if self.path.suffix == ".csv" else b""
        target = self.path.resolve()  # a link stays one
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        file = os.fdopen(handle, "a+b")
        try:
            file.write(head + b"".join(record.raw for record in self._records))
            file.flush()
            os.fsync(file.fileno())
            os.chmod(name, stat.S_IMODE(target.stat().st_mode))
            if fcntl is None:
                self._file.close()  # Windows replaces no open file
            else:
                with suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.replace(name, target)
        except BaseException:
            file.close()
            os.unlink(name)
            raise
        self._file.close()
        self._file = file

    def _write(self, text: str) -> None:
        self._file.write(text.encode("utf-8", "surrogateescape"))
        self._file.flush()

    def _lines(self, content: bytes) -> list[bytes]:
        """Its records, each with its line ending, less a last one that was cut short."""
        found, pending = [], b""
        for line in content.split(b"\n")[:-1]:
            pending += line + b"\n"
            # In comma-separated values a name may hold a newline, between quotation marks.
            if self.path.suffix == ".jsonl" or pending.count(b'"') % 2 == 0:
                found.append(pending)
                pending = b""
        return found

    def _begins(self, content: bytes) -> bool:
        """Whether content without a whole line is what a kill left of the first one, and nobody else's."""
        first = csv_text([], self._columns) if self.path.suffix == ".csv" else '{"path": "'
        return content.startswith(first.encode()) or first.encode().startswith(content)

    def _read(self, lines: Sequence[bytes]) -> list[_Record]:
        try:
            found = list(self._of_csv(lines) if self.path.suffix == ".csv" else self._of_json(lines))
        except (csv.Error, ValueError, KeyError, TypeError):
            raise TableError(
                f"{self.path} holds something else than answers for {', '.join(self._labels)}"
                f"{' over time' if self._timeline else ''}; name another file, or delete it"
            ) from None
        if any(model != self._model for _, model in found):
            raise TableError(
                f"{self.path} holds answers of another bundle, or with other settings (labels, clips that were "
                "enrolled or adapted to, window, hop or smoothing); name another file, or delete it"
            )
        return [record for record, _ in found]

    def _of_csv(self, lines: Sequence[bytes]) -> Iterator[tuple[_Record, str]]:
        for i, raw in enumerate(lines):
            (cells,) = csv.reader(io.StringIO(raw.decode("utf-8", "surrogateescape"), newline=""))
            if i == 0:
                if cells != self._columns:
                    raise ValueError
                continue
            row = dict(zip(self._columns, cells, strict=True))
            yield _Record(row["path"].removeprefix("'"), row["content"], bool(row["error"]), raw), row["model"]

    def _of_json(self, lines: Sequence[bytes]) -> Iterator[tuple[_Record, str]]:
        for raw in lines:
            answer = json.loads(raw.decode("utf-8", "surrogateescape"))
            if "error" not in answer and (
                list(answer["probabilities"]) != self._labels or ("timeline" in answer) != self._timeline
            ):
                raise ValueError
            yield _Record(answer["path"], answer["content"], "error" in answer, raw), answer["model"]


def _content(path: str) -> str:
    """A digest of a recording's bytes; ``""`` where there is none."""
    try:
        return content_of(path).hex() if os.path.isfile(path) else ""
    except OSError:
        return ""
