"""Prediction: the same answer however the recording comes, and a plain word where there is none."""

from __future__ import annotations

import dataclasses
import functools
import io
import multiprocessing
import pickle
import sys
import warnings
from concurrent.futures import CancelledError
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ser_kit import features, models
from ser_kit.app.answer import work_out
from ser_kit.audio import ffmpeg, read_audio
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.member import Places
from ser_kit.bundles.presets import preset_path
from ser_kit.core.errors import AudioError, BundleError, FeatureError, ForkedError, LabelError, MissingDependencyError
from ser_kit.features import Functionals
from ser_kit.inference.answers import ENROLLED_SHARE
from ser_kit.inference.pieces import LONG_SECONDS
from ser_kit.inference.prediction import Failure, Prediction
from ser_kit.inference.predictor import DEFAULT_PRESET, Predictor
from ser_kit.inference.stream import timeline
from ser_kit.plots import tracks

RATE = 16000


@pytest.fixture(scope="module")
def predictor(demo_bundle):
    return Predictor.from_bundle(demo_bundle)


@pytest.fixture(scope="module")
def clip(demo_table):
    return Path(demo_table["path"].iloc[0])


@pytest.fixture(scope="module")
def answer(predictor, clip):
    return predictor.predict(clip)


def test_an_answer_is_complete(predictor, answer, clip):
    assert answer.emotion in predictor.labels
    assert answer.confidence == max(answer.probabilities.values()) == answer.probabilities[answer.emotion]
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.path == str(clip)
    assert answer.duration == pytest.approx(soundfile.info(clip).duration)
    assert len(answer.segments) == 1
    assert answer.uncertain == bool(answer.reason)


def test_an_answer_says_what_its_confidence_rests_on(answer, clip, monkeypatch):
    assert answer.rests_on == "held-out speakers of demo"
    assert answer.to_dict()["rests_on"] == answer.rests_on
    shipped = Predictor(Bundle.load(preset_path(DEFAULT_PRESET), networks=True))
    of_all = "held-out corpora: emodb, emospeech, nemo, ravdess, tess"
    assert shipped.predict(clip).rests_on == of_all  # synthetic voices are like no corpus
    for place, name in ((3, "ravdess"), (5, "tess")):
        near = Places(np.ones(1), np.array([place]))
        monkeypatch.setattr(Bundle, "places", lambda *_, near=near: near)
        expected = f"held-out speakers of {name}, which the recording resembles"
        assert shipped.predict(clip).rests_on == expected


def test_path_text_bytes_file_array_and_recording_give_the_same_answer(predictor, answer, clip):
    samples, rate = soundfile.read(clip, dtype="float32")
    with clip.open("rb") as file:
        sources = [str(clip), clip.read_bytes(), io.BytesIO(clip.read_bytes()), file, (samples, rate), read_audio(clip)]
        answers = [predictor.predict(source) for source in sources]
    assert all(other.probabilities == answer.probabilities for other in answers)


def test_the_shipped_model_needs_no_praat(clip, demo_table, monkeypatch):
    """Which is under the GPL, so that whoever distributes ser_kit may have to leave it out."""
    shipped = Predictor.from_preset()
    monkeypatch.setitem(sys.modules, "parselmouth", None)  # importing it fails
    assert shipped.predict(clip).emotion in shipped.labels
    assert shipped.enroll(demo_table["path"].iloc[:2]).predict(clip).emotion in shipped.labels
    assert all(moment.probabilities or moment.reason for moment in timeline(shipped, clip))
    missing = "pitch.* needs praat-parselmouth: pip install praat-parselmouth"
    with pytest.raises(MissingDependencyError, match=missing):
        Functionals().extract(clip)
    with pytest.raises(MissingDependencyError, match=missing):
        tracks.pitch(read_audio(clip))
    for name in set(features.names()) - {"functionals", "librosa_functionals", "pitch_energy", "yamnet", "trillsson"}:
        assert features.get(name)().extract(clip).size


