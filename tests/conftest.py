"""Shared fixtures: expensive things (the demo corpus, its features, a small bundle) are built once a session."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections import Counter
from pathlib import Path

import hypothesis
import pytest
from clips import rows_of

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("MPLBACKEND", "agg")
# Features of an earlier state of the code must not answer for this one. The processes of pytest-xdist share the store.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["SER_KIT_STORE"] = tempfile.mkdtemp(prefix="ser_kit-tests-")
    atexit.register(shutil.rmtree, os.environ["SER_KIT_STORE"], ignore_errors=True)
# Shells start background jobs with Ctrl-C ignored, which children inherit; tests send it to processes of theirs.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What a first example takes, imports among it, says nothing of what is tested.
hypothesis.settings.register_profile("untimed", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("untimed")

LONGEST = (
    "notebooks", "odd_recordings", "widget_browser", "exporter", "recipes", "survival", "training",
    "cli_training", "cli_answers", "cli",
    "equal_answers", "reproduce", "models", "dask", "site", "widget", "plots",
)  # fmt: skip


def pytest_collection_modifyitems(items):
    """Files that take long come first, so that no process of pytest-xdist is left alone with one at the end."""
    places = {f"test_{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))


NOT_SELECTED: Counter[str] = Counter()
"""Mark -> number of tests that were not selected, such as by ``make test-fast``."""


def pytest_deselected(items):
    for item in items:
        NOT_SELECTED[next((mark for mark in ("slow", "browser") if item.get_closest_marker(mark)), "other")] += 1


def pytest_sessionfinish(session):
    if hasattr(session.config, "workeroutput"):  # a process of pytest-xdist
        session.config.workeroutput["not_selected"] = dict(NOT_SELECTED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    NOT_SELECTED.update(Counter(getattr(node, "workeroutput", {}).get("not_selected", {})) - NOT_SELECTED)


def pytest_terminal_summary(terminalreporter, config):
    reasons = dict(line.split(": ", 1) for line in config.getini("markers") if ": " in line)
    for mark, count in NOT_SELECTED.items():
        terminalreporter.write_line(f"NOT SELECTED [{count}] {mark}: {reasons.get(mark, 'by an option of pytest')}")


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
def demo_few(demo_table):
    """30 clips of the demo corpus: five speakers, one sentence said once in each of six emotions."""
    speakers = sorted(demo_table["speaker"].unique())[:5]
    first = demo_table["clip_id"].str.endswith("_s1_t1") & demo_table["speaker"].isin(speakers)
    return rows_of(demo_table, first)


@pytest.fixture(scope="session")
def some_clips(request):
    """30 clips of RAVDESS where real recordings are at hand, five actors in six emotions; else those of the demo."""
    if not os.environ.get("SER_KIT_TEST_DATA"):
        return request.getfixturevalue("demo_few")
    from ser_kit import corpora

    table = corpora.load("ravdess", root=request.getfixturevalue("real_data"), labels="six")
    speakers = sorted(table["speaker"].unique())[:5]
    said = table["clip_id"].str.contains(r"03-01-0[134567]-01-01-01-\d\d$") & table["speaker"].isin(speakers)
    return rows_of(table, said)


@pytest.fixture(scope="session")
def demo_functionals(demo_table):
    """Functionals of the whole demo corpus."""
    from ser_kit import extraction, features

    return extraction.extract(demo_table, features.get("functionals")(), progress=False)


@pytest.fixture(scope="session")
def demo_bundle(demo_table, tmp_path_factory):
    """The folder of a small bundle (functionals, two epochs) trained on the demo corpus."""
    from ser_kit import recipes

    recipe = recipes.get("rastogi_mlp+ours").with_settings({"training.epochs": 2})
    material = recipe.prepare(demo_table, progress=False)
    evaluation = recipe.run(material, "speaker_80_20", progress=False)
    bundle = recipe.fit(material, evaluation=evaluation, progress=False)
    return bundle.save(tmp_path_factory.mktemp("demo") / "bundle")


@pytest.fixture(scope="session")
def predictor():
    """A predictor with the bundle that ships."""
    from ser_kit.inference.predictor import Predictor

    return Predictor.from_preset()


@pytest.fixture(scope="session")
def kaggle_cache(tmp_path_factory):
    """A cache of kagglehub with stand-ins for networks of others: their numbers are the level of what they hear."""
    import tensorflow as tf

    from ser_kit.features import TRILLsson, YAMNet

    class YAMNetLike(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
        def __call__(self, waveform):
            patches = tf.signal.frame(waveform, 15600, 7680)
            level = tf.sqrt(tf.reduce_mean(tf.square(patches), axis=1, keepdims=True))
            return tf.tile(level, [1, 521]), level * tf.range(1.0, 1025.0), tf.zeros([1, 64])

    class TRILLssonLike(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32)])
        def __call__(self, waveforms):
            level = tf.sqrt(tf.reduce_mean(tf.square(waveforms), axis=1, keepdims=True))
            return {"embedding": level * tf.range(1.0, 1025.0)}

    cache = tmp_path_factory.mktemp("kagglehub")
    for extractor in (YAMNet(), TRILLsson(), TRILLsson(size=1)):
        network = YAMNetLike() if isinstance(extractor, YAMNet) else TRILLssonLike()
        folder = cache / "models" / extractor.handle
        tf.saved_model.save(network, str(folder))
        folder.with_name(f"{folder.name}.complete").touch()
    return cache


@pytest.fixture
def networks(kaggle_cache, monkeypatch):
    """The frozen networks of others, as if they had been downloaded."""
    from ser_kit.features import embeddings

    monkeypatch.setenv("KAGGLEHUB_CACHE", str(kaggle_cache))
    embeddings._network.cache_clear()
    yield
    embeddings._network.cache_clear()


@pytest.fixture(scope="module")
def eagerly():
    """Without the seconds that TensorFlow takes to trace each network: for small ones, a module at a time."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
