"""One Keras model, fitted: batches, weights, seeds, interruption and resume."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
