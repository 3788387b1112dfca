"""Figures of exported files.

Examples:
    >>> shares = {"share": [0, 0.5], "uar": [0.66, 0.64], "size": [2e6, 2e6], "compressed": [1.8e6, 1e6]}
    >>> [ax.get_ylabel() for ax in pruning(pd.DataFrame(shares)).axes]
    ['UAR', 'MB']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .style import PALE, SERIES, SOFT, add_legend, counted, new_figure, percent_axis, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def exports(files: pd.DataFrame) -> Figure:
    """Size, time per answer and UAR of files exported from one bundle.

    Args:
        files: a row for each, in the order of the picture: ``file`` (its name in the picture), ``size`` and
            ``compressed`` (bytes), ``milliseconds`` (number of threads -> time of an answer), ``uar`` and
            ``bundle_uar`` (on the same clips, in [0, 1]); as in :class:`ser_kit.deploy.Report`.
    """
    figure, ((left, middle, right),) = new_figure(9.5, 1.9 + 0.36 * len(files), 1, 3, sharey=True)
    rows = np.arange(len(files))
    left.barh(rows, files["size"] / 1e6, height=0.7, color=PALE, label="the file")
    left.barh(rows, files["compressed"] / 1e6, height=0.7, color=SERIES[0], label="compressed")
    for place, threads, colour in ((-0.18, 1, SERIES[0]), (0.18, 2, SERIES[1])):
        times = [milliseconds[threads] for milliseconds in files["milliseconds"]]
        middle.barh(rows + place, times, height=0.34, color=colour, label=counted(threads, "thread"))
    right.plot(files["uar"], rows, "o", color=SERIES[0], markersize=8)
    right.axvline(files["bundle_uar"].iloc[0], color=SOFT, linestyle="--", linewidth=1, label="the bundle")
    for row, uar in enumerate(files["uar"]):
        right.annotate(
            f"{100 * uar:.1f}", (uar, row), (9, 0), textcoords="offset points", va="center", fontsize=9
        )
    low, high = min(files["uar"].min(), files["bundle_uar"].min()), files["uar"].max()
    right.set_xlim(max(0, low - 0.08), min(1, high + 0.12))
    left.set_yticks(rows, files["file"])
    left.invert_yaxis()
    left.set_xlabel("MB")
    middle.set_xlabel("milliseconds for an answer")
    percent_axis(right.xaxis, "UAR")
    for ax, text in zip((left, middle, right), ("Size", "Time", "Quality"), strict=True):
        tidy(ax, "x")
        set_title(ax, text)
        add_legend(ax, loc="upper center", bbox_to_anchor=(0.5, -0.08 - 0.75 / len(files)), ncols=2)
    return figure


def pruning(files: pd.DataFrame) -> Figure:
    """UAR and file size by the share of pruned weights.

    Args:
        files: a row for each share, ascending: ``share`` of pruned weights and ``uar`` in [0, 1],
            ``compressed`` and ``size`` in bytes. The share 0 is the network before pruning.
    """
    figure, ((left, right),) = new_figure(9, 3.4, 1, 2)
    shares, whole, cut = files["share"], files[files["share"] == 0], files[files["share"] > 0]
    left.plot(cut["share"], cut["uar"], "o-", color=SERIES[0], markersize=6)
    for share, uar in zip(cut["share"], cut["uar"], strict=True):
        left.annotate(
            f"{100 * uar:.1f}", (share, uar), (0, 8), textcoords="offset points", ha="center", fontsize=9
        )
    left.axhline(whole["uar"].iloc[0], color=SOFT, linestyle="--", linewidth=1, label="not pruned")
    low, high = files["uar"].min(), files["uar"].max()
    left.set_ylim(max(0, low - 0.08), min(1, high + 0.08))
    right.plot(shares, files["size"] / 1e6, "o-", color=PALE, markersize=6, label="the file")
    right.plot(shares, files["compressed"] / 1e6, "o-", color=SERIES[1], markersize=6, label="compressed")
    right.set_ylim(0, files["size"].max() / 1e6 * 1.15)
    right.set_ylabel("MB")
    percent_axis(left.yaxis, "UAR")
    for ax, text in ((left, "Quality"), (right, "Size")):
        percent_axis(ax.xaxis, "pruned weights")
        ax.set_xlim(-0.05, 1)
        tidy(ax, "y")
        set_title(ax, text)
        add_legend(ax, loc="lower left")
    return figure
