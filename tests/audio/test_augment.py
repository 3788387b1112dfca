"""Augmentation: the draws can be repeated anywhere, and each change is what it says. Contract: test_transforms.py."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit.audio import augment, transforms
from ser_kit.audio.transforms import rms
from ser_kit.core.errors import PreprocessError

RATE = 16000
VARIATIONS = [
    pytest.param(each(**{"share": 1.0} if name == "sometimes" else {}), id=name)
    for name, each in transforms.STEPS.items()
    if issubclass(each, augment.Variation)
]


def tone(rate=RATE, seconds=1.0, hertz=200.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def syllables(rate=RATE):
    """A tone that comes and goes, with silence after."""
    t = np.arange(2 * rate) / rate
    envelope = np.where(t < 1.2, np.clip(np.sin(2 * np.pi * 2.5 * t), 0, None), 0)
    return (tone(rate, 2.0, 300) * envelope).astype(np.float32)


def hertz(samples, rate=RATE):
    """The frequency of the strongest component, to a fraction of a hertz."""
    inner = samples[len(samples) // 8 : -len(samples) // 8]
    spectrum = np.abs(np.fft.rfft(inner * np.hanning(len(inner)), 8 * len(inner)))
    return np.argmax(spectrum) * rate / (8 * len(inner))


class TestOffset:
    def test_a_constant_and_a_slow_sine(self):
        sound = tone(seconds=4)
        added = [augment.Offset(most=0.2, seed=seed)(sound, RATE) - sound for seed in range(30)]
        assert all(np.abs(each).max() <= 0.4 + 1e-6 for each in added)
        constants = [augment.Offset(highest=0, seed=seed)(sound, RATE) - sound for seed in range(30)]
        assert all(np.ptp(each) < 1e-5 for each in constants) and np.std([each.mean() for each in constants]) > 0.03
        for each in added:
            spectrum = np.abs(np.fft.rfft((each - each.mean()) * np.hanning(len(each))))
            assert spectrum.argmax() <= 4 * 20 + 1

    def test_a_clip_of_silence_stays_so(self):
        assert not augment.Offset()(np.zeros(RATE), RATE).any()


class TestEqualize:
    def test_gains_are_drawn_in_decibels_and_a_tone_keeps_its_frequency(self):
        sound = tone(seconds=1)
        varied = [augment.Equalize(deviation=4, seed=seed)(sound, RATE) for seed in range(60)]
        gains = [20 * np.log10(rms(each) / rms(sound)) for each in varied]
        assert 2 < np.std(gains) < 6 and abs(np.mean(gains)) < 2
        assert all(abs(hertz(each) - hertz(sound)) < 1 and len(each) == len(sound) for each in varied)

    def test_between_two_points_the_gain_is_a_straight_line_over_the_octaves(self):
        click = np.zeros(RATE, np.float32)
        click[RATE // 2] = 1.0
        level = 20 * np.log10(np.abs(np.fft.rfft(augment.Equalize(points=2, seed=3)(click, RATE))))
        octaves = level[[125, 250, 500, 1000, 2000, 4000]]
        np.testing.assert_allclose(np.diff(octaves), np.diff(octaves)[0], atol=0.05)
        assert abs(np.diff(octaves)[0]) > 0.1


class TestDraws:
    @pytest.mark.parametrize("each", VARIATIONS)
    def test_seed_and_clip_decide(self, each):
        sound = syllables()
        first = each(sound, RATE)
        np.random.seed(0)
        np.random.random(100)
        np.testing.assert_array_equal(each(sound, RATE), first)
        copies = [dataclasses.replace(each, seed=seed)(sound, RATE) for seed in range(4)]
        assert len({copy.tobytes() for copy in copies}) == 4
        np.testing.assert_array_equal(copies[0], first)
        one, other = (each.generator(x).random() for x in (sound, sound / 2))
        assert one != other, "another clip, another draw"

    def test_steps_of_one_seed_draw_apart(self):
        draws = {each.values[0].generator(tone()).random() for each in VARIATIONS}
        assert len(draws) == len(VARIATIONS)

    @pytest.mark.slow
    def test_another_process_draws_the_same(self):
        code = (
            "import numpy as np, hashlib\n"
            "from ser_kit.audio import augment, transforms\n"
            "t = np.sin(np.arange(8000) / 10) * np.linspace(0, 1, 8000)\n"
            "for name, each in sorted(transforms.STEPS.items()):\n"
            "    if issubclass(each, augment.Variation):\n"
            "        print(name, hashlib.sha256(each(seed=3)(t, 16000).tobytes()).hexdigest())\n"
        )
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        t = np.sin(np.arange(8000) / 10) * np.linspace(0, 1, 8000)
        for line in ran.stdout.splitlines():
            name, digest = line.split()
            assert hashlib.sha256(transforms.STEPS[name](seed=3)(t, 16000).tobytes()).hexdigest() == digest, name
        assert len(ran.stdout.splitlines()) == len(VARIATIONS)

    def test_with_seed(self):
        chain = augment.with_seed(["trim", augment.AddNoise(snr_low=20), {"name": "gain", "seed": 9}], 4)
        assert chain == (transforms.Trim(), augment.AddNoise(snr_low=20, seed=4), augment.Gain(seed=4))
        with pytest.raises(PreprocessError, match="gain: seed=-1 must be a whole number from 0"):
            augment.with_seed(chain[2:], -1)

    @given(seed=st.integers(0, 2**63 - 1), low=st.floats(-60, 60), width=st.floats(0, 60))
    @settings(max_examples=30)
    def test_draws_stay_within_their_range(self, seed, low, width):
        high = min(low + width, 60.0)
        step = augment.Gain(seed=seed, low=low, high=high)
        assert transforms.step(json.loads(json.dumps(step.to_dict()))) == step
        after = 20 * np.log10(rms(step(tone(seconds=0.2), RATE)) / rms(tone(seconds=0.2)))
        assert low - 0.01 <= after <= high + 0.01


class TestWaveforms:
    @pytest.mark.parametrize("kind", ["white", "uniform", "pink"])
    @pytest.mark.parametrize("snr", [-10.0, 0.0, 15.0, 40.0])
    def test_noise_has_the_ratio_asked_for(self, kind, snr):
        sound = syllables()
        added = augment.AddNoise(kind=kind, snr_low=snr, snr_high=snr)(sound, RATE).astype(float) - sound
        assert 20 * np.log10(rms(sound) / rms(added)) == pytest.approx(snr, abs=0.1)
        peak_over_rms = np.abs(added).max() / rms(added)
        assert peak_over_rms == pytest.approx(np.sqrt(3), abs=0.01) if kind == "uniform" else peak_over_rms > 3
        spectrum = np.square(np.abs(np.fft.rfft(added)))
        low, high = np.array_split(spectrum, 2)
        if kind != "pink":
            assert low.mean() == pytest.approx(high.mean(), rel=0.1), "its spectrum is flat"
        else:
            edges = len(spectrum) // 2 ** np.arange(5)
            octaves = [spectrum[low:high].sum() for high, low in itertools.pairwise(edges)]
            assert octaves == pytest.approx(np.full(4, np.mean(octaves)), rel=0.25), "as much in each octave"

    def test_whole_decibels_are_drawn_from_both_ends_too(self):
        sound = tone(seconds=0.2)
        ratios = set()
        for seed in range(60):
            step = augment.AddNoise(seed=seed, snr_low=3, snr_high=5, whole=True)
            added = step(sound, RATE).astype(float) - sound
            ratios.add(round(20 * np.log10(rms(sound) / rms(added)), 2))
        assert ratios == {3, 4, 5}
        assert augment.AddNoise().identity == "AddNoise/1(seed=0, kind='white', snr_low=10.0, snr_high=30.0)"
        assert "whole=True" in augment.AddNoise(whole=True).identity

    def test_drawn_ratios_fill_the_range(self):
        sound = tone(seconds=0.2)
        ratios = []
        for seed in range(200):
            added = augment.AddNoise(seed=seed, snr_low=5, snr_high=25)(sound, RATE).astype(float) - sound
            ratios.append(20 * np.log10(rms(sound) / rms(added)))
        assert 4.99 < min(ratios) < 7 and 23 < max(ratios) < 25.01
        assert np.mean(ratios) == pytest.approx(15, abs=1.5)

    @pytest.mark.parametrize("rate", [8000, 16000, 44100])
    @pytest.mark.parametrize("seed", range(3))
    def test_pitch_shift(self, rate, seed):
        step = augment.PitchShift(seed=seed, semitones=6)
        semitones = step.generator(tone(rate)).uniform(-6, 6)
        after = step(tone(rate), rate)
        assert hertz(after, rate) == pytest.approx(200 * 2 ** (semitones / 12), abs=1.0)
        assert rms(after) == pytest.approx(rms(tone(rate)), rel=1e-3)

    @pytest.mark.parametrize("rate", [8000, 16000, 44100])
    @pytest.mark.parametrize("factor", [0.8, 1.0, 1.3])
    def test_time_stretch(self, rate, factor):
        after = augment.TimeStretch(low=factor, high=factor)(tone(rate), rate)
        assert len(after) == round(rate / factor)
        assert hertz(after, rate) == pytest.approx(200, abs=1.0)
        assert rms(after) == pytest.approx(rms(tone(rate)), rel=1e-3)

    @pytest.mark.parametrize("rate", [8000, 16000, 44100])
    @pytest.mark.parametrize("factor", [0.8, 1.0, 1.12])
    def test_speed_change(self, rate, factor):
        after = augment.SpeedChange(low=factor, high=factor)(tone(rate), rate)
        assert abs(len(after) - rate / factor) <= 1
        assert hertz(after, rate) == pytest.approx(200 * factor, abs=0.5)

    @pytest.mark.parametrize("gain", [-12.0, 0.0, 7.0])
    def test_gain(self, gain):
        after = augment.Gain(low=gain, high=gain)(tone(), RATE)
        np.testing.assert_allclose(after, tone() * 10 ** (gain / 20), rtol=1e-6)

    @pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0])
    def test_room_decays_by_60_db_in_its_time(self, seconds):
        step = augment.Room(rt60_low=seconds, rt60_high=seconds, direct_db=6)
        response = step.response(RATE, np.random.default_rng(0))
        assert len(response) == pytest.approx(seconds * RATE, abs=1) and response[0] == 1
        assert 10 * np.log10(1 / np.square(response[1:]).sum()) == pytest.approx(6)
        # Schroeder's backward integral falls along a straight line; its slope from -5 to -25 dB gives the time.
        energy = np.cumsum(np.square(response[:0:-1]))[::-1]
        level = 10 * np.log10(energy / energy[0])
        t = np.arange(len(level)) / RATE
        slope = np.polyfit(*(each[(level < -5) & (level > -25)] for each in (t, level)), 1)[0]
        assert -60 / slope == pytest.approx(seconds, rel=0.15)

    def test_room_sounds_on(self):
        sound = syllables()
        after = augment.Room(rt60_low=0.5, rt60_high=0.5)(sound, RATE)
        assert rms(after) == pytest.approx(rms(sound), rel=1e-4)
        then = slice(int(1.25 * RATE), int(1.5 * RATE))
        assert not sound[then].any() and rms(after[then]) > 1e-3
        dry = augment.Room(direct_db=40)(sound, RATE)
        assert 20 * np.log10(rms(sound) / rms(dry - sound)) > 35

    @pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
    def test_telephone_band(self, rate):
        levels = {}
        for frequency in (100, 1000, 2000, 3000, 3800, 6000):
            if frequency < rate / 2:
                sound = tone(rate, hertz=frequency)
                levels[frequency] = 20 * np.log10(max(rms(augment.Telephone()(sound, rate)) / rms(sound), 1e-9))
        assert all(abs(levels[frequency]) < 1 for frequency in (1000, 2000, 3000))
        assert all(levels[frequency] < -20 for frequency in levels if frequency in (100, 3800, 6000))

    def test_telephone_codec(self):
        sound = tone(8000, hertz=1013) * np.linspace(0.01, 1, 8000, dtype=np.float32)
        after = augment.Telephone()(sound, 8000)
        assert len(np.unique(after)) <= 255
        inner = slice(800, -800)  # the filter rings at the ends
        assert 30 < 20 * np.log10(rms(sound[inner]) / rms((after - sound)[inner])) < 45, "mu-law: about 38 dB"
        late = augment.Telephone()(np.pad(tone(hertz=1000), 800), RATE)
        assert np.argmax(np.correlate(late, tone(hertz=1000), "valid")) == pytest.approx(800, abs=1), "no delay"


class TestRandomApply:
    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_share(self, share):
        sound = tone(seconds=0.2)
        step = augment.RandomApply(step="telephone", share=share)
        taken = [
            not np.array_equal(each(sound, RATE), sound)
            for (each,) in (augment.with_seed((step,), seed) for seed in range(300))
        ]
        assert np.mean(taken) == pytest.approx(share, abs=0.08 if 0 < share < 1 else 0)

    def test_the_step_draws_anew_with_each_seed(self):
        sound, step = tone(seconds=0.2), augment.RandomApply(step={"name": "gain", "low": -12}, share=1.0)
        assert step.step == augment.Gain(low=-12)
        levels = {
            round(rms(each(sound, RATE)), 6) for (each,) in (augment.with_seed((step,), seed) for seed in range(20))
        }
        assert len(levels) == 20

    def test_identity_names_the_step(self):
        step = augment.RandomApply(step="telephone")
        assert step.identity == "Sometimes/1(seed=0, step=Telephone/1(), share=0.5)"
