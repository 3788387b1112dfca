"""Functionals: one row per clip; prosody and voice quality by Praat, spectrum as in Librosa."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from ..audio.praat import praat
from ..audio.recording import Recording
from . import spectra
from .base import RowExtractor

_TINY = np.finfo(np.float32).tiny
_TOP_DB = 80.0
_TEMPO_STRIDE = 3  # tempo from every third frame: 30 ms, near Librosa's own 23 ms, at a ninth of the cost


@dataclass(frozen=True, kw_only=True)
class Functionals(RowExtractor):
    """Acoustic features of a whole clip, in plain units.

    Everything is measured on the recording resampled to ``sr``, so that a clip gives the same row whatever
    rate it was stored at; only ``sample_rate`` and ``duration`` speak of the recording as it came. Standard
    deviations are of the population (divisor *n*).

    =====================================  ===================================================================
    ``duration``                           s
    ``sample_rate``                        Hz, of the file; it tells corpora apart (:attr:`corpus_markers`)
    ``amplitude_mean``, ``_peak``          mean and largest absolute sample; full scale is 1
    ``rms_mean``, ``rms_std``              ``librosa.feature.rms``
    ``intensity_mean``                     dB re 20 uPa (a sample of 1 taken for 1 Pa), energy average of
                                           Praat's *To Intensity* at 100 Hz, not below 0 dB
    ``tempo``                              beats per minute, ``librosa.feature.tempo`` on the onset strength
                                           of every third frame; 0 for a clip in which nothing ever rises
    ``zcr_mean``, ``zcr_std``              ``librosa.feature.zero_crossing_rate``, share of samples
    ``pitch_mean``, ``_median``, ``_std``  Hz, over the voiced frames of Praat's *To Pitch (ac)*
    ``pitch_variation``                    100 x std / mean, %
    ``voiced_ratio``                       voiced frames / frames, 0..1
    ``jitter_local``, ``shimmer_local``    Praat's *Get jitter (local)*, *Get shimmer (local)*, ratio, on the
                                           periods of *To PointProcess (cc)*
    ``mfcc_01_mean`` .. ``mfcc_13_std``    ``librosa.feature.mfcc``; the first follows loudness
    ``centroid_mean``, ``rolloff_mean``    Hz, ``librosa.feature.spectral_centroid``, ``spectral_rolloff``
                                           at 85 %
    ``flux_mean``                          squared distance between neighbouring magnitude spectra, each
                                           scaled to length 1 (Tzanetakis & Cook 2002): 0 (steady) .. 2
                                           (nothing in common)
    =====================================  ===================================================================

    Where a thing is not defined the value is 0: pitch without a voiced frame (``voiced_ratio`` is then 0
    too), jitter and shimmer without enough periods. A model cannot take NaN, and ``voiced_ratio`` says what a
    0 means.

    Each spectral value equals the Librosa call named, with this ``sr``, ``n_fft``, ``hop_length`` and
    ``n_mels``, and each of the voice the Praat call, to within 1e-5 (relative, or absolute under 1); the
    tests check it on recordings and on made-up sounds. Librosa is given double precision for that: in single,
    its own rounding is greater. The one value that is not Librosa's is the tempo of a clip in which nothing
    rises, where Librosa answers the tempo it expects.

    Args:
        sr: Hz.
        n_fft: samples in a frame (Hann window); 512 at 16 kHz is 32 ms.
        hop_length: samples between frames; 160 at 16 kHz is 10 ms.
        n_mels: mel bands under the MFCC and the onset strength.
        n_mfcc: coefficients kept.
        pitch_floor: Hz.
        pitch_ceiling: Hz.

    Examples:
        >>> import numpy as np
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
        >>> functionals = Functionals()
        >>> row = dict(zip(functionals.feature_names, functionals.extract((tone, 16000))))
        >>> round(float(row["pitch_mean"])), functionals.units["pitch_mean"]
        (200, 'Hz')

    Sources:
        P. Boersma, "Accurate short-term analysis of the fundamental frequency ...", IFA Proceedings 17, 1993.
        B. McFee et al., "librosa: Audio and Music Signal Analysis in Python", SciPy 2015.
        G. Tzanetakis, P. Cook, "Musical genre classification of audio signals", IEEE TSAP 10(5), 2002.
    """

    name: ClassVar[str] = "functionals"
    packages: ClassVar = ("praat-parselmouth",)
    corpus_markers: ClassVar[tuple[str, ...]] = ("sample_rate",)

    sr: int = 16000
    n_fft: int = 512
    hop_length: int = 160
    n_mels: int = 40
    n_mfcc: int = 13
    pitch_floor: float = 50.0
    pitch_ceiling: float = 500.0

    @cached_property
    def units(self) -> dict[str, str]:
        mfcc = [f"mfcc_{i:02d}" for i in range(1, self.n_mfcc + 1)]
        return {
            "duration": "s",
            "sample_rate": "Hz",
            "amplitude_mean": "",
            "amplitude_peak": "",
            "rms_mean": "",
            "rms_std": "",
            "intensity_mean": "dB",
            "tempo": "BPM",
            "zcr_mean": "",
            "zcr_std": "",
            "pitch_mean": "Hz",
            "pitch_median": "Hz",
            "pitch_std": "Hz",
            "pitch_variation": "%",
            "voiced_ratio": "",
            "jitter_local": "",
            "shimmer_local": "",
            **{f"{name}_mean": "" for name in mfcc},
            **{f"{name}_std": "" for name in mfcc},
            "centroid_mean": "Hz",
            "rolloff_mean": "Hz",
            "flux_mean": "",
        }

    def measure(self, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
        """The functionals with the pitch track that they come of, which costs nothing more.

        Args:
            recording: 0.1 s or more, measured as it is: :meth:`extract` checks that, and applies
                ``preprocess`` first.

        Returns:
            The row, float32 ``[*shape]``; and the pitch in Hz, 0 where there is no voice, float64
            ``[frames]``, one frame each ``0.75 / pitch_floor`` seconds: 15 ms.

        Examples:
            >>> import numpy as np
            >>> from ser_kit.audio import read_audio
            >>> tone = np.sin(2 * np.pi * 200 * np.arange(16000) / 16000)
            >>> row, pitch = Functionals().measure(read_audio((tone, 16000)))
            >>> row.shape, pitch.shape, bool(np.allclose(pitch, 200, atol=0.1))
            ((46,), (63,), True)
        """
        samples = recording.at(self.sr)
        absolute = np.abs(samples)
        rms = np.sqrt(np.mean(np.square(spectra.frame(samples, self.n_fft, self.hop_length)), axis=-1))
        zcr = spectra.zero_crossing_rates(samples, self.n_fft, self.hop_length)
        voice, pitch = self._voice(samples)
        values = {
            "duration": recording.duration,
            "sample_rate": recording.native_rate,
            "amplitude_mean": absolute.mean(),
            "amplitude_peak": absolute.max(),
            "rms_mean": rms.mean(),
            "rms_std": rms.std(),
            "zcr_mean": zcr.mean(),
            "zcr_std": zcr.std(),
            **voice,
            **self._spectral(samples),
        }
        return np.array([values[name] for name in self.feature_names], np.float32), pitch

    def _row(self, recording: Recording) -> np.ndarray:
        return self.measure(recording)[0]

    def _voice(self, samples: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
        """Intensity, pitch, jitter and shimmer, and the pitch track, from one pitch object."""
        parselmouth = praat("measuring pitch, intensity, jitter and shimmer")
        call = parselmouth.praat.call
        sound = parselmouth.Sound(samples.astype(np.float64), self.sr)
        pitch = sound.to_pitch_ac(pitch_floor=self.pitch_floor, pitch_ceiling=self.pitch_ceiling)
        frequencies = pitch.selected_array["frequency"]
        voiced = frequencies[frequencies > 0]
        mean = median = std = jitter = shimmer = 0.0
        if voiced.size:
            mean, median, std = voiced.mean(), np.median(voiced), voiced.std()
        if voiced.size:
            periods = call([sound, pitch], "To PointProcess (cc)")
            # Praat's own defaults: periods of 0.1 to 20 ms, neighbours within 1.3 in length and 1.6 in
            # amplitude.
            jitter = call(periods, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
            shimmer = call([sound, periods], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)
        intensity = sound.to_intensity(minimum_pitch=100.0)
        values = {
            "intensity_mean": max(0.0, intensity.get_average(averaging_method="ENERGY")),
            "pitch_mean": mean,
            "pitch_median": median,
            "pitch_std": std,
            "pitch_variation": 100 * std / mean if mean else 0.0,
            "voiced_ratio": voiced.size / frequencies.size,
            "jitter_local": np.nan_to_num(jitter),
            "shimmer_local": np.nan_to_num(shimmer),
        }
        return values, frequencies

    def _spectral(self, samples: np.ndarray) -> dict[str, float]:
        """What comes of the one short-time Fourier transform."""
        power = spectra.powers(samples, self.n_fft, self.hop_length)
        mel = spectra.log_mel(power, self.sr, self.n_fft, self.n_mels)
        mel = np.maximum(mel, mel.max() - _TOP_DB)
        mfcc = mel @ spectra.dct_basis(self.n_mels, self.n_mfcc)
        values = {"tempo": spectra.tempo(mel[::_TEMPO_STRIDE], self.sr / (self.hop_length * _TEMPO_STRIDE))}
        for i, (mean, std) in enumerate(zip(mfcc.mean(axis=0), mfcc.std(axis=0), strict=True), start=1):
            values |= {f"mfcc_{i:02d}_mean": mean, f"mfcc_{i:02d}_std": std}

        magnitudes = np.sqrt(power)
        frequencies = np.fft.rfftfreq(self.n_fft, 1 / self.sr)
        so_far = np.cumsum(magnitudes, axis=-1)
        total = so_far[:, -1:]
        # A silent frame has no spectrum to speak of; Librosa puts its centroid and rolloff at 0 Hz, and so
        # does this.
        values["centroid_mean"] = np.mean((magnitudes @ frequencies) / np.maximum(total[:, 0], _TINY))
        values["rolloff_mean"] = frequencies[np.argmax(so_far >= 0.85 * total, axis=-1)].mean()

        directions = magnitudes / np.maximum(np.sqrt(power.sum(axis=-1, keepdims=True)), _TINY)
        steps = np.diff(directions, axis=0)
        values["flux_mean"] = np.vecdot(steps, steps).mean()
        return values
