"""Recordings made in tests of features, and any sound for Hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ser_kit.audio import Recording

RATE = 16000


def recording(samples, rate=RATE) -> Recording:
    return Recording(np.asarray(samples, np.float32), rate, rate, 1, "test")


def tone(hertz, seconds=1.0, rate=RATE, amplitude=0.5):
    return amplitude * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def speech_like(rate=RATE, seconds=2.0, seed=0, pitch=180.0):
    """A gliding buzz through two resonances, in syllables, with noise in between and silence around."""
    from scipy.signal import lfilter

    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    phase = np.cumsum(pitch * (1 + 0.2 * np.sin(2 * np.pi * 1.3 * time + seed))) / rate
    sound = np.diff(np.floor(phase), prepend=0)
    for hertz, width in ((700, 130), (1400, 200)):
        radius = np.exp(-np.pi * width / rate)
        sound = lfilter([1], [1, -2 * radius * np.cos(2 * np.pi * hertz / rate), radius**2], sound)
    sound = sound / np.abs(sound).max() * np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    sound = 0.2 * sound + 0.01 * rng.normal(size=len(time)) * (np.sin(2 * np.pi * 3 * time) < 0)
    sound[(time < 0.15) | (time > seconds - 0.15)] = 0
    return (sound + 1e-4 * rng.normal(size=len(time))).astype(np.float32)


def noise(seconds=2.0, rate=RATE, scale=0.1):
    return scale * np.random.default_rng(5).normal(size=round(seconds * rate))


SIGNALS = {
    "speech": speech_like(),
    "long speech": speech_like(seconds=8.0, seed=3, pitch=110),
    "noise": noise(),
    "tone": tone(440, 1.5),
    "chirp": 0.3 * np.sin(2 * np.pi * 1500 * np.arange(24000) ** 2 / RATE / 48000),
    "quiet": 1e-3 * speech_like(seed=1),
    "offset": 0.4 + 0.1 * speech_like(seed=2),
}


@st.composite
def sounds(draw, rate):
    """Tones, noise, clicks and offsets at levels of -80 dBFS to full scale, with stretches of silence, 0.1 to 3 s."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = int(np.ceil(rate * draw(st.sampled_from([0.1, rng.uniform(0.1, 1), rng.uniform(1, 3)]))))
    samples = np.zeros(n)
    for kind in draw(st.lists(st.sampled_from(["tone", "noise", "clicks", "offset"]), min_size=1, max_size=4)):
        part = {
            "tone": lambda: np.sin(2 * np.pi * rng.uniform(20, rate / 2) * np.arange(n) / rate + rng.uniform(0, 6)),
            "noise": lambda: np.clip(rng.normal(0, 0.25, n), -1, 1),
            "clicks": lambda: (rng.random(n) < 10 / n).astype(float),
            "offset": lambda: np.ones(n),
        }[kind]()
        samples += 10 ** (draw(st.floats(-80, 0)) / 20) * part
    for _ in range(draw(st.integers(0, 2))):
        start, end = sorted(rng.integers(0, n, 2))
        samples[start:end] = 0
    return (samples / max(1, np.abs(samples).max())).astype(np.float32)
