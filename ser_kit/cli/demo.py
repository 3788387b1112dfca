"""``ser-kit demo``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..core.formats import megabytes, portion
from .arguments import Command, Parser, add_names, corpora_help
from .output import Result, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from ..app.notebooks import Demo


def _demo(args: argparse.Namespace) -> Result:
    from ..app import notebooks

    found = notebooks.run(args.notebooks, args.out, args.corpus, progress=not args.quiet)
    data = {
        "ok": found.ok,
        "corpora": list(found.corpora),
        "seconds": round(found.seconds, 1),
        "out": str(found.out),
        "notebooks": [
            {
                "name": run.name,
                "ok": run.ok,
                "seconds": run.seconds,
                "cells": run.cells,
                "total": run.total,
                "notebook": str(run.notebook),
                "html": str(run.page),
                "error": run.error or None,
            }
            for run in found.runs
        ],
        "facts": found.facts,
    }
    return Result(data, lambda console: _show(console, found), 0 if found.ok else 1)


def _show(console: Console, found: Demo) -> None:
    for run in found.runs:
        if not run.ok:
            console.print(f"{run.name} failed in code cell {run.cells + 1} of {run.total}\n", soft_wrap=True)
            console.print(f"{run.error}\n", soft_wrap=True)
    if "04_evaluate" in found.facts:
        rows = [
            (
                evaluation["recipe"],
                evaluation["protocol"],
                "unseen" if evaluation["speaker_independent"] else "speaker-dependent",
                *(_mean_and_deviation(evaluation[metric]) for metric in ("uar", "accuracy")),
            )
            for evaluation in found.facts["04_evaluate"]["evaluations"]
        ]
        columns = ("recipe", "protocol", "speakers", "UAR %", "accuracy %")
        print_table(console, columns, rows, numbers=columns[3:])
    for name, text in _lines(found):
        console.print(f"{name:<11} {text}", soft_wrap=True)


def _lines(found: Demo) -> Iterator[tuple[str, str]]:
    """Results of the notebooks, one line each."""
    if clips := found.facts.get("01_corpora"):
        emotions, names = f"{len(clips['emotions'])} emotions", ", ".join(clips["corpora"])
        nature = " (synthetic speech)" if clips["synthetic"] else ""
        yield "clips", f"{clips['clips']} of {clips['speakers']} speakers, {emotions}: {names}{nature}"
    if functionals := found.facts.get("02_features"):
        of = f"{functionals['clips']} clips ({functionals['failures']} failed)"
        yield "features", f"{functionals['functionals']} functionals of {of}, {functionals['seconds']:.0f} s"
    if predicted := found.facts.get("05_predict"):
        doubt = ", uncertain" if predicted["uncertain"] else ""
        answer = f"{predicted['emotion']}, confidence {portion(predicted['confidence'])}{doubt}"
        yield "prediction", f"{predicted['clip_id']} (held out, true emotion {predicted['true']}): {answer}"
    if published := found.facts.get("06_published_systems"):
        recorded = f"records of {len(published['recorded'])} ({published['records']:,} folds)"
        yield "published", f"{published['systems']} systems, {recorded}"
    if deployed := found.facts.get("07_deploy"):
        least = min(deployed["files"], key=lambda file: file["bytes"])
        agreement = f"label agreement {portion(least['agreement'])} on {deployed['clips']} clips"
        smallest = f"{least['file']}: {megabytes(least['bytes'], 2)}, {agreement}"
        yield "exported", f"{len(deployed['files'])} files; {smallest}"
    yield "notebooks", f"{sum(run.ok for run in found.runs)} ran, as .ipynb and .html in {found.out}"
    if (found.out / "figures").is_dir():
        yield "figures", str(found.out / "figures")
    yield "time", f"{found.seconds:.0f} s"


def _mean_and_deviation(numbers: dict[str, Any]) -> str:
    mean, deviation = numbers["mean"], numbers["std"]
    return f"{100 * mean:.1f}" if deviation is None else f"{100 * mean:.1f} ± {100 * deviation:.1f}"


def _arguments(parser: Parser) -> None:
    text = "default: ./notebooks, otherwise the installed notebooks"
    parser.add_argument("--notebooks", metavar="FOLDER", help=text)
    parser.add_argument("--out", default="outputs/demo", metavar="FOLDER", help="default: outputs/demo")
    text = f"default: SER_KIT_CORPUS, else demo; {corpora_help()}"
    add_names(parser, "--corpus", text, metavar="CORPUS")


DEMO = Command(
    "demo",
    _demo,
    _arguments,
    "Run the notebooks 01 to 08 and summarise their results.",
    ["ser-kit demo", "ser-kit demo --corpus ravdess --out outputs/ravdess"],
)
