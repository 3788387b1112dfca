"""Steps that take noise off."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ...core.errors import PreprocessError
from .base import Step, power_of_two


@dataclass(frozen=True, kw_only=True)
class NoiseGate(Step):
    """Spectral gating by noisereduce: turn down the moments and bands that do not rise above the noise.

    Stationary, the threshold of a band is 1.5 deviations above the mean of its decibels in the noise, and
    holds for the whole clip: right for hum and hiss. The noise is the quietest tenth of the clip, digital
    silence not counted: with noisereduce's own choice, the whole clip, the threshold of a clip that is half
    speech lies within the speech, and half of its amplitude is lost. Not stationary, the threshold follows
    the mean loudness of the band over two seconds: right for noise that changes, but a steady tone is taken
    away as well, and much of the speech.

    The gate opens and closes over 200 Hz and 40 ms; the frames are the power of two nearest to 32 ms
    (noisereduce's own 1024 samples do not work under 5.2 kHz).

    Source: T. Sainburg & A. Zorea, "Noisereduce: Domain general noise reduction for time series signals",
    arXiv:2412.17851 (2024).

    Args:
        stationary: one threshold per band for the whole clip.
        strength: share of the noise to take away, 0 (nothing is changed) to 1.

    Examples:
        >>> import numpy as np
        >>> from ser_kit.audio.transforms import rms
        >>> noise = np.random.default_rng(0).normal(0, 0.01, 16000)
        >>> rms(NoiseGate()(noise, 16000)) < 0.5 * rms(noise)
        True
    """

    name: ClassVar[str] = "noise_gate"
    packages: ClassVar = ("noisereduce", "scipy")
    valid: ClassVar = {"stationary": frozenset({True, False}), "strength": (0.0, 1.0)}

    stationary: bool = True
    strength: float = 1.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        if not samples.any():
            return samples
        import noisereduce

        window = power_of_two(0.032, rate)
        pieces = samples[: len(samples) // window * window].reshape(-1, window)
        energies = np.einsum("ij,ij->i", pieces, pieces, dtype=np.float64)
        # A band that is exactly zero throughout would be divided by its own mean; noise at -180 dBFS is
        # inaudible.
        dither = np.random.default_rng(0).standard_normal(len(samples)) * 1e-9
        gated = noisereduce.reduce_noise(
            y=samples + dither,
            y_noise=pieces[quietest(energies, 0.1)].ravel() if energies.any() else None,
            sr=rate,
            stationary=self.stationary,
            n_fft=window,
            freq_mask_smooth_hz=200,
            time_mask_smooth_ms=40,
            chunk_size=len(samples),  # in one piece: in several it writes a temporary file
            padding=2 * window,
            n_jobs=1,
        )
        # Not noisereduce's own prop_decrease, which takes something off the lowest and highest bands even at
        # 0.
        return samples + self.strength * (gated - samples)


def quietest(energies: np.ndarray, share: float) -> np.ndarray:
    """Places of the least energies that are not zero, in order of time: at least one, if there is any."""
    sounding = np.flatnonzero(energies)
    count = max(1, round(share * len(sounding)))
    return np.sort(sounding[np.argsort(energies[sounding], kind="stable")[:count]])


@dataclass(frozen=True, kw_only=True)
class SpectralSubtraction(Step):
    """Take the power spectrum of the noise, as the quietest frames have it, off that of every frame.

    Power subtraction with over-subtraction and a spectral floor (Berouti, Schwartz & Makhoul, "Enhancement of
    speech corrupted by acoustic noise", ICASSP 1979), the phase kept as it is (S. F. Boll, "Suppression of
    acoustic noise in speech using spectral subtraction", IEEE Trans. ASSP 27(2), 1979). Their noise comes
    from a pause that is known to hold no speech; here from the quietest frames. Frames of digital silence, as
    some corpora are padded with, say nothing about the noise and are not counted. Right for steady noise and
    clips with pauses. The frames are the power of two nearest to 32 ms, Hann-windowed, three quarters
    overlapping.

    Args:
        quiet_share: share of the frames that count as noise, 0.01 to 1.
        over_subtraction: how many times the noise power is taken off, 0 (nothing is changed) to 20; more
            takes away more of the noise, and of the speech.
        floor: share of the noise power that is left everywhere, 0 to 1, which covers the "musical" noise of
            single bands that come and go.

    Examples:
        >>> import numpy as np
        >>> from ser_kit.audio.transforms import rms
        >>> noise = np.random.default_rng(0).normal(0, 0.01, 16000)
        >>> rms(SpectralSubtraction()(noise, 16000)) < 0.5 * rms(noise)
        True
    """

    name: ClassVar[str] = "spectral_subtraction"
    packages: ClassVar = ("scipy",)
    valid: ClassVar = {"quiet_share": (0.01, 1.0), "over_subtraction": (0.0, 20.0), "floor": (0.0, 1.0)}

    quiet_share: float = 0.1
    over_subtraction: float = 3.0
    floor: float = 0.01

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        from scipy.signal import istft, stft

        window = power_of_two(0.032, rate)
        hop = window // 4
        # Mirrored at both ends and in whole hops, so that no frame is quiet only because it is filled up with
        # zeros.
        whole = np.pad(samples, (0, -len(samples) % hop), mode="reflect")
        framing = {"nperseg": window, "noverlap": window - hop}
        spectra = stft(whole, boundary="even", **framing)[2].T
        powers = np.square(spectra.real) + np.square(spectra.imag)
        loudness = powers.sum(axis=1, dtype=np.float64)
        if not loudness.any():
            return samples
        noise = powers[quietest(loudness, self.quiet_share)].mean(axis=0)
        left = np.maximum(powers - self.over_subtraction * noise, np.minimum(self.floor * noise, powers))
        gains = np.sqrt(np.divide(left, powers, out=np.zeros_like(powers), where=powers > 0))
        return istft((spectra * gains).T, **framing)[1][: len(samples)]


@dataclass(frozen=True, kw_only=True)
class WaveletDenoise(Step):
    """Shrink the wavelet coefficients by a threshold below which white noise lies.

    Soft thresholding at the universal threshold ``sigma * sqrt(2 ln n)`` (D. L. Donoho & I. M. Johnstone,
    "Ideal spatial adaptation by wavelet shrinkage", Biometrika 81(3), 1994); sigma is the median magnitude of
    the finest coefficients over 0.6745, those of digital silence not counted. The finest coefficients are
    those of the upper half of the band: a recording that was resampled to a higher rate has no noise there,
    and is hardly changed. Weak and high sounds, such as those of s and f, suffer: it is for clips about as
    loud as their noise, since from a clip 10 dB above it as much speech is taken as noise.

    Args:
        wavelet: one of ``pywt.wavelist(kind="discrete")``.
        level: number of octaves that are denoised, from the top, 1 to 30; the most that the length of the
            clip allows, if there are fewer or if ``None`` is given.

    Examples:
        >>> import numpy as np
        >>> from ser_kit.audio.transforms import rms
        >>> noise = np.random.default_rng(0).normal(0, 0.01, 16000)
        >>> rms(WaveletDenoise()(noise, 16000)) < 0.1 * rms(noise)
        True
    """

    name: ClassVar[str] = "wavelet_denoise"
    packages: ClassVar = ("PyWavelets",)
    valid: ClassVar = {"level": range(1, 31)}

    wavelet: str = "db8"
    level: int | None = None

    def __post_init__(self):
        super().__post_init__()
        import pywt

        known = pywt.wavelist(kind="discrete")
        if self.wavelet not in known:
            raise PreprocessError(f"{self.name}: wavelet={self.wavelet!r} must be one of {', '.join(known)}")

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        import pywt

        deepest = pywt.dwt_max_level(len(samples), self.wavelet)
        level = min(self.level or deepest, deepest)
        coarse, *details = pywt.wavedec(samples.astype(np.float64), self.wavelet, level=level)
        finest = np.abs(details[-1]) if details else np.empty(0)
        finest = finest[finest > 0]
        if not finest.size:
            return samples
        threshold = np.median(finest) / 0.6745 * math.sqrt(2 * math.log(len(samples)))
        shrunk = [np.sign(detail) * np.maximum(np.abs(detail) - threshold, 0) for detail in details]
        return pywt.waverec([coarse, *shrunk], self.wavelet)[: len(samples)]
