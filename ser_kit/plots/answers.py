"""Figures of answers.

Examples:
    >>> figure = probabilities({"happy": 0.7, "sad": 0.2, "neutral": 0.1})
    >>> figure.axes[0].get_title(loc="left")
    'happy, 70%'
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..core.labels import colours
from .style import (
    INK,
    PALE,
    new_figure,
    percent_axis,
    set_heading,
    set_note,
    set_title,
    tidy,
    wrapped,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


class _Answer(Protocol):
    """What a :class:`ser_kit.Prediction` has."""

    probabilities: Mapping[str, float]


class _History(Protocol):
    """What a :class:`ser_kit.inference.VoiceHistory` has."""

    days: pd.DataFrame
    counts: pd.Series
    shares: pd.DataFrame
    confidence: float
    caution: str


def probabilities(prediction: _Answer | Mapping[str, float]) -> Figure:
    """Probability of each emotion, the most likely first.

    Args:
        prediction: a :class:`ser_kit.Prediction`, or a mapping of labels to probabilities in [0, 1].
    """
    values = getattr(prediction, "probabilities", prediction)
    values = dict(sorted(values.items(), key=lambda item: -item[1]))
    best = getattr(prediction, "emotion", None) or next(iter(values))
    figure, ((ax,),) = new_figure(6, 0.8 + 0.36 * len(values))
    rows, palette = np.arange(len(values)), colours(values)
    shown = [palette[label] if label == best else PALE for label in values]
    ax.barh(rows, list(values.values()), height=0.7, color=shown)
    for row, (emotion, value) in enumerate(values.items()):
        weight = "bold" if emotion == best else "normal"
        ax.text(
            value + 0.01, row, f"{100 * value:.0f}%", va="center", fontsize=9, color=INK, fontweight=weight
        )
    ax.set_yticks(rows, list(values))
    for tick in ax.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() == best else "normal")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1)
    ax.set_xticks([])
    tidy(ax)
    confidence = getattr(prediction, "confidence", values.get(best, np.nan))
    doubt = "not sure: " if getattr(prediction, "uncertain", False) else ""
    set_title(ax, f"{doubt}{best}, {100 * confidence:.0f}%")
    return figure


def voice_history(history: _History, columns: int = 3) -> Figure:
    """Smoothed share of each emotion over weeks with its interval, and a dot for each day with recordings.

    What may not be concluded stands below.

    Args:
        history: from :func:`ser_kit.inference.follow_voice`.
        columns: emotions side by side.

    Examples:
        >>> from ser_kit.inference import follow_voice
        >>> days = [f"2026-03-{day:02d}" for day in range(1, 29)]
        >>> answers = [{"happy": 0.6, "sad": 0.4}, {"happy": 0.3, "sad": 0.7}] * 14
        >>> figure = voice_history(follow_voice(zip(days, answers)))
        >>> [ax.get_title(loc="left") for ax in figure.axes]
        ['happy', 'sad']
    """
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    emotions = list(history.days)
    palette = colours(emotions)
    columns = min(columns, len(emotions))
    rows = -(-len(emotions) // columns)
    figure, axes = new_figure(1.5 + 3 * columns, 1.6 + 1.9 * rows, rows, columns, sharex=True, sharey=True)
    for ax, emotion in zip(axes.flat, emotions, strict=False):
        part = history.shares[history.shares["emotion"] == emotion]
        ax.fill_between(
            part["date"], part["low"], part["high"], color=palette[emotion], alpha=0.25, linewidth=0
        )
        ax.plot(part["date"], part["share"], color=palette[emotion], linewidth=2)
        ax.scatter(history.days.index, history.days[emotion], 8, color=INK, alpha=0.4, linewidths=0)
        locator = AutoDateLocator(maxticks=5)
        ax.xaxis.set_major_locator(locator)
        ax.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        tidy(ax, "y")
        set_title(ax, emotion)
    for ax in axes.flat[len(emotions) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylim(0, 1)
        percent_axis(ax.yaxis, "share")
    counted = f"{history.counts.sum()} recordings on {len(history.days)} days"
    set_heading(figure, f"Shares of the answers over time: {counted}, {history.confidence:.0%} intervals")
    set_note(figure, wrapped(figure, history.caution, 0.0))
    return figure
