"""How sure an answer is: sounds, leans towards, not sure."""

from __future__ import annotations

import json

import pytest

from ser_kit.bundles.presets import preset_names, preset_path
from ser_kit.core.labels import EMOTIONS
from ser_kit.inference.answers import RIGHT_SHARE, sure_from
from ser_kit.inference.prediction import Prediction


def bins(*rows, speaker_independent=True):
    names = ("low", "accuracy", "clips")
    reliability = [dict(zip(names, row, strict=True)) for row in rows]
    return {"evaluation": {"speaker_independent": speaker_independent, "reliability": reliability}}


def answer(confidence, **others):
    facts = {"uncertain": False, "reason": "", "segments": (), "duration": 3.0, "sure": False} | others
    return Prediction("angry", confidence, dict.fromkeys(EMOTIONS[:8], 1 / 8), **facts)


@pytest.mark.parametrize(
    ("confidence", "others", "verdict"),
    [
        (0.95, {"sure": True}, "sounds"),
        (0.95, {}, "leans towards"),
        (0.5, {}, "leans towards"),
        (0.26, {}, "not sure"),
        (0.9, {"covered": 0.5}, "not sure"),  # 0.45 in all
        (0.95, {"sure": True, "uncertain": True}, "not sure"),
    ],
)
def test_the_verdict_follows_from_how_sure_the_answer_is(confidence, others, verdict):
    found = answer(confidence, **others)
    assert found.verdict == found.to_dict()["verdict"] == verdict


def test_a_sure_answer_is_as_often_right_as_it_is_called():
    assert sure_from(bins((0.5, 0.5, 100), (0.6, 0.85, 40), (0.8, 0.95, 60))) == 0.6  # 91 of 100
    assert sure_from(bins((0.5, 0.5, 100), (0.8, 0.89, 100))) == float("inf")
    assert sure_from(bins((0.8, 1.0, 19), (0.9, None, 0))) == float("inf")  # too few
    assert sure_from(bins((0.8, 1.0, 100), speaker_independent=False)) == float("inf")
    assert sure_from({}) == float("inf")


@pytest.mark.parametrize("name", preset_names())
def test_sure_answers_of_a_preset_were_right_nine_times_in_ten(name):
    card = json.loads((preset_path(name) / "card.json").read_text())
    above = [row for row in card["evaluation"]["reliability"] if row["low"] >= sure_from(card)]
    right = sum(row["clips"] * row["accuracy"] for row in above)
    assert right >= RIGHT_SHARE * sum(row["clips"] for row in above)
    assert (name == "cross_corpus_small") == (not above)  # its most confident answers are too often wrong


def test_a_recording_and_its_windows_say_how_sure_they_are(predictor, demo_table, tmp_path):
    import numpy as np
    import soundfile

    from ser_kit.audio import read_audio

    clips = [read_audio(path, sr=16000).samples for path in demo_table["path"].iloc[:3]]
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(8 * 16000) / 16000)
    soundfile.write(tmp_path / "half.wav", np.concatenate([*clips, tone]), 16000)
    found = predictor.predict(tmp_path / "half.wav")
    assert found.verdict in ("sounds", "leans towards", "not sure")
    assert [bool(segment.reason) for segment in found.segments][-2:] == [True, True]  # a tone
    assert not found.segments[0].reason
