"""How rows are put together in parts: whole speakers or texts as balanced as can be, or shares of each
class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .table import column, listed

FOLDS = 5
"""Folds of the protocols that divide a table into parts of equal size."""

VALIDATION_SHARE = 1 / 6
"""Share of the training clips that is held back to choose the epoch, as near as whole speakers allow."""

_BALANCED = ("sex", "corpus")
"""Columns that parts are balanced by, beside the class, in order of importance."""


@dataclass(frozen=True)
class Groups:
    """What belongs together in a clip table, such as all that one speaker says; integer codes ``[n]``."""

    groups: np.ndarray
    labels: np.ndarray
    sexes: np.ndarray
    strata: tuple[np.ndarray, ...]
    """What to balance parts by, from the finest wish to none at all."""
    what: str
    """What a group is, for messages."""

    @classmethod
    def of(cls, table: pd.DataFrame, labels: np.ndarray, name: str) -> Groups:
        """The groups of rows that have the same value in a column."""
        groups = pd.factorize(column(table, name), sort=True)[0]
        clips = pd.DataFrame({"label": labels}).assign(
            **{c: table[c].fillna("").astype(str).to_numpy() if c in table else "" for c in _BALANCED}
        )
        finest_first = range(clips.shape[1], 0, -1)
        strata = [clips.groupby(list(clips.columns[:depth])).ngroup().to_numpy() for depth in finest_first]
        none = np.zeros(len(labels), dtype=int)
        return cls(
            groups, strata[-1], pd.factorize(clips["sex"])[0], (*strata, none), name.removesuffix("_id")
        )

    @property
    def count(self) -> int:
        """How many groups there are."""
        return self.groups.max() + 1

    def parts(self, rows: np.ndarray, most: int, seed: int) -> list[np.ndarray]:
        """``rows`` in at most ``most`` parts of whole groups, as balanced as possible."""
        from sklearn.model_selection import StratifiedGroupKFold

        groups = self.groups[rows]
        known = np.unique(groups)
        count = min(most, len(known))
        if count < 2:
            raise TableError(
                f"{len(known)} {self.what}{'s' * (len(known) != 1)} cannot be divided; two or more are needed"
            )
        balance = next(s[rows] for s in self.strata if np.bincount(s[rows]).max() >= count)
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", UserWarning
            )  # a class rarer than the parts: checked where it matters
            found = [rows[part] for _, part in splitter.split(balance, balance, groups)]
        if any(len(part) == 0 for part in found):  # groups with no class in common can all end in one part
            order = np.random.default_rng(seed).permutation(known)
            found = [rows[np.isin(groups, order[i::count])] for i in range(count)]
        return found

    def validation(self, test: np.ndarray, seed: int) -> np.ndarray:
        """The part that validates best: with every class and sex, and without the last clips of a class."""
        rest = np.setdiff1d(np.arange(len(self.groups)), test)

        def merit(rows: np.ndarray) -> tuple:
            kept = self.labels[np.setdiff1d(rest, rows)]
            size = abs(len(rows) / len(rest) - VALIDATION_SHARE)
            return _distinct(kept), _distinct(self.labels[rows]), _distinct(self.sexes[rows]), -size

        return max(self.parts(rest, round(1 / VALIDATION_SHARE), seed), key=merit)


def _distinct(codes: np.ndarray) -> int:
    return np.count_nonzero(np.bincount(codes))


def quotas(counts: np.ndarray, share: float) -> np.ndarray:
    """How many clips of each class make up a share of all: right in sum, and within one for each class.

    A class of three clips or more gives one at least; a class of one clip gives none.

    Examples:
        >>> quotas(np.array([192, 192, 96]), 0.15)
        array([29, 29, 14])
        >>> quotas(np.array([40, 3, 1]), 0.1)
        array([4, 1, 0])
    """
    exact = counts * (counts > 1) * share
    taken = np.maximum(np.floor(exact), counts >= 3).astype(int)
    missing = max(0, round(exact.sum()) - taken.sum())
    taken[np.argsort(taken - exact, kind="stable")[:missing]] += 1
    return taken


def cut(
    labels: np.ndarray, order: np.ndarray, validation: float, test: float
) -> tuple[np.ndarray, np.ndarray]:
    """The last clips of each class to test and those before them to validate.

    Args:
        labels: the class of each row, ``[n]``.
        order: row positions in the order that classes are cut in, ``int [n]``.
        validation: share of all clips.
        test: share of all clips.

    Raises:
        TableError: a class has fewer than three clips, one for each part.
    """
    kinds, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    check_counts(kinds, counts, 3, "to train, validate and test on other clips")
    validated, tested = [], []
    for kind, (v, t) in enumerate(zip(quotas(counts, validation), quotas(counts, test), strict=True)):
        rows = order[codes[order] == kind]
        validated.append(rows[len(rows) - t - v : len(rows) - t])
        tested.append(rows[len(rows) - t :])
    return np.concatenate(validated), np.concatenate(tested)


def sixth(table: pd.DataFrame, labels: np.ndarray, rows: np.ndarray, seed: int) -> np.ndarray:
    """A stratified sixth of some rows, drawn at random; a class of one clip is left whole.

    Raises:
        TableError: there are too few clips for any to be held back.
    """
    kinds, codes, counts = np.unique(labels[rows], return_inverse=True, return_counts=True)
    order = shuffled(table.iloc[rows], seed)
    held = [order[codes[order] == kind][:n] for kind, n in enumerate(quotas(counts, VALIDATION_SHARE))]
    found = rows[np.concatenate(held)]
    if not len(found):
        raise TableError(f"{len(rows)} clips of {listed(kinds)} are too few to hold some back for validation")
    return found


def shuffled(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Row positions in an order that depends on the clips and the seed, but not on the order of the table."""
    order = np.argsort(column(table, "clip_id"), kind="stable")
    return order[np.random.default_rng(seed).permutation(len(order))]


def check_counts(kinds: np.ndarray, counts: np.ndarray, least: int, purpose: str) -> None:
    """Raises ``TableError`` with the classes that have fewer clips than are needed."""
    rare = [f"'{kind}' ({count})" for kind, count in zip(kinds, counts, strict=True) if count < least]
    if rare:
        raise TableError(
            f"{purpose} takes at least {least} clips of each class; too few of {', '.join(rare)}"
        )
