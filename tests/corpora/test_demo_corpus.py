"""The demo corpus: it is what it says, the same each time, there whole or not at all, and sounds as its rules say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import corpora
from ser_kit.core.errors import FileNameError
from ser_kit.core.labels import label_set
from ser_kit.corpora import demo

pytestmark = pytest.mark.slow

FETCH = "from ser_kit.corpora import demo; print(demo.fetch())"


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A corpus of a few clips and an empty cache."""
    monkeypatch.setenv("SER_KIT_CACHE", str(tmp_path))
    monkeypatch.setattr(demo, "index", lambda: ["01_happy_s1_t1", "02_sad_s3_t2"])
    return tmp_path


@pytest.fixture(scope="module")
def voices(demo_table):
    """Clips of one sentence, with what the rules speak of as it was measured; pitch in semitones re 1 Hz."""
    import parselmouth

    rows = demo_table[demo_table["text_id"] == "s1"].copy()
    measured = []
    for path in rows["path"]:
        samples, rate = soundfile.read(path)
        pitch = parselmouth.Sound(samples, rate).to_pitch_ac(0.01, 50, pitch_ceiling=500)
        f0 = pitch.selected_array["frequency"]
        spectrum = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.fft.rfftfreq(len(samples), 1 / rate)
        semitones = 12 * np.log2(f0[f0 > 0])
        measured.append({
            "pitch": np.median(semitones),
            "range": np.subtract(*np.percentile(semitones, [90, 10])),
            "duration": len(samples) / rate,
            "level": 10 * np.log10(np.mean(samples**2)),
            "brightness": 10 * np.log10(spectrum[hertz > 1000].sum() / spectrum[hertz <= 1000].sum()),
        })  # fmt: skip
    for cue in measured[0]:
        rows[cue] = [row[cue] for row in measured]
    return rows


def of_emotion(voices, cue):
    """Mean of a cue over all speakers, by emotion."""
    return voices.groupby("emotion")[cue].mean()


def test_counts_and_balance(demo_table):
    assert Counter(demo_table["emotion"]) == demo.EXPECTED
    assert set(demo.EXPECTED) == set(label_set("six").labels)
    assert 300 <= len(demo_table) <= 480
    speakers = demo_table.groupby("speaker")["sex"].unique()
    assert len(speakers) >= 8
    assert Counter(sex for sexes in speakers for sex in sexes) == {"female": 5, "male": 5}
    assert demo_table["text_id"].nunique() >= 4
    assert demo_table["clip_id"].is_unique


def test_clips_are_16_bit_16_khz_mono_and_never_clip(demo_table):
    for path in demo_table["path"]:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16000, 1, "PCM_16")
        assert 1.0 < info.duration < 4.0
    loudest = max(np.abs(soundfile.read(path)[0]).max() for path in demo_table["path"][::7])
    assert 0.1 < loudest < 1


def test_says_that_it_is_synthetic(demo_table):
    folder = Path(demo_table["path"][0]).parent
    assert "synthetic" in demo.LICENSE
    assert "SYNTHETIC" in (folder / "README.txt").read_text(encoding="utf-8")
    assert demo_table["native_emotion"].str.contains("synthetic").all()
    with soundfile.SoundFile(demo_table["path"][0]) as file:
        assert "synthetic" in file.comment


def test_validates():
    assert corpora.validate("demo").ok


def test_every_name_is_parsed_back():
    for name in demo.index():
        fields = demo.parse(f"{name}.wav")
        assert fields["clip_id"] == f"demo:{name}"
        assert name == "_".join(
            [fields["speaker"].removeprefix("demo:"), fields["emotion"], fields["text_id"], name.split("_")[-1]]
        )
    assert len(set(demo.index())) == sum(demo.EXPECTED.values())


@pytest.mark.parametrize("name", ["", "00_angry_s2_t1", "11_angry_s2_t1.wav", "03_calm_s2_t1.wav", "03_angry_s5_t1"])
def test_foreign_names_are_refused_with_an_example(name):
    with pytest.raises(FileNameError, match=r"03_angry_s2_t1\.wav"):
        demo.parse(name)


@given(st.text())
def test_any_text_is_parsed_or_refused(name):
    try:
        fields = demo.parse(name)
    except FileNameError:
        return
    assert fields["clip_id"].removeprefix("demo:") in demo.index()


