"""The page as a widget: what is on it, and the thread that works while it stays awake."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial
from pathlib import Path

import ipywidgets as widgets
import numpy as np
from markupsafe import Markup

from ..audio.recording import Recording
from ..core.errors import AudioError
from ..inference import results
from ..inference.prediction import Failure, Prediction
from ..inference.predictor import Predictor
from . import html
from .answer import ACCEPTED, Answer, plain, wav, work_out
from .controls import Controls

BUNDLE_VARIABLE = "SER_KIT_BUNDLE"
"""Environment variable: the preset or bundle folder to use where none is given."""
_KAGGLE_VARIABLE = "KAGGLE_KERNEL_RUN_TYPE"
"""Kaggle sets it. Its pages load no widgets that were not installed when they were opened."""
_WARM_RATE = 16_000  # Hz of the second of noise that warms a predictor up
_PLACES = ("head", "verdict", "player", "picture", "ribbon", "features", "saved")
"""On a card, from top to bottom."""
_PROGRESS_SECONDS = 0.1  # between two steps of the progress bar
_KEPT_BYTES = 64 << 20
"""Of sound in players (half an hour at 16 kHz) and of sound to be drawn yet, beside that of the newest recording."""
_SILENT = Markup('<p class="sk-note">Its player was removed, to keep the page light; upload it again to play it.</p>')


_log = logging.getLogger(__name__)


class UploadWidget(widgets.VBox):
    """Upload or record speech; each recording gets a card with its sound, its picture, its emotion and its features.

    The model is loaded once, in the background, while the page is already there, and recordings are judged there too:
    neither the page nor the notebook waits. What comes while others are being judged is next in the queue; cards stay,
    the newest above, until they are cleared.

    Args:
        predictor: what to judge with, if it is at hand already.
        preset: name of a preset or folder of a bundle, where no predictor is given; without it the environment
            variable ``SER_KIT_BUNDLE`` or else the default preset is used.

    Attributes:
        results: the answers on the page, in the order in which they were found; ``path`` holds the file's name.

    Examples:
        >>> widget = UploadWidget()                               # doctest: +SKIP
        >>> [answer.emotion for answer in widget.results]         # doctest: +SKIP
        ['angry', 'calm']
    """

    def __init__(self, predictor: Predictor | None = None, preset: str | os.PathLike | None = None):
        if predictor is not None and preset is not None:
            raise TypeError("give a predictor or a preset, not both")
        self.results: list[Prediction | Failure] = []
        self._cards: list[_Card] = []  # the newest run first
        self._lock = threading.RLock()
        self._run: _Run | None = None
        self._predictor: Predictor | None = None
        self._speaker: Predictor | None = None  # the same, as far as it is used to one voice
        self._told_at = 0.0
        # Jobs are done one after the other: the model is loaded first, and a recording waits for those before it.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ser-kit-page")
        self._jobs: list[Future] = []
        self._build()
        if predictor is not None:
            self._ready(predictor)
        else:
            self._say("Loading the model…")
            self._submit(self._load, preset)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all that was uploaded so far is answered, in a program that cannot look at the page.

        Args:
            timeout: seconds after which to go on anyway.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while jobs := [job for job in list(self._jobs) if not job.done()]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            wait(jobs, left)

    def close(self) -> None:
        """Take the page away, with all that is on it; what is being worked on ends."""
        if run := vars(self).get("_run"):  # not there where the arguments were refused
            run.cancelled = True
        for one in (*vars(self).get("_cards", ()), *self.children, self.layout):
            _close(one)
        super().close()

    # ------------------------------------------------------------------------------------------------- what is there

    def _build(self) -> None:
        self._upload = widgets.FileUpload(accept=ACCEPTED, multiple=True, description="Choose recordings")
        self._upload.observe(self._uploaded, names="value")
        plain_ones = widgets.VBox([self._upload, _html(html.LARGE_FILES)])
        plain_ones.add_class("sk-plain")  # hidden where the controls are
        self._controls = None
        if _KAGGLE_VARIABLE not in os.environ:
            self._controls = Controls(self._announced, self._arrived, self._received)
        self._status, self._progress, self._about = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._cancel, self._clear = widgets.Button(description="Cancel"), widgets.Button(description="Clear the page")
        self._cancel.on_click(lambda _: self._stop())
        self._clear.on_click(lambda _: self._empty())
        self._compared = [widgets.Dropdown(description=text) for text in ("Compare", "with")]
        for one in self._compared:
            one.observe(lambda _: self._arrange(), names="value")
        self._choice = widgets.HBox(self._compared)
        self._same_speaker = widgets.Checkbox(description=html.SAME_SPEAKER, indent=False)
        self._same_speaker.observe(lambda _: self._tell_voice(), names="value")
        self._known, self._reset = widgets.HTML(), widgets.Button(description="Forget the voice")
        self._reset.on_click(lambda _: self._submit(self._forget_voice))
        self._voice = widgets.HBox([self._same_speaker, self._known, self._reset])
        self._downloads, self._panels = widgets.VBox(), widgets.VBox()
        buttons, tools = widgets.HBox([self._cancel, self._clear]), widgets.HBox([self._choice, self._downloads])
        for box in (buttons, tools):
            box.add_class("sk-tools")
        self._panels.add_class("sk-panels")
        self._voice.add_class("sk-tools")
        for one in (self._cancel, self._clear, self._choice, self._voice, self._reset):
            _show(one, False)
        controls = [self._controls] if self._controls else []
        introduction = _html(html.style() + html.INTRODUCTION)
        super().__init__(
            [
                introduction,
                *controls,
                plain_ones,
                self._voice,
                self._status,
                self._progress,
                buttons,
                tools,
                self._panels,
                self._about,
            ]
        )
        self.add_class("ser-kit")

    def _say(self, message: str, kind: str = "busy") -> None:
        role = Markup("" if self._controls else ' role="status"')
        self._status.value = html.shown(Markup('<p class="sk-status sk-{}"{}>{}</p>').format(kind, role, message))
        if self._controls:
            self._controls.said = message

    def _tell(self, share: float | None) -> None:
        """How far the work is, 0..1; ``None`` hides it."""
        bar = '<progress class="sk-progress" max="1" value="{:.3f}" aria-label="Progress"></progress>'
        self._progress.value = "" if share is None else bar.format(share)
        self._told_at = time.monotonic()

    # --------------------------------------------------------------------------------------------------- the model

    def _load(self, preset: str | os.PathLike | None) -> None:
        try:
            predictor = opened(preset)
            _warm_up(predictor)
        except Exception as error:
            self._upload.disabled = True
            if self._controls:
                self._controls.closed = True
            self._run = None
            _show(self._cancel, False)
            self._say(f"The model cannot be loaded: {plain(error)}", "error")
            return
        self._ready(predictor)

    def _ready(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._about.value = html.shown(html.about(predictor.bundle))
        if predictor.bundle.card.get("voices"):
            self._forget_voice()
            _show(self._voice, True)
        if self._run is None:
            self._say("Ready: choose one or several recordings.")

    def _speaking(self, predictor: Predictor, recording: Recording) -> Predictor:
        """The predictor to answer with: where all recordings are of one person, used to the voice by this one too."""
        if not self._same_speaker.value or self._speaker is None:
            return predictor
        with suppress(AudioError):  # which the answer tells
            self._speaker = self._speaker.used_to(self._speaker.observe(recording))
            self._tell_voice()
        return self._speaker

    def _forget_voice(self) -> None:
        self._speaker = self._predictor.used_to(())
        self._tell_voice()

    def _tell_voice(self) -> None:
        """Say how far the page is used to the voice, where it is to be."""
        wanted = self._same_speaker.value
        self._known.value = html.shown(html.voice(self._speaker.adaptation.clips)) if wanted else ""
        _show(self._reset, wanted)

    # ----------------------------------------------------------------------------------------------- what comes in

    def _uploaded(self, change) -> None:
        files = _files(change["new"])
        if not files:
            return
        self._announced(len(files))
        for name, content in files:
            self._received(name, content)
        if isinstance(self._upload.value, tuple):
            # ipywidgets 8: the same file can be chosen again, and is not kept twice. In 7 the value is read-only.
            self._upload.value = ()

    def _announced(self, count: int) -> None:
        if self._upload.disabled:
            return
        with self._lock:
            if self._run is None:
                self._run = _Run()
                if self._predictor is None:
                    self._say("Loading the model… your recordings are next.")
            self._run.total += count
        _show(self._cancel, True)

    def _arrived(self, name: str, there: int, size: int) -> None:
        with self._lock:
            if self._run is None or self._run.judging:
                return
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            uploading = f"Uploading {name}: {_megabytes(there)} of {_megabytes(size)} MB"
            self._status.value = html.shown(Markup('<p class="sk-status">{}</p>').format(uploading))
            self._tell(there / size)

    def _received(self, name: str, content: bytes | AudioError) -> None:
        with self._lock:
            run = self._run
        if run is not None:
            self._submit(self._judge, run, name, content)

    def _submit(self, job: Callable, *arguments) -> None:
        future = self._thread.submit(job, *arguments)
        future.add_done_callback(_log_failure)
        with self._lock:
            self._jobs = [each for each in self._jobs if not each.done()] + [future]

    # ---------------------------------------------------------------------------------------------- what is made of it

    def _judge(self, run: _Run, name: str, content: bytes | AudioError) -> None:
        if run.cancelled or self._predictor is None:
            return
        run.judging = True
        self._say(f"Working… {run.finished + 1} of {run.total}: {name}")
        card = _Card()
        with self._lock:
            self._cards.insert(run.finished, card)
        self._arrange()
        try:
            for card.answer in work_out(self._predictor, name, content, partial(self._watch, run), self._speaking):
                card.fill()
                self._make_room()
        except CancelledError:
            if card.answer is None or card.answer.result is None:
                self._cards.remove(card)
                _close(card)
                self._arrange()
                return
        self.results.append(card.answer.result)
        with self._lock:
            run.finished += 1
            run.judging = False
            over = run.finished == run.total and not run.cancelled
            if over:
                self._run = None
        if over:
            self._finish(run)
        if isinstance(card.answer.result, Prediction):
            self._submit(self._draw, card)

    def _make_room(self) -> None:
        """Where the recordings hold too much sound, draw the oldest now and take their players away."""
        _, *older = sorted(self._cards, key=lambda card: card.begun, reverse=True)
        waiting = played = 0
        for card in older:
            waiting, played = waiting + card.waiting, played + card.played
            if waiting > _KEPT_BYTES:
                self._draw(card)
            if played > _KEPT_BYTES:
                card.silence()

    def _watch(self, run: _Run, share: float) -> None:
        if run.cancelled:
            raise CancelledError
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._tell((run.finished + share) / run.total)

    def _stop(self) -> None:
        with self._lock:
            run, self._run = self._run, None
            if run is None:
                return
            run.cancelled = True
        if self._controls:
            self._controls.stop()
        self._say("Stopping…")
        self._submit(self._finish, run)  # behind what is being judged

    def _finish(self, run: _Run) -> None:
        """Say what came of a run, unless the next one has begun."""
        if self._run is not None:
            return
        if run.cancelled:
            self._say(f"Cancelled: {run.finished} of {run.total} recordings have an answer.", "done")
        else:
            self._say(f"Done: {html.summary(self.results[-run.total :])}.", "done")
        self._tell(None)
        _show(self._cancel, False)
        self._offer()

    def _draw(self, card: _Card) -> None:
        """The picture to keep; it takes longer than all that is shown."""
        if card in self._cards and card.answer.played is not None:
            card.save(_portrait(card.answer))
            card.answer.played = None  # it holds twice as much as the player

    def _empty(self) -> None:
        self._stop()
        self._submit(self._emptied)

    def _emptied(self) -> None:
        with self._lock:
            cards, self._cards = self._cards, []
        self.results.clear()
        self._offer()
        for card in cards:
            _close(card)
        self._say("Ready: choose one or several recordings.")

    # -------------------------------------------------------------------------------------- what can be done with it

    def _offer(self) -> None:
        """Downloads of all answers, and pairs to compare."""
        _show(self._clear, bool(self._cards))
        answers = [card.answer for card in self._cards if card.answer is not None]
        _replace(self._downloads, _links(self._predictor, answers) if answers else "")
        good = [card for card in self._cards if card.answer and isinstance(card.answer.result, Prediction)]
        options = [("–", None), *((f"{i}. {card.answer.name}", card) for i, card in enumerate(good, start=1))]
        for one in self._compared:
            one.options = options
            one.value = None
        _show(self._choice, len(good) > 1)
        self._arrange()

    def _arrange(self) -> None:
        pair = [one.value for one in self._compared]
        compared = None not in pair and pair[0] is not pair[1]
        (self.add_class if compared else self.remove_class)("sk-comparing")
        self._panels.children = tuple(pair if compared else self._cards)


class _Run:
    """What was handed over since the page was last at rest."""

    def __init__(self):
        self.total = self.finished = 0
        self.judging = self.cancelled = False


class _Card(widgets.VBox):
    """What is shown of one recording; pieces are added as they are found."""

    def __init__(self):
        super().__init__()
        self.answer: Answer | None = None
        self.begun = time.monotonic()
        self._pieces: dict[str, tuple[str | bytes, widgets.Widget]] = {}
        self.add_class("sk-card")

    def fill(self) -> None:
        """Bring it to what the answer holds now."""
        self._bring(self.answer.parts)

    def save(self, png: bytes) -> None:
        """Offer a picture to keep."""
        link = _link(f"{Path(self.answer.name).stem}.png", "image/png", png, "Save the picture (PNG)")
        self.answer.parts["saved"] = Markup('<p class="sk-downloads">{}</p>').format(link)
        self.fill()

    @property
    def waiting(self) -> int:
        """Bytes of sound that is kept to be drawn."""
        return 0 if self.answer.played is None else self.answer.played.samples.nbytes

    @property
    def played(self) -> int:
        """Bytes that its player holds."""
        player = self.answer.parts.get("player")
        return len(player) if isinstance(player, bytes) else 0

    def silence(self) -> None:
        """Say in the player's place that there is none."""
        if self.played:
            self.answer.parts["player"] = _SILENT
            self.fill()

    def _bring(self, parts: Mapping[str, str | bytes]) -> None:
        before, self._pieces = self._pieces, {}
        for place in _PLACES:
            if place in parts:
                content, piece = before.get(place, (None, None))
                # A new piece each time: notebook servers bound what may change in a while, but not what is added.
                self._pieces[place] = (parts[place], piece if content is parts[place] else _piece(parts[place]))
        self.children = tuple(piece for _, piece in self._pieces.values())
        for place, (_, piece) in before.items():
            if self._pieces.get(place, (None, None))[1] is not piece:
                _close(piece)


