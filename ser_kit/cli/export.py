"""``ser-kit export``."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ExportError, RecipeError
from .app import add_runtime
from .arguments import Command, Parser, add_jobs, add_names, add_root, positive, share
from .clips import load_for
from .output import Result, note, print_table
from .training import checkpoints

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ..bundles.bundle import Bundle
    from ..deploy import Report


def _export(args: argparse.Namespace) -> Result:
    from .. import corpora, deploy
    from ..bundles.bundle import Bundle
    from ..bundles.presets import bundle_path
    from ..recipes import pruning

    if args.prune is not None and not args.corpus:
        raise RecipeError("pruned networks are fine-tuned: give the training corpora with --corpus")
    folder = bundle_path(args.bundle)
    if args.format == "bundle":
        return _renew(args, folder)
    if args.format == "web":
        return _site(args, folder)
    if args.runtime or args.cdn:
        raise ExportError("--runtime and --cdn need --format web")
    if args.out:
        deploy.check_target(args.out, args.format)
    bundle = Bundle.load(folder)
    args.out = Path(args.out or bundle.card["name"] + deploy.FORMATS[args.format])
    deploy.check_target(args.out, args.format)
    training = load_for(bundle, args.corpus, args.root)
    compared = load_for(bundle, args.compare, args.root) if args.compare else training
    compared = corpora.sample(compared, args.clips)
    chosen = bundle
    if args.prune is not None:
        states = checkpoints(args, args.out)
        chosen = pruning.prune(
            bundle, training, share=args.prune, epochs=args.epochs, out=states, jobs=args.jobs,
            progress=not args.quiet,
        )  # fmt: skip
    note(args, f"writing {args.out} and comparing it on {len(compared)} clips")
    settings = {"format": args.format, "quantize": args.quantize, "training": training}
    report = deploy.export(chosen, args.out, compared, **settings)
    data = dataclasses.asdict(report) | {"path": str(report.path), "bundle_size": deploy.size(folder)}
    if args.prune is not None:
        data |= {"pruned": args.prune, "unpruned_uar": deploy.uar(bundle, compared)}
        pruning.forget(states)
    return Result(data, functools.partial(_show, args, bundle, compared, report, data))


def _show(
    args: argparse.Namespace, bundle: Bundle, compared: pd.DataFrame, report: Report, data: dict[str, Any],
    console: Console,
) -> None:  # fmt: skip
    from .. import deploy

    times = [f"{report.milliseconds[threads]:.1f}" for threads in (1, 2)]
    agreement, difference = f"{100 * report.agreement:.1f}", f"{report.difference:.2g}"
    sizes = [f"{size / 1e6:.2f}" for size in (data["bundle_size"], report.size, report.compressed)]
    before = data.get("unpruned_uar", report.bundle_uar)
    cells = [("the bundle", sizes[0], "–", "–", "–", _percent(before), "–", "–")]
    if args.prune is not None:
        name = f"{100 * args.prune:g} % pruned"
        cells.append((name, "–", "–", "–", "–", _percent(report.bundle_uar), "–", "–"))
    cells.append((str(report.path), *sizes[1:], *times, _percent(report.uar), agreement, difference))
    columns = (
        "file", "MB", "packed", "ms, 1 thread", "ms, 2 threads", "UAR", "label agreement, %",
        "largest difference",
    )  # fmt: skip
    print_table(console, columns, cells, numbers=columns[1:], wrap=("file",))
    inputs = "samples" if deploy.metadata(bundle)["input"] == "samples" else "features"
    console.print(f"compared on {report.clips} clips; takes {inputs}, gives probabilities", soft_wrap=True)
    trained_on = {each["corpus"] for each in bundle.card.get("trained_on", [])}
    if not args.compare and trained_on & set(compared["corpus"]):
        text = "these clips were in training; UAR on other speakers is lower: --compare CORPUS"
        console.print(text, soft_wrap=True)


def _percent(uar: float | None) -> str:
    return "–" if uar is None else f"{100 * uar:.1f}"


def _renew(args: argparse.Namespace, folder: Path) -> Result:
    """Save the bundle with a new ``model.onnx``."""
    from .. import corpora, deploy
    from ..bundles.bundle import Bundle
    from ..bundles.files import check_target

    if args.prune is not None or args.quantize != "none":
        raise ExportError("--prune and --quantize cannot be used with --format bundle")
    out = Path(args.out or folder)
    check_target(out)
    bundle = Bundle.load(folder, networks=True)
    clips = corpora.sample(load_for(bundle, args.compare or args.corpus, args.root), args.clips)
    note(args, f"writing {out} and comparing its model.onnx with its networks on {len(clips)} clips")
    deploy.with_runtime(bundle, corpora.sources(clips)).save(out)
    runtime = Bundle.load(out, networks=True).card["runtime"]

    def show(console: Console) -> None:
        if "none_since" in runtime:
            console.print(f"{out} has no model.onnx: {runtime['none_since']}", soft_wrap=True)
        else:
            difference = f"largest difference of probabilities {runtime['difference']:.1g}"
            console.print(f"{out}: {difference} on {runtime['recordings']} recordings", soft_wrap=True)

    return Result({"bundle": str(out), **runtime}, show)


def _site(args: argparse.Namespace, folder: Path) -> Result:
    """Write a page that answers in the browser."""
    from ..app import site
    from ..core.formats import megabytes

    if args.prune is not None or args.quantize != "none":
        raise ExportError("--prune and --quantize cannot be used with --format web")
    out = Path(args.out or "site")
    note(args, f"writing {out}")
    site.write_site(folder, out, runtime=args.runtime, cdn=args.cdn)
    files = {
        str(file.relative_to(out)): file.stat().st_size for file in sorted(out.rglob("*")) if file.is_file()
    }

    def show(console: Console) -> None:
        print_table(
            console,
            ("file", "size"),
            [(name, megabytes(size, 2)) for name, size in files.items()],
            numbers=("size",),
        )
        console.print(f"to try it: python -m http.server --directory {out}", soft_wrap=True)

    return Result({"site": str(out), "files": files}, show)


def _arguments(parser: Parser) -> None:
    parser.add_argument("bundle", metavar="BUNDLE", help="name of a preset or folder of a bundle")
    formats = ("saved_model", "litert", "onnx", "bundle", "web")
    text = (
        "bundle: the bundle itself, with a model.onnx for prediction without TensorFlow; web: a page that "
        "answers in the browser (default: onnx)"
    )
    parser.add_argument("--format", choices=formats, default="onnx", help=text)
    kinds = ("none", "float16", "int8", "dynamic")
    text = "float16 or 8-bit integer (dynamic) weights; int8: integer activations as well (default: none)"
    parser.add_argument("--quantize", choices=kinds, default="none", help=text)
    text = (
        "default: name of the bundle with the suffix of the format; the bundle itself with --format bundle, "
        "site with --format web"
    )
    parser.add_argument("--out", metavar="FILE", help=text)
    text = "set this share of the weights, the smallest, to zero, and fine-tune the others"
    parser.add_argument("--prune", type=share, metavar="SHARE", help=text)
    text = "epochs of fine-tuning with --prune (default: 6)"
    parser.add_argument("--epochs", type=positive, default=6, metavar="N", help=text)
    text = "training corpora of the bundle, for --prune and to calibrate int8 (default: demo)"
    add_names(parser, "--corpus", text, metavar="CORPUS")
    add_names(parser, "--compare", "corpora for the comparison (default: --corpus)", metavar="CORPUS")
    add_root(parser)
    text = "number of clips for the comparison, balanced over speakers and emotions (default: 200)"
    parser.add_argument("--clips", type=positive, default=200, metavar="N", help=text)
    add_jobs(parser)
    add_runtime(parser)


EXPORT = Command(
    "export",
    _export,
    _arguments,
    "Export a bundle as one file for other runtimes, and compare it with the bundle. If they are not "
    "equivalent, no file is written and the exit status is 2.",
    [
        "ser-kit export from_scratch --format onnx",
        "ser-kit export my-bundle --format litert --quantize int8 --corpus ravdess --out app/emotion.tflite",
        "ser-kit export cross_corpus --format web --out site",
        "ser-kit export my-bundle --prune 0.5 --corpus ravdess --compare cremad",
    ],
)
