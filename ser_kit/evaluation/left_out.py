"""Calibration and confidence threshold from corpora left out of training.

Confidence on the training corpora does not carry over to other voices, languages and rooms. So under protocol
``corpus`` the temperature and the threshold are fitted on predictions for the corpora left out, with equal
weight for each corpus. Predictions are restricted to the emotions of each clip's corpus.

Examples:
    >>> import numpy as np
    >>> coverage([0.9, 0.8, 0.4, 0.3], [True, True, False, True])["right"].round(2).tolist()
    [1.0, 1.0, 0.67, 0.75]
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..core.labels import LabelSet
from ..core.probabilities import apply_temperature
from .calibration import expected_calibration_error, fit_temperature
from .record import Evaluation, plain

SURE_SHARE = 0.75
"""Minimum accuracy of the predictions above the threshold."""
FEWEST_ANSWERS = 20
"""Minimum number of predictions above the threshold."""


class Calibration(NamedTuple):
    """Temperature and confidence threshold.

    Args:
        temperature: temperature of the probabilities, above 0.
        threshold: predictions with lower confidence are uncertain, 0 to 1.
    """

    temperature: float
    threshold: float


def among(
    probabilities: np.ndarray, true: Sequence[str], corpora: Sequence[str], labels: Sequence[str]
) -> np.ndarray:
    """Restrict probabilities to the emotions of each clip's corpus; the others get 0.

    The probability of an emotion that the corpus lacks is added to its nearest emotion
    (:data:`ser_kit.core.labels.NEAREST`), such as calm to neutral.

    Args:
        probabilities: ``[n, k]``.
        true: true emotion of each clip, ``[n]``.
        corpora: corpus of each clip, ``[n]``.
        labels: labels of the ``k`` columns.

    Returns:
        ``float64 [n, k]``; rows sum to 1.

    Examples:
        >>> given, labels = [[0.2, 0.2, 0.6], [0.5, 0.3, 0.2]], ["happy", "sad", "angry"]
        >>> among(given, ["happy", "sad"], ["a", "a"], labels).round(3).tolist()
        [[0.5, 0.5, 0.0], [0.625, 0.375, 0.0]]
    """
    found, labels = np.asarray(probabilities, dtype=float).copy(), np.asarray(labels)
    true, corpora = np.asarray(true, dtype=object), np.asarray(corpora, dtype=object)
    for corpus in pd.unique(corpora):
        rows = corpora == corpus
        there = np.isin(labels, true[rows].astype(str))
        known = LabelSet(corpus, tuple(labels[there]))
        for place in np.flatnonzero(~there):
            if home := known.nearest(labels[place]):
                found[rows, np.argmax(labels == home)] += found[rows, place]
        # A forest may give probability 0 to all of these emotions; then they are equally likely.
        found[rows] = np.where(there, np.maximum(found[rows], 1e-12), 0)
    return found / found.sum(axis=1, keepdims=True)


def alike(corpora: Sequence[str]) -> np.ndarray:
    """Clip weights that give every corpus equal weight, ``float64 [n]`` with mean 1.

    Examples:
        >>> alike(["a", "a", "a", "b"]).round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    codes, names = pd.factorize(np.asarray(corpora, dtype=object))
    return (len(codes) / len(names) / np.bincount(codes))[codes]


def coverage(
    confidence: Sequence[float], correct: Sequence[bool], weights: Sequence[float] | None = None
) -> pd.DataFrame:
    """Accuracy of the most confident predictions at every coverage.

    Args:
        confidence: confidence of each prediction, ``[n]``.
        correct: whether each prediction is correct, ``[n]``.
        weights: weight of each prediction, ``[n]``; equal by default.

    Returns:
        DataFrame with a row for each coverage, ascending: ``confidence`` (lowest confidence), ``answers``
        (number of predictions), ``answered`` (coverage) and ``right`` (accuracy), fractions in [0, 1].
        Predictions of equal confidence share a row.
    """
    confidence = np.asarray(confidence, dtype=float)
    weights = np.ones(len(confidence)) if weights is None else np.asarray(weights, dtype=float)
    order = np.argsort(-confidence, kind="stable")
    confidence, sums = confidence[order], weights[order].cumsum()
    right = (weights * np.asarray(correct, dtype=float))[order].cumsum()
    last = np.r_[np.flatnonzero(np.diff(confidence)), len(confidence) - 1]
    return pd.DataFrame(
        {
            "confidence": confidence[last],
            "answers": last + 1,
            "answered": sums[last] / sums[-1],
            "right": right[last] / sums[last],
        }
    )


