"""What scikit-learn trained and what the Keras model says are the same."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from ser_kit import models
from ser_kit.core.errors import TrainingError
from ser_kit.training.estimators import SVM, Forest
from ser_kit.training.linear import Linear
from ser_kit.training.pretraining import pretrain

pytestmark = pytest.mark.usefixtures("eagerly")


def clips(n=300, dims=6, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dims)).astype("float32")
    y = rng.permutation(np.arange(n) % classes)
    return x + 0.6 * rng.normal(size=(classes, dims)).astype("float32")[y], y


@pytest.mark.parametrize("settings", [{}, {"class_weights": False, "min_samples_leaf": 5, "max_features": None}])
def test_a_forest_is_the_one_of_scikit_learn(settings):
    x, y = clips()
    settings = {"n_estimators": 20} | settings
    model, hyperparameters = Forest(**settings).fit(x, y, 4, seed=3)
    balanced = "balanced" if settings.pop("class_weights", True) else None
    reference = RandomForestClassifier(**settings, class_weight=balanced, random_state=3).fit(x, y)
    assert hyperparameters["trees"] == 20
    assert hyperparameters["depth"] == max(tree.get_depth() for tree in reference.estimators_)

    # Values at the thresholds, and the float32 values next to them on both sides.
    rows = [clips(500, seed=1)[0]]
    for tree in reference.estimators_:
        for feature, threshold in zip(tree.tree_.feature, tree.tree_.threshold, strict=True):
            if feature >= 0:
                near = np.float32(threshold)
                row = x[[0, 0, 0]]
                row[:, feature] = np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))
                rows.append(row)
    values = np.concatenate(rows)
    np.testing.assert_allclose(model.predict_on_batch(values), reference.predict_proba(values), atol=1e-6)


def test_thresholds_decide_alike_though_they_are_single():
    from ser_kit.training.estimators import _round_down

    values = np.random.default_rng(0).normal(size=1000).astype("float32")
    above = np.nextafter(values, np.float32(np.inf))
    middles = (values.astype("float64") + above) / 2
    np.testing.assert_array_equal(_round_down(middles), values)
    np.testing.assert_array_equal(_round_down(values.astype("float64")), values)


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("settings", [{}, {"C": 10.0, "gamma": 0.05, "class_weights": True}])
def test_a_support_vector_machine_predicts_what_scikit_learn_does(classes, settings):
    x, y = clips(classes=classes)
    settings = dict(settings)
    model, hyperparameters = SVM(**settings).fit(x, y, classes)
    balanced = "balanced" if settings.pop("class_weights", False) else None
    reference = SVC(**settings, class_weight=balanced, break_ties=True).fit(x, y)
    assert hyperparameters == {"support_vectors": len(reference.support_)}
    values = np.concatenate([x, clips(2000, classes=classes, seed=1)[0]])
    probabilities = model.predict_on_batch(values)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), reference.predict(values))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    if classes > 2:
        scores = np.exp(reference.decision_function(values))
        np.testing.assert_allclose(probabilities, scores / scores.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_class_without_clips_keeps_its_place():
    x, y = clips()
    present = np.array([1, 2, 4, 6])  # of 0..7
    model, _ = Forest(n_estimators=5).fit(x, present[y], 8)
    probabilities = model.predict_on_batch(x)
    assert probabilities.shape == (300, 8)
    assert (probabilities[:, [0, 3, 5, 7]] == 0).all()

    probabilities = SVM().fit(x, present[y], 8)[0].predict_on_batch(x)
    assert probabilities[:, [0, 3, 5, 7]].max(axis=1).max() < probabilities[:, present].max(axis=1).min()
    assert (probabilities[:, [0, 3, 5, 7]].max(axis=1) < probabilities[:, present].min(axis=1)).all()
    reference = SVC(break_ties=True).fit(x, present[y])
    np.testing.assert_array_equal(probabilities.argmax(axis=1), reference.predict(x))

    two = np.isin(y, [0, 1])
    probabilities = SVM().fit(x[two], present[y[two]], 8)[0].predict_on_batch(x)
    reference = SVC().fit(x[two], present[y[two]])
    np.testing.assert_array_equal(probabilities.argmax(axis=1), reference.predict(x))


@pytest.mark.parametrize("estimator", [Forest(n_estimators=10), SVM()])
def test_weights_count_and_a_seed_repeats(estimator):
    x, y = clips()
    plain = estimator.fit(x, y, 4)[0].predict_on_batch(x)
    np.testing.assert_array_equal(estimator.fit(x, y, 4)[0].predict_on_batch(x), plain)

    rare = np.where(y == 0, 1e-3, 1.0)
    weighted = estimator.fit(x, y, 4, weights=rare)[0].predict_on_batch(x)
    if isinstance(estimator, SVM):
        assert (weighted.argmax(axis=1) == 0).sum() < (plain.argmax(axis=1) == 0).sum()
    else:
        reference = RandomForestClassifier(10, class_weight="balanced", random_state=0).fit(x, y, rare)
        np.testing.assert_allclose(weighted, reference.predict_proba(x), atol=1e-6)

    without = estimator.fit(x, y, 4, weights=(y != 0).astype(float))[0].predict_on_batch(x)
    left_out = estimator.fit(x[y != 0], y[y != 0], 4)[0].predict_on_batch(x)
    np.testing.assert_array_equal(without, left_out)


def test_a_trained_forest_and_machine_are_saved_and_rebuilt(tmp_path):
    x, y = clips()
    for estimator in (Forest(n_estimators=5), SVM()):
        model, hyperparameters = estimator.fit(x, y, 4)
        model.save(tmp_path / "model.keras")
        rebuilt = models.get(estimator.model)((6,), 4, **hyperparameters)
        rebuilt.load_weights(tmp_path / "model.keras")
        np.testing.assert_array_equal(rebuilt.predict_on_batch(x), model.predict_on_batch(x))


@pytest.mark.parametrize("estimator", [Forest(n_estimators=2), SVM(), Linear()])
def test_what_cannot_be_trained_on_is_named(estimator):
    x, y = clips(40)
    about = {name: np.full(40, "a") for name in estimator.about}
    for bad in (np.nan, np.inf):
        broken = x.copy()
        broken[3, 2] = bad
        with pytest.raises(TrainingError, match="NaN or infinite"):
            estimator.fit(broken, y, 4, **about)
    with pytest.raises(TrainingError, match=r"\[40, 3, 2\]"):
        estimator.fit(x.reshape(40, 3, 2), y, 4, **about)
    with pytest.raises(TrainingError, match="at least one clip"):
        estimator.fit(x[:0], y[:0], 4, **about)
    with pytest.raises(TrainingError, match=r"0\.\.2"):
        estimator.fit(x, y, 3, **about)
    for weights in (np.ones(39), np.full(40, -1.0), np.full(40, np.nan), np.zeros(40)):
        with pytest.raises(TrainingError, match="40 finite weights"):
            estimator.fit(x, y, 4, weights=weights, **about)


def test_a_machine_of_one_class_is_refused():
    x, _ = clips(40)
    with pytest.raises(TrainingError, match="one class"):
        SVM().fit(x, np.zeros(40, int), 4)


def corpora_of(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.array(["a", "b"])[rng.integers(0, 2, n)], np.array(["x", "y", "z"])[rng.integers(0, 3, n)]


def fitted(estimator, x, y, n_classes, corpus, speaker, **more):
    """The weights of the classifiers, by name."""
    model, _ = estimator.fit(x, y, n_classes, corpus=corpus, speaker=speaker, **more)
    return dict(zip([weight.name for weight in model.weights], model.get_weights(), strict=True))


def kernel(*args, **more):
    return fitted(*args, **more)["kernel"]


def test_a_linear_classifier_of_all_is_the_one_of_scikit_learn():
    x, y = clips()
    one = np.full(len(x), "a")
    estimator = Linear(shrinkage=20 / len(x), components=6, own_components=0, absent=0, speaker_centred=0)
    model, _ = estimator.fit(x, y, 4, corpus=one, speaker=one)
    z = PCA(6, whiten=True).fit_transform((x - x.mean(axis=0)) / x.std(axis=0)) * np.sqrt(len(x) / (len(x) - 1))
    # scikit-learn's C is for the sum over clips, the shrinkage for their mean.
    weights = 1 / (4 * np.bincount(y)[y])
    reference = LogisticRegression(C=0.05 * len(x), tol=1e-8, max_iter=1000).fit(z, y, sample_weight=weights)
    np.testing.assert_allclose(model.predict_on_batch(x), reference.predict_proba(z), atol=5e-3)


def test_what_sets_a_corpus_apart_changes_no_weight():
    x, y = clips()
    corpus, speaker = corpora_of(len(x))
    moved = np.where(corpus[:, None] == "b", x + 100, x).astype(np.float32)
    plain, found = (fitted(Linear(), values, y, 4, corpus, speaker) for values in (x, moved))
    for name in ("kernel", "own_kernel", "projection"):
        np.testing.assert_allclose(found[name], plain[name], atol=2e-3)


def test_less_their_speakers_mean_features_that_tell_speakers_count_nothing():
    speaker = np.repeat(["x", "y"], 40)
    y = np.r_[np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [10, 30])]  # who speaks tells much of the emotion
    rng = np.random.default_rng(0)
    x = np.stack([y + rng.normal(size=80), np.where(speaker == "x", 1, -1)], axis=1).astype(np.float32)
    one = np.full(80, "a")
    as_they_are, centred = (
        np.abs(kernel(Linear(components=2, speaker_centred=share), x, y, 2, one, speaker)) for share in (0, 1)
    )
    assert as_they_are[1].min() > 0.05 and centred[1].max() < 1e-6 < centred[0].min()


def test_a_class_that_a_corpus_lacks_is_excluded_for_its_clips():
    x, y = clips(classes=3)
    corpus, speaker = corpora_of(len(x))
    kept = (corpus == "a") | (y != 2)
    x, y, corpus, speaker = x[kept], y[kept], corpus[kept], speaker[kept]
    shares = [
        Linear(absent=absent, own_components=0)
        .fit(x, y, 3, corpus=corpus, speaker=speaker)[0]
        .predict_on_batch(x)[:, 2]
        .mean()
        for absent in (0, 2, 100)
    ]
    assert shares[0] < shares[1] < shares[2]
    # The classifier of the corpus that lacks it excludes it likewise.
    apart = np.where(corpus[:, None] == "b", x + 100, x).astype(np.float32)
    model, _ = Linear().fit(apart, y, 3, corpus=corpus, speaker=speaker)
    alone, _ = Linear(own_components=0).fit(apart, y, 3, corpus=corpus, speaker=speaker)
    assert model.predict_on_batch(apart)[corpus == "b", 2].mean() < 0.1
    assert alone.predict_on_batch(apart)[corpus == "b", 2].mean() > 0.1


@pytest.mark.slow
def test_a_linear_classifier_counts_corpora_and_classes_alike_and_leaves_out_clips_of_no_weight():
    x, y = clips()
    corpus, speaker = corpora_of(len(x))
    twice = np.r_[np.arange(len(x)), np.flatnonzero((corpus == "a") & (y == 1))]
    # The same clips twice are the same corpus and class, with the same say.
    np.testing.assert_allclose(
        kernel(Linear(), x[twice], y[twice], 4, corpus[twice], speaker[twice])[:, 1],
        kernel(Linear(), x, y, 4, corpus, speaker)[:, 1],
        atol=0.05,
    )
    weights = (y != 0).astype(float)
    left_out = kernel(Linear(), x[y != 0], y[y != 0], 4, corpus[y != 0], speaker[y != 0])
    np.testing.assert_allclose(kernel(Linear(), x, y, 4, corpus, speaker, weights=weights), left_out, atol=1e-6)


def of_two_corpora(n=400):
    """Clips of corpora that lie apart."""
    x, y = clips(n)
    corpus, speaker = corpora_of(n)
    return np.where(corpus[:, None] == "b", x + 20, x * 3).astype(np.float32), y, corpus, speaker


def test_clips_of_a_known_corpus_are_answered_by_its_own_classifier():
    x, y, corpus, speaker = of_two_corpora()
    turned = np.where(corpus == "a", y, (y + 1) % 4)  # one classifier for both can learn neither
    right = {}
    for components in (0, 6):
        model, _ = Linear(own_components=components).fit(x, turned, 4, corpus=corpus, speaker=speaker)
        right[components] = (model.predict_on_batch(x).argmax(axis=1) == turned).mean()
    alone = 0
    for one in ("a", "b"):
        rows = corpus == one
        model, _ = Linear().fit(x[rows], y[rows], 4, corpus=corpus[rows], speaker=speaker[rows])
        alone += (model.predict_on_batch(x[rows]).argmax(axis=1) == y[rows]).sum() / len(y)
    assert right[0] < right[6] - 0.1 and right[6] > alone - 0.05


def test_a_classifier_that_does_not_help_with_unknown_speakers_has_no_say():
    x, y, corpus, speaker = of_two_corpora()
    chance = np.where(corpus == "a", y, np.random.default_rng(1).integers(0, 4, len(y)))
    changes = {}
    for components in (0, 6):
        own = fitted(Linear(own_components=components), x, chance, 4, corpus, speaker)["own_kernel"].reshape(6, 2, 4)
        changes[components] = np.stack(
            [own[:, c] * x[corpus == one].std(axis=0)[:, None] for c, one in enumerate("ab")]
        )
    helpful, useless = np.abs(changes[6] - changes[0]).max(axis=(1, 2))
    assert useless < helpful / 5


def test_answers_for_clips_of_no_known_corpus_are_the_less_sure_the_farther_they_are():
    x, y, corpus, speaker = of_two_corpora()
    # As far from either corpus, and farther from both.
    middle, far = np.full(6, 10, "float32"), np.array([10, 10, 10, 10, 80, -60], "float32")
    logits = {}
    for doubt in (0.0, 0.6):
        model, _ = Linear(doubt=doubt, own_components=0).fit(x, y, 4, corpus=corpus, speaker=speaker)
        found = np.log(model.predict_on_batch(np.stack([middle, far])))
        logits[doubt] = found - found.mean(axis=1, keepdims=True)
    sharpness = (logits[0.6] / logits[0.0]).mean(axis=1)
    assert 0 < sharpness[1] < sharpness[0] / 2


def perceptron(units=(4,), **settings):
    import keras

    keras.utils.set_random_seed(0)
    none = (0,) * len(units)
    return models.get("mlp")((12,), 3, units=units, dropout=none, batch_norm=(False,) * len(units), **settings)


def correlated(n=256):
    """Inputs of three hidden causes, so that there is something to find."""
    rng = np.random.default_rng(0)
    causes = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12))
    return (causes + 0.1 * rng.normal(size=(n, 12))).astype("float32")


@pytest.mark.slow
def test_an_encoder_keeps_more_of_its_input():
    x = correlated()
    model = perceptron(activation="tanh")

    def lost():
        """Squared error of the best linear decoder."""
        kernel, bias = model.layers[1].get_weights()
        hidden = np.c_[np.tanh(x @ kernel + bias), np.ones(len(x))]
        return np.square(x - hidden @ np.linalg.lstsq(hidden, x, rcond=None)[0]).mean()

    before, softmax = lost(), model.layers[-1].get_weights()[0]
    pretrain(model, x, "autoencoder", epochs=30, learning_rate=0.01)
    assert lost() < 0.7 * before
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], softmax)


def test_a_boltzmann_machine_prefers_what_it_has_seen():
    x = 4 * correlated()  # far from 0, so that the squashed inputs are close to the bits a machine models
    model = perceptron((8,), activation="sigmoid", squash=True)
    pretrain(model, x, "rbm", epochs=50, learning_rate=0.2)
    kernel, bias = model.layers[-2].get_weights()

    def energy(x):
        """The hidden part of the free energy; the rest is the same for both, as each column has the same values."""
        seen = 1 / (1 + np.exp(-x))
        return -np.log1p(np.exp(seen @ kernel + bias)).sum(axis=1).mean()

    shuffled = np.random.default_rng(1).permuted(x, axis=0)
    assert energy(x) < energy(shuffled) - 1


@pytest.mark.slow
@pytest.mark.parametrize("method", ["rbm", "autoencoder"])
def test_pretraining_goes_through_all_hidden_layers_and_repeats(method):
    def weights(seed):
        model = perceptron((6, 4), activation="sigmoid", squash=True)
        before = model.get_weights()
        pretrain(model, correlated(), method, epochs=2, seed=seed)
        after = model.get_weights()
        assert [(a != b).any() for a, b in zip(before, after, strict=True)] == [True] * 4 + [False] * 2
        return np.concatenate([w.ravel() for w in after])

    first = weights(0)
    np.testing.assert_array_equal(weights(0), first)
    assert (weights(1) != first).any()


def test_pretraining_that_cannot_work_is_refused():
    x = correlated()
    with pytest.raises(TrainingError, match="method='pca' must be one of 'autoencoder', 'rbm'"):
        pretrain(perceptron(), x, "pca")
    with pytest.raises(TrainingError, match="squash=True"):
        pretrain(perceptron(activation="sigmoid"), x, "rbm")
    with pytest.raises(TrainingError, match="squash=True"):
        pretrain(perceptron(squash=True), x, "rbm")
    with pytest.raises(TrainingError, match="NaN"):
        pretrain(perceptron(), np.full((4, 12), np.nan), "autoencoder")
