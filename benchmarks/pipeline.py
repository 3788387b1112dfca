"""Whether the data set keeps the network busy: batches delivered beside training steps made, on this Keras backend."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from .rows import Goal, Row

_CLASSES, _BATCH = 6, 32
_ROUNDS = 5


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure, and give each row when it is ready; the backend is that of the environment variable ``KERAS_BACKEND``.

    Args:
        table: its size is that of the training set, whose numbers are drawn: what they are does not matter.
    """
    from ser_kit import models, training
    from ser_kit.training.data import shuffled

    keras = models.import_keras()
    training.seed_everything(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(max(_BATCH, len(table)), 300, 154)).astype(np.float32)
    y = rng.integers(0, _CLASSES, len(x))
    model = models.get("cnn_bilstm")(x.shape[1:], _CLASSES)
    model.compile(optimizer="nadam", loss="categorical_crossentropy")
    beside = (np.eye(_CLASSES, dtype=np.float32)[y], np.zeros((len(y), 0), np.float32), np.ones(len(y), np.float32))
    settings = training.Training(batch_size=_BATCH)
    batch = next(shuffled(x, *beside, settings, 0, 0))
    model.train_on_batch(*batch)  # traced and compiled

    with tempfile.TemporaryDirectory(prefix="ser_kit-bench-") as folder:
        file = Path(folder, "x.npy")
        np.save(file, x)
        sources = {"in memory": x, "memory-mapped": np.load(file, mmap_mode="r")}
        for name, source in sources.items():
            delivered, made = [], []
            for epoch in tqdm(range(_ROUNDS), desc=f"pipeline {name}", unit="round", leave=False):
                delivered.append(_per_second(shuffled(source, *beside, settings, 0, epoch)))
                made.append(_per_second(model.train_on_batch(*batch) for _ in range(8)))
            ratios = tuple((np.array(delivered) / made).tolist())
            backend = keras.backend.backend()
            what, than = f"batches of [{_BATCH}, 300, 154], {name}", f"steps of cnn_bilstm on {backend}"
            note = f"{x.nbytes / 2**20:,.0f} MiB"
            yield Row(what, than, "/s", float(np.median(delivered)), float(np.median(made)), ratios, Goal(1), note)


def _per_second(done: Iterable[object]) -> float:
    """How many of them come in a second."""
    start = time.perf_counter()
    return sum(1 for _ in done) / (time.perf_counter() - start)
