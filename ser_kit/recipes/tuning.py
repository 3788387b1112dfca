"""Grid and random search over the settings of a system, on training speakers only.

The training and validation rows of a fold are divided into three parts without common speakers: for training,
early stopping and scoring. The test speakers of the fold are not used, and the audit checks that.

Examples:
    >>> from ser_kit import corpora, recipes
    >>> from ser_kit.recipes import tuning
    >>> space = {"training.learning_rate": [1e-4, 1e-3], "training.batch_size": [16, 32]}
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

from .. import protocols
from ..core.config import text_digest
from ..core.errors import RecipeError, TableError
from ..core.paths import write_whole
from ..evaluation.record import plain
from ..extraction import Features
from . import PreparedData, System, versions

METHODS = ("grid", "random")


@dataclass(frozen=True, eq=False)
class Search:
    """Result of a search.

    Args:
        best: the system with the best settings.
        results: DataFrame with a row for each candidate, best first: its settings, ``uar``, ``accuracy`` and
            ``seconds``.
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
    """Find the settings with the highest UAR on held-out training speakers.

    Args:
        system: a recipe or an ensemble.
        data: a clip table or its features.
        space: path of a setting, see :meth:`~ser_kit.recipes.System.with_settings` -> values to try.
        method: ``"grid"`` tries all combinations; ``"random"`` draws ``candidates`` of them without
            repetition.
        candidates: number of candidates of a random search.
        protocol: name of the protocol whose training part is used.
        fold: index of the fold, from 0.
        seed: random seed of the folds, the draw and the trainings.
        out: folder for the results; an interrupted search resumes from there.
        jobs: number of processes for extraction.
        progress: show progress bars.

    Raises:
        RecipeError: if the method, a setting or the fold does not exist, the space is empty, or the folder
            has another search in it.
        LeakageError: if a candidate was fitted on test clips of the fold.
        TableError: if the training part has too few speakers to be divided in three.

    Source:
        J. Bergstra, Y. Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 13, 2012.
    """
    from tqdm.auto import tqdm

    tried = _tried(space, method, candidates, seed)
    changed = [system.with_settings(settings) for settings in tried]  # fail early for misspelt settings
    for candidate in changed:
        candidate.check(candidate.temperature)

    prepared = system.prepare(data, jobs=jobs, progress=progress)
    inner = _inner(system, prepared, protocol, fold, seed)
    record = None if out is None else Path(out) / "candidates.json"
    search_of = _identity(system, prepared, protocol, fold, seed)
    about = {
        "search": search_of, "system": system.name, "settings": system.declaration, "protocol": protocol,
        "fold": fold, "seed": seed, "data": prepared.data, "versions": versions(),
    }  # fmt: skip
    known = _known(record, search_of)
    bar = tqdm(list(zip(tried, changed, strict=True)), desc="tune", unit="candidate", disable=not progress)
    for settings, candidate in bar:
        key = _key(settings)
        if key not in known:
            own, part = prepared, inner
            if not candidate.same_data(system):
                # Changed extractor or copies: prepare the data again.
                own = candidate.prepare(data, jobs=jobs, progress=False)
                part = _inner(candidate, own, protocol, fold, seed)
            checkpoints = None if out is None else Path(out) / "checkpoints" / text_digest(key)
            found = candidate.run_fold(own, part, out=checkpoints, progress=progress)
            metrics = found.metrics()
            known[key] = {
                "uar": metrics["uar"],
                "accuracy": metrics["accuracy"],
                "seconds": round(found.seconds, 1),
            }
            if record is not None:
                record.parent.mkdir(parents=True, exist_ok=True)
                write_whole(record, json.dumps(plain({**about, "candidates": known}), indent=1).encode())
        bar.set_postfix_str(f"best UAR {max(score['uar'] for score in known.values()):.3f}")
    rows = [settings | known[_key(settings)] for settings in tried]
    order = sorted(range(len(rows)), key=lambda i: -rows[i]["uar"])
    speakers = tuple(sorted(set(prepared.table["speaker"].iloc[inner.test])))
    # Keep settings as given: pandas would convert None to NaN.
    results = pd.DataFrame([rows[i] for i in order], dtype=object)
    results = results.astype(dict.fromkeys(("uar", "accuracy", "seconds"), float))
    return Search(changed[order[0]], results, speakers)


def _tried(
    space: Mapping[str, Sequence[Any]], method: str, candidates: int, seed: int
) -> list[dict[str, Any]]:
    """The settings of each candidate."""
    from sklearn.model_selection import ParameterGrid, ParameterSampler

    if method not in METHODS or not space or not all(len(values) for values in space.values()):
        raise RecipeError(
            f"method={method!r} must be one of {', '.join(METHODS)}, with at least one setting to vary and "
            "one value for each"
        )
    grid = ParameterGrid({name: list(values) for name, values in space.items()})
    if method == "random":
        return list(ParameterSampler(grid.param_grid[0], min(candidates, len(grid)), random_state=seed))
    return list(grid)


def _inner(system: System, prepared: PreparedData, protocol: str, fold: int, seed: int) -> protocols.Fold:
    """Divide the training part of a fold in three, and audit the result."""
    folds = system.folds(prepared, protocol, seed)
    if not 0 <= fold < len(folds):
        raise RecipeError(f"protocol {protocol!r} has {len(folds)} folds here; there is no fold {fold}")
    outer = folds[fold]
    rest, scored = protocols.inner(prepared.table, [*outer.train, *outer.validation], seed)
    train, stop = protocols.inner(prepared.table, rest, seed)
    protocols.audit(prepared.table, outer, fitted={"tuner": [*train, *stop, *scored]})
    speakers = [set(prepared.table["speaker"].iloc[rows]) for rows in (train, stop, scored)]
    if outer.speaker_independent and sum(map(len, speakers)) > len(set.union(*speakers)):
        raise TableError(
            f"the training part of fold {outer.name} has {len(set.union(*speakers))} speakers, too few for "
            "training, early stopping and scoring on different ones"
        )
    promise = ("speaker",) if outer.speaker_independent else ()
    inner = protocols.Fold(f"{protocol}, inner", outer.index, seed, train, stop, scored, promise)
    protocols.audit(prepared.table, inner)
    return inner


def _identity(system: System, prepared: PreparedData, protocol: str, fold: int, seed: int) -> str:
    """Hash of everything that must match between saved results and this search."""
    clips = list(zip(prepared.table["clip_id"], prepared.y.tolist(), strict=True))
    return text_digest(repr((system.settings, prepared.labels, clips, protocol, fold, seed)))


def _known(record: Path | None, search_of: str) -> dict[str, dict[str, float]]:
    """The candidates that were scored before an interruption."""
    if record is None or not record.exists():
        return {}
    try:
        found = json.loads(record.read_text())
        same, candidates = found["search"] == search_of, found["candidates"]
    except (ValueError, KeyError, TypeError):
        raise RecipeError(f"{record} cannot be read; delete it to start again") from None
    if not same:
        raise RecipeError(
            f"{record} holds the results of another search (other recipe, clips, protocol, fold or seed); "
            "give another folder"
        )
    return candidates


def _key(settings: Mapping[str, Any]) -> str:
    return json.dumps(plain(settings), sort_keys=True, default=repr)  # values can be extractors or steps
