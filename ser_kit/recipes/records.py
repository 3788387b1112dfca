"""Records of runs: load them, and summarise their metrics."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from .. import recipes
from ..core.errors import TableError
from ..evaluation.scores import METRICS
from . import RECIPES, RENAMED, System

FORMAT = 1
"""Format version of the records."""
RECORDS = "records"
METRIC_NAMES = {
    "uar": "recall (UAR)", "accuracy": "accuracy", "macro_precision": "precision", "macro_f1": "macro F1",
    "weighted_f1": "weighted F1", "training_accuracy": "training accuracy", "precision": "precision",
    "recall": "recall", "f1": "F1",
}  # fmt: skip
"""Display names of the metrics that documents report."""


def load(out: str | os.PathLike) -> pd.DataFrame:
    """Load the records of a folder.

    Args:
        out: the folder that holds ``records/``.

    Returns:
        DataFrame with a row for each record: its fields, with the metrics as columns. ``corpora`` is text,
        followed by the label set if it is not that of the system.

    Raises:
        TableError: if there are no records, or one that this version cannot read.
    """
    rows = []
    for path in sorted(Path(out).glob(f"{RECORDS}/*/*/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = record.get("format")
        except (ValueError, AttributeError):
            raise TableError(f"{path} cannot be read; delete it, and run ser-kit reproduce again") from None
        if version != FORMAT:
            raise TableError(f"{path} has format {version!r}; this version reads {FORMAT}")
        name = record["recipe"] = RENAMED.get(record["recipe"], record["recipe"])
        own = name in recipes.names() and record["label_set"] == recipes.get(name).labels
        place = ", ".join(record["corpora"]) + ("" if own else f" ({record['label_set']})")
        sources = record.get("sources")  # missing in the first records of this format
        rows.append({**record, **record["metrics"], "corpora": place, "sources": sources})
    if not rows:
        raise TableError(
            f"{Path(out) / RECORDS} holds no records; make them with ser-kit reproduce --all --out {out}"
        )
    return pd.DataFrame(rows)


def spread(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Mean and standard deviation of a metric for each recipe, ablation, corpora and protocol.

    Args:
        records: from :func:`load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        ``recipe, ablation, corpora, protocol, speaker_independent, mean, std`` (over all folds and seeds; NaN
        with one), ``over_seeds`` (standard deviation of the seeds' means), ``runs``, ``seeds``, ``complete``
        (no fold is missing), ``parameters`` (of the first), ``epochs`` (mean of a run) and ``seconds``
        (median).
    """
    if metric not in METRICS:
        raise TableError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}")
    rows = []
    keys = ["recipe", "ablation", "corpora", "protocol", "speaker_independent"]
    columns = ["mean", "std", "over_seeds", "runs", "seeds", "complete", "parameters", "epochs", "seconds"]
    for key, part in records.groupby(keys, sort=False):
        seeds = part.groupby("seed")[metric].mean()
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "mean": part[metric].mean(),
                "std": part[metric].std(),
                "over_seeds": seeds.std(),
                "runs": len(part),
                "seeds": len(seeds),
                "complete": is_complete(part),
                "parameters": int(part["parameters"].iloc[0]),
                "epochs": np.mean([max(epochs, default=0) for epochs in part["epochs"]]),
                "seconds": part["seconds"].median(),  # a fold may have waited for another process
            }
        )
    return pd.DataFrame(rows, columns=[*keys, *columns])


def by_system(records: pd.DataFrame) -> Iterator[tuple[str, System, tuple[float, ...], pd.DataFrame]]:
    """The runs of each published system, and of those of its variants that are the document's too.

    Args:
        records: from :func:`load`.

    Yields:
        Name of the system or variant, the system, its reported accuracy (see
        :class:`ser_kit.recipes.published.Published`), and its records. Those without records are left out; if
        neither a system nor its variants have any, the system comes with an empty table.
    """
    for system in RECIPES.values():
        own = records[records["recipe"] == system.name]
        reported = system.published.accuracies
        runs = {name: own[own["ablation"] == name] for name in reported}
        for name in [name for name in reported if len(runs[name])] or [""]:
            yield full_name(system.name, name), system, reported[name], runs[name]


