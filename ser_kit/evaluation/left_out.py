"""Calibration and threshold from corpora that were left out of training.

A model's confidence on the voices, languages and rooms of its training data says little about others. So for
a model under protocol ``corpus`` temperature and threshold are fitted on the predictions for the corpora left
out, with the same weight for every corpus. A clip's prediction is among the emotions of its corpus.

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
"""Accuracy of certain answers, at least."""
FEWEST_ANSWERS = 20
"""Answers above a threshold, at least."""


class Calibration(NamedTuple):
    """Temperature of the probabilities, and threshold of the confidence.

    Args:
        temperature: of the probabilities.
        threshold: answers of less confidence are uncertain.
    """

    temperature: float
    threshold: float


def among(
    probabilities: np.ndarray, true: Sequence[str], corpora: Sequence[str], labels: Sequence[str]
) -> np.ndarray:
    """Probabilities relative to the emotions that the clips of each corpus have; the others get 0.

    An emotion that the corpus lacks is added to its nearest one (:data:`ser_kit.core.labels.NEAREST`), such
    as calm to neutral.

    Args:
        probabilities: ``[n, k]``.
        true: the clips' emotions, ``[n]``.
        corpora: that they are of, ``[n]``.
        labels: of the ``k`` columns.

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
        # A forest may give 0 to all of these emotions; then all are equally likely.
        found[rows] = np.where(there, np.maximum(found[rows], 1e-12), 0)
    return found / found.sum(axis=1, keepdims=True)


def alike(corpora: Sequence[str]) -> np.ndarray:
    """Weights of clips that give every corpus the same weight, ``float64 [n]`` of mean 1.

    Examples:
        >>> alike(["a", "a", "a", "b"]).round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    codes, names = pd.factorize(np.asarray(corpora, dtype=object))
    return (len(codes) / len(names) / np.bincount(codes))[codes]


def coverage(
    confidence: Sequence[float], correct: Sequence[bool], weights: Sequence[float] | None = None
) -> pd.DataFrame:
    """Accuracy of the most confident answers, for every coverage.

    Args:
        confidence: of the answers, ``[n]``.
        correct: whether each is right, ``[n]``.
        weights: of the answers, ``[n]``; equal by default.

    Returns:
        A row for each coverage, ascending: ``confidence`` (the lowest), ``answers`` (their number),
        ``answered`` (their share) and ``right`` (their accuracy), fractions in [0, 1]. Answers of equal
        confidence are taken together.
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
    """The smallest confidence at which at least three of four answers that reach it are right.

    Args:
        confidence: of the answers, ``[n]``.
        correct: whether each is right, ``[n]``.
        weights: of the answers, ``[n]``; equal by default.

    Returns:
        A confidence that at least :data:`FEWEST_ANSWERS` answers reach; 0.75 if there is none.

    Examples:
        Of the 80 most confident answers 60 are right:

        >>> threshold(np.linspace(0, 1, 100), np.arange(100) >= 40).round(2)
        np.float64(0.2)
    """
    found = coverage(confidence, correct, weights)
    enough = found[(found["right"] >= SURE_SHARE) & (found["answers"] >= FEWEST_ANSWERS)]
    return enough["confidence"].min() if len(enough) else SURE_SHARE


def calibration(probabilities: np.ndarray, predictions: pd.DataFrame, labels: Sequence[str]) -> Calibration:
    """Temperature and threshold that fit predictions for corpora left out, with equal weights of the corpora.

    Args:
        probabilities: not calibrated, ``[n, k]``.
        predictions: ``true`` and ``corpus`` of each clip, ``[n]`` rows.
        labels: of the ``k`` columns.
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
    """Predictions among the emotions of each corpus, as an evaluation.

    Args:
        probabilities: calibrated, ``[n, k]``.
        predictions: ``clip_id, corpus, speaker, sex, true, fold`` of each clip, ``[n]`` rows.
        labels: of the ``k`` columns.
    """
    given = among(probabilities, predictions["true"], predictions["corpus"], labels)
    found = predictions[["clip_id", "corpus", "speaker", "sex", "true", "fold"]].reset_index(drop=True)
    found = found.assign(predicted=np.asarray(labels)[given.argmax(axis=1)], confidence=given.max(axis=1))
    shares = {f"prob_{label}": given[:, place] for place, label in enumerate(labels)}
    return Evaluation("", "", True, 0, tuple(labels), found.assign(**shares))


def measured(found: Evaluation, above: float) -> dict[str, Any]:
    """Scores of the predictions for one corpus.

    Args:
        found: from :func:`answers`.
        above: answers of this confidence or more are certain.

    Returns:
        ``corpus``, ``clips``, ``speakers``; ``uar`` with ``low`` and ``high``, its 95 % interval over
        speakers; ``recall`` (emotion -> share); ``expected_calibration_error``; ``threshold``; ``answered``
        (the share of answers that are certain) and ``right`` (the share of these that is right, ``None``
        where there is none).
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
    """Scores of a model on each corpus left out, as in its card.

    Temperature and threshold of a corpus are fitted on the predictions for the other corpora, not those of
    the model; with a single corpus, on its own.

    Args:
        evaluation: under protocol ``corpus``.

    Returns:
        For each corpus the scores of :func:`measured`.
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
