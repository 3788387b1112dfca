"""Training: repeatable, resumable to the bit, and plain about bad input."""

from dataclasses import replace

import numpy as np
import pytest

from ser_kit import models, training
from ser_kit.core import paths
from ser_kit.core.errors import DamagedCheckpointWarning, TrainingError
from ser_kit.training import loop, pretraining
from ser_kit.training.batches import Mixup, SpecAugment
from ser_kit.training.checkpoint import State
from ser_kit.training.data import shuffled


@pytest.fixture
def untraced():
    """Without the seconds that TensorFlow takes to trace each network."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


FAST = training.Training(epochs=6, patience=6, halve_after=1, label_smoothing=0.1, batch_size=16, learning_rate=0.01)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 8)).astype("float32") + 1.5 * np.eye(3, 8, dtype="float32")[y]
    return (x[:64], y[:64]), (x[64:], y[64:])


def new_model(seed=1):
    training.seed_everything(seed)
    return models.get("mlp")((8,), 3, units=(16, 8), dropout=(0.3, 0.2), batch_norm=(True, False))


def run(data, checkpoint=None, settings=FAST, seed=1, **more):
    (x, y), validation = data
    model = new_model(seed)
    history = training.fit(
        model, x, y, validation=validation, training=settings, seed=seed, checkpoint=checkpoint, progress=False, **more
    )
    return model.get_weights(), history.drop(columns="seconds")


@pytest.fixture(scope="module")
def reference(data):
    return run(data)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.slow
def test_same_seed_gives_the_same_weights_and_another_seed_others(data, reference):
    assert equal(run(data)[0], reference[0])
    assert not equal(run(data, seed=2)[0], reference[0])


@pytest.mark.slow
def test_networks_alike_share_what_was_compiled_and_nothing_else(data, reference, monkeypatch):
    import keras

    monkeypatch.setattr(loop, "_idle", {})
    cloned, clone_model = [], keras.models.clone_model
    monkeypatch.setattr(keras.models, "clone_model", lambda model: cloned.append(model) or clone_model(model))
    adam = training.Training(epochs=2, batch_size=16, optimizer="nadam")  # whose state does not begin with zeros only
    first, again = run(data, settings=adam)[0], run(data, settings=adam)[0]
    assert len(cloned) == 1
    assert equal(first, again)
    assert equal(run(data)[0], reference[0])
    assert len(cloned) == 2
    assert len(loop._idle) == 1


def test_networks_that_are_joined_otherwise_share_nothing():
    import keras

    def network(joined, rate=0.1):
        first = inputs = keras.Input((4,))
        first = keras.layers.Dense(4)(first)
        second = keras.layers.Dense(4)(first)
        x = keras.layers.Add()([second, first if joined else inputs])
        return keras.Model(inputs, keras.layers.Dropout(rate)(x))

    assert loop._architecture(network(True)) == loop._architecture(network(True))
    assert loop._architecture(network(True)) != loop._architecture(network(False))
    assert loop._architecture(network(True)) != loop._architecture(network(True, 0.2))


def test_memory_mapped_input_trains_to_the_same_weights(data, reference, tmp_path):
    (x, y), (x_val, y_val) = data
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "x_val.npy", x_val)
    mapped = [np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "x_val.npy")]
    weights, history = run(((mapped[0], y), (mapped[1], y_val)))
    assert equal(weights, reference[0])
    assert history.equals(reference[1])


def test_it_learns(reference):
    assert reference[1]["loss"].iloc[-1] < reference[1]["loss"].iloc[0]
    assert list(reference[1].columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


def test_the_history_tells_the_seconds_of_each_epoch_and_keeps_them(data, tmp_path, untraced):
    (x, y), validation = data
    settings = {
        "validation": validation,
        "training": replace(FAST, epochs=2),
        "checkpoint": tmp_path,
        "progress": False,
    }
    histories = [training.fit(new_model(), x, y, **settings)["seconds"] for _ in range(2)]
    assert len(histories[0]) == 2 and (histories[0] > 0).all()
    assert histories[0].equals(histories[1])  # the second was not trained, and took what the first had taken


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_an_interrupted_run_resumes_to_the_same_weights(data, reference, tmp_path, monkeypatch, stop_after):
    update = State.update

    def interrupt(self, row):
        update(self, row)
        if self.epoch == stop_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(State, "update", interrupt)
        run(data, tmp_path)
    weights, history = run(data, tmp_path)
    assert equal(weights, reference[0])
    assert history.equals(reference[1])


VOICES = np.array(["ada", "bob", "cyd", "dee"])[np.random.default_rng(3).integers(0, 4, 64)]
SIMPLE = replace(FAST, epochs=4, class_weights=False)
COSINE = training.Training(
    optimizer="adamw", learning_rate=0.01, weight_decay=0.02, clip_norm=1.0, cosine=True, epochs=10, patience=None,
    batch_size=16,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "more"),
    [
        (replace(FAST, epochs=4, speaker_penalty=0.3), {"speakers": VOICES}),
        (replace(FAST, epochs=4, augment=(Mixup(),)), {"weights": np.linspace(0, 2, 64)}),
        (COSINE, {}),
    ],
)
def test_a_run_with_an_adversary_or_mixed_batches_resumes_to_the_same_weights(
    data, tmp_path, monkeypatch, settings, more
):
    interrupted_and_not(lambda folder: run(data, folder, settings, **more), tmp_path, monkeypatch)


@pytest.mark.slow
def test_the_rate_rises_and_falls_along_a_cosine(data, untraced):
    weights, history = run(data, settings=COSINE)
    rates = history["learning_rate"].to_numpy()  # after each epoch of four steps; the rise takes four
    np.testing.assert_allclose(rates, 0.01 * (1 + np.cos(np.pi * np.arange(10) / 9)) / 2, atol=1e-8)
    with pytest.raises(TrainingError, match="cosine and halve_after"):
        replace(COSINE, halve_after=2)


@pytest.mark.slow
def test_without_patience_the_last_weights_are_kept(data, monkeypatch, untraced):
    kept, update = [], State.update

    def keep(self, row):
        update(self, row)
        kept.append(self.model.get_weights())

    monkeypatch.setattr(State, "update", keep)
    weights, history = run(data, settings=replace(FAST, learning_rate=0.3, patience=None, halve_after=None, epochs=7))
    assert len(history) == 7 and history["val_loss"].idxmin() < 6, "the last is not the best here"
    assert equal(weights, kept[-1])


def test_without_patience_no_clips_need_be_held_out(untraced):
    x, y = np.random.default_rng(0).normal(size=(12, 8)).astype("float32"), np.arange(12) % 3
    settings, histories, taught = replace(SIMPLE, epochs=2, patience=None, halve_after=None), [], []
    for validation in (None, (x, y)):
        taught.append(plain_model())
        histories.append(training.fit(taught[-1], x, y, validation=validation, training=settings, progress=False))
    assert histories[0]["val_loss"].isna().all() and histories[1]["val_loss"].notna().all()
    assert histories[0]["loss"].tolist() == histories[1]["loss"].tolist()
    assert equal(*(model.get_weights() for model in taught))
    with pytest.raises(TrainingError, match="expected validation clips"):
        training.fit(plain_model(), x, y, validation=None, training=replace(settings, patience=3), progress=False)


def test_a_corpus_teaches_nothing_about_classes_that_it_lacks(monkeypatch, untraced):
    taught = []
    for name in ("shuffled", "in_order"):
        batches = getattr(loop, name)
        monkeypatch.setattr(
            loop, name, lambda x, targets, *rest, of=batches: taught.append(targets) or of(x, targets, *rest)
        )
    corpus, y = np.repeat(["a", "b"], 6), np.array([0, 1, 2] * 2 + [0, 1] * 3)
    x = np.random.default_rng(0).normal(size=(12, 8)).astype("float32")
    settings = replace(SIMPLE, epochs=1, mask_absent=True)
    validation = x[:4], np.array([2, 1, 2, 0])  # the third class in corpus b: seen for the first time
    training.fit(
        plain_model(), x, y, validation=validation, training=settings, progress=False,
        corpora=(corpus, np.array(["a", "b", "b", "c"])),
    )  # fmt: skip
    once = np.eye(3)[y]
    once[6:, 2] = -1
    np.testing.assert_array_equal(taught[0], once)
    np.testing.assert_array_equal(taught[1], [[0, 0, 1], [0, 1, -1], [0, 0, 1], [1, 0, 0]])


def test_the_masked_loss_is_that_of_the_classes_there_are():
    import keras

    loss = loop._masked_crossentropy(0.1)
    said = np.array([[0.2, 0.3, 0.5], [0.6, 0.1, 0.3]], "float32")
    two = said[:, :2] / said[:, :2].sum(axis=1, keepdims=True)
    wanted = np.array([[1, 0, -1], [0, 1, -1]], "float32")
    expected = keras.losses.CategoricalCrossentropy(label_smoothing=0.1, reduction=None)
    np.testing.assert_allclose(loss(wanted, said), expected(wanted[:, :2], two), rtol=1e-5)
    other = np.column_stack([two * 0.01, [0.99, 0.99]]).astype("float32")
    np.testing.assert_allclose(loss(wanted, other), loss(wanted, said), rtol=1e-4)


@pytest.mark.slow
def test_masks_of_corpora_with_every_class_change_nothing(data):
    one = tuple(np.full(len(part[1]), "a") for part in data)
    masked = run(data, settings=replace(FAST, mask_absent=True), corpora=one)
    for got, wanted in zip(masked[0], run(data)[0], strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-3)
    np.testing.assert_allclose(masked[1]["val_loss"], run(data)[1]["val_loss"], atol=1e-3)


def test_what_masks_need():
    with pytest.raises(TrainingError, match="mask_absent and mixup cannot be combined"):
        training.Training(mask_absent=True, augment=("mixup",))
    with pytest.raises(TrainingError, match="needs the corpora"):
        x, y = np.zeros((4, 8), "float32"), np.arange(4) % 3
        training.fit(plain_model(), x, y, validation=(x, y), training=training.Training(mask_absent=True))


def test_weight_decay_and_the_limit_of_gradients_reach_the_optimiser():
    with loop._compiled(new_model(), COSINE, 4) as compiled:
        pass
    assert compiled.optimizer.weight_decay == 0.02 and compiled.optimizer.global_clipnorm == 1.0


@pytest.mark.slow
def test_a_run_with_masked_frames_resumes_to_the_same_weights(tmp_path, monkeypatch, untraced):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(24, 12, 5)).astype("float32"), np.arange(24) % 2

    def train(folder):
        training.seed_everything(0)
        model = models.get("lstm")((12, 5), 2, units=(3,))
        settings = replace(SIMPLE, epochs=3, augment=(SpecAugment(time_width=4, band_width=2), Mixup()))
        history = training.fit(
            model, x, y, validation=(x, y), training=settings, checkpoint=folder, progress=False
        ).drop(columns="seconds")
        return model.get_weights(), history

    interrupted_and_not(train, tmp_path, monkeypatch)


def interrupted_and_not(train, folder, monkeypatch):
    """The same weights and history, whether a training is left alone or broken off after two epochs."""
    whole, update = train(None), State.update

    def interrupt(self, row):
        update(self, row)
        if self.epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(State, "update", interrupt)
        train(folder)
    weights, history = train(folder)
    assert equal(weights, whole[0])
    assert history.equals(whole[1])


def test_batches_are_augmented_anew_each_epoch_and_validation_never(data, monkeypatch, untraced):
    (x, y), validation = data
    seen = []

    class Watched(Mixup):
        def __call__(self, inputs, targets, rng):
            mixed = super().__call__(inputs, targets, rng)
            seen.append((len(inputs), mixed[0].copy()))
            return mixed

    monkeypatch.setattr(loop, "_run_identity", lambda *_: "")
    settings = replace(SIMPLE, epochs=2, augment=(Watched(),))
    training.fit(new_model(), x, y, validation=validation, training=settings, progress=False)
    batches = [changed.tobytes() for _, changed in seen]
    assert {n for n, _ in seen} == {16} and len(set(batches)) >= 8  # four batches, two epochs, each drawn by itself


def test_every_place_that_draws_has_a_stream_of_its_own():
    places = [(s, *p) for s in range(4) for p in ([], [0], [0, 0], [1], [1, 0], ["a"], ["a", 0], ["a", 0, 0])]
    drawn = {np.random.default_rng(training.sequence(*place)).bytes(16) for place in places}
    assert len(drawn) == len(places)
    assert len({training.subseed(*place) for place in places}) == len(places)


def test_an_epochs_order_and_what_its_batches_draw_are_streams_of_their_own(data, monkeypatch):
    drawn, default_rng = [], np.random.default_rng
    monkeypatch.setattr(np.random, "default_rng", lambda key: drawn.append(default_rng(key)) or drawn[-1])
    (x, y), _ = data
    targets, nobody = np.eye(3, dtype=np.float32)[y], np.zeros((64, 0), np.float32)
    for seed, epoch in [(0, 0), (0, 1), (1, 0)]:
        settings = replace(FAST, augment=("mixup",))
        list(shuffled(x, targets, nobody, np.ones(64, np.float32), settings, seed, epoch))
    assert len(drawn) == 3 * (1 + 4)
    assert len({repr(rng.bit_generator.seed_seq.generate_state(4)) for rng in drawn}) == len(drawn)


def test_what_is_mixed_is_mixed_with_its_weight_and_its_speaker():
    """Each clip's number is its input, class and speaker, so that what became of it can be read off all of them."""
    n = 8
    weights = np.linspace(0, 2, n).astype(np.float32)
    settings = training.Training(batch_size=n, augment=(Mixup(alpha=1.0),), speaker_penalty=0.1)
    one_hot = np.eye(n, dtype=np.float32)
    ((x, wanted, counts),) = shuffled(one_hot, one_hot, one_hot, weights, settings, 0, 0)
    assert ((x > 0).sum(axis=1) == 2).any(), "some are mixed"
    np.testing.assert_allclose(wanted["speaker"], x, atol=1e-6)
    np.testing.assert_allclose(counts["emotion"], x @ weights, atol=1e-6)
    # A label counts as much as its share of the clip and its weight say.
    np.testing.assert_allclose(wanted["emotion"] * counts["emotion"][:, None], x * weights, atol=1e-6)
    assert (counts["speaker"] == 1).all()


