"""The record of a run: predictions for all test clips, scores, settings and provenance.

Scores are fractions in [0, 1]; tables for people (:func:`compare`, ``print``) show percent. The main metric
is the unweighted average recall (UAR, balanced accuracy).

Intervals are for the score pooled over all test clips, and are printed beside that score
(:func:`with_interval`). The mean over folds is printed with its standard deviation. The two differ when folds
differ in size or classes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..core.config import digest
from ..core.errors import TableError, TrainingError
from ..core.paths import write_whole
from ..core.probabilities import apply_temperature
from .calibration import reliability
from .intervals import over_folds, with_interval
from .resampling import bootstrap, interval, resampled_scores
from .scores import TITLES, confusion, metrics, per_class

_SUMMARISED = ("uar", "accuracy", "macro_f1", "weighted_f1")
_COLUMNS = ("clip_id", "corpus", "speaker", "sex", "fold", "true", "predicted", "confidence")
_RECORD = "evaluation.json"
_FIELDS = (
    "recipe", "protocol", "speaker_independent", "seed", "labels", "corpora", "parameters", "seconds",
    "versions", "command", "data", "settings", "temperatures",
)  # fmt: skip
_LATER_FIELDS = ("command", "data", "settings", "temperatures")  # records of earlier versions lack these


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions of a recipe under a protocol, with the record of the run.

    Args:
        recipe: name of the recipe.
        protocol: name of the protocol.
        speaker_independent: whether no test speaker was in training.
        seed: random seed of folds and training.
        labels: labels in the order of the model's outputs.
        predictions: one row per test clip: ``clip_id, corpus, speaker, sex, fold, true, predicted,
            confidence`` and ``prob_<label>`` for each label.
        histories: one DataFrame per fold: ``epoch, loss, val_loss`` and other metrics.
        seconds: duration of all folds.
        parameters: number of the model's parameters, trainable or not.
        corpora: names of the corpora.
        versions: package name -> version.
        temperatures: calibration temperature of each fold.
        settings: all settings of the recipe that affect the scores
            (:attr:`~ser_kit.recipes.System.declaration`).
        data: ``clips``, ``speakers`` and ``digest`` of the clips of all folds
            (:attr:`~ser_kit.recipes.PreparedData.data`).
        command: the command line, or ``""``.

    Raises:
        TableError: if ``predictions`` lacks a column or is empty.
        LabelError: if a true or predicted label is not among ``labels``.
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
        self.confusion()  # raises if labels are unknown or there are no predictions

    @property
    def label(self) -> str:
        """``"speaker-independent"`` or ``"speaker-dependent"``: to be stated with every score."""
        return "speaker-independent" if self.speaker_independent else "speaker-dependent"

    @property
    def digest(self) -> str:
        """Hash of settings, labels and data (8 hexadecimal digits), for file names."""
        return digest([plain(self.settings), self.labels, plain(self.data)], size=4, sort_keys=True)

    def uncalibrated(self) -> np.ndarray:
        """Probabilities before calibration, ``[n, k]``.

        Raises:
            TrainingError: if there is not one temperature for each fold, as in records of earlier versions.
        """
        folds = sorted(self.predictions["fold"].unique())
        if len(self.temperatures) != len(folds):
            raise TrainingError(
                f"the evaluation given has {len(self.temperatures)} temperatures for {len(folds)} folds; "
                "expected one for each; run it again with run()"
            )
        found = self.predictions[[f"prob_{label}" for label in self.labels]].to_numpy(copy=True)
        for fold, used in zip(folds, self.temperatures, strict=True):
            rows = (self.predictions["fold"] == fold).to_numpy()
            found[rows] = apply_temperature(found[rows], 1 / used)
        return found

    @property
    def sharpness(self) -> np.ndarray:
        """Factor of the logits of each prediction, from the clip's distance to the training data, ``[n]``;
        see :class:`ser_kit.bundles.Places`."""
        ones = pd.Series(1.0, self.predictions.index)
        return self.predictions.get("sharpness", ones).fillna(1.0).to_numpy()

    def metrics(self) -> dict[str, float]:
        """Scores pooled over the test clips of all folds, as :func:`metrics`."""
        return metrics(self.predictions["true"], self.predictions["predicted"], self.labels)

    def by_fold(self) -> pd.DataFrame:
        """Scores, ``clips`` and ``speakers`` of each fold, one row per fold."""
        rows = {
            fold: metrics(part["true"], part["predicted"], self.labels)
            | {"clips": len(part), "speakers": part["speaker"].nunique()}
            for fold, part in self.predictions.groupby("fold")
        }
        found = pd.DataFrame.from_dict(rows, orient="index").rename_axis("fold")
        return found.astype({"clips": int, "speakers": int})

    def summary(self) -> dict[str, dict[str, float]]:
        """Summary of ``uar``, ``accuracy``, ``macro_f1`` and ``weighted_f1``.

        Returns:
            For each metric ``pooled`` (over the clips of all folds); ``low`` and ``high``, the 95 % bootstrap
            interval of ``pooled`` over speakers; ``speakers`` (their number); ``mean`` and ``std`` over folds
            (sample standard deviation; NaN for one fold).
        """
        folds, pooled = self.by_fold(), self.metrics()
        resampled = resampled_scores(self.predictions, self.labels)
        found = {}
        for name in _SUMMARISED:
            low, high = interval(resampled[name])
            found[name] = {
                "pooled": pooled[name], "low": low, "high": high,
                "speakers": self.predictions["speaker"].nunique(),
                "mean": float(folds[name].mean()), "std": float(folds[name].std()),
            }  # fmt: skip
        return found

    def per_class(self) -> pd.DataFrame:
        """Precision, recall, F1 and support of each label over all test clips."""
        return per_class(self.predictions["true"], self.predictions["predicted"], self.labels)

    def confusion(self) -> pd.DataFrame:
        """Confusion matrix: counts by true label (rows) and predicted label (columns)."""
        return confusion(self.predictions["true"], self.predictions["predicted"], self.labels)

    def details(self) -> dict[str, Any]:
        """Further scores for a model card, JSON-serialisable.

        Returns:
            ``tested`` (``corpus``, ``clips`` and ``speakers`` of each); ``folds`` (UAR of each); ``classes``
            (label -> ``recall`` with ``low`` and ``high``, its 95 % bootstrap interval over the ``speakers``
            with clips of it, ``precision``, ``support``); ``confusion`` (rows are true labels); ``sexes``
            (sex -> ``uar``, ``low``, ``high``, ``speakers``, ``clips``); ``reliability`` (the bins with
            clips); ``confident_half`` (accuracy on the most confident 50 % of the clips).
        """
        resampled = resampled_scores(self.predictions, self.labels)
        classes = self.per_class()[["recall", "precision", "support"]].to_dict("index")
        speakers = self.predictions.groupby("true")["speaker"].nunique()
        for place, (label, scores) in enumerate(classes.items()):
            scores["low"], scores["high"] = interval(resampled["recall"][:, place])
            scores["speakers"] = speakers.get(label, 0)
        sexes = {sex or "not known": self._of_part(part) for sex, part in self.predictions.groupby("sex")}
        confidence, correct = self.predictions["confidence"].to_numpy(), self.correct()
        bins = reliability(confidence, correct)
        surest = np.argsort(-confidence, kind="stable")[: -(-len(correct) // 2)]
        tested = (
            self.predictions.groupby("corpus")["speaker"].agg(clips="size", speakers="nunique").reset_index()
        )
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

    def _of_part(self, part: pd.DataFrame) -> dict[str, float]:
        """UAR of some of the predictions, with its interval."""
        low, high = bootstrap(part)
        uar = metrics(part["true"], part["predicted"], self.labels)["uar"]
        return {
            "uar": uar,
            "low": low,
            "high": high,
            "speakers": part["speaker"].nunique(),
            "clips": len(part),
        }

    def correct(self) -> np.ndarray:
        """Whether each prediction is correct, ``bool [n]``."""
        return (self.predictions["true"] == self.predictions["predicted"]).to_numpy(dtype=bool)

    def __str__(self) -> str:
        summary = self.summary()
        scores = "\n".join(
            f"  {TITLES[name]:<12} {with_interval(numbers['pooled'], numbers)}; folds {over_folds(numbers)}"
            for name, numbers in summary.items()
        )
        people = f"{self.label}: {'unseen speakers' if self.speaker_independent else 'also in training'}"
        return (
            f"{self.recipe} on {', '.join(self.corpora) or 'one table'}, protocol {self.protocol} "
            f"({people}): {len(self.predictions)} clips, {self.predictions['speaker'].nunique()} speakers, "
            f"{self.predictions['fold'].nunique()} folds, {len(self.labels)} classes\n"
            f"{scores}\n"
            "  in percent: all clips pooled [95 % interval over speakers]; mean ± sd over folds"
        )

    def save(self, directory: str | os.PathLike) -> Path:
        """Save as ``evaluation.json`` and a Parquet file of the predictions.

        The record holds the scores, settings, command, a digest of the data, and versions. If writing is
        interrupted, an earlier evaluation in the directory stays complete.

        Args:
            directory: created if missing; other files in it are kept.

        Returns:
            The directory.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        self.predictions.to_parquet(buffer, index=False)
        # Named by its content: the old file stays until the record refers to the new one.
        predictions = f"predictions-{hashlib.sha256(buffer.getvalue()).hexdigest()[:12]}.parquet"
        record = {
            "format": 1,
            **{name: getattr(self, name) for name in _FIELDS},
            "summary": self.summary(),
            "histories": [history.to_dict("list") for history in self.histories],
            "predictions": predictions,
        }
        write_whole(directory / predictions, buffer.getvalue())
        write_whole(
            directory / _RECORD, (json.dumps(plain(record), indent=1, allow_nan=False) + "\n").encode()
        )
        for old in directory.glob("predictions-*.parquet"):
            if old.name != predictions:
                old.unlink()
        return directory

    @classmethod
    def load(cls, directory: str | os.PathLike) -> Evaluation:
        """Load an evaluation written by :meth:`save`.

        Raises:
            TableError: if the directory has no evaluation, or one that this version cannot read.
        """
        directory = Path(directory)
        try:
            record = json.loads((directory / _RECORD).read_text(encoding="utf-8"))
            if record["format"] != 1:
                raise TableError(
                    f"{directory / _RECORD} has format {record['format']}; this version reads format 1"
                )
            predictions = pd.read_parquet(directory / Path(record["predictions"]).name)
            histories = [pd.DataFrame(h).replace({None: np.nan}).infer_objects() for h in record["histories"]]
            known = {name: record[name] for name in _FIELDS if name in record or name not in _LATER_FIELDS}
            return cls(**known, predictions=predictions, histories=histories)
        except FileNotFoundError as error:  # pyarrow gives the file name only in the message
            missing = Path(error.filename or str(error)).name
            raise TableError(f"{directory} holds no saved evaluation: {missing} is missing") from error
        except (json.JSONDecodeError, KeyError, TypeError, OSError) as error:
            raise TableError(f"{directory} holds no readable evaluation: {error}") from error


