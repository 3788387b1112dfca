"""What the page says, as HTML.

All of it is made by filling :class:`markupsafe.Markup`: whatever is put into such a text is escaped, unless
it is ``Markup`` itself, and :func:`shown` escapes once more what reaches the page as plain text. So names of
files, labels and cards of bundles, which may come from anyone, can be nothing but text there.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

from ..audio.recording import Recording
from ..bundles.adaptation import ENOUGH_CLIPS
from ..bundles.bundle import BASELINE, Bundle
from ..core.labels import COLOURS
from ..evaluation.intervals import is_of_few
from ..inference.prediction import Failure, Prediction

_NOTABLE = 0.5  # standard deviations from a neutral voice
_MOST_TRAITS = 3  # named in words

INTRODUCTION = Markup(
    "<h2>Which emotion does this recording carry?</h2>"
    "<p>One or several recordings of speech, in any common format. They are processed on the computer that"
    " runs this page, and go nowhere else.</p>"
)
SAME_SPEAKER = "This is one speaker: adapt to the voice"
LARGE_FILES = Markup(
    '<p class="sk-facts">Nothing happens? Many notebook servers drop uploads above 10 MB. Take fewer files at'
    " once, or FLAC or MP3 instead of WAV.</p>"
)


def shown(content: str) -> str:
    """What a widget may show as HTML: the markup as it is, any other text escaped."""
    return str(escape(content))


def style() -> Markup:
    """The style sheet."""
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return Markup("<style>{}</style>").format(Markup(css))


def percent(share: float) -> Markup:
    """0.5 as 50 %."""
    return Markup("{:.0f}&nbsp;%").format(100 * share)


def clock(seconds: float) -> str:
    """75 as 1:15."""
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def colour(emotion: str) -> str:
    """Of an emotion, everywhere."""
    return COLOURS.get(emotion, COLOURS["other"])


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def voice(clips: int) -> Markup:
    """How many clips of a voice the page has adapted to."""
    if clips < ENOUGH_CLIPS:
        text = f"Getting used to this voice: {clips} of {ENOUGH_CLIPS} clips."
    else:
        text = f"Used to this voice, from {clips} clips."
    return Markup('<p class="sk-facts">{} Answers on the page stay as they are.</p>').format(text)


def summary(results: Sequence[Prediction | Failure]) -> str:
    """How many recordings have an answer, in a few words."""
    failed = sum(isinstance(result, Failure) for result in results)
    recordings = "recording" if len(results) == 1 else "recordings"
    return f"{len(results)} {recordings}" + (f", {failed} without an answer" if failed else "")


def head(name: str, recording: Recording, notes: Sequence[str], played: float) -> Markup:
    """Name and facts of a recording.

    Args:
        name: the file's.
        recording: what was read.
        notes: warnings.
        played: seconds that player and picture hold.
    """
    channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
    bounded = f" Player and picture hold the first {clock(played)}." if recording.duration > played else ""
    return Markup(
        '<h3 class="sk-name">{}</h3><p class="sk-facts">{:.2f} s, {:,} Hz, {}.{}</p>{}'
    ).format(
        name, recording.duration, recording.native_rate, channels, bounded,
        concatenated(Markup('<p class="sk-warning">{}</p>').format(_sentence(note)) for note in notes),
    )  # fmt: skip


def concatenated(parts: Iterable[str]) -> Markup:
    """Parts of a page one after the other."""
    return Markup("").join(parts)


def card(parts: Iterable[str]) -> Markup:
    """Parts on a card, where no widget is one."""
    return Markup('<div class="ser-kit sk-card">{}</div>').format(concatenated(parts))


def failure(result: Failure) -> Markup:
    """Why there is no answer."""
    return Markup(
        '<h3 class="sk-name">{}</h3><p class="sk-verdict">No answer</p>'
        '<p class="sk-error" role="alert">{}</p>'
    ).format(result.path, result.error)


def verdict(prediction: Prediction) -> Markup:
    """The emotion, or that it is not sure, the probabilities, and what these rest on."""
    confidence = percent(prediction.confidence)
    if prediction.uncertain:
        answer = "Not sure"
        explained = Markup("{} The nearest is <strong>{}</strong>, {}.").format(
            _sentence(prediction.reason), prediction.emotion, confidence
        )
    else:
        answer, explained = prediction.emotion, Markup("{} confident.").format(confidence)
    bars = concatenated(
        Markup(
            '<li><span class="sk-label">{}</span><span class="sk-track" aria-hidden="true">'
            '<span style="width:{:.1f}%;background:{}"></span></span><span class="sk-value">{}</span></li>'
        ).format(label, 100 * p, colour(label), percent(p))
        for label, p in sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    )
    rests = Markup("<p><small>The confidence rests on {}.</small></p>").format(prediction.rests_on)
    return Markup(
        '<p class="sk-verdict{}">{}</p><p>{}</p>'
        '<h4>Probability of each emotion</h4><ul class="sk-bars">{}</ul>{}'
    ).format(
        " sk-unsure" if prediction.uncertain else "",
        answer,
        explained,
        bars,
        rests if prediction.rests_on else "",
    )


# ----------------------------------------------------------------------------------------------------------
# features


class _Shown(NamedTuple):
    """How a feature is written: title, unit, what to multiply it with, decimals."""

    title: str
    unit: str = ""
    scale: float = 1
    decimals: int = 0

    def value(self, value: float) -> str:
        return f"{self.scale * value:,.{self.decimals}f}" + (
            Markup("&nbsp;{}").format(self.unit) if self.unit else ""
        )

    def spread(self, numbers: Sequence[float] | None) -> str:
        if not numbers:
            return _NOTHING
        return _PLUS_MINUS.join(f"{self.scale * number:,.{self.decimals}f}" for number in numbers)


_NOTHING = Markup("&ndash;")
_PLUS_MINUS = Markup("&nbsp;&plusmn;&nbsp;")
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
"""These stand under the file's name; how long a recording is, or how it was stored, is no trait of the
voice."""
_VOICE = ("pitch_", "jitter_", "shimmer_")
"""Beginnings of the features that need a voice to be measured."""


def features(prediction: Prediction, measured: Mapping[str, float], card: Mapping) -> Markup:
    """What was measured, beside what is typical of the clips that the model learned from.

    Args:
        prediction: of the recording.
        measured: as :meth:`ser_kit.Predictor.measure` gives it.
        card: of the bundle.
    """
    rest = [name for name in measured if name not in _SHOWN and name not in _UNSHOWN]
    more = {name: _Shown(name.replace("_", " "), decimals=3) for name in rest}
    return Markup(
        "<h4>Acoustic features beside the training clips</h4>{}"
        "<p>Typical: mean &plusmn; standard deviation (sd) over the clips.</p>{}"
        "<details><summary>{} more features</summary>{}</details>"
    ).format(
        _traits(measured, card), _feature_table(prediction.emotion, measured, card, _SHOWN),
        len(rest), _feature_table(prediction.emotion, measured, card, more),
    )  # fmt: skip


def _traits(measured: Mapping[str, float], card: Mapping) -> Markup:
    """The features that are farthest from a neutral voice, in words."""
    usual = card.get("typical", {}).get(BASELINE, {})
    found = {
        feature.title: (measured[name] - usual[name][0]) / usual[name][1]
        for name, feature in _SHOWN.items()
        if _measurable(name, measured) and usual.get(name) and usual[name][1] > 0
    }
    if not found:
        return Markup()
    farthest = sorted(
        ((z, title) for title, z in found.items() if abs(z) >= _NOTABLE), key=lambda each: -abs(each[0])
    )
    if not farthest:
        return Markup('<p class="sk-told">All of these lie close to {} speech.</p>').format(BASELINE)
    words = [
        f"{title.lower()} {abs(z):.1f} standard deviations {'above' if z > 0 else 'below'} {BASELINE} speech"
        for z, title in farthest[:_MOST_TRAITS]
    ]
    return Markup('<p class="sk-told">{}</p>').format(_sentence(", ".join(words)))


def _measurable(name: str, measured: Mapping[str, float]) -> bool:
    return bool(measured["voiced_ratio"]) or not name.startswith(_VOICE)


def _feature_table(
    emotion: str, measured: Mapping[str, float], card: Mapping, shown: Mapping[str, _Shown]
) -> Markup:
    typical = card.get("typical", {})
    overall, alike = typical.get("all", {}), typical.get(emotion, {})
    rows = []
    for name, feature in shown.items():
        value, found, compared = measured[name], "not measurable", _NOTHING
        if _measurable(name, measured):
            found, compared = feature.value(value), _compared(value, overall.get(name))
        spreads = feature.spread(overall.get(name)), feature.spread(alike.get(name))
        rows.append((feature.title, found, spreads[0], compared, spreads[1]))
    heads = ("Feature", "This recording", "Typical", "Compared", f"Typical for {emotion}")
    return scrolling(table(heads, rows), "Acoustic features", "sk-features")


def scrolling(html: Markup, label: str, style: str = "") -> Markup:
    """A part that is scrolled on a narrow screen, by keyboard too."""
    return Markup('<div class="sk-scroll {}" role="region" aria-label="{}" tabindex="0">{}</div>').format(
        style, label, html
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table with the heads of its columns and, first in them, of its rows."""
    top = concatenated(Markup("<th scope=col>{}</th>").format(head) for head in heads)
    body = concatenated(
        Markup("<tr><th scope=row>{}</th>{}</tr>").format(
            first, concatenated(Markup("<td>{}</td>").format(cell) for cell in others)
        )
        for first, *others in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(top, body)


def _compared(value: float, numbers: Sequence[float] | None) -> str:
    if not numbers or not numbers[1] > 0:
        return _NOTHING
    z = (value - numbers[0]) / numbers[1]
    return (
        "as typical"
        if abs(z) < 0.05
        else Markup("{:.1f}&nbsp;sd {}").format(abs(z), "above" if z > 0 else "below")
    )


# ----------------------------------------------------------------------------------------------------- model


def about(bundle: Bundle) -> Markup:
    """What the model was trained on, what it is worth, and what it must not be used for."""
    card = bundle.card
    used = card.get("trained_on", ())
    corpora = " and ".join(
        f"{c['clips']:,} clips by {c['speakers']} speakers of the corpus {c['corpus']}" for c in used
    )
    licences = "; ".join(f"{c['corpus']}: {c['licence']}" for c in used)
    items = [
        f"It tells apart {len(bundle.labels)} emotions: {', '.join(bundle.labels)}.",
        f"Trained on {corpora}. Other languages, rooms, microphones and ways to speak are strange to it."
        if corpora else "",
        _score(card),
        Markup(
            "It recognises how something is said, not what a person feels. <strong>Do not use it to decide"
            " about people</strong> (work, credit, insurance, policing, health, education)."
        ),
        f"Licence of the recordings it learned from, which binds it too: {licences}." if licences else "",
        f"Licence of the model: {card['licence']}." if card.get("licence") else "",
    ]  # fmt: skip
    return Markup("<h3>About this model</h3><p>{}.</p><ul>{}</ul>").format(
        card.get("title") or card["name"],
        concatenated(Markup("<li>{}</li>").format(item) for item in items if item),
    )


def _score(card: Mapping) -> Markup | str:
    scores = card.get("evaluation", {}).get("scores", {}).get("uar")
    if not scores:
        return "How well it does was not measured."
    guessing = percent(1 / len(card["labels"]))
    if card.get("left_out"):
        each = Markup(", ").join(
            Markup("{} of {}{}").format(percent(row["uar"]), "" if place else "the clips of ", row["corpus"])
            for place, row in enumerate(card["left_out"])
        )
        return Markup(
            "On corpora that were left out of training it named {} rightly, averaged over the emotions (UAR; "
            "guessing: {} with all of them)."
        ).format(each, guessing)
    unseen = card["evaluation"].get("speaker_independent")
    interval = ""
    if all(scores.get(bound) is not None and math.isfinite(scores[bound]) for bound in ("low", "high")):
        few = f" from {scores['speakers']} speakers only, which is too narrow" if is_of_few(scores) else ""
        interval = Markup(", 95&nbsp;% interval {} to {}{}").format(
            percent(scores["low"]), percent(scores["high"]), few
        )
    tested = " and ".join(each["corpus"] for each in card["evaluation"].get("tested", ()))
    return Markup(
        "{} it named {} of the clips{} rightly, averaged over the emotions (UAR{}; guessing: {}).{}"
    ).format(
        "On speakers it was not trained on" if unseen else "On speakers it was also trained on",
        percent(scores["pooled"]),
        f" of {tested}" if tested else "",
        interval,
        guessing,
        "" if unseen else " Expect less of a new voice.",
    )
