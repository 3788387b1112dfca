"""Each feature against the library call that it stands for, and on signals whose answer is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import RATE, SIGNALS, noise, recording, sounds, speech_like, tone

from ser_kit import features
from ser_kit.audio import read_audio
from ser_kit.core.errors import FeatureError, TooShortError, UnknownNameError

EXTRACTORS = [
    features.Functionals(),
    features.Functionals(sr=22050, n_fft=1024, hop_length=256, n_mfcc=20, pitch_floor=75),
    features.LibrosaFunctionals(),
    features.LibrosaFunctionals(sr=16000, n_fft=512, hop_length=160, n_mels=40, mfcc_std=False),
    features.FrameFeatures(),
    features.FrameFeatures(sr=16000, n_fft=512, hop_length=160, n_mels=40, frames=50, top_db=60),
    features.FrameFeatures(zero_padding=True),
    features.LogMel(seconds=1.5),
    features.LogMel(sr=8000, n_fft=256, win_length=200, hop_length=80, n_mels=32, seconds=0.7),
    features.StackedFrames(),
    features.StackedFrames(sr=16000, seconds=0.7, n_fft=512, n_mfcc=13, n_mels=40, frames=200, parts=("mfcc", "mel")),
    features.PitchEnergy(),
    features.PitchEnergy(sr=8000, win_length=200, hop_length=80, seconds=1.5, pitch_floor=60, pitch_ceiling=400),
    features.FrameStatistics(),
    features.FrameStatistics(sr=16000, n_fft=512, hop_length=160, n_mels=40, n_mfcc=20, frames=50, top_db=60),
    features.Segments(),
    features.Segments(sr=8000, segment_ms=12.5, segments=40),
    features.Waveform(seconds=1.0),
    features.Waveform(sr=8000, seconds=3.0),
]


def functionals(samples, rate=RATE) -> dict[str, float]:
    extractor = features.Functionals()
    return dict(zip(extractor.feature_names, extractor.extract(recording(samples, rate)).tolist(), strict=True))


# Functionals ---------------------------------------------------------------------------------------------------------


def librosa_functionals(y: np.ndarray) -> dict[str, float]:
    """The spectral ones by one Librosa call each, in double precision: in single, Librosa's own rounding shows."""
    import librosa

    y = y.astype(np.float64)
    frames = {"hop_length": 160}
    rms = librosa.feature.rms(y=y, frame_length=512, **frames)
    zcr = librosa.feature.zero_crossing_rate(y, frame_length=512, **frames)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=512, n_mels=40, **frames))
    mfcc = librosa.feature.mfcc(y=y, sr=RATE, n_mfcc=13, n_fft=512, n_mels=40, **frames)
    onsets = librosa.onset.onset_strength(S=mel[:, ::3], sr=RATE, n_fft=512, hop_length=480)
    spectra = np.abs(librosa.stft(y, n_fft=512, **frames))
    directions = librosa.util.normalize(spectra, norm=2, axis=0)
    tempo = librosa.feature.tempo(onset_envelope=onsets, sr=RATE, hop_length=480).item()
    return {
        "amplitude_mean": np.abs(y).mean(),
        "amplitude_peak": np.abs(y).max(),
        "rms_mean": rms.mean(),
        "rms_std": rms.std(),
        "tempo": tempo if onsets.any() else 0.0,  # the one value that is not Librosa's, which then answers 117.6
        "zcr_mean": zcr.mean(),
        "zcr_std": zcr.std(),
        "centroid_mean": librosa.feature.spectral_centroid(y=y, sr=RATE, n_fft=512, **frames).mean(),
        "rolloff_mean": librosa.feature.spectral_rolloff(y=y, sr=RATE, n_fft=512, **frames).mean(),
        "flux_mean": np.square(np.diff(directions, axis=1)).sum(axis=0).mean(),
        **{f"mfcc_{i:02d}_mean": row.mean() for i, row in enumerate(mfcc, 1)},
        **{f"mfcc_{i:02d}_std": row.std() for i, row in enumerate(mfcc, 1)},
    }


