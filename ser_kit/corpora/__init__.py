"""Corpora: a published set of recordings, or your own, becomes a clip table.

Examples:
    >>> from ser_kit import corpora
    >>> corpora.names()[:4]
    ('ravdess', 'ravdess_song', 'cremad', 'tess')
    >>> corpora.get("emodb").language
    'de'
    >>> corpora.get("ravdess").parse("03-01-05-02-01-01-12.wav")["emotion"]
    'angry'
"""

from __future__ import annotations

import importlib
import logging
import os
from collections import Counter
from collections.abc import Iterable

import pandas as pd

from .. import labels as _labels
from ..errors import TableError, UnknownNameError
from ._base import COLUMNS, UNKNOWN_SPEAKER, Corpus, sources, spans
from ._validation import Validation
from ._validation import validate as _validate

__all__ = [
    "COLUMNS", "UNKNOWN_SPEAKER", "Corpus", "Validation", "get", "load", "losses", "names", "sources", "spans",
    "validate",
]  # fmt: skip

logger = logging.getLogger(__name__)

# A module of this name stands beside this file; everything else about a corpus stands in it.
_NAMES = (
    "ravdess", "ravdess_song", "cremad", "tess", "savee", "emodb", "nemo", "emospeech", "iemocap", "folder", "demo",
)  # fmt: skip


def names() -> tuple[str, ...]:
    """Names of all corpora."""
    return _NAMES


def get(name: str) -> Corpus:
    """The corpus of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _NAMES:
        raise UnknownNameError("corpus", name, _NAMES)
    return Corpus(importlib.import_module(f"{__name__}.{name}"))


def load(
    names: str | Iterable[str],
    root: str | os.PathLike | None = None,
    labels: str | _labels.LabelSet | Iterable[str] | None = None,
) -> pd.DataFrame:
    """The clip table of a corpus, or of several joined.

    Args:
        names: name or names of corpora, see :func:`names`.
        root: the corpus's folder or one that contains it. Without it each corpus is looked for in
            ``SER_KIT_DATA/<slug>``, then in a Kaggle mount, and is then downloaded.
        labels: a label set to join the corpora under, such as ``"six"``; see :func:`ser_kit.labels.label_set`.

    Returns:
        One row per clip, columns :data:`COLUMNS`, ``start`` and ``end`` (seconds, or ``""``) if a clip is a part of a
        file, see :func:`sources`, and ``label`` if ``labels`` was given. ``attrs["excluded"]`` lists
        each recording left out and why, ``attrs["lost"]`` counts them (see :func:`losses`), ``attrs["failed"]`` holds
        the ``clip_id`` of those that a list asks for and that cannot be used, ``attrs["labels"]`` the labels in order.

    Raises:
        UnknownNameError: a name is unknown.
        CorpusNotFoundError: the recordings of a corpus cannot be had.
        LabelError: the label set cannot be understood.
        TableError: no corpus was named, or no clip has one of the labels.
    """
    wanted = list(dict.fromkeys([names] if isinstance(names, str) else names))
    if not wanted:
        raise TableError(f"name at least one corpus: {', '.join(_NAMES)}")
    label_set = None if labels is None else _labels.label_set(labels)
    parts = []
    for corpus in [get(name) for name in wanted]:  # all names are checked before any corpus is downloaded
        parts.append(corpus.load(root))
    attrs = {name: [each for part in parts for each in part.attrs[name]] for name in ("excluded", "failed", "lost")}
    table = pd.concat(parts, ignore_index=True).fillna("")  # parts of files beside whole ones
    table.attrs = attrs
    return table if label_set is None else _labelled(table, label_set)


def _labelled(table: pd.DataFrame, label_set: _labels.LabelSet) -> pd.DataFrame:
    label = table["emotion"].map(label_set.label)
    kept = label.notna()
    if not kept.any():
        raise TableError(
            f"no clip has one of the labels {', '.join(label_set.labels)}; "
            f"the emotions there are: {', '.join(sorted(table['emotion'].unique()))}"
        )
    reasons = "label set " + repr(label_set.name) + " has no place for " + table["emotion"]
    dropped = table[~kept].assign(reason=reasons[~kept])
    counts = Counter(zip(dropped["corpus"], dropped["reason"], strict=True))
    for (corpus, reason), clips in counts.items():
        logger.info("%s: %d clips left out: %s", corpus, clips, reason)
    result = table[kept].assign(label=label[kept].astype(str)).reset_index(drop=True)
    result.attrs = {
        "failed": table.attrs["failed"],
        "excluded": table.attrs["excluded"] + dropped[["clip_id", "path", "corpus", "reason"]].to_dict("records"),
        "lost": table.attrs["lost"] + [{"corpus": c, "reason": r, "clips": n} for (c, r), n in counts.items()],
        "labels": list(label_set.labels),
    }
    return result


def losses(table: pd.DataFrame) -> pd.DataFrame:
    """How many recordings each corpus lost on the way into a table, and why.

    Args:
        table: what :func:`load` returned.

    Returns:
        Columns ``corpus``, ``reason``, ``clips``, ordered by corpus and then by number.
    """
    lost = pd.DataFrame(table.attrs.get("lost", []), columns=["corpus", "reason", "clips"])
    order = lost.sort_values(["clips", "reason"], ascending=[False, True])
    return order.sort_values("corpus", kind="stable", ignore_index=True)


def validate(name: str, root: str | os.PathLike | None = None, *, progress: bool = True) -> Validation:
    """Checks every recording of a corpus: present, readable, not silent, not twice, and as many as there should be.

    Args:
        name: of the corpus.
        root: as for :func:`load`.
        progress: show a progress bar.

    Returns:
        What was found; ``.ok`` tells whether anything is wrong.

    Raises:
        UnknownNameError: the name is unknown.
        CorpusNotFoundError: the recordings cannot be had.
    """
    return _validate(get(name), root, progress=progress)
