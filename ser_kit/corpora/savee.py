"""SAVEE: four British men, fifteen sentences for each of six emotions and thirty neutral ones (480 clips).

Haq & Jackson (2009), Speaker-dependent audio-visual emotion recognition, AVSP 2009, 53-58. A name is speaker,
emotion letters, sentence number; the original archive has a folder for each speaker instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from .base import name_error

NAME = "savee"
SLUG = "surrey-audiovisual-expressed-emotion-savee"
KAGGLE_HANDLE = "ejlok1/surrey-audiovisual-expressed-emotion-savee/versions/1"
HOMEPAGE = "http://kahlan.eps.surrey.ac.uk/savee/"
LICENSE = "free for research, on registration with the University of Surrey"
LANGUAGE = "en"
BIBTEX = """@inproceedings{haq2009savee,
  author = {Haq, Sanaul and Jackson, Philip J. B.},
  title = {Speaker-dependent audio-visual emotion recognition},
  booktitle = {Proc. Int. Conf. on Auditory-Visual Speech Processing (AVSP)}, pages = {53--58}, year = {2009}
}"""
_EMOTIONS = {
    "a": "angry", "d": "disgust", "f": "fear", "h": "happy", "n": "neutral", "sa": "sad", "su": "surprised",
}  # fmt: skip
EXPECTED = {emotion: 120 if emotion == "neutral" else 60 for emotion in _EMOTIONS.values()}
KNOWN_BAD: dict[str, str] = {}

_SPEAKERS = ("DC", "JE", "JK", "KL")
_NAME = re.compile(rf"({'|'.join(_SPEAKERS)})_(a|d|f|h|n|sa|su)([0-9]{{2}})")


def _sentences(emotion: str) -> range:
    return range(1, 31 if emotion == "n" else 16)


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name.

    Examples:
        >>> parse("ALL/DC_su01.wav")["emotion"], parse("AudioData/JE/sa15.wav")["speaker"]
        ('surprised', 'JE')
    """
    path = PurePosixPath(filename)
    folder = path.parent.name
    clip = f"{folder}_{path.stem}" if folder in _SPEAKERS else path.stem
    found = _NAME.fullmatch(clip)
    if not found or int(found[3]) not in _sentences(found[2]):
        speakers, emotions = ", ".join(_SPEAKERS), ", ".join(_EMOTIONS)
        why = f"it should be one of {speakers}, one of {emotions}, and 01 to 15 (n: to 30)"
        raise name_error(NAME, filename, why, "DC_sa03.wav")
    speaker, emotion, sentence = found.groups()
    return {
        "clip_id": clip,
        "speaker": speaker,
        "sex": "male",
        "emotion": _EMOTIONS[emotion],
        "native_emotion": emotion,
        # Sentences are numbered within each emotion: a01 and d01 may be different ones.
        "text_id": f"{emotion}{sentence}",
    }


def index() -> Iterator[str]:
    """Names of all clips."""
    return (f"{s}_{emotion}{n:02d}" for s in _SPEAKERS for emotion in _EMOTIONS for n in _sentences(emotion))
