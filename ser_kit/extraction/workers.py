"""Worker processes for :mod:`ser_kit.extraction.runner`.

Each worker is a fresh Python that is fed batches of paths through a pipe and answers clip by clip, here and
under Dask. So no process is copied that has TensorFlow loaded, the caller's script is not run again, and it
is known which clip a worker died or hangs on.

Two libraries were tried instead. loky 3.6 (in joblib) fails all tasks that wait when one kills its worker,
and has no time limit for a task. Pebble 5.2 has both, but starts its processes by ``multiprocessing``, which
either copies the process or imports the caller's script again, and then fails without an ``if __name__ ==
"__main__"`` in it.
"""

from __future__ import annotations

import itertools
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import numpy as np

from ..audio.recording import Excerpt, read_audio
from ..core.errors import FeatureError, SilentAudioWarning
from ..core.parallel import available_cores
from ..features.base import Extractor

_BATCH = 16
_BROKEN = (EOFError, OSError, pickle.UnpicklingError)
"""What a pipe raises when the process at its other end is gone."""
_SETTINGS = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS",
    ),
    "1",
) | {
    # glibc keeps that much freed memory for the next clip; giving it back to the system each time costs a
    # fifth.
    "MALLOC_TOP_PAD_": str(64 << 20)
}
"""Of a worker's environment."""

Clip = tuple[int, str | Excerpt]
"""A clip's place in the table, and its file or the part of it that it is."""


class Outcome(NamedTuple):
    """What became of one clip: values and length, or an error's class and reason, or a hit of the store."""

    index: int
    values: np.ndarray | None = None
    length: int = 0
    error: tuple[str, str] | None = None
    warned: tuple[tuple[str, str], ...] = ()
    hit: bool = False


