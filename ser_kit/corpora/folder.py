"""Your own recordings: a folder for each emotion, or a CSV file that lists them.

In a folder, ``angry/take1.wav`` or, with the speaker, ``angry/anna/take1.wav``; any sound format will do. A
CSV file has the columns ``path`` (or ``file``; relative to the CSV file, or absolute) and ``emotion``, and
may have ``speaker``, ``sex`` (or ``gender``), ``intensity``, ``text_id`` and ``language``; with ``start`` and
``end`` a row is a part of its file: seconds, or what audformat and nkululeko write (``0 days 00:00:01.5``),
empty for the beginning or the end. Emotions may have any common name (see
:func:`ser_kit.core.labels.canonical`). Separator (comma, semicolon, tab) and encoding (UTF-8, UTF-16,
Windows-1252) are found out; paths may have backslashes, and differ in case or in the form of their accents
from the names on the disk, as they do when a list comes from another system.

A row that cannot be used is left out, with its reason. Two rows for one clip that differ are an error: which
of them is right, the file cannot say.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import numpy as np

from ..audio.recording import Excerpt
from ..core.errors import AudioError, FileNameError, LabelError, TableError
from ..core.labels import canonical
from .base import Entry

if TYPE_CHECKING:
    import pandas as pd

NAME = "folder"
SLUG = "folder"
KAGGLE_HANDLE = None
HOMEPAGE = ""
LICENSE = "that of your recordings"
LANGUAGE = ""
BIBTEX = ""
EXPECTED: dict[str, int] = {}
KNOWN_BAD: dict[str, str] = {}

_SEXES = {
    "": "", "unknown": "", "f": "female", "female": "female", "w": "female", "woman": "female",
    "m": "male", "male": "male", "man": "male",
}  # fmt: skip
_NOBODY = frozenset({"unknown", "n/a", "nan", "?"})
_KINDS = {FileNotFoundError: "no such file", LabelError: "emotion not known"}
_NAMES = {"file": "path", "gender": "sex"}
"""What others call our columns: nkululeko and audformat."""
_READ = ("path", "emotion", "speaker", "sex", "intensity", "text_id", "language", "start", "end")
_ENCODINGS = ("utf-8-sig", "cp1252")


def parse(filename: str) -> dict[str, str]:
    """Fields read from a path relative to the root.

    Examples:
        >>> fields = parse("Fearful/anna/take1.mp3")
        >>> fields["emotion"], fields["native_emotion"], fields["speaker"]
        ('fear', 'Fearful', 'anna')
    """
    filename = unicodedata.normalize(
        "NFC", str(filename)
    )  # the same on whatever system the folders were made
    folders = PurePosixPath(filename).parts[:-1]
    if not folders:
        raise FileNameError(
            f"{filename!r} should lie in a folder named after its emotion, such as 'angry/take1.wav'"
        )
    try:
        emotion = canonical(folders[0])
    except LabelError as error:
        raise FileNameError(
            f"{filename!r} should lie in a folder named after its emotion, such as 'angry/take1.wav': {error}"
        ) from error
    return {
        "clip_id": filename,
        "speaker": folders[1] if len(folders) > 1 else "",
        "emotion": emotion,
        "native_emotion": folders[0],
    }


def listing(file: Path) -> Iterator[Entry]:
    """The recordings, or parts of recordings, that a CSV file lists.

    Args:
        file: a CSV file with the columns ``path`` and ``emotion``, and perhaps others (see above).

    Raises:
        TableError: the file is no CSV, lacks a column, or has rows for one clip that differ.
    """
    rows = _rows(file)
    for name in rows.columns[rows.columns.duplicated()]:
        raise TableError(f"{file} has more than one column {name}")
    missing = {"path", "emotion"} - set(rows.columns)
    if missing:
        raise TableError(
            f"{file} lacks the column {' and '.join(sorted(missing))}; it has {', '.join(rows.columns)}"
        )
    find = _Finder()
    for name in _READ:
        rows[name] = rows.get(name, "")
    rows["found"] = [find(file.parent, path) for path in rows["path"]]
    for name in ("start", "end"):
        rows[name] = rows[name].map(_time)
    rows = rows.drop_duplicates(rows.columns.drop("path"))
    _check_rows_agree(file, rows)
    for row in rows.to_dict("records"):
        clip, path = row["path"].replace("\\", "/"), Path(row["found"])
        try:
            if row["start"] or row["end"]:
                clip = str(Excerpt(clip, _seconds(row["start"]) or 0.0, _seconds(row["end"])))
            if row["sex"].lower() not in _SEXES:
                raise TableError(f"its sex is {row['sex']!r}; expected female, male or nothing")
            if not os.path.isfile(path):
                raise FileNotFoundError(f"there is no file {path}")
            emotion = canonical(row["emotion"])
        except (AudioError, LabelError, TableError, FileNotFoundError) as error:
            yield Entry(path, clip, reason=str(error), kind=_KINDS.get(type(error), "cell not understood"))
            continue
        fields = {name: row[name] for name in ("intensity", "text_id", "language", "start", "end")}
        fields |= {"emotion": emotion, "native_emotion": row["emotion"], "sex": _SEXES[row["sex"].lower()]}
        fields["speaker"] = "" if row["speaker"].lower() in _NOBODY else row["speaker"]
        yield Entry(path, clip, fields)


def _text(file: Path) -> str:
    """A file in UTF-8, UTF-16 or Windows-1252 as text, accents in one form."""
    content = file.read_bytes()
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: tuple[str, ...] = ("utf-16",)
    elif b"\0" in content[:4]:
        encodings = ("utf-16-le" if content[0] else "utf-16-be",)
    else:
        encodings = _ENCODINGS
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            return unicodedata.normalize("NFC", content.decode(encoding))
    raise TableError(f"{file} is not a CSV file in UTF-8, UTF-16 or Windows-1252")


def _rows(file: Path) -> pd.DataFrame:
    """The cells of a CSV file as text, stripped, under our names of the columns."""
    import pandas as pd

    text = _text(file)
    header, _, rest = text.partition("\n")
    separator = max(",;\t", key=header.count)
    if header.lower().startswith("sep="):  # Excel's own note
        separator, text = header.strip()[4:5] or separator, rest
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        lines = [[cell.strip() for cell in line] for line in reader if any(cell.strip() for cell in line)]
    except csv.Error as error:
        raise TableError(f"{file} is not a CSV file: line {reader.line_num}: {error}") from error
    if not lines:
        raise TableError(f"{file} is not a CSV file: it is empty")
    columns = [name.lower() for name in lines[0]]
    for cells in lines[1:]:
        if any(cells[len(columns) :]):
            raise TableError(
                f"{file} is not a CSV file: more cells than columns in {separator.join(cells)!r}"
            )
    named = [i for i, name in enumerate(columns) if name]
    rows = pd.DataFrame(
        [[cells[i] if i < len(cells) else "" for i in named] for cells in lines[1:]],
        columns=[columns[i] for i in named],
        dtype=str,
    )
    return rows.rename(columns={theirs: ours for theirs, ours in _NAMES.items() if ours not in rows})


def _check_rows_agree(file: Path, rows: pd.DataFrame) -> None:
    """Raises ``TableError`` where rows for one clip differ, even in a column that is not read."""
    of_one = rows[rows.duplicated(["found", "start", "end"], keep=False)]
    for _, group in of_one.groupby(["found", "start", "end"], sort=False):
        differ = [name for name in rows.columns.drop(["path", "found"]) if group[name].nunique() > 1]
        if differ:
            unread = not set(differ) & set(_READ)
            hint = "; parts of a file are given by 'start' and 'end', in s" if unread else ""
            raise TableError(f"{file} lists {group['path'].iloc[0]!r} with more than one {differ[0]}{hint}")


def _time(text: str) -> str:
    """One spelling of a time: seconds, empty for none and for 0; what is no time stays as it is."""
    try:
        return str(_seconds(text) or "")
    except TableError:
        return text


def _seconds(text: str) -> float | None:
    """A time as people and audformat write it, or ``None`` for an empty one.

    Raises:
        TableError: it is neither.

    Examples:
        >>> _seconds("1.5"), _seconds("1,5"), _seconds("0 days 00:01:01.5"), _seconds("NaT")
        (1.5, 1.5, 61.5, None)
    """
    import pandas as pd

    if text.lower() in ("", "nat", "nan"):
        return None
    try:
        seconds = float(text.replace(",", "."))
    except ValueError:
        try:
            seconds = pd.Timedelta(text).total_seconds()
        except ValueError:
            seconds = np.nan
    if not 0 <= seconds < np.inf:
        raise TableError(
            f"its start or end is {text!r}; expected seconds, or a time such as 0 days 00:00:01.5"
        )
    return seconds


class _Finder:
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
                alike = self._names(place).get(_bare(part), ())
                if len(alike) != 1:
                    return str(written)
                exact = place / alike[0]
            place = exact
        return str(place)


def _bare(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _names_in(folder: Path) -> dict[str, list[str]]:
    """Names in a folder by what is left of them without case and form of accents."""
    found: dict[str, list[str]] = {}
    try:
        for entry in folder.iterdir():
            found.setdefault(_bare(entry.name), []).append(entry.name)
    except OSError:
        pass
    return found
