"""Features of a whole clip table: in several processes, a row for each clip that works, a reason for each other."""

from __future__ import annotations

import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import FeatureError, MissingDependencyError, TableError
from ._base import Extractor
from ._pool import Outcome, in_process, in_workers

_FEW_CLIPS = 40
_FAILURE_COLUMNS = ["clip_id", "path", "error", "reason"]
_FRAME_COLUMNS = ["clip_id", "corpus", "speaker", "sex", "emotion"]
_LABEL_COLUMN = "label"  # there only when the corpora were joined under a label set


@dataclass(frozen=True, eq=False)
class Features:
    """What an extractor found in the clips of a table.

    Args:
        values: float32 ``[n, *extractor.shape]``.
        table: the clip table of the ``n`` clips that worked, in the order they were given.
        failures: one row per clip that did not: ``clip_id, path, error`` (the exception's class) and ``reason``.
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

    def subset(self, indices) -> Features:
        """The clips at ``indices`` (integers or a boolean mask), in that order; failures are left behind."""
        indices = np.arange(len(self))[np.asarray(indices)]
        return replace(
            self,
            values=self.values[indices],
            table=self.table.iloc[indices].reset_index(drop=True),
            failures=self.failures.iloc[:0],
            lengths=self.lengths[indices],
        )

    def to_frame(self) -> pd.DataFrame:
        """One row per clip: ``clip_id, corpus, speaker, sex, emotion`` (and ``label``), and a column for each feature.

        Raises:
            FeatureError: a clip's features are not one row.
        """
        if self.values.ndim != 2:
            raise FeatureError(
                f"{self.extractor.name!r} features have shape {self.extractor.shape} per clip, which is no table row; "
                "use .values"
            )
        numbers = pd.DataFrame(self.values, columns=list(self.extractor.feature_names))
        columns = [name for name in (*_FRAME_COLUMNS, _LABEL_COLUMN) if name in self.table]
        return pd.concat([self.table[columns].reset_index(drop=True), numbers], axis=1)

    def save(self, path: str | os.PathLike) -> Path:
        """Write :meth:`to_frame` as a table, or all arrays; a file of that name is replaced at once, or not at all.

        Args:
            path: ends in ``.parquet``, ``.csv`` or ``.xlsx`` (the table), or ``.npz`` (``values``, ``lengths``,
                ``feature_names`` and the columns of the clip table, for features of any shape).

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
        content = self if suffix == ".npz" else self.to_frame()
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
            unfinished = Path(folder) / f"features{suffix}"
            _WRITERS[suffix](content, unfinished)
            os.replace(unfinished, path)
        return path


def _write_xlsx(frame: pd.DataFrame, path: Path) -> None:
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise MissingDependencyError("openpyxl", "xlsx", "saving features as XLSX") from None
    frame.to_excel(path, index=False, engine="openpyxl")


def _write_npz(found: Features, path: Path) -> None:
    columns = {name: found.table[name].to_numpy(dtype=str) for name in found.table.columns}
    names = np.array(found.extractor.feature_names)
    np.savez(path, values=found.values, lengths=found.lengths, feature_names=names, **columns)


_WRITERS = {
    ".parquet": lambda frame, path: frame.to_parquet(path, index=False),
    ".csv": lambda frame, path: frame.to_csv(path, index=False),
    ".xlsx": _write_xlsx,
    ".npz": _write_npz,
}


def extract(table: pd.DataFrame, extractor: Extractor, *, jobs: int | None = None, progress: bool = True) -> Features:
    """Run an extractor over the clips of a table.

    A clip that cannot be read, lasts under 0.1 s, is silent, or breaks the extractor or its very process does not stop
    the others: it goes to ``failures`` with its reason. Rows and failures together are the clips. Values and order do
    not depend on ``jobs``. Ctrl-C stops the workers at once and raises ``KeyboardInterrupt``.

    Args:
        table: a clip table, or any DataFrame with its columns.
        extractor: such as ``Functionals()``; its arrays must be of one shape for all clips.
        jobs: processes; ``None`` takes one per available core, or one in all for fewer than 40 clips, where starting
            processes would cost more than it brings. With 1 everything runs in this process.
        progress: show a progress bar, and a line of summary at the end.

    Raises:
        TableError: a column is missing.
        FeatureError: ``jobs`` is less than 1, or the extractor's arrays vary in shape.

    Examples:
        >>> from ser_kit import corpora, features
        >>> found = features.extract(corpora.load("demo"), features.Functionals())  # doctest: +SKIP
        >>> found.to_frame().groupby("emotion").pitch_mean.mean()  # doctest: +SKIP
    """
    missing = [name for name in ("path", *_FRAME_COLUMNS) if name not in table.columns]
    if missing:
        raise TableError(f"the clip table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
    if None in extractor.shape:
        raise FeatureError(
            f"{extractor.identity} gives each clip its own length; fix it (LogMel(seconds=...)) to extract a table"
        )
    if jobs is None:
        jobs = 1 if len(table) < _FEW_CLIPS else _cores()
    if jobs < 1:
        raise FeatureError(f"jobs={jobs} must be 1 or more")

    paths = [str(path) for path in table["path"]]
    started = time.perf_counter()
    values = np.empty((len(paths), *extractor.shape), np.float32)
    lengths = np.zeros(len(paths), np.int64)
    errors: dict[int, tuple[str, str]] = {}
    with closing(_outcomes(paths, extractor, jobs)) as outcomes:
        for outcome in _with_progress(outcomes, len(paths), progress, extractor.name):
            for category, message in outcome.warned:
                warnings.warn(message, category, stacklevel=2)
            if outcome.error is None:
                values[outcome.index], lengths[outcome.index] = outcome.values, outcome.length
            else:
                errors[outcome.index] = outcome.error

    failed = sorted(errors)
    kept = np.setdiff1d(np.arange(len(paths)), failed)
    failures = pd.DataFrame(
        [(table["clip_id"].iloc[i], paths[i], *errors[i]) for i in failed], columns=_FAILURE_COLUMNS, dtype=str
    )
    if progress:
        seconds = time.perf_counter() - started
        print(
            f"{extractor.name}: {len(paths)} clips, {len(failed)} failed, {seconds:.1f} s, "
            f"{len(paths) / max(seconds, 1e-9):.0f} clips/s"
        )
    return Features(
        values=values[kept] if failed else values,
        table=table.iloc[kept].reset_index(drop=True),
        failures=failures,
        lengths=lengths[kept],
        extractor=extractor,
    )


def _cores() -> int:
    """Cores that this process may use, where the system tells; else all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _outcomes(paths: list[str], extractor: Extractor, jobs: int) -> Iterator[Outcome]:
    # A class made in a notebook or script cannot be imported by another process, so it stays in this one.
    if jobs == 1 or type(extractor).__module__ == "__main__":
        return in_process(paths, extractor)
    return in_workers(paths, extractor, jobs)


def _with_progress(outcomes: Iterator[Outcome], total: int, show: bool, name: str) -> Iterator[Outcome]:
    if not show:
        yield from outcomes
        return
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=name, unit=" clips") as bar:
        failed = 0
        for outcome in outcomes:
            if outcome.error is not None:
                failed += 1
                bar.set_postfix(failed=failed, refresh=False)
            bar.update()
            yield outcome
