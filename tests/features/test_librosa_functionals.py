"""Librosa functionals: against Librosa and Praat, and against the rows that the published table prints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from sounds import RATE, SIGNALS, recording, sounds

from ser_kit import corpora, extraction
from ser_kit.core.errors import FeatureError
from ser_kit.features import LibrosaFunctionals

pytestmark = pytest.mark.slow

PRINTED = pd.read_csv(Path(__file__).parents[1] / "data" / "librosa_functionals.csv", index_col="clip")
FEATURES = list(PRINTED.columns.drop("emotion"))
DIGITS = {"rel": 3e-7, "abs": 2.5e-6}  # six decimals of a table that was computed in single precision

# In the order of the document's own list of features; its table prints them from mfcc_std_8 on.
COLUMNS = [
    "path", "duration_sec", "sample_rate", "mean_amplitude", "peak_amplitude", "rms_mean", "rms_std",
    "intensity_db_mean", "tempo_bpm", "zcr_mean", "zcr_std", "pitch_mean", "pitch_median", "pitch_std",
    "pitch_variation", "voiced_ratio", "jitter", "shimmer",
    *(f"mfcc_{kind}_{i}" for i in range(13) for kind in ("mean", "std")), "emotion",
]  # fmt: skip


def librosa_row(y: np.ndarray, rate: int) -> dict[str, float]:
    """One call of Librosa for each feature, with its defaults."""
    import librosa

    rms = librosa.feature.rms(y=y, frame_length=2048, hop_length=512)
    zcr = librosa.feature.zero_crossing_rate(y, frame_length=2048, hop_length=512)
    mfcc = librosa.feature.mfcc(y=y, sr=rate, n_mfcc=13)
    onsets = librosa.onset.onset_strength(y=y, sr=rate)
    return {
        "duration_sec": len(y) / rate,
        "sample_rate": rate,
        "mean_amplitude": np.abs(y).mean(),
        "peak_amplitude": np.abs(y).max(),
        "rms_mean": rms.mean(),
        "rms_std": rms.std(),
        "intensity_db_mean": librosa.amplitude_to_db(rms).mean(),
        # Of a clip in which nothing rises, Librosa answers the tempo that it expects.
        "tempo_bpm": librosa.feature.tempo(y=y, sr=rate).item() if onsets.any() else 0.0,
        "zcr_mean": zcr.mean(),
        "zcr_std": zcr.std(),
        "shimmer": rms.std() / rms.mean(),
        **{f"mfcc_mean_{i}": row.mean() for i, row in enumerate(mfcc)},
        **{f"mfcc_std_{i}": row.std() for i, row in enumerate(mfcc)},
    }


PITCH = ("pitch_mean", "pitch_median", "pitch_std", "pitch_variation", "voiced_ratio", "jitter")


def praat_row(y: np.ndarray, rate: int) -> dict[str, float]:
    from parselmouth import Sound
    from parselmouth.praat import call

    pitch = call(Sound(y.astype(float), rate), "To Pitch (ac)", 0.01, 50, 15, "no", 0.03, 0.45, 0.01, 0.35, 0.14, 500)
    frames, n_voiced = call(pitch, "Get number of frames"), call(pitch, "Count voiced frames")
    hertz = np.array([call(pitch, "Get value in frame", i, "Hertz") for i in range(1, frames + 1)])
    hertz = hertz[~np.isnan(hertz)]
    if not n_voiced:
        return dict.fromkeys(PITCH, 0)
    return {
        "pitch_mean": call(pitch, "Get mean", 0, 0, "Hertz"),
        "pitch_median": np.median(hertz),
        "pitch_std": hertz.std(),
        "pitch_variation": 100 * hertz.std() / hertz.mean(),
        "voiced_ratio": n_voiced / frames,
        "jitter": np.abs(np.diff(hertz)).mean() / hertz.mean() if n_voiced > 1 else 0,
    }


def row_of(source) -> dict[str, float]:
    extractor = LibrosaFunctionals()
    return dict(zip(extractor.feature_names, extractor.extract(source).tolist(), strict=True))


def check(samples) -> None:
    sound = recording(samples, 48000)
    found = row_of(sound)
    y = sound.samples.astype(np.float64)  # in single precision, Librosa's own rounding shows
    assert found == pytest.approx(librosa_row(y, 48000) | praat_row(y, 48000), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", SIGNALS)
def test_equal_librosa_and_praat(name):
    check(recording(SIGNALS[name], RATE).at(48000))


@given(samples=sounds(48000))
@settings(max_examples=20)
def test_equal_librosa_and_praat_on_any_sound(samples):
    if np.any(samples):
        check(samples)


def test_silence_is_zero_where_nothing_is_defined():
    found = row_of((np.zeros(48000), 48000))
    expected = {"duration_sec": 1.0, "sample_rate": 48000.0, "intensity_db_mean": -100.0}
    expected["mfcc_mean_0"] = pytest.approx(-100 * np.sqrt(128), rel=1e-5)
    for name, value in found.items():
        assert value == expected.get(name, pytest.approx(0, abs=1e-4)), name


def test_the_table_has_the_columns_of_the_document(demo_few, tmp_path):
    found = extraction.extract(demo_few, LibrosaFunctionals(), progress=False)
    for suffix, read in ((".csv", pd.read_csv), (".xlsx", pd.read_excel)):
        saved = read(found.save(tmp_path / f"features{suffix}", before=("path",), after=("emotion",)))
        assert list(saved.columns) == COLUMNS and len(COLUMNS) == 45
        assert list(saved["path"]) == list(demo_few["path"].astype(str))
        assert list(saved["emotion"]) == list(demo_few["emotion"])
        np.testing.assert_allclose(saved[COLUMNS[1:-1]], found.values, rtol=1e-6)
    assert set(FEATURES) < set(COLUMNS)


def test_the_perceptron_takes_what_is_no_mfcc_and_their_means():
    names = [name for name in COLUMNS[1:-1] if not name.startswith("mfcc_std")]
    assert LibrosaFunctionals(mfcc_std=False).feature_names == tuple(names) and len(names) == 30
    with pytest.raises(FeatureError, match="mfcc_std=0 must be one of False, True"):
        LibrosaFunctionals(mfcc_std=0)


@pytest.fixture(scope="module")
def printed_clips(real_data):
    table = corpora.load("ravdess", root=real_data, labels="six").set_index("clip_id", drop=False)
    found = table[table["path"].map(lambda path: Path(path).stem in PRINTED.index)]
    assert len(found) == len(PRINTED) == 5
    return {Path(path).stem: path for path in found["path"]}


@pytest.mark.realdata
def test_librosa_gives_every_printed_digit_without_preprocessing(printed_clips):
    import librosa

    for clip, printed in PRINTED.iterrows():
        y, rate = librosa.load(printed_clips[clip], sr=None)
        found = librosa_row(y, rate)
        assert {name: float(found[name]) for name in FEATURES} == pytest.approx(printed[FEATURES].to_dict(), **DIGITS)


@pytest.mark.realdata
def test_every_printed_digit(printed_clips):
    for clip, printed in PRINTED.iterrows():
        found = row_of(printed_clips[clip])
        assert {name: found[name] for name in FEATURES} == pytest.approx(printed[FEATURES].to_dict(), **DIGITS)
