"""A recording in pieces: windows of a long one, and clips of a speaker."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..audio.recording import Recording
from ..bundles.card import LONGEST
from ..features import MIN_SECONDS
from . import speech_check

LONG_SECONDS = LONGEST
"""Recordings longer than this are judged window by window."""
WINDOW_SECONDS = 4.0
"""About the length of the utterances that corpora hold."""


def watched(pieces: Sequence[tuple], watch: Callable[[float], object] | None) -> Iterator[tuple]:
    """The windows one by one; before each, whoever watches is told which share is done."""
    for place, piece in enumerate(pieces):
        if watch is not None:
            watch(place / len(pieces))
        yield piece


def report_part(watch: Callable[[float], object], place: int, count: int, share: float) -> None:
    """Say how far the whole is, where one of its parts is so far."""
    watch((place + share) / count)


def spread(things: list, most: int) -> list:
    """All of them, or so many from beginning to end."""
    if len(things) <= most:
        return things
    return [things[place] for place in np.linspace(0, len(things) - 1, most).round().astype(int)]


def digest(piece: Recording) -> str:
    """A digest of the samples."""
    return hashlib.blake2b(piece.samples, digest_size=16).hexdigest()


def voiced_shares(evidence: Sequence[speech_check.Evidence]) -> np.ndarray:
    """How much each window counts: by how much of it is voiced; they add up to 1."""
    voiced = np.array([piece.voiced for piece in evidence])
    voiced = voiced if voiced.any() else np.ones(len(voiced))
    return voiced / voiced.sum()


def cut(recording: Recording) -> list[tuple[float, Recording]]:
    """``(start, piece)`` of equal length, the whole recording where it is short."""
    if recording.duration < MIN_SECONDS:
        return []
    if recording.duration <= LONG_SECONDS:
        return [(0.0, recording)]
    count = int(np.ceil(recording.duration / WINDOW_SECONDS))
    edges = np.linspace(0, len(recording.samples), count + 1).astype(int)
    return [
        (
            float(start / recording.rate),
            replace(recording, samples=recording.samples[start:end]),
        )
        for start, end in zip(edges[:-1], edges[1:], strict=True)
    ]
