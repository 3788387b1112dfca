"""``python -m benchmarks.deployment``: what exporting, quantising and pruning a system costs and saves.

``unseen``: the networks of each fold of a protocol, on test speakers that they never heard; ``int8`` is scaled, and
pruned networks are trained further, on the fold's training clips alone. ``shipped``: a bundle's files, on clips that it
learned from, as ``ser-kit export`` compares them. Each leaves records in ``--out``, which are not made again, and puts
its table into Markdown pages, between the marks ``<!-- NAME: made by python -m benchmarks.deployment -->`` and
``<!-- end of NAME -->``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, deploy, recipes
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.presets import bundle_path
from ser_kit.core.errors import ExportError, SerKitError
from ser_kit.core.paths import write_whole
from ser_kit.evaluation import percent
from ser_kit.recipes import pruning, reproduce

COMMAND = "python -m benchmarks.deployment"
FILES = [("saved_model", "none"), *((name, how) for name in ("litert", "onnx") for how in deploy.QUANTIZATIONS)]
NAMES = {"saved_model": "SavedModel", "litert": "LiteRT", "onnx": "ONNX"}
RATE = 16_000
_SHARES = (0.01, 0.3, 0.5, 0.7, 0.9)  # the first is a control: further training, and nearly nothing taken away
_BOTH = 0.5  # the share that is pruned and quantised
SECONDS = 3.0  # of sound, whose answers are timed


def shipped(name: str, names: Sequence[str], clips: int, out: Path) -> pd.DataFrame:
    """A bundle's files, beside it on clips of corpora.

    Args:
        name: of a preset, or a bundle's folder.
        names: corpora that it learned from.
        clips: so many are compared.
        out: folder for the files and their records.
    """
    bundle, rows = Bundle.load(bundle_path(name)), []
    table = corpora.load(list(names), labels=bundle.labels)
    table = corpora.sample(table, clips)
    for format, quantize in tqdm(FILES, desc=name, unit="file"):
        record = out / f"{quantize}-{format}.json"
        if not record.exists():
            file = out / f"{quantize}{deploy.FORMATS[format]}"
            report = asdict(deploy.export(bundle, file, table, format=format, quantize=quantize))
            write_whole(record, json.dumps(report | {"path": file.name}).encode())
        rows.append(json.loads(record.read_text()))
    found = pd.DataFrame(rows)
    times = _times({row["path"]: out / row["path"] for row in rows})
    return pd.DataFrame({
        "file": [_named(row.format, row.quantize) for row in found.itertuples()],
        "MB": (found["size"] / 1e6).map("{:.2f}".format),
        "packed": (found["compressed"] / 1e6).map("{:.2f}".format),
        **{_threads(n): [f"{times[path, n]:.1f} ms" for path in found["path"]] for n in (1, 2)},
        "largest difference": found["difference"].map("{:.1g}".format),
        "named alike": [f"{100 * row.agreement:.1f} % of {row.clips}" for row in found.itertuples()],
    })  # fmt: skip


def unseen(
    system: recipes.System,
    names: Sequence[str],
    tested: str,
    protocol: str,
    out: Path,
    folds: Sequence[int] | None = None,
    shares: Sequence[float] = _SHARES,
    seed: int = 0,
) -> pd.DataFrame:
    """A row for each file of each fold.

    Args:
        system: what is trained, where its checkpoints are not there yet.
        names: corpora to learn from.
        tested: the one of these that is tested.
        protocol: whose folds; its speakers must be unseen.
        out: folder of the checkpoints, and for files and records.
        folds: these only, counted from 1.
        shares: of the weights, to be pruned.
        seed: of folds and trainings.
    """
    table = corpora.load(list(names), labels=system.labels)
    material = system.prepare(table)
    kinds = [(0.0, format, quantize) for format, quantize in FILES[1:]]  # a SavedModel is the bundle itself
    for share in shares:
        kinds += [(share, "litert", quantize) for quantize in ("none", "int8") if quantize == "none" or share == _BOTH]
    rows = []
    for fold in system.folds(material, protocol, seed):
        place = out / "-".join(map(str, (system.name, *names, protocol, seed, fold.index)))
        records = {kind: place / f"{kind[0]:g}-{kind[2]}-{kind[1]}.json" for kind in kinds}
        if folds is not None and fold.index + 1 not in folds:
            continue
        missing = {kind: path for kind, path in records.items() if not path.exists()}
        if missing:
            _fold(system, material, fold, tested, missing)
        rows += [json.loads(path.read_text()) | {"fold": fold.index} for path in records.values()]
    return pd.DataFrame(rows)


def _fold(
    system: recipes.System, material: recipes.PreparedData, fold, tested: str, records: dict[tuple, Path]
) -> None:
    """Make the records of a fold, a file each."""
    place = next(iter(records.values())).parent
    place.mkdir(parents=True, exist_ok=True)
    bundle, _ = system.fit_fold(material, fold, out=place.parent, title=f"{system.name} {fold.name}")
    bundle = bundle.joined()
    clips = material.table.iloc[fold.test].query("corpus == @tested").reset_index(drop=True)
    rest = np.setdiff1d(np.arange(len(material.table)), fold.test)  # what it learned from
    training = material.table.iloc[rest].reset_index(drop=True)
    some = corpora.sample(training, 200)
    made = {0.0: bundle}
    for (share, format, quantize), record in tqdm(records.items(), desc=f"fold {fold.index + 1}", unit="file"):
        if share not in made:
            made[share] = pruning.prune(bundle, training, share=share, system=system, out=place)
        file = record.with_name(f"{share:g}-{quantize}{deploy.FORMATS[format]}")
        row = {"share": share, "format": format, "quantize": quantize}
        try:
            deploy.export(made[share], file, some, format=format, quantize=quantize)
            row |= asdict(deploy.compare(made[share], file, clips)) | {"path": f"{place.name}/{file.name}"}
        except ExportError as error:
            row["error"] = str(error)
        write_whole(record, json.dumps(row).encode())


def shown(found: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Text: a row for each kind of file, with means over the folds.

    Args:
        found: from :func:`unseen`.
        folder: that the files are in.
    """
    rows, first = [], found[found["fold"] == found["fold"].min()]
    times = _times({path: folder / path for path in first["path"].dropna()})
    plain = found[(found["share"] == 0) & (found["quantize"] == "none")].groupby("fold")["bundle_uar"].first()
    for (share, format, quantize), part in found.groupby(["share", "format", "quantize"], sort=False):
        part = part.set_index("fold")
        file = _named(format, quantize) + (f", pruned {100 * share:g} %" if share else "")
        good = part.dropna(subset=["uar"])
        if not len(good):
            rows.append({"file": file, "UAR": "not equivalent"})
            continue
        path = good["path"].iloc[0]
        rows.append({
            "file": file,
            "UAR": f"{percent(good['uar'].mean())} ± {percent(good['uar'].std())}",
            "beside the bundle": f"{100 * (good['uar'] - plain).mean():+.1f}",
            "named alike": f"{percent(good['agreement'].mean())} %",
            "largest difference": f"{good['difference'].max():.1g}",
            "calibration error": percent(good["calibration_error"].mean()),
            "MB": f"{good['size'].mean() / 1e6:.2f}",
            "packed": f"{good['compressed'].mean() / 1e6:.2f}",
            **{_threads(n): f"{times[path, n]:.1f} ms" for n in (1, 2)},
            "folds": f"{len(good)} of {len(part)}",
        })  # fmt: skip
    return pd.DataFrame(rows).fillna("–")


