"""The feature store: what was extracted, kept by the clip's content and the extractor's identity.

It is one SQLite file in the cache folder (:mod:`ser_kit.extraction.database`). Arrays are stored as their
plain float32 bytes with a checksum, so nothing in the file is ever executed, and what the disk has spoiled is
noticed.

A clip is known by the hash of its file's bytes. So that a second run need not read the files again, the hash
is remembered together with the file's path, size and times, and taken from there as long as those stay as
they were.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from stat import S_ISREG
from typing import NamedTuple

import numpy as np

from ..audio.recording import Excerpt
from ..core.paths import cache_folder
from ..features.base import Extractor
from .database import Database, transaction

_FILE = "features-1.sqlite"  # another number for another layout of the tables
_SETTLED = 2_000_000_000  # ns: a file changed more recently may change again without its times showing it
_PENDING = 16  # entries, and
_PATIENCE = 0.5  # seconds, after which what was put is written

TEMPORARY = ":temporary:"
"""In place of a folder: a store of its own, gone when it is closed."""

Warned = tuple[tuple[str, str], ...]
"""Warnings that a clip gave rise to: class name and message."""


class Holding(NamedTuple):
    """What a store holds of one extractor."""

    extractor: str
    clips: int
    bytes: int


def extractor_key(extractor: Extractor) -> str:
    """What decides an extractor's numbers: module, identity, and versions of the packages it uses."""
    # Ours are known by their names alone, so that a module that moves does not empty the store.
    module = type(extractor).__module__
    owner = "ser_kit" if module.startswith("ser_kit.") else module
    return f"{owner}.{extractor.identity}; {', '.join(_versions(extractor.dependencies))}"


def _versions(packages: Iterable[str]) -> Iterator[str]:
    for name in sorted(packages):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            continue


