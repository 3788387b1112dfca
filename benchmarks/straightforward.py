"""The features as scripts compute them: one library call for each, every one of which starts from the sound."""

from __future__ import annotations

import numpy as np


def functionals(path: str) -> dict[str, float]:
    """:class:`ser_kit.features.Functionals`, at the file's own rate.

    The windows last as long as there. Where the file is at 16 kHz, so that nothing is resampled, the values are the
    same, but for ``tempo``, which is Librosa's with its defaults.

    Args:
        path: a WAV file.
    """
    import librosa
    import parselmouth
    from parselmouth.praat import call

    y, rate = librosa.load(path, sr=None)
    window, hop = round(0.032 * rate), round(0.01 * rate)
    spectrum = {"n_fft": window, "hop_length": hop}
    rms = librosa.feature.rms(y=y, frame_length=window, hop_length=hop)
    zcr = librosa.feature.zero_crossing_rate(y, frame_length=window, hop_length=hop)
    mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=13, n_mels=40, **spectrum)
    magnitudes = np.abs(librosa.stft(y, **spectrum))
    directions = librosa.util.normalize(magnitudes, norm=2, axis=0)

    sound = parselmouth.Sound(path)
    values = {
        "duration": librosa.get_duration(y=y, sr=rate),
        "sample_rate": rate,
        "amplitude_mean": np.abs(y).mean(),
        "amplitude_peak": np.abs(y).max(),
        "rms_mean": rms.mean(),
        "rms_std": rms.std(),
        "intensity_mean": call(call(sound, "To Intensity", 100, 0, "yes"), "Get mean", 0, 0, "energy"),
        "tempo": librosa.feature.tempo(y=y, sr=rate).item(),
        "zcr_mean": zcr.mean(),
        "zcr_std": zcr.std(),
        "pitch_mean": call(call(sound, "To Pitch", 0, 50, 500), "Get mean", 0, 0, "Hertz"),
        "pitch_median": call(call(sound, "To Pitch", 0, 50, 500), "Get quantile", 0, 0, 0.5, "Hertz"),
        "pitch_std": call(call(sound, "To Pitch", 0, 50, 500), "Get standard deviation", 0, 0, "Hertz"),
    }
    values["pitch_variation"] = 100 * values["pitch_std"] / values["pitch_mean"]
    pitch = call(sound, "To Pitch", 0, 50, 500)
    values["voiced_ratio"] = call(pitch, "Count voiced frames") / call(pitch, "Get number of frames")
    periods = call(sound, "To PointProcess (periodic, cc)", 50, 500)
    values["jitter_local"] = call(periods, "Get jitter (local)", 0, 0, 0.0001, 0.02, 1.3)
    periods = call(sound, "To PointProcess (periodic, cc)", 50, 500)
    values["shimmer_local"] = call([sound, periods], "Get shimmer (local)", 0, 0, 0.0001, 0.02, 1.3, 1.6)
    for i, row in enumerate(mfcc, start=1):
        values |= {f"mfcc_{i:02d}_mean": row.mean(), f"mfcc_{i:02d}_std": row.std()}
    values["centroid_mean"] = librosa.feature.spectral_centroid(y=y, sr=rate, **spectrum).mean()
    values["rolloff_mean"] = librosa.feature.spectral_rolloff(y=y, sr=rate, **spectrum).mean()
    values["flux_mean"] = np.square(np.diff(directions, axis=1)).sum(axis=0).mean()
    return {name: float(value) for name, value in values.items()}


def frames(path: str) -> np.ndarray:
    """:class:`ser_kit.features.FrameFeatures`, ``[300, 154]``, shorter clips filled up with zeros."""
    import librosa

    y, rate = librosa.load(path, sr=22050)
    rows = np.vstack([
        librosa.feature.mfcc(y=y, sr=rate, n_mfcc=13),
        librosa.feature.chroma_stft(y=y, sr=rate, tuning=0.0),
        librosa.power_to_db(librosa.feature.melspectrogram(y=y, sr=rate)),
        librosa.feature.zero_crossing_rate(y),
    ]).T  # fmt: skip
    return np.pad(rows[:300], ((0, max(0, 300 - len(rows))), (0, 0)))


def logmel(path: str) -> np.ndarray:
    """:class:`ser_kit.features.LogMel` of 3 s, ``[301, 64]``."""
    import librosa

    y, rate = librosa.load(path, sr=16000)
    y = librosa.util.fix_length(y, size=3 * rate)
    mel = librosa.feature.melspectrogram(y=y, sr=rate, n_fft=512, win_length=400, hop_length=160, n_mels=64)
    return librosa.power_to_db(mel, top_db=None).T
