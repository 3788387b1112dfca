"""Operations on class probabilities: temperature, speaker bias, and logarithms.

Examples:
    >>> apply_temperature([[0.8, 0.2]], 2.0).round(3).tolist()
    [[0.667, 0.333]]
"""

from __future__ import annotations

import numpy as np

from .errors import TableError


def apply_temperature(probabilities: np.ndarray, temperature: float | np.ndarray) -> np.ndarray:
    """Make probabilities softer (temperature above 1) or sharper (below 1); the predicted label stays the
    same.

    Args:
        probabilities: rows that sum to 1, ``[n, k]``.
        temperature: above 0, a scalar or ``[n]``; 1 changes nothing.

    Returns:
        Rows that sum to 1, ``float64 [n, k]``.

    Examples:
        >>> apply_temperature([[0.8, 0.2]], 2.0).round(3).tolist()
        [[0.667, 0.333]]
    """
    if not np.all(np.asarray(temperature) > 0):
        raise TableError(f"a temperature must be above 0, not {np.min(temperature)}")
    return softmax(logarithms(probabilities) / np.asarray(temperature, float)[..., None])


def without_habit(probabilities: np.ndarray, habit: np.ndarray) -> np.ndarray:
    """Remove a speaker's bias from probabilities.

    Args:
        probabilities: ``[n, k]``.
        habit: logarithm of how much more often than for other speakers each class is predicted, ``[k]`` or
            ``[n, k]``.

    Returns:
        ``[n, k]``; rows sum to 1.

    Examples:
        >>> without_habit([[0.8, 0.2]], np.log([4, 1])).round(2).tolist()
        [[0.5, 0.5]]
    """
    left = np.asarray(probabilities) * np.exp(-np.asarray(habit))
    return left / left.sum(axis=-1, keepdims=True)


def mean_log(probabilities: np.ndarray) -> np.ndarray:
    """Mean logarithm of probabilities, floored at 0.001 so that no single clip dominates.

    Args:
        probabilities: ``[n, k]``.

    Returns:
        ``float64 [k]``.

    Examples:
        >>> np.exp(mean_log([[0.9, 0.1], [0.1, 0.9]])).round(2).tolist()
        [0.3, 0.3]
    """
    return floored_log(probabilities).mean(axis=0)


def floored_log(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, floored at 0.001, of any shape."""
    return np.log(np.maximum(np.asarray(probabilities, dtype=float), 1e-3))


def logarithms(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, floored at 1e-12.

    Args:
        probabilities: ``[n, k]``.

    Raises:
        TableError: if the array is not two-dimensional, or holds negative or infinite values.
    """
    probabilities = np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise TableError(
            f"probabilities must be finite, not negative and [clips, labels]; got {probabilities.shape}"
        )
    return np.log(np.maximum(probabilities, 1e-12))


def softmax(logits: np.ndarray) -> np.ndarray:
    """Softmax over the rows of logits, ``[n, k]``."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
