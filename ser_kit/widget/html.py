"""What the page says, as HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

from ..audio import Recording
from ..bundle import BASELINE, Bundle
from ..plots import COLOURS
from ..predictor import Failure, Prediction

_TELLING = 0.5  # standard deviations from which a feature is worth a word
_TOLD = 3  # features, at most

INTRODUCTION = (
    "<h2>Which emotion does this recording carry?</h2>"
    "<p>One or several recordings of speech, in any common format. They are judged on the computer that runs this page,"
    " and go nowhere else.</p>"
)
LARGE_FILES = (
    '<p class="sk-facts">Nothing happens? Many notebook servers drop uploads above 10 MB. Take fewer files at once,'
    " or FLAC or MP3 instead of WAV.</p>"
)


def style() -> str:
    """The style sheet."""
    return f"<style>{(Path(__file__).parent / 'page.css').read_text(encoding='utf-8')}</style>"


def percent(share: float) -> str:
    """0.5 as 50 %."""
    return f"{100 * share:.0f}&nbsp;%"


def clock(seconds: float) -> str:
    """75 as 1:15."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def colour(emotion: str) -> str:
    """Of an emotion, everywhere."""
    return COLOURS.get(emotion, COLOURS["other"])


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:]).rstrip(".") + "."


def summary(results: Sequence[Prediction | Failure]) -> str:
    """How many recordings have an answer, in a few words."""
    failed = sum(isinstance(result, Failure) for result in results)
    recordings = "recording" if len(results) == 1 else "recordings"
    return f"{len(results)} {recordings}" + (f", {failed} without an answer" if failed else "")


def head(name: str, recording: Recording, notes: Sequence[str], played: float) -> str:
    """Name and facts of a recording.

    Args:
        name: the file's.
        recording: what was read.
        notes: warnings.
        played: seconds that player and picture hold.
    """
    channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
    bounded = f" Player and picture hold the first {clock(played)}." if recording.duration > played else ""
    return (
        f'<h3 class="sk-name">{escape(name)}</h3>'
        f'<p class="sk-facts">{recording.duration:.2f} s, {recording.native_rate:,} Hz, {channels}.{bounded}</p>'
        + "".join(f'<p class="sk-warning">{_sentence(note)}</p>' for note in notes)
    )


def failure(result: Failure) -> str:
    """Why there is no answer."""
    return (
        f'<h3 class="sk-name">{escape(result.path)}</h3><p class="sk-verdict">No answer</p>'
        f'<p class="sk-error" role="alert">{escape(result.error)}</p>'
    )


def verdict(prediction: Prediction) -> str:
    """The emotion, or that it is not sure, and the probabilities."""
    nearest = f"<strong>{escape(prediction.emotion)}</strong>, {percent(prediction.confidence)}"
    if prediction.uncertain:
        said, explained = "Not sure", f"{_sentence(prediction.reason)} The nearest is {nearest}."
    else:
        said, explained = escape(prediction.emotion), f"{percent(prediction.confidence)} confident."
    bars = "".join(
        f'<li><span class="sk-label">{escape(label)}</span><span class="sk-track" aria-hidden="true">'
        f'<span style="width:{100 * p:.1f}%;background:{colour(label)}"></span></span>'
        f'<span class="sk-value">{percent(p)}</span></li>'
        for label, p in sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    )
    return (
        f'<p class="sk-verdict{" sk-unsure" if prediction.uncertain else ""}">{said}</p><p>{explained}</p>'
        f'<h4>Probability of each emotion</h4><ul class="sk-bars">{bars}</ul>'
    )


# ---------------------------------------------------------------------------------------------------------- features


class _Shown(NamedTuple):
    """How a feature is written: title, unit, what to multiply it with, decimals."""

    title: str
    unit: str = ""
    scale: float = 1
    decimals: int = 0

    def value(self, value: float) -> str:
        return f"{self.scale * value:,.{self.decimals}f}" + (f"&nbsp;{self.unit}" if self.unit else "")

    def spread(self, numbers: Sequence[float] | None) -> str:
        if not numbers:
            return _NOTHING
        return "&nbsp;&plusmn;&nbsp;".join(f"{self.scale * number:,.{self.decimals}f}" for number in numbers)


_NOTHING = "&ndash;"
_SHOWN: dict[str, _Shown] = {
    "pitch_mean": _Shown("Pitch", "Hz"),
    "pitch_variation": _Shown("Pitch variation", "%"),
    "voiced_ratio": _Shown("Voiced part", "%", 100),
    "intensity_mean": _Shown("Intensity", "dB"),
    "tempo": _Shown("Tempo", "BPM"),
    "jitter_local": _Shown("Jitter", "%", 100, 1),
    "shimmer_local": _Shown("Shimmer", "%", 100, 1),
    "centroid_mean": _Shown("Spectral centroid", "Hz"),
    "rolloff_mean": _Shown("Spectral rolloff", "Hz"),
    "flux_mean": _Shown("Spectral flux", decimals=2),
    "zcr_mean": _Shown("Zero crossings", "%", 100, 1),
}
"""Features that mean something to people."""
_UNSHOWN = ("duration", "sample_rate")
"""These stand under the file's name; how long a recording is, or how it was stored, is no trait of the voice."""
_VOICE = ("pitch_", "jitter_", "shimmer_")
"""Beginnings of the features that need a voice to be measured."""


