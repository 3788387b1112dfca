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
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:  # what editors and type checkers see
    from .audio import load_audio, read_audio
    from .corpora import load, validate
    from .features import extract
    from .predictor import Prediction, Predictor
    from .recipes import get as recipe

# TensorFlow prints harmless notices on import and on every tf.data pipeline unless told not to before it loads.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Without AVX-512 it leaves oneDNN's kernels off, with which the convolutional recipes train up to three times as fast.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
# Every fold trains a model of its own, which TensorFlow takes for a mistake.
logging.getLogger("tensorflow").addFilter(lambda record: "tf.function retracing" not in str(record.msg))

# name -> (module, attribute): loaded on first use, so that ``import ser_kit`` takes milliseconds.
_LAZY = {
    "load": ("corpora", "load"),
    "validate": ("corpora", "validate"),
    "load_audio": ("audio", "load_audio"),
    "read_audio": ("audio", "read_audio"),
    "extract": ("features", "extract"),
    "recipe": ("recipes", "get"),
    "Predictor": ("predictor", "Predictor"),
    "Prediction": ("predictor", "Prediction"),
}

_MODULES = (
    "adaptation", "audio", "bundle", "corpora", "errors", "evaluation", "features", "labels", "models", "plots",
    "predictor", "protocols", "recipes", "training", "widget",
)  # fmt: skip

__all__ = ["__version__", *_LAZY, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        module, attribute = _LAZY[name]
        return getattr(importlib.import_module(f".{module}", __name__), attribute)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
