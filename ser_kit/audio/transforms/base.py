"""What every step is, the registry of steps, and what several of them use."""

from __future__ import annotations

import math
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ...core.config import Settings, made
from ...core.errors import PreprocessError
from ...core.registry import Registry
from ..blocks import MAX_RATE, MIN_RATE
from ..recording import MIN_SECONDS

STEPS: Registry[type[Step]] = Registry(
    "step",
    {
        "peak_normalise": f"{__package__}.level:PeakNormalise",
        "standardise": f"{__package__}.level:Standardise",
        "rms_normalise": f"{__package__}.level:RMSNormalise",
        "high_pass": f"{__package__}.level:HighPass",
        "trim": f"{__package__}.length:Trim",
        "fix_length": f"{__package__}.length:Fix",
        "noise_gate": f"{__package__}.noise:NoiseGate",
        "spectral_subtraction": f"{__package__}.noise:SpectralSubtraction",
        "wavelet_denoise": f"{__package__}.noise:WaveletDenoise",
        "voice_activity": f"{__package__}.speech:VoiceActivity",
        "add_noise": "ser_kit.audio.augment:AddNoise",
        "pitch_shift": "ser_kit.audio.augment:PitchShift",
        "time_stretch": "ser_kit.audio.augment:TimeStretch",
        "speed_change": "ser_kit.audio.augment:SpeedChange",
        "gain": "ser_kit.audio.augment:Gain",
        "offset": "ser_kit.audio.augment:Offset",
        "equalize": "ser_kit.audio.augment:Equalize",
        "room": "ser_kit.audio.augment:Room",
        "telephone": "ser_kit.audio.augment:Telephone",
        "sometimes": "ser_kit.audio.augment:RandomApply",
    },
)
"""Every step class by name."""


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
            raise PreprocessError(
                f"{self.name}: expected one channel of finite samples, got shape {samples.shape}"
            )
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


def rms(samples: np.ndarray) -> float:
    """Root mean square, in double precision."""
    return math.sqrt(np.square(samples, dtype=np.float64).mean())


def levelled(changed: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """The changed samples, scaled to the RMS level that the clip had before."""
    level = rms(changed)
    return changed * (rms(samples) / level) if level > 0 else changed


def power_of_two(seconds: float, rate: int) -> int:
    """The number of samples nearest to a time that is a power of two, as Fourier transforms like it."""
    return 1 << round(math.log2(seconds * rate))


def resampled(samples: np.ndarray, rate: float, to: float) -> np.ndarray:
    """The samples at another rate, by soxr in high quality: float32 ``[about n * to / rate]``."""
    import soxr

    return soxr.resample(samples, rate, to, quality="HQ")


def vocoded(effect: str, samples: np.ndarray, **settings: Any) -> np.ndarray:
    """A phase vocoder of librosa. Version 1.0 warns of an argument that it passes itself, and of the content
    of arrays before it has filled them."""
    import librosa

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.filterwarnings("ignore", "The `hop_length` parameter|The `n_fft` parameter", FutureWarning)
        return getattr(librosa.effects, effect)(samples, **settings)
