"""A linear head on the features of a trained network, from a few dozen clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import ClassVar, NamedTuple

import numpy as np

from ..core.config import checked, listed
from ..core.errors import TrainingError
from .data import counted_clips
from .settings import TrainingSettings


class Fitted(NamedTuple):
    """The weights of a head, and what was chosen.

    Args:
        match: how the labels of the start count as those of the head, ``[start labels, labels]``.
        share: weight of the logarithms of the start's probabilities, 0 or more; 0 where they do not help.
        kernel: weights of the features, ``[features, labels]``.
        bias: ``[labels]``.
        columns: index of the chosen set of columns.
        shrinkage: the chosen shrinkage.
    """

    match: np.ndarray
    share: float
    kernel: np.ndarray
    bias: np.ndarray
    columns: int
    shrinkage: float


@dataclass(frozen=True, kw_only=True)
class Head(TrainingSettings):
    """A linear head beside a trained network, whose own answers it corrects.

    The logits are ``share * log(start @ match) + scale * (features @ kernel) + bias``. ``start`` are the
    probabilities of the trained network. ``match`` says which of its labels count as which of the head's, in
    what shares: those in which they occur with the training clips. So the labels may be of any names.
    ``kernel`` is a multinomial logistic regression on the principal components of the features, scaled to
    unit variance, with every class of equal weight.

    The columns of the features, the shrinkage, ``share`` and ``scale`` are those of the largest likelihood
    for held-out training clips: of other speakers where there are two or more, else of other clips.

    Args:
        shrinkages: L2 regularisations to choose from, each 1e-6 to 1e6: half of it times the squared weights
            is added to the mean cross-entropy.
        folds: number of folds in which they are chosen, 2 to 20, at most the number of speakers (of clips
            where there is one speaker).

    Source:
        Kumar et al. (2022), Fine-tuning can distort pretrained features and underperform out-of-distribution,
        ICLR, for training a head on frozen features first; Wolpert (1992), Stacked generalization, Neural
        Networks 5, for the two weights fitted on held-out answers.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> y = rng.integers(0, 2, 60)
        >>> x = np.stack([y + rng.normal(size=60) / 4, rng.normal(size=60)], axis=1)
        >>> start = np.full((60, 3), 1 / 3)
        >>> head = Head().fit(x, y, 2, start=start, groups=np.arange(60), columns=[[0, 1]])
        >>> bool((((x @ head.kernel + head.bias).argmax(axis=1)) == y).mean() > 0.9)
        True
    """

    shrinkages: tuple[float, ...] = (0.1, 1.0, 10.0, 100.0)
    folds: int = 4

    valid: ClassVar = {"folds": range(2, 21)}

    def __post_init__(self):
        super().__post_init__()
        given = listed("training.shrinkages", self.shrinkages, TrainingError)
        if not given:
            raise TrainingError("training.shrinkages=[] must hold one number or more")
        found = (checked("each of training.shrinkages", each, (1e-6, 1e6), TrainingError) for each in given)
        object.__setattr__(self, "shrinkages", tuple(float(each) for each in found))

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        *,
        start: np.ndarray,
        groups: np.ndarray,
        columns: Sequence[Sequence[int]],
        weights: np.ndarray | None = None,
        seed: int = 0,
    ) -> Fitted:
        """Train.

        Args:
            x: features, ``[clips, features]``.
            y: class indices, ``[clips]``, of at least two classes.
            n_classes: number of classes.
            start: probabilities of the trained network, ``[clips, start labels]``.
            groups: speaker of each clip, or another number for each clip where there is one speaker,
                ``[clips]``.
            columns: sets of columns of the features to choose from.
            weights: clip weights, ``[clips]``; clips of weight 0 are ignored.
            seed: random seed of the folds.

        Raises:
            TrainingError: if ``x``, ``y`` or ``weights`` is not valid, or the clips are of one class or
                one group.
        """
        kept = np.ones(len(x), bool) if weights is None else np.asarray(weights) > 0
        x, y, _ = counted_clips(x, y, n_classes, weights)
        x, start = x.astype(float), np.asarray(start, float)[kept]
        _, groups = np.unique(np.asarray(groups)[kept], return_inverse=True)
        if len(np.unique(y)) < 2 or groups.max() < 1:
            raise TrainingError("a head needs clips of at least two emotions, and two clips or speakers")
        parts = _parts(y, groups, self.folds, seed)
        own = np.zeros((len(columns), len(self.shrinkages), len(y), n_classes))
        given = np.zeros((len(y), n_classes))
        for held_out in parts:
            rows = np.setdiff1d(np.arange(len(y)), held_out)
            if len(np.unique(y[rows])) < 2:
                continue
            given[held_out] = answers(start[held_out], matched(start[rows], y[rows], n_classes))
            for i, chosen in enumerate(columns):
                heads = _heads(x[rows][:, chosen], y[rows], n_classes, self.shrinkages)
                for j, (kernel, bias) in enumerate(heads):
                    own[i, j, held_out] = x[held_out][:, chosen] @ kernel + bias
        tried = [
            (*_mixed(own[i, j], given, y), i, j)
            for i, j in product(range(len(columns)), range(len(self.shrinkages)))
        ]
        _, scale, share, i, j = min(tried, key=lambda each: each[0])
        ((kernel, bias),) = _heads(x[:, columns[i]], y, n_classes, self.shrinkages[j : j + 1])
        whole = np.zeros((x.shape[1], n_classes))
        whole[columns[i]] = scale * kernel
        found = matched(start, y, n_classes)
        return Fitted(found, share, whole, scale * bias, i, self.shrinkages[j])


_TINY = 1e-3
"""Added to the probabilities of the start, so that a label that it excludes can still be the answer."""


def answers(start: np.ndarray, match: np.ndarray) -> np.ndarray:
    """Logarithms of the start's probabilities, as those of the labels of a head.

    Args:
        start: ``[clips, start labels]``.
        match: ``[start labels, labels]``.

    Returns:
        ``[clips, labels]``.
    """
    return np.log(start @ match + _TINY)


def matched(start: np.ndarray, y: np.ndarray, n_classes: int) -> np.ndarray:
    """Share of each label in what the start answers as each of its own, with every label equally frequent.

    Args:
        start: probabilities of the start, ``[clips, start labels]``.
        y: class indices, ``[clips]``.
        n_classes: number of classes.

    Returns:
        ``[start labels, classes]``; rows sum to 1.
    """
    found = np.zeros((start.shape[1], n_classes))
    for label in np.unique(y):
        found[:, label] = start[y == label].mean(axis=0)
    return found / np.maximum(found.sum(axis=1, keepdims=True), np.finfo(float).tiny)


def _parts(y: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> list[np.ndarray]:
    """Rows that are held out in each fold: whole groups, the classes as evenly as possible."""
    import warnings

    from sklearn.model_selection import StratifiedGroupKFold

    count = min(folds, int(groups.max()) + 1)
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class may have fewer clips than there are folds
        strata = y if np.bincount(y).max() >= count else np.zeros_like(y)
        return [rows for _, rows in splitter.split(y, strata, groups)]


def _heads(
    x: np.ndarray, y: np.ndarray, n_classes: int, shrinkages: Sequence[float]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Weights and biases of a regression on whitened features, for each shrinkage."""
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = (x - mean) / deviation
    # Principal components from the products of clips, which are fewer than the features.
    values, vectors = np.linalg.eigh(z @ z.T)
    kept = values > 1e-6 * values[-1]
    directions = z.T @ (vectors[:, kept] / values[kept] * np.sqrt(len(x)))
    scores = vectors[:, kept] * np.sqrt(len(x))
    found = []
    for shrinkage in shrinkages:
        weights, bias = _regression(scores, y, n_classes, shrinkage)
        kernel = directions @ weights / deviation[:, None]
        found.append((kernel, bias - mean @ kernel))
    return found


