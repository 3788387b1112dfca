"""Steps that change the level of a clip, or take off what lies below speech."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from .base import Step, rms


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
        >>> import math
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
    taps = np.sinc(2 * cutoff / rate * np.arange(-steps * hop, steps * hop + 1)) * np.blackman(
        2 * steps * hop + 1
    )
    return taps / taps.sum(), hop