def test_augmentation_that_mixes_nothing_leaves_labels_and_weights_as_they_were():
    n = 8
    weights, one_hot = np.linspace(0, 2, n).astype(np.float32), np.eye(n, dtype=np.float32)
    absent = np.where(np.arange(n) == 3, -1, one_hot).astype(np.float32)
    settings = training.Training(batch_size=n, augment=(SpecAugment(),))
    x = np.repeat(one_hot[:, None], 4, axis=1)
    ((_, wanted, counts),) = shuffled(x, absent, np.zeros((n, 0), np.float32), weights, settings, 0, 0)
    order = np.argsort(counts)
    np.testing.assert_array_equal(counts[order], weights)
    np.testing.assert_array_equal(wanted[order][1:], absent[1:])


# ------------------------------------------------------------------------------------------------------------- weights


def plain_model(inputs=8, classes=3, units=(16,)):
    training.seed_everything(1)
    return models.get("mlp")(
        (inputs,), classes, units=units, dropout=(0,) * len(units), batch_norm=(False,) * len(units)
    )


@pytest.mark.slow
def test_a_clip_of_weight_0_teaches_nothing(data, untraced):
    (x, y), validation = data
    weights = np.where(np.arange(len(y)) % 4 == 0, 0.0, 1.0)
    wrong = np.where(weights == 0, (y + 1) % 3, y)
    found = []
    for targets, given in [(y, weights), (wrong, weights), (wrong, None)]:
        model = plain_model()
        training.fit(
            model, x, targets, validation=validation, training=SIMPLE, weights=given, progress=False
        )  # fmt: skip
        found.append(model.get_weights())
    assert equal(found[0], found[1])
    assert not equal(found[0], found[2])


