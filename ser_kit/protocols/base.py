"""Folds, and the protocols that create them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..core.errors import TableError, UnknownNameError
from .table import check_speakers_are_known, classes, first_of_same_sound, listed, originals, warn_of_alike

TEST_AS_VALIDATION = "test as validation"
COPIES = "augmented copies"
LEAKS = ("speaker", TEST_AS_VALIDATION, COPIES)
"""Leaks that a protocol may declare: test speakers are in training; the test clips are used for early
stopping; augmented copies of test clips are in training."""


class Promise:
    """Independence and leaks of a fold, or of all folds of a protocol."""

    independent_of: tuple[str, ...]
    leaks: tuple[str, ...]

    def _set_leaks(self) -> None:
        """Derive the leak ``"speaker"`` from ``independent_of``, so that the two cannot contradict each
        other."""
        for leak in self.leaks:
            if leak not in LEAKS:
                raise UnknownNameError("leak", leak, LEAKS)
        admitted = {*self.leaks} - {"speaker"} | ({"speaker"} if not self.speaker_independent else set())
        object.__setattr__(self, "leaks", tuple(leak for leak in LEAKS if leak in admitted))

    @property
    def speaker_independent(self) -> bool:
        """Whether no speaker is in more than one of the three parts."""
        return "speaker" in self.independent_of

    @property
    def label(self) -> str:
        """``"speaker-independent"`` or ``"speaker-dependent"``, to be stated with every score."""
        return "speaker-independent" if self.speaker_independent else "speaker-dependent"


@dataclass(frozen=True, eq=False)
class Fold(Promise):
    """One division of a clip table into training, validation and test rows.

    Args:
        protocol: name of the protocol that created it.
        index: its number within the protocol, from 0.
        seed: the random seed it was created with.
        train: row positions of the training clips, ascending, ``int [n]``.
        validation: row positions of the validation clips (early stopping, calibration), ``int [n]``.
        test: row positions of the test clips, ``int [n]``.
        independent_of: columns whose values in the test rows occur in no training or validation row. For
            ``"speaker"``, training and validation rows are disjoint too.
        leaks: the declared leaks, from :data:`LEAKS`; ``"speaker"`` is derived from ``independent_of``.

    Examples:
        >>> fold = Fold("mine", 0, 0, train=[0], validation=[1], test=[2], independent_of=("text_id",))
        >>> fold.name, fold.label, fold.leaks
        ('mine/0', 'speaker-dependent', ('speaker',))
    """

    protocol: str
    index: int
    seed: int
    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    independent_of: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()

    def __post_init__(self):
        self._set_leaks()
        for side, rows in self.sides().items():
            rows = np.sort(np.asarray(rows, dtype=np.intp))
            rows.flags.writeable = False
            object.__setattr__(self, side, rows)

    @property
    def name(self) -> str:
        """Protocol and index, such as ``"speaker/0"``."""
        return f"{self.protocol}/{self.index}"

    def sides(self) -> dict[str, np.ndarray]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{side}={len(rows)}" for side, rows in self.sides().items())
        return f"Fold({self.name!r}, seed={self.seed}, {sizes}, {self.label})"


Parts = tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, np.ndarray]
"""Validation and test rows, with all other rows for training; or training, validation and test rows."""


@dataclass(frozen=True)
class Protocol(Promise):
    """A named way to divide a clip table.

    Args:
        name: name of the protocol.
        description: one sentence for tables and help texts.
        split: function ``(table, labels, seed)`` that yields the parts of each fold.
        independent_of: see :class:`Fold`.
        leaks: see :class:`Fold`.
    """

    name: str
    description: str
    split: Callable[[pd.DataFrame, np.ndarray, int], Iterator[Parts]]
    independent_of: tuple[str, ...] = ()
    leaks: tuple[str, ...] = ()

    def __post_init__(self):
        self._set_leaks()

    @property
    def splits_copies(self) -> bool:
        """Whether augmented copies are divided like independent clips."""
        return COPIES in self.leaks

    def __call__(self, table: pd.DataFrame, seed: int = 0) -> list[Fold]:
        """Divide a clip table.

        Augmented copies (rows whose ``parent`` is the ``clip_id`` of the original) are in training if their
        original is, and in no part otherwise; see also ``splits_copies``.

        Args:
            table: a clip table; classes are the column ``label`` if there is one, else ``emotion``.
            seed: random seed; the same seed and table give the same folds.

        Returns:
            The folds, as positions for ``table.iloc``.

        Raises:
            TableError: if the table has too few speakers, classes or clips for this protocol, or if the
                protocol promises unseen speakers and clips of unknown speakers are on two sides with others
                of their corpus.

        Warns:
            UserWarning: if the protocol promises unseen speakers, and speaker names look alike (``1``,
                ``01``, ``Actor_01``).
        """
        labels = classes(table)
        kinds, kind = np.unique(labels, return_inverse=True)
        everything = np.arange(len(table))
        origin = everything if self.splits_copies else originals(table)
        divided = np.flatnonzero(origin == everything)
        part = table if len(divided) == len(table) else table.iloc[divided]
        # Whole speakers are divided together with their duplicate recordings.
        firsts = None if self.speaker_independent else first_of_same_sound(part)
        if self.speaker_independent:
            warn_of_alike(part)
        folds = []
        for index, parts in enumerate(self.split(part, labels[divided], seed)):
            if firsts is not None:
                parts = [np.flatnonzero(np.isin(firsts, rows)) for rows in parts]
            *explicit, validation, test = parts
            train = explicit[0] if explicit else np.setdiff1d(np.arange(len(part)), np.concatenate(parts))
            train = np.flatnonzero(np.isin(origin, divided[train]))
            validation, test = divided[validation], divided[test]
            untrained = np.setdiff1d(kind[np.concatenate([validation, test])], kind[train])
            if len(untrained):
                another = (
                    " and ".join(name.removesuffix("_id") for name in self.independent_of) or "recording"
                )
                raise TableError(
                    f"fold {self.name}/{index} would train on no clip of {listed(kinds[untrained])}; "
                    "leave the class out with load(..., labels=[...]), or add clips of it "
                    f"of another {another}"
                )
            if self.speaker_independent:
                check_speakers_are_known(table, (train, validation, test), f"protocol {self.name!r}")
            folds.append(
                Fold(self.name, index, seed, train, validation, test, self.independent_of, self.leaks)
            )
        return folds
