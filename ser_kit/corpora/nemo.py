"""nEMO: nine Polish actors, ninety sentences, six emotions (4,481 clips, 24 kHz).

Christop (2024), nEMO: Dataset of Emotional Speech in Polish, LREC-COLING 2024, 12111-12116.
A name is speaker, emotion, sentence number; ``data.tsv`` lists the clips and adds transcription, sex and age.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections import Counter
from pathlib import Path

from ..core.labels import canonical
from ..core.paths import cache_folder, workshop
from .base import name_error, stem

NAME = "nemo"
SLUG = "nEMO"
KAGGLE_HANDLE = None
HOMEPAGE = "https://github.com/amu-cai/nEMO"
LICENSE = "CC BY-NC-SA 4.0"
LANGUAGE = "pl"
BIBTEX = """@inproceedings{christop2024nemo,
  author = {Christop, Iwona},
  title = {{nEMO}: Dataset of Emotional Speech in {Polish}},
  booktitle = {Proc. LREC-COLING 2024}, pages = {12111--12116}, year = {2024},
  url = {https://aclanthology.org/2024.lrec-main.1059}
}"""
EXPECTED = {"angry": 749, "fear": 736, "happy": 749, "neutral": 809, "sad": 769, "surprised": 669}
KNOWN_BAD: dict[str, str] = {}

_EMOTIONS = ("anger", "fear", "happiness", "neutral", "sadness", "surprised")
_SEXES = dict.fromkeys(("EB0", "IC0", "KD0", "MK0"), "female") | dict.fromkeys(
    ("KS0", "MP0", "SM0", "TP0", "WR0"), "male"
)
_NAME = re.compile(rf"([A-Z]{{2}}[0-9])_({'|'.join(_EMOTIONS)})_([1-9][0-9]?)")
_COMMIT = "06f1f83dde8f1a780443a57d53b2af3971af34ab"


def parse(filename: str) -> dict[str, str]:
    """Fields read from a file name.

    Examples:
        >>> fields = parse("samples/EB0_anger_1.wav")
        >>> fields["emotion"], fields["native_emotion"], fields["speaker"], fields["text_id"]
        ('angry', 'anger', 'EB0', '1')
    """
    found = _NAME.fullmatch(stem(filename))
    if not found or int(found[3]) > 90:
        why = f"it should be speaker, one of {', '.join(_EMOTIONS)}, and a sentence from 1 to 90"
        raise name_error(NAME, filename, why, "EB0_anger_1.wav")
    speaker, emotion, sentence = found.groups()
    return {
        "speaker": speaker,
        "sex": _SEXES.get(speaker, ""),
        "emotion": canonical(emotion),
        "native_emotion": emotion,
        "text_id": sentence,
    }


def read_labels(root: Path) -> dict[str, dict[str, str]]:
    """Sex and emotion of each clip as ``data.tsv`` gives them; nothing where that file is missing."""
    listed = root / "data.tsv"
    if not listed.is_file():
        return {}
    # Transcriptions hold quotation marks that are not CSV quoting.
    with listed.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    return {
        stem(row["file_id"].strip()): {
            "sex": row["gender"].strip(),
            "emotion": canonical(row["emotion"]),
            "native_emotion": row["emotion"].strip(),
        }
        for row in rows
    }


def fetch() -> Path:
    """Downloads the archive of the public repository into pooch's cache, once, and unpacks it.

    Returns:
        The corpus's folder.
    """
    import pooch

    cache = cache_folder()
    folder = cache / f"nEMO-{_COMMIT}"
    if _is_whole(folder):
        return folder
    # Made in a folder of its own and renamed when complete: an interruption leaves nothing that looks like a
    # corpus.
    with workshop(cache, ".nEMO-") as unfinished:
        # GitHub packs archives on request and does not promise the same bytes for ever, so no hash can be
        # expected of them; the commit pins the content, ZIP checks each file's sum, and that all are there is
        # counted.
        url = f"{HOMEPAGE}/archive/{_COMMIT}.zip"
        archive = pooch.retrieve(url, known_hash=None, path=unfinished, fname="nEMO.zip", progressbar=True)
        with zipfile.ZipFile(archive) as packed:
            packed.extractall(unfinished)
        if not _is_whole(unfinished / folder.name):
            raise OSError(f"{url} lacks clips that were published; nothing of it is kept")
        if folder.is_dir() and not _is_whole(folder):  # of an earlier version, which did not count
            folder.rename(unfinished / "incomplete")
        try:
            (unfinished / folder.name).rename(folder)
        except OSError:
            if not _is_whole(folder):  # otherwise another process has put the same corpus there
                raise
    return folder


def _is_whole(folder: Path) -> bool:
    clips = {path.stem for path in folder.glob("samples/*.wav")}
    return Counter(parse(clip)["emotion"] for clip in clips if _NAME.fullmatch(clip)) == EXPECTED