@pytest.mark.slow
def test_clip_weights_and_class_weights_multiply(data, untraced):
    (x, y), validation = data
    counts = np.bincount(y)
    balanced = len(y) / (3 * counts[y])
    given = np.linspace(0.5, 1.5, len(y))
    ours = run(data, settings=replace(SIMPLE, class_weights=True), weights=given)
    by_hand = run(data, settings=SIMPLE, weights=given * balanced.astype(np.float32))
    assert all(np.allclose(a, b, atol=1e-5) for a, b in zip(ours[0], by_hand[0], strict=True))


# ----------------------------------------------------------------------------------------------------------- adversary


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
def test_gradient_reversal_passes_values_on_and_turns_gradients_round(strength):
    import tensorflow as tf

    from ser_kit.training.adversary import GradientReversal

    x = tf.Variable([[1.0, -2.0, 3.0]])
    upstream = tf.constant([[1.0, 10.0, -4.0]])
    with tf.GradientTape() as tape:
        out = GradientReversal(strength)(x)
        loss = tf.reduce_sum(out * upstream)
    np.testing.assert_allclose(out, x, atol=1e-6)
    np.testing.assert_allclose(tape.gradient(loss, x), -strength * upstream, atol=1e-6)


@pytest.mark.slow
def test_the_second_head_shares_the_layers_and_is_dropped(data, untraced):
    (x, y), validation = data
    model = new_model()
    n_weights = len(model.get_weights())
    history = training.fit(
        model, x, y, validation=validation, training=replace(FAST, speaker_penalty=0.3), speakers=VOICES, progress=False
    )
    assert model.output_shape == (None, 3) and len(model.get_weights()) == n_weights
    assert list(history.columns)[:5] == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy"]
    # What is told of validation is the emotion's alone, and of the model that is kept.
    said = model.predict_on_batch(validation[0])
    best = history.loc[history["val_loss"].idxmin()]
    assert best["val_accuracy"] == pytest.approx((said.argmax(axis=1) == validation[1]).mean(), abs=1e-6)


