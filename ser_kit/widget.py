"""The upload widget: recordings in, the emotion of each with its reasons out.

Only core widgets and plain HTML are used, so that it shows wherever ipywidgets 7.7 or later does: JupyterLab, Notebook,
Voila, Colab, Kaggle, VS Code; and, where anywidget is installed, a button that records from the microphone. Where
Colab's frame refuses the upload button, :func:`upload_in_colab` does the same with Colab's own.

Examples:
    >>> from ser_kit import widget
    >>> widget.show()                                             # doctest: +SKIP
"""

from __future__ import annotations

import base64
import importlib.util
import io
import logging
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from pathlib import Path
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np

from .audio import Recording, read_audio
from .bundle import Bundle
from .errors import AudioError, SerKitError, SilentAudioWarning, TruncatedAudioWarning
from .plots import COLOURS, portrait
from .predictor import LONG_SECONDS, Failure, Prediction, Predictor, Segment

BUNDLE_VARIABLE = "SER_KIT_BUNDLE"
"""Environment variable: the preset or bundle folder to use where none is given."""
ACCEPTED = "audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.m4a,.aac,.mp4,.webm,.aif,.aiff,.au,.caf,.w64"
LARGEST_UPLOAD = 1 << 30
"""Bytes of a file that is judged; how long it may last is :data:`ser_kit.audio.MAX_SECONDS`."""
_WARM_RATE = 16_000  # Hz of the second of noise that warms a predictor up
PLAYED_SECONDS = 600
"""A longer recording is judged as a whole, but its player and picture hold only so much, to keep the page light."""

_log = logging.getLogger(__name__)


# ---------------------------------------------------------------------------------------------------------- the widget


class UploadWidget(widgets.VBox):
    """Upload recordings; each gets a panel with its sound, its picture, its emotion and its features.

    The model is loaded once, in the background, while the page is already there. A new upload replaces the panels of
    the one before.

    Args:
        predictor: what to judge with, if it is at hand already.
        preset: name of a preset or folder of a bundle, where no predictor is given; without it the environment
            variable ``SER_KIT_BUNDLE`` or else the default preset is used.

    A Jupyter server drops uploads above 10 MB, and the widget never hears of them, unless it is started with
    ``--ServerApp.tornado_settings="{'websocket_max_message_size': 1073741824}"`` (Voila: ``--Voila.tornado_settings``).

    Attributes:
        results: the answers of the last upload, in order; ``path`` holds the file's name.

    Examples:
        >>> widget = UploadWidget()                               # doctest: +SKIP
        >>> [answer.emotion for answer in widget.results]         # doctest: +SKIP
        ['angry', 'calm']
    """

    def __init__(self, predictor: Predictor | None = None, preset: str | os.PathLike | None = None):
        if predictor is not None and preset is not None:
            raise TypeError("give a predictor or a preset, not both")
        self.results: list[Prediction | Failure] = []
        self._upload = widgets.FileUpload(
            accept=ACCEPTED,
            multiple=True,
            description="Choose recordings",
            button_style="primary",
            layout=widgets.Layout(width="max-content"),
        )
        self._upload.observe(self._uploaded, names="value")
        controls = widgets.HBox([self._upload, *_recorders(self._recorded)])
        controls.add_class("sk-controls")
        self._status, self._about, self._panels = widgets.HTML(), widgets.HTML(), widgets.VBox()
        super().__init__([widgets.HTML(_style() + _INTRODUCTION), controls, self._status, self._panels, self._about])
        self.add_class("ser-kit")
        if predictor is not None:
            self._predictor: Future[Predictor] = Future()
            self._predictor.set_result(predictor)
            self._ready(predictor)
        else:
            self._say("Loading the model&hellip;")
            thread = ThreadPoolExecutor(1, thread_name_prefix="ser-kit-model")
            self._predictor = thread.submit(self._load, preset)
            thread.shutdown(wait=False)

    def _load(self, preset: str | os.PathLike | None) -> Predictor:
        try:
            predictor = _open(preset)
            # The first prediction of a network is slow; make it now, while the recording is being chosen.
            predictor.predict((np.random.default_rng(0).normal(size=_WARM_RATE).astype(np.float32) / 10, _WARM_RATE))
        except Exception as error:
            self._upload.disabled = True
            self._say(f"The model cannot be loaded: {escape(_plain(error))}", "error")
            raise
        # Before the result is handed over, so that it cannot overwrite what an upload that waits for it will say.
        self._ready(predictor)
        return predictor

    def _ready(self, predictor: Predictor) -> None:
        self._about.value = _about(predictor.bundle)
        self._say("Ready: choose one or several recordings.")

    def _say(self, message: str, kind: str = "busy") -> None:
        self._status.value = f'<p class="sk-status sk-{kind}" role="status">{message}</p>'

    def _uploaded(self, change) -> None:
        files = _files(change["new"])
        if not files:
            return
        self._judge(files)
        if isinstance(self._upload.value, tuple):
            # ipywidgets 8: the same file can be chosen again, and is not kept twice. In 7 the value is read-only.
            self._upload.value = ()

    def _recorded(self, change) -> None:
        if change["new"] and not self._upload.disabled:
            self._judge([(f"recording at {datetime.now():%H.%M.%S}.wav", bytes(change["new"]))])

    def _judge(self, files: Sequence[tuple[str, bytes]]) -> None:
        for panel in self._panels.children:
            _close(panel)
        self._panels.children = ()
        self.results = []
        if not self._predictor.done():
            self._say("Loading the model&hellip; your recordings are next.")
        try:
            predictor = self._predictor.result()
        except Exception:
            return  # what went wrong is shown already
        for place, (name, content) in enumerate(files, start=1):
            self._say(f"Working&hellip; {place} of {len(files)}: {escape(name)}")
            answer = _answer(predictor, name, content)
            self.results.append(answer.result)
            self._panels.children += (_panel(answer),)
        self._say(_summary(self.results), "done")


