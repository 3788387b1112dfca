"""Common parts of the commands that train.

Each of them makes an :class:`~ser_kit.recipes.Experiment` from its arguments and runs it, as ``ser-kit run``
does.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import RecipeError
from .clips import failed
from .output import note

if TYPE_CHECKING:
    import pandas as pd

    from ..evaluation.record import Evaluation
    from ..recipes import Experiment, PreparedData


def experiment_of(args: argparse.Namespace, **settings: Any) -> Experiment:
    """The experiment of a command.

    Args:
        args: arguments with ``corpus``, ``root`` and ``labels``, and ``set`` if the command has it.
        settings: further fields of the experiment.
    """
    from ..recipes import Experiment
    from ..recipes.experiment import value_of

    changes = {}
    for given in getattr(args, "set", ()):
        name, equals, text = given.partition("=")
        if not equals:
            raise RecipeError(f"--set {given!r}: expected SETTING=VALUE, such as training.epochs=50")
        changes[name] = value_of(text)
    about = {
        "corpora": args.corpus,
        "root": args.root or "",
        "labels": args.labels or "",
        "map": args.map or "",
    }
    return Experiment(**about, changes=changes, **settings)


def checkpoints(args: argparse.Namespace, out: str | os.PathLike) -> Path:
    """The folder next to ``out`` with the state that an interrupted command needs to resume."""
    from ..core.paths import writable

    out = Path(os.path.abspath(out))
    writable(out.parent)
    args.when_interrupted = f"; run the same command to resume from {out.name}.run"
    return out.with_name(f"{out.name}.run")


def note_failures(args: argparse.Namespace, table: pd.DataFrame, found: PreparedData) -> list[dict[str, str]]:
    """The clips that cannot be used; a note names the first."""
    unusable = failed(table, found.failures)
    if unusable:
        clip, reason = unusable[0]["clip_id"], unusable[0]["reason"]
        note(args, f"note: {len(unusable)} clips cannot be used; first: {clip}: {reason}")
    return unusable


def record(evaluation: Evaluation) -> dict[str, Any]:
    """Scores of an evaluation for JSON: fractions, and ``None`` for unknown values."""
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
