"""What is done to the samples of a recording before anything is measured: steps, each usable alone.

A step is a frozen dataclass of its parameters and a function of samples and rate. Extractors take a chain of
them (``LogMel(preprocess=(Trim(), PeakNormalise()))``), which becomes part of what identifies the features.

============================ ============================================== =================
step                         what it does                                   length
============================ ============================================== =================
:class:`PeakNormalise`       one largest magnitude for all clips            kept
:class:`Standardise`         zero mean, unit variance                       kept
:class:`RMSNormalise`        one level for all clips                        kept
:class:`HighPass`            take off offset and rumble, below speech       kept
:class:`Trim`                cut the quiet before and after                 shorter
:class:`Fix`                 cut or fill up to one length                   the one asked for
:class:`NoiseGate`           spectral gating (noisereduce)                  kept
:class:`SpectralSubtraction` take the spectrum of the quiet moments off all kept
:class:`WaveletDenoise`      shrink small wavelet coefficients (PyWavelets) kept
:class:`VoiceActivity`       keep what WebRTC's detector takes for speech   shorter
============================ ============================================== =================

:func:`frame` cuts samples into overlapping frames, for those who measure something of their own. Steps that
draw at random, to make more of the training clips, are in :mod:`ser_kit.audio.augment`.

Examples:
    >>> import numpy as np
    >>> tone = np.sin(np.arange(16000) / 10).astype("float32") / 4
    >>> float(np.abs(PeakNormalise()(tone, 16000)).max())
    1.0
    >>> padded = np.pad(tone, 8000)
    >>> len(apply([Trim(), Fix(seconds=2), "rms_normalise"], padded, 16000)) / 16000
    2.0
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from ..core.config import Settings, made
from ..core.errors import PreprocessError
from ..core.registry import Registry
from .blocks import MAX_RATE, MAX_SECONDS, MIN_RATE

MIN_SECONDS = 0.1
"""A step that would leave less than this leaves the samples as they were: better too much sound than none."""

STEPS: Registry[type[Step]] = Registry("step")
"""Every step class by name; those of :mod:`ser_kit.audio.augment` too, once that is imported."""


@dataclass(frozen=True, kw_only=True)
class Step(Settings, ABC):
    """Turns samples into samples at the same rate.

    Two steps that are equal give equal samples; raise ``version`` whenever the same parameters begin to give
    others. :func:`step` reads what :meth:`to_dict` gives.
    """

    error = PreprocessError
    shortest: ClassVar[float] = MIN_SECONDS
    """Clips of fewer seconds than this are returned as they are."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            STEPS.enter(cls)

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The samples after this step.

        Args:
            samples: mono float ``[n]``, full scale 1; not changed.
            rate: Hz, 4,000 to 384,000.

        Returns:
            float32 ``[m]``; the samples as they were where less than 0.1 s would be left.

        Raises:
            PreprocessError: the samples are not one channel of finite numbers, there are none, or the rate is
                out of range.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or not samples.size or not np.isfinite(samples).all():
            raise PreprocessError(f"{self.name}: expected one channel of finite samples, got shape {samples.shape}")
        if not MIN_RATE <= rate <= MAX_RATE:
            raise PreprocessError(f"{self.name}: the rate is {rate} Hz; expected {MIN_RATE} to {MAX_RATE} Hz")
        if len(samples) < self.shortest * rate:
            return samples
        changed = np.asarray(self._apply(samples, rate), np.float32)
        return changed if len(changed) >= MIN_SECONDS * rate else samples

    @abstractmethod
    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The samples after this step, for samples that are in order."""


def step(described: Step | str | Mapping[str, Any]) -> Step:
    """A step from its name, from what :meth:`Step.to_dict` gave, or as it is.

    Raises:
        UnknownNameError: no step has that name.
        PreprocessError: it has no such parameter, or a parameter has a value that it cannot have.

    Examples:
        >>> step({"name": "peak_normalise", "peak": 0.5})
        PeakNormalise(peak=0.5)
        >>> step({"name": "trim", "top_db": -3})
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.PreprocessError: trim: top_db=-3 must be a number from 1 to 200
    """
    return made(STEPS, described)


def apply(steps: Iterable[Step | str | Mapping[str, Any]], samples: np.ndarray, rate: int) -> np.ndarray:
    """The samples after each step in turn, float32 ``[m]``; steps as for :func:`step`."""
    for each in steps:
        samples = step(each)(samples, rate)
    return samples


# Level -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class PeakNormalise(Step):
    """Scale to a largest magnitude; digital silence stays silence.

    Args:
        peak: the largest magnitude afterwards, full scale 1; 0.001 to 1.
    """

    name: ClassVar[str] = "peak_normalise"
    valid: ClassVar = {"peak": (0.001, 1.0)}

    peak: float = 1.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        loudest = np.abs(samples).max()
        return samples / loudest * self.peak if loudest > 0 else samples


@dataclass(frozen=True, kw_only=True)
class Standardise(Step):
    """Zero mean and unit variance over the clip; a clip of one value throughout becomes zeros.

    The result goes beyond full scale: it is for networks that take the waveform, not for listening.

    Examples:
        >>> import numpy as np
        >>> standard = Standardise()(np.sin(np.arange(16000) / 10) / 4 + 0.1, 16000)
        >>> abs(round(float(standard.mean()), 4)), round(float(standard.std()), 4)
        (0.0, 1.0)
    """

    name: ClassVar[str] = "standardise"

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        if samples.min() == samples.max():  # whose deviation is 0 only but for rounding
            return np.zeros_like(samples)
        centred = samples - samples.mean(dtype=np.float64)
        return centred / centred.std()


@dataclass(frozen=True, kw_only=True)
class RMSNormalise(Step):
    """Scale to a root-mean-square level; digital silence stays silence.

    Never beyond full scale: a clip whose peak would exceed 1 (one that is mostly pause, or a click in quiet)
    is only scaled until its peak is 1 and stays under the level asked for.

    Args:
        level: dBFS, -100 to 0, where 0 dBFS is the RMS of a full-scale square wave (a full-scale sine has
            -3.01).

    Examples:
        >>> import numpy as np
        >>> level = RMSNormalise(level=-20)(np.sin(np.arange(16000) / 10), 16000)
        >>> round(20 * math.log10(rms(level)), 2)
        -20.0
    """

    name: ClassVar[str] = "rms_normalise"
    valid: ClassVar = {"level": (-100.0, 0.0)}

    level: float = -20.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        loudest = np.abs(samples).max()
        if loudest == 0:
            return samples
        exact = samples.astype(np.float64)
        return exact * min(10 ** (self.level / 20) / rms(exact), 1 / float(loudest))


def rms(samples: np.ndarray) -> float:
    """Root mean square, in double precision."""
    return math.sqrt(np.square(samples, dtype=np.float64).mean())


# Below speech ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class HighPass(Step):
    """Take off what is slower than speech: a constant offset of the recorder, rumble of wind, steps and cars.

    What lies below the cutoff is found by a linear-phase low-pass at a few times the cutoff's rate, brought
    back to the rate of the samples by the same filter, and subtracted, so that nothing is delayed; the mean
    goes first. Sines at a quarter of the cutoff are weaker by over 70 dB afterwards, at half of it by 40, at
    the cutoff by 2.5, at one and a half times it by 0.1. At both ends the samples are continued by their
    mirror image through the last of them.

    Args:
        cutoff: Hz, 10 to 500; the lowest voices begin at about 60.

    Examples:
        >>> import numpy as np
        >>> seconds = np.arange(32000) / 16000
        >>> voice, rumble = np.sin(2 * np.pi * 120 * seconds), np.sin(2 * np.pi * 10 * seconds) + 1
        >>> cleaned = HighPass()(voice + rumble, 16000)
        >>> rms(cleaned - voice) < 0.01 * rms(rumble)
        True
    """

    name: ClassVar[str] = "high_pass"
    valid: ClassVar = {"cutoff": (10.0, 500.0)}

    cutoff: float = 40.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        taps, hop = self.low_pass(rate)
        n, around = len(samples), len(taps) - 1
        centred = samples - samples.mean(dtype=np.float64)
        places = np.arange(-around, -(-n // hop) * hop + around)
        inside = np.clip(places, 0, n - 1)
        continued = 2 * centred[inside] - centred[np.clip(2 * inside - places, 0, n - 1)]
        # Not ``@``: for products as small as these its threads wait for each other longer than they compute.
        few = np.vecdot(np.lib.stride_tricks.sliding_window_view(continued, len(taps))[::hop], taps)
        # A sample of the low rate, and those around it, give the next ``hop`` samples: the filter's every
        # hop-th tap.
        phases = np.append(hop * taps, np.zeros(hop - 1)).reshape(-1, hop)[::-1]
        slow = np.einsum("ij,jk->ik", np.lib.stride_tricks.sliding_window_view(few, len(phases)), phases)
        return centred - slow.reshape(-1)[:n]

    def low_pass(self, rate: int) -> tuple[np.ndarray, int]:
        """The filter, float64 ``[2 * k * hop + 1]`` of sum 1, and its hop in samples."""
        return _low_pass(self.cutoff, rate)


@lru_cache
def _low_pass(cutoff: float, rate: int) -> tuple[np.ndarray, int]:
    hop = round(rate / (4 * cutoff))
    # A Blackman window lets through what is 1.25 times the cutoff wide between passing and stopping.
    steps = round(2.2 * rate / cutoff / hop)
    taps = np.sinc(2 * cutoff / rate * np.arange(-steps * hop, steps * hop + 1)) * np.blackman(2 * steps * hop + 1)
    return taps / taps.sum(), hop


# Length ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Trim(Step):
    """Cut leading and trailing quiet: what lies more than ``top_db`` under the loudest frame.

    Without a margin the same cut as ``librosa.effects.trim`` makes, which the tests hold it to, but without
    Librosa's floor of -100 dBFS, so that the cut does not depend on how loud the recording is. Digital
    silence is left as it is.

    Args:
        top_db: decibels under the RMS of the loudest frame, 1 to 200.
        frame_seconds: length of a frame, 0.001 to 1 s.
        hop_seconds: time between frames, and how finely is cut, 0.001 to 1 s.
        margin_seconds: of the quiet, how much is kept at either end, 0 to 10 s.
        shortest_seconds: of sound, 0 to 0.1 s. What is shorter, such as the click of a button, counts as
            quiet, and every frame as what the quietest of those that follow it within this time is.

    Examples:
        >>> import numpy as np
        >>> tone = np.sin(np.arange(16000) / 10)
        >>> 1.0 <= len(Trim()(np.pad(tone, 16000), 16000)) / 16000 < 1.04
        True
    """

    name: ClassVar[str] = "trim"
    valid: ClassVar = {
        "top_db": (1.0, 200.0), "frame_seconds": (0.001, 1.0), "hop_seconds": (0.001, 1.0),
        "margin_seconds": (0.0, 10.0), "shortest_seconds": (0.0, MIN_SECONDS),
    }  # fmt: skip

    top_db: float = 40.0
    frame_seconds: float = 0.025
    hop_seconds: float = 0.010
    margin_seconds: float = 0.0
    shortest_seconds: float = 0.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        length, hop = round(self.frame_seconds * rate), round(self.hop_seconds * rate)
        centred = np.lib.stride_tricks.sliding_window_view(np.pad(samples, length // 2), length)[::hop]
        energies = np.einsum("ij,ij->i", centred, centred, dtype=np.float64)
        frames = min(self.shortest_frames(rate), len(energies))
        energies = np.lib.stride_tricks.sliding_window_view(energies, frames).min(axis=1)
        heard = np.flatnonzero(energies > energies.max() * 10 ** (-self.top_db / 10))
        margin = round(self.margin_seconds * rate)
        return samples[max(0, heard[0] * hop - margin) : (heard[-1] + frames) * hop + margin] if heard.size else samples

    def shortest_frames(self, rate: int) -> int:
        """How many frames in a row the shortest sound lasts, at least 1."""
        return max(1, round(self.shortest_seconds * rate / round(self.hop_seconds * rate)))


@dataclass(frozen=True, kw_only=True)
class Fix(Step):
    """Cut off the end, or fill it up with zeros, so that every clip has one length.

    Args:
        seconds: that length, 0.1 s to 3 hours.

    Examples:
        >>> Fix(seconds=2)([0.5] * 8000, 8000).shape
        (16000,)
    """

    name: ClassVar[str] = "fix_length"
    valid: ClassVar = {"seconds": (MIN_SECONDS, float(MAX_SECONDS))}
    shortest: ClassVar[float] = 0.0

    seconds: float = 3.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return fitted(samples, max(round(self.seconds * rate), math.ceil(MIN_SECONDS * rate)))


def fitted(samples: np.ndarray, length: int) -> np.ndarray:
    """The samples cut, or filled up with zeros, at their end: ``[length]``."""
    return np.pad(samples[:length], (0, max(0, length - len(samples))))


def without_filling(values: np.ndarray) -> np.ndarray:
    """A clip ``[n, ...]`` without the zeros that pad its end; one of zeros alone as it is."""
    sounding = np.flatnonzero(values.reshape(len(values), -1).any(axis=1))
    return values[: sounding[-1] + 1] if len(sounding) else values


def frame(
    samples: np.ndarray,
    rate: int,
    *,
    seconds: float = 0.025,
    hop_seconds: float = 0.010,
    window: Literal["hann"] | None = None,
) -> np.ndarray:
    """Overlapping frames; the first begins with the first sample, and zeros fill up the last.

    Args:
        samples: mono float ``[n]``, not empty.
        rate: Hz.
        seconds: length of a frame, rounded to whole samples.
        hop_seconds: time from the beginning of a frame to that of the next, rounded likewise.
        window: ``"hann"`` multiplies each frame by a periodic Hann window.

    Returns:
        float32 ``[frames, length]``; read-only without a window, since the frames then share their samples.

    Raises:
        PreprocessError: the samples are not one channel, a length is less than one sample, or the window is
            unknown.

    Examples:
        >>> frame([1, 2, 3, 4, 5], 1000, seconds=0.003, hop_seconds=0.002)
        array([[1., 2., 3.],
               [3., 4., 5.]], dtype=float32)
        >>> frame(np.ones(16000), 16000, window="hann").shape
        (99, 400)
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or not samples.size:
        raise PreprocessError(f"frame: expected samples of one channel, got shape {samples.shape}")
    length, hop = round(seconds * rate), round(hop_seconds * rate)
    if length < 1 or hop < 1:
        raise PreprocessError(f"frame: seconds={seconds!r} and hop_seconds={hop_seconds!r} must be a sample or more")
    if window not in (None, "hann"):
        raise PreprocessError(f"frame: window={window!r} must be 'hann' or None")
    count = 1 + max(0, math.ceil((len(samples) - length) / hop))
    padded = fitted(samples, (count - 1) * hop + length)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    if window is None:
        return frames
    return frames * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)