def test_neighbours_do_not_change_an_answer(predictor, answer, clip, demo_table):
    many = list(predictor.predict_many([*demo_table["path"].iloc[5:9], clip]))
    assert many[-1] == answer


def test_a_long_recording_is_judged_in_windows(predictor, demo_table):
    pieces = [soundfile.read(path, dtype="float32")[0] for path in demo_table["path"].iloc[:12]]
    sound = np.concatenate(pieces)
    found = predictor.predict((sound, RATE))
    assert len(sound) / RATE > LONG_SECONDS
    assert found.segments[0].start == 0
    assert found.segments[-1].end == pytest.approx(found.duration)
    assert all(a.end == pytest.approx(b.start) for a, b in zip(found.segments, found.segments[1:], strict=False))
    assert sum(found.probabilities.values()) == pytest.approx(1)


def test_whoever_watches_can_end_the_decoding(predictor, tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import time; time.sleep(600)")
    monkeypatch.setattr(ffmpeg, "__file__", str(tmp_path / "broken.py"))
    content = b"\0\0\0\x18ftypM4A " + bytes(500)

    def end(share):
        assert share == 0
        raise CancelledError

    for work in predictor.predict, predictor.measure, partial(timeline, predictor):
        with pytest.raises(CancelledError):
            work(content, watch=end)
    with pytest.raises(CancelledError):
        list(work_out(predictor, "clip.m4a", content, end))


@pytest.mark.parametrize("what", ["predict", "measure"])
def test_whoever_watches_is_told_which_share_is_done_and_can_end_it(predictor, demo_table, what):
    sound = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in demo_table["path"].iloc[:12]])
    windows = len(predictor.predict((sound, RATE)).segments)
    told = []
    getattr(predictor, what)((sound, RATE), watch=told.append)
    assert windows > 2 and told == pytest.approx([done / windows for done in range(windows)])

    def end(share):
        if share > 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        getattr(predictor, what)((sound, RATE), watch=end)


def test_silent_windows_do_not_count(predictor, answer, clip):
    samples = soundfile.read(clip, dtype="float32")[0]
    window = np.zeros(int(4.5 * RATE), np.float32)
    window[: len(samples)] = samples[: len(window)]
    silence = np.zeros_like(window)
    found = predictor.predict((np.concatenate([window, silence, silence]), RATE))
    assert len(found.segments) < 4
    assert found.segments[0].start == 0


SOUNDS = {
    "white noise": np.random.default_rng(0).normal(size=3 * RATE) * 0.1,
    "tone": 0.5 * np.sin(2 * np.pi * 200 * np.arange(3 * RATE) / RATE),
    "square wave": np.sign(np.sin(2 * np.pi * 150 * np.arange(3 * RATE) / RATE)),
    "chord": sum(0.1 * np.sin(2 * np.pi * f * np.arange(3 * RATE) / RATE) for f in (220, 277, 330)),
    "clicks": (np.arange(3 * RATE) % 4000 < 20) * 0.8,
    "mains hum": 0.1 * np.sign(np.sin(2 * np.pi * 50 * np.arange(3 * RATE) / RATE)),
}


@pytest.mark.parametrize("name", SOUNDS)
def test_what_is_no_speech_is_uncertain_and_says_why(predictor, name):
    found = predictor.predict((SOUNDS[name].astype(np.float32), RATE))
    assert found.uncertain
    assert "speech" in found.reason


def test_speech_is_not_taken_for_noise(predictor, demo_table):
    found = list(predictor.predict_many(demo_table["path"].iloc[::37]))
    assert not any("speech" in prediction.reason for prediction in found)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ((np.zeros(2 * RATE, np.float32), RATE), "silent"),
        ((np.ones(200, np.float32), RATE), "lasts 0.01"),
        (b"", "empty|zero bytes|no bytes"),
        ("/no/such/file.wav", "file.wav"),
    ],
)
def test_what_cannot_be_judged_is_an_error_that_says_so(predictor, source, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AudioError, match=message):
            predictor.predict(source)


