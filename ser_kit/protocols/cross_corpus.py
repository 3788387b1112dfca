"""Protocols that test on corpora that were left out of training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .base import Fold, Parts, Protocol
from .groups import Groups
from .table import column, listed, unknown

_INDEPENDENT_OF = ("corpus", "speaker")


def cross_corpus(table: pd.DataFrame, train: Iterable[str], test: Iterable[str], seed: int = 0) -> list[Fold]:
    """Train on some corpora and test on others, over the classes in common.

    Args:
        table: a clip table of all these corpora; see :class:`Protocol`.
        train: names of the training corpora; some of their speakers are held out for validation.
        test: names of the test corpora.
        seed: random seed of the choice of validation speakers.

    Returns:
        One fold. Clips of other corpora, and of classes that are not on both sides, are in no part.

    Raises:
        TableError: if the corpora overlap, are not in the table, share fewer than two classes, or have a
            single training speaker.

    Examples:
        >>> rows = [
        ...     (f"{c}:{i}", c, f"{c}:{i % 3}", "sad" if i < 6 else "fear") for c in "abc" for i in range(12)
        ... ]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> cross_corpus(table, train=["a", "b"], test=["c"])
        [Fold('cross_corpus/0', seed=0, train=20, validation=4, test=12, speaker-independent)]
    """
    train, test = list(train), list(test)
    known = np.unique(column(table, "corpus")).tolist()
    missing = [name for name in (*train, *test) if name not in known]
    both = [name for name in train if name in test]
    if missing or both or not (train and test):
        why = f"not in the table: {listed(missing)}" if missing else f"on both sides: {listed(both)}"
        why = why if missing or both else "none"
        raise TableError(f"name corpora to train on and others to test, of {listed(known)}; {why}")
    return replace(CROSS_CORPUS, split=partial(_between, pairs=[(train, test)]))(table, seed)


def leave_out(
    table: pd.DataFrame, corpora: Iterable[str], seed: int = 0, *, tested: Iterable[str] | None = None
) -> Fold:
    """Create the fold of protocol ``corpus`` that leaves out some corpora.

    Args:
        table: a clip table; see :class:`Protocol`.
        corpora: names of the corpora to leave out; corpora that share speakers with them are left out too.
        seed: random seed of the choice of validation speakers.
        tested: names of the corpora among them to test; by default all.

    Returns:
        A fold with all clips of the other corpora for training and validation, and the test clips of their
        classes.

    Raises:
        TableError: if a corpus is not in the table, or too few clips are left for training or test.

    Examples:
        >>> rows = [
        ...     (f"{c}:{i}", c, f"{c}:{i % 3}", "sad" if i < 6 else "fear") for c in "abc" for i in range(12)
        ... ]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> leave_out(table, ["b", "c"])
        Fold('corpus/0', seed=0, train=8, validation=4, test=24, speaker-independent)
    """
    names = list(corpora)
    tested = names if tested is None else list(tested)
    known = np.unique(column(table, "corpus")).tolist()
    if not names or not tested or {*names} - {*known} or {*tested} - {*names}:
        raise TableError(
            f"corpora to leave out, {listed(names) or 'none'}, and to test, {listed(tested) or 'none'}, "
            f"must be some of {listed(known)}, and every tested corpus must be left out"
        )
    (fold,) = replace(CORPUS, split=partial(_leaving_out, pairs=[(names, tested)]))(table, seed)
    return fold


def _corpus(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    return _leaving_out(table, labels, seed, [([name], [name]) for name in tested_corpora(table)])


def _cross_corpus(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    corpora = _several(table)
    return _between(
        table, labels, seed, [([c for c in corpora if c != tested], [tested]) for tested in corpora]
    )


def _cross_corpus_pairs(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    return _between(table, labels, seed, [([a], [b]) for a, b in permutations(_several(table), 2)])


def _between(
    table: pd.DataFrame, labels: np.ndarray, seed: int, pairs: Iterable[tuple[list[str], list[str]]]
) -> Iterator[Parts]:
    corpora = column(table, "corpus")
    for trained, tested in pairs:
        here, there = np.isin(corpora, trained), np.isin(corpora, tested)
        common = np.intersect1d(labels[here], labels[there])
        if len(common) < 2:
            raise TableError(
                f"{listed(trained)} and {listed(tested)} have {len(common) or 'no'} "
                f"class{'es' * (len(common) != 1)} in common; at least two are needed. "
                "Join the corpora under a label set: load(..., labels='four')"
            )
        shared = np.isin(labels, common)
        rows, test = np.flatnonzero(here & shared), np.flatnonzero(there & shared)
        people = Groups.of(table.iloc[rows], labels[rows], "speaker")
        if people.count < 2:
            raise TableError(
                f"{listed(trained)} has only one speaker; to train and validate on different people takes two"
            )
        validation = rows[people.validation(np.array([], int), seed)]
        yield np.setdiff1d(rows, validation), validation, test


def _leaving_out(
    table: pd.DataFrame, labels: np.ndarray, seed: int, pairs: Iterable[tuple[list[str], list[str]]]
) -> Iterator[Parts]:
    for left_out, tested in pairs:
        yield _without(table, labels, seed, left_out, tested)


def _without(
    table: pd.DataFrame, labels: np.ndarray, seed: int, left_out: Sequence[str], tested: Sequence[str]
) -> Parts:
    """Rows of all corpora but those left out and those that share a speaker with them."""
    corpora, speakers = column(table, "corpus"), column(table, "speaker")
    named = ~unknown(speakers)
    theirs = np.unique(speakers[np.isin(corpora, left_out) & named])
    related = np.unique(corpora[np.isin(speakers, theirs) & named])
    rows = np.flatnonzero(~np.isin(corpora, [*left_out, *related]))
    what = f"without {listed(left_out)} and corpora that share speakers with it,"
    people = Groups.of(table.iloc[rows], labels[rows], "speaker") if len(rows) else None
    if people is None or people.count < 2:
        raise TableError(
            f"{what} {'only one speaker is' if len(rows) else 'nothing is'} left to train on; "
            "to train and validate on different people takes two"
        )
    validation = rows[people.validation(np.array([], int), seed)]
    train = np.setdiff1d(rows, validation)
    known = np.isin(labels, labels[train])
    validation, test = validation[known[validation]], np.flatnonzero(np.isin(corpora, tested) & known)
    common = len(set(labels[test]))
    if common < 2 or not len(validation):
        raise TableError(
            f"{what} {listed(set(labels[train]))} are left to train on, of which {listed(tested)} has "
            f"{common or 'none'}; at least two are needed. "
            "Join the corpora under a label set: load(..., labels='four')"
        )
    return train, validation, test


def tested_corpora(table: pd.DataFrame) -> list[str]:
    """Names of the corpora that can be tested.

    A corpus whose speakers are all in other corpora, such as the songs of RAVDESS's actors, is only used for
    training.
    """
    corpora, known = column(table, "corpus"), _several(table)
    owners = pd.Series(column(table, "speaker")).str.rpartition(":")[0].groupby(corpora).unique()
    return [name for name in known if not set(owners[name]) <= {*known} - {name}]


def _several(table: pd.DataFrame) -> list[str]:
    """Names of the corpora of a table, at least two."""
    corpora = np.unique(column(table, "corpus")).tolist()
    if len(corpora) < 2:
        raise TableError(
            f"all clips are from corpus {listed(corpora)}; "
            "testing across corpora takes two or more: "
            "load(['ravdess', 'emodb'], labels='six')"
        )
    return corpora


CORPUS = Protocol(
    "corpus",
    "leave one corpus out: test on each, train on all emotions of the others",
    _corpus,
    _INDEPENDENT_OF,
)
CROSS_CORPUS = Protocol(
    "cross_corpus",
    "leave one corpus out: test on each, train on the others, over the classes in common",
    _cross_corpus,
    _INDEPENDENT_OF,
)
CROSS_CORPUS_PAIRS = Protocol(
    "cross_corpus_pairs",
    "pairs of corpora: test on each, train on each other one, over the classes in common",
    _cross_corpus_pairs,
    _INDEPENDENT_OF,
)
