"""Random variations of waveforms, to make more of the training clips.

They are steps and go into a chain like those of :mod:`ser_kit.audio.transforms`, before extraction. A step
that draws at random is a :class:`Variation`; what it draws follows from its seed and the clip alone, so that
features can be stored and extracted again elsewhere. :func:`with_seed` makes copies 1, 2, 3 of a clip.
Changes of training batches are in :mod:`ser_kit.training.batches`.

================================ ====================================== =======
step                             what is drawn                          length
================================ ====================================== =======
:class:`AddNoise`                signal-to-noise ratio, noise           kept
:class:`PitchShift`              semitones                              kept
:class:`TimeStretch`             tempo                                  changes
:class:`SpeedChange`             speed: tempo, pitch and formants       changes
:class:`Gain`                    decibels                               kept
:class:`Offset`                  offset; level and pitch of a rumble    kept
:class:`Equalize`                gains of some frequencies              kept
:class:`Room`                    reverberation time, echoes             kept
:class:`Telephone`               nothing                                kept
:class:`RandomApply`               whether another step is taken          that step's
================================ ====================================== =======

Examples:
    >>> import numpy as np
    >>> from ser_kit.audio import transforms
    >>> tone = np.sin(np.arange(16000) / 10)
    >>> chain = (transforms.Trim(), SpeedChange(), AddNoise(snr_low=15))
    >>> copies = [transforms.apply(with_seed(chain, seed), tone, 16000) for seed in (1, 2, 1)]
    >>> np.array_equal(copies[0], copies[1]), np.array_equal(copies[0], copies[2])
    (False, True)
"""

from __future__ import annotations

import hashlib
import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .. import _old_names
from ..core.config import BOOLEAN
from . import transforms
from .transforms import Step, fitted, levelled, power_of_two, resampled, rms
from .transforms.base import vocoded

_NOISES = frozenset({"white", "uniform", "pink"})
_RATIO, _RT60 = (-60.0, 120.0), (0.05, 5.0)
# Seconds in a frame of the phase vocoder. Librosa's 2048 samples smear speech over 128 ms at 16 kHz.
_VOCODER = 0.064

__getattr__ = _old_names.moved(__name__)


@dataclass(frozen=True, kw_only=True)
class Variation(Step):
    """A step that draws at random, and draws the same again for the same clip.

    The draw follows from the seed, the name of the step and the samples alone (as a BLAKE2b hash), not from
    the order of the clips, the process or NumPy's global state.

    Args:
        seed: another seed, another draw; see :func:`with_seed`.
    """

    valid: ClassVar = {"seed": range(1 << 63)}

    seed: int = 0

    def generator(self, samples: np.ndarray) -> np.random.Generator:
        """The generator that all draws for these samples, float32 ``[n]``, come from."""
        digest = hashlib.blake2b(f"{self.seed} {self.name} ".encode(), digest_size=16)
        digest.update(np.ascontiguousarray(samples, "<f4").data)
        return np.random.default_rng(int.from_bytes(digest.digest(), "little"))

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        return self._vary(samples, rate, self.generator(samples))

    @abstractmethod
    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        """The samples after this step, everything random drawn from the generator."""


def with_seed(steps: Iterable[Step | str | Mapping[str, Any]], seed: int) -> tuple[Step, ...]:
    """The same chain with another seed in every :class:`Variation`.

    Examples:
        >>> with_seed(["trim", Gain(low=-3)], 2)[1]
        Gain(seed=2, low=-3.0, high=6.0)
    """
    steps = (transforms.step(each) for each in steps)
    return tuple(replace(each, seed=seed) if isinstance(each, Variation) else each for each in steps)