def test_one_bad_recording_does_not_stop_the_others(predictor, clip, tmp_path):
    (tmp_path / "bad.wav").write_text("not sound")
    first, bad, last = predictor.predict_many([clip, tmp_path / "bad.wav", clip])
    assert isinstance(first, Prediction)
    assert first == last
    assert isinstance(bad, Failure)
    assert bad.path == str(tmp_path / "bad.wav")
    assert "bad.wav" in bad.error


@pytest.mark.parametrize("error", [FeatureError("no such feature"), ValueError("of a library")])
@pytest.mark.parametrize("jobs", [1, 2])
def test_whatever_fails_for_one_recording_is_one_failure(predictor, clip, monkeypatch, error, jobs):
    predict_window, calls = Predictor.predict_window, []

    def counted(self, piece):
        calls.append(piece)
        if len(calls) == 2:
            raise error
        return predict_window(self, piece)

    monkeypatch.setattr(Predictor, "predict_window", counted)
    found = list(predictor.predict_many([clip, clip, clip], jobs=jobs))
    (failure,) = [each for each in found if isinstance(each, Failure)]
    assert str(error) in failure.error and failure.path == str(clip)
    assert sum(isinstance(each, Prediction) for each in found) == 2


def test_a_recording_unlike_those_learned_from_is_uncertain_and_says_in_what(predictor, demo_table):
    samples = [read_audio(path).samples for path in demo_table["path"].iloc[::60]]
    as_recorded = [predictor.predict((s, RATE)) for s in samples]
    distorted = [predictor.predict((np.clip(40 * s, -1, 1), RATE)) for s in samples]
    assert sum("unlike" in prediction.reason for prediction in as_recorded) <= 1
    assert all("unlike the training recordings" in prediction.reason for prediction in distorted)
    assert all("amplitude_mean" in prediction.reason for prediction in distorted)


def test_a_bundle_without_a_bound_calls_no_recording_strange(predictor, demo_table):
    distorted = np.clip(40 * read_audio(demo_table["path"].iloc[0]).samples, -1, 1), RATE
    strange = predictor.predict(distorted)
    assert "unlike the training recordings" in strange.reason
    card = dict(predictor.bundle.card)
    for cards in (card | {"strange_above": None}, {key: card[key] for key in card.keys() - {"strange_above"}}):
        found = Predictor(dataclasses.replace(predictor.bundle, card=cards)).predict(distorted)
        assert "unlike" not in found.reason
        assert found.probabilities == strange.probabilities


def test_what_is_measured_of_a_clip_are_its_functionals(predictor, clip):
    functionals = Functionals()
    row = functionals.extract(read_audio(clip, sr=predictor.bundle.rate))
    expected = dict(zip(functionals.feature_names, row.tolist(), strict=True))
    assert predictor.measure(clip) == pytest.approx(expected | {"duration": read_audio(clip).duration})


def test_what_is_measured_of_a_long_recording_are_means_over_its_windows(predictor, demo_table):
    sound = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in demo_table["path"].iloc[:12]])
    segments = predictor.predict((sound, RATE)).segments
    pieces = [sound[round(each.start * RATE) : round(each.end * RATE)] for each in segments]
    pitches = [predictor.measure((piece, RATE))["pitch_mean"] for piece in pieces]
    found = predictor.measure((sound, RATE))
    assert min(pitches) < found["pitch_mean"] < max(pitches)
    assert found["duration"] == pytest.approx(len(sound) / RATE)


def test_an_answer_in_fewer_labels_adds_up_what_is_merged(demo_bundle, answer, clip):
    fewer = Predictor.from_bundle(demo_bundle, "four").predict(clip)
    assert tuple(fewer.probabilities) == ("neutral", "happy", "sad", "angry")
    left = sum(answer.probabilities[label] for label in fewer.probabilities)
    expected = {label: answer.probabilities[label] / left for label in fewer.probabilities}
    assert fewer.probabilities == pytest.approx(expected)
    assert fewer.emotion == max(expected, key=expected.get)
    assert (fewer.uncertain, fewer.reason) == (answer.uncertain, answer.reason)
    assert fewer.segments[0].probabilities == fewer.probabilities
    with pytest.raises(LabelError, match="expected two of these"):
        Predictor.from_bundle(demo_bundle, ["boredom", "calm"])