class Job(NamedTuple):
    """What is to be done.

    Args:
        clips: places in the table.
        sources: of the whole table, see :func:`ser_kit.corpora.sources`.
        resolve: the outcome of a clip that need not be computed, or ``None``.
        extractor: what computes the others.
        timeout: seconds that one clip may take; ``None`` for ever.
    """

    clips: Sequence[int]
    sources: Sequence[str | Excerpt]
    resolve: Callable[[int], Outcome | None]
    extractor: Extractor
    timeout: float | None

    def batches(self, workers: int) -> list[Sequence[int]]:
        """The clips in parts, small enough that every worker has its share of them."""
        size = max(1, min(_BATCH, len(self.clips) // (2 * workers)))
        return [self.clips[i : i + size] for i in range(0, len(self.clips), size)]

    def settle(self, batch: Sequence[int]) -> tuple[list[Outcome], list[Clip]]:
        """The outcomes of those that need not be computed, and the other clips."""
        outcomes = {index: self.resolve(index) for index in batch}
        rest = [(index, self.sources[index]) for index, outcome in outcomes.items() if outcome is None]
        return [outcome for outcome in outcomes.values() if outcome is not None], rest


def in_process(job: Job) -> Iterator[Outcome]:
    """The outcomes of all clips, in order, computed here; a clip that hangs or crashes stops the run."""
    for index in job.clips:
        yield job.resolve(index) or _outcome(index, job.sources[index], job.extractor)


def in_workers(job: Job, workers: int) -> Iterator[Outcome]:
    """The outcomes of all clips, in the order they are ready; closing the iterator ends the workers at once.

    Raises:
        FeatureError: a worker cannot start.
    """
    batches = deque(job.batches(workers))
    # Bounded, so that workers who outpace the store wait for it and do not fill the memory.
    answers: queue.Queue = queue.Queue(2 * _BATCH * workers)
    available = available_cores()
    # A worker for each core: then each keeps to its own, and Praat, which starts a thread per core it sees,
    # to one.
    own = available if len(available) == workers else [None] * workers
    crew = [WorkerProcess(job.extractor, job.timeout, core) for core in own[: len(batches)]]

    def feed(worker: WorkerProcess) -> None:
        try:
            while not worker.stopped:
                try:
                    batch = batches.popleft()
                except IndexError:
                    break
                settled, rest = job.settle(batch)
                for outcome in itertools.chain(settled, worker.outcomes(rest)):
                    deliver(outcome, worker)
        except BaseException as error:  # noqa: BLE001 - a thread cannot raise; the loop below does
            deliver(error, worker)

    def deliver(answer: Outcome | BaseException, worker: WorkerProcess) -> None:
        while not worker.stopped:
            with suppress(queue.Full):
                answers.put(answer, timeout=0.1)
                break

    feeders = [threading.Thread(target=feed, args=(worker,), daemon=True) for worker in crew]
    try:
        for feeder in feeders:
            feeder.start()
        for _ in job.clips:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        for worker in crew:
            worker.stop()
        for feeder, worker in zip(feeders, crew, strict=True):
            if feeder.ident is not None:
                feeder.join()
            worker.close()


def _outcome(index: int, source: str | Excerpt, extractor: Extractor) -> Outcome:
    error, values, length = None, None, 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            recording = read_audio(source)
            if any(w.category is SilentAudioWarning for w in caught):
                error = ("SilentAudioWarning", "silent")
            else:
                values, length = extractor.extract_with_length(recording)
        except Exception as problem:  # noqa: BLE001 - whatever one clip does, the others go on
            error = (type(problem).__name__, str(problem) or type(problem).__name__)
    warned = () if error else tuple((w.category.__name__, str(w.message)) for w in caught)
    return Outcome(index, values, length, error, warned)


class WorkerProcess:
    """A process that extracts, started when first needed and replaced when a clip kills or hangs it.

    Args:
        extractor: what it runs.
        timeout: seconds that it may take over one clip; ``None`` for ever.
        core: the one core that it keeps to, where the system allows; ``None`` for any.

    Raises:
        FeatureError: it cannot start, or cannot load the extractor.
    """

    def __init__(self, extractor: Extractor, timeout: float | None, core: int | None = None):
        self._extractor, self._timeout, self._core = extractor, timeout, core
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()
        self._over, self._deadline, self._late = threading.Event(), None, False

    @property
    def stopped(self) -> bool:
        return self._over.is_set()

    def stop(self) -> None:
        """End the process at once, whichever thread waits for its answer; it holds nothing to lose."""
        with self._lock:
            self._over.set()
            if self._process is not None:
                self._process.kill()
                self._process.wait()

    def close(self) -> None:
        """End the process, and let go of the pipes to it; nobody must be waiting for its answer."""
        self.stop()
        if self._process is not None:
            self._dismiss()

    def outcomes(self, batch: list[Clip]) -> Iterator[Outcome]:
        """The outcomes of clips, in order; none any more once the worker is stopped."""
        while batch and not self.stopped:
            try:
                if self._process is not None and self._process.poll() is not None:
                    self._dismiss()  # it ended while it had nothing to do: no clip's fault
                if self._process is None:
                    self._launch()
                self._send(batch)
                while batch:
                    with self._timed():
                        outcome = self._receive()
                    yield outcome
                    batch = batch[1:]
            except _BROKEN:
                if self.stopped:
                    return
                late, (index, _), batch = self._late, batch[0], batch[1:]
                fate = self._dismiss()
                if late:
                    error = ("TimeoutError", f"took longer than {self._timeout:g} s (timeout)")
                else:
                    error = ("WorkerDied", f"the worker process died on this clip ({fate})")
                yield Outcome(index, error=error)

    @contextmanager
    def _timed(self) -> Iterator[None]:
        if self._timeout is None:
            yield
            return
        with self._lock:
            self._deadline = time.monotonic() + self._timeout
        try:
            yield
        finally:
            with self._lock:
                self._deadline = None

    def _watch(self, process: subprocess.Popen) -> None:
        """Kill the process when a clip's time is over."""
        while process.poll() is None and not self._over.wait(min(1.0, self._timeout / 4)):
            with self._lock:
                if self._deadline is not None and time.monotonic() > self._deadline:
                    self._late = True
                    process.kill()
                    return

    def _launch(self) -> None:
        environment = os.environ | _SETTINGS
        # Dask's workers set it; handing memory back so often costs a third more time.
        environment.pop("MALLOC_TRIM_THRESHOLD_", None)
        # The worker finds what this process finds, a path set by hand in a notebook included.
        environment["PYTHONPATH"] = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with self._lock:
            if self.stopped:
                raise EOFError
            self._late = False
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import work; work({self._core})"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent, which stops its workers itself
            )
        try:
            self._send(self._extractor)
            problem = self._receive()
        except _BROKEN as error:
            if self.stopped:
                raise
            raise FeatureError(f"a worker process died before its first clip ({self._dismiss()})") from error
        if problem is not None:
            raise FeatureError(
                f"a worker process cannot run {self._extractor.identity}: {problem}; use jobs=0"
            )
        if self._timeout is not None:
            threading.Thread(target=self._watch, args=(self._process,), daemon=True).start()

    def _send(self, message: Any) -> None:
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    def _receive(self) -> Any:
        return pickle.load(self._process.stdout)

    def _dismiss(self) -> str:
        """Clear a dead process away, and say how it ended."""
        process, self._process = self._process, None
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        code = process.wait()
        return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def work(core: int | None) -> None:
    """What a worker process runs: reads an extractor, then batches, and answers clip by clip."""
    if core is not None and hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            os.sched_setaffinity(0, {core})
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get among the answers

    def answer(message: Any) -> None:
        pickle.dump(message, answers)
        answers.flush()

    with suppress(EOFError, BrokenPipeError):
        try:
            extractor = pickle.load(sys.stdin.buffer)
        except (ImportError, AttributeError) as problem:
            return answer(str(problem))
        answer(None)
        while True:
            for index, source in pickle.load(sys.stdin.buffer):
                answer(_outcome(index, source, extractor))


def _end_with(parent: int) -> None:
    """End this process soon after its parent, even if a clip hangs in it."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
