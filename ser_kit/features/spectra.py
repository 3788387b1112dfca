"""Short-time spectra and filter banks, in Librosa's definitions, time along the first axis.

Everything here works on ``[frames, bins]``, so that one row is one moment, and each filter bank is built once
per process. The definitions are Librosa's and the tests hold them to it, but Librosa itself stays unimported:
loading it takes seconds, in every worker process and before every first prediction.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

AMIN = 1e-10
"""Powers below this count as this: decibels never fall under ``10 log10(AMIN)``, -100 dB."""
FLOOR_DB = -100.0
_STRIP = 8  # neighbouring mel bands that are summed at a time: the more, the fewer calls but the more zeros


def frame(samples: np.ndarray, length: int, hop_length: int, *, pad_mode: str = "constant") -> np.ndarray:
    """Overlapping frames, the ``t``-th centred on sample ``t * hop_length``.

    Returns:
        A view, ``[1 + n // hop_length, length]``.
    """
    padded = np.pad(samples, length // 2, mode=pad_mode)
    return np.lib.stride_tricks.sliding_window_view(padded, length)[::hop_length]


@lru_cache
def hann(win_length: int, n_fft: int) -> np.ndarray:
    """Periodic Hann window, float64 ``[n_fft]``, in the middle with zeros around it."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    before = (n_fft - win_length) // 2
    return np.pad(window, (before, n_fft - win_length - before))


def powers(samples: np.ndarray, n_fft: int, hop_length: int, win_length: int | None = None) -> np.ndarray:
    """Squared magnitude of the short-time Fourier transform, as of ``librosa.stft``.

    Args:
        samples: float ``[n]``.
        n_fft: length of the transform, even.
        hop_length: samples between frames.
        win_length: samples in the Hann window, ``n_fft`` if not given.

    Returns:
        float64 ``[1 + n // hop_length, 1 + n_fft // 2]``: in float32 the rounding of a strong component would
        drown bands 100 dB under it. All that follows stays in float64 too, so that the float32 result does
        not depend on the order in which a matrix product sums, which changes with the number of threads.
    """
    return _squared(
        np.fft.rfft(frame(samples, n_fft, hop_length) * hann(win_length or n_fft, n_fft), axis=-1)
    )


def _squared(spectra: np.ndarray) -> np.ndarray:
    return np.square(spectra.real) + np.square(spectra.imag)


def mel(hertz: float) -> float:
    """A frequency on Slaney's mel scale.

    Linear under 1 kHz (200/3 Hz per mel), above it 27 mel to each factor of 6.4. Source: M. Slaney, "Auditory
    Toolbox", Interval Research TR 1998-010.

    Examples:
        >>> mel(1000), mel(6400)
        (15.0, 42.0)
    """
    return hertz * 3 / 200 if hertz < 1000 else float(15 + 27 * np.log(hertz / 1000) / np.log(6.4))


def mel_corners(sr: int, n_mels: int, htk: bool = False) -> np.ndarray:
    """The lowest frequency of the first mel band, the centres of all, and the highest of the last, in Hz.

    Evenly spaced from 0 to ``sr / 2`` Hz, in :func:`mel` or in HTK's mels, ``2595 log10(1 + f / 700)``.
    """
    if htk:
        return 700 * (10 ** np.linspace(0, np.log10(1 + sr / 1400), n_mels + 2) - 1)
    mels = np.linspace(0, mel(sr / 2), n_mels + 2)
    return np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))


@lru_cache
def mel_filters(sr: int, n_fft: int, n_mels: int, htk: bool = False) -> np.ndarray:
    """Mel filter bank, float64 ``[1 + n_fft // 2, n_mels]``, as of Librosa.

    Triangles of unit area from each of :func:`mel_corners` over the next to the one after.
    """
    corners = mel_corners(sr, n_mels, htk)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    hertz = np.fft.rfftfreq(n_fft, 1 / sr)[:, None]
    rising, falling = (hertz - low) / (centre - low), (high - hertz) / (high - centre)
    return np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)


def mel_powers(power: np.ndarray, sr: int, n_fft: int, n_mels: int, htk: bool = False) -> np.ndarray:
    """``power @ mel_filters(sr, n_fft, n_mels, htk)``, faster: most of the filters are zero.

    Args:
        power: float64 ``[frames, 1 + n_fft // 2]``.
        sr: Hz.
        n_fft: length of the transform.
        n_mels: mel bands.
        htk: use HTK's mel scale, not Slaney's.

    Returns:
        float64 ``[frames, n_mels]``.
    """
    return np.hstack([power[:, bins] @ filters for bins, filters in _mel_strips(sr, n_fft, n_mels, htk)])


@lru_cache
def _mel_strips(sr: int, n_fft: int, n_mels: int, htk: bool) -> list[tuple[slice, np.ndarray]]:
    """The mel filters, some neighbours at a time, each time with the bins that these bands are made of."""
    filters, strips = mel_filters(sr, n_fft, n_mels, htk), []
    for first in range(0, n_mels, _STRIP):
        strip = filters[:, first : first + _STRIP]
        used = np.flatnonzero(strip.any(axis=1))
        bins = slice(used[0], used[-1] + 1) if used.size else slice(0)
        strips.append((bins, np.ascontiguousarray(strip[bins])))
    return strips


