"""``ser-kit evaluate``."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import RecipeError
from . import arguments
from .arguments import Command, Parser
from .bundle_scores import bundles_among, score_bundles
from .clips import load
from .output import Result, note, print_table
from .scores import print_confusion
from .training import checkpoints, experiment_of, note_failures, record

if TYPE_CHECKING:
    from rich.console import Console

    from ..evaluation.record import Evaluation
    from ..recipes import Experiment


def _evaluate(args: argparse.Namespace) -> Result:
    if bundles := bundles_among(args.recipe):
        return score_bundles(args, bundles)
    if not args.out:
        raise RecipeError("give a folder for the evaluations: --out FOLDER")
    seeds = range(args.seeds) if args.seeds else [args.seed]
    settings = {"recipes": args.recipe, "protocols": args.protocol, "seeds": list(seeds)}
    return evaluate(args, experiment_of(args, **settings, evaluations=args.out))


def evaluate(args: argparse.Namespace, experiment: Experiment) -> Result:
    """Evaluate each recipe under each protocol with each seed.

    Args:
        args: arguments of the command.
        experiment: the experiment; it may have several recipes, protocols and seeds.
    """
    from ..core.paths import writable
    from ..recipes.experiment import FILE, protocol_name

    chosen, seeds = experiment.systems(), experiment.seeds
    divided = list(map(protocol_name, experiment.protocols))
    out, progress = writable(experiment.evaluations), not args.quiet
    states, file = checkpoints(args, out), None
    evaluations: dict[Path, Evaluation] = {}
    for recipe in chosen:
        table = load(experiment.corpora, experiment.root, experiment.labels or recipe.labels, experiment.map)
        for protocol in divided:
            recipe.protocol(protocol)(table, seeds[0])  # raises before the work if the table cannot be split
        file = file or experiment.save(out / FILE, args.written)
        found = recipe.prepare(table, jobs=args.jobs, progress=progress)
        note_failures(args, table, found)
        for protocol, seed in itertools.product(divided, seeds):
            started = time.perf_counter()
            evaluation = recipe.run(found, protocol, seed=seed, out=states, jobs=args.jobs, progress=progress)
            evaluation = dataclasses.replace(evaluation, command=args.written)
            folder = evaluation.save(out / f"{recipe.name}-{protocol}-{seed}-{evaluation.digest}")
            evaluations[folder] = evaluation
            uar, took = 100 * evaluation.metrics()["uar"], time.perf_counter() - started
            note(args, f"{recipe.name}, protocol {protocol}, seed {seed}: UAR {uar:.1f} ({took:.0f} s)")
    for recipe, protocol, seed in itertools.product(chosen, divided, seeds):
        recipe.forget(states, protocol, seed)
    records = [{**record(evaluation), "folder": str(folder)} for folder, evaluation in evaluations.items()]
    data = {"experiment": str(file), "evaluations": records}
    return Result(data, lambda console: _show(console, list(evaluations.values()), out))


def _show(console: Console, evaluations: list[Evaluation], out: Path) -> None:
    from ..evaluation.record import compare

    table = compare(evaluations)
    table.insert(3, "seed", [evaluation.seed for evaluation in evaluations])
    print_table(console, table.columns, table.to_numpy(), numbers=("seed", "clips"), wrap=table.columns[6:])
    text = "in percent: all test clips [95 % interval over speakers]; folds: mean ± standard deviation\n"
    console.print(text)
    for evaluation in evaluations:
        title = f"{evaluation.recipe}, protocol {evaluation.protocol}, seed {evaluation.seed}: clips"
        print_confusion(console, evaluation, title)
    text = "one folder each, with evaluation.json (scores, settings, command, versions) and all predictions"
    console.print(f"saved in {out}: {text}", soft_wrap=True)


def _arguments(parser: Parser) -> None:
    text = f"{arguments.recipes_help()}; or folders of trained bundles or presets, to test them as they are"
    arguments.add_names(parser, "recipe", text, metavar="RECIPE|BUNDLE")
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "each recipe's; of a bundle, all that it and the corpora have in common")
    arguments.add_changes(parser)
    text = "folder for the evaluations; needed except for bundles"
    parser.add_argument("--out", metavar="FOLDER", help=text)
    text = f"comma-separated: {arguments.protocols_help()}; default: speaker"
    parser.add_argument("--protocol", type=arguments.listed, default="speaker", help=text)
    group = parser.add_mutually_exclusive_group()
    arguments.add_seed(group)
    group.add_argument("--seeds", type=arguments.whole(1, 1000), metavar="N", help="use the seeds 0 to N-1")
    arguments.add_jobs(parser)


EVALUATE = Command(
    "evaluate",
    _evaluate,
    _arguments,
    "Train and test recipes under protocols, or test trained bundles, and compare them. After Ctrl-C the "
    "same command resumes; bundles are tested again.",
    [
        "ser-kit evaluate rastogi_mlp ahmadov_cnn_bilstm --corpus ravdess --protocol speaker,random "
        "--out results",
        "ser-kit evaluate rastogi_mlp --corpus demo --seeds 3 --out results",
        "ser-kit evaluate runs/my-bundle --corpus savee --root SAVEE --labels seven",
    ],
)
