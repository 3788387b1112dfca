"""The page as a widget, and its background thread."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from functools import partial

import ipywidgets as widgets
import numpy as np
from markupsafe import Markup

from ..audio.recording import Recording
from ..core.errors import AudioError
from ..inference.prediction import Failure, Prediction
from ..inference.predictor import Predictor
from . import html
from .answer import ACCEPTED, plain, wav, work_out
from .cards import Card, close, links, markup, portrait_png, replace, set_shown
from .controls import Controls

BUNDLE_VARIABLE = "SER_KIT_BUNDLE"
"""Environment variable that names the default preset or bundle folder."""
_KAGGLE_VARIABLE = "KAGGLE_KERNEL_RUN_TYPE"
"""Set by Kaggle, whose pages cannot load widgets installed after they were opened."""
_WARM_RATE = 16_000  # Hz
_PROGRESS_SECONDS = 0.1  # minimum time between two updates of the progress bar
_KEPT_BYTES = 64 << 20
"""Maximum bytes of audio in players (half an hour at 16 kHz), and of audio kept for drawing pictures, not
counting the newest recording."""

_log = logging.getLogger(__name__)


class UploadWidget(widgets.VBox):
    """Upload or record speech; each recording gets a card with player, picture, emotion and features.

    The model is loaded and recordings are processed in the background, so neither the page nor the notebook
    blocks. Further recordings are queued. Cards stay until they are cleared, the newest at the top.

    Args:
        predictor: a loaded predictor.
        preset: name of a preset or folder of a bundle, if no predictor is given; by default the environment
            variable ``SER_KIT_BUNDLE``, else the default preset.

    Attributes:
        results: the answers on the page, in the order of processing; ``path`` is the file name.

    Raises:
        TypeError: both a predictor and a preset are given.

    Examples:
        >>> widget = UploadWidget()                               # doctest: +SKIP
        >>> [answer.emotion for answer in widget.results]         # doctest: +SKIP
        ['angry', 'calm']
    """

    def __init__(self, predictor: Predictor | None = None, preset: str | os.PathLike | None = None):
        if predictor is not None and preset is not None:
            raise TypeError("expected a predictor or a preset, not both")
        self.results: list[Prediction | Failure] = []
        self._cards: list[Card] = []  # the newest run first
        self._lock = threading.RLock()
        self._run: _Run | None = None
        self._predictor: Predictor | None = None
        self._speaker: Predictor | None = None  # the same, adapted to one voice
        self._progress_at = 0.0
        # One job at a time, in order: first the model is loaded, then recordings are processed.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ser-kit-page")
        self._jobs: list[Future] = []
        self._build()
        if predictor is not None:
            self._ready(predictor)
        else:
            self._set_status("Loading the model…")
            self._submit(self._load, preset)

    def wait(self, timeout: float | None = None) -> None:
        """Wait until all recordings so far have answers.

        Args:
            timeout: maximum time to wait (s); ``None`` for no limit.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while jobs := [job for job in list(self._jobs) if not job.done()]:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                return
            wait(jobs, left)

    def close(self) -> None:
        """Close the page and all its widgets, and stop the work in progress."""
        if run := vars(self).get("_run"):  # missing if the arguments were invalid
            run.cancelled = True
        for one in (*vars(self).get("_cards", ()), *self.children, self.layout):
            close(one)
        super().close()

    # ----------------------------------------------------------------------------------------------- widgets

    def _build(self) -> None:
        self._upload = widgets.FileUpload(accept=ACCEPTED, multiple=True, description="Choose recordings")
        self._upload.observe(self._uploaded, names="value")
        plain_ones = widgets.VBox([self._upload, markup(html.LARGE_FILES)])
        plain_ones.add_class("sk-plain")  # hidden where the controls are
        self._controls = None
        if _KAGGLE_VARIABLE not in os.environ:
            self._controls = Controls(self._announced, self._arrived, self._received)
        self._status, self._progress, self._about = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self._cancel = widgets.Button(description="Cancel")
        self._clear = widgets.Button(description="Clear the page")
        self._cancel.on_click(lambda _: self._stop())
        self._clear.on_click(lambda _: self._empty())
        self._compared = [widgets.Dropdown(description=text) for text in ("Compare", "with")]
        for one in self._compared:
            one.observe(lambda _: self._arrange(), names="value")
        self._choice = widgets.HBox(self._compared)
        self._same_speaker = widgets.Checkbox(description=html.SAME_SPEAKER, indent=False)
        self._same_speaker.observe(lambda _: self._show_voice(), names="value")
        self._known, self._reset = widgets.HTML(), widgets.Button(description="Forget the voice")
        self._reset.on_click(lambda _: self._submit(self._forget_voice))
        self._voice = widgets.HBox([self._same_speaker, self._known, self._reset])
        self._downloads, self._panels = widgets.VBox(), widgets.VBox()
        cancel, tools = widgets.HBox([self._cancel]), widgets.HBox([self._downloads, self._clear])
        for box in (cancel, self._choice, tools, self._voice):
            box.add_class("sk-tools")
        self._panels.add_class("sk-panels")
        for one in (self._cancel, self._clear, self._choice, self._voice, self._reset):
            set_shown(one, False)
        top = [
            markup(html.style() + html.INTRODUCTION),
            *([self._controls] if self._controls else []),
            plain_ones,
        ]
        work = [self._status, self._progress, cancel]
        super().__init__([*top, self._voice, *work, self._choice, self._panels, tools, self._about])
        self.add_class("ser-kit")

    def _set_status(self, message: str, kind: str = "busy") -> None:
        role = Markup("" if self._controls else ' role="status"')
        text = Markup('<p class="sk-status sk-{}"{}>{}</p>').format(kind, role, message)
        self._status.value = html.shown(text)
        if self._controls:
            self._controls.status = message

    def _set_progress(self, share: float | None) -> None:
        """Show the progress, in [0, 1]; ``None`` hides the bar."""
        bar = '<progress class="sk-progress" max="1" value="{:.3f}" aria-label="Progress"></progress>'
        self._progress.value = "" if share is None else bar.format(share)
        self._progress_at = time.monotonic()

    # ------------------------------------------------------------------------------------------------- model

    def _load(self, preset: str | os.PathLike | None) -> None:
        try:
            predictor = opened(preset)
            _warm_up(predictor)
        except Exception as error:
            self._upload.disabled = True
            if self._controls:
                self._controls.closed = True
            self._run = None
            set_shown(self._cancel, False)
            self._set_status(f"The model cannot be loaded: {plain(error)}", "error")
            return
        self._ready(predictor)

    def _ready(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._about.value = html.shown(html.about(predictor.bundle))
        if predictor.bundle.card.get("voices"):
            self._forget_voice()
            set_shown(self._voice, True)
        if self._run is None:
            self._set_status("Ready: choose one or several recordings.")

    def _speaking(self, predictor: Predictor, recording: Recording) -> Predictor:
        """The predictor, adapted to the voice with this recording if all recordings are of one speaker."""
        if not self._same_speaker.value or self._speaker is None:
            return predictor
        with suppress(AudioError):  # the answer says so
            self._speaker = self._speaker.with_observations(self._speaker.observe(recording))
            self._show_voice()
        return self._speaker

    def _forget_voice(self) -> None:
        self._speaker = self._predictor.with_observations(())
        self._show_voice()

    def _show_voice(self) -> None:
        """Show the number of clips that the page has adapted to."""
        wanted = self._same_speaker.value
        self._known.value = html.shown(html.voice(self._speaker.adaptation.clips)) if wanted else ""
        set_shown(self._reset, wanted)

    # ----------------------------------------------------------------------------------------------- uploads

    def _uploaded(self, change) -> None:
        files = _files(change["new"])
        if not files:
            return
        self._announced(len(files))
        for name, content in files:
            self._received(name, content)
        if isinstance(self._upload.value, tuple):
            # So that the same file can be chosen again (ipywidgets 8; in 7 the value is read-only).
            self._upload.value = ()

    def _announced(self, count: int) -> None:
        if self._upload.disabled:
            return
        with self._lock:
            if self._run is None:
                self._run = _Run()
                if self._predictor is None:
                    self._set_status("Loading the model… your recordings are next.")
            self._run.total += count
        set_shown(self._cancel, True)

    def _arrived(self, name: str, there: int, size: int) -> None:
        with self._lock:
            if self._run is None or self._run.working:
                return
        if time.monotonic() - self._progress_at >= _PROGRESS_SECONDS:
            uploading = f"Uploading {name}: {there / 1e6:,.1f} of {size / 1e6:,.1f} MB"
            self._status.value = html.shown(Markup('<p class="sk-status">{}</p>').format(uploading))
            self._set_progress(there / size)

    def _received(self, name: str, content: bytes | AudioError) -> None:
        with self._lock:
            run = self._run
        if run is not None:
            self._submit(self._answer, run, name, content)

    def _submit(self, job: Callable, *arguments) -> None:
        future = self._thread.submit(job, *arguments)
        future.add_done_callback(_log_failure)
        with self._lock:
            self._jobs = [each for each in self._jobs if not each.done()] + [future]

    # ----------------------------------------------------------------------------------------------- answers

    def _answer(self, run: _Run, name: str, content: bytes | AudioError) -> None:
        if run.cancelled or self._predictor is None:
            return
        run.working = True
        self._set_status(f"Working… {run.finished + 1} of {run.total}: {name}")
        card = Card()
        with self._lock:
            self._cards.insert(run.finished, card)
        self._arrange()
        try:
            watch = partial(self._watch, run)
            for card.answer in work_out(self._predictor, name, content, watch, self._speaking):
                card.fill()
                self._make_room()
        except CancelledError:
            if card.answer is None or card.answer.result is None:
                self._cards.remove(card)
                close(card)
                self._arrange()
                return
        self.results.append(card.answer.result)
        with self._lock:
            run.finished += 1
            run.working = False
            over = run.finished == run.total and not run.cancelled
            if over:
                self._run = None
        if over:
            self._finish(run)
        if isinstance(card.answer.result, Prediction):
            self._submit(self._draw, card)

    def _make_room(self) -> None:
        """If the cards hold too much audio, draw the oldest recordings now and remove their players."""
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
        if time.monotonic() - self._progress_at >= _PROGRESS_SECONDS:
            self._set_progress((run.finished + share) / run.total)

    def _stop(self) -> None:
        with self._lock:
            run, self._run = self._run, None
            if run is None:
                return
            run.cancelled = True
        if self._controls:
            self._controls.stop()
        self._set_status("Stopping…")
        self._submit(self._finish, run)  # after the recording in progress

    def _finish(self, run: _Run) -> None:
        """Show the result of a run, unless the next one has started."""
        if self._run is not None:
            return
        self._set_progress(None)
        set_shown(self._cancel, False)
        self._offer()
        if run.cancelled:
            self._set_status(f"Cancelled: {run.finished} of {run.total} recordings have an answer.", "done")
        else:
            self._set_status(f"Done: {html.summary(self.results[-run.total :])}.", "done")

    def _draw(self, card: Card) -> None:
        """Draw the picture for download, which takes longer than everything on the card."""
        if card in self._cards and card.answer.played is not None:
            card.save(portrait_png(card.answer))
            card.answer.played = None  # twice as large as the player

    def _empty(self) -> None:
        self._stop()
        self._submit(self._emptied)

    def _emptied(self) -> None:
        with self._lock:
            cards, self._cards = self._cards, []
        self.results.clear()
        self._offer()
        for card in cards:
            close(card)
        self._set_status("Ready: choose one or several recordings.")

    # ------------------------------------------------------------------------------ downloads and comparison

    def _offer(self) -> None:
        """Show the downloads of all answers and the choice of two to compare."""
        set_shown(self._clear, bool(self._cards))
        answers = [card.answer for card in self._cards if card.answer is not None]
        replace(self._downloads, links(self._predictor, answers) if answers else "")
        good = [card for card in self._cards if card.answer and isinstance(card.answer.result, Prediction)]
        options = [("–", None), *((f"{i}. {card.answer.name}", card) for i, card in enumerate(good, start=1))]
        for one in self._compared:
            one.options = options
            one.value = None
        set_shown(self._choice, len(good) > 1)
        self._arrange()

    def _arrange(self) -> None:
        pair = [one.value for one in self._compared]
        compared = None not in pair and pair[0] is not pair[1]
        (self.add_class if compared else self.remove_class)("sk-comparing")
        self._panels.children = tuple(pair if compared else self._cards)


class _Run:
    """The recordings since the page was last idle."""

    def __init__(self):
        self.total = self.finished = 0
        self.working = self.cancelled = False


def _log_failure(job: Future) -> None:
    if job.exception() is not None:
        _log.error("unexpected error on the page", exc_info=job.exception())


def show(predictor: Predictor | None = None, preset: str | os.PathLike | None = None) -> None:
    """Show an :class:`UploadWidget` below the notebook's cell.

    Args:
        predictor: as for :class:`UploadWidget`.
        preset: as for :class:`UploadWidget`.
    """
    from IPython.display import display

    display(UploadWidget(predictor, preset))


def opened(preset: str | os.PathLike | None) -> Predictor:
    """The predictor of a preset or folder, of the environment variable, or the default one."""
    return Predictor.open(preset or os.environ.get(BUNDLE_VARIABLE) or None)


def _warm_up(predictor: Predictor) -> None:
    """Analyse one second of noise, since the first answer of a network is slow."""
    noise = np.random.default_rng(0).normal(size=_WARM_RATE).astype(np.float32) / 10
    for _ in work_out(predictor, "", wav(Recording(noise, _WARM_RATE, _WARM_RATE, 1, "noise"))):
        pass


def _files(value: Mapping | Sequence) -> list[tuple[str, bytes]]:
    """Names and contents in ``FileUpload.value``: a mapping in ipywidgets 7, a tuple in 8."""
    if isinstance(value, Mapping):
        return [(name, bytes(file["content"])) for name, file in value.items()]
    return [(file["name"], bytes(file["content"])) for file in value]