def _recorders(recorded: Callable) -> list[widgets.Widget]:
    """A button for the microphone, where the package that it needs is installed."""
    if importlib.util.find_spec("anywidget") is None:
        return []
    from .recorder import Recorder

    recorder = Recorder()
    recorder.observe(recorded, names="content")
    return [recorder]


def show(predictor: Predictor | None = None, preset: str | os.PathLike | None = None) -> None:
    """Show an :class:`UploadWidget` below the notebook's cell.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.
    """
    from IPython.display import display

    display(UploadWidget(predictor, preset))


def upload_in_colab(
    predictor: Predictor | None = None, preset: str | os.PathLike | None = None
) -> list[Prediction | Failure]:
    """The same answers with Google Colab's own upload button and no widget at all.

    Colab also keeps the uploaded files in the working directory of its machine.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.

    Returns:
        An answer for each file, in order; ``path`` holds the file's name.

    Raises:
        SerKitError: this is not Colab.
    """
    try:
        from google.colab import files
    except ImportError:
        raise SerKitError("upload_in_colab works in Google Colab only; elsewhere use ser_kit.widget.show()") from None
    from IPython.display import HTML, Audio, display

    def put(html: str) -> None:
        display(HTML(f'<div class="ser-kit sk-card">{html}</div>'))

    display(HTML(_style()))
    uploaded = files.upload()
    predictor = predictor or _open(preset)
    results = []
    for name, content in uploaded.items():
        answer = _answer(predictor, name, content)
        results.append(answer.result)
        put(answer.head)
        if answer.wav:
            display(Audio(data=answer.wav))
            put(answer.detail)
    put(_about(predictor.bundle))
    return results


def _open(preset: str | os.PathLike | None) -> Predictor:
    return Predictor.open(preset or os.environ.get(BUNDLE_VARIABLE) or None)


