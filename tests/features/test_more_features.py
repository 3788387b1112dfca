"""Stacked frames, frame statistics and segments: against Librosa and NumPy, and on signals whose answer is known."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from clips import assert_same
from hypothesis import given, settings
from sounds import RATE, SIGNALS, noise, recording, sounds, speech_like, tone

from ser_kit import extraction, features
from ser_kit.audio import Recording
from ser_kit.audio.transforms import PeakNormalise
from ser_kit.core.errors import FeatureError, TooShortError, UnknownNameError
from ser_kit.features import FrameFeatures, FrameStatistics, PitchEnergy, Segments, StackedFrames

MFCC, CHROMA, MEL = slice(0, 40), slice(40, 52), slice(52, 180)
NEW = [StackedFrames(), PitchEnergy(), FrameStatistics(), Segments()]


@pytest.mark.parametrize("extractor", NEW, ids=lambda e: e.name)
class TestAll:
    def test_is_found_by_its_name(self, extractor):
        assert features.get(extractor.name)() == extractor and extractor.name in features.names()

    def test_comes_back_from_json(self, extractor):
        extractor = dataclasses.replace(extractor, preprocess=("peak_normalise",))
        twin = features.get(extractor.name)(**json.loads(json.dumps(extractor.parameters)))
        assert twin == extractor and twin.identity == extractor.identity and hash(twin) == hash(extractor)

    def test_preprocessing_comes_before(self, extractor):
        quiet, loud = 0.02 * speech_like(), speech_like()
        loud = PeakNormalise()(loud, RATE)
        chained = dataclasses.replace(extractor, sr=RATE, preprocess=(PeakNormalise(),))
        plain = dataclasses.replace(extractor, sr=RATE)
        expected = plain.extract(recording(loud))
        np.testing.assert_allclose(chained.extract(recording(quiet)), expected, rtol=1e-4, atol=1e-3)
        assert np.abs(plain.extract(recording(quiet)) - expected).max() > 0.1

    def test_is_extracted_stored_and_saved(self, extractor, demo_table, tmp_path):
        table = demo_table.iloc[::97]
        first = extraction.extract(table, extractor, jobs=0, cache=tmp_path, progress=False)
        with extraction.Store(tmp_path) as store:
            assert sum(holding.clips for holding in store.holdings()) == len(table) == len(first)
        assert_same(extraction.extract(table, extractor, jobs=0, cache=tmp_path, progress=False), first)
        assert_same(extraction.extract(table, extractor, jobs=2, cache=False, progress=False), first)
        for path, values, length in zip(first.table["path"], first.values, first.lengths, strict=True):
            expected, expected_length = extractor.extract_with_length(path)
            np.testing.assert_array_equal(values, expected)
            assert length == expected_length
        with np.load(first.save(tmp_path / "features.npz")) as saved:
            np.testing.assert_array_equal(saved["values"], first.values)
            assert tuple(saved["feature_names"]) == extractor.feature_names


def test_a_name_that_is_nearly_right():
    with pytest.raises(UnknownNameError, match="did you mean 'stacked'"):
        features.get("staked")


# Pitch and energy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SIGNALS)
def test_pitch_and_energy_are_those_of_praat_and_librosa(name):
    import librosa
    import parselmouth

    sound, extractor = recording(SIGNALS[name]), PitchEnergy()
    values, valid = extractor.extract_with_length(sound)
    samples = sound.samples[:48000].astype(np.float64)
    assert values.shape == (151, 2) and valid == 1 + len(samples) // 320
    pitch = parselmouth.Sound(samples, RATE).to_pitch_ac(0.02, pitch_floor=75, pitch_ceiling=500)
    expected = np.zeros(151)
    for time, hertz in zip(pitch.xs(), pitch.selected_array["frequency"], strict=True):
        frame = round(time / 0.02)
        assert abs(frame * 0.02 - time) <= 0.0101  # half a hop
        expected[frame] = hertz
    np.testing.assert_allclose(values[:, 0], expected, rtol=1e-6)
    filled = librosa.util.fix_length(samples, size=48000)
    rms = librosa.feature.rms(y=filled, frame_length=640, hop_length=320)[0]
    np.testing.assert_allclose(values[:, 1], 20 * np.log10(np.maximum(rms, 1e-5)), rtol=1e-5, atol=1e-4)


def test_pitch_is_zero_and_energy_low_where_nothing_sounds():
    values, valid = PitchEnergy().extract_with_length(recording(np.append(tone(200), np.zeros(8000))))
    assert valid == 76
    np.testing.assert_allclose(values[5:45], [[200, 10 * np.log10(0.125)]] * 40, atol=0.05)
    np.testing.assert_array_equal(values[53:], [[0, -100]] * 98)
    np.testing.assert_array_equal(values[53:75], values[80:102])


# Stacked frames ------------------------------------------------------------------------------------------------------


def check_stacked(samples, rate=22050, seconds=3.0, **transform) -> None:
    import librosa

    sound = recording(samples, rate)
    transform = {"n_fft": 1024, "win_length": 551, "hop_length": 220} | transform
    y = librosa.util.fix_length(sound.samples.astype(np.float64), size=round(seconds * rate))
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate, **transform))
    expected = np.vstack([
        librosa.feature.mfcc(S=mel, n_mfcc=40),
        librosa.feature.chroma_stft(y=y, sr=rate, tuning=0.0, **transform),
        mel,
    ])  # fmt: skip
    frames = expected.shape[1]
    assert frames == 1 + len(y) // transform["hop_length"]
    moments = np.linspace(0, frames - 1, 150)
    expected = np.transpose([np.interp(moments, np.arange(frames), row) for row in expected])
    values = StackedFrames(sr=rate, seconds=seconds).extract(sound)
    np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_stacked_equals_librosa(name):
    sound = recording(SIGNALS[name])
    check_stacked(sound.at(22050))
    check_stacked(sound.samples, RATE, 1.25, n_fft=512, win_length=400, hop_length=160)  # fewer frames than are asked


@pytest.mark.slow
@given(samples=sounds(22050))
@settings(max_examples=60)
def test_stacked_equals_librosa_on_any_sound(samples):
    check_stacked(samples)


@pytest.mark.realdata
def test_stacked_equals_librosa_on_real_speech(real_clips):
    for clip in real_clips:
        check_stacked(clip.at(22050))


def test_stacked_sizes_are_those_of_the_papers():
    extractor = StackedFrames()
    assert (extractor.win_length, extractor.hop_length, extractor.transform) == (551, 220, 1024)
    assert extractor.n_samples == 66150
    assert extractor.shape == (150, 180)
    assert StackedFrames(sr=16000, window_ms=32).transform == 512  # a power of two itself
    assert StackedFrames(n_fft=2048).transform == 2048


@pytest.mark.parametrize(
    ("parts", "columns"),
    [
        (("mfcc",), MFCC),
        (("chroma",), CHROMA),
        (("mel",), MEL),
        (("mfcc", "chroma"), slice(0, 52)),
        (("chroma", "mel"), slice(40, 180)),
        (("mfcc", "mel"), np.r_[MFCC, MEL]),
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else "",
)
def test_stacked_parts_are_columns_of_the_whole(parts, columns):
    sound, whole = recording(speech_like()), StackedFrames()
    part = StackedFrames(parts=list(parts))
    assert part.parts == parts and part.feature_names == tuple(np.array(whole.feature_names)[columns])
    assert part.shape == (150, len(part.feature_names))
    np.testing.assert_array_equal(part.extract(sound), whole.extract(sound)[:, columns])


@pytest.mark.parametrize(
    "parts", [(), ("zcr",), ("mfcc", "mfcc"), ("mel", "mfcc"), "mfcc", ["mfcc", 3], [["mfcc"]], 3, None], ids=repr
)
def test_stacked_parts_that_are_none(parts):
    with pytest.raises(FeatureError, match="one or more of mfcc, chroma, mel"):
        StackedFrames(parts=parts)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_fft": 512}, "window of 551 samples"),
        ({"n_mfcc": 41, "n_mels": 40}, "n_mfcc=41 must not exceed n_mels=40"),
        ({"hop_ms": 0.02}, "hop_ms=0.02 is less than a sample at 22050 Hz"),
        ({"window_ms": 0.02}, "window_ms=0.02 is less"),
        ({"seconds": 1e-6}, "seconds=1e-06 must be a number from 0.1"),
        ({"n_fft": 0}, "n_fft=0 must be a whole number from 16 to 65536 or null"),
    ],
)
def test_stacked_parameters_that_do_not_fit(parameters, message):
    with pytest.raises(FeatureError, match=message):
        StackedFrames(**parameters)


def test_stacked_of_a_tone():
    extractor = StackedFrames()
    values, valid = extractor.extract_with_length(recording(tone(440, 3.0)))
    assert valid == 150
    names, middle = np.array(extractor.feature_names), values[2:-2]
    assert set(names[CHROMA][middle[:, CHROMA].argmax(axis=1)]) == {"chroma_A"}
    loudest = middle[:, MEL].mean(axis=0).argmax()
    assert np.ptp(middle[:, MEL][:, loudest]) < 0.5  # it is the same all the time
    assert middle[:, CHROMA].max() == pytest.approx(1)
    import librosa

    centres = librosa.mel_frequencies(n_mels=130, fmax=11025)[1:-1]
    assert centres[loudest] == pytest.approx(440, abs=20)


def test_stacked_of_silence():
    values, valid = StackedFrames().extract_with_length(recording(np.zeros(RATE)))
    assert valid == 50 and np.all(values == values[0])
    assert np.all(values[:, MEL] == -100) and np.all(values[:, CHROMA] == 0)
    assert values[0, 0] == pytest.approx(-100 * np.sqrt(128), rel=1e-5)
    assert not values[0, 1:40].any()


def test_stacked_padding_is_the_silence_of_that_clip():
    values, valid = StackedFrames().extract_with_length(recording(speech_like(seconds=1.0)))
    assert valid == 50  # a third of three seconds
    padding, loudest = values[valid + 1 :], values[:, MEL].max()
    assert np.all(padding == padding[0]) and not padding[:, 1:52].any()
    assert np.all(padding[:, MEL] == padding[0, 52]) and loudest - 80 <= padding[0, 52] < loudest - 75
    assert values[:, MEL].min() == padding[0, 52]
    higher = StackedFrames(top_db=30).extract(recording(speech_like(seconds=1.0)))
    assert higher[:, MEL].min() == pytest.approx(padding[0, 52] + 50, abs=1e-3)


def test_stacked_equals_the_same_sound_with_its_silence_recorded():
    sound = recording(speech_like(seconds=1.0, rate=22050), 22050)
    longer = recording(np.pad(sound.samples, (0, 2 * 22050)), 22050)
    extractor = StackedFrames()
    np.testing.assert_array_equal(extractor.extract(sound), extractor.extract(longer))
    assert extractor.extract_with_length(longer)[1] == 150


def test_stacked_of_the_shortest_and_of_a_long_clip():
    values, valid = StackedFrames().extract_with_length(recording(noise(0.1)))
    assert values.shape == (150, 180) and valid == 5  # 11 of 301 frames are sound
    long = noise(10.0, rate=22050)
    values, valid = StackedFrames().extract_with_length(recording(long, 22050))
    assert valid == 150
    np.testing.assert_array_equal(values, StackedFrames().extract(recording(long[: 3 * 22050], 22050)))


def test_stacked_frames_that_are_not_resampled():
    sound = recording(speech_like(seconds=1.0))
    every = StackedFrames(sr=RATE, seconds=1.5, frames=151, parts=("mel",), n_mels=64, top_db=1000)
    values, valid = every.extract_with_length(sound)
    expected, expected_valid = features.LogMel(seconds=1.5).extract_with_length(sound)
    np.testing.assert_array_equal(values, expected)
    assert valid == expected_valid
    twice, valid_twice = dataclasses.replace(every, frames=301).extract_with_length(sound)
    np.testing.assert_array_equal(twice[::2], values)
    assert valid_twice == 2 * valid - 1
    np.testing.assert_array_equal(dataclasses.replace(every, frames=1).extract(sound), values[:1])


# Frame statistics ----------------------------------------------------------------------------------------------------


def check_statistics(samples) -> None:
    import librosa

    sound = recording(samples, 22050)
    y = sound.samples.astype(np.float64)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=22050)[:, :300])
    frames = np.vstack([
        librosa.feature.mfcc(S=mel, n_mfcc=13),
        librosa.feature.chroma_stft(y=y, sr=22050, tuning=0.0)[:, :300],
        mel,
        librosa.feature.zero_crossing_rate(y)[:, :300],
    ])  # fmt: skip
    expected = np.concatenate([np.mean(frames, axis=1), np.std(frames, axis=1)])
    np.testing.assert_allclose(FrameStatistics().extract(sound), expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_statistics_equal_librosa(name):
    check_statistics(recording(SIGNALS[name]).at(22050))


@given(samples=sounds(22050))
@settings(max_examples=60)
def test_statistics_equal_librosa_on_any_sound(samples):
    check_statistics(samples)


@pytest.mark.realdata
def test_statistics_equal_librosa_on_real_speech(real_clips):
    for clip in real_clips:
        check_statistics(clip.at(22050))


def test_statistics_have_the_parameters_of_frame_features():
    extractor = FrameStatistics(n_mels=40, preprocess=("peak_normalise",))
    assert FrameStatistics().parameters | {"zero_padding": False} == FrameFeatures().parameters
    assert extractor.frame_features == FrameFeatures(n_mels=40)
    assert FrameStatistics.version == FrameFeatures.version


def test_statistics_names_tell_what_and_of_what():
    names = FrameStatistics().feature_names
    assert FrameStatistics().shape == (len(names),) == (308,)
    assert (names[0], names[153], names[154], names[-1]) == ("mfcc_01_mean", "zcr_mean", "mfcc_01_std", "zcr_std")
    assert "chroma_A_std" in names and "mel_128_mean" in names


@pytest.mark.parametrize("seconds", [0.1, 1.0, 10.0])
def test_statistics_are_over_sound_only(seconds):
    sound = recording(speech_like(seconds=seconds))
    frames, valid = FrameFeatures().extract_with_length(sound)
    values, length = FrameStatistics().extract_with_length(sound)
    assert length == 1 and valid == min(300, 1 + len(sound.at(22050)) // 512)
    frames = frames[:valid].astype(np.float64)
    np.testing.assert_allclose(values[:154], frames.mean(axis=0), rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(values[154:], frames.std(axis=0), rtol=1e-6, atol=1e-9)
    if seconds < 6:  # more padding changes nothing
        np.testing.assert_allclose(values, FrameStatistics(frames=400).extract(sound), rtol=1e-6, atol=1e-9)


def test_statistics_of_a_tone_and_of_silence():
    row = dict(zip(FrameStatistics().feature_names, FrameStatistics().extract(recording(tone(440, 6.0))), strict=True))
    assert row["zcr_mean"] == pytest.approx(2 * 440 / 22050, rel=0.03) and row["zcr_std"] < 0.01
    assert row["chroma_A_mean"] == pytest.approx(1, abs=1e-3) and row["chroma_A_std"] < 1e-3
    silent = FrameStatistics().extract(recording(np.zeros(RATE)))
    assert np.all(silent[25:153] == -100) and not silent[13:25].any() and silent[153] == 0
    assert silent[154:] == pytest.approx(np.zeros(154), abs=1e-9)


def test_statistics_are_table_rows(demo_table, tmp_path):
    import pandas as pd

    done = extraction.extract_to(
        tmp_path / "rows.parquet", demo_table.iloc[:2], FrameStatistics(), jobs=0, progress=False
    )
    assert done.clips == 2
    assert list(pd.read_parquet(tmp_path / "rows.parquet").columns)[-308:] == list(FrameStatistics().feature_names)


# Segments ------------------------------------------------------------------------------------------------------------


def check_segments(sound: Recording) -> None:
    import librosa

    values, valid = Segments().extract_with_length(sound)
    samples = sound.at(RATE)
    expected = librosa.util.frame(samples, frame_length=320, hop_length=320, axis=0)[:200]
    assert valid == len(expected)
    np.testing.assert_array_equal(values[:valid], expected)
    assert not values[valid:].any()


@pytest.mark.parametrize("name", SIGNALS)
def test_segments_are_the_samples(name):
    check_segments(recording(SIGNALS[name]))


@given(samples=sounds(RATE))
@settings(max_examples=60)
def test_segments_are_the_samples_of_any_sound(samples):
    check_segments(recording(samples))


@pytest.mark.realdata
def test_segments_are_the_samples_of_real_speech(real_clips):
    for clip in real_clips:
        check_segments(clip)


def test_segments_neither_scale_nor_clip():
    values, valid = Segments().extract_with_length(recording(np.full(RATE, 3.5)))
    assert valid == 50 and np.all(values[:50] == 3.5) and np.all(values[50:] == 0)
    silent, valid = Segments().extract_with_length(recording(np.zeros(RATE)))
    assert valid == 50 and not silent.any()


def test_segments_drop_what_does_not_fill_the_last():
    values, valid = Segments().extract_with_length(recording(np.ones(RATE + 319)))
    assert valid == 50 and values.sum() == RATE


def test_segments_of_the_shortest_and_of_a_long_clip():
    values, valid = Segments().extract_with_length(recording(noise(0.1)))
    assert values.shape == (200, 320) and valid == 5 and values[4].all() and not values[5:].any()
    long = noise(10.0)
    values, valid = Segments().extract_with_length(recording(long))
    assert valid == 200
    np.testing.assert_array_equal(values.ravel(), long[: 4 * RATE].astype(np.float32))


def test_segments_names_and_sizes():
    assert Segments().feature_names[0] == "sample_000" and Segments().feature_names[-1] == "sample_319"
    assert Segments(sr=22050, segment_ms=25, segments=7).shape == (7, 551)
    with pytest.raises(FeatureError, match=r"segment_ms=0\.01 is less than a sample at 16000 Hz"):
        Segments(segment_ms=0.01)


def test_segments_longer_than_the_clip():
    extractor = Segments(segment_ms=500)
    assert extractor.extract_with_length(recording(noise(0.6)))[1] == 1
    with pytest.raises(TooShortError, match=r"test lasts 0\.300 s; a segment lasts 0\.500 s"):
        extractor.extract(recording(noise(0.3)))
