"""Features of single recordings in one process that keeps to one core, and so do its rivals."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from ser_kit import corpora, features
from ser_kit.audio import load_audio, read_audio

from . import straightforward
from .racing import race
from .rows import Goal, Row


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure the clips of a table, and give each row when it is ready."""
    paths = table["path"].tolist()
    few = corpora.sample(table, 40)["path"].tolist()  # of the slowest rival, a few clips say as much
    yield from _against_opensmile(paths)
    yield _compare("functionals", features.Functionals(), straightforward.functionals, few, 5.0)
    yield _floor(paths)
    yield _compare("frames [300, 154]", features.FrameFeatures(), straightforward.frames, paths, 2.5)
    yield _logmel(paths)


def _against_opensmile(paths: list[str]) -> Iterator[Row]:
    extractor = features.Functionals()
    rivals = {
        "process_file": Row("functionals, file to row", "openSMILE eGeMAPSv02, process_file", goal=Goal(4.5)),
        "process_signal": Row(
            "functionals, file to row", "openSMILE eGeMAPSv02, process_signal on 16 kHz in memory", goal=Goal(2.3)
        ),
    }
    try:
        import opensmile
    except ImportError:
        for row in rivals.values():
            yield Row(row.what, row.beside, note="openSMILE is not installed: pip install ser-kit[bench]")
        return
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02, feature_level=opensmile.FeatureLevel.Functionals
    )
    arrays = [load_audio(path) for path in paths]
    contestants = {
        "ours": lambda i: extractor.extract(paths[i]),
        "process_file": lambda i: smile.process_file(paths[i]),
        "process_signal": lambda i: smile.process_signal(arrays[i], 16000),
    }
    times = race(contestants, len(paths), "openSMILE")
    for name, row in rivals.items():
        yield _row(row.what, row.beside, times["ours"], times[name], row.goal)


def _compare(what: str, extractor: features.Extractor, rival: Callable, paths: list[str], goal: float) -> Row:
    contestants = {"ours": lambda i: extractor.extract(paths[i]), "theirs": lambda i: rival(paths[i])}
    times = race(contestants, len(paths), f"straightforward {extractor.name}")
    return _row(f"{what}, file to row", "one library call per feature", times["ours"], times["theirs"], Goal(goal))


def _floor(paths: list[str]) -> Row:
    import parselmouth

    extractor = features.Functionals()
    window = np.hanning(extractor.n_fft)

    def floor(i: int) -> None:
        samples = read_audio(paths[i]).at(extractor.sr)
        framed = np.lib.stride_tricks.sliding_window_view(samples, extractor.n_fft)[:: extractor.hop_length]
        np.fft.rfft(framed * window)
        sound = parselmouth.Sound(samples.astype(np.float64), extractor.sr)
        sound.to_pitch_ac(pitch_floor=extractor.pitch_floor, pitch_ceiling=extractor.pitch_ceiling)

    times = race({"ours": lambda i: extractor.extract(paths[i]), "floor": floor}, len(paths), "floor")
    share = np.median(times["floor"] / times["ours"])
    note = f"{share:.0%} of the time goes there"
    what = "decoding, resampling, one FFT and Praat's pitch"
    return _row("functionals, file to row", what, times["ours"], times["floor"], note=note)


def _logmel(paths: list[str]) -> Row:
    extractor = features.LogMel(seconds=3.0)
    contestants = {
        "ours": lambda i: extractor.extract(paths[i]),
        "theirs": lambda i: straightforward.logmel(paths[i]),
    }
    times = race(contestants, len(paths), "log-mel")
    ours, theirs = 1e3 / times["ours"], 1e3 / times["theirs"]
    what, beside = "log-mel of 3 s, file to array", "librosa.load and melspectrogram"
    ratios = tuple((ours / theirs).tolist())
    medians = float(np.median(ours)), float(np.median(theirs))
    return Row(what, beside, "clips/s", *medians, ratios, Goal(400, of="ours"))


def _row(what: str, beside: str, ours: np.ndarray, theirs: np.ndarray, goal: Goal | None = None, note="") -> Row:
    ratios = tuple((theirs / ours).tolist())
    return Row(what, beside, "ms/clip", float(np.median(ours)), float(np.median(theirs)), ratios, goal, note)
