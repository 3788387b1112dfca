"""A bundle: one folder that predicts, ``card.json`` and Keras files, and nothing that runs code when it is loaded.

``README.md`` in it is the model card, for people.

The card names the builders that make the networks; only weights are read from the Keras files, after their hashes have
been compared with the card's. So neither a pickle nor a Keras configuration from a stranger is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import features, models
from ..audio.transforms import without_filling
from ..core.backend import forward, import_keras
from ..core.errors import BundleError, NoRuntimeWarning, SerKitError, UnknownNameError
from ..core.parallel import before_tensorflow
from ..core.paths import put, replaceable, standing, workshop
from ..core.probabilities import apply_temperature
from ..training.data import Scaler
from . import runtime
from .card import FORMAT, check, check_member, longest, parsed, printable
from .card import read as read_card
from .weights import build, most_bytes
from .weights import load as load_weights

if TYPE_CHECKING:
    import keras

    from ..audio.recording import Recording
    from .runtime import Runtime

BASELINE = "neutral"
"""The emotion that speakers are enrolled with."""
PRESETS = Path(__file__).parents[1] / "presets"
_OWN = re.compile(r"card\.json|README\.md|model\.onnx|model(_\d+)?\.keras")
_MOST_RUNTIME = 8 << 20  # bytes of ``model.onnx`` beside its weights: filters, Fourier transforms, the graph
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
        model, extractor = card["model"], _extractor(card)
        _check_version(extractor, card)
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


def _extractor(card: Mapping[str, Any]) -> features.Extractor:
    """The extractor of a member that a card describes."""
    return features.get(card["extractor"]["name"])(**card["extractor"]["parameters"])


def chosen(values: np.ndarray, columns: Sequence[int]) -> np.ndarray:
    """The columns that a model sees; the array itself where it sees them all, since it may be large."""
    return values if len(columns) == values.shape[-1] else values[..., list(columns)]


def rounded(values, digits: int = 7) -> list[float]:
    """Plain floats with the seven digits that float32 has; nine of them name one float32 and no other."""
    return [float(f"{value:.{digits}g}") for value in np.asarray(values, dtype=float)]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained system with all that is needed to use it: one network, or several that agree.

    Args:
        card: what ``card.json`` holds beside its members. Needed to predict: ``labels``, ``combine`` (one of
            :data:`ser_kit.bundles.card.COMBINATIONS`), ``temperature``; for a :class:`~ser_kit.inference.predictor.Predictor` also
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
        return self.members.described if isinstance(self.members, _Unread) else [m.to_card() for m in self.members]

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
        return self._answering is not None and isinstance(self.members, _Unread)

    @cached_property
    def _answering(self) -> Runtime | None:
        """What answers instead of the networks; nothing where the card was changed since it was made."""
        return self.runtime if self.runtime is not None and self.runtime.facts["bundle"] == self.identity else None

    @cached_property
    def extractors(self) -> tuple[features.Extractor, ...]:
        """What makes the members' inputs of a recording, each once."""
        return tuple(dict.fromkeys(_extractor(each) for each in self.described))

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
            for member, file in zip(self.members, _files(len(self.members)), strict=True):
                member.stripped().save(part / file)
                described.append(member.to_card() | {"sha256": _sha256(part / file)})
            said = {key: value for key, value in self.card.items() if key != "runtime"}
            if self._answering is not None:
                (part / runtime.FILE).write_bytes(self._answering.content)
                said["runtime"] = {**self.card["runtime"], "sha256": _sha256(part / runtime.FILE)}
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
        members = _Unread(folder, described["members"], len(described["labels"]))
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
        most = 8 * self.parameters + _MOST_RUNTIME
        if not file.is_file() or file.stat().st_size > most:
            raise BundleError(f"{file.name} is missing, no regular file, or larger than {most >> 20} MiB; {again}")
        if _sha256(file) != self.card["runtime"]["sha256"]:
            raise BundleError(f"{file.name} is not the file that card.json was written for; {again}")
        for each in self.described:
            _check_version(_extractor(each), each)
        found = runtime.Runtime.open(file)
        said = found.facts
        if (said["bundle"], tuple(said["labels"]), said["rate"]) != (self.identity, self.labels, self.rate):
            raise BundleError(f"{file.name} was made of another bundle than card.json describes; {again}")
        return replace(self, runtime=found)


