"""EmoSpeech: one-word commands, four emotions, recorded on phones in India (English and Hindi).

Banga, Upadhyay, Agarwal, Sharma & Mukherjee (2019), Indian EmoSpeech Command Dataset: A dataset for emotion
based speech recognition in the wild, arXiv:1910.13801. A name is keyword, surroundings, emotion, time, and a
hash that stands for the speaker; the folder is the place. Copies sorted by emotion
(``angry/016294ed23-help-50b95e37.wav``: the first ten digits of the speaker's hash, keyword, an identifier)
are read too. The emotion is what the speaker was asked for. Clips whose speaker the publisher does not know,
and sounds without speech, are left out.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from ..core.labels import canonical
from .base import name_error

NAME = "emospeech"
SLUG = "emospeech"
KAGGLE_HANDLE = None
HOMEPAGE = "https://github.com/RakshakTeam/emospeech-dataset-v1"
LICENSE = "CC BY-NC-SA 4.0"
LANGUAGE = "en"
BIBTEX = """@misc{banga2019emospeech,
  author = {Banga, Subham and Upadhyay, Ujjwal and Agarwal, Piyush and Sharma, Aniket and Mukherjee, Prerana},
  title = {{Indian EmoSpeech Command Dataset}: A dataset for emotion based speech recognition in the wild},
  year = {2019}, eprint = {1910.13801}, archivePrefix = {arXiv}
}"""
EXPECTED: dict[str, int] = {}
KNOWN_BAD: dict[str, str] = {}

_EMOTIONS = ("angry", "calm", "fearful", "happy")
_KEYWORDS = {"help": "en", "stop": "en", "no": "en", "go": "en", "yes": "en", "bacho": "hi", "unknown": ""}
_UNKNOWN_SPEAKER = "d14a028c2a"
_SPEAKER = 10  # hexadecimal digits that tell speakers apart
_PUBLISHED = re.compile(r"([a-z]+)-([a-z _]+)-([a-z]+)-([0-9]+)-([0-9a-f]{16,})", re.IGNORECASE)
_SORTED = re.compile(rf"([0-9a-f]{{{_SPEAKER}}})-([a-z]+)-([0-9a-f]+)")


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name, and in sorted copies from its folder.

    Examples:
        >>> fields = parse("House/bacho-safe-Fearful-20190709085913-27a0bc6630f4f1c1c8cbb1c8e3f7a0d1.wav")
        >>> [fields[name] for name in ("emotion", "native_emotion", "speaker", "text_id", "language")]
        ['fear', 'fearful', '27a0bc6630', 'bacho', 'hi']
        >>> parse("angry/016294ed23-help-50b95e37.wav")["speaker"]
        '016294ed23'
    """
    path = PurePosixPath(filename)

    def wrong(why: str):
        return name_error(NAME, filename, why, "House/help-safe-angry-20190709085913-016294ed23b0c5a7.wav")

    if found := _PUBLISHED.fullmatch(path.stem):
        keyword, _, emotion, _, speaker = (part.lower() for part in found.groups())
    elif found := _SORTED.fullmatch(path.stem):
        (speaker, keyword, _), emotion = found.groups(), path.parent.name.lower()
    else:
        raise wrong("it should be keyword, surroundings, emotion, time and the speaker's hash")
    if keyword not in _KEYWORDS:
        raise wrong(f"keyword {keyword} is not one of {', '.join(_KEYWORDS)}")
    if emotion not in _EMOTIONS:
        raise wrong(f"emotion {emotion or 'none'} is not one of {', '.join(_EMOTIONS)}")
    if speaker.startswith(_UNKNOWN_SPEAKER):
        raise wrong("this hash stands for speakers that the publisher does not know")
    return {
        "speaker": speaker[:_SPEAKER],
        "emotion": canonical(emotion),
        "native_emotion": emotion,
        "text_id": keyword,
        "language": _KEYWORDS[keyword],
    }
