"""Keras model builders, by name.

Every builder has the form ``builder(input_shape, n_classes, **hyperparameters) -> keras.Model`` and returns an
uncompiled model that ends in a softmax. Builders use ``keras.layers`` and ``keras.ops`` only, so that a model runs
on every Keras backend, saves, and loads again with ``safe_mode=True``.

Examples:
    >>> from ser_kit import models
    >>> models.get("mlp")((30,), 6).count_params()
    51014
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from ..errors import UnknownNameError

# name -> module: Keras is imported only when a builder is asked for.
_MODULES = {"cnn_bilstm": "recurrent", "mlp": "mlp"}


def names() -> list[str]:
    """Names of all builders."""
    return sorted(_MODULES)


def get(name: str) -> Callable:
    """The builder of that name.

    Raises:
        UnknownNameError: there is none.
    """
    if name not in _MODULES:
        raise UnknownNameError("model", name, _MODULES)
    return getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
