"""A bundle: a folder with a trained system, from which no code is run when it is loaded.

``card.json`` names the builders of the networks. Only weights are read from the Keras files, after their
hashes have been compared with the card's; no pickle and no Keras configuration is executed. ``README.md`` is
the model card.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import features, models
from ..core.config import digest
from ..core.errors import BundleError, NoRuntimeWarning
from ..core.paths import file_digest, put, standing, workshop
from ..core.probabilities import apply_temperature
from . import runtime
from .card import FORMAT, check, parsed, printable
from .card import read as read_card
from .files import MOST_RUNTIME, Carried, Unread, check_target, files_of
from .member import Member, Places, check_version, extractor_of

if TYPE_CHECKING:
    from ..audio.recording import Recording
    from .runtime import Runtime

BASELINE = "neutral"
"""The emotion of clips for enrolling a speaker."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained system: one network or an ensemble, with everything needed to predict.

    Args:
        card: content of ``card.json`` without the members. Required to predict: ``labels``, ``combine`` (one
            of :data:`ser_kit.bundles.card_schema.COMBINATIONS`), ``temperature``; for a
            :class:`~ser_kit.inference.predictor.Predictor` also ``uncertain_below``, ``typical`` (``"all"``
            or an emotion -> functional -> mean and standard deviation over the training clips) and, to detect
            recordings unlike the training data, ``strange_above``; to enroll speakers ``baseline`` (label ->
            mean log probability for neutral clips of unseen speakers); to adapt to speakers ``voices`` (see
            :class:`ser_kit.bundles.adaptation.Voices`). Information only: ``title``, ``reference``,
            ``trained_on``, ``licence``, ``limits``, ``evaluation``, ``versions``.
        members: the networks. If the bundle was loaded with its ``model.onnx``, they are read on first use.
        runtime: ONNX Runtime session, used instead of the networks if it was made from this bundle.
    """

    card: Mapping[str, Any]
    members: Sequence[Member]
    runtime: Runtime | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of the outputs."""
        return tuple(self.card["labels"])

    @cached_property
    def described(self) -> list[dict[str, Any]]:
        """Entries of the members in ``card.json``."""
        unread = isinstance(self.members, Unread)
        return self.members.described if unread else [member.to_card() for member in self.members]

    @cached_property
    def identity(self) -> str:
        """Digest of everything that determines the probabilities and the adaptation to speakers."""
        decisive = {
            key: self.card.get(key) for key in ("labels", "combine", "temperature", "prior", "voices")
        }
        members = [{key: each[key] for key in each if key != "sha256"} for each in self.described]
        return digest(printable([decisive, members]), size=16, sort_keys=True)

    def __getstate__(self) -> dict[str, Any]:
        unread = isinstance(self.members, Unread)
        return vars(self) | {"members": self.members if unread else Carried(self.members, len(self.labels))}

    @cached_property
    def _answering(self) -> Runtime | None:
        """The runtime; ``None`` if there is none or the card has changed since it was made."""
        fits = self.runtime is not None and self.runtime.facts["bundle"] == self.identity
        return self.runtime if fits else None

    @cached_property
    def extractors(self) -> tuple[features.Extractor, ...]:
        """Extractors of the members, without duplicates."""
        return tuple(dict.fromkeys(extractor_of(each) for each in self.described))

    @property
    def rate(self) -> int | None:
        """Sampling rate (Hz) to read recordings at; ``None`` if the members need different ones."""
        rates = {extractor.sr for extractor in self.extractors}
        return rates.pop() if len(rates) == 1 else None

    @property
    def parameters(self) -> int:
        """Number of parameters of all networks, trainable or not."""
        return sum(each["model"]["parameters"] for each in self.described)

    def joined(self) -> Bundle:
        """The same bundle with its members merged into one network.

        Only possible if the members differ in nothing but their weights, and vote softly; otherwise the
        bundle is returned unchanged. A merged network is one file, and computes shared first layers once.
        """
        first, *others = self.members
        alike = all(
            (each.extractor, each.columns, each.builder, dict(each.hyperparameters), each.weight)
            == (first.extractor, first.columns, first.builder, dict(first.hyperparameters), first.weight)
            and np.array_equal(each.scaler.mean, first.scaler.mean)
            and np.array_equal(each.scaler.scale, first.scaler.scale)
            for each in others
        )
        few = 0 < len(others) < models.MOST_NETWORKS
        if not few or not alike or self.card["combine"] != "soft":
            return self
        settings = {
            "builder": first.builder,
            "members": len(self.members),
            "hyperparameters": dict(first.hyperparameters),
        }
        model = models.get("committee")(first.model.input_shape[1:], first.model.output_shape[-1], **settings)
        for i, member in enumerate(self.members, start=1):
            model.get_layer(f"member_{i}").set_weights(member.model.get_weights())
        joined = replace(first, builder="committee", hyperparameters=settings, model=model)
        return replace(self, members=(joined,))

    def combined(self, values: Mapping[features.Extractor, np.ndarray]) -> np.ndarray:
        """Combined probabilities of the members, before calibration.

        If the card has the class frequencies of the training data (``prior``), the probabilities are
        corrected to equally frequent classes.

        Args:
            values: features of each extractor, ``[n, *extractor.shape]``.

        Returns:
            ``[n, labels]``, float64; rows sum to 1.
        """
        found = self._agreed(values)
        if "prior" not in self.card:
            return found
        found = found / np.array(self.card["prior"])
        return found / found.sum(axis=1, keepdims=True)

    def _agreed(self, values: Mapping[features.Extractor, np.ndarray]) -> np.ndarray:
        """Probabilities of the ensemble.

        Hard voting adds the mean probability as up to one further vote, which breaks ties but changes no
        majority.
        """
        found = [member.probabilities(values[member.extractor]) for member in self.members]
        found = np.stack(found).astype(float)
        weights = np.array([member.weight for member in self.members])
        mean = np.tensordot(weights / weights.sum(), found, axes=1)
        if self.card["combine"] == "soft" or len(found) == 1:
            return mean
        votes = np.tensordot(weights, np.eye(found.shape[-1])[found.argmax(axis=-1)], axes=1)
        # The weight of the mean is at most the winners' lead over the next class.
        lead = votes.max(axis=1, keepdims=True) - votes
        lead = np.where(lead > 1e-9, lead, np.inf).min(axis=1, keepdims=True)
        share = np.minimum(weights.min(), lead)
        return (votes + share * mean) / (weights.sum() + share)

    def probabilities(self, values: Mapping[features.Extractor, np.ndarray] | np.ndarray) -> np.ndarray:
        """Calibrated probabilities from features.

        Args:
            values: features of each extractor, ``[n, *extractor.shape]``; the array alone if there is only
                one extractor.

        Returns:
            ``[n, labels]``, float64; rows sum to 1.
        """
        if not isinstance(values, Mapping):
            (extractor,) = self.extractors
            values = {extractor: values}
        return apply_temperature(self.combined(values), self.card["temperature"])

    def places(self, values: Mapping[features.Extractor, np.ndarray]) -> Places:
        """How near clips are to the training data; not measured for ensembles.

        Args:
            values: features of each extractor, ``[n, *extractor.shape]``.
        """
        first, *others = self.members
        found = values[first.extractor]
        return Places.nowhere(len(found)) if others else first.places(found)

    def answer(
        self, piece: Recording, values: Mapping[features.Extractor, np.ndarray]
    ) -> tuple[np.ndarray, Places]:
        """Classify one window, with ``model.onnx`` if the bundle has it, otherwise with the networks.

        Args:
            piece: the window, at the bundle's sampling rate.
            values: features of the window that have been computed before.

        Returns:
            Calibrated probabilities, ``float64 [labels]``, and the distance from the training data.
        """
        if self._answering is not None:
            found = self._answering.run(piece.samples)
            return found.probabilities, Places(np.array([found.sharpness]), np.array([found.corpus]))
        values = {
            extractor: (values[extractor] if extractor in values else extractor.extract(piece))[None]
            for extractor in self.extractors
        }
        return self.probabilities(values)[0], self.places(values)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the bundle; an existing bundle is replaced atomically.

        ``model.onnx`` is included if it was made from this bundle (:func:`ser_kit.deploy.with_runtime`).

        Args:
            folder: target folder.

        Returns:
            The folder.

        Raises:
            BundleError: the folder holds other files than a bundle.
            TargetError: the folder cannot be written or replaced.
        """
        from . import card_page

        place = check_target(folder)
        with workshop(place.parent, ".saving-") as unfinished:
            part = unfinished / "bundle"
            part.mkdir()
            described = []
            for member, file in zip(self.members, files_of(len(self.members)), strict=True):
                member.stripped().save(part / file)
                described.append(member.to_card() | {"sha256": file_digest(part / file)})
            fields = {key: value for key, value in self.card.items() if key != "runtime"}
            if self._answering is not None:
                (part / runtime.FILE).write_bytes(self._answering.content)
                fields["runtime"] = {**self.card["runtime"], "sha256": file_digest(part / runtime.FILE)}
            elif "none_since" in self.card.get("runtime", {}):
                fields["runtime"] = self.card["runtime"]
            card = printable({"format": FORMAT, **fields, "members": described})
            text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
            check(parsed(text))
            (part / "card.json").write_text(text, encoding="utf-8")
            (part / "README.md").write_text(card_page.markdown(card), encoding="utf-8")
            put(part, place)
        return Path(folder)

    @classmethod
    def load(cls, folder: str | os.PathLike, *, networks: bool = False) -> Bundle:
        """Read a bundle.

        Args:
            folder: folder of the bundle.
            networks: use the networks even if there is a ``model.onnx``.

        Raises:
            BundleError: a file is missing, the card is invalid (see :mod:`ser_kit.bundles.card`), the weights
                or ``model.onnx`` do not match the card, or this ser_kit computes another version of the
                features.
            ForkedError: the networks are used, and this process was forked from one that had used TensorFlow.

        Warns:
            NoRuntimeWarning: the networks are used because onnxruntime is not installed.
        """
        folder = standing(Path(folder))
        described = read_card(folder / "card.json")
        card = {key: value for key, value in described.items() if key != "members"}
        members = Unread(folder, described["members"], len(described["labels"]))
        try:
            if not networks and "sha256" in card.get("runtime", {}):
                if runtime.available():
                    members.check()
                    return cls(card, members)._with_runtime(folder / runtime.FILE)
                warnings.warn(
                    "onnxruntime is not installed: using TensorFlow, which takes some seconds to load; "
                    "pip install onnxruntime",
                    NoRuntimeWarning,
                    stacklevel=2,
                )
            return cls(card, members.read())
        except BundleError as error:
            raise BundleError(f"{folder}: {error}") from None

    def _with_runtime(self, file: Path) -> Bundle:
        """The same bundle with its ``model.onnx``."""
        again = f"ser-kit export {file.parent} --format bundle writes a bundle with a new one"
        most = 8 * self.parameters + MOST_RUNTIME
        if not file.is_file() or file.stat().st_size > most:
            raise BundleError(f"{file.name} is missing, no regular file, or over {most >> 20} MiB; {again}")
        if file_digest(file) != self.card["runtime"]["sha256"]:
            raise BundleError(f"{file.name} is not the file that card.json describes; {again}")
        for each in self.described:
            check_version(extractor_of(each), each)
        found = runtime.Runtime.open(file)
        facts = found.facts
        if (facts["bundle"], tuple(facts["labels"]), facts["rate"]) != (
            self.identity,
            self.labels,
            self.rate,
        ):
            raise BundleError(f"{file.name} was made from another bundle than card.json describes; {again}")
        return replace(self, runtime=found)


def strangeness(functionals: np.ndarray, typical: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """Squared distance of recordings from a corpus, in standard deviations of each functional.

    Args:
        functionals: rows of :class:`~ser_kit.features.Functionals`, ``[n, features]``.
        typical: functional -> mean and standard deviation over the corpus.

    Returns:
        ``[n, functionals used by models]``; about 1 on average for recordings of the corpus.
    """
    extractor = features.Functionals()
    columns = list(extractor.model_columns)
    mean, deviation = np.array([typical[extractor.feature_names[column]] for column in columns]).T
    return np.square((np.asarray(functionals)[:, columns] - mean) / np.where(deviation > 0, deviation, 1))
