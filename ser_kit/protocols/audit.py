"""The leakage audit: no test clip may have been used in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..core.errors import LeakageError, TableError
from .base import COPIES, TEST_AS_VALIDATION, Fold
from .table import check_speakers_are_known, codes, column, parents, stretches
from .table import fingerprints as hashed


class Identity(NamedTuple):
    """A criterion by which rows count as the same."""

    what: str
    """Name of the criterion, such as ``"sound"``."""
    codes: np.ndarray
    """Equal integers for equal rows, ``int [n]``."""
    names: np.ndarray
    """Names of the rows for messages, ``str [n]``."""
    of_recording: bool = False
    """Whether a recording and its augmented copies count as the same."""


def audit(
    table: pd.DataFrame,
    folds: Fold | Iterable[Fold],
    *,
    fingerprints: Sequence[str] | None = None,
    fitted: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Check that no test clip was used in training.

    Two rows are the same clip if they have the same position, ``clip_id``, path (for parts of a file: if they
    overlap by 0.1 s or more), original recording (column ``parent`` of augmented copies) or decoded samples.
    Columns that a fold is independent of, such as speakers, are compared too. The leaks that a fold declares
    (``leaks``) are allowed.

    Args:
        table: the clip table that the folds refer to.
        folds: one fold or several.
        fingerprints: a hash of the content of each row, ``[len(table)]``, shared by rows from one recording,
            such as augmented copies. By default the decoded samples of each clip are hashed, once per
            process.
        fitted: name of each fitted part -> the rows it was fitted on, such as ``{"scaler": fold.train}``. If
            a fold declares the leak "test as validation", parts fitted on its validation rows alone are
            allowed.

    Raises:
        LeakageError: if a clip or a speaker is on both sides; ``.offenders`` holds all of them.
        TableError: if a fold refers to rows outside the table, ``fingerprints`` and the table differ in
            length, or a fold promises unseen speakers and speakers are not known.

    Examples:
        >>> table = pd.DataFrame({"clip_id": ["a", "b", "c"], "speaker": ["x", "y", "z"]})
        >>> fold = Fold("mine", 0, 0, train=[0], validation=[1], test=[2], independent_of=("speaker",))
        >>> audit(table, fold, fingerprints=["1", "2", "3"])
        >>> audit(table, fold, fingerprints=["1", "2", "1"])
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.LeakageError: fold mine/0: the same sound is in train and in test: a, c
        >>> audit(table, fold, fingerprints=["1", "2", "3"], fitted={"scaler": [0, 2]})
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.LeakageError: fold mine/0: the scaler was fitted on test clips: c
    """
    folds = [folds] if isinstance(folds, Fold) else list(folds)
    if fingerprints is not None and len(fingerprints) != len(table):
        raise TableError(
            f"{len(fingerprints)} fingerprints for a table of {len(table)} clips; one per row is needed"
        )
    content = hashed(table) if fingerprints is None else np.asarray(fingerprints, dtype=str)
    identities, is_copy = _identities(table, content), parents(table) != ""
    promised = {
        name: Identity(name.removesuffix("_id"), codes(values), values)
        for name in dict.fromkeys(name for fold in folds for name in fold.independent_of)
        for values in [column(table, name)]
    }
    fitted = {what: np.asarray(rows, dtype=np.intp) for what, rows in (fitted or {}).items()}
    for fold in folds:
        if fold.speaker_independent:
            check_speakers_are_known(table, fold.sides().values(), f"fold {fold.name}")
        _check(fold, table, identities, promised, is_copy, fitted)


def _identities(table: pd.DataFrame, content: np.ndarray) -> list[Identity]:
    clips, made_of = column(table, "clip_id"), parents(table)
    found = [Identity("row", np.arange(len(table)), clips), Identity("clip", codes(clips), clips)]
    if (made_of != "").any():
        found.append(Identity("recording", codes(np.where(made_of != "", made_of, clips)), clips, True))
    if "path" in table:
        what = "part of a file" if "start" in table else "file"
        found.append(Identity(what, stretches(table), clips, True))
    return [*found, Identity("sound", codes(content), clips, True)]


def _check(
    fold: Fold,
    table: pd.DataFrame,
    identities: list[Identity],
    promised: dict[str, Identity],
    is_copy: np.ndarray,
    fitted: dict[str, np.ndarray],
) -> None:
    for what, rows in [*fold.sides().items(), *fitted.items()]:
        if len(rows) and (rows.min() < 0 or rows.max() >= len(table)):
            raise TableError(f"fold {fold.name}: {what} points outside the table of {len(table)} clips")

    def crossing(identity: Identity, left: np.ndarray, right: np.ndarray) -> set[str]:
        """Names of the clips or speakers that are in both."""
        if identity.of_recording and COPIES in fold.leaks:
            left, right = left[~is_copy[left]], right[~is_copy[right]]
        both = _seen(identity.codes, left) & _seen(identity.codes, right)
        rows = np.concatenate([left, right])
        return set(identity.names[rows[both[identity.codes[rows]]]]) if both.any() else set()

    pairs = list(combinations(fold.sides().items(), 2))
    if TEST_AS_VALIDATION in fold.leaks:
        pairs = [pair for pair in pairs if pair[0][0] == "train"]
    checks = [(identity, pair) for identity in identities for pair in pairs]
    for name in fold.independent_of:
        # Validation may share columns other than speakers with training; the test set may not.
        checks += [(promised[name], pair) for pair in pairs if name == "speaker" or pair[1][0] == "test"]
    for identity, ((here, left), (there, right)) in checks:
        if found := crossing(identity, left, right):
            raise LeakageError(
                f"fold {fold.name}: the same {identity.what} is in {here} and in {there}", found
            )
    for what, rows in fitted.items():
        if TEST_AS_VALIDATION in fold.leaks and np.isin(rows, fold.validation).all():
            continue
        for identity in identities:
            if found := crossing(identity, rows, fold.test):
                raise LeakageError(f"fold {fold.name}: the {what} was fitted on test clips", found)
        for identity in (promised[name] for name in fold.independent_of):
            if found := crossing(identity, rows, fold.test):
                raise LeakageError(
                    f"fold {fold.name}: the {what} was fitted on clips that share their {identity.what} with "
                    "test clips", found
                )  # fmt: skip


def _seen(codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Whether each code occurs in the rows, ``bool [codes]``."""
    seen = np.zeros(len(codes), dtype=bool)
    seen[codes[rows]] = True
    return seen
