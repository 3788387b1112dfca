"""Contestants that take turns over the same clips, so that whatever else the machine does slows all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from tqdm import tqdm

ROUNDS = 8


def race(contestants: Mapping[str, Callable[[int], object]], clips: int, title: str) -> dict[str, np.ndarray]:
    """Let each contestant do each clip, a few clips at a time, in turn.

    Args:
        contestants: name -> what it does with the clip of a number.
        clips: how many clips there are.
        title: what stands before the progress bar.

    Returns:
        Name -> milliseconds per clip in each round.
    """
    for contestant in contestants.values():
        contestant(0)  # imports, filter banks, caches
    times = {name: [] for name in contestants}
    parts = np.array_split(np.arange(clips), min(ROUNDS, clips))
    for turn, part in enumerate(tqdm(parts, desc=title, unit="round", leave=False)):
        order = list(contestants)
        for name in np.roll(order, turn).tolist():
            start = time.perf_counter()
            for clip in part.tolist():
                contestants[name](clip)
            times[name].append(1e3 * (time.perf_counter() - start) / len(part))
    return {name: np.array(each) for name, each in times.items()}
