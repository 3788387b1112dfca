"""One contract for every builder: build, train a step, save, load safely, give the same output."""

from __future__ import annotations

import numpy as np
import pytest

from ser_kit import models, recipes
from ser_kit.errors import UnknownNameError

INPUTS = {"mlp": (30,), "cnn_bilstm": (40, 154)}


@pytest.mark.parametrize("name", models.names())
def test_a_builder_builds_trains_saves_and_loads(name, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    model = models.get(name)(INPUTS[name], 5)
    assert not model.compiled
    x = np.random.default_rng(0).normal(size=(8, *INPUTS[name])).astype("float32")
    y = np.arange(8) % 5
    before = model.predict_on_batch(x)
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)

    model.compile("adam", "sparse_categorical_crossentropy")
    weights = [w.copy() for w in model.get_weights()]
    model.train_on_batch(x, y)
    assert any((a != b).any() for a, b in zip(weights, model.get_weights(), strict=True))

    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict_on_batch(x), model.predict_on_batch(x))
    assert not any(isinstance(layer, keras.layers.Lambda) for layer in model.layers)


@pytest.mark.parametrize(("name", "shape", "parameters"), [("mlp", (30,), 51_014), ("cnn_bilstm", (300, 154), 33_862)])
def test_parameter_counts_are_the_documented_ones(name, shape, parameters):
    assert models.get(name)(shape, 6).count_params() == parameters


def test_every_builder_is_in_the_contract():
    assert set(INPUTS) == set(models.names()) >= {recipe.model for recipe in recipes.RECIPES.values()}


def test_an_unknown_builder_is_named():
    with pytest.raises(UnknownNameError, match="did you mean 'mlp'"):
        models.get("mlpp")
