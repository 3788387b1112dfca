"""Format confidence intervals over speakers, and flag intervals over few speakers.

The module imports nothing slow, since the web page and the model card print intervals too.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

FEWEST_SPEAKERS = 10
"""Intervals over fewer speakers are flagged when printed. Nominal 95 % intervals over ten normally
distributed speakers cover the true value in about 90 % of cases, over five in 84 %, over two in 50 %."""


def is_of_few(numbers: Mapping[str, float | None]) -> bool:
    """Whether an interval is over fewer than :data:`FEWEST_SPEAKERS` speakers, and so too narrow.

    Args:
        numbers: mapping with ``speakers``, from :meth:`Evaluation.summary`.
    """
    return numbers.get("speakers", FEWEST_SPEAKERS) < FEWEST_SPEAKERS


def percent(value: float | None) -> str:
    """Format a fraction in percent, such as ``"48.2"``; a dash for ``None`` and NaN."""
    return f"{100 * value:.1f}" if value is not None and isfinite(value) else "–"


def with_interval(value: float | None, numbers: Mapping[str, float | None]) -> str:
    """Format a score and its interval in percent, with the number of speakers if there are few.

    Args:
        value: the score, a fraction in [0, 1].
        numbers: ``low``, ``high`` and ``speakers``, from :meth:`Evaluation.summary`. Bundles of earlier
            versions lack ``speakers``.

    Examples:
        >>> with_interval(0.682, {"low": 0.65, "high": 0.716, "speakers": 24})
        '68.2 [65.0, 71.6]'
        >>> with_interval(0.271, {"low": 0.257, "high": 0.284, "speakers": 2})
        '27.1 [25.7, 28.4: of 2 speakers only]'
    """
    if numbers["low"] is None or not isfinite(numbers["low"]):
        return percent(value)
    few = f": of {numbers['speakers']} speakers only" if is_of_few(numbers) else ""
    return f"{percent(value)} [{percent(numbers['low'])}, {percent(numbers['high'])}{few}]"


def over_folds(numbers: Mapping[str, float | None]) -> str:
    """Format the mean and standard deviation over folds in percent; for one fold, its score.

    Args:
        numbers: ``mean`` and ``std``, from :meth:`Evaluation.summary`.

    Examples:
        >>> over_folds({"mean": 0.682, "std": 0.031})
        '68.2 ± 3.1'
    """
    known = numbers["std"] is not None and isfinite(numbers["std"])
    return percent(numbers["mean"]) + (f" ± {percent(numbers['std'])}" if known else "")
