"""Bundles as single files for other runtimes, and with fewer weights."""

import lazy_loader as _lazy

from .. import _old_names

_public, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
__getattr__ = _old_names.moved(__name__, _public)