class _Unread(Sequence):
    """The members of a saved bundle, which are read when they are first asked for: TensorFlow takes long to load.

    Args:
        folder: of the bundle.
        described: what its card says of each.
        labels: how many.
    """

    def __init__(self, folder: Path, described: Sequence[Mapping[str, Any]], labels: int):
        self.folder, self.labels = folder, labels
        self.described = [dict(each) for each in described]
        self._found: tuple[Member, ...] = ()

    def check(self) -> None:
        """Whether the files are there and the card's."""
        for card, file in zip(self.described, _files(len(self.described)), strict=True):
            _check_file(card, self.folder / file)

    def read(self) -> tuple[Member, ...]:
        """The members."""
        if not self._found:
            before_tensorflow()
            files = _files(len(self.described))
            self._found = tuple(
                _load_member(card, self.folder / file, self.labels)
                for card, file in zip(self.described, files, strict=True)
            )
        return self._found

    def __getstate__(self):
        return {**vars(self), "_found": ()}

    def __len__(self):
        return len(self.described)

    def __getitem__(self, place):
        return self.read()[place]


def _files(members: int) -> list[str]:
    """Names of the members' files, which a card has no say in."""
    return ["model.keras"] if members == 1 else [f"model_{i}.keras" for i in range(1, members + 1)]


def _check_version(extractor: features.Extractor, card: Mapping[str, Any]) -> None:
    """Whether a member's features are still measured as they were."""
    version = card["extractor"]["version"]
    if extractor.version != version:
        raise BundleError(
            f"it was trained on version {version} of the {extractor.name!r} features, this ser_kit computes version "
            f"{extractor.version}; train it again"
        )


def _check_file(card: Mapping[str, Any], weights: Path) -> None:
    # Its size first: a file may be said to be as long as one likes, and a pipe has no end.
    if not weights.is_file() or weights.stat().st_size > most_bytes(card["model"]["parameters"]):
        raise BundleError(f"{weights.name} is missing, no regular file, or larger than its network's weights can be")
    if _sha256(weights) != card["sha256"]:
        raise BundleError(f"{weights.name} is not the file that card.json was written for")


def _load_member(card: Mapping[str, Any], weights: Path, n_labels: int) -> Member:
    _check_file(card, weights)
    try:
        member = Member.from_card(card, n_labels)
    except (SerKitError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the network of {weights.name} cannot be built: {error}") from None
    load_weights(member.model, weights)
    return member


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


def check_target(folder: str | os.PathLike) -> Path:
    """Where a bundle may be saved: a folder that is not there, is empty, or holds a bundle and nothing else.

    To be called before the training whose bundle it is for.

    Returns:
        The absolute path, without links.

    Raises:
        BundleError: it holds something else, which saving would destroy.
        TargetError: nothing can be written there, or a folder there cannot be replaced.
    """
    place = Path(os.path.realpath(folder))
    if place.exists() and not (place / "card.json").is_file() and (not place.is_dir() or any(place.iterdir())):
        raise BundleError(f"{folder} exists and is not a bundle; give a new folder")
    others = sorted(each.name for each in place.glob("*") if not (_OWN.fullmatch(each.name) and each.is_file()))
    if others:
        raise BundleError(
            f"{folder} holds {', '.join(others[:3])} beside its bundle, and is replaced as a whole; give a new folder, "
            "or move what is not the bundle's elsewhere"
        )
    return replaceable(folder)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def preset_names() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(card.parent.name for card in PRESETS.glob("*/card.json"))


def bundle_path(name: str | os.PathLike) -> Path:
    """Where a bundle lies, by the name of a preset or by its folder.

    Raises:
        BundleError: it is neither.
    """
    if str(name) in preset_names():
        return preset_path(str(name))
    if not standing(Path(name)).is_dir():
        raise BundleError(f"{name} is neither a bundle's folder nor a preset ({', '.join(preset_names())})")
    return Path(name)


def preset_path(name: str) -> Path:
    """Where a shipped bundle lies.

    Raises:
        UnknownNameError: no preset has that name.
    """
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return PRESETS / name
