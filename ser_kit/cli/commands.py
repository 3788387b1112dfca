"""The ``ser-kit`` command.

A handler works and returns a :class:`Result`; only :func:`main` writes to standard output, so that nothing else can get
between the results. Progress, notes and errors go to standard error. The exit status is 0 when all went well, 1 when
something asked for failed (a recording, a validation, a notebook), 2 when it could not be tried, 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import dataclasses
import functools
import glob
import importlib.util
import itertools
import json
import logging
import math
import os
import re
import shlex
import sys
import textwrap
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .._version import __version__
from ..core.errors import (
    AdaptationError,
    AudioError,
    ExportError,
    FeatureError,
    MissingDependencyError,
    RecipeError,
    SerKitError,
    TableError,
    TargetError,
    UnknownNameError,
    printable,
)
from ..core.labels import labels_of
from ..core.parallel import ONE_EACH, ahead, at_once

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from rich.console import Console

    from ..app.notebooks import Demo
    from ..evaluation.record import Evaluation
    from ..extraction import Store
    from ..features import Extractor
    from ..inference.prediction import Failure, Prediction
    from ..inference.predictor import Predictor
    from ..inference.stream import Alert, Moment
    from ..recipes import Material, System

_TABLE_SUFFIXES = (".parquet", ".csv", ".xlsx")
_FINDINGS_SHOWN = 20
_COUNTS = ("found", "expected")
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's mallopt()
_SCHEDULER_SECONDS = 10  # that Dask's scheduler may take to answer


class Result(NamedTuple):
    """What a command found.

    Args:
        data: for machines, ready for JSON.
        show: writes it for people.
        status: exit status.
    """

    data: Any
    show: Callable[[Console], None]
    status: int = 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments, by default those of the process.

    Returns:
        The exit status.

    Examples:
        >>> main(["show-versions", "--json"])  # doctest: +SKIP
        {
          "ser-kit": "0.1.0",
        ...
        0
    """
    given = sys.argv[1:] if argv is None else argv
    args = _parser().parse_args(given)
    args.stdout, args.written = sys.stdout, shlex.join(["ser-kit", *map(str, given)])
    try:
        with _notes_to_stderr(args.quiet), contextlib.redirect_stdout(sys.stderr):
            result = args.handler(args)
        _write(result, args.json)
        return result.status
    except (SerKitError, OSError) as error:
        print(f"ser-kit: {printable(str(error))}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ser_kit"):
            raise
        print(f"ser-kit: this command needs {error.name}, and ser_kit was installed without: pip install ser-kit",
              file=sys.stderr)  # fmt: skip
        return 2
    except KeyboardInterrupt:
        print(f"\nser-kit: interrupted{args.when_interrupted}", file=sys.stderr)
        return 130


def _write(result: Result, as_json: bool) -> None:
    from rich.console import Console

    class Plain(Console):
        """Shows texts as they are: names of files and cards of bundles may hold what a terminal would act on."""

        def render_str(self, text, **settings):
            return super().render_str(printable(text), **settings)

    if hasattr(sys.stdout, "reconfigure"):
        # A file name need not be text that the terminal can show.
        sys.stdout.reconfigure(errors="replace")
    try:
        if as_json and result.data is not None:  # else it was written as it came
            print(json.dumps(result.data, indent=2, allow_nan=False))
        else:
            # No markup: a file may be called [red].wav. Without a terminal, no width to fit into either.
            width = None if sys.stdout.isatty() else 10_000
            console = Plain(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
            with console.capture() as shown:  # written here, since rich ends the process when a pipe is broken
                result.show(console)
            sys.stdout.write(shown.get())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has had enough; what Python flushes at its exit must have somewhere to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _notes_to_stderr(quiet: bool) -> Iterator[None]:
    """Warnings and log lines of ser_kit become one line each on standard error; those of other packages are dropped."""
    logger = logging.getLogger("ser_kit")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not quiet:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            warnings.filterwarnings("default", module=r"ser_kit(\.|$)")
            warnings.showwarning = lambda message, *_, **__: print(f"note: {printable(str(message))}", file=sys.stderr)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


def _note(args: argparse.Namespace, text: str) -> None:
    if not args.quiet:
        print(printable(text), file=sys.stderr, flush=True)


def _print_table(
    console: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    numbers: Iterable[str] = (),
    wrap: Iterable[str] = (),
) -> None:
    """A table; on a narrow terminal only the columns in ``wrap`` are broken into lines."""
    from rich import box
    from rich.table import Table

    table = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        side = "right" if column in numbers else "left"
        table.add_column(column, justify=side, overflow="fold", no_wrap=column not in wrap)
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)


# ------------------------------------------------------------------------------------------------------------ corpora


def _corpora(args: argparse.Namespace) -> Result:
    from .. import corpora

    found = []
    for corpus in map(corpora.get, corpora.names()):
        place = corpus.find_local()
        # Of the published corpus, like the clips: the copy on this machine may be a part of it.
        speakers = {corpus.parse(clip).get("speaker") for clip in corpus.index()}
        downloads = corpus.kaggle_handle is not None or hasattr(corpus.module, "fetch")
        found.append(
            {
                "name": corpus.name,
                "language": corpus.language or None,
                "clips": sum(corpus.expected.values()) or None,
                "speakers": len(speakers) or None,
                "emotions": list(corpus.expected),
                "licence": corpus.license,
                "homepage": corpus.homepage or None,
                "path": str(place) if place else None,
                "on_first_use": downloads and place is None,
            }
        )

    def where(corpus: dict) -> str:
        if corpus["path"]:
            return corpus["path"]
        if corpus["name"] == "demo":
            return "synthesised on first use"
        return "downloaded on first use" if corpus["on_first_use"] else "not found: give its folder with --root"

    def show(console: Console) -> None:
        columns = ("name", "language", "clips", "speakers", "emotions", "where", "licence")
        rows = [{**corpus, "emotions": len(corpus["emotions"]), "where": where(corpus)} for corpus in found]
        cells = [[row[column] or "" for column in columns] for row in rows]
        _print_table(console, columns, cells, numbers=("clips", "speakers", "emotions"), wrap=("where", "licence"))

    return Result(found, show)


def _validate(args: argparse.Namespace) -> Result:
    from .. import corpora

    found = corpora.validate(args.corpus, args.root, progress=not args.quiet)
    data = {
        "corpus": found.corpus,
        "ok": found.ok,
        "root": found.root,
        "clips": found.clips,
        "found": found.found,
        "expected": found.expected,
        "findings": found.table().to_dict("records"),
    }

    def show(console: Console) -> None:
        counts = found.counts()
        _print_table(console, counts.columns, counts.to_numpy(), numbers=_COUNTS)
        if found.findings:
            shown = found.table()[:_FINDINGS_SHOWN][["kind", "clip_id", "detail"]]
            _print_table(console, ("finding", "clip", "detail"), shown.to_numpy(), wrap=("detail",))
        if len(found.findings) > _FINDINGS_SHOWN:
            console.print(f"... and {len(found.findings) - _FINDINGS_SHOWN} more findings; --json lists them all")
        console.print(found.summary(), soft_wrap=True)

    return Result(data, show, 0 if found.ok else 1)


# ----------------------------------------------------------------------------------------------------------- features


def _load(args: argparse.Namespace, names: Sequence[str], labels: str | Iterable[str] | None) -> pd.DataFrame:
    from .. import corpora

    return corpora.load(names, args.root, labels_of(labels) if isinstance(labels, str) else labels)


def _failed(table: pd.DataFrame, failures: pd.DataFrame) -> list[dict[str, str]]:
    """All clips that were asked for and could not be used: the failures of extraction and the rows of lists."""
    listed = set(table.attrs["failed"])
    rows = [{**clip, "error": "TableError"} for clip in table.attrs["excluded"] if clip["clip_id"] in listed]
    return failures.to_dict("records") + [{name: row[name] for name in failures.columns} for row in rows]


