"""What a model is worth: metrics, intervals over speakers, calibration, and the record of a run.

Numbers are fractions between 0 and 1 throughout; tables for people (:func:`compare`, ``print``) show percent.
Unweighted average recall (UAR, balanced accuracy) is the headline. Every macro average here runs over the classes that
occur among the true labels, so a test part without a class neither fails nor counts it as zero.

An interval always belongs to the score of all tested clips together, and is printed beside that score alone
(:func:`with_interval`); the mean over folds stands apart, with its standard deviation. Where folds differ in size or in
classes, the two are different quantities. A resample in which a class has no clip has no recall of that class and no
average over all classes: it is left out of their intervals.

Examples:
    >>> scores = metrics(["happy", "happy", "sad"], ["happy", "sad", "sad"], labels=["happy", "sad"])
    >>> scores["uar"], round(scores["accuracy"], 3)
    (0.75, 0.667)
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.errors import FewClipsWarning, LabelError, TableError, TrainingError
from ..core.paths import write_whole
from ..core.probabilities import apply_temperature, logarithms, softmax
from .intervals import is_of_few

METRICS = ("uar", "accuracy", "macro_precision", "macro_f1", "weighted_f1")
"""Names of the metrics, fractions from 0 to 1; UAR is the headline."""
_TITLES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}
_SUMMARISED = ("uar", "accuracy", "macro_f1", "weighted_f1")
_MACRO = ("uar", "macro_precision", "macro_f1")  # averages over classes

FEWEST_TO_CALIBRATE = 50
"""Clips below which fitting a temperature gives a warning."""

_PRIOR = 0.25
"""Standard deviation of the logarithm of a temperature, before any clip is seen: most lie between 0.6 and 1.6. It
counts about as much as a dozen clips do."""

_COLUMNS = ("clip_id", "corpus", "speaker", "sex", "fold", "true", "predicted", "confidence")
_RECORD = "evaluation.json"


# ---------------------------------------------------------------------------------------------------------- counting


def _codes(names: Sequence[str], labels: Sequence[str], what: str) -> np.ndarray:
    codes = pd.Index(labels).get_indexer(pd.Index(np.asarray(names, dtype=object)))
    if (codes < 0).any():
        unknown = sorted({str(n) for n in np.asarray(names, dtype=object)[codes < 0]})
        raise LabelError(f"{what} labels {', '.join(map(repr, unknown))} are not among {', '.join(map(repr, labels))}")
    return codes


def _counts(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str], groups: np.ndarray | None = None):
    """Confusion matrices ``int [groups, k, k]``, rows true; one group where none are given."""
    if len(true) != len(predicted):
        raise TableError(f"{len(true)} true labels but {len(predicted)} predicted ones")
    if not len(true):
        raise TableError("there is no prediction to score")
    groups = np.zeros(len(true), dtype=int) if groups is None else groups
    counts = np.zeros((groups.max() + 1, len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, (groups, _codes(true, labels, "true"), _codes(predicted, labels, "predicted")), 1)
    return counts


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """``part / whole``, and 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) > 0)


def _class_scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of each class from confusion matrices ``[..., k, k]``, each ``[..., k]``."""
    hits, support, named = np.einsum("...ii->...i", counts), counts.sum(-1), counts.sum(-2)
    return {
        "precision": _ratio(hits, named),
        "recall": _ratio(hits, support),
        "f1": _ratio(2 * hits, support + named),
        "support": support,
    }


def _scores(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Every metric of :data:`METRICS` from confusion matrices ``[..., k, k]``, each ``[...]``."""
    scores = _class_scores(counts)
    support = scores["support"]
    present = support > 0

    def macro(values: np.ndarray) -> np.ndarray:
        return _ratio((values * present).sum(-1), present.sum(-1))

    return {
        "uar": macro(scores["recall"]),
        "accuracy": _ratio(np.einsum("...ii->...", counts), counts.sum((-1, -2))),
        "macro_precision": macro(scores["precision"]),
        "macro_f1": macro(scores["f1"]),
        "weighted_f1": _ratio((scores["f1"] * support).sum(-1), support.sum(-1)),
    }


