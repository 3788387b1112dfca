"""What a system is, and how one is run under a protocol or fitted for use.

A :class:`System` is anything that can be trained on the clips of a table and named: a :class:`Recipe` (one model) or an
:class:`~ser_kit.recipes.Ensemble` (several that vote). Running, testing and the bundle's card are the same for all.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shutil
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

import numpy as np
import pandas as pd

from .. import corpora, models, protocols
from ..audio.augment import with_seed
from ..audio.transforms import Step, step
from ..bundles import bundle as bundles
from ..bundles.adaptation import Voices
from ..bundles.bundle import Bundle, Member, chosen, rounded
from ..core.config import BOOLEAN, Allowed, checked, listed
from ..core.errors import LabelError, RecipeError, SerKitError, TableError, TrainingError
from ..core.labels import EMOTIONS
from ..core.probabilities import apply_temperature, mean_log
from ..evaluation import left_out
from ..evaluation.calibration import expected_calibration_error, fit_temperature
from ..evaluation.record import Evaluation
from ..extraction import Features, extract
from ..features import Extractor, Functionals, SpeechEncoder, Waveform
from ..training.estimators import SVM, Forest, Linear, pretrain
from ..training.loop import Scaler, Training, fit, seed_everything

if TYPE_CHECKING:
    import keras

UNCERTAIN_SHARE = 0.005
"""A prediction is uncertain when its confidence is below that of all but this share of held-out training clips; of
a bundle that was tested on corpora left out see :func:`ser_kit.evaluation.left_out.threshold`."""

STRANGE_SHARE = 0.01
"""A recording is strange when it is farther from the average of the training clips than all but this share of them."""

LIMITS = (
    "Its accuracy on voices, languages, rooms and microphones other than those it learned from is not known. "
    "What a voice sounds like is not what a person feels: not for decisions about people, such as hiring, policing, "
    "credit, health or schooling. The EU's AI Act (Regulation 2024/1689, Article 5) forbids to infer people's emotions "
    "at work and in education. The licences of the corpora bind the model too."
)
"""What every bundle's card says of its use."""

_SAID = ("name", "title", "reference", "ablations", "published")
"""What a system says of itself, and what does not change its numbers."""

PUBLISHED = "published"
"""Asks for the protocol that a system's authors used."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a document reports of its system.

    Args:
        document: title or authors, as far as given.
        corpora: names of the corpora that it was trained and tested on.
        protocol: name in :mod:`ser_kit.protocols` of how these were divided.
        also: other protocols that the document names, or that its figures imply.
        accuracy: reported, as fractions: one figure, or the lowest and the highest.
        others: other reported figures by metric, such as ``{"macro_f1": (0.65,)}``: one, or the lowest and the highest.
            Metrics are those of :data:`ser_kit.evaluation.METRICS` and ``training_accuracy``; averages of which a
            document does not say how the classes were weighted are taken as macro averages.
        classes: reported figures of single emotions: emotion -> ``precision``, ``recall``, ``f1``, as far as given.
        parameters: reported number of parameters.
    """

    document: str
    corpora: tuple[str, ...]
    protocol: str
    also: tuple[str, ...] = ()
    accuracy: tuple[float, ...] = ()
    others: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    parameters: int | None = None


OURS = Published(document="ser_kit", corpora=("ravdess",), protocol="speaker")
"""Of systems that nobody but ser_kit reports on."""


