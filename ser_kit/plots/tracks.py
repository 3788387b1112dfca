"""Curves of a recording for pictures: envelope, mel spectrogram, and Praat's pitch and intensity over time.

They are computed at 16 kHz and have at most 1,500 points, so that long recordings are drawn as fast as short
ones.

Examples:
    >>> import numpy as np
    >>> from ser_kit.audio import read_audio
    >>> tone = read_audio((np.sin(2 * np.pi * 200 * np.arange(16000) / 16000).astype(np.float32), 16000))
    >>> times, hertz = pitch(tone)
    >>> round(float(np.nanmedian(hertz)))
    200
"""

from __future__ import annotations

import numpy as np

from ..audio.praat import praat
from ..audio.recording import Recording
from ..features import spectra

RATE = 16_000
"""Hz."""
POINTS = 1500
PITCH_RANGE = (50, 500)
"""Hz."""
INTENSITY_RANGE = (20, 100)
"""dB against the threshold of hearing, as Praat counts if full scale is 1 Pa."""
MEL_BANDS = 96
_LOWEST_PITCH = 100  # Hz; with this, each value of the intensity is a mean over 32 ms


def envelope(recording: Recording, points: int = POINTS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Minimum and maximum of a waveform in short stretches.

    Args:
        recording: at any rate.
        points: approximate number of stretches.

    Returns:
        Starts of the stretches in s, and the lowest and the highest sample of each.
    """
    step = max(1, len(recording.samples) // points)
    starts = np.arange(0, len(recording.samples), step)
    low, high = (extreme.reduceat(recording.samples, starts) for extreme in (np.minimum, np.maximum))
    return starts / recording.rate, low, high


def hop(samples: np.ndarray) -> int:
    """Hop between the frames of a picture, in samples at 16 kHz: 10 ms, or more in a long recording."""
    return max(RATE // 100, -(-len(samples) // POINTS))


def mel(recording: Recording) -> tuple[np.ndarray, int]:
    """The mel spectrogram.

    Returns:
        Levels in dB ``[96 bands, frames]`` from 0 Hz to 8 kHz, against the loudest point unless that is
        silence; and the samples from one frame to the next.
    """
    samples = at_least(recording.at(RATE), 512)
    step = hop(samples)
    power = spectra.mel_powers(spectra.powers(samples, 512, step, 400), RATE, 512, MEL_BANDS).T
    # The lower bound keeps noise of the last bit dark.
    return 10 * np.log10(np.maximum(power, 1e-14) / max(float(power.max()), 1e-6)), step


def at_least(samples: np.ndarray, length: int) -> np.ndarray:
    """Samples, filled up with zeros to ``length``."""
    return np.pad(samples, (0, max(0, length - len(samples))))


def pitch(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and Praat's pitch in Hz (50 to 500), NaN where there is no voice."""
    parselmouth = praat("drawing the pitch")
    try:
        found = _sound(recording).to_pitch(
            time_step=_step(recording), pitch_floor=PITCH_RANGE[0], pitch_ceiling=PITCH_RANGE[1]
        )
    except parselmouth.PraatError:  # shorter than three periods of the floor
        return np.empty(0), np.empty(0)
    values = found.selected_array["frequency"]
    return found.xs(), np.where(values > 0, values, np.nan)


def intensity(recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """Times in s and Praat's intensity in dB, NaN in silence."""
    parselmouth = praat("drawing the intensity")
    try:
        found = _sound(recording).to_intensity(minimum_pitch=_LOWEST_PITCH, time_step=_step(recording))
    except parselmouth.PraatError:  # shorter than its window
        return np.empty(0), np.empty(0)
    values = found.values[0]
    return found.xs(), np.where(values > INTENSITY_RANGE[0], values, np.nan)


def _sound(recording: Recording):
    return praat("drawing a voice").Sound(recording.at(RATE).astype(np.float64), RATE)


def _step(recording: Recording) -> float:
    return max(0.01, recording.duration / POINTS)
