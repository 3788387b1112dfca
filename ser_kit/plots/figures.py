"""Every figure of the notebooks and the widget.

Each function returns a :class:`matplotlib.figure.Figure` of its own, draws nothing through ``pyplot`` and changes no
global settings, so figures can be made in threads, on servers and in widgets, and none is left open. Distributions,
boxes, heat maps and bars by class are seaborn's. A notebook shows what a cell
returns; ``figure.savefig("name.png")`` keeps it.

An emotion has the same colour everywhere. The colours of the eight emotions of RAVDESS differ for readers with
protanopia, deuteranopia and tritanopia too (CIELAB distance of 19 at least, as simulated by Machado et al. 2009).

Examples:
    >>> figure = probabilities({"happy": 0.7, "sad": 0.2, "neutral": 0.1})
    >>> figure.axes[0].get_title(loc="left")
    'happy, 70%'
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import protocols, recipes
from ..audio.recording import Recording, Source, read_audio
from ..core.errors import TableError, UnknownNameError
from ..core.labels import COLOURS, EMOTIONS
from ..evaluation.intervals import FEWEST_SPEAKERS, is_of_few
from ..evaluation.scores import Evaluation, expected_calibration_error
from ..evaluation.scores import reliability as reliability_table
from ..recipes import reproduce
from . import tracks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _SOFT, _LINE, _PALE = "#1f2328", "#656d76", "#e3e6ea", "#c9ced6"
_SERIES = ("#2f6690", "#e07a3f", "#81b29a", "#8d6a9f", "#c8a13a", "#6b7280")
"""Colours of things that are not emotions: runs, splits, scores."""
_SPEAKERS_NAMED = 40
"""More speakers than this cannot be named along an axis."""
_INDEPENDENT, _DEPENDENT = _SERIES[:2]
_LEAKIER = ("#a4243b", "#5c3a5e")
"""Colours of protocols with more leaks than that tested speakers are also in training."""
_ROWS_IN_A_COLUMN = 26
"""Rows of a figure that are more than this go into two columns."""


# -------------------------------------------------------------------------------------------------------- foundations


def png(figure: Figure) -> bytes:
    """A figure as the bytes of a PNG file of 256 colours, a third as large as one of all: notebooks hold many."""
    from PIL import Image

    drawn, written = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=100)
    # This method keeps colours that are rare, such as those of a few dots; the others give most to what is large.
    image = Image.open(drawn).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.save(written, format="png", optimize=True)
    return written.getvalue()


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **layout) -> tuple[Figure, np.ndarray]:
    """A figure in inches and its axes ``[rows, columns]``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    figure._repr_png_ = partial(png, figure)  # notebooks show figures of pyplot only, unless they can draw themselves
    return figure, figure.subplots(rows, columns, squeeze=False, **layout)


def _title(ax: Axes, text: str, size: float = 11) -> None:
    ax.set_title(text, loc="left", fontsize=size, fontweight="bold", color=_INK, pad=8)


def _wrapped(figure: Figure, text: str, margin: float = 1.2) -> str:
    """Broken into lines that fit into the figure beside a margin in inches."""
    return textwrap.fill(text, int((figure.get_figwidth() - margin) / 0.1), break_on_hyphens=False)


def _heading(figure: Figure, text: str) -> None:
    figure.suptitle(_wrapped(figure, text, 0.0), x=0.01, ha="left", fontsize=12, fontweight="bold", color=_INK)


def _note(figure: Figure, text: str) -> None:
    figure.supxlabel(text, x=0.01, ha="left", fontsize=8.5, color=_SOFT)


def _tidy(ax: Axes, grid: str | None = None) -> None:
    """Quiet axes: no box, light grid lines behind the data, along one axis if any."""
    for side in ("top", "right", "left", "bottom"):
        ax.spines[side].set_visible(False)
    ax.tick_params(length=0, labelsize=9, labelcolor=_INK)
    ax.xaxis.label.set(size=9, color=_SOFT)
    ax.yaxis.label.set(size=9, color=_SOFT)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(axis=grid, color=_LINE, linewidth=0.8)


def _legend(target: Axes | Figure, **options) -> None:
    options = {"frameon": False, "fontsize": 9, "labelcolor": _INK, "handlelength": 1.2, "handleheight": 1.0} | options
    target.legend(**options)


def _percent_axis(axis, label: str) -> None:
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1, decimals=0))
    axis.set_label_text(label)


def _colour(emotion: str) -> str:
    return COLOURS.get(emotion, COLOURS["other"])


def _ordered(emotions: Iterable[str]) -> list[str]:
    """In the order of :data:`ser_kit.core.labels.EMOTIONS`, others after them."""
    emotions = set(emotions)
    return [e for e in EMOTIONS if e in emotions] + sorted(emotions - set(EMOTIONS))


def _emotions(table: pd.DataFrame) -> pd.Series:
    column = "label" if "label" in table else "emotion"
    if column not in table or not len(table):
        raise TableError("needs at least one clip, and a column 'label' or 'emotion'")
    return table[column].astype(str)


def _several(evaluations: Evaluation | Iterable[Evaluation]) -> list[Evaluation]:
    found = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    if not found:
        raise TableError("needs at least one evaluation")
    return found


def _counted(count: int, what: str) -> str:
    return f"{count} {what}s" if count > 1 else f"one {what}"


def _run_name(evaluation: Evaluation) -> str:
    return f"{evaluation.recipe}, {_protocol_name(evaluation)}"


def _protocol_name(evaluation: Evaluation) -> str:
    return f"{evaluation.protocol} ({evaluation.label})"


# ------------------------------------------------------------------------------------------------------------ corpora


