"""Metrics, confidence intervals, calibration, and results on corpora left out of training."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
