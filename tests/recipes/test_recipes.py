"""Systems: declared parts that exist, honest runs, copies that stay with their clip, bundles that say what they are."""

from __future__ import annotations

import dataclasses
import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from quick import perceptron

from ser_kit import corpora, deploy, extraction, features, models, protocols, recipes, training
from ser_kit.audio.augment import AddNoise
from ser_kit.bundles import card_page
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.member import Member
from ser_kit.core import labels
from ser_kit.core.errors import (
    LabelError,
    LeakageError,
    NoRuntimeWarning,
    RecipeError,
    TableError,
    TrainingError,
    UnknownNameError,
)
from ser_kit.core.probabilities import apply_temperature
from ser_kit.evaluation import METRICS, Evaluation, fit_temperature
from ser_kit.features import encoders
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import final, prepared
from ser_kit.training.checkpoint import State

pytestmark = pytest.mark.usefixtures("eagerly")
FAST = training.Training(epochs=3, patience=3, batch_size=128)
ABLATIONS = [(name, ablation) for name in recipes.names() for ablation in recipes.get(name).ablations]


@pytest.fixture(scope="module")
def quick():
    """The functionals recipe with a training of three epochs."""
    return perceptron(training=FAST)


@pytest.fixture(scope="module")
def evaluation(quick, demo_functionals):
    return quick.run(demo_functionals, "speaker_80_20", progress=False)


def short(system):
    """The system with trainings of one epoch, and two rounds where it takes rounds."""
    if isinstance(system, recipes.Ensemble):
        members = system.members[:2] if system.method == "hard" else system.members  # those of the soft one again
        return dataclasses.replace(system, members=tuple(map(short, members)), rounds=2)
    return system.with_settings({"training.epochs": 1}) if isinstance(system.training, training.Training) else system


def alone(system):
    """A system's recipes: itself, or its members."""
    return getattr(system, "members", (system,))


def probabilities(evaluation):
    return evaluation.predictions[[f"prob_{label}" for label in evaluation.labels]].to_numpy()


# --------------------------------------------------------------------------------------------------- what is declared


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_reported_figures_are_of_metrics_and_emotions_that_there_are(name):
    system = recipes.get(name)
    assert set(system.published.others) <= {*METRICS, "training_accuracy"}
    assert set(system.published.classes) <= set(labels.label_set(system.labels).labels)
    classes = [figures for figures in system.published.classes.values()]
    assert set().union(*classes) <= {"precision", "recall", "f1"}
    values = [*sum(system.published.others.values(), ()), *(value for each in classes for value in each.values())]
    assert all(0 < value <= 1 for value in values)


def test_all_systems_of_the_documents_are_there():
    assert len(recipes.RECIPES) == 24
    assert recipes.names() == sorted([*recipes.RECIPES, *recipes.OWN])
    assert all(recipes.get(name).name == name for name in recipes.names())


@pytest.mark.parametrize("name", recipes.names())
def test_a_system_is_made_of_parts_that_exist(name):
    system = recipes.get(name)
    assert system.title and system.reference
    assert labels.label_set(system.labels)
    assert all(protocols.get(name) for name in (system.published.protocol, *system.published.also))
    assert system.published.protocol not in system.published.also
    assert system.published.document and system.published.corpora
    assert all(corpora.get(corpus).name == corpus for corpus in system.published.corpora)
    variants = system.published.variants
    assert set(variants) <= set(system.ablations)
    figures = (system.published.accuracy, *system.published.others.values(), *variants.values())
    assert all(0 < figure < 1 for each in figures for figure in each)
    classes = [figure for each in system.published.classes.values() for figure in each.values()]
    assert all(0 < figure <= 1 for figure in classes)
    assert sorted(system.published.accuracy) == list(system.published.accuracy)
    assert bool(system.copies) == bool(system.augmentation)
    for recipe in alone(system):
        assert recipe.labels == system.labels
        for extractor in recipe.extractors:
            described = json.loads(json.dumps(extractor.parameters))
            assert extractor == features.get(extractor.name)(**described)
        assert len(recipe.columns) == recipe.input_shape[-1]
        if isinstance(recipe.training, training.Training):
            model = recipe.build(4)
            assert model.input_shape == (None, *recipe.input_shape)
            assert model.output_shape == (None, 4)
        else:
            assert recipe.training.model in models.names() and not recipe.model
            with pytest.raises(RecipeError, match="no network before training"):
                recipe.build(4)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "ablation"), ABLATIONS)
