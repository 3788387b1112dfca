"""What the commands that train have in common."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError
from .clips import failed
from .output import note

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.record import Evaluation
    from ..recipes import Material, System


def checkpoints(args: argparse.Namespace) -> Path:
    """The folder beside ``--out`` that holds what an interrupted command needs to resume."""
    from ..core.paths import writable

    out = Path(os.path.abspath(args.out))
    writable(out.parent)
    args.when_interrupted = f"; the same command goes on from there (what was done so far is in {out.name}.run)"
    return out.with_name(f"{out.name}.run")


def note_failures(args: argparse.Namespace, table: pd.DataFrame, found: Material) -> list[dict[str, str]]:
    """The clips that could not be used; a note names the first."""
    unusable = failed(table, found.failures)
    if unusable:
        clip, reason = unusable[0]["clip_id"], unusable[0]["reason"]
        note(args, f"note: {len(unusable)} clips cannot be used; the first: {clip}: {reason}")
    return unusable


def changed(args: argparse.Namespace, system: System) -> System:
    """The system with the changes of ``--set``."""
    changes = {}
    for given in args.set:
        name, equals, text = given.partition("=")
        if not equals:
            raise RecipeError(f"--set {given!r}: expected SETTING=VALUE, such as training.epochs=50")
        try:
            changes[name] = json.loads(text)
        except json.JSONDecodeError:
            changes[name] = text
    found = system.changed(changes)
    found.check(found.temperature)
    return found


def protocol_name(name: str) -> str:
    """The name of a protocol, looked up before any work is done."""
    from .. import protocols, recipes

    return name if name == recipes.PUBLISHED else protocols.get(name).name


def record(evaluation: Evaluation) -> dict[str, Any]:
    """The scores of an evaluation for JSON: fractions, and ``None`` for what one fold cannot show."""
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
        "confusion": {
            "labels": list(evaluation.labels),
            "counts": evaluation.confusion().to_numpy().tolist(),
        },
    }
