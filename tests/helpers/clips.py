"""Made-up clips and tables of them, for the tests of extraction."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import soundfile

RATE = 16000


def clip(path, seed=0, seconds=0.3):
    """Write a noisy tone of a pitch and noise of its own."""
    rng = np.random.default_rng(seed)
    tone = np.sin(2 * np.pi * rng.uniform(90, 300) * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(path, 0.2 * tone + 0.01 * rng.normal(size=len(tone)), RATE, subtype="PCM_16")
    return path


def table_of(paths) -> pd.DataFrame:
    """A clip table of files."""
    paths = [str(path) for path in paths]
    return pd.DataFrame({
        "clip_id": [f"folder:{i}" for i in range(len(paths))],
        "path": paths,
        "corpus": "folder",
        "speaker": [f"folder:{i % 3}" for i in range(len(paths))],
        "sex": "",
        "emotion": ["happy" if i % 2 else "sad" for i in range(len(paths))],
    })  # fmt: skip


@contextmanager
def module_of(folder, name, source):
    """A module of extractors, made in a folder and imported from there."""
    (folder / f"{name}.py").write_text(source)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield importlib.import_module(name)
    del sys.modules[name]


def assert_same(one, other):
    """Two results of extraction are equal in every respect."""
    np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(one.lengths, other.lengths)
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.failures, other.failures)


def rows_of(table, chosen):
    """A clip table of some rows of another, with what that says of itself."""
    part = table[chosen].reset_index(drop=True)
    part.attrs = table.attrs
    return part