def test_an_ablation_is_a_system_that_differs(name, ablation):
    system, changed = recipes.get(name), recipes.get(f"{name}+{ablation}")
    assert changed.name == f"{name}+{ablation}" and not changed.ablations
    assert dataclasses.replace(changed, name=name, ablations=system.ablations) != system
    assert protocols.get(changed.published.protocol)
    differs = [
        field.name
        for field in dataclasses.fields(changed)
        if field.name not in ("name", "ablations") and getattr(changed, field.name) != getattr(system, field.name)
    ]
    assert differs == sorted({path.split(".")[0] for path in system.ablations[ablation]}, key=differs.index)
    for extractor in changed.extractors:
        assert extractor == features.get(extractor.name)(**extractor.parameters)
    if hasattr(changed, "build") and changed.model:
        assert changed.build(3).output_shape == (None, 3)


def test_parameter_counts_are_the_documented_ones():
    assert recipes.get("ahmadov_cnn_bilstm").build(6).count_params() == 33_862  # of the layers; not printed in it
    for variant in ("", "+40 epochs", "+denoised, trimmed", "+as in its notebook"):
        assert recipes.get(f"rastogi_mlp{variant}").build(6).count_params() == 51_014


def test_what_the_documents_say_of_their_splits_and_settings():
    for name, figures in {"ahmadov_cnn_bilstm": 0.53, "ahmadov_forest": 0.42}.items():
        published = recipes.get(name).published
        assert (published.protocol, published.also) == ("speaker_80_20", ("random_80_20",))
        assert published.accuracy == (figures,) and published.parameters is None
        assert "speaker" in protocols.get(published.protocol).independent_of
    leaking = {name for name in recipes.RECIPES if protocols.get(recipes.get(name).published.protocol).leaks}
    assert set(recipes.RECIPES) - leaking == {"ahmadov_cnn_bilstm", "ahmadov_forest"}
    assert recipes.get("segment_dnn").published.accuracy == (0.9697,)


def test_the_cnn_bilstm_and_its_forest_as_documented():
    import keras

    recipe, forest = recipes.get("ahmadov_cnn_bilstm"), recipes.get("ahmadov_forest")
    peak, rate = recipe.extractor.extract((np.full(22050, 0.25), 22050)), recipe.extractor.sr
    np.testing.assert_array_equal(peak, recipe.extractor.extract((np.full(22050, 1.0), 22050)))  # unit amplitude
    assert (rate, recipe.input_shape) == (22050, (300, 154)) and not peak[1 + 22050 // 512 :].any()  # zero padding
    blocks = [name.rpartition("_")[0] or name for name in recipe.extractor.feature_names]
    assert {name: blocks.count(name) for name in blocks} == {"mfcc": 13, "chroma": 12, "mel": 128, "zcr": 1}
    model = recipe.build(6)
    assert [type(layer).__name__ for layer in model.layers[1:]] == [
        "Conv1D", "BatchNormalization", "MaxPooling1D", "Dropout", "Bidirectional", "Dense", "Dropout", "Dense",
    ]  # fmt: skip
    convolution, recurrent = model.layers[1], model.layers[5]
    assert (convolution.filters, convolution.kernel_size) == (32, (3,))
    assert isinstance(convolution.kernel_regularizer, keras.regularizers.L2)
    assert recurrent.forward_layer.units == model.layers[6].units == 32
    training = recipe.training
    assert (training.optimizer, training.learning_rate, training.label_smoothing) == ("nadam", 5e-4, 0.1)
    assert (training.epochs, training.batch_size, training.class_weights) == (20, 32, True)
    assert (training.patience, training.halve_after) == (5, 3)
    assert forest.input_shape == (308,) and forest.extractor.preprocess == recipe.extractor.preprocess
    assert (forest.training.n_estimators, forest.training.class_weights) == (100, True)


@pytest.mark.parametrize(("variant", "epochs"), [("", 50), ("+40 epochs", 40)])
def test_the_perceptron_on_functionals_as_documented(variant, epochs):
    recipe = recipes.get(f"rastogi_mlp{variant}")
    model = recipe.build(6)
    assert (model.input_shape, model.count_params()) == ((None, 30), recipe.published.parameters)
    counts = [layer.count_params() for layer in model.layers]
    assert counts == [0, 7_936, 1_024, 0, 32_896, 512, 0, 8_256, 390]
    assert sum(np.prod(variable.shape) for variable in model.trainable_variables) == 50_246
    kinds = [type(layer).__name__ for layer in model.layers[1:]]
    assert kinds == ["Dense", "BatchNormalization", "Dropout"] * 2 + ["Dense", "Dense"]
    settings = recipe.training
    assert (settings.optimizer, settings.learning_rate, settings.batch_size) == ("adam", 1e-3, 32)
    assert (settings.epochs, settings.patience, settings.class_weights) == (epochs, epochs, True)
    assert recipe.published.protocol == "random_70_15_15"
    names = [recipe.extractor.feature_names[i] for i in recipe.columns]
    assert names[:2] == ["duration_sec", "sample_rate"] and names[17:] == [f"mfcc_mean_{i}" for i in range(13)]


@pytest.mark.parametrize(("variant", "steps"), [("", [26, 9, 2, 1]), ("+43 columns", [39, 15, 5, 2])])
def test_the_cnn_lstm_on_functionals_as_documented(variant, steps):
    import keras

    model = recipes.get(f"rastogi_cnn_lstm{variant}").build(6)
    block = ["Conv1D", "MaxPooling1D", "BatchNormalization"]
    kinds = [type(layer).__name__ for layer in model.layers[2:]]
    assert kinds == [
        *block, *block, "Dropout", *block, "Dropout", "LSTM", "Dropout", "LSTM", "Dropout",
        "Dense", "BatchNormalization", "Dropout", "Dense", "Dropout", "Dense",
    ]  # fmt: skip
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.3, 0.3, 0.4, 0.4, 0.5, 0.3]
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    assert [(layer.filters, *layer.kernel_size) for layer in convolutions] == [(64, 5), (128, 5), (256, 3)]
    recurrent = [layer for layer in model.layers if isinstance(layer, keras.layers.LSTM)]
    assert [layer.output.shape[1] for layer in convolutions] + [recurrent[0].input.shape[1]] == steps
    assert [layer.units for layer in recurrent] == [128, 64] and model.count_params() == 405_830


