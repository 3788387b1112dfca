"""Registries by name: of corpora, extractors, protocols, models, recipes and steps."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import TypeVar

from .errors import UnknownNameError

T = TypeVar("T")


class Registry(MutableMapping[str, T]):
    """Named objects of one kind, in insertion order.

    An object that is slow to import is entered as ``"package.module:attribute"``, and imported on first
    access. So names and help texts are available without importing anything.

    Args:
        kind: the kind of object in messages, such as ``"model"``.
        entries: name -> the object, or where to import it from.

    Examples:
        >>> constants = Registry("constant", {"pi": "math:pi"})
        >>> constants["e"] = 2.71828
        >>> list(constants), round(constants["pi"], 2)
        (['pi', 'e'], 3.14)
        >>> constants["phi"]
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.UnknownNameError: unknown constant 'phi'; did you mean 'pi'? Known: e, pi
    """

    def __init__(self, kind: str, entries: Mapping[str, T | str] | None = None):
        self.kind = kind
        self._entries: dict[str, T | str] = dict(entries or {})

    @classmethod
    def of(cls, kind: str, *things: T) -> Registry[T]:
        """Create a registry of objects that have a ``name``."""
        return cls(kind, {thing.name: thing for thing in things})

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise UnknownNameError(self.kind, name, self._entries)
        thing = self._entries[name]
        if isinstance(thing, str):
            module, _, attribute = thing.partition(":")
            thing = importlib.import_module(module)
            thing = self._entries[name] = getattr(thing, attribute) if attribute else thing
        return thing

    def get(self, name: str, default: T | None = None) -> T | None:
        """The object of that name, or the default."""
        return self[name] if name in self else default  # noqa: SIM401 - Mapping.get expects a KeyError

    def __setitem__(self, name: str, thing: T | str) -> None:
        self._entries[name] = thing

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def enter(self, thing: T) -> T:
        """Enter an object under its own ``name``; can be used as a decorator."""
        self[thing.name] = thing
        return thing

    def named(self, name: str) -> Callable[[T], T]:
        """Decorator that enters an object under this name."""

        def enter(thing: T) -> T:
            self[name] = thing
            return thing

        return enter