def praat_functionals(y: np.ndarray, found: dict[str, float]) -> dict[str, float]:
    """Those of the voice by one Praat call each; Praat's median may be any value between the two middle frames."""
    import parselmouth
    from parselmouth.praat import call

    sound = parselmouth.Sound(y.astype(float), RATE)
    pitch = call(sound, "To Pitch (ac)", 0.0, 50, 15, "no", 0.03, 0.45, 0.01, 0.35, 0.14, 500)
    n_voiced = call(pitch, "Count voiced frames")
    periods = call([sound, pitch], "To PointProcess (cc)")
    expected = {
        "intensity_mean": max(0, call(call(sound, "To Intensity", 100, 0.0, "yes"), "Get mean", 0, 0, "energy")),
        "voiced_ratio": n_voiced / call(pitch, "Get number of frames"),
        "jitter_local": call(periods, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3),
        "shimmer_local": call([sound, periods], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6),
    }
    if n_voiced:
        expected["pitch_mean"] = call(pitch, "Get mean", 0, 0, "Hertz")
        # Praat divides by n - 1, and does not define it for a single frame.
        std = call(pitch, "Get standard deviation", 0, 0, "Hertz") * np.sqrt(1 - 1 / n_voiced) if n_voiced > 1 else 0
        expected |= {"pitch_std": std, "pitch_variation": 100 * std / expected["pitch_mean"]}
        voiced = np.sort(pitch.selected_array["frequency"])[-n_voiced:]
        expected["pitch_median"] = np.clip(found["pitch_median"], voiced[(n_voiced - 1) // 2], voiced[n_voiced // 2])
    return {key: 0.0 if np.isnan(value) else value for key, value in expected.items()}


def check_functionals(samples) -> None:
    samples = np.asarray(samples, np.float32)
    found = functionals(samples)
    expected = librosa_functionals(samples) | praat_functionals(samples, found)
    assert {key: found[key] for key in expected} == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_functionals_equal_librosa_and_praat(name):
    check_functionals(SIGNALS[name])


@pytest.mark.slow
@given(samples=sounds(RATE))
@settings(max_examples=80)
def test_functionals_equal_librosa_and_praat_on_any_sound(samples):
    check_functionals(samples)


@pytest.mark.realdata
def test_functionals_equal_librosa_and_praat_on_real_speech(real_clips):
    for clip in real_clips:
        check_functionals(clip.at(RATE))


def test_duration_and_rate_are_those_of_the_recording():
    found = functionals(tone(300, 0.75, rate=44100), 44100)
    assert (found["duration"], found["sample_rate"]) == (0.75, 44100)


def test_a_tone_of_200_hz():
    found = functionals(tone(200, 2.0))
    assert found["pitch_mean"] == pytest.approx(200, abs=0.5)
    assert found["pitch_median"] == pytest.approx(200, abs=0.5)
    assert found["pitch_std"] < 0.5
    assert found["voiced_ratio"] > 0.95
    assert found["jitter_local"] < 1e-3 and found["shimmer_local"] < 1e-2
    assert found["zcr_mean"] == pytest.approx(400 / RATE, rel=0.03)
    assert found["centroid_mean"] == pytest.approx(200, abs=15)
    assert 170 <= found["rolloff_mean"] <= 260
    assert found["rms_mean"] == pytest.approx(0.5 / np.sqrt(2), rel=0.02)
    assert found["intensity_mean"] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2) / 2e-5), abs=0.3)
    assert found["flux_mean"] < 0.1


def test_pitch_follows_the_voice_not_the_rate_it_was_stored_at():
    low, high = functionals(tone(150, 1, rate=8000), 8000), functionals(tone(150, 1, rate=48000), 48000)
    for key in ("pitch_mean", "zcr_mean", "rms_mean", "mfcc_01_mean"):
        assert low[key] == pytest.approx(high[key], rel=0.03), key