def content_of(path: str) -> bytes:
    """The hash of a file's bytes: 128 bits of BLAKE2b.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).digest()


def absolute(source: str | Excerpt) -> str | Excerpt:
    """A file, or a part of one, by its whole path."""
    path = _file_of(source)
    return replace(source, path=path) if isinstance(source, Excerpt) else path


def _file_of(source: str | Excerpt) -> str:
    return os.path.abspath(source.path if isinstance(source, Excerpt) else source)


def _clip_of(content: bytes, source: str | Excerpt) -> bytes:
    """The hash of a clip, given that of its file: the same, or for a part of the file one of its own."""
    if not isinstance(source, Excerpt):
        return content
    return hashlib.blake2b(content + f"{source.start!r} {source.end!r}".encode(), digest_size=16).digest()


class Store(Database):
    """Features of clips, by content and extractor; safe to share between threads and processes.

    Args:
        folder: where its file lies, made if need be; ``None`` for ``$SER_KIT_STORE``, or else the cache
            folder (``$SER_KIT_CACHE``, or that of the platform); :data:`TEMPORARY` for a file of its own that
            is gone when the store is closed.

    Raises:
        StoreError: the folder cannot be written; the message says what to do.

    Examples:
        >>> from ser_kit.features import LogMel
        >>> with Store(TEMPORARY) as store:
        ...     store.put(LogMel(), b"the clip", np.zeros((301, 64)), 301)
        ...     store.has(LogMel(), b"the clip"), store.has(LogMel(n_mels=80), b"the clip")
        (True, False)
    """

    def __init__(self, folder: str | os.PathLike | None = None):
        temporary = folder == TEMPORARY
        folder = folder or os.environ.get("SER_KIT_STORE") or cache_folder()
        self._oldest = 0.0
        super().__init__(None if temporary else Path(folder) / _FILE)

    def _reset(self) -> None:
        self._pending: list[tuple[int, bytes, int, str, int, bytes]] = []
        self._stamps: dict[str, tuple[str, bytes]] = {}
        self._ids: dict[Extractor, int] = {}

    # Contents ----------------------------------------------------------------------------------------------

    def content(self, source: str | Excerpt) -> bytes:
        """The hash of a clip's content, remembered for as long as its file does not change.

        Raises:
            OSError: it cannot be read, or is no regular file.
        """
        path = _file_of(source)
        status = os.stat(path)
        if not S_ISREG(status.st_mode):
            raise OSError(f"{path} is not a regular file")
        stamp = _stamp(status)
        known = None
        with self._guarded():
            query = "SELECT stamp, content FROM files WHERE path = ?"
            known = self._stamps.get(path) or self._database.execute(query, (path,)).fetchone()
        if known is not None and known[0] == stamp:
            return _clip_of(known[1], source)
        content = content_of(path)
        if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > _SETTLED:
            with self._guarded():
                self._stamps[path] = stamp, content
                self._flush_if_due()
        return _clip_of(content, source)

    # Entries -----------------------------------------------------------------------------------------------

    def has(self, extractor: Extractor, content: bytes) -> bool:
        """Whether there is an entry; it is only checked when it is fetched."""
        return self._entry("1", extractor, content) is not None

    def length(self, extractor: Extractor, content: bytes) -> int:
        """Leading rows of an entry that are sound and not padding; 0 where there is no entry."""
        row = self._entry("length", extractor, content)
        return row[0] if row and isinstance(row[0], int) else 0

    def recall(self, extractor: Extractor, source: str | Excerpt) -> bytes | None:
        """The content of a remembered clip that has an entry, without reading its file, or ``None``."""
        path = _file_of(source)
        try:
            stamp = _stamp(os.stat(path))
        except (OSError, ValueError):
            return None
        row = None
        with self._guarded():
            query = "SELECT content FROM files WHERE path = ? AND stamp = ?"
            row = self._database.execute(query, (path, stamp)).fetchone()
        content = row and _clip_of(row[0], source)
        return content if content and self.has(extractor, content) else None

    def put(
        self, extractor: Extractor, content: bytes, values: np.ndarray, length: int = 1, warned: Warned = ()
    ) -> None:
        """Keep what was extracted from a clip; it is written within half a second, with up to fifteen others.

        Args:
            extractor: what extracted it.
            content: the hash of the clip's file.
            values: float32 ``[*extractor.shape]``.
            length: leading rows that are sound and not padding.
            warned: what was warned of.

        Raises:
            StoreError: the disk is full, or the like.
        """
        array = without_tail(np.ascontiguousarray(values, np.float32)).tobytes()
        warnings = json.dumps(warned)
        with self._guarded():
            checksum = _checksum(content, length, warnings, array)
            self._pending.append((self._id(extractor), content, length, warnings, checksum, array))
            self._flush_if_due()

    def fetch(self, extractor: Extractor, content: bytes, out: np.ndarray) -> tuple[int, Warned] | None:
        """What is kept of a clip.

        Args:
            extractor: what extracted it.
            content: the hash of the clip's file.
            out: float32 ``[*extractor.shape]``, which the values are written to.

        Returns:
            Length and warnings; ``None`` if there is no entry, or a damaged one, which is then forgotten.
        """
        row = self._entry("length, warned, checksum, array", extractor, content)
        if row is None:
            return None
        length, warnings, checksum, array = row
        try:
            if checksum != _checksum(content, length, warnings, array):
                raise ValueError
            rows = np.frombuffer(array, np.float32).reshape(-1, *out.shape[1:])
            out[: len(rows)], out[len(rows) :] = rows, rows[-1]
            return length, tuple(map(tuple, json.loads(warnings)))
        except (ValueError, TypeError, AttributeError):  # whatever a spoiled row may hold
            self.forget(extractor, content)
            return None

    def _entry(self, columns: str, extractor: Extractor, content: bytes) -> tuple | None:
        """These columns of an entry; ``None`` where there is none, or where the whole file was damaged."""
        with self._guarded():
            self.flush()
            query = f"SELECT {columns} FROM entries WHERE extractor = ? AND content = ?"
            return self._database.execute(query, (self._id(extractor), content)).fetchone()
        return None

    def forget(self, extractor: Extractor, content: bytes) -> None:
        """Remove an entry, if it is there."""
        with self._guarded():
            query = "DELETE FROM entries WHERE extractor = ? AND content = ?"
            self._database.execute(query, (self._id(extractor), content))

    def flush(self) -> None:
        """Write what was put; from then on it outlives this process."""
        with self._guarded():
            if not (self._pending or self._stamps):
                return
            stamps = [(path, *known) for path, known in self._stamps.items()]
            with transaction(self._database):
                self._database.executemany(
                    "INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", self._pending
                )
                self._database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", stamps)
            self._pending, self._stamps = [], {}

    # The whole ---------------------------------------------------------------------------------------------

    def holdings(self) -> list[Holding]:
        """What there is of each extractor."""
        with self._guarded():
            self.flush()
            query = (
                "SELECT key, COUNT(*), SUM(LENGTH(array)) FROM entries JOIN extractors ON extractor = id "
                "GROUP BY id ORDER BY key"
            )
            return [Holding(*row) for row in self._database.execute(query)]

    def check(self, progress: Callable[[int], None] = lambda checked: None) -> tuple[int, int]:
        """Read every entry, and forget those that are damaged.

        Args:
            progress: is called with the number of entries checked so far.

        Returns:
            Entries checked, and how many of them were damaged. A file that is damaged as a whole is set aside
            with a
            :class:`~ser_kit.core.errors.DamagedStoreWarning`, and an empty one takes its place.
        """
        damaged, checked = [], 0
        query = (
            "SELECT rowid, content, length, warned, checksum, array FROM entries WHERE rowid > ? "
            "ORDER BY rowid LIMIT 1"
        )
        last = -1 << 63
        while True:
            row = None
            with self._guarded():
                row = self._database.execute(query, (last,)).fetchone()
            if row is None:
                break
            last, content, length, warned, checksum, array = row
            try:
                sound = checksum == _checksum(content, length, warned, array)
            except (TypeError, AttributeError):
                sound = False
            if not sound:
                damaged.append((last,))
            checked += 1
            progress(checked)
        with self._guarded(), transaction(self._database):
            self._database.executemany("DELETE FROM entries WHERE rowid = ?", damaged)
        return checked, len(damaged)

    def clear(self, extractor: str | None = None) -> int:
        """Remove the entries of extractors whose class has that name, or all that there is; the file shrinks.

        Returns:
            The number of entries removed.
        """
        with self._guarded():
            self.flush()
            keys = self._database.execute("SELECT id, key FROM extractors").fetchall()
            chosen = [(number,) for number, key in keys if extractor in (None, _class_name(key))]
            with transaction(self._database):
                removed = self._database.executemany(
                    "DELETE FROM entries WHERE extractor = ?", chosen
                ).rowcount
                if extractor is None:
                    self._database.execute("DELETE FROM files")
            self._database.execute("VACUUM")
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return max(0, removed)

    def _id(self, extractor: Extractor) -> int:
        if extractor not in self._ids:
            key = extractor_key(extractor)
            self._database.execute("INSERT OR IGNORE INTO extractors (key) VALUES (?)", (key,))
            row = self._database.execute("SELECT id FROM extractors WHERE key = ?", (key,)).fetchone()
            self._ids[extractor] = row[0]
        return self._ids[extractor]

    def _flush_if_due(self) -> None:
        now = time.monotonic()
        if len(self._pending) + len(self._stamps) == 1:
            self._oldest = now
        if len(self._pending) >= _PENDING or now - self._oldest > _PATIENCE:
            self.flush()


def _stamp(status: os.stat_result) -> str:
    """What changes whenever a file does."""
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_dev} {status.st_ino}"


def without_tail(array: np.ndarray) -> np.ndarray:
    """The array without the rows at its end that repeat the last one (padding), but one."""
    bits = array.view(np.uint32).reshape(len(array), -1)
    different = np.flatnonzero((bits != bits[-1]).any(axis=1))
    return array[: different[-1] + 2] if len(different) else array[:1]


def _checksum(content: bytes, length: int, warned: str, array: bytes) -> int:
    return zlib.crc32(array, zlib.crc32(f"{content.hex()} {length} {warned}".encode()))


def _class_name(key: str) -> str:
    return key.partition("/")[0].rpartition(".")[2]
