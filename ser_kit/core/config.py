"""Settings: frozen dataclasses that are checked when they are made, have an identity, and go through JSON.

Steps, batch augmentations, extractors and trainings are such settings. Pydantic would check types too, but
takes a fifth of a second to import, knows no NumPy scalars, and the one line of :attr:`Settings.identity`,
which names features in the store, would still be our own.
"""

from __future__ import annotations

import hashlib
import json
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

from .errors import SerKitError
from .registry import Registry

Allowed = tuple[float, float] | range | frozenset
"""A lowest and a highest number, a range of whole numbers, or a set of values of one type."""

BOOLEAN = frozenset({True, False})


def checked(
    what: str, value: Any, allowed: Allowed, error: type[SerKitError], *, optional: bool = False
) -> Any:
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


def digest(value: Any, *, size: int = 8, sort_keys: bool = False) -> str:
    """A hash of what goes through JSON: equal for equal values, on every machine.

    Args:
        value: what :func:`json.dumps` takes.
        size: bytes of BLAKE2b; the result has twice as many hexadecimal digits.
        sort_keys: whether mappings are equal whatever the order of their keys.

    Examples:
        >>> digest({"a": 1, "b": 2}, sort_keys=True) == digest({"b": 2, "a": 1}, sort_keys=True)
        True
    """
    return hashlib.blake2b(json.dumps(value, sort_keys=sort_keys).encode(), digest_size=size).hexdigest()


def listed(what: str, value: Any, error: type[SerKitError]) -> tuple:
    """The value as a tuple, if it is a list or a tuple.

    Raises:
        SerKitError: of the type given, where it is none.
    """
    if not isinstance(value, list | tuple):
        raise error(f"{what}={value!r} must be a list, such as []")
    return tuple(value)


@dataclass(frozen=True)
class Settings:
    """A frozen dataclass whose fields are settings.

    Numbers given as integers or as NumPy scalars become plain ``float`` or ``int``, so that equal settings
    read the same in :attr:`identity`.
    """

    name: ClassVar[str]
    """What the registry calls it."""
    called: ClassVar[str] = ""
    """In its :attr:`identity`, where the class had another name: what was measured by that name stays
    valid."""
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions, beside NumPy, whose versions decide about what it gives."""
    error: ClassVar[type[SerKitError]] = SerKitError
    """Raised where a setting is something else than it may be."""
    valid: ClassVar[Mapping[str, Allowed]] = {}
    """What a setting of that name may be; ``None`` too where that is its default."""
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of settings of which the first must not exceed the second."""

    def __post_init__(self):
        values = {each.name: each for each in fields(self)}
        for key in filter(self.valid.__contains__, values):
            optional = values[key].default is None or "None" in str(values[key].type)
            value = checked(
                self._called(key), getattr(self, key), self.valid[key], self.error, optional=optional
            )
            object.__setattr__(self, key, value)
        for less, more in self.ordered:
            if values.keys() >= {less, more} and getattr(self, less) > getattr(self, more):
                low, high = getattr(self, less), getattr(self, more)
                raise self.error(f"{self._called(less)}={low:g} must not exceed {more}={high:g}")

    @classmethod
    def _called(cls, key: str) -> str:
        """A setting as messages name it."""
        return f"{cls.name}: {key}"

    @property
    def identity(self) -> str:
        """Class, version and settings in one line."""
        settings = ", ".join(f"{each.name}={_word(getattr(self, each.name))}" for each in fields(self))
        return f"{self.called or type(self).__name__}/{self.version}({settings})"

    @property
    def stands_on(self) -> frozenset[str]:
        """Its :attr:`packages`, and those of the settings among its fields."""
        values = [getattr(self, each.name) for each in fields(self)]
        inner = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
        return frozenset(self.packages).union(
            *(each.stands_on for each in inner if isinstance(each, Settings))
        )

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, ready for JSON; :func:`made` reads it."""
        return {"name": self.name} | {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


def _word(value: Any) -> str:
    """A setting as a word of an identity."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_word, value))}]"
    return value.identity if isinstance(value, Settings) else repr(value)


def _plain(value: Any) -> Any:
    """A setting, ready for JSON."""
    if isinstance(value, tuple):
        return list(map(_plain, value))
    return value.to_dict() if isinstance(value, Settings) else value


_T = TypeVar("_T", bound=Settings)


def made(registry: Registry[type[_T]], described: _T | str | Mapping[str, Any]) -> _T:
    """Settings from a name or from what :meth:`Settings.to_dict` gave; settings are returned as they are.

    Args:
        registry: classes by name.
        described: the name, or a mapping of ``name`` and settings.

    Raises:
        UnknownNameError: the registry has no such name.
        SerKitError: the class has no such setting, or not with this value; of the class's own type.
    """
    if isinstance(described, Settings):
        return described
    settings = {"name": described} if isinstance(described, str) else dict(described)
    kind = registry[settings.pop("name", None)]
    try:
        return kind(**settings)
    except TypeError as error:
        raise kind.error(f"{registry.kind} {kind.name!r}: {error}") from None
