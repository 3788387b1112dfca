"""Folds, and protocols that make them."""

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
"""What a protocol may admit to: tested speakers are heard in training; the clips that decide when to stop are
those that are tested; augmented copies of tested clips stand in training."""


class Promise:
    """What is promised of a fold, or of every fold of a protocol, and what is admitted."""

    independent_of: tuple[str, ...]
    leaks: tuple[str, ...]

    def _set_leaks(self) -> None:
        """``"speaker"`` follows from the promise, so that no two statements of it can differ."""
        for leak in self.leaks:
            if leak not in LEAKS:
                raise UnknownNameError("leak", leak, LEAKS)
        admitted = {*self.leaks} - {"speaker"} | ({"speaker"} if not self.speaker_independent else set())
        object.__setattr__(self, "leaks", tuple(leak for leak in LEAKS if leak in admitted))

    @property
    def speaker_independent(self) -> bool:
        """No speaker stands in more than one of the three parts."""
        return "speaker" in self.independent_of

    @property
    def label(self) -> str:
        """``"speaker-independent"`` or ``"speaker-dependent"``: belongs beside every number measured so."""
        return "speaker-independent" if self.speaker_independent else "speaker-dependent"


@dataclass(frozen=True, eq=False)
class Fold(Promise):
    """One division of a clip table.

    Args:
        protocol: name of the protocol that made it.
        index: its number within the protocol, from 0.
        seed: the seed it was drawn with.
        train: row positions to fit on, ascending, ``int [n]``.
        validation: row positions to choose epochs, rates and temperatures on, ``int [n]``.
        test: row positions to report on, ``int [n]``.
        independent_of: columns of the table of whose values none is both tested and trained or validated on.
            For ``"speaker"`` training and validation are disjoint, too.
        leaks: what is admitted to, of :data:`LEAKS`; ``"speaker"`` is filled in from ``independent_of``.

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
        """Such as ``"speaker/0"``."""
        return f"{self.protocol}/{self.index}"

    def sides(self) -> dict[str, np.ndarray]:
        """The three parts by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def __repr__(self) -> str:
        sizes = ", ".join(f"{side}={len(rows)}" for side, rows in self.sides().items())
        return f"Fold({self.name!r}, seed={self.seed}, {sizes}, {self.label})"


Parts = tuple[np.ndarray, np.ndarray] | tuple[np.ndarray, np.ndarray, np.ndarray]
"""Validation and test rows, everything else being training; or train, validation and test rows."""


@dataclass(frozen=True)
class Protocol(Promise):
    """A named way to divide a clip table.

    Args:
        name: how it is asked for.
        description: one sentence for tables and help texts.
        split: ``(table, labels, seed)`` to the parts of each fold.
        independent_of: what its folds promise, see :class:`Fold`.
        leaks: what its folds admit to, see :class:`Fold`.
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
        """Augmented copies are divided as if they were clips of their own."""
        return COPIES in self.leaks

    def __call__(self, table: pd.DataFrame, seed: int = 0) -> list[Fold]:
        """Divide a clip table.

        Rows with a ``parent`` (the ``clip_id`` of the recording that they are augmented copies of) are
        trained on where their parent is, and are left out of the folds that validate or test it; see also
        ``splits_copies``.

        Args:
            table: a clip table; classes are its column ``label`` where there is one, else ``emotion``.
            seed: the same seed on the same table gives the same folds.

        Returns:
            The folds, as positions into ``table`` (for ``table.iloc``, whatever its index).

        Raises:
            TableError: the table lacks speakers, classes or clips for this protocol; the message says which.
                Also where unseen speakers are promised and clips whose speaker is not known stand beside
                others of their corpus.

        Warns:
            UserWarning: unseen speakers are promised, and names of speakers look alike (``1``, ``01``,
                ``Actor_01``).
        """
        labels = classes(table)
        kinds, kind = np.unique(labels, return_inverse=True)
        everything = np.arange(len(table))
        origin = everything if self.splits_copies else originals(table)
        divided = np.flatnonzero(origin == everything)
        part = table if len(divided) == len(table) else table.iloc[divided]
        # Where whole speakers are moved, the doubles of a recording move with them.
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
            untaught = np.setdiff1d(kind[np.concatenate([validation, test])], kind[train])
            if len(untaught):
                another = (
                    " and ".join(name.removesuffix("_id") for name in self.independent_of) or "recording"
                )
                raise TableError(
                    f"fold {self.name}/{index} would train on no clip of {listed(kinds[untaught])}; "
                    "leave the class out with load(..., labels=[...]), or add clips of it "
                    f"of another {another}"
                )
            if self.speaker_independent:
                check_speakers_are_known(table, (train, validation, test), f"protocol {self.name!r}")
            folds.append(
                Fold(self.name, index, seed, train, validation, test, self.independent_of, self.leaks)
            )
        return folds
