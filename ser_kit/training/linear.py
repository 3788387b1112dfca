"""Linear classifiers that generalise to unseen corpora, as a Keras model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .data import counted_clips, model_with_weights
from .settings import TrainingSettings

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Linear(TrainingSettings):
    """Linear classifiers for the training corpora and for unseen corpora; the model is built by
    :func:`ser_kit.models.experts.experts`.

    **For all corpora.** Each training corpus is standardised separately, which removes differences between
    corpora. The features are projected on principal components of unit variance, followed by a multinomial
    logistic regression with strong L2 regularisation. Every corpus has equal weight and, within it, every
    class. For clips of a corpus that lacks a class, the odds of that class are divided by ``exp(absent)``.
    Two such classifiers are averaged: one on the features, and one on the features minus the mean of their
    speaker (with equal weight for each emotion). A new clip is standardised with the average mean and
    deviation of the training corpora.

    **For each corpus.** A regression on the clips of one corpus. Its logits are scaled and added to those of
    the classifier for all corpora; the scale maximises the likelihood of held-out speakers (4-fold
    cross-validation over the speakers of the corpus). It is used, with the features standardised by that
    corpus, for clips that are much nearer to this corpus than to any other.

    Args:
        shrinkage: L2 regularisation of the regressions, 1e-9 to 1e9: half of it times the squared weights is
            added to the mean cross-entropy.
        components: number of principal components for all corpora, 1 to 10,000, limited by the number of
            features and of clips.
        own_components: number of principal components for each corpus, 0 to 10,000; 0 for no classifiers of
            single corpora.
        shared: number of leading features used by the classifier for all corpora and by the distances;
            ``None`` for all. Classifiers for single corpora use all features.
        absent: logarithm of the factor by which the odds of absent classes are divided, 0 to 100. 0 treats
            absent classes as wrong, 100 excludes them.
        speaker_centred: weight of the classifier on speaker-centred features, 0 to 1.
        near: a clip is assigned to the nearest corpus if its squared distance is less than this factor times
            the squared distance to the second nearest, 0 to 1.
        doubt: decrease of confidence with distance, 0 to 10: the logits of all other clips are divided by the
            squared distance to this power.

    Source:
        The settings were chosen on corpora left out of training, see ``docs/results/unheard.md``.

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
    valid = {
        "shrinkage": (1e-9, 1e9),
        "components": range(1, 10_001),
        "own_components": range(10_001),
        "shared": range(1, 1_000_001),
        "absent": (0.0, 100.0),
        "speaker_centred": (0.0, 1.0),
        "near": (0.0, 1.0),
        "doubt": (0.0, 10.0),
    }

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
            x: features, ``[clips, features]``, converted to float32.
            y: class indices, ``[clips]``.
            n_classes: number of classes.
            corpus: corpus of each clip, ``[clips]``.
            speaker: speaker of each clip, ``[clips]``.
            weights: clip weights, ``[clips]``, 0 or more; multiplied with the balancing weights.
            seed: random seed of the principal component analysis.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and the hyperparameters of its builder.

        Raises:
            TrainingError: if ``x``, ``y`` or ``weights`` is not valid.
        """
        kept = np.ones(len(x), bool) if weights is None else np.asarray(weights) > 0
        x, y, weights = counted_clips(x, y, n_classes, weights)
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
        views = self._views(values, projection, y, corpus, speaker, seed)
        kernel, bias = self._for_all(views, y, corpus, alike, excluded)

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
        # Round as the model stores it, so that the centres are the projected means.
        projection = np.clip(projection, -_LARGEST, _LARGEST).astype(np.float16).astype(np.float64)
        centres = means[:, :shared] @ projection

        hyperparameters = {"corpora": len(corpora), "components": projection.shape[1], "shared": shared}
        own = [own_kernel.reshape(x.shape[1], -1), own_bias.ravel()]
        distance = [self.near, self.doubt, _REFERENCE]
        return model_with_weights(
            self.model, x, n_classes, hyperparameters, [kernel, bias, *own, projection, centres, distance]
        )

    def _views(
        self, values, projection, y, corpus, speaker, seed
    ) -> list[tuple[float, np.ndarray, np.ndarray]]:
        """Share, features and components of each view that the common classifier is trained on."""
        views = [(1 - self.speaker_centred, values, projection)]
        if self.speaker_centred:
            centred = _less_speakers(values, y, corpus, speaker)
            views.append((self.speaker_centred, centred, _components(centred, self.components, seed)))
        return [view for view in views if view[0]]

    def _for_all(self, views, y, corpus, weights, excluded) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the classifier for all corpora.

        Args:
            views: views of the features: weight of the classifier, features ``[clips, features]``, and
                principal components ``[features, components]``.
            y: class indices, ``[clips]``.
            corpus: corpus index of each clip, ``[clips]``.
            weights: clip weights that sum to 1, ``[clips]``.
            excluded: added to the logits of the clips of each corpus, ``[corpora, classes]``.
        """
        kernel, bias = 0.0, 0.0
        for share, values, components in views:
            found, offset = _regression(values @ components, y, weights, excluded[corpus], self.shrinkage)
            kernel, bias = kernel + share * components @ found, bias + share * offset
        return kernel, bias

    def _own(self, x, y, weights, speaker, common, has, seed) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the classifier for one corpus, scaled on held-out speakers."""
        from scipy.optimize import minimize_scalar
        from sklearn.model_selection import GroupKFold

        components, out = _components(x, self.own_components, seed), np.where(has, 0.0, _NEVER)[None]
        z = (x @ components).astype(np.float32)

        def fitted(rows):
            part = weights[rows] / weights[rows].sum()
            return _regression(
                z[rows], y[rows], part, np.broadcast_to(out, (len(part), len(has))), self.shrinkage
            )

        scale, groups = 1.0, min(4, len(np.unique(speaker)))
        if groups > 1:
            own = np.zeros((len(y), len(has)))
            for train, held_out in GroupKFold(groups).split(z, groups=speaker):
                found, offset = fitted(train)
                own[held_out] = z[held_out] @ found + offset

            def loss(exponent):
                logits = common + np.exp(exponent) * own + out
                logits -= logits.max(axis=1, keepdims=True)
                return weights @ (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(y)), y])

            scale = np.exp(minimize_scalar(loss, bounds=(-5, 2), method="bounded").x)
        found, offset = fitted(np.arange(len(y)))
        return scale * components @ found, scale * offset


_NEVER = -100.0
"""Added to the logits of absent classes in the classifier for one corpus."""
_LARGEST = float(np.finfo(np.float16).max)
_REFERENCE = 2.0
"""Typical squared distance of clips of unseen corpora, in components of unit variance."""


def _less_speakers(x: np.ndarray, y: np.ndarray, corpus: np.ndarray, speaker: np.ndarray) -> np.ndarray:
    """Subtract the mean over emotions of each speaker with two or more emotions."""
    x = x.copy()
    _, groups = np.unique(np.stack([corpus, speaker]), axis=1, return_inverse=True)
    for group in range(groups.max() + 1):
        rows = np.flatnonzero(groups == group)
        means = [x[rows[y[rows] == emotion]].mean(axis=0) for emotion in np.unique(y[rows])]
        if len(means) > 1:
            x[rows] -= np.mean(means, axis=0)
    return x


def _components(x: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Principal components, scaled to unit variance, ``[features, components]``."""
    from sklearn.utils.extmath import randomized_svd

    _, values, directions = randomized_svd(x, min(most, *x.shape), random_state=seed)
    kept = values > 1e-3 * values[0]
    return directions[kept].T / values[kept] * math.sqrt(len(x))


def _regression(
    z: np.ndarray, y: np.ndarray, weights: np.ndarray, excluded: np.ndarray, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a multinomial logistic regression with L2 regularisation; returns weights and biases."""
    from scipy.optimize import minimize

    d, k = z.shape[1], excluded.shape[1]
    hot = np.eye(k, dtype=np.float32)[y]
    z, excluded, weights = (
        z.astype(np.float32),
        excluded.astype(np.float32),
        weights.astype(np.float32)[:, None],
    )

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = flat[: d * k].reshape(d, k), flat[d * k :]
        logits = z @ kernel.astype(np.float32) + bias.astype(np.float32) + excluded
        logits -= logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1, keepdims=True)
        error = (powers / total - hot) * weights
        value = (weights * ((np.log(total) - logits) * hot)).sum(dtype=float) + shrinkage / 2 * (
            kernel**2
        ).sum()
        slope = np.concatenate([(z.T @ error + shrinkage * kernel).ravel(), error.sum(axis=0)])
        return float(value), slope.astype(float)

    best = minimize(
        loss, np.zeros(d * k + k), jac=True, method="L-BFGS-B", options={"maxiter": 100, "ftol": 1e-7}
    ).x
    return best[: d * k].reshape(d, k), best[d * k :]
