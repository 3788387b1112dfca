"""Batch augmentation: masking, mixup, background speech, and waveform augmentation.

================================ ======================================================= ====================
augmentation                     effect                                                  batches of
================================ ======================================================= ====================
:class:`SpecAugment`             mask spans of time and bands of frequency               frames
:class:`Mixup`                   mix clips and their labels                              any features
:class:`Babble`                  add other clips as background speech                    waveforms
:class:`Vary`                    apply steps of :mod:`ser_kit.audio.augment`             waveforms
================================ ======================================================= ====================

Examples:
    >>> import numpy as np
    >>> x, y = np.ones((2, 300, 64)), np.eye(2)
    >>> hidden, same = SpecAugment()(x, y, np.random.default_rng(0))
    >>> hidden.shape, np.array_equal(same, y)
    ((2, 300, 64), True)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..audio import transforms
from ..audio.augment import SpeedChange, varied
from ..audio.blocks import MAX_RATE, MIN_RATE
from ..audio.transforms import Step, rms, without_filling
from ..core.config import Settings, made
from ..core.errors import PreprocessError
from ..core.registry import Registry

Batch = tuple[np.ndarray, np.ndarray]
"""Features ``[batch, ...]`` and one-hot labels ``[batch, classes]``, both float32."""

BATCH_AUGMENTATIONS: Registry[type[BatchAugmentation]] = Registry("batch augmentation")
"""All classes of batch augmentation by name."""


@dataclass(frozen=True, kw_only=True)
class BatchAugmentation(Settings, ABC):
    """Base class: changes a batch of features and labels during training.

    :func:`batch_augmentation` is the inverse of :meth:`to_dict`.
    """

    error = PreprocessError

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            BATCH_AUGMENTATIONS.enter(cls)

    def __call__(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
        """Augment a batch.

        Args:
            x: features, float ``[batch, ...]``; not modified.
            y: one-hot labels, float ``[batch, classes]``; not modified.
            rng: random number generator.

        Returns:
            Augmented features and labels, float32, of the same shapes (:class:`Vary` changes the number of
            samples).

        Raises:
            PreprocessError: if the shapes do not match each other or the augmentation.
        """
        x, y = np.asarray(x, np.float32), np.asarray(y, np.float32)
        if y.ndim != 2 or x.ndim < 2 or len(x) != len(y):
            raise PreprocessError(
                f"{self.name}: expected features [batch, ...] and labels [batch, classes], got {x.shape} and "
                f"{y.shape}"
            )
        return self._change(x, y, rng)

    @abstractmethod
    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
        """Augment a batch of validated float32 arrays."""


def batch_augmentation(described: BatchAugmentation | str | Mapping[str, Any]) -> BatchAugmentation:
    """Create a batch augmentation from its name or from its ``to_dict``; an instance is returned unchanged.

    Raises:
        UnknownNameError: if there is none of that name.
        PreprocessError: if there is no such parameter, or a value is not valid.

    Examples:
        >>> batch_augmentation({"name": "mixup", "alpha": 0.4})
        Mixup(alpha=0.4)
    """
    return made(BATCH_AUGMENTATIONS, described)


@dataclass(frozen=True, kw_only=True)
class SpecAugment(BatchAugmentation):
    """Mask random spans of time and bands of frequency in each clip (SpecAugment).

    The width of each mask is uniform from 0 to its maximum, and so is its position; masks may overlap. Time
    warping, which helped least in the source, is left out. Source: D. S. Park et al., "SpecAugment: A simple
    data augmentation method for automatic speech recognition", Interspeech 2019.

    Args:
        time_masks: number of time masks per clip, 0 to 100.
        time_width: maximum width of a time mask in frames, 0 to 100,000; 40 frames of 10 ms are 0.4 s.
        band_masks: number of frequency masks per clip, 0 to 100.
        band_width: maximum width of a frequency mask in bands, 0 to 100,000.
        fill: value of masked features, -1e6 to 1e6; 0 is the mean of standardised features.

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

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
        if x.ndim != 3:
            raise PreprocessError(
                f"{self.name}: expected features [batch, frames, dims], got shape {x.shape}"
            )
        batch, frames, bands = x.shape
        hidden = _masks(batch, frames, self.time_masks, self.time_width, rng)[:, :, None]
        hidden = hidden | _masks(batch, bands, self.band_masks, self.band_width, rng)[:, None, :]
        return np.where(hidden, np.float32(self.fill), x), y


