"""What is trained without gradient steps in batches, as Keras models: linear classifiers across corpora, and what
scikit-learn trains: random forests, support vector machines and layer-wise pretraining.

Each of them comes back as a model of :mod:`ser_kit.models` whose weights are set, so that it
predicts, is saved and is exported like any network, and no bundle holds a pickle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from . import models
from .checks import BOOLEAN, Allowed, checked
from .errors import TrainingError
from .training import Training, subseed

if TYPE_CHECKING:
    import keras

_BATCH = 32  # clips in a step of pretraining


@dataclass(frozen=True, kw_only=True)
class Forest:
    """A random forest, as :func:`ser_kit.models.classical.forest` builds it.

    Args:
        n_estimators: number of trees.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").
        max_features: features tried at each node: ``"sqrt"``, ``"log2"``, a number, a share, or ``None`` for all.
        min_samples_leaf: the fewest clips in a leaf.

    Source:
        Breiman (2001), Random Forests, Machine Learning 45; trained by scikit-learn's ``RandomForestClassifier``.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")
        >>> y = (x[:, 0] > 0).astype(int)
        >>> model, hyperparameters = Forest(n_estimators=10).fit(x, y, 2)
        >>> (model.predict_on_batch(x).argmax(axis=1) == y).all(), hyperparameters["trees"]
        (np.True_, 10)
    """

    n_estimators: int = 100
    class_weights: bool = True
    max_features: str | int | float | None = "sqrt"
    min_samples_leaf: int = 1

    model: ClassVar[str] = "forest"
    about: ClassVar[tuple[str, ...]] = ()
    """Columns of the clip table that it needs beside the classes."""
    valid: ClassVar[dict[str, Allowed]] = {
        "n_estimators": range(1, 10_001),
        "class_weights": BOOLEAN,
        "min_samples_leaf": range(1, 1_000_001),
    }

    def __post_init__(self):
        _check_settings(self)
        most = self.max_features
        whole = isinstance(most, int) and not isinstance(most, bool) and most >= 1
        if most not in ("sqrt", "log2", None) and not whole and not (isinstance(most, float) and 0 < most <= 1):
            raise TrainingError(
                f"training.max_features={most!r} must be 'sqrt', 'log2', a whole number from 1, a share above 0 and up "
                "to 1.0, or null (None)"
            )

    def fit(
        self, x: np.ndarray, y: np.ndarray, n_classes: int, *, weights: np.ndarray | None = None, seed: int = 0
    ) -> tuple[keras.Model, dict]:
        """Train; the same data and seed give the same forest on any number of cores.

        Args:
            x: ``[clips, features]``, taken as float32.
            y: ``[clips]`` class indices; a class without clips gets probability 0.
            n_classes: number of classes.
            weights: ``[clips]``, not negative; a clip of weight 0 is as if it were not there.
            seed: of the samples and features drawn.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and its builder's hyperparameters.

        Raises:
            TrainingError: ``x``, ``y`` or ``weights`` cannot be trained on.
        """
        from sklearn.ensemble import RandomForestClassifier

        x, y, weights = _clips(x, y, n_classes, weights)
        classifier = RandomForestClassifier(
            self.n_estimators,
            class_weight="balanced" if self.class_weights else None,
            max_features=self.max_features,
            min_samples_leaf=self.min_samples_leaf,
            random_state=seed,
            n_jobs=-1,
        ).fit(x, y, weights)
        trees = [tree.tree_ for tree in classifier.estimators_]
        shape = len(trees), max(tree.node_count for tree in trees)

        feature, left, right = (np.zeros(shape, np.int32) for _ in range(3))
        threshold = np.zeros(shape, np.float32)
        leaf = np.zeros((*shape, n_classes), np.float32)
        for i, tree in enumerate(trees):
            n = tree.node_count
            is_leaf = tree.children_left < 0
            feature[i, :n] = np.where(is_leaf, 0, tree.feature)
            threshold[i, :n] = _round_down(tree.threshold)
            left[i, :n] = np.where(is_leaf, np.arange(n), tree.children_left)
            right[i, :n] = np.where(is_leaf, np.arange(n), tree.children_right)
            shares = tree.value[:, 0, :]
            leaf[i, :n, classifier.classes_] = (shares / shares.sum(axis=1, keepdims=True)).T

        hyperparameters = {
            "trees": shape[0],
            "nodes": shape[1],
            "depth": max(int(tree.max_depth) for tree in trees),
        }
        return _built(self.model, x, n_classes, hyperparameters, [feature, threshold, left, right, leaf])


@dataclass(frozen=True, kw_only=True)
class SVM:
    """A support vector classifier with a Gaussian kernel, as :func:`ser_kit.models.classical.svm` builds it.

    Args:
        C: how much a clip on the wrong side costs.
        gamma: of the kernel ``exp(-gamma * distance ** 2)``: ``"scale"`` and ``"auto"`` are scikit-learn's.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").

    Source:
        Cortes & Vapnik (1995), Support-Vector Networks, Machine Learning 20; trained by scikit-learn's ``SVC``.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(60, 2)).astype("float32")
        >>> y = (x[:, 0] * x[:, 1] > 0).astype(int)
        >>> model, hyperparameters = SVM(C=100).fit(x, y, 2)
        >>> float((model.predict_on_batch(x).argmax(axis=1) == y).mean()) > 0.9
        True
    """

    C: float = 1.0
    gamma: str | float = "scale"
    class_weights: bool = False

    model: ClassVar[str] = "svm"
    about: ClassVar[tuple[str, ...]] = ()
    valid: ClassVar[dict[str, Allowed]] = {"C": (1e-6, 1e9), "class_weights": BOOLEAN}

    def __post_init__(self):
        _check_settings(self)
        if self.gamma not in ("scale", "auto"):
            if isinstance(self.gamma, str):
                raise TrainingError(f"training.gamma={self.gamma!r} must be 'scale', 'auto' or a number above 0")
            checked("training.gamma", self.gamma, (1e-9, 1e9), TrainingError)

    def fit(
        self, x: np.ndarray, y: np.ndarray, n_classes: int, *, weights: np.ndarray | None = None, seed: int = 0
    ) -> tuple[keras.Model, dict]:
        """Train.

        Args:
            x: ``[clips, features]``, taken as float32; standardise them.
            y: ``[clips]`` class indices, of two classes at least; one without clips comes last in every decision.
            n_classes: number of classes.
            weights: ``[clips]``, not negative; a clip of weight 0 is as if it were not there.
            seed: nothing here is drawn by chance; taken so that all estimators are called alike.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and its builder's hyperparameters. The most likely
            class is the one that scikit-learn's ``SVC(break_ties=True)`` predicts.

        Raises:
            TrainingError: ``x``, ``y`` or ``weights`` cannot be trained on.
        """
        from sklearn.svm import SVC

        x, y, weights = _clips(x, y, n_classes, weights)
        if len(np.unique(y)) < 2:
            raise TrainingError("all clips are of one class; a support vector machine needs two at least")
        classifier = SVC(C=self.C, gamma=self.gamma, class_weight="balanced" if self.class_weights else None).fit(
            x, y, weights
        )
        classes = classifier.classes_
        # scikit-learn turns the signs round when there are two classes only.
        sign = -1 if len(classes) == 2 else 1
        ends = np.cumsum(classifier.n_support_)
        members = {c: slice(end - n, end) for c, end, n in zip(classes, ends, classifier.n_support_, strict=True)}
        intercepts = iter(sign * classifier.intercept_)

        vectors = classifier.support_vectors_
        pairs = np.transpose(np.triu_indices(n_classes, 1))
        dual = np.zeros((len(vectors), len(pairs)))
        intercept = np.zeros(len(pairs))
        for k, (first, second) in enumerate(pairs):
            if first in members and second in members:
                i, j = np.searchsorted(classes, [first, second])
                # The row of a class's coefficients against another leaves out the class itself.
                dual[members[first], k] = sign * classifier.dual_coef_[j - 1, members[first]]
                dual[members[second], k] = sign * classifier.dual_coef_[i, members[second]]
                intercept[k] = next(intercepts)
            else:
                # A class without clips loses against any other.
                intercept[k] = float(first in members) - float(second in members)

        values = [vectors, classifier._gamma, dual, intercept]
        return _built(self.model, x, n_classes, {"support_vectors": len(vectors)}, values)


@dataclass(frozen=True, kw_only=True)
class Linear:
    """Linear classifiers for corpora that they are trained on, and for others:
    :func:`ser_kit.models.experts.experts`.

    **For all corpora.** Each training corpus is standardised by itself, so that what sets corpora apart does not help.
    Principal components of unit variance follow, and a multinomial logistic regression on them, shrunk strongly, in
    which every corpus and, within it, every class counts alike. A class that a corpus does not have is half excluded
    for its clips: its odds are divided by ``exp(absent)``. Two such classifiers are averaged: of the features as they
    are, and of the features less the mean of their speaker, each emotion counting alike. A new clip is standardised by
    the average mean and deviation of the training corpora.

    **For each corpus.** A regression on the clips of one corpus, whose logits are added to those of the classifier for
    all, times what makes them most likely for speakers that they are not trained on (four groups of the corpus's
    speakers in turn). Both standardised by that corpus, they answer for clips that are much nearer to it than to any
    other.

    Args:
        shrinkage: of the regressions: half of it times the squared weights is added to the mean cross-entropy.
        components: number of principal components for all corpora, at most as many as there are features and clips.
        own_components: the same for each corpus; 0 has no classifiers for single corpora.
        shared: how many features, from the first on, the classifier for all corpora and the distances rest on; ``None``
            for all. Classifiers for single corpora rest on all.
        absent: logarithm of what the odds of classes that a corpus lacks are divided by, for its clips: 0 takes these
            classes for wrong, 100 excludes them.
        speaker_centred: share of the classifier that is trained on features less their speaker's mean, 0 to 1.
        near: a clip counts as one of the nearest corpus where its squared distance is less than this times that from
            the second, 0 to 1.
        doubt: how much less sure answers are with the distance of other clips: their logits are divided by the squared
            distance to this power.

    Source:
        chosen by leaving corpora out, see ``docs/unheard.md``.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> corpus, y = np.repeat(["a", "b"], 100), rng.integers(0, 2, 200)
        >>> x = np.stack([y + rng.normal(size=200) / 4, np.where(corpus == "a", 5, 0)], axis=1)
        >>> model, _ = Linear(components=2).fit(x, y, 2, corpus=corpus, speaker=corpus)
        >>> bool((model.predict_on_batch(x.astype("float32")).argmax(axis=1) == y).mean() > 0.9)
        True
    """

    shrinkage: float = 0.07
    components: int = 300
    own_components: int = 600
    shared: int | None = None
    absent: float = 2.0
    speaker_centred: float = 0.5
    near: float = 0.7
    doubt: float = 1.0

    model: ClassVar[str] = "experts"
    about: ClassVar[tuple[str, ...]] = ("corpus", "speaker")
    valid: ClassVar[dict[str, Allowed]] = {
        "shrinkage": (1e-9, 1e9),
        "components": range(1, 10_001),
        "own_components": range(10_001),
        "absent": (0.0, 100.0),
        "speaker_centred": (0.0, 1.0),
        "near": (0.0, 1.0),
        "doubt": (0.0, 10.0),
    }

    def __post_init__(self):
        _check_settings(self)
        if self.shared is not None:
            object.__setattr__(
                self, "shared", checked("training.shared", self.shared, range(1, 1_000_001), TrainingError)
            )

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        *,
        corpus: np.ndarray,
        speaker: np.ndarray,
        weights: np.ndarray | None = None,
        seed: int = 0,
    ) -> tuple[keras.Model, dict]:
        """Train.

        Args:
            x: ``[clips, features]``, taken as float32.
            y: ``[clips]`` class indices.
            n_classes: number of classes.
            corpus: ``[clips]`` which corpus each clip is of.
            speaker: ``[clips]`` who speaks in it.
            weights: ``[clips]``, not negative; multiplies what makes corpora and classes count alike.
            seed: of the search for principal components.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and its builder's hyperparameters.

        Raises:
            TrainingError: ``x``, ``y`` or ``weights`` cannot be trained on.
        """
        kept = np.ones(len(x), bool) if weights is None else np.asarray(weights) > 0
        x, y, weights = _clips(x, y, n_classes, weights)
        corpora, corpus = np.unique(np.asarray(corpus)[kept], return_inverse=True)
        _, speaker = np.unique(np.asarray(speaker)[kept], return_inverse=True)
        has = np.zeros((len(corpora), n_classes), bool)
        has[corpus, y] = True
        counts = np.zeros(has.shape)
        np.add.at(counts, (corpus, y), 1.0 if weights is None else weights)
        alike = 1 / (counts[corpus, y] * has.sum(axis=1)[corpus] * len(corpora))
        alike = alike if weights is None else alike * weights
        excluded = np.where(has, 0.0, -self.absent)
        shared = min(self.shared or x.shape[1], x.shape[1])

        means = np.stack([x[corpus == c].mean(axis=0) for c in range(len(corpora))])
        deviations = np.stack([x[corpus == c].std(axis=0) + 1e-6 for c in range(len(corpora))])
        deviation = np.sqrt(np.square(deviations).mean(axis=0))[:shared]
        x = (x - means[corpus]) / deviations[corpus]

        values = x[:, :shared]
        projection = _components(values, self.components, seed)
        views = [(1 - self.speaker_centred, values, projection)]
        if self.speaker_centred:
            centred = _less_speakers(values, y, corpus, speaker)
            views.append((self.speaker_centred, centred, _components(centred, self.components, seed)))
        kernel, bias = self._for_all([view for view in views if view[0]], y, corpus, alike, excluded)

        own_kernel = np.zeros((x.shape[1], len(corpora), n_classes))
        own_bias = np.zeros((len(corpora), n_classes))
        for c in range(len(corpora)):
            rows, found = corpus == c, np.zeros((x.shape[1], n_classes))
            found[:shared], offset = kernel, bias
            if self.own_components:
                common = values[rows] @ kernel + bias
                more, extra = self._own(x[rows], y[rows], alike[rows], speaker[rows], common, has[c], seed)
                found, offset = found + more, offset + extra + excluded[c]
            own_kernel[:, c] = found / deviations[c][:, None]
            own_bias[c] = offset - means[c] @ own_kernel[:, c]

        kernel, projection = kernel / deviation[:, None], projection / deviation[:, None]
        bias = bias - means[:, :shared].mean(axis=0) @ kernel
        # As the model holds it, so that the centres are what it makes of the means.
        projection = np.clip(projection, -_LARGEST, _LARGEST).astype(np.float16).astype(np.float64)
        centres = means[:, :shared] @ projection

        hyperparameters = {"corpora": len(corpora), "components": projection.shape[1], "shared": shared}
        own = [own_kernel.reshape(x.shape[1], -1), own_bias.ravel()]
        distance = [self.near, self.doubt, _REFERENCE]
        return _built(self.model, x, n_classes, hyperparameters, [kernel, bias, *own, projection, centres, distance])

    def _for_all(self, views, y, corpus, weights, excluded) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the classifier for all corpora.

        Args:
            views: of the features: share of the classifier that is trained on it, ``[clips, features]``, and its
                components, ``[features, components]``.
            y: ``[clips]`` class indices.
            corpus: ``[clips]`` number of the corpus.
            weights: ``[clips]`` that sum to 1.
            excluded: ``[corpora, classes]`` what is added to the logits of each corpus's clips.
        """
        kernel, bias = 0.0, 0.0
        for share, values, components in views:
            found, offset = _regression(values @ components, y, weights, excluded[corpus], self.shrinkage)
            kernel, bias = kernel + share * components @ found, bias + share * offset
        return kernel, bias

    def _own(self, x, y, weights, speaker, common, has, seed) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases for one corpus, to be added to logits for all: as they help with unknown speakers."""
        from scipy.optimize import minimize_scalar
        from sklearn.model_selection import GroupKFold

        components, out = _components(x, self.own_components, seed), np.where(has, 0.0, _NEVER)[None]
        z = (x @ components).astype(np.float32)

        def fitted(rows):
            part = weights[rows] / weights[rows].sum()
            return _regression(z[rows], y[rows], part, np.broadcast_to(out, (len(part), len(has))), self.shrinkage)

        scale, groups = 1.0, min(4, len(np.unique(speaker)))
        if groups > 1:
            own = np.zeros((len(y), len(has)))
            for learned, held_out in GroupKFold(groups).split(z, groups=speaker):
                found, offset = fitted(learned)
                own[held_out] = z[held_out] @ found + offset

            def loss(exponent):
                logits = common + np.exp(exponent) * own + out
                logits -= logits.max(axis=1, keepdims=True)
                return weights @ (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y])

            scale = np.exp(minimize_scalar(loss, bounds=(-5, 2), method="bounded").x)
        found, offset = fitted(np.arange(len(y)))
        return scale * components @ found, scale * offset


_NEVER = -100.0
"""Added to the logits of classes that a corpus does not have, where it is alone."""
_LARGEST = float(np.finfo(np.float16).max)
_REFERENCE = 2.0
"""The squared distance of clips of unknown corpora, about, in components of unit variance."""


def _less_speakers(x: np.ndarray, y: np.ndarray, corpus: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """Features less the mean over the emotions of each speaker in each corpus, where these are two or more."""
    x = x.copy()
    _, groups = np.unique(np.stack([corpus, speaker]), axis=1, return_inverse=True)
    for group in range(groups.max() + 1):
        rows = np.flatnonzero(groups == group)
        means = [x[rows[y[rows] == emotion]].mean(axis=0) for emotion in np.unique(y[rows])]
        if len(means) > 1:
            x[rows] -= np.mean(means, axis=0)
    return x


def _components(x: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Directions of the largest variances, scaled to make these 1, ``[features, components]``."""
    from sklearn.utils.extmath import randomized_svd

    _, values, directions = randomized_svd(x, min(most, *x.shape), random_state=seed)
    kept = values > 1e-3 * values[0]
    return directions[kept].T / values[kept] * math.sqrt(len(x))


