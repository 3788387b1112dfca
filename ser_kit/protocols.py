"""How clips are divided to train, validate and test, and the audit that nothing leaks.

A protocol is called with a clip table and returns folds of row positions. ``speaker`` is the default: nobody who is
heard in training is tested. ``random`` is the split that most published numbers rest on; every speaker stands on both
sides of it, so it measures how well a model knows the voices of a corpus as much as how well it knows emotions.

Examples:
    >>> import pandas as pd
    >>> rows = [(f"{s}-{e}-{i}", f"demo:{s}", e) for s in range(6) for e in ("happy", "sad") for i in range(5)]
    >>> table = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion"])
    >>> folds = get("speaker")(table, seed=0)
    >>> len(folds), set(table.speaker[folds[0].train]) & set(table.speaker[folds[0].test])
    (5, set())
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
import pandas as pd

from .audio import fingerprint
from .errors import AudioError, LeakageError, TableError, UnknownNameError

FOLDS = 5
VALIDATION_SHARE = 1 / 6
"""Part of the training clips that is held back to choose the epoch: one in six, as near as whole speakers allow."""


@dataclass(frozen=True, eq=False)
class Fold:
    """One division of a clip table.

    Args:
        protocol: name of the protocol that made it.
        index: its number within the protocol, from 0.
        seed: the seed it was drawn with.
        train: row positions to fit on, ascending, ``int [n]``.
        validation: row positions to choose epochs, rates and temperatures on, ``int [n]``.
        test: row positions to report on, ``int [n]``.
        speaker_independent: no speaker stands in more than one of the three parts.
    """

    protocol: str
    index: int
    seed: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    speaker_independent: bool

    def __post_init__(self):
        for side, rows in self.sides().items():
            rows = np.sort(np.asarray(rows, dtype=np.intp))
            rows.flags.writeable = False
            object.__setattr__(self, side, rows)

    @property
    def name(self) -> str:
        """Such as ``"speaker/0"``."""
        return f"{self.protocol}/{self.index}"

    def sides(self) -> dict[str, np.ndarray]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{side}={len(rows)}" for side, rows in self.sides().items())
        return f"Fold({self.name!r}, seed={self.seed}, {sizes}, speaker_independent={self.speaker_independent})"


_Parts = tuple[np.ndarray, np.ndarray]
"""Validation and test rows; everything else is training."""


@dataclass(frozen=True)
class Protocol:
    """A named way to divide a clip table.

    Args:
        name: how it is asked for.
        speaker_independent: whether its folds promise that no speaker crosses.
        description: one sentence for tables and help texts.
        split: ``(table, labels, seed)`` to validation and test rows, one pair per fold.
    """

    name: str
    speaker_independent: bool
    description: str
    split: Callable[[pd.DataFrame, np.ndarray, int], Iterator[_Parts]]

    def __call__(self, table: pd.DataFrame, seed: int = 0) -> list[Fold]:
        """Divide a clip table.

        Args:
            table: a clip table; classes are its column ``label`` where there is one, else ``emotion``.
            seed: the same seed on the same table gives the same folds.

        Returns:
            The folds, as positions into ``table`` (for ``table.iloc``, whatever its index).

        Raises:
            TableError: the table lacks speakers, classes or clips for this protocol; the message says which.
        """
        labels = _labels(table)
        classes, codes = np.unique(labels, return_inverse=True)
        # Where whole speakers are moved, the copies of a recording move with them.
        firsts = None if self.speaker_independent else _first_of_same_sound(table)
        folds = []
        for index, (validation, test) in enumerate(self.split(table, labels, seed)):
            if firsts is not None:
                validation, test = (np.flatnonzero(np.isin(firsts, rows)) for rows in (validation, test))
            train = np.setdiff1d(np.arange(len(table)), np.concatenate([validation, test]))
            untaught = classes[np.bincount(codes[train], minlength=len(classes)) == 0]
            if len(untaught):
                raise TableError(
                    f"fold {self.name}/{index} would train on no clip of {_listed(untaught)}; "
                    "leave the class out with load(..., labels=[...]), or add clips of it by more speakers"
                )
            folds.append(Fold(self.name, index, seed, train, validation, test, self.speaker_independent))
        return folds


_PROTOCOLS: dict[str, Protocol] = {}


def get(name: str) -> Protocol:
    """The protocol of a name.

    Raises:
        UnknownNameError: there is none; the message lists those there are.
    """
    if name not in _PROTOCOLS:
        raise UnknownNameError("protocol", name, _PROTOCOLS)
    return _PROTOCOLS[name]


def names() -> list[str]:
    """Names of all protocols, the default first."""
    return list(_PROTOCOLS)


def _protocol(name: str, *, speaker_independent: bool, description: str):
    def register(split):
        _PROTOCOLS[name] = Protocol(name, speaker_independent, description, split)
        return split

    return register


@_protocol(
    "speaker", speaker_independent=True, description="five folds of unseen speakers, balanced by emotion and sex"
)
def _speaker(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[_Parts]:
    people = _People.of(table, labels)
    for test in people.parts(np.arange(len(table)), FOLDS, seed):
        yield people.validation(test, seed), test


@_protocol(
    "random", speaker_independent=False, description="five stratified folds of clips; speakers are on both sides"
)
def _random(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[_Parts]:
    from sklearn.model_selection import StratifiedKFold

    classes, counts = np.unique(labels, return_counts=True)
    if counts.min() < FOLDS:
        rare = [f"'{name}' ({count})" for name, count in zip(classes, counts, strict=True) if count < FOLDS]
        raise TableError(
            f"{FOLDS} stratified folds need at least {FOLDS} clips of each class; too few of {', '.join(rare)}"
        )
    for rest, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels):
        rarest = np.unique(labels[rest], return_counts=True)[1].min()
        parts = StratifiedKFold(min(round(1 / VALIDATION_SHARE), rarest), shuffle=True, random_state=seed)
        yield rest[next(parts.split(rest, labels[rest]))[1]], test


@_protocol("loso", speaker_independent=True, description="leave one speaker out: one fold per speaker")
def _loso(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[_Parts]:
    people = _People.of(table, labels)
    for speaker in range(people.speakers.max() + 1):
        test = np.flatnonzero(people.speakers == speaker)
        yield people.validation(test, seed), test


@_protocol(
    "speaker_80_20", speaker_independent=True, description="one fold: a fifth of the speakers, unseen, is tested"
)
def _speaker_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[_Parts]:
    yield next(_speaker(table, labels, seed))


@_protocol(
    "random_80_20", speaker_independent=False, description="one stratified 80/20 split of clips; speakers on both sides"
)
def _random_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[_Parts]:
    yield next(_random(table, labels, seed))


def _column(table: pd.DataFrame, column: str) -> np.ndarray:
    """A text column without gaps, as a NumPy array of ``str``."""
    if column not in table:
        raise TableError(f"the clip table has no column {column!r}; it has {', '.join(map(str, table.columns))}")
    empty = (table[column].isna() | (table[column].astype(str) == "")).to_numpy()
    if empty.any():
        raise TableError(f"{empty.sum()} of {len(table)} clips have no {column}; the first is row {empty.argmax()}")
    return table[column].to_numpy(dtype=str)


def _labels(table: pd.DataFrame) -> np.ndarray:
    if not len(table):
        raise TableError("the clip table is empty; nothing can be divided")
    labels = _column(table, "label" if "label" in table else "emotion")
    if len(set(labels)) < 2:
        raise TableError(f"all clips are '{labels[0]}'; at least two classes are needed to tell apart")
    return labels


def _speakers(table: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    speakers = _column(table, "speaker")
    known = np.unique(speakers)
    if len(known) < 3:
        raise TableError(
            f"only {len(known)} speaker{'s' * (len(known) > 1)} ({_listed(known)}); to train, validate and test on "
            "different people takes three or more. Name the speakers in the table, join another corpus, "
            "or use protocol 'random', which does not measure unseen speakers"
        )
    owners = pd.Series(speakers).groupby(labels).agg(["nunique", "first"])
    alone = owners[owners["nunique"] == 1]
    if len(alone):
        spoken = [f"'{label}' is spoken only by {who}" for label, who in alone["first"].items()]
        raise TableError(
            f"{', '.join(spoken)}; "
            "nobody is left to learn the class from while its speaker is tested. Leave the class out, "
            "or use protocol 'random'"
        )
    return speakers


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(str(name)) for name in names)


_BALANCED = ("sex", "corpus")
"""Columns that parts are balanced by, beside the class, in order of importance."""


@dataclass(frozen=True)
class _People:
    """Who says what in a clip table, as integer codes ``[n]``."""

    speakers: np.ndarray
    labels: np.ndarray
    sexes: np.ndarray
    strata: tuple[np.ndarray, ...]
    """What to balance parts by, from the finest wish to none at all."""

    @classmethod
    def of(cls, table: pd.DataFrame, labels: np.ndarray) -> _People:
        speakers = pd.factorize(_speakers(table, labels), sort=True)[0]
        clips = pd.DataFrame({"label": labels}).assign(
            **{c: table[c].fillna("").astype(str).to_numpy() if c in table else "" for c in _BALANCED}
        )
        finest_first = range(clips.shape[1], 0, -1)
        strata = [clips.groupby(list(clips.columns[:depth])).ngroup().to_numpy() for depth in finest_first]
        return cls(speakers, strata[-1], pd.factorize(clips["sex"])[0], (*strata, np.zeros(len(labels), dtype=int)))

    def parts(self, rows: np.ndarray, most: int, seed: int) -> list[np.ndarray]:
        """``rows`` in ``most`` parts of whole speakers, fewer where there are fewer speakers, as balanced as can be."""
        from sklearn.model_selection import StratifiedGroupKFold

        speakers = self.speakers[rows]
        known = np.unique(speakers)
        count = min(most, len(known))
        balance = next(s[rows] for s in self.strata if np.bincount(s[rows]).max() >= count)
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a class rarer than the parts: checked where it matters
            found = [rows[part] for _, part in splitter.split(balance, balance, speakers)]
        if any(len(part) == 0 for part in found):  # speakers with no class in common can all end in one part
            order = np.random.default_rng(seed).permutation(known)
            found = [rows[np.isin(speakers, order[i::count])] for i in range(count)]
        return found

    def validation(self, test: np.ndarray, seed: int) -> np.ndarray:
        """Rows of the speakers that validate best: every class and sex heard, and no class taken from training."""
        rest = np.setdiff1d(np.arange(len(self.speakers)), test)

        def merit(rows: np.ndarray) -> tuple:
            kept = self.labels[np.setdiff1d(rest, rows)]
            size = abs(len(rows) / len(rest) - VALIDATION_SHARE)
            return _distinct(kept), _distinct(self.labels[rows]), _distinct(self.sexes[rows]), -size

        return max(self.parts(rest, round(1 / VALIDATION_SHARE), seed), key=merit)


def _distinct(codes: np.ndarray) -> int:
    return np.count_nonzero(np.bincount(codes))


@cache
def _fingerprint(path: str, modified_ns: int, size: int) -> str:
    """Each state of a file is decoded once per process, however many folds and audits ask for it."""
    return fingerprint(path)


def _fingerprints(table: pd.DataFrame) -> np.ndarray:
    found, unread = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # silent or truncated: not this audit's business
        for path in _column(table, "path"):
            try:
                status = os.stat(path)
                found.append(_fingerprint(path, status.st_mtime_ns, status.st_size))
            except (OSError, AudioError):
                found.append(f"unread:{path}")
                unread.append(path)
    if unread:
        warnings.warn(
            f"{len(unread)} of {len(table)} recordings cannot be read (the first: {unread[0]}); "
            "whether their sound is on two sides of a split could not be checked",
            stacklevel=3,
        )
    return np.array(found)


def _first_of_same_sound(table: pd.DataFrame) -> np.ndarray:
    """For each row, the first row with the same sound: corpora hold copies (RAVDESS one), and copies stay together."""
    if "path" not in table:
        return np.arange(len(table))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the audit says which recordings cannot be read
        sounds = _codes(_fingerprints(table))
    return np.unique(sounds, return_index=True)[1][sounds]


def audit(table: pd.DataFrame, folds: Fold | Iterable[Fold], *, fingerprints: Sequence[str] | None = None) -> None:
    """Make sure that nothing which is tested was seen in training.

    A clip is the same clip by its row, its ``clip_id``, its path, or its sound: two files with equal samples are
    one recording, whatever they are called. Speakers are compared where the fold promises independence of them.

    Args:
        table: the clip table that the folds point into.
        folds: one fold or several.
        fingerprints: what identifies the content of each row, ``[len(table)]``; rows made from one recording, such as
            augmented copies, share theirs. Left out, the decoded samples of each ``path`` are hashed, once per process.

    Raises:
        LeakageError: something crosses; ``.offenders`` holds every clip or speaker that does.
        TableError: a fold points outside the table, or ``fingerprints`` has another length than the table.

    Examples:
        >>> table = pd.DataFrame({"clip_id": ["a", "b", "c"], "speaker": ["x", "y", "z"]})
        >>> fold = Fold("mine", 0, 0, train=[0], validation=[1], test=[2], speaker_independent=True)
        >>> audit(table, fold, fingerprints=["1", "2", "3"])
        >>> audit(table, fold, fingerprints=["1", "2", "1"])
        Traceback (most recent call last):
        ...
        ser_kit.errors.LeakageError: fold mine/0: the same sound is in train and in test: a, c
    """
    folds = [folds] if isinstance(folds, Fold) else list(folds)
    clips = _column(table, "clip_id")
    if fingerprints is not None and len(fingerprints) != len(table):
        raise TableError(f"{len(fingerprints)} fingerprints for a table of {len(table)} clips; one per row is needed")
    content = _fingerprints(table) if fingerprints is None else np.asarray(fingerprints, dtype=str)
    # Each identity as one integer per row, and what to call the rows that share it.
    identities = {"the same row": (np.arange(len(table)), clips), "the same clip": (_codes(clips), clips)}
    if "path" in table:
        identities["the same file"] = (_codes(_column(table, "path")), clips)
    identities["the same sound"] = (_codes(content), clips)
    if any(fold.speaker_independent for fold in folds):
        speakers = _column(table, "speaker")
        identities["the same speaker"] = (_codes(speakers), speakers)
    for fold in folds:
        for side, rows in fold.sides().items():
            if len(rows) and (rows[0] < 0 or rows[-1] >= len(table)):
                raise TableError(f"fold {fold.name}: {side} points outside the table of {len(table)} clips")
        for (here, left), (there, right) in combinations(fold.sides().items(), 2):
            for what, (codes, names) in identities.items():
                if what == "the same speaker" and not fold.speaker_independent:
                    continue
                crossing = _seen(codes, left) & _seen(codes, right)
                if crossing.any():
                    rows = np.concatenate([left, right])
                    offenders = set(names[rows[crossing[codes[rows]]]])
                    raise LeakageError(f"fold {fold.name}: {what} is in {here} and in {there}", offenders)


def _seen(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether each code occurs in some rows."""
    seen = np.zeros(len(codes), dtype=bool)
    seen[codes[rows]] = True
    return seen


def _codes(values: np.ndarray) -> np.ndarray:
    return pd.factorize(values)[0]
