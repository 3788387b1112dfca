"""A bundle: one folder that predicts, ``card.json`` and Keras files, and nothing that runs code when it is loaded.

``README.md`` in it is the model card, for people.

The card names the builders that make the networks; only weights are read from the Keras files, after their hashes have
been compared with the card's. So neither a pickle nor a Keras configuration from a stranger is ever executed.
"""

from __future__ import annotations

import hashlib
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
from ..core.errors import BundleError, NoRuntimeWarning
from ..core.paths import put, standing, workshop
from ..core.probabilities import apply_temperature
from . import runtime
from .card import FORMAT, check, parsed, printable
from .card import read as read_card
from .files import MOST_RUNTIME, Unread, check_target, file_digest, files_of
from .member import Member, Places, check_version, extractor_of

if TYPE_CHECKING:
    from ..audio.recording import Recording
    from .runtime import Runtime

BASELINE = "neutral"
"""The emotion that speakers are enrolled with."""


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained system with all that is needed to use it: one network, or several that agree.

    Args:
        card: what ``card.json`` holds beside its members. Needed to predict: ``labels``, ``combine`` (one of
            :data:`ser_kit.bundles.card_schema.COMBINATIONS`), ``temperature``; for a :class:`~ser_kit.inference.predictor.Predictor` also
            ``uncertain_below``, ``typical`` (``"all"`` or an emotion -> functional -> mean and standard deviation over
            the training clips) and, where strange recordings are to be called so, ``strange_above``; to enroll
            speakers ``baseline`` (label -> mean logarithm of its probability for neutral clips of unheard speakers);
            to adapt to them ``voices`` (of :class:`ser_kit.bundles.adaptation.Voices`).
            For people: ``title``, ``reference``, ``trained_on``, ``licence``, ``limits``, ``evaluation``, ``versions``.
        members: the networks. Those of a bundle that was loaded with its ``model.onnx`` are read when they are first
            asked for.
        runtime: answers instead of the networks, where it was made of this bundle.
    """

    card: Mapping[str, Any]
    members: Sequence[Member]
    runtime: Runtime | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions in the order of the outputs."""
        return tuple(self.card["labels"])

    @cached_property
    def described(self) -> list[dict[str, Any]]:
        """What ``card.json`` says of the members."""
        return self.members.described if isinstance(self.members, Unread) else [m.to_card() for m in self.members]

    @cached_property
    def identity(self) -> str:
        """A digest of all that decides about its probabilities, and about what is learned of speakers from them."""
        decisive = {key: self.card.get(key) for key in ("labels", "combine", "temperature", "prior", "voices")}
        members = [{key: each[key] for key in each if key != "sha256"} for each in self.described]
        text = json.dumps(printable([decisive, members]), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @property
    def is_file(self) -> bool:
        """Whether it answers with its ``model.onnx``, and its networks can be read from its folder when they are asked
        for: then it can be pickled as it is."""
        return self._answering is not None and isinstance(self.members, Unread)

    @cached_property
    def _answering(self) -> Runtime | None:
        """What answers instead of the networks; nothing where the card was changed since it was made."""
        return self.runtime if self.runtime is not None and self.runtime.facts["bundle"] == self.identity else None

    @cached_property
    def extractors(self) -> tuple[features.Extractor, ...]:
        """What makes the members' inputs of a recording, each once."""
        return tuple(dict.fromkeys(extractor_of(each) for each in self.described))

    @property
    def rate(self) -> int | None:
        """The rate in Hz to read recordings at; ``None``, their own, where the members want different ones."""
        rates = {extractor.rate for extractor in self.extractors}
        return rates.pop() if len(rates) == 1 else None

    @property
    def parameters(self) -> int:
        """Numbers that the networks hold, trained or not."""
        return sum(each["model"]["parameters"] for each in self.described)

    def joined(self) -> Bundle:
        """The same bundle with one network, where its members differ in their weights only and have an equal say.

        One network is one file, and computes once what all members would begin with.
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
        described = {
            "builder": first.builder,
            "members": len(self.members),
            "hyperparameters": dict(first.hyperparameters),
        }
        model = models.get("committee")(first.model.input_shape[1:], first.model.output_shape[-1], **described)
        for i, member in enumerate(self.members, start=1):
            model.get_layer(f"member_{i}").set_weights(member.model.get_weights())
        return replace(self, members=(replace(first, builder="committee", hyperparameters=described, model=model),))

    def combined(self, values: Mapping[features.Extractor, np.ndarray]) -> np.ndarray:
        """What the members agree on, before calibration.

        Where the card tells how frequent the classes were in training, this is taken off: an answer is then what it
        would be if all of them were equally frequent.

        Args:
            values: ``[n, *extractor.shape]`` of each extractor.

        Returns:
            ``[n, labels]``, float64; rows sum to 1.
        """
        said = self._agreed(values)
        if "prior" not in self.card:
            return said
        said = said / np.array(self.card["prior"])
        return said / said.sum(axis=1, keepdims=True)

    def _agreed(self, values: Mapping[features.Extractor, np.ndarray]) -> np.ndarray:
        """Hard voting counts the members' mean probability as a vote more, or a part of one: it breaks ties and
        overturns nothing."""
        said = np.stack([member.probabilities(values[member.extractor]) for member in self.members]).astype(float)
        weights = np.array([member.weight for member in self.members])
        mean = np.tensordot(weights / weights.sum(), said, axes=1)
        if self.card["combine"] == "soft" or len(said) == 1:
            return mean
        votes = np.tensordot(weights, np.eye(said.shape[-1])[said.argmax(axis=-1)], axes=1)
        # The mean's word is no longer than the lead of the winners over those behind them.
        lead = votes.max(axis=1, keepdims=True) - votes
        lead = np.where(lead > 1e-9, lead, np.inf).min(axis=1, keepdims=True)
        say = np.minimum(weights.min(), lead)
        return (votes + say * mean) / (weights.sum() + say)

    def probabilities(self, values: Mapping[features.Extractor, np.ndarray] | np.ndarray) -> np.ndarray:
        """Calibrated probabilities for arrays that the extractors made.

        Args:
            values: ``[n, *extractor.shape]`` of each extractor; the array alone where there is only one extractor.

        Returns:
            ``[n, labels]``, float64; rows sum to 1.
        """
        if not isinstance(values, Mapping):
            (extractor,) = self.extractors
            values = {extractor: values}
        return apply_temperature(self.combined(values), self.card["temperature"])

    def places(self, values: Mapping[features.Extractor, np.ndarray]) -> Places:
        """How near clips are to what was learned; nothing is known of it where there are several members.

        Args:
            values: ``[n, *extractor.shape]`` of each extractor.
        """
        first, *others = self.members
        found = values[first.extractor]
        return Places.nowhere(len(found)) if others else first.places(found)

    def answer(self, piece: Recording, values: Mapping[features.Extractor, np.ndarray]) -> tuple[np.ndarray, Places]:
        """Calibrated probabilities for one stretch of speech, ``float64 [labels]``, and how near it is to what was
        learned: by ONNX Runtime where the bundle has a file for it, else by its networks.

        Args:
            piece: at the bundle's rate.
            values: features of it that are there already.
        """
        if self._answering is not None:
            said = self._answering.run(piece.samples)
            return said.probabilities, Places(np.array([said.sharpness]), np.array([said.corpus]))
        values = {
            extractor: (values[extractor] if extractor in values else extractor.extract(piece))[None]
            for extractor in self.extractors
        }
        return self.probabilities(values)[0], self.places(values)

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the bundle; a bundle already there is replaced as a whole or not at all.

        With ``model.onnx``, which answers without TensorFlow, where it has one that was made of it:
        :func:`ser_kit.deploy.with_runtime`.

        Raises:
            BundleError: the folder holds something else than a bundle, or more.
            TargetError: nothing can be written there, or a folder there cannot be replaced.
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
            said = {key: value for key, value in self.card.items() if key != "runtime"}
            if self._answering is not None:
                (part / runtime.FILE).write_bytes(self._answering.content)
                said["runtime"] = {**self.card["runtime"], "sha256": file_digest(part / runtime.FILE)}
            elif "none_since" in self.card.get("runtime", {}):
                said["runtime"] = self.card["runtime"]
            card = printable({"format": FORMAT, **said, "members": described})
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
            folder: that it was saved in.
            networks: answer with the networks, though there be a ``model.onnx``.

        Raises:
            BundleError: a file is missing, the card holds something that cannot be used (see :mod:`ser_kit.bundles.card`), the
                weights or ``model.onnx`` are not the card's, or this version of ser_kit measures the features in
                another way than the one that trained the model.
            ForkedError: the networks answer, and TensorFlow has computed in the process that this one was forked from.

        Warns:
            NoRuntimeWarning: the networks answer, since onnxruntime is not installed.
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
                    "onnxruntime is not installed: TensorFlow answers instead, which takes some seconds to load; "
                    "pip install onnxruntime",
                    NoRuntimeWarning,
                    stacklevel=2,
                )
            return cls(card, members.read())
        except BundleError as error:
            raise BundleError(f"{folder}: {error}") from None

    def _with_runtime(self, file: Path) -> Bundle:
        """The same, answering with a file that is this bundle's."""
        again = f"ser-kit export {file.parent} --format bundle makes a bundle with a new one"
        most = 8 * self.parameters + MOST_RUNTIME
        if not file.is_file() or file.stat().st_size > most:
            raise BundleError(f"{file.name} is missing, no regular file, or larger than {most >> 20} MiB; {again}")
        if file_digest(file) != self.card["runtime"]["sha256"]:
            raise BundleError(f"{file.name} is not the file that card.json was written for; {again}")
        for each in self.described:
            check_version(extractor_of(each), each)
        found = runtime.Runtime.open(file)
        said = found.facts
        if (said["bundle"], tuple(said["labels"]), said["rate"]) != (self.identity, self.labels, self.rate):
            raise BundleError(f"{file.name} was made of another bundle than card.json describes; {again}")
        return replace(self, runtime=found)


def strangeness(functionals: np.ndarray, typical: Mapping[str, tuple[float, float]]) -> np.ndarray:
    """How far recordings lie from those of a corpus: squared standard deviations from its means.

    Args:
        functionals: rows of :class:`~ser_kit.features.Functionals`, ``[n, features]``.
        typical: functional -> mean and standard deviation over the corpus.

    Returns:
        ``[n, functionals that models see]``; about 1 on average for recordings like those of the corpus.
    """
    extractor = features.Functionals()
    columns = list(extractor.model_columns)
    mean, deviation = np.array([typical[extractor.feature_names[column]] for column in columns]).T
    return np.square((np.asarray(functionals)[:, columns] - mean) / np.where(deviation > 0, deviation, 1))
