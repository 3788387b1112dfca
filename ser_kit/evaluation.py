"""What a model is worth: metrics, intervals over speakers, calibration, and the record of a run.

Numbers are fractions between 0 and 1 throughout; tables for people (:func:`compare`, ``print``) show percent.
Unweighted average recall (UAR, balanced accuracy) is the headline. Every macro average here runs over the classes that
occur among the true labels, so a test part without a class neither fails nor counts it as zero.

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
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .errors import LabelError, TableError
from .folders import write_whole

METRICS = ("uar", "accuracy", "macro_precision", "macro_f1", "weighted_f1")
_TITLES = {
    "uar": "UAR",
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}
_SUMMARISED = ("uar", "accuracy", "macro_f1", "weighted_f1")
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


def _resampled(
    predictions: pd.DataFrame, labels: Sequence[str], n: int, seed: int, by: str, score: Callable = _scores
) -> dict | None:
    """Scores of ``n`` resamples of whole groups, or ``None`` where a single group leaves nothing to resample."""
    groups, names = pd.factorize(predictions[by])
    if (groups < 0).any():
        raise TableError(f"{(groups < 0).sum()} predictions have no {by}; intervals are drawn over whole {by}s")
    counts = _counts(predictions["true"], predictions["predicted"], labels, groups)
    if len(names) < 2:
        return None
    drawn = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), size=n)
    # In floats because matrix products of integers are not vectorised; the counts stay exact.
    sums = drawn.astype(float) @ counts.reshape(len(names), -1).astype(float)
    return score(sums.reshape(n, *counts.shape[1:]))


def _interval(values: np.ndarray, confidence: float) -> tuple[float, float]:
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

    The clips of one speaker resemble each other, so drawing single clips would promise more than the data hold.

    Args:
        predictions: columns ``true``, ``predicted`` and the one named by ``by``.
        metric: one of :data:`METRICS`.
        n: number of resamples.
        seed: of the draw.
        by: column whose values are drawn; ``"clip_id"`` draws single clips.
        confidence: coverage of the interval, between 0 and 1.

    Returns:
        ``(low, high)``, fractions; ``(nan, nan)`` where there is only one speaker, which says nothing about others.

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


def _log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    probabilities = np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all() or (probabilities < 0).any():
        raise TableError(f"probabilities must be finite, not negative and [clips, labels]; got {probabilities.shape}")
    return np.log(np.maximum(probabilities, 1e-12))


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def mean_log(probabilities: np.ndarray) -> np.ndarray:
    """What probabilities are on average, as logarithms; below one in a thousand all count alike, so that no single clip
    decides.

    Args:
        probabilities: ``[n, k]``.

    Returns:
        ``float64 [k]``.

    Examples:
        >>> np.exp(mean_log([[0.9, 0.1], [0.1, 0.9]])).round(2).tolist()
        [0.3, 0.3]
    """
    return np.log(np.maximum(np.asarray(probabilities, dtype=float), 1e-3)).mean(axis=0)


def without_habit(probabilities: np.ndarray, habit: np.ndarray) -> np.ndarray:
    """Probabilities from which a speaker's habit is taken off.

    Args:
        probabilities: ``[n, k]``.
        habit: how much more often than of other people each class is said of the speaker, as logarithms, ``[k]``.

    Returns:
        ``[n, k]``; rows sum to 1.

    Examples:
        >>> without_habit([[0.8, 0.2]], np.log([4, 1])).round(2).tolist()
        [[0.5, 0.5]]
    """
    left = np.asarray(probabilities) * np.exp(-np.asarray(habit))
    return left / left.sum(axis=-1, keepdims=True)


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities made softer (temperature above 1) or sharper (below 1); the predicted label stays.

    Args:
        probabilities: rows that sum to 1, ``[n, k]``.
        temperature: above 0; 1 changes nothing.

    Returns:
        Rows that sum to 1, ``float64 [n, k]``.

    Examples:
        >>> apply_temperature([[0.8, 0.2]], 2.0).round(3).tolist()
        [[0.667, 0.333]]
    """
    if not temperature > 0:
        raise TableError(f"a temperature must be above 0, not {temperature}")
    return _softmax(_log_probabilities(probabilities) / temperature)