def threshold(
    confidence: Sequence[float], correct: Sequence[bool], weights: Sequence[float] | None = None
) -> float:
    """Lowest confidence threshold at which at least 75 % of the predictions above it are correct.

    Args:
        confidence: confidence of each prediction, ``[n]``.
        correct: whether each prediction is correct, ``[n]``.
        weights: weight of each prediction, ``[n]``; equal by default.

    Returns:
        A confidence reached by at least :data:`FEWEST_ANSWERS` predictions; 0.75 if there is none.

    Examples:
        Of the 80 most confident predictions 60 are correct:

        >>> threshold(np.linspace(0, 1, 100), np.arange(100) >= 40).round(2)
        np.float64(0.2)
    """
    found = coverage(confidence, correct, weights)
    enough = found[(found["right"] >= SURE_SHARE) & (found["answers"] >= FEWEST_ANSWERS)]
    return enough["confidence"].min() if len(enough) else SURE_SHARE


def calibration(probabilities: np.ndarray, predictions: pd.DataFrame, labels: Sequence[str]) -> Calibration:
    """Fit temperature and threshold on predictions for corpora left out, with equal weight for each corpus.

    Args:
        probabilities: uncalibrated probabilities, ``[n, k]``.
        predictions: DataFrame with ``true`` and ``corpus`` of each clip, ``[n]`` rows.
        labels: labels of the ``k`` columns.
    """
    weights, true = alike(predictions["corpus"]), pd.Index(labels).get_indexer(predictions["true"])
    given = among(probabilities, predictions["true"], predictions["corpus"], labels)
    temperature = fit_temperature(given, true, weights)
    given = among(
        apply_temperature(probabilities, temperature), predictions["true"], predictions["corpus"], labels
    )
    return Calibration(
        temperature, float(threshold(given.max(axis=1), given.argmax(axis=1) == true, weights))
    )


def answers(probabilities: np.ndarray, predictions: pd.DataFrame, labels: Sequence[str]) -> Evaluation:
    """Evaluation of predictions restricted to the emotions of each corpus.

    Args:
        probabilities: calibrated probabilities, ``[n, k]``.
        predictions: DataFrame with ``clip_id, corpus, speaker, sex, true, fold`` of each clip, ``[n]`` rows.
        labels: labels of the ``k`` columns.
    """
    given = among(probabilities, predictions["true"], predictions["corpus"], labels)
    found = predictions[["clip_id", "corpus", "speaker", "sex", "true", "fold"]].reset_index(drop=True)
    found = found.assign(predicted=np.asarray(labels)[given.argmax(axis=1)], confidence=given.max(axis=1))
    shares = {f"prob_{label}": given[:, place] for place, label in enumerate(labels)}
    return Evaluation("", "", True, 0, tuple(labels), found.assign(**shares))


def measured(found: Evaluation, above: float) -> dict[str, Any]:
    """Compute the scores of predictions for one corpus.

    Args:
        found: evaluation from :func:`answers`.
        above: confidence threshold; predictions that reach it are certain.

    Returns:
        ``corpus``, ``clips``, ``speakers``; ``uar`` with ``low`` and ``high``, its 95 % interval over
        speakers; ``recall`` (emotion -> share); ``expected_calibration_error``; ``threshold``; ``answered``
        (the share of certain predictions) and ``right`` (their accuracy, ``None`` if there are none).
    """
    confidence, correct = found.predictions["confidence"].to_numpy(), found.correct()
    uar, classes, certain = found.summary()["uar"], found.per_class(), confidence >= above
    return plain(
        {
            "corpus": found.predictions["corpus"].iloc[0],
            "clips": len(correct),
            "speakers": uar["speakers"],
            "uar": uar["pooled"],
            "low": uar["low"],
            "high": uar["high"],
            "recall": classes.loc[classes["support"] > 0, "recall"].to_dict(),
            "expected_calibration_error": expected_calibration_error(confidence, correct),
            "threshold": above,
            "answered": certain.mean(),
            "right": correct[certain].mean() if certain.any() else None,
        }
    )


def by_corpus(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Compute the scores of a model on each corpus left out, as in its card.

    The temperature and threshold for a corpus are fitted on the predictions for the other corpora, or, if
    there is a single corpus, on its own. They are not the temperature and threshold of the model.

    Args:
        evaluation: an evaluation under protocol ``corpus``.

    Returns:
        For each corpus, the scores of :func:`measured`.
    """
    raw, predictions = evaluation.uncalibrated(), evaluation.predictions
    rows = []
    for corpus in sorted(predictions["corpus"].unique()):
        own = (predictions["corpus"] == corpus).to_numpy()
        others = own if own.all() else ~own
        found = calibration(raw[others], predictions[others], evaluation.labels)
        given = answers(apply_temperature(raw[own], found.temperature), predictions[own], evaluation.labels)
        rows.append(measured(given, found.threshold))
    return rows