def full_name(recipe: str, ablation: str) -> str:
    """Name of a recipe or of one of its ablations (``""``: the recipe itself)."""
    return f"{recipe}+{ablation}" if ablation else recipe


def on_corpora(runs: pd.DataFrame, name: str) -> tuple[str, pd.DataFrame]:
    """The runs of one system on ``name``, else on the first corpora that it was run on, and their names.

    Without any runs the names are ``""`` and the table is empty.
    """
    place = next((p for p in (name, *runs["corpora"].unique()) if (runs["corpora"] == p).any()), "")
    return place, runs[runs["corpora"] == place]


def is_complete(runs: pd.DataFrame) -> bool:
    """Whether no fold is missing in the records of one system, corpora and protocol."""
    return len(runs) == runs.groupby("seed")["folds"].first().sum()


def over_runs(values: list[float]) -> str:
    """Mean and standard deviation of fractions over folds and seeds as text, in percent."""
    if not values:
        return "–"
    return f"{100 * np.mean(values):.1f}" + (
        f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else ""
    )


def speakers(runs: pd.DataFrame) -> np.ndarray | None:
    """Confusion matrices ``int [speakers, k, k]``, summed over folds and seeds; ``None`` if a record lacks
    them."""
    kept = runs.get("confusion_by_speaker", pd.Series(dtype=object)).dropna()
    if len(kept) < len(runs):
        return None
    sums: dict[str, np.ndarray] = {}
    for run in kept:
        for speaker, counts in run.items():
            sums[speaker] = sums.get(speaker, 0) + np.array(counts)
    return np.stack(list(sums.values()))


def figures(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Reported metrics other than accuracy, with the values in the records.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        DataFrame with a row for each reported value: ``system``, ``emotion`` (``""`` for all), ``metric``,
        ``reported`` (a tuple of fractions), ``run on`` (``""`` if it was not run), and for ``published`` (the
        split of the authors) and ``unseen`` (unseen speakers) the values of all folds and seeds, a list of
        fractions. The list is empty if the records lack the metric.
    """
    rows = []
    whole = records[records["ablation"] == ""]
    for system in RECIPES.values():
        place, own = on_corpora(whole[whole["recipe"] == system.name], name)
        sides = {"published": system.published.protocol, "unseen": "speaker"}
        parts = {side: own[own["protocol"] == protocol] for side, protocol in sides.items()}
        about = {"system": system.name, "run on": place}
        for metric, reported in system.published.others.items():
            found = {
                side: part.get(metric, pd.Series(dtype=float)).dropna().tolist()
                for side, part in parts.items()
            }
            rows.append({**about, "emotion": "", "metric": metric, "reported": reported, **found})
        for emotion, reported in system.published.classes.items():
            for metric, value in reported.items():
                found = {
                    side: [
                        each[emotion][metric]
                        for each in part["per_class"]
                        if each.get(emotion, {}).get("support")
                    ]
                    for side, part in parts.items()
                }
                rows.append({**about, "emotion": emotion, "metric": metric, "reported": (value,), **found})
    return pd.DataFrame(rows)


def confusion(records: pd.DataFrame, recipe: str, protocol: str, ablation: str = "") -> pd.DataFrame:
    """Confusion matrix over all folds and seeds: counts by true label (rows) and predicted label (columns).

    Args:
        records: from :func:`load`.
        recipe: name of a recipe.
        protocol: name of a protocol.
        ablation: name of an ablation, or ``""`` for the recipe itself.

    Raises:
        TableError: if there are no such records, or they have different labels.
    """
    wanted = {"recipe": recipe, "protocol": protocol, "ablation": ablation}
    some = records[(records[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    labels = set(map(tuple, some["labels"]))
    if len(labels) != 1:
        raise TableError(
            f"{recipe} under {protocol} has records of {len(labels) or 'no'} sets of emotions; expected 1"
        )
    (names,) = map(list, labels)
    counts = np.sum(some["confusion"].tolist(), axis=0)
    return pd.DataFrame(counts, pd.Index(names, name="true"), pd.Index(names, name="predicted"))
