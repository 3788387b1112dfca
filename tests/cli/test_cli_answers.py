"""``ser-kit predict`` and ``listen``."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_kit.bundles.adaptation import Adaptation
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import StreamPredictor, timeline

pytestmark = pytest.mark.slow


def test_predict_opens_folders_and_patterns_and_goes_on_after_a_failure(ser_kit, demo_bundle, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    for name in ("b.wav", "a.wav", "[red].wav"):
        shutil.copy(clips[0], tmp_path / name)
    (tmp_path / "notes.txt").write_text("no recording")
    (tmp_path / "none").mkdir()
    broken, missing = tmp_path / "broken.wav", tmp_path / "missing.wav"
    broken.write_text("no sound")
    named = (tmp_path / "[red].wav", missing, tmp_path / "none", tmp_path, f"{recordings}/**/01*_s1_*.wav")
    status, answers, err = ser_kit("predict", *named, "--bundle", demo_bundle, "--json")
    assert status == 1
    expected = [
        tmp_path / "[red].wav",
        missing,
        tmp_path / "none",
        tmp_path / "a.wav",
        tmp_path / "b.wav",
        broken,
    ]
    expected += [clip for clip in clips if clip.name.startswith("01") and "_s1_" in clip.name]
    assert [answer["path"] for answer in answers] == list(map(str, expected))
    assert [Path(a["path"]).name for a in answers if "error" in a] == ["missing.wav", "none", "broken.wav"]
    same = [answer["probabilities"] for answer in (answers[0], answers[3], answers[4])]
    assert same[0] == same[1] == same[2]

    for wanted, expected in [("four", ["neutral", "happy", "sad", "angry"]), ("sad,angry", ["sad", "angry"])]:
        status, answers, _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--labels", wanted, "--json")
        assert status == 0 and list(answers[0]["probabilities"]) == expected

    status, (known,), _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--enroll", clips[1], "--json")
    assert status == 0 and known["probabilities"] != same[0]

    status, table, _ = ser_kit("predict", *named[:2], "--bundle", demo_bundle)
    assert status == 1
    assert "[red].wav" in table and "no such file" in table.lower() and "1 of 2 recordings failed" in table


def test_names_of_files_do_nothing_to_the_terminal(ser_kit, demo_bundle, tmp_path):
    hostile = tmp_path / "\x1b]0;owned\x07[link=http:a]b\x1b[31m.wav"
    status, table, err = ser_kit("predict", hostile, "--bundle", demo_bundle)
    assert status == 1 and "�[31m.wav" in table and "[link=http:a]b" in table
    assert not {"\x1b", "\x07"} & {*table, *err}
    status, _, err = ser_kit("predict", "x.wav", "--bundle", hostile)
    assert status == 2 and "�[31m.wav" in err and "\x1b" not in err


def test_predict_in_threads_gives_the_same_answers(ser_kit, demo_bundle, recordings):
    one, two = (ser_kit("predict", recordings, "--bundle", demo_bundle, "--jobs", n, "--json") for n in (1, 3))
    assert one[:2] == two[:2] and len(one[1]) == 20


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("timeline", [False, True])
def test_predict_goes_on_from_what_its_file_holds(ser_kit, demo_bundle, recordings, tmp_path, suffix, timeline):
    out, broken = tmp_path / f"answers.{suffix}", tmp_path / 'bro"ken, $.wav'
    broken.write_text("no sound")
    clips = sorted(recordings.rglob("*.wav"))[:4]
    command = (
        "predict",
        "--bundle",
        demo_bundle,
        "--out",
        out,
        *(["--timeline", "--window", "1"] * timeline),
    )
    status, text, _ = ser_kit(*command, *clips, broken)
    assert status == 1 and "1 of 5 recordings failed" in text and "broken.wav" not in text and str(broken) in text
    whole = out.read_text()
    told = pd.read_csv(out) if suffix == "csv" else pd.read_json(out, lines=True)
    assert list(dict.fromkeys(told["path"])) == [*map(str, clips), str(broken)]
    assert (len(told) > 5) == (timeline and suffix == "csv")

    lines = whole.splitlines(keepends=True)
    third = next(i for i, line in enumerate(lines) if clips[2].name in line)
    out.write_text("".join(lines[:third]) + lines[third][:20])  # killed while it wrote
    status, _, err = ser_kit(*command, *clips, broken)
    assert status == 1 and out.read_text() == whole
    assert "already has answers for 2 of 5 recordings" in err
    status, _, err = ser_kit(*command, *clips, broken)  # what failed is tried again
    assert status == 1 and out.read_text() == whole and "already has answers for 4 of 5 recordings" in err
    status, _, _ = ser_kit(*command, *clips)
    assert status == 0 and out.read_text() == whole

    status, _, err = ser_kit(*command, *clips, "--labels", "four")
    assert status == 2 and "does not hold answers for neutral, happy, sad, angry" in err
    status, _, err = ser_kit(*command, *clips, "--enroll", clips[0])
    assert status == 2 and "answers of another bundle, or with other settings" in err
    assert out.read_text() == whole

    broken.write_bytes(clips[0].read_bytes())  # mended
    status, _, _ = ser_kit(*command, *clips, broken)
    mended = pd.read_csv(out) if suffix == "csv" else pd.read_json(out, lines=True)
    assert status == 0 and set(mended["path"]) == {*map(str, clips), str(broken)}
    assert "error" not in mended or mended["error"].isna().all()


def test_predict_adapts_to_the_speaker_and_keeps_what_it_learned(ser_kit, demo_bundle, recordings, tmp_path):
    clips, known = sorted(recordings.rglob("*.wav"))[::4], tmp_path / "known.json"
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    command = ("predict", "--bundle", demo_bundle, "--same-speaker", "--json")
    status, found, err = ser_kit(*command, *clips, silent, "--save-adaptation", known)
    assert status == 1 and f"adapted to the speaker with {len(clips)} clips" in err
    assert f"not used to adapt: {silent}" in err and "is silent" in err
    one = Predictor.from_bundle(demo_bundle).adapt(clips)
    assert found[:-1] == [one.predict(clip).to_dict() for clip in clips]

    status, again, _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--adaptation", known, "--json")
    assert status == 0 and again == found[:1]
    plain = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--json")[1]
    assert again != plain

    out = tmp_path / "answers.csv"
    assert ser_kit(*command[:-1], *clips, "--out", out)[0] == 0
    whole = out.read_text()
    status, _, err = ser_kit(*command[:-1], *clips, "--out", out)
    assert (
        status == 0
        and out.read_text() == whole
        and f"already has answers for {len(clips)} of {len(clips)} recordings" in err
    )
    status, _, err = ser_kit(*command[:3], "--adaptation", known, *clips, "--out", out)  # the same, from the file
    assert status == 0 and out.read_text() == whole
    status, _, err = ser_kit(*command[:3], *clips, "--out", out)
    assert status == 2 and "answers of another bundle, or with other settings" in err
    status, _, err = ser_kit(*command[:4], *clips[1:], "--out", out)
    assert status == 2 and "answers of another bundle, or with other settings" in err
    assert out.read_text() == whole


def test_predict_adapts_to_the_speaker_of_each_folder(ser_kit, demo_bundle, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    folders = {"ann": clips[:3], "bob": clips[10:13], "one": clips[5:6]}
    for name, given in folders.items():
        (tmp_path / name).mkdir()
        for clip in given:
            shutil.copy(clip, tmp_path / name / f"{clip.parent.parent.name}-{clip.name}")
    command = ("predict", tmp_path, "--bundle", demo_bundle, "--speaker-per-folder")
    status, found, err = ser_kit(*command, "--json")
    assert status == 0 and f"{tmp_path / 'one'}: predicting without adaptation: 1 of 1 clips" in err
    anyone = Predictor.from_bundle(demo_bundle)
    expected = []
    for name in folders:
        paths = sorted(map(str, (tmp_path / name).iterdir()))
        one = anyone if name == "one" else anyone.adapt(paths)
        expected += [one.predict(path).to_dict() for path in paths]
    assert found == expected
    out = tmp_path / "answers.jsonl"
    assert ser_kit(*command, "--out", out)[0] == 0
    status, _, err = ser_kit(*command[:-1], "--same-speaker", "--out", out)
    assert status == 2 and "with other settings" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--same-speaker", "--enroll", "x.wav"), "not allowed with argument"),
        (("--same-speaker", "--speaker-per-folder"), "not allowed with argument"),
        (("--adaptation", "x.json", "--enroll", "x.wav"), "--adaptation and --enroll cannot be used together"),
        (
            ("--adaptation", "x.json", "--speaker-per-folder"),
            "--adaptation and --speaker-per-folder cannot be used together",
        ),
        (("--save-adaptation", "x.json"), "--save-adaptation needs --same-speaker"),
        (("--same-speaker", "--save-adaptation", "."), "is a folder"),
        (("--adaptation", "none.json"), "none.json does not exist"),
        (("--same-speaker", "--bundle", "from_scratch"), "no speaker statistics, which adaptation needs"),
    ],
)
def test_ways_to_say_who_speaks_exclude_each_other(ser_kit, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    tmp_path = tmp_path / "folder"
    tmp_path.mkdir()
    arguments = [str(tmp_path) if each == "." else each for each in arguments]
    for command in ("predict", "clip.wav"), ("listen", "--raw"):
        if command[0] == "predict" or "--speaker-per-folder" not in arguments:
            status, _, err = ser_kit(*command, *arguments)
            assert status == 2 and message in err, err


def test_a_timeline_that_fails_is_a_failure_of_its_recording(ser_kit, demo_bundle, recordings, monkeypatch):
    first, second = sorted(recordings.rglob("*.wav"))[:2]

    def broken(predictor, path, **settings):
        if path == str(first):
            raise FloatingPointError("of a library")
        return timeline(predictor, path, **settings)

    monkeypatch.setattr("ser_kit.inference.stream.timeline", broken)
    status, answers, _ = ser_kit("predict", first, second, "--bundle", demo_bundle, "--timeline", "--json")
    assert status == 1 and answers[0] == {"path": str(first), "error": "FloatingPointError: of a library"}
    assert answers[1]["timeline"]


def test_predict_prints_comma_separated_values_and_timelines(ser_kit, demo_bundle, recordings):
    clip = sorted(recordings.rglob("*.wav"))[0]
    _, (answer,), _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--timeline", "--window", "1", "--json")
    _, table, _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--csv")
    (row,) = pd.read_csv(io.StringIO(table)).to_dict("records")
    assert (row["path"], row["emotion"], row["confidence"]) == (
        str(clip),
        answer["emotion"],
        answer["confidence"],
    )
    assert row["p_sad"] == answer["probabilities"]["sad"]
    ends = [moment["end"] for moment in answer["timeline"]]
    assert len(ends) > 1 and ends == sorted(ends) and ends[-1] == pytest.approx(answer["duration"], abs=0.1)
    _, text, _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--timeline", "--window", "1")
    assert "0:00.0 to 0:01.0" in text
    status, _, err = ser_kit("predict", clip, "--hop", "1")
    assert status == 2 and "need --timeline" in err
    status, _, err = ser_kit("predict", clip, "--bundle", demo_bundle, "--out", "answers.xml")
    assert status == 2 and "written as .csv or .jsonl" in err


def test_listen_names_what_comes_through_a_pipe_second_by_second(demo_bundle, recordings):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))[:4]]
    samples = np.concatenate([*clips, np.zeros(5 * 16000, np.int16)])
    command = [
        sys.executable,
        "-m",
        "ser_kit.cli",
        "listen",
        "--raw",
        "--channels",
        "2",
        "--json",
        "--bundle",
    ]
    stereo = np.stack([samples, samples], axis=1).astype("<i2").tobytes()
    found = subprocess.run([*command, str(demo_bundle)], input=stereo, capture_output=True, check=True)
    told = [json.loads(line) for line in found.stdout.splitlines()]
    expected = timeline(Predictor.from_bundle(demo_bundle), (samples, 16000))
    assert told == [moment.to_dict() for moment in expected]
    assert told[0]["emotion"] and told[-1]["reason"] == "silence"
    assert b"listening; press Ctrl-C to stop" in found.stderr


def test_listen_gets_used_to_a_voice_and_keeps_it(ser_kit, demo_bundle, recordings, tmp_path, monkeypatch):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))[:8]]
    samples, known = np.concatenate(clips), tmp_path / "known.json"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(samples.tobytes()))))
    command = ("listen", "--raw", "--bundle", demo_bundle, "--same-speaker", "--save-adaptation", known)
    status, text, err = ser_kit(*command)
    stream = StreamPredictor(Predictor.from_bundle(demo_bundle), adapt=True)
    moments = stream.feed(samples) + stream.flush()
    assert status == 0 and len(text.splitlines()) == len(moments) and Adaptation.load(known) == stream.adaptation
    assert f"adaptation to {stream.adaptation.clips} windows saved to {known}" in err


def test_listen_tells_when_an_emotion_begins_and_is_over(ser_kit, demo_bundle, recordings, monkeypatch):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))]
    pipe = io.TextIOWrapper(io.BufferedReader(io.BytesIO(np.concatenate(clips).tobytes())))
    monkeypatch.setattr(sys, "stdin", pipe)
    alert = ("--alert", "angry", "sad", "--above", "0.5", "--seconds", "1", "--labels", "sad,angry")
    status, out, err = ser_kit("listen", "--raw", "--bundle", demo_bundle, *alert)
    assert status == 0 and "! angry begins" in err and "! angry ends" in err and "! sad begins" in err
    assert re.match(r" +0:03\.0  (angry|sad) ", out)


def test_listen_without_a_microphone_says_what_to_do(ser_kit, demo_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, _, err = ser_kit("listen", "--bundle", demo_bundle)
    assert status == 2 and 'pip install "ser-kit[microphone]"' in err and "--raw" in err


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_predict_opens_a_model_with_any_c_library(ser_kit, recordings, monkeypatch, error):
    (clip,) = sorted(recordings.rglob("*.wav"))[:1]
    expected = ser_kit("predict", clip, "--bundle", "cross_corpus_small", "--json")

    def has_not(name):
        raise error("no mallopt")

    monkeypatch.setattr("ser_kit.cli.memory.ctypes.CDLL", has_not)
    assert ser_kit("predict", clip, "--bundle", "cross_corpus_small", "--json") == expected