@pytest.mark.parametrize("name", ["01_neutral_s1_t1", "06_fear_s4_t2", "09_disgust_s2_t1"])
def test_same_name_same_samples_whatever_came_before(name, demo_table):
    """The table's clips came from worker processes with other histories than this one's."""
    stored, _ = soundfile.read(demo_table.set_index("clip_id")["path"][f"demo:{name}"], dtype="int16")
    demo.synthesise_clip("02_angry_s3_t1")
    np.testing.assert_array_equal(demo.synthesise_clip(name), stored)


def test_files_are_the_same_byte_for_byte(small, demo_table):
    folder = demo.fetch()
    paths = demo_table.set_index("clip_id")["path"]
    for name in demo.index():
        assert (folder / f"{name}.wav").read_bytes() == Path(paths[f"demo:{name}"]).read_bytes()


def test_takes_differ():
    first, second = demo.synthesise_clip("04_happy_s1_t1"), demo.synthesise_clip("04_happy_s1_t2")
    assert len(first) != len(second) or (first != second).any()


def test_second_fetch_does_nothing(small, monkeypatch):
    folder = demo.fetch()
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(demo, "_synthesise_into", lambda folder: pytest.fail("synthesised again"))
    assert demo.fetch() == folder
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert sorted(path.name for path in folder.iterdir()) == [*(f"{name}.wav" for name in demo.index()), "README.txt"]


def test_another_version_is_another_folder(small, monkeypatch):
    old = demo.fetch()
    monkeypatch.setattr(demo, "VERSION", "another")
    assert demo.fetch() != old


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("no space left on device")])
def test_interruption_leaves_nothing(small, monkeypatch, error):
    def interrupted(folder):
        demo._write_clip(folder, "01_happy_s1_t1")
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(demo, "_synthesise_into", interrupted)
        with pytest.raises(type(error) if isinstance(error, Exception) else error):
            demo.fetch()
    assert list(small.iterdir()) == []
    assert len(list(demo.fetch().glob("*.wav"))) == 2


def test_two_at_once_do_no_harm(small, monkeypatch):
    synthesise = demo._synthesise_into

    def overtaken(folder):
        with monkeypatch.context() as patch:
            patch.setattr(demo, "_synthesise_into", synthesise)
            demo.fetch()  # the other process, which is done first
        synthesise(folder)

    monkeypatch.setattr(demo, "_synthesise_into", overtaken)
    folder = demo.fetch()
    assert list(small.iterdir()) == [folder]
    assert len(list(folder.glob("*.wav"))) == 2


def test_what_a_killed_process_left_is_swept_up_but_not_what_is_being_made(small):
    abandoned, living = small / f"{demo._WORKSHOP}old", small / f"{demo._WORKSHOP}new"
    for workshop in (abandoned, living):
        workshop.mkdir()
    os.utime(abandoned, (0, 0))
    demo.fetch()
    assert not abandoned.exists()
    assert living.exists()


@pytest.mark.skipif(os.name == "nt", reason="sends a POSIX signal")
def test_ctrl_c_leaves_nothing(tmp_path):
    """As a terminal sends it: to the process and to its workers."""
    process = subprocess.Popen(
        [sys.executable, "-c", FETCH], env=os.environ | {"SER_KIT_CACHE": str(tmp_path)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while not list(tmp_path.glob(".*/*/*.wav")) and process.poll() is None:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    assert output == b""
    assert list(tmp_path.iterdir()) == [], errors.decode()


def test_pitch_follows_the_rules(voices):
    pitch = of_emotion(voices, "pitch")
    assert pitch["fear"] > pitch["angry"] > pitch["neutral"] > pitch["sad"]
    assert pitch["happy"] > pitch["neutral"] > pitch["disgust"]


def test_range_follows_the_rules(voices):
    spread = of_emotion(voices, "range")
    assert spread["happy"] > spread["neutral"] > spread["sad"]
    assert spread["angry"] > spread["neutral"]


def test_rate_level_and_brightness_follow_the_rules(voices):
    duration, level, brightness = (of_emotion(voices, cue) for cue in ("duration", "level", "brightness"))
    assert duration["fear"] < duration["neutral"] < duration["sad"]
    assert duration["angry"] < duration["neutral"] < duration["disgust"]
    assert level["angry"] > level["happy"] > level["neutral"] > level["sad"]
    assert brightness["angry"] > brightness["neutral"] > brightness["sad"]


def test_speakers_keep_their_pitch(voices):
    """The median of the neutral voice is the one declared, within two semitones of take-to-take variation."""
    neutral = voices[voices["emotion"] == "neutral"].groupby("speaker")["pitch"].mean()
    for name, speaker in demo.SPEAKERS.items():
        assert neutral[f"demo:{name}"] == pytest.approx(12 * np.log2(speaker.pitch), abs=2.5)
