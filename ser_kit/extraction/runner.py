"""Features of a whole clip table, computed in several processes, with a reason for each clip that failed.

Extraction goes in two steps. First the clips that the feature store does not know are computed, in whatever
order they get ready, and each is put there at once; then the result is read from the store in the order of
the table. So nothing is lost when a run is broken off, the result does not depend on who computed what and
when, and no more than the result is ever held in memory, or not even that when it is written to a file.
"""

from __future__ import annotations

import builtins
import math
import os
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pandas as pd

from ..core import errors
from ..core.errors import DamagedStoreWarning, FeatureError
from ..core.parallel import cores
from ..core.paths import replacing
from ..corpora.table import check_columns, sources
from ..features.base import Extractor
from .dask import client_is_active, in_dask
from .on_disk import OnDisk
from .results import FRAME_COLUMNS, ROWS, STREAMS, Extraction, Features, check_is_row, frame_of
from .store import TEMPORARY, Store, without_tail
from .workers import Job, Outcome, in_process, in_workers

TIMEOUT = 300.0
"""Seconds that a clip may take by default; an hour of speech takes a tenth of that."""

_CLIPS_PER_WORKER = 20  # for fewer, starting one more process costs more than it brings
_FAILURE_COLUMNS = ["clip_id", "path", "error", "reason"]


def extract(
    table: pd.DataFrame,
    extractor: Extractor,
    *,
    jobs: int | None = None,
    backend: str | None = None,
    cache: bool | str | os.PathLike = True,
    timeout: float | None = TIMEOUT,
    mmap: str | os.PathLike | None = None,
    most: int | None = None,
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
        most: bytes of values of several rows per clip that are held in memory; more are kept in a temporary
            file, see :class:`~ser_kit.extraction.on_disk.OnDisk`. ``None`` holds all in memory.
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
        found = run.result(None if mmap is None else Path(mmap), most)
        run.summarise()
        return found


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
        >>> table, extractor = corpora.load("demo"), features.Functionals()  # doctest: +SKIP
        >>> done = extraction.extract_to("demo.parquet", table, extractor)  # doctest: +SKIP
        >>> done.clips, len(done.failures)  # doctest: +SKIP
        (480, 0)
    """
    path = Path(path)
    write = STREAMS.get(path.suffix.lower())
    if write is None:
        raise FeatureError(
            f"cannot stream features to {path.name!r}; the suffix must be one of {', '.join(STREAMS)}"
        )
    check_is_row(extractor)
    rows = 0

    def frames() -> Iterator[pd.DataFrame]:
        nonlocal rows
        indices = run.sound(range(len(table)))
        for start in range(0, max(1, len(indices)), ROWS):
            part = indices[start : start + ROWS]
            values = np.empty((len(part), *extractor.shape), np.float32)
            there = run.read(part, values, np.zeros(len(part), np.int64))
            rows += len(there)
            yield frame_of(table.iloc[part[there]], values[there], extractor)

    with _Run(table, extractor, jobs, backend, cache, timeout, progress) as run:
        run.compute(range(len(table)))
        with replacing(path) as unfinished:
            write(frames(), unfinished)
        return Extraction(path, rows, run.failures(), run.summarise(), run.hits)


class _Run:
    """One extraction: a table, an extractor, a store, and what has become of each clip so far."""

    def __init__(self, table, extractor: Extractor, jobs, backend, cache, timeout, progress: bool):
        check_columns(table, ("path", *FRAME_COLUMNS))
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
            print(
                f"{self.extractor.name}: interrupted; what is finished is kept, and the same call goes on "
                "from there"
            )

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

    def result(self, mmap: Path | None, most: int | None) -> Features:
        """All that worked, in memory, mapped to a file or in one."""
        kept = self.sound(range(len(self.table)))
        longest, *rest = self.extractor.shape
        shape = (len(kept), self.longest(kept) if longest is None else longest, *rest)
        lengths = np.zeros(len(kept), np.int64)
        if mmap is None:
            large = most is not None and rest and 4 * math.prod(shape) > most
            values = self._on_disk(shape) if large else np.empty(shape, np.float32)
            there = self.read(kept, values, lengths)
        else:
            with replacing(mmap) as unfinished:
                mapped = np.lib.format.open_memmap(unfinished, "w+", np.float32, shape)
                there = self.read(kept, mapped, lengths)
                del mapped
            values = np.load(mmap, mmap_mode="c")
        if len(there) < len(kept):
            kept, values, lengths = kept[there], values[there], lengths[there]
        table = self.table.iloc[kept].reset_index(drop=True)
        return Features(values, table, self.failures(), lengths, self.extractor)

    def _on_disk(self, shape: tuple[int, ...]) -> OnDisk:
        folder = None if self.store.path is None else self.store.path.parent
        return OnDisk(shape, repeats=self.extractor.shape[0] is not None, folder=folder)

    def longest(self, indices: np.ndarray) -> int:
        """Rows of the longest of these clips."""
        return max(
            (self.store.length(self.extractor, self.contents[i].tobytes()) for i in indices), default=0
        )

    def read(self, indices: np.ndarray, values: np.ndarray | OnDisk, lengths: np.ndarray) -> np.ndarray:
        """Fill in the arrays of clips from the store, and repeat their warnings.

        Returns:
            Places that were filled in. Any other had a damaged entry that could not be computed again, and is
            among the failures now.
        """
        damaged = self._read(np.arange(len(indices)), indices, values, lengths)
        if len(damaged):
            warnings.warn(
                f"{len(damaged)} entries of {self.store} are damaged or gone; they are extracted anew",
                DamagedStoreWarning,
                stacklevel=4,
            )
            self.compute(indices[damaged].tolist())
            damaged = self._read(damaged, indices, values, lengths)
            for place in damaged:
                self.errors.setdefault(int(indices[place]), ("StoreError", f"lost from {self.store}"))
        return np.setdiff1d(np.arange(len(indices)), damaged)

    def _read(self, places, indices, values, lengths) -> np.ndarray:
        damaged = []
        on_disk = isinstance(values, OnDisk)
        one = np.empty(values.shape[1:], np.float32) if on_disk else None
        for place, index in zip(places, indices[places].tolist(), strict=True):
            out = one if on_disk else values[place]
            found = self.store.fetch(self.extractor, self.contents[index].tobytes(), out)
            if found is None:
                damaged.append(place)
                continue
            lengths[place], warned = found
            ragged = self.extractor.shape[0] is None
            if on_disk:
                values.put(place, out[: lengths[place]] if ragged else without_tail(out))
            elif ragged:
                out[lengths[place] :] = 0  # the store goes on with the last row
            for category, message in warned:
                kind = getattr(errors, category, None) or getattr(builtins, category, UserWarning)
                warnings.warn(f"{self.sources[index]}: {message}", kind, stacklevel=5)
        return np.array(damaged, np.int64)

    def failures(self) -> pd.DataFrame:
        clips, paths = self.table["clip_id"].array, self.table["path"].array
        rows = [(clips[i], paths[i], *self.errors[i]) for i in sorted(self.errors)]
        return pd.DataFrame(rows, columns=_FAILURE_COLUMNS, dtype=str)

    def summarise(self) -> float:
        """The seconds it took; printed where progress is shown."""
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
            self.store.put(
                self.extractor, self.contents[index].tobytes(), outcome.values, outcome.length, warned
            )

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
