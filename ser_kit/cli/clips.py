"""Clip tables for commands, and the clips that could not be used."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.labels import labels_of

if TYPE_CHECKING:
    import pandas as pd


def load(args: argparse.Namespace, names: Sequence[str], labels: str | Iterable[str] | None) -> pd.DataFrame:
    """The clip table of corpora in ``--root``.

    Args:
        args: of the command.
        names: of the corpora.
        labels: a label set as text, such as ``"six"`` or ``"happy,sad"``, or its emotions.
    """
    from .. import corpora

    return corpora.load(names, args.root, labels_of(labels) if isinstance(labels, str) else labels)


def failed(table: pd.DataFrame, failures: pd.DataFrame) -> list[dict[str, str]]:
    """All clips that were asked for and could not be used: failures of extraction, and rows of lists."""
    missing = set(table.attrs["failed"])
    rows = [{**clip, "error": "TableError"} for clip in table.attrs["excluded"] if clip["clip_id"] in missing]
    return failures.to_dict("records") + [{name: row[name] for name in failures.columns} for row in rows]