# Noise -----------------------------------------------------------------------------------------------------


def power_of_two(seconds: float, rate: int) -> int:
    """The number of samples nearest to a time that is a power of two, as Fourier transforms like it."""
    return 1 << round(math.log2(seconds * rate))


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
        # A band that is exactly zero throughout would be divided by its own mean; noise at -180 dBFS cannot
        # be heard.
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


# Speech ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class VoiceActivity(Step):
    """Keep only what WebRTC's voice activity detector takes for speech; pauses are cut out.

    Where it finds no speech at all, the samples are left as they were. The detector (a Gaussian mixture over
    the energies of six bands, 80 Hz to 4 kHz) takes 8, 16, 32 or 48 kHz; at other rates it listens to a copy
    at 16 kHz. It has thresholds of absolute level, so it is given a copy scaled to full scale: whispers that
    were recorded low count as well as shouts.

    Args:
        aggressiveness: 0 to 3; the higher, the more is cut.
        frame_ms: length of the frames that are judged, 10, 20 or 30 ms.
        padding_ms: sound kept before and after each stretch of speech, 0 to 1000 ms, in whole frames.

    Examples:
        >>> import numpy as np
        >>> VoiceActivity()(np.zeros(16000), 16000).shape
        (16000,)
    """

    name: ClassVar[str] = "voice_activity"
    packages: ClassVar = ("soxr", "webrtcvad-wheels")
    valid: ClassVar = {
        "aggressiveness": range(4),
        "frame_ms": frozenset({10, 20, 30}),
        "padding_ms": (0.0, 1000.0),
    }

    aggressiveness: int = 2
    frame_ms: int = 30
    padding_ms: float = 90.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        loudest = np.abs(samples).max()
        if loudest == 0:
            return samples
        import webrtcvad

        heard, heard_rate = samples / loudest, rate
        if rate not in (8000, 16000, 32000, 48000):
            heard, heard_rate = resampled(heard, rate, 16000), 16000
        length = heard_rate * self.frame_ms // 1000
        count = math.ceil(len(heard) / length)
        pcm = (
            np.clip(np.rint(fitted(heard, count * length) * 32767), -32768, 32767).astype("<i2").reshape(count, length)
        )
        detector = webrtcvad.Vad(self.aggressiveness)
        voiced = np.array([detector.is_speech(each.tobytes(), heard_rate) for each in pcm])
        around = math.ceil(self.padding_ms / self.frame_ms)
        kept = np.convolve(voiced, np.ones(2 * around + 1, int))[around : around + count] > 0
        if not kept.any():
            return samples
        ends = np.rint(np.arange(1, count + 1) * (self.frame_ms * rate / 1000)).astype(int)
        ends = np.append(np.minimum(ends[:-1], len(samples)), len(samples))
        return samples[np.repeat(kept, np.diff(ends, prepend=0))]


def resampled(samples: np.ndarray, rate: float, to: float) -> np.ndarray:
    """The samples at another rate, by soxr in high quality: float32 ``[about n * to / rate]``."""
    import soxr

    return soxr.resample(samples, rate, to, quality="HQ")
