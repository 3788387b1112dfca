"""``ser-kit check``."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from ..core.formats import portion
from ..core.parallel import ONE_EACH, at_once
from .arguments import Command, Parser, whole
from .output import Result, followed, print_table
from .speakers import add_bundle, recordings

if TYPE_CHECKING:
    from rich.console import Console

    from ..inference.checking import FolderCheck

_SHOWN = 40


def _check(args: argparse.Namespace) -> Result:
    paths = recordings(args.recording)
    jobs = min(args.jobs or at_once(), len(paths))
    if jobs > 1:
        os.environ.update(ONE_EACH | os.environ)

    from ..inference.checking import check
    from ..inference.predictor import Predictor

    predictor = Predictor.open(args.bundle)
    found = check(
        predictor, paths, jobs=jobs, follow=lambda results: followed(results, len(paths), "check", args.quiet)
    )
    status = 0 if found.recordings else 1
    return Result(found.to_dict(), lambda console: _show(console, found, args.all), status)


def _show(console: Console, found: FolderCheck, everything: bool) -> None:
    shown = found.recordings if everything else found.recordings[:_SHOWN]
    rows = [
        (
            each.path, f"{each.seconds:.1f}", f"{each.rate:,}", f"{each.band / 1000:.1f}",
            f"{each.level:.0f}", f"{each.range:.0f}", f"{each.nearness:.2f}",
            each.emotion, portion(each.confidence),
            "" if each.certain else "not certain", ", ".join(each.unlike),
        )
        for each in shown
    ]  # fmt: skip
    titles = (
        "recording", "s", "Hz", "up to kHz", "dB", "range", "nearness", "emotion", "confidence", "",
        "unlike in",
    )  # fmt: skip
    print_table(console, titles, rows, numbers=titles[1:7] + ("confidence",), wrap=("recording", "unlike in"))
    if len(shown) < len(found.recordings):
        console.print(f"... and {len(found.recordings) - len(shown)} more (--all shows them)")
    for failure in found.failures:
        console.print(f"{failure.path}: error: {failure.error}", soft_wrap=True)
    if not found.recordings:
        console.print("none of the recordings can be used")
        return
    count = len(found.recordings)
    console.print(
        f"\n{round(found.certain * count)} of {count} are answered with certainty ({portion(found.certain)})"
    )
    for title, lines in (
        ("Unlike the training recordings", found.findings),
        ("What would help", found.advice),
    ):
        if lines:
            console.print(f"\n{title}")
            for line in lines:
                console.print(f"- {line}", soft_wrap=True)


def _arguments(parser: Parser) -> None:
    text = "file, folder (all audio files in it) or pattern; labels are not needed"
    parser.add_argument("recording", nargs="+", metavar="RECORDING", help=text)
    add_bundle(parser)
    parser.add_argument("--all", action="store_true", help=f"list all recordings, not the first {_SHOWN}")
    text = "recordings checked at a time (default: number of cores + 1)"
    parser.add_argument("--jobs", type=whole(1, 256), metavar="N", help=text)


CHECK = Command(
    "check",
    _check,
    _arguments,
    "Compare recordings without labels with what a model was trained on. Says in what they differ (band, "
    "noise, level, clipping, length, distance of their features), how many are answered with certainty, and "
    "what would help. It says nothing about how many answers are right.",
    ["ser-kit check my_folder/", "ser-kit check calls/*.wav --bundle my_model --json"],
)
