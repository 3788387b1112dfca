"""Return freed memory to the system while a model is loaded."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()


@contextlib.contextmanager
def freed_at_once() -> Iterator[None]:
    """Return freed memory to the system, where glibc would keep 15 MB after a model is loaded."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 18)
    try:
        yield
    finally:  # the values glibc would choose itself: predictions allocate and free a few MB repeatedly
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)
