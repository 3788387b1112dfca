"""The ``ser-kit`` command."""

from .main import main

__all__ = ["main"]
