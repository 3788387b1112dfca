"""Turns of speakers in RTTM files, as pyannote and NIST's tools write them.

A line is ``SPEAKER call 1 12.5 3.25 <NA> <NA> anna <NA> <NA>``: kind, recording, channel, start and duration
(s), two fields that are not used, and the speaker. Lines of other kinds and comments (``;;``) are skipped.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import TableError, printable
from ..core.paths import audio_files
from .cells import bare

SUFFIX = ".rttm"
_NONE = "<NA>"
_KINDS = frozenset(
    {
        "SEGMENT", "NOSCORE", "NO_RT_METADATA", "LEXEME", "NON-LEX", "NON-SPEECH", "FILLER", "EDIT", "IP",
        "SU", "CB", "A/P", "SPKR-INFO",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Turn:
    """A turn of a speaker.

    Args:
        recording: its name in the file, mostly without suffix.
        channel: its channel in the recording, from 1.
        start: s.
        end: s, after the start.
        speaker: ``""`` where none is given.
        line: number of the line, from 1.
    """

    recording: str
    channel: int
    start: float
    end: float
    speaker: str
    line: int


def parse(text: str, name: str = "RTTM") -> list[Turn]:
    """The turns in the text of an RTTM file, in its order.

    Args:
        text: the text.
        name: of the file, for messages.

    Raises:
        TableError: a line is none of RTTM; the message names it. Or there is no turn.

    Examples:
        >>> parse("SPEAKER call 1 12.5 3.25 <NA> <NA> anna <NA> <NA>")[0]
        Turn(recording='call', channel=1, start=12.5, end=15.75, speaker='anna', line=1)
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        fields = line.split()
        if not fields or fields[0].startswith(";") or fields[0] in _KINDS:
            continue
        try:
            found.append(_turn(fields, number))
        except ValueError as error:
            raise TableError(
                f"{name}, line {number}: {printable(line.strip())[:100]!r}: {error}; expected such as "
                "SPEAKER call 1 12.5 3.25 <NA> <NA> anna <NA> <NA>"
            ) from None
    if not found:
        raise TableError(f"{name} holds no turn: no line begins with SPEAKER")
    return found


def _turn(fields: list[str], number: int) -> Turn:
    """A turn from the fields of a line.

    Raises:
        ValueError: they are none of a turn.
    """
    if fields[0] != "SPEAKER":
        raise ValueError(f"{fields[0]!r} is no kind of line")
    if not 8 <= len(fields) <= 10:
        raise ValueError(f"it has {len(fields)} fields")
    channel = 1 if fields[2] == _NONE else int(fields[2]) if fields[2].isdecimal() else 0
    if not 1 <= channel <= 1000:
        raise ValueError(f"its channel is {fields[2]!r}")
    start, duration = float(fields[3]), float(fields[4])
    end = round(start + duration, 6)
    if not 0 <= start < end < 1e9:
        raise ValueError("it does not last")
    return Turn(fields[1], channel, start, end, "" if fields[7] == _NONE else fields[7], number)


def read(file: str | os.PathLike) -> list[Turn]:
    """The turns in an RTTM file.

    Raises:
        TableError: it cannot be read, or is no RTTM file.
    """
    try:
        return parse(Path(file).read_text(encoding="utf-8-sig"), str(file))
    except OSError as error:
        raise TableError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TableError(f"{file} is not an RTTM file: it is not UTF-8 text") from None


class Recordings:
    """Finds recordings in a folder by the names that RTTM files have for them.

    Args:
        folder: it, and the folders in it, are searched.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self._named: dict[str, list[Path]] = {}
        for path in audio_files(folder):
            for name in {path.name, path.stem}:
                self._named.setdefault(bare(name), []).append(path)

    def find(self, name: str) -> Path:
        """The recording of that name.

        Raises:
            TableError: there is none, or several.
        """
        found = self._named.get(bare(os.path.basename(name.replace("\\", "/"))), [])
        if len(found) == 1:
            return found[0]
        if not found:
            raise TableError(f"there is no recording {name!r} in {self.folder}")
        places = ", ".join(str(path.relative_to(self.folder)) for path in found[:3])
        raise TableError(f"{name!r} may be one of {len(found)} recordings in {self.folder}: {places}")
