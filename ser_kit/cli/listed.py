"""What ``ser-kit predict`` answers for: recordings, rows of tables, turns of RTTM files, channels, turns."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import TableError
from ..core.paths import writable
from .arguments import Parser
from .output import followed, note
from .speakers import recordings

if TYPE_CHECKING:
    from ..inference.items import Item
    from ..inference.prediction import Failure, Prediction
    from ..inference.stream import Moment

    Answer = tuple[Prediction | Failure, list[Moment] | None]


def items_of(args: argparse.Namespace) -> tuple[list[Item], list[str]]:
    """What the arguments name, and the columns that are kept of tables."""
    from ..corpora import cells, rttm
    from ..inference import items

    if args.turns and args.timeline:
        raise TableError("--turns and --timeline cannot be used together: the turns are a timeline")
    if args.plot:
        _check_plot(args)
    found: dict[str, Item] = {}
    for name in recordings(args.recording):
        suffix = Path(name).suffix.lower()
        if suffix not in (*cells.SUFFIXES, rttm.SUFFIX):
            found[name] = items.Item(name)
            continue
        table = (items.of_rttm if suffix == rttm.SUFFIX else items.of_table)(name, args.root)
        for item in table.items:
            mark = f"row={Path(name).name}:{item.line}"  # another table names the same
            item = dataclasses.replace(item, mark=mark) if item.key in found else item
            found[item.key] = item
        for line in table.about:
            note(args, line)
    chosen = list(found.values())
    if args.channels:
        chosen = list(items.each_channel(chosen))
    if args.turns:
        steps = followed(([item] for item in chosen), len(chosen), "turns", args.quiet)
        chosen = [turn for one in steps for turn in items.by_turns(one)]
        chosen.sort(key=_in_time([item.file for item in chosen]))
    return chosen, list(dict.fromkeys(column for item in chosen for column in item.cells))


def _in_time(files: list[str]) -> Any:
    """A key that keeps files in their order, and puts the turns of all channels of a file in that of time."""
    places = {file: place for place, file in enumerate(dict.fromkeys(files))}
    return lambda item: (places[item.file], getattr(item.source, "start", 0.0))


def _check_plot(args: argparse.Namespace) -> None:
    if Path(args.plot).suffix.lower() != ".png":
        raise TableError(f"--plot {args.plot}: expected the name of a PNG file, such as turns.png")
    if args.out:
        raise TableError("--plot and --out cannot be used together: a figure is of answers of one run")
    writable(Path(args.plot).parent)


def write_plot(args: argparse.Namespace, items: list[Item], answers: list[Answer]) -> None:
    """Draw who spoke when, in the colours of the answers."""
    import pandas as pd

    from ..audio.recording import Excerpt
    from ..core.paths import write_whole
    from ..inference.prediction import Failure
    from ..plots import png, turns

    rows = []
    for item, (answer, _) in zip(items, answers, strict=True):
        source = item.source
        if not isinstance(source, Excerpt) or source.end is None:
            continue
        failed = isinstance(answer, Failure)
        who = item.cells.get("speaker") or item.cells.get("answer_channel") or item.cells.get("channel", "")
        rows.append(
            {
                "recording": Path(item.file).name,
                "who": who,
                "start": source.start,
                "end": source.end,
                "emotion": "" if failed else answer.emotion,
                "uncertain": not failed and answer.uncertain,
            }
        )
    if not rows:
        raise TableError("--plot needs turns: --turns, an RTTM file, or a table with start and end")
    write_whole(Path(args.plot), png(turns(pd.DataFrame(rows))))
    note(args, f"figure written to {args.plot}")


def add_listed(parser: Parser) -> None:
    """Add ``--root``, ``--channels``, ``--turns`` and ``--plot``."""
    text = "folder of the recordings that tables and RTTM files name (default: that of the file)"
    parser.add_argument("--root", metavar="FOLDER", help=text)
    text = "answer for each channel of the recordings, such as each party of a call"
    parser.add_argument("--channels", choices=["each"], help=text)
    text = "cut the recordings into turns by voice activity, and answer for each"
    parser.add_argument("--turns", action="store_true", help=text)
    text = "draw who spoke when, and in which emotion"
    parser.add_argument("--plot", metavar="FILE.png", help=text)