def test_a_square_wave_of_full_scale():
    found = functionals(np.sign(np.sin(2 * np.pi * 125 * (np.arange(RATE) + 0.5) / RATE)))
    assert found["amplitude_peak"] == 1 and found["amplitude_mean"] == 1
    assert found["rms_mean"] == pytest.approx(1, abs=0.01)
    assert found["zcr_mean"] == pytest.approx(250 / RATE, rel=0.1)


@pytest.mark.parametrize("spread", [0.005, 0.02])
def test_jitter_and_shimmer_of_pulses_that_are_known(spread):
    rng = np.random.default_rng(7)
    periods = 0.008 * (1 + spread * rng.uniform(-1, 1, 200))
    heights = 0.5 * (1 + 2 * spread * rng.uniform(-1, 1, 200))
    time = np.arange(round((periods.sum() + 0.1) * RATE)) / RATE
    pulses = np.zeros(len(time))
    for moment, height in zip(0.05 + np.cumsum(periods), heights, strict=True):
        pulses += height * np.exp(-0.5 * ((time - moment) / 0.0004) ** 2)
    found = functionals(pulses)
    assert found["pitch_mean"] == pytest.approx(125, rel=0.01)
    assert found["jitter_local"] == pytest.approx(np.abs(np.diff(periods)).mean() / periods.mean(), rel=0.15)
    assert found["shimmer_local"] == pytest.approx(np.abs(np.diff(heights)).mean() / heights.mean(), rel=0.3)


def test_silence_is_zero_where_nothing_is_defined():
    found = functionals(np.zeros(RATE))
    assert found.pop("duration") == 1 and found.pop("sample_rate") == RATE
    assert found.pop("mfcc_01_mean") == pytest.approx(-100 * np.sqrt(40), rel=1e-5)
    assert found == pytest.approx(dict.fromkeys(found, 0), abs=1e-3)


def test_noise_has_no_voice():
    found = functionals(noise())
    assert found["voiced_ratio"] < 0.05
    assert found["zcr_mean"] == pytest.approx(0.5, abs=0.02)
    assert found["centroid_mean"] == pytest.approx(4000, rel=0.05)
    assert found["rolloff_mean"] == pytest.approx(0.85 * 8000, rel=0.05)


def test_measure_gives_the_functionals_with_the_pitch_track():
    time = np.arange(RATE) / RATE
    glide = 0.3 * np.sin(2 * np.pi * np.cumsum(150 * 2**time) / RATE)  # an octave in a second
    sound = recording(np.concatenate([glide, noise(1.0)]))
    extractor = features.Functionals()
    row, pitch = extractor.measure(sound)
    np.testing.assert_array_equal(row, extractor.extract(sound))
    moments = 1 + 0.015 * (np.arange(len(pitch)) - (len(pitch) - 1) / 2)
    inside = (moments > 0.05) & (moments < 0.95)
    np.testing.assert_allclose(pitch[inside], 150 * 2 ** moments[inside], rtol=0.005)
    assert (pitch[moments > 1.05] == 0).mean() > 0.95
    found = dict(zip(extractor.feature_names, row.tolist(), strict=True))
    assert found["pitch_mean"] == pytest.approx(pitch[pitch > 0].mean())
    assert found["voiced_ratio"] == pytest.approx((pitch > 0).mean())


def test_tempo_of_regular_bursts():
    burst = noise(0.05, scale=0.3)
    samples = 1e-4 * noise(6.0)
    for start in np.arange(0, 6, 0.6):
        samples[round(start * RATE) :][: len(burst)] += burst
    assert functionals(samples)["tempo"] == pytest.approx(100, rel=0.03)


def test_columns_units_and_what_models_may_see():
    extractor = features.Functionals()
    assert extractor.corpus_markers == ("sample_rate",)
    seen = [extractor.feature_names[i] for i in extractor.model_columns]
    assert len(seen) == len(extractor.feature_names) - 1 == 45 and "sample_rate" not in seen
    assert tuple(extractor.units) == extractor.feature_names
    assert extractor.units["pitch_mean"] == "Hz" and extractor.units["intensity_mean"] == "dB"
    assert features.FrameFeatures().model_columns == tuple(range(154))