def class_distribution(table: pd.DataFrame) -> Figure:
    """How many clips of each emotion there are, women's and men's told apart by shade.

    Args:
        table: a clip table.
    """
    import seaborn
    from matplotlib.patches import Patch

    emotions = _emotions(table)
    order, totals = _ordered(emotions), emotions.value_counts()
    sexes = table.get("sex", pd.Series("", table.index)).fillna("").replace("", "not known")
    clips = pd.DataFrame({"emotion": pd.Categorical(emotions, order), "sex": sexes.to_numpy()})
    shades = {"female": 1.0, "male": 0.5, "not known": 0.2}
    shades = {sex: shade for sex, shade in shades.items() if sex in set(sexes)}
    figure, ((ax,),) = _figure(7.5, 0.9 + 0.42 * len(order))
    seaborn.histplot(
        clips, y="emotion", hue="sex", hue_order=[*reversed(shades)], multiple="stack", shrink=0.74, legend=False, ax=ax
    )  # fmt: skip
    for bars, shade in zip(ax.containers, shades.values(), strict=True):
        for bar, emotion in zip(bars, order, strict=True):
            bar.set(facecolor=_tint(_colour(emotion), shade), edgecolor="white")
    for row, emotion in enumerate(order):
        ax.text(totals[emotion], row, f" {totals[emotion]:,}", va="center", fontsize=9, color=_INK)
    ax.set_xlim(0, totals.max() * 1.1)
    ax.set(xlabel="clips", ylabel="")
    _tidy(ax, "x")
    _title(ax, f"Clips by emotion and sex: {len(table):,} clips of {_corpora(table)}")
    handles = [Patch(color=_tint(_SOFT, shade), label=sex, linewidth=0) for sex, shade in shades.items()]
    _legend(ax, handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def _tint(colour: str, strength: float) -> np.ndarray:
    """A colour mixed with white; unlike transparency it lets no grid line through."""
    from matplotlib.colors import to_rgb

    return 1 - strength * (1 - np.array(to_rgb(colour)))


def _corpora(table: pd.DataFrame) -> str:
    return ", ".join(sorted(table["corpus"].unique())) if "corpus" in table else "one table"


def speakers(table: pd.DataFrame) -> Figure:
    """How many clips of each emotion every speaker gave.

    Args:
        table: a clip table.
    """
    import seaborn

    emotions, names = _emotions(table), sorted(table["speaker"].unique())
    clips = pd.DataFrame({"speaker": pd.Categorical(table["speaker"], names), "emotion": emotions.to_numpy()})
    palette = {emotion: _colour(emotion) for emotion in reversed(_ordered(emotions))}
    figure, ((ax,),) = _figure(9, 3.4)
    seaborn.histplot(
        clips, x="speaker", hue="emotion", hue_order=list(palette), palette=palette, alpha=1, multiple="stack",
        shrink=0.82, linewidth=0, ax=ax,
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
    _tidy(ax, "y")
    _title(ax, f"Clips by speaker and emotion: {_corpora(table)}")
    _legend(
        ax, handles=ax.get_legend().legend_handles, labels=list(palette), loc="upper left", bbox_to_anchor=(1.0, 1.0)
    )
    return figure


# --------------------------------------------------------------------------------------------- sound and its features

_PITCH, _PITCH_TEXT = "#7df9ff", "#0b7285"
_INTENSITY, _INTENSITY_TEXT = "#c8f169", "#4f6f00"
_QUIET_DB = -50
"""Below this, against the loudest frame, chroma would show the colour of noise."""


def _panel_waveform(ax: Axes, recording: Recording) -> None:
    times, low, high = tracks.envelope(recording)
    ax.fill_between(times, low, high, color=_SERIES[0], linewidth=0.6, edgecolor=_SERIES[0])
    reach = max(float(np.abs(recording.samples).max()) * 1.1, 1e-3)
    ax.set_ylim(-reach, reach)
    ax.set_ylabel("amplitude")
    _title(ax, "Waveform")


def _image(ax: Axes, values: np.ndarray, hop: int, bottom: float, top: float, **options):
    edges = (-0.5 * hop / tracks.RATE, (values.shape[1] - 0.5) * hop / tracks.RATE)
    return ax.imshow(
        values, origin="lower", aspect="auto", interpolation="nearest", extent=(*edges, bottom, top), **options
    )


def _panel_mel(ax: Axes, recording: Recording) -> None:
    import librosa

    levels, hop = tracks.mel(recording)
    _image(ax, levels, hop, 0, librosa.hz_to_mel(tracks.RATE / 2), cmap="magma", vmin=-80, vmax=0)
    ticks = [250, 500, 1000, 2000, 4000, 8000]
    ax.set_yticks(librosa.hz_to_mel(np.array(ticks)), [f"{t / 1000:g}k" if t >= 1000 else str(t) for t in ticks])
    ax.set_ylabel("frequency (Hz)")
    # On the scale of the spectrogram a melody of 50 Hz would be a flat line, so each track has its own.
    times, decibels = tracks.intensity(recording)
    if np.isfinite(decibels).any():
        scale = _track(ax, times, decibels, _INTENSITY, 1.2, tracks.INTENSITY_RANGE)
        scale.set_ylabel("intensity (dB)", color=_INTENSITY_TEXT)
        scale.tick_params(axis="y", labelcolor=_INTENSITY_TEXT)
        scale.spines["right"].set_position(("outward", 48))
    times, pitch = tracks.pitch(recording)
    if not np.isfinite(pitch).any():
        _title(ax, "Mel spectrogram, 80 dB from dark to light; no pitch found")
        return
    scale = _track(ax, times, pitch, _PITCH, 1.8, tracks.PITCH_RANGE)
    scale.set_ylabel("pitch (Hz)", color=_PITCH_TEXT)
    scale.tick_params(axis="y", labelcolor=_PITCH_TEXT)
    _title(
        ax, f"Mel spectrogram, 80 dB from dark to light; lines: intensity, pitch (median {np.nanmedian(pitch):.0f} Hz)"
    )


def _track(
    ax: Axes, times: np.ndarray, values: np.ndarray, colour: str, width: float, limits: tuple[float, float]
) -> Axes:
    """A line over a picture, on a scale of its own at the right."""
    from matplotlib.patheffects import Normal, Stroke

    scale = ax.twinx()
    outline = [Stroke(linewidth=2 * width, foreground="black"), Normal()]
    scale.plot(times, values, color=colour, linewidth=width, path_effects=outline)
    scale.set_ylim(*limits)
    _tidy(scale)
    return scale


def _panel_pitch(ax: Axes, recording: Recording) -> None:
    times, pitch = tracks.pitch(recording)
    ax.plot(times, pitch, ".", markersize=3.5, color=_SERIES[0])
    ax.set_ylim(*tracks.PITCH_RANGE)
    ax.set_ylabel("pitch (Hz)")
    _title(ax, f"Pitch (Praat, 50 to 500 Hz; {np.isfinite(pitch).mean() if len(pitch) else 0:.0%} of frames voiced)")


def _panel_mfcc(ax: Axes, recording: Recording) -> None:
    import librosa

    samples = tracks.at_least(recording.at(tracks.RATE), 2048)
    hop = tracks.hop(samples)
    mfcc = librosa.feature.mfcc(y=samples, sr=tracks.RATE, n_mfcc=13, n_fft=2048, hop_length=hop)
    spread = mfcc.std(axis=1, keepdims=True)
    scaled = (mfcc - mfcc.mean(axis=1, keepdims=True)) / np.where(spread > 1e-6, spread, 1)
    _image(ax, scaled, hop, 0.5, 13.5, cmap="RdBu_r", vmin=-3, vmax=3)
    ax.set_yticks([1, 5, 9, 13])
    ax.set_ylabel("coefficient")
    _title(ax, "MFCC (each coefficient around its own mean: red above, blue below)")


def _panel_chroma(ax: Axes, recording: Recording) -> None:
    import librosa

    samples = tracks.at_least(recording.at(tracks.RATE), 2048)
    hop = tracks.hop(samples)
    chroma = librosa.feature.chroma_stft(y=samples, sr=tracks.RATE, n_fft=2048, hop_length=hop, tuning=0.0)
    loudness = librosa.feature.rms(y=samples, frame_length=2048, hop_length=hop)[0]
    quiet = 20 * np.log10(np.maximum(loudness, 1e-9) / max(float(loudness.max()), 1e-5)) < _QUIET_DB
    chroma = np.where(quiet, 0, chroma)
    _image(ax, chroma, hop, -0.5, 11.5, cmap="viridis", vmin=0, vmax=1)
    ax.set_yticks([0, 2, 4, 5, 7, 9, 11], list("CDEFGAB"))
    ax.set_ylabel("pitch class")
    _title(ax, f"Chroma (dark where {-_QUIET_DB} dB below the loudest frame)")


_PANELS: dict[str, Callable[[Axes, Recording], None]] = {
    "waveform": _panel_waveform,
    "mel": _panel_mel,
    "pitch": _panel_pitch,
    "mfcc": _panel_mfcc,
    "chroma": _panel_chroma,
}


def portrait(
    source: Source,
    panels: Sequence[str] = ("waveform", "mel", "mfcc", "chroma"),
    *,
    title: str | None = None,
    side_by_side: bool = False,
) -> Figure:
    """One recording as a model may see it.

    Args:
        source: anything that :func:`ser_kit.audio.read_audio` takes.
        panels: which pictures, from top to bottom: ``"waveform"``, ``"mel"`` (with Praat's pitch and intensity),
            ``"pitch"``, ``"mfcc"``, ``"chroma"``. Spectra are taken at 16 kHz.
        title: heading; the recording's name and length if left out.
        side_by_side: draw the panels beside each other, from left to right.

    Raises:
        UnknownNameError: there is no such panel.
        AudioError: the recording cannot be used.
    """
    for panel in panels:
        if panel not in _PANELS:
            raise UnknownNameError("panel", panel, _PANELS)
    recording = read_audio(source)
    if side_by_side:
        figure, axes = _figure(4.3 * len(panels), 3.6, 1, len(panels), sharex=True)
    else:
        heights = [1.0 if panel == "waveform" else 1.7 if panel == "mel" else 1.3 for panel in panels]
        figure, axes = _figure(9, 0.8 + 1.35 * sum(heights), len(panels), height_ratios=heights, sharex=True)
    for ax, panel in zip(axes.flat, panels, strict=True):
        _tidy(ax)
        _PANELS[panel](ax, recording)
        _tidy(ax)
        if side_by_side:
            _title(ax, textwrap.fill(ax.get_title(loc="left"), 44, break_on_hyphens=False), size=10)
    axes[-1, 0].set_xlim(0, recording.duration)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    _heading(figure, title or f"{recording.name}, {recording.duration:.2f} s at {recording.native_rate:,} Hz")
    return figure


def feature_by_emotion(features: pd.DataFrame, names: Sequence[str]) -> Figure:
    """How features are spread within each emotion: the middle half of the clips as a box, the median as a line.

    Args:
        features: one row per clip, with the features and ``label`` or ``emotion`` as columns, as
            ``Features.to_frame()`` gives them. Clips without a value are left out of that feature.
        names: columns to draw, one panel each.

    Raises:
        TableError: a column is missing.
    """
    missing = [name for name in names if name not in features]
    if missing or not names:
        raise TableError(
            f"no feature {', '.join(missing) or 'named'}; there are {', '.join(map(str, features.columns))}"
        )
    import seaborn
    from matplotlib.patheffects import Normal, Stroke

    emotions = _emotions(features).to_numpy()
    outline = [Stroke(linewidth=3.6, foreground="white"), Normal()]  # the line must be seen on dark boxes, too
    palette = {emotion: _colour(emotion) for emotion in _ordered(emotions)}
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    width, height = max(5.0, 3.1 * columns + 1.0), 0.9 + rows * (0.75 + 0.27 * len(palette))
    figure, axes = _figure(width, height, rows, columns, sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        seaborn.boxplot(
            x=features[name].to_numpy(float), y=emotions, hue=emotions, order=list(palette), palette=palette,
            saturation=1, width=0.66, whis=(5, 95), showfliers=False, showcaps=False, boxprops={"edgecolor": "none"},
            whiskerprops={"color": _SOFT}, medianprops={"color": _INK, "linewidth": 1.6, "path_effects": outline},
            legend=False, ax=ax,
        )  # fmt: skip
        _tidy(ax, "x")
        _title(ax, str(name).replace("_", " "))
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    _heading(figure, f"Features by emotion, {len(features):,} clips")
    _note(figure, "line: median; box: middle half of the clips; whiskers: 5% to 95%")
    return figure


# ----------------------------------------------------------------------------------------------------------- training


def training_curves(histories: Evaluation | Sequence[pd.DataFrame] | pd.DataFrame) -> Figure:
    """What was followed during training, epoch by epoch: thin lines are folds, thick ones their mean.

    Args:
        histories: an :class:`~ser_kit.evaluation.Evaluation`, or one DataFrame per fold with ``epoch``, ``loss``,
            ``val_loss`` and other pairs ``x``, ``val_x``. A dot marks the epoch of the lowest validation loss. An
            ensemble trains several networks on each fold, and each has a line.

    Raises:
        TableError: there is no history, as of a forest or an SVM.
    """
    heading, folds = "Training", None
    if isinstance(histories, Evaluation):
        folds = histories.predictions["fold"].nunique()
        heading, histories = f"Training: {_run_name(histories)}", histories.histories
    histories = [histories] if isinstance(histories, pd.DataFrame) else list(histories)
    pairs = [c for c in histories[0] if f"val_{c}" in histories[0]] if histories else []
    if not pairs:
        raise TableError(
            "no history to draw; training a network records 'loss' and 'val_loss' for each epoch, "
            "and a forest or an SVM has no epochs"
        )
    figure, axes = _figure(4.5 * max(len(pairs), 1.4), 3.3, 1, len(pairs))
    common = min(len(history) for history in histories)
    for ax, name in zip(axes[0], pairs, strict=True):
        for column, colour, label in ((name, _SERIES[0], "training"), (f"val_{name}", _SERIES[1], "validation")):
            alone = len(histories) == 1
            for history in histories:
                width, alpha = (2.2, 1.0) if alone else (0.9, 0.4)
                history = history[history[column].notna()]  # not every epoch is validated
                ax.plot(history["epoch"], history[column], color=colour, linewidth=width, alpha=alpha)
                if column.startswith("val_"):
                    best = history["val_loss"].argmin()
                    ax.plot(history["epoch"].iloc[best], history[column].iloc[best], "o", color=colour, markersize=4)
            # Beyond the shortest fold the mean would be one of other folds.
            mean = np.mean([history[column].to_numpy()[:common] for history in histories], axis=0)
            there = np.isfinite(mean)
            ax.plot(histories[0]["epoch"].iloc[:common][there], mean[there], color=colour, linewidth=2.4, label=label)
        ax.set_xlabel("epoch")
        ax.xaxis.get_major_locator().set_params(integer=True)
        if name in ("accuracy", "uar"):
            _percent_axis(ax.yaxis, "")
        _tidy(ax, "y")
        _title(ax, {"uar": "UAR"}.get(name, name.replace("_", " ").capitalize()))
    handles, _ = axes[0, 0].get_legend_handles_labels()
    _legend(figure, handles=handles, loc="outside lower right", ncols=2)
    what, count = "folds", len(histories)
    if folds not in (None, count):
        what, count = "trainings", f"{count} trainings in {_counted(folds, 'fold')}"
    _heading(figure, f"{heading}, {count if what == 'trainings' else _counted(count, 'fold')}")
    thin = f"thin lines: {what}; thick: their mean as far as all of them trained; " if len(histories) > 1 else ""
    _note(figure, f"{thin}dots: lowest validation loss")
    return figure


# --------------------------------------------------------------------------------------------------------- evaluation


def confusion(evaluation: Evaluation | pd.DataFrame, normalise: bool = True, title: str = "Confusion") -> Figure:
    """Which emotions are taken for which.

    Args:
        evaluation: an evaluation, or a table of counts as :func:`ser_kit.evaluation.confusion` makes it.
        normalise: show each row in percent of its clips; else the counts.
        title: of a table of counts; an evaluation names itself.
    """
    import seaborn

    score, counts = "", evaluation
    if isinstance(evaluation, Evaluation):
        counts = evaluation.confusion()
        title, found = _run_name(evaluation), evaluation.metrics()["uar"]
        score = f"\nUAR {found:.1%} over {len(evaluation.predictions):,} clips"
    support = counts.sum(axis=1)
    shares = counts.div(support.clip(lower=1), axis=0)
    size = len(counts)
    figure, ((ax,),) = _figure(2.6 + 0.62 * size, 1.9 + 0.5 * size)
    seaborn.heatmap(
        shares, vmin=0, vmax=1, cmap="Blues", cbar=False, linewidths=0.75, linecolor="white",
        annot=100 * shares if normalise else counts, fmt=".0f", annot_kws={"fontsize": 9},
        yticklabels=[f"{name} ({clips})" for name, clips in support.items()], ax=ax,
    )  # fmt: skip
    for text in ax.texts[:: size + 1]:
        text.set_fontweight("bold")
    _tidy(ax)
    ax.tick_params(axis="y", rotation=0)
    for tick in ax.get_xticklabels():
        tick.set(rotation=35, ha="right", rotation_mode="anchor")
    ax.set(xlabel="predicted" + (", % of the true emotion's clips" if normalise else ", clips"), ylabel="true (clips)")
    _title(ax, _wrapped(figure, title) + score)
    return figure


def per_class(evaluations: Evaluation | Iterable[Evaluation]) -> Figure:
    """How well each emotion is recognised.

    Args:
        evaluations: one, drawn as precision, recall and F1 of each emotion; or several, drawn as recall side by side.
    """
    import seaborn

    evaluations = _several(evaluations)
    tables = [evaluation.per_class() for evaluation in evaluations]
    labels = _ordered(label for table in tables for label in table.index)
    if len(tables) == 1:
        series = tables[0][["precision", "recall", "f1"]].rename(columns={"f1": "F1"})
        title = f"Precision, recall and F1 by emotion: {_run_name(evaluations[0])}"
    else:
        runs = zip(evaluations, tables, strict=True)
        series = pd.concat({_run_name(evaluation): table["recall"] for evaluation, table in runs}, axis=1)
        title = "Recall by emotion"
    figure, ((ax,),) = _figure(max(6.5, 1.6 + 0.95 * len(labels)), 3.5)
    scores = series.rename_axis("emotion").melt(var_name="score", ignore_index=False).reset_index()
    seaborn.barplot(
        scores, x="emotion", y="value", hue="score", order=labels, palette=[*islice(cycle(_SERIES), series.shape[1])],
        saturation=1, gap=0.08, errorbar=None, legend=False, ax=ax,
    )  # fmt: skip
    if series.shape[1] <= 3:
        for bars in ax.containers:
            ax.bar_label(bars, fmt=lambda share: f"{100 * share:.0f}", padding=1, fontsize=7.5, color=_SOFT)
    ax.set(xlabel="", ylim=(0, 1.05))
    ax.set_yticks(np.linspace(0, 1, 6))
    _percent_axis(ax.yaxis, "")
    _tidy(ax, "y")
    _title(ax, _wrapped(figure, title))
    names = {"handles": ax.containers, "labels": list(series)}
    _legend(figure, **names, loc="outside lower left", ncols=3 if len(tables) == 1 else 2)
    return figure


def protocol_comparison(evaluations: Iterable[Evaluation], metric: str = "uar") -> Figure:
    """The same recipes under several protocols: what a split by clips promises and unseen speakers do not keep.

    Args:
        evaluations: bars are grouped by recipe and coloured by protocol. Bars are of the clips of all folds together,
            whiskers their 95 % interval over speakers, dotted where fewer than
            :data:`~ser_kit.evaluation.intervals.FEWEST_SPEAKERS` were tested; the dotted line is chance.
        metric: ``"uar"``, ``"accuracy"``, ``"macro_f1"`` or ``"weighted_f1"``.
    """
    evaluations = _several(evaluations)
    recipes = list(dict.fromkeys(e.recipe for e in evaluations))
    protocols = list(dict.fromkeys(_protocol_name(e) for e in evaluations))
    figure, ((ax,),) = _figure(max(6.5, 1.6 + 1.15 * len(recipes) * len(protocols)), 4.2)
    width = 0.8 / len(protocols)
    drawn, uncertain = set(), False
    for evaluation in evaluations:
        summary = evaluation.summary()
        if metric not in summary:
            raise UnknownNameError("metric", metric, summary)
        numbers, protocol = summary[metric], protocols.index(_protocol_name(evaluation))
        place = recipes.index(evaluation.recipe) + (protocol - (len(protocols) - 1) / 2) * width
        name = protocols[protocol]
        label = None if name in drawn else name
        drawn.add(name)
        ax.bar(place, numbers["pooled"], width * 0.9, color=_SERIES[protocol % len(_SERIES)], label=label)
        top = numbers["pooled"]
        if np.isfinite(numbers["low"]):
            few = is_of_few(numbers)
            ax.vlines(place, numbers["low"], numbers["high"], _INK, "dotted" if few else "solid", linewidth=1.4)
            top = max(top, numbers["high"])
            uncertain |= few
        ax.text(place, top + 0.015, f"{numbers['pooled']:.1%}", ha="center", fontsize=9, fontweight="bold", color=_INK)
    chance = 1 / len(evaluations[0].labels)
    if metric == "uar" and all(len(e.labels) == len(evaluations[0].labels) for e in evaluations):
        ax.axhline(chance, color=_SOFT, linestyle=":", linewidth=1.2, label=f"chance ({chance:.1%})")
    ax.set_xticks(range(len(recipes)), recipes)
    ax.set_xlim(-0.55, len(recipes) - 0.45)
    ax.set_ylim(0, 1.08)
    ax.set_yticks(np.linspace(0, 1, 6))
    title = {"uar": "UAR", "accuracy": "Accuracy", "macro_f1": "Macro F1", "weighted_f1": "Weighted F1"}[metric]
    _percent_axis(ax.yaxis, title)
    _tidy(ax, "y")
    corpora = ", ".join(sorted({c for e in evaluations for c in e.corpora}))
    note = f"; dotted: of fewer than {FEWEST_SPEAKERS} speakers, too short" if uncertain else ""
    ax.set_xlabel(f"bars: all tested clips; whiskers: 95% interval over speakers{note}")
    _title(ax, f"{title} by protocol{f': {corpora}' if corpora else ''}")
    _legend(figure, loc="outside lower left", ncols=2)
    return figure


def reliability(evaluation: Evaluation, bins: int = 10) -> Figure:
    """Whether a confidence means what it says: accuracy against confidence, and how often each confidence occurs.

    Args:
        evaluation: what to draw.
        bins: bars; on the diagonal a bar is honest, below it overconfident.
    """
    confidence, correct = evaluation.predictions["confidence"].to_numpy(), evaluation.correct()
    table = reliability_table(confidence, correct, bins)
    error = expected_calibration_error(confidence, correct)
    figure, ((top,), (bottom,)) = _figure(5.6, 5.4, 2, height_ratios=(3.2, 1), sharex=True)
    middles, width = (table["low"] + table["high"]) / 2, 0.92 / bins
    top.bar(middles, table["accuracy"].fillna(0), width, color=_SERIES[0], label="accuracy")
    top.plot([0, 1], [0, 1], "--", color=_SOFT, linewidth=1.2, label="perfectly calibrated")
    filled = table[table["clips"] > 0]
    top.plot(filled["confidence"], filled["accuracy"], "o", color=_SERIES[1], markersize=5, label="mean confidence")
    top.set_ylim(0, 1)
    top.set_xlim(0, 1)
    _percent_axis(top.yaxis, "accuracy")
    bottom.bar(middles, table["clips"], width, color=_PALE)
    bottom.set_ylabel("clips")
    _percent_axis(bottom.xaxis, "confidence")
    for ax in (top, bottom):
        _tidy(ax, "y")
    _legend(top, loc="upper left")
    _title(top, f"{_wrapped(figure, _run_name(evaluation))}\nexpected calibration error {error:.1%}")
    return figure


def left_out(coverage: pd.DataFrame, adapted: pd.DataFrame) -> Figure:
    """What a recipe is worth on corpora that were left out: its surest answers, and after clips of the speaker.

    Args:
        coverage: ``corpus, answered, right``: which share of the surest answers is right, shares from 0 to 1.
        adapted: a row for each corpus, in the order of the legend; UAR in percent after none, 2, 5 ... clips of the
            speaker, a column each, and those that begin with ``one emotion:`` where these are of one emotion.
    """
    figure, ((left, right),) = _figure(9.6, 3.8, 1, 2)
    mixed = [name for name in adapted.columns if not name.startswith("one emotion")]
    for corpus, colour in zip(adapted.index, cycle(_SERIES), strict=False):
        own = coverage[(coverage["corpus"] == corpus) & (coverage["answered"] >= 0.02)]
        left.plot(own["answered"], own["right"], color=colour, linewidth=1.6, label=corpus)
        right.plot(mixed, adapted.loc[corpus, mixed], "o-", color=colour, markersize=4, linewidth=1.6)
        one = {name.removeprefix("one emotion: "): name for name in adapted.columns if name not in mixed}
        kept = [name for name in mixed if name in one]
        right.plot(kept, [adapted.loc[corpus, one[name]] for name in kept], "x:", color=colour, markersize=5)
    left.axhline(0.75, color=_SOFT, linewidth=1, linestyle="--")
    _percent_axis(left.xaxis, "answered: the surest")
    _percent_axis(left.yaxis, "of these right")
    _title(left, "How often sure answers are right")
    right.set_xlabel("clips of the speaker (x: of one emotion only)")
    right.set_ylabel("UAR in %")
    _title(right, "Adaptation to a speaker, no labels")
    for ax in (left, right):
        _tidy(ax, "y")
    _legend(figure, loc="outside lower center", ncols=len(adapted))
    return figure


# -------------------------------------------------------------------------------------------------- published systems


def published_systems(records: pd.DataFrame, name: str = "ravdess") -> Figure:
    """Reported, reproduced, and on unseen speakers: a row for each published system.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`. Dots are means of the accuracy over folds and seeds, lines one
            standard deviation to each side.
        name: of the corpora (joined by ``", "``) that the runs were on; a system whose runs were on others only shows
            the first of these, and says so.
    """
    from matplotlib.lines import Line2D

    found = reproduce.spread(records, "accuracy")
    found = found[found["ablation"] == ""]
    systems = list(recipes.RECIPES.values())
    figure, ((ax,),) = _figure(9.5, 1.7 + 0.34 * len(systems))
    labels, unfinished = [], False
    for row, system in enumerate(systems):
        own = found[found["recipe"] == system.name]
        places = [place for place in [name, *own["corpora"]] if (own["corpora"] == place).any()]
        own = own[own["corpora"] == places[0]] if places else own
        shown = [own[own["protocol"] == protocol] for protocol in (system.published.protocol, "speaker")]
        shown = [part.iloc[0] for part in shown if len(part)]
        for part, lift in zip(shown, (-0.13, 0.13), strict=False):
            _dot(ax, part["mean"], row + (lift if len(shown) > 1 else 0), part["std"], _side(part))
        if shown:
            ax.plot([part["mean"] for part in shown], [row] * len(shown), color=_PALE, linewidth=5, alpha=0.6, zorder=1)
            ax.plot(_chance(records, system.name, places[0]), row, "|", color=_SOFT, markersize=11)
        else:
            ax.text(0.01, row, "not run here", va="center", fontsize=8.5, color=_SOFT, style="italic")
        reported = system.published.accuracy
        if reported:
            ax.plot(reported, [row] * len(reported), color=_SOFT, linewidth=1)
            ax.plot(reported, [row] * len(reported), "D", markersize=7, markerfacecolor="none", markeredgecolor=_INK)
        star = not all(part["complete"] for part in shown)
        unfinished |= star
        elsewhere = f" ({places[0]})" if places and places[0] != name else ""
        labels.append(f"{system.name}{elsewhere}{' *' if star else ''}")
    ax.set_yticks(range(len(systems)), labels)
    ax.set_ylim(len(systems) - 0.4, -0.6)
    ax.set_xlim(0, 1)
    ax.set_xticks(np.linspace(0, 1, 11))
    _percent_axis(ax.xaxis, "accuracy")
    _tidy(ax, "x")
    sides = {bool(side) for side in found["speaker_independent"]}
    handles = [
        Line2D([], [], marker="D", linestyle="", markerfacecolor="white", markeredgecolor=_INK, label="reported"),
        *(
            Line2D([], [], marker="o", color=colour, label=label)
            for side, colour, label in (
                (False, _DEPENDENT, "reproduced, published split (speaker-dependent)"),
                (True, _INDEPENDENT, "unseen speakers (speaker-independent)"),
            )
            if side in sides
        ),
        Line2D([], [], marker="|", linestyle="", color=_SOFT, markersize=10, label="chance"),
    ]
    _legend(figure, handles=handles, loc="outside lower left", ncols=4)
    _title(ax, "Published systems: reported, reproduced, and on speakers never heard")
    corpora = "runs on " + name + (", where not said otherwise" if any("(" in label for label in labels) else "")
    star = "; *: folds missing" if unfinished else ""
    ax.set_xlabel(f"accuracy, mean and standard deviation of folds and seeds; {corpora}{star}", loc="right")
    return figure


def reported(records: pd.DataFrame, name: str = "ravdess") -> Figure:
    """Precision, recall, F1 and training accuracy as the documents report them, beside ours; single emotions by F1.

    Args:
        records: as for :func:`published_systems`, whose dots and lines these are too.
        name: likewise.
    """
    from matplotlib.lines import Line2D

    found = reproduce.figures(records, name)
    of_emotion = found["emotion"] != ""
    by_f1 = found["system"].isin(found.loc[of_emotion & (found["metric"] == "f1"), "system"])
    panels = [found[~of_emotion], found[of_emotion & ((found["metric"] == "f1") | ~by_f1)]]
    figure, (axes,) = _figure(13, 1.7 + 0.24 * max(map(len, panels)), columns=2)
    for ax, rows in zip(axes, panels, strict=True):
        labels = []
        for place, row in enumerate(rows.to_dict("records")):
            ax.plot(row["reported"], [place] * len(row["reported"]), "D-", color=_SOFT, markersize=6,
                    markerfacecolor="none", markeredgecolor=_INK)  # fmt: skip
            for side, lift, colour in (("published", -0.15, _DEPENDENT), ("unseen", 0.15, _INDEPENDENT)):
                if row[side]:
                    deviation = np.std(row[side], ddof=1) if len(row[side]) > 1 else np.nan
                    _dot(ax, np.mean(row[side]), place + lift, deviation, colour)
            metric, emotion = reproduce.METRIC_NAMES[row["metric"]], row["emotion"]
            elsewhere = f" ({row['run on'] or 'not run here'})" if row["run on"] != name else ""
            labels.append(f"{row['system']}{elsewhere}: {metric}{f' of {emotion}' if emotion else ''}")
        ax.set_yticks(range(len(labels)), labels, fontsize=8)
        ax.set_ylim(len(labels) - 0.4, -0.6)
        ax.set_xlim(0, 1.02)
        ax.set_xticks(np.linspace(0, 1, 6))
        _percent_axis(ax.xaxis, "mean and standard deviation of folds and seeds")
        _tidy(ax, "x")
    handles = [
        Line2D([], [], marker="D", linestyle="", markerfacecolor="white", markeredgecolor=_INK, label="reported"),
        Line2D([], [], marker="o", color=_DEPENDENT, label="reproduced, published split"),
        Line2D([], [], marker="o", color=_INDEPENDENT, label="unseen speakers"),
    ]
    _legend(figure, handles=handles, loc="outside lower left", ncols=3)
    _title(axes[0], "Figures of all emotions")
    _title(axes[1], "Figures of single emotions")
    return figure


def leakage(records: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """Each system under every protocol that it was run under, from the leakiest to the most honest.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`; means over folds and seeds, lines one standard deviation to each
            side.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Raises:
        TableError: no system was run under two protocols.
    """
    found = reproduce.spread(records[records["ablation"] == ""], metric)
    found = found.assign(leaks=[_leaks(row) for _, row in found.iterrows()])
    groups = {}
    for recipe, place in dict.fromkeys(zip(*_in_order(found), strict=True)):
        part = found[(found["recipe"] == recipe) & (found["corpora"] == place)]
        if len(part) > 1:
            order = sorted(part.index, key=lambda i: (-len(part.loc[i, "leaks"]), -part.loc[i, "mean"]))
            groups[f"{recipe} ({place})"] = part.loc[order]
    if not groups:
        raise TableError("no system has records under two protocols; ser-kit reproduce makes them")
    kinds = sorted(
        {leaks for part in groups.values() for leaks in part["leaks"]}, key=lambda leaks: (-len(leaks), leaks)
    )
    worse = iter(_LEAKIER * len(kinds))
    colours = {
        leaks: _INDEPENDENT if not leaks else _DEPENDENT if leaks == ("speaker",) else next(worse) for leaks in kinds
    }
    figure, axes, places = _in_groups({heading: list(part["protocol"]) for heading, part in groups.items()})
    for (ax, rows), part in zip(places, groups.values(), strict=True):
        ax.plot(part["mean"], rows, color=_PALE, linewidth=1.5, zorder=1.5)
        for row, (_, run) in zip(rows, part.iterrows(), strict=True):
            _dot(ax, run["mean"], row, run["std"], colours[run["leaks"]])
            edge = run["mean"] + (run["std"] if np.isfinite(run["std"]) else 0)
            star = "" if run["complete"] else " *"
            ax.text(edge + 0.02, row, f"{100 * run['mean']:.1f}{star}", va="center", fontsize=8.5, color=_INK)
    title = _METRIC_TITLES[metric]
    unfinished = not all(part["complete"].all() for part in groups.values())
    for ax in axes:
        ax.set_xlim(0, 1.12)
        ax.set_xticks(np.linspace(0, 1, 6))
        star = "; *: folds missing" if unfinished else ""
        _percent_axis(ax.xaxis, f"mean, standard deviation of folds and seeds{star}")
    _legend_of_colours(figure, {_leaks_name(leaks): colour for leaks, colour in colours.items()})
    _heading(figure, f"{title[0].upper()}{title[1:]} by protocol, from the leakiest to the most honest")
    return figure


def ablations(records: pd.DataFrame, metric: str = "accuracy") -> Figure:
    """What each change to a system brings: the difference to the system itself on the same folds with the same seeds.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`. Dots are means over folds and seeds, lines one standard deviation
            of the single differences to each side.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Raises:
        TableError: there is no record of a changed system beside one of the system itself.
    """
    whole, changed = records[records["ablation"] == ""], records[records["ablation"] != ""]
    keys = ["recipe", "corpora", "protocol", "speaker_independent", "seed", "fold"]
    pairs = changed.merge(whole[[*keys, metric]], on=keys, suffixes=("", "_itself"))
    if not len(pairs):
        raise TableError(
            "no ablation has a record beside one of the system itself; ser-kit reproduce --ablations makes them"
        )
    pairs = pairs.assign(gain=100 * (pairs[metric] - pairs[f"{metric}_itself"]))
    groups = {}
    for recipe, place in dict.fromkeys(zip(*_in_order(pairs), strict=True)):
        part = pairs[(pairs["recipe"] == recipe) & (pairs["corpora"] == place)]
        groups[f"{recipe} ({place})"] = dict(list(part.groupby("ablation", sort=False)))
    figure, axes, places = _in_groups({heading: list(parts) for heading, parts in groups.items()}, height=0.4)
    low, high, named = -1.0, 1.0, []
    for (ax, rows), parts in zip(places, groups.values(), strict=True):
        for row, part in zip(rows, parts.values(), strict=True):
            sides = [side for _, side in part.groupby(["speaker_independent", "protocol"])]
            lifts = (np.arange(len(sides)) - (len(sides) - 1) / 2) * 0.36
            for side, lift in zip(sides, lifts, strict=True):
                mean, deviation, colour = side["gain"].mean(), side["gain"].std(), _side(side.iloc[0])
                _dot(ax, mean, row + lift, deviation, colour)
                reach = deviation if np.isfinite(deviation) else 0
                low, high = min(low, mean - reach), max(high, mean + reach)
                named.append((ax, row + lift, f"{mean:+z.1f}", colour))
    right = high + 0.16 * (high - low)
    for ax, row, text, colour in named:
        label = ax.text(right, row, text, ha="right", va="center", fontsize=8.5, fontweight="bold", color=colour)
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})
    for ax in axes:
        ax.axvline(0, color=_SOFT, linewidth=1.2, zorder=1.2)
        ax.set_xlim(low - 0.04 * (high - low), right)
        ax.set_xlabel(f"points of {_METRIC_TITLES[metric]} against the system itself")
    sides = {bool(side) for side in pairs["speaker_independent"]}
    names = {"speaker-dependent": (False, _DEPENDENT), "speaker-independent": (True, _INDEPENDENT)}
    _legend_of_colours(figure, {name: colour for name, (side, colour) in names.items() if side in sides})
    _heading(figure, "What each change to a system brings")
    return figure


_METRIC_TITLES = {
    "uar": "UAR", "accuracy": "accuracy", "macro_precision": "macro precision", "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
}  # fmt: skip


def _in_order(records: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Recipes and corpora of records, in the order of the documents."""
    order = {name: place for place, name in enumerate(recipes.RECIPES)}
    records = records.sort_values("recipe", key=lambda names: names.map(order).fillna(len(order)), kind="stable")
    return records["recipe"], records["corpora"]


def _leaks(row: pd.Series) -> tuple[str, ...]:
    if row["protocol"] in protocols.names():
        return protocols.get(row["protocol"]).leaks
    return () if row["speaker_independent"] else ("speaker",)


def _leaks_name(leaks: tuple[str, ...]) -> str:
    people = "speaker-dependent" if "speaker" in leaks else "speaker-independent"
    return ", ".join([people, *(leak for leak in leaks if leak != "speaker")])


def _chance(records: pd.DataFrame, recipe: str, place: str) -> float:
    labels = records.loc[(records["recipe"] == recipe) & (records["corpora"] == place), "labels"].iloc[0]
    return 1 / len(labels)


def _side(row: pd.Series) -> str:
    return _INDEPENDENT if row["speaker_independent"] else _DEPENDENT


def _dot(ax: Axes, value: float, row: float, deviation: float, colour: str) -> None:
    if np.isfinite(deviation):
        ax.plot([value - deviation, value + deviation], [row, row], color=colour, linewidth=1.6)
    ax.plot(value, row, "o", color=colour, markersize=6, markeredgecolor="white", markeredgewidth=0.6)


def _in_groups(
    groups: Mapping[str, Sequence[str]], height: float = 0.26
) -> tuple[Figure, list[Axes], list[tuple[Axes, np.ndarray]]]:
    """Axes with named rows under headings, in two columns where one would be long, and the place of each group."""
    sizes = [len(rows) + 1 for rows in groups.values()]
    columns, filled, placed = 1 if sum(sizes) <= _ROWS_IN_A_COLUMN or len(sizes) < 2 else 2, [0], []
    for size in sizes:
        if len(filled) < columns and filled[0] and filled[0] + size / 2 > sum(sizes) / 2:
            filled.append(0)
        placed.append((len(filled) - 1, filled[-1]))
        filled[-1] += size
    figure, axes = _figure(8 if columns == 1 else 13, 1.7 + height * max(filled), 1, columns)
    axes, found = list(axes[0]), []
    ticks: list[dict[float, str]] = [{} for _ in axes]
    for (heading, rows), (column, top) in zip(groups.items(), placed, strict=True):
        ticks[column] |= {top: heading} | {top + 1 + i: name for i, name in enumerate(rows)}
        found.append((axes[column], top + 1 + np.arange(len(rows))))
    for column, ax in enumerate(axes):
        ax.set_yticks(list(ticks[column]), list(ticks[column].values()))
        ax.set_ylim(max(filled) - 0.4, -0.7)
        _tidy(ax, "x")
        headings = {top for where, top in placed if where == column}
        for place, label in zip(ticks[column], ax.get_yticklabels(), strict=True):
            label.set(fontweight="bold" if place in headings else "normal", fontsize=9.5 if place in headings else 9)
    return figure, axes, found


def _legend_of_colours(figure: Figure, colours: Mapping[str, str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", color=colour, label=name) for name, colour in colours.items()]
    _legend(figure, handles=handles, loc="outside lower left", ncols=2 if max(map(len, colours)) > 30 else 4)


# --------------------------------------------------------------------------------------------------------- prediction


def probabilities(prediction) -> Figure:
    """The probability of each emotion, likeliest first.

    Args:
        prediction: a ``Prediction``, or a mapping of label to probability.
    """
    values = getattr(prediction, "probabilities", prediction)
    values = dict(sorted(values.items(), key=lambda item: -item[1]))
    best = getattr(prediction, "emotion", None) or next(iter(values))
    figure, ((ax,),) = _figure(6, 0.8 + 0.36 * len(values))
    rows = np.arange(len(values))
    ax.barh(rows, list(values.values()), height=0.7, color=[_colour(e) if e == best else _PALE for e in values])
    for row, (emotion, value) in enumerate(values.items()):
        weight = "bold" if emotion == best else "normal"
        ax.text(value + 0.01, row, f"{100 * value:.0f}%", va="center", fontsize=9, color=_INK, fontweight=weight)
    ax.set_yticks(rows, list(values))
    for tick in ax.get_yticklabels():
        tick.set_fontweight("bold" if tick.get_text() == best else "normal")
    ax.invert_yaxis()
    ax.set_xlim(0, 1.1)
    ax.set_xticks([])
    _tidy(ax)
    confidence = getattr(prediction, "confidence", values.get(best, np.nan))
    doubt = "not sure: " if getattr(prediction, "uncertain", False) else ""
    _title(ax, f"{doubt}{best}, {100 * confidence:.0f}%")
    return figure


# --------------------------------------------------------------------------------------------------------- deployment


def exports(files: pd.DataFrame) -> Figure:
    """Files made of one bundle beside each other: how large, how fast, and how good on the clips they were tried on.

    Args:
        files: a row for each, in the order of the picture: ``file`` (what it is called), ``size`` and ``compressed``
            (bytes), ``milliseconds`` (threads -> time of an answer), ``uar``, ``bundle_uar``, as in
            :class:`ser_kit.deploy.Report`.
    """
    figure, ((left, middle, right),) = _figure(9.5, 1.9 + 0.36 * len(files), 1, 3, sharey=True)
    rows = np.arange(len(files))
    left.barh(rows, files["size"] / 1e6, height=0.7, color=_PALE, label="the file")
    left.barh(rows, files["compressed"] / 1e6, height=0.7, color=_SERIES[0], label="packed")
    for place, threads, colour in ((-0.18, 1, _SERIES[0]), (0.18, 2, _SERIES[1])):
        times = [milliseconds[threads] for milliseconds in files["milliseconds"]]
        middle.barh(rows + place, times, height=0.34, color=colour, label=_counted(threads, "thread"))
    right.plot(files["uar"], rows, "o", color=_SERIES[0], markersize=8)
    right.axvline(files["bundle_uar"].iloc[0], color=_SOFT, linestyle="--", linewidth=1, label="the bundle")
    for row, uar in enumerate(files["uar"]):
        right.annotate(f"{100 * uar:.1f}", (uar, row), (9, 0), textcoords="offset points", va="center", fontsize=9)
    low, high = min(files["uar"].min(), files["bundle_uar"].min()), files["uar"].max()
    right.set_xlim(max(0, low - 0.08), min(1, high + 0.12))
    left.set_yticks(rows, files["file"])
    left.invert_yaxis()
    left.set_xlabel("MB")
    middle.set_xlabel("milliseconds for an answer")
    _percent_axis(right.xaxis, "UAR")
    for ax, text in zip((left, middle, right), ("Size", "Time", "What it is worth"), strict=True):
        _tidy(ax, "x")
        _title(ax, text)
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.08 - 0.75 / len(files)), ncols=2, frameon=False, fontsize=9
        )
    return figure


def pruning(files: pd.DataFrame) -> Figure:
    """What taking weights away costs and saves.

    Args:
        files: a row for each share, ascending: ``share`` of the weights, ``uar``, ``compressed`` and ``size`` (bytes);
            the share 0 is the network as it was.
    """
    figure, ((left, right),) = _figure(9, 3.4, 1, 2)
    shares, whole, cut = files["share"], files[files["share"] == 0], files[files["share"] > 0]
    left.plot(cut["share"], cut["uar"], "o-", color=_SERIES[0], markersize=6)
    for share, uar in zip(cut["share"], cut["uar"], strict=True):
        left.annotate(f"{100 * uar:.1f}", (share, uar), (0, 8), textcoords="offset points", ha="center", fontsize=9)
    left.axhline(whole["uar"].iloc[0], color=_SOFT, linestyle="--", linewidth=1, label="as it was")
    low, high = files["uar"].min(), files["uar"].max()
    left.set_ylim(max(0, low - 0.08), min(1, high + 0.08))
    right.plot(shares, files["size"] / 1e6, "o-", color=_PALE, markersize=6, label="the file")
    right.plot(shares, files["compressed"] / 1e6, "o-", color=_SERIES[1], markersize=6, label="packed")
    right.set_ylim(0, files["size"].max() / 1e6 * 1.15)
    right.set_ylabel("MB")
    _percent_axis(left.yaxis, "UAR")
    for ax, text in ((left, "What it costs"), (right, "What it saves")):
        _percent_axis(ax.xaxis, "weights taken away")
        ax.set_xlim(-0.05, 1)
        _tidy(ax, "y")
        _title(ax, text)
        _legend(ax, loc="lower left")
    return figure
