"""RAVDESS, speech: 24 Canadian actors, two sentences, eight emotions at two intensities (1,440 clips).

Livingstone & Russo (2018), The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 13(5),
e0196391. A name is seven two-digit fields: modality, vocal channel, emotion, intensity, statement,
repetition, actor.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from .base import name_error, stem

NAME = "ravdess"
SLUG = "ravdess-emotional-speech-audio"
KAGGLE_HANDLE = "uwrfkaggler/ravdess-emotional-speech-audio/versions/1"
HOMEPAGE = "https://zenodo.org/records/1188976"
LICENSE = "CC BY-NC-SA 4.0"
LANGUAGE = "en"
BIBTEX = """@article{livingstone2018ravdess,
  author = {Livingstone, Steven R. and Russo, Frank A.},
  title = {The {Ryerson} {Audio-Visual} {Database} of {Emotional} {Speech} and {Song} ({RAVDESS})},
  journal = {PLoS ONE}, volume = {13}, number = {5}, pages = {e0196391}, year = {2018},
  doi = {10.1371/journal.pone.0196391}
}"""
EXPECTED = {"neutral": 96} | dict.fromkeys(
    ("calm", "happy", "sad", "angry", "fear", "disgust", "surprised"), 192
)
KNOWN_BAD: dict[str, str] = {}
KNOWN_DUPLICATES = {"03-01-03-01-02-02-07": "03-01-03-01-02-01-07"}

_EMOTIONS = {
    "01": ("neutral", "neutral"), "02": ("calm", "calm"), "03": ("happy", "happy"), "04": ("sad", "sad"),
    "05": ("angry", "angry"), "06": ("fear", "fearful"), "07": ("disgust", "disgust"),
    "08": ("surprised", "surprised"),
}  # fmt: skip
_INTENSITIES = {"01": "normal", "02": "strong"}
_STATEMENTS = {"01": "kids", "02": "dogs"}
_CHANNELS = {"01": "speech", "02": "song"}


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name.

    Examples:
        >>> fields = parse("Actor_12/03-01-06-02-02-01-12.wav")
        >>> fields["emotion"], fields["intensity"], fields["speaker"], fields["sex"]
        ('fear', 'strong', '12', 'female')
    """
    return parse_channel(NAME, filename, channel="01")


def parse_channel(corpus: str, filename: str, channel: str) -> dict[str, str]:
    """Fields read from a name, for the speech (``"01"``) or the song channel (``"02"``) of the database."""

    def wrong(why: str):
        return name_error(corpus, filename, why, f"03-{channel}-05-01-02-01-12.wav")

    parts = stem(filename).split("-")
    if len(parts) != 7 or any(len(p) != 2 or not (p.isascii() and p.isdigit()) for p in parts):
        raise wrong("it should be seven two-digit numbers joined by hyphens")
    modality, vocal, emotion, intensity, statement, repetition, actor = parts
    if modality != "03":
        raise wrong(f"modality {modality} is not 03, audio only")
    if vocal != channel:
        raise wrong(f"vocal channel {vocal} is not {channel}, {_CHANNELS[channel]}")
    if emotion not in _EMOTIONS or (channel == "02" and emotion > "06"):
        raise wrong(f"emotion {emotion} is not one of 01 to {'08' if channel == '01' else '06'}")
    if intensity not in _INTENSITIES or (emotion == "01" and intensity == "02"):
        raise wrong(f"intensity {intensity} is not 01 (normal) or 02 (strong, which neutral does not have)")
    if statement not in _STATEMENTS or repetition not in ("01", "02"):
        raise wrong(f"statement {statement} or repetition {repetition} is not 01 or 02")
    if not 1 <= int(actor) <= 24:
        raise wrong(f"actor {actor} is not one of 01 to 24")
    canonical, native = _EMOTIONS[emotion]
    return {
        "speaker": actor,
        "sex": "male" if int(actor) % 2 else "female",
        "emotion": canonical,
        "native_emotion": native,
        "intensity": _INTENSITIES[intensity],
        "text_id": _STATEMENTS[statement],
    }


def index() -> Iterator[str]:
    """Names of all clips."""
    return index_channel("01", range(1, 9), range(1, 25))


def index_channel(channel: str, emotions: range, actors) -> Iterator[str]:
    """Names of all clips of one vocal channel."""
    for actor, emotion, intensity, statement, take in product(actors, emotions, (1, 2), (1, 2), (1, 2)):
        if emotion > 1 or intensity == 1:  # neutral has one intensity
            yield f"03-{channel}-{emotion:02d}-{intensity:02d}-{statement:02d}-{take:02d}-{actor:02d}"
