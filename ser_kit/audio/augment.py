"""Changes that make more of the training clips: of waveforms, as steps, and of batches of features.

Waveforms are changed before extraction, by steps that go into a chain like those of
:mod:`ser_kit.audio.transforms`. A step that draws at random is a :class:`Variation`; what it draws follows
from its seed and the clip alone, so that features can be stored and extracted again elsewhere.
:func:`with_seed` makes copies 1, 2, 3 of a clip.

================================ ====================================== =======
step                             what is drawn                          length
================================ ====================================== =======
:class:`AddNoise`                signal-to-noise ratio, noise           kept
:class:`PitchShift`              semitones                              kept
:class:`TimeStretch`             tempo                                  changes
:class:`SpeedChange`             speed: tempo, pitch and formants       changes
:class:`Gain`                    decibels                               kept
:class:`Offset`                  offset; level and pitch of a rumble    kept
:class:`Room`                    reverberation time, echoes             kept
:class:`Telephone`               nothing                                kept
:class:`Sometimes`               whether another step is taken          that step's
================================ ====================================== =======

Features are changed batch by batch while a network trains, by :class:`SpecAugment` and :class:`Mixup`; where
these are the samples themselves, :class:`Vary` takes such steps anew in every epoch, and :class:`Babble` adds
other voices.

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
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..core.config import Settings, made
from ..core.errors import PreprocessError
from ..core.registry import Registry
from . import transforms
from .blocks import MAX_RATE, MIN_RATE
from .transforms import Step, fitted, power_of_two, resampled, rms, without_filling

# Of waveforms ----------------------------------------------------------------------------------------------


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
        kind: ``"white"`` for Gaussian noise, ``"uniform"`` for evenly distributed samples, both with a flat
            spectrum; ``"pink"`` for Gaussian noise with as much power in each octave, as most noise of rooms
            and streets is.
        snr_low: lowest ratio in dB, -60 to 120.
        snr_high: highest ratio in dB, likewise.

    Examples:
        >>> tone = np.sin(np.arange(16000) / 10).astype("float32")
        >>> noisy = AddNoise(snr_low=20, snr_high=20)(tone, 16000)
        >>> round(20 * math.log10(rms(tone) / rms(noisy - tone)), 1)
        20.0
    """

    name: ClassVar[str] = "add_noise"
    packages: ClassVar = ("scipy",)
    ordered: ClassVar = (("snr_low", "snr_high"),)
    valid: ClassVar = Variation.valid | {
        "kind": frozenset({"white", "uniform", "pink"}),
        "snr_low": (-60.0, 120.0),
        "snr_high": (-60.0, 120.0),
    }

    kind: str = "white"
    snr_low: float = 10.0
    snr_high: float = 30.0

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        ratio, length = rng.uniform(self.snr_low, self.snr_high), len(samples)
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

    longer = fft.next_fast_len(length, real=True)  # a length with a large prime factor takes ten times as long
    spectrum = fft.rfft(rng.standard_normal(longer))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    return fft.irfft(spectrum, longer)[:length]


