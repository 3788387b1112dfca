"""Shared fixtures: expensive things (the demo corpus, its features, a small bundle) are built once a session."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
# Features of an earlier state of the code must not answer for this one. The processes of pytest-xdist share the store.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SER_KIT_STORE"] = tempfile.mkdtemp(prefix="ser_kit-tests-")
    atexit.register(shutil.rmtree, os.environ["SER_KIT_STORE"], ignore_errors=True)
# Shells start background jobs with Ctrl-C ignored, which children inherit; tests send it to processes of theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings, laid out as SER_KIT_DATA is; ``originals/`` may stand beside them."""
    folder = os.environ.get("SER_KIT_TEST_DATA")
    if not folder:
        pytest.skip("real recordings: set SER_KIT_TEST_DATA to a folder laid out as SER_KIT_DATA is")
    path = Path(folder)
    if not path.is_dir():
        pytest.fail(f"SER_KIT_TEST_DATA={folder} is not a folder")
    return path


@pytest.fixture(scope="session")
def demo_table():
    """The clip table of the synthetic demo corpus under the label set "six"."""
    from ser_kit import corpora

    return corpora.load("demo", labels="six")


@pytest.fixture(scope="session")
def demo_functionals(demo_table):
    """Functionals of the whole demo corpus."""
    from ser_kit import features

    return features.extract(demo_table, features.get("functionals")(), progress=False)


@pytest.fixture(scope="session")
def demo_bundle(demo_table, tmp_path_factory):
    """The folder of a small bundle (functionals, two epochs) trained on the demo corpus."""
    import dataclasses

    from ser_kit import recipes, training

    recipe = dataclasses.replace(recipes.get("rastogi_mlp"), training=training.Training(epochs=2, class_weights=False))
    functionals = recipe.extract(demo_table, progress=False)
    evaluation = recipe.run(functionals, "speaker_80_20", progress=False)
    bundle = recipe.fit(functionals, evaluation=evaluation, progress=False)
    return bundle.save(tmp_path_factory.mktemp("demo") / "bundle")
