"""What is no speech is not answered as if it were, a voice is not taken for an instrument, and the counts add up."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal

from ser_kit import corpora
from ser_kit.core.errors import TableError
from ser_kit.inference.prediction import Failure

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside an installed package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import refusals, sounds  # noqa: E402

RATE, SEEDS = 16000, 3
HELD = "a pitch steadier than any voice"


@pytest.fixture(scope="module")
def heard(predictor):
    """Kind -> what comes of a few sounds of it."""
    return {
        kind: [
            refusals.outcome(answer)
            for answer in predictor.predict_many((sounds.make(kind, seed), RATE) for seed in range(SEEDS))
        ]
        for kind in sounds.KINDS
    }


def test_nearly_all_made_up_sounds_are_found_to_be_no_speech(heard):
    found = np.concatenate(list(heard.values()))
    assert len(found) == 28 * SEEDS
    assert np.isin(found, ["refused", "no speech"]).mean() >= 0.95, heard


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_every_kind_of_sound_is_found_to_be_no_speech(heard, kind):
    assert {"refused", "no speech"} & set(heard[kind])


@pytest.mark.parametrize("kind", sounds.KINDS)
def test_a_sound_is_its_kind_and_seed_and_nothing_else(kind):
    sound = sounds.make(kind, 1)
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert 1.5 * RATE - 1 <= len(sound) <= 6 * RATE
    assert 0 < np.abs(sound).max() <= 1
    np.testing.assert_array_equal(sound, sounds.make(kind, 1))
    assert not np.array_equal(sound[:RATE], sounds.make(kind, 2)[:RATE])


def sung(pitch: np.ndarray, jitter: float) -> np.ndarray:
    """Syllables between breaths: pulses of this pitch (Hz, one each sample) through the resonances of two vowels.

    Args:
        pitch: Hz, ``[n]``.
        jitter: standard deviation of the length of a period, as a share of it.
    """
    rng = np.random.default_rng(0)
    n, time = len(pitch), np.arange(len(pitch)) / RATE
    pulses, moment = np.zeros(n), 0.0
    while moment < n:
        pulses[int(moment)] = rng.uniform(0.8, 1.2)
        moment += RATE / pitch[int(moment)] * (1 + jitter * rng.standard_normal())
    vowels = []
    for formants in ((700, 1200), (350, 2100)):
        vowel = pulses
        for hertz in formants:
            radius = np.exp(-np.pi * 120 / RATE)
            vowel = signal.lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / RATE), radius**2], vowel)
        vowels.append(vowel / np.abs(vowel).max())
    syllable = np.sin(2 * np.pi * 1.5 * time)
    voice = np.where(syllable > 0, *vowels) * np.sqrt(np.abs(syllable))
    breath = rng.standard_normal(n) * np.clip(0.5 - np.abs(syllable), 0, None)
    return (0.3 * voice + 0.1 * breath).astype(np.float32)


TIME = np.arange(4 * RATE) / RATE


def test_a_voice_that_sings_is_not_taken_for_an_instrument(predictor):
    glide = 200 * 2 ** ((3 * np.sin(2 * np.pi * 0.4 * TIME) + 0.4 * np.sin(2 * np.pi * 5.5 * TIME)) / 12)
    assert "does not sound like speech" not in predictor.predict((sung(glide, jitter=0.01), RATE)).reason


def test_the_same_voice_on_one_note_without_a_tremble_is(predictor):
    steady = np.full(len(TIME), 200.0)
    assert HELD in predictor.predict((sung(steady, jitter=0), RATE)).reason
    long = np.tile(sung(steady, jitter=0), 3)
    assert HELD in predictor.predict((long, RATE)).reason


def test_the_table_counts_sounds_and_clips(monkeypatch, predictor, demo_few, heard):
    kinds = ["organ", "silence"]
    monkeypatch.setattr(sounds, "KINDS", {kind: sounds.KINDS[kind] for kind in kinds})
    monkeypatch.setattr(corpora, "load", lambda name: demo_few)
    table = refusals.measured(predictor, ["ravdess"], SEEDS)
    assert table["what"].tolist() == [*kinds, "all sounds", "clips of ravdess"]
    assert table["recordings"].tolist() == [SEEDS, SEEDS, 2 * SEEDS, len(demo_few)]
    assert table["no speech"].iloc[0] == pytest.approx(100 * heard["organ"].count("no speech") / SEEDS)
    assert table["refused"].iloc[1] == pytest.approx(100 * heard["silence"].count("refused") / SEEDS)
    assert table["in all"].tolist() == pytest.approx(table[["refused", *refusals.DOUBTS]].sum(axis=1).tolist())
    assert table["goal"].tolist()[:2] == ["", ""]
    assert table["goal"].iloc[2].startswith("at least 95: ")
    assert table["goal"].iloc[3] == f"at most 3: {'yes' if table['in all'].iloc[3] <= 3 else 'NO'}"


def test_clips_that_set_the_thresholds_are_left_out():
    rows = [("ravdess", "sad", "ravdess:01"), ("emodb", "sad", "emodb:03"), ("emodb", "boredom", "emodb:03"),
            ("emodb", "sad", "emodb:12"), ("nemo", "sad", "nemo:KS0"), ("nemo", "sad", "nemo:IC0"),
            ("tess", "sad", "tess:OAF"), ("ravdess_song", "sad", "ravdess:01")]  # fmt: skip
    table = pd.DataFrame(rows, columns=["corpus", "emotion", "speaker"])
    assert refusals.set_nothing(table).to_records(index=False).tolist() == [rows[i] for i in (2, 3, 5, 6, 7)]
    with pytest.raises(TableError, match="set by all clips of ravdess that are here"):
        refusals.set_nothing(table[table["corpus"] == "ravdess"])


def test_each_reason_has_its_column(predictor):
    answer = predictor.predict((sounds.make("organ", 0), RATE))
    assert refusals.outcome(answer) == "no speech"
    for name, reason in refusals.DOUBTS.items():
        assert refusals.outcome(dataclasses.replace(answer, reason=f"{reason} (and so on)")) == name
    assert refusals.outcome(dataclasses.replace(answer, reason="")) == ""
    assert refusals.outcome(Failure("x.wav", "x.wav is silent")) == "refused"


def test_the_command_prints_its_table_and_says_what_is_missing(monkeypatch, capsys, demo_few, tmp_path):
    monkeypatch.setattr(sounds, "KINDS", {"tone": sounds.tone})
    monkeypatch.setattr(corpora, "load", lambda name: demo_few)
    assert refusals.main(["--seeds", "2", "--json", str(tmp_path / "table.json")]) == 0
    assert "| all sounds | 2 | 0.0 | 100.0 | 0.0 | 0.0 | 100.0 | at least 95: yes |" in capsys.readouterr().out
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["what"] for row in rows] == ["tone", "all sounds", "clips of demo"]
    assert refusals.main(["--bundle", str(tmp_path / "nothing")]) == 1
    assert "neither a bundle folder nor a preset" in capsys.readouterr().err
