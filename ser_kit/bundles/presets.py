"""Bundles that ship with the package."""

from __future__ import annotations

import os
from pathlib import Path

from .._old_names import warn as warn_of_old_name
from ..core.errors import BundleError, UnknownNameError
from ..core.paths import standing

PRESETS = Path(__file__).parents[1] / "presets"
RENAMED = {"house": "from_scratch"}
"""Old name -> new name. Old names (up to 0.5) still load, with a warning."""


def preset_names() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(card.parent.name for card in PRESETS.glob("*/card.json"))


def bundle_path(name: str | os.PathLike) -> Path:
    """Folder of a bundle, from the name of a preset or the folder itself.

    Raises:
        BundleError: ``name`` is neither.
    """
    if str(name) in preset_names() or (str(name) in RENAMED and not standing(Path(name)).is_dir()):
        return preset_path(str(name))
    if not standing(Path(name)).is_dir():
        raise BundleError(f"{name} is neither a bundle folder nor a preset ({', '.join(preset_names())})")
    return Path(name)


def preset_path(name: str) -> Path:
    """Folder of a bundle that ships with the package.

    Raises:
        UnknownNameError: no preset has that name.
    """
    if name in RENAMED:
        warn_of_old_name(f"preset {name!r}", repr(name := RENAMED[name]))
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return PRESETS / name
