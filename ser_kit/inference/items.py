"""What is answered for: recordings, rows of tables, turns, channels; each with the cells that it keeps."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from ..audio.recording import Excerpt, Recording, Source, channels_of, read_audio
from ..core.errors import AudioError, TableError, printable
from ..corpora import cells, rttm
from .voice_activity import turns

MOST_KEPT = 120_000_000
"""Longest recording (samples) that is kept in memory while parts of it are answered."""


@dataclass(frozen=True)
class Item:
    """One thing to answer for.

    Args:
        source: file, or part or channel of one.
        cells: column -> cell, kept in the answers.
        error: why there can be no answer; ``""`` where there may be one.
        line: that of the table which names it, or 0.
        mark: tells it from other items of the same source, such as ``row=7``; ``""`` where there are none.
    """

    source: str | Excerpt
    cells: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    line: int = 0
    mark: str = ""

    @property
    def file(self) -> str:
        """The file."""
        return os.fspath(self.source.path) if isinstance(self.source, Excerpt) else self.source

    @cached_property
    def key(self) -> str:
        """Its name in the answers, such as ``talk.wav#t=1,2.5&channel=2``; no other item has it."""
        name = str(self.source)
        return f"{name}{'&' if '#' in name else '#'}{self.mark}" if self.mark else name


class Table(NamedTuple):
    """Items of a table, and lines about how it was read."""

    items: list[Item]
    about: list[str]


def of_table(file: str | os.PathLike, root: str | os.PathLike | None = None) -> Table:
    """One item for each row of a CSV file, which keeps all its columns.

    Args:
        file: read as tables of corpora are (:mod:`ser_kit.corpora.folder`), but an emotion is not needed.
        root: folder that paths are relative to; by default that of the file.

    Raises:
        TableError: it is no such file, or has no column for the path.
    """
    table, find = cells.read(file), cells.Finder()
    places = table.named(("path", "start", "end", "duration"))
    if "path" not in places:
        raise TableError(f"{file} lacks the column path; it has {', '.join(filter(None, table.columns))}")
    columns = _distinct(table.columns)
    folder = Path(file).parent if root is None else Path(root)
    items = []
    for row, line in zip(table.rows, table.lines, strict=True):
        kept = dict(zip(columns, row, strict=True))
        path = find(folder, row[places["path"]]) if row[places["path"]] else ""
        times = {name: row[places[name]] if name in places else "" for name in ("start", "end", "duration")}
        try:
            if not path:
                raise TableError("its path is empty")
            source = _part(path, *(cells.seconds(times[name]) for name in times))
            error = "" if os.path.isfile(path) else f"there is no file {path}"
        except (AudioError, TableError) as wrong:
            source, error = path or row[places["path"]], str(wrong)
        items.append(Item(source, kept, error, line))
    first = table.understood(("path", "start", "end"), "kept as they are")
    return Table(_marked(items), _about(first, items))


def _marked(items: list[Item]) -> list[Item]:
    """The items, those of the same source told apart by their lines."""
    known = Counter(item.key for item in items)
    return [replace(item, mark=f"row={item.line}") if known[item.key] > 1 else item for item in items]


def _part(path: str, start: float | None, end: float | None, duration: float | None) -> str | Excerpt:
    if end is None and duration is not None and start is not None:
        end = round(start + duration, 6)
    return path if not start and end is None else Excerpt(path, start or 0.0, end)


def _number(seconds: float) -> str:
    """A time as text, without needless zeros."""
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def _distinct(columns: Iterable[str]) -> list[str]:
    """Names of columns, numbered where several have one."""
    found: list[str] = []
    for name in columns:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name}.{number}"
        found.append(free)
    return found


def _about(first: str, items: list[Item], most: int = 3) -> list[str]:
    """Lines about a table: how it was read, how many rows cannot be used, and the first of them."""
    wrong = [item for item in items if item.error]
    named = [f"  line {item.line} cannot be used: {printable(item.error)}" for item in wrong[:most]]
    return [first, *named, *([f"  ... and {len(wrong) - most} more"] if len(wrong) > most else [])]


