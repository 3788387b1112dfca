"""``ser-kit show-versions``."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
from typing import TYPE_CHECKING

from .._version import __version__
from .arguments import Command
from .output import Result

if TYPE_CHECKING:
    from rich.console import Console


def _show_versions(args: argparse.Namespace) -> Result:
    import platform  # here, since importing metadata takes 20 ms
    from importlib import metadata

    found = {"ser-kit": __version__, "python": platform.python_version(), "platform": platform.platform()}
    required = metadata.requires("ser-kit") or []
    for name in dict.fromkeys(re.match(r"[\w.-]+", requirement)[0].lower() for requirement in required):
        found[name] = None
        for alias in (f"{name}-cpu", name):  # TensorFlow's CPU build has another name
            with contextlib.suppress(metadata.PackageNotFoundError):
                found[name] = metadata.version(alias)
    found["cores"] = os.cpu_count()
    found["SER_KIT_DATA"] = os.environ.get("SER_KIT_DATA")

    def show(console: Console) -> None:
        for name, version in found.items():
            console.print(f"{name:<18} {'–' if version is None else version}", soft_wrap=True)

    return Result(found, show)


SHOW_VERSIONS = Command(
    "show-versions",
    _show_versions,
    lambda parser: None,
    "Show versions, for bug reports.",
    ["ser-kit show-versions"],
)
