"""The cache folder, and atomic writes of files and folders."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from .errors import TargetError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
_ABANDONED = 24 * 3600  # seconds; no process works that long on one file

AUDIO_SUFFIXES = frozenset({
    ".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".mp4", ".aac", ".webm", ".aif", ".aiff",
    ".aifc", ".wma", ".au", ".caf", ".3gp", ".3g2", ".amr", ".awb", ".ac3", ".mka", ".mov",
})  # fmt: skip


def cache_folder() -> Path:
    """Cache folder: ``$SER_KIT_CACHE``, or else the platform's cache folder; it need not exist yet.

    Examples:
        >>> cache_folder()  # doctest: +SKIP
        PosixPath('/home/ada/.cache/ser_kit')
    """
    import pooch

    return Path(os.environ.get("SER_KIT_CACHE") or pooch.os_cache("ser_kit"))


@contextmanager
def workshop(folder: Path, prefix: str) -> Iterator[Path]:
    """Temporary folder inside ``folder``, from which finished files are moved to their place in one step.

    Args:
        folder: created if missing.
        prefix: prefix of the temporary folder's name. Folders with this prefix that are older than a day,
            left by killed processes, are deleted.

    Examples:
        >>> target = Path(tempfile.mkdtemp()) / "greeting.txt"
        >>> with workshop(target.parent, ".greeting-") as unfinished:
        ...     _ = (unfinished / "greeting.txt").write_text("hello")
        ...     os.replace(unfinished / "greeting.txt", target)
        >>> target.read_text()
        'hello'
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):  # another process may delete it too
            if time.time() - old.stat().st_mtime > _ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as unfinished:
        yield Path(unfinished)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file atomically: a reader sees the old content or the new, never a part."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Temporary path to write to; it replaces ``path`` unless an error is raised.

    Examples:
        >>> target = Path(tempfile.mkdtemp()) / "greeting.txt"
        >>> with replacing(target) as unfinished:
        ...     _ = unfinished.write_text("hello")
        >>> target.read_text()
        'hello'
    """
    with workshop(path.parent, ".saving-") as folder:
        unfinished = folder / path.name
        yield unfinished
        os.replace(unfinished, path)


def file_digest(path: str | os.PathLike) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits.

    Raises:
        OSError: if the file cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def writable(folder: str | os.PathLike) -> Path:
    """Check that files can be written into a folder, before the work that produces them.

    Args:
        folder: it need not exist yet.

    Raises:
        TargetError: if the path is a file, or the folder is not writable.

    Examples:
        >>> writable(Path(tempfile.mkdtemp()) / "results" / "first").name
        'first'
    """
    place = folder = Path(folder)
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise TargetError(f"{place} is a file; expected a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise TargetError(f"nothing can be written in {place.absolute()}; give another folder")
    return folder


def replaceable(target: str | os.PathLike) -> Path:
    """Check that :func:`put` can replace a file or folder, before the work that produces it.

    Args:
        target: it need not exist yet. Links are followed.

    Returns:
        The absolute path, without links.

    Raises:
        TargetError: if it is not writable, is or contains the working directory, or is a mount point.
    """
    place = Path(os.path.realpath(target))
    if place.is_dir() and (Path.cwd().is_relative_to(place) or place.is_mount()):
        works_there = Path.cwd().is_relative_to(place)
        kind = "the working directory, or contains it" if works_there else "a mount point"
        raise TargetError(f"{target} is {kind}, and cannot be replaced; give a folder inside it")
    writable(place.parent)
    return place


def put(made: Path, place: Path) -> None:
    """Move a finished file or folder to its place, and delete the old one afterwards.

    A kill at any moment leaves the old or the new one complete. Linux exchanges two folders in one step on
    most file systems. Elsewhere the old one is renamed for a moment, and :func:`standing` finds it.

    Args:
        made: the finished file or folder, on the same file system, in a :func:`workshop`.
        place: the target, from :func:`replaceable`.

    Examples:
        >>> place = Path(tempfile.mkdtemp()) / "letters"
        >>> for name in ("a", "b"):
        ...     with workshop(place.parent, ".letters-") as unfinished:
        ...         made = unfinished / "made"
        ...         made.mkdir()
        ...         _ = (made / name).write_text(name)
        ...         put(made, place)
        >>> [path.name for path in place.iterdir()]
        ['b']
    """
    for file in made.rglob("*") if made.is_dir() else (made,):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    aside = _aside(place)
    if not place.is_dir() or not _exchanged(made, place):
        if place.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(place, aside)
        os.replace(made, place)
    shutil.rmtree(aside, ignore_errors=True)


def standing(folder: Path) -> Path:
    """Path to read a folder from: its place, or the renamed one if :func:`put` was interrupted."""
    aside = _aside(folder)
    return aside if not folder.exists() and aside.is_dir() else folder


def _aside(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.replaced"


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange two folders in one step; false if that is not possible."""
    if sys.platform != "linux":
        return False
    exchange = getattr(ctypes.CDLL(None), "renameat2", None)
    if exchange is None:
        return False
    return exchange(_HERE, os.fsencode(one), _HERE, os.fsencode(other), _EXCHANGE) == 0


def audio_files(root: Path, skip: frozenset[str] = frozenset()) -> list[Path]:
    """Audio files under a folder; of two copies of a clip, the preferred one comes first.

    Pipes, sockets and devices are skipped, since reading them may block forever.

    Args:
        root: the folder to search.
        skip: names of folders to skip. Hidden files and folders are always skipped: archives packed on a Mac
            hold a ``._name.wav`` beside each ``name.wav``.
    """
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in skip and f != "__MACOSX" and not f.startswith("."))
        here = Path(folder)
        shown = [here / name for name in names if not name.startswith(".")]
        named = [path for path in shown if path.suffix.lower() in AUDIO_SUFFIXES]
        found += [path for path in named if path.is_file() or not path.exists()]
    # Some mirrors hold MP3 versions beside the original WAV files.
    return sorted(found, key=lambda path: (path.suffix.lower() != ".wav", len(path.parts), path.as_posix()))
