"""One recording, worked out piece by piece, so that each piece can be shown as soon as it is there."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, field, replace

from ..audio.recording import Recording, read_audio
from ..core.errors import AudioError, SerKitError, SilentAudioWarning, TruncatedAudioWarning
from ..inference.prediction import Failure, Prediction
from ..inference.predictor import Predictor
from ..inference.stream import Moment, timeline
from . import html, picture

ACCEPTED = (
    "audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.m4a,.aac,.mp4,.webm,"
    ".aif,.aiff,.au,.caf,.w64,.wma,.3gp,.amr,.ac3"
)
"""What the page's file dialog offers: media types and suffixes, with commas."""
LARGEST_UPLOAD = 1 << 30
"""Most bytes of a file; its most seconds are :data:`ser_kit.audio.MAX_SECONDS`."""
PLAYED_SECONDS = 600
"""Seconds of a recording in player and picture. The answer is always that of the whole recording."""
RIBBON_FROM = 4.0
"""Recordings longer than this, in seconds, show their emotion over time."""

_log = logging.getLogger(__name__)


@dataclass
class Answer:
    """What is known of one file.

    Args:
        name: the file's.
        result: the prediction, as soon as there is one.
        parts: what to show, HTML by its place on the card: ``head``, ``verdict``, ``picture``, ``ribbon``,
            ``features``; and ``player``, the bytes of a WAV file.
        played: the sound that the player and the picture hold.
        moments: emotion over time of what is played, one moment a second, not smoothed; ``None`` for short
            recordings.
    """

    name: str
    result: Prediction | Failure | None = None
    parts: dict[str, str | bytes] = field(default_factory=dict)
    played: Recording | None = None
    moments: list[Moment] | None = None


def work_out(
    predictor: Predictor,
    name: str,
    content: bytes | AudioError,
    watch: Callable[[float], object] = lambda share: None,
    known: Callable[[Predictor, Recording], Predictor] = lambda predictor, recording: predictor,
) -> Iterator[Answer]:
    """An answer that grows: it is given again after each piece that is added.

    Errors become part of the answer.

    Args:
        predictor: gives the answer.
        name: of the file.
        content: its bytes, or the error that kept them from coming.
        watch: called now and then with the share of the work that is done. It may raise
            :class:`concurrent.futures.CancelledError`, which is passed on.
        known: gives the predictor for the speaker of a recording; by default the same one.
    """
    answer = Answer(name)
    try:
        yield from _pieces(predictor, answer, content, watch, known)
    except CancelledError:
        raise
    except Exception as error:
        answer.result = Failure(name, plain(error))
        answer.parts = {"head": html.failure(answer.result)}
        answer.played = answer.moments = None
        yield answer


def _pieces(
    predictor: Predictor,
    answer: Answer,
    content: bytes | AudioError,
    watch: Callable[[float], object],
    known: Callable[[Predictor, Recording], Predictor],
) -> Iterator[Answer]:
    recording, notes = _read(answer.name, content, predictor.bundle.rate, watch)
    answer.played = beginning = _beginning(recording)
    answer.parts["head"] = html.head(answer.name, recording, notes, beginning.duration)
    answer.parts["player"] = wav(beginning)
    answer.parts["picture"] = picture.picture(answer.name, beginning)
    yield answer

    predictor = known(predictor, recording)
    prediction = replace(
        predictor.predict(recording, watch=lambda share: watch(0.4 * share)), path=answer.name
    )
    answer.result = prediction
    answer.parts["verdict"] = html.verdict(prediction)
    yield answer

    if recording.duration > RIBBON_FROM:
        # Smoothing would let each emotion appear late.
        answer.moments = timeline(
            predictor, beginning, smoothing=0, watch=lambda share: watch(0.4 + 0.3 * share)
        )
        answer.parts["ribbon"] = picture.ribbon(prediction, answer.moments, beginning.duration)
        yield answer

    measured = predictor.measure(recording, watch=lambda share: watch(0.7 + 0.3 * share))
    answer.parts["features"] = html.features(prediction, measured, predictor.bundle.card)
    yield answer


def _read(
    name: str, content: bytes | AudioError, rate: int, watch: Callable[[float], object]
) -> tuple[Recording, list[str]]:
    """The recording at the model's rate, decoded once for player, picture and model; and warnings."""
    if isinstance(content, AudioError):
        raise content
    if len(content) > LARGEST_UPLOAD:
        raise too_large(name, len(content))
    file = io.BytesIO(content)
    file.name = name  # what messages call it
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TruncatedAudioWarning)
        warnings.simplefilter("ignore", SilentAudioWarning)  # the predictor refuses silence
        recording = read_audio(file, rate=rate, watch=lambda: watch(0.0))
    return recording, [str(w.message) for w in caught if issubclass(w.category, TruncatedAudioWarning)]


def too_large(name: str, size: int) -> AudioError:
    """The error for a file of so many bytes."""
    return AudioError(
        f"{name} has {size >> 20:,} MiB; expected at most {LARGEST_UPLOAD >> 20:,}: "
        "cut it into parts, or save it as FLAC or MP3"
    )


def _beginning(recording: Recording) -> Recording:
    if recording.duration <= PLAYED_SECONDS:
        return recording
    # A copy: a part of the array would keep the whole of it.
    return replace(recording, samples=recording.samples[: PLAYED_SECONDS * recording.rate].copy())


def wav(recording: Recording) -> bytes:
    """A WAV file of 16 bits."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, recording.samples, recording.rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def plain(error: Exception) -> str:
    """The message of an error. One that is not ser_kit's is a bug, and its traceback is logged."""
    if isinstance(error, SerKitError):
        return str(error)
    _log.error("unexpected error", exc_info=error)
    return f"something went wrong inside ser_kit ({type(error).__name__}: {error}); please report it"
