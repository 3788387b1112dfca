"""Write tables of records into a Markdown page, between marks."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from ..core.errors import TableError
from ..core.paths import write_whole
from ..evaluation.record import to_markdown
from .summary import summary_table
from .tables import ablations, classes, folds, matrix, missing, reported, reported_classes, splits, table


def write_page(path: str | os.PathLike, records: pd.DataFrame) -> list[str]:
    """Write the tables of published systems into a Markdown page, between marks; see :func:`fill`.

    Args:
        path: an existing page; text outside the marks is not changed.
        records: from :func:`load`.

    Returns:
        Names of the tables in the page, among ``table``, ``splits``, ``ablations``, ``classes``,
        ``missing``, ``folds``, ``matrix``, ``summary``, ``reported`` and ``reported_classes``.

    Raises:
        TableError: if the page has no marks.
    """
    return fill(path, {name: functools.partial(make, records) for name, make in TABLES.items()})


def fill(
    path: str | os.PathLike,
    tables: Mapping[str, Callable[[], pd.DataFrame]],
    made_by: str = "ser-kit reproduce",
) -> list[str]:
    """Write tables into a Markdown page, between ``<!-- NAME: made by ... -->`` and ``<!-- end of NAME -->``.

    Args:
        path: an existing page; text outside the marks is not changed.
        tables: name -> function that returns the table; called only if the page has its marks.
        made_by: command that produces the tables, as in the marks.

    Returns:
        Names of the tables in the page.

    Raises:
        TableError: if the page has no marks.
    """
    path = Path(path)
    text, written = path.read_text(encoding="utf-8"), []
    for name, make in tables.items():
        begin, end = BEGIN.format(name, made_by), END.format(name)
        if begin in text and end in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n{to_markdown(make())}\n{end}{rest.split(end, 1)[1]}"
            written.append(name)
    if not written:
        wanted = BEGIN.format(next(iter(tables)), made_by)
        raise TableError(f"{path} has no marks for a table: it needs a line {wanted!r}, and its end")
    write_whole(path, text.encode())
    return written


BEGIN, END = "<!-- {}: made by {} -->", "<!-- end of {} -->"
TABLES = {
    "table": table, "splits": splits, "ablations": ablations, "classes": classes, "missing": missing,
    "folds": folds, "matrix": matrix, "summary": summary_table,
    "reported": reported, "reported_classes": reported_classes,
}  # fmt: skip
