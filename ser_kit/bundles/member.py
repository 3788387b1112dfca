"""One network of a bundle, with its features and scaling."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import features, models
from ..audio.transforms import without_filling
from ..core.backend import forward, import_keras
from ..core.errors import BundleError, SerKitError
from ..training.data import Scaler
from .card import check_member, longest
from .weights import build

if TYPE_CHECKING:
    import keras


_BATCH = 32  # clips at a time: outputs of convolutions are a hundred times as large as a clip


class Places(NamedTuple):
    """How near clips are to the training data; see :class:`ser_kit.models.experts.Experts`.

    Args:
        sharpness: factor of each clip's logits, ``float64 [n]``; 1 for models that do not measure the
            distance.
        corpus: index of the training corpus that each clip resembles, in the sorted names of the training
            corpora, ``int [n]``; -1 for none.
    """

    sharpness: np.ndarray
    corpus: np.ndarray

    @classmethod
    def nowhere(cls, clips: int) -> Places:
        """Places of clips that were not measured."""
        return cls(np.ones(clips), np.full(clips, -1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Member:
    """One trained network with its features and scaling.

    Args:
        extractor: computes the features.
        columns: indices of the features that the network uses, along the last axis.
        scaler: standardises the features.
        builder: name of the network's builder in :mod:`ser_kit.models`.
        hyperparameters: the builder's arguments.
        model: the network, ``[batch, ..., columns] -> [batch, labels]``.
        weight: weight in the ensemble, above 0.
    """

    extractor: features.Extractor
    columns: tuple[int, ...]
    scaler: Scaler
    builder: str
    hyperparameters: Mapping[str, Any]
    model: keras.Model
    weight: float = 1.0

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """The network's probabilities, not calibrated.

        Args:
            values: features, ``[n, *extractor.shape]``.

        Returns:
            ``[n, labels]``.
        """
        found = []
        for part in self._batches(values):
            found.append(self._forward(self.scaler.transform(chosen(part, self.columns))))
        return np.concatenate(found)

    def places(self, values: np.ndarray) -> Places:
        """How near clips are to the training data.

        Args:
            values: features, ``[n, *extractor.shape]``.
        """
        measure = getattr(self.model.layers[-1], "places", None)
        if measure is None:
            return Places.nowhere(len(values))
        found = measure(self.scaler.transform(chosen(values, self.columns)))
        sharpness, corpus = (import_keras().ops.convert_to_numpy(each) for each in found)
        return Places(sharpness.astype(float), corpus)

    @cached_property
    def _forward(self) -> Callable[[np.ndarray], np.ndarray]:
        return forward(self.model)

    def _batches(self, values: np.ndarray) -> Iterator[np.ndarray]:
        if self.extractor.shape[0] is not None:
            for start in range(0, len(values), _BATCH):
                yield np.asarray(values[start : start + _BATCH])
            return
        # One clip at a time, without padding, which would change its last steps.
        for clip in values:
            yield without_filling(clip)[None]

    def stripped(self) -> keras.Model:
        """The network without its optimiser, whose state would triple the file size.

        It is rebuilt from its card, so that a network that could not be loaded is not saved.

        Raises:
            BundleError: the network cannot be rebuilt.
        """
        try:
            model = self.from_card(self.to_card(), self.model.output_shape[-1]).model
        except SerKitError as error:
            raise BundleError(f"a bundle with a {self.builder!r} network cannot be loaded: {error}") from None
        model.set_weights(self.model.get_weights())
        return model

    def to_card(self) -> dict[str, Any]:
        """Entry of the member in ``card.json``."""
        return {
            "extractor": {
                "name": self.extractor.name,
                "version": self.extractor.version,
                "parameters": self.extractor.stored(self.extractor.parameters),
            },
            "columns": list(self.columns),
            "model": {
                "builder": self.builder,
                "input_shape": list(self.model.input_shape[1:]),
                "version": models.version(self.builder, self.hyperparameters),
                "hyperparameters": models.arguments(self.builder, self.hyperparameters),
                "parameters": int(self.model.count_params()),
            },
            "scaler": {
                key: rounded(getattr(self.scaler, key), digits=9) for key in ("mean", "scale")
            },  # exact
            "weight": self.weight,
            "weights": self._digest,
        }

    @property
    def _digest(self) -> str:
        digest = hashlib.blake2b(digest_size=16)
        for weights in self.model.get_weights():
            digest.update(np.ascontiguousarray(weights))
        return digest.hexdigest()

    @classmethod
    def from_card(cls, card: Mapping[str, Any], n_labels: int) -> Member:
        """The member described by a card, with initial weights.

        Raises:
            SerKitError, KeyError, TypeError, ValueError: the card is invalid.
        """
        model, extractor = card["model"], extractor_of(card)
        check_version(extractor, card)
        built = models.version(model["builder"], model["hyperparameters"])
        version = model.get("version", 1)  # old cards have none
        if built != version:
            raise BundleError(
                f"its network was built by version {version} of {model['builder']!r}, this ser_kit has "
                f"version {built}; train it again"
            )
        check_member(card, extractor)
        network = build(
            model["builder"],
            tuple(model["input_shape"]),
            n_labels,
            model["hyperparameters"],
            longest(extractor),
        )
        if network.count_params() != model["parameters"]:
            count = network.count_params()
            raise BundleError(f"its network has {count:,} parameters, its card {model['parameters']:,}")
        return cls(
            extractor=extractor,
            columns=tuple(card["columns"]),
            scaler=Scaler(*(np.asarray(card["scaler"][key], np.float32) for key in ("mean", "scale"))),
            builder=model["builder"],
            hyperparameters=model["hyperparameters"],
            model=network,
            weight=float(card["weight"]),
        )


def check_version(extractor: features.Extractor, card: Mapping[str, Any]) -> None:
    """Check that the installed version of the features is the one that the member was trained on."""
    version = card["extractor"]["version"]
    if extractor.version != version:
        raise BundleError(
            f"it was trained on version {version} of the {extractor.name!r} features, this ser_kit computes "
            f"version {extractor.version}; train it again"
        )


def extractor_of(card: Mapping[str, Any]) -> features.Extractor:
    """The extractor of a member, from its card."""
    kind = features.get(card["extractor"]["name"])
    return kind(**kind.current(card["extractor"]["parameters"]))


def chosen(values: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """The columns that a model uses; the array itself if it uses all, to avoid a copy."""
    return values if len(columns) == values.shape[-1] else values[..., list(columns)]


def rounded(values, digits: int = 7) -> list[float]:
    """Floats with ``digits`` significant digits. Nine digits identify a float32 exactly."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=float)]
