"""A bundle: one folder that predicts, ``model.keras`` and ``card.json``, and nothing that runs code when it is loaded.

The card names the builder that makes the network; only weights are read from ``model.keras``, after its hash has been
compared with the card's. So neither a pickle nor a Keras configuration from a stranger is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import features, models
from .errors import BundleError, SerKitError, UnknownNameError
from .evaluation import apply_temperature
from .training import Scaler

if TYPE_CHECKING:
    import keras

FORMAT = 1
_REQUIRED = (
    "format", "name", "labels", "extractor", "columns", "model", "scaler", "temperature", "uncertain_below",
    "strange_above", "typical",
)  # fmt: skip
PRESETS = Path(__file__).parent / "presets"


@dataclass(frozen=True, eq=False)
class Bundle:
    """A trained system with all that is needed to use it.

    Args:
        card: what ``card.json`` holds. Needed to predict: ``labels``, ``extractor`` (name, version, parameters),
            ``columns`` (places of the features used), ``model`` (builder, input_shape, hyperparameters), ``scaler``
            (mean, scale), ``temperature``, ``uncertain_below``, ``typical`` (``"all"`` or an emotion -> functional ->
            mean and standard deviation over the training clips) and ``strange_above``. For people: ``title``,
            ``reference``, ``trained_on``, ``licence``, ``limits``, ``evaluation``, ``versions``.
        model: the network, ``[batch, *input_shape] -> [batch, labels]``.
    """

    card: Mapping[str, Any]
    model: keras.Model

    @property
    def labels(self) -> tuple[str, ...]:
        """Emotions in the order of the model's outputs."""
        return tuple(self.card["labels"])

    @cached_property
    def extractor(self) -> features.Extractor:
        """What makes the model's input of a recording."""
        return features.get(self.card["extractor"]["name"])(**self.card["extractor"]["parameters"])

    @cached_property
    def _scaler(self) -> Scaler:
        return Scaler(*(np.asarray(self.card["scaler"][key], np.float32) for key in ("mean", "scale")))

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        """Calibrated probabilities for arrays that the extractor made.

        Args:
            values: ``[n, *extractor.shape]``.

        Returns:
            ``[n, labels]``, float64; rows sum to 1.
        """
        inputs = self._scaler.transform(np.asarray(values)[..., self.card["columns"]])
        # predict_on_batch: the same numbers whether a clip comes alone or among others, and no per-call data pipeline.
        return apply_temperature(np.asarray(self.model.predict_on_batch(inputs)), self.card["temperature"])

    def save(self, folder: str | os.PathLike) -> Path:
        """Write the bundle; a bundle already there is replaced as a whole or not at all.

        Raises:
            BundleError: the folder exists and is something else than a bundle.
        """
        folder = check_target(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            self.model.save(part / "model.keras")
            card = {**self.card, "model_sha256": _sha256(part / "model.keras")}
            (part / "card.json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            part.chmod(0o755)
            if folder.exists():
                shutil.rmtree(folder)
            part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return folder

    @classmethod
    def load(cls, folder: str | os.PathLike) -> Bundle:
        """Read a bundle.

        Raises:
            BundleError: a file is missing, the card lacks something, the weights are not the card's, or this version
                of ser_kit measures the features in another way than the one that trained the model.
        """
        folder = Path(folder)
        try:
            card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BundleError(f"{folder} is not a bundle: it has no card.json") from None
        except (OSError, ValueError) as error:
            raise BundleError(f"{folder / 'card.json'} cannot be read: {error}") from None
        missing = [key for key in _REQUIRED if not isinstance(card, dict) or key not in card]
        if missing:
            raise BundleError(f"{folder / 'card.json'} lacks {', '.join(missing)}; it was not written by Bundle.save")
        if card["format"] != FORMAT:
            raise BundleError(f"{folder} has bundle format {card['format']!r}; this ser_kit reads {FORMAT}")
        weights = folder / "model.keras"
        if not weights.is_file() or _sha256(weights) != card.get("model_sha256"):
            raise BundleError(f"{weights} is missing or not the file that card.json was written for")
        bundle = cls(card, _rebuild(card, folder))
        if bundle.extractor.version != card["extractor"]["version"]:
            raise BundleError(
                f"{folder} was trained on version {card['extractor']['version']} of the {bundle.extractor.name!r} "
                f"features, this ser_kit computes version {bundle.extractor.version}; train it again"
            )
        try:
            bundle.model.load_weights(weights)
        except Exception as error:  # Keras raises many kinds here
            raise BundleError(f"the weights in {weights} do not fit the model its card names: {error}") from None
        return bundle


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
    """A folder in which a bundle may be saved: one that is not there, is empty, or holds a bundle.

    Raises:
        BundleError: it is something else, which saving would destroy.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / "card.json").is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BundleError(f"{folder} exists and is not a bundle; give a new folder")
    return folder


def _rebuild(card: Mapping, folder: Path) -> keras.Model:
    recipe = card["model"]
    try:
        builder = models.get(recipe["builder"])
        return builder(tuple(recipe["input_shape"]), len(card["labels"]), **recipe["hyperparameters"])
    except (SerKitError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{folder / 'card.json'} names a model that cannot be built: {error}") from None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def preset_names() -> list[str]:
    """Names of the bundles that ship with the package."""
    return sorted(card.parent.name for card in PRESETS.glob("*/card.json"))


def preset_path(name: str) -> Path:
    """Where a shipped bundle lies.

    Raises:
        UnknownNameError: no preset has that name.
    """
    if name not in preset_names():
        raise UnknownNameError("preset", name, preset_names())
    return PRESETS / name
