"""Worker processes for :mod:`ser_kit.features.driver`.

Each worker is a fresh Python that is fed batches of paths through a pipe and answers clip by clip. Beside
``multiprocessing`` that brings three things: no copy of a process with TensorFlow loaded (unsafe), no second run of a
user's script that lacks an ``if __name__ == "__main__"``, and the knowledge of which clip a worker died on.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from ..audio import read_audio
from ..errors import FeatureError, SilentAudioWarning
from ._base import Extractor

_BATCH = 16
_BROKEN = (EOFError, OSError, pickle.UnpicklingError)
"""What a pipe raises when the process at its other end is gone."""
_THREAD_SETTINGS = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip


class Outcome(NamedTuple):
    """What became of one clip: values and length, or the class of an error and its reason."""

    index: int
    values: np.ndarray | None = None
    length: int = 0
    error: tuple[str, str] | None = None
    warned: tuple[tuple[type[Warning], str], ...] = ()


def in_process(paths: list[str], extractor: Extractor) -> Iterator[Outcome]:
    """The outcomes of all clips, in order, computed here."""
    for index, path in enumerate(paths):
        yield _outcome(index, path, extractor)


def in_workers(paths: list[str], extractor: Extractor, jobs: int) -> Iterator[Outcome]:
    """The outcomes of all clips, in the order they are ready; closing the iterator ends the workers at once.

    Raises:
        FeatureError: a worker cannot start.
    """
    clips = list(enumerate(paths))
    size = max(1, min(_BATCH, len(clips) // (2 * jobs)))
    batches = deque(clips[i : i + size] for i in range(0, len(clips), size))
    answers: queue.SimpleQueue = queue.SimpleQueue()
    crew = [_Worker(extractor, batches, answers) for _ in range(min(jobs, len(batches)))]
    try:
        for worker in crew:
            worker.start()
        for _ in clips:
            answer = answers.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        for worker in crew:
            worker.stop()


def _outcome(index: int, path: str, extractor: Extractor) -> Outcome:
    error, values, length = None, None, 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            recording = read_audio(path)
            if any(w.category is SilentAudioWarning for w in caught):
                error = ("SilentAudioWarning", "silent")
            else:
                values, length = extractor.extract_with_length(recording)
        except Exception as problem:  # noqa: BLE001 - whatever one clip does to an extractor, the others go on
            error = (type(problem).__name__, str(problem) or type(problem).__name__)
    warned = () if error else tuple((w.category, str(w.message)) for w in caught)
    return Outcome(index, values, length, error, warned)


class _Worker(threading.Thread):
    """Feeds one process, hears it, and replaces it when it dies."""

    def __init__(self, extractor: Extractor, batches: deque, answers: queue.SimpleQueue):
        super().__init__(daemon=True)
        self._extractor, self._batches, self._answers = extractor, batches, answers
        self._process: subprocess.Popen | None = None
        self._lock, self._stopped = threading.Lock(), False

    def run(self) -> None:
        try:
            self._launch()
            while not self._stopped:
                try:
                    batch = self._batches.popleft()
                except IndexError:
                    break
                self._feed(batch)
        except BaseException as error:  # noqa: BLE001 - a thread cannot raise; in_workers does
            self._answers.put(error)

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()  # it holds nothing that could be lost
        if self.ident is not None:
            self.join()
        if self._process is not None:
            self._dismiss()

    def _feed(self, batch: list[tuple[int, str]]) -> None:
        while batch and not self._stopped:
            try:
                self._tell(batch)
                while batch:
                    self._answers.put(self._hear())
                    batch = batch[1:]
            except _BROKEN:
                if self._stopped:
                    return
                fate = self._dismiss()
                reason = f"the worker process died on this clip ({fate})"
                self._answers.put(Outcome(batch[0][0], error=("WorkerDied", reason)))
                batch = batch[1:]
                self._launch()

    def _launch(self) -> None:
        environment = os.environ | dict.fromkeys(_THREAD_SETTINGS, "1")
        # The worker finds what this process finds, a path set by hand in a notebook included.
        environment["PYTHONPATH"] = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with self._lock:
            if self._stopped:
                return
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", f"from {__name__} import work; work()"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the parent, which stops its workers itself
            )
        try:
            self._tell(self._extractor)
            problem = self._hear()
        except _BROKEN as error:
            if self._stopped:
                return
            raise FeatureError(f"a worker process died before its first clip ({self._dismiss()})") from error
        if problem is not None:
            raise FeatureError(f"a worker process cannot run {self._extractor.identity}: {problem}; use jobs=1")

    def _tell(self, message: Any) -> None:
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    def _hear(self) -> Any:
        return pickle.load(self._process.stdout)

    def _dismiss(self) -> str:
        """Clear a dead process away, and say how it ended."""
        with suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()
        code = self._process.wait()
        return f"exit status {code}" if code >= 0 else signal.Signals(-code).name


def work() -> None:
    """What a worker process runs: takes an extractor, then batches, answers clip by clip, ends with its input."""
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
            for index, path in pickle.load(sys.stdin.buffer):
                answer(_outcome(index, path, extractor))
