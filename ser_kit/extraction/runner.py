"""Features of a whole clip table, computed in several processes, with a reason for each clip that failed.

Extraction goes in two steps. First the clips that the feature store does not know are computed, in whatever
order they get ready, and each is put there at once; then the result is read from the store in the order of
the table. So nothing is lost when a run is broken off, the result does not depend on who computed what and
when, and no more than the result is ever held in memory, or not even that when it is written to a file.
"""

from __future__ import annotations

import builtins
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..core import errors
from ..core.errors import DamagedStoreWarning, FeatureError, MissingDependencyError, TableError
from ..core.parallel import cores
from ..core.paths import workshop
from ..corpora import sources
from ..features.base import Extractor
from .dask import client_is_active, in_dask
from .store import TEMPORARY, Store
from .workers import Job, Outcome, in_process, in_workers

TIMEOUT = 300.0
"""Seconds that a clip may take by default; an hour of speech takes a tenth of that."""

_CLIPS_PER_WORKER = 20  # for fewer, starting one more process costs more than it brings
_ROWS = 2_000  # of a table that are written at a time
_SHEET_ROWS = 1 << 20
_FAILURE_COLUMNS = ["clip_id", "path", "error", "reason"]
_FRAME_COLUMNS = ["clip_id", "corpus", "speaker", "sex", "emotion"]
_LABEL_COLUMN = "label"  # there only when the corpora were joined under a label set


