"""``ser-kit train``."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import RecipeError
from . import arguments
from .arguments import Command, Parser
from .clips import load
from .fine_tuning import add_start, fine_tune, named
from .output import Result
from .training import checkpoints, experiment_of, note_failures, record

if TYPE_CHECKING:
    from rich.console import Console

    from ..recipes import Experiment


def _train(args: argparse.Namespace) -> Result:
    args.corpus = [*args.corpus, *named(args.data)]
    if not args.corpus:
        raise RecipeError("name the clips to train on: --corpus CORPUS, or --data FOLDER or TABLE")
    if args.start:
        return fine_tune(args)
    if not args.recipe:
        raise RecipeError(
            "name a recipe, such as rastogi_mlp, or a bundle to start from: --from cross_corpus"
        )
    settings = {"recipes": [args.recipe], "protocols": [args.protocol], "seeds": [args.seed]}
    return train(args, experiment_of(args, **settings, bundle=args.out))


def train(args: argparse.Namespace, experiment: Experiment) -> Result:
    """Train a bundle.

    Args:
        args: arguments of the command.
        experiment: the experiment, with one recipe, protocol and seed.
    """
    from ..bundles.files import check_target
    from ..recipes.experiment import protocol_name

    (recipe,), (protocol,), (seed,) = experiment.systems(), experiment.protocols, experiment.seeds
    protocol_name(protocol)
    out, progress = Path(experiment.bundle), not args.quiet
    check_target(out)
    states = checkpoints(args, out)
    table = load(experiment.corpora, experiment.root, experiment.labels or recipe.labels, experiment.map)
    recipe.protocol(protocol)(table, seed)  # raises before the work if the table cannot be split
    file = experiment.save(f"{out}.toml", args.written)
    found = recipe.prepare(table, jobs=args.jobs, progress=progress)
    failed = note_failures(args, table, found)
    settings = {"seed": seed, "out": states, "jobs": args.jobs, "progress": progress}
    evaluation = dataclasses.replace(recipe.run(found, protocol, **settings), command=args.written)
    bundle = recipe.fit(found, protocol=protocol, evaluation=evaluation, **settings)
    bundle.save(out)
    recipe.forget(states, protocol, seed)
    data = {
        "bundle": str(out),
        "experiment": str(file),
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
    parser.add_argument("recipe", nargs="?", metavar="RECIPE", help=arguments.recipes_help())
    add_start(parser)
    arguments.add_corpora(parser, required=False)
    arguments.add_labels(parser, "the recipe's")
    arguments.add_changes(parser)
    parser.add_argument("--out", required=True, metavar="BUNDLE", help="folder for the bundle")
    arguments.add_seed(parser)
    text = f"{arguments.protocols_help()}; default: speaker"
    parser.add_argument("--protocol", default="speaker", help=text)
    arguments.add_jobs(parser)


TRAIN = Command(
    "train",
    _train,
    _arguments,
    "Train a recipe and save it as a bundle, or train a head of your own on a bundle (--from). To estimate "
    "its accuracy, every clip is also predicted by a model trained without its speaker. After Ctrl-C the "
    "same command resumes.",
    [
        "ser-kit train rastogi_mlp --corpus ravdess --out my-bundle",
        "ser-kit train --from cross_corpus --data my_folder/ --out my_model",
        "ser-kit train rastogi_mlp --corpus folder --root ~/recordings --labels happy,sad,angry --out mine",
    ],
)
