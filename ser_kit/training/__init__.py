"""Training of a single model: settings, batches, seeds, checkpoints and estimators."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
