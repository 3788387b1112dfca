"""The SQLite file under the feature store: shared by threads and processes, and replaced when it is damaged.

SQLite comes with Python. In its write-ahead mode several processes may read and write at once, and a process
killed at any moment leaves every finished transaction and nothing of an unfinished one. Parquet and Zarr have
no transactions, and HDF5 allows no two writers.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from ..core.errors import DamagedStoreWarning, StoreError

_WAIT = 60.0  # seconds to wait for another process that writes
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS extractors (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL);
CREATE TABLE IF NOT EXISTS entries (
    extractor INTEGER NOT NULL REFERENCES extractors, content BLOB NOT NULL,
    length INTEGER NOT NULL, warned TEXT NOT NULL, checksum INTEGER NOT NULL, array BLOB NOT NULL,
    UNIQUE (extractor, content)
);
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, stamp TEXT NOT NULL, content BLOB NOT NULL
) WITHOUT ROWID;
"""


class Database(ABC):
    """The store's file, opened; a subclass holds what is not written yet.

    Args:
        path: of the file, made if need be; ``None`` for one that is gone when it is closed.

    Raises:
        StoreError: it cannot be opened.
    """

    def __init__(self, path: Path | None):
        self.path = path
        self._lock = threading.RLock()
        self._reset()
        self._open()

    @abstractmethod
    def _reset(self) -> None:
        """Forget what is not written yet, and what is remembered of the file."""

    @abstractmethod
    def flush(self) -> None:
        """Write what is not written yet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def __str__(self) -> str:
        return f"the feature store {self.path}" if self.path else "a temporary feature store"

    def close(self) -> None:
        """Write what was put, and let go of the file. Nothing happens if it is closed already."""
        with self._lock:
            if self._database is None:
                return
            try:
                self.flush()
            finally:
                self._database.close()
                self._database = None

    def size(self) -> int:
        """Bytes on disk."""
        files = () if self.path is None else _files(self.path)
        return sum(file.stat().st_size for file in files if file.exists())

    def _open(self) -> None:
        self._database = None
        try:
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._connect()
        except sqlite3.DatabaseError as error:
            if not self._is_damaged(error):
                raise self._trouble(error) from error
            self._set_aside(error)
            self._connect()
        except OSError as error:
            raise self._trouble(error) from error

    def _connect(self) -> None:
        # An empty name makes SQLite use a temporary file of its own.
        self._database = sqlite3.connect(
            self.path or "",
            timeout=_WAIT,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=32,
        )
        if self.path is not None:
            self._write_ahead()
        # A killed process loses nothing of what was committed; a power cut may cost the last entries.
        self._database.execute("PRAGMA synchronous = NORMAL")
        with transaction(self._database):
            for statement in _SCHEMA.split(";"):
                self._database.execute(statement)
        self._inode = self.path and self.path.stat().st_ino

    def _write_ahead(self) -> None:
        # SQLite waits for others at every statement but this one.
        until = time.monotonic() + _WAIT
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Lock; raise SQLite's errors as :class:`StoreError`; replace a file that is damaged as a whole."""
        with self._lock:
            if self._database is None:
                raise StoreError(f"{self} is closed")
            try:
                yield
            except sqlite3.DatabaseError as error:
                if not self._is_damaged(error):
                    raise self._trouble(error) from error
                self._set_aside(error)
                self._reset()
                self._connect()

    def _is_damaged(self, error: sqlite3.DatabaseError) -> bool:
        """Whether the file is damaged as a whole, and not only out of reach or of room."""
        return self.path is not None and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED

    def _set_aside(self, error: Exception) -> None:
        if self._database is not None:
            self._database.close()
        now = time.strftime("%Y%m%d-%H%M%S")
        aside = self.path.with_name(f"{self.path.stem}.damaged-{now}{self.path.suffix}")
        # Another process may have done it already, and the file be a new one.
        inode = self.path.stat().st_ino if self.path.exists() else None
        if inode == getattr(self, "_inode", inode):
            for old, new in zip(_files(self.path), _files(aside), strict=True):
                if os.path.exists(old):
                    os.replace(old, new)
        warnings.warn(
            f"{self} is damaged ({error}); it was set aside as {aside.name}, and features are extracted anew",
            DamagedStoreWarning,
            stacklevel=2,
        )

    def _trouble(self, error: Exception) -> StoreError:
        return StoreError(
            f"{self} cannot be used: {error}. Make room or permit writing there, name another folder "
            "(SER_KIT_STORE), or do without it (cache=False, --no-cache). What it held is untouched"
        )


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All that is executed meanwhile is committed, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _files(path: Path) -> tuple[Path, Path, Path]:
    """The file, and the two that SQLite keeps beside it while it is in use."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")
