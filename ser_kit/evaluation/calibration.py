"""Calibration: reliability diagrams, the expected calibration error, and temperatures."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from ..core.errors import FewClipsWarning, TableError
from ..core.probabilities import logarithms, softmax

FEWEST_TO_CALIBRATE = 50
"""Clips below which fitting a temperature gives a warning."""

_PRIOR = 0.25
"""Standard deviation of the logarithm of a temperature before any clip is seen: most lie between 0.6 and 1.6.
It weighs about as much as a dozen clips."""


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Accuracy against confidence, in bins of equal width.

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether it was right, ``[n]``.
        bins: number of bins.

    Returns:
        One row per bin: ``low``, ``high`` (edges; the upper one belongs to the bin), ``confidence`` and
        ``accuracy`` (means; NaN in an empty bin) and ``clips``.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.shape != correct.shape or not confidence.size:
        raise TableError(
            f"needs one outcome per confidence, and at least one; got {confidence.shape}, {correct.shape}"
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
    """Mean distance of confidence and accuracy over bins of equal width, weighted by their clips (0 is best).

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether it was right, ``[n]``.
        bins: number of bins.

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
    """The most likely temperature, given held-out labels and a prior that networks need little correction.

    The prior of the temperature's logarithm is normal with mean 0 and standard deviation 0.25. So a few clips
    change it little, where maximum likelihood would make a model certain of everything or of nothing; with
    some hundred clips the prior hardly matters.

    Args:
        probabilities: of held-out clips, ``[n, k]``.
        true_index: position of the true label in each row, ``int [n]``.
        weights: of the clips, ``[n]``; equal by default.

    Returns:
        A temperature in [0.05, 20].

    Warns:
        FewClipsWarning: there are fewer than :data:`FEWEST_TO_CALIBRATE` clips.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.

    Examples:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # ten clips are few
        ...     round(fit_temperature([[0.65, 0.35]] * 10, [0] * 10), 1)  # all right: more confident
        0.9
    """
    from scipy.optimize import minimize_scalar

    logits, true_index = logarithms(probabilities), np.asarray(true_index)
    if true_index.shape != logits.shape[:1] or not len(logits):
        raise TableError(
            f"needs one true label per row, and a row at least; got {true_index.shape} for {logits.shape}"
        )
    if len(logits) < FEWEST_TO_CALIBRATE:
        warnings.warn(
            f"only {len(logits)} clips were held back to calibrate on: take confidences as rough (expected "
            f"{FEWEST_TO_CALIBRATE} or more)",
            FewClipsWarning,
            stacklevel=2,
        )
    rows, counts = np.arange(len(logits)), np.ones(len(logits)) if weights is None else np.asarray(weights)

    def loss(log_temperature: float) -> float:
        likelihood = softmax(logits / np.exp(log_temperature))[rows, true_index]
        return -(counts * np.log(np.maximum(likelihood, 1e-300))).sum() + (log_temperature / _PRIOR) ** 2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
