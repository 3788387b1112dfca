"""How many recordings a second ``ser-kit predict`` answers for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ser_kit.audio import read_audio
from ser_kit.predictor import Failure, Predictor
from ser_kit.threads import at_once

from .racing import race
from .rows import Goal, Row

_ROUNDS = 5
_FILES_A_SECOND = 100


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure as many threads as ``ser-kit predict`` has beside one, and give the row.

    Args:
        table: clips to answer for.
    """
    predictor, paths, jobs = Predictor.from_preset(), table["path"].tolist(), at_once()

    def answer(threads: int) -> None:
        failed = [found for found in predictor.predict_many(paths, jobs=threads) if isinstance(found, Failure)]
        assert not failed, failed

    took = race({"ours": lambda _: answer(jobs), "one": lambda _: answer(1)}, _ROUNDS, "predictions")
    rates = {name: 1000 * len(paths) / milliseconds for name, milliseconds in took.items()}
    seconds = np.mean([read_audio(path).duration for path in paths])
    yield Row(
        f"files answered for, {jobs} threads", "one thread", "/s",
        float(np.median(rates["ours"])), float(np.median(rates["one"])), tuple((rates["ours"] / rates["one"]).tolist()),
        Goal(_FILES_A_SECOND, of="ours"), f"{len(paths)} clips of {seconds:.1f} s",
    )  # fmt: skip
