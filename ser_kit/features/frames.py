"""Frame features (low-level descriptors): a fixed number of frames per clip, by Librosa's definitions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.config import BOOLEAN
from . import spectra
from .base import Extractor

_PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, kw_only=True)
class FrameFeatures(Extractor):
    """MFCC, chroma, mel spectrogram and zero-crossing rate by frame: ``[frames, 154]`` by default.

    Columns, in order: ``n_mfcc`` MFCC, 12 chroma (0..1), ``n_mels`` mel bands in dB, 1 zero-crossing rate
    (0..1). One short-time Fourier transform serves all but the last, and each block equals the Librosa call
    of its name: ``power_to_db(melspectrogram(...))`` with its defaults (reference 1, everything more than 80
    dB under the clip's loudest value raised to that), ``mfcc`` of the same decibels, ``chroma_stft(...,
    tuning=0.0)`` (the scale is A440; estimating a tuning is for music), ``zero_crossing_rate``. Equal means
    to within 1e-5 (relative, or absolute under 1) of Librosa in double precision; in single, its own rounding
    is greater, up to 0.002 in an MFCC. The tests check it on recordings and on made-up sounds.

    A clip longer than ``frames`` frames is cut, and the 80 dB are counted from the loudest value kept. A
    shorter one is padded with silence, in the values that digital silence has in that very clip: mel at the
    clip's floor, MFCC of that floor, chroma 0, zero crossings 0; or with zeros in all columns. 0 dB is the
    level of a loud mel band, not of silence. ``extract_with_length`` gives how many frames are sound.

    Args:
        sr: Hz.
        n_fft: samples in a frame (Hann window).
        hop_length: samples between frames.
        n_mels: mel bands.
        n_mfcc: cepstral coefficients.
        frames: frames kept; 300 at the default hop is 6.97 s.
        top_db: how far under the loudest mel value of the clip its floor lies, in dB.
        zero_padding: pad short clips with zeros instead of silence.

    Examples:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).normal(0, 0.1, 22050)
        >>> values, valid = FrameFeatures().extract_with_length((noise, 22050))
        >>> values.shape, valid
        ((300, 154), 44)

    Sources:
        B. McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.
    """

    name: ClassVar[str] = "frames"
    valid = Extractor.valid | {"zero_padding": BOOLEAN}
    added = frozenset({"zero_padding"})

    sr: int = 22050
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    n_mfcc: int = 13
    frames: int = 300
    top_db: float = 80.0
    zero_padding: bool = False

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return (
            *(f"mfcc_{i:02d}" for i in range(1, self.n_mfcc + 1)),
            *(f"chroma_{name}" for name in _PITCH_CLASSES),
            *(f"mel_{i:03d}" for i in range(1, self.n_mels + 1)),
            "zcr",
        )

    @property
    def shape(self) -> tuple[int, int]:
        return self.frames, len(self.feature_names)

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        # The last frame kept reaches half a window beyond its centre; more than that of a long recording is
        # not needed.
        samples = recording.at(self.sr)[: self.frames * self.hop_length + self.n_fft]
        power = spectra.powers(samples, self.n_fft, self.hop_length)[: self.frames]
        valid = len(power)

        mel = spectra.log_mel(power, self.sr, self.n_fft, self.n_mels)
        floor = max(spectra.FLOOR_DB, mel.max() - self.top_db)
        mel = np.pad(np.maximum(mel, floor), ((0, self.frames - valid), (0, 0)), constant_values=floor)

        chroma = power @ spectra.chroma_filters(self.sr, self.n_fft)
        chroma /= np.maximum(chroma.max(axis=-1, keepdims=True), np.finfo(np.float32).tiny)

        values = np.zeros(self.shape, np.float32)
        mfcc_end, mel_start = self.n_mfcc, self.n_mfcc + len(_PITCH_CLASSES)
        values[:, :mfcc_end] = mel @ spectra.dct_basis(self.n_mels, self.n_mfcc)
        values[:valid, mfcc_end:mel_start] = chroma
        values[:, mel_start:-1] = mel
        values[:valid, -1] = spectra.zero_crossing_rates(samples, self.n_fft, self.hop_length)[:valid]
        if self.zero_padding:
            values[valid:] = 0
        return values, valid