@pytest.mark.slow
def test_a_penalty_makes_the_network_forget_who_speaks():
    """A linear probe of the last hidden layer tells the speakers less well, and the emotion as well as before."""
    import keras
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    y, who = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    x = rng.normal(scale=0.5, size=(400, 6)).astype("float32")
    x[:, 0] += 2 * y
    x[:, 1] += 2 * who
    probed = {}
    for penalty in (0.0, 1.0):
        model = plain_model(6, 2, units=(8,))
        settings = training.Training(
            epochs=40, patience=40, learning_rate=0.01, class_weights=False, speaker_penalty=penalty
        )
        training.fit(
            model, x[:200], y[:200], validation=(x[200:], y[200:]), training=settings, speakers=who[:200],
            progress=False,
        )  # fmt: skip
        hidden = keras.Model(model.inputs, model.get_layer("emotion").input).predict_on_batch(x)
        probe = LogisticRegression(max_iter=1000).fit(hidden[:200], who[:200])
        probed[penalty] = probe.score(hidden[200:], who[200:])
        assert (model.predict_on_batch(x[200:]).argmax(axis=1) == y[200:]).mean() > 0.9
    assert probed[1.0] < probed[0.0] - 0.05, probed


@pytest.mark.parametrize("speakers", [None, np.full(64, "ada")])
def test_a_penalty_needs_speakers(data, speakers):
    with pytest.raises(TrainingError, match="at least two"):
        run(data, settings=replace(FAST, speaker_penalty=0.1), speakers=speakers)


