"""Your own recordings: a folder for each emotion, or a CSV file that lists them.

In a folder, ``angry/take1.wav`` or, with the speaker, ``angry/anna/take1.wav``; any sound format will do. A CSV file
has the columns ``path`` (relative to the CSV file, or absolute) and ``emotion``, and may have ``speaker``, ``sex``,
``intensity``, ``text_id`` and ``language``. Emotions may have any common name (see :func:`ser_kit.labels.canonical`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd

from ..errors import LabelError, TableError
from ..labels import canonical
from ._base import Entry, name_error

NAME = "folder"
SLUG = "folder"
KAGGLE_HANDLE = None
HOMEPAGE = ""
LICENSE = "that of your recordings"
LANGUAGE = ""
BIBTEX = ""
EXPECTED: dict[str, int] = {}
KNOWN_BAD: dict[str, str] = {}

_SEXES = {"": "", "f": "female", "female": "female", "m": "male", "male": "male"}
_OPTIONAL = ("speaker", "intensity", "text_id", "language")


def parse(filename: str) -> dict[str, str]:
    """Fields that a path relative to the root tells.

    Examples:
        >>> fields = parse("Fearful/anna/take1.mp3")
        >>> fields["emotion"], fields["native_emotion"], fields["speaker"]
        ('fear', 'Fearful', 'anna')
    """
    folders = PurePosixPath(filename).parts[:-1]
    if not folders:
        raise name_error(NAME, filename, "it should lie in a folder named after its emotion", "angry/take1.wav")
    try:
        emotion = canonical(folders[0])
    except LabelError as error:
        raise name_error(NAME, filename, f"its folder is not an emotion ({error})", "angry/take1.wav") from error
    return {
        "clip_id": str(filename),
        "speaker": folders[1] if len(folders) > 1 else "",
        "emotion": emotion,
        "native_emotion": folders[0],
    }


def listing(file: Path) -> Iterator[Entry]:
    """The recordings that a CSV file lists.

    Args:
        file: a CSV file with the columns ``path`` and ``emotion``, and perhaps others (see above).

    Raises:
        TableError: the file is no CSV, lacks a column, has a sex that is not understood, or gives a recording two
            emotions.
    """
    try:
        rows = pd.read_csv(file, dtype=str, keep_default_na=False, encoding="utf-8-sig").fillna("")
    except ValueError as error:  # what pandas raises for an empty file, ragged rows and bytes that are not UTF-8
        raise TableError(f"{file} is not a CSV file in UTF-8: {error}") from error
    rows.columns = [str(column).strip().lower() for column in rows.columns]
    missing = {"path", "emotion"} - set(rows.columns)
    if missing:
        raise TableError(f"{file} lacks the column {' and '.join(sorted(missing))}; it has {', '.join(rows.columns)}")
    rows = rows.apply(lambda column: column.str.strip())
    repeated = rows[["path", "emotion"]].drop_duplicates()["path"].duplicated()
    if repeated.any():
        raise TableError(f"{file} lists {rows['path'][repeated.idxmax()]!r} with more than one emotion")
    for row in rows.to_dict("records"):
        path = file.parent / row["path"]
        if row.get("sex", "").lower() not in _SEXES:
            raise TableError(f"{file}: the sex of {row['path']!r} is {row['sex']!r}; expected female, male or nothing")
        if not path.is_file():
            yield Entry(path, row["path"], reason="the file does not exist")
            continue
        try:
            fields = {"emotion": canonical(row["emotion"]), "native_emotion": row["emotion"]}
        except LabelError as error:
            yield Entry(path, row["path"], reason=str(error))
            continue
        fields |= {column: row[column] for column in _OPTIONAL if column in row}
        yield Entry(path, row["path"], fields | {"sex": _SEXES[row.get("sex", "").lower()]})
