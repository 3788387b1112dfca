"""Emotion over time, of a live stream or of a whole recording, with the same results.

The last few seconds are classified at a fixed rate. Windows without speech have no emotion; the probabilities
of the others are smoothed over time.

Examples:
    >>> from ser_kit import Predictor
    >>> from ser_kit.inference.stream import StreamPredictor, timeline
    >>> for moment in timeline(Predictor.from_preset(), "talk.wav"):  # doctest: +SKIP
    ...     print(f"{moment.end:.1f} s  {moment.emotion}")
    3.0 s  neutral
    4.0 s  happy
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .. import _old_names
from ..audio.blocks import resampler
from ..audio.recording import SILENT_PEAK, Recording, Source, read_audio, to_mono
from ..bundles.adaptation import Adaptation
from ..core.errors import AudioError, LabelError, TooShortError
from ..features import MIN_SECONDS
from . import speech_check
from .answers import BEYOND
from .pieces import Watch
from .prediction import Observation
from .predictor import Predictor

RATE = 16_000
"""Default sampling rate of a stream (Hz)."""
WINDOW_SECONDS, HOP_SECONDS, SMOOTHING_SECONDS = 3.0, 1.0, 2.0
_BLOCK_SECONDS = 3  # of a whole recording between two calls of ``watch``


@dataclass(frozen=True)
class Moment:
    """Emotion of one window of a stream.

    Args:
        start: start of the window (s).
        end: end of the window (s); later samples are not used.
        emotion: the most probable label; ``""`` without speech, or where an emotion that the predictor's
            labels leave out is more probable.
        confidence: its smoothed probability, 0..1; 0 if there is no emotion.
        probabilities: label -> smoothed probability; empty without speech.
        reason: why there is no emotion; ``""`` if there is one.
        covered: probability that the emotion is one of the labels, see
            :attr:`ser_kit.inference.predictor.Prediction.covered`.
    """

    start: float
    end: float
    emotion: str = ""
    confidence: float = 0.0
    probabilities: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    covered: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """The moment as plain values, ready for JSON."""
        rounded = {label: round(p, 6) for label, p in self.probabilities.items()}
        return asdict(self) | {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "confidence": round(self.confidence, 6),
            "probabilities": rounded,
            "covered": round(self.covered, 6),
        }


@dataclass
class Alert:
    """Calls a function when an emotion lasts, with a minimum duration and hysteresis.

    Args:
        emotion: one of the predictor's labels.
        then: called with the alert and the moment at onset and offset; ``active`` is true at onset.
        above: onset threshold of the probability, 0..1.
        below: offset threshold of the probability, at most ``above``.
        seconds: minimum duration (s) before onset. Moments without speech are ignored.

    Examples:
        >>> alert = Alert("angry", then=lambda alert, moment: print(alert.active, moment.end), seconds=1)
        >>> for second, p in enumerate([0.9, 0.8, 0.6, 0.4]):
        ...     alert.update(Moment(second, second + 1, "angry", p, {"angry": p}))
        True 2
        False 4
    """

    emotion: str
    then: Callable[[Alert, Moment], None]
    above: float = 0.7
    below: float = 0.5
    seconds: float = 2.0
    active: bool = field(default=False, init=False)
    _since: float | None = field(default=None, init=False, repr=False)

    def __post_init__(self):
        if not 0 <= self.below <= self.above <= 1 or self.seconds < 0:
            raise AudioError(
                f"invalid alert: above={self.above:g}, below={self.below:g}, seconds={self.seconds:g}; "
                "expected 0 <= below <= above <= 1 and seconds >= 0"
            )

    def update(self, moment: Moment) -> None:
        """Process the next moment."""
        if not moment.probabilities:
            return
        p = moment.probabilities[self.emotion] * moment.covered
        if p < self.below:
            self._since = None
        elif p >= self.above and self._since is None:
            self._since = moment.end
        elif p < self.above and not self.active:
            self._since = None
        active = self._since is not None and (self.active or moment.end - self._since >= self.seconds)
        if active != self.active:
            self.active = active
            self.then(self, moment)

    hear = _old_names.Renamed("update")


class StreamPredictor:
    """Predicts the emotion of a live stream, in blocks of any size, with memory for one window only.

    Args:
        predictor: the predictor; it may be enrolled or adapted to a speaker.
        sr: sampling rate of the blocks (Hz), 4,000 to 384,000.
        window: window length (s), 0.5 or more. Longer windows are more accurate and react later.
        hop: time between predictions (s), 0.05 or more and at most ``window``.
        smoothing: time constant of the exponential smoothing (s); 0 turns it off.
        alerts: alerts that receive every moment.
        adapt: adapt to the speaker during the stream, see :meth:`ser_kit.Predictor.adapt`; for streams of one
            speaker. Windows that do not overlap count as clips, and each adapts its own prediction as well.
            The adaptation continues from that of the predictor and is kept when the stream ends
            (:attr:`adaptation`); an enrolment is dropped.

    Raises:
        AudioError: the rate or the times are out of range.
        BundleError: ``adapt`` is true, and the bundle's card has no speaker statistics.
        LabelError: the emotion of an alert is not among the predictor's labels.

    Examples:
        >>> import numpy as np
        >>> stream = StreamPredictor(Predictor.from_preset(), sr=16000)  # doctest: +SKIP
        >>> for block in np.zeros((100, 1600)):                          # doctest: +SKIP
        ...     for moment in stream.feed(block):
        ...         print(moment.end, moment.reason)
        3.0 silence
    """

    @_old_names.keywords(rate="sr")
    def __init__(
        self,
        predictor: Predictor,
        *,
        sr: int = RATE,
        window: float = WINDOW_SECONDS,
        hop: float = HOP_SECONDS,
        smoothing: float = SMOOTHING_SECONDS,
        alerts: Iterable[Alert] = (),
        adapt: bool = False,
    ):
        if not window >= 0.5 or not 0.05 <= hop <= window or smoothing < 0:
            raise AudioError(
                f"window={window:g} s, hop={hop:g} s, smoothing={smoothing:g} s is out of range; expected "
                "window >= 0.5 s, 0.05 s <= hop <= window and smoothing >= 0 s"
            )
        self.alerts = tuple(alerts)
        for alert in self.alerts:
            if alert.emotion not in predictor.labels:
                known = ", ".join(predictor.labels)
                raise LabelError(f"unknown emotion {alert.emotion!r} in an alert; expected one of {known}")
        self._predictor = predictor.with_observations(()) if adapt else predictor
        self._rate, self._adapts = sr, adapt
        # The bundle's rate; the stream's own where the members of the bundle need different rates.
        self._work_rate = predictor.bundle.rate or sr
        self._window, self._hop = round(window * self._work_rate), round(hop * self._work_rate)
        self._kept_share = np.exp(-hop / smoothing) if smoothing else 0.0
        self._begin()

    @property
    def adaptation(self) -> Adaptation | None:
        """The current adaptation to the speaker; ``None`` if the predictor is not adapted."""
        return self._predictor.adaptation

    def _begin(self) -> None:
        self._resample = resampler(self._rate, self._work_rate)
        self._kept = np.zeros(0, np.float32)  # samples from the start of the next window
        self._start = 0  # start of the next window, in samples
        self._smoothed: np.ndarray | None = None
        self._adapted_to = 0  # end of the last window used to adapt, in samples

    def feed(self, block: np.ndarray) -> list[Moment]:
        """Process the next samples.

        Args:
            block: ``[n]``, ``[n, channels]`` or ``[channels, n]``, integers or floats as for
                :func:`~ser_kit.audio.read_audio`; may be empty.

        Returns:
            The moments that are now complete, often none.

        Raises:
            AudioError: the samples are not finite, or their scale is unknown.
        """
        return list(self._complete(self._resample(to_mono(block), False)))

    def flush(self) -> list[Moment]:
        """End the stream with a last window, which may be shorter, and reset.

        Returns:
            The remaining moments; there is no last window if less than 0.1 s is new.
        """
        found = list(self._complete(self._resample(np.zeros(0, np.float32), True)))
        used = self._window - self._hop if self._start else 0  # samples of earlier windows
        if len(self._kept) - used >= MIN_SECONDS * self._work_rate:
            found.append(self._next(self._kept))
        self._begin()
        return found

    def _complete(self, samples: np.ndarray) -> Iterator[Moment]:
        self._kept = np.concatenate([self._kept, samples])
        begin = 0
        while begin + self._window <= len(self._kept):
            yield self._next(self._kept[begin : begin + self._window])
            begin += self._hop
            self._start += self._hop
        self._kept = self._kept[begin:].copy()

    def _next(self, samples: np.ndarray) -> Moment:
        moment = self._answer(samples)
        for alert in self.alerts:
            alert.update(moment)
        return moment

    def _answer(self, samples: np.ndarray) -> Moment:
        rate = self._work_rate
        start, end = self._start / rate, (self._start + len(samples)) / rate
        if np.abs(samples).max() <= SILENT_PEAK:
            return Moment(start, end, reason="silence")
        piece = Recording(samples, rate, self._rate, 1, "<stream>")
        found = self._predictor.predict_window(piece)
        against = speech_check.against([found.evidence])
        if against:
            return Moment(start, end, reason=f"no speech: {', '.join(against)}")
        if self._adapts and self._start >= self._adapted_to:
            self._adapted_to = self._start + len(samples)
            self._predictor = self._predictor.with_observations([Observation.of(piece, found)])
        smoothed = self._predictor.adapted(found.unadapted, found.sharpness)
        if self._smoothed is not None:
            smoothed = self._kept_share * self._smoothed + (1 - self._kept_share) * smoothed
        self._smoothed = smoothed
        answers = self._predictor.answers
        named = answers.named(smoothed)
        if beyond := answers.beyond(smoothed):
            named |= {"emotion": "", "confidence": 0.0, "reason": BEYOND.format(beyond)}
        return Moment(start, end, **named, covered=answers.covered(smoothed))


def timeline(predictor: Predictor, source: Source, *, watch: Watch = None, **settings: Any) -> list[Moment]:
    """Emotion over time of a whole recording, as :class:`StreamPredictor` gives it.

    Args:
        predictor: the predictor.
        source: as for :meth:`ser_kit.Predictor.predict`.
        watch: called with the share that is done, 0..1; an exception raised in it stops the work.
        settings: ``window``, ``hop``, ``smoothing``, ``alerts`` and ``adapt`` of :class:`StreamPredictor`.
            With ``adapt``, the adaptation grows during the recording;
            ``timeline(predictor.adapt([source]), source)`` is adapted from the beginning.

    Returns:
        At least one moment; the last window may be shorter.

    Raises:
        AudioError: the recording cannot be read or is shorter than 0.1 s, or a setting is out of range.
    """
    recording = read_audio(source, sr=predictor.bundle.rate, watch=watch and partial(watch, 0.0))
    if recording.duration < MIN_SECONDS:
        raise TooShortError(
            f"{recording.name} lasts {recording.duration:.3f} s; expected {MIN_SECONDS} s or more"
        )
    stream = StreamPredictor(predictor, sr=recording.rate, **settings)
    moments: list[Moment] = []
    block = _BLOCK_SECONDS * recording.rate
    for start in range(0, len(recording.samples), block):
        if watch is not None:
            watch(start / len(recording.samples))
        moments += stream.feed(recording.samples[start : start + block])
    return moments + stream.flush()
