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

import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .. import _old_names
from ..core import labels as _labels
from ..core.errors import LabelError, TableError, TargetError, UnknownNameError
from ..core.paths import write_whole
from . import checksums as _checksums
from .base import CORPORA, Corpus, alike
from .naming import Naming, map_text, read_map, unused
from .table import COLUMNS, UNKNOWN_SPEAKER, sources, spans
from .validation import Validation
from .validation import validate as _validate

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "COLUMNS", "CORPORA", "UNKNOWN_SPEAKER", "Corpus", "Validation", "alike", "exclusion_counts", "get",
    "languages", "load", "names", "of", "sample", "sources", "spans", "validate",
    "write_checksums", "write_map",
]  # fmt: skip

__getattr__ = _old_names.moved(__name__)

_LANGUAGES = {"de": "German", "en": "English", "pl": "Polish"}
"""Languages of the corpora; others are shown by their codes (ISO 639-1)."""

logger = logging.getLogger(__name__)


def names() -> tuple[str, ...]:
    """Names of all corpora."""
    return tuple(CORPORA)


def get(name: str) -> Corpus:
    """The corpus of that name.

    Args:
        name: one of :func:`names`; with a path behind a colon, its copy there: ``"ravdess:data/ravdess"``.
            Another name with a path stands for your own recordings, a folder or CSV file as for ``"folder"``:
            ``"calls:list.csv"``.

    Raises:
        UnknownNameError: there is none.

    Examples:
        >>> get("calls:2024/list.csv")
        Corpus('calls')
    """
    known, colon, root = name.partition(":")
    if (bool(colon) != bool(root)) or not (known in CORPORA or (root and re.fullmatch(r"\w[\w.-]*", known))):
        raise UnknownNameError("corpus", name, CORPORA)
    return _corpus(known, Path(root).expanduser() if root else None)


def languages(names: Iterable[str]) -> list[str]:
    """Languages of published corpora, in words.

    Args:
        names: names of corpora; those that are not published ones are skipped.

    Returns:
        Their languages, each once, in alphabetical order.

    Examples:
        >>> languages(["ravdess", "emodb", "my_calls"])
        ['English', 'German']
    """
    codes = {get(name).language for name in names if name in CORPORA} - {""}
    return sorted(_LANGUAGES.get(code, code) for code in codes)


def _naming(own: bool, map: str | os.PathLike | Mapping[str, str] | None) -> Naming:
    return Naming(own, dict(map) if isinstance(map, Mapping) else read_map(map, own) if map else {})


def of(table: pd.DataFrame) -> list[Corpus]:
    """The corpora in a clip table, by name; one that is in no registry is of somebody's own recordings."""
    return [_corpus(name) for name in sorted(table["corpus"].unique())]


def _corpus(name: str, root: Path | None = None) -> Corpus:
    own = name not in CORPORA
    return Corpus(CORPORA["folder" if own else name], name if own else "", root)


