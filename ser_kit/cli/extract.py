"""``ser-kit extract``."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import FeatureError, MissingDependencyError, TargetError
from .arguments import (
    Command,
    Parser,
    add_jobs,
    add_labels,
    add_map,
    add_names,
    add_root,
    corpora_help,
    features_help,
    seconds,
)
from .clips import failed, load
from .output import Result, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from ..features import Extractor

SCHEDULER_SECONDS = 10
"""Timeout for the connection to a Dask scheduler (s)."""

_TABLE_SUFFIXES = (".parquet", ".csv", ".xlsx")


def _extract(args: argparse.Namespace) -> Result:
    from .. import extraction

    extractor = _extractor(args)
    out = _target(args, extractor)
    settings = {
        "jobs": args.jobs, "cache": not args.no_cache, "timeout": args.timeout, "progress": not args.quiet,
    }  # fmt: skip
    with cluster(args.dask) as backend:
        table = load(args.corpus, args.root, args.labels, args.map)
        if out.suffix.lower() in (".parquet", ".csv"):
            done = extraction.extract_to(out, table, extractor, backend=backend, **settings)
            clips, failures = done.clips, done.failures
        else:
            found = extraction.extract(table, extractor, backend=backend, **settings)
            found.save(out)
            clips, failures = len(found), found.failures
    unusable = failed(table, failures)
    known = {clip["clip_id"] for clip in unusable}
    data = {
        "out": str(out),
        "features": args.features,
        "clips": clips,
        "shape": [clips, *extractor.shape],
        "names": list(extractor.feature_names),
        "failures": unusable,
        "excluded": [clip for clip in table.attrs["excluded"] if clip["clip_id"] not in known],
    }

    def show(console: Console) -> None:
        if unusable:
            rows = [(clip["clip_id"], clip["reason"]) for clip in unusable]
            print_table(console, ("clip", "error"), rows, wrap=("error",))
        shape = (clips, *extractor.shape)
        console.print(f"{args.features} of {clips} clips saved to {out}, shape {shape}", soft_wrap=True)

    return Result(data, show, 1 if unusable else 0)


def _extractor(args: argparse.Namespace) -> Extractor:
    """The extractor with the parameters from ``--set``."""
    from .. import features

    cls = features.get(args.features)
    known = cls().parameters
    given = {}
    for setting in args.set:
        name, _, value = setting.partition("=")
        if name not in known:
            raise FeatureError(f"{cls.name!r} features have no parameter {name!r}, only {', '.join(known)}")
        try:
            given[name] = json.loads(value)
        except ValueError:
            example = f"{name}={json.dumps(known[name])}"
            raise FeatureError(f"--set {setting}: {value!r} is not a value; example: {example}") from None
    return cls(**given)


def _target(args: argparse.Namespace, extractor: Extractor) -> Path:
    """The path of ``--out``, after a check that it can be written."""
    from ..core.paths import writable

    out = Path(args.out)
    suffixes = (*_TABLE_SUFFIXES, ".npz") if len(extractor.shape) == 1 else (".npz",)
    if out.suffix.lower() not in suffixes:
        raise FeatureError(
            f"{args.features!r} features have shape {extractor.shape} per clip and are saved as "
            f"{', '.join(suffixes)}, not as {out.name!r}"
        )
    if out.suffix.lower() == ".xlsx" and not importlib.util.find_spec("openpyxl"):
        raise MissingDependencyError("openpyxl", "xlsx", "saving features as XLSX")
    writable(out.parent)
    if out.is_dir():
        raise TargetError(f"{out} is a folder; expected a file name")
    return out


@contextlib.contextmanager
def cluster(scheduler: str | None) -> Iterator[str]:
    """The backend for extraction, ``"local"`` or ``"dask"``.

    Args:
        scheduler: address of a Dask scheduler; ``None`` for this machine.

    Raises:
        FeatureError: the scheduler does not respond.
    """
    if scheduler is None:
        yield "local"
        return
    try:
        import distributed
    except ImportError:
        raise MissingDependencyError("dask.distributed", "dask", "--dask") from None
    try:
        client = distributed.Client(scheduler, timeout=SCHEDULER_SECONDS)
    except (OSError, ValueError) as error:
        raise FeatureError(f"--dask {scheduler}: the scheduler does not respond ({error})") from None
    with client:
        yield "dask"


def _arguments(parser: Parser) -> None:
    add_names(parser, "corpus", corpora_help(), metavar="CORPUS")
    add_root(parser)
    text = f"{features_help()}; default: functionals"
    parser.add_argument("--features", default="functionals", help=text)
    text = "set a parameter of the features"
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help=text)
    text = "a .parquet, .csv or .xlsx table for features of one row per clip, or .npz arrays"
    parser.add_argument("--out", required=True, help=text)
    add_labels(parser, "all emotions")
    add_map(parser)
    add_jobs(parser)
    text = "timeout for one clip (default: 300)"
    parser.add_argument("--timeout", type=seconds, default=300.0, metavar="SECONDS", help=text)
    parser.add_argument("--no-cache", action="store_true", help="do not use the feature store")
    text = "address of a Dask scheduler to use, such as tcp://host:8786"
    parser.add_argument("--dask", metavar="ADDRESS", help=text)


EXTRACT = Command(
    "extract",
    _extract,
    _arguments,
    "Extract features of corpora and save them. Results are cached (see ser-kit cache), so after Ctrl-C the "
    "same command resumes. Exit status 1 if some clips failed; the others are saved.",
    [
        "ser-kit extract ravdess cremad --out features.parquet",
        "ser-kit extract ravdess tess --labels six --features frames --out frames.npz",
        "ser-kit extract demo --features logmel --set seconds=3 --out logmel.npz",
    ],
)
