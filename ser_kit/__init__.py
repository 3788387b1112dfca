"""Speech emotion recognition: corpora, features, models, honest evaluation, prediction.

Examples:
    >>> import ser_kit
    >>> table = ser_kit.load("demo")                                   # a corpus becomes a clip table
    >>> print(ser_kit.recipe("rastogi_mlp").run(table))                # doctest: +SKIP
    >>> ser_kit.Predictor.from_preset().predict("clip.wav").emotion    # doctest: +SKIP
    'angry'
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import Any

import lazy_loader

from . import _old_names
from ._version import __version__ as __version__

# TensorFlow prints harmless notices on import and in every tf.data pipeline unless this is set before.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without AVX-512 it turns oneDNN's kernels off, with which convolutional recipes train up to three times as
# fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Every fold trains a model of its own, which TensorFlow takes for a mistake.
logging.getLogger("tensorflow").addFilter(lambda record: "tf.function retracing" not in str(record.msg))

# The public names are listed in ``__init__.pyi``; each is imported on first use,
# to keep ``import ser_kit`` fast.
_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)


def __getattr__(name: str) -> Any:
    if name in _old_names.MODULES and name not in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    return _public(name)
