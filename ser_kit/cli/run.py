"""``ser-kit run``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .arguments import Command, Parser, add_jobs
from .evaluate import evaluate
from .output import Page, Result, note
from .reproduce import reproduce
from .train import train
from .tune import tune

if TYPE_CHECKING:
    from ..recipes import Experiment

_RUNS = {"bundle": train, "evaluations": evaluate, "records": reproduce, "tuning": tune}


def _run(args: argparse.Namespace) -> Result:
    from ..core.paths import writable, write_whole
    from ..recipes import Experiment

    experiment = Experiment.load(args.file, args.out)
    report = Path(experiment.report)
    if experiment.report:
        writable(report.parent)
    _note_differences(args, experiment)
    result = _RUNS[experiment.output](args, experiment)
    if experiment.report:
        page = Page()
        result.show(page)
        text = f"# {Path(args.file).stem}\n\n{page}\n```toml\n{experiment.to_toml()}```\n"
        report.parent.mkdir(parents=True, exist_ok=True)
        write_whole(report, text.encode("utf-8", "replace"))
        note(args, f"report saved as {report}")
    return result


def _note_differences(args: argparse.Namespace, experiment: Experiment) -> None:
    """Note changes since the file was written: versions, the platform, settings of recipes."""
    here = experiment.environment()
    for name, version in experiment.made_with.items():
        if here.get(name, version) != version:
            note(args, f"note: made with {name} {version}, now {here[name]}: results may differ")


def _arguments(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="a TOML file, such as experiment.toml")
    text = "folder for the outputs (default: that of the file)"
    parser.add_argument("--out", metavar="FOLDER", help=text)
    add_jobs(parser)
    parser.set_defaults(page=None, figures=None, csv=None)


RUN = Command(
    "run",
    _run,
    _arguments,
    "Run the experiment in a file. The file has corpora, recipes, protocols, seeds and changed settings, and "
    "one output: bundle (as ser-kit train), evaluations (as ser-kit evaluate), records (as ser-kit "
    "reproduce) or tuning (as ser-kit tune). Each of these commands writes such a file with its results. "
    "After Ctrl-C the same command resumes.",
    ["ser-kit run experiment.toml", "ser-kit run results/experiment.toml --out again"],
)
