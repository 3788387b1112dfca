"""What is known of corpora that were left out: temperature, threshold, and how often a sure answer is right.

A model's confidence on voices, languages and rooms that it learned from says little of others. So for a model
that is chosen by leaving corpora out (protocol ``corpus``) temperature and threshold come from the answers
for these corpora, every corpus counting alike, however many clips it has.

An answer for a clip is taken among the emotions that the clip's corpus has.

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
"""Of the answers that are called certain so many are to be right, at least."""
FEWEST_ANSWERS = 20
"""Answers that a threshold rests on, at least."""


class Calibration(NamedTuple):
    """What answers are made of.

    Args:
        temperature: of the probabilities.
        threshold: the confidence below which an answer is uncertain.
    """

    temperature: float
    threshold: float


def among(probabilities: np.ndarray, true: Sequence[str], corpora: Sequence[str], labels: Sequence[str]) -> np.ndarray:
    """Probabilities relative to the emotions that the clips of each corpus have; the others get 0.

    What is answered as another emotion where there is no place for it (:data:`ser_kit.core.labels.NEAREST`),
    such as calm as neutral, counts as that emotion.

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
        # What gives nothing at all to these emotions, as a forest may, gives all of them alike.
        found[rows] = np.where(there, np.maximum(found[rows], 1e-12), 0)
    return found / found.sum(axis=1, keepdims=True)


def alike(corpora: Sequence[str]) -> np.ndarray:
    """How much each clip counts where every corpus counts alike, ``float64 [n]``; their mean is 1.

    Examples:
        >>> alike(["a", "a", "a", "b"]).round(2).tolist()
        [0.67, 0.67, 0.67, 2.0]
    """
    codes, names = pd.factorize(np.asarray(corpora, dtype=object))
    return (len(codes) / len(names) / np.bincount(codes))[codes]


def coverage(
    confidence: Sequence[float], correct: Sequence[bool], weights: Sequence[float] | None = None
) -> pd.DataFrame:
    """Which share of the answers is right when only the surest are given, for each share that can be given.

    Args:
        confidence: of the answers, ``[n]``.
        correct: whether each is right, ``[n]``.
        weights: how much each counts, ``[n]``; all alike if not given.

    Returns:
        From the surest answer to all: ``confidence`` (the lowest of those given), ``answers`` (their number),
        ``answered`` (their share) and ``right`` (the share of them that is right), shares from 0 to 1.
        Answers of equal confidence are given together.
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


def threshold(confidence: Sequence[float], correct: Sequence[bool], weights: Sequence[float] | None = None) -> float:
    """The smallest confidence at which at least three of four answers that reach it are right.

    Args:
        confidence: of the answers, ``[n]``.
        correct: whether each is right, ``[n]``.
        weights: how much each counts, ``[n]``; all alike if not given.

    Returns:
        A confidence that at least :data:`FEWEST_ANSWERS` answers reach. Where there is none such, 0.75: then
        an answer is certain where the model itself takes it to be right in three of four cases.

    Examples:
        Of the 80 most confident answers 60 are right:

        >>> threshold(np.linspace(0, 1, 100), np.arange(100) >= 40).round(2)
        np.float64(0.2)
    """
    found = coverage(confidence, correct, weights)
    enough = found[(found["right"] >= SURE_SHARE) & (found["answers"] >= FEWEST_ANSWERS)]
    return enough["confidence"].min() if len(enough) else SURE_SHARE


def calibration(probabilities: np.ndarray, predictions: pd.DataFrame, labels: Sequence[str]) -> Calibration:
    """Temperature and threshold that fit answers for corpora that were left out, every corpus counting alike.

    Args:
        probabilities: not calibrated, ``[n, k]``.
        predictions: ``true`` and ``corpus`` of each clip, ``[n]`` rows.
        labels: of the ``k`` columns.
    """
    weights, true = alike(predictions["corpus"]), pd.Index(labels).get_indexer(predictions["true"])
    given = among(probabilities, predictions["true"], predictions["corpus"], labels)
    temperature = fit_temperature(given, true, weights)
    given = among(apply_temperature(probabilities, temperature), predictions["true"], predictions["corpus"], labels)
    return Calibration(temperature, float(threshold(given.max(axis=1), given.argmax(axis=1) == true, weights)))


def answers(probabilities: np.ndarray, predictions: pd.DataFrame, labels: Sequence[str]) -> Evaluation:
    """Answers among the emotions of each corpus, as an evaluation.

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
    """What answers for one corpus are worth.

    Args:
        found: from :func:`answers`.
        above: the confidence from which on an answer is certain.

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
    """What each corpus that was left out shows of a model, as its card holds it.

    Temperature and threshold are not those of the model but found on the answers for the other corpora, so
    that no corpus decides about its own figures; those of a single corpus are its own.

    Args:
        evaluation: under protocol ``corpus``.

    Returns:
        For each corpus what :func:`measured` gives.
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
