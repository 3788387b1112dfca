"""Bootstrap intervals over speakers.

In a resample without clips of a class, the recall of that class and averages over classes are undefined. Such
resamples are excluded from the intervals of these scores.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..core.errors import TableError
from .scores import MACRO, METRICS, all_scores, class_scores, count

_OF_CLASSES = ("precision", "recall", "f1")


def bootstrap(
    predictions: pd.DataFrame,
    metric: str = "uar",
    *,
    n: int = 1000,
    seed: int = 0,
    by: str = "speaker",
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a metric, over whole speakers.

    Clips of a speaker are similar, so an interval over single clips would be too narrow. Resamples without
    clips of a class are excluded from the intervals of averages over classes. An interval over few speakers
    is too narrow, see :data:`ser_kit.evaluation.intervals.FEWEST_SPEAKERS`.

    Args:
        predictions: DataFrame with the columns ``true``, ``predicted`` and ``by``.
        metric: one of :data:`METRICS`.
        n: number of resamples.
        seed: random seed of the resampling.
        by: column of the groups to resample; ``"clip_id"`` for single clips.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        ``(low, high)``, fractions in [0, 1]; ``(nan, nan)`` if there is only one speaker, or no resample has
        all classes.

    Raises:
        TableError: if the metric is unknown, or a prediction has no speaker.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals).

    Examples:
        One speaker is always right, the other always wrong:

        >>> found = {"speaker": ["a", "a", "b", "b"], "true": list("xyxy"), "predicted": list("xyyx")}
        >>> bootstrap(pd.DataFrame(found), "accuracy")
        (0.0, 1.0)
    """
    if metric not in METRICS:
        raise TableError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}")
    labels = sorted(set(predictions["true"]) | set(predictions["predicted"]))
    return interval(resampled_scores(predictions, labels, n, seed, by)[metric], confidence)


def resampled_scores(
    predictions: pd.DataFrame, labels: Sequence[str], n: int = 1000, seed: int = 0, by: str = "speaker"
) -> dict[str, np.ndarray]:
    """Compute the scores of ``n`` resamples of whole groups.

    Returns:
        Each of :data:`METRICS` (``[n]``), and ``precision``, ``recall`` and ``f1`` of each label
        (``[n, k]``). NaN if a resample has no clip of a class that the score needs, and for all resamples if
        there is a single group.
    """
    groups, names = pd.factorize(predictions[by])
    if (groups < 0).any():
        raise TableError(
            f"{(groups < 0).sum()} predictions have no {by}; intervals are drawn over whole {by}s"
        )
    return resampled_counts(count(predictions["true"], predictions["predicted"], labels, groups), n, seed)


def resampled_counts(counts: np.ndarray, n: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Compute the scores of ``n`` resamples of confusion matrices, one for each group.

    Args:
        counts: confusion matrices ``int [groups, k, k]`` with true labels in rows.
        n: number of resamples.
        seed: random seed of the resampling.

    Returns:
        As :func:`resampled_scores`.
    """
    groups, labels = counts.shape[:2]
    if groups < 2:
        alone = {name: np.full(n, np.nan) for name in METRICS}
        return alone | {name: np.full((n, labels), np.nan) for name in _OF_CLASSES}
    drawn = np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), size=n)
    # In floats because matrix products of integers are not vectorised; the counts stay exact.
    sums = (drawn.astype(float) @ counts.reshape(groups, -1).astype(float)).reshape(n, *counts.shape[1:])
    absent = sums.sum(-1) == 0
    incomplete = absent[:, counts.sum((0, -1)) > 0].any(-1)
    found = all_scores(sums)
    found |= {name: np.where(incomplete, np.nan, found[name]) for name in MACRO}
    of_classes = class_scores(sums)
    return found | {name: np.where(absent, np.nan, of_classes[name]) for name in _OF_CLASSES}


def paired_difference(
    first: pd.DataFrame,
    second: pd.DataFrame,
    metric: str = "uar",
    *,
    n: int = 1000,
    seed: int = 0,
    by: str = "speaker",
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the difference between two systems on the same clips.

    Both are scored on the same resamples, so that what is hard for both does not widen the interval.

    Args:
        first: predictions of the first system, as for :func:`bootstrap`.
        second: predictions of the second system for the same clips, in the same order.
        metric: one of :data:`METRICS`.
        n: number of resamples.
        seed: random seed of the resampling.
        by: column of the groups to resample; ``"clip_id"`` for single clips.
        confidence: coverage of the interval, in (0, 1).

    Returns:
        ``(low, high)`` of the first system's score minus the second's; as :func:`bootstrap` where there is a
        single group.

    Raises:
        TableError: if the metric is unknown, or the predictions are not of the same clips.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals).

    Examples:
        >>> found = {"clip_id": list("abcd"), "true": list("xyxy"), "predicted": list("xyxy")}
        >>> first = pd.DataFrame(found)
        >>> paired_difference(first, first.assign(predicted=list("xxxx")), "accuracy", by="clip_id")
        (0.0, 1.0)
    """
    if metric not in METRICS:
        raise TableError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}")
    if first[["clip_id", "true"]].to_numpy().tolist() != second[["clip_id", "true"]].to_numpy().tolist():
        raise TableError("the predictions of two systems can be paired only if they are of the same clips")
    labels = sorted({*first["true"], *first["predicted"], *second["predicted"]})
    scores = [resampled_scores(each, labels, n, seed, by)[metric] for each in (first, second)]
    return interval(scores[0] - scores[1], confidence)


def interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    """Central interval of the finite values; NaN if there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
