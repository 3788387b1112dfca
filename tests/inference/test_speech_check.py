"""What speech has and other sounds lack: measures on signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ser_kit.audio import read_audio
from ser_kit.features import Functionals
from ser_kit.inference import speech_check

TIME = np.arange(2 * speech_check.RATE) / speech_check.RATE
NOISE = np.random.default_rng(0).normal(size=len(TIME)).astype(np.float32)


def track(pitch, voiced=1.0) -> speech_check.Evidence:
    """Evidence that nothing but the pitch speaks against."""
    return speech_check.Evidence(voiced=voiced, crossings=1, movement=1, slope=99, pitch=np.array(pitch, float))


@pytest.mark.parametrize("hertz", [80, 101.3, 200, 333.3, 490])
@pytest.mark.parametrize("gain", [1e-3, 1])
def test_the_pitch_of_a_buzz_is_its_own_at_any_level(hertz, gain):
    buzz = sum(np.sin(2 * np.pi * k * hertz * TIME) / k for k in range(1, 6)).astype(np.float32)
    found = speech_check.measure(gain * buzz)
    assert found.voiced == 1
    np.testing.assert_allclose(found.pitch, hertz, rtol=0.004)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_noise_and_silence_have_no_pitch():
    for sound in (NOISE, np.zeros_like(NOISE), NOISE[:1600]):
        found = speech_check.measure(sound)
        assert found.voiced < 0.02
        assert np.isfinite([found.crossings, found.movement, found.slope]).all()


def test_a_pitch_is_had_every_15_ms_and_where_there_is_one():
    half = np.where(TIME < 1, 0.5 * np.sin(2 * np.pi * 150 * TIME), 0).astype(np.float32)
    pitch = speech_check.measure(half).pitch
    assert len(pitch) == pytest.approx(2 / speech_check.STEP_SECONDS, abs=3)
    assert (pitch[: len(pitch) // 2 - 3] > 0).all() and (pitch[len(pitch) // 2 + 3 :] == 0).all()


def test_the_pitch_is_close_to_praats_on_speech(demo_table):
    for path in demo_table["path"].iloc[::30]:
        recording = read_audio(path, sr=speech_check.RATE)
        row, praat = Functionals(pitch_floor=75.0).measure(recording)
        pitch = speech_check.measure(recording.samples).pitch
        assert np.median(pitch[pitch > 0]) == pytest.approx(np.median(praat[praat > 0]), rel=0.05)


def test_a_steady_spectrum_does_not_move_and_another_one_in_each_step_does():
    tone = np.sin(2 * np.pi * 200 * TIME).astype(np.float32)
    hopping = np.sin(2 * np.pi * np.where(TIME * 25 % 2 < 1, 400, 3000) * TIME).astype(np.float32)
    assert speech_check.measure(tone).movement < 0.01 < 0.5 < speech_check.measure(hopping).movement


@pytest.mark.parametrize(
    ("tracks", "held"),
    [
        ([[200] * 6], True),
        ([[200] * 5], False),  # four steps say nothing
        ([[200] * 3, [300] * 4], True),  # no step from one window to the next
        ([[0, 200, 0, 200, 0, 200, 0, 200, 0, 200, 0, 200]], False),
        ([[0] * 9], False),
        ([200 * 2 ** (np.arange(9) * 0.5 / 12)], True),  # a siren's rise
        ([200 * 2 ** (np.array([0, 0.3, 0.1, 0.8, 0.7, 1.2, 0.4, 0.6, 0.1]) / 12)], False),
    ],
)
def test_a_pitch_that_stays_or_glides_straight_is_no_voice(tracks, held):
    found = speech_check.against([track(each) for each in tracks])
    assert found == ["a pitch steadier than any voice"] * held


def test_a_pitch_may_glide_straight_between_pauses():
    glide = 200 * 2 ** (np.arange(9) * 0.5 / 12)
    assert not speech_check.against([track(glide, voiced=0.8)])
    assert speech_check.against([track(glide, voiced=0.95)])


def test_windows_count_by_their_weights():
    quiet = speech_check.Evidence(voiced=0, crossings=0, movement=0, slope=0, pitch=np.zeros(9))
    assert len(speech_check.against([track([0]), quiet])) == 0
    assert len(speech_check.against([track([0]), quiet], np.array([0, 1]))) == 4
