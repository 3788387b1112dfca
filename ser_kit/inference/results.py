"""Write predictions for many recordings to a file, and resume where it ends.

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
import io
import json
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

from ..core.config import digest
from ..core.errors import TableError
from ..extraction.store import content_of
from .prediction import Failure, Prediction
from .predictor import Predictor
from .stream import HOP_SECONDS, SMOOTHING_SECONDS, WINDOW_SECONDS, Moment

try:
    import fcntl
except ImportError:  # Windows, where two processes writing one file are not detected
    fcntl = None

SUFFIXES = (".csv", ".jsonl")
_OURS = ("content", "model")
"""Columns with digests of the recording's bytes, and of bundle and settings."""
_FORMULA = tuple("=+-@\t\r'")
"""First characters that make a spreadsheet read text as a formula, and the apostrophe that prevents it."""


def to_dict(answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> dict[str, Any]:
    """An answer as plain values, with the moments of its timeline if given, ready for JSON."""
    values = answer.to_dict()
    return values if moments is None else values | {"timeline": [moment.to_dict() for moment in moments]}


def rows(answer: Prediction | Failure, moments: Sequence[Moment] | None = None) -> list[dict[str, Any]]:
    """An answer as flat rows for CSV: one for the recording, or one for each moment of its timeline."""
    if moments is None or isinstance(answer, Failure):
        return [_flat(answer.to_dict())]
    return [_flat({"path": answer.path, **moment.to_dict()}) for moment in moments]


def columns(predictor: Predictor, timeline: bool = False) -> list[str]:
    """Columns of these rows."""
    named = ["emotion", "confidence", *(f"p_{label}" for label in predictor.labels)]
    if timeline:
        return ["path", "start", "end", *named, "covered", "reason", "error"]
    return ["path", *named, "covered", "verdict", "uncertain", "reason", "duration", "error"]


def written(own: Iterable[str], kept: Sequence[str]) -> dict[str, str]:
    """Each column of an answer, and what it is called beside the columns that are kept of a table.

    Examples:
        >>> written(["path", "emotion"], ["file", "emotion"])
        {'path': 'path', 'emotion': 'answer_emotion'}
    """
    found: dict[str, str] = {}
    for name in own:
        free = name
        while free in kept:
            free = f"answer_{free}"
        found[name] = free
    return found


def beside(cells: Mapping[str, Any], row: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """A row of an answer, its columns named as ``names`` says, after the cells that are kept."""
    return {**cells, **{names[name]: value for name, value in row.items() if name in names}}


def _flat(values: dict[str, Any]) -> dict[str, Any]:
    probabilities = values.pop("probabilities", {})
    return values | {f"p_{label}": p for label, p in probabilities.items()}


def csv_text(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], header: bool = True) -> str:
    """Rows as comma-separated values that are safe to open in a spreadsheet.

    Text that a spreadsheet would read as a formula, or that begins with an apostrophe, is prefixed with an
    apostrophe. Numbers are unchanged.

    Args:
        rows: column -> value; missing values are empty.
        columns: names, in order.
        header: whether to begin with the names.

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
        csv.writer(buffer).writerow(line)  # quotes a bare CR, as its line ending holds one
        text.append(buffer.getvalue().removesuffix("\r\n") + "\n")
    return "".join(text)


def _guarded(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


class _Record(NamedTuple):
    """One answer in the file."""

    path: str
    content: str
    failed: bool
    raw: bytes


class Results:
    """A CSV or JSON Lines file of answers, each written as soon as it is computed.

    Each answer has a digest of the recording's bytes, and one of bundle, labels, speaker (the clips used to
    enroll or adapt) and timeline settings. Answers with other digests are not reused.

    Args:
        path: ``.csv`` or ``.jsonl``; an existing file is resumed. An incomplete last line is removed.
        predictor: the predictor that gives the answers.
        timeline: whether the answers include their moments.
        settings: ``window``, ``hop`` and ``smoothing`` of the timeline (s), where they differ from the
            defaults.
        speakers: further predictors, for single speakers.
        kept: columns of tables that stand before those of the answers. An answer's column of the same name is
            called ``answer_...``.

    Raises:
        TableError: the suffix is unknown, the file holds other content or answers of another bundle or other
            settings, or another process is writing it.
        OSError: the file cannot be read or written.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        predictor: Predictor,
        timeline: bool = False,
        settings: Mapping[str, float] | None = None,
        speakers: Iterable[Predictor] = (),
        kept: Sequence[str] = (),
    ):
        self.path = Path(path)
        if self.path.suffix not in SUFFIXES:
            raise TableError(f"answers are written as {' or '.join(SUFFIXES)}, not {self.path.suffix!r}")
        self._names = written([*columns(predictor, timeline), *_OURS], kept)
        self._columns, self._timeline = [*kept, *self._names.values()], timeline
        self._labels = list(predictor.labels)
        defaults = {"window": WINDOW_SECONDS, "hop": HOP_SECONDS, "smoothing": SMOOTHING_SECONDS}
        made = [predictor.identity, {**defaults, **(settings or {})} if timeline else None]
        made += [each.identity for each in speakers]
        self._model = digest(made)
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
        """Recordings without an answer: new ones, failed ones, and ones whose bytes have changed.

        Answers of the latter two are removed from the file.
        """
        known = {record.path: record for record in self._records}
        missing = [
            path
            for path in dict.fromkeys(paths)
            if path not in known or known[path].failed or known[path].content != _content(path)
        ]
        self._forget(set(missing) & known.keys())
        return missing

    def add(
        self,
        answer: Prediction | Failure,
        moments: Sequence[Moment] | None = None,
        cells: Mapping[str, str] | None = None,
    ) -> None:
        """Write an answer, with the cells that are kept of a table; an incomplete one is not read back."""
        ours = dict(zip(_OURS, (_content(answer.path), self._model), strict=True))
        if self.path.suffix == ".csv":
            lines = [row | ours for row in rows(answer, moments)]
            for row in lines[:-1]:
                row["content"] = ""  # only the last row has it, and shows that the answer is complete
            lines = [beside(cells or {}, row, self._names) for row in lines]
            self._write(csv_text(lines, self._columns, header=False))
        else:
            whole = to_dict(answer, moments) | ({"row": dict(cells)} if cells else {}) | ours
            self._write(json.dumps(whole, ensure_ascii=False, allow_nan=False) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def _locked(self, file: IO[bytes]) -> IO[bytes]:
        """Lock the open file against other processes until it is closed."""
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == self.path.stat().st_ino:  # not replaced meanwhile
                return file
        except BlockingIOError:
            pass
        except OSError:  # the file system has no locks
            return file
        file.close()
        raise TableError(f"{self.path} is being written by another process; wait, or choose another file")

    def _forget(self, paths: set[str]) -> None:
        """Remove answers; the file is replaced as a whole."""
        if not paths:
            return
        self._records = [record for record in self._records if record.path not in paths]
        head = csv_text([], self._columns).encode() if self.path.suffix == ".csv" else b""
        target = self.path.resolve()  # keeps a symbolic link
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        file = os.fdopen(handle, "a+b")
        try:
            file.write(head + b"".join(record.raw for record in self._records))
            file.flush()
            os.fsync(file.fileno())
            os.chmod(name, stat.S_IMODE(target.stat().st_mode))
            if fcntl is None:
                self._file.close()  # Windows cannot replace an open file
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
        """Complete records, each with its line ending."""
        found, pending = [], b""
        for line in content.split(b"\n")[:-1]:
            pending += line + b"\n"
            # In CSV, a quoted name may contain a newline.
            if self.path.suffix == ".jsonl" or pending.count(b'"') % 2 == 0:
                found.append(pending)
                pending = b""
        return found

    def _begins(self, content: bytes) -> bool:
        """Whether content without a complete line is the beginning of our own first line."""
        first = csv_text([], self._columns) if self.path.suffix == ".csv" else '{"path": "'
        return content.startswith(first.encode()) or first.encode().startswith(content)

    def _read(self, lines: Sequence[bytes]) -> list[_Record]:
        try:
            found = list(self._of_csv(lines) if self.path.suffix == ".csv" else self._of_json(lines))
        except (csv.Error, ValueError, KeyError, TypeError):
            raise TableError(
                f"{self.path} does not hold answers for {', '.join(self._labels)}"
                f"{' over time' if self._timeline else ''}; choose another file, or delete it"
            ) from None
        if any(model != self._model for _, model in found):
            raise TableError(
                f"{self.path} holds answers of another bundle, or with other settings (labels, clips used to "
                "enroll or adapt, window, hop or smoothing); choose another file, or delete it"
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
            path, content, error, model = (
                row[self._names[name]] for name in ("path", "content", "error", "model")
            )
            yield _Record(path.removeprefix("'"), content, bool(error), raw), model

    def _of_json(self, lines: Sequence[bytes]) -> Iterator[tuple[_Record, str]]:
        for raw in lines:
            answer = json.loads(raw.decode("utf-8", "surrogateescape"))
            if "error" not in answer and (
                list(answer["probabilities"]) != self._labels or ("timeline" in answer) != self._timeline
            ):
                raise ValueError
            yield _Record(answer["path"], answer["content"], "error" in answer, raw), answer["model"]


def _content(path: str) -> str:
    """Digest of the bytes of a recording, or of that of which it names a part; ``""`` without such a file."""
    try:
        path = path if os.path.isfile(path) else path.rpartition("#")[0]
        return content_of(path).hex() if os.path.isfile(path) else ""
    except OSError:
        return ""
