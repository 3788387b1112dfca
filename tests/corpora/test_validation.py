"""Validation finds what is wrong with a corpus on disk, and only that."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_kit import corpora
from ser_kit.core.errors import TableError
from ser_kit.corpora import emodb

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%064d\nsize 72862\n" % 7


def write_wav(path: Path, samples: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, 16000, format="WAV", subtype="PCM_16")
    return path


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.2, 0.2, 1600)


@pytest.fixture(scope="module")
def complete_emodb(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("emodb")
    for seed, clip in enumerate(emodb.index()):
        write_wav(root / "wav" / f"{clip}.wav", noise(seed))
    return root


@pytest.fixture
def root(complete_emodb, tmp_path) -> Path:
    return Path(shutil.copytree(complete_emodb, tmp_path / "copy"))


def validate(name: str, root: Path) -> corpora.Validation:
    return corpora.validate(name, root=root, progress=False)


def test_a_complete_corpus_is_sound(root):
    found = validate("emodb", root)
    assert found.ok
    assert found.clips == 535
    assert found.table().empty and list(found.table().columns) == ["kind", "clip_id", "path", "detail"]
    counts = found.counts()
    assert (counts["found"] == counts["expected"]).all() and counts["found"].sum() == 535
    assert found.summary() == f"emodb: 535 of 535 clips in {root}: sound"


def test_a_copy_is_compared_with_checksums(root, tmp_path):
    file = corpora.write_checksums("emodb", tmp_path / "emodb.csv", root, progress=False)
    rows = file.read_text().splitlines()
    assert rows[0] == "path,bytes,sha256" and len(rows) == 536 and rows[1].startswith("wav/03a01Fa.wav,3244,")
    assert corpora.validate("emodb", root, checksums=file, progress=False).ok

    gone, longer, other = (root / "wav" / f"{clip}.wav" for clip in ("03a01Fa", "03a01Nc", "03a01Wa"))
    gone.unlink()
    write_wav(longer, np.tile(noise(9998), 2))
    write_wav(other, noise(9999))
    write_wav(root / "wav" / "03a01Fz.wav", noise(9997))
    found = corpora.validate("emodb", root, checksums=file, progress=False)
    compared = found.table().loc[lambda table: table["clip_id"].str.contains("/")]
    assert compared[["kind", "clip_id", "detail"]].to_numpy().tolist() == [
        ["missing", "emodb:wav/03a01Fa.wav", f"is in {file}"],
        ["changed", "emodb:wav/03a01Nc.wav", "6,444 bytes; expected 3,244"],
        ["changed", "emodb:wav/03a01Wa.wav", "other bytes of the same number"],
        ["extra", "emodb:wav/03a01Fz.wav", f"is not in {file}"],
    ]
    assert not found.ok and "changed: 2" in found.summary()


@pytest.mark.parametrize("content", [None, b"", b"name,md5\n", b"path,bytes,sha256\na.wav,many,0\n", b"\xff"])
def test_a_file_that_holds_no_checksums(root, tmp_path, content):
    file = tmp_path / "sums.csv"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TableError, match="sums.csv is not a checksum file"):
        corpora.validate("emodb", root, checksums=file, progress=False)


@pytest.mark.slow
def test_copies_are_noted_but_do_no_harm(root):
    shutil.copytree(root / "wav", root / "nested" / "wav")
    found = validate("emodb", root)
    assert found.ok and found.clips == 535
    assert set(found.table()["kind"]) == {"copy"} and len(found.table()) == 535


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "damage", "detail"),
    [
        ("missing", lambda clip: clip.unlink(), "no file of this name"),
        ("pointer", lambda clip: clip.write_bytes(POINTER), "LFS"),
        ("unreadable", lambda clip: clip.write_text("not a recording"), "not a sound file"),
        ("unreadable", lambda clip: clip.write_bytes(b""), "empty"),
        ("truncated", lambda clip: clip.write_bytes(clip.read_bytes()[:-100]), "cut short"),
        ("silent", lambda clip: write_wav(clip, np.zeros(1600)), "silent"),
        ("short", lambda clip: write_wav(clip, noise(9999)[:-1]), "nothing is measured of less than 0.1 s"),
        ("duplicate", lambda clip: shutil.copy(clip.with_name("03a01Nc.wav"), clip), "same bytes as emodb:03a01"),
        ("duplicate", lambda clip: write_wav(clip.parent / "b" / clip.name, noise(9999)), "but other bytes"),
        ("extra", lambda clip: shutil.copy(clip, clip.with_name("03a01Fz.wav")), "well-formed"),
        ("extra", lambda clip: write_wav(clip.with_name("holiday.wav"), noise(9999)), "'wav/holiday.wav' is not"),
    ],
    ids=[
        "missing",
        "pointer",
        "text",
        "empty",
        "cut",
        "silent",
        "short",
        "same bytes",
        "other bytes",
        "odd clip",
        "no clip",
    ],
)
def test_each_kind_of_damage(root, kind, damage, detail):
    damage(root / "wav" / "03a01Fa.wav")
    found = validate("emodb", root)
    assert not found.ok
    table = found.table()
    hits = table[table["kind"] == kind]
    assert len(hits) == 1
    assert detail in hits["detail"].iloc[0]
    assert f"{kind}: 1" in found.summary() and "not as published" in found.summary()


def test_counts(root):
    for clip in (root / "wav").glob("*W?.wav"):
        clip.unlink()
    found = validate("emodb", root)
    row = found.table().set_index("kind").loc["count"]
    assert row["clip_id"] == "angry" and row["detail"] == "0 clips, expected 127"
    assert (found.table()["kind"] == "missing").sum() == 127
    assert found.counts().set_index("emotion").loc["angry"].tolist() == [0, 127]


def test_known_defects_of_a_published_corpus_are_notes(tmp_path):
    for seed, clip in enumerate(corpora.get("cremad").index()):
        if clip.startswith(("1006_TIE", "1076_MTI")):
            write_wav(tmp_path / f"{clip}.wav", noise(seed))
    shutil.copy(tmp_path / "1006_TIE_HAP_XX.wav", tmp_path / "1006_TIE_NEU_XX.wav")
    write_wav(tmp_path / "1076_MTI_SAD_XX.wav", np.zeros(1600))
    table = validate("cremad", tmp_path).table()
    known = table[table["kind"] == "known"].set_index("clip_id")["detail"]
    assert "silence" in known["cremad:1076_MTI_SAD_XX"]
    assert len(known) == 2 and known.str.contains("same bytes as cremad:1006_TIE").sum() == 1
    assert not {"silent", "duplicate"} & set(table["kind"])


def test_a_clone_without_lfs(tmp_path):
    for clip in ("1001_DFA_ANG_XX", "1001_DFA_DIS_XX"):
        (tmp_path / f"{clip}.wav").write_bytes(POINTER)
    kinds = validate("cremad", tmp_path).table()["kind"].value_counts()
    assert kinds["pointer"] == 2
    assert "duplicate" not in kinds


def test_a_folder_of_your_own(tmp_path):
    for seed, clip in enumerate(f"{e}/{s}/{i}" for e in ("sad", "angry") for s in ("anna", "ben", "eva") for i in "12"):
        write_wav(tmp_path / f"{clip}.wav", noise(seed))
    found = validate("folder", tmp_path)
    assert found.ok and found.table().empty
    assert found.summary() == f"folder: 12 clips in {tmp_path}: sound"
    assert found.counts().to_dict("list") == {"emotion": ["angry", "sad"], "found": [6, 6]}

    write_wav(tmp_path / "misc" / "1.wav", noise(20))
    (tmp_path / "sad" / "ben" / "1.wav").write_text("no sound")
    write_wav(tmp_path / "sad" / "Anna" / "3.wav", noise(21))
    write_wav(tmp_path / "fear" / "ben" / "1.wav", noise(22))
    write_wav(tmp_path / "sad" / "4.wav", noise(23))
    found = validate("folder", tmp_path)
    details = {(finding.kind, finding.clip_id): finding.detail for finding in found.findings}
    assert list(details) == [
        ("unused", "folder:misc/1.wav"),
        ("unreadable", "folder:sad/ben/1.wav"),
        ("speakers", "Anna"),
        ("speakers", "folder:unknown"),
        ("emotions", "fear"),
    ]
    said = list(details.values())
    assert said[0].startswith("unknown emotion 'misc'; expected one of")
    assert said[1].startswith("1.wav: is not a sound file but text")
    assert said[2] == "written 'Anna', 'anna': the same person?"
    assert "who speaks in 1 of 15 clips" in said[3] and said[4].startswith("only ben speaks so")
    assert not found.ok and found.summary().splitlines()[0].endswith(": not all of it can be used")


def test_too_few_speakers_or_emotions_are_noted(tmp_path):
    write_wav(tmp_path / "sad" / "anna" / "1.wav", noise(1))
    found = validate("folder", tmp_path)
    assert found.ok and [finding.kind for finding in found.findings] == ["speakers", "emotions", "emotions"]


def test_a_list_of_your_own(tmp_path):
    write_wav(tmp_path / "sad" / "anna" / "1.wav", noise(1))
    listed = tmp_path / "list.csv"
    listed.write_text("path,emotion\nsad/anna/1.wav,sad\ngone.wav,sad\n")
    found = validate("folder", listed)
    assert found.table()[["kind", "clip_id"]].values.tolist()[0] == ["missing", "folder:gone.wav"]
    talk = write_wav(tmp_path / "talk.wav", np.concatenate([noise(2), noise(3), np.zeros(3200), noise(4)]))
    rows = ["0,0.1", "0.1,0.2", "0.2,0.4", "0.4,9", "9,10", "0,0.05"]
    listed.write_text("path,emotion,start,end\n" + "".join(f"{talk},sad,{row}\n" for row in rows))
    kinds = {finding.clip_id.partition("#")[2]: finding.kind for finding in validate("folder", listed).findings}
    assert kinds.items() >= {"t=0.2,0.4": "silent", "t=0.4,9": "truncated", "t=9,10": "unreadable"}.items()
    assert kinds["t=0,0.05"] == "short" and not {"t=0,0.1", "t=0.1,0.2"} & set(kinds)


@pytest.mark.realdata
@pytest.mark.parametrize("name", ["ravdess", "ravdess_song", "tess", "emodb", "nemo", "emospeech"])
def test_real_recordings(real_data, tmp_path, name):
    """Some clips out of the whole corpus: sound, and all others are missing."""
    corpus = corpora.get(name)
    there = sorted((real_data / corpus.slug).rglob("*.wav"))
    if not there:
        pytest.skip(f"no recordings of {name} beside the others")
    repeated = {*corpus.known_duplicates, *corpus.known_duplicates.values()}
    chosen = {*there[:: len(there) // 25], *(path for path in there if path.stem in repeated)}
    for path in chosen:
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).symlink_to(path)
    found = validate(name, tmp_path)
    assert found.clips == len(chosen) and sum(found.found.values()) == len(chosen)
    whole = corpus.index()
    known = len(corpus.known_duplicates) if repeated <= {path.stem for path in chosen} else 0
    kinds = {"missing": len(whole) - len(chosen) if whole else 0, "count": len(corpus.expected), "known": known}
    assert Counter(found.table()["kind"]) == Counter(kinds)
