"""What a recipe is, and how one is run under a protocol or fitted for use."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import bundle as bundles
from .. import corpora, models, protocols
from ..errors import TableError, TrainingError
from ..evaluation import Evaluation, apply_temperature, expected_calibration_error, fit_temperature
from ..features import Extractor, Features, Functionals, extract
from ..labels import EMOTIONS
from ..training import Scaler, Training, fit, seed_everything

if TYPE_CHECKING:
    import keras

UNCERTAIN_SHARE = 0.02
"""A prediction is uncertain when its confidence is below that of all but this share of held-out training clips."""

STRANGE_SHARE = 0.01
"""A recording is strange when it is farther from the average of the training clips than all but this share of them."""

LIMITS = (
    "Its accuracy on voices, languages, rooms and microphones other than those it learned from is not known. "
    "What a voice sounds like is not what a person feels: not for decisions about people, such as hiring, policing, "
    "credit, health or schooling. The licences of the corpora bind the model too."
)
"""What every bundle's card says of its use."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One published system, declared.

    Args:
        name: how it is asked for.
        title: one line for tables.
        reference: authors, title and reported figures as far as given.
        labels: the label set that its authors used.
        extractor: makes the model's input of a recording.
        model: name of the builder in :mod:`ser_kit.models`.
        hyperparameters: the builder's arguments where they differ from its defaults.
        training: optimiser, epochs, stopping.
        corpus_markers: let the model see features that identify a corpus (such as the sample rate).
    """

    name: str
    title: str
    reference: str
    labels: str
    extractor: Extractor
    model: str
    training: Training
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    corpus_markers: bool = False

    @property
    def columns(self) -> tuple[int, ...]:
        """Places of the features that the model sees."""
        return tuple(range(self.extractor.shape[-1])) if self.corpus_markers else self.extractor.model_columns

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the model's input for one clip."""
        return (*self.extractor.shape[:-1], len(self.columns))

    def build(self, n_classes: int) -> keras.Model:
        """The uncompiled network for that many classes."""
        return models.get(self.model)(self.input_shape, n_classes, **self.hyperparameters)

    def extract(self, table: pd.DataFrame, *, jobs: int | None = None, progress: bool = True) -> Features:
        """The recipe's features of a clip table; see :func:`ser_kit.features.extract`."""
        return extract(table, self.extractor, jobs=jobs, progress=progress)

    def run(
        self,
        data: pd.DataFrame | Features,
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
            data: a clip table, or its features where they are at hand. Classes are the column ``label`` where
                :func:`ser_kit.corpora.load` made one, else all emotions there are.
            protocol: a name in :mod:`ser_kit.protocols`.
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
        found, labels, y = self._prepare(data, jobs, progress)
        folds = protocols.get(protocol)(found.table, seed)
        protocols.audit(found.table, folds)
        started, tested, histories = time.perf_counter(), [], []
        for fold in folds:
            checkpoint = None if out is None else Path(out) / f"{self.name}-{protocol}-{seed}-{fold.index}"
            title = f"{self.name} {fold.name.replace('/', ' fold ')} of {len(folds)}"
            fitted = self._fit(found, y, labels, fold.train, fold.validation, seed, checkpoint, title, progress)
            tested.append(fitted.predictions(found, fold.test, y, labels).assign(fold=fold.index))
            histories.append(fitted.history)
        return Evaluation(
            recipe=self.name,
            protocol=protocol,
            speaker_independent=folds[0].speaker_independent,
            seed=seed,
            labels=labels,
            predictions=pd.concat(tested, ignore_index=True),
            histories=histories,
            seconds=time.perf_counter() - started,
            parameters=int(fitted.model.count_params()),
            corpora=sorted(found.table["corpus"].unique()),
            versions=versions(),
        )

    def fit(
        self,
        data: pd.DataFrame | Features,
        *,
        protocol: str = "speaker",
        seed: int = 0,
        evaluation: Evaluation | None = None,
        out: str | Path | None = None,
        jobs: int | None = None,
        progress: bool = True,
    ) -> bundles.Bundle:
        """Train a system for use, on all clips.

        One fold's test speakers decide when to stop; the other folds' speakers are trained on. What the card says of
        its worth comes from ``evaluation``, in which every clip was predicted by a model that never heard its speaker.

        Args:
            data: a clip table or its features.
            protocol: ``"speaker"``; ``"random"`` where the speakers are not known.
            seed: as in :meth:`run`.
            evaluation: of this recipe on these data; :meth:`run` makes it where it is not given.
            out: folder for checkpoints.
            jobs: processes for extraction.
            progress: show progress bars.
        """
        found, labels, y = self._prepare(data, jobs, progress)
        if evaluation is None:
            evaluation = self.run(found, protocol, seed=seed, out=out, jobs=jobs, progress=progress)
        if (evaluation.recipe, set(evaluation.labels)) != (self.name, set(labels)):
            raise TrainingError(
                f"the evaluation given is of {evaluation.recipe} on {', '.join(evaluation.labels)}; "
                f"expected {self.name} on {', '.join(labels)}"
            )
        fold = protocols.get(protocol)(found.table, seed)[0]
        train, stop = np.union1d(fold.train, fold.validation), fold.test
        checkpoint = None if out is None else Path(out) / f"{self.name}-{protocol}-{seed}-final"
        fitted = self._fit(found, y, labels, train, stop, seed, checkpoint, f"{self.name} final", progress)
        # A fresh network: the optimiser's state would treble the file and is of no use for predicting.
        model = self.build(len(labels))
        model.set_weights(fitted.model.get_weights())
        return bundles.Bundle(self._card(found, labels, fitted, evaluation, jobs, progress), model)

    def _prepare(self, data, jobs, progress) -> tuple[Features, list[str], np.ndarray]:
        found = data if isinstance(data, Features) else self.extract(data, jobs=jobs, progress=progress)
        if found.extractor != self.extractor:
            raise TrainingError(
                f"{self.name} needs features of {self.extractor.identity}, not of {found.extractor.identity}"
            )
        column = "label" if "label" in found.table else "emotion"
        present = set(found.table[column])
        order = found.table.attrs.get("labels", EMOTIONS) if column == "label" else EMOTIONS
        labels = [label for label in order if label in present]
        if len(labels) < 2:
            raise TableError(f"training needs two emotions at least; there are clips of {', '.join(labels) or 'none'}")
        return found, labels, pd.Index(labels).get_indexer(found.table[column])

    def _fit(self, found, y, labels, train, validation, seed, checkpoint, title, progress) -> _Fitted:
        values, lengths = _chosen(found.values, self.columns), found.lengths
        scaler = Scaler.fit(values[train], lengths[train] if values.ndim == 3 else None)
        x_validation = scaler.transform(values[validation])
        seed_everything(seed)
        model = self.build(len(labels))
        history = fit(
            model, scaler.transform(values[train]), y[train], validation=(x_validation, y[validation]),
            training=self.training, seed=seed, checkpoint=checkpoint, progress=progress, title=title,
        )  # fmt: skip
        temperature = fit_temperature(model.predict(x_validation, verbose=0), y[validation])
        return _Fitted(model, scaler, temperature, history, self.columns)

    def _card(self, found, labels, fitted, evaluation, jobs, progress) -> dict:
        functionals = found
        if not isinstance(found.extractor, Functionals):
            functionals = extract(found.table, Functionals(), jobs=jobs, progress=progress)
        frame = functionals.to_frame()
        names = list(functionals.extractor.feature_names)
        confidence, correct = evaluation.predictions["confidence"].to_numpy(), evaluation.correct()
        typical = {
            emotion: {name: _rounded((rows[name].mean(), rows[name].std(ddof=0))) for name in names}
            for emotion, rows in [("all", frame), *frame.groupby("emotion")]
        }
        distances = bundles.strangeness(functionals.values, typical["all"]).mean(axis=1)
        used = [corpora.get(name) for name in sorted(found.table["corpus"].unique())]
        return {
            "format": bundles.FORMAT,
            "name": self.name,
            "title": self.title,
            "reference": self.reference,
            "labels": labels,
            "extractor": {
                "name": self.extractor.name,
                "version": self.extractor.version,
                "parameters": self.extractor.parameters,
            },
            "columns": list(self.columns),
            "model": {
                "builder": self.model,
                "input_shape": list(self.input_shape),
                "hyperparameters": dict(self.hyperparameters),
                "parameters": int(fitted.model.count_params()),
            },
            "scaler": {"mean": _rounded(fitted.scaler.mean), "scale": _rounded(fitted.scaler.scale)},
            "temperature": fitted.temperature,
            "uncertain_below": float(np.quantile(confidence, UNCERTAIN_SHARE)),
            "strange_above": float(np.quantile(distances, 1 - STRANGE_SHARE)),
            "typical": typical,
            "trained_on": [
                {
                    "corpus": corpus.name,
                    "clips": int((found.table["corpus"] == corpus.name).sum()),
                    "speakers": int(found.table.loc[found.table["corpus"] == corpus.name, "speaker"].nunique()),
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
            },
            "versions": versions(),
        }


@dataclass(frozen=True, eq=False)
class _Fitted:
    """A trained network with what belongs to it."""

    model: keras.Model
    scaler: Scaler
    temperature: float
    history: pd.DataFrame
    columns: tuple[int, ...]

    def predictions(self, found: Features, rows: np.ndarray, y: np.ndarray, labels: list[str]) -> pd.DataFrame:
        """The rows as :class:`Evaluation` wants them."""
        inputs = self.scaler.transform(_chosen(found.values[rows], self.columns))
        probabilities = apply_temperature(self.model.predict(inputs, verbose=0), self.temperature)
        frame = found.table.iloc[rows][["clip_id", "corpus", "speaker", "sex"]].reset_index(drop=True)
        frame["true"] = np.array(labels)[y[rows]]
        frame["predicted"] = np.array(labels)[probabilities.argmax(axis=1)]
        frame["confidence"] = probabilities.max(axis=1)
        return frame.assign(**{f"prob_{label}": probabilities[:, i] for i, label in enumerate(labels)})


def _chosen(values: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
    """The columns that the model sees; the array itself where it sees them all, since it may be large."""
    return values if len(columns) == values.shape[-1] else values[..., columns]


def _rounded(values) -> list[float]:
    """Plain floats with the seven digits that float32 has."""
    return [float(f"{value:.7g}") for value in np.asarray(values, dtype=float)]


def versions() -> dict[str, str]:
    """Versions of Python, ser_kit and the packages that decide about numbers."""
    names = ("ser-kit", "tensorflow", "tensorflow-cpu", "keras", "numpy", "librosa", "praat-parselmouth", "soxr")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # tensorflow and tensorflow-cpu are the same package under two names
    return found
