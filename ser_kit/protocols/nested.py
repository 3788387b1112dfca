"""Nested divisions: the training clips of a fold, divided once more for tuning."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .base import Fold, Parts, Protocol
from .cross_corpus import leave_out, tested_corpora
from .groups import Groups, sixth
from .speaker_independent import PEOPLE
from .table import column, parents


def inner(
    table: pd.DataFrame, rows: np.ndarray, seed: int = 0, *, speaker_independent: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Divide training rows once more, for tuning.

    Args:
        table: a clip table.
        rows: row positions to divide, ``int [n]``.
        seed: random seed; the same seed and rows give the same parts.
        speaker_independent: hold out whole speakers. If there is only one speaker, or only one with clips of
            some class, clips are held out instead.

    Returns:
        Training rows and validation rows (about a sixth), ascending. Augmented copies of validation clips are
        in neither.

    Raises:
        TableError: if the rows have fewer than two classes, or too few clips.

    Examples:
        >>> rows = [(f"{s}{e}", s, e) for s in "wxyz" for e in ("happy", "sad")]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion"])
        >>> train, validation = inner(table, [0, 1, 2, 3, 4, 5])
        >>> len(train), set(table.speaker[train]) & set(table.speaker[validation])
        (4, set())
    """
    rows = np.unique(np.asarray(rows, dtype=np.intp))
    part = table.iloc[rows]
    if "parent" in part:
        # A fold that divides copies may train on copies of test clips; here they count as independent clips.
        made_of = parents(part)
        part = part.assign(
            parent=np.where(np.isin(made_of, part["clip_id"].to_numpy(dtype=str)), made_of, "")
        )

    def divided(split, independent_of: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        (fold,) = Protocol("inner", "rows of a fold, divided once more", split, independent_of)(part, seed)
        return rows[fold.train], rows[fold.validation]

    if speaker_independent:
        with contextlib.suppress(TableError):  # too few speakers, or only one with clips of some class
            return divided(_held_out_speakers, PEOPLE)
    return divided(_held_out_clips, ())


def inner_corpora(table: pd.DataFrame, fold: Fold) -> list[Fold]:
    """Divide the training corpora of a fold once more, leaving each out in turn, to choose settings.

    Args:
        table: the clip table that the fold refers to.
        fold: a fold of protocol ``corpus``.

    Returns:
        A fold for each training corpus. It tests that corpus, and has no clip of the corpus that ``fold``
        tests in any part. Exchanging the two corpora gives the same training set, so one training serves
        both.

    Raises:
        TableError: if the training corpora cannot be divided so; at least three corpora are needed.

    Examples:
        >>> rows = [
        ...     (f"{c}:{i}", c, f"{c}:{i % 3}", "sad" if i < 6 else "fear") for c in "abc" for i in range(12)
        ... ]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> [sorted(set(table.corpus[each.test])) for each in inner_corpora(table, leave_out(table, ["b"]))]
        [['a'], ['c']]
    """
    corpora = column(table, "corpus")
    left_out = np.unique(corpora[fold.test]).tolist()
    learned = set(corpora[np.union1d(fold.train, fold.validation)])
    return [
        replace(leave_out(table, [*left_out, name], fold.seed, tested=[name]), index=index)
        for index, name in enumerate(each for each in tested_corpora(table) if each in learned)
    ]


def _held_out_speakers(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    nothing = np.array([], int)
    yield Groups.of(table, labels, "speaker").validation(nothing, seed), nothing


def _held_out_clips(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield sixth(table, labels, np.arange(len(table)), seed), np.array([], int)
