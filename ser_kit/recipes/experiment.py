"""Experiments described by a TOML file: corpora, recipes, protocols, seeds, settings and outputs.

``ser-kit run`` runs such a file, and every command that trains writes one beside its results.

Examples:
    >>> experiment = Experiment.from_toml('''
    ... corpora = ["ravdess"]
    ... recipes = ["rastogi_mlp"]
    ... seeds = [0, 1, 2]
    ... evaluations = "results"
    ... [changes]
    ... training.epochs = 50
    ... ''')
    >>> experiment.protocols, experiment.changes
    (('speaker',), {'training.epochs': 50})
    >>> Experiment.from_toml(experiment.to_toml()) == experiment
    True
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from .. import corpora, protocols
from ..core.config import Settings, checked
from ..core.errors import RecipeError, SerKitError, UnknownNameError
from ..core.labels import OWN, label_set, labels_of
from ..core.paths import write_whole

if TYPE_CHECKING:
    from .system import System

FILE = "experiment.toml"
OUTPUTS = ("bundle", "evaluations", "records", "tuning")
"""Kinds of output; an experiment has exactly one."""

_PATHS = (*OUTPUTS, "report")
_TEXTS = ("labels", "map", "root", *_PATHS)
_LISTS = {
    "corpora": '["ravdess"]', "recipes": '["rastogi_mlp"]', "protocols": '["speaker"]', "seeds": "[0, 1, 2]",
    "folds": "[1, 2]",
}  # fmt: skip
_SETTINGS = ("changes", "space")
_TABLES = (*_SETTINGS, "made_with")
_NUMBERS = {"seeds": range(2**31), "folds": range(1, 10_001)}
_HEADING = "# An experiment of ser-kit. To run it: ser-kit run FILE\n"


@dataclass(frozen=True, kw_only=True)
class Experiment(Settings):
    """An experiment: corpora, recipes, protocols, seeds, settings and output.

    Args:
        corpora: names of corpora, see :func:`ser_kit.corpora.load`; ``"NAME:PATH"`` gives the folder of a
            corpus.
        recipes: names of recipes or ablations, see :func:`ser_kit.recipes.get`.
        protocols: names of protocols, or ``"published"``.
        seeds: random seeds of folds, initial weights and order of clips, 0 to 2**31 - 1.
        labels: a label set, or emotions separated by commas, or ``"own"`` for labels as they are; by default
            that of each recipe.
        map: CSV file of what labels become, see :func:`ser_kit.corpora.load`.
        root: folder of the corpora without a path of their own.
        changes: changed settings of each recipe, see :meth:`ser_kit.recipes.System.with_settings`.
        folds: numbers of the folds to run, from 1; by default all. Only for ``records``.
        bundle: folder for a trained bundle; needs a single recipe, protocol and seed.
        evaluations: folder for the evaluation of each recipe under each protocol with each seed.
        records: folder for a record of each fold, as ``ser-kit reproduce`` writes them. Changed recipes are
            recorded as ablations.
        tuning: folder for a hyperparameter search; needs a single recipe, protocol and seed.
        space: setting -> list of values to search.
        method: search method, ``"random"`` or ``"grid"``.
        candidates: number of candidates of a random search, 1 to 1,000,000.
        report: Markdown file for the tables that the command prints.
        made_with: the :meth:`environment` and the command of the results; ignored in comparisons.

    Raises:
        RecipeError: if a setting has the wrong type, or contradicts another.
    """

    name: ClassVar[str] = "experiment"
    error: ClassVar[type[SerKitError]] = RecipeError
    valid: ClassVar = {"method": frozenset({"random", "grid"}), "candidates": range(1, 1_000_001)}

    corpora: tuple[str, ...]
    recipes: tuple[str, ...]
    protocols: tuple[str, ...] = ("speaker",)
    seeds: tuple[int, ...] = (0,)
    labels: str = ""
    map: str = ""
    root: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    folds: tuple[int, ...] = ()
    bundle: str = ""
    evaluations: str = ""
    records: str = ""
    tuning: str = ""
    space: Mapping[str, list] = field(default_factory=dict)
    method: str = "random"
    candidates: int = 20
    report: str = ""
    made_with: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self):
        super().__post_init__()
        for key in _TEXTS:
            if not isinstance(getattr(self, key), str):
                raise RecipeError(f"{key}={getattr(self, key)!r} must be a text")
        for key, example in _LISTS.items():
            object.__setattr__(self, key, _list(key, getattr(self, key), example))
        for key in _TABLES:
            if not isinstance(getattr(self, key), Mapping):
                raise RecipeError(f"{key}={getattr(self, key)!r} must be a table of settings and values")
            object.__setattr__(self, key, _without_tuples(getattr(self, key)))
        try:
            json.dumps([self.changes, self.space])
        except TypeError as error:
            raise RecipeError(f"changes and space: values must be JSON-serialisable: {error}") from None
        self._check_output()

    @classmethod
    def _called(cls, key: str) -> str:
        return key

    def _check_output(self) -> None:
        """Check that the settings fit the kind of output."""
        given = [key for key in OUTPUTS if getattr(self, key)]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none"
            raise RecipeError(f"an experiment gives one of {', '.join(OUTPUTS)}; {found}")
        for key in ("recipes", "protocols", "seeds") if self.output in ("bundle", "tuning") else ():
            if len(getattr(self, key)) != 1:
                raise RecipeError(f"{key}={list(getattr(self, key))!r}: a {self.output} is of one; give one")
        if self.folds and self.output != "records":
            raise RecipeError(f"folds={list(self.folds)!r}: only records can be of some folds; leave it out")
        if bool(self.space) != (self.output == "tuning"):
            raise RecipeError("space and tuning go together; give both or none")
        for key, values in self.space.items():
            if not isinstance(values, list) or not values:
                raise RecipeError(f"space: {key}={values!r} must be a list of values, such as [0.001, 0.01]")

    @property
    def output(self) -> str:
        """The kind of output, one of :data:`OUTPUTS`."""
        return next(key for key in OUTPUTS if getattr(self, key))

    def check_names(self) -> None:
        """Check the names of corpora, recipes, protocols, labels and settings.

        Raises:
            RecipeError: if a name is unknown; the message names the key.
        """
        look_up: dict[str, Callable[[], Any]] = {
            "corpora": lambda: list(map(corpora.get, self.corpora)),
            "recipes": lambda: list(map(_recipe, self.recipes)),
            "changes": self.systems,
            "protocols": lambda: list(map(protocol_name, self.protocols)),
            "labels": lambda: label_set(labels_of(self.labels)) if self.labels not in ("", OWN) else None,
            "space": lambda: [self.systems()[0].with_settings({key: v[0]}) for key, v in self.space.items()],
        }
        for key, find in look_up.items():
            try:
                find()
            except SerKitError as error:
                raise RecipeError(f"{key}: {error}") from None

    def systems(self) -> list[System]:
        """The recipes with their changed settings.

        Raises:
            UnknownNameError: if there is no such recipe.
            RecipeError: if a recipe has no such ablation or setting.
            SerKitError: if a value of a setting is not valid.
        """
        listed = ", ".join(f"{key}={json.dumps(value)}" for key, value in self.changes.items())
        found = [
            _recipe(name).with_settings(self.changes, listed if self.records else "") for name in self.recipes
        ]
        for system in found:
            system.check(system.temperature)
        return found

    def environment(self) -> dict[str, str]:
        """Platform, package versions, and a digest of the settings of each recipe."""
        from . import versions

        settings = {f"recipe {system.name}": system.settings for system in self.systems()}
        return {"platform": platform.platform(), **versions(), **settings}

    def to_toml(self) -> str:
        """Write the experiment as TOML text, without empty settings.

        The standard library's tomllib only reads. The file needs neither nested tables nor dates.
        """
        lines, tables = [_HEADING], []
        for key in (each.name for each in fields(self)):
            value = getattr(self, key)
            if not value or (key in ("method", "candidates") and not self.tuning):
                continue
            if key in _TABLES:
                portable = _portable if key in _SETTINGS else str
                tables += [
                    f"\n[{key}]\n",
                    *(f"{_key(name)} = {_toml(portable(v))}\n" for name, v in value.items()),
                ]
            else:
                lines.append(f"{key} = {_toml(list(value) if isinstance(value, tuple) else value)}\n")
        return "".join([*lines, *tables])

    @classmethod
    def from_toml(cls, text: str) -> Self:
        """Read an experiment from TOML text.

        Args:
            text: TOML, see :meth:`to_toml`. In ``changes`` and ``space`` settings may be nested tables, and a
                string that is JSON stands for its value: ``"null"`` for ``None``.

        Raises:
            UnknownNameError: if there is an unknown key.
            RecipeError: if it is not TOML, a key is missing, or a value has the wrong type.
        """
        try:
            given = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise RecipeError(f"not a TOML file: {error}") from None
        known = [each.name for each in fields(cls)]
        for key in given:
            if key not in known:
                raise UnknownNameError("key", key, known)
        for key in ("corpora", "recipes"):
            if key not in given:
                raise RecipeError(f"{key} is missing; give such as {key} = {_LISTS[key]}")
        if isinstance(given.get("labels"), list):
            given["labels"] = ",".join(_list("labels", given["labels"], '["happy", "sad"]'))
        for key in _SETTINGS:
            if isinstance(given.get(key), dict):
                given[key] = _flat(key, given[key])
        return cls(**given)

    @classmethod
    def load(cls, path: str | os.PathLike, out: str | os.PathLike | None = None) -> Self:
        """Read an experiment file; relative paths in it are relative to its folder.

        Args:
            path: the file.
            out: folder that the paths of outputs are relative to instead.

        Raises:
            RecipeError: if the file is missing or not valid; the message names the file and the key.
        """
        path = Path(path)
        try:
            found = cls.from_toml(path.read_text(encoding="utf-8"))
            found.check_names()
        except FileNotFoundError:
            raise RecipeError(f"there is no file {path}") from None
        except UnicodeDecodeError:
            raise RecipeError(f"{path}: not a TOML file: it is not UTF-8 text") from None
        except SerKitError as error:
            raise RecipeError(f"{path}: {error}") from None
        return found._relocated(_inside(path.parent), _inside(path.parent if out is None else out))

    def save(self, path: str | os.PathLike, command: str = "") -> Path:
        """Write the experiment beside its results, with the versions of the packages.

        Paths of outputs are written relative to the file, and paths of corpora as absolute paths. A
        handwritten file of the same experiment is not changed. A file of another experiment is kept, and this
        one is written beside it under another name.

        Args:
            path: the file.
            command: command line that produces the results.

        Returns:
            Path of the file.
        """
        path = Path(os.path.abspath(path))
        folder = path.parent
        folder.mkdir(parents=True, exist_ok=True)
        relative = self._relocated(os.path.abspath, lambda place: os.path.relpath(place, folder))
        bare = replace(relative, made_with={}).to_toml().encode("utf-8", "replace")
        own = path.with_stem(f"{path.stem}-{hashlib.blake2b(bare, digest_size=4).hexdigest()}")
        for place in (path, own):
            try:
                there = Experiment.from_toml(place.read_text(encoding="utf-8"))
            except FileNotFoundError:
                break
            except (SerKitError, UnicodeDecodeError):
                continue
            if there._relocated(_inside(folder), os.path.normpath) == relative:
                if not there.made_with:
                    return place
                break
        made_with = {**self.environment(), "command": command}
        write_whole(place, replace(relative, made_with=made_with).to_toml().encode("utf-8", "replace"))
        return place

    def _relocated(self, source: Callable[[str], str], target: Callable[[str], str]) -> Self:
        """Copy with changed paths of the recordings and of the outputs."""

        def move(text: str, to: Callable[[str], str]) -> str:
            return to(os.path.expanduser(text)) if text else ""

        named = [name.partition(":") for name in self.corpora]
        return replace(
            self,
            corpora=[name + colon + move(root, source) for name, colon, root in named],
            root=move(self.root, source),
            map=move(self.map, source),
            **{key: move(getattr(self, key), target) for key in _PATHS},
        )


def _inside(folder: str | os.PathLike) -> Callable[[str], str]:
    """Function that resolves relative paths against a folder."""
    return lambda place: os.path.normpath(os.path.join(folder, place))


def protocol_name(name: str) -> str:
    """Check the name of a protocol, which may be ``"published"``, and return it.

    Raises:
        UnknownNameError: there is none.
    """
    from . import PUBLISHED

    return name if name == PUBLISHED else protocols.get(name).name


def value_of(text: str) -> Any:
    """Parse the value of a setting: JSON, or else the text itself.

    Examples:
        >>> value_of("0.5"), value_of("null"), value_of("adam")
        (0.5, None, 'adam')
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _recipe(name: str) -> System:
    from . import get

    return get(name)


