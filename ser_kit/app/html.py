"""The texts of the page, as HTML.

All HTML is built with :class:`markupsafe.Markup`, which escapes every value that is not ``Markup`` itself,
and :func:`shown` escapes plain text once more. So file names, labels and cards of bundles, which come from
anyone, are always shown as text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup, escape

from .. import corpora
from ..audio.recording import Recording
from ..bundles.adaptation import ENOUGH_CLIPS
from ..bundles.bundle import BASELINE, Bundle
from ..core import formats
from ..core.formats import clock
from ..core.labels import colours
from ..evaluation.intervals import is_of_few
from ..inference.answers import NO_SPEECH
from ..inference.prediction import NOT_SURE, Failure, Prediction

_NOTABLE = 0.5  # standard deviations from a neutral voice
_MOST_TRAITS = 3  # listed
INTRODUCTION = Markup(
    "<h2>Which emotion does this recording express?</h2>"
    "<p>One or several recordings of speech, in any common format. They are processed on the computer that"
    " runs this page and are sent nowhere else.</p>"
)
SAME_SPEAKER = "All recordings are of one speaker: adapt to the voice"
LARGE_FILES = Markup(
    '<p class="sk-facts">Nothing happens? Many notebook servers drop uploads above 10 MB. Upload fewer files'
    " at once, or FLAC or MP3 instead of WAV.</p>"
)


def shown(content: str) -> str:
    """HTML for a widget: ``Markup`` unchanged, any other text escaped."""
    return str(escape(content))


def style() -> Markup:
    """The style sheet."""
    css = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    return Markup("<style>{}</style>").format(Markup(css))


def percent(share: float) -> Markup:
    """0.5 as 50 %."""
    return escape(formats.portion(share).replace(" ", "\N{NO-BREAK SPACE}"))


def colour(emotion: str) -> str:
    """The colour of an emotion, the same in all pictures."""
    return colours([emotion])[emotion]


def _sentence(text: str) -> str:
    return (text[:1].upper() + text[1:]).rstrip(".") + "."


def voice(clips: int) -> Markup:
    """A note with the number of clips that the page has adapted to."""
    if clips < ENOUGH_CLIPS:
        text = f"Adapting to this voice: {clips} of {ENOUGH_CLIPS} clips."
    else:
        text = f"Adapted to this voice ({clips} clips)."
    return Markup('<p class="sk-facts">{} Earlier answers do not change.</p>').format(text)


def summary(results: Sequence[Prediction | Failure]) -> str:
    """The number of recordings, and of those without an answer."""
    failed = sum(isinstance(result, Failure) for result in results)
    recordings = "recording" if len(results) == 1 else "recordings"
    return f"{len(results)} {recordings}" + (f", {failed} without an answer" if failed else "")


def head(name: str, recording: Recording, notes: Sequence[str], played: float) -> Markup:
    """File name, duration, sampling rate and channels.

    Args:
        name: file name.
        recording: the recording.
        notes: warnings.
        played: duration in player and picture (s).
    """
    channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
    bounded = f" Player and picture show the first {clock(played)}." if recording.duration > played else ""
    return Markup(
        '<h3 class="sk-name">{}</h3><p class="sk-facts">{:.2f} s, {:,} Hz, {}.{}</p>{}'
    ).format(
        name, recording.duration, recording.native_rate, channels, bounded,
        concatenated(Markup('<p class="sk-warning">{}</p>').format(_sentence(note)) for note in notes),
    )  # fmt: skip


def concatenated(parts: Iterable[str]) -> Markup:
    """Join parts of a page."""
    return Markup("").join(parts)


def card(parts: Iterable[str]) -> Markup:
    """A card as HTML, without widgets."""
    return Markup('<div class="ser-kit sk-card">{}</div>').format(concatenated(parts))


def failure(result: Failure) -> Markup:
    """A card for a recording without an answer, with the reason."""
    return Markup(
        '<h3 class="sk-name">{}</h3><p class="sk-verdict">No answer</p>'
        '<p class="sk-error" role="alert">{}</p>'
    ).format(result.path, result.error)


def verdict(prediction: Prediction, card: Mapping) -> Markup:
    """How sure the answer is, the emotion, the probabilities, and what the answer rests on.

    Args:
        prediction: the prediction.
        card: the card of the bundle.
    """
    named, no_speech = prediction.emotion, prediction.reason.startswith(NO_SPEECH)
    confidence = percent(prediction.confidence)
    if prediction.verdict == NOT_SURE:
        answer, nearest = Markup("Not sure"), Markup("The most probable is <strong>{}</strong>, {}.")
        explained = Markup("{} {}").format(
            _sentence(prediction.reason or "all other emotions together are more probable"),
            "" if no_speech else nearest.format(named, confidence),
        )
    else:
        answer = Markup('{} <strong class="sk-emotion">{}</strong>').format(
            prediction.verdict.capitalize(), named
        )
        explained = Markup("{} confident.").format(confidence)
    return Markup('<p class="sk-verdict{}">{}</p><p>{}</p>{}<p class="sk-facts">{}</p>').format(
        " sk-unsure" if prediction.verdict == NOT_SURE else "", answer, explained,
        "" if no_speech else _bars(prediction), known_for(card),
    )  # fmt: skip


def _bars(prediction: Prediction) -> Markup:
    """The probabilities, and the clips that they were calibrated on."""
    palette = colours(prediction.probabilities)
    bars = concatenated(
        Markup(
            '<li><span class="sk-label">{}</span><span class="sk-track" aria-hidden="true">'
            '<span style="width:{:.1f}%;background:{}"></span></span><span class="sk-value">{}</span></li>'
        ).format(label, 100 * p, palette[label], percent(p))
        for label, p in sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    )
    rests = Markup("<p><small>The confidence is based on {}.</small></p>").format(prediction.rests_on)
    return Markup('<h4>Probability of each emotion</h4><ul class="sk-bars">{}</ul>{}').format(
        bars, rests if prediction.rests_on else ""
    )


def known_for(card: Mapping) -> str:
    """A sentence on the languages and voices that the answers were tested on.

    Args:
        card: the card of a bundle.

    Examples:
        >>> known_for({"trained_on": [{"corpus": "emodb"}]})
        'Tested on adults who acted emotions in German; nothing is known of other languages and of children.'
    """
    evaluation = card.get("evaluation", {})
    tested = evaluation.get("tested") or card.get("trained_on", ())
    languages = corpora.languages(each["corpus"] for each in tested)
    if not languages:
        return "It is not known for which languages and voices the answer is good."
    tested = f"Tested on adults who acted emotions in {listed(languages)}"
    return f"{tested}; nothing is known of other languages and of children."


# ----------------------------------------------------------------------------------------------------------
# features


class _Shown(NamedTuple):
    """Format of a feature: title, unit, scale factor, decimals."""

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
"""Features with a familiar meaning, shown first."""
_WORDS = {
    "pitch_mean": ("higher", "lower"),
    "pitch_variation": ("livelier", "more even"),
    "intensity_mean": ("louder", "quieter"),
    "jitter_local": ("rougher", "smoother"),
    "centroid_mean": ("brighter", "darker"),
}
"""What more of a feature, and less, sounds like."""
_UNSHOWN = ("duration", "sample_rate")
"""Shown under the file name; they are no traits of the voice."""
_VOICE = ("pitch_", "jitter_", "shimmer_")
"""Prefixes of features that can only be measured in voiced speech."""


def features(prediction: Prediction, measured: Mapping[str, float], card: Mapping) -> Markup:
    """Acoustic features of the recording beside their means over the training clips.

    Args:
        prediction: the prediction for the recording.
        measured: the result of :meth:`ser_kit.Predictor.measure`.
        card: the card of the bundle.
    """
    rest = [name for name in measured if name not in _SHOWN and name not in _UNSHOWN]
    more = {name: _Shown(name.replace("_", " "), decimals=3) for name in rest}
    return Markup(
        "{}<details><summary>Measures of the voice beside the training clips</summary>"
        "<p>Typical: mean &plusmn; standard deviation (sd) over the clips.</p>{}"
        "<details><summary>{} more features</summary>{}</details></details>"
    ).format(
        _traits(measured, card), _feature_table(prediction.emotion, measured, card, _SHOWN),
        len(rest), _feature_table(prediction.emotion, measured, card, more),
    )  # fmt: skip


def _traits(measured: Mapping[str, float], card: Mapping) -> Markup:
    """A sentence on how the voice differs from neutral speech."""
    usual = card.get("typical", {}).get(BASELINE, {})
    found = {
        words: (measured[name] - usual[name][0]) / usual[name][1]
        for name, words in _WORDS.items()
        if _measurable(name, measured) and usual.get(name) and usual[name][1] > 0
    }
    if not found:
        return Markup()
    farthest = sorted(
        ((z, words) for words, z in found.items() if abs(z) >= _NOTABLE), key=lambda each: -abs(each[0])
    )
    differs = listed([words[z < 0] for z, words in farthest[:_MOST_TRAITS]])
    compared = f"{differs} than" if differs else "much the same as"
    return Markup('<p class="sk-traits">The voice is {} {} speech in the training recordings.</p>').format(
        compared, BASELINE
    )


def listed(words: Sequence[str]) -> str:
    """Words with commas and "and".

    Examples:
        >>> listed(["higher"]), listed(["higher", "livelier", "louder"])
        ('higher', 'higher, livelier and louder')
    """
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


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
    """Content that scrolls on narrow screens, also by keyboard."""
    return Markup('<div class="sk-scroll {}" role="region" aria-label="{}" tabindex="0">{}</div>').format(
        style, label, html
    )


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Markup:
    """A table; the first cell of each row is its header."""
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
    """Training corpora, evaluation, limits and licences of the model, folded."""
    card = bundle.card
    used = card.get("trained_on", ())
    corpora = ", ".join(
        f"{c['clips']:,} clips by {c['speakers']} speakers of the corpus {c['corpus']}" for c in used
    )
    licences = "; ".join(f"{c['corpus']}: {c['licence']}" for c in used)
    items = [
        f"{len(bundle.labels)} emotions: {', '.join(bundle.labels)}.",
        f"Trained on {corpora}. Expect lower accuracy for other languages, rooms and microphones."
        if corpora else "",
        _score(card),
        Markup(
            "It recognises how something is said, not what a person feels. <strong>Do not use it to decide"
            " about people</strong> (work, credit, insurance, policing, health, education)."
        ),
        f"Licences of the training recordings, which apply to the model too: {licences}." if licences else "",
        f"Licence of the model: {card['licence']}." if card.get("licence") else "",
    ]  # fmt: skip
    return Markup(
        '<details class="sk-about"><summary>About this model</summary><p>{}.</p><ul>{}</ul></details>'
    ).format(
        card.get("title") or card["name"],
        concatenated(Markup("<li>{}</li>").format(item) for item in items if item),
    )


def _score(card: Mapping) -> Markup | str:
    scores = card.get("evaluation", {}).get("scores", {}).get("uar")
    if not scores:
        return "Its accuracy was not measured."
    guessing = percent(1 / len(card["labels"]))
    if card.get("left_out"):
        each = Markup(", ").join(
            Markup("{} on {}").format(percent(row["uar"]), row["corpus"]) for row in card["left_out"]
        )
        return Markup(
            "Unweighted average recall (UAR) on corpora left out of training: {}; guessing gives {} with all "
            "emotions."
        ).format(each, guessing)
    unseen = card["evaluation"].get("speaker_independent")
    interval = ""
    if all(scores.get(bound) is not None and math.isfinite(scores[bound]) for bound in ("low", "high")):
        few = f", too narrow with only {scores['speakers']} speakers" if is_of_few(scores) else ""
        interval = Markup(" (95&nbsp;% interval {} to {}{})").format(
            percent(scores["low"]), percent(scores["high"]), few
        )
    tested = " and ".join(each["corpus"] for each in card["evaluation"].get("tested", ()))
    return Markup("Unweighted average recall (UAR) on {}{}: {}{}; guessing gives {}.{}").format(
        "speakers not in training" if unseen else "speakers also in training",
        f" (corpora: {tested})" if tested else "",
        percent(scores["pooled"]),
        interval,
        guessing,
        "" if unseen else " Expect lower accuracy on new speakers.",
    )
