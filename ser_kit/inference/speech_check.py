"""Check whether a sound may be speech, with a few cheap measures.

They are computed from one short-time Fourier transform and take a few milliseconds per clip, a fifth of the
time of the functionals.

Examples:
    >>> import numpy as np
    >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32)
    >>> round(float(np.median(measure(tone).pitch)))
    200
    >>> against([measure(tone)])[0]
    'no change between vowels and consonants'
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from ..audio.transforms import HighPass
from ..features import spectra

RATE = 16_000
"""Sampling rate of the measured samples (Hz)."""
STEP_SECONDS = 0.015
PITCH_FLOOR, PITCH_CEILING = 75.0, 500.0

STEP, WINDOW, N_FFT = 240, 640, 1024  # samples: 15 ms; 40 ms, three periods at the floor; FFT
HALF = RATE // 2  # the autocorrelation uses frequencies below 4 kHz, so this is its rate
LAGS = slice(int(HALF / PITCH_CEILING), int(HALF / PITCH_FLOOR) + 1)
VOICING, SILENCE, OCTAVE_COST = 0.45, 0.03, 0.02  # nearly as Praat's "To Pitch (ac)"
BANDS, TOP_DB = 40, 80.0
TINY = np.finfo(np.float32).tiny

FLOORS = {
    "voiced": (0.1, "hardly any voice"),
    "crossings": (0.02, "no change between vowels and consonants"),
    "movement": (0.09, "a spectrum that hardly moves"),
    "slope": (7.0, "a spectral slope that hardly moves"),
}
"""Minimum of each measure for speech, chosen so that none of the clips named here is refused; ``python -m
benchmarks.refusals`` counts refusals among other clips. The lowest values among 2,731 clips of RAVDESS,
EMO-DB and nEMO, clean and (a quarter of them each) in noise of 10 dB and over a telephone line, are 0.162,
0.023, 0.107 and 8.0; steady tones, chords, hum, noise and knocks each fall below one of these floors."""
SEMITONES = 0.05
HELD_SHARE = 0.5
"""Maximum share of pitch steps smaller than ``SEMITONES``: instruments and signals hold a pitch, voices
vary. For the same clips the 99 % and 100 % quantiles are 0.23 and 0.34."""
GLIDING_SHARE, GLIDING_VOICED = 0.3, 0.9
"""The same for differences between neighbouring steps, in sounds that are voiced almost throughout: sirens
and sweeps glide evenly and have no consonants. Among these clips the maximum voiced share is 0.96; among
those above 0.9, the largest share of small differences is 0.25. Synthetic voices glide more evenly but have
pauses."""
FEWEST_STEPS = 5  # of pitch, for a share to be meaningful


@dataclass(frozen=True, eq=False)
class Evidence:
    """Measurements of a sound.

    Args:
        voiced: share of steps with a pitch, 0..1.
        crossings: standard deviation of the zero-crossing rate.
        movement: mean squared distance between neighbouring magnitude spectra, each scaled to length 1.
        slope: standard deviation of the second mel-frequency cepstral coefficient.
        pitch: pitch of each step of 15 ms (Hz), 0 where unvoiced, ``[steps]``.
    """

    voiced: float
    crossings: float
    movement: float
    slope: float
    pitch: np.ndarray = field(repr=False)


def measure(samples: np.ndarray) -> Evidence:
    """Measure a sound.

    Args:
        samples: ``[n]`` at 16 kHz, 0.1 s or more. A few seconds are better: a fraction of a second of speech
            may hold no change between vowels and consonants.
    """
    samples = HighPass()(samples, RATE)  # rumble would hide the zero crossings of speech
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP]
    frames = frames - frames.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(frames * window(), N_FFT, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)

    loud = np.abs(frames).max(axis=1)
    pitch = _pitch(power, loud / max(loud.max(), TINY))
    crossings = np.mean(np.diff(np.signbit(frames), axis=1), axis=1)
    directions = np.sqrt(power / np.maximum(power.sum(axis=1, keepdims=True), TINY))
    moves = np.diff(directions, axis=0)
    mel = spectra.log_mel(power.astype(float), RATE, N_FFT, BANDS)
    slope = np.vecdot(np.maximum(mel, mel.max() - TOP_DB), spectra.dct_basis(BANDS, 2)[:, 1])
    return Evidence(
        voiced=float(np.mean(pitch > 0)),
        crossings=float(crossings.std()),
        movement=float(np.vecdot(moves, moves).mean()) if len(moves) else 0.0,
        slope=float(slope.std()),
        pitch=pitch,
    )


def against(pieces: Sequence[Evidence], weights: np.ndarray | None = None) -> list[str]:
    """Reasons why a recording is not speech.

    Args:
        pieces: measurements of its windows, in order.
        weights: weight of each window, ``[pieces]``; equal by default.

    Returns:
        Short phrases; empty if the recording may be speech.
    """
    means = {name: np.average([getattr(piece, name) for piece in pieces], weights=weights) for name in FLOORS}
    found = [phrase for name, (floor, phrase) in FLOORS.items() if means[name] < floor]
    tracks = [_semitones(piece.pitch) for piece in pieces]
    gliding = means["voiced"] > GLIDING_VOICED and _small(tracks, 2) > GLIDING_SHARE
    if _small(tracks, 1) > HELD_SHARE or gliding:
        found.append("a pitch steadier than any voice")
    return found


@lru_cache
def window() -> np.ndarray:
    """Hann window, ``float32 [WINDOW]``."""
    return spectra.hann(WINDOW, WINDOW).astype(np.float32)


@lru_cache
def window_correlation() -> np.ndarray:
    """Autocorrelation of the window, which a frame's autocorrelation is divided by (Boersma 1993)."""
    transform = np.fft.rfft(window(), N_FFT)[: N_FFT // 4 + 1]
    found = np.fft.irfft(np.abs(transform) ** 2)
    return (found / found[0])[: LAGS.stop + 1].astype(np.float32)


def _pitch(power: np.ndarray, loudness: np.ndarray) -> np.ndarray:
    """Pitch of each frame from the maximum of its autocorrelation (Hz); 0 where unvoiced."""
    correlation = np.fft.irfft(power[:, : N_FFT // 4 + 1], axis=1)[:, : LAGS.stop + 1]
    correlation = correlation / np.maximum(correlation[:, :1], TINY) / window_correlation()
    here = correlation[:, LAGS]
    before, after = (
        correlation[:, LAGS.start - 1 : LAGS.stop - 1],
        correlation[:, LAGS.start + 1 : LAGS.stop + 1],
    )
    curve = before - 2 * here + after
    top = (here > before) & (here >= after)
    curve = np.where(top, np.minimum(curve, -1e-9), -1)
    shift = 0.5 * (before - after) / curve  # peak of the parabola through the three points
    strength = np.where(top, here - 0.25 * (before - after) * shift, -1)
    lags = np.arange(LAGS.start, LAGS.stop)
    best = (strength - (OCTAVE_COST * np.log2(lags / lags[0])).astype(np.float32)).argmax(axis=1)[:, None]
    found = (lags[best] + np.take_along_axis(shift, best, axis=1).astype(float))[:, 0]
    needed = VOICING + np.maximum(0, 2 - loudness / SILENCE * (1 + VOICING))
    return np.where(np.take_along_axis(strength, best, axis=1)[:, 0] > needed, HALF / found, 0.0)


def _semitones(pitch: np.ndarray) -> np.ndarray:
    return np.where(pitch > 0, 12 * np.log2(np.maximum(pitch, 1)), np.nan)


def _small(tracks: Iterable[np.ndarray], order: int) -> float:
    """Share of small differences of this order in voiced segments; 0 if there are too few.

    Octave jumps count as no change, as they are errors of the pitch tracker.
    """
    steps = np.concatenate([np.diff(track, order) for track in tracks])
    steps = steps[np.isfinite(steps)]
    small = np.abs((steps + 6) % 12 - 6) < SEMITONES
    return float(np.mean(small)) if len(steps) >= FEWEST_STEPS else 0.0