# -------------------------------------------------------------------------------------------- segments and pretraining


@pytest.mark.parametrize("penalty", [0.0, 0.2])
def test_single_segments_train_the_model_of_clips(demo_few, penalty, untraced):
    from ser_kit import recipes

    recipe = recipes.get("segment_dnn").with_settings({"training.epochs": 1, "hyperparameters.units": (8,),
                                                 "training.speaker_penalty": penalty})  # fmt: skip
    material = recipe.prepare(demo_few, jobs=0, progress=False)
    (fold,) = recipe.folds(material, "speaker_80_20")
    split = recipe._split(material, fold.train, fold.validation, 0, None, "", False, "")
    (member,), _ = recipe.train(split)
    training.seed_everything(0)
    before = recipe.build(6).get_weights()
    assert not any(np.array_equal(a, b) for a, b in zip(before, member.model.get_weights(), strict=True))
    assert member.model.input_shape == (None, *recipe.input_shape)


def test_segments_carry_the_label_and_weight_of_their_clip_and_padding_is_left_out(demo_few, monkeypatch):
    from ser_kit import recipes

    recipe, seen = recipes.get("segment_dnn").with_settings({"hyperparameters.units": (8,)}), {}
    material = recipe.prepare(demo_few, jobs=0, progress=False)
    (fold,) = recipe.folds(material, "speaker_80_20")
    split = recipe._split(material, fold.train, fold.validation, 0, None, "", False, "")

    class EnoughError(Exception):
        pass

    def fit(model, x, y, **settings):
        seen.update(settings, x=x, y=y, model=model)
        raise EnoughError

    monkeypatch.setattr("ser_kit.recipes.single.fit", fit)
    weights = np.arange(len(fold.train), dtype=float)
    with pytest.raises(EnoughError):
        recipe.train(split, weights)
    lengths = next(iter(material.features.values())).lengths
    total = lengths[fold.train].sum()
    assert seen["x"].shape == (total, recipe.input_shape[1]) and len(seen["y"]) == len(seen["weights"]) == total
    np.testing.assert_array_equal(seen["y"], np.repeat(material.y[fold.train], lengths[fold.train]))
    np.testing.assert_array_equal(seen["weights"], np.repeat(weights, lengths[fold.train]))
    assert np.abs(seen["x"]).max(axis=1).min() > 0
    assert len(seen["validation"][1]) == lengths[fold.validation].sum()
    assert seen["model"].name == "segment"


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rbm", "autoencoder"])
def test_pretraining_changes_the_hidden_layers_only_and_repeats_itself(method, untraced):
    x = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")

    def model():
        training.seed_everything(0)
        return models.get("mlp")(
            (6,), 3, units=(5, 4), dropout=(0, 0), batch_norm=(False, False), activation="sigmoid", squash=True
        )

    untrained, found = model(), []
    for seed in (0, 0, 1):
        found.append(model())
        pretraining.pretrain(found[-1], x, method, epochs=2, seed=seed)
    assert equal(found[0].get_weights(), found[1].get_weights())
    assert not equal(found[0].get_weights(), found[2].get_weights())
    before, after = untrained.get_weights(), found[0].get_weights()
    changed = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert changed[0] and changed[2] and not any(changed[-2:])