def plain(value: Any) -> Any:
    """Convert a value for JSON: to Python numbers and lists, with ``None`` for numbers that are not
    finite."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def compare(evaluations: Iterable[Evaluation]) -> pd.DataFrame:
    """Compare evaluations in a table, in percent.

    Args:
        evaluations: in the order of the rows.

    Returns:
        DataFrame with a row for each evaluation: text columns ``recipe, corpora, protocol, speakers``, the
        number of ``clips``, ``UAR of folds`` (mean and standard deviation), and pooled ``UAR, accuracy, macro
        F1, weighted F1`` with their 95 % intervals over speakers; :func:`to_markdown` formats it.
    """
    rows = []
    for evaluation in evaluations:
        summary = evaluation.summary()
        scores = {
            TITLES[name]: with_interval(numbers["pooled"], numbers) for name, numbers in summary.items()
        }
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
    """Format a DataFrame as a Markdown table, without its index.

    Examples:
        >>> print(to_markdown(pd.DataFrame({"recipe": ["mlp"], "UAR": ["48.2"]})))
        | recipe | UAR |
        | --- | --- |
        | mlp | 48.2 |
    """
    rows = [list(map(str, frame.columns)), ["---"] * frame.shape[1]]
    rows += [[str(cell).replace("|", "\\|") for cell in row] for row in frame.itertuples(index=False)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
