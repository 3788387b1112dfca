"""Keras model builders, by name.

Every builder has the form ``builder(input_shape, n_classes, **hyperparameters) -> keras.Model`` and returns
an uncompiled model that ends in a softmax. Builders use ``keras.layers`` and ``keras.ops`` only, so that a
model runs on every Keras backend, saves, and loads again with ``safe_mode=True``.

Examples:
    >>> from ser_kit import models
    >>> models.get("mlp")((30,), 6).count_params()
    51014
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core.backend import import_keras
from ..core.config import BOOLEAN, Allowed, checked, listed
from ..core.errors import RecipeError
from ..core.parallel import before_tensorflow
from ..core.registry import Registry

if TYPE_CHECKING:
    import keras

__all__ = [
    "BUILDERS",
    "MOST_NETWORKS",
    "NESTED",
    "RENAMED",
    "VERSIONS",
    "arguments",
    "check",
    "get",
    "kernels",
    "names",
    "version",
]

BUILDERS: Registry[Callable] = Registry(
    "model",
    {
        "cnn2d": f"{__name__}.cnn2d:cnn2d",
        "cnn2d_lstm": f"{__name__}.cnn2d:cnn2d_lstm",
        "cnn_bilstm": f"{__name__}.cnn_bilstm:cnn_bilstm",
        "committee": f"{__name__}.committee:committee",
        "continued": f"{__name__}.continued:continued",
        "conv1d_lstm": f"{__name__}.conv1d_lstm:conv1d_lstm",
        "costga": f"{__name__}.costga:costga",
        "dual_view_cnn": f"{__name__}.dual_view_cnn:dual_view_cnn",
        "experts": f"{__name__}.experts:experts",
        "forest": f"{__name__}.forest:forest",
        "lstm": f"{__name__}.lstm:lstm",
        "mlp": f"{__name__}.mlp:mlp",
        "segment_dnn": f"{__name__}.segment_dnn:segment_dnn",
        "svm": f"{__name__}.svm:svm",
        "td_cnn_lstm": f"{__name__}.td_cnn_lstm:td_cnn_lstm",
    },
)
"""Every builder by name; Keras is imported only when one is asked for."""
RENAMED = {"house": "dual_view_cnn"}
"""Old name -> new name. Cards of bundles have old names."""
VERSIONS: dict[str, int] = {}
"""Versions of builders whose networks or defaults have changed; 1 for all others."""
NESTED = frozenset({"committee", "continued"})
"""Builders of networks that hold networks of another builder."""
MOST_NETWORKS = 32
"""Most members of a committee: more would take too long to build when a bundle is loaded."""


def names() -> list[str]:
    """Names of all builders."""
    return sorted(BUILDERS)


def get(name: str) -> Callable:
    """The builder of that name.

    Raises:
        UnknownNameError: there is none.
        ForkedError: TensorFlow has computed in the process that this one was forked from.
    """
    name = RENAMED.get(name, name)
    if name in BUILDERS and import_keras().backend.backend() == "tensorflow":
        before_tensorflow()
    return BUILDERS[name]


def version(name: str, hyperparameters: Mapping[str, Any] | None = None) -> int:
    """Version of a builder's network; weights of another version do not fit, or give other answers.

    Args:
        name: of the builder.
        hyperparameters: its arguments; the version of :data:`NESTED` changes with that of the inner builder.
    """
    within = (hyperparameters or {}).get("builder") if name in NESTED else None
    own, inner = (VERSIONS.get(RENAMED.get(each, each), 1) for each in (name, within))
    return own + inner - 1


def arguments(name: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument of a builder, ready for JSON: those given, and the defaults of the others.

    Args:
        name: of the builder.
        hyperparameters: that differ from the defaults.

    Examples:
        >>> arguments("segment_dnn", {"dropout": 0.1})["dropout"], len(arguments("segment_dnn", {})) > 1
        (0.1, True)
    """
    defaults = {key: each.default for key, each in _settings(name).items() if each.default is not each.empty}
    found = defaults | dict(hyperparameters)
    if name in NESTED:
        found["hyperparameters"] = arguments(found["builder"], found["hyperparameters"] or {})
    return json.loads(json.dumps(found))


def check(name: str, hyperparameters: Mapping[str, Any]) -> None:
    """Whether a builder takes these arguments.

    Raises:
        UnknownNameError: there is no such builder.
        RecipeError: it has no such argument, or the argument cannot have that value; the message says what it
            takes.

    Examples:
        >>> check("mlp", {"dropout": (0.4, 1.5, 0)})
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.RecipeError: each of hyperparameters.dropout=1.5 must be a number from 0 to 0.99
    """
    types = {key: each.annotation for key, each in _settings(name).items()}
    for key, value in hyperparameters.items():
        what = f"hyperparameters.{key}"
        if key not in types:
            raise RecipeError(f"there is no setting {what!r}: {name} has {', '.join(types) or 'none'}")
        kind = types[key].removeprefix("Sequence[").removesuffix("]")
        allowed = _ALLOWED.get((key, kind)) or _ALLOWED.get(kind)
        if allowed is None:  # an inner builder and its arguments
            continue
        if kind == types[key]:
            checked(what, value, allowed, RecipeError)
        else:
            for each in listed(what, value, RecipeError):
                checked(f"each of {what}", each, allowed, RecipeError)


def _settings(name: str) -> dict[str, inspect.Parameter]:
    """The keyword arguments of a builder."""
    taken = inspect.signature(get(name)).parameters.values()
    return {each.name: each for each in taken if each.kind is each.KEYWORD_ONLY}


_ALLOWED: dict[Any, Allowed] = {
    "int": range(1, 4097),
    "float": (0.0, 0.99),
    "bool": BOOLEAN,
    ("members", "int"): range(1, MOST_NETWORKS + 1),
    ("l2", "float"): (0.0, 10.0),
    ("momentum", "float"): (0.0, 0.9999),
    ("pitch", "float"): (0.0, 64.0),
    ("time_masks", "int"): range(101),
    ("band_masks", "int"): range(101),
    ("activation", "str"): frozenset(
        {"elu", "gelu", "relu", "selu", "sigmoid", "silu", "softplus", "softsign", "swish", "tanh"}
    ),
    ("padding", "str"): frozenset({"same", "valid"}),
    ("pool", "str"): frozenset({"last", "mean"}),
} | dict.fromkeys(
    [("trees", "int"), ("nodes", "int"), ("depth", "int"), ("support_vectors", "int"), ("shared", "int")],
    range(1, 10**6 + 1),
)
"""Allowed values of the builders' arguments by type, or by name and type."""


def kernels(model: keras.Model) -> list:
    """The trainable weight matrices of a model: dense, convolutional, recurrent and attention layers.

    Returns:
        Keras variables, in the order of ``model.trainable_variables``.

    Examples:
        >>> network = get("mlp")((30,), 6, units=(8,), dropout=(0,), batch_norm=(True,))
        >>> [tuple(kernel.shape) for kernel in kernels(network)]
        [(30, 8), (8, 6)]
    """
    return [variable for variable in model.trainable_variables if len(variable.shape) > 1]
