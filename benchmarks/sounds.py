"""Made-up sounds that are no speech: noises, tones, instruments, machines, animals and weather."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import signal

RATE = 16000
_MAJOR, _MINOR_SEVENTH = (0, 4, 7), (0, 3, 7, 10)
_SCALE = (0, 2, 4, 5, 7, 9, 11, 12)


def make(kind: str, seed: int) -> np.ndarray:
    """One sound, always the same for a kind and a seed.

    Args:
        kind: one of :data:`KINDS`.
        seed: 0 or more.

    Returns:
        float32 ``[n]`` at 16 kHz, 1.5 to 6 s, at a level of its own, some at full scale; three in ten hiss a little.

    Examples:
        >>> bool(np.array_equal(make("siren", 1), make("siren", 1)))
        True
    """
    rng = np.random.default_rng([seed, *kind.encode()])
    n = int(RATE * rng.uniform(1.5, 6))
    samples = KINDS[kind](rng, n)
    if kind != "silence":
        samples = samples / np.abs(samples).max() * _gain(min(0, rng.uniform(-30, 6)))
        if rng.random() < 0.3:
            samples = samples + _gain(rng.uniform(-60, -40)) * rng.standard_normal(n)
    return np.clip(samples, -1, 1).astype(np.float32)


# What the kinds are made of -----------------------------------------------------------------------------------------


def _gain(decibels: float) -> float:
    return 10 ** (decibels / 20)


def _time(n: int) -> np.ndarray:
    return np.arange(n) / RATE


def _sine(hertz: float, n: int) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * _time(n))


def _semitones(hertz: float, steps: float) -> float:
    return hertz * 2 ** (steps / 12)


def _coloured(rng: np.random.Generator, n: int, power: float) -> np.ndarray:
    """Noise whose power falls with this power of the frequency, with a peak of 1."""
    frequencies = np.fft.rfftfreq(n, 1 / RATE)
    frequencies[0] = frequencies[1]
    samples = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * frequencies ** (-power / 2), n)
    return samples / np.abs(samples).max()


def _buzz(
    rng: np.random.Generator,
    n: int,
    hertz: float | np.ndarray,
    partials: int = 8,
    slope: float = 1.0,
    vibrato: float = 0.0,
) -> np.ndarray:
    """The partials of a note that lie in the band, in random phase, each the weaker the higher it is.

    Args:
        rng: draws phases and the vibrato's speed.
        n: samples.
        hertz: the pitch, or its course.
        partials: how many there are.
        slope: partial ``k`` has the amplitude ``k ** -slope``.
        vibrato: how far the pitch swings, as a share of it.
    """
    course = np.broadcast_to(hertz, n) * (1 + vibrato * _sine(rng.uniform(4, 7), n))
    phase = 2 * np.pi * np.cumsum(course) / RATE
    heard = range(1, 1 + min(partials, int(7500 / np.max(hertz))))
    return sum(k**-slope * np.sin(k * phase + rng.uniform(0, 2 * np.pi)) for k in heard)


def _faded(samples: np.ndarray, attack: float, release: float) -> np.ndarray:
    """The sound with a straight fade in and out, in seconds."""
    time = _time(len(samples))
    return samples * np.minimum(1, np.minimum(time / attack, time[::-1] / release))


def _scattered(rng: np.random.Generator, n: int, count: int, part: Callable[[int], np.ndarray]) -> np.ndarray:
    """Sounds that begin at random and last as long as they last; ``part`` is told how much room there is."""
    samples = np.zeros(n)
    for start in rng.integers(0, n - RATE // 5, count):
        piece = part(n - start)
        samples[start : start + len(piece)] += piece
    return samples


def _in_a_row(n: int, part: Callable[[], np.ndarray]) -> np.ndarray:
    """One sound after the other, until there are enough samples."""
    samples = np.zeros(0)
    while len(samples) < n:
        samples = np.concatenate([samples, part()])
    return samples[:n]


# The kinds: ``kind(rng, n)`` gives float64 ``[n]`` at any level ------------------------------------------------------


def silence(rng: np.random.Generator, n: int) -> np.ndarray:
    return 10 ** rng.uniform(-5, -3.5) * rng.standard_normal(n)


def white(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.standard_normal(n)


def pink(rng: np.random.Generator, n: int) -> np.ndarray:
    return _coloured(rng, n, 1)


def brown(rng: np.random.Generator, n: int) -> np.ndarray:
    return _coloured(rng, n, 2)


def narrow_noise(rng: np.random.Generator, n: int) -> np.ndarray:
    low = rng.uniform(100, 3000)
    band = [low, low * rng.uniform(1.2, 2.4)]
    return signal.sosfilt(signal.butter(4, band, "bandpass", fs=RATE, output="sos"), rng.standard_normal(n))


def swelling_noise(rng: np.random.Generator, n: int) -> np.ndarray:
    slow = signal.butter(2, rng.uniform(0.5, 6), fs=RATE, output="sos")
    return _coloured(rng, n, rng.uniform(0, 2)) * np.abs(signal.sosfilt(slow, rng.standard_normal(n)))


def static(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.clip(rng.choice([1, 5]) * rng.standard_normal(n), -1, 1) * (brown(rng, n) > -0.3)


def tone(rng: np.random.Generator, n: int) -> np.ndarray:
    return _sine(rng.uniform(60, 5000), n)


def square(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.sign(tone(rng, n))


def sweep(rng: np.random.Generator, n: int) -> np.ndarray:
    start, end = rng.uniform(60, 6000, 2)
    return signal.chirp(_time(n), start, n / RATE, end, method="logarithmic")


def siren(rng: np.random.Generator, n: int) -> np.ndarray:
    turns = signal.sawtooth(2 * np.pi * rng.uniform(0.3, 3) * _time(n), 0.5)
    return _buzz(rng, n, 600 + 300 * turns, partials=5, slope=1.5)


def beeps(rng: np.random.Generator, n: int) -> np.ndarray:
    return tone(rng, n) * (_sine(rng.uniform(1, 6), n) > 0)


def dialling(rng: np.random.Generator, n: int) -> np.ndarray:
    def key():
        pair = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
        return np.concatenate([sum(_sine(hertz, 2400) for hertz in pair), np.zeros(800)])

    return _in_a_row(n, key)


def hum(rng: np.random.Generator, n: int) -> np.ndarray:
    return _buzz(rng, n, rng.choice([50, 60]), partials=20, slope=0.7) + 0.01 * rng.standard_normal(n)


def engine(rng: np.random.Generator, n: int) -> np.ndarray:
    speed = rng.uniform(25, 90) * (1 + 0.3 * _sine(rng.uniform(0.1, 0.6), n))
    return _buzz(rng, n, speed, partials=30, slope=0.6) + 0.3 * pink(rng, n)


def chord(rng: np.random.Generator, n: int) -> np.ndarray:
    root, steps = rng.uniform(110, 440), _MAJOR if rng.random() < 0.5 else _MINOR_SEVENTH
    return sum(_buzz(rng, n, _semitones(root, step), partials=6, slope=1.5) for step in steps)


def melody(rng: np.random.Generator, n: int) -> np.ndarray:
    root, partials, slope = rng.uniform(150, 500), int(rng.integers(3, 10)), rng.uniform(0.7, 2)
    vibrato = rng.choice([0, 0.005, 0.01])

    def note():
        length = int(RATE * rng.choice([0.125, 0.2, 0.25, 0.4, 0.5]))
        return _faded(_buzz(rng, length, _semitones(root, rng.choice(_SCALE)), partials, slope, vibrato), 0.01, 0.05)

    return _in_a_row(n, note)


def organ(rng: np.random.Generator, n: int) -> np.ndarray:
    def triad():
        length, root = int(RATE * rng.uniform(0.5, 1.2)), _semitones(110, rng.integers(0, 24))
        return _faded(sum(_buzz(rng, length, _semitones(root, step)) for step in _MAJOR), 0.02, 0.05)

    return _in_a_row(n, triad)


def piano(rng: np.random.Generator, n: int) -> np.ndarray:
    def note(room):
        dying = np.exp(-_time(room) * rng.uniform(2, 6))
        return _buzz(rng, room, _semitones(110, rng.integers(0, 36)), partials=6, slope=1.3) * dying

    return _scattered(rng, n, rng.integers(6, 25), note)


def strings(rng: np.random.Generator, n: int) -> np.ndarray:
    pitches = [_semitones(220, step) * (1 + rng.normal(0, 0.003)) for step in rng.choice(24, 3)]
    return _faded(sum(_buzz(rng, n, hertz, partials=12, vibrato=0.006) for hertz in pitches), 0.4, 0.4)


def drums(rng: np.random.Generator, n: int) -> np.ndarray:
    time = _time(int(0.2 * RATE))

    def kick():
        return np.sin(2 * np.pi * 60 * time * np.exp(-3 * time)) * np.exp(-20 * time)

    def snare():
        return rng.standard_normal(len(time)) * np.exp(-30 * time)

    def cymbal():
        return 0.4 * np.diff(rng.standard_normal(len(time) + 1)) * np.exp(-80 * time)

    samples = np.zeros(n + len(time))
    for beat, start in enumerate(range(0, n, int(RATE * rng.uniform(0.12, 0.3)))):
        samples[start : start + len(time)] += (kick, cymbal, snare, cymbal)[beat % 4]()
    return samples[:n]


def band(rng: np.random.Generator, n: int) -> np.ndarray:
    return melody(rng, n) + 0.5 * chord(rng, n) + 0.8 * drums(rng, n)


def clicks(rng: np.random.Generator, n: int) -> np.ndarray:
    samples = np.zeros(n)
    samples[:: int(rng.uniform(800, 8000))] = 1
    return signal.lfilter([1], [1, -0.9], samples)


def knocks(rng: np.random.Generator, n: int) -> np.ndarray:
    def knock(room):
        time = _time(room)
        body = _sine(rng.uniform(80, 400), room) * np.exp(-time * rng.uniform(20, 80))
        return body + 0.3 * rng.standard_normal(room) * np.exp(-200 * time)

    return _scattered(rng, n, rng.integers(2, 12), knock)


def birds(rng: np.random.Generator, n: int) -> np.ndarray:
    def chirp(room):
        length = int(RATE * rng.uniform(0.04, 0.2))
        glide = rng.uniform(-0.4, 0.4) * np.linspace(0, 1, length)
        trill = 0.1 * _sine(rng.uniform(10, 40), length)
        return _buzz(rng, length, rng.uniform(2000, 5000) * (1 + glide + trill), partials=1) * np.hanning(length)

    return _scattered(rng, n, rng.integers(4, 20), chirp) + 0.003 * rng.standard_normal(n)


def rain(rng: np.random.Generator, n: int) -> np.ndarray:
    drops = (rng.random(n) < rng.uniform(0.001, 0.02)) * rng.exponential(1, n) * rng.choice([-1, 1], n)
    return signal.lfilter([1], [1, -0.6], drops) + 0.05 * rng.standard_normal(n)


def wind(rng: np.random.Generator, n: int) -> np.ndarray:
    return _coloured(rng, n, 1.5) * (np.abs(_coloured(rng, n, 2.5)) + 0.1)


def applause(rng: np.random.Generator, n: int) -> np.ndarray:
    dying = np.exp(-np.arange(400) / 60)
    return _scattered(rng, n, 400, lambda room: rng.random() * rng.standard_normal(len(dying)) * dying)


KINDS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    kind.__name__: kind
    for kind in (
        silence, white, pink, brown, narrow_noise, swelling_noise, static, tone, square, sweep, siren, beeps, dialling,
        hum, engine, chord, melody, organ, piano, strings, drums, band, clicks, knocks, birds, rain, wind, applause,
    )
}  # fmt: skip
"""Name -> what draws one of that kind."""