def _masks(batch: int, length: int, masks: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Union of random masks, bool ``[batch, length]``."""
    widths = rng.integers(0, min(width, length) + 1, (batch, masks, 1))
    starts = rng.integers(0, length - widths + 1)
    places = np.arange(length)
    return ((places >= starts) & (places < starts + widths)).any(axis=1)


@dataclass(frozen=True, kw_only=True)
class Mixup(BatchAugmentation):
    """Mix each clip with another clip of the batch, and their labels in the same proportion (mixup).

    The proportion is drawn from Beta(alpha, alpha) for each clip. The other clips are a permutation of the
    batch, so a clip may be mixed with itself. Source: H. Zhang et al., "mixup: Beyond empirical risk
    minimization", ICLR 2018.

    Args:
        alpha: parameter of the Beta distribution, 0.01 to 100. Smaller values mix less (at 0.2, one of the
            two clips has a share of over 95 % in 58 % of the draws).

    Examples:
        >>> x, y = Mixup(alpha=1.0)(np.array([[0.0], [10.0]]), np.eye(2), np.random.default_rng(1))
        >>> np.allclose(x[:, 0], 10 * y[:, 1]), y.sum(axis=1).tolist()
        (True, [1.0, 1.0])
    """

    name: ClassVar[str] = "mixup"
    valid: ClassVar = {"alpha": (0.01, 100.0)}

    alpha: float = 0.2

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
        own = rng.beta(self.alpha, self.alpha, len(x)).astype(np.float32)
        other = rng.permutation(len(x))
        return _mixed(x, other, own), _mixed(y, other, own)


def _mixed(values: np.ndarray, other: np.ndarray, own: np.ndarray) -> np.ndarray:
    own = own.reshape(-1, *[1] * (values.ndim - 1))
    return own * values + (1 - own) * values[other]


@dataclass(frozen=True, kw_only=True)
class Babble(BatchAugmentation):
    """Add other clips of the batch to some waveforms as background speech; labels are unchanged.

    The signal-to-noise ratio is that of the mean powers over the whole waveform.

    Args:
        share: probability that a waveform gets background speech, 0 to 1.
        voices: number of clips in the background, 1 to 100; fewer in a smaller batch.
        snr_low: lowest signal-to-noise ratio in dB, -60 to 120; drawn uniformly.
        snr_high: highest signal-to-noise ratio in dB, -60 to 120.

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

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
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
    """Apply random steps to each waveform of the batch, and crop or pad it to a fixed length.

    Crops and padding are at random positions. Zeros at the end of a clip are taken as padding, and removed
    first.

    Args:
        steps: :class:`~ser_kit.audio.transforms.Step` objects, their names, or their ``to_dict``, in order.
        sr: sampling rate in Hz, 4,000 to 384,000.
        seconds: length of each clip after augmentation in s, 0.1 to 3,600.

    Examples:
        >>> batch = np.random.default_rng(0).normal(0, 0.1, (2, 48000, 1))
        >>> x, y = Vary(steps=("speed_change",))(batch, np.eye(2), np.random.default_rng(1))
        >>> x.shape
        (2, 32000, 1)
    """

    name: ClassVar[str] = "vary"
    renamed: ClassVar = {"sr": "rate"}
    valid: ClassVar = {"sr": range(MIN_RATE, MAX_RATE + 1), "seconds": (0.1, 3600.0)}

    steps: tuple[Step, ...] = (SpeedChange(),)
    sr: int = 16000
    seconds: float = 2.0

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "steps", tuple(transforms.step(each) for each in self.steps))

    def _change(self, x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Batch:
        if x.ndim != 3 or x.shape[2] != 1:
            raise PreprocessError(f"{self.name}: expected waveforms [batch, samples, 1], got shape {x.shape}")
        length = round(self.seconds * self.sr)
        changed = np.zeros((len(x), length, 1), np.float32)
        for clip, place in zip(x[..., 0], changed[..., 0], strict=True):
            samples = without_filling(clip)
            for step in self.steps:
                samples = varied(step, samples, self.sr, rng)
            start = int(rng.integers(0, abs(len(samples) - length) + 1))
            if len(samples) > length:
                place[:] = samples[start : start + length]
            else:
                place[start : start + len(samples)] = samples
        return changed, y