def test_a_recipe_pretrains_on_its_training_clips(demo_few, monkeypatch, untraced):
    from ser_kit import recipes

    recipe = recipes.get("deep_belief_network").with_settings({"training.epochs": 1})
    material = recipe.prepare(demo_few, jobs=0, progress=False)
    (fold,) = recipe.folds(material, "speaker_80_20")
    seen, pretrain = [], pretraining.pretrain

    def watched(model, x, method, **settings):
        seen.append((x, method))
        pretrain(model, x, method, epochs=1, **settings)

    monkeypatch.setattr("ser_kit.recipes.single.pretrain", watched)
    recipe.run_fold(material, fold, progress=False)
    recipe.with_settings({"training.pretrain": None}).run_fold(material, fold, progress=False)
    ((x, method),) = seen
    assert method == "rbm" and len(x) == len(fold.train)
    with pytest.raises(TrainingError, match="pretrain='magic' must be one of 'autoencoder', 'rbm' or null"):
        recipe.with_settings({"training.pretrain": "magic"})


def test_a_finished_run_is_not_trained_again(data, reference, tmp_path, monkeypatch):
    run(data, tmp_path)
    monkeypatch.setattr(State, "update", lambda *_: pytest.fail("trained again"))
    assert equal(run(data, tmp_path)[0], reference[0])


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path):
    run(data, tmp_path)
    with pytest.raises(TrainingError, match="another run"):
        run(data, tmp_path, seed=3)


@pytest.mark.parametrize("fails", [False, True])
def test_the_bar_of_a_training_that_stops_early_is_full(data, untraced, monkeypatch, fails):
    """A notebook draws a bar red that is closed before its end, as after an error."""
    import tqdm.auto

    closed = []

    class Bar(tqdm.std.tqdm):
        def close(self):
            closed.append((self.n, self.total))

    def broken(model, row):
        raise RuntimeError("broken")

    monkeypatch.setattr(tqdm.auto, "tqdm", Bar)
    if fails:
        monkeypatch.setattr(State, "update", broken)
    (x, y), (x_val, y_val) = data
    settings = training.Training(epochs=50, patience=1, learning_rate=0.01)
    given = {"validation": (x_val, (y_val + 1) % 3), "training": settings, "progress": True}
    if fails:
        with pytest.raises(RuntimeError, match="broken"):
            training.fit(new_model(), x, y, **given)
        assert closed[0] == (0, 50)
    else:
        training.fit(new_model(), x, y, **given)
        assert 0 < closed[0][0] == closed[0][1] < 50


def test_best_weights_are_kept_and_patience_ends_training(data):
    (x, y), (x_val, y_val) = data
    model = new_model()
    # Validation labels that contradict training: the loss on them only rises once the model learns.
    history = training.fit(
        model, x, y, validation=(x_val, (y_val + 1) % 3), seed=1, progress=False,
        training=training.Training(epochs=60, patience=3, learning_rate=0.01),
    )  # fmt: skip
    best = history["val_loss"].idxmin()
    assert len(history) == best + 1 + 3 < 60
    targets = np.eye(3)[(y_val + 1) % 3]
    loss = -np.mean(np.sum(targets * np.log(model.predict(x_val, verbose=0)), axis=1))
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-4)