def _files(value: Mapping | Sequence) -> list[tuple[str, bytes]]:
    """Names and contents of what ``FileUpload.value`` holds: a mapping in ipywidgets 7, a tuple in 8."""
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def _panel(answer: _Answer) -> widgets.VBox:
    parts = [widgets.HTML(answer.head)]
    if answer.wav:
        parts += [
            widgets.Audio(value=answer.wav, format="wav", autoplay=False, loop=False),
            widgets.HTML(answer.detail),
        ]
    panel = widgets.VBox(parts)
    panel.add_class("sk-card")
    return panel


def _close(panel: widgets.VBox) -> None:
    for part in (*panel.children, panel):
        part.close()


# --------------------------------------------------------------------------------------------------- one recording


@dataclass(frozen=True)
class _Answer:
    """What there is to show of one file: HTML above and below the player, and the player's WAV; no WAV, no player."""

    result: Prediction | Failure
    head: str
    wav: bytes = b""
    detail: str = ""


def _answer(predictor: Predictor, name: str, content: bytes) -> _Answer:
    """Whatever is wrong with a file is said in its own panel; nothing is raised."""
    file = io.BytesIO(content)
    file.name = name  # what messages call it
    try:
        if len(content) > LARGEST_UPLOAD:
            raise AudioError(
                f"{name} has {len(content) >> 20:,} MiB; expected at most {LARGEST_UPLOAD >> 20:,}: cut it into parts, "
                "or save it as FLAC or MP3"
            )
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", TruncatedAudioWarning)
            warnings.simplefilter("ignore", SilentAudioWarning)  # the predictor refuses silence
            # At the model's rate, and decoded once: what is heard and drawn is what was judged.
            recording = read_audio(file, rate=predictor.bundle.rate)
        notes = [str(w.message) for w in caught if issubclass(w.category, TruncatedAudioWarning)]
        prediction = replace(predictor.predict(recording), path=name)
        played = _beginning(recording)
        measured = predictor.measure(recording)
        return _Answer(
            prediction,
            _head(prediction, recording, notes),
            _wav(played),
            _picture(prediction, played, measured) + _timeline(prediction) + _features(prediction, measured, predictor),
        )
    except Exception as error:
        failure = Failure(name, _plain(error))
        return _Answer(
            failure,
            f'<h3 class="sk-name">{escape(name)}</h3><p class="sk-verdict">No answer</p>'
            f'<p class="sk-error" role="alert">{escape(failure.error)}</p>',
        )


def _plain(error: Exception) -> str:
    """An error for people: ser_kit's own say what to do; any other is a fault of its own, whose traceback is logged."""
    if isinstance(error, SerKitError):
        return str(error)
    _log.error("unexpected error", exc_info=error)
    return f"something went wrong inside ser_kit ({type(error).__name__}: {error}); please report it"


def _beginning(recording: Recording) -> Recording:
    if recording.duration <= PLAYED_SECONDS:
        return recording
    return replace(recording, samples=recording.samples[: PLAYED_SECONDS * recording.rate])


def _wav(recording: Recording) -> bytes:
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, recording.samples, recording.rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------------------- HTML


def _style() -> str:
    return f"<style>{(Path(__file__).parent / 'widget.css').read_text(encoding='utf-8')}</style>"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}&nbsp;%"


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{int(seconds % 60):02d}"


def _colour(emotion: str) -> str:
    return COLOURS.get(emotion, COLOURS["other"])


def _sentence(text: str) -> str:
    return escape(text[:1].upper() + text[1:]).rstrip(".") + "."


def _summary(results: Sequence[Prediction | Failure]) -> str:
    failed = sum(isinstance(result, Failure) for result in results)
    recordings = "recording" if len(results) == 1 else "recordings"
    return f"Done: {len(results)} {recordings}" + (f", {failed} without an answer." if failed else ".")


