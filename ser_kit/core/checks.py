"""What a setting may be, and the sentence that names one that is something else."""

from __future__ import annotations

import numbers
from typing import Any

from .errors import SerKitError

Allowed = tuple[float, float] | range | frozenset
"""A lowest and a highest number, a range of whole numbers, or a set of values of one type."""

BOOLEAN = frozenset({True, False})


def checked(what: str, value: Any, allowed: Allowed, error: type[SerKitError], *, optional: bool = False) -> Any:
    """The value as a plain number, string or bool, if it is allowed.

    Args:
        what: the setting, as it is called in the message.
        value: what it was given.
        allowed: what it may be.
        error: raised where it is something else.
        optional: whether ``None`` is allowed too.

    Raises:
        SerKitError: of the type given; the message says what would be right.

    Examples:
        >>> checked("epochs", 2.5, range(1, 101), ValueError)
        Traceback (most recent call last):
        ...
        ValueError: epochs=2.5 must be a whole number from 1 to 100
    """
    if value is None and optional:
        return None
    also = " or null (None)" if optional else ""
    if isinstance(allowed, frozenset):
        if type(value) is not type(next(iter(allowed))) or value not in allowed:
            raise error(f"{what}={value!r} must be one of {', '.join(map(repr, sorted(allowed)))}{also}")
        return value
    whole = isinstance(allowed, range)
    low, high = (allowed[0], allowed[-1]) if whole else allowed
    right = numbers.Integral if whole else numbers.Real
    if isinstance(value, bool) or not isinstance(value, right) or not low <= value <= high:
        number = "a whole number" if whole else "a number"
        raise error(f"{what}={value!r} must be {number} from {low:.10g} to {high:.10g}{also}")
    return int(value) if whole else float(value)


def listed(what: str, value: Any, error: type[SerKitError]) -> tuple:
    """The value as a tuple, if it is a list or a tuple.

    Raises:
        SerKitError: of the type given, where it is none.
    """
    if not isinstance(value, list | tuple):
        raise error(f"{what}={value!r} must be a list, such as []")
    return tuple(value)
