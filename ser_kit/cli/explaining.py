"""``ser-kit predict --explain``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import TableError
from .arguments import Parser
from .output import note, progress_bar

if TYPE_CHECKING:
    from ..audio.recording import Excerpt
    from ..inference.prediction import Prediction
    from ..inference.predictor import Predictor


def add_explain(parser: Parser) -> None:
    """Add ``--explain``."""
    text = (
        "draw what the answer rests on: the effect of each stretch of time and band of frequency (of one "
        "recording; PNG, PDF or SVG by the name)"
    )
    parser.add_argument("--explain", metavar="FILE.png", help=text)


def check_explain(args: argparse.Namespace, recordings: int) -> None:
    """Check, before the work, that an explanation can be drawn and written.

    Raises:
        TableError: there are several recordings, or the name has no format that can be drawn.
        TargetError: the file cannot be written.
    """
    from ..core.paths import replaceable

    if not args.explain:
        return
    if recordings != 1:
        raise TableError(f"--explain is for one recording, and {recordings} were named")
    if not args.explain.lower().endswith((".png", ".pdf", ".svg")):
        raise TableError(f"--explain {args.explain}: expected a name that ends in .png, .pdf or .svg")
    replaceable(args.explain)


def draw(args: argparse.Namespace, predictor: Predictor, source: str | Excerpt, answer: Prediction) -> dict:
    """Explain the answer for a recording and write the figure; returns the explanation for JSON."""
    import io

    from .. import plots
    from ..core.paths import write_whole
    from ..inference.explaining import explain

    with progress_bar(args.quiet) as bar:
        task = bar.add_task("explain", total=1)
        found = explain(
            predictor, source, emotion=answer.emotion,
            watch=lambda share: bar.update(task, completed=share),
        )  # fmt: skip
    drawn = io.BytesIO()
    kind = args.explain.rpartition(".")[2].lower()
    plots.explanation(found, answer.path).savefig(drawn, format=kind, dpi=150)
    write_whole(Path(args.explain), drawn.getvalue())
    note(args, f"what the answer rests on: {args.explain}")
    return found.to_dict()
