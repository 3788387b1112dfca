"""Half precision as Keras sets it: networks train with it, and answer without it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from ser_kit import recipes

SMALL = {"channels": (4, 4, 4, 4), "harmonic_channels": (4, 4, 4, 4), "width": 8, "heads": 1}


@pytest.fixture
def half():
    """Keras's setting for GPUs with half precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ahmadov_cnn_bilstm+ours", "from_scratch_single"])
def test_a_network_is_trained_in_half_precision_and_answers_in_single(name, half, demo_few):
    changes = {"training.epochs": 1} | ({"hyperparameters": SMALL} if name == "from_scratch_single" else {})
    recipe = recipes.get(name).with_settings(changes)
    data = recipe.prepare(demo_few, jobs=0, progress=False)
    made, (history,) = recipe.fit_fold(data, recipe.folds(data, "speaker_80_20")[0], progress=False)
    assert np.isfinite(history["loss"]).all()
    rows = np.arange(4)
    trained = made.probabilities(data.values(rows))
    keras.config.set_dtype_policy("float32")
    single = made.members[0].from_card(made.members[0].to_card(), len(made.labels))
    single.model.set_weights(made.members[0].model.get_weights())
    assert single.model.layers[-1].compute_dtype == "float32"
    answered = single.probabilities(data.values(rows)[recipe.extractor])
    assert np.isfinite(answered).all() and answered.shape == trained.shape
