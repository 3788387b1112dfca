"""The ``ser-kit`` command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def process(*arguments, **settings) -> subprocess.Popen:
    """Start the command; ``env`` is added to the environment, other settings are for Popen."""
    environment = {**os.environ, **settings.pop("env", {})}
    command = [sys.executable, "-m", "ser_kit.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **settings
    )