def load(
    names: str | Iterable[str],
    root: str | os.PathLike | None = None,
    labels: str | _labels.LabelSet | Iterable[str] | None = None,
    *,
    map: str | os.PathLike | Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """The clip table of a corpus, or of several joined.

    Args:
        names: name or names of corpora, see :func:`get`: ``["ravdess", "folder:mine", "calls:list.csv"]``.
        root: the corpus's folder or one that contains it; of several corpora, one that contains the folder of
            each. Where neither this nor a name says where, a corpus is looked for in ``SER_KIT_DATA/<slug>``,
            then in a Kaggle mount, and is then downloaded.
        labels: a label set to join the corpora under, such as ``"six"``; see
            :func:`ser_kit.core.labels.label_set`. ``"own"`` takes the labels of your own recordings as they
            are (of published corpora, the canonical emotions), in the order of
            :func:`ser_kit.core.labels.ordered`.
        map: a CSV file with the columns ``label`` and ``emotion``, or a mapping: what the labels of your own
            recordings (of published corpora, the canonical emotions) become, before any label set. An empty
            emotion leaves its clips out.

    Returns:
        One row per clip, columns :data:`COLUMNS`, ``start`` and ``end`` (seconds, or ``""``) if a clip is a
        part of a file, see :func:`sources`, and ``label`` if ``labels`` was given. ``attrs["excluded"]``
        lists each recording left out and why, ``attrs["lost"]`` counts them (see :func:`exclusion_counts`),
        ``attrs["failed"]`` holds the ``clip_id`` of those that a list asks for and that cannot be used,
        ``attrs["labels"]`` the labels in order.

    Raises:
        UnknownNameError: a name is unknown.
        CorpusNotFoundError: the recordings of a corpus cannot be had.
        LabelError: the label set cannot be understood, or no label of a corpus is a known emotion.
        TableError: no corpus was named, or one twice, or no clip has one of the labels; or ``map`` is not a
            map, with the lines that are wrong.
    """
    import pandas as pd

    wanted = list(dict.fromkeys([names] if isinstance(names, str) else names))
    if not wanted:
        raise TableError(f"name at least one corpus: {', '.join(CORPORA)}")
    own = labels == _labels.OWN
    label_set = None if labels is None or own else _labels.label_set(labels)
    naming = _naming(own, map)
    # All names are checked before any corpus is downloaded.
    chosen = [replace(get(name), naming=naming) for name in wanted]
    for name, times in Counter(corpus.name for corpus in chosen).items():
        if times > 1:
            raise TableError(
                f"corpus {name!r} is named {times} times; give others of your own another name, calls:PATH"
            )
    for corpus in chosen if root is not None and len(chosen) > 1 else ():
        if corpus.root is None and corpus.place_in(Path(root)) is None:
            raise corpus.not_found(
                f"root={os.fspath(root)!r}, given for {len(chosen)} corpora, holds no folder "
                f"{corpus.slug!r}. Say where each of them is: {corpus.name}:PATH"
            )
    parts = [corpus.load(root) for corpus in chosen]
    if strange := unused(naming.map, {label for part in parts for label in part.attrs["read"]}):
        warnings.warn(f"labels in the map that no clip has: {', '.join(strange)}", stacklevel=2)
    attrs = {
        name: [each for part in parts for each in part.attrs[name]] for name in ("excluded", "failed", "lost")
    }
    table = pd.concat(parts, ignore_index=True).fillna("")  # parts of files beside whole ones
    table.attrs = attrs
    if own:
        label_set = _labels.LabelSet(_labels.OWN, tuple(_labels.ordered(table["emotion"].unique())))
        if len(label_set) > _labels.MOST_LABELS:
            raise LabelError(
                f"there are {len(label_set)} different labels, such as {', '.join(label_set.labels[:3])}; a "
                f"model has at most {_labels.MOST_LABELS}: is the column of the emotions the right one?"
            )
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
        "excluded": table.attrs["excluded"]
        + dropped[["clip_id", "path", "corpus", "reason"]].to_dict("records"),
        "lost": table.attrs["lost"]
        + [{"corpus": c, "reason": r, "clips": n} for (c, r), n in counts.items()],
        "labels": list(label_set.labels),
    }
    return result


def sample(table: pd.DataFrame, clips: int, seed: int = 0) -> pd.DataFrame:
    """Some clips of a table, of as many speakers and emotions as can be, each about as often as the others.

    Args:
        table: a clip table.
        clips: how many, 1 or more; all, where there are no more.
        seed: of the draw.

    Returns:
        A clip table, its rows in the order of the table.

    Examples:
        >>> some = sample(load("demo"), 24)
        >>> some["speaker"].value_counts().tolist(), some["emotion"].value_counts().tolist()
        ([3, 3, 3, 3, 2, 2, 2, 2, 2, 2], [4, 4, 4, 4, 4, 4])
    """
    cells: dict[tuple[str, str], list[int]] = {}
    order = np.random.default_rng(seed).permutation(len(table))
    for row, cell in zip(
        order, zip(*(table[c].iloc[order] for c in ("speaker", "emotion")), strict=True), strict=True
    ):
        cells.setdefault(cell, []).append(row)
    taken, rows = Counter(), []
    while cells and len(rows) < clips:
        # The speaker with the fewest clips so far comes next, with the emotion that is rarest so far.
        cell = min(cells, key=lambda cell: (taken["speaker", cell[0]], taken["emotion", cell[1]]))
        rows.append(cells[cell].pop())
        if not cells[cell]:
            del cells[cell]
        taken.update({("speaker", cell[0]): 1, ("emotion", cell[1]): 1})
    found = table.iloc[sorted(rows)].reset_index(drop=True)
    found.attrs = table.attrs
    return found


