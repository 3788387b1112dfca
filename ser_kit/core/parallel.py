"""Available CPU cores, and prefetching in threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .errors import ForkedError

T = TypeVar("T")
R = TypeVar("R")

ONE_EACH = {"TF_NUM_INTRAOP_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Environment variables for a process that predicts several recordings at a time, to set before TensorFlow
and NumPy are loaded. One thread for each recording is faster than all cores for each."""


def cores() -> int:
    """Number of CPU cores that this process may use."""
    return len(available_cores())


def at_once() -> int:
    """Number of recordings to predict at a time: one more than cores, since reading a file takes time."""
    return cores() + 1


def available_cores() -> list[int]:
    """Indices of the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


# Whether TensorFlow has threads in this process, or had them in the parent before a fork.
_computes = _lost = False


def before_tensorflow() -> None:
    """Check for a fork before TensorFlow computes; a process that was forked afterwards would hang.

    Raises:
        ForkedError: if this process was forked after TensorFlow had been used.
    """
    global _computes
    if _lost:
        raise ForkedError(
            "TensorFlow computed before this process was forked, and would hang in it; start processes with "
            'multiprocessing.get_context("spawn"), or use threads: Predictor.predict_many(recordings, jobs=4)'
        )
    _computes = True


def _forked() -> None:
    global _lost
    _lost = _lost or _computes


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def ahead(make: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """Apply a function to items in order, computing the next results in threads.

    Useful for work that releases the GIL: decoding, resampling, Fourier transforms, networks.

    Args:
        make: the function; it is called in threads. Its errors are raised when its result is due.
        items: arguments of the function, read at most ``threads`` ahead.
        threads: number of threads, 1 or more.

    Examples:
        >>> list(ahead(str, range(3), threads=2))
        ['0', '1', '2']
    """
    coming: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                coming.append(pool.submit(make, item))
                if len(coming) > threads:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()
        finally:
            for future in coming:
                future.cancel()
