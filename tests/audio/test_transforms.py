"""Steps: what all of them promise, and for each one an answer that is known."""

from __future__ import annotations

import dataclasses
import json
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit import features
from ser_kit.audio import augment, read_audio, transforms
from ser_kit.audio.transforms import rms
from ser_kit.core.errors import PreprocessError, UnknownNameError

RATE = 16000

# Each step with something changed in it, for every parameter that it has.
CHANGED = {
    "peak_normalise": {"peak": 0.5},
    "standardise": {},
    "rms_normalise": {"level": -30.0},
    "high_pass": {"cutoff": 80.0},
    "trim": {
        "top_db": 20.0,
        "frame_seconds": 0.05,
        "hop_seconds": 0.02,
        "margin_seconds": 0.3,
        "shortest_seconds": 0.05,
    },
    "fix_length": {"seconds": 0.5},
    "noise_gate": {"stationary": False, "strength": 0.5},
    "spectral_subtraction": {"quiet_share": 0.3, "over_subtraction": 1.0, "floor": 0.1},
    "wavelet_denoise": {"wavelet": "sym4", "level": 3},
    "voice_activity": {"aggressiveness": 3, "frame_ms": 10, "padding_ms": 0.0},
    "add_noise": {"seed": 1, "kind": "uniform", "snr_low": 5.0, "snr_high": 40.0, "whole": True},
    "pitch_shift": {"seed": 1, "semitones": 5.0},
    "time_stretch": {"seed": 1, "low": 0.8, "high": 1.2},
    "speed_change": {"seed": 1, "low": 0.8, "high": 1.2},
    "gain": {"seed": 1, "low": -3.0, "high": 3.0},
    "offset": {"seed": 1, "most": 0.2, "highest": 5.0},
    "equalize": {"seed": 1, "deviation": 6.0, "points": 5},
    "room": {"seed": 1, "rt60_low": 0.1, "rt60_high": 1.0, "direct_db": 0.0},
    "telephone": {},
    "sometimes": {"seed": 1, "step": augment.Gain(low=-3.0), "share": 0.9},
}
KEEP_LENGTH = set(CHANGED) - {"trim", "fix_length", "voice_activity", "time_stretch", "speed_change"}
ALL = [
    *(pytest.param(transforms.STEPS[name](), id=name) for name in CHANGED),
    *(pytest.param(transforms.STEPS[name](**changed), id=f"{name}-changed") for name, changed in CHANGED.items()),
]


