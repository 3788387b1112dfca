"""``python -m benchmarks.all_corpora``: memory and time of a training on all corpora that are there.

The clips of all corpora under ``SER_KIT_DATA`` are prepared for a recipe, whose first fold of unseen speakers is
trained for an epoch or more, in a process of its own for each way of holding the features: in a file, and in memory.
Features come from a feature store that is filled before. With ``--clips`` above what there is, clips stand in several
rows, each of which has its own place in memory or in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from ser_kit import corpora, recipes
from ser_kit.core.errors import CorpusNotFoundError
from ser_kit.corpora.base import DATA_VARIABLE
from ser_kit.evaluation import to_markdown
from ser_kit.protocols import Fold
from ser_kit.recipes import prepared
from ser_kit.training.data import shuffled

WAYS = {"in a file": 0, "in memory": 1 << 62}
"""How features are held -> the most bytes that may be held in memory."""


def table(clips: int = 0) -> pd.DataFrame:
    """The clips of all corpora that are there.

    Args:
        clips: number of rows; 0 for each clip once.

    Raises:
        CorpusNotFoundError: none is there.
    """
    names = [name for name in corpora.names() if name != "demo" and corpora.get(name).find_local()]
    if not names:
        raise CorpusNotFoundError(f"no corpus is in {os.environ.get(DATA_VARIABLE)!r}; set {DATA_VARIABLE}")
    found = corpora.load(names, labels="eight")
    if not clips:
        return found
    turns = [found.assign(clip_id=found["clip_id"] + f"+{i}" * bool(i)) for i in range(-(-clips // len(found)))]
    whole = pd.concat(turns, ignore_index=True).head(clips)
    whole.attrs = found.attrs
    return whole


def measure(name: str, way: str, clips: int, epochs: int) -> dict:
    """Train, and say what it took of this process."""
    prepared.MOST_IN_MEMORY = WAYS[way]
    recipe = recipes.get(name).with_settings({"training.epochs": epochs})
    began = time.perf_counter()
    data = recipe.prepare(table(clips), progress=False)
    ready = time.perf_counter() - began
    after = _peak()
    fold = recipe.folds(data, "speaker")[0]
    _, (history, *_) = recipe.fit_fold(data, fold, progress=False)
    peak = _peak()
    return {
        "features": way, "clips": len(data.y), "prepared in, s": round(ready), "peak then, MB": after,
        "an epoch, s": round(history["seconds"].min(), 1), "peak, MB": peak,
        "its batches alone, s": round(_batches(recipe, data, fold), 1), "loss": round(history["loss"].iloc[-1], 6),
    }  # fmt: skip


def _batches(recipe: recipes.Recipe, data: prepared.PreparedData, fold: Fold) -> float:
    """Seconds to prepare the batches of an epoch without any network: the least that an epoch takes on any GPU."""
    x, y = data.features[recipe.extractor].values[fold.train], np.eye(len(data.labels), dtype=np.float32)
    nobody, ones = np.zeros((len(x), 0), np.float32), np.ones(len(x), np.float32)
    began = time.perf_counter()
    for _ in shuffled(x, y[data.y[fold.train]], nobody, ones, recipe.training, seed=0, epoch=0):
        pass
    return time.perf_counter() - began


def _peak() -> int:
    """Most memory that this process has held (resident), MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1e-6 if sys.platform == "darwin" else 1.024e-3))


def main(given: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    options = _options(given)
    if options.measure:
        print(json.dumps(measure(options.recipe, options.measure, options.clips, options.epochs)))
        return 0
    command = [sys.executable, "-m", __name__ if __name__ != "__main__" else "benchmarks.all_corpora"]
    command += ["--recipe", options.recipe, "--clips", str(options.clips), "--epochs", str(options.epochs)]
    with tempfile.TemporaryDirectory(prefix="ser_kit-bench-") as folder:
        environment = {**os.environ, "SER_KIT_STORE": str(options.store or folder)}
        os.environ.update(environment)
        recipes.get(options.recipe).prepare(table())
        rows = []
        for way in options.way or WAYS:
            done = subprocess.run([*command, "--measure", way], stdout=subprocess.PIPE, text=True, check=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            print(rows[-1], file=sys.stderr)
    print(to_markdown(pd.DataFrame(rows)))
    return 0


def _options(given: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.all_corpora", description=__doc__.split("\n")[0])
    parser.add_argument("--recipe", default="from_scratch_single", help="(from_scratch_single)")
    parser.add_argument("--clips", type=int, default=0, help="rows of the table (each clip once)")
    parser.add_argument("--epochs", type=int, default=1, help="(1)")
    parser.add_argument("--way", action="append", choices=list(WAYS), help="only this one; may be repeated")
    parser.add_argument("--store", type=Path, help="folder of a feature store that is kept (a temporary one)")
    parser.add_argument("--measure", choices=list(WAYS), help=argparse.SUPPRESS)
    return parser.parse_args(given)


if __name__ == "__main__":
    sys.exit(main())