def _regression(
    z: np.ndarray, y: np.ndarray, n_classes: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Multinomial logistic regression with every class of equal weight; absent classes stay out."""
    from .linear import _regression as fitted

    counts = np.bincount(y, minlength=n_classes)
    weights = 1 / (counts[y] * (counts > 0).sum())
    excluded = np.broadcast_to(np.where(counts > 0, 0.0, -100.0), (len(y), n_classes))
    return fitted(z, y, weights, excluded, shrinkage)


def _mixed(own: np.ndarray, given: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Loss, and weights of the head's and of the start's logits for held-out clips."""
    from scipy.optimize import minimize

    size = max(float(np.std(own - own.mean(axis=1, keepdims=True))), 1e-9)
    counts = np.bincount(y)
    weights, rows = 1 / (counts[y] * (counts > 0).sum()), np.arange(len(y))

    def loss(both: np.ndarray) -> tuple[float, np.ndarray]:
        logits = both[0] * own / size + both[1] * given
        logits = logits - logits.max(axis=1, keepdims=True)
        powers = np.exp(logits)
        total = powers.sum(axis=1)
        error = powers / total[:, None]
        error[rows, y] -= 1
        error *= weights[:, None]
        value = weights @ (np.log(total) - logits[rows, y])
        slope = [(error * own).sum() / size, (error * given).sum()]
        return value + _PRIOR * both @ both / len(y), np.array(slope) + 2 * _PRIOR * both / len(y)

    best = minimize(loss, [1.0, 0.5], jac=True, method="L-BFGS-B", bounds=[(0, 50), (0, 5)])
    return float(best.fun), float(best.x[0] / size), float(best.x[1])


_PRIOR = 0.05  # on the two weights, for a few clips that are all answered correctly