def test_the_staged_cnn_lstm_as_documented():
    import keras

    recipe = recipes.get("staged_cnn_lstm")
    frames, training = recipe.extractor, recipe.training
    assert (frames.sr, frames.seconds, frames.window_ms, frames.hop_ms) == (16000, 3.0, 25.0, 10.0)
    assert (frames.n_mfcc, frames.frames, frames.parts) == (40, 150, ("mfcc", "chroma", "mel"))
    model = recipe.build(8)
    kinds = [type(layer).__name__ for layer in model.layers if layer.count_params() or "dropout" in layer.name]
    assert kinds == ["Conv2D", "BatchNormalization", "LSTM", "LSTM", "Dense", "Dropout", "Dense"]
    convolution = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert (convolution.filters, convolution.kernel_size) == (32, (3, 3))
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.LSTM)] == [128, 64]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.3]
    assert [layer.units for layer in model.layers if isinstance(layer, keras.layers.Dense)] == [64, 8]
    assert model.count_params() == 448_840
    assert (training.optimizer, training.learning_rate, training.batch_size, training.patience) == (
        "adam",
        5e-4,
        32,
        10,
    )
    assert (recipe.published.protocol, recipe.published.also) == ("random_80_20_peeking", ("random_80_20",))
    failed = [recipe.variant(f"batch {each}") for each in ("128, dropout 0.3", "32, dropout 0.5", "16, dropout 0.1")]
    found = [(each.training.batch_size, each.hyperparameters.get("dropout", 0.3)) for each in failed]
    assert found == [(128, 0.3), (32, 0.5), (16, 0.1)]


def test_stacked_parts_can_be_the_channels_of_one_picture():
    import keras

    stacked, side_by_side = (recipes.get(f"staged_cnn_lstm{each}").build(8) for each in ("", "+side by side"))
    convolutions = [
        next(la for la in model.layers if isinstance(la, keras.layers.Conv2D)) for model in (side_by_side, stacked)
    ]
    assert [layer.input.shape[1:] for layer in convolutions] == [(150, 92, 1), (150, 40, 3)]
    picture = keras.Model(stacked.input, convolutions[1].input)
    shown = picture(np.arange(92, dtype=np.float32)[None, None].repeat(150, axis=1)).numpy()[0, 0]
    np.testing.assert_array_equal(shown[:, 0], np.arange(40))
    np.testing.assert_array_equal(np.unique(shown[:, 1]), 40 + np.arange(12))
    np.testing.assert_array_equal(shown[:, 2], 52 + np.arange(40))
    with pytest.raises(ValueError, match=r"channels of \(40, 12\) dims do not make up the 92"):
        recipes.get("staged_cnn_lstm").with_settings({"hyperparameters.channels": (40, 12)}).build(8)