@dataclass(frozen=True, eq=False)
class Features:
    """What an extractor found in the clips of a table.

    Args:
        values: float32 ``[n, *extractor.shape]``; where clips keep their lengths, the longest decides and the
            others end in zeros.
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
        """One row per clip: ``clip_id, corpus, speaker, sex, emotion`` (and ``label``), then the features.

        Raises:
            FeatureError: a clip's features are not one row.
        """
        _check_is_row(self.extractor)
        return _frame(self.table, self.values, self.extractor)

    def save(self, path: str | os.PathLike) -> Path:
        """Write :meth:`to_frame` as a table, or all arrays; a file of that name is replaced as a whole.

        Args:
            path: ends in ``.parquet``, ``.csv`` or ``.xlsx`` (the table), or ``.npz`` (``values``,
                ``lengths``, ``feature_names`` and the columns of the clip table, for features of any shape).

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
        with _replacing(path) as unfinished:
            if suffix == ".npz":
                _write_npz(self, unfinished)
            else:
                frame = self.to_frame()
                _WRITERS[suffix]([frame.iloc[i : i + _ROWS] for i in range(0, max(1, len(frame)), _ROWS)], unfinished)
        return path


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` when all went well."""
    with workshop(path.parent, ".saving-") as folder:
        unfinished = folder / path.name
        yield unfinished
        os.replace(unfinished, path)


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


_STREAMS = {".parquet": _write_parquet, ".csv": _write_csv}
_WRITERS = {**_STREAMS, ".xlsx": _write_xlsx, ".npz": _write_npz}


class Extraction(NamedTuple):
    """What :func:`extract_to` did.

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


def extract(
    table: pd.DataFrame,
    extractor: Extractor,
    *,
    jobs: int | None = None,
    backend: str | None = None,
    cache: bool | str | os.PathLike = True,
    timeout: float | None = TIMEOUT,
    mmap: str | os.PathLike | None = None,
    progress: bool = True,
) -> Features:
    """Run an extractor over the clips of a table.

    A clip that cannot be read, lasts under 0.1 s, is silent, breaks the extractor or its very process, or
    takes longer than ``timeout`` does not stop the others: it goes to ``failures`` with its reason. Rows and
    failures together are the clips. Values and order do not depend on ``jobs`` or ``backend``.

    What was extracted once is taken from the feature store, wherever the file is now and whatever it is
    called, so a run that was broken off (Ctrl-C, a crash, a power cut) goes on where it was when it is called
    again. Failures are not kept: their cause may be gone the next time.

    Args:
        table: a clip table, or any DataFrame with its columns.
        extractor: such as ``Functionals()``; its arrays must be of one shape for all clips. One whose class
            was made in ``__main__`` (a notebook, a script) works in this process only and is not kept in the
            store, since its code may change from one moment to the next.
        jobs: worker processes; ``None`` takes one per available core, fewer for a few clips. With 0
            everything runs in this process, where a clip that crashes or hangs cannot be set aside. Under
            Dask, how many clips' batches are under way at once.
        backend: ``"local"``; ``"dask"`` for the workers of the active ``dask.distributed`` client; ``None``
            takes Dask when a client is active.
        cache: the feature store: ``True`` for that in ``SER_KIT_STORE``, or else in the cache folder; a
            folder for one there; ``False`` for none.
        timeout: seconds that one clip may take; ``None`` for ever.
        mmap: a ``.npy`` file to hold the values, which are then mapped into memory and need not fit there;
            what is changed in the mapped array does not reach the file.
        progress: show a progress bar, and a line of summary at the end.

    Raises:
        TableError: a column is missing.
        FeatureError: an argument is out of range, or no worker can run it.
        StoreError: the feature store cannot be written: a full disk, no permission. What it held is safe.
        MissingDependencyError: ``backend="dask"`` without ``dask.distributed``.
        KeyboardInterrupt: on Ctrl-C, within a moment; what was finished is kept.

    Examples:
        >>> from ser_kit import corpora, extraction, features
        >>> found = extraction.extract(corpora.load("demo"), features.Functionals())  # doctest: +SKIP
        >>> found.to_frame().groupby("emotion").pitch_mean.mean()  # doctest: +SKIP
    """
    with _Run(table, extractor, jobs, backend, cache, timeout, progress) as run:
        run.compute(range(len(table)))
        kept = run.sound(range(len(table)))
        longest, *rest = extractor.shape
        shape = (len(kept), run.longest(kept) if longest is None else longest, *rest)
        lengths = np.zeros(len(kept), np.int64)
        if mmap is None:
            values = np.empty(shape, np.float32)
            there = run.read(kept, values, lengths)
        else:
            with _replacing(Path(mmap)) as unfinished:
                there = run.read(kept, np.lib.format.open_memmap(unfinished, "w+", np.float32, shape), lengths)
            values = np.load(mmap, mmap_mode="c")
        if len(there) < len(kept):
            kept, values, lengths = kept[there], values[there], lengths[there]
        run.summarise()
        return Features(values, table.iloc[kept].reset_index(drop=True), run.failures(), lengths, extractor)


def extract_to(
    path: str | os.PathLike,
    table: pd.DataFrame,
    extractor: Extractor,
    *,
    jobs: int | None = None,
    backend: str | None = None,
    cache: bool | str | os.PathLike = True,
    timeout: float | None = TIMEOUT,
    progress: bool = True,
) -> Extraction:
    """As :func:`extract` and :meth:`Features.save`, but rows are streamed to the file.

    Args:
        path: ends in ``.parquet`` or ``.csv``; a file of that name is replaced at once when all is done, or
            not at all.
        table: as for :func:`extract`, like all that follows.
        extractor: must give one row per clip.
        jobs: worker processes.
        backend: ``"local"`` or ``"dask"``.
        cache: the feature store.
        timeout: seconds that one clip may take.
        progress: show a progress bar and a summary.

    Raises:
        FeatureError: another suffix, features that are not one row per clip, or as for :func:`extract`.

    Examples:
        >>> from ser_kit import corpora, extraction, features
        >>> done = extraction.extract_to("demo.parquet", corpora.load("demo"), features.Functionals())  # doctest: +SKIP
        >>> done.clips, len(done.failures)  # doctest: +SKIP
        (480, 0)
    """
    path = Path(path)
    write = _STREAMS.get(path.suffix.lower())
    if write is None:
        raise FeatureError(f"cannot stream features to {path.name!r}; the suffix must be one of {', '.join(_STREAMS)}")
    _check_is_row(extractor)
    rows = 0

    def frames() -> Iterator[pd.DataFrame]:
        nonlocal rows
        indices = run.sound(range(len(table)))
        for start in range(0, max(1, len(indices)), _ROWS):
            part = indices[start : start + _ROWS]
            values = np.empty((len(part), *extractor.shape), np.float32)
            there = run.read(part, values, np.zeros(len(part), np.int64))
            rows += len(there)
            yield _frame(table.iloc[part[there]], values[there], extractor)

    with _Run(table, extractor, jobs, backend, cache, timeout, progress) as run:
        run.compute(range(len(table)))
        with _replacing(path) as unfinished:
            write(frames(), unfinished)
        return Extraction(path, rows, run.failures(), run.summarise(), run.hits)


class _Run:
    """One extraction: a table, an extractor, a store, and what has become of each clip so far."""

    def __init__(self, table, extractor: Extractor, jobs, backend, cache, timeout, progress: bool):
        missing = [name for name in ("path", *_FRAME_COLUMNS) if name not in table.columns]
        if missing:
            raise TableError(f"the clip table lacks {', '.join(missing)}; it has {', '.join(map(str, table.columns))}")
        if jobs is not None and jobs < 0:
            raise FeatureError(f"jobs={jobs} must be 0 or more")
        if timeout is not None and not timeout > 0:
            raise FeatureError(f"timeout={timeout} must be greater than 0 seconds, or None")
        if backend not in (None, "local", "dask"):
            raise FeatureError(f'backend={backend!r} must be "local" or "dask"')
        self.table, self.extractor, self.timeout, self.progress = table, extractor, timeout, progress
        self.jobs = min(cores(), 1 + len(table) // _CLIPS_PER_WORKER) if jobs is None else jobs
        self.dask = backend == "dask" or (backend is None and client_is_active())
        self.asked = jobs
        # A class made in a notebook or script cannot be imported by another process, and may be another one
        # tomorrow.
        if type(extractor).__module__ == "__main__":
            self.jobs, self.dask, cache = 0, False, False
        self.sources = sources(table)
        self.contents = np.zeros(len(table), "V16")  # the hash of each clip's file
        self.errors: dict[int, tuple[str, str]] = {}
        self.hits = 0
        self.started = time.perf_counter()
        self.kept = cache is not False
        self.store = Store(TEMPORARY if cache is False else None if cache is True else cache)

    def __enter__(self) -> _Run:
        return self

    def __exit__(self, kind, *_) -> None:
        self.store.close()
        if kind is KeyboardInterrupt and self.progress and self.kept:
            print(f"{self.extractor.name}: interrupted; what is finished is kept, and the same call goes on from there")

    def compute(self, indices: Sequence[int]) -> None:
        """See to it that each clip is in the store, or has its reason why not."""
        with closing(self._outcomes(indices)) as outcomes:
            for outcome in self._with_progress(outcomes, len(indices)):
                self._take(outcome)
        self.store.flush()

    def _outcomes(self, indices: Sequence[int]) -> Iterator[Outcome]:
        rest = []
        for index in indices:
            content = self.store.recall(self.extractor, self.sources[index]) if self.kept else None
            if content is None:
                rest.append(index)
            else:
                self.contents[index] = content
                yield Outcome(index, hit=True)
        if rest:
            self.extractor.ready()
        job = Job(rest, self.sources, self._resolve, self.extractor, self.timeout)
        if self.dask and rest:
            yield from in_dask(job, self.asked)
        elif self.jobs == 0:
            yield from in_process(job)
        else:
            yield from in_workers(job, self.jobs)

    def sound(self, indices: Iterable[int]) -> np.ndarray:
        """Those of the clips that did not fail."""
        return np.array([i for i in indices if i not in self.errors], np.int64)

    def longest(self, indices: np.ndarray) -> int:
        """Rows of the longest of these clips."""
        return max((self.store.length(self.extractor, self.contents[i].tobytes()) for i in indices), default=0)

    def read(self, indices: np.ndarray, values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
        """Fill in the arrays of clips from the store, and tell what was warned of.

        Returns:
            Places that were filled in. Any other had a damaged entry that could not be computed again, and is
            among the failures now.
        """
        damaged = self._read(np.arange(len(indices)), indices, values, lengths)
        if len(damaged):
            warnings.warn(
                f"{len(damaged)} entries of {self.store} are damaged or gone; they are extracted anew",
                DamagedStoreWarning,
                stacklevel=3,
            )
            self.compute(indices[damaged].tolist())
            damaged = self._read(damaged, indices, values, lengths)
            for place in damaged:
                self.errors.setdefault(int(indices[place]), ("StoreError", f"lost from {self.store}"))
        return np.setdiff1d(np.arange(len(indices)), damaged)

    def _read(self, places, indices, values, lengths) -> np.ndarray:
        damaged = []
        for place, index in zip(places, indices[places].tolist(), strict=True):
            found = self.store.fetch(self.extractor, self.contents[index].tobytes(), values[place])
            if found is None:
                damaged.append(place)
                continue
            lengths[place], warned = found
            if self.extractor.shape[0] is None:
                values[place, lengths[place] :] = 0  # the store goes on with the last row
            for category, message in warned:
                kind = getattr(errors, category, None) or getattr(builtins, category, UserWarning)
                warnings.warn(f"{self.sources[index]}: {message}", kind, stacklevel=4)
        return np.array(damaged, np.int64)

    def failures(self) -> pd.DataFrame:
        clips, paths = self.table["clip_id"].array, self.table["path"].array
        rows = [(clips[i], paths[i], *self.errors[i]) for i in sorted(self.errors)]
        return pd.DataFrame(rows, columns=_FAILURE_COLUMNS, dtype=str)

    def summarise(self) -> float:
        """The seconds it took; told to people if they want to know."""
        seconds, clips = time.perf_counter() - self.started, len(self.table)
        if self.progress:
            hits = f", {self.hits:,} from the feature store" if self.hits else ""
            print(
                f"{self.extractor.name}: {clips:,} clips, {len(self.errors):,} failed, {seconds:.1f} s, "
                f"{clips / max(seconds, 1e-9):,.0f} clips/s{hits}"
            )
        return seconds

    def _resolve(self, index: int) -> Outcome | None:
        if not self.kept:
            self.contents[index] = index.to_bytes(16, "big")
            return None
        try:
            content = self.store.content(self.sources[index])
        except (OSError, ValueError):
            return None  # extraction will say what is wrong with it
        self.contents[index] = content
        return Outcome(index, hit=True) if self.store.has(self.extractor, content) else None

    def _take(self, outcome: Outcome) -> None:
        index = outcome.index
        if outcome.hit:
            self.hits += 1
        elif outcome.error is not None:
            self.errors[index] = outcome.error
        elif self.kept and not self._is_unchanged(index):
            self.errors[index] = ("ChangedFile", "the file changed while it was read; extract it again")
        else:
            name = os.path.basename(str(self.sources[index]))
            warned = tuple((kind, text.removeprefix(f"{name}: ")) for kind, text in outcome.warned)
            self.store.put(self.extractor, self.contents[index].tobytes(), outcome.values, outcome.length, warned)

    def _is_unchanged(self, index: int) -> bool:
        try:
            return self.store.content(self.sources[index]) == self.contents[index].tobytes()
        except (OSError, ValueError):
            return False

    def _with_progress(self, outcomes: Iterator[Outcome], total: int) -> Iterator[Outcome]:
        if not self.progress:
            yield from outcomes
            return
        from tqdm.auto import tqdm

        with tqdm(total=total, desc=self.extractor.name, unit=" clips") as bar:
            for outcome in outcomes:
                yield outcome
                if self.errors:
                    bar.set_postfix(failed=len(self.errors), refresh=False)
                bar.update()


def _check_is_row(extractor: Extractor) -> None:
    if len(extractor.shape) != 1:
        raise FeatureError(
            f"{extractor.name!r} features have shape {extractor.shape} per clip, which is no table row; use .values"
        )


def _frame(table: pd.DataFrame, values: np.ndarray, extractor: Extractor) -> pd.DataFrame:
    numbers = pd.DataFrame(values, columns=list(extractor.feature_names))
    columns = [name for name in (*_FRAME_COLUMNS, _LABEL_COLUMN) if name in table]
    return pd.concat([table[columns].reset_index(drop=True), numbers], axis=1)
