"""``ser-kit train``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from . import arguments
from .arguments import Command, Parser
from .clips import load
from .output import Result
from .training import changed, checkpoints, note_failures, protocol_name, record

if TYPE_CHECKING:
    from rich.console import Console


def _train(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..bundles.files import check_target

    recipe = changed(args, recipes.get(args.recipe))
    protocol_name(args.protocol)
    out, progress = Path(args.out), not args.quiet
    check_target(out)
    states = checkpoints(args)
    table = load(args, args.corpus, args.labels or recipe.labels)
    recipe.protocol(args.protocol)(table, args.seed)  # a table that it cannot divide is refused before the work
    found = recipe.prepare(table, jobs=args.jobs, progress=progress)
    failed = note_failures(args, table, found)
    settings = {"seed": args.seed, "out": states, "jobs": args.jobs, "progress": progress}
    evaluation = dataclasses.replace(recipe.run(found, args.protocol, **settings), command=args.written)
    bundle = recipe.fit(found, protocol=args.protocol, evaluation=evaluation, **settings)
    bundle.save(out)
    recipe.forget(states, args.protocol, args.seed)
    data = {
        "bundle": str(out),
        "recipe": recipe.name,
        "labels": list(bundle.labels),
        "trained_on": bundle.card["trained_on"],
        "failures": failed,
        "evaluation": record(evaluation),
    }

    def show(console: Console) -> None:
        console.print(str(evaluation), soft_wrap=True)
        use = f"ser-kit predict FILE --bundle {out}"
        console.print(f"\nbundle saved in {out}; use it with: {use}", soft_wrap=True)

    return Result(data, show)


def _arguments(parser: Parser) -> None:
    parser.add_argument("recipe", metavar="RECIPE", help=arguments.recipes_help())
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "the recipe's")
    arguments.add_changes(parser)
    parser.add_argument("--out", required=True, metavar="BUNDLE", help="the bundle's folder")
    arguments.add_seed(parser)
    parser.add_argument("--protocol", default="speaker", help=f"one of: {arguments.protocols_help()}; default: speaker")
    arguments.add_jobs(parser)


TRAIN = Command(
    "train",
    _train,
    _arguments,
    "Train a recipe for use and save it as a bundle. Every clip is also predicted by a model that was "
    "trained without its speaker, to estimate how often the bundle is right. After Ctrl-C the same command "
    "resumes.",
    [
        "ser-kit train rastogi_mlp --corpus ravdess --out my-bundle",
        "ser-kit train rastogi_mlp --corpus folder --root ~/recordings --labels happy,sad,angry --out mine",
    ],
)
