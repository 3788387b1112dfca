"""Protocols of published systems with test speakers also in training; for comparison only."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from .base import COPIES, TEST_AS_VALIDATION, Parts, Protocol
from .groups import FOLDS, VALIDATION_SHARE, Groups, check_counts, cut, shuffled, sixth
from .table import column


def _random(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    from sklearn.model_selection import StratifiedKFold

    check_counts(*np.unique(labels, return_counts=True), FOLDS, f"a division into {FOLDS} stratified folds")
    for rest, test in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(labels, labels):
        rarest = np.unique(labels[rest], return_counts=True)[1].min()
        parts = StratifiedKFold(min(round(1 / VALIDATION_SHARE), rarest), shuffle=True, random_state=seed)
        yield rest[next(parts.split(rest, labels[rest]))[1]], test


def _random_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield next(_random(table, labels, seed))


def _random_80_20_peeking(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    _, test = next(_random(table, labels, seed))
    yield test, test


def _random_shares(
    table: pd.DataFrame, labels: np.ndarray, seed: int, validation: int, test: int
) -> Iterator[Parts]:
    yield cut(labels, shuffled(table, seed), validation / 100, test / 100)


def _temporal(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    """Divide clips in recording order (by ``clip_id``); nothing is random, so the seed is not used."""
    clips = pd.DataFrame(
        {"clip": column(table, "clip_id"), "speaker": column(table, "speaker"), "label": labels}
    )
    each = clips.sort_values("clip").groupby(["speaker", "label"])["clip"]
    clips["fraction"] = (each.cumcount() + 0.5) / each.transform("size")
    yield cut(labels, clips.sort_values(["fraction", "speaker", "clip"]).index.to_numpy(), 0.1, 0.1)


def _text(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    texts, everything = Groups.of(table, labels, "text_id"), np.arange(len(table))
    for test in texts.parts(everything, FOLDS, seed):
        rest = np.setdiff1d(everything, test)
        yield texts.validation(test, seed) if texts.count > 2 else sixth(table, labels, rest, seed), test


RANDOM = Protocol("random", "five stratified folds of clips; speakers are on both sides", _random)
RANDOM_80_20 = Protocol(
    "random_80_20", "one stratified 80/20 split of clips; speakers on both sides", _random_80_20
)
RANDOM_80_20_COPIES = Protocol(
    "random_80_20_copies",
    "the 80/20 split of clips, made after augmentation: copies of test clips are in training",
    _random_80_20,
    leaks=(COPIES,),
)
RANDOM_80_20_PEEKING = Protocol(
    "random_80_20_peeking",
    "the 80/20 split of clips with early stopping on the test clips",
    _random_80_20_peeking,
    leaks=(TEST_AS_VALIDATION,),
)
RANDOM_SHARES = tuple(
    Protocol(
        f"random_{train}_{validation}_{test}",
        f"one stratified split of clips, {train}/{validation}/{test} %; speakers on all sides",
        partial(_random_shares, validation=validation, test=test),
    )
    for train, validation, test in ((70, 15, 15), (76, 12, 12), (80, 10, 10))
)
RANDOM_80_10_10_COPIES = Protocol(
    "random_80_10_10_copies",
    "the 80/10/10 split of clips, made after augmentation: copies of test clips are in training",
    partial(_random_shares, validation=10, test=10),
    leaks=(COPIES,),
)
TEMPORAL = Protocol(
    "temporal_80_10_10",
    "the first 80 % of each speaker's clips of each class, the next 10 %, the last 10 %",
    _temporal,
)
TEXT = Protocol("text", "up to five folds of unseen texts; speakers are on both sides", _text, ("text_id",))
