"""``ser-kit train --from``, ``check`` and ``predict --explain``."""

from __future__ import annotations

import pytest

from ser_kit.cli.fine_tuning import named


def test_corpora_of_paths_have_names():
    assert named(["calls/list.csv", "my clips/"]) == ["list:calls/list.csv", "my_clips:my clips/"]
    assert named(["ravdess"]) == ["my_ravdess:ravdess"]  # one's own folder, not the published corpus


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "x"], "name the clips to train on"),
        (["--data", "clips", "--out", "x"], "name a recipe"),
        (["rastogi_mlp", "--from", "cross_corpus", "--data", "clips", "--out", "x"], "takes neither a recipe"),
        (["--from", "cross_corpus", "--data", "clips", "--protocol", "random", "--out", "x"], "leave out --protocol"),
        (["--from", "no_such", "--data", "clips", "--out", "x"], "neither a bundle folder nor a preset"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_said(ser_kit, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = ser_kit("train", *arguments)
    assert status == 2 and message in err


@pytest.mark.slow
def test_a_model_of_ones_own_is_trained_and_answers(ser_kit, recordings, demo_bundle, tmp_path, monkeypatch):
    monkeypatch.setattr("ser_kit.recipes.system.answering", lambda bundle, prepared: bundle)  # no model.onnx: slow
    out = tmp_path / "mine"
    status, found, err = ser_kit("train", "--from", demo_bundle, "--data", recordings, "--out", out, "--json")
    assert status == 0, err
    assert (found["labels"], found["started_from"]["over"]) == (["sad", "angry"], "speakers")
    assert found["evaluation"]["speaker_independent"] and "uar" in found["start_evaluation"]
    assert isinstance(found["better"], bool)
    status, answers, _ = ser_kit("predict", recordings / "sad" / "01", "--bundle", out, "--json")
    assert status == 0 and {answer["emotion"] for answer in answers} <= {"sad", "angry"}


def test_check_lists_the_files_and_what_would_help(ser_kit, recordings):
    status, said, _ = ser_kit("check", recordings / "sad" / "01", "--quiet")
    assert status == 0
    assert "2 are answered with certainty" in said and "What would help" in said and "01_sad_s1_t1.wav" in said
    status, found, _ = ser_kit("check", recordings / "sad" / "01", "--json")
    assert (status, found["recordings"], len(found["files"])) == (0, 2, 2)


def test_check_of_what_is_no_recording_fails(ser_kit, tmp_path):
    (tmp_path / "notes.wav").write_text("no sound")
    status, said, _ = ser_kit("check", tmp_path / "notes.wav", "--quiet")
    assert status == 1 and "none of the recordings can be used" in said


def test_an_answer_is_explained_in_a_picture(ser_kit, recordings, tmp_path):
    clip = next((recordings / "sad" / "01").glob("*.wav"))
    status, (answer,), _ = ser_kit("predict", clip, "--explain", tmp_path / "why.png", "--json")
    assert status == 0 and (tmp_path / "why.png").read_bytes().startswith(b"\x89PNG")
    assert answer["explanation"]["emotion"] == answer["emotion"]
    assert len(answer["explanation"]["bands"]) == 10


@pytest.mark.parametrize(("name", "message"), [("why.docx", "ends in .png"), ("why.png", "for one recording")])
def test_an_explanation_that_cannot_be_drawn_is_refused_first(ser_kit, recordings, tmp_path, name, message):
    clips = sorted((recordings / "sad" / "01").glob("*.wav"))[: 1 if "docx" in name else 2]
    status, _, err = ser_kit("predict", *clips, "--explain", tmp_path / name)
    assert status == 2 and message in err