def _head(prediction: Prediction, recording: Recording, notes: Sequence[str]) -> str:
    channels = {1: "mono", 2: "stereo"}.get(recording.channels, f"{recording.channels} channels")
    nearest = f"<strong>{escape(prediction.emotion)}</strong>, {_percent(prediction.confidence)}"
    if prediction.uncertain:
        verdict = "Not sure"
        explained = f"{_sentence(prediction.reason)} The nearest is {nearest}."
    else:
        verdict = escape(prediction.emotion)
        explained = f"{_percent(prediction.confidence)} confident."
    bars = "".join(
        f'<li><span class="sk-label">{escape(label)}</span><span class="sk-track" aria-hidden="true">'
        f'<span style="width:{100 * p:.1f}%;background:{_colour(label)}"></span></span>'
        f'<span class="sk-value">{_percent(p)}</span></li>'
        for label, p in sorted(prediction.probabilities.items(), key=lambda item: -item[1])
    )
    long = prediction.duration > PLAYED_SECONDS
    played = f" Player and picture hold the first {PLAYED_SECONDS // 60} minutes." if long else ""
    return (
        f'<h3 class="sk-name">{escape(prediction.path)}</h3>'
        f'<p class="sk-facts">{prediction.duration:.2f} s, {recording.native_rate:,} Hz, {channels}.{played}</p>'
        + "".join(f'<p class="sk-warning">{_sentence(note)}</p>' for note in notes)
        + f'<p class="sk-verdict{" sk-unsure" if prediction.uncertain else ""}">{verdict}</p><p>{explained}</p>'
        f'<h4>Probability of each emotion</h4><ul class="sk-bars">{bars}</ul>'
        "<h4>Listen</h4>"
    )


def _picture(prediction: Prediction, recording: Recording, measured: Mapping[str, float]) -> str:
    buffer = io.BytesIO()
    # The file's name stays out of the figure: Matplotlib would read a $ in it as mathematics, and lacks many scripts.
    portrait(recording, ("waveform", "mel"), title="As the model hears it").savefig(buffer, format="png", dpi=130)
    voice = "no pitch was found"
    if measured["voiced_ratio"]:
        voice = f"mean pitch {measured['pitch_mean']:.0f} Hz"
    text = f"Waveform and mel spectrogram of {prediction.path}, with the pitch track drawn over it; {voice}."
    image = base64.b64encode(buffer.getvalue()).decode()
    return "<h4>Waveform and mel spectrogram with pitch</h4>" + _scrolling(
        f'<img class="sk-picture" alt="{escape(text)}" src="data:image/png;base64,{image}">', "Picture"
    )


def _timeline(prediction: Prediction) -> str:
    """Emotion over time of a long recording; a short one was judged as a whole."""
    if prediction.duration <= LONG_SECONDS:
        return ""
    runs = list(_runs(prediction.segments))
    ribbon = "".join(
        f'<span style="left:{100 * first.start / prediction.duration:.2f}%;background:{_colour(first.emotion)};'
        f'width:{100 * (last.end - first.start) / prediction.duration:.2f}%"></span>'
        for first, last in runs
    )
    spoken = ", ".join(f"{_clock(first.start)} to {_clock(last.end)} {first.emotion}" for first, last in runs)
    heard = dict.fromkeys(segment.emotion for segment in prediction.segments)
    legend = "".join(f'<li><span style="background:{_colour(e)}"></span>{escape(e)}</li>' for e in heard)
    rows = "".join(
        f"<tr><th scope=row>{_clock(s.start)}&ndash;{_clock(s.end)}</th><td>{escape(s.emotion)}</td>"
        f"<td>{_percent(s.confidence)}</td></tr>"
        for s in prediction.segments
    )
    return (
        f'<h4>Emotion over time</h4><div class="sk-ribbon" role="img" aria-label="{escape(spoken)}">{ribbon}</div>'
        f'<ul class="sk-legend" aria-hidden="true">{legend}</ul>'
        f"<details><summary>{len(prediction.segments)} segments</summary>"
        f"{_scrolling(_table(('Time', 'Emotion', 'Confidence'), rows), 'Segments', 'sk-tall')}</details>"
    )


