"""The protocols."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .base import COPIES, TEST_AS_VALIDATION, Fold, Parts, Protocol, get, register
from .groups import VALIDATION_SHARE, Groups, check_counts, cut, shuffled, sixth
from .table import column, listed, parents, unknown, unseen_speakers

FOLDS = 5
"""Folds of the protocols that divide a table into parts of equal size."""

_PEOPLE = ("speaker",)


def _people(table: pd.DataFrame, labels: np.ndarray) -> Groups:
    unseen_speakers(table, labels)
    return Groups.of(table, labels, "speaker")


@register("speaker", "five folds of unseen speakers, balanced by emotion and sex", _PEOPLE)
def _speaker(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    people = _people(table, labels)
    for test in people.parts(np.arange(len(table)), FOLDS, seed):
        yield people.validation(test, seed), test


@register("random", "five stratified folds of clips; speakers are on both sides")
def _random(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    from sklearn.model_selection import StratifiedKFold

    check_counts(*np.unique(labels, return_counts=True), FOLDS, f"a division into {FOLDS} stratified folds")
    for rest, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels):
        rarest = np.unique(labels[rest], return_counts=True)[1].min()
        parts = StratifiedKFold(min(round(1 / VALIDATION_SHARE), rarest), shuffle=True, random_state=seed)
        yield rest[next(parts.split(rest, labels[rest]))[1]], test


@register("loso", "leave one speaker out: one fold per speaker", _PEOPLE)
def _loso(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    people = _people(table, labels)
    for speaker in range(people.count):
        test = np.flatnonzero(people.groups == speaker)
        yield people.validation(test, seed), test


@register("speaker_80_20", "one fold: a fifth of the speakers, unseen, is tested", _PEOPLE)
def _speaker_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield next(_speaker(table, labels, seed))


@register(
    "random_80_20_copies",
    "the 80/20 split of clips, made after augmentation: copies of tested clips are trained on",
    leaks=[COPIES],
)
@register("random_80_20", "one stratified 80/20 split of clips; speakers on both sides")
def _random_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield next(_random(table, labels, seed))


@register(
    "random_80_20_peeking",
    "the 80/20 split of clips with training stopped where the tested clips come out best",
    leaks=[TEST_AS_VALIDATION],
)
def _random_80_20_peeking(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    _, test = next(_random(table, labels, seed))
    yield test, test


def _random_shares(table: pd.DataFrame, labels: np.ndarray, seed: int, validation: int, test: int) -> Iterator[Parts]:
    yield cut(labels, shuffled(table, seed), validation / 100, test / 100)


for _train, _validation, _test in ((70, 15, 15), (76, 12, 12), (80, 10, 10)):
    register(
        f"random_{_train}_{_validation}_{_test}",
        f"one stratified split of clips, {_train}/{_validation}/{_test} %; speakers on all sides",
    )(partial(_random_shares, validation=_validation, test=_test))
register(
    "random_80_10_10_copies",
    "the 80/10/10 split of clips, made after augmentation: copies of tested clips are trained on",
    leaks=[COPIES],
)(partial(_random_shares, validation=10, test=10))


@register("temporal_80_10_10", "the first 80 % of what each speaker said of each class, the next 10 %, the last 10 %")
def _temporal(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    """Clips are in recording order by ``clip_id``; nothing is drawn, so the seed changes nothing."""
    clips = pd.DataFrame({"clip": column(table, "clip_id"), "speaker": column(table, "speaker"), "label": labels})
    each = clips.sort_values("clip").groupby(["speaker", "label"])["clip"]
    clips["fraction"] = (each.cumcount() + 0.5) / each.transform("size")
    yield cut(labels, clips.sort_values(["fraction", "speaker", "clip"]).index.to_numpy(), 0.1, 0.1)


EMOBOX: dict[str, tuple[tuple[str, ...], ...]] = {
    "ravdess": (
        ("01", "11", "20", "21"), ("04", "10", "12", "14"), ("08", "09", "19", "23"),
        ("03", "05", "07", "24"), ("02", "15", "16", "18"), ("06", "13", "17", "22"),
    ),
    "savee": (("JE",), ("KL",), ("DC",), ("JK",)),
    "iemocap": tuple((f"Ses0{session}F", f"Ses0{session}M") for session in range(1, 6)),
}  # fmt: skip
"""Speakers tested in each fold: Ma et al. (2024), EmoBox: multilingual multi-corpus speech emotion recognition toolkit
and benchmark, Interspeech, arXiv:2406.07162."""


@register("emobox", "the published EmoBox folds of unseen speakers, for RAVDESS, SAVEE and IEMOCAP", _PEOPLE)
def _emobox(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    """Corpora beside the one that is tested are learned from in every fold."""
    corpora = np.unique(column(table, "corpus"))
    divided = [name for name in corpora if name in EMOBOX]
    if len(divided) != 1:
        raise TableError(
            f"protocol 'emobox' divides one corpus of {listed(EMOBOX)}, not {listed(divided or corpora)}; "
            "use 'speaker' for other corpora and mixtures"
        )
    people, speakers = _people(table, labels), column(table, "speaker")
    for tested in EMOBOX[divided[0]]:
        test = np.flatnonzero(np.isin(speakers, [f"{divided[0]}:{speaker}" for speaker in tested]))
        if len(test):
            yield people.validation(test, seed), test


@register("text", "up to five folds of unseen texts; speakers are on both sides", ["text_id"])
def _text(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    texts, everything = Groups.of(table, labels, "text_id"), np.arange(len(table))
    for test in texts.parts(everything, FOLDS, seed):
        rest = np.setdiff1d(everything, test)
        yield texts.validation(test, seed) if texts.count > 2 else sixth(table, labels, rest, seed), test


def _between(
    table: pd.DataFrame, labels: np.ndarray, seed: int, pairs: Iterable[tuple[list[str], list[str]]]
) -> Iterator[Parts]:
    corpora = column(table, "corpus")
    for taught, tested in pairs:
        here, there = np.isin(corpora, taught), np.isin(corpora, tested)
        common = np.intersect1d(labels[here], labels[there])
        if len(common) < 2:
            raise TableError(
                f"{listed(taught)} and {listed(tested)} have {len(common) or 'no'} class{'es' * (len(common) != 1)} "
                "in common; two at least are needed. Join the corpora under a label set: load(..., labels='four')"
            )
        shared = np.isin(labels, common)
        rows, test = np.flatnonzero(here & shared), np.flatnonzero(there & shared)
        people = Groups.of(table.iloc[rows], labels[rows], "speaker")
        if people.count < 2:
            raise TableError(
                f"{listed(taught)} holds one speaker only; to train and validate on different people takes two"
            )
        validation = rows[people.validation(np.array([], int), seed)]
        yield np.setdiff1d(rows, validation), validation, test


@register(
    "corpus",
    "leave one corpus out: each is tested by what was learned from all emotions of the others",
    ["corpus", "speaker"],
)
def _corpus(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    """A corpus whose speakers are another's, as the songs of RAVDESS's actors, is learned from and not tested beside
    that one."""
    for tested in _tested(table):
        yield _without(table, labels, seed, [tested], [tested])


def _tested(table: pd.DataFrame) -> list[str]:
    """The corpora of a table whose speakers bear their own name, or that of a corpus which is not there."""
    corpora, known = column(table, "corpus"), _several(table)
    owners = pd.Series(column(table, "speaker")).str.rpartition(":")[0].groupby(corpora).unique()
    return [name for name in known if not set(owners[name]) <= {*known} - {name}]


def _without(
    table: pd.DataFrame, labels: np.ndarray, seed: int, left_out: Sequence[str], tested: Sequence[str]
) -> Parts:
    """What is learned from all corpora but some, and but those that share a speaker with these."""
    corpora, speakers = column(table, "corpus"), column(table, "speaker")
    named = ~unknown(speakers)
    theirs = np.unique(speakers[np.isin(corpora, left_out) & named])
    related = np.unique(corpora[np.isin(speakers, theirs) & named])
    rows = np.flatnonzero(~np.isin(corpora, [*left_out, *related]))
    what = f"with {listed(left_out)} left out, and what shares speakers with that,"
    people = Groups.of(table.iloc[rows], labels[rows], "speaker") if len(rows) else None
    if people is None or people.count < 2:
        raise TableError(
            f"{what} {'one speaker only is' if len(rows) else 'nothing is'} left to learn from; to train and validate "
            "on different people takes two"
        )
    validation = rows[people.validation(np.array([], int), seed)]
    train = np.setdiff1d(rows, validation)
    taught = np.isin(labels, labels[train])
    validation, test = validation[taught[validation]], np.flatnonzero(np.isin(corpora, tested) & taught)
    common = len(set(labels[test]))
    if common < 2 or not len(validation):
        raise TableError(
            f"{what} {listed(set(labels[train]))} are left to learn from, of which {listed(tested)} has "
            f"{common or 'none'}; two at least are needed. Join the corpora under a label set: load(..., labels='four')"
        )
    return train, validation, test


@register(
    "cross_corpus",
    "leave one corpus out: each is tested by what was learned from the others, over the classes in common",
    ["corpus", "speaker"],
)
def _cross_corpus(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    corpora = _several(table)
    return _between(table, labels, seed, [([c for c in corpora if c != tested], [tested]) for tested in corpora])


@register(
    "cross_corpus_pairs",
    "each corpus is tested by what was learned from each other one, over the classes in common",
    ["corpus", "speaker"],
)
def _cross_corpus_pairs(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    return _between(table, labels, seed, [([a], [b]) for a, b in permutations(_several(table), 2)])


def _several(table: pd.DataFrame) -> list[str]:
    """The corpora of a table that holds two or more."""
    corpora = np.unique(column(table, "corpus")).tolist()
    if len(corpora) < 2:
        raise TableError(
            f"all clips are of corpus {listed(corpora)}; to test a corpus on what others teach takes two or more: "
            "load(['ravdess', 'emodb'], labels='six')"
        )
    return corpora


def cross_corpus(table: pd.DataFrame, train: Iterable[str], test: Iterable[str], seed: int = 0) -> list[Fold]:
    """Train on some corpora and test on others, over the classes that both have.

    Args:
        table: a clip table of all these corpora; see :class:`Protocol`.
        train: names of the corpora to train and, with other speakers of theirs, to validate on.
        test: names of the corpora to test.
        seed: decides which speakers validate.

    Returns:
        One fold. Clips of other corpora, or of classes that are not on both sides, are in none of its parts.

    Raises:
        TableError: the corpora overlap, are not in the table, share fewer than two classes, or one speaker is all
            there is to learn from.

    Examples:
        >>> rows = [(f"{c}:{i}", c, f"{c}:{i % 3}", "happy" if i < 6 else "sad") for c in "abc" for i in range(12)]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> cross_corpus(table, train=["a", "b"], test=["c"])
        [Fold('cross_corpus/0', seed=0, train=20, validation=4, test=12, speaker-independent)]
    """
    train, test = list(train), list(test)
    known = np.unique(column(table, "corpus")).tolist()
    unknown, both = [name for name in (*train, *test) if name not in known], [name for name in train if name in test]
    if unknown or both or not (train and test):
        why = f"not in the table: {listed(unknown)}" if unknown else f"on both sides: {listed(both)}"
        raise TableError(
            f"name corpora to train on and others to test, of {listed(known)}; {why if unknown or both else 'none'}"
        )
    of = get("cross_corpus")
    return Protocol(of.name, of.description, partial(_between, pairs=[(train, test)]), of.independent_of)(table, seed)


def leave_out(
    table: pd.DataFrame, corpora: Iterable[str], seed: int = 0, *, tested: Iterable[str] | None = None
) -> Fold:
    """The fold of protocol ``corpus`` that leaves out some corpora.

    Args:
        table: a clip table; see :class:`Protocol`.
        corpora: names of the corpora to leave out; those that share speakers with them are left out too.
        seed: decides which speakers validate.
        tested: those of them that are tested; all where it is not given.

    Returns:
        A fold that learns from all clips of the other corpora, and tests the clips whose class these have.

    Raises:
        TableError: a corpus is not in the table, or too little is left to learn from or to test.

    Examples:
        >>> rows = [(f"{c}:{i}", c, f"{c}:{i % 3}", "happy" if i < 6 else "sad") for c in "abc" for i in range(12)]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> leave_out(table, ["b", "c"])
        Fold('corpus/0', seed=0, train=8, validation=4, test=24, speaker-independent)
    """
    names = list(corpora)
    tested = names if tested is None else list(tested)
    known = np.unique(column(table, "corpus")).tolist()
    if not names or not tested or {*names} - {*known} or {*tested} - {*names}:
        raise TableError(f"corpora to leave out, {listed(names) or 'none'}, and to test, {listed(tested) or 'none'}, "
                         f"must be some of {listed(known)}, and none may be tested that is not left out")  # fmt: skip
    of = get("corpus")

    def split(part: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
        yield _without(part, labels, seed, names, tested)

    (fold,) = Protocol(of.name, of.description, split, of.independent_of)(table, seed)
    return fold


def inner_corpora(table: pd.DataFrame, fold: Fold) -> list[Fold]:
    """What a fold that leaves a corpus out learns from, divided by corpus once more, to choose settings on.

    Args:
        table: the clip table that the fold points into.
        fold: one of protocol ``corpus``.

    Returns:
        A fold for each corpus that is learned from: it tests that corpus, and has no clip of the one that ``fold``
        tests in any of its parts. Which of two corpora is tested and which is left out for good changes nothing about
        what is learned: one training serves both.

    Raises:
        TableError: what is left cannot be divided so; it takes three corpora.

    Examples:
        >>> rows = [(f"{c}:{i}", c, f"{c}:{i % 3}", "happy" if i < 6 else "sad") for c in "abc" for i in range(12)]
        >>> table = pd.DataFrame(rows, columns=["clip_id", "corpus", "speaker", "emotion"])
        >>> [sorted(set(table.corpus[each.test])) for each in inner_corpora(table, leave_out(table, ["b"]))]
        [['a'], ['c']]
    """
    corpora = column(table, "corpus")
    left_out = np.unique(corpora[fold.test]).tolist()
    learned = set(corpora[np.union1d(fold.train, fold.validation)])
    return [
        replace(leave_out(table, [*left_out, name], fold.seed, tested=[name]), index=index)
        for index, name in enumerate(each for each in _tested(table) if each in learned)
    ]


def inner(
    table: pd.DataFrame, rows: np.ndarray, seed: int = 0, *, speaker_independent: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Divide training rows once more, to tune on.

    Args:
        table: a clip table.
        rows: row positions to divide, ``int [n]``.
        seed: the same seed on the same rows gives the same parts.
        speaker_independent: hold back whole speakers. Where there is one speaker only, or only one who speaks some
            class, clips are held back instead.

    Returns:
        Rows to train on and to validate on (about a sixth), ascending. Augmented copies of the latter are in neither.

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
        part = part.assign(parent=np.where(np.isin(made_of, part["clip_id"].to_numpy(dtype=str)), made_of, ""))

    def divided(split, independent_of: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
        (fold,) = Protocol("inner", "rows of a fold, divided once more", split, independent_of)(part, seed)
        return rows[fold.train], rows[fold.validation]

    if speaker_independent:
        with contextlib.suppress(TableError):  # too few speakers, or a class that one of them alone speaks
            return divided(_held_back_speakers, _PEOPLE)
    return divided(_held_back_clips, ())


def _held_back_speakers(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    nothing = np.array([], int)
    yield Groups.of(table, labels, "speaker").validation(nothing, seed), nothing


def _held_back_clips(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield sixth(table, labels, np.arange(len(table)), seed), np.array([], int)