def test_what_the_labels_leave_out_counts_as_doubt(demo_bundle, predictor, answer, clip):
    ranked = sorted(answer.probabilities, key=answer.probabilities.get)
    few = Predictor(predictor.bundle, ranked[:2]).predict(clip)
    assert few.uncertain and few.reason == f"it sounds most like {answer.emotion}, which is not among the labels"
    assert sum(few.probabilities.values()) == pytest.approx(1)
    assert few.covered == pytest.approx(sum(answer.probabilities[label] for label in ranked[:2]))
    assert few.covered < few.confidence
    both = Predictor(predictor.bundle, [answer.emotion, ranked[0]]).predict(clip)
    assert answer.emotion not in both.reason and answer.covered == pytest.approx(1)


def test_labels_to_which_a_bundle_gives_nothing_have_an_answer_all_the_same(predictor):
    few = Predictor(predictor.bundle, ["happy", "angry"])
    certain = np.eye(len(predictor.labels))[predictor.labels.index("sad")]  # as a forest may say
    assert few.answers.named(certain)["probabilities"] == {"happy": 0.5, "angry": 0.5}
    assert few.answers.covered(certain) == 0 and few.answers.beyond(certain) == "sad"


def test_a_confidence_below_the_bound_is_doubted_before_what_is_left_out_is_taken_off(predictor, clip):
    best, *_, least = sorted(predictor.labels, key=predictor.predict(clip).probabilities.get, reverse=True)
    few = Predictor(predictor.bundle, [best, least])
    share = few.answers.covered(np.array(list(predictor.predict(clip).probabilities.values())))
    between = (few.predict(clip).confidence * share + few.predict(clip).confidence) / 2
    card = predictor.bundle.card | {"uncertain_below": between}
    doubted = Predictor(dataclasses.replace(predictor.bundle, card=card), [best, least]).predict(clip)
    assert doubted.confidence > between and doubted.uncertain
    most, next_most = sorted(doubted.probabilities.items(), key=lambda each: -each[1])[:2]
    assert doubted.reason == (
        f"no emotion stands out: {most[0]} {100 * most[1]:.0f} %, {next_most[0]} {100 * next_most[1]:.0f} %"
    )


def test_an_enrolled_speaker_is_heard_against_the_own_neutral_voice(predictor, answer, clip, demo_table):
    speaker = demo_table["speaker"].iloc[0]
    neutral = demo_table[(demo_table["speaker"] == speaker) & (demo_table["label"] == "neutral")]["path"].iloc[:3]
    known = predictor.enroll(neutral)
    usual = np.array([predictor.bundle.card["baseline"][label] for label in predictor.labels])
    said = np.array([list(predictor.predict(path).probabilities.values()) for path in neutral])
    odds = np.log(list(answer.probabilities.values())) - ENROLLED_SHARE * (np.log(said).mean(axis=0) - usual)
    expected = np.exp(odds) / np.exp(odds).sum()
    assert list(known.predict(clip).probabilities.values()) == pytest.approx(expected)
    assert predictor.predict(clip) == answer  # for everyone else nothing has changed
    assert known.enroll(neutral).predict(clip) == known.predict(clip)
    two = Predictor(predictor.bundle, ["happy", "sad"]).enroll(neutral).predict(clip)
    happy, sad = (expected[predictor.labels.index(label)] for label in ("happy", "sad"))
    assert two.probabilities["sad"] == pytest.approx(sad / (happy + sad))


