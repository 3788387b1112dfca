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
from .training import changed, protocol_name

if TYPE_CHECKING:
    from rich.console import Console

    from ..recipes import System


def _tune(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..core.paths import writable
    from ..recipes import tuning

    writable(args.out)
    system = changed(args, recipes.get(args.recipe))
    protocol_name(args.protocol)
    space = _space(args, system)
    table = load(args, args.corpus, args.labels or system.labels)
    system.protocol(args.protocol)(table, args.seed)
    args.when_interrupted = "; the same command goes on from there"
    found = tuning.search(
        system, table, space, method=args.method, candidates=args.candidates, protocol=args.protocol,
        seed=args.seed, out=args.out, jobs=args.jobs, progress=not args.quiet,
    )  # fmt: skip
    results = found.results.to_dict("records")
    best = [f"{name}={json.dumps(results[0][name])}" for name in space]

    def show(console: Console) -> None:
        rows = found.results.assign(uar=(100 * found.results["uar"]).map("{:.1f}".format))
        rows["accuracy"] = (100 * rows["accuracy"]).map("{:.1f}".format)
        print_table(console, rows.columns, rows.to_numpy(), numbers=("uar", "accuracy", "seconds"))
        console.print(f"scored on the training speakers {', '.join(found.scored)}; no test speaker was touched")
        console.print(f"to test the best: {_evaluate_command(args, best)}", soft_wrap=True)

    return Result({"best": results[0], "results": results, "scored": list(found.scored)}, show)


def _space(args: argparse.Namespace, system: System) -> dict[str, list[Any]]:
    """The values of ``--space``; a misspelt setting is refused before the recordings are read."""
    space = {}
    for given in args.space:
        name, equals, text = given.partition("=")
        try:
            space[name] = json.loads(text if equals else "")
        except json.JSONDecodeError:
            space[name] = None
        if not isinstance(space[name], list) or not space[name]:
            raise RecipeError(f"--space {given!r}: expected SETTING=[VALUE, ...], a JSON list")
        system.changed({name: space[name][0]})
    return space


def _evaluate_command(args: argparse.Namespace, best: list[str]) -> str:
    """The command that tests what was found."""
    words = ["ser-kit", "evaluate", args.recipe, "--corpus", *args.corpus]
    for option in ("root", "labels"):
        words += [f"--{option}", getattr(args, option)] if getattr(args, option) else []
    words += [word for setting in (*args.set, *best) for word in ("--set", setting)]
    return shlex.join([*words, "--out", "results"])


def _arguments(parser: Parser) -> None:
    from ..recipes.tuning import METHODS

    parser.add_argument("recipe", metavar="RECIPE", help=arguments.recipes_help())
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "the recipe's")
    arguments.add_changes(parser)
    text = "values to try for a setting, a JSON list; give it once for each setting"
    parser.add_argument("--space", action="append", required=True, metavar="SETTING=LIST", help=text)
    parser.add_argument("--method", choices=METHODS, default="random", help="default: random")
    text = "of a random search (default: 20)"
    parser.add_argument("--candidates", type=arguments.positive, default=20, metavar="N", help=text)
    text = "one, as for train, whose first fold's training part is searched on (default: speaker)"
    parser.add_argument("--protocol", default="speaker", help=text)
    arguments.add_seed(parser, "of folds, draws and trainings (default: 0)")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="for the results")
    arguments.add_jobs(parser)


TUNE = Command(
    "tune",
    _tune,
    _arguments,
    "Search the settings of a recipe on training speakers: fitted, stopped and scored on three groups of "
    "them, none of them tested. After Ctrl-C the same command resumes.",
    ["ser-kit tune rastogi_mlp --corpus ravdess --space 'training.learning_rate=[0.0003, 0.001, 0.003]' --out tuned"],
)
