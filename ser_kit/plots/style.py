"""What all figures share: their look, their colours and their PNG files.

An emotion has the same colour everywhere. The colours of the eight emotions of RAVDESS differ for readers
with protanopia, deuteranopia and tritanopia too (CIELAB distance of 19 at least, as simulated by Machado et
al. 2009).
"""

from __future__ import annotations

import io
import textwrap
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..core.errors import TableError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, SOFT, LINE, PALE = "#1f2328", "#656d76", "#e3e6ea", "#c9ced6"
SERIES = ("#2f6690", "#e07a3f", "#81b29a", "#8d6a9f", "#c8a13a", "#6b7280")
"""Colours of things that are not emotions: runs, splits, scores."""


def png(figure: Figure) -> bytes:
    """A figure as a PNG file of 256 colours, a third as large as one of all colours: notebooks hold many.

    Args:
        figure: from any function of :mod:`ser_kit.plots`.

    Returns:
        The bytes of the file, at 100 dots per inch.
    """
    from PIL import Image

    drawn, written = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    # This method keeps rare colours, such as those of a few dots; the others prefer those of large areas.
    image = Image.open(drawn).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.save(written, format="png", optimize=True)
    return written.getvalue()


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **layout
) -> tuple[Figure, np.ndarray]:
    """A figure in inches and its axes ``[rows, columns]``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    figure._repr_png_ = partial(png, figure)  # without it, notebooks show figures of pyplot only
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def set_title(ax: Axes, text: str, size: float = 11) -> None:
    """Set the bold title of axes, at the left."""
    ax.set_title(text, loc="left", fontsize=size, fontweight="bold", color=INK, pad=8)


def wrapped(figure: Figure, text: str, margin: float = 1.2) -> str:
    """Text broken into lines that are as wide as the figure less a margin in inches."""
    return textwrap.fill(text, int((figure.get_figwidth() - margin) / 0.1), break_on_hyphens=False)


def set_heading(figure: Figure, text: str) -> None:
    """Set the title of a figure with several axes."""
    figure.suptitle(wrapped(figure, text, 0.0), x=0.01, ha="left", fontsize=12, fontweight="bold", color=INK)


def set_note(figure: Figure, text: str) -> None:
    """Set small print at the bottom of a figure."""
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=SOFT)


def tidy(ax: Axes, grid: str | None = None) -> None:
    """Remove the box around axes, and draw light grid lines of one axis (``"x"`` or ``"y"``)."""
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0, labelsize=9, labelcolor=INK)
    ax.xaxis.label.set(size=9, color=SOFT)
    ax.yaxis.label.set(size=9, color=SOFT)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis=grid, color=LINE, linewidth=0.8)


def add_legend(target: Axes | Figure, **options) -> None:
    """Add a legend without a frame; ``options`` are Matplotlib's."""
    options = {
        "frameon": False,
        "fontsize": 9,
        "labelcolor": INK,
        "handlelength": 1.2,
        "handleheight": 1.0,
    } | options
    target.legend(**options)


def percent_axis(axis: Axis, label: str) -> None:
    """Show fractions as percent along an axis, and name it."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_label_text(label)


def emotions_of(table: pd.DataFrame) -> pd.Series:
    """The emotion of each clip: its ``label`` where there is that column, else its ``emotion``."""
    column = "label" if "label" in table else "emotion"
    if column not in table or not len(table):
        raise TableError("needs at least one clip, and a column 'label' or 'emotion'")
    return table[column].astype(str)


def counted(count: int, noun: str) -> str:
    """A number with its noun, such as ``"one fold"`` or ``"5 folds"``."""
    return f"{count} {noun}s" if count > 1 else f"one {noun}"


def capital(text: str) -> str:
    """A text with a capital at its beginning."""
    return text[:1].upper() + text[1:]
