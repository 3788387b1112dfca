"""Features of whole clip tables: in parallel, on a cluster, and kept in a store."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