@dataclass(frozen=True, eq=False)
class Material:
    """What a system is trained and tested on: features, classes, and copies of clips where it augments.

    Args:
        features: by extractor, all with the rows of ``table``.
        table: the clips, and behind them their augmented copies, whose column ``parent`` names the original.
        labels: the classes, in the order of the outputs.
        y: ``[n]`` class of each row.
        failures: clips that could not be used, as in :attr:`ser_kit.extraction.Features.failures`.
    """

    features: Mapping[Extractor, Features]
    table: pd.DataFrame
    labels: tuple[str, ...]
    y: np.ndarray
    failures: pd.DataFrame

    @property
    def originals(self) -> np.ndarray:
        """Rows that are no copies."""
        return (
            np.flatnonzero(self.table["parent"].to_numpy() == "") if "parent" in self.table else np.arange(len(self.y))
        )

    @cached_property
    def data(self) -> dict[str, Any]:
        """How many ``clips`` and ``speakers``, and a ``digest`` of their names, speakers, classes and sound."""
        clips = self.table.iloc[self.originals]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the audit tells of recordings that are gone
            sounds = protocols.fingerprints(clips)
        labels = np.array(self.labels)[self.y[self.originals]]
        rows = sorted(zip(clips["clip_id"], clips["speaker"], labels.tolist(), sounds.tolist(), strict=True))
        digest = hashlib.blake2b(json.dumps(rows).encode(), digest_size=8).hexdigest()
        return {"clips": len(clips), "speakers": clips["speaker"].nunique(), "digest": digest}

    def values(self, rows: np.ndarray) -> dict[Extractor, np.ndarray]:
        """The arrays of some rows, by extractor."""
        return {extractor: found.values[rows] for extractor, found in self.features.items()}


@dataclass(frozen=True, eq=False)
class Split:
    """One fold's work for a system, and a note of what each part of it was fitted on.

    Args:
        material: the clips.
        train: rows to fit on.
        validation: rows to choose epochs, temperatures and weights on.
        seed: of first weights, order and draws.
        progress: show progress bars.
        checkpoint: gives the folder for a part's state, or ``None`` for none.
        fitted: what was fitted -> the rows it saw; filled in by what fits, read by the audit.
    """

    material: Material
    train: np.ndarray
    validation: np.ndarray
    seed: int
    progress: bool
    checkpoint: Callable[[str], Path | None]
    title: str = ""
    fitted: dict[str, np.ndarray] = field(default_factory=dict)

    def note(self, what: str, rows: np.ndarray) -> np.ndarray:
        """Remember that something is fitted on these rows; returns them."""
        self.fitted[what] = np.union1d(self.fitted.get(what, np.array([], int)), rows)
        return rows


