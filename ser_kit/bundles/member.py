"""One model of a bundle, and what rebuilds it."""

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


_BATCH = 32  # clips at a time: what convolutions make of a clip is a hundred times as large as the clip


class Places(NamedTuple):
    """How near clips are to what a model learned from; see :class:`ser_kit.models.experts.Experts`.

    Args:
        sharpness: what the logits of each answer were multiplied by for it, ``float64 [n]``; 1 for models that take no
            notice.
        corpus: place of the corpus that each clip was taken to be of, among the sorted names of all that were learned
            from, ``int [n]``; -1 for none.
    """

    sharpness: np.ndarray
    corpus: np.ndarray

    @classmethod
    def nowhere(cls, clips: int) -> Places:
        """Of so many clips, nothing is known."""
        return cls(np.ones(clips), np.full(clips, -1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Member:
    """One trained network with what belongs to it.

    Args:
        extractor: makes its input of a recording.
        columns: places of the features that it sees, along the last axis.
        scaler: standardises them.
        builder: name in :mod:`ser_kit.models` of what built the network.
        hyperparameters: the builder's arguments.
        model: the network, ``[batch, ..., columns] -> [batch, labels]``.
        weight: how much its word counts, above 0.
    """

    extractor: features.Extractor
    columns: tuple[int, ...]
    scaler: Scaler
    builder: str
    hyperparameters: Mapping[str, Any]
    model: keras.Model
    weight: float = 1.0

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """The network's own probabilities for arrays that the extractor made.

        Args:
            values: ``[n, *extractor.shape]``.

        Returns:
            ``[n, labels]``.
        """
        found = []
        for part in self._batches(values):
            inputs = self.scaler.transform(chosen(part, self.columns))
            found.append(self._forward(inputs))
        return np.concatenate(found)

    def places(self, values: np.ndarray) -> Places:
        """How near clips are to what was learned.

        Args:
            values: ``[n, *extractor.shape]``.
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
                yield values[start : start + _BATCH]
            return
        # One clip at a time, without the zeros that only fill it up to the longest: these would change its last steps.
        for clip in values:
            yield without_filling(clip)[None]

    def stripped(self) -> keras.Model:
        """The network without its optimiser, whose state would treble a file and is of no use for predicting.

        It is built as loading builds it, so that what could not be loaded is not saved.

        Raises:
            BundleError: it could not be loaded.
        """
        try:
            model = self.from_card(self.to_card(), self.model.output_shape[-1]).model
        except SerKitError as error:
            raise BundleError(f"a bundle with this {self.builder!r} network could not be loaded: {error}") from None
        model.set_weights(self.model.get_weights())
        return model

    def to_card(self) -> dict[str, Any]:
        """What ``card.json`` says of it."""
        return {
            "extractor": {
                "name": self.extractor.name,
                "version": self.extractor.version,
                "parameters": self.extractor.parameters,
            },
            "columns": list(self.columns),
            "model": {
                "builder": self.builder,
                "input_shape": list(self.model.input_shape[1:]),
                "version": models.version(self.builder, self.hyperparameters),
                "hyperparameters": models.arguments(self.builder, self.hyperparameters),
                "parameters": int(self.model.count_params()),
            },
            "scaler": {key: rounded(getattr(self.scaler, key), digits=9) for key in ("mean", "scale")},  # exact
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
        """The member that a card describes, its network with first weights.

        Raises:
            SerKitError, KeyError, TypeError, ValueError: the card makes no sense.
        """
        model, extractor = card["model"], extractor_of(card)
        check_version(extractor, card)
        built, version = (
            models.version(model["builder"], model["hyperparameters"]),
            model.get("version", 1),
        )  # cards had none at first
        if built != version:
            raise BundleError(
                f"its network is of version {version} of the builder {model['builder']!r}, this ser_kit builds version "
                f"{built}; train it again"
            )
        check_member(card, extractor)
        network = build(
            model["builder"], tuple(model["input_shape"]), n_labels, model["hyperparameters"], longest(extractor)
        )
        if network.count_params() != model["parameters"]:
            raise BundleError(
                f"its network has {network.count_params():,} numbers; the card says {model['parameters']:,}"
            )
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
    """Whether a member's features are still measured as they were."""
    version = card["extractor"]["version"]
    if extractor.version != version:
        raise BundleError(
            f"it was trained on version {version} of the {extractor.name!r} features, this ser_kit computes version "
            f"{extractor.version}; train it again"
        )


def extractor_of(card: Mapping[str, Any]) -> features.Extractor:
    """The extractor of a member that a card describes."""
    return features.get(card["extractor"]["name"])(**card["extractor"]["parameters"])


def chosen(values: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """The columns that a model sees; the array itself where it sees them all, since it may be large."""
    return values if len(columns) == values.shape[-1] else values[..., list(columns)]


def rounded(values, digits: int = 7) -> list[float]:
    """Plain floats with the seven digits that float32 has; nine of them name one float32 and no other."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=float)]
