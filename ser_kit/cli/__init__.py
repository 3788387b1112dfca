"""The ``ser-kit`` command."""

from .commands import main

__all__ = ["main"]
