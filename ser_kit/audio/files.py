"""The bytes of a sound file, pipe or file object, with bounds on their number and on the time they take."""

from __future__ import annotations

import io
import os
import select
import tempfile
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..core.errors import AudioError, AudioNotFoundError, NotAudioError
from .blocks import MAX_SECONDS

MOST_CONTENT = 1 << 29
"""Most bytes of a recording that must be taken into memory as it is."""

PIPE_SECONDS = 30
"""Longest time that a pipe may be silent."""

WATCHED_EVERY = 0.1
"""Seconds between two calls of a watch while somebody else works."""

File = Path | io.BytesIO
"""A regular file, or the content of one."""

Watch = Callable[[], object]
"""Called again and again while something is read; what it raises ends the reading."""


def contents(path: Path, name: str, watch: Watch) -> bytes:
    """The bytes of a file or a pipe.

    Nobody is waited for at the other end of a pipe, and one who is silent for :data:`PIPE_SECONDS` no longer.

    Raises:
        AudioError: it cannot be read, or holds more than :data:`MOST_CONTENT`.
    """
    with readable(path):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    data, began = bytearray(), time.monotonic()
    with open(handle, "rb", buffering=0) as file:
        silent_since = began
        while True:
            with readable(path):
                piece = file.read(1 << 20)
            if piece == b"":
                return bytes(data)
            watch()
            if piece is None:  # there will be more
                select.select([file], [], [], WATCHED_EVERY)
            else:
                data += piece
                silent_since = time.monotonic()
            _check_size(len(data), name)
            if time.monotonic() > min(silent_since + PIPE_SECONDS, began + MAX_SECONDS):
                raise AudioError(
                    f"{name}: is a pipe that gave nothing for {PIPE_SECONDS} s, or does not end; "
                    "save the sound as a file"
                )


def printable(name: str) -> str:
    """A name for messages: line breaks, other control characters and what is no character are escaped."""
    escaped = {"Cc", "Cs", "Zl", "Zp"}
    return "".join(repr(c)[1:-1] if unicodedata.category(c) in escaped else c for c in os.fspath(name))


def read_all(file: BinaryIO, name: str) -> bytes:
    """The bytes of a file object, from its start where it can seek.

    Raises:
        AudioError: it cannot be read, or is a stream of more than :data:`MOST_CONTENT`.
    """
    try:
        seekable = file.seekable()
        if seekable:
            file.seek(0)
        data = file.read() if seekable else _beginning(file)
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise AudioError(f"{name}: the file object cannot be read: {error}") from None
    if not isinstance(data, bytes):
        raise NotAudioError(
            f'{name}: the file object gives no bytes; open the file in binary mode, open(path, "rb")'
        )
    if not seekable:
        _check_size(len(data), name)
    return data


def _beginning(file: BinaryIO) -> bytes:
    """All of a stream, unless that is more than is taken."""
    data = io.BytesIO()
    while data.tell() <= MOST_CONTENT and (piece := file.read(1 << 20)):
        if not isinstance(piece, bytes):
            return piece
        data.write(piece)
    return data.getvalue()


def _check_size(size: int, name: str) -> None:
    if size > MOST_CONTENT:
        raise AudioError(
            f"{name}: holds more than {MOST_CONTENT >> 20} MiB, which is the most for a pipe or an odd file; "
            "save it as a WAV, FLAC or MP3 file"
        )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raise what is raised because a path cannot be read as an :class:`~ser_kit.core.errors.AudioError`."""
    try:
        yield
    except FileNotFoundError:
        raise AudioNotFoundError(f"{printable(path)}: no such file") from None
    except IsADirectoryError:
        raise NotAudioError(f"{printable(path)}: is a directory; expected a sound file") from None
    except OSError as error:
        raise AudioError(f"{printable(path)}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a null byte in the name
        raise AudioError(f"{printable(path)!r}: is no file name: {error}") from None


@contextmanager
def opened(file: File) -> Iterator[BinaryIO]:
    """A file, opened for reading at its start."""
    if isinstance(file, io.BytesIO):
        yield io.BytesIO(file.getvalue())  # the same bytes, uncopied, at a place of its own
    else:
        with readable(file), open(file, "rb") as handle:
            yield handle


def peek(file: File, offset: int, size: int) -> bytes:
    """Some bytes of a file, fewer where it ends before."""
    with opened(file) as handle:
        handle.seek(offset)
        return handle.read(size)


def size_of(file: File) -> int:
    """Bytes in a file."""
    if isinstance(file, io.BytesIO):
        return len(file.getbuffer())
    with readable(file):
        return file.stat().st_size


@contextmanager
def as_handle(file: File) -> Iterator[BinaryIO]:
    """A file as another process can read and seek in it."""
    if isinstance(file, Path):
        with readable(file):
            handle = open(file, "rb")  # noqa: SIM115 - it is closed below
    else:
        handle = tempfile.TemporaryFile()  # noqa: SIM115
        handle.write(file.getbuffer())
        handle.seek(0)
    with handle:
        yield handle
