"""Recordings without labels, compared with what a model was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from ser_kit.audio.recording import read_audio
from ser_kit.corpora.demo import synthesise_clip
from ser_kit.inference import checking
from ser_kit.inference.checking import check, clipped_share, highest_frequency, levels

RATE = 16_000


def noise(seconds=1.0, low=0, high=8000, level=0.1):
    spectrum = np.fft.rfft(np.random.default_rng(0).normal(size=int(seconds * RATE)))
    frequencies = np.fft.rfftfreq(int(seconds * RATE), 1 / RATE)
    spectrum[(frequencies < low) | (frequencies > high)] = 0
    samples = np.fft.irfft(spectrum)
    return read_audio(((level * samples / np.abs(samples).max()).astype(np.float32), RATE))


@pytest.mark.parametrize("high", [2000, 3400, 6000])
def test_the_highest_frequency_is_found(high):
    assert highest_frequency(noise(high=high)) == pytest.approx(high, abs=150)


def test_levels_tell_speech_with_pauses_from_noise():
    steady = noise(2.0)
    gated = np.where(np.arange(2 * RATE) % RATE < RATE // 2, steady.samples, steady.samples * 0.001)
    loud, span = levels(read_audio((gated, RATE)))
    assert span > 50 and -40 < loud < -20
    assert levels(steady)[1] < 5


def test_clipping_is_found():
    tone = np.sin(2 * np.pi * 200 * np.arange(RATE) / RATE).astype(np.float32)
    assert clipped_share(read_audio((0.9 * tone, RATE))) < checking.CLIPPED_SHARE
    assert clipped_share(read_audio((np.clip(2 * tone, -1, 1), RATE))) > 0.3


def test_what_differs_is_said_and_no_accuracy_is_claimed(predictor):
    clip = synthesise_clip("01_happy_s1_t1.wav")
    spectrum = np.fft.rfft(clip)
    spectrum[int(len(spectrum) * 3400 / 8000) :] = 0
    phone = np.fft.irfft(spectrum, len(clip)).astype(np.float32)
    found = check(predictor, [(phone, RATE), (phone[: RATE // 2], RATE), b"no sound"])
    assert len(found.recordings) == 2 and len(found.failures) == 1
    assert found.unlike["narrow band"] == 1.0 and found.unlike["short"] == 0.5
    assert any("2 of 2 hold nothing above 3." in line for line in found.findings)
    assert any("English, German, Polish" in line for line in found.findings)
    assert "the accuracy cannot be measured without labels" in found.advice[-1]
    data = found.to_dict()
    assert data["recordings"] == 2 and not [key for key in data if "accuracy" in key or key == "uar"]


def test_a_folder_without_a_usable_recording_has_no_advice(predictor):
    found = check(predictor, [b""])
    assert (found.certain, found.advice, len(found.failures)) == (0.0, (), 1)
