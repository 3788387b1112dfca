"""Figures of evaluations.

Examples:
    >>> counts = pd.DataFrame([[3, 1], [0, 4]], ["happy", "sad"], ["happy", "sad"])
    >>> [text.get_text() for text in confusion(counts).axes[0].texts]
    ['75', '25', '0', '100']
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from ..core.errors import TableError, UnknownNameError
from ..core.labels import ordered
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.calibration import reliability as reliability_table
from ..evaluation.intervals import FEWEST_SPEAKERS, is_of_few
from ..evaluation.record import Evaluation
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
    set_title,
    tidy,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _several(evaluations: Evaluation | Iterable[Evaluation]) -> list[Evaluation]:
    found = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    if not found:
        raise TableError("needs at least one evaluation")
    return found


def run_name(evaluation: Evaluation) -> str:
    """Recipe and protocol of an evaluation, for titles."""
    return f"{evaluation.recipe}, {_protocol_name(evaluation)}"


def _protocol_name(evaluation: Evaluation) -> str:
    return f"{evaluation.protocol} ({evaluation.label})"


def confusion(
    evaluation: Evaluation | pd.DataFrame, normalise: bool = True, title: str = "Confusion"
) -> Figure:
    """Confusion matrix: true emotions in rows, predicted ones in columns.

    Args:
        evaluation: an evaluation, or a table of counts as of :func:`ser_kit.evaluation.confusion`.
        normalise: show each row in percent of its clips; else the counts.
        title: of a table of counts; the title of an evaluation is its recipe and protocol.
    """
    import seaborn

    score, counts = "", evaluation
    if isinstance(evaluation, Evaluation):
        counts = evaluation.confusion()
        title, found = run_name(evaluation), evaluation.metrics()["uar"]
        score = f"\nUAR {found:.1%} over {len(evaluation.predictions):,} clips"
    support = counts.sum(axis=1)
    shares = counts.div(support.clip(lower=1), axis=0)
    size = len(counts)
    figure, ((ax,),) = new_figure(2.6 + 0.62 * size, 1.9 + 0.5 * size)
    seaborn.heatmap(
        shares, vmin=0, vmax=1, cmap="Blues", cbar=False, linewidths=0.75, linecolor="white",
        annot=100 * shares if normalise else counts, fmt=".0f", annot_kws={"fontsize": 9},
        yticklabels=[f"{name} ({clips})" for name, clips in support.items()], ax=ax,
    )  # fmt: skip
    for text in ax.texts[:: size + 1]:
        text.set_fontweight("bold")
    tidy(ax)
    ax.tick_params(axis="y", rotation=0)
    for tick in ax.get_xticklabels():
        tick.set(rotation=35, ha="right", rotation_mode="anchor")
    ax.set(
        xlabel="predicted" + (", % of the true emotion's clips" if normalise else ", clips"),
        ylabel="true (clips)",
    )
    set_title(ax, wrapped(figure, title) + score)
    return figure


def per_class(evaluations: Evaluation | Iterable[Evaluation]) -> Figure:
    """Scores of each emotion.

    Args:
        evaluations: one, of which precision, recall and F1 are drawn; or several, of which the recalls are
            drawn side by side.

    Raises:
        TableError: there is no evaluation.
    """
    evaluations = _several(evaluations)
    tables = [evaluation.per_class() for evaluation in evaluations]
    if len(tables) == 1:
        series = tables[0][["precision", "recall", "f1"]].rename(columns={"f1": "F1"})
        title = f"Precision, recall and F1 by emotion: {run_name(evaluations[0])}"
    else:
        runs = zip(evaluations, tables, strict=True)
        series = pd.concat({run_name(evaluation): table["recall"] for evaluation, table in runs}, axis=1)
        title = "Recall by emotion"
    return scores_by_class(series, title)


def scores_by_class(scores: pd.DataFrame, title: str) -> Figure:
    """Bars of several scores of each emotion.

    Args:
        scores: fractions in [0, 1]; a row for each emotion and a column for each score; NaN is not drawn.
        title: title of the figure.
    """
    import seaborn

    labels = ordered(scores.index)
    figure, ((ax,),) = new_figure(max(6.5, 1.6 + 0.95 * len(labels)), 3.5)
    bars = scores.rename_axis("emotion").melt(var_name="score", ignore_index=False).reset_index()
    seaborn.barplot(
        bars, x="emotion", y="value", hue="score", order=labels, saturation=1, gap=0.08, errorbar=None,
        palette=[*islice(cycle(SERIES), scores.shape[1])], legend=False, ax=ax,
    )  # fmt: skip
    if scores.shape[1] <= 3:
        for container in ax.containers:
            ax.bar_label(
                container, fmt=lambda share: f"{100 * share:.0f}", padding=1, fontsize=7.5, color=SOFT
            )
    ax.set(xlabel="", ylim=(0, 1.05))
    ax.set_yticks(np.linspace(0, 1, 6))
    percent_axis(ax.yaxis, "")
    tidy(ax, "y")
    set_title(ax, wrapped(figure, title))
    names = {"handles": ax.containers, "labels": list(scores)}
    add_legend(figure, **names, loc="outside lower left", ncols=3 if max(map(len, scores)) < 30 else 2)
    return figure


def protocol_comparison(evaluations: Iterable[Evaluation], metric: str = "uar") -> Figure:
    """The same recipes under several protocols, such as a split by clips and one by speakers.

    Args:
        evaluations: bars are grouped by recipe and coloured by protocol. A bar is the score of the clips of
            all folds together, its whisker the 95 % interval over speakers, dotted where fewer than
            :data:`~ser_kit.evaluation.intervals.FEWEST_SPEAKERS` were tested; the dotted line is chance.
        metric: ``"uar"``, ``"accuracy"``, ``"macro_f1"`` or ``"weighted_f1"``.

    Raises:
        TableError: there is no evaluation.
        UnknownNameError: there is no such metric.
    """
    import seaborn

    evaluations = _several(evaluations)
    scores = pd.DataFrame([_score(evaluation, metric) for evaluation in evaluations])
    recipes, protocols = scores["recipe"].unique(), scores["protocol"].unique()
    scores["recipe"] = pd.Categorical(scores["recipe"], recipes)
    figure, ((ax,),) = new_figure(max(6.5, 1.6 + 1.15 * len(recipes) * len(protocols)), 4.2)
    seaborn.barplot(
        scores, x="recipe", y="pooled", hue="protocol", palette=[*islice(cycle(SERIES), len(protocols))],
        saturation=1, gap=0.1, errorbar=None, legend=False, ax=ax,
    )  # fmt: skip
    for bars, (protocol, part) in zip(ax.containers, scores.groupby("protocol", sort=False), strict=True):
        bars.set_label(protocol)
        for bar, score in zip(bars, part.sort_values("recipe").to_dict("records"), strict=True):
            _draw_interval(ax, bar.get_x() + bar.get_width() / 2, score)
    sizes = {len(evaluation.labels) for evaluation in evaluations}
    if metric == "uar" and len(sizes) == 1:
        chance = 1 / sizes.pop()
        ax.axhline(chance, color=SOFT, linestyle=":", linewidth=1.2, label=f"chance ({chance:.1%})")
    ax.set(xlim=(-0.55, len(recipes) - 0.45), ylim=(0, 1.08))
    ax.set_yticks(np.linspace(0, 1, 6))
    title = capital(TITLES[metric])
    percent_axis(ax.yaxis, title)
    few = f"\ndotted: of fewer than {FEWEST_SPEAKERS} speakers, too short" if scores["few"].any() else ""
    ax.set_xlabel(f"bars: all tested clips; whiskers: 95% interval over speakers{few}")
    tidy(ax, "y")
    corpora = ", ".join(sorted({name for evaluation in evaluations for name in evaluation.corpora}))
    set_title(ax, f"{title} by protocol{f': {corpora}' if corpora else ''}")
    add_legend(figure, loc="outside lower left", ncols=2)
    return figure


def _score(evaluation: Evaluation, metric: str) -> dict[str, object]:
    summary = evaluation.summary()
    if metric not in summary:
        raise UnknownNameError("metric", metric, summary)
    numbers = summary[metric]
    few = bool(np.isfinite(numbers["low"])) and is_of_few(numbers)
    return {"recipe": evaluation.recipe, "protocol": _protocol_name(evaluation), "few": few, **numbers}


def _draw_interval(ax: Axes, place: float, score: Mapping[str, float]) -> None:
    """The interval of a bar, and the score above it."""
    top = score["pooled"]
    if np.isfinite(score["low"]):
        ax.vlines(
            place, score["low"], score["high"], INK, "dotted" if score["few"] else "solid", linewidth=1.4
        )
        top = max(top, score["high"])
    ax.text(
        place, top + 0.015, f"{score['pooled']:.1%}", ha="center", fontsize=9, fontweight="bold", color=INK
    )


def reliability(evaluation: Evaluation, bins: int = 10) -> Figure:
    """Reliability diagram: accuracy against confidence, and the number of clips at each confidence.

    Args:
        evaluation: of which the predictions are drawn.
        bins: number of bars. A bar on the diagonal is calibrated, one below it overconfident.
    """
    confidence, correct = evaluation.predictions["confidence"].to_numpy(), evaluation.correct()
    table = reliability_table(confidence, correct, bins)
    error = expected_calibration_error(confidence, correct)
    figure, ((top,), (bottom,)) = new_figure(5.6, 5.4, 2, height_ratios=(3.2, 1), sharex=True)
    middles, width = (table["low"] + table["high"]) / 2, 0.92 / bins
    top.bar(middles, table["accuracy"].fillna(0), width, color=SERIES[0], label="accuracy")
    top.plot([0, 1], [0, 1], "--", color=SOFT, linewidth=1.2, label="perfectly calibrated")
    filled = table[table["clips"] > 0]
    top.plot(
        filled["confidence"], filled["accuracy"], "o", color=SERIES[1], markersize=5, label="mean confidence"
    )
    top.set_ylim(0, 1)
    top.set_xlim(0, 1)
    percent_axis(top.yaxis, "accuracy")
    bottom.bar(middles, table["clips"], width, color=PALE)
    bottom.set_ylabel("clips")
    percent_axis(bottom.xaxis, "confidence")
    for ax in (top, bottom):
        tidy(ax, "y")
    add_legend(top, loc="upper left")
    set_title(top, f"{wrapped(figure, run_name(evaluation))}\nexpected calibration error {error:.1%}")
    return figure


def left_out(coverage: pd.DataFrame, adapted: pd.DataFrame) -> Figure:
    """Results on corpora left out of training: accuracy by coverage, and UAR by clips of the speaker.

    Args:
        coverage: ``corpus``, ``answered`` (share of the clips that are answered, the most confident first)
            and ``right`` (share of these answers that is right), both in [0, 1].
        adapted: UAR in percent, a row for each corpus in the order of the legend, a column for each number of
            clips of the speaker that the model adapted to. Columns whose name begins with ``one emotion:``
            are those of adaptation to clips of a single emotion.
    """
    figure, ((left, right),) = new_figure(9.6, 3.8, 1, 2)
    mixed = [name for name in adapted.columns if not name.startswith("one emotion")]
    for corpus, colour in zip(adapted.index, cycle(SERIES), strict=False):
        own = coverage[(coverage["corpus"] == corpus) & (coverage["answered"] >= 0.02)]
        left.plot(own["answered"], own["right"], color=colour, linewidth=1.6, label=corpus)
        right.plot(mixed, adapted.loc[corpus, mixed], "o-", color=colour, markersize=4, linewidth=1.6)
        one = {name.removeprefix("one emotion: "): name for name in adapted.columns if name not in mixed}
        kept = [name for name in mixed if name in one]
        right.plot(kept, [adapted.loc[corpus, one[name]] for name in kept], "x:", color=colour, markersize=5)
    left.axhline(0.75, color=SOFT, linewidth=1, linestyle="--")
    percent_axis(left.xaxis, "answered: the surest")
    percent_axis(left.yaxis, "of these right")
    set_title(left, "How often sure answers are right")
    right.set_xlabel("clips of the speaker (x: of one emotion only)")
    right.set_ylabel("UAR in %")
    set_title(right, "Adaptation to a speaker, no labels")
    for ax in (left, right):
        tidy(ax, "y")
    add_legend(figure, loc="outside lower center", ncols=len(adapted))
    return figure
