"""A training step as the library sets TensorFlow up, beside one as TensorFlow sets itself up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd

from .racing import race
from .rows import Row

_RECIPES = ("td_cnn_lstm", "staged_cnn_lstm", "voting_cnn_lstm")
_BATCH, _CLASSES, _STEPS = 32, 8, 16
_COMMAND = (sys.executable, "-m", __name__)


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure, and give the row of each recipe.

    Args:
        table: not looked at: the inputs are drawn, and what they are does not matter.
    """
    for recipe in _RECIPES:
        with _stepping(recipe, "ours") as ours, _stepping(recipe, "theirs") as theirs:
            times = race({"ours": ours, "theirs": theirs}, _STEPS, f"steps of {recipe}")
        ratios = tuple((times["theirs"] / times["ours"]).tolist())
        what, beside = f"training step of {recipe}, {_BATCH} clips", "TensorFlow's own choice of kernels"
        medians = (float(np.median(times[name])) for name in ("ours", "theirs"))
        yield Row(what, beside, "ms", *medians, ratios, note="equal where TensorFlow chooses oneDNN itself")


@contextmanager
def _stepping(recipe: str, whose: str) -> Iterator:
    """A process that makes a training step each time it is called: TensorFlow chooses once in a process."""
    command = [*_COMMAND, recipe, whose]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:

        def step(_: int) -> None:
            process.stdin.write("\n")
            if not process.stdout.readline():
                raise subprocess.CalledProcessError(process.wait(), command)

        yield step


def _steps(recipe: str, whose: str) -> None:
    from ser_kit import recipes, training

    if whose == "theirs":
        os.environ.pop("TF_ENABLE_ONEDNN_OPTS", None)
    system = recipes.get(recipe)
    training.seed_everything(0)
    model = system.build(_CLASSES)
    model.compile(optimizer="adam", loss="categorical_crossentropy")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(_BATCH, *system.input_shape)).astype(np.float32)
    y = np.eye(_CLASSES, dtype=np.float32)[rng.integers(0, _CLASSES, _BATCH)]
    for _ in sys.stdin:
        model.train_on_batch(x, y)
        print(flush=True)


if __name__ == "__main__":
    _steps(*sys.argv[1:])
