"""Figures of published systems, from the tables of :mod:`ser_kit.recipes.comparison`.

Dots are means over folds and seeds; lines reach one standard deviation to each side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..core.errors import TableError
from ..evaluation.scores import TITLES
from .style import (
    INK,
    PALE,
    SERIES,
    SOFT,
    add_legend,
    capital,
    new_figure,
    percent_axis,
    set_heading,
    set_title,
    tidy,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

INDEPENDENT, DEPENDENT = SERIES[:2]
"""Colours of results on unseen speakers, and on speakers who are also in training."""
_LEAKIER = ("#a4243b", "#5c3a5e")
"""Colours of protocols that leak more than speakers."""
_ROWS_IN_A_COLUMN = 26
"""A figure with more rows has two columns."""


def published_systems(systems: pd.DataFrame) -> Figure:
    """Accuracy of published systems, reported, reproduced and on unseen speakers: a row for each.

    Args:
        systems: from :func:`ser_kit.recipes.comparison.systems`.
    """
    groups, usual = list(systems.groupby("system", sort=False)), _usual(systems["corpora"])
    figure, ((ax,),) = new_figure(9.5, 1.7 + 0.34 * len(groups))
    labels = []
    for row, (name, part) in enumerate(groups):
        measured = part.dropna(subset="mean")
        _draw_system(ax, row, measured, part["reported"].iloc[0])
        corpora = part["corpora"].iloc[0]
        elsewhere = "" if corpora in ("", usual) else f" ({corpora})"
        labels.append(f"{name}{elsewhere}{'' if measured['complete'].all() else ' *'}")
    ax.set_yticks(range(len(groups)), labels)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.set_xticks(np.linspace(0, 1, 11))
    percent_axis(ax.xaxis, "accuracy")
    tidy(ax, "x")
    others = ", unless stated otherwise" if any("(" in label for label in labels) else ""
    star = "; *: folds missing" if any("*" in label for label in labels) else ""
    runs = f"runs on {usual}{others}{star}"
    ax.set_xlabel(f"accuracy, mean and standard deviation of folds and seeds; {runs}", loc="right")
    dots = {
        "reproduced, published split (speaker-dependent)": (False, DEPENDENT),
        "unseen speakers (speaker-independent)": (True, INDEPENDENT),
    }
    sides = set(systems["speaker_independent"].dropna())
    dots = [_handle("o", label, color=colour) for label, (side, colour) in dots.items() if side in sides]
    chance = _handle("|", "chance", color=SOFT, linestyle="", markersize=10)
    add_legend(figure, handles=[_reported_handle(), *dots, chance], loc="outside lower left", ncols=4)
    set_title(ax, "Published systems: reported, reproduced, and on unseen speakers")
    return figure


def reported(figures: pd.DataFrame) -> Figure:
    """Precision, recall, F1 and training accuracy as documents report them, beside the measured ones.

    Where a document reports F1 of single emotions, their precision and recall are left out.

    Args:
        figures: from :func:`ser_kit.recipes.comparison.reported`.
    """
    of_emotion, usual = figures["emotion"] != "", _usual(figures["run on"])
    with_f1 = figures["system"].isin(figures.loc[of_emotion & (figures["metric"] == "F1"), "system"])
    panels = [figures[~of_emotion], figures[of_emotion & ((figures["metric"] == "F1") | ~with_f1)]]
    figure, (axes,) = new_figure(13, 1.7 + 0.24 * max(map(len, panels)), columns=2)
    for ax, rows in zip(axes, panels, strict=True):
        labels = []
        for place, row in enumerate(rows.to_dict("records")):
            _draw_reported(ax, row["reported"], place, markersize=6)
            for values, lift, colour in (
                (row["published"], -0.15, DEPENDENT),
                (row["unseen"], 0.15, INDEPENDENT),
            ):
                if values:
                    deviation = np.std(values, ddof=1) if len(values) > 1 else np.nan
                    _draw_mean(ax, np.mean(values), place + lift, deviation, colour)
            elsewhere = "" if row["run on"] == usual else f" ({row['run on'] or 'not run here'})"
            emotion = f" of {row['emotion']}" if row["emotion"] else ""
            labels.append(f"{row['system']}{elsewhere}: {row['metric']}{emotion}")
        ax.set_yticks(range(len(labels)), labels, fontsize=8)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        ax.set_xlim(0, 1.02)
        ax.set_xticks(np.linspace(0, 1, 6))
        percent_axis(ax.xaxis, "mean and standard deviation of folds and seeds")
        tidy(ax, "x")
    colours = {"reproduced, published split": DEPENDENT, "unseen speakers": INDEPENDENT}
    dots = [_handle("o", label, color=colour) for label, colour in colours.items()]
    add_legend(figure, handles=[_reported_handle(), *dots], loc="outside lower left", ncols=3)
    set_title(axes[0], "All emotions")
    set_title(axes[1], "Single emotions")
    return figure


def leakage(runs: pd.DataFrame) -> Figure:
    """Each system under each protocol that it was run under, from the leakiest to the most honest.

    Args:
        runs: from :func:`ser_kit.recipes.comparison.by_protocol`.

    Raises:
        TableError: there are none: no system was run under two protocols.
    """
    if not len(runs):
        raise TableError("no system has records under two protocols; ser-kit reproduce makes them")
    groups = {_place_name(key): part for key, part in runs.groupby(["recipe", "corpora"], sort=False)}
    kinds = sorted(set(runs["leaks"]), key=lambda leaks: (-len(leaks), leaks))
    known, others = {(): INDEPENDENT, ("speaker",): DEPENDENT}, cycle(_LEAKIER)
    colours = {leaks: known.get(leaks) or next(others) for leaks in kinds}
    figure, axes, places = _new_grouped_figure(
        {name: list(part["protocol"]) for name, part in groups.items()}
    )
    for (ax, rows), part in zip(places, groups.values(), strict=True):
        ax.plot(part["mean"], rows, color=PALE, linewidth=1.5, zorder=1.5)
        for row, run in zip(rows, part.to_dict("records"), strict=True):
            _draw_mean(ax, run["mean"], row, run["std"], colours[run["leaks"]])
            edge = run["mean"] + np.nan_to_num(run["std"])
            star = "" if run["complete"] else " *"
            ax.text(edge + 0.02, row, f"{100 * run['mean']:.1f}{star}", va="center", fontsize=8.5, color=INK)
    star = "" if runs["complete"].all() else "\n*: folds missing"
    for ax in axes:
        ax.set_xlim(0, 1.12)
        ax.set_xticks(np.linspace(0, 1, 5))
        percent_axis(ax.xaxis, f"mean, standard deviation\nof folds and seeds{star}")
    _add_legend_of_colours(figure, {_leaks_name(leaks): colour for leaks, colour in colours.items()})
    title = capital(TITLES[runs["metric"].iloc[0]])
    set_heading(figure, f"{title} by protocol, from the leakiest to the most honest")
    return figure


def ablations(gains: pd.DataFrame) -> Figure:
    """Difference of each ablation to the system itself, on the same folds with the same seeds.

    Args:
        gains: from :func:`ser_kit.recipes.comparison.gains`.

    Raises:
        TableError: there are none: no ablation has a record beside one of the system itself.
    """
    if not len(gains):
        raise TableError(
            "no ablation has a record beside one of the system itself; "
            "ser-kit reproduce --ablations makes them"
        )
    keys = ["recipe", "corpora", "ablation", "protocol", "speaker_independent"]
    found = gains.groupby(keys, sort=False)["gain"].agg(["mean", "std"]).reset_index()
    reach = found["std"].fillna(0)
    low, high = min(-1, (found["mean"] - reach).min()), max(1, (found["mean"] + reach).max())
    right = high + 0.16 * (high - low)
    groups = {
        _place_name(key): list(part.groupby("ablation", sort=False))
        for key, part in found.groupby(["recipe", "corpora"], sort=False)
    }
    headed = {heading: [name for name, _ in parts] for heading, parts in groups.items()}
    figure, axes, places = _new_grouped_figure(headed, height=0.4)
    for (ax, rows), parts in zip(places, groups.values(), strict=True):
        for row, (_, part) in zip(rows, parts, strict=True):
            _draw_gains(ax, row, part.sort_values(["speaker_independent", "protocol"]), right)
    metric = TITLES[gains["metric"].iloc[0]]
    for ax in axes:
        ax.axvline(0, color=SOFT, linewidth=1.2, zorder=1.2)
        ax.set_xlim(low - 0.04 * (high - low), right)
        ax.set_xlabel(f"difference in {metric} to the system itself (percentage points)")
    names = {"speaker-dependent": (False, DEPENDENT), "speaker-independent": (True, INDEPENDENT)}
    sides = set(gains["speaker_independent"])
    _add_legend_of_colours(figure, {name: colour for name, (side, colour) in names.items() if side in sides})
    set_heading(figure, "Effect of each ablation")
    return figure


def _usual(corpora: pd.Series) -> str:
    """The corpora that most systems were run on, ``""`` where none was run."""
    return next(iter(corpora[corpora != ""].mode()), "")


def _place_name(key: tuple[str, str]) -> str:
    recipe, corpora = key
    return f"{recipe} ({corpora})"


def _leaks_name(leaks: tuple[str, ...]) -> str:
    speakers = "speaker-dependent" if "speaker" in leaks else "speaker-independent"
    return ", ".join([speakers, *(leak for leak in leaks if leak != "speaker")])


def _side_colour(speaker_independent: bool) -> str:
    return INDEPENDENT if speaker_independent else DEPENDENT


def _draw_system(ax: Axes, row: int, runs: pd.DataFrame, reported: Sequence[float]) -> None:
    """What is reported of a system, and its accuracy in one or two runs."""
    lifts = (-0.13, 0.13) if len(runs) > 1 else (0,)
    for run, lift in zip(runs.to_dict("records"), lifts, strict=False):
        _draw_mean(ax, run["mean"], row + lift, run["std"], _side_colour(run["speaker_independent"]))
    if len(runs):
        ax.plot(runs["mean"], [row] * len(runs), color=PALE, linewidth=5, alpha=0.6, zorder=1)
        ax.plot(runs["chance"].iloc[0], row, "|", color=SOFT, markersize=11)
    else:
        ax.text(0.01, row, "not run here", va="center", fontsize=8.5, color=SOFT, style="italic")
    if reported:
        _draw_reported(ax, reported, row, markersize=7)


def _draw_reported(ax: Axes, values: Sequence[float], row: float, markersize: float) -> None:
    ax.plot(
        values, [row] * len(values), "D-", color=SOFT, linewidth=1, markersize=markersize,
        markerfacecolor="none", markeredgecolor=INK,
    )  # fmt: skip


def _draw_mean(ax: Axes, value: float, row: float, deviation: float, colour: str) -> None:
    if np.isfinite(deviation):
        ax.plot([value - deviation, value + deviation], [row, row], color=colour, linewidth=1.6)
    ax.plot(value, row, "o", color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.6)


def _draw_gains(ax: Axes, row: float, part: pd.DataFrame, right: float) -> None:
    """Mean differences under one protocol after the other, and their numbers at the right edge."""
    lifts = (np.arange(len(part)) - (len(part) - 1) / 2) * 0.36
    for run, lift in zip(part.to_dict("records"), lifts, strict=True):
        colour = _side_colour(run["speaker_independent"])
        _draw_mean(ax, run["mean"], row + lift, run["std"], colour)
        style = {"ha": "right", "va": "center", "fontsize": 8.5, "fontweight": "bold", "color": colour}
        label = ax.text(right, row + lift, f"{run['mean']:+z.1f}", **style)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})


def _new_grouped_figure(
    groups: Mapping[str, Sequence[str]], height: float = 0.26
) -> tuple[Figure, list[Axes], list[tuple[Axes, np.ndarray]]]:
    """A figure with named rows under headings, in two columns where one would be long.

    Returns:
        The figure, the axes of its columns, and for each group its axes and the positions of its rows.
    """
    sizes = [len(rows) + 1 for rows in groups.values()]
    columns = 1 if sum(sizes) <= _ROWS_IN_A_COLUMN or len(sizes) < 2 else 2
    filled, placed = [0], []
    for size in sizes:
        if len(filled) < columns and filled[0] and filled[0] + size / 2 > sum(sizes) / 2:
            filled.append(0)
        placed.append((len(filled) - 1, filled[-1]))
        filled[-1] += size
    figure, (axes,) = new_figure(8 if columns == 1 else 13, 1.7 + height * max(filled), 1, columns)
    ticks: list[dict[float, str]] = [{} for _ in axes]
    found = []
    for (heading, rows), (column, top) in zip(groups.items(), placed, strict=True):
        ticks[column] |= {top: heading} | {top + 1 + i: name for i, name in enumerate(rows)}
        found.append((axes[column], top + 1 + np.arange(len(rows))))
    for column, ax in enumerate(axes):
        ax.set_yticks(list(ticks[column]), list(ticks[column].values()))
        ax.set_ylim(max(filled) - 0.4, -0.7)
        tidy(ax, "x")
        headings = {top for where, top in placed if where == column}
        for place, label in zip(ticks[column], ax.get_yticklabels(), strict=True):
            if place in headings:
                label.set(fontweight="bold", fontsize=9.5)
    return figure, list(axes), found


def _handle(marker: str, label: str, **style) -> Line2D:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, label=label, **style)


def _reported_handle() -> Line2D:
    return _handle("D", "reported", linestyle="", markerfacecolor="white", markeredgecolor=INK)


def _add_legend_of_colours(figure: Figure, colours: Mapping[str, str]) -> None:
    handles = [_handle("o", name, color=colour) for name, colour in colours.items()]
    add_legend(
        figure, handles=handles, loc="outside lower left", ncols=2 if max(map(len, colours)) > 30 else 4
    )
