"""What is answered for: rows of tables, turns of RTTM files, channels, turns by voice activity."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_kit.audio import Excerpt, channels_of, read_audio
from ser_kit.core.errors import AudioError, TableError
from ser_kit.corpora import rttm
from ser_kit.corpora.demo import synthesise_clip
from ser_kit.inference import items
from ser_kit.inference.voice_activity import turns
from ser_kit.plots import turns as plot_turns

RATE = 16000


@pytest.fixture(scope="module")
def call(tmp_path_factory) -> Path:
    """A call of two parties on two channels, who speak in turns; each is heard softly on the other channel."""
    first, second = (synthesise_clip(f"{name}_sad_s1_t1.wav") / 2**15 for name in ("01", "02"))
    silence = np.zeros(RATE)
    left = np.concatenate([silence, first, silence, 0.01 * second, silence, first, silence])
    right = np.concatenate([silence, 0.01 * first, silence, second, silence, 0.01 * first, silence])
    both = np.stack([left, right], 1) + 1e-4 * np.random.default_rng(0).normal(size=(len(left), 2))
    file = tmp_path_factory.mktemp("calls") / "Call 1.wav"
    soundfile.write(file, both, RATE, subtype="PCM_16")
    return file


def test_channels_of_a_recording(call):
    assert channels_of(str(call)) == channels_of(Excerpt(call, 0, 1)) == 2
    assert channels_of(read_audio(call)) == 2
    one, two = (read_audio(Excerpt(call, channel=channel)).samples for channel in (1, 2))
    np.testing.assert_allclose(read_audio(call).samples, (one + two) / 2, atol=1e-7)
    with pytest.raises(AudioError, match="no more than 2 channels"):
        read_audio(Excerpt(call, channel=3))
    with pytest.raises(AudioError, match="counted from 1"):
        Excerpt(call, channel=0)


def test_turns_are_where_somebody_speaks(call):
    samples = read_audio(Excerpt(call, channel=1)).samples
    found = turns(Excerpt(call, channel=1))
    assert len(found) == 2  # the other party's turn, 40 dB below, is none
    level = [np.abs(samples[int(start * RATE) : int(end * RATE)]).max() for start, end in found]
    assert min(level) > 0.05 and found[0][0] == pytest.approx(1.0, abs=0.3)
    assert len(turns(Excerpt(call, channel=2))) == 1
    assert turns((np.zeros(RATE), RATE)) == []


def test_each_channel_and_turn_is_an_item(call):
    found = list(items.by_turns(items.each_channel([items.Item(str(call))])))
    assert [item.cells["channel"] for item in found] == ["1", "1", "2"]
    assert all(item.key == str(item.source) and "&channel=" in item.key for item in found)
    assert [(item.source.start, item.source.end) for item in found[:2]] == turns(Excerpt(call, channel=1))
    assert found[0].cells["start"] == f"{found[0].source.start:g}"
    with pytest.raises(TableError, match="is a part of a file already"):
        list(items.by_turns(found))
    with pytest.raises(TableError, match="is one channel already"):
        list(items.each_channel(found))


def test_recordings_that_cannot_be_cut_are_items_with_an_error(tmp_path):
    (tmp_path / "a.wav").write_text("no sound")
    soundfile.write(tmp_path / "b.wav", np.zeros(RATE), RATE)
    found = list(items.by_turns(map(items.Item, [str(tmp_path / "a.wav"), str(tmp_path / "b.wav")])))
    assert "is not a sound file but text" in found[0].error and found[1].error == "no turn of speech was found"


def test_parts_are_those_that_are_read_alone(call):
    found = list(items.by_turns(items.each_channel([items.Item(str(call))])))
    sound = items.parts_of(found)
    for item in found:
        assert np.array_equal(read_audio(sound(item), sr=8000).samples, read_audio(item.source, sr=8000).samples)
    beyond = dataclasses.replace(found[0], source=Excerpt(call, 1, 1000, channel=1))
    assert sound(beyond) == beyond.source


def test_rows_of_a_table_keep_every_column(call):
    table = call.parent / "list.csv"
    rows = ["Nr;file;Start;END;emotion;Nr", "1;CALL 1.WAV;0,5;1,5;?;ü", "2;call 1.wav;;;!;", "3;gone.wav;;;;"]
    rows += ["4;call 1.wav;2;1;;", "5;call 1.wav;;;;", "6;;;;;"]
    table.write_bytes("\n".join(rows).encode("cp1252"))
    found = items.of_table(table)
    assert found.items[0].cells == {
        "Nr": "1", "file": "CALL 1.WAV", "Start": "0,5", "END": "1,5", "emotion": "?", "Nr.2": "ü",
    }  # fmt: skip
    assert found.items[0].source == Excerpt(str(call), 0.5, 1.5)
    assert [bool(item.error) for item in found.items] == [False, False, True, True, False, True]
    keys = [item.key for item in found.items]
    assert len(set(keys)) == len(keys) and keys[1] == f"{call}#row=3" and keys[4] == f"{call}#row=6"
    assert "semicolon, Windows-1252; columns: file as path, Start as start" in found.about[0].replace(
        "Start,", "Start as start,"
    )
    assert "kept as they are: Nr, emotion, Nr" in found.about[0]
    assert "line 4 cannot be used: there is no file" in found.about[1] and "expected 0 <= start < end" in found.about[2]


def test_audformat_and_nkululeko_segments(call):
    table = call.parent / "segments.csv"
    table.write_text(
        "file,start,end,emotion,gender\nCall 1.wav,0 days 00:00:00.5,0 days 00:00:01.500000,anger,male\n"
        "Call 1.wav,0 days 00:00:02,NaT,anger,male\n"
    )
    found = items.of_table(table).items
    assert [item.source for item in found] == [Excerpt(str(call), 0.5, 1.5), Excerpt(str(call), 2.0)]


def test_a_table_without_paths(tmp_path):
    (tmp_path / "list.csv").write_text("name,emotion\na.wav,sad\n")
    with pytest.raises(TableError, match="lacks the column path; it has name, emotion"):
        items.of_table(tmp_path / "list.csv")


def test_turns_of_an_rttm_file(call):
    file = call.parent / "turns.rttm"
    soundfile.write(call.parent / "other.wav", np.zeros(RATE), RATE)
    file.write_text(
        ";; made by hand\nSPKR-INFO other 1 <NA> <NA> <NA> unknown anna <NA> <NA>\n"
        "SPEAKER other 1 0.5 0.25 <NA> <NA> anna <NA> <NA>\nSPEAKER gone 1 1 2 <NA> <NA> ben <NA>\n"
    )
    found = items.of_rttm(file)
    assert found.items[0].source == Excerpt(str(call.parent / "other.wav"), 0.5, 0.75)
    assert found.items[0].cells == {"recording": "other", "speaker": "anna", "start": "0.5", "end": "0.75"}
    assert found.items[1].error == f"there is no recording 'gone' in {call.parent}"
    assert found.about[0] == "turns.rttm: 2 turns of 2 recordings; speakers: anna, ben"
    assert "line 4 cannot be used" in found.about[1]


def test_channels_of_an_rttm_file_count_where_it_names_several(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros((RATE, 2)), RATE)
    lines = [f"SPEAKER a {channel} 0 0.5 <NA> <NA> {who} <NA> <NA>" for channel, who in ((1, "x"), (2, "y"))]
    (tmp_path / "a.rttm").write_text("\n".join(lines))
    found = items.of_rttm(tmp_path / "a.rttm").items
    assert [item.source.channel for item in found] == [1, 2] and found[1].cells["channel"] == "2"
    (tmp_path / "a.rttm").write_text(lines[0])
    assert items.of_rttm(tmp_path / "a.rttm").items[0].source.channel is None
    soundfile.write(tmp_path / "a.flac", np.zeros(RATE), RATE)
    assert "may be one of 2 recordings" in items.of_rttm(tmp_path / "a.rttm").items[0].error


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("SPEAKER a 1 0", "it has 4 fields"),
        ("SPEKAER a 1 0 1 <NA> <NA> x <NA> <NA>", "'SPEKAER' is no kind of line"),
        ("SPEAKER a left 0 1 <NA> <NA> x <NA> <NA>", "its channel is 'left'"),
        ("SPEAKER a 1 0 0 <NA> <NA> x <NA> <NA>", "it does not last"),
        ("SPEAKER a 1 soon 1 <NA> <NA> x <NA> <NA>", "could not convert"),
        ("SPEAKER a 1 nan 1 <NA> <NA> x <NA> <NA>", "it does not last"),
    ],
)
def test_lines_that_are_none_of_rttm_are_named(line, why):
    with pytest.raises(TableError, match=f"x.rttm, line 2: .*{why}.*expected such as SPEAKER"):
        rttm.parse(f"\n{line}\n", "x.rttm")


times = st.decimals(0, 10_000, places=3)
names = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=10)


@given(st.lists(st.tuples(names, st.integers(1, 9), times, st.decimals("0.001", 100, places=3), names), min_size=1))
def test_every_rttm_file_is_read(rows):
    text = "\n".join(f"SPEAKER {f} {c} {start} {length} <NA> <NA> {who} <NA> <NA>" for f, c, start, length, who in rows)
    found = rttm.parse(text)
    assert [(t.recording, t.channel, t.speaker) for t in found] == [(f, c, who) for f, c, _, _, who in rows]
    for turn, (_, _, start, length, _) in zip(found, rows, strict=True):
        assert (turn.start, turn.end) == (float(start), pytest.approx(float(start + length)))


@given(st.text(max_size=60))
def test_any_text_is_turns_or_an_error(text):
    try:
        assert all(turn.start < turn.end for turn in rttm.parse(f"SPEAKER {text}\n{text}"))
    except TableError as error:
        assert "\n" not in str(error)


def test_the_figure_shows_who_spoke_when():
    columns = ["recording", "who", "start", "end", "emotion", "uncertain"]
    rows = [("a.wav", "10", 0, 2, "tense", False), ("a.wav", "2", 2, 3, "Wut", True), ("b.wav", "", 0, 1, "", False)]
    figure = plot_turns(pd.DataFrame(rows, columns=columns))
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["a.wav", "b.wav"]
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["2", "10"]
    assert [each.get_text() for each in figure.legends[0].get_texts()] == ["tense", "Wut", "no answer"]
    with pytest.raises(TableError, match="turns of 0 recordings"):
        plot_turns(pd.DataFrame([], columns=columns))
