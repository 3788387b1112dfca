"""Emotion over time: the same whether it comes in drops or at once, still where nobody speaks, and bounded."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit.audio import read_audio
from ser_kit.bundles.bundle import Bundle
from ser_kit.core.errors import AudioError, InvalidSamplesError, LabelError, TooShortError
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import RATE, Alert, Moment, StreamPredictor, timeline


@pytest.fixture(scope="module")
def talk(demo_table):
    """Three clips, two seconds of silence, three clips of another mood."""
    parts = [read_audio(path, sr=RATE).samples for path in demo_table["path"].iloc[[0, 1, 2, 90, 91, 92]]]
    return np.concatenate([*parts[:3], np.zeros(7 * RATE, np.float32), *parts[3:]])


@pytest.fixture(scope="module")
def moments(predictor, talk):
    return timeline(predictor, (talk, RATE))


def test_windows_come_at_the_hop_and_the_last_ends_with_the_recording(moments, talk):
    assert [m.end - m.start for m in moments[:-1]] == pytest.approx([3] * (len(moments) - 1))
    assert [m.start for m in moments] == pytest.approx(list(range(len(moments))))
    assert moments[-1].end == pytest.approx(len(talk) / RATE)
    for moment in moments:
        if moment.emotion:
            assert moment.confidence == moment.probabilities[moment.emotion] == max(moment.probabilities.values())
            assert sum(moment.probabilities.values()) == pytest.approx(1)


def test_nobody_speaks_in_silence(moments):
    silent = [m for m in moments if m.reason == "silence"]
    assert silent and all(not m.emotion and not m.probabilities and m.confidence == 0 for m in silent)
    assert moments[0].emotion and moments[-1].emotion


@pytest.mark.slow
@settings(max_examples=8)
@given(st.lists(st.integers(1, 3 * RATE), min_size=1, max_size=40))
def test_blocks_of_any_size_give_the_whole_recordings_timeline(predictor, talk, moments, sizes):
    stream, found, begin = StreamPredictor(predictor), [], 0
    for size in sizes:
        found += stream.feed(talk[begin : begin + size])
        begin += size
    found += stream.feed(talk[begin:]) + stream.flush()
    assert found == moments


@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_stream_at_another_rate_is_judged_as_its_file_is(predictor, talk, tmp_path, rate):
    import soxr

    sound = soxr.resample(talk, RATE, rate)
    soundfile.write(tmp_path / "talk.wav", sound, rate, subtype="FLOAT")
    stream = StreamPredictor(predictor, sr=rate)
    found = [moment for block in np.array_split(sound, 97) for moment in stream.feed(block)] + stream.flush()
    assert found == timeline(predictor, tmp_path / "talk.wav")


def test_a_clip_in_one_window_has_the_answer_that_predict_gives(predictor, demo_table):
    clip = demo_table["path"].iloc[3]
    (moment,) = timeline(predictor, clip, window=8, hop=8)
    assert dict(moment.probabilities) == dict(predictor.predict(clip).probabilities)


def test_members_that_want_different_rates_have_the_stream_at_its_own(demo_bundle, demo_table, tmp_path):
    bundle = Bundle.load(demo_bundle)
    (member,) = bundle.members
    wide = dataclasses.replace(member, extractor=dataclasses.replace(member.extractor, sr=48_000))
    mixed = Predictor(dataclasses.replace(bundle, members=(member, wide)))
    sound = read_audio(demo_table["path"].iloc[3], sr=44_100).samples
    soundfile.write(tmp_path / "clip.wav", sound, 44_100, subtype="FLOAT")
    expected = mixed.predict(tmp_path / "clip.wav").probabilities
    (moment,) = timeline(mixed, tmp_path / "clip.wav", window=8, hop=8)
    seconds = len(sound) / 44_100
    stream = StreamPredictor(mixed, sr=44_100, window=seconds, hop=seconds, smoothing=0)
    (streamed,) = [m for block in np.array_split(sound, 37) for m in stream.feed(block)] + stream.flush()
    assert mixed.bundle.rate is None and moment.probabilities == streamed.probabilities == expected


def test_without_smoothing_each_window_is_judged_alone(predictor, talk):
    found = timeline(predictor, (talk, RATE), smoothing=0)
    alone = predictor.predict((talk[2 * RATE : 5 * RATE], RATE))
    assert found[2].probabilities == pytest.approx(alone.probabilities)
    smooth = timeline(predictor, (talk, RATE), smoothing=2)
    kept = np.exp(-1 / 2)
    first, second = (np.array(list(m.probabilities.values())) for m in found[:2])
    assert list(smooth[1].probabilities.values()) == pytest.approx(kept * first + (1 - kept) * second)


def test_an_emotion_that_the_labels_leave_out_is_no_answer_and_no_alert(predictor, talk):
    inside = [m for m in timeline(predictor, (talk, RATE)) if m.emotion]
    often = {m.emotion for m in inside}
    others = [label for label in predictor.labels if label not in often][:2]
    begun = []
    alerts = [Alert(label, lambda alert, moment: begun.append(moment), above=0.5, seconds=0) for label in others]
    found = timeline(Predictor(predictor.bundle, others), (talk, RATE), alerts=alerts)
    heard = [m for m in found if m.probabilities]
    assert len(heard) == len(inside) and not begun
    assert all(m.reason.startswith("it sounds most like ") and not m.emotion and m.confidence == 0 for m in heard)
    assert [m.covered for m in heard] == pytest.approx([sum(m.probabilities[x] for x in others) for m in inside])


def test_a_stream_begins_anew_after_its_end(predictor, talk, moments):
    stream = StreamPredictor(predictor)
    for _ in range(2):
        assert stream.feed(talk) + stream.flush() == moments
    assert stream.flush() == []


def test_memory_is_bounded(predictor):
    stream = StreamPredictor(predictor)
    for _ in range(600):
        stream.feed(np.zeros(RATE, np.float32))
        assert stream._kept.base is None and len(stream._kept) <= 3 * RATE


def test_integers_and_channels_are_taken_as_in_a_file(predictor, talk):
    whole = np.round(talk * 32767).astype(np.int16)
    as_floats = timeline(predictor, (whole / np.float32(32768), RATE))
    stream = StreamPredictor(predictor)
    assert stream.feed(np.stack([whole, whole], axis=1)) + stream.flush() == as_floats


def at(end: float, p: float, emotion: str = "angry") -> Moment:
    return Moment(end - 1, end, emotion, p, {emotion: p, "other": 1 - p})


def test_an_alert_waits_holds_on_and_ends():
    heard = []
    alert = Alert("angry", then=lambda alert, moment: heard.append((alert.active, moment.end)), seconds=2)
    for end, p in enumerate([0.8, 0.9, 0.6, 0.8, 0.8, 0.8, 0.6, 0.55, 0.4, 0.9, 0.9, 0.9], start=1):
        alert.update(at(end, p))
        alert.update(Moment(end, end + 0.5, reason="silence"))
    assert heard == [(True, 6), (False, 9), (True, 12)]


def test_alerts_are_told_by_the_stream(predictor, talk, moments):
    likely = max(moments, key=lambda m: m.confidence)
    heard = []
    alert = Alert(
        likely.emotion, lambda a, m: heard.append((a.active, m)), above=likely.confidence, below=0.0, seconds=0
    )
    timeline(predictor, (talk, RATE), alerts=[alert])
    assert heard[0] == (True, likely)


def test_what_makes_no_sense_is_an_error(predictor):
    for settings_ in ({"window": 0.1}, {"hop": 0}, {"window": 1, "hop": 2}, {"smoothing": -1}):
        with pytest.raises(AudioError, match="expected window >= 0.5 s"):
            StreamPredictor(predictor, **settings_)
    with pytest.raises(AudioError, match="expected 4000 to 384000 Hz"):
        StreamPredictor(predictor, sr=100)
    with pytest.raises(LabelError, match="unknown emotion 'hangry'"):
        StreamPredictor(predictor, alerts=[Alert("hangry", print)])
    with pytest.raises(AudioError, match="invalid alert"):
        Alert("angry", print, above=0.5, below=0.7)
    with pytest.raises(InvalidSamplesError):
        StreamPredictor(predictor).feed(np.array([0, np.nan]))
    with pytest.raises(TooShortError, match="expected 0.1 s or more"):
        timeline(predictor, (np.ones(100), RATE))
