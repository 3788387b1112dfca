"""Features of many clips in a temporary file, of which those of a batch are read at a time."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import StoreError

_PART = 256  # clips that are in memory at a time where all are gone through


class _File:
    """A file without a name, which is gone with the object, or the process, that holds it."""

    def __init__(self, folder: Path | None):
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - open for as long as it is needed
        self._lock = threading.Lock()
        self.size = 0

    def append(self, values: np.ndarray) -> int:
        """Write values at the end, and give the place where they begin, in bytes."""
        start = self.size
        try:
            self.size += self._file.write(np.ascontiguousarray(values))
            self._file.flush()
        except OSError as error:
            raise StoreError(
                f"features cannot be written to a temporary file: {error}. Make room, or name another folder "
                "(SER_KIT_STORE)"
            ) from error
        return start

    def read(self, start: int, size: int) -> bytes:
        """So many bytes from a place on; safe in several threads."""
        if hasattr(os, "pread"):
            return os.pread(self._file.fileno(), size, start)
        with self._lock:  # Windows
            self._file.seek(start)
            return self._file.read(size)


class OnDisk:
    """Arrays of clips in a file: to training an array ``float32 [clips, rows, ...]`` that is not in memory.

    ``len``, ``shape``, ``ndim`` and ``dtype`` are those of the array. Indexing with an integer reads a clip;
    indexing with anything else chooses clips without reading them; ``np.asarray`` reads all. The values are
    those of the array to the last bit. Of each clip only the rows before its padding are in the file.

    They are read, not mapped into memory: pages of a mapped file count as memory of the process, so that a
    training would seem to need as much as if it held them.

    Args:
        shape: of the array.
        repeats: padding repeats the last row of a clip; else it is zeros.
        folder: where the file lies; by default the system's folder for temporary files.

    Examples:
        >>> found = OnDisk((2, 3, 1), repeats=False)
        >>> found.put(0, np.ones((3, 1), np.float32)), found.put(1, np.full((1, 1), 2, np.float32))
        (None, None)
        >>> np.asarray(found[[1, 0]])[..., 0].tolist()
        [[2.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """

    dtype = np.dtype(np.float32)

    def __init__(self, shape: Sequence[int], *, repeats: bool, folder: Path | None = None):
        self._shape, self._repeats = tuple(shape[1:]), repeats
        self._files = [_File(folder)]
        self._clips = np.zeros((shape[0], 3), np.int64)  # file, place in bytes, rows
        self._changes: tuple[Callable[[np.ndarray], np.ndarray], ...] = ()

    def put(self, place: int, rows: np.ndarray) -> None:
        """Write the rows of a clip.

        Args:
            place: of the clip.
            rows: float32 ``[up to rows, ...]``, without padding.

        Raises:
            StoreError: the disk is full, or the like.
        """
        self._clips[place] = 0, self._files[0].append(rows), len(rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return (len(self._clips), *self._shape)

    @property
    def ndim(self) -> int:
        """Number of axes of the array."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes that the array would take in memory."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, rows: Any) -> OnDisk | np.ndarray:
        if isinstance(rows, tuple):
            return np.asarray(self)[rows]
        chosen = np.arange(len(self))[rows]
        if chosen.ndim == 0:
            return np.asarray(self._with(self._clips[chosen[None]]))[0]
        return self._with(self._clips[chosen])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[place] for place in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        values = np.zeros(self.shape, np.float32)
        size = int(np.prod(self._shape[1:])) * self.dtype.itemsize
        for out, (file, start, rows) in zip(values, self._clips.tolist(), strict=True):
            if rows:
                raw = self._files[file].read(start, rows * size)
                out[:rows] = np.frombuffer(raw, np.float32).reshape(rows, *self._shape[1:])
                if self._repeats:
                    out[rows:] = out[rows - 1]
        for change in self._changes:
            values = change(values)
        return values if dtype is None else values.astype(dtype, copy=False)

    def then(self, change: Callable[[np.ndarray], np.ndarray]) -> OnDisk:
        """The same clips, changed by a function whenever they are read.

        Args:
            change: from and to float32 ``[clips, rows, ...]``, each clip for itself.
        """
        changed = self._with(self._clips)
        changed._changes = (*self._changes, change)
        return changed

    @classmethod
    def joined(cls, arrays: Sequence[OnDisk]) -> OnDisk:
        """The clips of several after one another; the longest decides how many rows there are."""
        first = arrays[0]
        whole = first._with(np.concatenate([each._clips for each in arrays]))
        whole._files = [file for each in arrays for file in each._files]
        counts = np.cumsum([0, *(len(each._files) for each in arrays)])
        whole._clips[:, 0] += np.repeat(counts[:-1], [len(each) for each in arrays])
        whole._shape = (max(each._shape[0] for each in arrays), *first._shape[1:])
        return whole

    def _with(self, clips: np.ndarray) -> OnDisk:
        other = object.__new__(OnDisk)
        other.__dict__.update(self.__dict__, _clips=clips)
        return other


def in_parts(values: np.ndarray | OnDisk) -> Iterable[np.ndarray]:
    """All clips in order, some at a time; an array in memory at once."""
    if not isinstance(values, OnDisk):
        return (values,)
    return (np.asarray(values[start : start + _PART]) for start in range(0, len(values), _PART))


def valid_rows(values: np.ndarray | OnDisk, lengths: np.ndarray | None) -> Iterator[np.ndarray]:
    """The rows of all clips without padding, ``[rows, dims]``, in the parts of :func:`in_parts`.

    Args:
        values: ``[clips, rows, dims]``; without ``lengths`` also ``[clips, dims]``.
        lengths: number of valid rows of each clip; ``None`` for all rows.
    """
    start = 0
    for part in in_parts(values):
        if lengths is None:
            yield part.reshape(-1, part.shape[-1])
        else:
            yield part[np.arange(part.shape[1]) < lengths[start : start + len(part), None]]
        start += len(part)