def test_mel_bands_that_hold_no_bin_of_the_spectrum():
    from ser_kit.features import spectra

    power = np.abs(noise(0.05))[: 65 * 8].reshape(8, 65)
    expected = power @ spectra.mel_filters(8000, 128, 200)
    assert (expected == 0).all(axis=0).any()
    np.testing.assert_allclose(spectra.mel_powers(power, 8000, 128, 200), expected, rtol=1e-12)


# Frame features ------------------------------------------------------------------------------------------------------


def check_frame_features(samples) -> None:
    import librosa

    sound = recording(samples, 22050)
    y = sound.samples.astype(np.float64)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=22050)[:, :300])
    expected = np.vstack([
        librosa.feature.mfcc(S=mel, n_mfcc=13),
        librosa.feature.chroma_stft(y=y, sr=22050, tuning=0.0)[:, :300],
        mel,
        librosa.feature.zero_crossing_rate(y)[:, :300],
    ]).T  # fmt: skip
    values, valid = features.FrameFeatures().extract_with_length(sound)
    assert valid == min(300, 1 + len(y) // 512) == len(expected)
    np.testing.assert_allclose(values[:valid], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_frame_features_equal_librosa(name):
    sound = recording(SIGNALS[name]).at(22050)
    check_frame_features(sound)
    values, valid = features.FrameFeatures().extract_with_length(recording(sound, 22050))
    if valid < 300:
        import librosa

        # As a user would call it, in single precision and each feature on its own.
        short = librosa.feature.mfcc(y=sound, sr=22050, n_mfcc=13).T
        np.testing.assert_allclose(values[:valid, :13], short, rtol=1e-4, atol=2e-3)


@pytest.mark.slow
@given(samples=sounds(22050))
@settings(max_examples=80)
def test_frame_features_equal_librosa_on_any_sound(samples):
    check_frame_features(samples)


@pytest.mark.realdata
def test_frame_features_equal_librosa_on_real_speech(real_clips):
    for clip in real_clips:
        check_frame_features(clip.at(22050))


def test_padding_is_what_silence_looks_like_in_that_clip():
    values, valid = features.FrameFeatures().extract_with_length(recording(speech_like()))
    padding = values[valid:]
    mel = values[:valid, 25:-1]
    assert len(padding) and np.all(padding == padding[0])
    assert padding[0, 25:-1] == pytest.approx(np.full(128, mel.max() - 80))
    assert padding[0, 0] == pytest.approx((mel.max() - 80) * np.sqrt(128), rel=1e-5)
    assert padding[0, 1:13] == pytest.approx(np.zeros(12), abs=1e-3)
    assert np.all(padding[0, 13:25] == 0) and padding[0, -1] == 0


def test_padding_equals_the_frames_of_a_silence_that_was_recorded():
    sound = speech_like()
    longer = np.concatenate([sound, np.zeros(RATE, np.float32)])
    short, valid = features.FrameFeatures().extract_with_length(recording(sound))
    long, longer_valid = features.FrameFeatures().extract_with_length(recording(longer))
    np.testing.assert_allclose(long[valid + 6 : longer_valid], short[valid + 6 : longer_valid], atol=1e-3)


def test_padding_can_be_zeros_and_the_identity_tells_only_then():
    plain, zeros = features.FrameFeatures(), features.FrameFeatures(zero_padding=True)
    (expected, valid), (values, same) = (each.extract_with_length(recording(speech_like())) for each in (plain, zeros))
    assert valid == same < 300 and not values[valid:].any()
    np.testing.assert_array_equal(values[:valid], expected[:valid])
    assert "zero_padding" not in plain.identity and zeros.identity.endswith(", zero_padding=True)")
    assert features.FrameFeatures(**zeros.parameters) == zeros


def test_silence_is_all_padding():
    values = features.FrameFeatures().extract(recording(np.zeros(RATE)))
    assert np.all(values == values[-1]) and np.all(values[:, 25:-1] == -100)


def test_a_long_clip_is_cut_and_the_rest_does_not_matter():
    sound = speech_like(seconds=8.0)
    louder_end = sound.copy()
    louder_end[int(7.4 * RATE) :] *= 30
    extractor = features.FrameFeatures()
    assert extractor.extract_with_length(recording(sound))[1] == 300
    np.testing.assert_array_equal(extractor.extract(recording(sound)), extractor.extract(recording(louder_end)))


def test_chroma_names_the_note():
    extractor = features.FrameFeatures()
    values, valid = extractor.extract_with_length(recording(tone(440, 1.0)))
    chroma = values[2 : valid - 2, 13:25]
    assert {extractor.feature_names[13 + i] for i in chroma.argmax(axis=1)} == {"chroma_A"}


# Log-mel spectrogram -------------------------------------------------------------------------------------------------


def check_logmel(samples) -> None:
    import librosa

    sound = recording(samples)
    y = sound.samples.astype(np.float64)
    mel = librosa.feature.melspectrogram(y=y, sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=64)
    expected = 10 * np.log10(np.maximum(mel, 1e-10)).T
    np.testing.assert_allclose(features.LogMel().extract(sound), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", SIGNALS)
def test_logmel_equals_librosa(name):
    check_logmel(SIGNALS[name])


@given(samples=sounds(RATE))
@settings(max_examples=80)
def test_logmel_equals_librosa_on_any_sound(samples):
    check_logmel(samples)


@pytest.mark.realdata
def test_logmel_equals_librosa_on_real_speech(real_clips):
    for clip in real_clips:
        check_logmel(clip.at(RATE))


def test_logmel_without_a_length_follows_the_clip():
    extractor = features.LogMel()
    assert extractor.shape == (None, 64)
    assert extractor.extract_with_length(recording(noise(0.5)))[0].shape == (51, 64)


def test_a_setting_added_later_leaves_earlier_identities_as_they_were():
    assert features.LogMel().identity == "LogMel/1(rate=16000, n_fft=512, window=400, hop=160, n_mels=64, seconds=None)"
    assert features.LogMel(htk=True).identity.endswith("seconds=None, htk=True)")
    assert features.get("logmel")(**features.LogMel(htk=True).parameters) == features.LogMel(htk=True)


def test_logmel_window_longer_than_the_transform():
    with pytest.raises(FeatureError, match="win_length=600"):
        features.LogMel(win_length=600)


# Every extractor -----------------------------------------------------------------------------------------------------


def ids(extractor):
    return extractor.identity.split("(")[0] + f"-{extractor.sr}"


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=ids)
class TestContract:
    def test_shape_names_and_type(self, extractor):
        values, valid = extractor.extract_with_length(recording(speech_like(seconds=1.0)))
        assert values.dtype == np.float32
        assert values.shape == (extractor.shape[0] or len(values), *extractor.shape[1:])
        assert len(extractor.feature_names) == len(set(extractor.feature_names)) == values.shape[-1]
        assert 1 <= valid <= len(values)
        assert set(extractor.units) <= set(extractor.feature_names)
        assert set(extractor.corpus_markers) <= set(extractor.feature_names)

    def test_same_recording_same_numbers_however_it_comes(self, extractor):
        sound = speech_like(seconds=0.8)
        first = extractor.extract(recording(sound))
        np.testing.assert_array_equal(first, extractor.extract((sound, RATE)))
        np.testing.assert_array_equal(first, extractor.extract(read_audio((sound, RATE))))

    def test_is_frozen(self, extractor):
        with pytest.raises(dataclasses.FrozenInstanceError):
            extractor.sr = 8000

    def test_identity_tells_parameters_apart_and_nothing_else(self, extractor):
        twin = features.get(extractor.name)(**extractor.parameters)
        assert twin == extractor and twin.identity == extractor.identity and hash(twin) == hash(extractor)
        identities = {extractor.identity}
        for key, value in extractor.parameters.items():
            if isinstance(value, bool):
                other = not value
            else:
                other = 4096 if value is None else value[1:] if isinstance(value, tuple) else value + 1
            identities.add(dataclasses.replace(extractor, **{key: other}).identity)
        assert len(identities) == 1 + len(extractor.parameters)

    def test_identity_has_class_and_version(self, extractor):
        assert extractor.identity.startswith(f"{type(extractor).__name__}/{extractor.version}(")

    @pytest.mark.parametrize("seconds", [0.0001, 0.05, 0.0999])
    def test_too_short(self, extractor, seconds):
        with pytest.raises(TooShortError, match=r"at least 0\.1 s"):
            extractor.extract(recording(tone(200, seconds, rate=96000), 96000))

    def test_bad_parameters(self, extractor):
        numbers = [key for key, value in extractor.parameters.items() if type(value) in (int, float)]
        assert "sr" in numbers and len(numbers) >= 2
        for key in numbers:
            for value in (0, -1, "1", True, float("nan"), 10**9):
                with pytest.raises(FeatureError, match=f"{key}={value!r} must be a (whole )?number from "):
                    dataclasses.replace(extractor, **{key: value})

    @given(data=st.data())
    @settings(max_examples=12)
    def test_finite_for_any_finite_signal(self, extractor, data):
        rate = data.draw(st.sampled_from([4000, 8000, 11025, 16000, 44100, 96000]))
        n = data.draw(st.integers(int(np.ceil(rate * 0.1)), rate // 2))
        kind = data.draw(st.sampled_from(["noise", "tone", "constant", "impulse", "steps", "silence then noise"]))
        scale = 10.0 ** data.draw(st.integers(-30, 9))
        rng = np.random.default_rng(data.draw(st.integers(0, 99)))
        samples = {
            "noise": lambda: rng.normal(size=n),
            "tone": lambda: tone(rng.uniform(20, rate / 2), n / rate, rate)[:n],
            "constant": lambda: np.ones(n),
            "impulse": lambda: np.eye(1, n, rng.integers(n))[0],
            "steps": lambda: np.repeat(rng.choice([-1.0, 0.0, 1.0], n), 50)[:n],
            "silence then noise": lambda: rng.normal(size=n) * (np.arange(n) > n // 2),
        }[kind]()
        assert np.isfinite(extractor.extract(recording(scale * samples, rate))).all()


def test_waveform_is_the_samples():
    sound = recording(speech_like(seconds=2.0))
    whole, length = features.Waveform().extract_with_length(sound)
    np.testing.assert_array_equal(whole[:, 0], sound.samples)
    assert length == 32000
    cut, length = features.Waveform(seconds=0.5).extract_with_length(sound)
    np.testing.assert_array_equal(cut, whole[:8000])
    assert length == 8000
    np.testing.assert_array_equal(features.Waveform(seconds=3.0).extract(sound), whole)
    resampled = features.Waveform(sr=8000).extract(sound)
    np.testing.assert_array_equal(resampled[:, 0], sound.at(8000))


def test_registry():
    ours = [
        "frame_statistics", "frames", "functionals", "librosa_functionals", "logmel", "pitch_energy", "segments",
        "stacked", "waveform",
    ]  # fmt: skip
    assert features.names() == sorted([*ours, "speech_encoder", "trillsson", "yamnet"])
    assert {type(each).name for each in EXTRACTORS} == set(ours), "of others: test_embeddings.py, test_encoders.py"
    assert features.get("logmel") is features.LogMel
    with pytest.raises(UnknownNameError, match="did you mean 'functionals'"):
        features.get("functional")


@pytest.mark.realdata
def test_functionals_of_real_speech_are_plausible(real_clips):
    extractor = features.Functionals()
    rows = np.array([extractor.extract(clip) for clip in real_clips])
    column = dict(zip(extractor.feature_names, rows.T, strict=True))
    assert np.isfinite(rows).all()
    assert np.all((column["duration"] > 2.5) & (column["duration"] < 6)) and set(column["sample_rate"]) == {48000}
    assert np.all((column["voiced_ratio"] > 0.05) & (column["voiced_ratio"] < 0.9))
    assert np.all((column["pitch_median"] > 70) & (column["pitch_median"] < 500))
    assert np.all((column["jitter_local"] > 0.002) & (column["jitter_local"] < 0.1))
