"""Read weights from an untrusted Keras file.

Only files as Keras writes them for our own networks are accepted: a ZIP archive of three known names, with
one HDF5 file of plain arrays, no larger than the network. Configuration in the file is ignored. HDF5 links
and external storage, by which a file could read others, are rejected before Keras opens it.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import models
from ..core.backend import import_keras
from ..core.errors import BundleError

if TYPE_CHECKING:
    import keras

MOST_PARAMETERS = 50_000_000
"""Maximum number of parameters of a network in a bundle; ours have some hundred thousand."""
_NAMES = {"metadata.json", "config.json", "model.weights.h5"}
_WEIGHTS = "model.weights.h5"
_MOST_GROUPS = 20_000
_SLACK = 16 << 20  # bytes besides the parameters: names, groups, configuration
_MOST_SETTINGS, _MOST_NESTED, _LARGEST_NUMBER = 500, 8, 1_000_000
_MOST_DEPTH = 1000  # of a tree, whose levels are evaluated one by one
_MOST_BETWEEN = 20_000_000  # output values of a layer for one clip


def build(
    builder: str,
    input_shape: tuple[int | None, ...],
    n_labels: int,
    settings: Mapping[str, Any],
    longest: int,
) -> keras.Model:
    """Build a network, after a check of its size.

    Args:
        builder: name in :mod:`ser_kit.models`.
        input_shape: without the batch axis.
        n_labels: number of emotions.
        settings: the builder's arguments, from a card.
        longest: maximum length of the axes that are ``None`` in ``input_shape``.

    Raises:
        BundleError: the network would have more than :data:`MOST_PARAMETERS` parameters, too large a layer,
            or settings out of range.
        SerKitError, TypeError, ValueError: the builder rejects the settings.
    """
    _check_settings({"input_shape": input_shape, "n_labels": n_labels, **settings})
    _check_networks(builder, settings)
    make = partial(models.get(builder), n_classes=n_labels, **settings)
    keras = import_keras()
    with keras.StatelessScope(initialize_variables=False):  # shapes only, no weights
        model = make(tuple(longest if length is None else length for length in input_shape))
    parameters, between = model.count_params(), max(_between(model))
    if parameters > MOST_PARAMETERS:
        raise BundleError(f"its network has {parameters:,} parameters; expected at most {MOST_PARAMETERS:,}")
    if between > _MOST_BETWEEN:
        raise BundleError(f"a layer gives {between:,.0f} values per clip; expected at most {_MOST_BETWEEN:,}")
    return make(input_shape)


def most_bytes(parameters: int) -> int:
    """Maximum size (bytes) of the Keras file of a network with this number of parameters."""
    return 16 * parameters + _SLACK


def load(model: keras.Model, path: Path) -> None:
    """Load weights from a Keras file into a network.

    Args:
        model: the network.
        path: the Keras file.

    Raises:
        BundleError: the file holds anything but plain arrays of the network's shapes, or numbers that are not
            finite.
    """
    try:
        _check_file(path, sum(int(np.prod(weight.shape)) for weight in model.weights))
        model.load_weights(path)
    except BundleError:
        raise
    except Exception as error:  # Keras, HDF5 and ZIP raise errors of many kinds
        raise BundleError(f"the weights in {path.name} do not match the model in the card: {error}") from None
    if not all(np.isfinite(weight).all() for weight in model.get_weights() if weight.dtype.kind == "f"):
        raise BundleError(f"the weights in {path.name} hold NaN or infinite numbers")


def _check_settings(settings: Any, networks: int = 1) -> None:
    """Check that no number or list in the settings can make a network of any builder too large.

    Args:
        settings: settings of each network.
        networks: number of networks with these settings; a list entry, which may make a layer, counts for
            each.
    """
    left = [(settings, 0, 1)]
    count = 0
    while left:
        value, depth, times = left.pop()
        count += times
        if count > _MOST_SETTINGS or depth > _MOST_NESTED:
            raise BundleError(f"its network has more than {_MOST_SETTINGS} settings, or too many levels")
        if isinstance(value, int | float) and not abs(value) <= _LARGEST_NUMBER:  # also true for NaN
            raise BundleError(f"its network has a setting of {value}; expected at most {_LARGEST_NUMBER:,}")
        if isinstance(value, Mapping):
            left += [(each, depth + 1, 1) for each in value.values()]
        elif isinstance(value, list | tuple):
            left += [(each, depth + 1, networks) for each in value]


def _check_networks(builder: str, settings: Mapping[str, Any]) -> None:
    """Check that the builder accepts the settings, and that the network can be built within seconds."""
    models.check(builder, settings)
    if builder in models.NESTED:
        inner, hyperparameters = settings.get("builder", "mlp"), settings.get("hyperparameters") or {}
        networks = settings.get("members", 1)
        if inner in models.NESTED or not isinstance(hyperparameters, dict):
            raise BundleError(
                f"a {builder} must hold networks of another builder, and a mapping of arguments"
            )
        _check_settings(hyperparameters, networks)
        _check_networks(inner, hyperparameters)
    if settings.get("depth", 1) > _MOST_DEPTH:
        raise BundleError(f"its trees have depth={settings['depth']}; expected at most {_MOST_DEPTH}")


def _between(model: keras.Model, times: float = 1) -> Iterator[float]:
    """Number of output values of each operation of a network for one clip.

    Args:
        model: the network, built for clips of the maximum length.
        times: how often the network is applied to each clip.
    """
    for operation in model.operations:
        given, taken = math.prod(operation.output.shape[1:]), 0
        # A reshape may cut a clip into parts along the batch axis, and join them again.
        if type(operation).__name__ == "Reshape":
            taken = math.prod(operation.input.shape[1:])
            times *= taken / given
        yield times * given
        if hasattr(operation, "operations"):
            yield from _between(operation, times)


def _check_file(path: Path, parameters: int) -> None:
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        names = [info.filename for info in infos]
        if not set(names) <= _NAMES or len(set(names)) < len(names) or _WEIGHTS not in names:
            unknown = ", ".join(map(repr, (sorted(set(names) - _NAMES) or names)[:3]))
            raise BundleError(f"{path.name} holds {unknown}; expected {', '.join(sorted(_NAMES))}")
        size, most = sum(info.file_size for info in infos), most_bytes(parameters)
        if size > most:
            raise BundleError(f"{path.name} would unpack to {size:,} bytes; expected at most {most:,}")
        content = archive.read(_WEIGHTS)
    _check_arrays(path, content, parameters)


def _check_arrays(path: Path, content: bytes, parameters: int) -> None:
    import h5py

    total, seen = 0, set()
    with h5py.File(io.BytesIO(content), "r") as file:
        left = [file["/"]]
        while left:
            group = left.pop()
            place = h5py.h5o.get_info(group.id).addr
            if place in seen or len(seen) > _MOST_GROUPS:
                raise BundleError(f"{path.name} holds recursive groups, or more than {_MOST_GROUPS:,}")
            seen.add(place)
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise BundleError(f"{path.name} holds a link at {group.name}/{name}")
                thing = group[name]
                if isinstance(thing, h5py.Group):
                    left.append(thing)
                elif thing.is_virtual or thing.external or thing.dtype.kind not in "fiub":
                    raise BundleError(f"{path.name} does not hold a plain array of numbers at {thing.name}")
                else:
                    total += thing.size
                if total > 2 * parameters + 1000:
                    raise BundleError(f"{path.name} holds more numbers than its network ({parameters:,})")
