"""One published system of one model, declared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pandas as pd

from .. import _old_names, models
from ..audio.transforms import Step, step
from ..bundles.member import Member, chosen
from ..core.config import BOOLEAN, listed
from ..core.errors import RecipeError, TrainingError
from ..features import Extractor
from ..training.data import Scaler
from ..training.estimators import SVM, Forest
from ..training.linear import Linear
from ..training.loop import fit
from ..training.pretraining import pretrain
from ..training.seeds import seed_everything
from ..training.settings import Training
from .prepared import Split, real_rows
from .system import System

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Recipe(System):
    """One published system of one model, declared.

    Args:
        extractor: feature extractor, which computes the input of the model.
        training: training settings of a network, or a classifier without gradient training.
        model: name of the network in :mod:`ser_kit.models`; empty for a classifier without gradient training.
        hyperparameters: arguments of the network that differ from the defaults.
        scale: standardise the features with the mean and standard deviation of the training clips.
        copies: number of augmented copies of each training clip, 0 to 100.
        augmentation: augmentation steps for the copies, applied after the steps of the extractor.
        corpus_markers: include features that identify a corpus (such as the sample rate).
    """

    extractor: Extractor
    training: Training | Forest | SVM | Linear
    model: str = ""
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    scale: bool = True
    copies: int = 0
    augmentation: tuple[Step, ...] = ()
    corpus_markers: bool = False

    valid: ClassVar = System.valid | {"scale": BOOLEAN, "corpus_markers": BOOLEAN, "copies": range(101)}
    kinds: ClassVar = System.kinds | {
        "extractor": Extractor, "training": Training | Forest | SVM | Linear, "model": str,
        "hyperparameters": Mapping,
    }  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        if self.model in models.RENAMED:
            new = models.RENAMED[self.model]
            _old_names.warn(f"model {self.model!r}", repr(new))
            object.__setattr__(self, "model", new)
        steps = listed("augmentation", self.augmentation, RecipeError)
        object.__setattr__(self, "augmentation", tuple(map(step, steps)))
        if bool(self.model) != isinstance(self.training, Training):
            raise RecipeError(
                f"model={self.model!r} and {type(self.training).__name__} cannot be combined; a network "
                "needs Training, and a classifier without gradient training has no model"
            )
        for setting, model in (("by_segment", "segment_dnn"), ("pretrain", "mlp")):
            if getattr(self.training, setting, None) and self.model != model:
                raise RecipeError(f"training.{setting} is for the network {model!r}, not for {self.model!r}")

    @classmethod
    def stored(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings as in :attr:`settings`, with the earlier name of the model, so that records stay valid."""
        earlier = {new: old for old, new in models.RENAMED.items()}
        return {**settings, "model": earlier.get(settings["model"], settings["model"])}

    def check(self, temperature: float) -> None:
        waits = isinstance(self.training, Training) and (self.training.patience or self.training.halve_after)
        if temperature and waits:
            raise TrainingError(
                "training.patience and training.halve_after need validation clips, but a system with a fixed "
                f"temperature ({temperature:g}) has none: give both as null (None)"
            )

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        return (self.extractor,)

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[int, ...]:
        """Indices of the features that the model uses."""
        return tuple(range(self.extractor.shape[-1])) if self.corpus_markers else self.extractor.model_columns

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the model's input for one clip."""
        return (*self.extractor.shape[:-1], len(self.columns))

    def with_settings(self, changes: Mapping[str, Any], name: str = "") -> Self:
        changed = super().with_settings(changes, name)
        network = [
            (each.model, each.hyperparameters, each.extractor, each.corpus_markers)
            for each in (self, changed)
        ]
        if network[0] == network[1]:
            return changed
        if changed.model:
            models.check(changed.model, changed.hyperparameters)
            try:
                with models.import_keras().StatelessScope(initialize_variables=False):  # shapes only
                    changed.build(2)
            except Exception as error:  # Keras raises many types if layers do not fit
                given = ", ".join(f"{path}={value!r}" for path, value in changes.items())
                reason = str(error).strip().partition("\n")[0]
                raise RecipeError(
                    f"the network {changed.model!r} cannot be built with {given}: {reason}"
                ) from None
        elif changed.hyperparameters:
            unknown = next(iter(changed.hyperparameters))
            raise RecipeError(
                f"there is no setting 'hyperparameters.{unknown}': a classifier without gradient training "
                "has none"
            )
        return changed

    def build(self, n_classes: int) -> keras.Model:
        """Build the uncompiled network.

        Raises:
            RecipeError: if the recipe has no network: its model depends on the training clips.
        """
        if not self.model:
            raise RecipeError(f"{self.name} has no network before training: {self.training}")
        return models.get(self.model)(self.input_shape, n_classes, **self.hyperparameters)

    def train(
        self, split: Split, weights: np.ndarray | None = None
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        found, y, n_classes = (
            split.prepared.features[self.extractor],
            split.prepared.y,
            len(split.prepared.labels),
        )
        train, values = split.note("training", split.train), chosen(found.values, self.columns)
        scaler = self._scaler(values, found.lengths, split)
        x = scaler.transform(values[train])
        histories, hyperparameters = [], self.hyperparameters
        if isinstance(self.training, Training):
            validation = split.note("early stopping", split.validation)
            seed_everything(split.seed)
            model = self.build(n_classes)
            if self.training.pretrain:
                pretrain(model, x, self.training.pretrain, seed=split.seed)
            parts = (
                (x, y[train], found.lengths[train]),
                (values[validation], y[validation], found.lengths[validation]),
            )
            histories.append(self._fit(model, scaler, split, *parts, weights))
            builder = self.model
        else:
            about = {name: split.prepared.table[name].to_numpy()[train] for name in self.training.about}
            model, hyperparameters = self.training.fit(
                x, y[train], n_classes, weights=weights, seed=split.seed, **about
            )
            builder = self.training.model
        member = Member(
            extractor=self.extractor,
            columns=self.columns,
            scaler=scaler,
            builder=builder,
            hyperparameters=hyperparameters,
            model=model,
        )
        return [member], histories

    def refine(self, member: Member, split: Split) -> pd.DataFrame:
        """Train a network further, in place, on the training rows of a split; zero weights stay zero.

        Args:
            member: a member trained by this recipe.
            split: a split of data prepared by this recipe.

        Returns:
            The training history.
        """
        found, y = split.prepared.features[self.extractor], split.prepared.y
        train, values = split.note("training", split.train), chosen(found.values, member.columns)
        x = member.scaler.transform(values[train])
        parts = (x, y[train], found.lengths[train]), (values[:0], y[:0], found.lengths[:0])
        return self._fit(member.model, member.scaler, split, *parts, None, keep_zeros=True)

    def _scaler(self, values: np.ndarray, lengths: np.ndarray, split: Split) -> Scaler:
        if not self.scale:
            return Scaler.identity(values.shape[-1])
        rows = split.note("scaler", split.train)
        return Scaler.fit(values[rows], lengths[rows] if values.ndim == 3 else None)

    def _fit(
        self, model, scaler, split: Split, training, validation, weights, keep_zeros=False
    ) -> pd.DataFrame:
        (x, y, lengths), (raw, y_validation, lengths_validation) = training, validation
        x_validation = scaler.transform(raw)
        table = split.prepared.table
        speakers = table["speaker"].to_numpy()[split.train] if self.training.speaker_penalty else None
        corpora = tuple(table["corpus"].to_numpy()[rows] for rows in (split.train, split.validation))
        if self.training.by_segment:
            # Each segment is an example, with the label and the weight of its clip.
            model = model.get_layer("segment")
            weights = np.repeat(np.ones(len(y)) if weights is None else weights, lengths)
            speakers = None if speakers is None else np.repeat(speakers, lengths)
            corpora = tuple(map(np.repeat, corpora, (lengths, lengths_validation)))
            x, y = real_rows(x, lengths), np.repeat(y, lengths)
            x_validation = real_rows(x_validation, lengths_validation)
            y_validation = np.repeat(y_validation, lengths_validation)
        held_out = (x_validation, y_validation) if len(y_validation) else None
        return fit(
            model, x, y, validation=held_out, training=self.training, weights=weights,
            speakers=speakers, corpora=corpora, seed=split.seed, checkpoint=split.checkpoint(self.name),
            keep_zeros=keep_zeros, progress=split.progress, title=split.title,
        )  # fmt: skip
