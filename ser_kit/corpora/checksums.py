"""Checksums of a corpus: path, size and SHA-256 of each recording, to compare another copy with.

The idea is that of the indexes of mirdata (R. M. Bittner et al., "mirdata: Software for reproducible usage of
datasets", ISMIR 2019).
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator
from pathlib import Path

from ..core.errors import TableError
from ..core.paths import file_digest, write_whole
from .base import Corpus

COLUMNS = ("path", "bytes", "sha256")
"""Columns of a checksum file: path below the folder of the corpus, size in bytes, SHA-256."""


def write(
    corpus: Corpus, out: str | os.PathLike, root: str | os.PathLike | None = None, *, progress: bool = True
) -> Path:
    """Write the checksums of a corpus; see :func:`ser_kit.corpora.write_checksums`."""
    from tqdm.auto import tqdm

    folder = Path(os.path.abspath(corpus.locate(root)))
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    files = tqdm(sorted(_files(corpus, folder).items()), desc="checksums", unit="file", disable=not progress)
    for name, path in files:
        rows.writerow((name, path.stat().st_size, file_digest(path)))
    write_whole(Path(out), text.getvalue().encode())
    return Path(out)


def differences(
    corpus: Corpus, folder: Path, file: str | os.PathLike
) -> Iterator[tuple[str, str, Path, str]]:
    """Compare a copy of a corpus with a checksum file.

    Args:
        corpus: the corpus.
        folder: the folder of the copy.
        file: the checksum file.

    Yields:
        ``(kind, path below the folder, path, detail)`` of each recording that is ``"missing"``, ``"changed"``
        or ``"extra"``.

    Raises:
        TableError: the file does not exist, or is not a checksum file.
    """
    here = _files(corpus, folder)
    for name, size, digest in _rows(file):
        path = here.pop(name, folder / name)
        if not path.is_file():
            yield "missing", name, path, f"is in {file}"
        elif path.stat().st_size != size:
            yield "changed", name, path, f"{path.stat().st_size:,} bytes; expected {size:,}"
        elif file_digest(path) != digest:
            yield "changed", name, path, "other bytes of the same number"
    for name, path in here.items():
        yield "extra", name, path, f"is not in {file}"


def _files(corpus: Corpus, folder: Path) -> dict[str, Path]:
    """The recordings of a copy, by their path below its folder."""
    top = folder if folder.is_dir() else folder.parent  # a list of recordings is a file
    paths = {entry.path for entry in corpus.entries(folder) if entry.path.is_file()}
    return {Path(os.path.relpath(path, top)).as_posix(): path for path in paths}


def _rows(file: str | os.PathLike) -> list[tuple[str, int, str]]:
    try:
        columns, *rows = csv.reader(Path(file).read_text(encoding="utf-8").splitlines())
        if tuple(columns) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(columns)}")
        return [(path, int(size), digest) for path, size, digest in rows]
    except (OSError, ValueError) as error:
        expected = ", ".join(COLUMNS)
        raise TableError(f"{file} is not a checksum file ({expected}): {error}") from None
