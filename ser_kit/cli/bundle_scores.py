"""``ser-kit evaluate BUNDLE``: trained bundles tested on corpora, without training."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError
from ..core.labels import OWN, labels_of
from ..core.parallel import ONE_EACH, at_once
from .clips import has_own_labels, load
from .output import Result, followed, note, print_table
from .scores import print_confusion
from .training import record

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import Console

    from ..inference.scoring import Score


def bundles_among(names: Sequence[str]) -> list[str]:
    """The names that are no recipes but folders, paths or presets: all of them or none.

    Raises:
        RecipeError: if there are both bundles and recipes.
    """
    from .. import recipes
    from ..bundles.presets import preset_names

    own = {*recipes.RECIPES, *recipes.OWN}
    others = [name for name in names if name.partition("+")[0] not in own]
    presets = preset_names()
    found = [name for name in others if name in presets or os.path.isdir(name) or os.path.dirname(name)]
    if found and len(found) < len(names):
        recipe = next(name for name in names if name not in found)
        raise RecipeError(f"{recipe} is no bundle, and {found[0]} is one; give them to two commands")
    return found


def score_bundles(args: argparse.Namespace, names: Sequence[str]) -> Result:
    """Test bundles on the corpora of the command.

    Args:
        args: arguments of the command.
        names: names of presets or folders of bundles.
    """
    if args.set or args.seed or args.seeds or args.protocol != ["speaker"]:
        raise RecipeError(
            "a bundle is tested as it was trained; leave out --protocol, --seed, --seeds, --set"
        )
    jobs = args.jobs or at_once()
    if jobs > 1:
        os.environ.update(ONE_EACH | os.environ)

    from ..core.paths import writable
    from ..inference.predictor import Predictor
    from ..inference.scoring import score

    out = writable(args.out) if args.out else None
    predictors = {name: Predictor.open(name) for name in names}
    tables: dict[str | None, pd.DataFrame] = {}
    scores, records = {}, []
    for name, predictor in predictors.items():
        own = OWN if args.labels == OWN or has_own_labels(predictor.labels) else None
        if own not in tables:
            tables[own] = load(args.corpus, args.root, own, args.map)
        found = score(
            predictor, tables[own], labels_of(args.labels), jobs=jobs, command=args.written,
            follow=lambda answers, total: followed(answers, total, "evaluate", args.quiet),
        )  # fmt: skip
        if found.failures:
            first = found.failures[0]
            note(
                args, f"note: {len(found.failures)} clips cannot be used; first: {first.path}: {first.error}"
            )
        evaluation = found.evaluation
        folder = out and evaluation.save(out / f"{evaluation.recipe}-bundle-{evaluation.digest}")
        scores[name] = found
        records.append({"bundle": str(name), **_record(found), "folder": str(folder) if folder else None})
    return Result({"evaluations": records}, lambda console: _show(console, scores, out))


def _record(found: Score) -> dict[str, Any]:
    """A score for JSON."""
    return {
        **record(found.evaluation),
        "merged": {label: list(labels) for label, labels in found.merged.items()},
        "not_in_bundle": dict(found.not_in_bundle),
        "not_in_corpora": list(found.not_in_corpora),
        "trained_on": list(found.trained_on),
        "uncertain": found.uncertain,
        "failures": [{"path": failure.path, "error": failure.error} for failure in found.failures],
    }


def _show(console: Console, scores: Mapping[str, Score], out: Path | None) -> None:
    from ..evaluation.record import compare

    table = compare(found.evaluation for found in scores.values())
    table = table.drop(columns=["recipe", "protocol", "UAR of folds"])
    table.insert(0, "bundle", list(scores))
    print_table(console, table.columns, table.to_numpy(), numbers=("clips",), wrap=table.columns[4:])
    console.print(
        "in percent [95 % interval over speakers]; speakers: whether they are in the training data\n"
    )
    for name, found in scores.items():
        for line in _remarks(found):
            console.print(f"{name}: {line}", soft_wrap=True)
        print_confusion(console, found.evaluation, f"\n{name}: clips")
    if out:
        text = (
            "one folder each, with evaluation.json (scores, settings, command, versions) and all predictions"
        )
        console.print(f"saved in {out}: {text}", soft_wrap=True)


def _remarks(found: Score) -> list[str]:
    """What was left out and merged, and whether the speakers are known to the bundle."""
    lines = [f"{len(found.evaluation.labels)} labels in common: {', '.join(found.evaluation.labels)}"]
    if found.not_in_bundle:
        clips = ", ".join(f"{emotion} ({count})" for emotion, count in found.not_in_bundle.items())
        lines.append(f"clips left out, since their emotion is not among these labels: {clips}")
    for label, labels in found.merged.items():
        if labels != (label,):
            lines.append(f"predictions of {' and '.join(labels)} count as {label}")
    if found.not_in_corpora:
        lines.append(f"labels of the bundle that no clip has, left out: {', '.join(found.not_in_corpora)}")
    if found.trained_on:
        named = ", ".join(found.trained_on)
        lines.append(
            f"trained on {named}: speakers, and perhaps clips, are known; not a test on unseen speakers"
        )
    else:
        lines.append("neither the corpora nor their speakers are in the training data")
    lines.append(f"{found.uncertain} of {len(found.evaluation.predictions)} predictions are uncertain")
    return lines