def fit_temperature(probabilities: np.ndarray, true_index: np.ndarray) -> float:
    """The temperature under which held-out labels are most likely.

    Args:
        probabilities: of clips that were not trained on, ``[n, k]``.
        true_index: position of the true label in each row, ``int [n]``.

    Returns:
        A temperature between 0.05 and 20.

    Source:
        Guo et al. (2017), On Calibration of Modern Neural Networks, arXiv:1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logits, true_index = _log_probabilities(probabilities), np.asarray(true_index)
    if true_index.shape != logits.shape[:1] or not len(logits):
        raise TableError(f"needs one true label per row, and a row at least; got {true_index.shape} for {logits.shape}")
    rows = np.arange(len(logits))

    def loss(log_temperature: float) -> float:
        likelihood = _softmax(logits / np.exp(log_temperature))[rows, true_index]
        return -np.log(np.maximum(likelihood, 1e-300)).mean()

    return float(np.exp(minimize_scalar(loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))


# ------------------------------------------------------------------------------------------------------------ records


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One recipe under one protocol: every tested clip, and what was recorded on the way.

    Args:
        recipe: name of what was trained.
        protocol: name of how the clips were divided.
        speaker_independent: no tested speaker was heard in training.
        seed: of folds and training.
        labels: in the order of the model's outputs.
        predictions: one row per tested clip: ``clip_id, corpus, speaker, sex, fold, true, predicted, confidence`` and
            ``prob_<label>`` for each label.
        histories: one DataFrame per fold: ``epoch, loss, val_loss`` and whatever else was followed.
        seconds: time that all folds took.
        parameters: of the model, trainable or not.
        corpora: names of the corpora.
        versions: package name to version.

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

    def __post_init__(self):
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
            Per metric ``mean`` and ``std`` over folds (the sample's standard deviation; NaN with one fold), ``pooled``
            over all clips, and ``low`` and ``high``, the 95 % bootstrap interval of ``pooled`` over speakers.
        """
        folds, pooled = self.by_fold(), self.metrics()
        resampled = _resampled(self.predictions, self.labels, 1000, 0, "speaker")
        found = {}
        for name in _SUMMARISED:
            low, high = (np.nan, np.nan) if resampled is None else _interval(resampled[name], 0.95)
            mean, std = float(folds[name].mean()), float(folds[name].std())
            found[name] = {"mean": mean, "std": std, "low": low, "high": high, "pooled": pooled[name]}
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
            ``recall`` with ``low`` and ``high``, its 95 % bootstrap interval over speakers, ``precision``,
            ``support``); ``confusion`` (rows are true labels); ``sexes`` (sex -> ``uar``, ``low``, ``high``,
            ``clips``); ``reliability`` (the bins that hold clips); ``confident_half`` (accuracy among the half of the
            clips that are answered most confidently).
        """
        resampled = _resampled(self.predictions, self.labels, 1000, 0, "speaker", _class_scores)
        classes = self.per_class()[["recall", "precision", "support"]].to_dict("index")
        for place, scores in enumerate(classes.values()):
            recalls = [np.nan] if resampled is None else resampled["recall"][:, place]
            scores["low"], scores["high"] = _interval(recalls, 0.95)
        sexes = {}
        for sex, part in self.predictions.groupby("sex"):
            low, high = bootstrap(part)
            uar = metrics(part["true"], part["predicted"], self.labels)["uar"]
            sexes[sex or "not known"] = {"uar": uar, "low": low, "high": high, "clips": len(part)}
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
        scores = "\n".join(f"  {_TITLES[name]:<12} {_shown(numbers)}" for name, numbers in summary.items())
        people = f"{self.label}: {'unseen speakers' if self.speaker_independent else 'also heard in training'}"
        return (
            f"{self.recipe} on {', '.join(self.corpora) or 'one table'}, protocol {self.protocol} ({people}): "
            f"{len(self.predictions)} clips, {self.predictions['speaker'].nunique()} speakers, "
            f"{self.predictions['fold'].nunique()} folds, {len(self.labels)} classes\n"
            f"{scores}\n  in percent: mean ± sd over folds [95 % interval over speakers]"
        )

    def save(self, directory: str | os.PathLike) -> Path:
        """Write ``evaluation.json`` and a Parquet file of the predictions.

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
            histories = [pd.DataFrame(h).replace({None: np.nan}).infer_objects() for h in record["histories"]]
            return cls(
                **{name: record[name] for name in named},
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


def _shown(numbers: Mapping[str, float]) -> str:
    """Such as ``"48.2 ± 3.1 [45.0, 51.6]"``; what is not known with one fold or one speaker is left out."""
    shown = percent(numbers["mean"])
    if np.isfinite(numbers["std"]):
        shown += f" ± {percent(numbers['std'])}"
    if np.isfinite(numbers["low"]):
        shown += f" [{percent(numbers['low'])}, {percent(numbers['high'])}]"
    return shown


def compare(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Evaluations side by side, in percent: mean ± standard deviation over folds [95 % interval over speakers].

    Args:
        evaluations: in the order wanted.

    Returns:
        Text columns ``recipe, corpora, protocol, speakers, UAR, accuracy, macro F1, weighted F1`` and the number
        of ``clips``; :func:`to_markdown` makes it a table for a README.
    """
    rows = []
    for evaluation in evaluations:
        scores = {_TITLES[name]: _shown(numbers) for name, numbers in evaluation.summary().items()}
        rows.append(
            {
                "recipe": evaluation.recipe,
                "corpora": ", ".join(evaluation.corpora),
                "protocol": evaluation.protocol,
                "speakers": "unseen" if evaluation.speaker_independent else evaluation.label,
                "clips": len(evaluation.predictions),
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
