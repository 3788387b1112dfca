"""Settings: frozen dataclasses that validate their values, have an identity, and convert to and from JSON.

Steps, batch augmentations, extractors and trainings are such settings. Pydantic also checks types, but takes
0.2 s to import and does not accept NumPy scalars; :attr:`Settings.identity`, which names features in the
store, would be needed as well.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import numbers
from abc import ABCMeta
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from .. import _old_names
from .errors import SerKitError
from .registry import Registry

Allowed = tuple[float, float] | range | frozenset
"""The valid values: lowest and highest number, a range of integers, or a set of values of one type."""

BOOLEAN = frozenset({True, False})


def checked(
    what: str, value: Any, allowed: Allowed, error: type[SerKitError], *, optional: bool = False
) -> Any:
    """Validate a value and return it as a plain number, string or bool.

    Args:
        what: name of the setting, for the message.
        value: the value to check.
        allowed: the valid values.
        error: class of the error to raise.
        optional: whether ``None`` is allowed too.

    Raises:
        SerKitError: of the type given, if the value is not valid; the message names the valid values.

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


def text_digest(text: str, *, size: int = 8) -> str:
    """BLAKE2b hash of a text, ``2 * size`` hexadecimal digits."""
    return hashlib.blake2b(text.encode(), digest_size=size).hexdigest()


def digest(value: Any, *, size: int = 8, sort_keys: bool = False) -> str:
    """Hash of a JSON-serialisable value, the same on every machine.

    Args:
        value: any value that :func:`json.dumps` accepts.
        size: bytes of BLAKE2b; the result has twice as many hexadecimal digits.
        sort_keys: ignore the order of keys in mappings.

    Examples:
        >>> digest({"a": 1, "b": 2}, sort_keys=True) == digest({"b": 2, "a": 1}, sort_keys=True)
        True
    """
    return text_digest(json.dumps(value, sort_keys=sort_keys), size=size)


def listed(what: str, value: Any, error: type[SerKitError]) -> tuple:
    """Convert a list or tuple to a tuple.

    Raises:
        SerKitError: of the type given, if the value is neither.
    """
    if not isinstance(value, list | tuple):
        raise error(f"{what}={value!r} must be a list, such as []")
    return tuple(value)


class _SettingsType(ABCMeta):
    """Accepts the earlier names of settings too, see :attr:`Settings.renamed`."""

    if not TYPE_CHECKING:

        def __call__(cls, *args, **settings):
            current = cls.current(settings)
            for new, old in cls.renamed.items():
                if old in settings and old not in current:
                    _old_names.warn(f"{cls.__name__}({old}=...)", f"{cls.__name__}({new}=...)")
            return super().__call__(*args, **current)

        @property
        def __signature__(cls):
            parameters = list(inspect.signature(cls.__init__).parameters.values())
            return inspect.Signature(parameters[1:])


@dataclass(frozen=True)
class Settings(metaclass=_SettingsType):
    """A frozen dataclass whose fields are settings.

    Numbers given as integers or as NumPy scalars become plain ``float`` or ``int``, so that equal settings
    read the same in :attr:`identity`.
    """

    name: ClassVar[str]
    """Name in the registry."""
    called: ClassVar[str] = ""
    """Earlier name of the class, still used in :attr:`identity` so that stored features stay valid."""
    renamed: ClassVar[Mapping[str, str]] = {}
    """Setting -> its earlier name, which is accepted with a warning. Identities, records and cards keep it,
    so that stored features, results and bundles stay valid."""
    added: ClassVar[frozenset[str]] = frozenset()
    """Settings added later: in :attr:`identity` only if not the default, so that stored features stay
    valid."""
    version: ClassVar[int] = 1
    packages: ClassVar[tuple[str, ...]] = ()
    """Distributions, besides NumPy, whose versions affect the result."""
    error: ClassVar[type[SerKitError]] = SerKitError
    """Class of the error raised for an invalid setting."""
    valid: ClassVar[Mapping[str, Allowed]] = {}
    """Valid values by name of the setting; ``None`` is also valid where it is the default."""
    ordered: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of settings; the first must not exceed the second."""

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
        """Name of a setting in messages."""
        return f"{cls.name}: {key}"

    if not TYPE_CHECKING:

        def __getattr__(self, name):
            for new, old in self.renamed.items():
                if name == old and hasattr(self, new):
                    _old_names.warn(f"{type(self).__name__}.{old}", f"{type(self).__name__}.{new}")
                    return getattr(self, new)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @classmethod
    def current(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by their current names."""
        names = {old: new for new, old in cls.renamed.items() if new in cls.__dataclass_fields__}
        # The earlier name wins: dataclasses.replace(extractor, rate=...) passes the present ``sr`` as well.
        first = sorted(settings, key=names.__contains__)
        return {names.get(key, key): settings[key] for key in first}

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings by the names in :attr:`identity`, in records and in cards."""
        return {cls.renamed.get(key, key): value for key, value in settings.items()}

    @property
    def identity(self) -> str:
        """Class, version and settings in one line."""
        values = self.stored({name: _word(getattr(self, name)) for name in self._named()})
        settings = ", ".join(f"{key}={value}" for key, value in values.items())
        return f"{self.called or type(self).__name__}/{self.version}({settings})"

    def _named(self) -> list[str]:
        """Names of the settings in :attr:`identity`."""
        return [
            each.name
            for each in fields(self)
            if each.name not in self.added or getattr(self, each.name) != each.default
        ]

    @property
    def dependencies(self) -> frozenset[str]:
        """Its :attr:`packages`, and those of the settings among its fields."""
        values = [getattr(self, each.name) for each in fields(self)]
        inner = [each for value in values for each in (value if isinstance(value, tuple) else (value,))]
        return frozenset(self.packages).union(
            *(each.dependencies for each in inner if isinstance(each, Settings))
        )

    stands_on = _old_names.Renamed("dependencies")

    def to_dict(self) -> dict[str, Any]:
        """Name and settings, JSON-serialisable; :func:`made` is the inverse."""
        return {"name": self.name} | {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


def _word(value: Any) -> str:
    """A setting as text, for an identity."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_word, value))}]"
    return value.identity if isinstance(value, Settings) else repr(value)


def _plain(value: Any) -> Any:
    """A setting as a JSON-serialisable value."""
    if isinstance(value, tuple):
        return list(map(_plain, value))
    return value.to_dict() if isinstance(value, Settings) else value


_T = TypeVar("_T", bound=Settings)


def made(registry: Registry[type[_T]], described: _T | str | Mapping[str, Any]) -> _T:
    """Create settings from a name or from the result of :meth:`Settings.to_dict`; settings are returned
    unchanged.

    Args:
        registry: classes by name.
        described: settings, a name, or a mapping with the key ``name`` and settings.

    Raises:
        UnknownNameError: if the registry has no such name.
        SerKitError: of the class's own type, if the class has no such setting or a value is not valid.
    """
    if isinstance(described, Settings):
        return described
    settings = {"name": described} if isinstance(described, str) else dict(described)
    kind = registry[settings.pop("name", None)]
    try:
        return kind(**kind.current(settings))
    except TypeError as error:
        raise kind.error(f"{registry.kind} {kind.name!r}: {error}") from None
