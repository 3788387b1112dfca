"""Validation of JSON values against a subset of JSON Schema.

The subset is what the files of ser_kit use. It needs the standard library only, so that predicting takes no
extra package.

Examples:
    >>> check({"type": "array", "items": {"type": "number", "minimum": 0}}, [1, 2, -3], "shares")
    Traceback (most recent call last):
    ...
    ser_kit.core.schema.WrongValueError: shares[2]=-3 must be 0 or more
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


class WrongValueError(ValueError):
    """A value does not match its schema; the message names it."""


def check(schema: Mapping[str, Any], value: Any, name: str = "") -> None:
    """Check a value against a schema.

    Args:
        schema: with the keywords ``type``, ``const``, ``enum``, ``minimum``, ``maximum``, ``minLength``,
            ``maxLength``, ``pattern``, ``items`` (a schema, or one for each item), ``minItems``,
            ``maxItems``, ``uniqueItems``, ``required``, ``properties``, ``additionalProperties`` (a schema)
            and ``dependencies`` (lists of names), with their meaning in JSON Schema.
        value: the value, from :func:`json.loads`.
        name: name of the value, for messages.

    Raises:
        WrongValueError: if the value does not match.
    """
    kinds = schema.get("type", ())
    kinds = (kinds,) if isinstance(kinds, str) else kinds
    if kinds and not any(_IS[kind](value) for kind in kinds):
        raise _wrong(name, value, f"must be {' or '.join(_NAMES[kind] for kind in kinds)}")
    if "const" in schema and value != schema["const"]:
        raise _wrong(name, value, f"must be {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        raise _wrong(name, value, f"must be one of {', '.join(map(repr, schema['enum']))}")
    if isinstance(value, str):
        _check_text(schema, value, name)
    elif isinstance(value, list):
        _check_list(schema, value, name)
    elif isinstance(value, dict):
        _check_object(schema, value, name)
    elif _IS["number"](value):
        _check_number(schema, value, name)


def _check_number(schema: Mapping[str, Any], value: float, name: str) -> None:
    if "minimum" in schema and not value >= schema["minimum"]:
        raise _wrong(name, value, f"must be {schema['minimum']:g} or more")
    if "maximum" in schema and not value <= schema["maximum"]:
        raise _wrong(name, value, f"must be {schema['maximum']:g} or less")


def _check_length(least: int | None, most: int | None, of: str, value: str | list, name: str) -> None:
    if least is not None and len(value) < least:
        raise _wrong(name, value, f"must have {least} {of} or more")
    if most is not None and len(value) > most:
        raise _wrong(name, value, f"must have {most} {of} or fewer")


def _check_text(schema: Mapping[str, Any], value: str, name: str) -> None:
    _check_length(schema.get("minLength"), schema.get("maxLength"), "characters", value, name)
    if "pattern" in schema and not re.search(schema["pattern"], value):
        raise _wrong(name, value, f"must match {schema['pattern']}")


def _check_list(schema: Mapping[str, Any], value: list, name: str) -> None:
    _check_length(schema.get("minItems"), schema.get("maxItems"), "entries", value, name)
    if schema.get("uniqueItems") and len({repr(each) for each in value}) < len(value):
        raise _wrong(name, value, "must have no entry twice")
    items = schema.get("items")
    if items is None:
        return
    each_alike = isinstance(items, Mapping)
    for place, each in enumerate(value if each_alike else value[: len(items)]):
        check(items if each_alike else items[place], each, f"{name}[{place}]")


def _check_object(schema: Mapping[str, Any], value: dict, name: str) -> None:
    missing = [key for key in schema.get("required", ()) if key not in value]
    if missing:
        raise WrongValueError(f"{name or 'it'} lacks {', '.join(missing)}")
    for key, others in schema.get("dependencies", {}).items():
        missing = [other for other in others if key in value and other not in value]
        if missing:
            raise WrongValueError(f"{name or 'it'} has {key} and lacks {', '.join(missing)}")
    properties, others = schema.get("properties", {}), schema.get("additionalProperties")
    for key, each in value.items():
        wanted = properties.get(key, others)
        if wanted is not None:
            check(wanted, each, f"{name}.{key}".lstrip("."))


_NAMES = {
    "array": "a list", "boolean": "true or false", "integer": "a whole number", "null": "null",
    "number": "a number", "object": "an object", "string": "text",
}  # fmt: skip
_IS = {
    "array": lambda value: isinstance(value, list),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool))
        or (isinstance(value, float) and value.is_integer())
    ),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "string": lambda value: isinstance(value, str),
}


def _wrong(name: str, value: Any, what: str) -> WrongValueError:
    return WrongValueError(f"{name or 'it'}={short(value)} {what}")


def short(value: Any) -> str:
    """Text of a value for messages, at most 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
