"""``python -m benchmarks.encoders``: how long the package's encoders take for 3 s of sound, on one core, warm.

What whole answers take, ``python -m benchmarks --only answering`` tells.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # before TensorFlow counts the cores

import time

import numpy as np

from ser_kit.features import encoders

_SECONDS, _ROUNDS = 3.0, 50


def milliseconds(name: str, rounds: int = _ROUNDS) -> tuple[float, float]:
    """The shortest and the median time from samples to the outputs of all blocks.

    Args:
        name: of an encoder.
        rounds: how often it is timed, after as many rounds again that are not.
    """
    encode, rate = encoders.forward(name), encoders.get(name).rate
    samples = 0.1 * np.random.default_rng(0).normal(size=(1, round(_SECONDS * rate))).astype(np.float32)
    took = []
    for _ in range(2 * rounds):
        start = time.perf_counter()
        encode(samples)
        took.append(1000 * (time.perf_counter() - start))
    return min(took[rounds:]), float(np.median(took[rounds:]))


def main() -> int:
    """The command."""
    for name in encoders.names(packaged=True):
        shortest, median = milliseconds(name)
        size = encoders.get(name).path.stat().st_size / 1e6
        print(f"{name}: {shortest:.1f} ms at best, {median:.1f} ms in the median; {size:.1f} MB of weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
