"""Figures of networks.

Examples:
    >>> layers = pd.DataFrame([("Conv2D", "150 x 40 x 32", 896)], columns=["layer", "output", "parameters"])
    >>> [text.get_text() for text in layer_flow(layers, "A network").axes[0].texts[:3]]
    ['Conv2D', '150 x 40 x 32', '896']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from .style import INK, LINE, SERIES, SOFT, new_figure, set_title, wrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROW, _COLUMNS = 0.42, 12


def layer_flow(layers: pd.DataFrame, title: str) -> Figure:
    """The layers of a network from input to output, with their output shapes and parameters.

    Args:
        layers: a row for each layer with the columns ``layer``, ``output`` (the shape as text) and
            ``parameters``.
        title: title of the figure.
    """
    from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

    figure, ((ax,),) = new_figure(7.2, 0.9 + _ROW * len(layers))
    for row, each in enumerate(layers.itertuples(index=False)):
        trained = each.parameters > 0
        face, edge = (f"{SERIES[0]}22", SERIES[0]) if trained else ("white", SOFT)
        box = FancyBboxPatch((0.0, row - 0.32), 4.2, 0.64, "round,pad=0,rounding_size=0.12", fc=face, ec=edge)
        ax.add_patch(box)
        ax.text(0.2, row, each.layer, va="center", fontsize=9.5, color=INK)
        ax.text(4.6, row, each.output, va="center", fontsize=9.5, color=INK)
        number = f"{each.parameters:,}" if trained else ""
        ax.text(_COLUMNS - 0.1, row, number, va="center", ha="right", fontsize=9.5, color=INK)
        if row:
            arrow = FancyArrowPatch(
                (2.1, row - 0.68), (2.1, row - 0.32), arrowstyle="-|>", mutation_scale=8, color=SOFT
            )
            ax.add_patch(arrow)
    ax.hlines(-0.62, 0, _COLUMNS, color=LINE)
    for x, name, side in (
        (0.0, "layer", "left"),
        (4.6, "output", "left"),
        (_COLUMNS - 0.1, "parameters", "right"),
    ):
        ax.annotate(name, (x, -0.85), ha=side, va="center", fontsize=9, color=SOFT, annotation_clip=False)
    ax.set_xlim(-0.1, _COLUMNS)
    ax.set_ylim(len(layers) - 0.5, -1.1)
    ax.set_axis_off()
    set_title(ax, wrapped(figure, title))
    return figure
