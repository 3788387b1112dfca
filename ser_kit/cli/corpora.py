"""``ser-kit corpora`` and ``ser-kit validate``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.labels import OWN
from .arguments import Command, Parser, add_map, add_root, corpora_help
from .output import Result, note, print_table

if TYPE_CHECKING:
    from rich.console import Console

_FINDINGS_SHOWN = 20


def _list(args: argparse.Namespace) -> Result:
    from .. import corpora

    found = []
    for corpus in map(corpora.get, corpora.names()):
        place = corpus.find_local()
        # Of the published corpus, as the clips: the local copy may be incomplete.
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

    def show(console: Console) -> None:
        columns = ("name", "language", "clips", "speakers", "emotions", "where", "licence")
        rows = [{**corpus, "emotions": len(corpus["emotions"]), "where": _where(corpus)} for corpus in found]
        cells = [[row[column] or "" for column in columns] for row in rows]
        numbers = ("clips", "speakers", "emotions")
        print_table(console, columns, cells, numbers=numbers, wrap=("where", "licence"))

    return Result(found, show)


def _where(corpus: dict) -> str:
    if corpus["path"]:
        return corpus["path"]
    if corpus["name"] == "demo":
        return "synthesised on first use"
    return "downloaded on first use" if corpus["on_first_use"] else "not found: give its folder with --root"


def _validate(args: argparse.Namespace) -> Result:
    from .. import corpora

    progress = not args.quiet
    if args.write_map:
        written = corpora.write_map(args.corpus, args.write_map, args.root)
        note(args, f"labels written to {written}: check each line, then give it to --map")
    settings = {"checksums": args.checksums, "labels": args.labels, "map": args.map}
    found = corpora.validate(args.corpus, args.root, **settings, progress=progress)
    if args.write_checksums:
        corpora.write_checksums(args.corpus, args.write_checksums, args.root, progress=progress)
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
        counts, more = found.counts(), len(found.findings) - _FINDINGS_SHOWN
        print_table(console, counts.columns, counts.to_numpy(), numbers=("found", "expected"))
        if found.findings:
            shown = found.table()[:_FINDINGS_SHOWN][["kind", "clip_id", "detail"]]
            print_table(console, ("finding", "clip", "detail"), shown.to_numpy(), wrap=("detail",))
        if more > 0:
            console.print(f"... and {more} more findings; --json lists them all")
        console.print(found.summary(), soft_wrap=True)

    return Result(data, show, 0 if found.ok else 1)


def _validate_arguments(parser: Parser) -> None:
    parser.add_argument("corpus", metavar="CORPUS", help=corpora_help())
    add_root(parser)
    parser.add_argument("--labels", choices=[OWN], help="take labels as they are")
    add_map(parser)
    text = "write the labels to a new file for --map, with emotions that they may mean, to be checked"
    parser.add_argument("--write-map", type=Path, metavar="FILE", help=text)
    text = "checksum file to compare the recordings with"
    parser.add_argument("--checksums", type=Path, metavar="FILE", help=text)
    text = "write path, size and SHA-256 of each recording to this file"
    parser.add_argument("--write-checksums", type=Path, metavar="FILE", help=text)


CORPORA = Command(
    "corpora",
    _list,
    lambda parser: None,
    "List the corpora and their folders on this machine.",
    ["ser-kit corpora"],
)
VALIDATE = Command(
    "validate",
    _validate,
    _validate_arguments,
    "Check every recording of a corpus. Exit status 1 if recordings are missing, broken or unexpected.",
    [
        "ser-kit validate ravdess",
        "ser-kit validate cremad --root ~/corpora/cremad --json",
        "ser-kit validate calls:recordings --write-checksums calls.csv",
        "ser-kit validate calls:list.csv --write-map map.csv",
    ],
)
