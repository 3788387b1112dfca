"""``ser-kit corpora``, ``validate``, ``extract`` and ``cache``."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_kit import corpora, extraction


def test_corpora_tells_what_there_is_and_where(ser_kit, tmp_path, monkeypatch):
    (tmp_path / "cremad").mkdir()
    (tmp_path / "nEMO").mkdir()
    (tmp_path / "nEMO" / "data.tsv").write_text("file_id\tgender\temotion\nSK1_sadness_1.wav\tfemale\tsadness\n")
    monkeypatch.setenv("SER_KIT_DATA", str(tmp_path))
    status, found, _ = ser_kit("corpora", "--json")
    by_name = {corpus["name"]: corpus for corpus in found}
    assert status == 0 and list(by_name) == list(corpora.names())
    assert (by_name["cremad"]["clips"], by_name["cremad"]["speakers"]) == (7442, 91)
    assert (by_name["cremad"]["path"], by_name["cremad"]["on_first_use"]) == (str(tmp_path / "cremad"), False)
    assert (by_name["ravdess"]["path"], by_name["ravdess"]["on_first_use"]) == (None, True)
    assert (by_name["nemo"]["clips"], by_name["nemo"]["speakers"]) == (
        4481,
        None,
    )  # not what part of it is here
    assert by_name["emodb"]["language"] == "de" and "boredom" in by_name["emodb"]["emotions"]
    assert (by_name["iemocap"]["path"], by_name["iemocap"]["on_first_use"]) == (None, False)
    table = ser_kit("corpora")[1]
    assert str(tmp_path / "cremad") in table and "CC BY-NC-SA 4.0" in table


def test_validate_finds_a_sound_corpus_and_a_broken_one(ser_kit, recordings, tmp_path):
    status, found, _ = ser_kit("validate", "folder", "--root", recordings, "--json")
    assert (status, found["ok"], found["clips"], found["found"]) == (0, True, 20, {"angry": 10, "sad": 10})

    sums = tmp_path / "sums.csv"
    assert ser_kit("validate", "folder", "--root", recordings, "--write-checksums", sums)[0] == 0
    broken = shutil.copytree(recordings, tmp_path / "broken")
    assert ser_kit("validate", "folder", "--root", broken, "--checksums", sums)[0] == 0
    (broken / "sad" / "05" / "x.wav").write_text("no sound")
    status, found, _ = ser_kit("validate", "folder", "--root", broken, "--checksums", sums, "--json")
    assert status == 1 and {each["kind"] for each in found["findings"]} == {"extra", "unreadable"}
    status, found, _ = ser_kit("validate", "folder", "--root", broken, "--json")
    assert (status, found["ok"]) == (1, False)
    assert [(f["kind"], Path(f["path"]).name) for f in found["findings"]] == [("unreadable", "x.wav")]
    status, table, _ = ser_kit("validate", "folder", "--root", broken)
    assert status == 1 and "unreadable" in table and "not all of it can be used" in table
    assert table.split()[:2] == ["emotion", "found"] and "<bytes>" not in table


def test_extract_saves_a_table_or_arrays(ser_kit, recordings, tmp_path):
    out = tmp_path / "new" / "functionals.csv"
    status, found, err = ser_kit("extract", "folder", "--root", recordings, "--out", out, "--json")
    assert (status, found["clips"], found["failures"], found["out"]) == (0, 20, [], str(out))
    table = pd.read_csv(out)
    assert list(table.columns[-len(found["names"]) :]) == found["names"] and len(table) == 20
    assert "20/20" in err

    out = tmp_path / "logmel.npz"
    how = ("--features", "logmel", "--set", "seconds=1", "--labels", "sad,happy", "--quiet")
    status, _, err = ser_kit("extract", "folder", "--root", recordings, "--out", out, *how)
    assert (status, err) == (0, "")
    with np.load(out) as arrays:
        assert arrays["values"].shape == (10, 101, 64)
        assert set(arrays["label"]) == {"sad"} and len(arrays["lengths"]) == 10


def test_extract_tells_which_clips_failed(ser_kit, recordings, tmp_path):
    broken = shutil.copytree(recordings, tmp_path / "broken")
    (broken / "sad" / "05" / "x.wav").write_text("no sound")
    arguments = ("extract", "folder", "--root", broken, "--out", tmp_path / "f.parquet")
    status, found, _ = ser_kit(*arguments, "--json")
    assert (status, found["clips"]) == (1, 20)
    assert [Path(failure["path"]).name for failure in found["failures"]] == ["x.wav"]
    assert len(pd.read_parquet(tmp_path / "f.parquet")) == 20
    assert "not a sound file but text" in ser_kit(*arguments)[1]


def test_extract_answers_for_every_row_of_a_list(ser_kit, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    emotions = ["sad", "surprised", "sad", "wrath"]
    rows = [
        f"{path},{emotion}"
        for path, emotion in zip([*clips[:2], tmp_path / "gone.wav", clips[3]], emotions, strict=True)
    ]
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["path,emotion", *rows]))
    arguments = ("extract", "folder", "--root", listed, "--out", tmp_path / "f.csv", "--labels", "six")
    status, found, err = ser_kit(*arguments, "--json")
    assert (status, found["clips"]) == (1, 1)
    assert [clip["path"] for clip in found["failures"]] == [str(tmp_path / "gone.wav"), str(clips[3])]
    assert found["failures"][0]["reason"] == f"there is no file {tmp_path / 'gone.wav'}"
    assert [clip["path"] for clip in found["excluded"]] == [str(clips[1])]
    assert "1 left out: no such file" in err
    assert str(tmp_path / "gone.wav") in ser_kit(*arguments)[1]


@pytest.mark.parametrize("command", ["train", "evaluate", "tune"])
def test_speakers_half_named_are_refused_before_any_work(ser_kit, recordings, tmp_path, command):
    half = shutil.copytree(recordings, tmp_path / "half")
    for clip in half.rglob("*_s1_*.wav"):
        clip.rename(clip.parents[1] / clip.name)
    space = ("--space", "training.batch_size=[8, 16]") if command == "tune" else ()
    status, out, err = ser_kit(command, "rastogi_mlp", "--corpus", f"half:{half}", *space, "--out", tmp_path / "out")
    assert (status, out) == (2, "") and "functionals" not in err
    assert "ser-kit: the speaker of 10 of 20 clips of 'half' is not known" in err and "protocol 'random'" in err
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_corpora_at_places_of_their_own(ser_kit, recordings, tmp_path):
    listed = recordings / "list.csv"
    listed.write_text("path,emotion,speaker\n" + "".join(f"{p},angry,anna\n" for p in recordings.rglob("01_a*.wav")))
    arguments = ("extract", f"folder:{recordings}", f"calls:{listed}", "--out", tmp_path / "f.csv", "--json")
    status, found, _ = ser_kit(*arguments)
    assert (status, found["clips"]) == (0, 22)
    assert pd.read_csv(tmp_path / "f.csv")["corpus"].value_counts().to_dict() == {"folder": 20, "calls": 2}
    status, found, _ = ser_kit("validate", f"calls:{listed}", "--json")
    assert (status, found["corpus"], found["clips"]) == (0, "calls", 2)
    listed.unlink()
    status, _, err = ser_kit("extract", "ravdess", "folder", "--root", recordings, "--out", tmp_path / "g.csv")
    assert status == 2 and "given for 2 corpora, holds no folder 'ravdess-emotional-speech-audio'" in err
    assert "ravdess:PATH" in err and not (tmp_path / "g.csv").exists()


def test_what_was_extracted_is_kept_checked_and_cleared(ser_kit, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_KIT_STORE", str(tmp_path / "store"))
    arguments = ("extract", "folder", "--root", recordings, "--out", tmp_path / "a.csv")
    assert "from the feature store" not in ser_kit(*arguments)[2]
    before = (tmp_path / "a.csv").read_bytes()
    assert "20 clips, 0 failed" in (err := ser_kit(*arguments)[2]) and "20 from the feature store" in err
    assert (tmp_path / "a.csv").read_bytes() == before
    assert "from the feature store" not in ser_kit(*arguments, "--no-cache")[2]
    ser_kit(*arguments[:-1], tmp_path / "b.npz", "--features", "logmel", "--set", "seconds=1")

    status, out, _ = ser_kit("cache")
    assert status == 0 and "Functionals/" in out and "LogMel/" in out and str(tmp_path / "store") in out
    assert ser_kit("cache", "clear", "--features", "logmel", "--json")[1]["removed"] == 20
    status, found, _ = ser_kit("cache", "check", "--json")
    assert (status, found["checked"], found["damaged"]) == (0, 20, 0)
    with extraction.Store() as store, store._guarded():
        store._database.execute("UPDATE entries SET length = 7 WHERE rowid < 4")
    status, out, _ = ser_kit("cache", "check")
    assert status == 1 and "20 entries checked, 3 damaged entries removed" in out
    status, found, _ = ser_kit("cache", "clear", "--json")
    assert (status, found["removed"], found["holdings"]) == (0, 17, [])
