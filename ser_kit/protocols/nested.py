"""The training clips of a fold, divided once more to tune on."""

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
    """Divide training rows once more, to tune on.

    Args:
        table: a clip table.
        rows: row positions to divide, ``int [n]``.
        seed: the same seed on the same rows gives the same parts.
        speaker_independent: hold back whole speakers. Where there is one speaker only, or only one who speaks
            some class, clips are held back instead.

    Returns:
        Rows to train on and to validate on (about a sixth), ascending. Augmented copies of the latter are in
        neither.

    Raises:
        TableError: the rows hold fewer than two classes, or too few clips.

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
        # A fold that divides copies may train on copies of what it tests; here they are clips of their own.
        made_of = parents(part)
        part = part.assign(
            parent=np.where(np.isin(made_of, part["clip_id"].to_numpy(dtype=str)), made_of, "")
        )

    def divided(split, independent_of: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        (fold,) = Protocol("inner", "rows of a fold, divided once more", split, independent_of)(part, seed)
        return rows[fold.train], rows[fold.validation]

    if speaker_independent:
        with contextlib.suppress(TableError):  # too few speakers, or a class that one of them alone speaks
            return divided(_held_back_speakers, PEOPLE)
    return divided(_held_back_clips, ())


def inner_corpora(table: pd.DataFrame, fold: Fold) -> list[Fold]:
    """What a fold that leaves a corpus out learns from, divided by corpus once more, to choose settings on.

    Args:
        table: the clip table that the fold points into.
        fold: one of protocol ``corpus``.

    Returns:
        A fold for each corpus that is learned from: it tests that corpus, and has no clip of the one that
        ``fold`` tests in any of its parts. Which of two corpora is tested and which is left out for good
        changes nothing about what is learned: one training serves both.

    Raises:
        TableError: what is left cannot be divided so; it takes three corpora.

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


def _held_back_speakers(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    nothing = np.array([], int)
    yield Groups.of(table, labels, "speaker").validation(nothing, seed), nothing


def _held_back_clips(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield sixth(table, labels, np.arange(len(table)), seed), np.array([], int)
