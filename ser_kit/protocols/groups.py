"""Divide rows into balanced parts of whole speakers or texts, or into shares of each class."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .table import column, listed

FOLDS = 5
"""Number of folds of the protocols that divide a table into parts of equal size."""

VALIDATION_SHARE = 1 / 6
"""Share of the training clips that is held out for early stopping, as near as whole speakers allow."""

_BALANCED = ("sex", "corpus")
"""Columns to balance parts by, besides the class, in order of importance."""


@dataclass(frozen=True)
class Groups:
    """Groups of clips that stay together, such as all clips of a speaker; integer codes ``[n]``."""

    groups: np.ndarray
    labels: np.ndarray
    sexes: np.ndarray
    strata: tuple[np.ndarray, ...]
    """Codes to balance parts by, from the finest stratification to none."""
    what: str
    """The kind of group, for messages."""

    @classmethod
    def of(cls, table: pd.DataFrame, labels: np.ndarray, name: str) -> Groups:
        """Group rows by the values of a column."""
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
        """Number of groups."""
        return self.groups.max() + 1

    def parts(self, rows: np.ndarray, most: int, seed: int) -> list[np.ndarray]:
        """Divide ``rows`` into at most ``most`` parts of whole groups, as balanced as possible."""
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
            )  # a class with fewer clips than parts is checked elsewhere
            found = [rows[part] for _, part in splitter.split(balance, balance, groups)]
        if any(len(part) == 0 for part in found):  # groups with no class in common can all end in one part
            order = np.random.default_rng(seed).permutation(known)
            found = [rows[np.isin(groups, order[i::count])] for i in range(count)]
        return found

    def validation(self, test: np.ndarray, seed: int) -> np.ndarray:
        """Choose the validation part: it has every class and sex, and leaves clips of each class for
        training."""
        rest = np.setdiff1d(np.arange(len(self.groups)), test)

        def merit(rows: np.ndarray) -> tuple:
            kept = self.labels[np.setdiff1d(rest, rows)]
            size = abs(len(rows) / len(rest) - VALIDATION_SHARE)
            return _distinct(kept), _distinct(self.labels[rows]), _distinct(self.sexes[rows]), -size

        return max(self.parts(rest, round(1 / VALIDATION_SHARE), seed), key=merit)


def _distinct(codes: np.ndarray) -> int:
    return np.count_nonzero(np.bincount(codes))


def quotas(counts: np.ndarray, share: float) -> np.ndarray:
    """Number of clips of each class for a share of all clips: exact in sum, and within one for each class.

    A class of three or more clips contributes at least one; a class of one clip contributes none.

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
    """Cut the last clips of each class for test, and those before them for validation.

    Args:
        labels: the class of each row, ``[n]``.
        order: row positions in the order in which classes are cut, ``int [n]``.
        validation: share of all clips, 0 to 1.
        test: share of all clips, 0 to 1.

    Raises:
        TableError: if a class has fewer than three clips, one for each part.
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
    """Draw a stratified sixth of some rows at random; a class of one clip contributes none.

    Raises:
        TableError: if there are too few clips to hold any out.
    """
    kinds, codes, counts = np.unique(labels[rows], return_inverse=True, return_counts=True)
    order = shuffled(table.iloc[rows], seed)
    held = [order[codes[order] == kind][:n] for kind, n in enumerate(quotas(counts, VALIDATION_SHARE))]
    found = rows[np.concatenate(held)]
    if not len(found):
        raise TableError(f"{len(rows)} clips of {listed(kinds)} are too few to hold some out for validation")
    return found


def shuffled(table: pd.DataFrame, seed: int) -> np.ndarray:
    """Row positions in a random order that depends on the clip ids and the seed, not on the order of the
    table."""
    order = np.argsort(column(table, "clip_id"), kind="stable")
    return order[np.random.default_rng(seed).permutation(len(order))]


def check_counts(kinds: np.ndarray, counts: np.ndarray, least: int, purpose: str) -> None:
    """Raise ``TableError`` if a class has too few clips."""
    rare = [f"'{kind}' ({count})" for kind, count in zip(kinds, counts, strict=True) if count < least]
    if rare:
        raise TableError(
            f"{purpose} takes at least {least} clips of each class; too few of {', '.join(rare)}"
        )