def test_an_unknown_recipe_or_ablation_is_named():
    with pytest.raises(UnknownNameError, match="rastogi_mlp"):
        recipes.get("rastogi")
    with pytest.raises(RecipeError, match="'MFCC alone'"):
        recipes.get("staged_cnn_lstm+MFCC only")
    with pytest.raises(RecipeError, match="it has: none"):
        recipes.get("voting_svm").variant("linear")


# ------------------------------------------------------------------------------------------------------------ changes


def test_any_setting_can_be_changed_and_the_rest_stays():
    recipe = recipes.get("staged_cnn_lstm")
    changes = {"training.epochs": 3, "hyperparameters": {"dropout": 0.5}, "extractor.parts": ["mfcc"]}
    changed = recipe.with_settings(changes)
    assert (changed.training.epochs, changed.hyperparameters["dropout"], changed.name) == (3, 0.5, recipe.name)
    assert changed.extractor.shape == (150, 40)
    assert changed.training == dataclasses.replace(recipe.training, epochs=3)
    assert recipe.training.epochs == 100  # the recipe itself is as it was
    assert recipe.hyperparameters == {"channels": (40, 12, 40)}
    assert changed.ablations == recipe.ablations
    assert hash(changed.extractor) == hash(recipe.variant("MFCC alone").extractor)  # a list, as JSON has it, or not


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("rastogi_mlp", {"training.epoch": 3}),
        ("rastogi_mlp", {"trainings.epochs": 3}),
        ("rastogi_mlp", {"training.epochs.most": 3}),
        ("rastogi_mlp", {"hyperparameters.drop_out": 0.1}),
        ("rastogi_mlp", {"hyperparameters.dropout.first": 0.1}),
        ("rastogi_mlp", {"extractor.seconds": 3.0}),
        ("ahmadov_forest", {"hyperparameters.trees": 3}),
        ("voting_soft", {"training.epoch": 3}),
        ("rastogi_mlp", {"": 3}),
    ],
)
def test_a_setting_that_is_not_there_is_refused(name, changes):
    with pytest.raises(RecipeError, match="no setting"):
        recipes.get(name).with_settings(changes)


# --------------------------------------------------------------------------------------------------------------- runs


@pytest.fixture
def traced(name):
    """Step by step, without a graph, a recurrent layer over many frames takes longer than TensorFlow takes to trace."""
    import tensorflow as tf

    layers = {recipe.model for recipe in alone(recipes.get(name))}
    tf.config.run_functions_eagerly(not layers & {"lstm", "cnn_bilstm", "cnn2d_lstm"})
    yield
    tf.config.run_functions_eagerly(True)


