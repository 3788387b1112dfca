"""Systems: evaluation under a protocol, and training for use.

A :class:`System` is a :class:`Recipe` (one model) or an :class:`~ser_kit.recipes.Ensemble` (several models
that vote). Evaluation, training and the model card are the same for both.
"""

from __future__ import annotations

import re
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from .. import protocols
from ..bundles.bundle import Bundle
from ..core.errors import TrainingError
from ..evaluation.calibration import fit_temperature
from ..evaluation.record import Evaluation
from ..extraction import Features
from .changes import as_path
from .declared import Declared
from .final import across_corpora, answering, calibrate, card, versions, with_temperature
from .prepared import PreparedData, Split, class_shares, prepare, tested_rows
from .published import PUBLISHED


@dataclass(frozen=True, kw_only=True)
class System(Declared):
    """Base class of recipes and ensembles: preparation, evaluation and training.

    The arguments are those of :class:`~ser_kit.recipes.declared.Declared`.
    """

    def same_data(self, other: System) -> bool:
        """Whether another system needs the same prepared data."""
        wanted = [(system.extractors, system.copies, system.augmentation) for system in (self, other)]
        return wanted[0] == wanted[1]

    def prepare(
        self, data: pd.DataFrame | Features | PreparedData, *, jobs: int | None = None, progress: bool = True
    ) -> PreparedData:
        """Extract features, determine classes and create augmented copies; stored features are reused.

        Args:
            data: a clip table, its features, or prepared data, which are returned unchanged. Classes are the
                column ``label`` if :func:`ser_kit.corpora.load` created one, else all emotions in the table.
            jobs: number of processes for extraction.
            progress: show progress bars.

        Raises:
            TrainingError: if the features are not from an extractor of this system.
            LabelError: if a label is not in the label set, or an emotion is unknown.
            TableError: if there are clips of one emotion only.
        """
        self.check(self.temperature)
        return data if isinstance(data, PreparedData) else prepare(self, data, jobs, progress)

    def protocol(self, name: str) -> protocols.Protocol:
        """The protocol of that name; ``"published"`` is the protocol of the authors.

        Raises:
            UnknownNameError: if there is none.
        """
        return protocols.get(self.published.protocol if name == PUBLISHED else name)

    def folds(self, prepared: PreparedData, protocol: str = "speaker", seed: int = 0) -> list[protocols.Fold]:
        """The audited folds of a protocol; ``"published"`` is the protocol of the authors.

        Raises:
            LeakageError: if a clip, or a speaker under a speaker-independent protocol, is on both sides.
            TableError: if the protocol cannot divide the table.
        """
        folds = self.protocol(protocol)(prepared.table, seed)
        protocols.audit(prepared.table, folds)
        return folds

    def fit_fold(
        self, prepared: PreparedData, fold: protocols.Fold, *, out: str | Path | None = None,
        progress: bool = True, title: str = "",
    ) -> tuple[Bundle, list[pd.DataFrame]]:  # fmt: skip
        """Train on one fold, with the arguments of :meth:`run_fold`.

        Returns:
            A calibrated bundle, with the minimal card for
            :meth:`~ser_kit.bundles.bundle.Bundle.probabilities`, and the training histories.

        Raises:
            LeakageError: if a part was fitted on test clips.
        """
        prefix = f"{fold.protocol}-{fold.seed}-{fold.index}"
        split = self._split(
            prepared, fold.train, fold.validation, fold.seed, out, prefix, progress, title or self.name
        )
        bare, histories = self._fitted(split)
        fitted = with_temperature(bare, self._temperature(bare, split))
        protocols.audit(prepared.table, fold, fitted=split.fitted)
        return fitted, histories

    def run_fold(
        self, prepared: PreparedData, fold: protocols.Fold, *, out: str | Path | None = None,
        progress: bool = True, title: str = "",
    ) -> Evaluation:  # fmt: skip
        """Train and test on one fold, with the seed of the fold.

        Args:
            prepared: data from :meth:`prepare`.
            fold: a fold from :meth:`folds`.
            out: folder for checkpoints.
            progress: show progress bars.
            title: label of the progress bars.

        Raises:
            LeakageError: if a part was fitted on test clips.
        """
        started = time.perf_counter()
        fitted, histories = self.fit_fold(prepared, fold, out=out, progress=progress, title=title)
        values = prepared.values(fold.test)
        predictions = tested_rows(prepared, fold, fitted.probabilities(values))
        sharpness = fitted.places(values).sharpness
        if (sharpness != 1).any():
            predictions["sharpness"] = sharpness
        return Evaluation(
            recipe=self.name,
            protocol=fold.protocol,
            speaker_independent=fold.speaker_independent,
            seed=fold.seed,
            labels=prepared.labels,
            predictions=predictions,
            histories=histories,
            # Includes epochs trained before an interruption.
            seconds=max(
                time.perf_counter() - started, sum(history["seconds"].sum() for history in histories)
            ),
            parameters=fitted.parameters,
            corpora=sorted(prepared.table["corpus"].unique()),
            versions=versions(),
            temperatures=[fitted.card["temperature"]],
            settings=self.declaration,
            data=prepared.data,
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
        """Train and test on all folds of a protocol.

        Scaling, early stopping and calibration of each fold use its training and validation clips only.

        Args:
            data: see :meth:`prepare`.
            protocol: name of a protocol in :mod:`ser_kit.protocols`, or ``"published"``.
            seed: random seed of the folds, the initial weights and the order of clips.
            out: folder for checkpoints; an interrupted run resumes from there.
            jobs: number of processes for extraction.
            progress: show progress bars.

        Returns:
            The evaluation, with a calibrated prediction for each test clip.

        Raises:
            LeakageError: if a clip, or a speaker under a speaker-independent protocol, is on both sides.
            TableError: if the protocol cannot divide the table.
        """
        prepared = self.prepare(data, jobs=jobs, progress=progress)
        folds = self.folds(prepared, protocol, seed)
        parts = []
        for fold in folds:
            title = f"{self.name} {fold.name.replace('/', ' fold ')} of {len(folds)}"
            parts.append(self.run_fold(prepared, fold, out=out, progress=progress, title=title))
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

        The test speakers of the first fold are used for early stopping, and all other speakers for training;
        a system with a fixed temperature is trained on all speakers. The scores in the card and the
        temperature come from ``evaluation``, in which each clip was predicted by a model that was not trained
        on its speaker.

        Under protocol ``corpus`` the system is trained on all corpora, with some speakers held out for early
        stopping. Each clip of ``evaluation`` was predicted by a model that was not trained on its corpus. The
        temperature and the threshold are fitted on these predictions
        (:func:`ser_kit.evaluation.left_out.calibration`), and the card has the scores of each corpus left
        out.

        The bundle includes ``model.onnx``, which predicts without TensorFlow
        (:func:`ser_kit.deploy.with_runtime`), unless its features cannot be exported.

        Args:
            data: see :meth:`prepare`.
            protocol: ``"speaker"``; ``"corpus"`` to generalise to other corpora; ``"random"`` if the speakers
                are not known.
            seed: see :meth:`run`.
            evaluation: evaluation of this system on these data; by default the result of :meth:`run`.
            out: folder for checkpoints.
            jobs: number of processes for extraction.
            progress: show progress bars.

        Returns:
            The trained bundle.

        Raises:
            TrainingError: if the evaluation is of another system or other labels, or of an earlier version
                without temperatures.

        Warns:
            NoRuntimeWarning: if ``model.onnx`` cannot be exported; the warning and the card give the reason.
        """
        prepared = self.prepare(data, jobs=jobs, progress=progress)
        if evaluation is None:
            evaluation = self.run(prepared, protocol, seed=seed, out=out, progress=progress)
        if (evaluation.recipe, set(evaluation.labels)) != (self.name, set(prepared.labels)):
            raise TrainingError(
                f"the evaluation given is of {evaluation.recipe} on {', '.join(evaluation.labels)}; "
                f"expected {self.name} on {', '.join(prepared.labels)}"
            )
        name = self.protocol(protocol).name
        if across_corpora(name):
            train, validation = protocols.inner(prepared.table, np.arange(len(prepared.y)), seed)
        else:
            validation = self.folds(prepared, protocol, seed)[0].test
            train = np.setdiff1d(np.arange(len(prepared.y)), prepared.with_copies(validation))
        return self._finished(prepared, train, validation, evaluation, out=out, jobs=jobs, progress=progress)

    def _finished(
        self, prepared, train, validation, evaluation, *, out=None, jobs=None, progress=True
    ) -> Bundle:
        """Train on some rows, and calibrate by an evaluation of the same name, labels and seed."""
        calibrated, temperature = calibrate(evaluation)
        seed, prefix = evaluation.seed, f"{evaluation.protocol}-{evaluation.seed}-final"
        split = self._split(prepared, train, validation, seed, out, prefix, progress, f"{self.name} final")
        fitted = with_temperature(self._fitted(split)[0], temperature)
        facts = card(self, prepared, fitted, evaluation, calibrated, jobs, progress)
        return answering(Bundle(facts, fitted.members).joined(), prepared)

    def forget(self, out: str | Path, protocol: str, seed: int) -> None:
        """Remove the checkpoints of :meth:`run` and :meth:`fit` under a protocol and a seed.

        Args:
            out: folder for checkpoints; it is removed too if nothing else is in it.
            protocol: see :meth:`run`.
            seed: see :meth:`run`.
        """
        name = self.protocol(protocol).name
        for part in self.parts:
            own = re.compile(re.escape(as_path(f"{part}-{name}-{seed}")) + r"-(\d+|final)")
            for folder in Path(out).glob("*"):
                if own.fullmatch(folder.name):
                    shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # it has other runs, or does not exist: a forest writes no checkpoints
            Path(out).rmdir()

    def _split(self, prepared, train, validation, seed, out, prefix, progress, title) -> Split:
        if self.temperature:  # validation clips are not needed
            train, validation = np.union1d(train, validation), validation[:0]

        def checkpoint(part: str) -> Path | None:
            return None if out is None else Path(out) / as_path(f"{part}-{prefix}")

        return Split(prepared, train, validation, seed, progress, checkpoint, title)

    def _fitted(self, split: Split) -> tuple[Bundle, list[pd.DataFrame]]:
        """Train the members, without calibration."""
        members, histories = self.train(split)
        card = {
            "name": self.name, "labels": list(split.prepared.labels), "combine": self.combine,
            "temperature": 1.0,
        }  # fmt: skip
        if self.balanced:
            card["prior"] = class_shares(split.prepared, split.note("prior", split.train))
        return Bundle(card, tuple(members)), histories

    def _temperature(self, bundle: Bundle, split: Split) -> float:
        """Temperature of the combined probabilities: fixed, or fitted on the validation rows."""
        if self.temperature:
            return self.temperature
        rows = split.note("calibration", split.validation)
        return fit_temperature(bundle.combined(split.prepared.values(rows)), split.prepared.y[rows])
