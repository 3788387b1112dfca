"""Grid and random search over the settings of a recipe, on speakers of the training part only.

The rows that a fold trains and validates on are divided once more, into three parts without a speaker in common: fitted
on the first, stopped by the second, scored on the third. The fold's test speakers are never touched, and the audit
checks that.

Examples:
    >>> from ser_kit import corpora, recipes, tuning
    >>> space = {"training.learning_rate": [1e-4, 1e-3], "hyperparameters.dropout": [(0.2, 0.2, 0), (0.4, 0.3, 0)]}
    >>> found = tuning.search(recipes.get("rastogi_mlp"), corpora.load("demo"), space)  # doctest: +SKIP
    >>> found.best.run(corpora.load("demo"))  # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from . import protocols
from .errors import RecipeError
from .evaluation import plain
from .features import Features
from .folders import write_whole
from .recipes import System

METHODS = ("grid", "random")


@dataclass(frozen=True, eq=False)
class Search:
    """What a search found.

    Args:
        best: the system with the best settings.
        results: a row for each candidate, the best first: its settings, ``uar`` and ``accuracy`` on the scored
            speakers, ``seconds``.
        scored: speakers that the candidates were scored on.
    """

    best: System
    results: pd.DataFrame
    scored: tuple[str, ...]


def search(
    system: System,
    data: pd.DataFrame | Features,
    space: Mapping[str, Sequence[Any]],
    *,
    method: str = "random",
    candidates: int = 20,
    protocol: str = "speaker",
    fold: int = 0,
    seed: int = 0,
    out: str | os.PathLike | None = None,
    jobs: int | None = None,
    progress: bool = True,
) -> Search:
    """Find the settings that do best on training speakers.

    Args:
        system: a recipe or an ensemble.
        data: a clip table or its features.
        space: a setting, as :meth:`~ser_kit.recipes.System.changed` names it -> values to try.
        method: ``"grid"`` tries every combination; ``"random"`` draws ``candidates`` of them without repetition.
        candidates: how many a random search tries.
        protocol: whose training part is searched on.
        fold: which of the protocol's folds.
        seed: of the folds, the draw and the trainings.
        out: folder for the results so far; a search that was interrupted goes on from there.
        jobs: processes for extraction.
        progress: show progress bars.

    Raises:
        RecipeError: an unknown method, an empty space, or a setting that the system does not have.
        LeakageError: a candidate was fitted on what the fold tests.
        TableError: the training part has too few speakers to be divided in three.

    Source:
        J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012.
    """
    from sklearn.model_selection import ParameterGrid, ParameterSampler
    from tqdm.auto import tqdm

    if method not in METHODS or not space:
        raise RecipeError(f"method={method!r} must be one of {', '.join(METHODS)}, with a setting at least to vary")
    grid = ParameterGrid({name: list(values) for name, values in space.items()})
    tried = list(grid)
    if method == "random":
        tried = list(ParameterSampler(grid.param_grid[0], min(candidates, len(grid)), random_state=seed))
    changed = [system.changed(settings) for settings in tried]  # before any work: a misspelt setting fails here

    material = system.prepare(data, jobs=jobs, progress=progress)
    outer = system.folds(material, protocol, seed)[fold]
    rest, scored = protocols.inner(material.table, [*outer.train, *outer.validation], seed)
    train, stop = protocols.inner(material.table, rest, seed)
    protocols.audit(material.table, outer, fitted={"tuner": [*train, *stop, *scored]})
    promise = ("speaker",) if outer.speaker_independent else ()
    inner = protocols.Fold(f"{protocol}, inner", outer.index, seed, train, stop, scored, promise)
    protocols.audit(material.table, inner)

    record = None if out is None else Path(out) / "candidates.json"
    known = json.loads(record.read_text()) if record is not None and record.exists() else {}
    bar = tqdm(list(zip(tried, changed, strict=True)), desc="tune", unit="candidate", disable=not progress)
    for settings, candidate in bar:
        key = json.dumps(plain(settings), sort_keys=True)
        if key not in known:
            # Settings of the extractor or the copies want features of their own.
            own = material if candidate.same_material(system) else candidate.prepare(data, jobs=jobs, progress=False)
            checkpoints = None if out is None else Path(out) / "checkpoints" / f"{len(known):03d}"
            found = candidate.run_fold(own, inner, out=checkpoints, progress=progress)
            metrics = found.metrics()
            known[key] = {"uar": metrics["uar"], "accuracy": metrics["accuracy"], "seconds": round(found.seconds, 1)}
            if record is not None:
                record.parent.mkdir(parents=True, exist_ok=True)
                write_whole(record, json.dumps(known, indent=1).encode())
        bar.set_postfix_str(f"best UAR {max(score['uar'] for score in known.values()):.3f}")
    rows = [settings | known[json.dumps(plain(settings), sort_keys=True)] for settings in tried]
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["uar"])
    speakers = tuple(sorted(set(material.table["speaker"].iloc[scored])))
    return Search(changed[order[0]], pd.DataFrame([rows[i] for i in order]), speakers)
