"""The records of :mod:`ser_kit.recipes.reproduce` as tables to draw from, in the order of the documents.

Examples:
    >>> from ser_kit import plots
    >>> from ser_kit.recipes import comparison, reproduce
    >>> plots.leakage(comparison.by_protocol(reproduce.load("results")))  # doctest: +SKIP
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import protocols
from . import RECIPES, tables


def systems(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Reported and measured accuracy of the published systems, for :func:`ser_kit.plots.published_systems`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        name: of the corpora (joined by ``", "``) that were run; for a system that was run on others only, the
            first of these is taken.

    Returns:
        A row for each system and each of its published split and the split by unseen speakers, or one row
        with ``mean`` NaN where neither was run: ``system``, ``corpora``, ``reported`` (tuple of fractions),
        ``chance``, ``speaker_independent``, ``mean`` and ``std`` (of folds and seeds), ``complete``.
    """
    found = tables.spread(records[records["ablation"] == ""], "accuracy")
    measured = ["speaker_independent", "mean", "std", "complete"]
    rows = []
    for system in RECIPES.values():
        own = found[found["recipe"] == system.name]
        about, runs = {"system": system.name, "corpora": "", "reported": system.published.accuracy}, []
        if len(own):
            place = name if (own["corpora"] == name).any() else own["corpora"].iloc[0]
            labels = records["labels"][
                (records["recipe"] == system.name) & (records["corpora"] == place)
            ].iloc[0]
            about |= {"corpora": place, "chance": 1 / len(labels)}
            for protocol in (system.published.protocol, "speaker"):
                part = own[(own["corpora"] == place) & (own["protocol"] == protocol)]
                runs += part[measured].to_dict("records")
        rows += [about | run for run in runs] or [about]
    return pd.DataFrame(rows, columns=["system", "corpora", "reported", "chance", *measured])


def reported(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """What documents report beside accuracy, for :func:`ser_kit.plots.reported`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        name: as of :func:`systems`.

    Returns:
        As of :func:`ser_kit.recipes.reproduce.figures`, with the metrics' names as they are printed.
    """
    found = tables.figures(records, name)
    return found.assign(metric=found["metric"].map(tables.METRIC_NAMES))


def by_protocol(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Systems that were run under two protocols or more, for :func:`ser_kit.plots.leakage`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        As of :func:`ser_kit.recipes.reproduce.spread`, with ``metric`` and ``leaks`` of each protocol (a
        tuple); the protocols of a system from the leakiest to the most honest.
    """
    found = _in_order(tables.spread(records[records["ablation"] == ""], metric))
    found = found.assign(metric=metric, leaks=[_leaks(run) for run in found.to_dict("records")])
    places = found.groupby(["recipe", "corpora"], sort=False)
    several = places["protocol"].transform("size") > 1
    order = np.lexsort((-found["mean"], -found["leaks"].map(len), places.ngroup()))
    return found.iloc[order][several.iloc[order]]


def gains(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Differences of ablations to the system itself, for :func:`ser_kit.plots.ablations`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        A row for each record of an ablation that has one of the system itself with the same fold and seed:
        ``recipe``, ``corpora``, ``ablation``, ``protocol``, ``speaker_independent``, ``metric`` and ``gain``
        (in percentage points).
    """
    whole, changed = records[records["ablation"] == ""], records[records["ablation"] != ""]
    keys = ["recipe", "corpora", "protocol", "speaker_independent", "seed", "fold"]
    pairs = _in_order(changed.merge(whole[[*keys, metric]], on=keys, suffixes=("", "_itself")))
    pairs = pairs.assign(metric=metric, gain=100 * (pairs[metric] - pairs[f"{metric}_itself"]))
    return pairs[["recipe", "corpora", "ablation", "protocol", "speaker_independent", "metric", "gain"]]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the documents; recipes without a document come last."""
    order = {name: place for place, name in enumerate(RECIPES)}
    return table.sort_values("recipe", key=lambda names: names.map(order).fillna(len(order)), kind="stable")


def _leaks(run: dict) -> tuple[str, ...]:
    if run["protocol"] in protocols.names():
        return protocols.get(run["protocol"]).leaks
    return () if run["speaker_independent"] else ("speaker",)