@dataclass(frozen=True, kw_only=True)
class AddNoise(Variation):
    """Add white noise at a signal-to-noise ratio drawn uniformly, in decibels; digital silence stays silence.

    The ratio is that of the powers over the whole clip, its pauses included. Nothing is clipped: a loud clip
    may go beyond full scale.

    Args:
        seed: see :class:`Variation`.
        kind: ``"white"`` for Gaussian noise and ``"uniform"`` for evenly distributed samples, both with a
            flat spectrum; ``"pink"`` for Gaussian noise with equal power in each octave, as in most rooms.
        snr_low: lowest ratio in dB, -60 to 120.
        snr_high: highest ratio in dB, likewise.
        whole: draw whole decibels only, both ends included.

    Examples:
        >>> tone = np.sin(np.arange(16000) / 10).astype("float32")
        >>> noisy = AddNoise(snr_low=20, snr_high=20)(tone, 16000)
        >>> round(20 * math.log10(rms(tone) / rms(noisy - tone)), 1)
        20.0
    """

    name: ClassVar[str] = "add_noise"
    packages: ClassVar = ("scipy",)
    ordered: ClassVar = (("snr_low", "snr_high"),)
    valid: ClassVar = Variation.valid | dict(kind=_NOISES, snr_low=_RATIO, snr_high=_RATIO, whole=BOOLEAN)
    added: ClassVar = frozenset({"whole"})

    kind: str = "white"
    snr_low: float = 10.0
    snr_high: float = 30.0
    whole: bool = False

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        low, high, length = self.snr_low, self.snr_high, len(samples)
        ratio = rng.integers(round(low), round(high), endpoint=True) if self.whole else rng.uniform(low, high)
        if self.kind == "uniform":
            noise = rng.uniform(-1, 1, length)
        elif self.kind == "pink":
            noise = _pink(length, rng)
        else:
            noise = rng.standard_normal(length)
        return samples + noise * (rms(samples) / rms(noise) * 10 ** (-ratio / 20))