def _list(key: str, values: Any, example: str) -> tuple:
    """Validate a setting that is a list of numbers or of texts."""
    numbers = _NUMBERS.get(key)
    if not isinstance(values, list | tuple) or not (values or key == "folds"):
        raise RecipeError(f"{key}={values!r} must be a list, such as {example}")
    if numbers is not None:
        return tuple(dict.fromkeys(checked(key, value, numbers, RecipeError) for value in values))
    for value in values:
        if not isinstance(value, str):
            raise RecipeError(f"{key}={values!r} must be a list of texts, such as {example}")
    return tuple(dict.fromkeys(values))


def _flat(key: str, table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested settings to paths, such as ``"training.epochs"``."""
    found = {}
    for name, value in table.items():
        if isinstance(value, dict) and value:
            found |= _flat(key, value, f"{prefix}{name}.")
        elif isinstance(value, str):
            found[prefix + name] = value_of(value)
        else:
            found[prefix + name] = value
    return found


def _without_tuples(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_tuples(each) for key, each in value.items()}
    return list(map(_without_tuples, value)) if isinstance(value, list | tuple) else value


def _portable(value: Any) -> Any:
    """Convert a value for TOML, as JSON text if TOML has no such value; :func:`value_of` is the inverse."""
    if isinstance(value, str):
        return value if value_of(value) == value else json.dumps(value)
    return value if _native(value) else json.dumps(value)


def _native(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_native, value))
    return isinstance(value, bool | int | float | str)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _quoted(text: str) -> str:
    """A TOML string: the escapes are those of JSON, except for the one character that JSON does not
    escape."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
