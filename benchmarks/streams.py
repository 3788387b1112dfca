"""What a stream costs beside the time it lasts, on one core."""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ser_kit.audio import read_audio
from ser_kit.predictor import Predictor
from ser_kit.stream import RATE, StreamPredictor

from .rows import Goal, Row

_SECONDS, _BLOCK = 60, RATE // 50
_HOPS = (1.0, 0.5)
_ROUNDS = 3
_REAL_TIME_FACTOR = 0.05


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure speech without a pause, in blocks of 20 ms, and give the row.

    Args:
        table: clips that the stream is made of.
    """
    predictor = Predictor.from_preset()
    samples = np.concatenate([read_audio(path, rate=RATE).samples for path in table["path"]])
    samples = np.resize(samples, _SECONDS * RATE)
    seldom, often = (np.array([_factor(predictor, samples, hop) for _ in range(_ROUNDS)]) for hop in _HOPS)
    milliseconds = 1000 * np.median(seldom) * _HOPS[0]
    yield Row(
        f"real-time factor of a stream, an answer every {_HOPS[0]:g} s", f"every {_HOPS[1]:g} s", "",
        float(np.median(seldom)), float(np.median(often)), tuple((often / seldom).tolist()),
        Goal(_REAL_TIME_FACTOR, of="ours", at_most=True), f"an answer comes {milliseconds:.0f} ms after its window",
    )  # fmt: skip


def _factor(predictor: Predictor, samples: np.ndarray, hop: float) -> float:
    stream = StreamPredictor(predictor, hop=hop)
    stream.feed(samples[: 5 * RATE])  # imports, compilation
    stream.flush()
    began = time.perf_counter()
    for start in range(0, len(samples), _BLOCK):
        stream.feed(samples[start : start + _BLOCK])
    return (time.perf_counter() - began) / (len(samples) / RATE)
