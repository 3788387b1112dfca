"""Figures of what an answer rests on.

Examples:
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000), 16000
    >>> from ser_kit.inference import Explanation, Part
    >>> found = Explanation("happy", 0.7, (Part(0.0, 1.0, 0.2, 1.0),), (Part(0.0, 8000.0, 0.5, 1.0),), 1.0)
    >>> explanation(found, tone).get_suptitle()
    'What "happy, 70 %" rests on'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..audio.recording import Source, read_audio
from ..core.labels import colours
from . import tracks
from .style import INK, PALE, new_figure, set_heading, set_note, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class _Part(Protocol):
    """What a :class:`ser_kit.inference.Part` has."""

    low: float
    high: float
    effect: float


class _Explanation(Protocol):
    """What a :class:`ser_kit.inference.Explanation` has."""

    emotion: str
    probability: float
    stretches: Sequence[_Part]
    bands: Sequence[_Part]


_NOTE = (
    "Each bar: by how many points the probability falls when this stretch is replaced by noise, or this band "
    "is filtered out; pale bars: it rises. This describes the model, not what the speaker felt."
)


def explanation(found: _Explanation, source: Source) -> Figure:
    """Effect of each stretch of time and band of frequency on an answer, around a spectrogram.

    Args:
        found: from :func:`ser_kit.inference.explain`.
        source: the recording that was explained, as for :func:`ser_kit.audio.read_audio`.

    Raises:
        AudioError: the recording cannot be read.
    """
    recording = read_audio(source)
    figure, axes = new_figure(9, 5.2, 2, 2, height_ratios=(1, 1.8), width_ratios=(3.2, 1))
    ((above, corner), (middle, beside)) = axes
    corner.remove()
    tint = colours([found.emotion])[found.emotion]
    starts, lengths, effects = _bars(found.stretches)
    tints = [tint if effect > 0 else PALE for effect in effects]
    above.bar(starts, effects, lengths * 0.92, align="edge", color=tints)
    above.axhline(0, color=INK, linewidth=0.8)
    above.set_xlim(0, recording.duration)
    above.set_ylabel("points")
    tidy(above, "y")
    above.set_xticklabels([])
    set_title(above, "By time")
    top = _spectrogram(middle, recording)
    heights = [_mel(part.high) - _mel(part.low) for part in found.bands]
    effects = np.array([100 * part.effect for part in found.bands])
    beside.barh(
        [_mel(part.low) for part in found.bands], effects, np.array(heights) * 0.92, align="edge",
        color=[tint if e > 0 else PALE for e in effects],
    )  # fmt: skip
    beside.axvline(0, color=INK, linewidth=0.8)
    beside.set_ylim(0, top)
    tidy(beside, "x")
    beside.set_yticks(middle.get_yticks(), [])
    beside.set_xlabel("points")
    set_title(beside, "By frequency")
    set_heading(figure, f'What "{found.emotion}, {100 * found.probability:.0f} %" rests on')
    set_note(figure, _wrapped(_NOTE))
    return figure


def _bars(parts: Sequence[_Part]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Start, length and effect in points of each part."""
    low, high, effect = np.array([(part.low, part.high, part.effect) for part in parts]).T
    return low, high - low, 100 * effect


def _mel(hertz: float) -> float:
    from ..features import spectra

    return float(spectra.mel(hertz))


def _spectrogram(ax: Axes, recording) -> float:
    """Draw a mel spectrogram; returns the upper end of its scale."""
    levels, hop = tracks.mel(recording)
    top = _mel(tracks.RATE / 2)
    ax.imshow(
        levels, origin="lower", aspect="auto", interpolation="nearest", cmap="Greys", vmin=-80, vmax=0,
        extent=(-0.5 * hop / tracks.RATE, (levels.shape[1] - 0.5) * hop / tracks.RATE, 0, top),
    )  # fmt: skip
    ticks = [250, 500, 1000, 2000, 4000, 8000]
    ax.set_yticks([_mel(tick) for tick in ticks], [f"{t / 1000:g}k" if t >= 1000 else str(t) for t in ticks])
    ax.set_xlim(0, recording.duration)
    ax.set_xlabel("time (s)")
    ax.set_ylabel("frequency (Hz)")
    tidy(ax)
    return top


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 120)
