"""Cut long recordings into windows, and weight the windows."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from ..audio.recording import SILENT_PEAK, Excerpt, Recording, Source, read_audio
from ..bundles.card import LONGEST
from ..core.errors import AudioError, SilentAudioWarning, TooShortError
from ..features import MIN_SECONDS
from . import speech_check

Watch = Callable[[float], object] | None

LONG_SECONDS = LONGEST
"""Longer recordings are classified in windows (s)."""
WINDOW_SECONDS = 4.0
"""Length of a window (s): about that of an utterance in the corpora."""


def watched(pieces: Sequence[tuple], watch: Watch) -> Iterator[tuple]:
    """Yield the windows; before each, call ``watch`` with the share that is done, 0..1."""
    for place, piece in enumerate(pieces):
        if watch is not None:
            watch(place / len(pieces))
        yield piece


def report_part(watch: Callable[[float], object], place: int, count: int, share: float) -> None:
    """Call ``watch`` with the share of the whole, from the share of part ``place`` of ``count``."""
    watch((place + share) / count)


def spread(things: list, most: int) -> list:
    """At most ``most`` of the things, evenly spaced from first to last."""
    if len(things) <= most:
        return things
    return [things[place] for place in np.linspace(0, len(things) - 1, most).round().astype(int)]


def digest(piece: Recording) -> str:
    """Hexadecimal digest of the samples."""
    return hashlib.blake2b(piece.samples, digest_size=16).hexdigest()


def voiced_shares(evidence: Sequence[speech_check.Evidence]) -> np.ndarray:
    """Weight of each window, proportional to its voiced share; the weights sum to 1."""
    voiced = np.array([piece.voiced for piece in evidence])
    voiced = voiced if voiced.any() else np.ones(len(voiced))
    return voiced / voiced.sum()


def cut(recording: Recording) -> list[tuple[float, Recording]]:
    """Cut a recording into windows of equal length; a short one stays whole.

    Returns:
        ``(start, window)``, the start in seconds; empty where the recording is too short.
    """
    if recording.duration < MIN_SECONDS:
        return []
    if recording.duration <= LONG_SECONDS:
        return [(0.0, recording)]
    count = int(np.ceil(recording.duration / WINDOW_SECONDS))
    edges = np.linspace(0, len(recording.samples), count + 1).astype(int)
    return [
        (float(start / recording.rate), replace(recording, samples=recording.samples[start:end]))
        for start, end in zip(edges[:-1], edges[1:], strict=True)
    ]


def windows(
    source: Source, rate: int | None, watch: Watch
) -> tuple[Recording, list[tuple[float, Recording]]]:
    """Read a recording and cut it into windows.

    Args:
        source: as for :func:`~ser_kit.audio.read_audio`.
        rate: sampling rate (Hz); ``None`` keeps that of the recording.
        watch: called during reading with 0.0; an exception raised in it stops the reading.

    Returns:
        The recording, and its windows that are not silent as ``(start in seconds, window)``, at least one.

    Raises:
        AudioError: the recording cannot be read, is too short, or is silent.
    """
    with warnings.catch_warnings():
        # Silence raises an error below. A truncated file is used as far as it goes.
        warnings.simplefilter("ignore", SilentAudioWarning)
        recording = read_audio(source, sr=rate, watch=watch and partial(watch, 0.0))
    found = [(start, piece) for start, piece in cut(recording) if np.abs(piece.samples).max() > SILENT_PEAK]
    if not found:
        name, seconds = recording.name or "the recording", recording.duration
        if seconds < MIN_SECONDS:
            raise TooShortError(f"{name} lasts {seconds:.3f} s; expected {MIN_SECONDS} s or more")
        raise AudioError(f"{name} is silent; expected a recording with speech in it")
    return recording, found


def path_of(source: Source) -> str:
    """Path of a source, or ``""`` where it has none."""
    if isinstance(source, Excerpt):
        return str(source)
    return os.fspath(source) if isinstance(source, str | os.PathLike) else ""