def _regression(
    z: np.ndarray, y: np.ndarray, weights: np.ndarray, excluded: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases of the logistic regression that is most likely a posteriori."""
    from scipy.optimize import minimize

    d, k = z.shape[1], excluded.shape[1]
    hot = np.eye(k, dtype=np.float32)[y]
    z, excluded, weights = z.astype(np.float32), excluded.astype(np.float32), weights.astype(np.float32)[:, None]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = flat[: d * k].reshape(d, k), flat[d * k :]
        logits = z @ kernel.astype(np.float32) + bias.astype(np.float32) + excluded
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        error = (powers / total - hot) * weights
        value = (weights * ((np.log(total) - logits) * hot)).sum(dtype=float) + shrinkage / 2 * (kernel**2).sum()
        slope = np.concatenate([(z.T @ error + shrinkage * kernel).ravel(), error.sum(axis=0)])
        return float(value), slope.astype(float)

    best = minimize(loss, np.zeros(d * k + k), jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-7}).x
    return best[: d * k].reshape(d, k), best[d * k :]


def pretrain(
    model: keras.Model,
    x: np.ndarray,
    method: str,
    *,
    epochs: int = 100,
    learning_rate: float | None = None,
    seed: int = 0,
) -> None:
    """Train the hidden layers of a perceptron one after the other, each without labels on what comes out of the last.

    The dense layers of the model get the weights found; the softmax is left alone. Batch normalisation and dropout
    between them do what they do in prediction.

    Args:
        model: a chain such as :func:`ser_kit.models.mlp <ser_kit.models.mlp.mlp>` builds.
        x: ``[clips, features]``.
        method: ``"rbm"``: each layer is a restricted Boltzmann machine (for ``mlp`` with ``activation="sigmoid"`` and
            ``squash=True``). ``"autoencoder"``: each is the encoder of an autoencoder of squared error, whose linear
            decoder is thrown away.
        epochs: of each layer.
        learning_rate: of the Boltzmann machine's steps (0.1 if not given), or of Adam (0.001).
        seed: what is found follows from it, the data and the model's initial weights.

    Raises:
        TrainingError: the method is unknown, ``x`` cannot be trained on, or the model is none for Boltzmann machines.

    Source:
        Hinton, Osindero & Teh (2006), A Fast Learning Algorithm for Deep Belief Nets, Neural Computation 18;
        Bengio, Lamblin, Popovici & Larochelle (2007), Greedy Layer-Wise Training of Deep Networks, NIPS 19.

    Examples:
        >>> x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
        >>> model = models.get("mlp")((4,), 2, units=(3,), dropout=(0,), batch_norm=(False,))
        >>> before = model.get_weights()[0]
        >>> pretrain(model, x, "autoencoder", epochs=1)
        >>> (before != model.get_weights()[0]).any()
        np.True_
    """
    import keras

    checked("method", method, Training.valid["pretrain"], TrainingError)
    x = _inputs(x)
    learning_rate = learning_rate or {"rbm": 0.1, "autoencoder": 1e-3}[method]
    for i, layer in enumerate(layer for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)):
        inputs = keras.Model(model.inputs, layer.input).predict(x, batch_size=256, verbose=0)
        if method == "rbm":
            layer.set_weights(_rbm(layer, inputs, epochs, learning_rate, subseed(seed, "layer", i)))
        else:
            layer.set_weights(_encoder(layer, inputs, epochs, learning_rate, subseed(seed, "layer", i)))


def _rbm(layer, inputs, epochs, learning_rate, seed) -> list[np.ndarray]:
    from sklearn.neural_network import BernoulliRBM

    if layer.activation.__name__ != "sigmoid" or inputs.min() < 0 or inputs.max() > 1:
        raise TrainingError(
            "restricted Boltzmann machines need sigmoid layers and inputs in 0..1; build the model with "
            'activation="sigmoid", squash=True and no batch normalisation'
        )
    machine = BernoulliRBM(
        layer.units, learning_rate=learning_rate, batch_size=_BATCH, n_iter=epochs, random_state=seed
    ).fit(inputs)
    return [machine.components_.T, machine.intercept_hidden_]


def _encoder(layer, inputs, epochs, learning_rate, seed) -> list[np.ndarray]:
    import keras

    encoder = keras.layers.Dense.from_config(layer.get_config())
    decoder = keras.layers.Dense(
        inputs.shape[1], kernel_initializer=keras.initializers.GlorotUniform(seed), name="decoder"
    )
    autoencoder = keras.Sequential([keras.Input(inputs.shape[1:]), encoder, decoder])
    encoder.set_weights(layer.get_weights())
    autoencoder.compile(keras.optimizers.Adam(learning_rate), "mean_squared_error")
    # TensorFlow traces a step twice that makes variables.
    autoencoder.optimizer.build(autoencoder.trainable_variables)
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in np.split(order.permutation(len(inputs)), range(_BATCH, len(inputs), _BATCH)):
            autoencoder.train_on_batch(inputs[rows], inputs[rows])
    return encoder.get_weights()


def _check_settings(estimator: Forest | SVM | Linear) -> None:
    for name, allowed in estimator.valid.items():
        value = checked(f"training.{name}", getattr(estimator, name), allowed, TrainingError)
        object.__setattr__(estimator, name, value)


def _round_down(threshold: np.ndarray) -> np.ndarray:
    """The greatest float32 up to each threshold: of float32 values, the same are at most the one as the other."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)


def _inputs(x) -> np.ndarray:
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or len(x) == 0:
        raise TrainingError(f"expected inputs of shape [clips, features] with at least one clip, not {list(x.shape)}")
    if not np.isfinite(x).all():
        raise TrainingError("the inputs hold NaN or infinite values; expected finite features")
    return x


def _clips(x, y, n_classes, weights):
    """Inputs, labels and weights of the clips that weigh anything."""
    x, y = _inputs(x), np.asarray(y)
    if y.shape != (len(x),) or y.min() < 0 or y.max() >= n_classes:
        raise TrainingError(f"expected {len(x)} class indices in 0..{n_classes - 1}, one for each clip")
    if weights is None:
        return x, y, None
    weights = np.asarray(weights, np.float64)
    if weights.shape != y.shape or not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise TrainingError(f"expected {len(x)} finite weights, none negative and not all 0, one for each clip")
    rows = weights > 0
    return x[rows], y[rows], weights[rows]


def _built(name, x, n_classes, hyperparameters, values):
    model = models.get(name)((x.shape[1],), n_classes, **hyperparameters)
    model.set_weights([np.asarray(value) for value in values])
    return model, hyperparameters