def levelled(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """The changed samples, scaled to the RMS level that the clip had before."""
    level = rms(changed)
    return changed * (rms(samples) / level) if level > 0 else changed


def _phase_vocoder_window(rate: int) -> int:
    # Librosa's 2048 samples are 93 ms at its own rate of 22.05 kHz; at 16 kHz they smear speech over 128 ms,
    # and at 4 kHz they are longer than the shortest clip.
    return power_of_two(0.064, rate)


@dataclass(frozen=True, kw_only=True)
class PitchShift(Variation):
    """Raise or lower the pitch by a random number of semitones at the same tempo (phase vocoder).

    The formants move with the pitch. The RMS level is kept: the phase vocoder alone takes 3 dB off speech, by
    which a network could tell the copies.

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
        import librosa

        steps = rng.uniform(-self.semitones, self.semitones)
        shifted = librosa.effects.pitch_shift(samples, sr=rate, n_steps=steps, n_fft=_phase_vocoder_window(rate))
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
        import librosa

        factor = rng.uniform(self.low, self.high)
        stretched = librosa.effects.time_stretch(samples, rate=factor, n_fft=_phase_vocoder_window(rate))
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

    The direct sound comes first and unchanged, so that nothing is delayed; the reverberation that would
    outlast the clip is cut off, and the RMS level of the clip is kept. Source of the model: J. D. Polack, "La
    transmission de l'énergie sonore dans les salles" (thesis, Le Mans 1988).

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
    valid: ClassVar = Variation.valid | {
        "rt60_low": (0.05, 5.0),
        "rt60_high": (0.05, 5.0),
        "direct_db": (-20.0, 40.0),
    }

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

    The same for every clip and copy, since nothing is drawn. The band comes from a Butterworth filter of
    fourth order run forwards and backwards (-6 dB at its corners), which delays nothing. The mu-law is the
    formula that ITU-T G.711 approximates by segments, with mu = 255; samples beyond full scale are clipped as
    there.

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
class Sometimes(Variation):
    """Another step, taken of some clips only.

    Args:
        seed: see :class:`Variation`.
        step: the step, its name, or what its ``to_dict`` gave.
        share: of the clips that it is taken of, 0 to 1.

    Examples:
        >>> Sometimes(step="telephone", share=0.25).step
        Telephone()
    """

    name: ClassVar[str] = "sometimes"
    valid: ClassVar = Variation.valid | {"share": (0.0, 1.0)}

    step: Step = AddNoise()
    share: float = 0.5

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "step", transforms.step(self.step))

    def _vary(self, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
        if rng.random() >= self.share:
            return samples
        return _drawn(self.step, samples, rate, rng)


def _drawn(step: Step, samples: np.ndarray, rate: int, rng: np.random.Generator) -> np.ndarray:
    """The samples after a step that draws from a generator given, which saves hashing them."""
    if not isinstance(step, Variation):
        return step(samples, rate)
    return samples if len(samples) < step.shortest * rate else step._vary(samples, rate, rng)


# Of batches ------------------------------------------------------------------------------------------------

BATCH_AUGMENTATIONS: Registry[type[BatchAugmentation]] = Registry("batch augmentation")
"""Every class of batch augmentation by name."""


@dataclass(frozen=True, kw_only=True)
class BatchAugmentation(Settings, ABC):
    """Changes a batch of features and their labels while a network trains.

    :func:`batch_augmentation` reads what :meth:`to_dict` gives.
    """

    error = PreprocessError

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            BATCH_AUGMENTATIONS.enter(cls)

    def __call__(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The batch after this augmentation.

        Args:
            x: float ``[batch, ...]``; not changed.
            y: one-hot float ``[batch, classes]``; not changed.
            rng: what everything random is drawn from.

        Returns:
            float32 arrays of the same shapes.

        Raises:
            PreprocessError: the shapes do not fit each other or the augmentation.
        """
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        if y.ndim != 2 or x.ndim < 2 or len(x) != len(y):
            raise PreprocessError(
                f"{self.name}: expected features [batch, ...] and labels [batch, classes], got {x.shape} and {y.shape}"
            )
        return self._change(x, y, rng)

    @abstractmethod
    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """The batch after this augmentation, for arrays that are in order."""


def batch_augmentation(described: BatchAugmentation | str | Mapping[str, Any]) -> BatchAugmentation:
    """A batch augmentation from its name, from what its ``to_dict`` gave, or as it is.

    Raises:
        UnknownNameError: none has that name.
        PreprocessError: it has no such parameter, or a parameter has a value that it cannot have.

    Examples:
        >>> batch_augmentation({"name": "mixup", "alpha": 0.4})
        Mixup(alpha=0.4)
    """
    return made(BATCH_AUGMENTATIONS, described)


@dataclass(frozen=True, kw_only=True)
class SpecAugment(BatchAugmentation):
    """Hide stretches of time and bands of frequency, others in every clip, so that a network relies on none.

    Each mask is as wide as is drawn from 0 to its greatest width, evenly, and stands anywhere with equal
    chance; masks may overlap. Without the time warping of the source, which gained it least: D. S. Park et
    al., "SpecAugment: A simple data augmentation method for automatic speech recognition", Interspeech 2019.

    Args:
        time_masks: masks in time per clip, 0 to 100.
        time_width: most frames that one hides, 0 to 100,000; 40 frames of 10 ms are 0.4 s.
        band_masks: masks in frequency per clip, 0 to 100.
        band_width: most neighbouring bands that one hides, 0 to 100,000.
        fill: what is put there, -1e6 to 1e6; 0 is the mean of standardised features.

    Examples:
        >>> x, y = np.ones((2, 300, 64)), np.eye(2)
        >>> hidden, same = SpecAugment(band_masks=0)(x, y, np.random.default_rng(0))
        >>> hidden.shape, np.array_equal(same, y), sorted(set(hidden.ravel().tolist()))
        ((2, 300, 64), True, [0.0, 1.0])
    """

    name: ClassVar[str] = "spec_augment"
    valid: ClassVar = {
        "time_masks": range(101),
        "time_width": range(100_001),
        "band_masks": range(101),
        "band_width": range(100_001),
        "fill": (-1e6, 1e6),
    }

    time_masks: int = 2
    time_width: int = 40
    band_masks: int = 2
    band_width: int = 10
    fill: float = 0.0

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if x.ndim != 3:
            raise PreprocessError(f"{self.name}: expected features [batch, frames, dims], got shape {x.shape}")
        batch, frames, bands = x.shape
        hidden = _masks(batch, frames, self.time_masks, self.time_width, rng)[:, :, None]
        hidden = hidden | _masks(batch, bands, self.band_masks, self.band_width, rng)[:, None, :]
        return np.where(hidden, np.float32(self.fill), x), y


def _masks(batch: int, length: int, masks: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Where any of the masks lies: bool ``[batch, length]``."""
    widths = rng.integers(0, min(width, length) + 1, (batch, masks, 1))
    starts = rng.integers(0, length - widths + 1)
    places = np.arange(length)
    return ((places >= starts) & (places < starts + widths)).any(axis=1)


@dataclass(frozen=True, kw_only=True)
class Mixup(BatchAugmentation):
    """Mix every clip with another of the batch, and their labels in the same proportion.

    The share of the clip itself is drawn from Beta(alpha, alpha), one for each clip; the others are the batch
    in another order, where a clip may meet itself. Source: H. Zhang et al., "mixup: Beyond empirical risk
    minimization", ICLR 2018.

    Args:
        alpha: 0.01 to 100; the smaller, the less is mixed (at 0.2, one of the two clips has over 95 % in
            58 % of the draws).

    Examples:
        >>> x, y = Mixup(alpha=1.0)(np.array([[0.0], [10.0]]), np.eye(2), np.random.default_rng(1))
        >>> np.allclose(x[:, 0], 10 * y[:, 1]), y.sum(axis=1).tolist()
        (True, [1.0, 1.0])
    """

    name: ClassVar[str] = "mixup"
    valid: ClassVar = {"alpha": (0.01, 100.0)}

    alpha: float = 0.2

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        own = rng.beta(self.alpha, self.alpha, len(x)).astype(np.float32)
        other = rng.permutation(len(x))
        return _mixed(x, other, own), _mixed(y, other, own)


def _mixed(values: np.ndarray, other: np.ndarray, own: np.ndarray) -> np.ndarray:
    own = own.reshape(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[other]


@dataclass(frozen=True, kw_only=True)
class Babble(BatchAugmentation):
    """Add other clips of the batch as background speech to some waveforms; labels are unchanged.

    The ratio is that of the powers over the whole stretch. Training clips babble, so no other recordings are
    needed.

    Args:
        share: of the waveforms that get a background, 0 to 1.
        voices: how many others talk at once, 1 to 100; fewer in a smaller batch.
        snr_low: lowest ratio in dB, -60 to 120; drawn uniformly.
        snr_high: highest ratio in dB, likewise.

    Examples:
        >>> batch = np.random.default_rng(0).normal(0, 0.1, (8, 16000, 1))
        >>> x, y = Babble(share=1.0, snr_low=20, snr_high=20)(batch, np.eye(8), np.random.default_rng(1))
        >>> round(float(20 * np.log10(rms(batch[0]) / rms(x[0] - batch[0]))), 1), np.array_equal(y, np.eye(8))
        (20.0, True)
    """

    name: ClassVar[str] = "babble"
    ordered: ClassVar = (("snr_low", "snr_high"),)
    valid: ClassVar = {
        "share": (0.0, 1.0),
        "voices": range(1, 101),
        "snr_low": (-60.0, 120.0),
        "snr_high": (-60.0, 120.0),
    }

    share: float = 0.5
    voices: int = 6
    snr_low: float = 5.0
    snr_high: float = 30.0

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if x.ndim != 3 or x.shape[2] != 1:
            raise PreprocessError(f"{self.name}: expected waveforms [batch, samples, 1], got shape {x.shape}")
        mixed = x.copy()
        for clip in np.flatnonzero(rng.random(len(x)) < self.share):
            others = rng.permutation(np.delete(np.arange(len(x)), clip))[: self.voices]
            background = x[others].sum(axis=0)
            ratio = rng.uniform(self.snr_low, self.snr_high)
            if background.any():
                mixed[clip] += background * (rms(x[clip]) / rms(background) * 10 ** (-ratio / 20))
        return mixed, y


@dataclass(frozen=True, kw_only=True)
class Vary(BatchAugmentation):
    """Apply random steps to every waveform of the batch and keep a stretch of one length.

    A stretch of a longer clip is taken from anywhere, a shorter clip is put anywhere into silence. Zeros at
    the end of a clip only fill it up to the length of others, and are left out before.

    Args:
        steps: :class:`~ser_kit.audio.transforms.Step`, their names, or what their ``to_dict`` gives, in
            order.
        rate: Hz, 4,000 to 384,000.
        seconds: length of each clip afterwards, 0.1 s to 1 hour.

    Examples:
        >>> batch = np.random.default_rng(0).normal(0, 0.1, (2, 48000, 1))
        >>> x, y = Vary(steps=("speed_change",))(batch, np.eye(2), np.random.default_rng(1))
        >>> x.shape
        (2, 32000, 1)
    """

    name: ClassVar[str] = "vary"
    valid: ClassVar = {"rate": range(MIN_RATE, MAX_RATE + 1), "seconds": (0.1, 3600.0)}

    steps: tuple[Step, ...] = (SpeedChange(),)
    rate: int = 16000
    seconds: float = 2.0

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "steps", tuple(transforms.step(each) for each in self.steps))

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        if x.ndim != 3 or x.shape[2] != 1:
            raise PreprocessError(f"{self.name}: expected waveforms [batch, samples, 1], got shape {x.shape}")
        length = round(self.seconds * self.rate)
        varied = np.zeros((len(x), length, 1), np.float32)
        for clip, place in zip(x[..., 0], varied[..., 0], strict=True):
            samples = without_filling(clip)
            for step in self.steps:
                samples = _drawn(step, samples, self.rate, rng)
            start = int(rng.integers(0, abs(len(samples) - length) + 1))
            if len(samples) > length:
                place[:] = samples[start : start + length]
            else:
                place[start : start + len(samples)] = samples
        return varied, y