@pytest.mark.slow
@pytest.mark.usefixtures("traced", "networks")
@pytest.mark.parametrize("name", recipes.names())
def test_a_system_trains_as_published_and_its_bundle_predicts_the_same(name, some_clips, tmp_path, monkeypatch):
    system, calibrated = short(recipes.get(name)), []
    for extractor in system.extractors:
        if isinstance(extractor, features.SpeechEncoder) and encoders.get(extractor.encoder).handle:
            pytest.skip(
                f"{extractor.encoder} is fetched (1 to 6 GB); whisper_base_linear differs in encoder and blocks only"
            )
    fitted = recipes.System._fitted
    monkeypatch.setattr(recipes.System, "_fitted", lambda *args: calibrated.append(fitted(*args)) or calibrated[-1])
    material = system.prepare(some_clips, jobs=0, progress=False)
    assert list(material.features) == list(system.extractors)
    for extractor, found in material.features.items():
        assert found.values.shape[1:] == (extractor.shape[0] or found.lengths.max(), *extractor.shape[1:])
    assert len(material.originals) == len(some_clips) and len(material.y) == len(some_clips) * (1 + system.copies)
    fold = system.folds(material, recipes.PUBLISHED)[0]
    evaluation = system.run_fold(material, fold, progress=False)
    ((bundle, histories),) = calibrated
    assert (evaluation.recipe, evaluation.labels) == (name, tuple(some_clips.attrs["labels"]))
    assert evaluation.protocol == recipes.get(name).published.protocol
    assert evaluation.parameters == sum(member.model.count_params() for member in bundle.members)
    networks = [recipe for recipe in alone(system) if isinstance(recipe.training, training.Training)]
    if networks == [system]:
        assert evaluation.parameters == system.build(len(evaluation.labels)).count_params()
        assert evaluation.parameters == (system.published.parameters or evaluation.parameters)
    expected = 0 if not networks else system.rounds if len(alone(system)) < len(bundle.members) else len(networks)
    assert [len(history) for history in histories] == [1] * expected
    assert list(evaluation.predictions["clip_id"]) == list(material.table["clip_id"].iloc[fold.test])
    np.testing.assert_allclose(probabilities(evaluation).sum(axis=1), 1, atol=1e-6)

    # What is saved answers as what was trained; the predictor measures the recording by itself.
    bundle = Bundle(final.card(system, material, bundle, evaluation, evaluation, 1, False), bundle.members)
    loaded = Bundle.load(bundle.save(tmp_path / "bundle"))
    files = (
        ["model.keras"] if len(bundle.members) == 1 else [f"model_{i + 1}.keras" for i in range(len(bundle.members))]
    )
    assert sorted(path.name for path in (tmp_path / "bundle").iterdir()) == ["README.md", "card.json", *files]
    row = int(fold.test[0])
    values = material.values(np.array([row]))
    np.testing.assert_array_equal(loaded.probabilities(values), bundle.probabilities(values))
    answer = Predictor(loaded).predict(material.table["path"].iloc[row])
    assert list(answer.probabilities) == list(evaluation.labels)
    np.testing.assert_allclose(list(answer.probabilities.values()), bundle.probabilities(values)[0], atol=1e-5)


def test_the_sample_rate_is_kept_from_the_model_unless_asked_for():
    recipe = recipes.get("rastogi_mlp")  # whose document has it among its inputs
    place = recipe.extractor.feature_names.index("sample_rate")
    assert place in recipe.columns
    assert place not in dataclasses.replace(recipe, corpus_markers=False).columns


def test_probabilities_and_predictions_agree(evaluation):
    p = probabilities(evaluation)
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert (np.array(evaluation.labels)[p.argmax(axis=1)] == evaluation.predictions["predicted"]).all()
    np.testing.assert_allclose(p.max(axis=1), evaluation.predictions["confidence"])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_predictions(quick, demo_functionals, evaluation):
    again = quick.run(demo_functionals, "speaker_80_20", progress=False)
    pd.testing.assert_frame_equal(again.predictions, evaluation.predictions)


@pytest.mark.slow
def test_an_interrupted_run_goes_on(quick, demo_functionals, evaluation, tmp_path, monkeypatch):
    update = State.update

    def interrupt(self, row):
        update(self, row)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(State, "update", interrupt)
        quick.run(demo_functionals, "speaker_80_20", out=tmp_path, progress=False)
    resumed = quick.run(demo_functionals, "speaker_80_20", out=tmp_path, progress=False)
    pd.testing.assert_frame_equal(resumed.predictions, evaluation.predictions)


def test_the_published_protocol_can_be_asked_for(quick, demo_functionals):
    material = quick.prepare(demo_functionals, progress=False)
    (published,), (named,) = quick.folds(material, recipes.PUBLISHED, 3), quick.folds(material, "random_70_15_15", 3)
    assert published.name == named.name == "random_70_15_15/0"
    np.testing.assert_array_equal(published.test, named.test)


def test_what_was_prepared_is_not_prepared_again(quick, demo_functionals, monkeypatch):
    material = quick.prepare(demo_functionals, progress=False)
    monkeypatch.setattr("ser_kit.recipes.prepared.extract", lambda *_, **__: pytest.fail("extracted again"))
    assert quick.prepare(material) is material
    assert material.features[quick.extractor] is demo_functionals
    assert quick.same_data(quick.with_settings({"training.epochs": 1}))
    assert not quick.same_data(quick.with_settings({"copies": 1, "augmentation": (AddNoise(),)}))


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


def test_what_is_not_scaled_is_left_alone(demo_few):
    recipe = recipes.get("ahmadov_forest").with_settings({"scale": False, "training.n_estimators": 2})
    material = recipe.prepare(demo_few, jobs=0, progress=False)
    split = recipe._split(material, *_folded(recipe, material), 0, None, "", False, "")
    (member,), _ = recipe.train(split)
    assert (member.scaler.mean == 0).all() and (member.scaler.scale == 1).all()
    assert sorted(split.fitted) == ["training"]