def _log_failure(job: Future) -> None:
    if job.exception() is not None:
        _log.error("unexpected error on the page", exc_info=job.exception())


def _piece(content: str | bytes) -> widgets.Widget:
    if isinstance(content, bytes):
        return widgets.Audio(value=content, format="wav", autoplay=False, loop=False)
    return _html(content)


def _html(content: str) -> widgets.HTML:
    return widgets.HTML(html.shown(content))


def show(predictor: Predictor | None = None, preset: str | os.PathLike | None = None) -> None:
    """Show an :class:`UploadWidget` below the notebook's cell.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.
    """
    from IPython.display import display

    display(UploadWidget(predictor, preset))


def opened(preset: str | os.PathLike | None) -> Predictor:
    """The predictor that is asked for: by name or folder, by the environment, or the default one."""
    return Predictor.open(preset or os.environ.get(BUNDLE_VARIABLE) or None)


def _warm_up(predictor: Predictor) -> None:
    """The first answer of a network is slow; have it now, while a recording is being chosen."""
    noise = np.random.default_rng(0).normal(size=_WARM_RATE).astype(np.float32) / 10
    for _ in work_out(predictor, "", wav(Recording(noise, _WARM_RATE, _WARM_RATE, 1, "noise"))):
        pass


def _files(value: Mapping | Sequence) -> list[tuple[str, bytes]]:
    """Names and contents of what ``FileUpload.value`` holds: a mapping in ipywidgets 7, a tuple in 8."""
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]


