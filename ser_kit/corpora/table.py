"""The clip table: one row per clip, its columns and what they mean.

All columns hold strings. ``table.attrs`` carries ``excluded`` (a list of ``clip_id, path, corpus, reason``,
one for each recording left out), ``lost`` (their counts), ``failed`` (the ``clip_id`` of those that a list
asks for and that cannot be used) and ``labels`` (in order, where the table has a ``label``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..audio.recording import Excerpt
from ..core.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

MEANINGS = {
    "clip_id": "name of the clip, unique: that of the corpus, a colon, and the clip's own",
    "path": "the sound file",
    "corpus": "name of the corpus",
    "speaker": "who speaks: name of the corpus, a colon, and the speaker's own",
    "sex": 'of the speaker: female, male, or "" where it is not known',
    "emotion": "canonical name of the emotion, see ser_kit.core.labels",
    "native_emotion": "what the corpus calls it",
    "intensity": 'how strongly it is acted, in the corpus\'s words, or ""',
    "text_id": 'what is spoken, or ""',
    "language": 'ISO 639-1 code, or ""',
}
"""Column that every clip table has -> what it holds."""

FURTHER_MEANINGS = {
    "start": 'where the clip begins in its file, s; "" for the beginning of the file',
    "end": 'where it ends, s; "" for the end of the file',
    "label": "the class, where the table was made for a label set",
    "parent": 'clip_id of the clip that this one is an augmented copy of, "" for an original',
}
"""Column that some clip tables have -> what it holds; ``start`` and ``end`` where clips are parts of
files."""

COLUMNS = tuple(MEANINGS)
"""Columns of the clip table, in order."""

SPAN_COLUMNS = ("start", "end")
"""Columns of a table in which clips are parts of files."""

UNKNOWN_SPEAKER = "unknown"
"""Stands for the speaker's own name where it is not known who speaks: one person or many."""


def check_columns(table: pd.DataFrame, columns: Iterable[str] = COLUMNS) -> None:
    """Check that a clip table has these columns.

    Raises:
        TableError: one is missing.

    Examples:
        >>> import pandas as pd
        >>> check_columns(pd.DataFrame({"path": []}), ["path", "emotion"])
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.TableError: the clip table lacks emotion; it has path
    """
    missing = [name for name in columns if name not in table.columns]
    if missing:
        have = ", ".join(map(str, table.columns))
        raise TableError(f"the clip table lacks {', '.join(missing)}; it has {have}")


def spans(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Where each clip begins and ends in its file.

    Returns:
        Two float arrays ``[n]``, s: 0 and infinity for a whole file.

    Raises:
        TableError: a cell of the columns ``start`` and ``end`` is neither empty nor a number.
    """
    import pandas as pd

    found = []
    for column, whole in zip(SPAN_COLUMNS, (0.0, np.inf), strict=True):
        cells = table[column] if column in table else pd.Series(whole, table.index)
        try:
            numbers = pd.to_numeric(cells.replace("", np.nan))
        except (ValueError, TypeError) as error:
            raise TableError(f"the clip table's column {column!r} must hold seconds: {error}") from None
        found.append(numbers.fillna(whole).to_numpy(float))
    return found[0], found[1]


def sources(table: pd.DataFrame) -> list[str | Excerpt]:
    """What :func:`ser_kit.audio.read_audio` takes for each clip; the one way from a table to sound.

    Args:
        table: a clip table; with columns ``start`` and ``end`` (s, or empty) clips are parts of files.

    Returns:
        Of each row its ``path``, or a :class:`~ser_kit.audio.Excerpt` of it.

    Raises:
        TableError: a time is no number.
        AudioError: a clip ends before it begins.

    Examples:
        >>> import pandas as pd
        >>> turns = [("talk.wav", "0.5", "2"), ("talk.wav", "2", ""), ("take.wav", "", "")]
        >>> print(*sources(pd.DataFrame(turns, columns=["path", "start", "end"])))
        talk.wav#t=0.5,2 talk.wav#t=2 take.wav
    """
    times = (column.tolist() for column in spans(table))
    return [
        Excerpt(path, start, None if end == np.inf else end) if start > 0 or end < np.inf else path
        for path, start, end in zip(table["path"].astype(str), *times, strict=True)
    ]
