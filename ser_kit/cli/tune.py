"""``ser-kit tune``."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError
from . import arguments
from .arguments import Command, Parser
from .clips import load
from .output import Result, print_table
from .training import experiment_of

if TYPE_CHECKING:
    from rich.console import Console

    from ..recipes import Experiment


def _tune(args: argparse.Namespace) -> Result:
    settings = {"recipes": [args.recipe], "protocols": [args.protocol], "seeds": [args.seed]}
    search = {"space": _space(args.space), "method": args.method, "candidates": args.candidates}
    return tune(args, experiment_of(args, **settings, **search, tuning=args.out))


def _space(options: list[str]) -> dict[str, list[Any]]:
    """Parse the values of ``--space``."""
    space = {}
    for given in options:
        name, equals, text = given.partition("=")
        try:
            space[name] = json.loads(text if equals else "")
        except json.JSONDecodeError:
            space[name] = None
        if not isinstance(space[name], list) or not space[name]:
            raise RecipeError(f"--space {given!r}: expected SETTING=[VALUE, ...], a JSON list")
    return space


def tune(args: argparse.Namespace, experiment: Experiment) -> Result:
    """Search the settings of a recipe.

    Args:
        args: arguments of the command.
        experiment: the experiment, with one recipe, protocol and seed, and a space.
    """
    from ..core.paths import writable
    from ..recipes import tuning
    from ..recipes.experiment import FILE, protocol_name

    out = writable(experiment.tuning)
    (system,), (protocol,), (seed,) = experiment.systems(), experiment.protocols, experiment.seeds
    protocol_name(protocol)
    for name, values in experiment.space.items():
        system.with_settings({name: values[0]})  # raises before the work if a setting is unknown
    table = load(experiment.corpora, experiment.root, experiment.labels or system.labels, experiment.map)
    system.protocol(protocol)(table, seed)
    args.when_interrupted = "; run the same command to resume"
    experiment.save(out / FILE, args.written)
    found = tuning.search(
        system, table, experiment.space, method=experiment.method, candidates=experiment.candidates,
        protocol=protocol, seed=seed, out=out, jobs=args.jobs, progress=not args.quiet,
    )  # fmt: skip
    results = found.results.to_dict("records")
    best = {name: results[0][name] for name in experiment.space}

    def show(console: Console) -> None:
        rows = found.results.assign(uar=(100 * found.results["uar"]).map("{:.1f}".format))
        rows["accuracy"] = (100 * rows["accuracy"]).map("{:.1f}".format)
        print_table(console, rows.columns, rows.to_numpy(), numbers=("uar", "accuracy", "seconds"))
        console.print(f"scored on the training speakers {', '.join(found.scored)}; no test speaker was used")
        console.print(f"to test the best: {_evaluate_command(experiment, best)}", soft_wrap=True)

    return Result({"best": results[0], "results": results, "scored": list(found.scored)}, show)


def _evaluate_command(experiment: Experiment, best: dict[str, Any]) -> str:
    """The command that evaluates the best settings."""
    words = ["ser-kit", "evaluate", *experiment.recipes, "--corpus", *experiment.corpora]
    for option in ("root", "labels", "map"):
        words += [f"--{option}", getattr(experiment, option)] if getattr(experiment, option) else []
    for name, value in (experiment.changes | best).items():
        words += ["--set", f"{name}={json.dumps(value)}"]
    return shlex.join([*words, "--out", "results"])


def _arguments(parser: Parser) -> None:
    from ..recipes.tuning import METHODS

    parser.add_argument("recipe", metavar="RECIPE", help=arguments.recipes_help())
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "the recipe's")
    arguments.add_changes(parser)
    text = "values to try for a setting, as a JSON list; repeat it for further settings"
    parser.add_argument("--space", action="append", required=True, metavar="SETTING=LIST", help=text)
    parser.add_argument("--method", choices=METHODS, default="random", help="default: random")
    text = "number of candidates of a random search (default: 20)"
    parser.add_argument("--candidates", type=arguments.positive, default=20, metavar="N", help=text)
    text = "as for train; the search uses the training speakers of the first fold (default: speaker)"
    parser.add_argument("--protocol", default="speaker", help=text)
    arguments.add_seed(parser, "random seed of folds, candidates and training (default: 0)")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the results")
    arguments.add_jobs(parser)


TUNE = Command(
    "tune",
    _tune,
    _arguments,
    "Search the settings of a recipe on training speakers, with separate groups for training, early "
    "stopping and scoring; test speakers are not used. After Ctrl-C the same command resumes.",
    ["ser-kit tune rastogi_mlp --corpus ravdess --space 'training.learning_rate=[0.001, 0.01]' --out tuned"],
)