def of_rttm(file: str | os.PathLike, root: str | os.PathLike | None = None) -> Table:
    """One item for each turn of an RTTM file.

    Args:
        file: an RTTM file, see :mod:`ser_kit.corpora.rttm`. A channel is taken where the file names several
            for a recording; else all are averaged, since pyannote writes 1 for any.
        root: folder of the recordings; by default that of the file.

    Raises:
        TableError: it is no RTTM file.
    """
    found = rttm.read(file)
    recordings = rttm.Recordings(Path(file).parent if root is None else Path(root))
    of_each: dict[str, set[int]] = {}
    for turn in found:
        of_each.setdefault(turn.recording, set()).add(turn.channel)
    items, several = [], any(len(channels) > 1 for channels in of_each.values())
    for turn in found:
        kept = {"speaker": turn.speaker, "start": _number(turn.start), "end": _number(turn.end)}
        kept = {"recording": turn.recording, **({"channel": str(turn.channel)} if several else {}), **kept}
        channel = turn.channel if len(of_each[turn.recording]) > 1 else None
        path, error = turn.recording, ""
        try:
            path = str(recordings.find(turn.recording))
        except TableError as wrong:
            error = str(wrong)
        items.append(Item(Excerpt(path, turn.start, turn.end, channel), kept, error, turn.line))
    speakers = sorted({turn.speaker for turn in found} - {""})
    counted = f"{Path(file).name}: {len(found)} turns of {len(of_each)} recordings"
    first = f"{counted}; speakers: {', '.join(speakers) or 'none named'}"
    return Table(_marked(items), _about(first, items))


def each_channel(items: Iterable[Item]) -> Iterator[Item]:
    """An item for each channel of the recordings, with the cell ``channel``.

    In a row of a table that has a column of that name the cell is ``answer_channel``.

    Raises:
        TableError: an item is a channel already.
    """
    counted: dict[str, int] = {}
    for item in items:
        if isinstance(item.source, Excerpt) and item.source.channel is not None:
            raise TableError(f"{item.key} is one channel already; leave out --channels each")
        if item.file not in counted and not item.error:
            try:
                counted[item.file] = channels_of(item.file)
            except AudioError:
                counted[item.file] = 0  # its answer says why
        name = "answer_channel" if "channel" in item.cells else "channel"
        whole = item.source if isinstance(item.source, Excerpt) else Excerpt(item.source)
        for channel in range(1, counted.get(item.file, 0) + 1):
            kept = {**item.cells, name: str(channel)}
            yield replace(item, source=replace(whole, channel=channel), cells=kept)
        if not counted.get(item.file):
            yield replace(item, cells={**item.cells, name: ""})


def by_turns(items: Iterable[Item]) -> Iterator[Item]:
    """An item for each turn of the recordings, with the cells ``start`` and ``end``.

    A recording that cannot be read, or holds no speech, is one item with an error.

    Raises:
        TableError: an item is a part of a file already.
    """
    for item in items:
        one = item.source if isinstance(item.source, Excerpt) else Excerpt(item.source)
        if one.start or one.end is not None:
            raise TableError(f"{item.key} is a part of a file already; leave out --turns")
        found, error = [], item.error
        if not error:
            try:
                found = turns(item.source)
                error = "" if found else "no turn of speech was found"
            except (AudioError, OSError) as wrong:
                error = str(wrong)
        for start, end in found:
            kept = {**item.cells, "start": _number(start), "end": _number(end)}
            yield replace(item, source=replace(one, start=start, end=end), cells=kept)
        if error:
            yield replace(item, cells={**item.cells, "start": "", "end": ""}, error=error)


def parts_of(items: Iterable[Item]) -> Callable[[Item], Source]:
    """A function that gives the sound of an item; a file is decoded once for parts that follow each other.

    The samples are those that :func:`ser_kit.audio.read_audio` gives for the item's source.

    Args:
        items: all items, to know of which files there are several parts.
    """
    often = Counter((item.file, getattr(item.source, "channel", None)) for item in items)
    lock, kept = threading.Lock(), {}

    def whole(file: str, channel: int | None) -> Recording | None:
        """The recording at its own rate; ``None`` where it is too long, or cannot be read."""
        with lock:
            if (file, channel) not in kept:
                kept.clear()
                try:
                    read = read_audio(file if channel is None else Excerpt(file, channel=channel))
                    kept[file, channel] = read if len(read.samples) <= MOST_KEPT else None
                except (AudioError, OSError):
                    kept[file, channel] = None
            return kept[file, channel]

    def sound(item: Item) -> Source:
        part = item.source
        if not isinstance(part, Excerpt) or often[item.file, part.channel] < 2:
            return part
        read = whole(item.file, part.channel)
        if read is None or part.end is None or part.end > read.duration:
            return part
        samples = read.samples[round(part.start * read.rate) : round(part.end * read.rate)]
        if not len(samples):
            return part
        return Recording(samples, read.rate, read.native_rate, read.channels, printable(str(part)))

    return sound
