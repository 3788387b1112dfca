"""Log-mel spectrogram: decibels of 64 mel bands every 10 ms."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.config import BOOLEAN
from ..core.errors import FeatureError
from . import spectra
from .base import Extractor


@dataclass(frozen=True, kw_only=True)
class LogMel(Extractor):
    """Mel spectrogram in decibels, ``[frames, n_mels]``.

    Equals ``10 log10(max(librosa.feature.melspectrogram(...), 1e-10))`` to within 0.0001 dB, Librosa being
    given double precision; the tests check it on recordings and on made-up sounds. The floor of -100 dB is
    fixed, so a frame's value depends on that frame alone, and
    :class:`ser_kit.models.layers.LogMelSpectrogram` computes the same inside a network.

    Args:
        sr: Hz.
        n_fft: length of the Fourier transform; the window is zero-padded to it.
        win_length: samples in the Hann window; 400 at 16 kHz is 25 ms.
        hop_length: samples between frames; 160 at 16 kHz is 10 ms.
        n_mels: mel bands, from 0 Hz to ``sr / 2``.
        seconds: cut the waveform to this length, or fill it up with zeros, so that all clips have
            ``1 + seconds * sr // hop_length`` frames; ``None`` leaves every clip its own length.
        htk: HTK's mel scale, ``2595 log10(1 + f / 700)``, not Slaney's.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 16000)
        >>> LogMel().extract((noise, 16000)).shape
        (101, 64)
        >>> LogMel(seconds=3.0).extract_with_length((noise, 16000))[1]
        101
        >>> LogMel(seconds=3.0).shape
        (301, 64)
    """

    name: ClassVar[str] = "logmel"
    valid = Extractor.valid | {"htk": BOOLEAN}
    added = frozenset({"htk"})

    sr: int = 16000
    n_fft: int = 512
    win_length: int = 400
    hop_length: int = 160
    n_mels: int = 64
    seconds: float | None = None
    htk: bool = False

    def __post_init__(self):
        super().__post_init__()
        if self.win_length > self.n_fft:
            raise FeatureError(f"LogMel: win_length={self.win_length} must not exceed n_fft={self.n_fft}")

    @property
    def n_samples(self) -> int | None:
        """Samples that every clip is cut or filled to, or ``None``."""
        return None if self.seconds is None else round(self.seconds * self.sr)

    @property
    def shape(self) -> tuple[int | None, int]:
        return None if self.seconds is None else 1 + self.n_samples // self.hop_length, self.n_mels

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"mel_{i:02d}" for i in range(1, self.n_mels + 1))

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.sr)[: self.n_samples]
        valid = 1 + len(samples) // self.hop_length
        if self.n_samples is not None:
            samples = np.pad(samples, (0, self.n_samples - len(samples)))
        power = spectra.powers(samples, self.n_fft, self.hop_length, self.win_length)
        return spectra.log_mel(power, self.sr, self.n_fft, self.n_mels, self.htk), valid