def _folded(recipe, material):
    (fold,) = recipe.folds(material, "speaker_80_20")
    return fold.train, fold.validation


def test_what_each_part_was_fitted_on_is_noted(demo_functionals):
    recipe = perceptron(training__epochs=1)
    material = recipe.prepare(demo_functionals, progress=False)
    (fold,) = recipe.folds(material, "speaker_80_20")
    split = recipe._split(material, fold.train, fold.validation, 0, None, "", False, "")
    recipe._temperature(recipe._fitted(split)[0], split)
    assert sorted(split.fitted) == ["calibration", "early stopping", "scaler", "training"]
    for what in ("scaler", "training"):
        np.testing.assert_array_equal(split.fitted[what], fold.train)
    for what in ("calibration", "early stopping"):
        np.testing.assert_array_equal(split.fitted[what], fold.validation)


@pytest.mark.parametrize("what", ["scaler", "training", "early stopping", "calibration"])
def test_whatever_is_fitted_on_a_test_clip_is_caught(what, demo_few, monkeypatch):
    recipe = perceptron(training__epochs=1)
    material = recipe.prepare(demo_few, jobs=0, progress=False)
    (fold,) = recipe.folds(material, "speaker_80_20")
    note = recipes.Split.note

    def careless(self, name, rows):
        return note(self, name, np.append(rows, fold.test[0]) if name == what else rows)

    monkeypatch.setattr(recipes.Split, "note", careless)
    if what == "training":  # the rows it returns are those that are weighted by nobody here
        monkeypatch.setattr(recipes.Recipe, "_fit", lambda *_: pd.DataFrame({"seconds": [0.0]}))
    with pytest.raises(LeakageError, match=f"the {what} was fitted on test clips"):
        recipe.run_fold(material, fold, progress=False)


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
    found = quick.prepare(plain, progress=False)
    assert list(found.labels) == [e for e in labels.EMOTIONS if e in set(plain.table["emotion"])]
    assert (np.array(found.labels)[found.y] == plain.table["emotion"]).all()


@pytest.mark.parametrize("column", ["label", "emotion"])
def test_a_label_that_is_not_known_is_named_before_any_work(quick, demo_few, column, monkeypatch):
    monkeypatch.setattr("ser_kit.recipes.prepared.extract", lambda *_, **__: pytest.fail("extracted"))
    table = demo_few if column == "label" else demo_few.drop(columns="label")
    table = table.assign(**{column: ["bored"] + ["gleeful"] * 2 + table[column].tolist()[3:]})
    table.attrs = demo_few.attrs
    with pytest.raises(LabelError, match=f"column '{column}' has 'bored', 'gleeful'; expected neutral, .*sad"):
        quick.prepare(table, progress=False)


def test_wrong_features_and_a_single_class_are_refused(quick, demo_functionals):
    with pytest.raises(TrainingError, match="needs features of FrameFeatures"):
        recipes.get("ahmadov_cnn_bilstm").run(demo_functionals, progress=False)
    one = demo_functionals.subset(demo_functionals.table["emotion"] == "sad")
    with pytest.raises(TableError, match="two emotions"):
        quick.run(one, progress=False)


# ------------------------------------------------------------------------------------------------------------- copies


@pytest.fixture(scope="module")
def noisy():
    """A forest of functionals with two noisy copies of each training clip."""
    return recipes.get("ahmadov_forest").with_settings(
        {"training.n_estimators": 5, "copies": 2, "augmentation": (AddNoise(),), "extractor": features.Functionals()},
        "noisy",
    )


@pytest.fixture(scope="module")
def copied(noisy, demo_few):
    return noisy.prepare(demo_few, jobs=0, progress=False)


def test_copies_stand_behind_their_clips_and_differ_from_them(copied, demo_few):
    n = len(demo_few)
    table, values = copied.table, next(iter(copied.features.values())).values
    assert list(table["clip_id"].iloc[:n]) == list(demo_few["clip_id"])
    assert (table["parent"].iloc[:n] == "").all()
    for i in (1, 2):
        part = table.iloc[i * n : (i + 1) * n]
        assert list(part["parent"]) == list(demo_few["clip_id"])
        assert list(part["clip_id"]) == [f"{clip}#{i}" for clip in demo_few["clip_id"]]
        np.testing.assert_array_equal(copied.y[i * n : (i + 1) * n], copied.y[:n])
    originals, first, second = np.split(values, 3)
    assert all((a != b).any(axis=1).all() for a, b in [(originals, first), (originals, second), (first, second)])
    np.testing.assert_array_equal(copied.originals, np.arange(n))


