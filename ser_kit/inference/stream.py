"""Emotion over time: of a stream while it comes in, or of a recording as a whole, with the same answers.

The last few seconds are judged at a fixed rate. Windows without speech have no answer; the answers of the others are
smoothed, so that one word does not turn the whole picture.

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

from ..audio.blocks import resampler
from ..audio.recording import SILENT_PEAK, Recording, Source, read_audio, to_mono
from ..bundles.adaptation import Adaptation
from ..core.errors import AudioError, LabelError, TooShortError
from ..features import MIN_SECONDS
from . import speech_check
from .prediction import Observation
from .predictor import BEYOND, Predictor

RATE = 16_000
"""Hz of a stream whose rate is not given."""
WINDOW_SECONDS, HOP_SECONDS, SMOOTHING_SECONDS = 3.0, 1.0, 2.0
_BLOCK_SECONDS = 3  # of a whole recording between two calls of who watches


@dataclass(frozen=True)
class Moment:
    """What the last seconds sound like.

    Args:
        start: of the window, s.
        end: of the window, s; what comes later is not known to this answer.
        emotion: the most probable label, ``""`` where nobody speaks, or where an emotion that the predictor's labels
            leave out is more probable.
        confidence: its smoothed probability, 0..1; 0 where there is no emotion.
        probabilities: label -> smoothed probability; empty where nobody speaks.
        reason: why nothing is answered, in a few words; ``""`` where something is.
        covered: probability that the emotion is one of the labels, as :attr:`ser_kit.inference.predictor.Prediction.covered`.
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
    """An emotion that lasts: it begins when its probability has been high for a while, and ends when it gets low.

    Args:
        emotion: a label that the predictor answers with.
        then: called with the alert and the moment, when it begins and when it ends; ``active`` tells which.
        above: probability from which the emotion counts as there, 0..1.
        below: probability under which it counts as over, at most ``above``; between the two nothing changes.
        seconds: how long it must have been there to begin. Moments in which nobody speaks change nothing.

    Examples:
        >>> alert = Alert("angry", then=lambda alert, moment: print(alert.active, moment.end), seconds=1)
        >>> for second, p in enumerate([0.9, 0.8, 0.6, 0.4]):
        ...     alert.hear(Moment(second, second + 1, "angry", p, {"angry": p}))
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
                f"an alert above {self.above:g}, below {self.below:g}, for {self.seconds:g} s makes no sense; expected "
                "0 <= below <= above <= 1 and no negative time"
            )

    def hear(self, moment: Moment) -> None:
        """Take in the next moment."""
        if not moment.probabilities:
            return
        p = moment.probabilities[self.emotion] * moment.covered
        if p < self.below:
            self._since = None
        elif p >= self.above and self._since is None:
            self._since = moment.end
        elif p < self.above and not self.active:
            self._since = None
        there = self._since is not None and (self.active or moment.end - self._since >= self.seconds)
        if there != self.active:
            self.active = there
            self.then(self, moment)


class StreamPredictor:
    """Judges sound while it comes in, in blocks of any size, with memory for one window only.

    Args:
        predictor: what to judge with; one that was enrolled on a speaker will do.
        rate: Hz of the blocks, 4,000 to 384,000.
        window: seconds that are judged at a time, 0.5 or more. Longer ones are surer and later.
        hop: seconds from one answer to the next, 0.05 or more and at most ``window``.
        smoothing: seconds after which an answer has lost two thirds of its weight in the smoothed one; 0 smooths
            nothing.
        alerts: told of every moment.
        adapt: get used to the voice on the way, as :meth:`ser_kit.Predictor.adapt` does: for streams of one person.
            Windows that do not overlap count as clips, each for its own answer too; :attr:`adaptation` holds what has
            been learned, which stays when the stream ends. It begins with what the predictor was adapted to, and gives
            up what it was enrolled with.

    Raises:
        AudioError: the rate or the times are out of range.
        BundleError: it is to adapt, and the bundle's card does not say how voices differ.
        LabelError: an alert is about an emotion that the predictor does not know.

    Examples:
        >>> import numpy as np
        >>> stream = StreamPredictor(Predictor.from_preset(), rate=16000)  # doctest: +SKIP
        >>> for block in np.zeros((100, 1600)):                            # doctest: +SKIP
        ...     for moment in stream.feed(block):
        ...         print(moment.end, moment.reason)
        3.0 silence
    """

    def __init__(
        self,
        predictor: Predictor,
        *,
        rate: int = RATE,
        window: float = WINDOW_SECONDS,
        hop: float = HOP_SECONDS,
        smoothing: float = SMOOTHING_SECONDS,
        alerts: Iterable[Alert] = (),
        adapt: bool = False,
    ):
        if not window >= 0.5 or not 0.05 <= hop <= window or smoothing < 0:
            raise AudioError(
                f"a window of {window:g} s every {hop:g} s, smoothed over {smoothing:g} s, cannot be judged; expected "
                "a window of 0.5 s or more, a hop of 0.05 s or more and at most the window, and no negative smoothing"
            )
        self.alerts = tuple(alerts)
        for alert in self.alerts:
            if alert.emotion not in predictor.labels:
                raise LabelError(f"an alert waits for {alert.emotion!r}; expected one of {', '.join(predictor.labels)}")
        self._predictor, self._rate, self._adapts = predictor.used_to(()) if adapt else predictor, rate, adapt
        # The rate that the bundle reads recordings at; their own, where its members want different ones.
        self._work_rate = predictor.bundle.rate or rate
        self._window, self._hop = round(window * self._work_rate), round(hop * self._work_rate)
        self._kept_share = np.exp(-hop / smoothing) if smoothing else 0.0
        self._begin()

    @property
    def adaptation(self) -> Adaptation | None:
        """What is known of the speaker by now; ``None`` for a predictor that neither was adapted nor adapts here."""
        return self._predictor.adaptation

    def _begin(self) -> None:
        self._resample = resampler(self._rate, self._work_rate)
        self._kept = np.zeros(0, np.float32)  # from the beginning of the next window on
        self._start = 0  # where that is, in samples
        self._smoothed: np.ndarray | None = None
        self._learned_to = 0  # end of the last window that was learned from, in samples

    def feed(self, block: np.ndarray) -> list[Moment]:
        """Take in the next samples.

        Args:
            block: ``[n]``, ``[n, channels]`` or ``[channels, n]``, integers or floats as for
                :func:`~ser_kit.audio.read_audio`; none at all will do.

        Returns:
            The moments that are complete now, often none.

        Raises:
            AudioError: the samples are not finite, or of no known scale.
        """
        return list(self._complete(self._resample(to_mono(block), False)))

    def flush(self) -> list[Moment]:
        """End the stream: judge what came since the last window, with a window that may be shorter; then begin anew."""
        found = list(self._complete(self._resample(np.zeros(0, np.float32), True)))
        told = self._window - self._hop if self._start else 0  # samples of what is kept that a window has held before
        if len(self._kept) - told >= MIN_SECONDS * self._work_rate:
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
        moment = self._judged(samples)
        for alert in self.alerts:
            alert.hear(moment)
        return moment

    def _judged(self, samples: np.ndarray) -> Moment:
        rate = self._work_rate
        start, end = self._start / rate, (self._start + len(samples)) / rate
        if np.abs(samples).max() <= SILENT_PEAK:
            return Moment(start, end, reason="silence")
        piece = Recording(samples, rate, self._rate, 1, "<stream>")
        judged = self._predictor.judge(piece)
        against = speech_check.against([judged.evidence])
        if against:
            return Moment(start, end, reason=f"no speech: {', '.join(against)}")
        if self._adapts and self._start >= self._learned_to:
            self._learned_to = self._start + len(samples)
            self._predictor = self._predictor.used_to([Observation.of(piece, judged)])
        said = self._predictor.adapted(judged.unadapted, judged.sharpness)
        if self._smoothed is not None:
            said = self._kept_share * self._smoothed + (1 - self._kept_share) * said
        self._smoothed = said
        named, covered = self._predictor.answers.named(said), self._predictor.answers.covered(said)
        if beyond := self._predictor.answers.beyond(said):
            named |= {"emotion": "", "confidence": 0.0, "reason": BEYOND.format(beyond)}
        return Moment(start, end, **named, covered=covered)


def timeline(
    predictor: Predictor, source: Source, *, watch: Callable[[float], object] | None = None, **settings: Any
) -> list[Moment]:
    """Emotion over time of a whole recording: what a stream of it gives.

    Args:
        predictor: what to judge with.
        source: as for :meth:`ser_kit.Predictor.predict`.
        watch: told now and then which share is done, as by :meth:`~ser_kit.Predictor.predict`; what it raises ends the
            work.
        settings: ``window``, ``hop``, ``smoothing``, ``alerts`` and ``adapt`` of :class:`StreamPredictor`. What the
            latter learns counts from there on; ``timeline(predictor.adapt([source]), source)`` knows the voice from
            the beginning.

    Returns:
        At least one moment; the last window may be shorter.

    Raises:
        AudioError: the recording cannot be read or is shorter than 0.1 s, or a setting is out of range.
    """
    recording = read_audio(source, rate=predictor.bundle.rate, watch=watch and partial(watch, 0.0))
    if recording.duration < MIN_SECONDS:
        raise TooShortError(f"{recording.name} lasts {recording.duration:.3f} s; expected {MIN_SECONDS} s or more")
    stream = StreamPredictor(predictor, rate=recording.rate, **settings)
    moments: list[Moment] = []
    block = _BLOCK_SECONDS * recording.rate
    for start in range(0, len(recording.samples), block):
        if watch is not None:
            watch(start / len(recording.samples))
        moments += stream.feed(recording.samples[start : start + block])
    return moments + stream.flush()
