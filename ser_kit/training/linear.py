"""A linear classifier that generalises to corpora that it was not fitted on, as a Keras model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .data import counted_clips, model_with_weights
from .settings import OfTraining

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, kw_only=True)
class Linear(OfTraining):
    """Linear classifiers for corpora that they are trained on, and for others:
    :func:`ser_kit.models.experts.experts`.

    **For all corpora.** Each training corpus is standardised by itself, so that what sets corpora apart does
    not help. Principal components of unit variance follow, and a multinomial logistic regression on them,
    shrunk strongly, in which every corpus and, within it, every class counts alike. A class that a corpus
    does not have is half excluded for its clips: its odds are divided by ``exp(absent)``. Two such
    classifiers are averaged: of the features as they are, and of the features less the mean of their speaker,
    each emotion counting alike. A new clip is standardised by the average mean and deviation of the training
    corpora.

    **For each corpus.** A regression on the clips of one corpus, whose logits are added to those of the
    classifier for all, times what makes them most likely for speakers that they are not trained on (four
    groups of the corpus's speakers in turn). Both standardised by that corpus, they answer for clips that are
    much nearer to it than to any other.

    Args:
        shrinkage: of the regressions: half of it times the squared weights is added to the mean
            cross-entropy.
        components: number of principal components for all corpora, at most as many as there are features and
            clips.
        own_components: the same for each corpus; 0 has no classifiers for single corpora.
        shared: how many features, from the first on, the classifier for all corpora and the distances rest
            on; ``None`` for all. Classifiers for single corpora rest on all.
        absent: logarithm of what the odds of classes that a corpus lacks are divided by, for its clips: 0
            takes these classes for wrong, 100 excludes them.
        speaker_centred: share of the classifier that is trained on features less their speaker's mean, 0 to
            1.
        near: a clip counts as one of the nearest corpus where its squared distance is less than this times
            that from the second, 0 to 1.
        doubt: how much less sure answers are with the distance of other clips: their logits are divided by
            the squared distance to this power.

    Source:
        chosen by leaving corpora out, see ``docs/results/unheard.md``.

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
        return model_with_weights(
            self.model, x, n_classes, hyperparameters, [kernel, bias, *own, projection, centres, distance]
        )

    def _for_all(self, views, y, corpus, weights, excluded) -> tuple[np.ndarray, np.ndarray]:
        """Weights and biases of the classifier for all corpora.

        Args:
            views: of the features: share of the classifier that is trained on it, ``[clips, features]``, and
                its components, ``[features, components]``.
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
        """Weights and biases for one corpus, to be added to logits for all: as they help with unknown
        speakers."""
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
    """Features less the mean over the emotions of each speaker in each corpus, where these are two or
    more."""
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
