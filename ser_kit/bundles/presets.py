"""Bundles that are part of the package."""

from __future__ import annotations

import os
from pathlib import Path

from .._old_names import warn as warn_of_old_name
from ..core.errors import BundleError, UnknownNameError
from ..core.paths import standing

PRESETS = Path(__file__).parents[1] / "presets"


RENAMED = {"house": "from_scratch"}
"""Names of presets up to 0.5, which still load, with a warning."""


def preset_names() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(card.parent.name for card in PRESETS.glob("*/card.json"))


def bundle_path(name: str | os.PathLike) -> Path:
    """Where a bundle lies, by the name of a preset or by its folder.

    Raises:
        BundleError: it is neither.
    """
    if str(name) in preset_names() or (str(name) in RENAMED and not standing(Path(name)).is_dir()):
        return preset_path(str(name))
    if not standing(Path(name)).is_dir():
        raise BundleError(f"{name} is neither a bundle's folder nor a preset ({', '.join(preset_names())})")
    return Path(name)


def preset_path(name: str) -> Path:
    """Where a shipped bundle lies.

    Raises:
        UnknownNameError: no preset has that name.
    """
    if name in RENAMED:
        warn_of_old_name(f"preset {name!r}", repr(name := RENAMED[name]))
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return PRESETS / name
