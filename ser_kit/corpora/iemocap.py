"""IEMOCAP: ten actors in five sessions of two, scripted and improvised dialogues (10,039 utterances).

Busso, Bulut, Lee, Kazemzadeh, Mower, Kim, Chang, Lee & Narayanan (2008), IEMOCAP: interactive emotional
dyadic motion capture database, Language Resources and Evaluation 42(4), 335-359. It is given out under a
signed licence, so only a local folder can be used. A name tells session and speaker; the emotion on which
most raters agreed stands in ``Session*/dialog/EmoEvaluation/*.txt`` (``xxx`` where they did not agree).
"""

from __future__ import annotations

import re
from pathlib import Path

from ..core.errors import LabelError
from ..core.labels import canonical
from .base import name_error, stem

NAME = "iemocap"
SLUG = "IEMOCAP_full_release"
KAGGLE_HANDLE = None
HOMEPAGE = "https://sail.usc.edu/iemocap/"
LICENSE = "signed licence of the University of Southern California, research only"
LANGUAGE = "en"
BIBTEX = """@article{busso2008iemocap,
  author = {Busso, Carlos and Bulut, Murtaza and Lee, Chi-Chun and Kazemzadeh, Abe and Mower, Emily and
            Kim, Samuel and Chang, Jeannette N. and Lee, Sungbok and Narayanan, Shrikanth S.},
  title = {{IEMOCAP}: interactive emotional dyadic motion capture database},
  journal = {Language Resources and Evaluation}, volume = {42}, number = {4}, pages = {335--359},
  year = {2008},
  doi = {10.1007/s10579-008-9076-6}
}"""
EXPECTED = {
    "angry": 1103, "happy": 595, "excited": 1041, "sad": 1084, "neutral": 1708, "frustrated": 1849,
    "fear": 40, "surprised": 107, "disgust": 2, "other": 2510,
}  # fmt: skip
KNOWN_BAD: dict[str, str] = {}
# Whole dialogues, video and motion capture; the utterances stand in "sentences".
SKIPPED_FOLDERS = frozenset({"dialog"})

# Ses01F_impro01_M003: session 1, F wears the motion capture markers, and M is the one who speaks.
_NAME = re.compile(r"Ses0([1-5])[FM]_((?:impro|script)[0-9]{2}(?:_[0-9])?[a-z]?)_([FM])(?:[0-9]{3}|XX[0-9])")
_LINE = re.compile(r"^\[[^\]]*\][ \t]+(\S+)[ \t]+(\w+)", re.MULTILINE)


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name; the emotion is not among them.

    Examples:
        >>> parse("Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_M003.wav")
        {'speaker': 'Ses01M', 'sex': 'male', 'text_id': 'impro01'}
    """
    found = _NAME.fullmatch(stem(filename))
    if not found:
        why = "it should be session, dialogue (improvised or scripted), and the speaker's sex and turn"
        raise name_error(NAME, filename, why, "Ses01F_impro01_M003.wav")
    session, dialogue, sex = found.groups()
    return {"speaker": f"Ses0{session}{sex}", "sex": "female" if sex == "F" else "male", "text_id": dialogue}


def read_labels(root: Path) -> dict[str, dict[str, str]]:
    """Emotion of each utterance, from the evaluation files of the dialogues."""
    found = {}
    # The folder itself, or one above it.
    for pattern in ("Session*/dialog/EmoEvaluation/*.txt", "*/Session*/dialog/EmoEvaluation/*.txt"):
        for path in sorted(root.glob(pattern)):
            if path.name.startswith("."):
                continue
            for utterance, code in _LINE.findall(path.read_text(encoding="utf-8", errors="replace")):
                try:
                    found[utterance] = {"emotion": canonical(code), "native_emotion": code}
                except LabelError:
                    continue
    return found
