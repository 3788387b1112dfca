"""Analyses one recording step by step, so that each part of the answer is shown as soon as it is ready."""

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
"""Media types and suffixes that the file dialog accepts, separated by commas."""
LARGEST_UPLOAD = 1 << 30
"""Maximum file size in bytes. The maximum duration is :data:`ser_kit.audio.MAX_SECONDS`."""
PLAYED_SECONDS = 600
"""Maximum duration in player and picture (s). The answer is always for the whole recording."""
RIBBON_FROM = 4.0
"""Recordings longer than this (s) show emotion over time."""

_log = logging.getLogger(__name__)


@dataclass
class Answer:
    """The answer for one file so far.

    Args:
        name: file name.
        result: the prediction; ``None`` until it is ready.
        parts: HTML of the parts of the card, ``head``, ``verdict``, ``picture``, ``ribbon`` and ``features``;
            and ``player``, the bytes of a WAV file.
        played: the audio in player and picture.
        moments: emotion over time of ``played``, one moment per second, not smoothed; ``None`` for short
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
    """Analyse one file; errors become part of the answer.

    Args:
        predictor: the predictor.
        name: file name.
        content: the bytes of the file, or the error of its upload.
        watch: called repeatedly with the progress, in [0, 1]. It may raise
            :class:`concurrent.futures.CancelledError`, which is passed on.
        known: returns the predictor for the speaker of a recording; by default the same one.

    Yields:
        The same answer after each part that is added.
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
    answer.parts["verdict"] = html.verdict(prediction, predictor.bundle.card)
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
    """Decode once for player, picture and model: the recording at the model's rate, and warnings."""
    if isinstance(content, AudioError):
        raise content
    if len(content) > LARGEST_UPLOAD:
        raise too_large(name, len(content))
    file = io.BytesIO(content)
    file.name = name  # for error messages
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", TruncatedAudioWarning)
        warnings.simplefilter("ignore", SilentAudioWarning)  # the predictor refuses silence
        recording = read_audio(file, sr=rate, watch=lambda: watch(0.0))
    return recording, [str(w.message) for w in caught if issubclass(w.category, TruncatedAudioWarning)]


def too_large(name: str, size: int) -> AudioError:
    """The error for a file of ``size`` bytes."""
    return AudioError(
        f"{name} has {size >> 20:,} MiB; expected at most {LARGEST_UPLOAD >> 20:,}: "
        "split it, or save it as FLAC or MP3"
    )


def _beginning(recording: Recording) -> Recording:
    if recording.duration <= PLAYED_SECONDS:
        return recording
    # A copy: a view would keep the whole array in memory.
    return replace(recording, samples=recording.samples[: PLAYED_SECONDS * recording.rate].copy())


def wav(recording: Recording) -> bytes:
    """Encode as a 16-bit WAV file."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, recording.samples, recording.rate, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def plain(error: Exception) -> str:
    """The message of an error. Errors other than ser_kit's are bugs; their traceback is logged."""
    if isinstance(error, SerKitError):
        return str(error)
    _log.error("unexpected error", exc_info=error)
    return f"internal error in ser_kit ({type(error).__name__}: {error}); please report it"
