"""What extraction gives: features as arrays and as a table, and the files they are saved in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..core.errors import FeatureError, MissingDependencyError
from ..core.paths import replacing
from ..features.base import Extractor

FRAME_COLUMNS = ("clip_id", "corpus", "speaker", "sex", "emotion")
"""Columns of the clip table that stand before the features (``label`` too, where there is one)."""

ROWS = 2_000
"""Rows of a table that are written at a time."""

_SHEET_ROWS = 1 << 20  # that an XLSX sheet holds, with the header


@dataclass(frozen=True, eq=False)
class Features:
    """What an extractor found in the clips of a table.

    Args:
        values: float32 ``[n, *extractor.shape]``; where clips keep their lengths, the longest decides and the
            others end in zeros. Where they do not fit into memory,
            :class:`~ser_kit.extraction.on_disk.OnDisk` stands for them.
        table: the clip table of the ``n`` clips that worked, in the order they were given.
        failures: one row per clip that did not: ``clip_id, path, error`` (the exception's class) and
            ``reason``.
        lengths: ``[n]``, leading rows of each array that are sound and not padding.
        extractor: what made them.
    """

    values: np.ndarray
    table: pd.DataFrame
    failures: pd.DataFrame
    lengths: np.ndarray
    extractor: Extractor

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"<Features {self.values.shape} of {self.extractor.identity}; {len(self.failures)} failures>"

    def subset(self, indices: np.ndarray | Sequence[int] | Sequence[bool]) -> Features:
        """The clips at ``indices`` (integers or a boolean mask), in that order; failures are left behind."""
        indices = np.arange(len(self))[np.asarray(indices)]
        return replace(
            self,
            values=self.values[indices],
            table=self.table.iloc[indices].reset_index(drop=True),
            failures=self.failures.iloc[:0],
            lengths=self.lengths[indices],
        )

    def to_frame(
        self, *, before: Sequence[str] = (*FRAME_COLUMNS, "label"), after: Sequence[str] = ()
    ) -> pd.DataFrame:
        """One row per clip: ``clip_id, corpus, speaker, sex, emotion`` (and ``label``), then the features.

        Args:
            before: columns of the clip table that stand before the features, as far as it has them.
            after: those that stand after them.

        Raises:
            FeatureError: a clip's features are not one row.
        """
        check_is_row(self.extractor)
        return frame_of(self.table, self.values, self.extractor, before, after)

    def save(
        self,
        path: str | os.PathLike,
        *,
        before: Sequence[str] = (*FRAME_COLUMNS, "label"),
        after: Sequence[str] = (),
    ) -> Path:
        """Write :meth:`to_frame` as a table, or all arrays; a file of that name is replaced as a whole.

        Args:
            path: ends in ``.parquet``, ``.csv`` or ``.xlsx`` (the table), or ``.npz`` (``values``,
                ``lengths``, ``feature_names`` and the columns of the clip table, for features of any shape).
            before: columns of the clip table before the features of a table, as of :meth:`to_frame`.
            after: those after them.

        Returns:
            The path.

        Raises:
            FeatureError: another suffix, or features that are not one row per clip.
            MissingDependencyError: XLSX without openpyxl.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix not in _WRITERS:
            raise FeatureError(
                f"cannot save features as {path.name!r}; the suffix must be one of {', '.join(_WRITERS)}"
            )
        with replacing(path) as unfinished:
            if suffix == ".npz":
                _write_npz(self, unfinished)
            else:
                frame = self.to_frame(before=before, after=after)
                parts = [frame.iloc[i : i + ROWS] for i in range(0, max(1, len(frame)), ROWS)]
                _WRITERS[suffix](parts, unfinished)
        return path


class Extraction(NamedTuple):
    """What :func:`~ser_kit.extraction.extract_to` did.

    Args:
        path: the file written.
        clips: rows in it.
        failures: as :attr:`Features.failures`.
        seconds: it took.
        hits: clips that were in the store already.
    """

    path: Path
    clips: int
    failures: pd.DataFrame
    seconds: float
    hits: int


def check_is_row(extractor: Extractor) -> None:
    """Check that a clip's features are one row.

    Raises:
        FeatureError: they are not.
    """
    if len(extractor.shape) != 1:
        raise FeatureError(
            f"{extractor.name!r} features have shape {extractor.shape} per clip, which is no table row; "
            "use .values"
        )


def frame_of(
    table: pd.DataFrame,
    values: np.ndarray,
    extractor: Extractor,
    before: Sequence[str] = (*FRAME_COLUMNS, "label"),
    after: Sequence[str] = (),
) -> pd.DataFrame:
    """One row per clip: columns of the clip table, a column for each feature, further columns."""
    numbers = pd.DataFrame(values, columns=list(extractor.feature_names))
    sides = [
        table[[name for name in names if name in table]].reset_index(drop=True) for names in (before, after)
    ]
    return pd.concat([sides[0], numbers, sides[1]], axis=1)


def _write_parquet(frames: Iterable[pd.DataFrame], path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    frames = iter(frames)
    first = pyarrow.Table.from_pandas(next(frames), preserve_index=False)
    with parquet.ParquetWriter(path, first.schema) as file:
        file.write_table(first)
        for frame in frames:
            file.write_table(pyarrow.Table.from_pandas(frame, first.schema, preserve_index=False))


def _write_csv(frames: Iterable[pd.DataFrame], path: Path) -> None:
    with open(path, "w", encoding="utf-8", newline="") as file:
        for i, frame in enumerate(frames):
            frame.to_csv(file, index=False, header=i == 0)


def _write_xlsx(frames: Iterable[pd.DataFrame], path: Path) -> None:
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise MissingDependencyError("openpyxl", "xlsx", "saving features as XLSX") from None
    frame = pd.concat(frames)
    if len(frame) >= _SHEET_ROWS:
        raise FeatureError(
            f"an XLSX sheet holds {_SHEET_ROWS - 1:,} clips, not {len(frame):,}; save as .parquet or .csv"
        )
    frame.to_excel(path, index=False, engine="openpyxl")


def _write_npz(found: Features, path: Path) -> None:
    columns = {name: found.table[name].to_numpy(dtype=str) for name in found.table.columns}
    names = np.array(found.extractor.feature_names)
    np.savez(path, values=found.values, lengths=found.lengths, feature_names=names, **columns)


STREAMS = {".parquet": _write_parquet, ".csv": _write_csv}
"""What writes a table to a file of a suffix, frame by frame."""

_WRITERS = {**STREAMS, ".xlsx": _write_xlsx, ".npz": _write_npz}