def tone(rate=RATE, seconds=1.0, hertz=200.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def speech(rate=RATE, seconds=3.0):
    """Harmonics of a gliding pitch in syllables, with a pause before, amid and after."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(150 + 30 * np.sin(2 * np.pi * 0.7 * t)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 11))
    syllables = np.clip(np.sin(2 * np.pi * 3 * t), 0, None)
    syllables[(t < 0.5) | (t > seconds - 0.5) | ((t > 1.4) & (t < 1.7))] = 0
    return (0.2 * voice * syllables).astype(np.float32)


def noise(rate=RATE, seconds=1.0, level=0.1):
    return np.random.default_rng(5).normal(0, level, round(seconds * rate)).astype(np.float32)


def decibels(signal, other):
    """How many decibels the one is above the difference of the two."""
    return 20 * np.log10(rms(signal) / rms(other - signal))


def sounds(rate):
    square = np.where(np.arange(rate) // (rate // 200) % 2, 1, -1).astype(np.float32)
    click = np.zeros(rate, np.float32)
    click[rate // 2] = 1
    return {
        "silence": np.zeros(rate, np.float32),
        "short": tone(rate, 0.1),
        "noise": noise(rate),
        "square": square,
        "faint": noise(rate, level=1e-8),
        "denormal": np.full(rate, 1e-44, np.float32),
        "absurd": noise(rate, level=1e8),
        "constant": np.full(rate, 0.1, np.float32),
        "click": click,
        "padded": np.pad(tone(rate, 0.5), rate // 2),
    }


@pytest.fixture(scope="session")
def real_clips(real_data):
    """A few clips of RAVDESS at 16 kHz."""
    paths = sorted(real_data.glob("ravdess-emotional-speech-audio/Actor_*/*.wav"))[::150]
    if not paths:
        pytest.skip("no RAVDESS under SER_KIT_TEST_DATA")
    return [read_audio(path, sr=RATE).samples for path in paths]


class TestContract:
    def test_every_step_is_tested_here(self):
        ours = {name for name, each in transforms.STEPS.items() if each.__module__.startswith("ser_kit.")}
        assert ours == set(CHANGED)
        for name, changed in CHANGED.items():
            assert {field.name for field in dataclasses.fields(transforms.STEPS[name])} == set(changed)

    @pytest.mark.parametrize("each", ALL)
    def test_round_trip(self, each):
        assert transforms.step(json.loads(json.dumps(each.to_dict()))) == each
        assert transforms.step(each) is each
        assert eval(repr(each), {kind.__name__: kind for kind in transforms.STEPS.values()}) == each

    @pytest.mark.parametrize("name", CHANGED)
    def test_every_parameter_is_in_the_identity(self, name):
        default = transforms.step(name)
        seen = {default.identity}
        for key, value in CHANGED[name].items():
            other = dataclasses.replace(default, **{key: value})
            assert repr(other) != repr(default) and other != default
            seen.add(other.identity)
        assert len(seen) == 1 + len(CHANGED[name])

    @pytest.mark.parametrize("rate", [4000, 8000, 16000, 44100, 48000])
    @pytest.mark.parametrize("each", ALL)
    def test_any_sound_at_any_rate(self, each, rate):
        for what, sound in sounds(rate).items():
            before = sound.copy()
            sound.flags.writeable = False
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                after = each(sound, rate)
            assert after.dtype == np.float32 and after.ndim == 1, what
            assert np.isfinite(after).all(), what
            assert len(after) >= 0.1 * rate, what
            np.testing.assert_array_equal(sound, before)
            if each.name in KEEP_LENGTH:
                assert len(after) == len(sound), what
            if what == "silence":
                assert not after.any()
            if what in ("short", "noise", "padded"):
                np.testing.assert_array_equal(each(sound, rate), after)

    @pytest.mark.parametrize("each", ALL)
    def test_high_rates_and_long_clips(self, each):
        assert np.isfinite(each(noise(96000, 0.5), 96000)).all()
        assert np.isfinite(each(noise(8000, 60), 8000)).all()

    @pytest.mark.parametrize("each", ALL)
    def test_clips_too_short_to_change(self, each):
        for length in (1, 3, 100, 799):
            after = each(tone(8000)[:length], 8000)
            assert len(after) == (length if each.name != "fix_length" else round(each.seconds * 8000))

    @pytest.mark.parametrize("each", [pytest.param(transforms.step(name), id=name) for name in CHANGED])
    def test_strided_and_double_samples(self, each):
        sound = speech()
        twice = np.repeat(sound, 2).astype(np.float64)
        np.testing.assert_array_equal(each(twice[::2], RATE), each(sound, RATE))

    @pytest.mark.parametrize("each", [pytest.param(transforms.step(name), id=name) for name in CHANGED])
    def test_refuses_what_is_not_one_channel_of_sound(self, each):
        for wrong in (np.zeros((2, RATE)), [], [0.0, np.nan] * RATE, 1.0):
            with pytest.raises(PreprocessError, match=each.name):
                each(wrong, RATE)
        for rate in (0, -16000, 3999, 10**6):
            with pytest.raises(PreprocessError, match="the rate is"):
                each(tone(), rate)


class TestParameters:
    @pytest.mark.parametrize("name", CHANGED)
    def test_out_of_range(self, name):
        for key, allowed in transforms.STEPS[name].valid.items():
            wrong = [
                "a string",
                float("nan"),
                [1],
                *([None] if key != "level" or name == "rms_normalise" else []),
            ]
            if isinstance(allowed, range):
                wrong += [allowed[0] - 1, allowed[-1] + 1, 1.5, True]
            elif isinstance(allowed, tuple):
                wrong += [allowed[0] - 0.1, allowed[1] + 0.1, float("inf"), True]
            else:
                wrong += [7]
            for value in wrong:
                with pytest.raises(PreprocessError, match=f"{name}: {key}=.*must be (a|one of) "):
                    transforms.step({"name": name, key: value})

    @pytest.mark.parametrize(
        ("described", "message"),
        [
            (
                {"name": "peak_normalise", "peak": 2},
                "peak_normalise: peak=2 must be a number from 0.001 to 1",
            ),
            (
                {"name": "voice_activity", "aggressiveness": 4},
                "aggressiveness=4 must be a whole number from 0 to 3",
            ),
            ({"name": "voice_activity", "frame_ms": 25}, "frame_ms=25 must be one of 10, 20, 30"),
            ({"name": "noise_gate", "stationary": 1}, "stationary=1 must be one of False, True"),
            ({"name": "wavelet_denoise", "wavelet": "db99"}, "wavelet='db99' must be one of .*db8"),
            ({"name": "add_noise", "snr_low": 40}, "add_noise: snr_low=40 must not exceed snr_high=30"),
            ({"name": "time_stretch", "low": 1.5}, "low=1.5 must not exceed high=1.1"),
            ({"name": "speed_change", "low": 1.5}, "low=1.5 must not exceed high=1.12"),
            ({"name": "gain", "low": 10}, "low=10 must not exceed high=6"),
            ({"name": "room", "rt60_low": 2}, "rt60_low=2 must not exceed rt60_high=0.6"),
            ({"name": "trim", "top": 3}, "step 'trim': .*'top'"),
        ],
    )
    def test_messages(self, described, message):
        with pytest.raises(PreprocessError, match=message):
            transforms.step(described)

    def test_unknown_name(self):
        with pytest.raises(UnknownNameError, match="unknown step 'trimm'; did you mean 'trim'"):
            transforms.step("trimm")

    def test_numbers_become_plain_ones(self):
        other = transforms.VoiceActivity(aggressiveness=np.int64(1), padding_ms=60)
        assert other.identity == "VoiceActivity/1(aggressiveness=1, frame_ms=30, padding_ms=60.0)"
        assert json.dumps(transforms.Trim(top_db=np.float32(30)).to_dict())

    def test_chains_and_extractors(self):
        chain = [transforms.Trim(), {"name": "fix_length", "seconds": 1}, "standardise"]
        after = transforms.apply(chain, speech(), RATE)
        assert len(after) == RATE and after.std() == pytest.approx(1, abs=1e-5)
        plain = features.get("logmel")().extract((after, RATE))
        np.testing.assert_array_equal(features.get("logmel")(preprocess=chain).extract((speech(), RATE)), plain)


class TestLevel:
    def test_peak(self):
        assert np.abs(transforms.PeakNormalise(peak=0.9)(noise(), RATE)).max() == pytest.approx(0.9)

    def test_standardise(self):
        after = transforms.Standardise()(tone() / 100 + 0.3, RATE).astype(float)
        assert after.mean() == pytest.approx(0, abs=1e-6) and after.std() == pytest.approx(1, abs=1e-5)
        for value in (0.1, -0.7, 1e-30):
            assert not transforms.Standardise()(np.full(RATE, value), RATE).any()

    @pytest.mark.parametrize("level", [-60, -20, -6])
    @pytest.mark.parametrize("loudness", [1e-6, 1.0])
    def test_rms(self, level, loudness):
        after = transforms.RMSNormalise(level=level)(loudness * tone(), RATE)
        assert 20 * np.log10(rms(after)) == pytest.approx(level, abs=1e-3)

    def test_rms_stops_at_full_scale(self):
        after = transforms.RMSNormalise(level=-20)(sounds(RATE)["click"] / 10, RATE)
        assert np.abs(after).max() == pytest.approx(1) and rms(after) < 0.1
        after = transforms.RMSNormalise(level=0)(speech(), RATE)
        assert np.abs(after).max() == pytest.approx(1)


class TestHighPass:
    @pytest.mark.parametrize("rate", [8000, 16000, 44100])
    def test_what_is_slower_than_speech_goes_and_the_rest_stays(self, rate):
        inner = slice(rate // 2, -rate // 2)
        for hertz, decibels_off in [(2, 70), (10, 70), (20, 35), (40, 2)]:
            slow = tone(rate, 3, hertz)
            assert rms(transforms.HighPass()(slow, rate)[inner]) < rms(slow[inner]) * 10 ** (-decibels_off / 20)
        for hertz in (60, 80, 100, 1000, 3000):
            voice = tone(rate, 3, hertz)
            assert decibels(voice[inner], transforms.HighPass()(voice, rate)[inner]) > 35

    @pytest.mark.parametrize("seconds", [0.1, 0.101, 0.3, 3.0])
    def test_an_offset_leaves_no_trace_however_short_the_clip(self, seconds):
        sound = noise(seconds=seconds)
        plain, shifted = (transforms.HighPass()(sound + np.float32(offset), RATE) for offset in (0, 0.5))
        np.testing.assert_allclose(shifted, plain, atol=1e-6)
        assert len(plain) == len(sound) and not transforms.HighPass()(np.full(RATE, 0.5), RATE).any()

    def test_no_low_tone_comes_in_with_speech(self):
        """The low rate must not fold what is above it down."""
        cleaned = transforms.HighPass()(tone(seconds=4, hertz=165), RATE)
        spectrum = np.abs(np.fft.rfft(cleaned[RATE:-RATE] * np.hanning(2 * RATE)))
        assert spectrum[: 2 * 60].max() < 1e-3 * spectrum.max()


class TestLength:
    @pytest.mark.realdata
    @pytest.mark.parametrize("top_db", [20, 40, 60])
    def test_trim_is_librosas(self, real_clips, top_db):
        import librosa

        for clip in real_clips:
            clip = transforms.PeakNormalise()(clip, RATE)  # far above Librosa's floor
            theirs, _ = librosa.effects.trim(clip, top_db=top_db, frame_length=400, hop_length=160)
            np.testing.assert_array_equal(transforms.Trim(top_db=top_db)(clip, RATE), theirs)

    def test_trim_keeps_a_margin_where_there_is_one(self):
        sound = np.zeros(3 * RATE, np.float32)
        sound[RATE : 2 * RATE] = np.cos(np.arange(RATE) / 5)
        bare = transforms.Trim()(sound, RATE)
        for before, margin in ((0.0, 0.0), (0.25, 0.25), (1.0, 2.0)):
            kept = transforms.Trim(margin_seconds=margin)(sound, RATE)
            assert abs(len(kept) - len(bare) - 2 * before * RATE) < 0.05 * RATE
            assert abs(np.flatnonzero(kept)[0] - before * RATE) < 0.05 * RATE

    @pytest.mark.parametrize("level", [0.3, 1.0, 10.0])
    def test_a_click_keeps_no_quiet(self, level):
        sound = np.zeros(3 * RATE, np.float32)
        sound[RATE : 2 * RATE] = np.cos(np.arange(RATE) / 5)
        clicked = sound.copy()
        clicked[[800, -800]] = level
        patient = transforms.Trim(shortest_seconds=0.08)
        assert len(transforms.Trim()(clicked, RATE)) > 2.8 * RATE
        np.testing.assert_array_equal(patient(clicked, RATE), patient(sound, RATE))
        assert abs(len(patient(sound, RATE)) - RATE) < 0.05 * RATE

    @pytest.mark.parametrize(("seconds", "kept"), [(0.03, False), (0.12, True)])
    def test_a_sound_counts_from_its_shortest_length_on(self, seconds, kept):
        sound = np.zeros(3 * RATE, np.float32)
        sound[RATE : 2 * RATE] = np.cos(np.arange(RATE) / 5)
        sound[RATE // 4 : RATE // 4 + round(seconds * RATE)] = 0.5
        assert (len(transforms.Trim(shortest_seconds=0.08)(sound, RATE)) > 1.5 * RATE) == kept

    @pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100])
    def test_trim_is_librosas_at_other_rates(self, rate):
        import librosa

        sound = np.pad(speech(rate, 2.0), (rate // 3, rate // 5))
        sound += noise(rate, 3.0, 1e-4)[: len(sound)]
        for seconds, hop in ((0.025, 0.010), (0.05, 0.02)):
            theirs, _ = librosa.effects.trim(
                sound, top_db=40, frame_length=round(seconds * rate), hop_length=round(hop * rate)
            )
            ours = transforms.Trim(frame_seconds=seconds, hop_seconds=hop)(sound, rate)
            np.testing.assert_array_equal(ours, theirs)
            assert len(ours) < 0.7 * len(sound)

    def test_trim_does_not_depend_on_the_level(self):
        sound = speech() + noise(seconds=3, level=1e-5)
        assert len({len(transforms.Trim()(sound * np.float32(2.0**-k), RATE)) for k in (0, 10, 20)}) == 1

    @given(length=st.integers(1, 4000), seconds=st.floats(0.1, 2), rate=st.sampled_from([4000, 8000, 11025]))
    @settings(max_examples=50)
    def test_fix(self, length, seconds, rate):
        sound = np.arange(1, length + 1)
        after = transforms.Fix(seconds=seconds)(sound, rate)
        assert abs(len(after) - seconds * rate) <= 1
        both = min(len(after), length)
        np.testing.assert_array_equal(after[:both], sound[:both])
        assert not after[both:].any()

    @given(n=st.integers(1, 300), length=st.integers(1, 50), hop=st.integers(1, 50))
    @settings(max_examples=100)
    def test_frame(self, n, length, hop):
        sound = np.arange(1, n + 1, dtype=np.float32)
        frames = transforms.frame(sound, 1000, seconds=length / 1000, hop_seconds=hop / 1000)
        assert frames.dtype == np.float32 and frames.shape[1] == length
        for t, each in enumerate(frames):
            expected = sound[t * hop : t * hop + length]
            np.testing.assert_array_equal(each[: len(expected)], expected)
            assert not each[len(expected) :].any()
        assert (len(frames) - 1) * hop + length >= n, "the last sample is in a frame"
        assert len(frames) == 1 or (len(frames) - 2) * hop + length < n, "no frame too many"

    def test_frame_window(self):
        from scipy.signal import get_window

        frames = transforms.frame(np.ones(1000), RATE, window="hann")
        np.testing.assert_allclose(frames[0], get_window("hann", 400), atol=1e-7)

    @pytest.mark.parametrize(
        ("kwargs", "message"),
        [
            ({"window": "kaiser"}, "window='kaiser'"),
            ({"seconds": 0}, "seconds=0"),
            ({"hop_seconds": -1}, "=-1"),
        ],
    )
    def test_frame_refuses(self, kwargs, message):
        with pytest.raises(PreprocessError, match=message):
            transforms.frame(tone(), RATE, **kwargs)
        with pytest.raises(PreprocessError, match=r"shape \(0,\)"):
            transforms.frame([], RATE)


class TestNoise:
    DENOISERS = {
        "gate": (transforms.NoiseGate(), 2),
        "subtraction": (transforms.SpectralSubtraction(), 4),
        "wavelet": (transforms.WaveletDenoise(), 2),
    }

    @pytest.mark.parametrize("rate", [8000, 16000, 48000])
    @pytest.mark.parametrize("which", DENOISERS)
    def test_more_signal_to_noise(self, which, rate):
        denoise, gain = self.DENOISERS[which]
        clean = speech(rate)
        noisy = augment.AddNoise(snr_low=3, snr_high=3)(clean, rate)
        assert decibels(clean, denoise(noisy, rate)) > 3 + gain

    @pytest.mark.realdata
    @pytest.mark.parametrize(("which", "above"), [("gate", 13), ("subtraction", 16), ("wavelet", 8)])
    def test_real_speech(self, real_clips, which, above):
        denoise, _ = self.DENOISERS[which]
        clean = [transforms.SpectralSubtraction()(clip, RATE) for clip in real_clips]
        noisy = [augment.AddNoise(snr_low=10, snr_high=10)(clip, RATE) for clip in clean]
        gains = [decibels(one, denoise(other, RATE)) for one, other in zip(clean, noisy, strict=True)]
        assert np.mean(gains) > above

    @pytest.mark.parametrize("which", ["gate", "subtraction"])
    def test_clean_speech_stays(self, which):
        clean = speech() + noise(seconds=3, level=1e-5)
        assert decibels(clean, self.DENOISERS[which][0](clean, RATE)) > 25

    def test_changing_noise(self):
        loud = noise(seconds=4) * np.repeat(np.float32([0.1, 1]), 2 * RATE)
        clean = np.pad(tone(seconds=0.3), (round(0.85 * RATE), round(2.85 * RATE)))
        after = transforms.NoiseGate(stationary=False)(clean + loud, RATE)
        assert decibels(clean, after) > decibels(clean, clean + loud) + 2

    def test_strength(self):
        sound = speech() + noise(seconds=3, level=0.02)
        nothing, half, full = (transforms.NoiseGate(strength=s)(sound, RATE) for s in (0.0, 0.5, 1.0))
        np.testing.assert_array_equal(nothing, sound)
        np.testing.assert_allclose(half, (nothing + full) / 2, atol=1e-5)

    def test_nothing_subtracted(self):
        sound = speech() + noise(seconds=3, level=0.02)
        after = transforms.SpectralSubtraction(over_subtraction=0)(sound, RATE)
        np.testing.assert_allclose(after, sound, atol=1e-6)

    def test_floor(self):
        sound = noise(seconds=2)
        left = [rms(transforms.SpectralSubtraction(floor=f, quiet_share=1)(sound, RATE)) for f in (0, 0.1, 0.5)]
        assert left == sorted(left) and left[2] > 0.5 * rms(sound)

    @pytest.mark.parametrize("which", DENOISERS)
    def test_digital_silence_is_not_taken_for_the_noise(self, which):
        denoise, _ = self.DENOISERS[which]
        heard = speech() + noise(seconds=3, level=0.03)
        padded = np.pad(heard, 3 * RATE)
        inner = slice(3 * RATE + 1000, 6 * RATE - 1000)
        assert rms(denoise(padded, RATE)[inner][:6000]) < 0.6 * rms(padded[inner][:6000])

    def test_wavelet_threshold_is_the_universal_one(self):
        import pywt

        sound = speech() + noise(seconds=3, level=0.03)
        after = transforms.WaveletDenoise(level=4)(sound, RATE)
        before = pywt.wavedec(sound.astype(float), "db8", level=4)
        threshold = np.median(np.abs(before[-1])) / 0.6745 * np.sqrt(2 * np.log(len(sound)))
        assert threshold == pytest.approx(0.03 * np.sqrt(2 * np.log(len(sound))), rel=0.05)
        expected = pywt.waverec([before[0], *(pywt.threshold(d, threshold, "soft") for d in before[1:])], "db8")
        np.testing.assert_allclose(after, expected[: len(sound)], atol=1e-6)


class TestVoiceActivity:
    @pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
    def test_pauses_around_speech_go(self, demo_table, rate):
        clip = read_audio(demo_table.path.iloc[0], sr=rate).samples
        spoken = transforms.Trim(top_db=30)(clip, rate)
        padded = np.pad(spoken, 2 * rate)
        after = transforms.VoiceActivity()(padded, rate)
        assert len(spoken) * 0.5 < len(after) < len(spoken) + 1.0 * rate
        assert rms(after) ** 2 * len(after) > 0.9 * rms(spoken) ** 2 * len(spoken), "the speech is still there"

    @pytest.mark.realdata
    def test_real_clips(self, real_clips):
        for clip in real_clips:
            padded = np.pad(clip, 2 * RATE)
            lengths = [len(transforms.VoiceActivity(aggressiveness=a)(padded, RATE)) for a in range(4)]
            assert lengths[2] < len(clip), "the two seconds before and after are gone"
            assert lengths[3] <= lengths[2] <= lengths[1] <= lengths[0]
            quiet = transforms.VoiceActivity()(padded / 256, RATE)
            assert abs(len(quiet) - lengths[2]) <= 0.1 * RATE, "the level does not matter"

    def test_what_is_kept_are_the_samples_themselves(self):
        sound = np.pad(speech(), 2 * RATE) + noise(seconds=7, level=1e-4)
        after = transforms.VoiceActivity(padding_ms=0)(sound, RATE)
        frames = {each.tobytes() for each in sound[: len(sound) // 480 * 480].reshape(-1, 480)}
        assert 480 < len(after) < len(sound)
        assert all(each.tobytes() in frames for each in after[: len(after) // 480 * 480].reshape(-1, 480))

    def test_padding(self):
        sound = np.pad(speech(), 2 * RATE)
        lengths = [len(transforms.VoiceActivity(padding_ms=ms)(sound, RATE)) for ms in (0, 60, 300)]
        assert lengths[0] < lengths[1] < lengths[2]

    def test_no_speech_leaves_the_clip(self, monkeypatch):
        import webrtcvad

        monkeypatch.setattr(webrtcvad.Vad, "is_speech", lambda *_: False)
        np.testing.assert_array_equal(transforms.VoiceActivity()(speech(), RATE), speech())
