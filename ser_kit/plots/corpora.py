"""Figures of clip tables.

Examples:
    >>> clips = pd.DataFrame({"corpus": "demo", "speaker": ["a", "b"], "emotion": ["happy", "sad"]})
    >>> class_distribution(clips).axes[0].get_xlabel()
    'clips'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..core.labels import colours, ordered
from .style import INK, SOFT, add_legend, emotions_of, new_figure, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPEAKERS_NAMED = 40
"""More speakers than this cannot be named along an axis."""


def class_distribution(table: pd.DataFrame) -> Figure:
    """Number of clips of each emotion; a shade for each sex.

    Args:
        table: a clip table.

    Raises:
        TableError: it is empty, or has neither a column ``label`` nor ``emotion``.
    """
    import seaborn
    from matplotlib.patches import Patch

    emotions = emotions_of(table)
    order, totals, palette = ordered(emotions), emotions.value_counts(), colours(emotions)
    sexes = table.get("sex", pd.Series("", table.index)).fillna("").replace("", "not known")
    clips = pd.DataFrame({"emotion": pd.Categorical(emotions, order), "sex": sexes.to_numpy()})
    shades = {"female": 1.0, "male": 0.5, "not known": 0.2}
    shades = {sex: shade for sex, shade in shades.items() if sex in set(sexes)}
    figure, ((ax,),) = new_figure(7.5, 0.9 + 0.42 * len(order))
    seaborn.histplot(
        clips, y="emotion", hue="sex", hue_order=[*reversed(shades)], multiple="stack", shrink=0.74,
        legend=False, ax=ax,
    )  # fmt: skip
    for bars, shade in zip(ax.containers, shades.values(), strict=True):
        for bar, emotion in zip(bars, order, strict=True):
            bar.set(facecolor=_tint(palette[emotion], shade), edgecolor="white")
    for row, emotion in enumerate(order):
        ax.text(totals[emotion], row, f" {totals[emotion]:,}", va="center", fontsize=9, color=INK)
    ax.set_xlim(0, totals.max() * 1.1)
    ax.set(xlabel="clips", ylabel="")
    tidy(ax, "x")
    set_title(ax, f"Clips by emotion and sex: {len(table):,} clips of {_corpora(table)}")
    handles = [Patch(color=_tint(SOFT, shade), label=sex, linewidth=0) for sex, shade in shades.items()]
    add_legend(ax, handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _tint(colour: str, strength: float) -> np.ndarray:
    """A colour mixed with white; grid lines would show through a transparent one."""
    from matplotlib.colors import to_rgb

    return 1 - strength * (1 - np.array(to_rgb(colour)))


def _corpora(table: pd.DataFrame) -> str:
    return ", ".join(sorted(table["corpus"].unique())) if "corpus" in table else "one table"


def speakers(table: pd.DataFrame) -> Figure:
    """Number of clips of each emotion for every speaker.

    Args:
        table: a clip table.

    Raises:
        TableError: it is empty, or has neither a column ``label`` nor ``emotion``.
    """
    import seaborn

    emotions, names = emotions_of(table), sorted(table["speaker"].unique())
    clips = pd.DataFrame({"speaker": pd.Categorical(table["speaker"], names), "emotion": emotions.to_numpy()})
    palette = dict(reversed(colours(emotions).items()))
    figure, ((ax,),) = new_figure(9, 3.4)
    seaborn.histplot(
        clips, x="speaker", hue="emotion", hue_order=list(palette), palette=palette, alpha=1,
        multiple="stack", shrink=0.82, linewidth=0, ax=ax,
    )  # fmt: skip
    if len(names) > _SPEAKERS_NAMED:
        ax.set_xticks([])
    else:
        single = table["speaker"].str.split(":").str[0].nunique() == 1
        ax.set_xticks(range(len(names)), [name.split(":", 1)[-1] if single else name for name in names])
        long = max(len(tick.get_text()) for tick in ax.get_xticklabels()) * len(names) > 110
        ax.tick_params(axis="x", rotation=90 if long else 0)
    ax.set_xlim(-0.6, len(names) - 0.4)
    ax.set(xlabel=f"{len(names)} speakers", ylabel="clips")
    tidy(ax, "y")
    set_title(ax, f"Clips by speaker and emotion: {_corpora(table)}")
    add_legend(
        ax,
        handles=ax.get_legend().legend_handles,
        labels=list(palette),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
    )
    return figure