def _extractor(args: argparse.Namespace) -> Extractor:
    from .. import features

    cls = features.get(args.features)
    known = cls().parameters
    given = {}
    for setting in args.set:
        name, _, value = setting.partition("=")
        if name not in known:
            raise FeatureError(f"{cls.name!r} features have no parameter {name!r}; they have {', '.join(known)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            raise FeatureError(
                f"--set {setting}: {value!r} is no value; write such as {name}={json.dumps(known[name])}"
            ) from None
    return cls(**given)


def _extract(args: argparse.Namespace) -> Result:
    from .. import extraction
    from ..core.paths import writable

    extractor, out = _extractor(args), Path(args.out)
    suffixes = (*_TABLE_SUFFIXES, ".npz") if len(extractor.shape) == 1 else (".npz",)
    if out.suffix.lower() not in suffixes:
        raise FeatureError(
            f"{args.features!r} features have shape {extractor.shape} per clip and are saved as {', '.join(suffixes)}, "
            f"not as {out.name!r}"
        )
    if out.suffix.lower() == ".xlsx" and not importlib.util.find_spec("openpyxl"):
        raise MissingDependencyError("openpyxl", "xlsx", "saving features as XLSX")
    writable(out.parent)
    if out.is_dir():
        raise TargetError(f"{out} is a folder; expected the name of a file")
    settings = {
        "jobs": args.jobs,
        "cache": not args.no_cache,
        "timeout": args.timeout,
        "progress": not args.quiet,
    }
    with _cluster(args.dask) as backend:
        table = _load(args, args.corpus, args.labels)
        if out.suffix.lower() in (".parquet", ".csv"):
            done = extraction.extract_to(out, table, extractor, backend=backend, **settings)
            clips, failures = done.clips, done.failures
        else:
            found = extraction.extract(table, extractor, backend=backend, **settings)
            found.save(out)
            clips, failures = len(found), found.failures
    failed = _failed(table, failures)
    known = {clip["clip_id"] for clip in failed}
    data = {
        "out": str(out),
        "features": args.features,
        "clips": clips,
        "shape": [clips, *extractor.shape],
        "names": list(extractor.feature_names),
        "failures": failed,
        "excluded": [clip for clip in table.attrs["excluded"] if clip["clip_id"] not in known],
    }

    def show(console: Console) -> None:
        if failed:
            rows = [(clip["clip_id"], clip["reason"]) for clip in failed]
            _print_table(console, ("clip", "why it failed"), rows, wrap=("why it failed",))
        shape = (clips, *extractor.shape)
        console.print(f"{args.features} of {clips} clips saved as {out}, shape {shape}", soft_wrap=True)

    return Result(data, show, 1 if failed else 0)