@pytest.mark.parametrize("protocol", ["speaker", "random", "speaker_80_20", "random_80_20", "temporal_80_10_10"])
def test_copies_are_trained_on_only_and_follow_their_clip(noisy, copied, protocol):
    parent, clips = copied.table["parent"].to_numpy(), copied.table["clip_id"].to_numpy()
    for fold in noisy.folds(copied, protocol):
        assert (parent[fold.validation] == "").all() and (parent[fold.test] == "").all()
        trained = set(clips[fold.train][parent[fold.train] == ""])
        copies = parent[fold.train][parent[fold.train] != ""]
        assert set(copies) == trained and len(copies) == 2 * len(trained)


def test_a_split_after_augmentation_lets_copies_cross_and_admits_it(noisy, copied):
    (fold,) = noisy.folds(copied, "random_80_20_copies")
    family = np.where(copied.table["parent"] == "", copied.table["clip_id"], copied.table["parent"])
    assert set(family[fold.train]) & set(family[fold.test])
    assert (fold.label, fold.leaks) == ("speaker-dependent", ("speaker", "augmented copies"))
    assert not noisy.run_fold(copied, fold, progress=False).speaker_independent


def test_a_copy_of_a_tested_clip_in_training_is_caught(noisy, copied):
    (fold,) = noisy.folds(copied, "random_80_20")
    n = len(copied.originals)
    tampered = dataclasses.replace(fold, train=np.append(fold.train, fold.test[0] + n))
    with pytest.raises(LeakageError, match="the same recording is in train and in test") as caught:
        noisy.run_fold(copied, tampered, progress=False)
    assert caught.value.offenders


def test_a_bundle_is_fitted_on_copies_of_no_clip_that_stops_it(noisy, copied, monkeypatch):
    seen = []
    fitted = recipes.System._fitted
    monkeypatch.setattr(recipes.System, "_fitted", lambda self, split: seen.append(split) or fitted(self, split))
    evaluation = noisy.run(copied, "speaker_80_20", progress=False)
    bundle = noisy.fit(copied, evaluation=evaluation, jobs=0, progress=False)
    final = seen[-1]
    family = np.where(copied.table["parent"] == "", copied.table["clip_id"], copied.table["parent"])
    assert set(family) == set(family[final.train]) | set(family[final.validation])
    assert not set(family[final.train]) & set(family[final.validation])
    assert bundle.card["trained_on"][0]["clips"] == len(copied.originals)


def test_members_of_features_that_failed_on_different_clips_stay_aligned(demo_few):
    two = features.Functionals(), features.FrameStatistics()
    found = {e: extraction.extract(demo_few, e, jobs=0, progress=False) for e in two}
    found = {e: f.subset(np.arange(len(f)) != lost) for (e, f), lost in zip(found.items(), (3, 7), strict=True)}
    first, second = prepared.same_rows(found).values()
    assert list(first.table["clip_id"]) == list(second.table["clip_id"])
    assert len(first) == len(second) == len(demo_few) - 2


# ------------------------------------------------------------------------------------------------------------ bundles


def test_a_bundle_s_card_says_what_it_is(quick, demo_functionals, evaluation):
    bundle = quick.fit(demo_functionals, evaluation=evaluation, progress=False)
    card = bundle.card
    assert (card["name"], card["combine"], bundle.labels) == (quick.name, "soft", evaluation.labels)
    (member,) = bundle.members
    assert isinstance(member, Member) and member.extractor == quick.extractor and member.columns == quick.columns
    assert (member.builder, member.weight) == ("mlp", 1.0)
    assert card["trained_on"][0]["corpus"] == "demo"
    assert card["trained_on"][0]["clips"] == len(demo_functionals)
    assert card["evaluation"]["scores"]["uar"]["pooled"] == evaluation.metrics()["uar"]
    together, temperature = final.calibrate(evaluation)
    assert card["temperature"] == temperature
    assert 0 < (together.predictions["confidence"] < card["uncertain_below"]).mean() <= 0.03
    made = card["training"]
    assert made["settings"] == json.loads(json.dumps(quick.declaration)) and made["settings"]["training"]["epochs"] == 3
    assert made["data"] == evaluation.data and made["data"]["clips"] == len(demo_functionals)
    assert (made["protocol"], made["seed"], made["command"]) == ("speaker_80_20", 0, "")
    assert f"audio: `{made['data']['digest']}`" in card_page.markdown({**card, "members": []})
    mean, std = card["typical"]["angry"]["pitch_mean"]
    angry = demo_functionals.to_frame().query("emotion == 'angry'")["pitch_mean"]
    assert (mean, std) == pytest.approx((angry.mean(), angry.std(ddof=0)), rel=1e-5)


