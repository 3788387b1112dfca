"""Clip tables for commands, and clips that cannot be used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..core.errors import TableError
from ..core.labels import EMOTIONS, OWN, labels_of

if TYPE_CHECKING:
    import pandas as pd

    from ..bundles.bundle import Bundle


def load(
    names: Sequence[str], root: str | None, labels: str | Iterable[str] | None, map: str | None = None
) -> pd.DataFrame:
    """Load the clip table of corpora.

    Args:
        names: names of the corpora.
        root: as for :func:`ser_kit.corpora.load`; ``""`` is ``None``.
        labels: a label set, such as ``"six"``, ``"happy,sad"`` or a list of emotions.
        map: file of a map of labels, as for :func:`ser_kit.corpora.load`; ``""`` is ``None``.
    """
    from .. import corpora

    labels = labels_of(labels) if isinstance(labels, str) else labels
    return corpora.load(names, root or None, labels, map=map or None)


def has_own_labels(labels: Iterable[str]) -> bool:
    """Whether labels of a model are no canonical emotions; clips then need their labels as they are."""
    return not set(labels) <= set(EMOTIONS)


def load_for(bundle: Bundle, names: Sequence[str], root: str | None) -> pd.DataFrame:
    """Load the clips of corpora that have one of the labels of a bundle, which may be custom labels.

    Without names, these are the clips of the demo corpus; their labels are missing if those of the bundle are
    custom.

    Raises:
        TableError: no clip has one.
    """
    if not has_own_labels(bundle.labels):
        return load(names or ["demo"], root, bundle.labels)
    if not names:
        table = load(["demo"], root, None)
        found = table.assign(label=None)
        found.attrs = table.attrs
        return found
    table = load(names, root, OWN)
    found = table[table["label"].isin(bundle.labels)].reset_index(drop=True)
    if found.empty:
        raise TableError(
            f"no clip of {', '.join(names)} has one of the labels {', '.join(bundle.labels)}; give a "
            "corpus that has them with --corpus"
        )
    found.attrs = {**table.attrs, "labels": list(bundle.labels)}
    return found


def failed(table: pd.DataFrame, failures: pd.DataFrame) -> list[dict[str, str]]:
    """Clips that cannot be used: failures of extraction, and rows of lists without a recording."""
    missing = set(table.attrs["failed"])
    rows = [{**clip, "error": "TableError"} for clip in table.attrs["excluded"] if clip["clip_id"] in missing]
    return failures.to_dict("records") + [{name: row[name] for name in failures.columns} for row in rows]
