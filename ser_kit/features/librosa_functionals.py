"""Librosa functionals: one row per clip, of Librosa's calls with its defaults and of Praat's pitch track."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.praat import praat
from ..audio.recording import Recording
from ..core.config import BOOLEAN
from . import spectra
from .base import RowExtractor

_TOP_DB = 80.0
_PITCH_STEP = 0.01


@dataclass(frozen=True, kw_only=True)
class LibrosaFunctionals(RowExtractor):
    """The 43 numbers of a published table of functionals, by its names and in its order.

    The table is that of Rastogi's system of three corpora. Together with the path and the emotion of each
    clip it has 45 columns: ``found.save("features.xlsx", before=("path",), after=("emotion",))`` writes it.

    ======================================  ==================================================================
    ``duration_sec``, ``sample_rate``       s; Hz, of the file (:attr:`corpus_markers`)
    ``mean_amplitude``, ``peak_amplitude``  mean and largest absolute sample; full scale is 1
    ``rms_mean``, ``rms_std``               ``librosa.feature.rms``
    ``intensity_db_mean``                   dB, mean of ``librosa.amplitude_to_db(rms)``: full scale is 0 dB,
                                            no frame is more than 80 dB under the loudest
    ``tempo_bpm``                           beats per minute, ``librosa.feature.tempo``; 0 for a clip in which
                                            nothing ever rises
    ``zcr_mean``, ``zcr_std``               ``librosa.feature.zero_crossing_rate``, share of samples
    ``pitch_mean``, ``_median``, ``_std``   Hz, over the voiced frames of Praat's *To Pitch (ac)*, every 10 ms
    ``pitch_variation``                     100 x std / mean, %
    ``voiced_ratio``                        voiced frames / frames, 0..1
    ``jitter``                              mean distance of neighbouring voiced frames / mean of the pitch
    ``shimmer``                             std / mean of the ``rms``
    ``mfcc_mean_0``, ``mfcc_std_0`` ..      ``librosa.feature.mfcc``; the first follows loudness
    ======================================  ==================================================================

    Standard deviations are of the population (divisor *n*). Pitch values of a clip without a voiced frame
    are 0.

    The columns that the document prints, for five files of RAVDESS, are reproduced to the printed digits:
    those from ``duration_sec`` to ``zcr_mean`` and from ``mfcc_std_8`` on. It prints no value of the pitch,
    jitter or shimmer, so these cannot be compared. Its text gives 50 to 500 Hz and 100 x std / mean. The
    notebook that it links to calls Praat with its defaults (``pitch_floor=75, pitch_ceiling=600`` here) and
    repeats the standard deviation as ``pitch_variation``; ``jitter`` and ``shimmer`` follow the notebook,
    since the text only names them. They are not Praat's measures of these names, which
    :class:`Functionals` has. Both resample nothing for the five files; the text resamples to 48 kHz, the
    notebook keeps the rate of each file (``sr=24414`` for those of TESS).

    Args:
        sr: Hz.
        n_fft: samples in a frame (Hann window).
        hop_length: samples between frames.
        n_mels: mel bands under the MFCC and the onset strength.
        n_mfcc: coefficients kept.
        pitch_floor: Hz.
        pitch_ceiling: Hz.
        mfcc_std: whether the standard deviations of the MFCC are among the numbers. Without them there are
            30, the inputs of the document's perceptron.

    Examples:
        >>> import numpy as np
        >>> tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(48000) / 48000)
        >>> functionals = LibrosaFunctionals()
        >>> row = dict(zip(functionals.feature_names, functionals.extract((tone, 48000))))
        >>> len(row), round(float(row["pitch_mean"])), LibrosaFunctionals(mfcc_std=False).shape
        (43, 200, (30,))

    Sources:
        P. Rastogi, "Emotion Recognition from Speech", https://github.com/pranshu-rastogi/Emotion-Recognition-from-Speech
        B. McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.
    """

    name: ClassVar[str] = "librosa_functionals"
    packages: ClassVar = ("praat-parselmouth",)
    corpus_markers: ClassVar[tuple[str, ...]] = ("sample_rate",)
    valid = RowExtractor.valid | {"mfcc_std": BOOLEAN}

    sr: int = 48000
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    n_mfcc: int = 13
    pitch_floor: float = 50.0
    pitch_ceiling: float = 500.0
    mfcc_std: bool = True

    @cached_property
    def units(self) -> dict[str, str]:
        mfcc = ("mean", "std") if self.mfcc_std else ("mean",)
        return {
            "duration_sec": "s",
            "sample_rate": "Hz",
            "mean_amplitude": "",
            "peak_amplitude": "",
            "rms_mean": "",
            "rms_std": "",
            "intensity_db_mean": "dB",
            "tempo_bpm": "BPM",
            "zcr_mean": "",
            "zcr_std": "",
            "pitch_mean": "Hz",
            "pitch_median": "Hz",
            "pitch_std": "Hz",
            "pitch_variation": "%",
            "voiced_ratio": "",
            "jitter": "",
            "shimmer": "",
            **{f"mfcc_{kind}_{i}": "" for i in range(self.n_mfcc) for kind in mfcc},
        }

    def _row(self, recording: Recording) -> np.ndarray:
        samples = recording.at(self.sr)
        absolute = np.abs(samples)
        rms = np.sqrt(
            np.mean(np.square(spectra.frame(samples, self.n_fft, self.hop_length), dtype=float), axis=-1)
        )
        intensity = spectra.decibels(np.square(rms))
        zcr = spectra.zero_crossing_rates(samples, self.n_fft, self.hop_length)
        values = {
            "duration_sec": recording.duration,
            "sample_rate": recording.native_rate,
            "mean_amplitude": absolute.mean(),
            "peak_amplitude": absolute.max(),
            "rms_mean": rms.mean(),
            "rms_std": rms.std(),
            "intensity_db_mean": np.maximum(intensity, intensity.max() - _TOP_DB).mean(),
            "zcr_mean": zcr.mean(),
            "zcr_std": zcr.std(),
            "shimmer": rms.std() / rms.mean() if rms.any() else 0.0,
            **self._pitch(samples),
            **self._spectral(samples),
        }
        return np.array([values[name] for name in self.feature_names], np.float32)

    def _pitch(self, samples: np.ndarray) -> dict[str, float]:
        sound = praat("measuring pitch").Sound(samples.astype(np.float64), self.sr)
        pitch = sound.to_pitch_ac(_PITCH_STEP, pitch_floor=self.pitch_floor, pitch_ceiling=self.pitch_ceiling)
        frequencies = pitch.selected_array["frequency"]
        voiced = frequencies[frequencies > 0]
        if not voiced.size:
            names = ("pitch_mean", "pitch_median", "pitch_std", "pitch_variation", "voiced_ratio", "jitter")
            return dict.fromkeys(names, 0.0)
        mean, std = voiced.mean(), voiced.std()
        return {
            "pitch_mean": mean,
            "pitch_median": np.median(voiced),
            "pitch_std": std,
            "pitch_variation": 100 * std / mean,
            "voiced_ratio": voiced.size / frequencies.size,
            "jitter": np.abs(np.diff(voiced)).mean() / mean if voiced.size > 1 else 0.0,
        }

    def _spectral(self, samples: np.ndarray) -> dict[str, float]:
        power = spectra.powers(samples, self.n_fft, self.hop_length)
        mel = spectra.log_mel(power, self.sr, self.n_fft, self.n_mels)
        mel = np.maximum(mel, mel.max() - _TOP_DB)
        mfcc = mel @ spectra.dct_basis(self.n_mels, self.n_mfcc)
        tempo = spectra.tempo(mel, self.sr / self.hop_length, delay=self.n_fft // (2 * self.hop_length))
        return {
            "tempo_bpm": tempo,
            **{f"mfcc_mean_{i}": mean for i, mean in enumerate(mfcc.mean(axis=0))},
            **{f"mfcc_std_{i}": std for i, std in enumerate(mfcc.std(axis=0))},
        }
