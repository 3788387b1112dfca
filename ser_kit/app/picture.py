"""The picture of a recording as HTML and SVG: sharp at any width, and ten times as fast as a figure."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from markupsafe import Markup

from ..audio.recording import Recording
from ..core.formats import clock
from ..features.spectra import mel_corners
from ..inference.prediction import Prediction, Segment
from ..inference.stream import Moment
from ..plots import tracks
from .html import colour, concatenated, percent, scrolling, table

_WIDTH = 1000  # of all drawings, in SVG units
_TICKS = (500, 1000, 2000, 4000)  # Hz
_PITCH_TICKS = (100, 200, 300, 400)  # Hz
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120)  # s between ticks of the time axis
_MOST_TIMES = 8


def picture(name: str, recording: Recording) -> Markup:
    """Waveform, and mel spectrogram with pitch and intensity drawn over it.

    Args:
        name: name in the text alternative.
        recording: the recording.
    """
    times, hertz = tracks.pitch(recording)
    voiced = bool(np.isfinite(hertz).any())
    median = f"median {np.nanmedian(hertz):.0f} Hz" if voiced else "none found"
    alt = (
        f"Waveform and mel spectrogram of {name}, with the tracks of intensity and pitch drawn over it; "
        f"pitch: {median}."
    )
    lines = _line("sk-intensity", recording, *tracks.intensity(recording), tracks.INTENSITY_RANGE)
    lines += _line("sk-pitch", recording, times, hertz, tracks.PITCH_RANGE)
    image = base64.b64encode(_mel(recording)).decode()
    return Markup(
        "<h4>Waveform, and mel spectrogram with pitch and intensity</h4>"
        '<ul class="sk-legend">'
        '<li><span class="sk-key sk-pitch"></span>pitch (Hz, at the right; {median})</li>'
        '<li><span class="sk-key sk-intensity"></span>intensity ({low} to {high} dB, from bottom to top)</li>'
        '<li>brightness: 80 dB</li></ul><div class="sk-stage" data-seconds="{seconds:.3f}">{wave}'
        '<div class="sk-mel"><img alt="{alt}" src="data:image/png;base64,{image}">'
        '<svg viewBox="0 0 {width} 100" preserveAspectRatio="none" aria-hidden="true">{lines}</svg>'
        '<div class="sk-scales" aria-hidden="true">{scales}</div></div>'
        '{times}<div class="sk-playhead"></div></div>'
    ).format(
        median=median, low=tracks.INTENSITY_RANGE[0], high=tracks.INTENSITY_RANGE[1],
        seconds=recording.duration, wave=_waveform(recording), alt=alt, image=image, width=_WIDTH,
        lines=lines, scales=_scales(), times=_times(recording.duration),
    )  # fmt: skip


def _waveform(recording: Recording) -> Markup:
    times, low, high = tracks.envelope(recording, _WIDTH)
    reach = max(float(np.abs(recording.samples).max()) * 1.05, 1e-3)
    x = times / recording.duration * _WIDTH
    above = _points(x, -100 * high / reach)
    below = _points(x[::-1], -100 * low[::-1] / reach)
    return Markup(
        '<svg class="sk-wave" viewBox="0 -100 {} 200" preserveAspectRatio="none" aria-hidden="true">'
        '<path d="M{} {}Z"/></svg>'
    ).format(_WIDTH, above, below)


def _points(x: np.ndarray, y: np.ndarray) -> str:
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))


def _line(
    style: str, recording: Recording, times: np.ndarray, values: np.ndarray, limits: tuple[float, float]
) -> Markup:
    """A track with a dark edge; it has gaps where there is no value."""
    low, high = limits
    x, y = times / recording.duration * _WIDTH, 100 * (high - values) / (high - low)
    there = np.isfinite(values)
    starts = np.flatnonzero(there & ~np.r_[False, there[:-1]]) if len(there) else []
    ends = np.flatnonzero(there & ~np.r_[there[1:], False]) + 1 if len(there) else []
    path = "".join(f"M{_points(x[a:b], y[a:b])}" for a, b in zip(starts, ends, strict=True))
    if not path:
        return Markup()
    return Markup('<path class="sk-edge" d="{path}"/><path class="{style}" d="{path}"/>').format(
        path=path, style=style
    )


_MAGMA = bytes.fromhex(
    "000003 0b0824 1f114b 3b0f6f 57147d 711f81 8c2980 a7317d"
    "c33b74 dd4968 f0605d fa7f5e fd9f6c febe83 fddd9f fbfcbf"
)
"""Sixteen evenly spaced colours of Matplotlib's ``magma``; Matplotlib takes half a second to load."""


@cache
def _palette() -> list[int]:
    corners = np.frombuffer(_MAGMA, np.uint8).reshape(-1, 3)
    places = np.linspace(0, 255, len(corners)).round()
    levels = [np.interp(np.arange(256), places, channel) for channel in corners.T]
    return np.stack(levels, axis=1).round().astype(int).ravel().tolist()


def _mel(recording: Recording) -> bytes:
    """The spectrogram as a PNG file, one pixel per value."""
    from PIL import Image

    levels, _ = tracks.mel(recording)
    shades = np.clip((levels + 80) / 80 * 255, 0, 255).astype(np.uint8)
    image, written = Image.fromarray(shades[::-1], "P"), io.BytesIO()
    image.putpalette(_palette())
    image.save(written, format="png")
    return written.getvalue()


