"""``ser-kit reproduce``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import RecipeError, TableError
from . import arguments
from .arguments import Command, Parser
from .output import Result, note, print_table
from .training import experiment_of

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from .. import recipes
    from ..recipes import Experiment


def _reproduce(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..core.paths import writable
    from ..recipes.documents import DOCUMENTS

    writable(args.out)
    if bool(args.recipe) == args.all:
        raise RecipeError("give the recipes to reproduce, or --all; see ser-kit reproduce --help")
    if asked := [name for name in args.recipe if name in DOCUMENTS]:
        return _documents(args, asked)
    if args.epochs:
        raise RecipeError("--epochs is for documents; of a recipe, train with --set training.epochs=N")
    names = list(recipes.RECIPES if args.all else args.recipe)
    if args.ablations:
        names = [
            each for name in names for each in (name, *(f"{name}+{a}" for a in recipes.get(name).ablations))
        ]
    settings = {"recipes": names, "protocols": args.protocols, "seeds": list(range(args.seeds))}
    experiment = experiment_of(args, **settings, folds=args.folds or [], records=args.out)
    return show_records(args, experiment) if args.report else reproduce(args, experiment)


def _documents(args: argparse.Namespace, names: Sequence[str]) -> Result:
    """Run the systems of documents, and write their pages."""
    from ..recipes.documents import DOCUMENTS, making

    if others := [name for name in args.recipe if name not in names]:
        raise RecipeError(f"{others[0]} is a recipe and {names[0]} a document; give them to two commands")
    if args.csv:
        raise RecipeError("--csv is for recipes; leave it out for a document")
    if len(names) > 1 and (args.page or args.figures):
        raise RecipeError("--page and --figures take one document; give the documents to several commands")
    if args.ablations or args.labels or args.map or args.protocols != ["published", "speaker"]:
        raise RecipeError("a document has its own variants, labels and protocols; leave out these options")
    args.when_interrupted = "; run the same command to resume"
    failures, written = [], []
    for name in names:
        if not args.report:
            failures += making.run(
                DOCUMENTS[name], args.corpus, out=args.out, seeds=range(args.seeds), numbers=args.folds,
                root=args.root, jobs=args.jobs, progress=not args.quiet, epochs=args.epochs,
                command=args.written, tell=functools.partial(note, args),
            )  # fmt: skip
        written += making.write_page(
            DOCUMENTS[name], args.corpus, args.out, root=args.root, markdown=args.page, figures=args.figures,
            epochs=args.epochs,
        )  # fmt: skip
    data = {"files": written, "failures": [dataclasses.asdict(failure) for failure in failures]}

    def show(console: Console) -> None:
        _print_failures(console, failures)
        for path in written:
            console.print(path, soft_wrap=True, highlight=False)

    return Result(data, show, 1 if failures else 0)


def reproduce(args: argparse.Namespace, experiment: Experiment) -> Result:
    """Run the folds that have no record, and summarise the records.

    Args:
        args: arguments of the command.
        experiment: the experiment; it may have several recipes, protocols and seeds.
    """
    from ..core.paths import writable
    from ..recipes import reproduce
    from ..recipes.experiment import FILE, protocol_name

    chosen, divided = experiment.systems(), list(map(protocol_name, experiment.protocols))
    out = writable(experiment.records)
    args.when_interrupted = "; run the same command to resume"
    experiment.save(out / FILE, args.written)
    failures = reproduce.run(
        chosen, experiment.corpora, divided=divided, seeds=experiment.seeds, out=out,
        labels=experiment.labels or None, map=experiment.map or None, numbers=experiment.folds or None,
        root=experiment.root or None, jobs=args.jobs, progress=not args.quiet, command=args.written,
        tell=functools.partial(note, args),
    )  # fmt: skip
    return show_records(args, experiment, failures)


def show_records(
    args: argparse.Namespace, experiment: Experiment, failures: Sequence[recipes.reproduce.Failure] = ()
) -> Result:
    """Tables of the records, and the requested page and figures.

    Args:
        args: arguments of the command.
        experiment: the experiment, whose recipes are shown.
        failures: folds that failed.
    """
    from .. import corpora, recipes
    from ..recipes import reproduce

    records = reproduce.load(experiment.records)
    place = ", ".join(sorted(corpora.get(name).name for name in experiment.corpora))
    asked = {system.name.partition("+")[0] for system in experiment.systems()}
    table = reproduce.table(records, place)
    own = reproduce.folds(records[records["recipe"].isin(asked & set(recipes.OWN))])
    data = {
        "records": len(records),
        "failures": [dataclasses.asdict(failure) for failure in failures],
        "table": table.to_dict("records"),
        "folds": own.to_dict("records"),
        "page": reproduce.write_page(args.page, records) if args.page else [],
        "csv": _write_csv(Path(args.csv), records) if args.csv else "",
        "figures": _write_figures(Path(args.figures), records, place) if args.figures else [],
    }

    def show(console: Console) -> None:
        if asked & set(recipes.RECIPES):
            numbers, wrap = table.columns[5:], table.columns[1:5]
            print_table(console, table.columns, table.to_numpy(), numbers=numbers, wrap=wrap)
            console.print("in percent: mean ± standard deviation over folds and seeds; * folds are missing")
        if len(own):
            print_table(console, own.columns, own.to_numpy(), numbers=own.columns[3:])
            console.print("UAR on unseen speakers in percent")
        _print_failures(console, failures)
        console.print(f"{len(records)} records in {experiment.records}", soft_wrap=True)

    return Result(data, show, 1 if failures else 0)


def _print_failures(console: Console, failures: Sequence[recipes.reproduce.Failure]) -> None:
    for failure in failures:
        console.print(f"{failure.system}, {failure.protocol}: not run: {failure.reason}", soft_wrap=True)


def _write_csv(path: Path, records: pd.DataFrame) -> str:
    """Write the summary of the published systems, and return the path."""
    from ..core.paths import write_whole
    from ..recipes import reproduce

    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, reproduce.summary(records).round(4).to_csv(index=False).encode())
    return str(path)


def _write_figures(folder: Path, records: pd.DataFrame, place: str) -> list[str]:
    """Write the figures of the records, except those without records, for example of ablations."""
    from .. import plots
    from ..core.paths import write_whole
    from ..recipes import comparison

    folder.mkdir(parents=True, exist_ok=True)
    makers = {
        "published_systems": lambda: plots.published_systems(comparison.systems(records, place)),
        "reported": lambda: plots.reported(comparison.reported(records, place)),
        "leakage": lambda: plots.leakage(comparison.by_protocol(records)),
        "ablations": lambda: plots.ablations(comparison.gains(records)),
    }
    written = []
    for name, make in makers.items():
        with contextlib.suppress(TableError):
            write_whole(folder / f"{name}.png", plots.png(make()))
            written.append(str(folder / f"{name}.png"))
    return written


def _arguments(parser: Parser) -> None:
    from ..recipes.documents import DOCUMENTS

    text = f"{arguments.recipes_help()}; or a document, for a page of all its tables: {', '.join(DOCUMENTS)}"
    arguments.add_names(parser, "recipe", text, nargs="*", metavar="RECIPE")
    parser.add_argument("--all", action="store_true", help="all recipes")
    parser.add_argument("--ablations", action="store_true", help="also their ablations")
    arguments.add_corpora(parser)
    arguments.add_labels(parser, "each recipe's")
    text = f"comma-separated: {arguments.protocols_help()}; default: published,speaker"
    parser.add_argument("--protocols", type=arguments.listed, default="published,speaker", help=text)
    text = "run the seeds 0 to N-1 (default: 3)"
    parser.add_argument("--seeds", type=arguments.whole(1, 1000), default=3, metavar="N", help=text)
    text = "run only these folds, counted from 1; several commands can share one --out (default: all)"
    parser.add_argument("--folds", nargs="+", type=arguments.positive, metavar="N", help=text)
    text = "of a document: train for at most N epochs, for a quick look (default: as the document does)"
    parser.add_argument("--epochs", type=arguments.positive, default=0, metavar="N", help=text)
    parser.add_argument("--out", required=True, metavar="FOLDER", help="folder for the records")
    text = "only show existing records, without running anything"
    parser.add_argument("--report", action="store_true", help=text)
    text = "Markdown page in which the tables between marks are replaced; of a document, the page to write"
    parser.add_argument("--page", metavar="FILE", help=text)
    text = "CSV file for the summary: reported, reproduced and unseen accuracy of each system"
    parser.add_argument("--csv", metavar="FILE", help=text)
    text = "folder for figures: systems, reported results, leakage, ablations; of a document, its figures"
    parser.add_argument("--figures", metavar="FOLDER", help=text)
    arguments.add_jobs(parser)


REPRODUCE = Command(
    "reproduce",
    _reproduce,
    _arguments,
    "Run published systems with their authors' splits, and on unseen speakers. Each fold is recorded and not "
    "run again, so after Ctrl-C the same command resumes.",
    [
        "ser-kit reproduce --all --corpus ravdess --out results",
        "ser-kit reproduce staged --corpus ravdess --seeds 1 --out results",
        "ser-kit reproduce staged_cnn_lstm --ablations --corpus ravdess --seeds 1 --out results",
        "ser-kit reproduce --all --corpus ravdess --out results --report --figures results/figures",
    ],
)
