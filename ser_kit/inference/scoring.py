"""Test a trained bundle on the clips of corpora, without training.

Examples:
    >>> from ser_kit import corpora
    >>> from ser_kit.inference import Predictor, scoring
    >>> found = scoring.score(Predictor.from_preset(), corpora.load("savee"))  # doctest: +SKIP
    >>> found.evaluation.metrics()["accuracy"], found.not_in_bundle             # doctest: +SKIP
    (0.55, {'surprised': 60})
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from ..core.config import digest
from ..core.errors import AudioError, LabelError
from ..core.labels import OWN, LabelSet, label_set, merged, ordered
from ..corpora.table import sources
from ..evaluation.record import Evaluation
from ..recipes.final import versions
from .prediction import Failure, Prediction
from .predictor import Labels, Predictor

PROTOCOL = "trained bundle"
"""Protocol of an evaluation of a trained bundle."""

Answers = Iterable[Prediction | Failure]


@dataclass(frozen=True, eq=False)
class Score:
    """A trained bundle tested on corpora, over the labels that both have.

    Args:
        evaluation: scores and predictions; its protocol is :data:`PROTOCOL`.
        merged: label -> labels of the bundle that count as it.
        not_in_bundle: emotion of the corpora that is not tested -> number of its clips.
        not_in_corpora: labels of the bundle that no clip has and that count as no other label; predictions
            are restricted to the other labels.
        trained_on: corpora of the clips that are also in the bundle's training data.
        uncertain: number of uncertain predictions.
        failures: recordings that cannot be used.
    """

    evaluation: Evaluation
    merged: Mapping[str, tuple[str, ...]]
    not_in_bundle: Mapping[str, int]
    not_in_corpora: tuple[str, ...]
    trained_on: tuple[str, ...]
    uncertain: int
    failures: tuple[Failure, ...]


def score(
    predictor: Predictor,
    table: pd.DataFrame,
    labels: Labels = None,
    *,
    jobs: int = 1,
    command: str = "",
    follow: Callable[[Answers, int], Answers] = lambda answers, total: answers,
) -> Score:
    """Predict each clip of a table, and score the predictions over the labels that both have.

    Predictions are restricted to these labels: a label of the bundle that no clip has counts as its nearest
    (:data:`ser_kit.core.labels.NEAREST`), such as calm as neutral, or is left out, and the probabilities are
    renormalised.

    Args:
        predictor: predictor of the bundle, in the bundle's own labels.
        table: clip table from :func:`ser_kit.corpora.load`, with the corpora's own emotions.
        labels: label set of the scores; by default all emotions of the clips that the bundle predicts.
        jobs: number of threads.
        command: command line, for the record.
        follow: function of the answers and their number that returns the answers, for a progress bar.

    Raises:
        LabelError: fewer than two labels are in both.
        AudioError: no recording can be used.
    """
    started, bundle = time.perf_counter(), predictor.bundle
    wanted = label_set(OWN if labels is None else labels, bundle.labels)
    true = table["emotion"].map(wanted.label)
    answerable = merged(bundle.labels, wanted)
    shared = tuple(label for label in answerable if (true == label).any())
    if len(shared) < 2:
        raise LabelError(
            f"the bundle predicts {', '.join(bundle.labels)}, and the clips have "
            f"{', '.join(ordered(table['emotion']))}: to test it takes two labels in "
            "common, and a map (label,emotion) can give clips the labels of the bundle"
        )
    counted = merged(bundle.labels, LabelSet("shared", shared, wanted.merged))
    tested = true.isin(shared)
    clips = table[tested].assign(true=true[tested])
    restricted = Predictor(bundle, LabelSet("shared", shared, wanted.merged))
    answers = list(follow(restricted.predict_many(sources(clips), jobs=jobs), len(clips)))
    failures = tuple(answer for answer in answers if isinstance(answer, Failure))
    if len(failures) == len(answers):
        raise AudioError(f"none of {len(answers)} recordings can be used; the first: {failures[0].error}")
    used = [isinstance(answer, Prediction) for answer in answers]
    found = [answer for answer in answers if isinstance(answer, Prediction)]
    known = {each["corpus"] for each in bundle.card.get("trained_on", ())}
    return Score(
        evaluation=Evaluation(
            recipe=bundle.card["name"],
            protocol=PROTOCOL,
            speaker_independent=not known & _sources(clips),
            seed=0,
            labels=shared,
            predictions=_predictions(clips[used], found),
            seconds=time.perf_counter() - started,
            parameters=bundle.parameters,
            corpora=sorted(clips["corpus"].unique()),
            versions=versions(),
            settings={"bundle": bundle.identity, "merged": counted},
            data={
                "clips": len(found),
                "speakers": clips[used]["speaker"].nunique(),
                "digest": digest(sorted(zip(clips["clip_id"], clips["speaker"], clips["true"], strict=True))),
            },
            command=command,
        ),
        merged=counted,
        not_in_bundle=table[~tested]["emotion"].value_counts().to_dict(),
        not_in_corpora=tuple(each for each in bundle.labels if each not in sum(counted.values(), ())),
        trained_on=tuple(sorted(known & _sources(clips))),
        uncertain=sum(answer.uncertain for answer in found),
        failures=failures,
    )


def _sources(clips: pd.DataFrame) -> set[str]:
    """Corpora of the clips, and corpora that their speakers are named after (songs have the actors of the
    speech)."""
    return {*clips["corpus"], *clips["speaker"].str.rpartition(":")[0]} - {""}


def _predictions(clips: pd.DataFrame, answers: list[Prediction]) -> pd.DataFrame:
    """Predictions as in :class:`Evaluation`."""
    frame = clips[["clip_id", "corpus", "speaker", "sex", "true"]].reset_index(drop=True)
    shares = pd.DataFrame([answer.probabilities for answer in answers]).add_prefix("prob_")
    return frame.assign(
        predicted=[answer.emotion for answer in answers],
        confidence=[answer.confidence for answer in answers],
        uncertain=[answer.uncertain for answer in answers],
        fold=0,
        **shares,
    )
