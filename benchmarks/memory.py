"""How much memory an extraction takes at its peak, for few clips and for many."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from ser_kit import extraction, features
from ser_kit.audio import read_audio

from .rows import Goal, Row

_FEW, _MANY = 1_000, 20_000
_SECONDS = 0.2  # of each clip: what a clip costs is not the question here


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure, and give the row.

    Args:
        table: clips, of which snippets are taken.
    """
    with tempfile.TemporaryDirectory(prefix="ser_kit-bench-") as folder:
        snippets = list(_snippets(table["path"].tolist(), Path(folder)))
        # Many names for few recordings: the feature store, which would see through that, is not asked.
        for i in range(_MANY):
            os.link(snippets[i % len(snippets)], Path(folder, f"{i:06d}.wav"))
        progress = tqdm((_FEW, _MANY), desc="memory", unit="extraction", leave=False)
        peaks = [_peak(folder, clips) for clips in progress]
    what, beside = f"peak memory, functionals of {_MANY:,} clips to Parquet", f"the same of {_FEW:,} clips"
    ratio = peaks[1] / peaks[0]
    note = "the process and the larger of its workers; resident"
    yield Row(what, beside, "MiB", peaks[1], peaks[0], (ratio,), Goal(1.15, at_most=True), note)


def _snippets(paths: list[str], folder: Path) -> Iterator[Path]:
    """A short piece of each recording, from its loudest place on."""
    for i, path in enumerate(paths):
        recording = read_audio(path)
        length = round(_SECONDS * recording.rate)
        start = min(int(np.abs(recording.samples).argmax()), max(0, len(recording.samples) - length))
        snippet = folder / f"snippet_{i}.wav"
        soundfile.write(snippet, recording.samples[start : start + length], recording.rate)
        yield snippet


def _peak(folder: str, clips: int) -> float:
    command = [sys.executable, "-m", __name__, folder, str(clips)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def _extract(folder: str, clips: int) -> None:
    import resource

    names = np.array([f"{i:06d}" for i in range(clips)])
    fixed = dict.fromkeys(("corpus", "speaker", "sex", "emotion"), "bench")
    table = pd.DataFrame({"clip_id": names, "path": [f"{folder}/{name}.wav" for name in names], **fixed})
    out = Path(folder, "features.parquet")
    done = extraction.extract_to(out, table, features.Functionals(), cache=False, progress=False)
    if done.clips != clips:
        sys.exit(f"{len(done.failures)} clips failed: {done.failures['reason'].iloc[0]}")
    peaks = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(sum(peaks) / (1 << 20 if sys.platform == "darwin" else 1 << 10))


if __name__ == "__main__":
    _extract(sys.argv[1], int(sys.argv[2]))
