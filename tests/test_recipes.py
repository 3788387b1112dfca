"""Recipes: declared parts that exist, honest runs, and bundles that say what they are."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from ser_kit import features, labels, protocols, recipes, training
from ser_kit.bundle import Bundle
from ser_kit.errors import LeakageError, TableError, TrainingError, UnknownNameError

FAST = training.Training(epochs=3, patience=3)


@pytest.fixture(scope="module")
def quick():
    """The functionals recipe with a training of three epochs."""
    return dataclasses.replace(recipes.get("rastogi_mlp"), training=FAST)


@pytest.fixture(scope="module")
def evaluation(quick, demo_functionals):
    return quick.run(demo_functionals, "speaker_80_20", progress=False)


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_is_made_of_parts_that_exist(name):
    recipe = recipes.get(name)
    assert recipe.name == name
    assert recipe.title
    assert recipe.reference
    assert labels.label_set(recipe.labels)
    assert recipe.extractor == features.get(recipe.extractor.name)(**recipe.extractor.parameters)
    model = recipe.build(4)
    assert model.input_shape == (None, *recipe.input_shape)
    assert model.output_shape == (None, 4)
    assert len(recipe.columns) == recipe.input_shape[-1]


@pytest.mark.parametrize("name", recipes.names())
def test_a_recipe_trains_and_tests_on_the_demo_corpus(name, demo_table):
    few = demo_table[demo_table["text_id"] == demo_table["text_id"].iloc[0]].reset_index(drop=True)
    few.attrs = demo_table.attrs
    recipe = dataclasses.replace(recipes.get(name), training=dataclasses.replace(recipes.get(name).training, epochs=1))
    result = recipe.run(few, "speaker_80_20", jobs=1, progress=False)
    assert result.labels == tuple(demo_table.attrs["labels"])
    assert result.parameters == recipe.build(len(result.labels)).count_params()
    assert set(result.predictions["clip_id"]) < set(few["clip_id"])


def test_the_sample_rate_is_kept_from_the_model_unless_asked_for():
    recipe = recipes.get("rastogi_mlp")
    place = recipe.extractor.feature_names.index("sample_rate")
    assert place not in recipe.columns
    assert place in dataclasses.replace(recipe, corpus_markers=True).columns


def test_probabilities_and_predictions_agree(evaluation):
    p = evaluation.predictions[[f"prob_{label}" for label in evaluation.labels]].to_numpy()
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert (np.array(evaluation.labels)[p.argmax(axis=1)] == evaluation.predictions["predicted"]).all()
    np.testing.assert_allclose(p.max(axis=1), evaluation.predictions["confidence"])


def test_the_same_seed_gives_the_same_predictions(quick, demo_functionals, evaluation):
    again = quick.run(demo_functionals, "speaker_80_20", progress=False)
    pd.testing.assert_frame_equal(again.predictions, evaluation.predictions)


def test_an_interrupted_run_goes_on(quick, demo_functionals, evaluation, tmp_path, monkeypatch):
    update = training._State.update

    def interrupt(self, row):
        update(self, row)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training._State, "update", interrupt)
        quick.run(demo_functionals, "speaker_80_20", out=tmp_path, progress=False)
    resumed = quick.run(demo_functionals, "speaker_80_20", out=tmp_path, progress=False)
    pd.testing.assert_frame_equal(resumed.predictions, evaluation.predictions)


def test_scaling_never_sees_test_clips(quick, demo_functionals, monkeypatch):
    seen = []
    fit = training.Scaler.fit.__func__

    def watched(cls, values, lengths=None):
        seen.append(values)
        return fit(cls, values, lengths)

    monkeypatch.setattr(training.Scaler, "fit", classmethod(watched))
    quick.run(demo_functionals, "speaker_80_20", progress=False)
    fold = protocols.get("speaker_80_20")(demo_functionals.table, 0)[0]
    np.testing.assert_array_equal(seen[0], demo_functionals.values[fold.train][:, quick.columns])
    assert len(seen) == 1


def test_a_protocol_that_leaks_is_refused(quick, demo_functionals, monkeypatch):
    honest = protocols.get("speaker_80_20")

    def leaky(table, seed=0):
        return [dataclasses.replace(fold, test=np.append(fold.test, fold.train[0])) for fold in honest(table, seed)]

    monkeypatch.setattr(protocols, "get", lambda name: leaky)
    with pytest.raises(LeakageError) as caught:
        quick.run(demo_functionals, "speaker_80_20", progress=False)
    assert caught.value.offenders


def test_classes_are_the_table_s_labels_or_all_its_emotions(quick, demo_functionals):
    plain = dataclasses.replace(demo_functionals, table=demo_functionals.table.drop(columns="label"))
    _, found, y = quick._prepare(plain, None, False)
    assert found == [e for e in labels.EMOTIONS if e in set(plain.table["emotion"])]
    assert (np.array(found)[y] == plain.table["emotion"]).all()


def test_wrong_features_and_a_single_class_are_refused(quick, demo_functionals):
    with pytest.raises(TrainingError, match="needs features of FrameFeatures"):
        recipes.get("ahmadov_cnn_bilstm").run(demo_functionals, progress=False)
    one = demo_functionals.subset(demo_functionals.table["emotion"] == "sad")
    with pytest.raises(TableError, match="two emotions"):
        quick.run(one, progress=False)


def test_a_bundle_s_card_says_what_it_is(quick, demo_functionals, evaluation):
    card = quick.fit(demo_functionals, evaluation=evaluation, progress=False).card
    assert card["labels"] == list(evaluation.labels)
    assert card["trained_on"][0]["corpus"] == "demo"
    assert card["trained_on"][0]["clips"] == len(demo_functionals)
    assert card["evaluation"]["scores"]["uar"]["pooled"] == evaluation.metrics()["uar"]
    low = (evaluation.predictions["confidence"] < card["uncertain_below"]).mean()
    assert 0 < low <= 0.03
    mean, std = card["typical"]["angry"]["pitch_mean"]
    angry = demo_functionals.to_frame().query("emotion == 'angry'")["pitch_mean"]
    assert (mean, std) == pytest.approx((angry.mean(), angry.std(ddof=0)), rel=1e-5)


def test_a_saved_bundle_gives_the_same_probabilities(quick, demo_functionals, evaluation, tmp_path):
    bundle = quick.fit(demo_functionals, evaluation=evaluation, progress=False)
    loaded = Bundle.load(bundle.save(tmp_path / "bundle"))
    np.testing.assert_array_equal(
        loaded.probabilities(demo_functionals.values[:20]), bundle.probabilities(demo_functionals.values[:20])
    )


def test_an_unknown_recipe_is_named():
    with pytest.raises(UnknownNameError, match="rastogi_mlp"):
        recipes.get("rastogi")
