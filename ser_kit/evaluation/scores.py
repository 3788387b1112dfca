"""Scores of predictions: unweighted average recall (UAR), accuracy, F1, and confusion matrices.

Scores are fractions in [0, 1]. Macro averages are over the classes that occur in the true labels, so a class
without test clips does not count as zero.

Examples:
    >>> scores = metrics(["happy", "happy", "sad"], ["happy", "sad", "sad"], labels=["happy", "sad"])
    >>> scores["uar"], round(scores["accuracy"], 3)
    (0.75, 0.667)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..core.errors import LabelError, TableError

TITLES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}
"""Display names of the metrics."""
METRICS = tuple(TITLES)
"""Names of the metrics; UAR is the main metric."""
MACRO = ("uar", "macro_precision", "macro_f1")
"""Names of the metrics that are averages over classes."""


def metrics(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Compute all metrics of a set of predictions.

    Args:
        true: true labels, ``[n]``.
        predicted: predicted labels, ``[n]``.
        labels: all labels of the model.

    Returns:
        ``uar`` (mean recall), ``accuracy``, ``macro_precision``, ``macro_f1`` and ``weighted_f1``, fractions
        in [0, 1]. Macro averages are over the classes that occur in ``true``; a class that is never predicted
        has precision 0.

    Raises:
        TableError: if there are no predictions, or not one for each clip.
        LabelError: if a label is not among ``labels``.
    """
    return {name: float(values[0]) for name, values in all_scores(count(true, predicted, labels)).items()}


def per_class(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Compute precision, recall, F1 (fractions in [0, 1]; 0 for 0 / 0) and support of each label.

    Args:
        true: true labels, ``[n]``.
        predicted: predicted labels, ``[n]``.
        labels: all labels of the model, ``[k]``.

    Returns:
        DataFrame ``[k, 4]`` with the columns ``precision, recall, f1, support``.

    Examples:
        >>> per_class(["happy", "sad"], ["happy", "happy"], ["happy", "sad"]).loc["happy", "precision"].item()
        0.5
    """
    scores = class_scores(count(true, predicted, labels)[0])
    return pd.DataFrame(scores, index=pd.Index(labels, name="label"))


def confusion(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Confusion matrix: counts by true label (rows) and predicted label (columns); see :func:`metrics`."""
    counts = count(true, predicted, labels)[0]
    return pd.DataFrame(
        counts, index=pd.Index(labels, name="true"), columns=pd.Index(labels, name="predicted")
    )


def _codes(names: Sequence[str], labels: Sequence[str], what: str) -> np.ndarray:
    codes = pd.Index(labels).get_indexer(pd.Index(np.asarray(names, dtype=object)))
    if (codes < 0).any():
        unknown = sorted({str(n) for n in np.asarray(names, dtype=object)[codes < 0]})
        raise LabelError(
            f"{what} labels {', '.join(map(repr, unknown))} are not among {', '.join(map(repr, labels))}"
        )
    return codes


def count(
    true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], groups: np.ndarray | None = None
) -> np.ndarray:
    """Confusion matrices ``int [groups, k, k]`` with true labels in rows; a single group by default."""
    if len(true) != len(predicted):
        raise TableError(f"{len(true)} true labels but {len(predicted)} predicted ones")
    if not len(true):
        raise TableError("there is no prediction to score")
    groups = np.zeros(len(true), dtype=int) if groups is None else groups
    counts = np.zeros((groups.max() + 1, len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (groups, _codes(true, labels, "true"), _codes(predicted, labels, "predicted")), 1)
    return counts


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide ``part / whole``, with 0 for 0 / 0."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) > 0)


def class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the scores of each class, each ``[..., k]``, from confusion matrices ``[..., k, k]``."""
    hits, support, named = np.einsum("...ii->...i", counts), counts.sum(-1), counts.sum(-2)
    return {
        "precision": _ratio(hits, named),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, support + named),
        "support": support,
    }


def all_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Compute all :data:`METRICS`, each ``[...]``, from confusion matrices ``[..., k, k]``."""
    scores = class_scores(counts)
    support = scores["support"]
    present = support > 0

    def macro(values: np.ndarray) -> np.ndarray:
        return _ratio((values * present).sum(-1), present.sum(-1))

    return {
        "uar": macro(scores["recall"]),
        "accuracy": _ratio(np.einsum("...ii->...", counts), counts.sum((-1, -2))),
        "macro_precision": macro(scores["precision"]),
        "macro_f1": macro(scores["f1"]),
        "weighted_f1": _ratio((scores["f1"] * support).sum(-1), support.sum(-1)),
    }
