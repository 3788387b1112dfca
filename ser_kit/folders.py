"""Where ser_kit keeps what it can make again, and how files and folders appear whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ABANDONED = 24 * 3600  # seconds; no process works that long on one file


def cache_folder() -> Path:
    """``$SER_KIT_CACHE``, or else the platform's cache folder; it need not exist yet.

    Examples:
        >>> cache_folder()  # doctest: +SKIP
        PosixPath('/home/ada/.cache/ser_kit')
    """
    import pooch

    return Path(os.environ.get("SER_KIT_CACHE") or pooch.os_cache("ser_kit"))


@contextmanager
def workshop(folder: Path, prefix: str) -> Iterator[Path]:
    """A temporary folder inside ``folder``, so that what is finished in it can be moved to its place in one step.

    Args:
        folder: made if need be.
        prefix: of the temporary folder's name. Folders of that prefix that were left a day ago by processes that were
            killed are swept up.

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
        with suppress(FileNotFoundError):  # another process may sweep too
            if time.time() - old.stat().st_mtime > _ABANDONED:
                shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as unfinished:
        yield Path(unfinished)


def write_whole(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that a reader sees the old content or the new, never a part."""
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
