"""What is freed while a model is opened goes back to the system."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()


@contextlib.contextmanager
def freed_at_once() -> Iterator[None]:
    """Return freed memory to the system: a model is opened in steps, and glibc would keep 15 MB of them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 18)
    try:
        yield
    finally:  # answers take and free a few MB again and again: what glibc sets these to by itself
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)
