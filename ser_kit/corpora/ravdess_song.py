"""RAVDESS, song: 23 of the 24 actors (18 did not sing), two sentences sung in six emotions (1,012 clips).

Livingstone & Russo (2018), as for the speech part; the names follow the same scheme with vocal channel 02.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import ravdess

NAME = "ravdess_song"
SPEAKERS_OF = ravdess.NAME  # the same actors: who speaks in the one is no unseen speaker in the other
SLUG = "ravdess-emotional-song-audio"
KAGGLE_HANDLE = "uwrfkaggler/ravdess-emotional-song-audio/versions/1"
HOMEPAGE = ravdess.HOMEPAGE
LICENSE = ravdess.LICENSE
LANGUAGE = ravdess.LANGUAGE
BIBTEX = ravdess.BIBTEX
EXPECTED = {"neutral": 92} | dict.fromkeys(("calm", "happy", "sad", "angry", "fear"), 184)
KNOWN_BAD: dict[str, str] = {}


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name.

    Examples:
        >>> parse("03-02-02-01-01-02-09.wav")["emotion"]
        'calm'
    """
    return ravdess.parse_channel(NAME, filename, channel="02")


def index() -> Iterator[str]:
    """Names of all clips."""
    return ravdess.index_channel("02", range(1, 7), (actor for actor in range(1, 25) if actor != 18))
