"""CREMA-D: 91 actors of many origins, twelve English sentences, six emotions (7,442 clips).

Cao, Cooper, Keutmann, Gur, Nenkova & Verma (2014), CREMA-D: Crowd-sourced Emotional Multimodal Actors
Dataset, IEEE Transactions on Affective Computing 5(4), 377-390. A name is actor, sentence, emotion,
intensity; only the sentence IEO was asked for at three intensities, the others carry XX.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .base import name_error, stem

NAME = "cremad"
SLUG = "cremad"
KAGGLE_HANDLE = "ejlok1/cremad/versions/1"
HOMEPAGE = "https://github.com/CheyneyComputerScience/CREMA-D"
LICENSE = "ODbL 1.0 (database), DbCL 1.0 (contents)"
LANGUAGE = "en"
BIBTEX = """@article{cao2014cremad,
  author = {Cao, Houwei and Cooper, David G. and Keutmann, Michael K. and Gur, Ruben C. and Nenkova, Ani and
            Verma, Ragini},
  title = {{CREMA-D}: Crowd-Sourced Emotional Multimodal Actors Dataset},
  journal = {IEEE Transactions on Affective Computing}, volume = {5}, number = {4}, pages = {377--390},
  year = {2014},
  doi = {10.1109/TAFFC.2014.2336244}
}"""
EXPECTED = {"neutral": 1087} | dict.fromkeys(("happy", "sad", "angry", "fear", "disgust"), 1271)
_TWINS = (
    ("1006_TIE_HAP_XX", "1006_TIE_NEU_XX"),
    ("1013_WSI_DIS_XX", "1013_WSI_SAD_XX"),
    ("1017_IWW_ANG_XX", "1017_IWW_FEA_XX"),
)
_AMBIGUOUS = "the same recording stands under two emotions, so its label is not known"
KNOWN_BAD = {"1076_MTI_SAD_XX": "silence throughout"} | {clip: _AMBIGUOUS for pair in _TWINS for clip in pair}

_EMOTIONS = {"ANG": "angry", "DIS": "disgust", "FEA": "fear", "HAP": "happy", "NEU": "neutral", "SAD": "sad"}
_INTENSITIES = {"LO": "low", "MD": "medium", "HI": "high", "XX": "", "X": ""}
_SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
_FEMALE = frozenset({
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029,
    1030, 1037, 1043, 1046, 1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073,
    1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089, 1091,
})  # fmt: skip
_NEVER_RECORDED = ("1008_WSI", "1009_MTI", "1019_ITH", "1002_TIE_NEU", "1076_ITS_NEU")
_NAME = re.compile(r"([0-9]{4})_([A-Z]{3})_([A-Z]{3})_([A-Z]{1,2})")


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name. Older copies write ``1040_ITH_SAD_X`` for ``1040_ITH_SAD_XX``.

    Examples:
        >>> fields = parse("AudioWAV/1002_IEO_FEA_HI.wav")
        >>> fields["emotion"], fields["intensity"], fields["speaker"], fields["sex"]
        ('fear', 'high', '1002', 'female')
    """

    def wrong(why: str):
        return name_error(NAME, filename, why, "1001_IEO_ANG_HI.wav")

    found = _NAME.fullmatch(stem(filename))
    if not found:
        raise wrong("it should be actor_sentence_emotion_intensity")
    actor, sentence, emotion, intensity = found.groups()
    if not 1001 <= int(actor) <= 1091:
        raise wrong(f"actor {actor} is not one of 1001 to 1091")
    if sentence not in _SENTENCES:
        raise wrong(f"sentence {sentence} is not one of {', '.join(_SENTENCES)}")
    if emotion not in _EMOTIONS:
        raise wrong(f"emotion {emotion} is not one of {', '.join(_EMOTIONS)}")
    if intensity not in _INTENSITIES:
        raise wrong(f"intensity {intensity} is not one of LO, MD, HI, XX")
    return {
        "clip_id": f"{actor}_{sentence}_{emotion}_{'XX' if intensity == 'X' else intensity}",
        "speaker": actor,
        "sex": "female" if int(actor) in _FEMALE else "male",
        "emotion": _EMOTIONS[emotion],
        "native_emotion": emotion,
        "intensity": _INTENSITIES[intensity],
        "text_id": sentence,
    }


def index() -> Iterator[str]:
    """Names of all clips."""
    for actor in range(1001, 1092):
        for sentence in _SENTENCES:
            for emotion in _EMOTIONS:
                for intensity in ("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",):
                    clip = f"{actor}_{sentence}_{emotion}_{intensity}"
                    if not clip.startswith(_NEVER_RECORDED):
                        yield clip