def _runs(segments: Sequence[Segment]) -> Iterator[tuple[Segment, Segment]]:
    """First and last segment of each stretch with one emotion; silence, which has no segment, ends a stretch."""
    stretch: list[Segment] = []
    for segment in segments:
        if stretch and (segment.emotion != stretch[-1].emotion or segment.start > stretch[-1].end + 1e-3):
            yield stretch[0], stretch[-1]
            stretch = []
        stretch.append(segment)
    if stretch:
        yield stretch[0], stretch[-1]


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


def _features(prediction: Prediction, measured: Mapping[str, float], predictor: Predictor) -> str:
    card = predictor.bundle.card
    rest = [name for name in measured if name not in _SHOWN and name not in _UNSHOWN]
    more = {name: _Shown(name.replace("_", " "), decimals=3) for name in rest}
    return (
        "<h4>Acoustic features beside the training clips</h4>"
        "<p>Typical: mean &plusmn; standard deviation (sd) over the clips.</p>"
        f"{_feature_table(prediction.emotion, measured, card, _SHOWN)}"
        f"<details><summary>{len(rest)} more features</summary>"
        f"{_feature_table(prediction.emotion, measured, card, more)}</details>"
    )


def _feature_table(emotion: str, measured: Mapping[str, float], card: Mapping, shown: Mapping[str, _Shown]) -> str:
    typical = card.get("typical", {})
    overall, alike = typical.get("all", {}), typical.get(emotion, {})
    rows = ""
    for name, feature in shown.items():
        value, found, compared = measured[name], "not measurable", _NOTHING
        if measured["voiced_ratio"] or not name.startswith(_VOICE):
            found, compared = feature.value(value), _compared(value, overall.get(name))
        rows += (
            f"<tr><th scope=row>{escape(feature.title)}</th><td>{found}</td>"
            f"<td>{feature.spread(overall.get(name))}</td><td>{compared}</td><td>{feature.spread(alike.get(name))}</td></tr>"
        )
    heads = ("Feature", "This recording", "Typical", "Compared", f"Typical for {escape(emotion)}")
    return _scrolling(_table(heads, rows), "Acoustic features", "sk-features")


def _scrolling(html: str, label: str, style: str = "") -> str:
    """A part that is scrolled on a narrow screen, by keyboard too."""
    return f'<div class="sk-scroll {style}" role="region" aria-label="{label}" tabindex="0">{html}</div>'


def _table(heads: Sequence[str], rows: str) -> str:
    head = "".join(f"<th scope=col>{head}</th>" for head in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _compared(value: float, numbers: Sequence[float] | None) -> str:
    if not numbers or not numbers[1] > 0:
        return _NOTHING
    z = (value - numbers[0]) / numbers[1]
    return "as typical" if abs(z) < 0.05 else f"{abs(z):.1f}&nbsp;sd {'above' if z > 0 else 'below'}"


def _about(bundle: Bundle) -> str:
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
        interval = f", 95&nbsp;% interval {_percent(scores['low'])} to {_percent(scores['high'])}"
    tested = " and ".join(escape(each["corpus"]) for each in card["evaluation"].get("tested", ()))
    heard = "On speakers it had never heard" if unseen else "On speakers it had also heard in training"
    return (
        f"{heard} it named {_percent(scores['mean'])} of the clips{f' of {tested}' if tested else ''} rightly, averaged"
        f" over the emotions (UAR{interval}; guessing: {_percent(1 / len(card['labels']))})."
        + ("" if unseen else " Expect less of a new voice.")
    )


_INTRODUCTION = (
    "<h2>Which emotion does this recording carry?</h2>"
    "<p>Choose one or several recordings of speech, in any common format, or record one. They are judged on the"
    " computer that runs this page, and go nowhere else.</p>"
    '<p class="sk-facts">Nothing happens? Many notebook servers drop uploads above 10 MB. Take fewer files at once,'
    " or FLAC or MP3 instead of WAV.</p>"
)
