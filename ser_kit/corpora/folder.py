"""Your own recordings: a folder for each emotion, or a CSV file that lists them.

In a folder, ``angry/take1.wav`` or, with the speaker, ``angry/anna/take1.wav``; any sound format will do. A
CSV file has the columns ``path`` (or ``file``; relative to the CSV file, or absolute) and ``emotion`` (or
``label``), and may have ``speaker``, ``sex`` (or ``gender``), ``intensity``, ``text_id`` and ``language``;
with ``start`` and ``end`` a row is a part of its file: seconds, or what audformat and nkululeko write
(``0 days 00:00:01.5``), empty for the beginning or the end; ``duration`` with ``start`` stands for ``end``.
Separator (comma, semicolon, tab, bar) and encoding (UTF-8, UTF-16, Windows-1252) are found out; paths may
have backslashes, and differ in case or in the form of their accents from the names on the disk, as they do
when a list comes from another system.

Emotions may have any common English name (see :func:`ser_kit.core.labels.canonical`). Other labels are taken
as they are, or mapped, where that is asked for (:class:`ser_kit.corpora.naming.Naming`).

A row that cannot be used is left out, with its reason. Two rows for one clip that differ are an error: which
of them is right, the file cannot say.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ..audio.recording import Excerpt
from ..core.errors import AudioError, FileNameError, TableError
from . import cells
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
OWN_LABELS = True

_SEXES = {
    "": "", "unknown": "", "f": "female", "female": "female", "w": "female", "woman": "female",
    "m": "male", "male": "male", "man": "male",
}  # fmt: skip
_NOBODY = frozenset({"unknown", "n/a", "nan", "?"})
_KINDS = {FileNotFoundError: "no such file"}
COLUMNS_READ = (
    "path", "emotion", "speaker", "sex", "intensity", "text_id", "language", "start", "end", "duration",
)  # fmt: skip
"""Columns of a table that are read."""


def parse(filename: str) -> dict[str, str]:
    """Fields read from a path relative to the root.

    Examples:
        >>> fields = parse("Fearful/anna/take1.mp3")
        >>> fields["native_emotion"], fields["speaker"]
        ('Fearful', 'anna')
    """
    filename = unicodedata.normalize(
        "NFC", str(filename)
    )  # the same on whatever system the folders were made
    folders = PurePosixPath(filename).parts[:-1]
    if not folders:
        raise FileNameError(
            f"{filename!r} should lie in a folder named after its emotion, such as 'angry/take1.wav'"
        )
    return {
        "clip_id": filename,
        "speaker": folders[1] if len(folders) > 1 else "",
        "native_emotion": folders[0].strip(),
    }


def listing(file: Path) -> Iterator[Entry]:
    """The recordings, or parts of recordings, that a CSV file lists.

    Args:
        file: a CSV file with the columns ``path`` and ``emotion``, and perhaps others (see above).

    Raises:
        TableError: the file is no CSV, lacks a column, or has rows for one clip that differ.
    """
    rows = _rows(cells.read(file))
    find = cells.Finder()
    rows["found"] = [find(file.parent, path) for path in rows["path"]]
    rows = rows.drop_duplicates(rows.columns.drop(["path", "line"]))
    _check_rows_agree(file, rows)
    for row in rows.to_dict("records"):
        clip, path = row["path"].replace("\\", "/"), Path(row["found"])
        try:
            if row["start"] or row["end"]:
                clip = str(Excerpt(clip, cells.seconds(row["start"]) or 0.0, cells.seconds(row["end"])))
            if row["sex"].lower() not in _SEXES:
                raise TableError(f"its sex is {row['sex']!r}; expected female, male or nothing")
            if not os.path.isfile(path):
                raise FileNotFoundError(f"there is no file {path}")
            if not row["emotion"]:
                raise TableError("it has no emotion")
        except (AudioError, TableError, FileNotFoundError) as error:
            kind = _KINDS.get(type(error), "cell not understood")
            yield Entry(path, clip, reason=str(error), kind=kind, line=row["line"])
            continue
        fields = {name: row[name] for name in ("intensity", "text_id", "language", "start", "end")}
        fields |= {"native_emotion": row["emotion"], "sex": _SEXES[row["sex"].lower()]}
        fields["speaker"] = "" if row["speaker"].lower() in _NOBODY else row["speaker"]
        yield Entry(path, clip, fields, line=row["line"])


def about(file: Path) -> str:
    """How a table was read: rows, separator, encoding, columns."""
    return cells.read(file).understood(COLUMNS_READ)


def _rows(table: cells.Cells) -> pd.DataFrame:
    """The cells of a table under our names of the columns, times in one spelling; ``line`` is the row's."""
    import pandas as pd

    places = table.named(COLUMNS_READ)
    missing = [name for name in ("emotion", "path") if name not in places]
    if missing:
        there = ", ".join(filter(None, table.columns))
        raise TableError(f"{table.file} lacks the column {' and '.join(missing)}; it has {there}")
    names = {place: name for name, place in places.items()}
    # Columns that are not read count where rows for one clip are compared.
    named = {names.get(i, f" {name}"): i for i, name in enumerate(table.columns) if name}
    rows = pd.DataFrame(
        [[row[i] for i in named.values()] for row in table.rows], columns=list(named), dtype=str
    )
    for name in COLUMNS_READ:
        rows[name] = rows.get(name, "")
    for name in ("start", "end", "duration"):
        rows[name] = rows[name].map(_time)
    if "end" not in places and "start" in places:
        rows["end"] = [
            _time_sum(start, length) for start, length in zip(rows["start"], rows["duration"], strict=True)
        ]
    rows["duration"] = ""
    rows["line"] = table.lines
    return rows


def _check_rows_agree(file: Path, rows: pd.DataFrame) -> None:
    """Raises ``TableError`` where rows for one clip differ, even in a column that is not read."""
    of_one = rows[rows.duplicated(["found", "start", "end"], keep=False)]
    compared = rows.columns.drop(["path", "found", "line"])
    for _, group in of_one.groupby(["found", "start", "end"], sort=False):
        differ = [name for name in compared if group[name].nunique() > 1]
        if differ:
            unread = not set(differ) & set(COLUMNS_READ)
            hint = "; parts of a file are given by 'start' and 'end', in s" if unread else ""
            lines = " and ".join(map(str, group["line"].iloc[:2]))
            raise TableError(
                f"{file} lists {group['path'].iloc[0]!r} with more than one {differ[0].strip()} "
                f"(lines {lines}){hint}"
            )


def _time(text: str) -> str:
    """One spelling of a time: seconds, empty for none and for 0; what is no time stays as it is."""
    try:
        return str(cells.seconds(text) or "")
    except TableError:
        return text


def _time_sum(start: str, length: str) -> str:
    """The end of a part from its start and its duration, both as :func:`_time` spells them."""
    try:
        return str(round(float(start or 0) + float(length), 6)) if length else ""
    except ValueError:
        return length
