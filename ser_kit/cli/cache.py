"""``ser-kit cache``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..core.errors import FeatureError
from ..core.formats import megabytes
from .arguments import Command, Parser, features_help
from .output import Result, print_table

if TYPE_CHECKING:
    from rich.console import Console

    from ..extraction import Store


def _cache(args: argparse.Namespace) -> Result:
    from .. import extraction, features

    if args.features is not None and args.action != "clear":
        raise FeatureError("--features needs 'ser-kit cache clear'")
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
            rows = [(h["extractor"], f"{h['clips']:,}", megabytes(h["bytes"])) for h in data["holdings"]]
            print_table(console, columns, rows, numbers=columns[1:], wrap=columns[:1])
        if args.action == "check":
            console.print(f"{data['checked']:,} entries checked, {data['damaged']:,} damaged entries removed")
        elif args.action == "clear":
            console.print(f"{data['removed']:,} entries removed")
        console.print(f"{megabytes(data['bytes'])} in {data['path']}", soft_wrap=True)

    return Result(data, show, 1 if data.get("damaged") else 0)


def _check(store: Store, args: argparse.Namespace) -> tuple[int, int]:
    from tqdm.auto import tqdm

    total = sum(holding.clips for holding in store.holdings())
    with tqdm(total=total, desc="check", unit=" entries", leave=False, disable=args.quiet) as bar:
        return store.check(lambda checked: bar.update(checked - bar.n))


def _arguments(parser: Parser) -> None:
    actions = ("show", "check", "clear")
    parser.add_argument("action", nargs="?", choices=actions, default="show", help="default: show")
    parser.add_argument("--features", metavar="NAME", help=f"clear only these features: {features_help()}")


CACHE = Command(
    "cache",
    _cache,
    _arguments,
    "Show, check or clear the feature store, which caches extracted features by the content of each "
    "recording. Exit status 1 if a check finds damaged entries.",
    ["ser-kit cache", "ser-kit cache check", "ser-kit cache clear --features frames"],
)
