"""Extraction of whole tables: two processes beside one, and a second run beside the first."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import extraction, features
from ser_kit.audio import read_audio

from .rows import Goal, Row

# RAVDESS, CREMA-D and TESS under the label set "six", and how long that sounds
_CORPUS_CLIPS, _CORPUS_SECONDS = 10_898, 27_806
_ROUNDS = 4


def rows(table: pd.DataFrame) -> Iterator[Row]:
    """Measure, and give each row when it is ready.

    Args:
        table: clips, enough of them for the half second in which the workers start to count for little.
    """
    yield _two_processes(table)
    for extractor in (features.Functionals(), features.FrameFeatures()):
        yield _second_run(table, extractor)


def _seconds(table: pd.DataFrame, extractor: features.Extractor, jobs: int | None, cache: bool | str) -> float:
    start = time.perf_counter()
    extraction.extract(table, extractor, jobs=jobs, cache=cache, progress=False)
    return time.perf_counter() - start


def _two_processes(table: pd.DataFrame) -> Row:
    what, beside = "functionals of a table, two processes", "one process on one core"
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) < 2:
        return Row(what, beside, note="needs two cores, and a system that lets a process choose among them")
    one, two = [], []
    for _ in tqdm(range(_ROUNDS), desc="two processes", unit="round", leave=False):
        with _kept_to({cores[-1]}):
            one.append(_seconds(table, features.Functionals(), 1, False))
        with _kept_to(set(cores[-2:])):
            two.append(_seconds(table, features.Functionals(), 2, False))
    sound = sum(read_audio(path).duration for path in table["path"])
    minutes = np.median(two) / sound * _CORPUS_SECONDS / 60
    estimate = f"{_CORPUS_CLIPS:,} clips ({_CORPUS_SECONDS:,} s) would take {minutes:.1f} min"
    note = f"{len(table):,} clips ({sound:,.0f} s), workers' start included; {estimate}"
    return _row(what, beside, two, one, Goal(1.8), note)


def _second_run(table: pd.DataFrame, extractor: features.Extractor) -> Row:
    with tempfile.TemporaryDirectory(prefix="ser_kit-bench-") as folder:
        first = _seconds(table, extractor, None, folder)
        again = [
            _seconds(table, extractor, None, folder)
            for _ in tqdm(range(5), desc=f"{extractor.name} from the store", unit="run", leave=False)
        ]
    what = f"{extractor.name} of a table, from the feature store"
    return _row(what, "the first run, on all cores", again, [first] * len(again), Goal(50), f"{len(table):,} clips")


def _row(what: str, beside: str, ours: list[float], theirs: list[float], goal: Goal, note: str) -> Row:
    ratios = tuple((np.array(theirs) / ours).tolist())
    return Row(what, beside, "s", float(np.median(ours)), float(np.median(theirs)), ratios, goal, note)


@contextmanager
def _kept_to(cores: set[int]) -> Iterator[None]:
    """Let this process, and what it starts, use these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
