"""EMO-DB: ten German actors, ten sentences, seven emotions (535 clips).

Burkhardt, Paeschke, Rolfes, Sendlmeier & Weiss (2005), A database of German emotional speech, Interspeech,
1517-1520. A name is speaker, sentence, the first letter of the emotion in German, and a letter for the
version.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib import resources

from .base import name_error, stem

NAME = "emodb"
SLUG = "berlin-database-of-emotional-speech-emodb"
KAGGLE_HANDLE = "piyushagni5/berlin-database-of-emotional-speech-emodb/versions/1"
HOMEPAGE = "http://emodb.bilderbar.info/"
LICENSE = "CC BY 4.0"
LANGUAGE = "de"
BIBTEX = """@inproceedings{burkhardt2005emodb,
  author = {Burkhardt, Felix and Paeschke, Astrid and Rolfes, Miriam and Sendlmeier, Walter F. and
            Weiss, Benjamin},
  title = {A database of {German} emotional speech},
  booktitle = {Interspeech}, pages = {1517--1520}, year = {2005}, doi = {10.21437/Interspeech.2005-446}
}"""
EXPECTED = {"angry": 127, "boredom": 81, "neutral": 79, "happy": 71, "fear": 69, "sad": 62, "disgust": 46}
KNOWN_BAD: dict[str, str] = {}

_EMOTIONS = {
    "W": ("angry", "Wut"), "L": ("boredom", "Langeweile"), "E": ("disgust", "Ekel"), "A": ("fear", "Angst"),
    "F": ("happy", "Freude"), "T": ("sad", "Trauer"), "N": ("neutral", "neutral"),
}  # fmt: skip
_SEXES = dict.fromkeys(("03", "10", "11", "12", "15"), "male") | dict.fromkeys(
    ("08", "09", "13", "14", "16"), "female"
)
_SENTENCES = ("a01", "a02", "a04", "a05", "a07", "b01", "b02", "b03", "b09", "b10")
_NAME = re.compile(r"([0-9]{2})([ab][0-9]{2})([A-Z])([a-z])")


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name.

    Examples:
        >>> fields = parse("wav/03a01Wa.wav")
        >>> fields["emotion"], fields["native_emotion"], fields["sex"], fields["text_id"]
        ('angry', 'Wut', 'male', 'a01')
    """

    def wrong(why: str):
        return name_error(NAME, filename, why, "03a01Fa.wav")

    found = _NAME.fullmatch(stem(filename))
    if not found:
        raise wrong("it should be speaker, sentence, emotion and version")
    speaker, sentence, emotion, _ = found.groups()
    if speaker not in _SEXES:
        raise wrong(f"speaker {speaker} is not one of {', '.join(sorted(_SEXES))}")
    if sentence not in _SENTENCES:
        raise wrong(f"sentence {sentence} is not one of {', '.join(_SENTENCES)}")
    if emotion not in _EMOTIONS:
        raise wrong(f"emotion {emotion} is not one of {', '.join(_EMOTIONS)}")
    canonical, native = _EMOTIONS[emotion]
    return {
        "speaker": speaker,
        "sex": _SEXES[speaker],
        "emotion": canonical,
        "native_emotion": native,
        "text_id": sentence,
    }


def index() -> Iterator[str]:
    """Names of all clips: those that listeners recognised, so no rule yields them."""
    listed = json.loads(resources.files(__package__).joinpath("emodb.json").read_text(encoding="utf-8"))
    return (f"{speaker}{rest}" for speaker, clips in listed.items() for rest in clips.split())
