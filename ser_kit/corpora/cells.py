"""Tables as people have them: CSV files of any separator and encoding, whose paths may be of another system.

Nothing here needs pandas, since ``ser-kit predict`` reads such tables too.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..core.errors import TableError

SUFFIXES = (".csv", ".tsv")
"""Endings of the names of tables, in any case."""

_ENCODINGS = {"utf-8-sig": "UTF-8", "cp1252": "Windows-1252"}
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_ALIASES = {
    "path": ("file", "filename", "file_name", "filepath", "file_path", "wav", "audio", "audio_path"),
    "emotion": ("label", "emotion_label"),
    "speaker": ("speaker_id", "spk", "subject"),
    "sex": ("gender",),
    "start": ("begin", "start_time"),
    "end": ("stop", "end_time"),
}
"""What audformat, nkululeko and others call our columns; the first that a table has is taken."""
_TIME = re.compile(r"(?:(\d+) days?,? *)?(?:(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?) ?(ms|s|sec|seconds)?)?")


@dataclass(frozen=True)
class Cells:
    """A table as text.

    Args:
        file: where it was read.
        columns: names of the columns as they are written, in order; one may be empty.
        rows: cells of each row, stripped, as many as there are columns.
        lines: number of the line in the file at which each row ends, from 1.
        separator: name of the separator.
        encoding: name of the encoding.
    """

    file: Path
    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    encoding: str

    def named(self, wanted: Iterable[str]) -> dict[str, int]:
        """Our name of a column -> its place, for those of the wanted columns that the table has.

        Raises:
            TableError: two columns have one name.
        """
        lowered = [name.lower() for name in self.columns]
        found = {}
        for name in wanted:
            for theirs in (name, *_ALIASES.get(name, ())):
                if lowered.count(theirs) > 1:
                    raise TableError(f"{self.file} has more than one column {theirs}")
                if theirs in lowered:
                    found[name] = lowered.index(theirs)
                    break
        return found

    def understood(self, wanted: Iterable[str], others: str = "not used") -> str:
        """How the file was read: rows, separator, encoding, columns that are read, and the others."""
        places = self.named(wanted)
        read = [
            self.columns[i] if self.columns[i].lower() == name else f"{self.columns[i]} as {name}"
            for name, i in places.items()
        ]
        further = [name for i, name in enumerate(self.columns) if name and i not in places.values()]
        unread = f"; {others}: {', '.join(further)}" if further else ""
        return (
            f"{self.file.name}: {len(self.rows):,} rows, {self.separator}, {self.encoding}; "
            f"columns: {', '.join(read) or 'none that is known'}{unread}"
        )


def read(file: str | os.PathLike) -> Cells:
    """Read a table; separator (comma, semicolon, tab, bar) and encoding are found out.

    Args:
        file: a file in UTF-8, UTF-16 or Windows-1252, whose first line names the columns.

    Raises:
        TableError: it is no such file.
    """
    file = Path(file)
    text, encoding = _text(file)
    header, _, rest = text.partition("\n")
    separator = max(_SEPARATORS, key=header.count)
    skipped = 0
    if header.lower().startswith("sep="):  # Excel's own note
        separator, text, skipped = header.strip()[4:5] or separator, rest, 1
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    rows, lines = [], []
    try:
        for line in reader:
            cells = [cell.strip() for cell in line]
            if any(cells):
                rows.append(cells)
                lines.append(reader.line_num + skipped)
    except csv.Error as error:
        raise TableError(f"{file} is not a CSV file: line {reader.line_num + skipped}: {error}") from error
    if not rows:
        raise TableError(f"{file} is not a CSV file: it is empty")
    columns, *rows = rows
    for cells, line in zip(rows, lines[1:], strict=True):
        if any(cells[len(columns) :]):
            raise TableError(
                f"{file} is not a CSV file: line {line}: more cells than columns in {separator.join(cells)!r}"
            )
    rows = [[*cells[: len(columns)], *[""] * (len(columns) - len(cells))] for cells in rows]
    kept = [i for i, name in enumerate(columns) if name or any(cells[i] for cells in rows)]
    return Cells(
        file=file,
        columns=tuple(columns[i] for i in kept),
        rows=[[cells[i] for i in kept] for cells in rows],
        lines=lines[1:],
        separator=_SEPARATORS.get(separator, repr(separator)),
        encoding=encoding,
    )


def _text(file: Path) -> tuple[str, str]:
    """A file in UTF-8, UTF-16 or Windows-1252 as text, accents in one form; and the encoding's name."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise TableError(f"{file} cannot be read: {error.strerror}") from None
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings = {"utf-16": "UTF-16"}
    elif b"\0" in content[:4]:
        encodings = {"utf-16-le" if content[0] else "utf-16-be": "UTF-16"}
    else:
        encodings = _ENCODINGS
    for encoding, name in encodings.items():
        with suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", content.decode(encoding)), name
    raise TableError(f"{file} is not a CSV file in UTF-8, UTF-16 or Windows-1252")


def seconds(text: str) -> float | None:
    """A time as people and audformat write it, or ``None`` for an empty one.

    Raises:
        TableError: it is neither.

    Examples:
        >>> seconds("1.5"), seconds("1,5"), seconds("0 days 00:01:01.5"), seconds("1:05"), seconds("NaT")
        (1.5, 1.5, 61.5, 65.0, None)
    """
    if text.lower() in ("", "nat", "nan"):
        return None
    found = _TIME.fullmatch(text.replace(",", ".", 1) if "day" not in text else text)
    try:
        if found:
            days, hours, minutes, rest = (float(part or 0) for part in found.groups()[:4])
            number = ((days * 24 + hours) * 60 + minutes) * 60 + rest
            number = number / 1000 if found[5] == "ms" else number
        else:
            number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise TableError(
            f"its start or end is {text!r}; expected seconds, or a time such as 0 days 00:00:01.5"
        )
    return number


class Finder:
    """Finds files by names that were written down on another system."""

    def __init__(self):
        self._names = cache(_names_in)

    def __call__(self, folder: Path, name: str) -> str:
        """The path of a file, as it is written where there is such a file or no other fits.

        Else it is the only one that differs in nothing but separators, case and the form of accents.
        """
        written = folder / name
        if os.path.isfile(written):
            return str(written)
        place = Path()
        for part in (folder / name.replace("\\", "/")).parts:
            exact = place / part
            if not os.path.exists(exact):
                alike = self._names(place).get(bare(part), ())
                if len(alike) != 1:
                    return str(written)
                exact = place / alike[0]
            place = exact
        return str(place)


def bare(name: str) -> str:
    """A name without case, accents in one form, to compare names of different systems by."""
    return unicodedata.normalize("NFC", name).casefold()


def _names_in(folder: Path) -> dict[str, list[str]]:
    """Names in a folder by what is left of them without case and form of accents."""
    found: dict[str, list[str]] = {}
    with suppress(OSError):
        for entry in folder.iterdir():
            found.setdefault(bare(entry.name), []).append(entry.name)
    return found
