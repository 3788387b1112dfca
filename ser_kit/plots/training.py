"""Figures of trainings.

Examples:
    >>> history = pd.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5], "val_loss": [1.1, 0.8]})
    >>> [ax.get_title(loc="left") for ax in training_curves(history).axes]
    ['Loss']
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..core.errors import TableError
from ..evaluation.record import Evaluation
from .evaluation import run_name
from .style import (
    SERIES,
    add_legend,
    counted,
    new_figure,
    percent_axis,
    set_heading,
    set_note,
    set_title,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def training_curves(histories: Evaluation | Sequence[pd.DataFrame] | pd.DataFrame) -> Figure:
    """Loss and metrics of training and validation by epoch: thin lines are folds, thick ones their mean.

    Args:
        histories: an :class:`~ser_kit.evaluation.Evaluation`, or one DataFrame per fold with ``epoch``,
            ``loss``, ``val_loss`` and other pairs ``x``, ``val_x``. A dot marks the epoch of the lowest
            validation loss. An ensemble trains several networks on each fold, and each has a line.

    Raises:
        TableError: there is no history, as of a forest or an SVM.
    """
    heading, folds = "Training", None
    if isinstance(histories, Evaluation):
        folds = histories.predictions["fold"].nunique()
        heading, histories = f"Training: {run_name(histories)}", histories.histories
    histories = [histories] if isinstance(histories, pd.DataFrame) else list(histories)
    pairs = [c for c in histories[0] if f"val_{c}" in histories[0]] if histories else []
    if not pairs:
        raise TableError(
            "no history to draw; training a network records 'loss' and 'val_loss' for each epoch, "
            "and a forest or an SVM has no epochs"
        )
    figure, axes = new_figure(4.5 * max(len(pairs), 1.4), 3.3, 1, len(pairs))
    for ax, name in zip(axes[0], pairs, strict=True):
        _draw_curves(ax, histories, name, SERIES[0], "training")
        _draw_curves(ax, histories, f"val_{name}", SERIES[1], "validation")
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if name in ("accuracy", "uar"):
            percent_axis(ax.yaxis, "")
        tidy(ax, "y")
        set_title(ax, {"uar": "UAR"}.get(name, name.replace("_", " ").capitalize()))
    handles, _ = axes[0, 0].get_legend_handles_labels()
    add_legend(figure, handles=handles, loc="outside lower right", ncols=2)
    lines, count = "folds", counted(len(histories), "fold")
    if folds not in (None, len(histories)):
        lines, count = "trainings", f"{len(histories)} trainings in {counted(folds, 'fold')}"
    set_heading(figure, f"{heading}, {count}")
    thin = (
        f"thin lines: {lines}; thick: their mean up to the end of the shortest; "
        if len(histories) > 1
        else ""
    )
    set_note(figure, f"{thin}dots: lowest validation loss")
    return figure


def _draw_curves(ax: Axes, histories: Sequence[pd.DataFrame], column: str, colour: str, label: str) -> None:
    """One column of all histories, and its mean."""
    width, alpha = (2.2, 1.0) if len(histories) == 1 else (0.9, 0.4)
    for history in histories:
        validated = history[history[column].notna()]  # not every epoch is validated
        ax.plot(validated["epoch"], validated[column], color=colour, linewidth=width, alpha=alpha)
        if column.startswith("val_"):
            best = validated.iloc[validated["val_loss"].argmin()]
            ax.plot(best["epoch"], best[column], "o", color=colour, markersize=4)
    # Beyond the end of the shortest the mean would be one of other folds.
    common = min(map(len, histories))
    mean = np.mean([history[column].to_numpy()[:common] for history in histories], axis=0)
    shown = np.isfinite(mean)
    ax.plot(histories[0]["epoch"].iloc[:common][shown], mean[shown], color=colour, linewidth=2.4, label=label)
