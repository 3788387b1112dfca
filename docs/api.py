"""The API reference: which names are public, where each is described, and a page for every module.

Nothing is listed by hand. A module is public if no part of its name begins with an underscore. Its public names are
those in ``__all__`` or, without one, the functions, classes and documented constants that it defines. A name that is
served in several places is described once, at the shortest path below :mod:`ser_kit`.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import ser_kit

_ROLE = re.compile(r":\w+:`~?([^`]+)`")


def modules() -> list[ModuleType]:
    """All public modules, packages before what is in them.

    A module behind a function of the same name, as ``audit`` of a package that serves ``audit`` from ``audit.py``, is
    left out: its package serves what is public in it.
    """
    found = [ser_kit]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old import paths
        for name in (each.name for each in pkgutil.walk_packages(ser_kit.__path__, "ser_kit.")):
            if "._" not in name:
                module = importlib.import_module(name)
                package, _, last = name.rpartition(".")
                found += [module] if getattr(sys.modules[package], last, module) is module else []
    return found


def public_names(module: ModuleType) -> list[str]:
    """What a module offers, modules left out."""
    if hasattr(module, "__all__"):
        listed = sorted(module.__all__, key=str.lower)
        return [name for name in listed if not inspect.ismodule(getattr(module, name))]
    defined = [
        name
        for name, value in vars(module).items()
        if (inspect.isclass(value) or inspect.isroutine(value)) and value.__module__ == module.__name__
    ]
    return sorted((name for name in {*defined, *constants(module)} if not name.startswith("_")), key=str.lower)


def constants(module: ModuleType) -> dict[str, str]:
    """The module's constants -> the text below each in its source."""
    if not (module.__file__ or "").endswith(".py"):
        return {}
    body = ast.parse(Path(module.__file__).read_text(encoding="utf-8")).body
    found = {}
    for statement, below in zip(body, body[1:], strict=False):
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(targets[0], ast.Name):
            text = getattr(getattr(below, "value", None), "value", None) if isinstance(below, ast.Expr) else None
            if isinstance(text, str):
                found[targets[0].id] = inspect.cleandoc(text)
    return found


def is_described_itself(value: Any) -> bool:
    """Whether a docstring belongs to the object: else it is a constant, whose text stands in the source."""
    return inspect.isclass(value) or inspect.isroutine(value)


class Reference:
    """Where every public name is described.

    Attributes:
        homes: module -> the names described on its page, in order.
        aliases: full name -> the full name under which the same object is described.
    """

    def __init__(self) -> None:
        self.homes: dict[str, list[str]] = {}
        self.aliases: dict[str, str] = {}
        self._texts: dict[tuple[str, int], str] = {}
        known: dict[Any, str] = {}
        found = modules()
        for module in list(sys.modules.values()):
            if module.__name__.partition(".")[0] == ser_kit.__name__:
                for name, text in constants(module).items():
                    self._texts[name, id(getattr(module, name, None))] = text
        for module in sorted(found, key=lambda module: (module is ser_kit, module.__name__.count("."))):
            here = self.homes[module.__name__] = []
            for name in public_names(module):
                value, full = getattr(module, name), f"{module.__name__}.{name}"
                key = id(value) if is_described_itself(value) else (name, id(value))
                if known.setdefault(key, full) == full:
                    here.append(name)
                else:
                    self.aliases[full] = known[key]
        self.homes = {name: self.homes[name] for name in sorted(self.homes)}
        self.described = {f"{module}.{name}" for module, names in self.homes.items() for name in names}
        self._known = known

    def home(self, full: str) -> str | None:
        """The full name under which an object is described that code can also reach as ``full``.

        Returns:
            ``None`` for what is described nowhere, or with what holds it, as a field is with its class.

        Raises:
            LookupError: there is nothing of that name.
        """
        module, _, inside = full.rpartition(".")
        while module and module not in sys.modules:
            module, _, name = module.rpartition(".")
            inside = f"{name}.{inside}"
        value: Any = sys.modules.get(module)
        above = None
        for name in inside.split("."):
            if not hasattr(value, name) and name not in getattr(value, "__annotations__", {}):
                raise LookupError(full)
            value, holder = getattr(value, name, None), value
            described = self._known.get(id(value)) if is_described_itself(value) else self._known.get((name, id(value)))
            above = described or (above and inspect.isclass(holder) and f"{above}.{name}") or None
        return above

    def text(self, module: str, name: str) -> str:
        """What is written about a name."""
        value = getattr(sys.modules[module], name)
        if is_described_itself(value):
            return inspect.getdoc(value) or ""
        return self._texts.get((name, id(value)), "")

    def write(self, folder: Path) -> None:
        """A page for every module."""
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for module in self.homes:
            (folder / f"{module}.rst").write_text("\n".join(self._page(module)) + "\n", encoding="utf-8")

    def _page(self, module: str) -> Iterator[str]:
        yield from (module, "=" * len(module), "", f".. automodule:: {module}", "")
        names = {full.rpartition(".")[2]: at for full, at in self.aliases.items() if full.rpartition(".")[0] == module}
        names |= {name: f"{module}.{name}" for name in self.homes[module]}
        rows = [
            (f":py:obj:`{name} <{at}>`", self.text(*at.rsplit(".", 1)))
            for name, at in sorted(names.items(), key=lambda item: item[0].lower())
        ]
        yield from _table("Names", rows)
        inside = [name for name in self.homes if name.rpartition(".")[0] == module]
        yield from _table("Modules", [(f":doc:`{name}`", sys.modules[name].__doc__ or "") for name in inside])
        if inside:
            short = [f"   {name.rpartition('.')[2]} <{name}>" for name in inside]
            yield from (".. toctree::", "   :hidden:", "", *short, "")
        for name in self.homes[module]:
            yield from self._entry(module, name)

    def _entry(self, module: str, name: str) -> Iterator[str]:
        value = getattr(sys.modules[module], name)
        if inspect.isclass(value):
            kind = "exception" if issubclass(value, BaseException) else "class"
            yield from (f".. auto{kind}:: {module}.{name}", "   :members:", "   :show-inheritance:", "")
        elif inspect.isroutine(value):
            yield from (f".. autofunction:: {module}.{name}", "")
        else:
            yield f".. py:data:: {module}.{name}"
            if len(repr(value)) <= 60 and " at 0x" not in repr(value):
                yield f"   :value: {value!r}"
            yield ""
            yield from (f"   {line}".rstrip() for line in self.text(module, name).splitlines())
            yield ""


def _table(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    """A table of links, each with the first paragraph of a text, whose own links are left out."""
    if rows:
        yield from (f".. rubric:: {title}", "", ".. list-table::", "   :widths: 35 65", "")
        for link, text in rows:
            first = _ROLE.sub(r"``\1``", text.strip().split("\n\n")[0].replace("\n", " "))
            yield from (f"   * - {link}", f"     - {first}")
        yield ""