def _scales() -> Markup:
    """Frequencies at the left, pitches at the right."""
    hertz = mel_corners(tracks.RATE, 1000)  # evenly spaced in mel
    heights, (low, high) = np.linspace(0, 100, len(hertz)), tracks.PITCH_RANGE
    left = Markup('<span style="bottom:{:.1f}%">{}</span>')
    right = Markup('<span class="sk-right" style="bottom:{:.1f}%">{}</span>')
    return concatenated(
        [
            *(left.format(np.interp(f, hertz, heights), f"{f // 1000}k" if f >= 1000 else f) for f in _TICKS),
            *(right.format(100 * (f - low) / (high - low), f) for f in _PITCH_TICKS),
        ]
    )


def _times(duration: float) -> Markup:
    step = next((step for step in _STEPS if duration / step <= _MOST_TIMES), _STEPS[-1])
    places = np.arange(0, duration - 0.03 * duration, step)
    write = clock if duration > 60 else "{:g} s".format
    times = concatenated(
        Markup('<span style="left:{:.2f}%">{}</span>').format(100 * t / duration, write(round(float(t), 1)))
        for t in places
    )
    return Markup('<div class="sk-times" aria-hidden="true">{}</div>').format(times)


# ----------------------------------------------------------------------------------------- emotion over time


@dataclass(frozen=True)
class Stretch:
    """A stretch of a recording with one emotion.

    Args:
        start: start time (s).
        end: end time (s).
        emotion: the most probable emotion.
        confidence: its probability, in [0, 1]; the mean where stretches were joined.
    """

    start: float
    end: float
    emotion: str
    confidence: float


def stretches(moments: Sequence[Moment], duration: float) -> list[Stretch]:
    """The stretch of each moment of a timeline: the time around the middle of its window.

    Args:
        moments: in order; moments without speech have no stretch.
        duration: duration of the recording (s).
    """
    middles = [(moment.start + moment.end) / 2 for moment in moments]
    edges = [0.0, *((a + b) / 2 for a, b in zip(middles, middles[1:], strict=False)), duration]
    return [
        Stretch(start, end, moment.emotion, moment.confidence)
        for moment, start, end in zip(moments, edges[:-1], edges[1:], strict=True)
        if moment.emotion
    ]


def joined(parts: Sequence[Stretch | Segment]) -> Iterator[Stretch]:
    """Join neighbours with the same emotion; a pause ends a stretch."""
    together: list[Stretch | Segment] = []
    for part in parts:
        if together and (part.emotion != together[-1].emotion or part.start > together[-1].end + 1e-3):
            yield _one(together)
            together = []
        together.append(part)
    if together:
        yield _one(together)


def _one(parts: Sequence[Stretch | Segment]) -> Stretch:
    lengths = [part.end - part.start for part in parts]
    confidence = float(np.average([part.confidence for part in parts], weights=lengths))
    return Stretch(parts[0].start, parts[-1].end, parts[0].emotion, confidence)


def ribbon(prediction: Prediction, moments: Sequence[Moment], played: float) -> Markup:
    """Emotion over time below the picture, and for the whole recording where the picture shows less.

    Args:
        prediction: the prediction for the recording.
        moments: emotion over time of what the picture shows.
        played: duration of what the picture shows (s).
    """
    parts = stretches(moments, played)
    data = [[round(p.start, 2), round(p.end, 2), p.emotion, round(100 * p.confidence)] for p in parts]
    found = list(joined(parts))
    whole = Markup()
    if prediction.duration > played:
        over_all = list(joined([segment for segment in prediction.segments if not segment.reason]))
        whole = Markup("<h4>The whole recording</h4>{}{}").format(
            _band(over_all, prediction.duration), _list(over_all)
        )
    return Markup(
        '<div class="sk-stage" data-seconds="{:.3f}" data-moments="{}">{}'
        '<div class="sk-playhead"></div></div><h4>Emotion over time</h4>'
        '<p class="sk-now" aria-hidden="true">Play, or click in the picture.</p>'
        '<p class="sk-aloud sk-unseen" aria-live="polite"></p>{}{}{}'
    ).format(played, json.dumps(data), _band(found, played), _legend(found), _list(found), whole)


def _band(parts: Sequence[Stretch], duration: float) -> Markup:
    spoken = ", ".join(f"{clock(p.start)} to {clock(p.end)} {p.emotion}" for p in parts) or "no speech"
    spans = concatenated(
        Markup('<span style="left:{:.2f}%;background:{};width:{:.2f}%"></span>').format(
            100 * p.start / duration, colour(p.emotion), 100 * (p.end - p.start) / duration
        )
        for p in parts
    )
    return Markup('<div class="sk-ribbon" role="img" aria-label="Emotion over time: {}">{}</div>').format(
        spoken, spans
    )


def _legend(parts: Sequence[Stretch]) -> Markup:
    items = concatenated(
        Markup('<li><span style="background:{}"></span>{}</li>').format(colour(emotion), emotion)
        for emotion in dict.fromkeys(part.emotion for part in parts)
    )
    return Markup('<ul class="sk-legend" aria-hidden="true">{}</ul>').format(items)


def _list(parts: Sequence[Stretch]) -> Markup:
    rows = [
        (Markup("{}&ndash;{}").format(clock(p.start), clock(p.end)), p.emotion, percent(p.confidence))
        for p in parts
    ]
    count = f"{len(parts)} stretch" + ("" if len(parts) == 1 else "es")
    return Markup("<details><summary>{} as a table</summary>{}</details>").format(
        count, scrolling(table(("Time", "Emotion", "Confidence"), rows), "Emotion over time", "sk-tall")
    )
