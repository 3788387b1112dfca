"""One contract for every builder: build, train a step, save, load safely, give the same output."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ser_kit import models, recipes, training
from ser_kit.core.errors import UnknownNameError
from ser_kit.training import loop

INPUTS = {
    "cnn2d": (24, 16), "cnn2d_lstm": (20, 12), "cnn_bilstm": (40, 154), "committee": (30,), "continued": (30,),
    "conv1d_lstm": (30,),
    "costga": (20, 12), "dual_view_cnn": (4000, 1), "experts": (30,), "forest": (30,), "lstm": (20, 12),
    "mlp": (30,), "segment_dnn": (6, 20), "svm": (30,), "td_cnn_lstm": (100, 64),
}  # fmt: skip
pytestmark = pytest.mark.usefixtures("eagerly")
HYPERPARAMETERS = {
    "continued": {
        "builder": "mlp",
        "start_classes": 4,
        "hyperparameters": {"units": (), "dropout": (), "batch_norm": ()},
    },
    "experts": {"corpora": 3, "components": 4, "shared": 20},
    "forest": {"trees": 3, "nodes": 7, "depth": 2},
    "svm": {"support_vectors": 9},
}


def built(name, **hyperparameters):
    return models.get(name)(INPUTS[name], 5, **HYPERPARAMETERS.get(name, {}) | hyperparameters)


def inputs(name):
    return np.random.default_rng(0).normal(size=(8, *INPUTS[name])).astype("float32")


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_a_builder_builds_trains_saves_and_loads(name, tmp_path):
    import keras
    import tensorflow as tf

    training.seed_everything(0)
    keras.utils.clear_session()  # the layers built next have no number in their names
    model = built(name)
    assert not model.compiled
    assert model.layers[-1].name == "emotion"
    x = inputs(name)
    y = np.arange(8) % 5
    before = model.predict_on_batch(x)
    assert before.dtype == np.float32
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)

    if model.trainable_weights:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.optimizer.build(model.trainable_variables)  # before the step, which TensorFlow else traces twice
        weights = [w.copy() for w in model.get_weights()]
        tf.config.run_functions_eagerly(False)  # a step as it is when a system is trained
        model.train_on_batch(x, y)
        tf.config.run_functions_eagerly(True)
        assert any((a != b).any() for a, b in zip(weights, model.get_weights(), strict=True))
    else:
        assert name in HYPERPARAMETERS, "only what scikit-learn trains has nothing to train"

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    rebuilt = built(name)
    rebuilt.load_weights(tmp_path / "model.keras")
    np.testing.assert_array_equal(rebuilt.predict_on_batch(x), model.predict_on_batch(x))
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)
    # What training relies on: a copy says the same of itself and holds its variables in the same order.
    copy = keras.models.clone_model(model)
    assert loop._architecture(copy) == loop._architecture(model) == loop._architecture(rebuilt)
    for variable, value in zip(copy.variables, model.variables, strict=True):
        variable.assign(value)
    np.testing.assert_array_equal(copy.predict_on_batch(x), model.predict_on_batch(x))


def test_a_builder_that_changes_has_another_version():
    """``data/builders.json`` holds the networks that bundles were saved with."""
    import keras

    kept = Path(__file__).parents[1] / "data" / "builders.json"
    held, found = json.loads(kept.read_text()), {}
    for name in models.names():
        with keras.StatelessScope(initialize_variables=False):
            parameters = built(name).count_params()
        arguments = models.arguments(name, HYPERPARAMETERS.get(name, {}))
        found[name] = {"version": models.version(name), "parameters": parameters, "arguments": arguments}
    for name in found.keys() & held.keys():
        assert found[name] == held[name] or found[name]["version"] > held[name]["version"], (
            f"the builder {name!r} gives another network: raise its version in ser_kit.models.VERSIONS, since bundles "
            f"that were saved before would answer otherwise"
        )
    assert found == held, f"write into {kept}:\n{json.dumps(found, indent=1)}"


@pytest.mark.parametrize(
    ("name", "hyperparameters"),
    [
        ("cnn2d", {"l2": 1e-4}),
        ("cnn2d_lstm", {"l2": 1e-4, "filters": [8, 8], "lstm_units": [16]}),
        ("costga", {"dilations": [1, 2], "encoders": 2, "heads": 2}),
        ("lstm", {"bidirectional": True, "pool": "mean", "units": [8], "l2": 1e-4}),
        ("mlp", {"activation": "sigmoid", "squash": True}),
        ("td_cnn_lstm", {"bidirectional": True, "attention": True}),
        ("td_cnn_lstm", {"recurrent": False}),
        ("td_cnn_lstm", {"recurrent": False, "attention": True, "chunk": 48, "hop": 24}),
    ],
)
def test_options_of_the_builders_save_and_load(name, hyperparameters, tmp_path):
    import keras

    model = built(name, **hyperparameters)
    assert not any(isinstance(layer, keras.layers.LSTM) for layer in model.layers) or hyperparameters.get(
        "recurrent", True
    )
    assert bool(model.losses) == ("l2" in hyperparameters)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    x = inputs(name)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_every_builder_gives_the_same_on_jax(tmp_path):
    """Each model is saved here, and loaded and run by a process that has JAX below Keras."""
    for name in models.names():
        model, x = built(name), inputs(name)
        model.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", x=x, expected=model.predict_on_batch(x))
    code = """
