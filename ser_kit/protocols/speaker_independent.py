"""Protocols that test on unseen speakers: folds, leave-one-speaker-out, and the folds of EmoBox."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .base import Parts, Protocol
from .groups import FOLDS, Groups
from .table import column, listed, unseen_speakers

PEOPLE = ("speaker",)
"""Columns that these protocols are independent of, see :class:`Fold`."""


EMOBOX: dict[str, tuple[tuple[str, ...], ...]] = {
    "ravdess": (
        ("01", "11", "20", "21"), ("04", "10", "12", "14"), ("08", "09", "19", "23"),
        ("03", "05", "07", "24"), ("02", "15", "16", "18"), ("06", "13", "17", "22"),
    ),
    "savee": (("JE",), ("KL",), ("DC",), ("JK",)),
    "iemocap": tuple((f"Ses0{session}F", f"Ses0{session}M") for session in range(1, 6)),
}  # fmt: skip
"""Test speakers of each fold: Ma et al. (2024), EmoBox: multilingual multi-corpus speech emotion recognition
toolkit and benchmark, Interspeech, arXiv:2406.07162."""


def _speaker_groups(table: pd.DataFrame, labels: np.ndarray) -> Groups:
    unseen_speakers(table, labels)
    return Groups.of(table, labels, "speaker")


def _speaker(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    people = _speaker_groups(table, labels)
    for test in people.parts(np.arange(len(table)), FOLDS, seed):
        yield people.validation(test, seed), test


def _loso(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    people = _speaker_groups(table, labels)
    for speaker in range(people.count):
        test = np.flatnonzero(people.groups == speaker)
        yield people.validation(test, seed), test


def _speaker_80_20(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    yield next(_speaker(table, labels, seed))


def _emobox(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    """Corpora other than the divided one are in training in every fold."""
    corpora = np.unique(column(table, "corpus"))
    divided = [name for name in corpora if name in EMOBOX]
    if len(divided) != 1:
        raise TableError(
            f"protocol 'emobox' divides one corpus of {listed(EMOBOX)}, not {listed(divided or corpora)}; "
            "use 'speaker' for other corpora and mixtures"
        )
    people, speakers = _speaker_groups(table, labels), column(table, "speaker")
    for tested in EMOBOX[divided[0]]:
        test = np.flatnonzero(np.isin(speakers, [f"{divided[0]}:{speaker}" for speaker in tested]))
        if len(test):
            yield people.validation(test, seed), test


SPEAKER = Protocol("speaker", "five folds of unseen speakers, balanced by emotion and sex", _speaker, PEOPLE)
LOSO = Protocol("loso", "leave one speaker out: one fold per speaker", _loso, PEOPLE)
SPEAKER_80_20 = Protocol(
    "speaker_80_20", "one fold: a fifth of the speakers, unseen, is tested", _speaker_80_20, PEOPLE
)
EMOBOX_FOLDS = Protocol(
    "emobox", "the published EmoBox folds of unseen speakers, for RAVDESS, SAVEE and IEMOCAP", _emobox, PEOPLE
)