def test_the_learning_rate_is_halved(data):
    (x, y), (x_val, y_val) = data
    history = training.fit(
        new_model(), x, y, validation=(x_val, (y_val + 1) % 3), seed=1, progress=False,
        training=training.Training(epochs=30, patience=6, halve_after=2, learning_rate=0.01),
    )  # fmt: skip
    assert history["learning_rate"].iloc[-1] == pytest.approx(0.01 / 2 ** ((6 - 1) // 2))


def test_the_learning_rate_is_halved_without_patience_too(data, untraced):
    (x, y), (x_val, y_val) = data
    history = training.fit(
        plain_model(), x, y, validation=(x_val, (y_val + 1) % 3), seed=1, progress=False,
        training=training.Training(epochs=7, patience=None, halve_after=2, learning_rate=0.01),
    )  # fmt: skip
    assert history["val_loss"].idxmin() == 0, "it gets no better here"
    np.testing.assert_allclose(history["learning_rate"] / 0.01, [1, 1, 1, 0.5, 0.5, 0.25, 0.25])


@pytest.mark.parametrize(
    "spoil",
    {
        "no JSON": lambda state, arrays: state.write_text("{"),
        "no text": lambda state, arrays: state.write_bytes(b"\xff\xfe\x00"),
        "something else": lambda state, arrays: state.write_text("[]"),
        "no arrays": lambda state, arrays: arrays.unlink(),
        "cut arrays": lambda state, arrays: arrays.write_bytes(arrays.read_bytes()[:-300]),
        "empty arrays": lambda state, arrays: arrays.write_bytes(b""),
        "other arrays": lambda state, arrays: np.savez(arrays, variable_0000=np.zeros(3)),
        "a spoiled bit": lambda state, arrays: arrays.write_bytes(_flipped(arrays.read_bytes())),
    }.items(),
    ids=lambda case: case[0],
)
def test_a_damaged_checkpoint_is_begun_anew(data, tmp_path, spoil, untraced):
    (x, y), validation = data
    whole, model = plain_model(), plain_model()
    settings = {"validation": validation, "training": replace(SIMPLE, epochs=2), "progress": False}
    training.fit(whole, x, y, **settings, checkpoint=tmp_path)
    spoil[1](tmp_path / "state.json", tmp_path / "epoch_0002.npz")
    with pytest.warns(DamagedCheckpointWarning, match="starts again") as warned:
        history = training.fit(model, x, y, **settings, checkpoint=tmp_path)
    assert len(warned) == 1 and "\n" not in str(warned[0].message)
    assert len(history) == 2 and equal(model.get_weights(), whole.get_weights())
    training.fit(plain_model(), x, y, **settings, checkpoint=tmp_path)  # the state that it left is whole


def _flipped(content):
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_arrays_are_on_the_disk_before_the_state_that_names_them(data, tmp_path, monkeypatch, untraced):
    written, write_whole = [], paths.write_whole

    def watched(path, content):
        write_whole(path, content)
        written.append(path.name)

    monkeypatch.setattr("ser_kit.training.checkpoint.write_whole", watched)
    (x, y), validation = data
    settings = replace(SIMPLE, epochs=2)
    training.fit(plain_model(), x, y, validation=validation, training=settings, progress=False, checkpoint=tmp_path)
    assert written == ["epoch_0001.npz", "state.json", "epoch_0002.npz", "state.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_0002.npz", "state.json"]


@pytest.mark.parametrize("spoil", ["nan", "empty", "length"])
def test_bad_input_is_named(data, spoil):
    (x, y), validation = data
    if spoil == "nan":
        x = x.copy()
        x[0, 0] = np.nan
    elif spoil == "empty":
        x, y = x[:0], y[:0]
    else:
        y = y[:-1]
    with pytest.raises(TrainingError, match="expected"):
        training.fit(new_model(), x, y, validation=validation, progress=False)


def test_scaler_ignores_padding_and_constant_dimensions():
    values = np.zeros((2, 4, 2), np.float32)
    values[:, :, 1] = 5.0
    values[0, :2, 0], values[1, :2, 0] = (1, 3), (5, 7)
    values[:, 2:, 0] = 1e6
    scaler = training.Scaler.fit(values, lengths=np.array([2, 2]))
    assert scaler.mean == pytest.approx([4, 5])
    assert scaler.scale == pytest.approx([np.std([1, 3, 5, 7]), 1])
    assert scaler.transform(values).dtype == np.float32
