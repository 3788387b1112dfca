"""Pitch and energy by frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..audio.praat import praat
from ..audio.recording import Recording
from . import spectra
from .base import Extractor


@dataclass(frozen=True, kw_only=True)
class PitchEnergy(Extractor):
    """Pitch and energy of a clip by frame: ``[151, 2]`` with the defaults.

    ``pitch`` is that of Praat's *To Pitch (ac)* in Hz, 0 where there is no voice. ``energy`` is the mean
    square of the samples of a frame in dB re full scale, not below -100 dB. The ``t``-th frame is centred on
    sample ``t * hop_length``; Praat places its frames symmetrically in the clip, so that its values are up to
    half a hop away. After the end of a shorter clip, pitch is 0 and energy -100 dB.

    Args:
        sr: sample rate in Hz.
        win_length: samples in a frame of the energy; 640 at 16 kHz is 40 ms.
        hop_length: samples between frames; 320 at 16 kHz is 20 ms.
        seconds: length that the waveform is cut or filled up to, in s.
        pitch_floor: Hz; the frames of the pitch last ``3 / pitch_floor`` seconds.
        pitch_ceiling: Hz.

    Examples:
        >>> import numpy as np
        >>> tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
        >>> values, valid = PitchEnergy().extract_with_length((tone, 16000))
        >>> values.shape, valid, values[25].round(1).tolist()
        ((151, 2), 51, [200.0, -9.0])

    Sources:
        P. Boersma, "Accurate short-term analysis of the fundamental frequency ...", IFA Proceedings 17, 1993.
    """

    name: ClassVar[str] = "pitch_energy"
    packages: ClassVar = ("praat-parselmouth",)
    units: ClassVar = {"pitch": "Hz", "energy": "dB"}
    feature_names: ClassVar = ("pitch", "energy")

    sr: int = 16000
    win_length: int = 640
    hop_length: int = 320
    seconds: float = 3.0
    pitch_floor: float = 75.0
    pitch_ceiling: float = 500.0

    @property
    def n_samples(self) -> int:
        """Samples that every clip is cut or filled up to."""
        return round(self.seconds * self.sr)

    @property
    def shape(self) -> tuple[int, int]:
        return 1 + self.n_samples // self.hop_length, 2

    def _extract(self, recording: Recording) -> tuple[np.ndarray, int]:
        samples = recording.at(self.sr)[: self.n_samples].astype(np.float64)
        step = self.hop_length / self.sr
        sound = praat("measuring pitch").Sound(samples, self.sr)
        pitch = sound.to_pitch_ac(step, pitch_floor=self.pitch_floor, pitch_ceiling=self.pitch_ceiling)
        frequencies = pitch.selected_array["frequency"]
        padded = np.pad(samples, (0, self.n_samples - len(samples)))

        values = np.zeros(self.shape)
        first = round(pitch.x1 / step)  # Praat has no frames where its window would leave the clip
        values[first : first + len(frequencies), 0] = frequencies
        powers = np.square(spectra.frame(padded, self.win_length, self.hop_length)).mean(axis=-1)
        values[:, 1] = spectra.decibels(powers)
        return values, 1 + len(samples) // self.hop_length
