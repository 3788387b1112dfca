"""What a system is, and how one is run under a protocol or fitted for use.

A :class:`System` is anything that can be trained on the clips of a table and named: a :class:`Recipe` (one
model) or an :class:`~ser_kit.recipes.Ensemble` (several that vote). Running, testing and the bundle's card
are the same for all.
"""

from __future__ import annotations

import re
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from .. import _old_names, protocols
from ..audio.transforms import Step
from ..bundles.bundle import Bundle
from ..bundles.member import Member
from ..core.config import BOOLEAN, Allowed, checked, digest
from ..core.errors import LabelError, RecipeError, SerKitError, TableError, TrainingError
from ..core.labels import EMOTIONS
from ..evaluation.calibration import fit_temperature
from ..evaluation.record import Evaluation
from ..extraction import Features, extract
from ..features import Extractor
from .changes import as_path, decisive, type_name, with_setting
from .final import across_corpora, answering, calibrate, card, versions, with_temperature
from .prepared import PreparedData, Split, class_shares, same_rows, tested_rows, with_copies
from .published import PUBLISHED, Published


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """What recipes and ensembles have in common.

    Args:
        name: how it is asked for.
        title: one line for tables.
        reference: authors, title and reported figures as far as given.
        labels: the label set that its authors used.
        published: what they report, and under which protocol.
        ablations: name -> changes (see :meth:`with_settings`) that the document compares, or that are worth
            comparing.
        temperature: of its answers, where it is known; 0 fits each fold's on its validation clips. With it
            these are trained on, too: only for trainings that do not wait for them. A bundle's own is always
            fitted on the predictions of its evaluation, all of clips that were not learned from.
        balanced: answer as if all emotions were equally frequent: what is said of each is divided by its
            share of the training clips (the logit adjustment of Menon et al., "Long-tail learning via logit
            adjustment", ICLR 2021).
    """

    name: str
    title: str
    reference: str
    labels: str
    published: Published
    ablations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    temperature: float = 0.0
    balanced: bool = False

    valid: ClassVar[Mapping[str, Allowed]] = {"temperature": (0.0, 100.0), "balanced": BOOLEAN}
    """What settings of the system itself may be."""
    kinds: ClassVar[Mapping[str, type]] = {
        "name": str, "title": str, "reference": str, "labels": str, "published": Published, "ablations": Mapping,
    }  # fmt: skip
    """What the others are instances of."""
    descriptive: ClassVar = ("name", "title", "reference", "ablations", "published")
    """What a system says of itself, and what does not change its numbers."""

    def __post_init__(self):
        for key, allowed in self.valid.items():
            object.__setattr__(self, key, checked(key, getattr(self, key), allowed, RecipeError))
        for key, kind in self.kinds.items():
            value = getattr(self, key)
            if not isinstance(value, kind):
                raise RecipeError(f"{key}={value!r} must be {type_name(kind)}")

    @property
    @abstractmethod
    def extractors(self) -> tuple[Extractor, ...]:
        """What it measures of each recording."""

    @property
    @abstractmethod
    def augmentation(self) -> tuple[Step, ...]:
        """Steps that vary the copies of a training clip."""

    @property
    @abstractmethod
    def copies(self) -> int:
        """Augmented copies of each training clip."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Names of its trainings, which their checkpoints go by."""

    @property
    def combine(self) -> str:
        """How its members agree; see :data:`ser_kit.bundles.card_schema.COMBINATIONS`."""
        return "soft"

    @abstractmethod
    def train(
        self, split: Split, weights: np.ndarray | None = None
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        """Fit on a split: the members, and the history of each training that had epochs.

        Args:
            split: what to fit on.
            weights: ``[split.train]`` how much each training row counts.
        """

    @abstractmethod
    def check(self, temperature: float) -> None:
        """Whether its settings go together.

        Args:
            temperature: of the whole system.

        Raises:
            TrainingError: they do not.
        """

    @property
    def declaration(self) -> dict[str, Any]:
        """All that decides about its numbers, ready for JSON; its name, prose and list of ablations do
        not."""
        return decisive(self)

    @property
    def settings(self) -> str:
        """A digest of :attr:`declaration`."""
        return digest(self.declaration)

    def with_settings(self, changes: Mapping[str, Any], name: str = "") -> Self:
        """The same system with some settings changed; what is left out of the changes stays.

        Args:
            changes: a path of fields, such as ``"training.batch_size"``, ``"hyperparameters.dropout"``,
                ``"extractor.parts"`` or ``"copies"`` -> value.
            name: what the changed system is called, behind the name and a ``+``.

        Raises:
            RecipeError: there is no such setting.
            SerKitError: a setting cannot have such a value; the message names it and what it takes.

        Examples:
            >>> from ser_kit import recipes
            >>> recipes.get("rastogi_mlp").with_settings({"training.epochs": 3}, "short").name
            'rastogi_mlp+short'
        """
        changed = self
        for path, value in changes.items():
            try:
                changed = with_setting(changed, path.split("."), value, path)
            except SerKitError as error:
                if path.rpartition(".")[2] in str(error):
                    raise
                raise RecipeError(f"{path}: {error}") from None
        return replace(changed, name=f"{self.name}+{name}", ablations={}) if name else changed

    def changed(self, changes: Mapping[str, Any], name: str = "") -> Self:
        """The old name of :meth:`with_settings`."""
        _old_names.warn("System.changed", "System.with_settings")
        return self.with_settings(changes, name)

    def variant(self, name: str) -> Self:
        """One of its ablations, as a system of its own.

        Raises:
            RecipeError: it has no ablation of that name.
        """
        if name not in self.ablations:
            known = ", ".join(map(repr, self.ablations)) or "none"
            raise RecipeError(f"{self.name} has no ablation {name!r}; it has: {known}")
        return self.with_settings(self.ablations[name], name)

    def same_material(self, other: System) -> bool:
        """Whether what the other has prepared serves this system too."""
        wanted = [(system.extractors, system.copies, system.augmentation) for system in (self, other)]
        return wanted[0] == wanted[1]

    def prepare(
        self, data: pd.DataFrame | Features | PreparedData, *, jobs: int | None = None, progress: bool = True
    ) -> PreparedData:
        """Features, classes and copies for a clip table; what is in the feature store is not computed again.

        Args:
            data: a clip table, its features where they are at hand, or what this method returned before.
                Classes are the column ``label`` where :func:`ser_kit.corpora.load` made one, else all
                emotions there are.
            jobs: processes for extraction.
            progress: show progress bars.

        Raises:
            TrainingError: the features given are not this system's.
            LabelError: the table has a label that is none of its label set, or an emotion that is not known.
            TableError: there are clips of one emotion only.
        """
        self.check(self.temperature)
        if isinstance(data, PreparedData):
            return data
        table = data.table if isinstance(data, Features) else data
        column = "label" if "label" in table else "emotion"
        order = table.attrs.get("labels", EMOTIONS) if column == "label" else EMOTIONS
        unknown = [repr(label) for label in table[column].unique() if label not in order]
        if unknown:
            raise LabelError(f"the column {column!r} has {', '.join(unknown)}; expected {', '.join(order)}")
        if isinstance(data, Features) and data.extractor not in self.extractors:
            wanted = ", ".join(extractor.identity for extractor in self.extractors)
            raise TrainingError(f"{self.name} needs features of {wanted}, not of {data.extractor.identity}")
        features = {
            e: data if isinstance(data, Features) and e == data.extractor
            else extract(table, e, jobs=jobs, progress=progress)
            for e in self.extractors
        }  # fmt: skip
        failures = pd.concat([f.failures for f in features.values()]).drop_duplicates(
            "clip_id", ignore_index=True
        )
        features = same_rows(features)
        found = next(iter(features.values())).table
        present = set(found[column])
        labels = tuple(label for label in order if label in present)
        if len(labels) < 2:
            raise TableError(
                f"training needs two emotions at least; there are clips of {', '.join(labels) or 'none'}"
            )
        if self.copies:
            features = {
                e: with_copies(f, self.augmentation, self.copies, jobs, progress) for e, f in features.items()
            }
            features = same_rows(features)
            found = next(iter(features.values())).table
        return PreparedData(features, found, labels, pd.Index(labels).get_indexer(found[column]), failures)

    def protocol(self, name: str) -> protocols.Protocol:
        """The protocol of a name; ``"published"`` is the one that the system's authors used.

        Raises:
            UnknownNameError: there is none.
        """
        return protocols.get(self.published.protocol if name == PUBLISHED else name)

    def folds(self, material: PreparedData, protocol: str = "speaker", seed: int = 0) -> list[protocols.Fold]:
        """The audited folds of a protocol; ``"published"`` is the one that the system's authors used.

        Raises:
            LeakageError: the protocol's folds share a clip, or a speaker where they promise not to.
            TableError: the protocol cannot divide this table.
        """
        folds = self.protocol(protocol)(material.table, seed)
        protocols.audit(material.table, folds)
        return folds

    def fit_fold(
        self, material: PreparedData, fold: protocols.Fold, *, out: str | Path | None = None, progress: bool = True,
        title: str = "",
    ) -> tuple[Bundle, list[pd.DataFrame]]:  # fmt: skip
        """Train on one fold, as :meth:`run_fold` does with the same arguments, and keep what was trained.

        Returns:
            Calibrated members, with a card that tells no more than is needed for
            :meth:`~ser_kit.bundles.bundle.Bundle.probabilities`; and the histories.

        Raises:
            LeakageError: something was fitted on what is tested.
        """
        prefix = f"{fold.protocol}-{fold.seed}-{fold.index}"
        split = self._split(
            material, fold.train, fold.validation, fold.seed, out, prefix, progress, title or self.name
        )
        bare, histories = self._fitted(split)
        fitted = with_temperature(bare, self._temperature(bare, split))
        protocols.audit(material.table, fold, fitted=split.fitted)
        return fitted, histories

    def run_fold(
        self, material: PreparedData, fold: protocols.Fold, *, out: str | Path | None = None, progress: bool = True,
        title: str = "",
    ) -> Evaluation:  # fmt: skip
        """Train and test on one fold, with the seed it was drawn with.

        Args:
            material: from :meth:`prepare`.
            fold: one of :meth:`folds`.
            out: folder for checkpoints.
            progress: show progress bars.
            title: what stands before them.

        Raises:
            LeakageError: something was fitted on what is tested.
        """
        started = time.perf_counter()
        fitted, histories = self.fit_fold(material, fold, out=out, progress=progress, title=title)
        values = material.values(fold.test)
        predictions = tested_rows(material, fold, fitted.probabilities(values))
        sharpness = fitted.places(values).sharpness
        if (sharpness != 1).any():
            predictions["sharpness"] = sharpness
        return Evaluation(
            recipe=self.name,
            protocol=fold.protocol,
            speaker_independent=fold.speaker_independent,
            seed=fold.seed,
            labels=material.labels,
            predictions=predictions,
            histories=histories,
            # What was trained before this call counts too.
            seconds=max(
                time.perf_counter() - started, sum(history["seconds"].sum() for history in histories)
            ),
            parameters=fitted.parameters,
            corpora=sorted(material.table["corpus"].unique()),
            versions=versions(),
            temperatures=[fitted.card["temperature"]],
            settings=self.declaration,
            data=material.data,
        )

    def run(
        self,
        data: pd.DataFrame | Features | PreparedData,
        protocol: str = "speaker",
        *,
        seed: int = 0,
        out: str | Path | None = None,
        jobs: int | None = None,
        progress: bool = True,
    ) -> Evaluation:
        """Train and test on every fold of a protocol.

        Scaling, the epoch to stop at and the calibration of each fold come from its training and validation
        clips.

        Args:
            data: as for :meth:`prepare`.
            protocol: a name in :mod:`ser_kit.protocols`, or ``"published"``.
            seed: of the folds, the initial weights and the order of clips.
            out: folder for checkpoints; a run that was interrupted goes on from there when it is called
                again.
            jobs: processes for extraction.
            progress: show progress bars.

        Returns:
            The evaluation, with a calibrated prediction for every tested clip.

        Raises:
            LeakageError: the protocol's folds share a clip, or a speaker where they promise not to.
            TableError: the protocol cannot divide this table.
        """
        material = self.prepare(data, jobs=jobs, progress=progress)
        folds = self.folds(material, protocol, seed)
        parts = []
        for fold in folds:
            title = f"{self.name} {fold.name.replace('/', ' fold ')} of {len(folds)}"
            parts.append(self.run_fold(material, fold, out=out, progress=progress, title=title))
        return replace(
            parts[0],
            predictions=pd.concat([part.predictions for part in parts], ignore_index=True),
            histories=[history for part in parts for history in part.histories],
            seconds=sum(part.seconds for part in parts),
            temperatures=[temperature for part in parts for temperature in part.temperatures],
        )

    def fit(
        self,
        data: pd.DataFrame | Features | PreparedData,
        *,
        protocol: str = "speaker",
        seed: int = 0,
        evaluation: Evaluation | None = None,
        out: str | Path | None = None,
        jobs: int | None = None,
        progress: bool = True,
    ) -> Bundle:
        """Train a system for use, on all clips.

        One fold's test speakers decide when to stop, and the other folds' speakers are trained on; a system
        of known temperature is trained on all of them. What the card says of its worth comes from
        ``evaluation``, in which every clip was predicted by a model that never heard its speaker. All these
        predictions together give the temperature.

        Under protocol ``corpus`` all corpora are learned from, and some speakers of them decide when to stop.
        Every clip of ``evaluation`` was predicted by a model that never heard its corpus: temperature and
        threshold come from these predictions (:func:`ser_kit.evaluation.left_out.calibration`), and the card
        says what each corpus left out shows.

        The bundle gets the ``model.onnx`` that answers without TensorFlow
        (:func:`ser_kit.deploy.with_runtime`), unless no graph can compute its features.

        Args:
            data: as for :meth:`prepare`.
            protocol: ``"speaker"``; ``"corpus"`` for voices and recordings of all kinds; ``"random"`` where
                the speakers are not known.
            seed: as in :meth:`run`.
            evaluation: of this system on these data; :meth:`run` makes it where it is not given.
            out: folder for checkpoints.
            jobs: processes for extraction.
            progress: show progress bars.

        Raises:
            TrainingError: the evaluation is of something else, or of an earlier version, which kept no
                temperatures.

        Warns:
            NoRuntimeWarning: ``model.onnx`` cannot be made, for a reason that the warning and the card give.
        """
        material = self.prepare(data, jobs=jobs, progress=progress)
        if evaluation is None:
            evaluation = self.run(material, protocol, seed=seed, out=out, progress=progress)
        if (evaluation.recipe, set(evaluation.labels)) != (self.name, set(material.labels)):
            raise TrainingError(
                f"the evaluation given is of {evaluation.recipe} on {', '.join(evaluation.labels)}; "
                f"expected {self.name} on {', '.join(material.labels)}"
            )
        calibrated, temperature = calibrate(evaluation)
        name = self.protocol(protocol).name
        if across_corpora(name):
            train, validation = protocols.inner(material.table, np.arange(len(material.y)), seed)
        else:
            validation = self.folds(material, protocol, seed)[0].test
            train = np.setdiff1d(np.arange(len(material.y)), material.with_copies(validation))
        prefix = f"{name}-{seed}-final"
        split = self._split(material, train, validation, seed, out, prefix, progress, f"{self.name} final")
        fitted = with_temperature(self._fitted(split)[0], temperature)
        facts = card(self, material, fitted, evaluation, calibrated, jobs, progress)
        return answering(Bundle(facts, fitted.members).joined(), material)

    def forget(self, out: str | Path, protocol: str, seed: int) -> None:
        """Remove the checkpoints of this system's own runs under a protocol and a seed, and of :meth:`fit`.

        Args:
            out: folder for checkpoints; it is removed too when nothing else is in it.
            protocol: as in :meth:`run`.
            seed: likewise.
        """
        name = self.protocol(protocol).name
        for part in self.parts:
            own = re.compile(re.escape(as_path(f"{part}-{name}-{seed}")) + r"-(\d+|final)")
            for folder in Path(out).glob("*"):
                if own.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # other runs are in it, or it is not there: a forest leaves nothing
            Path(out).rmdir()

    def _split(self, material, train, validation, seed, out, prefix, progress, title) -> Split:
        if self.temperature:  # nothing is left to be found out by validation
            train, validation = np.union1d(train, validation), validation[:0]

        def checkpoint(part: str) -> Path | None:
            return None if out is None else Path(out) / as_path(f"{part}-{prefix}")

        return Split(material, train, validation, seed, progress, checkpoint, title)

    def _fitted(self, split: Split) -> tuple[Bundle, list[pd.DataFrame]]:
        """The members, not calibrated yet."""
        members, histories = self.train(split)
        card = {
            "name": self.name, "labels": list(split.material.labels), "combine": self.combine, "temperature": 1.0,
        }  # fmt: skip
        if self.balanced:
            card["prior"] = class_shares(split.material, split.note("prior", split.train))
        return Bundle(card, tuple(members)), histories

    def _temperature(self, bundle: Bundle, split: Split) -> float:
        """What calibrates the members' common answer, known or from rows that were not fitted on."""
        if self.temperature:
            return self.temperature
        rows = split.note("calibration", split.validation)
        return fit_temperature(bundle.combined(split.material.values(rows)), split.material.y[rows])
