"""``ser-kit predict`` on tables, turns and channels; labels and maps of ``ser-kit validate``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.slow
BUNDLE = ("--bundle", "cross_corpus_small")


@pytest.fixture(scope="module")
def calls(recordings, tmp_path_factory) -> Path:
    """A folder with a call of two parties on two channels, a table and an RTTM file of its turns."""
    folder = tmp_path_factory.mktemp("calls")
    clips = [soundfile.read(clip)[0] for clip in sorted(recordings.rglob("*.wav"))[::6]]
    channels, turns, at = [[], []], [], 0.0
    for i, clip in enumerate(clips):
        clip = np.concatenate([clip, np.zeros(16000)])
        channels[i % 2].append(clip)
        channels[1 - i % 2].append(np.zeros(len(clip)))
        turns.append((at, len(clip) / 16000 - 1, "anna" if i % 2 == 0 else "ben"))
        at += len(clip) / 16000
    both = np.stack([np.concatenate(parts) for parts in channels], 1)
    soundfile.write(folder / "call.wav", both, 16000)
    lines = [f"SPEAKER call 1 {start:.3f} {length:.3f} <NA> <NA> {who} <NA> <NA>" for start, length, who in turns]
    (folder / "call.rttm").write_text("\n".join(lines))
    rows = [f"call.WAV;{start:.3f};{start + length:.3f};?;{who}" for start, length, who in turns]
    text = "\n".join(["Datei;Anfang;Ende;emotion;wer", *rows, "fehlt.wav;;;?;Jörg"])
    text = text.replace("Datei", "file").replace("Anfang", "start").replace("Ende", "end")
    (folder / "calls.csv").write_bytes(text.encode("cp1252"))
    return folder


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_table_keeps_its_columns_and_gets_ours(ser_kit, calls, tmp_path):
    status, said, err = ser_kit("predict", calls / "calls.csv", *BUNDLE, "--csv")
    rows = rows_of(said)
    assert status == 1 and len(rows) == 5  # the last names no file
    assert list(rows[0])[:7] == ["file", "start", "end", "emotion", "wer", "path", "answer_emotion"]
    assert rows[0]["emotion"] == "?" and rows[0]["answer_emotion"] and float(rows[0]["confidence"]) > 0
    assert rows[-1]["wer"] == "Jörg" and "there is no file" in rows[-1]["error"]
    assert "calls.csv: 5 rows, semicolon, Windows-1252" in err and "line 6 cannot be used" in err
    assert ser_kit("predict", calls / "calls.csv", *BUNDLE, "--csv", "--quiet")[2] == ""

    status, (first, *_), _ = ser_kit("predict", calls / "calls.csv", *BUNDLE, "--json")
    assert first["row"]["wer"] == "anna" and first["path"].endswith(f"call.wav#t=0,{float(rows[0]['end']):g}")

    for out in (tmp_path / "answers.csv", tmp_path / "answers.jsonl"):
        arguments = ("predict", calls / "calls.csv", *BUNDLE, "--out", out)
        assert ser_kit(*arguments)[0] == 1
        before = out.read_bytes()
        status, _, err = ser_kit(*arguments)
        assert f"{out} already has answers for 4 of 5 recordings" in err and out.read_bytes() == before
    written = rows_of((tmp_path / "answers.csv").read_text("utf-8"))
    assert [{k: v for k, v in row.items() if k not in ("content", "model")} for row in written] == rows


def test_turns_and_channels_are_answered_and_drawn(ser_kit, calls, tmp_path):
    plot = tmp_path / "turns.png"
    status, said, _ = ser_kit(
        "predict", calls / "call.wav", *BUNDLE, "--channels", "each", "--turns", "--csv", "--plot", plot
    )
    rows = rows_of(said)
    assert status == 0 and list(rows[0])[:4] == ["channel", "start", "end", "path"]
    assert [row["channel"] for row in rows] == ["1", "2", "1", "2"]
    assert [float(row["start"]) for row in rows] == sorted(float(row["start"]) for row in rows)
    assert plot.read_bytes()[:4] == b"\x89PNG"

    status, said, err = ser_kit("predict", calls / "call.rttm", *BUNDLE, "--csv")
    rows = rows_of(said)
    assert status == 0 and [row["speaker"] for row in rows] == ["anna", "ben", "anna", "ben"]
    assert "call.rttm: 4 turns of 1 recordings; speakers: anna, ben" in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("call.rttm", "--turns"), "is a part of a file already; leave out --turns"),
        (("call.wav", "--turns", "--timeline"), "cannot be used together"),
        (("call.wav", "--plot", "turns.pdf"), "expected the name of a PNG file"),
        (("call.wav", "--plot", "turns.png", "--out", "x.csv"), "cannot be used together"),
        (("call.wav", "--channels", "both"), "unknown channels 'both'"),
        (("gone.csv",), "gone.csv cannot be read"),
    ],
)
def test_what_does_not_go_together_is_refused_first(ser_kit, calls, arguments, why):
    first, *rest = arguments
    status, _, err = ser_kit("predict", calls / first, *rest, *BUNDLE)
    assert status == 2 and why in err


def test_validate_writes_a_map(ser_kit, recordings, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "Wut").symlink_to(recordings / "angry")
    corpus, out = f"mine:{tmp_path / 'list.csv'}", tmp_path / "map.csv"
    rows = [f"{clip},{label}" for label, clip in (("Wut", "Wut/01/01_angry_s1_t1.wav"), ("mild", "x.wav"))]
    (tmp_path / "list.csv").write_text("path,label\n" + "\n".join(f"mine/{row}" for row in rows))
    status, _, err = ser_kit("validate", corpus, "--write-map", out)
    assert "labels written to" in err and out.read_text() == "label,emotion\nWut,angry\n"
    status, found, _ = ser_kit("validate", corpus, "--map", out, "--json")
    assert found["found"] == {"angry": 1}
    status, found, _ = ser_kit("validate", corpus, "--labels", "own", "--json")
    assert found["found"] == {"Wut": 1}
    status, _, err = ser_kit("validate", corpus, "--write-map", out)
    assert status == 2 and "is there already" in err