def test_a_saved_bundle_gives_the_same_probabilities(quick, demo_functionals, evaluation, tmp_path):
    bundle = quick.fit(demo_functionals, evaluation=evaluation, progress=False)
    loaded = Bundle.load(bundle.save(tmp_path / "bundle"))
    np.testing.assert_array_equal(
        loaded.probabilities(demo_functionals.values[:20]), bundle.probabilities(demo_functionals.values[:20])
    )


@pytest.mark.slow
def test_a_bundle_without_a_runtime_is_kept_and_says_why(quick, demo_functionals, evaluation, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoRuntimeWarning)  # nothing failed: a graph cannot compute Praat's features
        bundle = quick.fit(demo_functionals, evaluation=evaluation, progress=False)
    assert "cannot compute 'functionals' features" in bundle.card["runtime"]["none_since"]

    def converts_not(served):
        raise ValueError("an operator that ONNX has not")

    monkeypatch.setattr(deploy.graph, "takes_samples", lambda extractor: True)
    monkeypatch.setattr("ser_kit.deploy.exporter.serving_module", lambda *args, **options: None)
    monkeypatch.setattr("ser_kit.deploy.exporter.written", converts_not)
    with pytest.warns(NoRuntimeWarning, match="has no model.onnx: an operator that ONNX has not"):
        bundle = quick.fit(demo_functionals, evaluation=evaluation, progress=False)
    loaded = Bundle.load(bundle.save(tmp_path / "bundle"))
    assert loaded.runtime is None and loaded.card["runtime"] == {"none_since": "an operator that ONNX has not"}


def test_a_bundle_is_calibrated_on_the_predictions_of_all_folds_together(evaluation):
    columns = [f"prob_{label}" for label in evaluation.labels]
    plain = evaluation.predictions[columns].to_numpy()
    plain = apply_temperature(plain, 1 / evaluation.temperatures[0])
    halves = [evaluation.predictions.assign(fold=i) for i in (0, 1)]
    for half, used in zip(halves, (0.5, 4.0), strict=True):
        half[columns] = apply_temperature(plain, used)
    both = dataclasses.replace(evaluation, predictions=pd.concat(halves), temperatures=(0.5, 4.0))
    together, temperature = final.calibrate(both)
    true = pd.Index(evaluation.labels).get_indexer(evaluation.predictions["true"])
    assert temperature == pytest.approx(fit_temperature(np.tile(plain, (2, 1)), np.tile(true, 2)), rel=1e-3)
    np.testing.assert_allclose(probabilities(together)[: len(plain)], apply_temperature(plain, temperature), atol=1e-6)


def test_an_evaluation_that_kept_no_temperatures_is_refused(quick, demo_functionals, evaluation):
    with pytest.raises(TrainingError, match="0 temperatures for 1 folds"):
        quick.fit(demo_functionals, evaluation=dataclasses.replace(evaluation, temperatures=()), progress=False)


def test_the_digest_of_the_data_is_of_speakers_classes_and_sound(quick, demo_functionals, tmp_path):
    few = demo_functionals.subset(np.arange(0, len(demo_functionals.table), 23))
    material = quick.prepare(few, progress=False)

    def digest(**columns):
        return dataclasses.replace(material, table=few.table.assign(**columns)).data["digest"]

    moved = [shutil.copy(path, tmp_path / f"{i}.wav") for i, path in enumerate(few.table["path"])]
    assert digest() == digest(path=moved), "the same sound at another place"
    assert len({digest(), digest(speaker="demo:1"), digest(path=[moved[1], *moved[1:]])}) == 3
    assert dataclasses.replace(material, y=material.y[::-1]).data["digest"] != digest()


def test_an_evaluation_of_something_else_is_refused(demo_few, evaluation):
    with pytest.raises(TrainingError, match="the evaluation given is of rastogi_mlp"):
        recipes.get("ahmadov_forest").fit(demo_few, evaluation=evaluation, jobs=0, progress=False)
    assert isinstance(evaluation, Evaluation)
