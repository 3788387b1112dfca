"""Figures of one recording.

Examples:
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000), 16000
    >>> [ax.get_title(loc="left") for ax in portrait(tone, ["waveform"]).axes]
    ['Waveform']
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..audio.recording import Recording, Source, read_audio
from ..core.errors import UnknownNameError
from . import tracks
from .style import SERIES, new_figure, set_heading, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PITCH, _PITCH_TEXT = "#7df9ff", "#0b7285"
_INTENSITY, _INTENSITY_TEXT = "#c8f169", "#4f6f00"
_QUIET_DB = -50
"""Chroma of frames below this level, relative to the loudest frame, is that of noise and is not shown."""


def _panel_waveform(ax: Axes, recording: Recording) -> None:
    times, low, high = tracks.envelope(recording)
    ax.fill_between(times, low, high, color=SERIES[0], linewidth=0.6, edgecolor=SERIES[0])
    reach = max(float(np.abs(recording.samples).max()) * 1.1, 1e-3)
    ax.set_ylim(-reach, reach)
    ax.set_ylabel("amplitude")
    set_title(ax, "Waveform")


def _image(ax: Axes, values: np.ndarray, hop: int, bottom: float, top: float, **options):
    edges = (-0.5 * hop / tracks.RATE, (values.shape[1] - 0.5) * hop / tracks.RATE)
    return ax.imshow(
        values,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        extent=(*edges, bottom, top),
        **options,
    )


def _panel_mel(ax: Axes, recording: Recording) -> None:
    import librosa

    levels, hop = tracks.mel(recording)
    _image(ax, levels, hop, 0, librosa.hz_to_mel(tracks.RATE / 2), cmap="magma", vmin=-80, vmax=0)
    ticks = [250, 500, 1000, 2000, 4000, 8000]
    ax.set_yticks(
        librosa.hz_to_mel(np.array(ticks)), [f"{t / 1000:g}k" if t >= 1000 else str(t) for t in ticks]
    )
    ax.set_ylabel("frequency (Hz)")
    # Each track has a scale of its own: on that of the spectrogram, pitch would be a flat line.
    times, decibels = tracks.intensity(recording)
    if np.isfinite(decibels).any():
        scale = _track(ax, times, decibels, _INTENSITY, 1.2, tracks.INTENSITY_RANGE)
        scale.set_ylabel("intensity (dB)", color=_INTENSITY_TEXT)
        scale.tick_params(axis="y", labelcolor=_INTENSITY_TEXT)
        scale.spines["right"].set_position(("outward", 48))
    times, pitch = tracks.pitch(recording)
    if not np.isfinite(pitch).any():
        set_title(ax, "Mel spectrogram, 80 dB from dark to light; no pitch found")
        return
    scale = _track(ax, times, pitch, _PITCH, 1.8, tracks.PITCH_RANGE)
    scale.set_ylabel("pitch (Hz)", color=_PITCH_TEXT)
    scale.tick_params(axis="y", labelcolor=_PITCH_TEXT)
    median = f"{np.nanmedian(pitch):.0f} Hz"
    set_title(ax, f"Mel spectrogram, 80 dB from dark to light; lines: intensity, pitch (median {median})")


def _track(
    ax: Axes, times: np.ndarray, values: np.ndarray, colour: str, width: float, limits: tuple[float, float]
) -> Axes:
    """A line over a picture, on a scale of its own at the right."""
    from matplotlib.patheffects import Normal, Stroke

    scale = ax.twinx()
    outline = [Stroke(linewidth=2 * width, foreground="black"), Normal()]
    scale.plot(times, values, color=colour, linewidth=width, path_effects=outline)
    scale.set_ylim(*limits)
    tidy(scale)
    return scale


def _panel_pitch(ax: Axes, recording: Recording) -> None:
    times, pitch = tracks.pitch(recording)
    ax.plot(times, pitch, ".", markersize=3.5, color=SERIES[0])
    ax.set_ylim(*tracks.PITCH_RANGE)
    ax.set_ylabel("pitch (Hz)")
    set_title(
        ax,
        f"Pitch (Praat, 50 to 500 Hz; {np.isfinite(pitch).mean() if len(pitch) else 0:.0%} of frames voiced)",
    )


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
    set_title(ax, "MFCC (each coefficient around its own mean: red above, blue below)")


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
    set_title(ax, f"Chroma (dark where {-_QUIET_DB} dB below the loudest frame)")


PANELS: dict[str, Callable[[Axes, Recording], None]] = {
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
    """Waveform and features of one recording over time.

    Args:
        source: anything that :func:`ser_kit.audio.read_audio` reads.
        panels: from top to bottom, of ``"waveform"``, ``"mel"`` (with Praat's pitch and intensity),
            ``"pitch"``, ``"mfcc"`` and ``"chroma"``. Spectra are computed at 16 kHz.
        title: heading; by default the recording's name and length.
        side_by_side: draw the panels from left to right.

    Raises:
        UnknownNameError: there is no such panel.
        AudioError: the recording cannot be used.
    """
    for panel in panels:
        if panel not in PANELS:
            raise UnknownNameError("panel", panel, PANELS)
    recording = read_audio(source)
    if side_by_side:
        figure, axes = new_figure(4.3 * len(panels), 3.6, 1, len(panels), sharex=True)
    else:
        heights = [1.0 if panel == "waveform" else 1.7 if panel == "mel" else 1.3 for panel in panels]
        figure, axes = new_figure(
            9, 0.8 + 1.35 * sum(heights), len(panels), height_ratios=heights, sharex=True
        )
    for ax, panel in zip(axes.flat, panels, strict=True):
        tidy(ax)
        PANELS[panel](ax, recording)
        tidy(ax)
        if side_by_side:
            set_title(ax, textwrap.fill(ax.get_title(loc="left"), 44, break_on_hyphens=False), size=10)
    axes[-1, 0].set_xlim(0, recording.duration)
    for ax in axes[-1]:
        ax.set_xlabel("time (s)")
    set_heading(
        figure, title or f"{recording.name}, {recording.duration:.2f} s at {recording.native_rate:,} Hz"
    )
    return figure
