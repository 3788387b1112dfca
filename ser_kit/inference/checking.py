"""How unlike the training data of a predictor recordings without labels are, and how certain its answers.

Nothing here says how many answers are right: that takes labels (``ser-kit evaluate``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..audio.recording import Recording, Source, read_audio
from ..core.errors import ForkedError
from ..core.parallel import ahead
from . import speech_check
from .pieces import path_of
from .prediction import Failure
from .predictor import Predictor

NARROW_HZ = 5000.0
"""Recordings with nothing above this frequency are narrow-band, such as those of telephones (3.4 or 4 kHz).
The corpora that the presets are trained on reach 7 kHz or more."""
NOISY_DB = 20.0
"""Difference between loud and quiet moments below which a recording is noisy, or has no pauses."""
QUIET_DBFS = -45.0
"""Level of loud moments below which a recording is too quiet for its resolution to be sure of."""
CLIPPED_SHARE = 1e-3
"""Share of samples at the limit of the scale above which a recording is distorted."""
SHORT_SECONDS, LONG_SECONDS = 0.8, 15.0
"""Shorter recordings hold a word, longer ones several utterances, whose emotions are averaged."""
FAR = 0.6
"""Sharpness (:class:`ser_kit.bundles.Places`) below which a recording is far from the training recordings: it
is about 1 for recordings of other corpora, and falls in proportion to the squared distance."""
MANY = 0.2
"""Share of recordings from which a finding or an advice names the whole folder."""

_FRAME_SECONDS = 0.025
_BAND_DB = 50.0  # below the loudest frequencies; what is lower counts as nothing
_TINY = 1e-6


@dataclass(frozen=True)
class Checked:
    """Measurements of one recording, and its answer.

    Args:
        path: path of the recording, or ``""``.
        seconds: duration.
        rate: sampling rate of the file (Hz).
        band: highest frequency that it holds (Hz), up to 8 kHz.
        level: level of loud moments (dB below full scale, negative).
        range: difference between loud and quiet moments (dB): about the ratio of speech to noise.
        clipped: share of samples at the limit of the scale, 0..1.
        nearness: sharpness of :class:`ser_kit.bundles.Places`: about 1 for what resembles the training
            recordings or those of other corpora, lower the farther it is; 1 where it is not measured.
        resembles: training corpus that the recording resembles, or ``""``.
        emotion: the answer.
        confidence: its probability, 0..1.
        certain: whether the answer is certain.
        reason: why it is not certain, or ``""``.
        unlike: in what the recording is unlike the training recordings: ``"narrow band"``, ``"noise"``,
            ``"quiet"``, ``"clipping"``, ``"short"``, ``"long"``, ``"distance"``, ``"no speech"``.
    """

    path: str
    seconds: float
    rate: int
    band: float
    level: float
    range: float
    clipped: float
    nearness: float
    resembles: str
    emotion: str
    confidence: float
    certain: bool
    reason: str
    unlike: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        numbers = {key: round(value, 4) for key, value in asdict(self).items() if isinstance(value, float)}
        return asdict(self) | numbers | {"unlike": list(self.unlike)}


@dataclass(frozen=True)
class FolderCheck:
    """Result of :func:`check`.

    Args:
        recordings: the recordings that can be used.
        failures: those that cannot.
        findings: what is unlike the training recordings, in sentences.
        advice: what would help, in sentences.
    """

    recordings: tuple[Checked, ...]
    failures: tuple[Failure, ...]
    findings: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def certain(self) -> float:
        """Share of the recordings that are answered with certainty, 0..1; 0 where there are none."""
        return float(np.mean([each.certain for each in self.recordings])) if self.recordings else 0.0

    @property
    def unlike(self) -> dict[str, float]:
        """Share of recordings that are unlike the training recordings, for each way in which some are."""
        ways = [way for each in self.recordings for way in each.unlike]
        return {way: ways.count(way) / len(self.recordings) for way in dict.fromkeys(ways)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "recordings": len(self.recordings),
            "certain": round(self.certain, 4),
            "unlike": {way: round(share, 4) for way, share in self.unlike.items()},
            "findings": list(self.findings),
            "advice": list(self.advice),
            "files": [each.to_dict() for each in self.recordings],
            "failures": [each.to_dict() for each in self.failures],
        }


def check(
    predictor: Predictor,
    sources: Iterable[Source],
    *,
    jobs: int = 1,
    follow: Callable[[Iterator], Iterable] = iter,
) -> FolderCheck:
    """Compare recordings with what a predictor's bundle was trained on.

    Args:
        predictor: the predictor.
        sources: recordings, each as for :meth:`Predictor.predict`; labels are not needed.
        jobs: number of threads.
        follow: function of the results that returns them, for a progress bar.

    Examples:
        >>> found = check(Predictor.from_preset(), ["a.wav", "b.wav"])  # doctest: +SKIP
        >>> found.certain, found.unlike                                 # doctest: +SKIP
        (0.5, {'narrow band': 1.0})
    """

    def one(source: Source) -> Checked | Failure:
        try:
            return checked(predictor, source)
        except ForkedError:
            raise
        except Exception as error:  # any error of one recording; the others are checked
            return Failure.of(path_of(source), error)

    found = list(follow(ahead(one, sources, jobs) if jobs > 1 else map(one, sources)))
    recordings = tuple(each for each in found if isinstance(each, Checked))
    failures = tuple(each for each in found if isinstance(each, Failure))
    shares = FolderCheck(recordings, failures, (), ()).unlike
    card = predictor.bundle.card
    return FolderCheck(
        recordings,
        failures,
        tuple(_findings(recordings, shares, card)),
        tuple(_advice(recordings, shares, card)),
    )


def checked(predictor: Predictor, source: Source) -> Checked:
    """Measure one recording, and answer.

    Args:
        predictor: the predictor.
        source: as for :meth:`Predictor.predict`.

    Raises:
        AudioError: the recording cannot be read, is too short, or is silent.
    """
    native = read_audio(source)
    found = predictor.windowed(native)
    reason, weights = predictor.doubt(found), found.weights
    named = predictor.answers.named(found.probabilities)
    level, loudness_range = levels(native)
    measured = {
        "seconds": found.recording.duration,
        "band": highest_frequency(found.recording),
        "level": level,
        "range": loudness_range,
        "clipped": clipped_share(native),
        "nearness": float(weights @ np.array([each.sharpness for each in found.results])),
    }
    ways = _ways(measured) + (("no speech",) if speech_check.against(found.evidence, weights) else ())
    return Checked(
        path=path_of(source), rate=native.native_rate, resembles=found.results[int(weights.argmax())].corpus,
        emotion=named["emotion"], confidence=named["confidence"],
        certain=not reason, reason=reason, unlike=ways, **measured,
    )  # fmt: skip


def highest_frequency(recording: Recording) -> float:
    """Highest frequency (Hz, up to 8 kHz) at which a recording has at most 50 dB less than at its loudest."""
    samples = recording.at(speech_check.RATE)
    size = 1024
    samples = np.pad(samples, (0, max(0, size - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[:: size // 2] * np.hanning(size)
    power = np.square(np.abs(np.fft.rfft(frames, axis=1))).mean(axis=0)
    smooth = np.convolve(power, np.ones(9) / 9, "same")
    loud = np.flatnonzero(smooth > smooth.max() * 10 ** (-_BAND_DB / 10))
    return float(loud[-1] * speech_check.RATE / size)


def levels(recording: Recording) -> tuple[float, float]:
    """Level of loud moments (dB, full scale 0), and its difference from that of quiet ones (dB)."""
    frame = max(1, round(_FRAME_SECONDS * recording.rate))
    count = max(1, len(recording.samples) // frame)
    parts = recording.samples[: count * frame].reshape(count, -1)
    decibels = 10 * np.log10(np.mean(np.square(parts - parts.mean()), axis=1) + _TINY**2)
    quiet, loud = np.quantile(decibels, [0.05, 0.95])
    return float(loud), float(loud - quiet)


def clipped_share(recording: Recording) -> float:
    """Share of samples that repeat the largest amplitude of the recording, as clipped ones do; 0..1."""
    samples = np.abs(recording.samples)
    top = samples >= samples.max() - 1e-4
    return float(np.mean(top[1:] & top[:-1])) if len(samples) > 1 else 0.0


def _ways(measured: Mapping[str, float]) -> tuple[str, ...]:
    """In what a recording is unlike the training recordings."""
    tests = {
        "narrow band": measured["band"] < NARROW_HZ,
        "noise": measured["range"] < NOISY_DB,
        "quiet": measured["level"] < QUIET_DBFS,
        "clipping": measured["clipped"] > CLIPPED_SHARE,
        "short": measured["seconds"] < SHORT_SECONDS,
        "long": measured["seconds"] > LONG_SECONDS,
        "distance": measured["nearness"] < FAR,
    }
    return tuple(way for way, found in tests.items() if found)


_SENTENCES = {
    "narrow band": "hold nothing above {band:.1f} kHz (a telephone, or strong compression); the model was "
    "trained on recordings that reach 7 kHz or more",
    "noise": "have little difference between loud and quiet moments: noise, or no pauses",
    "quiet": "are very quiet",
    "clipping": "are clipped: recorded too loud",
    "short": f"are shorter than {SHORT_SECONDS} s: a word holds little of an emotion",
    "long": f"are longer than {LONG_SECONDS:.0f} s: they are cut into windows, whose answers are averaged",
    "distance": "are far from all recordings that the model was trained on",
    "no speech": "do not sound like speech",
}


def _findings(
    recordings: Sequence[Checked], shares: Mapping[str, float], card: Mapping[str, Any]
) -> Iterator[str]:
    """What is unlike the training recordings, the most frequent first."""
    count = len(recordings)
    for way, share in sorted(shares.items(), key=lambda each: -each[1]):
        band = np.median([each.band for each in recordings if way in each.unlike]) / 1000
        yield f"{round(share * count)} of {count} {_SENTENCES[way].format(band=band)}"
    alike = [each.resembles for each in recordings if each.resembles]
    for corpus in sorted(set(alike)):
        if alike.count(corpus) >= MANY * count:
            known_as = f"recordings of {corpus}, which the model was trained on"
            yield f"{alike.count(corpus)} of {count} resemble {known_as}"
    if known := _languages(card):
        yield (
            f"it is not known which language they are in; the model was trained on {', '.join(known)}, and "
            "other languages were not tested"
        )


def _languages(card: Mapping[str, Any]) -> list[str]:
    """Languages of the corpora that a bundle, or the one it started from, was trained on."""
    from .. import corpora

    trained = [*card.get("trained_on", ()), *card.get("started_from", {}).get("trained_on", ())]
    return corpora.languages(each["corpus"] for each in trained)


def _advice(
    recordings: Sequence[Checked], shares: Mapping[str, float], card: Mapping[str, Any]
) -> Iterator[str]:
    """What would help, the most useful first."""
    if not recordings:
        return
    certain = np.mean([each.certain for each in recordings])
    unlike = [way for way, share in shares.items() if share >= MANY]
    if {"narrow band", "noise", "clipping", "quiet", "short"} & {*unlike}:
        yield "record again where you can: 16 kHz or more, near the microphone, whole sentences"
    if card.get("voices"):
        yield (
            "several clips of one speaker: adapt to the voice without labels: ser-kit predict CLIPS "
            "--same-speaker"
        )
    if card.get("baseline"):
        yield "two or three neutral clips of the speaker: ser-kit predict RECORDING --enroll NEUTRAL_CLIPS"
    if certain < 0.5 or unlike:
        start = card.get("started_from", {}).get("name", "cross_corpus")
        yield (
            "label 30 clips or more, of several speakers if others are to be answered, and see whether "
            f"training on them helps: ser-kit train --from {start} --data LABELLED --out MODEL"
        )
    yield (
        "the accuracy cannot be measured without labels; with some: ser-kit evaluate BUNDLE "
        "--corpus folder:LABELLED"
    )