def _named(format: str, quantize: str) -> str:
    return f"{NAMES[format]}, {'float32' if quantize == 'none' else quantize}"


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"


def _times(files: dict[str, Path], rounds: int = 30) -> dict[tuple[str, int], float]:
    """(name, threads) -> milliseconds of an answer for three seconds of sound, the least of 30; files take turns."""
    sound = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * RATE)).astype(np.float32)
    runs = {(name, n): deploy.runner(path, threads=n) for name, path in files.items() for n in (1, 2)}
    took: dict[tuple[str, int], list[float]] = {key: [] for key in runs}
    for _ in tqdm(range(rounds), desc="timing", unit="round", leave=False):
        for key, run in runs.items():
            run(sound)
            began = time.perf_counter()
            run(sound)
            took[key].append(1000 * (time.perf_counter() - began))
    return {key: min(each) for key, each in took.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a corpus cannot be had or a page has no place for the table."""
    options = _options(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    try:
        if options.table == "shipped":
            made = shipped(options.system, options.corpus, options.clips, options.out)
        else:
            settings = (options.corpus, options.corpus[0], options.protocol, options.out, options.folds)
            found = unseen(recipes.get(options.system), *settings, shares=options.shares, seed=options.seed)
            made = shown(found, options.out)
        for page in options.pages:
            reproduce.fill(page, {options.table: lambda: made}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(made.to_string(index=False))
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("table", choices=("shipped", "unseen"))
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown pages with a place for the table")
    parser.add_argument(
        "--system", default="from_scratch", help="a bundle or preset; or a recipe (default: %(default)s)"
    )
    text = "that it learned from; of unseen speakers those of the first are tested (default: ravdess)"
    parser.add_argument("--corpus", nargs="+", default=["ravdess"], metavar="NAME", help=text)
    parser.add_argument("--clips", type=int, default=200, help="to compare a bundle's files on (default: %(default)s)")
    parser.add_argument("--protocol", default="emobox", help="(default: %(default)s)")
    parser.add_argument("--folds", nargs="+", type=int, metavar="N", help="run these folds only (default: all)")
    text = "of the weights to prune (default: %(default)s)"
    parser.add_argument("--shares", nargs="*", type=float, default=_SHARES, metavar="SHARE", help=text)
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/deployment"), help="for files and records (%(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
