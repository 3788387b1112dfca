"""The cores at hand, and work that is done a little ahead of those who wait for it."""

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
"""Environment of a process that answers for several recordings at a time, before TensorFlow and NumPy are
loaded: one for each core is faster than all cores for each."""


def cores() -> int:
    """Cores that this process may use."""
    return len(available_cores())


def at_once() -> int:
    """Recordings to answer for at a time: one more than cores, since each waits for its file now and then."""
    return cores() + 1


def available_cores() -> list[int]:
    """The numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


# Whether TensorFlow has threads in this process, or had them in the one that it was forked from.
_computes = _lost = False


def before_tensorflow() -> None:
    """Called before TensorFlow computes, since a process forked afterwards would wait for ever.

    Raises:
        ForkedError: this process is such a child.
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
    """What is made of each item, in order, the next few in threads while one is used.

    Worth it for what lets other threads run: decoding, resampling, Fourier transforms, networks.

    Args:
        make: called in any of the threads; what it raises is raised to the caller, in its turn.
        items: taken as they are needed, ``threads`` more at most.
        threads: 1 or more.

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
