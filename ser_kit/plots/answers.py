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

from .style import INK, PALE, colour, new_figure, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class _Answer(Protocol):
    """What a :class:`ser_kit.Prediction` has."""

    probabilities: Mapping[str, float]


def probabilities(prediction: _Answer | Mapping[str, float]) -> Figure:
    """Probability of each emotion, the most likely first.

    Args:
        prediction: a :class:`ser_kit.Prediction`, or a mapping of labels to probabilities in [0, 1].
    """
    values = getattr(prediction, "probabilities", prediction)
    values = dict(sorted(values.items(), key=lambda item: -item[1]))
    best = getattr(prediction, "emotion", None) or next(iter(values))
    figure, ((ax,),) = new_figure(6, 0.8 + 0.36 * len(values))
    rows = np.arange(len(values))
    ax.barh(rows, list(values.values()), height=0.7, color=[colour(e) if e == best else PALE for e in values])
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
