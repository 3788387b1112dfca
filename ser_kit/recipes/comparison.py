"""Tables for plots, from the records of :mod:`ser_kit.recipes.reproduce`, in the order of the documentation.

Examples:
    >>> from ser_kit import plots
    >>> from ser_kit.recipes import comparison, reproduce
    >>> plots.leakage(comparison.by_protocol(reproduce.load("results")))  # doctest: +SKIP
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import protocols
from . import RECIPES
from .records import METRIC_NAMES, by_system, figures, on_corpora, spread


def systems(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Reported and measured accuracy of the published systems, for :func:`ser_kit.plots.published_systems`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        name: names of the corpora (joined by ``", "``); for a system without runs on them, the first corpora
            that it was run on.

    Returns:
        DataFrame with a row for each system under its published split and one for unseen speakers, or one row
        with ``mean`` NaN if neither was run. Columns: ``system``, ``corpora``, ``reported`` (tuple of
        fractions), ``chance``, ``speaker_independent``, ``mean`` and ``std`` (of folds and seeds),
        ``complete``.
    """
    measured = ["speaker_independent", "mean", "std", "complete"]
    rows = []
    for title, system, reported, runs in by_system(records):
        place, own = on_corpora(runs, name)
        about = {"system": title, "corpora": place, "reported": reported}
        if len(own):
            about["chance"] = 1 / len(own["labels"].iloc[0])
        found = spread(own, "accuracy").set_index("protocol")[measured]
        some = [name for name in (system.published.protocol, "speaker") if name in found.index]
        rows += [about | run for run in found.loc[some].to_dict("records")] or [about]
    return pd.DataFrame(rows, columns=["system", "corpora", "reported", "chance", *measured])


def reported(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Reported and measured metrics other than accuracy, for :func:`ser_kit.plots.reported`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        name: see :func:`systems`.

    Returns:
        As :func:`ser_kit.recipes.reproduce.figures`, with display names of the metrics.
    """
    found = figures(records, name)
    return found.assign(metric=found["metric"].map(METRIC_NAMES))


def by_protocol(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Scores of systems that were run under two or more protocols, for :func:`ser_kit.plots.leakage`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        As :func:`ser_kit.recipes.reproduce.spread`, with ``metric`` and the ``leaks`` of each protocol (a
        tuple). The protocols of a system are ordered by the number of leaks, most first.
    """
    found = _in_order(spread(records[records["ablation"] == ""], metric))
    found = found.assign(metric=metric, leaks=[_leaks(run) for run in found.to_dict("records")])
    places = found.groupby(["recipe", "corpora"], sort=False)
    several = places["protocol"].transform("size") > 1
    order = np.lexsort((-found["mean"], -found["leaks"].map(len), places.ngroup()))
    return found.iloc[order][several.iloc[order]]


def gains(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Differences between ablations and the full system, for :func:`ser_kit.plots.ablations`.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        DataFrame with a row for each record of an ablation with a record of the full system for the same fold
        and seed: ``recipe``, ``corpora``, ``ablation``, ``protocol``, ``speaker_independent``, ``metric`` and
        ``gain`` (in percentage points).
    """
    whole, changed = records[records["ablation"] == ""], records[records["ablation"] != ""]
    keys = ["recipe", "corpora", "protocol", "speaker_independent", "seed", "fold"]
    pairs = _in_order(changed.merge(whole[[*keys, metric]], on=keys, suffixes=("", "_itself")))
    pairs = pairs.assign(metric=metric, gain=100 * (pairs[metric] - pairs[f"{metric}_itself"]))
    return pairs[["recipe", "corpora", "ablation", "protocol", "speaker_independent", "metric", "gain"]]


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows in the order of the documentation; recipes that are not in it come last."""
    order = {name: place for place, name in enumerate(RECIPES)}
    return table.sort_values("recipe", key=lambda names: names.map(order).fillna(len(order)), kind="stable")


def _leaks(run: dict) -> tuple[str, ...]:
    if run["protocol"] in protocols.names():
        return protocols.get(run["protocol"]).leaks
    return () if run["speaker_independent"] else ("speaker",)