def _show(widget: widgets.DOMWidget, there: bool) -> None:
    widget.layout.display = None if there else "none"


def _replace(box: widgets.Box, content: str) -> None:
    before, box.children = box.children, (_html(content),) if content else ()
    for one in before:
        _close(one)


def _close(widget: widgets.Widget) -> None:
    """Close a widget with all that is in it, and with its layout and style, which are widgets of their own."""
    parts = [*getattr(widget, "children", ()), *(getattr(widget, name, None) for name in ("layout", "style"))]
    widget.close()
    for part in parts:
        if isinstance(part, widgets.Widget):
            _close(part)


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f}"


def _portrait(answer: Answer) -> bytes:
    from .. import plots

    # The file's name stays out of the figure: Matplotlib would read a $ in it as mathematics, and lacks many scripts.
    doubt = "not sure, nearest " if answer.result.uncertain else ""
    title = f"{doubt}{answer.result.emotion}, {answer.result.confidence:.0%}"
    return plots.png(plots.portrait(answer.played, ("waveform", "mel"), title=title.replace("$", r"\$")))


def _links(predictor: Predictor, answers: Sequence[Answer]) -> Markup:
    """All answers as files, with the columns that ``ser-kit predict`` writes."""
    rows = [row for answer in answers for row in results.rows(answer.result)]
    table = results.csv_text(rows, results.columns(predictor))
    told = json.dumps([results.to_dict(a.result, a.moments) for a in answers], ensure_ascii=False, indent=1)
    links = (
        _link("ser_kit.csv", "text/csv", table.encode(), "CSV"),
        _link("ser_kit.json", "application/json", told.encode(), "JSON"),
    )
    return Markup('<p class="sk-downloads">Save all answers: {}</p>').format(Markup(" ").join(links))


def _link(name: str, kind: str, content: bytes, text: str) -> Markup:
    data = base64.b64encode(content).decode()
    return Markup('<a class="sk-button" download="{}" href="data:{};base64,{}">{}</a>').format(name, kind, data, text)
