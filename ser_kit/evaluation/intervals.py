"""How far intervals over speakers can be relied on."""

from __future__ import annotations

from collections.abc import Mapping

FEWEST_SPEAKERS = 10
"""Speakers below whom an interval is flagged wherever it is printed. Of 95 % intervals drawn from so many normally
distributed speakers about 90 % cover the truth, of those from five speakers 84 %, from two 50 %."""


def is_of_few(numbers: Mapping[str, float | None]) -> bool:
    """Whether an interval comes from fewer than :data:`FEWEST_SPEAKERS`, and promises more than it can hold.

    Args:
        numbers: with ``speakers``, as in :meth:`Evaluation.summary`.
    """
    return numbers.get("speakers", FEWEST_SPEAKERS) < FEWEST_SPEAKERS