def _pink(length: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian noise whose power falls by 3 dB an octave, float64 ``[length]``."""
    from scipy import fft

    longer = fft.next_fast_len(length, real=True)  # large prime factors would take ten times as long
    spectrum = fft.rfft(rng.standard_normal(longer))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return fft.irfft(spectrum, longer)[:length]


@dataclass(frozen=True, kw_only=True)
class PitchShift(Variation):
    """Raise or lower the pitch by a random number of semitones at the same tempo (phase vocoder).

    The formants move with the pitch. The RMS level is kept: the phase vocoder alone takes 3 dB off speech, by
    which a network could recognise the copies.

    Args:
        seed: see :class:`Variation`.
        semitones: most that is drawn in either direction, 0 to 24.

    Examples:
        >>> PitchShift(semitones=4)(np.sin(np.arange(16000) / 10), 16000).shape
        (16000,)
    """

    name: ClassVar[str] = "pitch_shift"
    packages: ClassVar = ("librosa", "scipy")
    valid: ClassVar = Variation.valid | {"semitones": (0.0, 24.0)}

    semitones: float = 2.0

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        steps = rng.uniform(-self.semitones, self.semitones)
        n_fft = power_of_two(_VOCODER, rate)
        shifted = vocoded("pitch_shift", samples, sr=rate, n_steps=steps, n_fft=n_fft)
        return levelled(shifted, samples)


@dataclass(frozen=True, kw_only=True)
class TimeStretch(Variation):
    """Speak faster or slower by a factor drawn uniformly, at the same pitch (Librosa's phase vocoder).

    The RMS level is kept, as by :class:`PitchShift`.

    Args:
        seed: see :class:`Variation`.
        low: slowest, 0.25 to 4; under 1 the clip becomes longer.
        high: fastest, 0.25 to 4.

    Examples:
        >>> TimeStretch(low=0.8, high=0.8)(np.sin(np.arange(16000) / 10), 16000).shape
        (20000,)
    """

    name: ClassVar[str] = "time_stretch"
    packages: ClassVar = ("librosa", "scipy")
    ordered: ClassVar = (("low", "high"),)
    valid: ClassVar = Variation.valid | {"low": (0.25, 4.0), "high": (0.25, 4.0)}

    low: float = 0.9
    high: float = 1.1

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        factor = rng.uniform(self.low, self.high)
        stretched = vocoded("time_stretch", samples, rate=factor, n_fft=power_of_two(_VOCODER, rate))
        return levelled(stretched, samples)


@dataclass(frozen=True, kw_only=True)
class SpeedChange(Variation):
    """Play faster or slower by a factor drawn uniformly, so that tempo, pitch and formants change together.

    A shorter or longer vocal tract, in effect: another speaker (T. Ko et al., "Audio augmentation for speech
    recognition", Interspeech 2015).

    Args:
        seed: see :class:`Variation`.
        low: slowest, 0.25 to 4; under 1 the clip becomes longer and lower.
        high: fastest, 0.25 to 4.

    Examples:
        >>> SpeedChange(low=0.8, high=0.8)(np.sin(np.arange(16000) / 10), 16000).shape
        (20000,)
    """

    name: ClassVar[str] = "speed_change"
    packages: ClassVar = ("soxr",)
    ordered: ClassVar = (("low", "high"),)
    valid: ClassVar = Variation.valid | {"low": (0.25, 4.0), "high": (0.25, 4.0)}

    low: float = 0.88
    high: float = 1.12

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        return resampled(samples, rate * rng.uniform(self.low, self.high), rate)


@dataclass(frozen=True, kw_only=True)
class Gain(Variation):
    """Louder or softer by a number of decibels drawn uniformly; nothing is clipped.

    Args:
        seed: see :class:`Variation`.
        low: least gain in dB, -60 to 60.
        high: most gain in dB, likewise.

    Examples:
        >>> halved = Gain(low=-6.0206, high=-6.0206)(np.ones(16000), 16000)
        >>> round(float(halved[0]), 4)
        0.5
    """

    name: ClassVar[str] = "gain"
    ordered: ClassVar = (("low", "high"),)
    valid: ClassVar = Variation.valid | {"low": (-60.0, 60.0), "high": (-60.0, 60.0)}

    low: float = -6.0
    high: float = 6.0

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        return samples * 10 ** (rng.uniform(self.low, self.high) / 20)


@dataclass(frozen=True, kw_only=True)
class Offset(Variation):
    """Add a random constant and a slow sine, as cheap recorders and wind do; digital silence stays silence.

    Args:
        seed: see :class:`Variation`.
        most: largest magnitude of the constant, and largest amplitude of the sine, 0 to 1, full scale 1; both
            are drawn uniformly.
        highest: frequency up to which the sine's is drawn uniformly, 0 to 50 Hz.

    Examples:
        >>> tone = np.sin(np.arange(16000) / 10)
        >>> shifted = Offset(most=0.1, highest=0)(tone, 16000)
        >>> bool(0 < np.ptp(shifted - tone.astype("float32")) < 1e-6)
        True
    """

    name: ClassVar[str] = "offset"
    valid: ClassVar = Variation.valid | {"most": (0.0, 1.0), "highest": (0.0, 50.0)}

    most: float = 0.1
    highest: float = 20.0

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        constant, amplitude = rng.uniform(-self.most, self.most), rng.uniform(0, self.most)
        frequency, phase = rng.uniform(0, self.highest), rng.uniform(0, 2 * np.pi)
        if not samples.any():
            return samples
        turns = np.arange(len(samples)) * (2 * np.pi * frequency / rate)
        return samples + constant + amplitude * np.sin(turns + phase)


@dataclass(frozen=True, kw_only=True)
class Equalize(Variation):
    """Colour the sound as another microphone would: a gain for each of some frequencies, linear in between.

    Gains are drawn from a normal distribution in decibels, at frequencies spaced evenly on a logarithmic
    scale from 60 Hz to half the rate.

    Args:
        seed: see :class:`Variation`.
        deviation: standard deviation of a gain in dB, 0 to 24.
        points: number of frequencies, 2 to 64.

    Examples:
        >>> tone = np.sin(np.arange(16000) / 10)
        >>> np.allclose(Equalize(deviation=0)(tone, 16000), tone, atol=1e-6)
        True
    """

    name: ClassVar[str] = "equalize"
    packages: ClassVar = ("scipy",)
    valid: ClassVar = Variation.valid | {"deviation": (0.0, 24.0), "points": range(2, 65)}

    deviation: float = 4.0
    points: int = 7

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        from scipy import fft

        gains = rng.normal(0, self.deviation, self.points)
        places = np.log(np.geomspace(60, rate / 2, self.points))
        length = fft.next_fast_len(len(samples), real=True)
        frequencies = np.maximum(fft.rfftfreq(length, 1 / rate), 1.0)
        response = 10 ** (np.interp(np.log(frequencies), places, gains) / 20)
        return fft.irfft(fft.rfft(samples, length) * response, length)[: len(samples)]


@dataclass(frozen=True, kw_only=True)
class Room(Variation):
    """The clip as in a room: with echoes that die away as Gaussian noise does under an exponential envelope.

    The direct sound comes first, so that nothing is delayed; the length and the RMS level of the clip are
    kept. Source: J. D. Polack, "La transmission de l'énergie sonore dans les salles" (thesis, 1988).

    Args:
        seed: see :class:`Variation`.
        rt60_low: shortest reverberation time in seconds (until the echoes are 60 dB down), 0.05 to 5; drawn
            uniformly.
        rt60_high: longest, likewise.
        direct_db: energy of the direct sound over that of all echoes in dB, -20 to 40; 0 is some steps away
            from the speaker, 10 close to the microphone.

    Examples:
        >>> speech = np.repeat([0.0, 0.5, 0.0], 8000) * np.sin(np.arange(24000) / 10)
        >>> reverberant = Room()(speech, 16000)
        >>> rms(reverberant[16000:17600]) > 0, round(rms(reverberant) / rms(speech), 3)
        (True, 1.0)
    """

    name: ClassVar[str] = "room"
    packages: ClassVar = ("scipy",)
    ordered: ClassVar = (("rt60_low", "rt60_high"),)
    valid: ClassVar = Variation.valid | {"rt60_low": _RT60, "rt60_high": _RT60, "direct_db": (-20.0, 40.0)}

    rt60_low: float = 0.2
    rt60_high: float = 0.6
    direct_db: float = 3.0

    def response(self, rate: int, rng: np.random.Generator) -> np.ndarray:
        """An impulse response of such a room, float64 ``[n]``, its direct sound 1."""
        seconds = rng.uniform(self.rt60_low, self.rt60_high)
        times = np.arange(1, round(seconds * rate)) / rate
        echoes = rng.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
        echoes *= 10 ** (-self.direct_db / 20) / math.sqrt(np.square(echoes).sum())
        return np.concatenate([[1.0], echoes])

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        if not samples.any():
            return samples
        from scipy.signal import fftconvolve

        exact = samples.astype(np.float64)
        return levelled(fftconvolve(exact, self.response(rate, rng))[: len(exact)], exact)


@dataclass(frozen=True, kw_only=True)
class Telephone(Step):
    """The clip as over a telephone line: 300 to 3400 Hz, 8 kHz, 8-bit mu-law, back at its own rate.

    Nothing is drawn. The band comes from a Butterworth filter of fourth order run forwards and backwards
    (-6 dB at its corners), which delays nothing. The mu-law is the formula that ITU-T G.711 approximates by
    segments, with mu = 255; samples beyond full scale are clipped as there.

    Examples:
        >>> hum = np.sin(2 * np.pi * 50 * np.arange(16000) / 16000)
        >>> rms(Telephone()(hum, 16000)) < 0.01
        True
    """

    name: ClassVar[str] = "telephone"
    packages: ClassVar = ("scipy", "soxr")

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        from scipy.signal import butter, sosfiltfilt

        line = samples if rate == 8000 else resampled(samples, rate, 8000)
        band = butter(4, (300, 3400), "bandpass", fs=8000, output="sos")
        line = np.clip(sosfiltfilt(band, line.astype(np.float64)), -1, 1)
        compressed = np.rint(np.sign(line) * np.log1p(255 * np.abs(line)) / math.log(256) * 127) / 127
        line = np.sign(compressed) * np.expm1(np.abs(compressed) * math.log(256)) / 255
        return line if rate == 8000 else fitted(resampled(line.astype(np.float32), 8000, rate), len(samples))


@dataclass(frozen=True, kw_only=True)
class RandomApply(Variation):
    """Another step, taken of some clips only.

    Args:
        seed: see :class:`Variation`.
        step: the step, its name, or what its ``to_dict`` gave.
        share: of the clips that it is taken of, 0 to 1.

    Examples:
        >>> RandomApply(step="telephone", share=0.25).step
        Telephone()
    """

    name: ClassVar[str] = "sometimes"
    called = "Sometimes"
    valid: ClassVar = Variation.valid | {"share": (0.0, 1.0)}

    step: Step = AddNoise()
    share: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "step", transforms.step(self.step))

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.share:
            return samples
        return varied(self.step, samples, rate, rng)


def varied(step: Step, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The samples after a step that draws from this generator and not from that of its seed and the
    samples."""
    if not isinstance(step, Variation):
        return step(samples, rate)
    return samples if len(samples) < step.shortest * rate else step._vary(samples, rate, rng)
