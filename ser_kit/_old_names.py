"""Module names of releases up to 0.5, which still import, with a warning."""

from __future__ import annotations

import functools
import importlib
import sys
import warnings
from collections.abc import Callable
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, ParamSpec, TypeVar

_P, _R = ParamSpec("_P"), TypeVar("_R")

MODULES = {
    "adaptation": "bundles.adaptation",
    "augment": "audio.augment",
    "backend": "core.backend",
    "bundle": "bundles",
    "card": "bundles.card",
    "demo": "app.notebooks",
    "encoders": "features.encoders",
    "errors": "core.errors",
    "estimators": "training.estimators",
    "export": "deploy",
    "folders": "core.paths",
    "graph": "deploy.graph",
    "intervals": "evaluation.intervals",
    "labels": "core.labels",
    "left_out": "evaluation.left_out",
    "modelcard": "bundles.card_page",
    "praat": "audio.praat",
    "predictor": "inference",
    "preprocess": "audio.transforms",
    "probabilities": "core.probabilities",
    "pruning": "recipes.pruning",
    "reproduce": "recipes.reproduce",
    "results": "inference.results",
    "runtime": "bundles.runtime",
    "spectrum": "features.spectra",
    "speech": "inference.speech_check",
    "stream": "inference.stream",
    "threads": "core.parallel",
    "tracks": "plots.tracks",
    "tuning": "recipes.tuning",
    "weights": "bundles.weights",
    "widget": "app",
}
"""Old module -> new one, both below ``ser_kit``."""

NAMES = {
    "ser_kit.features": {
        name: ("ser_kit.extraction", name)
        for name in ("Extraction", "Features", "Store", "extract", "extract_to")
    },
    "ser_kit.audio.augment": {
        **{
            name: ("ser_kit.training.batches", name)
            for name in (
                "BATCH_AUGMENTATIONS", "Babble", "BatchAugmentation", "Mixup", "SpecAugment", "Vary",
                "batch_augmentation",
            )
        },
        "Sometimes": ("ser_kit.audio.augment", "RandomApply"),
    },
    "ser_kit.training.estimators": {
        "Linear": ("ser_kit.training.linear", "Linear"),
        "pretrain": ("ser_kit.training.pretraining", "pretrain"),
    },
    "ser_kit.deploy": {"told": ("ser_kit.deploy", "read_metadata")},
    "ser_kit.corpora": {"losses": ("ser_kit.corpora", "exclusion_counts")},
    "ser_kit.recipes": {"Material": ("ser_kit.recipes", "PreparedData")},
}  # fmt: skip
"""Module -> name that it had -> where it is now, and under which name."""


def warn(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that a name will go."""
    warnings.warn(
        f"{old} is now {new}; the old name goes with the next release", DeprecationWarning, stacklevel
    )


def moved(module: str, otherwise: Callable[[str], Any] | None = None) -> Callable[[str], Any]:
    """The ``__getattr__`` of a module of which some names have moved.

    Args:
        module: one of :data:`NAMES`.
        otherwise: what gives the names that have not, if there are any.
    """

    def get(name: str) -> Any:
        if name in NAMES[module]:
            place, new = NAMES[module][name]
            warn(f"{module}.{name}", f"{place}.{new}")
            return getattr(importlib.import_module(place), new)
        if otherwise is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return otherwise(name)

    return get


class Renamed:
    """An attribute of a class by its old name.

    Args:
        new: its name.
    """

    def __init__(self, new: str):
        self.new = new

    def __set_name__(self, owner: type, name: str) -> None:
        self.names = f"{owner.__name__}.{name}", f"{owner.__name__}.{self.new}"

    def __get__(self, instance: object, owner: type) -> Any:
        warn(*self.names)
        return getattr(owner if instance is None else instance, self.new)


def keywords(**renamed: str) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Decorator of a function that accepts old names of keyword arguments too: ``old="new"``."""

    def decorate(function: Callable[_P, _R]) -> Callable[_P, _R]:
        name = function.__qualname__.removesuffix(".__init__")

        @functools.wraps(function)
        def accepting(*args: _P.args, **kwargs: _P.kwargs) -> _R:
            for old in renamed.keys() & kwargs.keys():
                new = renamed[old]
                warn(f"{name}({old}=...)", f"{name}({new}=...)")
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return accepting

    return decorate


class Finder(MetaPathFinder, Loader):
    """Imports a module of an old name as the new one."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, name = fullname.rpartition(".")
        return ModuleSpec(fullname, self) if package == __package__ and name in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        new = f"{__package__}.{MODULES[module.__name__.rpartition('.')[2]]}"
        warn(module.__name__, new)
        sys.modules[module.__name__] = importlib.import_module(new)


sys.meta_path.insert(0, Finder())  # ahead of what an older version left of its folders
