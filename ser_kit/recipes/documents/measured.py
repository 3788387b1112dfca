"""Tables of a document: each reported figure beside ours, as documented and on unseen speakers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ... import protocols
from ...evaluation.resampling import interval, resampled_counts
from ...evaluation.scores import METRICS, all_scores, class_scores
from ..records import METRIC_NAMES, is_complete, over_runs, speakers
from .document import UNSEEN, Material, Row

COLUMNS = ("system", "figure", "reported", "run on", "here, as documented", "here, unseen speakers")
_PLAIN = {"parameters": "parameters", "epochs": "epochs", "minutes": "minutes of training (median)"}
_ALWAYS = ("accuracy", "uar")
"""Shown of each system, even if its document does not report them."""


def table(material: Material, rows: Iterable[Row]) -> pd.DataFrame:
    """Table of the figures of some rows.

    Args:
        material: the document and the records.
        rows: rows of one of its tables.

    Returns:
        DataFrame of text with the columns :data:`COLUMNS` and a row for each figure, and for each set of
        corpora that the system was run on: those of the document, else all others. Scores are in percent. As
        documented: mean and standard deviation over folds and seeds, and the leaks of the split. On unseen
        speakers: pooled over folds and seeds, with the 95 % interval over speakers.
    """
    lines = [
        line for row in rows for place in _places(material, row) for line in _lines(material, row, place)
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def _places(material: Material, row: Row) -> list[str]:
    """Corpora that a row was run on, ``[""]`` if it was not run."""
    own = ", ".join(sorted(row.corpora or material.document.corpora))
    runs = material.of(row.system)
    found = list(dict.fromkeys(runs["corpora"][runs["protocol"].isin((row.split, UNSEEN))]))
    within = [place for place in found if set(place.split(", ")) <= set(own.split(", "))]
    return [own] if own in found else (within or found or [""])


def _lines(material: Material, row: Row, place: str) -> list[list[str]]:
    own = material.of(row.system)
    own = own[own["corpora"] == place]
    sides = [own[own["protocol"] == row.split], own[own["protocol"] == UNSEEN]]
    figures = [
        (_PLAIN.get(each) or METRIC_NAMES[each], each, "")
        for each in {**dict.fromkeys(_ALWAYS), **row.reported}
    ]
    for emotion, values in row.classes.items():
        figures += [(f"{METRIC_NAMES[each]} of {emotion}", each, emotion) for each in values]
    by_speaker = speakers(sides[1]) if len(sides[1]) else None  # records of earlier versions have none
    drawn = {} if by_speaker is None else resampled_counts(by_speaker)
    lines = []
    for title, metric, emotion in figures:
        reported = row.classes[emotion][metric] if emotion else row.reported.get(metric)
        runs = own if metric == "minutes" and len(sides[0]) else sides[0]  # one fold may have waited
        here = [_documented(runs, metric, emotion), _unseen(sides[1], metric, emotion, by_speaker, drawn)]
        lines.append([row.label, title, _reported(reported, metric), place or "not run", *here])
    return lines


def _reported(value: Any, metric: str) -> str:
    if value is None:
        return "–"
    values = value if isinstance(value, tuple) else (value,)
    scale = 1 if metric in _PLAIN else 100
    return " to ".join(f"{scale * each:,.5g}" if metric != "parameters" else f"{each:,}" for each in values)


def _documented(runs: pd.DataFrame, metric: str, emotion: str) -> str:
    if not len(runs):
        return "–"
    found = _plain(runs, metric) if metric in _PLAIN else over_runs(_values(runs, metric, emotion))
    leaks = protocols.get(runs["protocol"].iloc[0]).leaks
    return (
        f"{found} (leaky: {', '.join(leaks)})" if leaks and metric not in _PLAIN and found != "–" else found
    )


def _plain(runs: pd.DataFrame, metric: str) -> str:
    if metric == "parameters":
        return f"{runs['parameters'].iloc[0]:,}"
    if metric == "minutes":
        return f"{runs['seconds'].median() / 60:.1f}"
    epochs = [each for run in runs["epochs"] for each in run]
    return f"{np.mean(epochs):.0f}" if epochs else "–"


def _values(runs: pd.DataFrame, metric: str, emotion: str) -> list[float]:
    if emotion:
        return [each[emotion][metric] for each in runs["per_class"] if each.get(emotion, {}).get("support")]
    return runs.get(metric, pd.Series(dtype=float)).dropna().tolist()


def _unseen(
    runs: pd.DataFrame,
    metric: str,
    emotion: str,
    by_speaker: np.ndarray | None,
    drawn: Mapping[str, np.ndarray],
) -> str:
    if not len(runs) or metric in _PLAIN:
        return "–"
    labels = list(runs["labels"].iloc[0])
    if emotion and emotion not in labels:  # of another label set
        return "–"
    star = "" if is_complete(runs) else " *"
    if by_speaker is None or not (emotion or metric in METRICS):
        return over_runs(_values(runs, metric, emotion)) + star
    counts = by_speaker.sum(0)
    if emotion:
        here = labels.index(emotion)
        value, values = class_scores(counts)[metric][here], drawn[metric][:, here]
    else:
        value, values = all_scores(counts)[metric], drawn[metric]
    low, high = interval(values)
    known = f" [{100 * low:.1f}, {100 * high:.1f}]" if np.isfinite(low) else ""
    return f"{100 * value:.1f}{known}{star}"
