"""Settings of a system: list those that affect its results, and change one by its path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

from ..audio.transforms import Step
from ..core.config import Settings
from ..core.errors import RecipeError
from ..features import Extractor


def type_name(kind: Any) -> str:
    """Name of a type, for messages."""
    if kind is str:
        return "text"
    names = [each.__name__ for each in get_args(kind) or (kind,)]
    return f"{' or '.join(names)}; its settings have names of their own"


def as_path(name: str) -> str:
    """Convert a name to a file name."""
    return re.sub(r"[^\w.+-]+", "_", name)


def decisive(thing: Any) -> Any:
    """Settings that affect the results, JSON-serialisable. Fields that are off (0, ``None``, empty) are
    omitted, so that new options do not change existing digests."""
    if isinstance(thing, Extractor | Step):
        return thing.identity
    if is_dataclass(thing):
        aside = getattr(thing, "descriptive", ())
        values = {each.name: getattr(thing, each.name) for each in fields(thing) if each.name not in aside}
        if hasattr(thing, "stored"):
            values = thing.stored(values)
        return {"kind": type(thing).__name__} | {
            key: decisive(value) for key, value in values.items() if value
        }
    if isinstance(thing, Mapping):
        return {key: decisive(thing[key]) for key in sorted(thing)}
    if isinstance(thing, tuple | list):
        return [decisive(each) for each in thing]
    return thing


def with_setting(thing: Any, path: list[str], value: Any, whole: str) -> Any:
    """Copy a dataclass or mapping with one setting changed."""
    name, *rest = path
    if isinstance(thing, Settings):
        (name,) = thing.current({name: value})
    known = [each.name for each in fields(thing)] if is_dataclass(thing) else []
    if isinstance(value, list):
        value = _tuples(value)  # JSON has no tuples, and lists are not hashable
    if isinstance(thing, Mapping):
        if rest and name not in thing:
            raise RecipeError(
                f"there is no setting {whole!r}: known are {', '.join(map(repr, thing)) or 'none'}"
            )
        return {**thing, name: with_setting(thing[name], rest, value, whole) if rest else value}
    if name not in known:
        raise RecipeError(
            f"there is no setting {whole!r}: {type(thing).__name__} has {', '.join(known) or 'none'}"
        )
    return replace(thing, **{name: with_setting(getattr(thing, name), rest, value, whole) if rest else value})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
