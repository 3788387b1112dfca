"""Who spoke when, and in which emotion.

Examples:
    >>> rows = [("call.wav", "anna", 0.0, 2.5, "happy", False), ("call.wav", "ben", 2.5, 4.0, "sad", True)]
    >>> columns = ["recording", "who", "start", "end", "emotion", "uncertain"]
    >>> figure = turns(pd.DataFrame(rows, columns=columns))
    >>> figure.axes[0].get_title(loc="left"), [each.get_text() for each in figure.axes[0].get_yticklabels()]
    ('call.wav', ['anna', 'ben'])
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ..core.errors import TableError
from ..core.formats import clock
from ..core.labels import colours
from .style import PALE, add_legend, new_figure, set_heading, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST_RECORDINGS = 20
"""Most recordings in one figure."""
_UNCERTAIN = 0.35
"""Opacity of turns with an uncertain answer."""


def turns(answers: pd.DataFrame) -> Figure:
    """A line of time for each speaker or channel of each recording, its turns in the colours of the emotions.

    Turns with an uncertain answer are pale, and those without an answer grey.

    Args:
        answers: one row per turn: ``recording``, ``who`` (speaker or channel, or ``""``), ``start`` and
            ``end`` (s), ``emotion`` (``""`` where there is no answer) and ``uncertain`` (bool).

    Raises:
        TableError: there is no turn, or there are more than 20 recordings.
    """
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    names = list(dict.fromkeys(answers["recording"]))
    if not 1 <= len(names) <= MOST_RECORDINGS:
        raise TableError(f"there are turns of {len(names)} recordings; a figure shows 1 to {MOST_RECORDINGS}")
    parts = [answers[answers["recording"] == name] for name in names]
    people = [sorted(part["who"].unique(), key=_by_number) for part in parts]
    palette = colours(set(answers["emotion"]) - {""})
    heights = [0.9 + 0.34 * len(who) for who in people]
    ratios = {"height_ratios": heights}
    figure, axes = new_figure(9.5, 0.9 + sum(heights), len(names), 1, gridspec_kw=ratios)
    for ax, name, part, who in zip(axes.flat, names, parts, people, strict=True):
        for row in part.itertuples():
            face = palette.get(row.emotion, PALE)
            alpha = _UNCERTAIN if row.uncertain and row.emotion else 1.0
            span = [(row.start, row.end - row.start)]
            ax.broken_barh(span, (who.index(row.who) - 0.36, 0.72), color=face, alpha=alpha, linewidth=0)
        ax.set_yticks(range(len(who)), [each or "speech" for each in who])
        ax.set_ylim(len(who) - 0.4, -0.6)
        ax.set_xlim(0, part["end"].max())
        ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 3, 6, 10], integer=True))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: clock(seconds)))
        tidy(ax, "x")
        set_title(ax, str(name))
    shown = [Patch(color=face, label=emotion) for emotion, face in palette.items()]
    if (answers["emotion"] == "").any():
        shown.append(Patch(color=PALE, label="no answer"))
    add_legend(figure, handles=shown, loc="outside lower center", ncols=min(8, len(shown)))
    set_heading(figure, "Who spoke when; pale: uncertain")
    return figure


def _by_number(name: str) -> tuple[bool, float, str]:
    """An order in which channel 2 comes before channel 10."""
    return (not name.isdecimal(), float(name) if name.isdecimal() else 0.0, name)