import sys, pathlib, numpy as np, keras
from ser_kit import models
from ser_kit.models import layers
assert keras.backend.backend() == "jax"
for name in models.names():
    case = np.load(pathlib.Path(sys.argv[1]) / f"{name}.npz")
    model = keras.saving.load_model(pathlib.Path(sys.argv[1]) / f"{name}.keras", safe_mode=True)
    np.testing.assert_allclose(model.predict_on_batch(case["x"]), case["expected"], atol=1e-4, err_msg=name)
"""
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    subprocess.run(arguments, check=True, env=os.environ | {"KERAS_BACKEND": "jax"})


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("mlp", (30,), 51_014),
        ("cnn_bilstm", (300, 154), 33_862),
        ("cnn2d", (301, 64), 56_966),
        ("cnn2d_lstm", (150, 180), 1_595_014),
        ("conv1d_lstm", (45,), 405_830),
        ("costga", (300, 154), 160_454),
        ("lstm", (300, 154), 93_638),
        ("segment_dnn", (100, 320), 123_718),
        ("td_cnn_lstm", (301, 64), 603_366),
    ],
)
def test_parameter_counts_are_the_documented_ones(name, shape, parameters):
    assert models.get(name)(shape, 6).count_params() == parameters


def test_parameter_counts_of_what_scikit_learn_trains():
    model = models.get("forest")((30,), 6, trees=100, nodes=63, depth=8)
    assert model.count_params() == 100 * 63 * (4 + 6)
    model = models.get("svm")((30,), 6, support_vectors=500)
    assert model.count_params() == 500 * (30 + 15) + 15 + 1


def test_every_builder_is_in_the_contract():
    # An ensemble has no model of its own, only its members have; what scikit-learn trains names its builder itself.
    alone = [recipe for recipe in recipes.RECIPES.values() if hasattr(recipe, "model")]
    assert set(INPUTS) == set(models.names()) >= {recipe.model or recipe.training.model for recipe in alone}


def test_an_unknown_builder_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        models.get("mlpp")


def test_an_unknown_pooling_is_named():
    with pytest.raises(ValueError, match="'last' or 'mean', not 'max'"):
        built("lstm", pool="max")


@pytest.mark.parametrize("frames", [3, 4, 5, 6, 11])
def test_chunks_hold_the_right_frames(frames):
    from ser_kit.models.layers import Chunks

    x = np.random.default_rng(0).normal(size=(2, frames, 3)).astype("float32")
    layer = Chunks(4, 2)
    chunks = np.asarray(layer(x))
    assert chunks.shape == layer.compute_output_shape(x.shape) == (2, max(1, 1 + (frames - 4) // 2), 4, 3)
    padded = np.pad(x, [(0, 0), (0, max(0, 4 - frames)), (0, 0)])
    for i in range(chunks.shape[1]):
        np.testing.assert_array_equal(chunks[:, i], padded[:, 2 * i : 2 * i + 4])


def test_attention_weighs_the_steps():
    from ser_kit.models.layers import AttentionPooling

    states = np.random.default_rng(0).normal(size=(4, 7, 5)).astype("float32")
    layer = AttentionPooling()
    pooled = np.asarray(layer(states))
    weights = np.asarray(layer.attention(states))
    assert weights.shape == (4, 7, 1)
    assert (weights > 0).all()
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    kernel, bias = layer.get_weights()
    scores = np.exp(np.tanh(states @ kernel + bias))
    np.testing.assert_allclose(pooled, (states * scores).sum(axis=1) / scores.sum(axis=1), atol=1e-6)


def test_segments_of_padding_do_not_count():
    model = built("segment_dnn")
    x = inputs("segment_dnn")
    x[:, 4:] = 0
    x[1] = 0
    posteriors = np.stack([model.get_layer("segment").predict_on_batch(x[:, i]) for i in range(x.shape[1])], axis=1)
    expected = posteriors[:, :4].mean(axis=1)
    np.testing.assert_allclose(model.predict_on_batch(x), expected, atol=1e-6)
    np.testing.assert_allclose(model.predict_on_batch(x[1:2]), posteriors[1:2].mean(axis=1), atol=1e-6)


def test_training_single_segments_trains_the_whole():
    model = built("segment_dnn")
    x = inputs("segment_dnn")
    before = model.predict_on_batch(x)
    segment = model.get_layer("segment")
    segment.compile("adam", "sparse_categorical_crossentropy")
    segment.train_on_batch(x.reshape(-1, x.shape[2]), np.arange(48) % 5)
    assert (model.predict_on_batch(x) != before).any()