def test_who_is_enrolled_is_known_by_the_recordings_and_not_by_what_was_computed(predictor, clip, demo_table, tmp_path):
    other = demo_table["path"].iloc[1]
    known = predictor.enroll([clip, other])
    soundfile.write(tmp_path / "copy.flac", *soundfile.read(clip, dtype="int16"))
    same = predictor.enroll(each for each in (other, tmp_path / "copy.flac"))
    same._habit = same._habit + 1e-5  # as other threads, or another machine, may add it up
    assert known.identity == same.identity
    assert len({one.identity for one in (predictor, known, predictor.enroll([clip]), predictor.enroll([other]))}) == 4


def test_what_cannot_be_enrolled_is_an_error(predictor, clip):
    noise = (SOUNDS["white noise"].astype(np.float32), RATE)
    with pytest.raises(AudioError, match="it does not sound like speech"):
        predictor.enroll([clip, noise])
    with pytest.raises(AudioError, match="no clips to enroll"):
        predictor.enroll([])
    bundle = dataclasses.replace(predictor.bundle, card={**predictor.bundle.card, "baseline": {}})
    with pytest.raises(BundleError, match="no neutral baseline"):
        Predictor(bundle).enroll([clip])


def test_a_predictor_is_sent_to_another_process_whole(predictor, answer, clip):
    copy = pickle.loads(pickle.dumps(Predictor(predictor.bundle, "four")))
    assert copy.predict(clip) == Predictor(predictor.bundle, "four").predict(clip)
    assert pickle.loads(pickle.dumps(predictor)).identity == predictor.identity
    known = predictor.enroll([clip])
    again = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(known))))
    assert again.predict(clip) == known.predict(clip) and again.identity == known.identity


INHERITED = []


def judged_by_the_inherited(source):
    return INHERITED[0].predict(source)


def judged_as_one_of_many(predictor, source):
    return list(predictor.predict_many([source]))


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_process_forked_from_one_that_computed_says_so_instead_of_hanging(predictor, clip, demo_bundle):
    predictor.predict(clip)
    INHERITED[:] = [predictor]
    ways = [
        (judged_by_the_inherited, clip),
        (predictor.predict, clip),  # the predictor is pickled, too
        (functools.partial(judged_as_one_of_many, predictor), clip),  # it is not the recording that fails
        (Predictor.from_bundle, demo_bundle),
        (models.get, "mlp"),
    ]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for work, given in ways:
            with pytest.raises(ForkedError, match="computed before this process was forked.*spawn.*jobs="):
                pool.map_async(work, [given]).get(60)


def test_open_takes_a_folder_or_a_preset_and_says_so_otherwise(demo_bundle, tmp_path):
    assert Predictor.open(demo_bundle).labels == Predictor.from_bundle(demo_bundle).labels
    with pytest.raises(BundleError, match="neither"):
        Predictor.open(tmp_path / "nothing")


@pytest.mark.realdata
def test_real_clips_are_taken_for_speech(predictor, real_data):
    paths = [p for pattern in ("ravdess*/Actor_*/*.wav", "berlin*/wav/*.wav", "nEMO/samples/*.wav")
             for p in sorted(real_data.glob(pattern))[::40]]  # fmt: skip
    found = list(predictor.predict_many(paths))
    doubted = [prediction.path for prediction in found if "speech" in getattr(prediction, "reason", "")]
    assert len(found) > 40
    assert all(isinstance(prediction, Prediction) for prediction in found)
    assert len(doubted) <= 0.01 * len(found), doubted


@pytest.mark.realdata
def test_recordings_of_a_corpus_that_was_trained_on_are_known_as_such(real_data):
    shipped = Predictor.from_preset()
    for pattern, name in (("ravdess-emotional-speech*/Actor_*/*.wav", "ravdess"), ("nEMO/samples/*.wav", "nemo")):
        rests_on = [shipped.predict(path).rests_on for path in sorted(real_data.glob(pattern))[::100]]
        known = [each.startswith(f"held-out speakers of {name},") for each in rests_on]
        assert len(known) > 10 and np.mean(known) > 0.8