@lru_cache
def chroma_filters(sr: int, n_fft: int) -> np.ndarray:
    """Twelve pitch classes from C, tuned to A4 = 440 Hz, float64 ``[1 + n_fft // 2, 12]``, as of Librosa.

    Each bin of the spectrum is shared out by a Gaussian over the distance in semitones to each class, at
    least as wide as the bin, to length 1; then octaves far from the fifth (C5, counted from 27.5 Hz) are
    given less weight (D. Ellis, "Chroma feature analysis and synthesis", 2007).
    """
    semitones = 12 * np.log2(np.arange(1, n_fft) * sr / n_fft / 27.5)
    semitones = np.append(semitones[0] - 18, semitones)  # 0 Hz: an octave and a half below the first bin
    widths = np.append(np.maximum(np.diff(semitones), 1), 1)[:, None]
    distances = np.mod(semitones[:, None] - np.arange(12) + 6, 12) - 6
    weights = np.exp(-2 * (distances / widths) ** 2)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    weights *= np.exp(-0.5 * ((semitones / 12 - 5) / 2) ** 2)[:, None]
    return np.roll(weights, -3, axis=1)[: 1 + n_fft // 2]


@lru_cache
def dct_basis(n_mels: int, n_mfcc: int) -> np.ndarray:
    """The first columns of the orthonormal DCT-II, float64 ``[n_mels, n_mfcc]``."""
    angles = np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, np.arange(n_mfcc))
    basis = np.cos(angles) * np.sqrt(2 / n_mels)
    basis[:, 0] /= np.sqrt(2)
    return basis


def decibels(power: np.ndarray) -> np.ndarray:
    """``10 log10(power)`` above a fixed floor of -100 dB."""
    return 10 * np.log10(np.maximum(power, AMIN))


def log_mel(power: np.ndarray, sr: int, n_fft: int, n_mels: int, htk: bool = False) -> np.ndarray:
    """Decibels in mel bands, float64 ``[frames, n_mels]``; arguments as of :func:`mel_powers`."""
    return decibels(mel_powers(power, sr, n_fft, n_mels, htk))


def zero_crossing_rates(samples: np.ndarray, length: int, hop_length: int) -> np.ndarray:
    """Share of samples at which the sign changes, per frame ``[1 + n // hop_length]``.

    As of ``librosa.feature.zero_crossing_rate``: frames centred, edges repeated, and anything within 1e-10 of
    zero is taken for zero, which counts as positive.
    """
    padded = np.pad(samples, length // 2, mode="edge")
    changes = np.diff(padded < -1e-10)
    so_far = np.concatenate(([0], np.cumsum(changes)))
    starts = np.arange(0, len(padded) - length + 1, hop_length)
    # The last of a frame's samples pairs with nothing inside it: length - 1 pairs, yet Librosa divides by
    # length.
    return (so_far[starts + length - 1] - so_far[starts]) / length


def tempo(mel_decibels: np.ndarray, frame_rate: float, delay: int = 0) -> float:
    """Beats per minute of ``[frames, bands]`` decibels; 0 when nothing in them ever rises.

    As of ``librosa.onset.onset_strength`` (mean rise over the bands from frame to frame) and
    ``librosa.feature.tempo``: the autocorrelation of the onsets in 8 s windows around each frame, scaled to
    its largest value and averaged over the frames, weighted by a log-normal prior around 120 BPM with a
    spread of one octave, up to 320 BPM.

    Args:
        mel_decibels: float64 ``[frames, bands]``.
        frame_rate: frames per second.
        delay: frames by which the onsets are shifted; Librosa shifts them by half a window,
            ``n_fft // (2 * hop_length)``.
    """
    rises = np.maximum(0, np.diff(mel_decibels, axis=0)).mean(axis=1)
    onsets = np.concatenate((np.zeros(1 + delay), rises))[: len(mel_decibels)]
    if not onsets.any():
        return 0.0
    size = int(8 * frame_rate)
    padded = np.pad(onsets, size // 2, mode="linear_ramp")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size)[: len(onsets)] * hann(size, size)
    # An autocorrelation is largest at lag 0, where it is the window's energy, and the mean of the transforms
    # is the transform of the mean: so one inverse transform does for all frames.
    energies = np.vecdot(windows, windows)
    n_fft = 64 * -(-2 * size // 64)  # a product of small primes
    spectra = _squared(np.fft.rfft(windows, n=n_fft, axis=-1))
    scales = np.divide(1, energies, out=np.zeros_like(energies), where=energies > 0)
    mean = np.fft.irfft(scales @ spectra / len(onsets))[1:size]
    bpm = 60 * frame_rate / np.arange(1, size)
    score = np.log1p(1e6 * mean) - 0.5 * np.square(np.log2(bpm / 120))
    return float(bpm[np.argmax(np.where(bpm < 320, score, -np.inf))])