def features(prediction: Prediction, measured: Mapping[str, float], card: Mapping) -> str:
    """What was measured, beside what is typical of the clips that the model learned from.

    Args:
        prediction: of the recording.
        measured: as :meth:`ser_kit.Predictor.measure` gives it.
        card: of the bundle.
    """
    rest = [name for name in measured if name not in _SHOWN and name not in _UNSHOWN]
    more = {name: _Shown(name.replace("_", " "), decimals=3) for name in rest}
    return (
        "<h4>Acoustic features beside the training clips</h4>"
        f"{_told(measured, card)}<p>Typical: mean &plusmn; standard deviation (sd) over the clips.</p>"
        f"{_feature_table(prediction.emotion, measured, card, _SHOWN)}"
        f"<details><summary>{len(rest)} more features</summary>"
        f"{_feature_table(prediction.emotion, measured, card, more)}</details>"
    )


def _told(measured: Mapping[str, float], card: Mapping) -> str:
    """The features that are farthest from a neutral voice, in words."""
    usual = card.get("typical", {}).get(BASELINE, {})
    found = {
        feature.title: (measured[name] - usual[name][0]) / usual[name][1]
        for name, feature in _SHOWN.items()
        if _measurable(name, measured) and usual.get(name) and usual[name][1] > 0
    }
    if not found:
        return ""
    farthest = sorted(((z, title) for title, z in found.items() if abs(z) >= _TELLING), key=lambda each: -abs(each[0]))
    if not farthest:
        return f'<p class="sk-told">All of these lie close to {BASELINE} speech.</p>'
    words = [
        f"{title.lower()} {abs(z):.1f} standard deviations {'above' if z > 0 else 'below'} {BASELINE} speech"
        for z, title in farthest[:_TOLD]
    ]
    return f'<p class="sk-told">{_sentence(", ".join(words))}</p>'


def _measurable(name: str, measured: Mapping[str, float]) -> bool:
    return bool(measured["voiced_ratio"]) or not name.startswith(_VOICE)


def _feature_table(emotion: str, measured: Mapping[str, float], card: Mapping, shown: Mapping[str, _Shown]) -> str:
    typical = card.get("typical", {})
    overall, alike = typical.get("all", {}), typical.get(emotion, {})
    rows = ""
    for name, feature in shown.items():
        value, found, compared = measured[name], "not measurable", _NOTHING
        if _measurable(name, measured):
            found, compared = feature.value(value), _compared(value, overall.get(name))
        rows += (
            f"<tr><th scope=row>{escape(feature.title)}</th><td>{found}</td>"
            f"<td>{feature.spread(overall.get(name))}</td><td>{compared}</td><td>{feature.spread(alike.get(name))}</td></tr>"
        )
    heads = ("Feature", "This recording", "Typical", "Compared", f"Typical for {escape(emotion)}")
    return scrolling(table(heads, rows), "Acoustic features", "sk-features")


def scrolling(html: str, label: str, style: str = "") -> str:
    """A part that is scrolled on a narrow screen, by keyboard too."""
    return f'<div class="sk-scroll {style}" role="region" aria-label="{label}" tabindex="0">{html}</div>'


def table(heads: Sequence[str], rows: str) -> str:
    """A table with the heads of its columns."""
    head = "".join(f"<th scope=col>{head}</th>" for head in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _compared(value: float, numbers: Sequence[float] | None) -> str:
    if not numbers or not numbers[1] > 0:
        return _NOTHING
    z = (value - numbers[0]) / numbers[1]
    return "as typical" if abs(z) < 0.05 else f"{abs(z):.1f}&nbsp;sd {'above' if z > 0 else 'below'}"


# ------------------------------------------------------------------------------------------------------------- model


def about(bundle: Bundle) -> str:
    """What the model was trained on, what it is worth, and what it must not be used for."""
    card = bundle.card
    corpora = [
        f"{c['clips']:,} clips by {c['speakers']} speakers of the corpus {escape(c['corpus'])}"
        for c in card.get("trained_on", ())
    ]
    licences = [f"{escape(c['corpus'])}: {escape(c['licence'])}" for c in card.get("trained_on", ())]
    items = [
        f"It tells apart {len(bundle.labels)} emotions: {escape(', '.join(bundle.labels))}.",
        f"Trained on {' and '.join(corpora)}. Other languages, rooms, microphones and ways to speak are strange to it."
        if corpora else "",
        _score(card),
        "It hears how something is said, not what a person feels. <strong>Do not use it to decide about people</strong>"
        " (work, credit, insurance, policing, health, education).",
        f"Licence of the recordings it learned from, which binds it too: {'; '.join(licences)}." if licences else "",
        f"Licence of the model: {escape(str(card['licence']))}." if card.get("licence") else "",
    ]  # fmt: skip
    name = escape(str(card.get("title") or card["name"]))
    return f"<h3>About this model</h3><p>{name}.</p><ul>{''.join(f'<li>{item}</li>' for item in items if item)}</ul>"


def _score(card: Mapping) -> str:
    scores = card.get("evaluation", {}).get("scores", {}).get("uar")
    if not scores:
        return "How well it does was not measured."
    unseen = card["evaluation"].get("speaker_independent")
    interval = ""
    if math.isfinite(scores.get("low", math.nan)):
        interval = f", 95&nbsp;% interval {percent(scores['low'])} to {percent(scores['high'])}"
    tested = " and ".join(escape(each["corpus"]) for each in card["evaluation"].get("tested", ()))
    heard = "On speakers it had never heard" if unseen else "On speakers it had also heard in training"
    return (
        f"{heard} it named {percent(scores['mean'])} of the clips{f' of {tested}' if tested else ''} rightly, averaged"
        f" over the emotions (UAR{interval}; guessing: {percent(1 / len(card['labels']))})."
        + ("" if unseen else " Expect less of a new voice.")
    )
