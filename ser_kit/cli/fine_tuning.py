"""``ser-kit train --from``."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import RecipeError
from .arguments import Parser
from .clips import load
from .output import Result, print_table
from .scores import print_confusion
from .training import note_failures, record

if TYPE_CHECKING:
    from rich.console import Console

    from ..recipes import FineTuned


def named(paths: Iterable[str]) -> list[str]:
    """Corpora of folders and tables, each with a name from its path.

    Examples:
        >>> named(["calls/list.csv", "my clips/"])
        ['list:calls/list.csv', 'my_clips:my clips/']
    """
    from ..corpora import CORPORA

    found = []
    for path in paths:
        stem = re.sub(r"[^\w.-]+", "_", Path(os.path.abspath(path)).stem).lstrip(".-") or "folder"
        found.append(f"{'my_' if stem in CORPORA else ''}{stem}:{path}")
    return found


def fine_tune(args: argparse.Namespace) -> Result:
    """Train a head on a bundle, and compare both on held-out clips.

    Args:
        args: arguments of ``ser-kit train``.
    """
    from .. import recipes
    from ..bundles.files import check_target
    from ..recipes.fine_tuning import Continued

    if args.recipe or args.set:
        raise RecipeError("--from takes neither a recipe nor --set: a head of fixed kind is trained")
    if args.protocol != "speaker":
        raise RecipeError(
            "--from holds out speakers, or clips where there is one speaker; leave out --protocol"
        )
    out, progress = Path(args.out), not args.quiet
    check_target(out)
    system = Continued.of(args.start)  # raises before the work if it cannot be started from
    table = load(args.corpus, args.root, args.labels, args.map)
    args.when_interrupted = "; run the same command again: features that were computed are kept"
    prepared = system.prepare(table, jobs=args.jobs, progress=progress)
    unusable = note_failures(args, table, prepared)
    found = recipes.fine_tune(
        prepared, args.start, seed=args.seed, jobs=args.jobs, progress=progress, command=args.written
    )
    found.bundle.save(out)
    return Result(_data(out, found, unusable), lambda console: _show(console, out, found))


def _data(out: Path, found: FineTuned, failed: list[dict[str, str]]) -> dict:
    """The result for JSON."""
    card = found.bundle.card
    return {
        "bundle": str(out),
        "started_from": card["started_from"],
        "better": found.gain.better,
        "labels": list(found.bundle.labels),
        "trained_on": card["trained_on"],
        "failures": failed,
        "evaluation": record(found.evaluation),
        "start_evaluation": record(found.start),
    }


def _show(console: Console, out: Path, found: FineTuned) -> None:
    from ..evaluation.intervals import percent

    own, start = (each.per_class()["recall"] for each in (found.evaluation, found.start))
    clips = found.evaluation.per_class()["support"]
    rows = [
        (label, clips[label], percent(own[label]), percent(start[label])) for label in found.bundle.labels
    ]
    titles = ("recall of", "clips", "your model", "start alone")
    print_table(console, titles, rows, numbers=titles[1:])
    print_confusion(console, found.evaluation, "your model: clips")
    console.print(f"tested on {found.held_out}", soft_wrap=True)
    console.print(str(found.gain), soft_wrap=True)
    if not found.gain.same_labels:
        console.print(
            "the start has other labels: each counts as those of yours with whose training clips it occurs",
            soft_wrap=True,
        )
    console.print(
        f"\nbundle saved in {out}; use it with: ser-kit predict FILE --bundle {out}", soft_wrap=True
    )


def add_start(parser: Parser) -> None:
    """Add ``--from`` and ``--data``."""
    text = "start from this preset or bundle: train a head on its features, with the labels of the clips"
    parser.add_argument("--from", dest="start", metavar="PRESET", help=text)
    text = "folders (emotion/speaker/*.wav) or tables of your own; short for --corpus NAME:PATH"
    parser.add_argument("--data", nargs="+", default=[], metavar="PATH", help=text)
