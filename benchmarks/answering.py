"""How long people wait for answers, from a bundle's ``model.onnx`` beside its networks on TensorFlow."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from ser_kit.audio import read_audio

from .rows import Goal, Row

PRESETS = (("cross_corpus", 25, 0.03, 80), ("cross_corpus_small", 8, 0.01, 200), ("from_scratch", 25, 0.03, 80))
"""Names, and what is to be reached: ms for an answer, real-time factor of a stream, files a second."""
_ROUNDS = 5
_LONG, _RATE = 600, 16_000  # s and Hz of a long recording, made of the clips
_NETWORKS = "import sys; sys.modules['onnxruntime'] = None\n"  # as if it were not installed
_QUIETLY = "import warnings; warnings.simplefilter('ignore')\n"
_ONE_CORE = "import os; hasattr(os, 'sched_setaffinity') and os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})\n"
# What the system says of a process that has ended is at least what its parent took.
_PEAK = """
import atexit, sys
def told():
    try:
        with open("/proc/self/status") as status:
            peak = next(line.split()[1] for line in status if line.startswith("VmHWM"))
    except OSError:  # not on Linux
        import resource
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print("peak", peak, file=sys.stderr)
atexit.register(told)
"""
_COMMAND = "from ser_kit.cli import main; raise SystemExit(main({arguments!r}))"
_FIRST = """
import time; began = time.perf_counter()
from ser_kit import Predictor
Predictor.from_preset().predict({clip!r})
print(time.perf_counter() - began)
"""
_WARM = """
import time, numpy as np
from ser_kit import Predictor
from ser_kit.audio import read_audio
predictor = Predictor.from_preset({preset!r})
recording = read_audio({clip!r}, sr=16000)
sound, took = (np.resize(recording.samples, 3 * 16000), 16000), []
for _ in range(40):
    began = time.perf_counter(); predictor.predict(sound); took.append(time.perf_counter() - began)
print(float(np.median(took[20:])))
"""
_STREAM = """
import time, numpy as np
from ser_kit import Predictor
from ser_kit.audio import read_audio
from ser_kit.inference.stream import StreamPredictor
predictor = Predictor.from_preset({preset!r})
samples = np.resize(read_audio({clip!r}, sr=16000).samples, 40 * 16000)
def told(samples):
    stream = StreamPredictor(predictor, sr=16000)
    for block in np.array_split(samples, len(samples) // 320):
        stream.feed(block)
told(samples[: 10 * 16000])
began = time.perf_counter(); told(samples); print((time.perf_counter() - began) / 40)
"""


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure whole processes, those of the two sides in turn, and give the rows.

    Args:
        table: clips to answer for; the first is the one of all rows that are of one clip.
    """
    clip = table["path"].iloc[0]
    one = _COMMAND.format(arguments=["predict", clip, "--quiet"])
    took = _in_turn(_whole, one)
    yield _row("ser-kit predict clip.wav, cold", "s", took[:, :, 0], Goal(1.0, of="ours", at_most=True))
    yield _row("  its memory at the peak", "MB", took[:, :, 1], Goal(200, of="ours", at_most=True))
    for arguments in (["--help"], ["corpora"]):
        alone = [_whole(_COMMAND.format(arguments=arguments))[0] for _ in range(_ROUNDS)]
        goal = Goal(0.3, of="ours", at_most=True)
        yield Row(f"ser-kit {arguments[0]}", "", "s", float(np.median(alone)), goal=goal)
    goal = Goal(0.5, of="ours", at_most=True)
    yield _row("Predictor.from_preset() and its first answer", "s", _in_turn(_told, _FIRST.format(clip=clip)), goal)
    sound = np.resize(np.concatenate([read_audio(path, sr=_RATE).samples for path in table["path"]]), _LONG * _RATE)
    for preset, milliseconds, factor, files in PRESETS:
        settings = {"preset": preset, "clip": clip}
        found = 1000 * _in_turn(_told, _ONE_CORE + _WARM.format(**settings), rounds=3)
        goal = Goal(milliseconds, of="ours", at_most=True)
        yield _row(f"{preset}: an answer for 3 s of sound, warm, one core", "ms", found, goal)
        found = _in_turn(_told, _ONE_CORE + _STREAM.format(**settings), rounds=3)
        yield _row(f"{preset}: a stream, of real time, one core", "", found, Goal(factor, of="ours", at_most=True))
        with tempfile.TemporaryDirectory(prefix="ser_kit-bench-") as folder:
            long, clips, answers = (Path(folder, name) for name in ("long.wav", "clips", "answers.csv"))
            soundfile.write(long, sound, _RATE)
            clips.mkdir()
            for i, path in enumerate(table["path"]):
                shutil.copy(path, clips / f"{i:06d}{Path(path).suffix}")
            command = ["predict", "--bundle", preset, "--quiet"]
            took = _in_turn(_whole, _COMMAND.format(arguments=[*command, str(long)]), rounds=1)[:, :, 0]
            command += ["--out", str(answers), str(clips)]
            seconds = _in_turn(partial(_afresh, answers), _COMMAND.format(arguments=command), rounds=1)
        what, note = f"{preset}: a long recording, times real time", f"{_LONG / 60:g} minutes, start included"
        yield _row(what, "", _LONG / took, Goal(100, of="ours"), note, more_is_better=True)
        what, note = f"{preset}: ser-kit predict FOLDER", f"{len(table)} clips, start included"
        yield _row(what, "/s", len(table) / seconds, Goal(files, of="ours"), note, more_is_better=True)


def _in_turn(measure, script: str, rounds: int | None = None) -> np.ndarray:
    """What a measure gives for a script, by the file and by the networks: ``[2, rounds, ...]``."""
    found = []
    for _ in tqdm(range(rounds or _ROUNDS), desc="answering", unit="round", leave=False):
        found.append([measure(script), measure(_QUIETLY + _NETWORKS + script)])
    return np.swapaxes(np.array(found, dtype=float), 0, 1)


def _whole(script: str) -> tuple[float, float]:
    """Seconds and MB at the peak of a process."""
    began = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", _PEAK + script], capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if run.returncode:
        raise RuntimeError(f"the measured command failed:\n{script}\n{run.stderr}")
    return seconds, int(run.stderr.rpartition("peak ")[2]) / 1000


def _told(script: str) -> float:
    """The number that a process prints."""
    return float(subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, check=True).stdout)


def _afresh(answers: Path, script: str) -> float:
    """Seconds of a process that goes on with no answers of the last one."""
    answers.unlink(missing_ok=True)
    return _whole(script)[0]


def _row(what: str, unit: str, found: np.ndarray, goal: Goal, note: str = "", *, more_is_better: bool = False) -> Row:
    ours, theirs = found
    ratios = ours / theirs if more_is_better else theirs / ours
    medians = float(np.median(ours)), float(np.median(theirs))
    return Row(what, "by the networks", unit, *medians, tuple(ratios.tolist()), goal, note)
