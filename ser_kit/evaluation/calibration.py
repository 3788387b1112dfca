"""Calibration: reliability diagrams, expected calibration error, and temperature scaling."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from ..core.errors import FewClipsWarning, TableError
from ..core.probabilities import logarithms, softmax

FEWEST_TO_CALIBRATE = 50
"""Number of clips below which :func:`fit_temperature` warns."""

_PRIOR = 0.25
"""Prior standard deviation of the logarithm of a temperature: most temperatures lie between 0.6 and 1.6. The
prior weighs about as much as a dozen clips."""


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Reliability diagram: accuracy against confidence, in bins of equal width.

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether the prediction was correct, ``[n]``.
        bins: number of bins.

    Returns:
        DataFrame with one row per bin: ``low`` and ``high`` (edges; the bin includes ``high``),
        ``confidence`` and ``accuracy`` (means; NaN for an empty bin) and ``clips``.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.shape != correct.shape or not confidence.size:
        raise TableError(
            f"expected one outcome per confidence, and at least one; got {confidence.shape}, {correct.shape}"
        )
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise TableError("a confidence lies outside 0..1")
    edges = np.linspace(0, 1, bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    clips = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = {
            "confidence": np.bincount(where, confidence, bins) / clips,
            "accuracy": np.bincount(where, correct, bins) / clips,
        }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], **means, "clips": clips})


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins, weighted by clips.

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether the prediction was correct, ``[n]``.
        bins: number of bins.

    Returns:
        A fraction in [0, 1]; 0 is best.

    Source:
        Naeini et al. (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI.

    Examples:
        >>> round(expected_calibration_error([0.9, 0.9], [1, 0]), 3)
        0.4
    """
    table = reliability(confidence, correct, bins)
    gap = (table["confidence"] - table["accuracy"]).abs().fillna(0)
    return float((gap * table["clips"]).sum() / table["clips"].sum())


def fit_temperature(
    probabilities: np.ndarray, true_index: np.ndarray, weights: np.ndarray | None = None
) -> float:
    """Fit a temperature to held-out predictions by maximum a posteriori estimation.

    The prior of the temperature's logarithm is normal with mean 0 and standard deviation 0.25. It keeps the
    temperature near 1 when there are few clips, where maximum likelihood gives extreme values. With a few
    hundred clips the prior hardly matters.

    Args:
        probabilities: probabilities of held-out clips, ``[n, k]``.
        true_index: class index of the true label of each clip, ``int [n]``.
        weights: weight of each clip, ``[n]``; equal by default.

    Returns:
        A temperature in [0.05, 20].

    Warns:
        FewClipsWarning: if there are fewer than :data:`FEWEST_TO_CALIBRATE` clips.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.

    Examples:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # ten clips are few
        ...     round(fit_temperature([[0.65, 0.35]] * 10, [0] * 10), 1)  # all correct: more confident
        0.9
    """
    from scipy.optimize import minimize_scalar

    logits, true_index = logarithms(probabilities), np.asarray(true_index)
    if true_index.shape != logits.shape[:1] or not len(logits):
        raise TableError(f"expected one true label per row; got {true_index.shape} for {logits.shape}")
    if len(logits) < FEWEST_TO_CALIBRATE:
        warnings.warn(
            f"only {len(logits)} clips held out for calibration (expected {FEWEST_TO_CALIBRATE} or more); "
            "confidences are approximate",
            FewClipsWarning,
            stacklevel=2,
        )
    rows, counts = np.arange(len(logits)), np.ones(len(logits)) if weights is None else np.asarray(weights)

    def loss(log_temperature: float) -> float:
        likelihood = softmax(logits / np.exp(log_temperature))[rows, true_index]
        return -(counts * np.log(np.maximum(likelihood, 1e-300))).sum() + (log_temperature / _PRIOR) ** 2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
