"""Intervals over speakers: how they are printed, and how reliable they are.

Nothing heavy is imported here, since the page and the model card print intervals, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

FEWEST_SPEAKERS = 10
"""Intervals over fewer speakers are flagged wherever they are printed. Of 95 % intervals over ten normally
distributed speakers about 90 % cover the true value, over five 84 %, over two 50 %."""


def is_of_few(numbers: Mapping[str, float | None]) -> bool:
    """Whether an interval is over fewer speakers than :data:`FEWEST_SPEAKERS`, and too narrow.

    Args:
        numbers: with ``speakers``, as in :meth:`Evaluation.summary`.
    """
    return numbers.get("speakers", FEWEST_SPEAKERS) < FEWEST_SPEAKERS


def percent(value: float | None) -> str:
    """A fraction in percent, such as ``"48.2"``; a dash for ``None`` and NaN."""
    return f"{100 * value:.1f}" if value is not None and isfinite(value) else "–"


def with_interval(value: float | None, numbers: Mapping[str, float | None]) -> str:
    """A score and its interval in percent, with the number of speakers where they are few.

    Args:
        value: the score.
        numbers: ``low``, ``high`` and ``speakers``, as in :meth:`Evaluation.summary`. Bundles of earlier
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
    """Mean and standard deviation of the folds' scores in percent; with one fold its score.

    Args:
        numbers: ``mean`` and ``std``, as in :meth:`Evaluation.summary`.

    Examples:
        >>> over_folds({"mean": 0.682, "std": 0.031})
        '68.2 ± 3.1'
    """
    known = numbers["std"] is not None and isfinite(numbers["std"])
    return percent(numbers["mean"]) + (f" ± {percent(numbers['std'])}" if known else "")