def exclusion_counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many recordings each corpus lost on the way into a table, and why.

    Args:
        table: what :func:`load` returned.

    Returns:
        Columns ``corpus``, ``reason``, ``clips``, ordered by corpus and then by number.
    """
    import pandas as pd

    lost = pd.DataFrame(table.attrs.get("lost", []), columns=["corpus", "reason", "clips"])
    order = lost.sort_values(["clips", "reason"], ascending=[False, True])
    return order.sort_values("corpus", kind="stable", ignore_index=True)


def validate(
    name: str,
    root: str | os.PathLike | None = None,
    *,
    checksums: str | os.PathLike | None = None,
    labels: str | None = None,
    map: str | os.PathLike | Mapping[str, str] | None = None,
    progress: bool = True,
) -> Validation:
    """Check every recording of a corpus: present, readable, not silent, not repeated; and the counts.

    Args:
        name: of the corpus, as for :func:`get`.
        root: as for :func:`load`.
        checksums: a file of :func:`write_checksums` to compare the recordings with; those that are missing,
            changed or new are findings.
        labels: ``"own"`` takes labels as they are; without it, one that is no known emotion is a finding.
        map: as for :func:`load`.
        progress: show a progress bar.

    Returns:
        What was found; ``.ok`` is whether nothing is wrong.

    Raises:
        UnknownNameError: the name is unknown.
        CorpusNotFoundError: the recordings cannot be had.
        TableError: ``checksums`` is not a checksum file, or ``map`` not a map.
    """
    corpus = replace(get(name), naming=_naming(labels == _labels.OWN, map))
    return _validate(corpus, root, checksums=checksums, progress=progress)


def write_map(name: str, out: str | os.PathLike, root: str | os.PathLike | None = None) -> Path:
    """Write a map of the labels of a corpus, to be read, changed and given to :func:`load`.

    A label that is a common name of an emotion, in English or another of the ten most spoken languages or
    German, is mapped to it, as an offer; any other to itself.

    Args:
        name: of the corpus, as for :func:`get`.
        out: the CSV file, which must not be there yet.
        root: as for :func:`load`.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: the name is unknown.
        CorpusNotFoundError: the recordings cannot be had.
        TargetError: the file is there already: somebody may have changed it.

    Examples:
        >>> file = write_map("demo", "map.csv")
        >>> file.read_text().splitlines()[:2]
        ['label,emotion', 'angry,angry']
    """
    out, corpus = Path(out), get(name)
    if out.exists():
        raise TargetError(f"{out} is there already; give another name, or delete it")
    found = corpus.entries(Path(os.path.abspath(corpus.locate(root))))
    write_whole(out, map_text(entry.label for entry in found if entry.label).encode())
    return out


def write_checksums(
    name: str, out: str | os.PathLike, root: str | os.PathLike | None = None, *, progress: bool = True
) -> Path:
    """Write a CSV file with path, size (bytes) and SHA-256 of each recording of a corpus.

    Args:
        name: of the corpus, as for :func:`get`.
        out: the file, for :func:`validate`.
        root: as for :func:`load`.
        progress: show a progress bar.

    Returns:
        The path of the file.

    Raises:
        UnknownNameError: the name is unknown.
        CorpusNotFoundError: the recordings cannot be had.

    Examples:
        >>> file = write_checksums("demo", "demo.csv", progress=False)
        >>> file.read_text().splitlines()[0], validate("demo", checksums=file, progress=False).ok
        ('path,bytes,sha256', True)
    """
    return _checksums.write(get(name), out, root, progress=progress)
