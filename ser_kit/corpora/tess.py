"""TESS: two women, one younger, one older, say 200 words in seven emotions (2,800 clips).

Pichora-Fuller & Dupuis (2020), Toronto emotional speech set (TESS), Borealis, doi:10.5683/SP2/E8H2MF.
A name is speaker (OAF older, YAF younger), word, emotion.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .base import name_error, stem

NAME = "tess"
SLUG = "toronto-emotional-speech-set-tess"
KAGGLE_HANDLE = "ejlok1/toronto-emotional-speech-set-tess/versions/1"
HOMEPAGE = "https://doi.org/10.5683/SP2/E8H2MF"
LICENSE = "CC BY-NC-ND 4.0"
LANGUAGE = "en"
BIBTEX = """@data{pichorafuller2020tess,
  author = {Pichora-Fuller, M. Kathleen and Dupuis, Kate},
  title = {Toronto emotional speech set ({TESS})},
  publisher = {Borealis}, year = {2020}, doi = {10.5683/SP2/E8H2MF}
}"""
_EMOTIONS = {
    "angry": "angry", "disgust": "disgust", "fear": "fear", "happy": "happy", "neutral": "neutral",
    "ps": "surprised", "sad": "sad",
}  # fmt: skip
EXPECTED = dict.fromkeys(_EMOTIONS.values(), 400)
KNOWN_BAD: dict[str, str] = {}

_WORDS = (
    "back bar base bath bean beg bite boat bone book bought burn cab calm came cause chain chair chalk chat "
    "check cheek chief choice cool dab date dead death deep dime dip ditch dodge dog doll door fail fall "
    "far fat fit five food gap gas gaze germ get gin goal good goose gun half hall hash hate have haze hire "
    "hit hole home hurl hush jail jar join judge jug juice keen keep keg kick kill king kite knock late "
    "laud lean learn lease lid life limb live loaf long lore lose lot love luck make match merge mess met "
    "mill mob mode mood moon mop mouse nag name near neat nice note numb pad page pain pass pearl peg perch "
    "phone pick pike pole pool puff rag raid rain raise rat reach read red ring ripe road room rose rot "
    "rough rush said sail search seize sell shack shall shawl sheep shirt should shout size soap soup sour "
    "south sub such sure take talk tape team tell thin third thought thumb time tip tire ton tool tough "
    "turn vine voice void vote wag walk wash week wheat when which whip white wife wire witch yearn yes "
    "young youth"
)
_NAME = re.compile(rf"(OAF?|YAF)_([a-z]+)_({'|'.join(_EMOTIONS)})")


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name. Some copies hold one misnamed clip, ``OA_bite_neutral``.

    Examples:
        >>> parse("OAF_back_ps.wav")["emotion"], parse("OA_bite_neutral.wav")["speaker"]
        ('surprised', 'OAF')
    """
    found = _NAME.fullmatch(stem(filename))
    if not found:
        why = f"it should be OAF or YAF, a word in lower case, and one of {', '.join(_EMOTIONS)}"
        raise name_error(NAME, filename, why, "OAF_back_angry.wav")
    speaker, word, emotion = found.groups()
    speaker = "OAF" if speaker == "OA" else speaker
    return {
        "clip_id": f"{speaker}_{word}_{emotion}",
        "speaker": speaker,
        "sex": "female",
        "emotion": _EMOTIONS[emotion],
        "native_emotion": emotion,
        "text_id": word,
    }


def index() -> Iterator[str]:
    """Names of all clips."""
    return (
        f"{speaker}_{word}_{emotion}"
        for speaker in ("OAF", "YAF")
        for word in _WORDS.split()
        for emotion in _EMOTIONS
    )