@dataclass(frozen=True, kw_only=True)
class System(ABC):
    """What recipes and ensembles have in common.

    Args:
        name: how it is asked for.
        title: one line for tables.
        reference: authors, title and reported figures as far as given.
        labels: the label set that its authors used.
        published: what they report, and under which protocol.
        ablations: name -> changes (see :meth:`changed`) that the document compares, or that are worth comparing.
        temperature: of its answers, where it is known; 0 fits each fold's on its validation clips. With it these are
            trained on, too: only for trainings that do not wait for them. A bundle's own is always fitted on the
            predictions of its evaluation, all of clips that were not learned from.
        balanced: answer as if all emotions were equally frequent: what is said of each is divided by its share of the
            training clips (the logit adjustment of Menon et al., "Long-tail learning via logit adjustment", ICLR 2021).
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

    def __post_init__(self):
        for key, allowed in self.valid.items():
            object.__setattr__(self, key, checked(key, getattr(self, key), allowed, RecipeError))
        for key, kind in self.kinds.items():
            value = getattr(self, key)
            if not isinstance(value, kind):
                raise RecipeError(f"{key}={value!r} must be {_called(kind)}")

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
        """How its members agree; see :data:`ser_kit.bundles.card.COMBINATIONS`."""
        return "soft"

    @abstractmethod
    def train(self, split: Split, weights: np.ndarray | None = None) -> tuple[list[Member], list[pd.DataFrame]]:
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
        """All that decides about its numbers, ready for JSON; its name, prose and list of ablations do not."""
        return _decisive(self)

    @property
    def settings(self) -> str:
        """A digest of :attr:`declaration`."""
        return hashlib.blake2b(json.dumps(self.declaration).encode(), digest_size=8).hexdigest()

    def changed(self, changes: Mapping[str, Any], name: str = "") -> Self:
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
            >>> recipes.get("rastogi_mlp").changed({"training.epochs": 3}, "short").name
            'rastogi_mlp+short'
        """
        changed = self
        for path, value in changes.items():
            try:
                changed = _set(changed, path.split("."), value, path)
            except SerKitError as error:
                if path.rpartition(".")[2] in str(error):
                    raise
                raise RecipeError(f"{path}: {error}") from None
        return replace(changed, name=f"{self.name}+{name}", ablations={}) if name else changed

    def variant(self, name: str) -> Self:
        """One of its ablations, as a system of its own.

        Raises:
            RecipeError: it has no ablation of that name.
        """
        if name not in self.ablations:
            known = ", ".join(map(repr, self.ablations)) or "none"
            raise RecipeError(f"{self.name} has no ablation {name!r}; it has: {known}")
        return self.changed(self.ablations[name], name)

    def same_material(self, other: System) -> bool:
        """Whether what the other has prepared serves this system too."""
        wanted = [(system.extractors, system.copies, system.augmentation) for system in (self, other)]
        return wanted[0] == wanted[1]

    def prepare(
        self, data: pd.DataFrame | Features | Material, *, jobs: int | None = None, progress: bool = True
    ) -> Material:
        """Features, classes and copies for a clip table; what is in the feature store is not computed again.

        Args:
            data: a clip table, its features where they are at hand, or what this method returned before. Classes are
                the column ``label`` where :func:`ser_kit.corpora.load` made one, else all emotions there are.
            jobs: processes for extraction.
            progress: show progress bars.

        Raises:
            TrainingError: the features given are not this system's.
            LabelError: the table has a label that is none of its label set, or an emotion that is not known.
            TableError: there are clips of one emotion only.
        """
        self.check(self.temperature)
        if isinstance(data, Material):
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
        failures = pd.concat([f.failures for f in features.values()]).drop_duplicates("clip_id", ignore_index=True)
        features = _same_rows(features)
        found = next(iter(features.values())).table
        present = set(found[column])
        labels = tuple(label for label in order if label in present)
        if len(labels) < 2:
            raise TableError(f"training needs two emotions at least; there are clips of {', '.join(labels) or 'none'}")
        if self.copies:
            features = {e: self._with_copies(f, jobs, progress) for e, f in features.items()}
            features = _same_rows(features)
            found = next(iter(features.values())).table
        return Material(features, found, labels, pd.Index(labels).get_indexer(found[column]), failures)

    def _with_copies(self, found: Features, jobs: int | None, progress: bool) -> Features:
        """The features of the clips and, behind them, of their augmented copies."""
        parts = [replace(found, table=found.table.assign(parent=""))]
        for i in range(1, self.copies + 1):
            steps = (*found.extractor.preprocess, *with_seed(self.augmentation, i))
            varied = extract(found.table, replace(found.extractor, preprocess=steps), jobs=jobs, progress=progress)
            originals = varied.table["clip_id"]
            parts.append(replace(varied, table=varied.table.assign(clip_id=originals + f"#{i}", parent=originals)))
        table = pd.concat([part.table for part in parts], ignore_index=True)
        table.attrs = found.table.attrs
        values = np.concatenate([part.values for part in parts])
        return replace(found, values=values, table=table, lengths=np.concatenate([part.lengths for part in parts]))

    def protocol(self, name: str) -> protocols.Protocol:
        """The protocol of a name; ``"published"`` is the one that the system's authors used.

        Raises:
            UnknownNameError: there is none.
        """
        return protocols.get(self.published.protocol if name == PUBLISHED else name)

    def folds(self, material: Material, protocol: str = "speaker", seed: int = 0) -> list[protocols.Fold]:
        """The audited folds of a protocol; ``"published"`` is the one that the system's authors used.

        Raises:
            LeakageError: the protocol's folds share a clip, or a speaker where they promise not to.
            TableError: the protocol cannot divide this table.
        """
        folds = self.protocol(protocol)(material.table, seed)
        protocols.audit(material.table, folds)
        return folds

    def fit_fold(
        self, material: Material, fold: protocols.Fold, *, out: str | Path | None = None, progress: bool = True,
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
        split = self._split(material, fold.train, fold.validation, fold.seed, out, prefix, progress, title or self.name)
        bare, histories = self._fitted(split)
        fitted = _with_temperature(bare, self._temperature(bare, split))
        protocols.audit(material.table, fold, fitted=split.fitted)
        return fitted, histories

    def run_fold(
        self, material: Material, fold: protocols.Fold, *, out: str | Path | None = None, progress: bool = True,
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
        predictions = _predictions(material, fold, fitted.probabilities(values))
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
            seconds=max(time.perf_counter() - started, sum(history["seconds"].sum() for history in histories)),
            parameters=fitted.parameters,
            corpora=sorted(material.table["corpus"].unique()),
            versions=versions(),
            temperatures=[fitted.card["temperature"]],
            settings=self.declaration,
            data=material.data,
        )

    def run(
        self,
        data: pd.DataFrame | Features | Material,
        protocol: str = "speaker",
        *,
        seed: int = 0,
        out: str | Path | None = None,
        jobs: int | None = None,
        progress: bool = True,
    ) -> Evaluation:
        """Train and test on every fold of a protocol.

        Scaling, the epoch to stop at and the calibration of each fold come from its training and validation clips.

        Args:
            data: as for :meth:`prepare`.
            protocol: a name in :mod:`ser_kit.protocols`, or ``"published"``.
            seed: of the folds, the initial weights and the order of clips.
            out: folder for checkpoints; a run that was interrupted goes on from there when it is called again.
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
        data: pd.DataFrame | Features | Material,
        *,
        protocol: str = "speaker",
        seed: int = 0,
        evaluation: Evaluation | None = None,
        out: str | Path | None = None,
        jobs: int | None = None,
        progress: bool = True,
    ) -> Bundle:
        """Train a system for use, on all clips.

        One fold's test speakers decide when to stop, and the other folds' speakers are trained on; a system of known
        temperature is trained on all of them. What the card says of its worth comes from ``evaluation``, in which every
        clip was predicted by a model that never heard its speaker. All these predictions together give the temperature.

        Under protocol ``corpus`` all corpora are learned from, and some speakers of them decide when to stop. Every
        clip of ``evaluation`` was predicted by a model that never heard its corpus: temperature and threshold come from
        these predictions (:func:`ser_kit.evaluation.left_out.calibration`), and the card says what each corpus left out shows.

        Args:
            data: as for :meth:`prepare`.
            protocol: ``"speaker"``; ``"corpus"`` for voices and recordings of all kinds; ``"random"`` where the
                speakers are not known.
            seed: as in :meth:`run`.
            evaluation: of this system on these data; :meth:`run` makes it where it is not given.
            out: folder for checkpoints.
            jobs: processes for extraction.
            progress: show progress bars.

        Raises:
            TrainingError: the evaluation is of something else, or of an earlier version, which kept no temperatures.
        """
        material = self.prepare(data, jobs=jobs, progress=progress)
        if evaluation is None:
            evaluation = self.run(material, protocol, seed=seed, out=out, progress=progress)
        if (evaluation.recipe, set(evaluation.labels)) != (self.name, set(material.labels)):
            raise TrainingError(
                f"the evaluation given is of {evaluation.recipe} on {', '.join(evaluation.labels)}; "
                f"expected {self.name} on {', '.join(material.labels)}"
            )
        calibrated, temperature = _calibrated(evaluation)
        name = self.protocol(protocol).name
        if _across_corpora(name):
            train, validation = protocols.inner(material.table, np.arange(len(material.y)), seed)
        else:
            validation = self.folds(material, protocol, seed)[0].test
            train = np.setdiff1d(np.arange(len(material.y)), self._family(material, validation))
        prefix = f"{name}-{seed}-final"
        split = self._split(material, train, validation, seed, out, prefix, progress, f"{self.name} final")
        fitted = _with_temperature(self._fitted(split)[0], temperature)
        return Bundle(self._card(material, fitted, evaluation, calibrated, jobs, progress), fitted.members).joined()

    def forget(self, out: str | Path, protocol: str, seed: int) -> None:
        """Remove the checkpoints of this system's own runs under a protocol and a seed, and of :meth:`fit`.

        Args:
            out: folder for checkpoints; it is removed too when nothing else is in it.
            protocol: as in :meth:`run`.
            seed: likewise.
        """
        name = self.protocol(protocol).name
        for part in self.parts:
            own = re.compile(re.escape(_plainly(f"{part}-{name}-{seed}")) + r"-(\d+|final)")
            for folder in Path(out).glob("*"):
                if own.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # other runs are in it, or it is not there: a forest leaves nothing
            Path(out).rmdir()

    @staticmethod
    def _family(material: Material, rows: np.ndarray) -> np.ndarray:
        """Rows with their copies."""
        if "parent" not in material.table:
            return rows
        clips, parents = material.table["clip_id"], material.table["parent"]
        return np.union1d(rows, np.flatnonzero(parents.isin(clips.iloc[rows]).to_numpy()))

    def _split(self, material, train, validation, seed, out, prefix, progress, title) -> Split:
        if self.temperature:  # nothing is left to be found out by validation
            train, validation = np.union1d(train, validation), validation[:0]

        def checkpoint(part: str) -> Path | None:
            return None if out is None else Path(out) / _plainly(f"{part}-{prefix}")

        return Split(material, train, validation, seed, progress, checkpoint, title)

    def _fitted(self, split: Split) -> tuple[Bundle, list[pd.DataFrame]]:
        """The members, not calibrated yet."""
        members, histories = self.train(split)
        card = {
            "name": self.name, "labels": list(split.material.labels), "combine": self.combine, "temperature": 1.0,
        }  # fmt: skip
        if self.balanced:
            card["prior"] = _prior(split.material, split.note("prior", split.train))
        return Bundle(card, tuple(members)), histories

    def _temperature(self, bundle: Bundle, split: Split) -> float:
        """What calibrates the members' common answer, known or from rows that were not fitted on."""
        if self.temperature:
            return self.temperature
        rows = split.note("calibration", split.validation)
        return fit_temperature(bundle.combined(split.material.values(rows)), split.material.y[rows])

    def _card(
        self, material: Material, fitted: Bundle, evaluation: Evaluation, calibrated: Evaluation, jobs, progress
    ) -> dict:
        table = material.table.iloc[material.originals].reset_index(drop=True)
        plain = extract(table, Functionals(), jobs=jobs, progress=progress)
        frame = plain.to_frame()
        names = list(plain.extractor.feature_names)
        confidence, correct = evaluation.predictions["confidence"].to_numpy(), evaluation.correct()
        typical = {
            emotion: {name: rounded((rows[name].mean(), rows[name].std(ddof=0))) for name in names}
            for emotion, rows in [("all", frame), *frame.groupby("emotion")]
        }
        strange_above = None
        if any(not isinstance(extractor, Waveform | SpeechEncoder) for extractor in self.extractors):
            # Features in absolute terms say little of other rooms and languages; networks on samples measure each
            # clip against itself, and speech encoders know many.
            distances = bundles.strangeness(plain.values, typical["all"]).mean(axis=1)
            strange_above = float(np.quantile(distances, 1 - STRANGE_SHARE))
        used = corpora.of(table)
        answers = calibrated.predictions
        for_no_distance = apply_temperature(
            answers[[f"prob_{label}" for label in evaluation.labels]].to_numpy(), evaluation.sharpness
        )
        plainly = for_no_distance[(answers["true"] == bundles.BASELINE).to_numpy()]
        baseline = dict(zip(evaluation.labels, rounded(mean_log(plainly)), strict=True)) if len(plainly) else {}
        voices = {}
        if evaluation.speaker_independent:  # else the answers know the voices
            found = Voices.fit(for_no_distance, answers["true"], answers["speaker"], fitted.labels)
            voices = {"voices": found.to_dict()}
        across = _across_corpora(evaluation.protocol)
        if across:
            alike = left_out.alike(answers["corpus"])
            uncertain_below = float(left_out.threshold(answers["confidence"], calibrated.correct(), alike))
        else:
            uncertain_below = float(np.quantile(calibrated.predictions["confidence"], UNCERTAIN_SHARE))
        return {
            "title": self.title,
            "reference": self.reference,
            **fitted.card,
            "uncertain_below": uncertain_below,
            "strange_above": strange_above,
            "typical": typical,
            "baseline": baseline,
            **voices,
            "trained_on": [
                {
                    "corpus": corpus.name,
                    "clips": int((table["corpus"] == corpus.name).sum()),
                    "speakers": int(table.loc[table["corpus"] == corpus.name, "speaker"].nunique()),
                    "licence": corpus.license,
                }
                for corpus in used
            ],
            "licence": "; ".join(sorted({corpus.license for corpus in used})),
            "limits": LIMITS,
            "evaluation": {
                "protocol": evaluation.protocol,
                "speaker_independent": evaluation.speaker_independent,
                "seed": evaluation.seed,
                "scores": evaluation.summary(),
                "expected_calibration_error": expected_calibration_error(confidence, correct),
                **evaluation.details(),
            },
            **({"left_out": left_out.by_corpus(evaluation)} if across else {}),
            "training": {
                "protocol": evaluation.protocol,
                "seed": evaluation.seed,
                "command": evaluation.command,
                "data": material.data,
                "settings": self.declaration,
            },
            "versions": versions(),
        }


@dataclass(frozen=True, kw_only=True)
class Recipe(System):
    """One published system of one model, declared.

    Args:
        extractor: makes the model's input of a recording.
        training: settings of a network's training, or a scikit-learn classifier.
        model: name of the network's builder in :mod:`ser_kit.models`; left out with a scikit-learn classifier.
        hyperparameters: the builder's arguments where they differ from its defaults.
        scale: standardise the features with the mean and standard deviation of the training clips.
        copies: augmented copies of each training clip.
        augmentation: steps that vary these copies, after those of the extractor.
        corpus_markers: let the model see features that identify a corpus (such as the sample rate).
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
        "extractor": Extractor, "training": Training | Forest | SVM | Linear, "model": str, "hyperparameters": Mapping,
    }  # fmt: skip

    def __post_init__(self):
        super().__post_init__()
        steps = listed("augmentation", self.augmentation, RecipeError)
        object.__setattr__(self, "augmentation", tuple(map(step, steps)))
        if bool(self.model) != isinstance(self.training, Training):
            raise RecipeError(f"model={self.model!r} and {type(self.training).__name__} do not go together; a network "
                              "has a builder and Training, what scikit-learn trains has neither")  # fmt: skip
        for setting, model in (("by_segment", "segment_dnn"), ("pretrain", "mlp")):
            if getattr(self.training, setting, None) and self.model != model:
                raise RecipeError(f"training.{setting} is for the network {model!r}, not for {self.model!r}")

    def check(self, temperature: float) -> None:
        waits = isinstance(self.training, Training) and (self.training.patience or self.training.halve_after)
        if temperature and waits:
            raise TrainingError(
                "training.patience and training.halve_after wait for the validation loss; expected validation clips, "
                f"and a system of known temperature ({temperature:g}) holds none back: give both as null (None)"
            )

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        return (self.extractor,)

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def columns(self) -> tuple[int, ...]:
        """Places of the features that the model sees."""
        return tuple(range(self.extractor.shape[-1])) if self.corpus_markers else self.extractor.model_columns

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the model's input for one clip."""
        return (*self.extractor.shape[:-1], len(self.columns))

    def changed(self, changes: Mapping[str, Any], name: str = "") -> Self:
        changed = super().changed(changes, name)
        network = [(each.model, each.hyperparameters, each.extractor, each.corpus_markers) for each in (self, changed)]
        if network[0] == network[1]:
            return changed
        if changed.model:
            models.check(changed.model, changed.hyperparameters)
            try:
                with models.import_keras().StatelessScope(initialize_variables=False):  # shapes, and no numbers
                    changed.build(2)
            except Exception as error:  # whatever Keras raises where layers do not fit
                given = ", ".join(f"{path}={value!r}" for path, value in changes.items())
                reason = str(error).strip().partition("\n")[0]
                raise RecipeError(f"the network {changed.model!r} cannot be built with {given}: {reason}") from None
        elif changed.hyperparameters:
            unknown = next(iter(changed.hyperparameters))
            raise RecipeError(
                f"there is no setting 'hyperparameters.{unknown}': a scikit-learn classifier has none of these"
            )
        return changed

    def build(self, n_classes: int) -> keras.Model:
        """The uncompiled network for that many classes.

        Raises:
            RecipeError: its model grows with the clips it learns from.
        """
        if not self.model:
            raise RecipeError(f"{self.name} has no network before it has seen clips: {self.training}")
        return models.get(self.model)(self.input_shape, n_classes, **self.hyperparameters)

    def train(self, split: Split, weights: np.ndarray | None = None) -> tuple[list[Member], list[pd.DataFrame]]:
        found, y, n_classes = split.material.features[self.extractor], split.material.y, len(split.material.labels)
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
            parts = (x, y[train], found.lengths[train]), (values[validation], y[validation], found.lengths[validation])
            histories.append(self._fit(model, scaler, split, *parts, weights))
            builder = self.model
        else:
            about = {name: split.material.table[name].to_numpy()[train] for name in self.training.about}
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
        """Train a network further, in place, on the training rows of a split; pruned weights stay zero.

        Args:
            member: one that this recipe trained, scaled as it was.
            split: of material that this recipe prepared.

        Returns:
            The history.
        """
        found, y = split.material.features[self.extractor], split.material.y
        train, values = split.note("training", split.train), chosen(found.values, member.columns)
        x = member.scaler.transform(values[train])
        parts = (x, y[train], found.lengths[train]), (values[:0], y[:0], found.lengths[:0])
        return self._fit(member.model, member.scaler, split, *parts, None, keep_zeros=True)

    def _scaler(self, values: np.ndarray, lengths: np.ndarray, split: Split) -> Scaler:
        if not self.scale:
            return Scaler.identity(values.shape[-1])
        rows = split.note("scaler", split.train)
        return Scaler.fit(values[rows], lengths[rows] if values.ndim == 3 else None)

    def _fit(self, model, scaler, split: Split, training, validation, weights, keep_zeros=False) -> pd.DataFrame:
        (x, y, lengths), (raw, y_validation, lengths_validation) = training, validation
        x_validation = scaler.transform(raw)
        table = split.material.table
        speakers = table["speaker"].to_numpy()[split.train] if self.training.speaker_penalty else None
        corpora = tuple(table["corpus"].to_numpy()[rows] for rows in (split.train, split.validation))
        if self.training.by_segment:
            # Each segment is an example of its own, with the label and the weight of its clip.
            model = model.get_layer("segment")
            weights = np.repeat(np.ones(len(y)) if weights is None else weights, lengths)
            speakers = None if speakers is None else np.repeat(speakers, lengths)
            corpora = tuple(map(np.repeat, corpora, (lengths, lengths_validation)))
            x, y = _sound(x, lengths), np.repeat(y, lengths)
            x_validation = _sound(x_validation, lengths_validation)
            y_validation = np.repeat(y_validation, lengths_validation)
        held_out = (x_validation, y_validation) if len(y_validation) else None
        return fit(
            model, x, y, validation=held_out, training=self.training, weights=weights,
            speakers=speakers, corpora=corpora, seed=split.seed, checkpoint=split.checkpoint(self.name),
            keep_zeros=keep_zeros, progress=split.progress, title=split.title,
        )  # fmt: skip


def _prior(material: Material, rows: np.ndarray) -> list[float]:
    """How frequent each class is among the clips of the corpora that have it."""
    codes, names = pd.factorize(material.table["corpus"].iloc[rows])
    counts = np.zeros((len(names), len(material.labels)))
    np.add.at(counts, (codes, material.y[rows]), 1)
    whole = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    shares = np.where(whole > 0, counts.sum(axis=0), 1) / np.maximum(whole, 1)
    return rounded(shares / shares.sum())


def _with_temperature(bundle: Bundle, temperature: float) -> Bundle:
    return replace(bundle, card={**bundle.card, "temperature": temperature})


def _calibrated(evaluation: Evaluation) -> tuple[Evaluation, float]:
    """The predictions of all folds, calibrated together by their own truth, and the temperature that does it."""
    said, predictions = evaluation.uncalibrated(), evaluation.predictions
    if _across_corpora(evaluation.protocol):
        temperature = left_out.calibration(said, predictions, evaluation.labels).temperature
        said = apply_temperature(said, temperature)
        confidence = left_out.among(said, predictions["true"], predictions["corpus"], evaluation.labels).max(axis=1)
    else:
        temperature = fit_temperature(said, pd.Index(evaluation.labels).get_indexer(predictions["true"]))
        said = apply_temperature(said, temperature)
        confidence = said.max(axis=1)
    columns = [f"prob_{label}" for label in evaluation.labels]
    calibrated = dict(zip(columns, said.T, strict=True), confidence=confidence)
    return replace(evaluation, predictions=predictions.assign(**calibrated)), temperature


def _across_corpora(protocol: str) -> bool:
    """Whether a protocol tests corpora that were not learned from."""
    return protocol in protocols.names() and "corpus" in protocols.get(protocol).independent_of


def _sound(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The rows of ``[clips, rows, dims]`` that are sound and not padding, ``[rows of all clips, dims]``."""
    return values[np.arange(values.shape[1]) < lengths[:, None]]


def _same_rows(features: dict[Extractor, Features]) -> dict[Extractor, Features]:
    """The clips that every extractor could read, in the order of the first."""
    tables = [found.table["clip_id"] for found in features.values()]
    if all(np.array_equal(ids, tables[0]) for ids in tables):
        return features  # each keeps the order of the table
    common = set(tables[0]).intersection(*tables[1:])
    return {e: found.subset(found.table["clip_id"].isin(common).to_numpy()) for e, found in features.items()}


def _predictions(material: Material, fold: protocols.Fold, probabilities: np.ndarray) -> pd.DataFrame:
    """The tested rows as :class:`Evaluation` wants them. A corpus that was left out is answered for among the emotions
    that it has; the probabilities are those of all."""
    labels = np.array(material.labels)
    frame = material.table.iloc[fold.test][["clip_id", "corpus", "speaker", "sex"]].reset_index(drop=True)
    frame["true"] = labels[material.y[fold.test]]
    across = "corpus" in fold.independent_of
    given = left_out.among(probabilities, frame["true"], frame["corpus"], labels) if across else probabilities
    frame["predicted"] = labels[given.argmax(axis=1)]
    frame["confidence"] = given.max(axis=1)
    shares = {f"prob_{label}": probabilities[:, i] for i, label in enumerate(labels)}
    return frame.assign(**shares, fold=fold.index)


def _called(kind: Any) -> str:
    """A type, as messages name it."""
    if kind is str:
        return "text"
    names = [each.__name__ for each in get_args(kind) or (kind,)]
    return f"{' or '.join(names)}; its settings have names of their own"


def _plainly(name: str) -> str:
    """A name as part of a path."""
    return re.sub(r"[^\w.+-]+", "_", name)


def _decisive(thing: Any) -> Any:
    """All settings, for JSON; fields that are off (0, none, empty) are left out, so that new options change nothing."""
    if isinstance(thing, Extractor | Step):
        return thing.identity
    if is_dataclass(thing):
        said = _SAID if isinstance(thing, System) else ()
        values = {each.name: getattr(thing, each.name) for each in fields(thing) if each.name not in said}
        return {"kind": type(thing).__name__} | {key: _decisive(value) for key, value in values.items() if value}
    if isinstance(thing, Mapping):
        return {key: _decisive(thing[key]) for key in sorted(thing)}
    if isinstance(thing, tuple | list):
        return [_decisive(each) for each in thing]
    return thing


def _set(thing: Any, path: list[str], value: Any, whole: str) -> Any:
    """A copy of a dataclass or mapping in which one setting has another value."""
    name, *rest = path
    known = [each.name for each in fields(thing)] if is_dataclass(thing) else []
    if isinstance(value, list):
        value = _tuples(value)  # JSON has no tuples, and what has lists in it cannot be looked up
    if isinstance(thing, Mapping):
        if rest and name not in thing:
            raise RecipeError(f"there is no setting {whole!r}: known are {', '.join(map(repr, thing)) or 'none'}")
        return {**thing, name: _set(thing[name], rest, value, whole) if rest else value}
    if name not in known:
        raise RecipeError(f"there is no setting {whole!r}: {type(thing).__name__} has {', '.join(known) or 'none'}")
    return replace(thing, **{name: _set(getattr(thing, name), rest, value, whole) if rest else value})


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def versions() -> dict[str, str]:
    """Versions of Python, ser_kit and the packages that decide about numbers."""
    names = (
        "ser-kit", "tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "numpy", "scipy", "librosa",
        "praat-parselmouth", "soxr", "soundfile", "noisereduce", "PyWavelets", "webrtcvad-wheels",
    )  # fmt: skip
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # tensorflow and tensorflow-cpu are the same package under two names
    return found