@contextlib.contextmanager
def _cluster(scheduler: str | None) -> Iterator[str]:
    """The backend to extract with: a client of the Dask scheduler at an address, or this machine."""
    if scheduler is None:
        yield "local"
        return
    try:
        import distributed
    except ImportError:
        raise MissingDependencyError("dask.distributed", "dask", "--dask") from None
    try:
        client = distributed.Client(scheduler, timeout=_SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise FeatureError(f"--dask {scheduler}: no scheduler answers there ({error})") from None
    with client:
        yield "dask"


def _cache(args: argparse.Namespace) -> Result:
    from .. import extraction, features

    if args.features is not None and args.action != "clear":
        raise FeatureError("--features is for 'ser-kit cache clear'")
    chosen = None if args.features is None else features.get(args.features).__name__
    with extraction.Store() as store:
        data: dict[str, Any] = {"path": str(store.path)}
        if args.action == "check":
            data["checked"], data["damaged"] = _check(store, args)
        elif args.action == "clear":
            data["removed"] = store.clear(chosen)
        data["holdings"] = [holding._asdict() for holding in store.holdings()]
        data["bytes"] = store.size()

    def show(console: Console) -> None:
        if data["holdings"]:
            columns = ("extractor", "clips", "size")
            rows = [(h["extractor"], f"{h['clips']:,}", _megabytes(h["bytes"])) for h in data["holdings"]]
            _print_table(console, columns, rows, numbers=columns[1:], wrap=columns[:1])
        if args.action == "check":
            console.print(f"{data['checked']:,} entries checked, {data['damaged']:,} were damaged and are removed")
        elif args.action == "clear":
            console.print(f"{data['removed']:,} entries removed")
        console.print(f"{_megabytes(data['bytes'])} in {data['path']}", soft_wrap=True)

    return Result(data, show, 1 if data.get("damaged") else 0)


def _check(store: Store, args: argparse.Namespace) -> tuple[int, int]:
    from tqdm.auto import tqdm

    total = sum(holding.clips for holding in store.holdings())
    with tqdm(total=total, desc="check", unit=" entries", leave=False, disable=args.quiet) as bar:
        return store.check(lambda checked: bar.update(checked - bar.n))


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


# ------------------------------------------------------------------------------------------------ training, evaluation


def _checkpoints(args: argparse.Namespace) -> Path:
    """The folder beside ``--out`` that holds what an interrupted command needs to go on."""
    from ..core.paths import writable

    out = Path(os.path.abspath(args.out))
    writable(out.parent)
    args.when_interrupted = f"; the same command goes on from there (what was done so far is in {out.name}.run)"
    return out.with_name(f"{out.name}.run")


def _tell_failures(args: argparse.Namespace, table: pd.DataFrame, found: Material) -> list[dict[str, str]]:
    """The clips that could not be used, of which the first is named."""
    failed = _failed(table, found.failures)
    if failed:
        clip, reason = failed[0]["clip_id"], failed[0]["reason"]
        _note(args, f"note: {len(failed)} clips cannot be used; the first: {clip}: {reason}")
    return failed


def _train(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..bundles.bundle import check_target

    recipe = _changed(args, recipes.get(args.recipe))
    _protocol(args.protocol)
    out, progress = Path(args.out), not args.quiet
    check_target(out)
    checkpoints = _checkpoints(args)
    table = _load(args, args.corpus, args.labels or recipe.labels)
    recipe.protocol(args.protocol)(table, args.seed)  # a table that it cannot divide is refused before the work
    found = recipe.prepare(table, jobs=args.jobs, progress=progress)
    failed = _tell_failures(args, table, found)
    settings = {"seed": args.seed, "out": checkpoints, "jobs": args.jobs, "progress": progress}
    evaluation = dataclasses.replace(recipe.run(found, args.protocol, **settings), command=args.written)
    bundle = recipe.fit(found, protocol=args.protocol, evaluation=evaluation, **settings)
    bundle.save(out)
    recipe.forget(checkpoints, args.protocol, args.seed)
    data = {
        "bundle": str(out),
        "recipe": recipe.name,
        "labels": list(bundle.labels),
        "trained_on": bundle.card["trained_on"],
        "failures": failed,
        "evaluation": _record(evaluation),
    }

    def show(console: Console) -> None:
        console.print(str(evaluation), soft_wrap=True)
        console.print(f"\nbundle saved in {out}; use it with: ser-kit predict FILE --bundle {out}", soft_wrap=True)

    return Result(data, show)


def _changed(args: argparse.Namespace, system: System) -> System:
    """The system with what ``--set`` says."""
    changes = {}
    for given in args.set:
        name, equals, text = given.partition("=")
        if not equals:
            raise RecipeError(f"--set {given!r}: expected SETTING=VALUE, such as training.epochs=50")
        try:
            changes[name] = json.loads(text)
        except json.JSONDecodeError:
            changes[name] = text
    changed = system.changed(changes)
    changed.check(changed.temperature)
    return changed


def _protocol(name: str) -> str:
    """The protocol that was asked for, which is looked up before any work is done."""
    from .. import protocols, recipes

    return name if name == recipes.PUBLISHED else protocols.get(name).name


def _evaluate(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..core.paths import writable

    chosen = [_changed(args, recipes.get(name)) for name in args.recipe]
    divided = list(map(_protocol, args.protocol))
    seeds = range(args.seeds) if args.seeds else [args.seed]
    out, progress, checkpoints = writable(args.out), not args.quiet, _checkpoints(args)
    evaluations: dict[Path, Evaluation] = {}
    for recipe in chosen:
        table = _load(args, args.corpus, args.labels or recipe.labels)
        for protocol in divided:
            recipe.protocol(protocol)(table, seeds[0])
        found = recipe.prepare(table, jobs=args.jobs, progress=progress)
        _tell_failures(args, table, found)
        for protocol in divided:
            for seed in seeds:
                started = time.perf_counter()
                evaluation = recipe.run(found, protocol, seed=seed, out=checkpoints, jobs=args.jobs, progress=progress)
                evaluation = dataclasses.replace(evaluation, command=args.written)
                folder = evaluation.save(out / f"{recipe.name}-{protocol}-{seed}-{evaluation.digest}")
                evaluations[folder] = evaluation
                uar = evaluation.metrics()["uar"]
                took = time.perf_counter() - started
                _note(args, f"{recipe.name}, protocol {protocol}, seed {seed}: UAR {100 * uar:.1f} ({took:.0f} s)")
    for recipe in chosen:
        for protocol in divided:
            for seed in seeds:
                recipe.forget(checkpoints, protocol, seed)
    records = [{**_record(evaluation), "folder": str(folder)} for folder, evaluation in evaluations.items()]
    return Result({"evaluations": records}, lambda console: _show_evaluations(console, list(evaluations.values()), out))


def _reproduce(args: argparse.Namespace) -> Result:
    from .. import corpora, recipes
    from ..core.paths import writable
    from ..recipes import reproduce

    writable(args.out)
    if bool(args.recipe) == args.all:
        raise RecipeError("name the recipes to reproduce, or give --all; see ser-kit reproduce --help")
    chosen = [recipes.get(name) for name in (recipes.RECIPES if args.all else args.recipe)]
    if args.ablations:
        chosen = [each for system in chosen for each in (system, *(system.variant(name) for name in system.ablations))]
    divided = list(map(_protocol, args.protocols))
    args.when_interrupted = "; the same command goes on from there"
    failures = []
    if not args.report:
        failures = reproduce.run(
            chosen, args.corpus, divided=divided, seeds=range(args.seeds), out=args.out, labels=args.labels,
            numbers=args.folds, root=args.root, jobs=args.jobs, progress=not args.quiet, command=args.written,
            tell=functools.partial(_note, args),
        )  # fmt: skip
    records = reproduce.load(args.out)
    place = ", ".join(sorted(corpora.get(name).name for name in args.corpus))
    table = reproduce.table(records, place)
    asked = {system.name.partition("+")[0] for system in chosen}
    own = reproduce.folds(records[records["recipe"].isin(asked & set(recipes.OWN))])
    data = {
        "records": len(records),
        "failures": [dataclasses.asdict(failure) for failure in failures],
        "table": table.to_dict("records"),
        "folds": own.to_dict("records"),
        "page": reproduce.write_page(args.page, records) if args.page else [],
        "figures": _write_figures(Path(args.figures), records, place) if args.figures else [],
    }

    def show(console: Console) -> None:
        if asked & set(recipes.RECIPES):
            _print_table(console, table.columns, table.to_numpy(), numbers=table.columns[5:], wrap=table.columns[1:5])
            console.print("in percent: mean ± standard deviation over folds and seeds; * where folds are missing")
        if len(own):
            _print_table(console, own.columns, own.to_numpy(), numbers=own.columns[3:])
            console.print("UAR on unseen speakers in percent")
        for failure in failures:
            console.print(f"{failure.system}, {failure.protocol}: not run: {failure.reason}", soft_wrap=True)
        console.print(f"{len(records)} records in {args.out}", soft_wrap=True)

    return Result(data, show, 1 if failures else 0)


def _write_figures(folder: Path, records: pd.DataFrame, place: str) -> list[str]:
    """The figures of the records; one that they do not give yet, such as that of the ablations, is left out."""
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


def _tune(args: argparse.Namespace) -> Result:
    from .. import recipes
    from ..core.paths import writable
    from ..recipes import tuning

    writable(args.out)
    system = _changed(args, recipes.get(args.recipe))
    _protocol(args.protocol)
    space = {}
    for given in args.space:
        name, equals, text = given.partition("=")
        try:
            space[name] = json.loads(text if equals else "")
        except json.JSONDecodeError:
            space[name] = None
        if not isinstance(space[name], list) or not space[name]:
            raise RecipeError(f"--space {given!r}: expected SETTING=[VALUE, ...], a JSON list")
        system.changed({name: space[name][0]})  # a misspelt setting is refused before the recordings are read
    table = _load(args, args.corpus, args.labels or system.labels)
    system.protocol(args.protocol)(table, args.seed)
    args.when_interrupted = "; the same command goes on from there"
    found = tuning.search(
        system, table, space, method=args.method, candidates=args.candidates, protocol=args.protocol, seed=args.seed,
        out=args.out, jobs=args.jobs, progress=not args.quiet,
    )  # fmt: skip
    results = found.results.to_dict("records")
    chosen = [*args.set, *(f"{name}={json.dumps(results[0][name])}" for name in space)]
    words = ["ser-kit", "evaluate", args.recipe, "--corpus", *args.corpus]
    for option in ("root", "labels"):
        words += [f"--{option}", getattr(args, option)] if getattr(args, option) else []
    words += [word for setting in chosen for word in ("--set", setting)]

    def show(console: Console) -> None:
        rows = found.results.assign(uar=(100 * found.results["uar"]).map("{:.1f}".format))
        rows["accuracy"] = (100 * rows["accuracy"]).map("{:.1f}".format)
        _print_table(console, rows.columns, rows.to_numpy(), numbers=("uar", "accuracy", "seconds"))
        console.print(f"scored on the training speakers {', '.join(found.scored)}; no test speaker was touched")
        console.print(f"to test the best: {shlex.join([*words, '--out', 'results'])}", soft_wrap=True)

    return Result({"best": results[0], "results": results, "scored": list(found.scored)}, show)


def _record(evaluation: Evaluation) -> dict[str, Any]:
    """The numbers of an evaluation for JSON; fractions, and ``None`` for what one fold or speaker cannot tell."""
    summary = {
        metric: {key: value if value == value else None for key, value in numbers.items()}
        for metric, numbers in evaluation.summary().items()
    }
    return {
        "recipe": evaluation.recipe,
        "protocol": evaluation.protocol,
        "speaker_independent": evaluation.speaker_independent,
        "seed": evaluation.seed,
        "corpora": list(evaluation.corpora),
        "clips": len(evaluation.predictions),
        "parameters": evaluation.parameters,
        "seconds": round(evaluation.seconds, 2),
        **summary,
        "per_class": evaluation.per_class().to_dict("index"),
        "confusion": {"labels": list(evaluation.labels), "counts": evaluation.confusion().to_numpy().tolist()},
    }


def _show_evaluations(console: Console, evaluations: list[Evaluation], out: Path) -> None:
    from ..evaluation.record import compare

    table = compare(evaluations)
    table.insert(3, "seed", [evaluation.seed for evaluation in evaluations])
    _print_table(console, table.columns, table.to_numpy(), numbers=("seed", "clips"), wrap=table.columns[6:])
    console.print("in percent: all tested clips [95 % interval over speakers]; folds: mean ± standard deviation\n")
    for evaluation in evaluations:
        counts, scores = evaluation.confusion(), evaluation.per_class()
        percent = (100 * scores[["precision", "recall", "f1"]]).map("{:.1f}".format)
        rows = [(label, *counts.loc[label], *percent.loc[label]) for label in evaluation.labels]
        columns = ("true \\ predicted", *evaluation.labels, "precision", "recall", "F1")
        title = f"{evaluation.recipe}, protocol {evaluation.protocol}, seed {evaluation.seed}: clips"
        _print_table(console, columns, rows, title=title, numbers=columns[1:])
    text = "evaluation.json (scores, settings, command, versions) and the predictions of every clip, in a folder each"
    console.print(f"saved in {out}: {text}", soft_wrap=True)


# --------------------------------------------------------------------------------------------------------- prediction


def _recordings(named: Iterable[str]) -> list[str]:
    """Files, with folders and patterns opened; a name that stands for nothing stays, and fails with its reason."""
    from ..core.paths import audio_files

    found: list[str] = []
    for name in named:
        if os.path.isdir(name):
            found += sorted(map(str, audio_files(Path(name)))) or [name]
        elif os.path.exists(name):
            found.append(name)
        else:
            found += sorted(glob.glob(name, recursive=True)) or [name]
    return list(dict.fromkeys(found))


def _predict(args: argparse.Namespace) -> Result:
    paths = _recordings(args.recording)
    jobs = min(args.jobs or at_once(), len(paths))
    if jobs > 1:
        os.environ.update(ONE_EACH | os.environ)

    from ..inference.prediction import Failure
    from ..inference.results import Results, columns, csv_text, rows, to_dict
    from ..inference.stream import timeline

    predictor = _predictor(args)
    settings = _over_time(args)
    if settings and not args.timeline:
        raise TableError("--window, --hop and --smoothing are settings of --timeline; give that, too")
    if args.same_speaker:
        predictor = _adapted(args, predictor, paths)
        if args.save_adaptation:
            predictor.adaptation.save(args.save_adaptation)
    speakers = _by_folder(args, predictor, paths) if args.speaker_per_folder else {}

    def told(path: str) -> tuple[Prediction | Failure, list[Moment] | None]:
        one = speakers.get(os.path.dirname(path), predictor)
        (answer,) = one.predict_many([path])
        if not args.timeline or isinstance(answer, Failure):
            return answer, None
        try:
            return answer, timeline(one, path, **settings)
        except Exception as error:
            return Failure.of(path, error), None

    with contextlib.ExitStack() as stack:
        file = None
        if args.out:
            file = stack.enter_context(Results(args.out, predictor, args.timeline, settings, speakers.values()))
        if file:
            args.when_interrupted = f"; {args.out} holds what was done, and the same command goes on from there"
        left = file.missing(paths) if file else paths
        if len(left) < len(paths):
            _note(args, f"{len(paths) - len(left)} of {len(paths)} recordings are answered for in {args.out} already")
        coming = ahead(told, left, jobs) if jobs > 1 else map(told, left)
        answers = []
        for answer, moments in _followed(coming, len(left), "predict", args.quiet):
            answers.append((answer, moments))
            if file:
                file.add(answer, moments)
    failed = [answer for answer, _ in answers if isinstance(answer, Failure)]

    def show(console: Console) -> None:
        if args.csv:
            flat = (row for answer, moments in answers for row in rows(answer, moments))
            sys.stdout.write(csv_text(flat, columns(predictor, args.timeline)))
        elif args.out:
            _print_table(console, ("emotion", "recordings", "uncertain"), _counted(answers), numbers=("recordings",))
            for failure in failed:
                console.print(f"{failure.path}: error: {failure.error}")
        else:
            _print_answers(console, answers)
        if failed and not args.csv:
            console.print(f"{len(failed)} of {len(answers)} recordings failed")

    return Result([to_dict(answer, moments) for answer, moments in answers], show, 1 if failed else 0)


def _bar(quiet: bool):
    """A progress bar on standard error, which is gone when its work is done."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)


def _followed(things: Iterable, total: int, what: str, quiet: bool) -> Iterator:
    """Things one by one, with a progress bar where there are several."""
    if total < 2:
        yield from things
        return
    with _bar(quiet) as bar:
        yield from bar.track(things, total=total, description=what)


def _predictor(args: argparse.Namespace) -> Predictor:
    """What is asked for, by its bundle, labels and speaker."""
    from ..bundles.adaptation import Adaptation, target
    from ..inference.predictor import Predictor

    if args.adaptation and (args.enroll or args.speaker_per_folder):
        other = "--enroll" if args.enroll else "--speaker-per-folder"
        raise AdaptationError(f"--adaptation and {other} both say who speaks; give one of them")
    if args.save_adaptation:
        if not args.same_speaker:
            raise AdaptationError("--save-adaptation keeps what is learned with --same-speaker; give that, too")
        target(args.save_adaptation)
    known = Adaptation.load(args.adaptation) if args.adaptation else None
    with _freed_at_once():
        predictor = Predictor.open(args.bundle, labels_of(args.labels))
    if known:
        predictor = predictor.with_adaptation(known)
    return predictor.enroll(_recordings(args.enroll)) if args.enroll else predictor


@contextlib.contextmanager
def _freed_at_once() -> Iterator[None]:
    """What is freed meanwhile goes back to the system: a model is opened in steps, and glibc would keep 15 MB of
    them."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library
        yield
        return
    mallopt(_M_MMAP_THRESHOLD, 1 << 18)
    try:
        yield
    finally:  # answers take and free a few MB again and again: what glibc sets these to by itself
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)


def _adapted(args: argparse.Namespace, predictor: Predictor, paths: Sequence[str]) -> Predictor:
    """Used to the voice of the one person who speaks in all of these recordings."""
    with _bar(args.quiet) as bar:
        task = bar.add_task("adapt", total=1)
        one = predictor.adapt(paths, watch=lambda share: bar.update(task, completed=share))
    _note(args, f"adapted to a voice from {one.adaptation.clips} clips")
    for path, reason in one.adaptation.left_out[:_FINDINGS_SHOWN]:
        _note(args, f"not adapted to {path}: {reason}")
    if len(one.adaptation.left_out) > _FINDINGS_SHOWN:
        _note(args, f"... and to {len(one.adaptation.left_out) - _FINDINGS_SHOWN} more")
    return one


def _by_folder(args: argparse.Namespace, predictor: Predictor, paths: Sequence[str]) -> dict[str, Predictor]:
    """Folder -> the predictor for the person who speaks in its recordings, where something can be learned from them."""
    found = {}
    for folder in dict.fromkeys(map(os.path.dirname, paths)):
        try:
            found[folder] = _adapted(args, predictor, [path for path in paths if os.path.dirname(path) == folder])
        except AudioError as error:
            _note(args, f"{folder or 'this folder'} is answered for without adaptation: {error}")
    return found


def _over_time(args: argparse.Namespace) -> dict[str, float]:
    """What is asked for of a timeline's settings."""
    return {key: getattr(args, key) for key in ("window", "hop", "smoothing") if getattr(args, key) is not None}


def _print_answers(console: Console, answers: list[tuple[Prediction | Failure, list[Moment] | None]]) -> None:
    from ..inference.prediction import Failure

    cells = []
    for answer, moments in answers:
        if isinstance(answer, Failure):
            cells.append((answer.path, "–", "–", "", f"error: {answer.error}"))
            continue
        note = f"uncertain: {answer.reason}" if answer.uncertain else ""
        cells.append((answer.path, answer.emotion, _percent(answer.confidence), _second(answer.probabilities), note))
        for moment in moments or ():
            time = f"  {_clock(moment.start)} to {_clock(moment.end)}"
            if moment.emotion:
                second = _second(moment.probabilities)
                cells.append((time, moment.emotion, _percent(moment.confidence), second, ""))
            else:
                cells.append((time, "–", "–", "", moment.reason))
    columns = ("recording", "emotion", "confidence", "next", "note")
    _print_table(console, columns, cells, numbers=("confidence",), wrap=("recording", "note"))


def _second(probabilities: Mapping[str, float]) -> str:
    label, probability = sorted(probabilities.items(), key=lambda item: -item[1])[1]
    return f"{label} {_percent(probability)}"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _counted(answers: list[tuple[Prediction | Failure, Any]]) -> list[tuple[str, int, int]]:
    """How many recordings were given each emotion, and of how many of these it is not sure."""
    from ..inference.prediction import Failure

    sure = Counter((a.emotion, a.uncertain) for a, _ in answers if not isinstance(a, Failure))
    emotions = dict.fromkeys(emotion for emotion, _ in sure)
    rows = [(each, sure[each, False] + sure[each, True], sure[each, True]) for each in emotions]
    return sorted(rows, key=lambda row: -row[1])


def _listen(args: argparse.Namespace) -> Result:
    from ..inference.stream import Alert, StreamPredictor

    predictor = _predictor(args)
    alerts = [
        Alert(emotion, _tell_alert, above=args.above, below=min(args.below, args.above), seconds=args.seconds)
        for emotion in args.alert or ()
    ]
    stream = StreamPredictor(predictor, rate=args.rate, alerts=alerts, adapt=args.same_speaker, **_over_time(args))
    blocks = _raw_blocks(args.rate, args.channels) if args.raw else _microphone(args.rate)
    _note(args, "listening; Ctrl-C ends it")
    with contextlib.suppress(BrokenPipeError):  # the reader (head) has had enough
        with contextlib.suppress(KeyboardInterrupt):
            for block in blocks:
                for moment in stream.feed(block):
                    _tell(moment, args)
        for moment in stream.flush():
            _tell(moment, args)
    if args.save_adaptation:
        stream.adaptation.save(args.save_adaptation)
        _note(
            args, f"what was learned of the voice from {stream.adaptation.clips} windows is in {args.save_adaptation}"
        )
    return Result(None, lambda console: None)


def _tell(moment: Moment, args: argparse.Namespace) -> None:
    """A line for a moment, at once."""
    if args.json:
        line = json.dumps(moment.to_dict())
    elif moment.emotion:
        second = _second(moment.probabilities)
        line = f"{_clock(moment.end):>8}  {moment.emotion:<10} {_percent(moment.confidence):>5}  {second}"
    else:
        line = f"{_clock(moment.end):>8}  –          {moment.reason}"
    print(line, file=args.stdout, flush=True)


def _tell_alert(alert: Alert, moment: Moment) -> None:
    change = "begins" if alert.active else "is over"
    print(f"{_clock(moment.end):>8}  ! {alert.emotion} {change}", file=sys.stderr, flush=True)


def _raw_blocks(rate: int, channels: int) -> Iterator[np.ndarray]:
    """Tenths of a second of 16-bit samples (little-endian, channels interleaved) from standard input, to its end."""
    import numpy as np

    width = 2 * channels
    left = b""
    while data := sys.stdin.buffer.read1(max(1, rate // 10) * width):
        data = left + data
        whole = len(data) // width * width
        left = data[whole:]
        yield np.frombuffer(data[:whole], "<i2").reshape(-1, channels)


def _microphone(rate: int) -> Iterator[np.ndarray]:
    """Tenths of a second from the default microphone."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: it lacks the PortAudio library
        purpose = f"listening to the microphone ({error}; without one, pipe samples to ser-kit listen --raw)"
        raise MissingDependencyError("sounddevice and PortAudio", "microphone", purpose) from None
    try:
        with sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32") as microphone:
            while True:
                yield microphone.read(rate // 10)[0]
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be opened: {error}") from None


def _percent(fraction: float) -> str:
    """Whole per cent; a probability is never shown as certainty."""
    return ">99 %" if fraction > 0.995 else "<1 %" if fraction < 0.005 else f"{100 * fraction:.0f} %"


# ------------------------------------------------------------------------------------------------------------- export


def _export(args: argparse.Namespace) -> Result:
    from .. import corpora, deploy
    from ..bundles.bundle import Bundle, bundle_path
    from ..recipes import pruning

    if args.prune is not None and not args.corpus:
        raise RecipeError("pruned networks are trained further: name what the bundle learned from with --corpus")
    folder = bundle_path(args.bundle)
    if args.format == "bundle":
        return _renewed(args, folder)
    if args.out:
        deploy.check_target(args.out, args.format)
    bundle = Bundle.load(folder)
    args.out = Path(args.out or bundle.card["name"] + deploy.FORMATS[args.format])
    deploy.check_target(args.out, args.format)
    training = _load(args, args.corpus or ["demo"], bundle.labels)
    compared = _load(args, args.compare, bundle.labels) if args.compare else training
    compared = corpora.sample(compared, args.clips)
    chosen = bundle
    if args.prune is not None:
        checkpoints = _checkpoints(args)
        chosen = pruning.prune(
            bundle, training, share=args.prune, epochs=args.epochs, out=checkpoints, jobs=args.jobs,
            progress=not args.quiet,
        )  # fmt: skip
    _note(args, f"writing {args.out}, and comparing it on {len(compared)} clips")
    settings = {"format": args.format, "quantize": args.quantize, "training": training}
    report = deploy.export(chosen, args.out, compared, **settings)
    data = dataclasses.asdict(report) | {"path": str(report.path), "bundle_size": deploy.size(folder)}
    if args.prune is not None:
        data |= {"pruned": args.prune, "unpruned_uar": deploy.uar(bundle, compared)}
        pruning.forget(checkpoints)

    def show(console: Console) -> None:
        times = [f"{report.milliseconds[threads]:.1f}" for threads in (1, 2)]
        alike, differs = f"{100 * report.agreement:.1f}", f"{report.difference:.2g}"
        megabytes = [f"{size / 1e6:.2f}" for size in (data["bundle_size"], report.size, report.compressed)]
        before = data.get("unpruned_uar", report.bundle_uar)
        cells = [("the bundle", megabytes[0], "–", "–", "–", f"{100 * before:.1f}", "–", "–")]
        if args.prune is not None:
            name = f"{100 * args.prune:g} % pruned"
            cells.append((name, "–", "–", "–", "–", f"{100 * report.bundle_uar:.1f}", "–", "–"))
        cells.append((str(report.path), *megabytes[1:], *times, f"{100 * report.uar:.1f}", alike, differs))
        columns = (
            "file", "MB", "packed", "ms, 1 thread", "ms, 2 threads", "UAR", "named alike, %", "largest difference",
        )  # fmt: skip
        _print_table(console, columns, cells, numbers=columns[1:], wrap=("file",))
        inputs = "samples" if deploy.metadata(bundle)["input"] == "samples" else "features"
        console.print(f"compared on {report.clips} clips; takes {inputs}, gives probabilities", soft_wrap=True)
        learned = {each["corpus"] for each in bundle.card.get("trained_on", [])}
        if not args.compare and learned & set(compared["corpus"]):
            text = "it was trained on them; UAR on other speakers is lower: --compare CORPUS"
            console.print(text, soft_wrap=True)

    return Result(data, show)


def _renewed(args: argparse.Namespace, folder: Path) -> Result:
    """The bundle with a new ``model.onnx``."""
    from .. import corpora, deploy
    from ..bundles.bundle import Bundle, check_target

    if args.prune is not None or args.quantize != "none":
        raise ExportError("--prune and --quantize are not for --format bundle, whose answers stay the same")
    out = Path(args.out or folder)
    check_target(out)
    bundle = Bundle.load(folder, networks=True)
    clips = corpora.sample(_load(args, args.compare or args.corpus or ["demo"], bundle.labels), args.clips)
    _note(args, f"writing {out}, and comparing its model.onnx with its networks on {len(clips)} clips")
    deploy.with_runtime(bundle, corpora.sources(clips)).save(out)
    said = Bundle.load(out, networks=True).card["runtime"]

    def show(console: Console) -> None:
        if "none_since" in said:
            console.print(f"{out} has no model.onnx: {said['none_since']}", soft_wrap=True)
        else:
            compared = f"largest difference of a probability on {said['recordings']} recordings"
            console.print(f"{out}: {compared} {said['difference']:.1g}", soft_wrap=True)

    return Result({"bundle": str(out), **said}, show)


# ------------------------------------------------------------------------------------------------------ demo, versions


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
    return Result(data, lambda console: _show_demo(console, found), 0 if found.ok else 1)


def _show_demo(console: Console, found: Demo) -> None:
    names = ("01_corpora", "02_features", "04_evaluate", "05_predict", "06_published_systems", "07_deploy")
    clips, functionals, evaluated, predicted, published, deployed = (found.facts.get(name, {}) for name in names)
    lines = []
    if clips:
        nature = " (synthetic speech)" if clips["synthetic"] else ""
        emotions = f"{len(clips['emotions'])} emotions"
        corpora = ", ".join(clips["corpora"])
        lines.append(("clips", f"{clips['clips']} of {clips['speakers']} speakers, {emotions}: {corpora}{nature}"))
    if functionals:
        of = f"{functionals['clips']} clips ({functionals['failures']} failed)"
        lines.append(("features", f"{functionals['functionals']} functionals of {of}, {functionals['seconds']:.0f} s"))
    if predicted:
        doubt = ", uncertain" if predicted["uncertain"] else ""
        answer = f"{predicted['emotion']}, confidence {_percent(predicted['confidence'])}{doubt}"
        lines.append(("prediction", f"{predicted['clip_id']} (held out, truly {predicted['true']}): {answer}"))
    if published:
        recorded = f"records of {len(published['recorded'])} ({published['records']:,} folds)"
        lines.append(("published", f"{published['systems']} systems, {recorded}"))
    if deployed:
        least = min(deployed["files"], key=lambda file: file["bytes"])
        alike = f"{_percent(least['agreement'])} of {deployed['clips']} clips named alike"
        lines.append(
            ("exported", f"{len(deployed['files'])} files; {least['file']}: {least['bytes'] / 1e6:.2f} MB, {alike}")
        )
    for run in found.runs:
        if not run.ok:
            console.print(f"{run.name} failed in code cell {run.cells + 1} of {run.total}\n", soft_wrap=True)
            console.print(f"{run.error}\n", soft_wrap=True)
    lines.append(("notebooks", f"{sum(run.ok for run in found.runs)} ran, as .ipynb and .html in {found.out}"))
    if (found.out / "figures").is_dir():
        lines.append(("figures", str(found.out / "figures")))
    lines.append(("time", f"{found.seconds:.0f} s"))
    if evaluated:
        rows = [
            (
                evaluation["recipe"],
                evaluation["protocol"],
                "unseen" if evaluation["speaker_independent"] else "speaker-dependent",
                *(_mean_and_deviation(evaluation[metric]) for metric in ("uar", "accuracy")),
            )
            for evaluation in evaluated["evaluations"]
        ]
        columns = ("recipe", "protocol", "speakers", "UAR %", "accuracy %")
        _print_table(console, columns, rows, numbers=columns[3:])
    for name, text in lines:
        console.print(f"{name:<11} {text}", soft_wrap=True)


def _mean_and_deviation(numbers: dict[str, float | None]) -> str:
    mean, deviation = numbers["mean"], numbers["std"]
    return f"{100 * mean:.1f}" if deviation is None else f"{100 * mean:.1f} ± {100 * deviation:.1f}"


def _show_versions(args: argparse.Namespace) -> Result:
    import platform
    from importlib import metadata

    found = {"ser-kit": __version__, "python": platform.python_version(), "platform": platform.platform()}
    required = metadata.requires("ser-kit") or []
    for name in dict.fromkeys(re.match(r"[\w.-]+", requirement)[0].lower() for requirement in required):
        # The CPU build goes by another name.
        for alias in (name, f"{name}-cpu"):
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(alias)
                break
        else:
            found[name] = None
    found["cores"] = os.cpu_count()
    found["SER_KIT_DATA"] = os.environ.get("SER_KIT_DATA")

    def show(console: Console) -> None:
        for name, version in found.items():
            console.print(f"{name:<18} {'–' if version is None else version}", soft_wrap=True)

    return Result(found, show)


# ---------------------------------------------------------------------------------------------------------- arguments


class _Parser(argparse.ArgumentParser):
    """Suggests the command or choice that a misspelt one is like."""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = "command" if action.metavar == "COMMAND" else action.dest
            raise argparse.ArgumentError(action, str(UnknownNameError(kind, value, action.choices)))


class _Names(argparse.Action):
    """Names, each once, with spaces or commas between them."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        setattr(namespace, self.dest, list(dict.fromkeys(itertools.chain.from_iterable(values))))


def _listed(text: str) -> list[str]:
    """Names with commas between them; in that of an ablation a comma may be followed by a space."""
    names = [name.strip() for name in re.split(r",(?! )" if "+" in text else ",", text)]
    if not any(names):
        raise argparse.ArgumentTypeError(f"{text!r} names nothing")
    return list(dict.fromkeys(filter(None, names)))


def _whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """Takes whole numbers in a range, ends included."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            of = f"of {least} or more" if most == math.inf else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {of}")
        return int(text)

    return number


_positive = _whole(1)
_seed = _whole(0, 2**31 - 1)
_seeds = _whole(1, 1000)
_jobs = _whole(1, 256)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _seconds_or_none(text: str) -> float:
    return 0.0 if text in ("0", "0.0") else _seconds(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


_CORPORA = (
    "ravdess, ravdess_song, cremad, tess, savee, emodb, nemo, emospeech, iemocap, folder (your own), demo (synthetic); "
    "NAME:PATH says where one is, and gives others of your own a name: ravdess folder:mine calls:list.csv"
)
_FEATURES = (
    "functionals, frames, frame_statistics, logmel, segments, speech_encoder, stacked, waveform, yamnet or trillsson"
)
_RECIPES = (
    "staged_cnn_lstm, rastogi_mlp, rastogi_cnn_lstm, voting_soft, voting_hard, voting_bagging, voting_boosting, "
    "voting_cnn, voting_lstm, voting_cnn_lstm, voting_svm, voting_forest, segment_dnn, deep_belief_network, "
    "stacked_autoencoder, td_cnn_lstm, td_cnn_bilstm_attention, ahmadov_cnn_bilstm, ahmadov_forest; of our own: "
    "house, house_one, whisper_base_linear, whisper_tiny_linear, whisper_small_linear, whisper_medium_linear, "
    "whisper_large_linear, whisper_base_mlp, yamnet_linear, trillsson_linear; RECIPE+ABLATION for one of its ablations"
)
_PROTOCOLS = (
    "speaker, loso, speaker_80_20, emobox (unseen speakers), corpus, cross_corpus, "
    "cross_corpus_pairs, text, published (the recipe's own); speakers also in training: random, random_80_20, "
    "random_80_10_10, random_70_15_15, random_76_12_12, temporal_80_10_10; with leaks besides: random_80_20_peeking, "
    "random_80_20_copies, random_80_10_10_copies"
)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ser-kit",
        description="Speech emotion recognition: name the emotion of recordings, train and evaluate systems.",
        epilog="ser-kit COMMAND --help shows the options. Results go to standard output, all else to standard error.",
    )
    parser.add_argument("--version", action="version", version=f"ser-kit {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, handler: Callable, description: str, *examples: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=description.split(".")[0].lower(),
            description=textwrap.fill(description, 80),
            epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.add_argument("--json", action="store_true", help="write the result as JSON")
        sub.add_argument("--quiet", action="store_true", help="no progress and no notes, only results and errors")
        sub.set_defaults(handler=handler, when_interrupted="")
        return sub

    def root(sub: argparse.ArgumentParser) -> None:
        text = "the corpus's folder or one that contains it, or all of them (default: SER_KIT_DATA, then a download)"
        sub.add_argument("--root", metavar="FOLDER", help=text)

    def names(sub: argparse.ArgumentParser, name: str, help: str, nargs: str = "+", **settings: Any) -> None:
        sub.add_argument(name, nargs=nargs, type=_listed, action=_Names, help=help, **settings)

    def corpora(sub: argparse.ArgumentParser) -> None:
        names(sub, "--corpus", _CORPORA, required=True, metavar="CORPUS")
        root(sub)

    def labels(sub: argparse.ArgumentParser, default: str) -> None:
        text = f"four, six, seven, eight, or emotions such as happy,sad,angry (default: {default})"
        sub.add_argument("--labels", metavar="SET", help=text)

    def jobs(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--jobs", type=_jobs, metavar="N", help="processes for features (default: one per core)")

    def speaker(sub: argparse.ArgumentParser, enroll: str, same: str) -> Any:
        """Ways to say who speaks; the group of those that exclude each other."""
        group = sub.add_mutually_exclusive_group()
        group.add_argument("--enroll", nargs="+", metavar="RECORDING", help=enroll)
        group.add_argument("--same-speaker", action="store_true", help=same)
        sub.add_argument("--adaptation", metavar="FILE", help="what was learned of the speaker before")
        text = "write what is learned with --same-speaker there, for --adaptation"
        sub.add_argument("--save-adaptation", metavar="FILE", help=text)
        return group

    def over_time(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--window", type=_seconds, metavar="S", help="length of each window in seconds (default: 3)")
        sub.add_argument("--hop", type=_seconds, metavar="S", help="from one answer to the next (default: 1)")
        sub.add_argument("--smoothing", type=_seconds_or_none, metavar="S", help="of the answers; 0: none (default: 2)")

    def settings(sub: argparse.ArgumentParser) -> None:
        text = "change a setting of the recipe, such as training.epochs=50 or training.speaker_penalty=0.3"
        sub.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help=text)

    command("corpora", _corpora, "List the corpora, and where they are on this machine.", "ser-kit corpora")

    sub = command(
        "validate",
        _validate,
        "Check every recording of a corpus. Exit status 1 when anything is missing, broken or too many.",
        "ser-kit validate ravdess",
        "ser-kit validate cremad --root ~/corpora/cremad --json",
    )
    sub.add_argument("corpus", metavar="CORPUS", help=_CORPORA)
    root(sub)

    sub = command(
        "extract",
        _extract,
        "Compute features of corpora and save them. What was computed once is kept (see ser-kit cache), so after "
        "Ctrl-C the same command goes on from there. Exit status 1 when some clips failed; the others are saved.",
        "ser-kit extract ravdess cremad --out features.parquet",
        "ser-kit extract ravdess tess --labels six --features frames --out frames.npz",
        "ser-kit extract demo --features logmel --set seconds=3 --out logmel.npz",
    )
    names(sub, "corpus", _CORPORA, metavar="CORPUS")
    root(sub)
    sub.add_argument(
        "--features",
        default="functionals",
        help=f"{_FEATURES}; default: functionals",
    )
    sub.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the features")
    sub.add_argument(
        "--out",
        required=True,
        help="a .parquet, .csv or .xlsx table (functionals, frame_statistics), or .npz arrays (all)",
    )
    labels(sub, "all emotions there are")
    jobs(sub)
    sub.add_argument("--timeout", type=_seconds, default=300.0, metavar="SECONDS", help="for one clip (default: 300)")
    sub.add_argument("--no-cache", action="store_true", help="neither use nor keep what was computed once")
    sub.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler, such as tcp://host:8786, to work there")

    sub = command(
        "cache",
        _cache,
        "Show, check or clear the feature store. It keeps what extraction computed, by the content of each recording. "
        "Exit status 1 when a check finds damaged entries.",
        "ser-kit cache",
        "ser-kit cache check",
        "ser-kit cache clear --features frames",
    )
    sub.add_argument("action", nargs="?", choices=("show", "check", "clear"), default="show", help="default: show")
    sub.add_argument(
        "--features",
        metavar="NAME",
        help=f"clear those only: {_FEATURES}",
    )

    sub = command(
        "train",
        _train,
        "Train a recipe for use and save it as a bundle. Every clip is also predicted by a model that was trained "
        "without its speaker, to estimate how often the bundle is right. After Ctrl-C the same command goes "
        "on from there.",
        "ser-kit train rastogi_mlp --corpus ravdess --out my-bundle",
        "ser-kit train rastogi_mlp --corpus folder --root ~/recordings --labels happy,sad,angry --out mine",
    )
    sub.add_argument("recipe", metavar="RECIPE", help=_RECIPES)
    corpora(sub)
    labels(sub, "the recipe's")
    settings(sub)
    sub.add_argument("--out", required=True, metavar="BUNDLE", help="the bundle's folder")
    sub.add_argument("--seed", type=_seed, default=0, help="of folds, first weights and order (default: 0)")
    sub.add_argument("--protocol", default="speaker", help=f"one of: {_PROTOCOLS}; default: speaker")
    jobs(sub)

    sub = command(
        "evaluate",
        _evaluate,
        "Train and test recipes under protocols and compare them. After Ctrl-C the same command goes on from there.",
        "ser-kit evaluate rastogi_mlp ahmadov_cnn_bilstm --corpus ravdess --protocol speaker,random --out results",
        "ser-kit evaluate rastogi_mlp --corpus demo --seeds 3 --out results",
    )
    names(sub, "recipe", _RECIPES, metavar="RECIPE")
    corpora(sub)
    labels(sub, "each recipe's")
    settings(sub)
    sub.add_argument("--out", required=True, metavar="FOLDER", help="for the records of the evaluations")
    several = f"one or more with commas: {_PROTOCOLS}"
    sub.add_argument("--protocol", type=_listed, default="speaker", help=f"{several}; default: speaker")
    group = sub.add_mutually_exclusive_group()
    group.add_argument("--seed", type=_seed, default=0, help="of folds, first weights and order (default: 0)")
    group.add_argument("--seeds", type=_seeds, metavar="N", help="evaluate with the seeds 0 to N-1")
    jobs(sub)

    sub = command(
        "reproduce",
        _reproduce,
        "Run published systems as their authors split the clips, and on unseen speakers. Every fold leaves a "
        "record; what has one is not run again, so after Ctrl-C the same command goes on from there.",
        "ser-kit reproduce --all --corpus ravdess --out results",
        "ser-kit reproduce staged_cnn_lstm --ablations --corpus ravdess --seeds 1 --out results",
        "ser-kit reproduce --all --corpus ravdess --out results --report --figures results/figures",
    )
    names(sub, "recipe", _RECIPES, nargs="*", metavar="RECIPE")
    sub.add_argument("--all", action="store_true", help="every recipe")
    sub.add_argument("--ablations", action="store_true", help="their ablations too")
    corpora(sub)
    labels(sub, "each recipe's")
    text = f"{several}; default: published,speaker"
    sub.add_argument("--protocols", type=_listed, default="published,speaker", help=text)
    sub.add_argument("--seeds", type=_seeds, default=3, metavar="N", help="run the seeds 0 to N-1 (default: 3)")
    text = "run these folds only, counted from 1: two commands with one --out share the work (default: all)"
    sub.add_argument("--folds", nargs="+", type=_positive, metavar="N", help=text)
    sub.add_argument("--out", required=True, metavar="FOLDER", help="for the records")
    sub.add_argument("--report", action="store_true", help="run nothing, only show the records that are there")
    sub.add_argument("--page", metavar="FILE", help="a Markdown page to put the tables into, between its marks")
    sub.add_argument("--figures", metavar="FOLDER", help="for figures: systems, what is reported, leakage, ablations")
    jobs(sub)

    sub = command(
        "tune",
        _tune,
        "Search the settings of a recipe on training speakers: fitted, stopped and scored on three groups of them, "
        "none of them tested. After Ctrl-C the same command goes on from there.",
        "ser-kit tune rastogi_mlp --corpus ravdess --space 'training.learning_rate=[0.0003, 0.001, 0.003]' --out tuned",
    )
    sub.add_argument("recipe", metavar="RECIPE", help=_RECIPES)
    corpora(sub)
    labels(sub, "the recipe's")
    settings(sub)
    text = "values to try for a setting, a JSON list; give it once for each setting"
    sub.add_argument("--space", action="append", required=True, metavar="SETTING=LIST", help=text)
    sub.add_argument("--method", choices=("random", "grid"), default="random", help="default: random")
    sub.add_argument("--candidates", type=_positive, default=20, metavar="N", help="of a random search (default: 20)")
    text = "one, as for train, whose first fold's training part is searched on (default: speaker)"
    sub.add_argument("--protocol", default="speaker", help=text)
    sub.add_argument("--seed", type=_seed, default=0, help="of folds, draws and trainings (default: 0)")
    sub.add_argument("--out", required=True, metavar="FOLDER", help="for the results")
    jobs(sub)

    sub = command(
        "predict",
        _predict,
        "Name the emotion of recordings. Exit status 1 when some of them could not be used.",
        "ser-kit predict clip.wav",
        "ser-kit predict recordings/ 'more/**/*.mp3' --json",
        "ser-kit predict clip.wav --bundle my-bundle",
        "ser-kit predict clip.wav --labels six",
        "ser-kit predict clips-of-ann/ --enroll ann-neutral-1.wav ann-neutral-2.wav",
        "ser-kit predict clips-of-ann/ --bundle my-bundle --same-speaker --save-adaptation ann.json",
        "ser-kit predict new-clip-of-ann.wav --bundle my-bundle --adaptation ann.json",
    )
    sub.add_argument(
        "recording", nargs="+", metavar="RECORDING", help="file, folder (all sound files in it) or pattern"
    )
    sub.add_argument("--bundle", metavar="BUNDLE", help="a preset's name or a bundle's folder (default: house)")
    text = "neutral recordings of the one person who speaks in all others, to hear them against that"
    who = speaker(sub, text, "the same person speaks in all recordings: get used to the voice first, then answer")
    text = "one person speaks in the recordings of each folder: get used to each voice first, then answer"
    who.add_argument("--speaker-per-folder", action="store_true", help=text)
    labels(sub, "those of the bundle; the probabilities of emotions that are merged are added up")
    sub.add_argument("--timeline", action="store_true", help="also the emotion over time")
    over_time(sub)
    sub.add_argument("--csv", action="store_true", help="print comma-separated values")
    text = "write each answer there as soon as it is known; recordings that have an answer there are skipped"
    sub.add_argument("--out", metavar="FILE.csv|FILE.jsonl", help=text)
    sub.add_argument("--jobs", type=_jobs, metavar="N", help="recordings at a time (default: one more than cores)")

    sub = command(
        "listen",
        _listen,
        "Name the emotion of what the microphone hears, or of a stream of samples, second by second.",
        "ser-kit listen",
        "ser-kit listen --alert angry --above 0.7 --seconds 2",
        "arecord -f S16_LE -r 16000 -t raw | ser-kit listen --raw",
        "sox talk.mp3 -t raw -e signed -b 16 -c 1 -r 16000 - | ser-kit listen --raw --json",
    )
    sub.add_argument("--raw", action="store_true", help="read 16-bit little-endian samples from standard input")
    sub.add_argument("--rate", type=_positive, default=16000, metavar="HZ", help="of the samples (default: 16000)")
    sub.add_argument("--channels", type=_whole(1, 1024), default=1, metavar="N", help="of raw samples (default: 1)")
    sub.add_argument("--bundle", metavar="BUNDLE", help="a preset's name or a bundle's folder (default: house)")
    text = "one person speaks: get used to the voice on the way"
    speaker(sub, "neutral recordings of the one person who speaks", text)
    sub.set_defaults(speaker_per_folder=False)
    labels(sub, "those of the bundle")
    over_time(sub)
    names(sub, "--alert", "say when one of these lasts, and when it is over", metavar="EMOTION")
    sub.add_argument("--above", type=_share, default=0.7, metavar="P", help="probability of its begin (default: 0.7)")
    sub.add_argument("--below", type=_share, default=0.5, metavar="P", help="probability of its end (default: 0.5)")
    sub.add_argument("--seconds", type=_seconds, default=2.0, metavar="S", help="it must have lasted (default: 2)")

    sub = command(
        "export",
        _export,
        "Write a bundle as one file for other runtimes, and compare its answers with the bundle's. Exit status 2, and "
        "no file, when they are not the same.",
        "ser-kit export house --format onnx",
        "ser-kit export my-bundle --format litert --quantize int8 --corpus ravdess --out app/emotion.tflite",
        "ser-kit export my-bundle --prune 0.5 --corpus ravdess --compare cremad",
    )
    sub.add_argument("bundle", metavar="BUNDLE", help="a preset's name or a bundle's folder")
    text = "bundle: the bundle itself, with the model.onnx that answers without TensorFlow (default: onnx)"
    sub.add_argument("--format", choices=("saved_model", "litert", "onnx", "bundle"), default="onnx", help=text)
    text = "weights as float16 or (dynamic) 8-bit integers; int8: activations, too (default: none)"
    sub.add_argument("--quantize", choices=("none", "float16", "int8", "dynamic"), default="none", help=text)
    text = "default: the bundle's name, with the format's ending; with --format bundle the bundle itself"
    sub.add_argument("--out", metavar="FILE", help=text)
    text = "make so many of the networks' weights zero, the smallest, and train the others further on --corpus"
    sub.add_argument("--prune", type=_share, metavar="SHARE", help=text)
    sub.add_argument("--epochs", type=_positive, default=6, metavar="N", help="of that training (default: 6)")
    text = "what the bundle learned from, for --prune and to scale int8 by (default: demo)"
    names(sub, "--corpus", text, metavar="CORPUS")
    names(sub, "--compare", "to compare on (default: that of --corpus)", metavar="CORPUS")
    root(sub)
    sub.add_argument(
        "--clips",
        type=_positive,
        default=200,
        metavar="N",
        help="to compare on, drawn evenly over speakers and emotions (default: 200)",
    )
    jobs(sub)

    sub = command(
        "demo",
        _demo,
        "Run the notebooks 01 to 07 from top to bottom and sum up what they found.",
        "ser-kit demo",
        "ser-kit demo --corpus ravdess --out outputs/ravdess",
    )
    sub.add_argument("--notebooks", metavar="FOLDER", help="default: ./notebooks, else the installed ones")
    sub.add_argument("--out", default="outputs/demo", metavar="FOLDER", help="default: outputs/demo")
    names(sub, "--corpus", f"default: SER_KIT_CORPUS, else demo; {_CORPORA}", metavar="CORPUS")

    command("show-versions", _show_versions, "Show versions, for bug reports.", "ser-kit show-versions")
    return parser