def metrics(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """The usual scores of one set of predictions.

    Args:
        true: labels of the clips, ``[n]``.
        predicted: labels that the model gave, ``[n]``.
        labels: all labels the model knows.

    Returns:
        ``uar`` (mean recall), ``accuracy``, ``macro_precision``, ``macro_f1`` and ``weighted_f1``, fractions 0..1.
        Macro averages run over the classes that occur in ``true``; a class never predicted has precision 0.

    Raises:
        TableError: no predictions, or not one per clip.
        LabelError: a label is not among ``labels``.
    """
    return {name: float(values[0]) for name, values in _scores(_counts(true, predicted, labels)).items()}


def per_class(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Precision, recall, F1 (fractions; 0 where nothing is there to divide by) and support of each label.

    Examples:
        >>> per_class(["happy", "sad"], ["happy", "happy"], ["happy", "sad"]).loc["happy", "precision"].item()
        0.5
    """
    scores = _class_scores(_counts(true, predicted, labels)[0])
    return pd.DataFrame(scores, index=pd.Index(labels, name="label"))


def confusion(true: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
    """Clips counted by true label (rows) and predicted label (columns)."""
    counts = _counts(true, predicted, labels)[0]
    return pd.DataFrame(counts, index=pd.Index(labels, name="true"), columns=pd.Index(labels, name="predicted"))


# --------------------------------------------------------------------------------------------------------- intervals


def _resampled(predictions: pd.DataFrame, labels: Sequence[str], n: int, seed: int, by: str) -> dict | None:
    """Scores of ``n`` resamples of whole groups, or ``None`` where a single group leaves nothing to resample.

    The metrics, each ``[n]``, and ``recall [n, k]``; NaN where a resample has no clip of a class that they need.
    """
    groups, names = pd.factorize(predictions[by])
    if (groups < 0).any():
        raise TableError(f"{(groups < 0).sum()} predictions have no {by}; intervals are drawn over whole {by}s")
    counts = _counts(predictions["true"], predictions["predicted"], labels, groups)
    if len(names) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=n)
    # In floats because matrix products of integers are not vectorised; the counts stay exact.
    sums = (drawn.astype(float) @ counts.reshape(len(names), -1).astype(float)).reshape(n, *counts.shape[1:])
    absent = sums.sum(-1) == 0
    incomplete = absent[:, counts.sum((0, -1)) > 0].any(-1)
    found = _scores(sums)
    found |= {name: np.where(incomplete, np.nan, found[name]) for name in _MACRO}
    return found | {"recall": np.where(absent, np.nan, _class_scores(sums)["recall"])}


def _interval(values: np.ndarray, confidence: float = 0.95) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan
    low, high = np.quantile(values, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def bootstrap(
    predictions: pd.DataFrame,
    metric: str = "uar",
    *,
    n: int = 1000,
    seed: int = 0,
    by: str = "speaker",
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a metric, found by drawing whole speakers with replacement.

    The clips of one speaker resemble each other, so drawing single clips would promise more than the data hold. Draws
    that lack a class are left out of the intervals of averages over classes. From few speakers an interval is too
    narrow, see :data:`ser_kit.evaluation.intervals.FEWEST_SPEAKERS`.

    Args:
        predictions: columns ``true``, ``predicted`` and the one named by ``by``.
        metric: one of :data:`METRICS`.
        n: number of resamples.
        seed: of the draw.
        by: column whose values are drawn; ``"clip_id"`` draws single clips.
        confidence: coverage of the interval, between 0 and 1.

    Returns:
        ``(low, high)``, fractions; ``(nan, nan)`` where there is only one speaker, which says nothing about others, or
        where no draw holds all classes.

    Source:
        Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13 (percentile intervals).

    Examples:
        >>> seen = pd.DataFrame({"speaker": ["a"] * 2 + ["b"] * 2, "true": ["x", "y"] * 2, "predicted": list("xyyx")})
        >>> bootstrap(seen, "accuracy")  # one speaker always right, the other always wrong
        (0.0, 1.0)
    """
    if metric not in METRICS:
        raise TableError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}")
    labels = sorted(set(predictions["true"]) | set(predictions["predicted"]))
    scores = _resampled(predictions, labels, n, seed, by)
    return (np.nan, np.nan) if scores is None else _interval(scores[metric], confidence)


# ------------------------------------------------------------------------------------------------------- calibration


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> pd.DataFrame:
    """Accuracy against confidence, in bins of equal width.

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether it was right, ``[n]``.
        bins: number of bins.

    Returns:
        One row per bin: ``low``, ``high`` (edges; the upper one belongs to the bin), ``confidence`` and ``accuracy``
        (means; NaN in an empty bin) and ``clips``.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599.
    """
    confidence, correct = np.asarray(confidence, dtype=float), np.asarray(correct, dtype=float)
    if confidence.shape != correct.shape or not confidence.size:
        raise TableError(f"needs one outcome per confidence, and at least one; got {confidence.shape}, {correct.shape}")
    if not ((confidence >= 0) & (confidence <= 1)).all():
        raise TableError("a confidence lies outside 0..1")
    edges = np.linspace(0, 1, bins + 1)
    where = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    clips = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = {
            "confidence": np.bincount(where, confidence, bins) / clips,
            "accuracy": np.bincount(where, correct, bins) / clips,
        }
    return pd.DataFrame({"low": edges[:-1], "high": edges[1:], **means, "clips": clips})


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Mean distance between confidence and accuracy over bins of equal width, weighted by their clips (0 is best).

    Args:
        confidence: probability of the predicted label, 0..1, ``[n]``.
        correct: whether it was right, ``[n]``.
        bins: number of bins.

    Source:
        Naeini et al. (2015), Obtaining Well Calibrated Probabilities Using Bayesian Binning, AAAI.

    Examples:
        >>> round(expected_calibration_error([0.9, 0.9], [1, 0]), 3)
        0.4
    """
    table = reliability(confidence, correct, bins)
    gap = (table["confidence"] - table["accuracy"]).abs().fillna(0)
    return float((gap * table["clips"]).sum() / table["clips"].sum())


def fit_temperature(probabilities: np.ndarray, true_index: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature that is most likely, given held-out labels and that networks need little correction.

    Before any clip is seen, the logarithm of the temperature is normally distributed around 0 with a standard deviation
    of 0.25. A few clips therefore move it little, where the most likely temperature alone would make a model sure of
    everything or of nothing; some hundred decide nearly alone.

    Args:
        probabilities: of clips that were not trained on, ``[n, k]``.
        true_index: position of the true label in each row, ``int [n]``.
        weights: how much each clip counts, ``[n]``; all alike if not given.

    Returns:
        A temperature between 0.05 and 20.

    Warns:
        FewClipsWarning: there are fewer than :data:`FEWEST_TO_CALIBRATE` clips.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.

    Examples:
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")  # ten clips are few
        ...     round(fit_temperature([[0.65, 0.35]] * 10, [0] * 10), 1)  # all right: a little surer than it said
        0.9
    """
    from scipy.optimize import minimize_scalar

    logits, true_index = logarithms(probabilities), np.asarray(true_index)
    if true_index.shape != logits.shape[:1] or not len(logits):
        raise TableError(f"needs one true label per row, and a row at least; got {true_index.shape} for {logits.shape}")
    if len(logits) < FEWEST_TO_CALIBRATE:
        warnings.warn(
            f"only {len(logits)} clips were held back to calibrate on: take confidences as rough (expected "
            f"{FEWEST_TO_CALIBRATE} or more)",
            FewClipsWarning,
            stacklevel=2,
        )
    rows, counts = np.arange(len(logits)), np.ones(len(logits)) if weights is None else np.asarray(weights)

    def loss(log_temperature: float) -> float:
        likelihood = softmax(logits / np.exp(log_temperature))[rows, true_index]
        return -(counts * np.log(np.maximum(likelihood, 1e-300))).sum() + (log_temperature / _PRIOR) ** 2 / 2

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


# ------------------------------------------------------------------------------------------------------------ records


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One recipe under one protocol: every tested clip, and what was recorded on the way.

    Args:
        recipe: name of what was trained.
        protocol: name of how the clips were divided.
        speaker_independent: no tested speaker was in training.
        seed: of folds and training.
        labels: in the order of the model's outputs.
        predictions: one row per tested clip: ``clip_id, corpus, speaker, sex, fold, true, predicted, confidence`` and
            ``prob_<label>`` for each label.
        histories: one DataFrame per fold: ``epoch, loss, val_loss`` and whatever else was followed.
        seconds: time that all folds took.
        parameters: of the model, trainable or not.
        corpora: names of the corpora.
        versions: package name to version.
        temperatures: that the answers of each fold were calibrated with.
        settings: of what was trained, all that decide about its numbers
            (:attr:`~ser_kit.recipes.System.declaration`).
        data: ``clips``, ``speakers`` and ``digest`` of all that was trained and tested on
            (:attr:`~ser_kit.recipes.Material.data`).
        command: that it was made by; ``""`` where it was no command.

    Raises:
        TableError: ``predictions`` lacks a column or is empty.
        LabelError: a true or predicted label is not among ``labels``.
    """

    recipe: str
    protocol: str
    speaker_independent: bool
    seed: int
    labels: Sequence[str]
    predictions: pd.DataFrame
    histories: Sequence[pd.DataFrame] = ()
    seconds: float = 0.0
    parameters: int | None = None
    corpora: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    temperatures: Sequence[float] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""

    def __post_init__(self):
        object.__setattr__(self, "temperatures", tuple(self.temperatures))
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "histories", tuple(self.histories))
        object.__setattr__(self, "corpora", tuple(self.corpora))
        expected = [*_COLUMNS, *(f"prob_{label}" for label in self.labels)]
        missing = [column for column in expected if column not in self.predictions]
        if missing:
            raise TableError(f"predictions lack {', '.join(missing)}; expected {', '.join(expected)}")
        self.confusion()  # raises where labels are unknown or nothing was predicted

    @property
    def label(self) -> str:
        """``"speaker-independent"`` or ``"speaker-dependent"``: what belongs beside every number of it."""
        return "speaker-independent" if self.speaker_independent else "speaker-dependent"

    @property
    def digest(self) -> str:
        """Eight digits that runs with other settings, labels or recordings have otherwise, to name files by."""
        decisive = json.dumps([plain(self.settings), self.labels, plain(self.data)], sort_keys=True)
        return hashlib.blake2b(decisive.encode(), digest_size=4).hexdigest()

    def uncalibrated(self) -> np.ndarray:
        """Probabilities as the model gave them, before each fold's temperature, ``[n, k]``.

        Raises:
            TrainingError: it does not have a temperature for each fold, as records of earlier versions do not.
        """
        folds = sorted(self.predictions["fold"].unique())
        if len(self.temperatures) != len(folds):
            raise TrainingError(
                f"the evaluation given has {len(self.temperatures)} temperatures for {len(folds)} folds; expected "
                "one for each: make it anew with run()"
            )
        found = self.predictions[[f"prob_{label}" for label in self.labels]].to_numpy(copy=True)
        for fold, used in zip(folds, self.temperatures, strict=True):
            rows = (self.predictions["fold"] == fold).to_numpy()
            found[rows] = apply_temperature(found[rows], 1 / used)
        return found

    @property
    def sharpness(self) -> np.ndarray:
        """What the logits of each answer were multiplied by for the clip's distance from what was learned, ``[n]``; see
        :class:`ser_kit.bundles.bundle.Places`."""
        ones = pd.Series(1.0, self.predictions.index)
        return self.predictions.get("sharpness", ones).fillna(1.0).to_numpy()

    def metrics(self) -> dict[str, float]:
        """Scores over the tested clips of all folds together, as :func:`metrics` gives them."""
        return metrics(self.predictions["true"], self.predictions["predicted"], self.labels)

    def by_fold(self) -> pd.DataFrame:
        """One row per fold: its scores, ``clips`` and ``speakers``."""
        rows = {
            fold: metrics(part["true"], part["predicted"], self.labels)
            | {"clips": len(part), "speakers": part["speaker"].nunique()}
            for fold, part in self.predictions.groupby("fold")
        }
        return pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold").astype({"clips": int, "speakers": int})

    def summary(self) -> dict[str, dict[str, float]]:
        """For ``uar``, ``accuracy``, ``macro_f1`` and ``weighted_f1``: the numbers to report.

        Returns:
            Per metric ``pooled`` over the clips of all folds together; ``low`` and ``high``, the 95 % bootstrap
            interval of ``pooled`` over so many ``speakers``; and ``mean`` and ``std`` of the folds' scores (the
            sample's standard deviation; NaN with one fold). :func:`with_interval` writes the first ones as text.
        """
        folds, pooled = self.by_fold(), self.metrics()
        resampled = _resampled(self.predictions, self.labels, 1000, 0, "speaker")
        found = {}
        for name in _SUMMARISED:
            low, high = (np.nan, np.nan) if resampled is None else _interval(resampled[name])
            mean, std = float(folds[name].mean()), float(folds[name].std())
            found[name] = {
                "pooled": pooled[name], "low": low, "high": high, "speakers": self.predictions["speaker"].nunique(),
                "mean": mean, "std": std,
            }  # fmt: skip
        return found

    def per_class(self) -> pd.DataFrame:
        """Precision, recall, F1 and support of each label over all tested clips."""
        return per_class(self.predictions["true"], self.predictions["predicted"], self.labels)

    def confusion(self) -> pd.DataFrame:
        """Clips counted by true label (rows) and predicted label (columns)."""
        return confusion(self.predictions["true"], self.predictions["predicted"], self.labels)

    def details(self) -> dict[str, Any]:
        """What a model card tells beside :meth:`summary`, as plain values ready for JSON.

        Returns:
            ``tested`` (``corpus``, ``clips`` and ``speakers`` of each); ``folds`` (UAR of each); ``classes`` (label ->
            ``recall`` with ``low`` and ``high``, its 95 % bootstrap interval over the ``speakers`` who have clips of
            it, ``precision``, ``support``); ``confusion`` (rows are true labels); ``sexes`` (sex -> ``uar``, ``low``,
            ``high``, ``speakers``, ``clips``); ``reliability`` (the bins that hold clips); ``confident_half``
            (accuracy among the half of the clips that are answered most confidently).
        """
        resampled = _resampled(self.predictions, self.labels, 1000, 0, "speaker")
        classes = self.per_class()[["recall", "precision", "support"]].to_dict("index")
        speakers = self.predictions.groupby("true")["speaker"].nunique()
        for place, (label, scores) in enumerate(classes.items()):
            recalls = np.array([np.nan]) if resampled is None else resampled["recall"][:, place]
            scores["low"], scores["high"] = _interval(recalls)
            scores["speakers"] = speakers.get(label, 0)
        sexes = {}
        for sex, part in self.predictions.groupby("sex"):
            low, high = bootstrap(part)
            uar = metrics(part["true"], part["predicted"], self.labels)["uar"]
            speakers = part["speaker"].nunique()
            sexes[sex or "not known"] = {
                "uar": uar, "low": low, "high": high, "speakers": speakers, "clips": len(part),
            }  # fmt: skip
        confidence, correct = self.predictions["confidence"].to_numpy(), self.correct()
        bins = reliability(confidence, correct)
        surest = np.argsort(-confidence, kind="stable")[: -(-len(correct) // 2)]
        tested = self.predictions.groupby("corpus")["speaker"].agg(clips="size", speakers="nunique").reset_index()
        return plain(
            {
                "tested": tested.to_dict("records"),
                "folds": self.by_fold()["uar"].tolist(),
                "classes": classes,
                "confusion": self.confusion().to_numpy().tolist(),
                "sexes": sexes,
                "reliability": bins[bins["clips"] > 0].to_dict("records"),
                "confident_half": correct[surest].mean(),
            }
        )

    def correct(self) -> np.ndarray:
        """Whether each tested clip was named rightly, ``bool [n]``."""
        return (self.predictions["true"] == self.predictions["predicted"]).to_numpy(dtype=bool)

    def __str__(self) -> str:
        summary = self.summary()
        scores = "\n".join(
            f"  {_TITLES[name]:<12} {with_interval(numbers['pooled'], numbers)}; folds {over_folds(numbers)}"
            for name, numbers in summary.items()
        )
        people = f"{self.label}: {'unseen speakers' if self.speaker_independent else 'also in training'}"
        return (
            f"{self.recipe} on {', '.join(self.corpora) or 'one table'}, protocol {self.protocol} ({people}): "
            f"{len(self.predictions)} clips, {self.predictions['speaker'].nunique()} speakers, "
            f"{self.predictions['fold'].nunique()} folds, {len(self.labels)} classes\n"
            f"{scores}\n  in percent: all clips together [95 % interval over speakers]; mean ± sd of the folds"
        )

    def save(self, directory: str | os.PathLike) -> Path:
        """Write ``evaluation.json`` and a Parquet file of the predictions.

        The record holds the scores and all that led to them: settings, command, a digest of the data, and versions.
        A run that is killed while it writes leaves the evaluation that stood there before.

        Args:
            directory: made where it does not exist; other files in it are left alone.

        Returns:
            The directory.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        self.predictions.to_parquet(buffer, index=False)
        # Named by its content, so that it can stand beside the old one until the record points to it.
        predictions = f"predictions-{hashlib.sha256(buffer.getvalue()).hexdigest()[:12]}.parquet"
        record = {
            "format": 1,
            "recipe": self.recipe,
            "protocol": self.protocol,
            "speaker_independent": self.speaker_independent,
            "seed": self.seed,
            "labels": self.labels,
            "corpora": self.corpora,
            "parameters": self.parameters,
            "seconds": self.seconds,
            "versions": dict(self.versions),
            "command": self.command,
            "data": dict(self.data),
            "settings": dict(self.settings),
            "temperatures": self.temperatures,
            "summary": self.summary(),
            "histories": [history.to_dict("list") for history in self.histories],
            "predictions": predictions,
        }
        write_whole(directory / predictions, buffer.getvalue())
        write_whole(directory / _RECORD, (json.dumps(plain(record), indent=1, allow_nan=False) + "\n").encode())
        for old in directory.glob("predictions-*.parquet"):
            if old.name != predictions:
                old.unlink()
        return directory

    @classmethod
    def load(cls, directory: str | os.PathLike) -> Evaluation:
        """Read what :meth:`save` wrote.

        Raises:
            TableError: the directory holds no evaluation, or one this version cannot read.
        """
        directory = Path(directory)
        try:
            record = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
            if record["format"] != 1:
                raise TableError(f"{directory / _RECORD} has format {record['format']}; this version reads format 1")
            predictions = pd.read_parquet(directory / Path(record["predictions"]).name)
            named = ("recipe", "protocol", "speaker_independent", "seed", "labels", "corpora", "parameters", "seconds")
            since = ("temperatures", "settings", "data", "command")  # records of earlier versions lack these
            histories = [pd.DataFrame(h).replace({None: np.nan}).infer_objects() for h in record["histories"]]
            return cls(
                **{name: record[name] for name in named},
                **{name: record[name] for name in since if name in record},
                versions=record["versions"],
                predictions=predictions,
                histories=histories,
            )
        except FileNotFoundError as error:  # pyarrow's names the file in its text only
            missing = Path(error.filename or str(error)).name
            raise TableError(f"{directory} holds no saved evaluation: {missing} is missing") from error
        except (json.JSONDecodeError, KeyError, TypeError, OSError) as error:
            raise TableError(f"{directory} holds no readable evaluation: {error}") from error


def plain(value):
    """What JSON can hold: NumPy numbers as Python's, tuples as lists, and ``None`` for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def percent(value: float | None) -> str:
    """Such as ``"48.2"``; a dash where it is not known."""
    return f"{100 * value:.1f}" if value is not None and np.isfinite(value) else "–"


def with_interval(value: float | None, numbers: Mapping[str, float | None]) -> str:
    """A score with the interval that belongs to it, in percent, and from how many speakers that is where they are few.

    Args:
        value: the score that ``low`` and ``high`` are the interval of.
        numbers: ``low``, ``high`` and ``speakers``, as in :meth:`Evaluation.summary`; without an interval only the
            score is shown, and bundles of earlier versions do not tell the number of speakers.

    Examples:
        >>> with_interval(0.682, {"low": 0.65, "high": 0.716, "speakers": 24})
        '68.2 [65.0, 71.6]'
        >>> with_interval(0.271, {"low": 0.257, "high": 0.284, "speakers": 2})
        '27.1 [25.7, 28.4: of 2 speakers only]'
    """
    if numbers["low"] is None or not np.isfinite(numbers["low"]):
        return percent(value)
    few = f": of {numbers['speakers']} speakers only" if is_of_few(numbers) else ""
    return f"{percent(value)} [{percent(numbers['low'])}, {percent(numbers['high'])}{few}]"


def over_folds(numbers: Mapping[str, float | None]) -> str:
    """Mean and standard deviation of the folds' scores, in percent; of one fold its score.

    Args:
        numbers: ``mean`` and ``std``, as in :meth:`Evaluation.summary`.

    Examples:
        >>> over_folds({"mean": 0.682, "std": 0.031})
        '68.2 ± 3.1'
    """
    known = numbers["std"] is not None and np.isfinite(numbers["std"])
    return percent(numbers["mean"]) + (f" ± {percent(numbers['std'])}" if known else "")


def compare(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Evaluations side by side, in percent: the clips of all folds together [95 % interval over speakers].

    Args:
        evaluations: in the order wanted.

    Returns:
        Text columns ``recipe, corpora, protocol, speakers``, the number of ``clips``, ``UAR of folds`` (mean ± standard
        deviation), and with intervals ``UAR, accuracy, macro F1, weighted F1``; :func:`to_markdown` makes it a table
        for a README.
    """
    rows = []
    for evaluation in evaluations:
        summary = evaluation.summary()
        scores = {_TITLES[name]: with_interval(numbers["pooled"], numbers) for name, numbers in summary.items()}
        rows.append(
            {
                "recipe": evaluation.recipe,
                "corpora": ", ".join(evaluation.corpora),
                "protocol": evaluation.protocol,
                "speakers": "unseen" if evaluation.speaker_independent else evaluation.label,
                "clips": len(evaluation.predictions),
                "UAR of folds": over_folds(summary["uar"]),
                **scores,
            }
        )
    return pd.DataFrame(rows)


def to_markdown(frame: pd.DataFrame) -> str:
    """A DataFrame as a Markdown table, without its index.

    Examples:
        >>> print(to_markdown(pd.DataFrame({"recipe": ["mlp"], "UAR": ["48.2"]})))
        | recipe | UAR |
        | --- | --- |
        | mlp | 48.2 |
    """
    rows = [list(map(str, frame.columns)), ["---"] * frame.shape[1]]
    rows += [[str(cell).replace("|", "\\|") for cell in row] for row in frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
