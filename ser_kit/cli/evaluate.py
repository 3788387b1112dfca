"""``ser-kit evaluate``."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from . import arguments
from .arguments import Command, Parser
from .clips import load
from .output import Result, note, print_table
from .training import checkpoints, experiment_of, note_failures, record

if TYPE_CHECKING:
    from rich.console import Console

    from ..evaluation.record import Evaluation
    from ..recipes import Experiment


def _evaluate(args: argparse.Namespace) -> Result:
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
        table = load(experiment.corpora, experiment.root, experiment.labels or recipe.labels)
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
        counts, scores = evaluation.confusion(), evaluation.per_class()
        percent = (100 * scores[["precision", "recall", "f1"]]).map("{:.1f}".format)
        rows = [(label, *counts.loc[label], *percent.loc[label]) for label in evaluation.labels]
        columns = ("true \\ predicted", *evaluation.labels, "precision", "recall", "F1")
        title = f"{evaluation.recipe}, protocol {evaluation.protocol}, seed {evaluation.seed}: clips"
        print_table(console, columns, rows, title=title, numbers=columns[1:])
    text = "one folder each, with evaluation.json (scores, settings, command, versions) and all predictions"
    console.print(f"saved in {out}: {text}", soft_wrap=True)


def _arguments(parser: Parser) -> None:
    arguments.add_names(parser, "recipe", arguments.recipes_help(), metavar="RECIPE")
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "each recipe's")
    arguments.add_changes(parser)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the evaluations")
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
    "Train and test recipes under protocols, and compare them. After Ctrl-C the same command resumes.",
    [
        "ser-kit evaluate rastogi_mlp ahmadov_cnn_bilstm --corpus ravdess --protocol speaker,random "
        "--out results",
        "ser-kit evaluate rastogi_mlp --corpus demo --seeds 3 --out results",
    ],
)
