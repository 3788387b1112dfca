"""Random forests and support vector machines, trained by scikit-learn and converted to Keras models.

The result is a model of :mod:`ser_kit.models` with its weights set. It predicts, is saved and is exported
like any network, and no bundle contains a pickle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from .. import _old_names
from ..core.config import BOOLEAN, checked
from ..core.errors import TrainingError
from .data import counted_clips, model_with_weights
from .settings import TrainingSettings

if TYPE_CHECKING:
    import keras

__getattr__ = _old_names.moved(__name__)


@dataclass(frozen=True, kw_only=True)
class Forest(TrainingSettings):
    """Random forest; the model is built by :func:`ser_kit.models.forest.forest`.

    Args:
        n_estimators: number of trees, 1 to 10,000.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").
        max_features: number of features tried at each node: ``"sqrt"``, ``"log2"``, an integer, a fraction in
            (0, 1], or ``None`` for all.
        min_samples_leaf: minimum number of clips in a leaf, 1 to 1,000,000.

    Source:
        Breiman (2001), Random Forests, Machine Learning 45; trained by scikit-learn's
        ``RandomForestClassifier``.

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
    valid = {
        "n_estimators": range(1, 10_001),
        "class_weights": BOOLEAN,
        "min_samples_leaf": range(1, 1_000_001),
    }

    def __post_init__(self):
        super().__post_init__()
        most = self.max_features
        whole = isinstance(most, int) and not isinstance(most, bool) and most >= 1
        if (
            most not in ("sqrt", "log2", None)
            and not whole
            and not (isinstance(most, float) and 0 < most <= 1)
        ):
            raise TrainingError(
                f"training.max_features={most!r} must be 'sqrt', 'log2', a whole number from 1, a share "
                "above 0 and up to 1.0, or null (None)"
            )

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        *,
        weights: np.ndarray | None = None,
        seed: int = 0,
    ) -> tuple[keras.Model, dict]:
        """Train; the same data and seed give the same forest on any number of cores.

        Args:
            x: features, ``[clips, features]``, converted to float32.
            y: class indices, ``[clips]``; a class without clips gets probability 0.
            n_classes: number of classes.
            weights: clip weights, ``[clips]``, 0 or more; clips of weight 0 are ignored.
            seed: random seed of the samples and features drawn.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and the hyperparameters of its builder.

        Raises:
            TrainingError: if ``x``, ``y`` or ``weights`` is not valid.
        """
        from sklearn.ensemble import RandomForestClassifier

        x, y, weights = counted_clips(x, y, n_classes, weights)
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
        return model_with_weights(
            self.model, x, n_classes, hyperparameters, [feature, threshold, left, right, leaf]
        )


@dataclass(frozen=True, kw_only=True)
class SVM(TrainingSettings):
    """Support vector classifier with a Gaussian kernel; the model is built by :func:`ser_kit.models.svm.svm`.

    Args:
        C: penalty for misclassified clips, 1e-6 to 1e9.
        gamma: coefficient of the kernel ``exp(-gamma * distance ** 2)``: 1e-9 to 1e9, or scikit-learn's
            ``"scale"`` and ``"auto"``.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").

    Source:
        Cortes & Vapnik (1995), Support-Vector Networks, Machine Learning 20; trained by scikit-learn's
        ``SVC``.

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
    valid = {"C": (1e-6, 1e9), "class_weights": BOOLEAN}

    def __post_init__(self):
        super().__post_init__()
        if self.gamma not in ("scale", "auto"):
            if isinstance(self.gamma, str):
                raise TrainingError(
                    f"training.gamma={self.gamma!r} must be 'scale', 'auto' or a number above 0"
                )
            checked("training.gamma", self.gamma, (1e-9, 1e9), TrainingError)

    def fit(
        self,
        x: np.ndarray,
        y: np.ndarray,
        n_classes: int,
        *,
        weights: np.ndarray | None = None,
        seed: int = 0,
    ) -> tuple[keras.Model, dict]:
        """Train.

        Args:
            x: features, ``[clips, features]``, standardised; converted to float32.
            y: class indices, ``[clips]``, of at least two classes; a class without clips is ranked last.
            n_classes: number of classes.
            weights: clip weights, ``[clips]``, 0 or more; clips of weight 0 are ignored.
            seed: not used; all estimators have the same signature.

        Returns:
            The model, ``[batch, features] -> [batch, n_classes]``, and the hyperparameters of its builder.
            The most probable class is the prediction of scikit-learn's ``SVC(break_ties=True)``.

        Raises:
            TrainingError: if ``x``, ``y`` or ``weights`` is not valid, or all clips are of one class.
        """
        from sklearn.svm import SVC

        x, y, weights = counted_clips(x, y, n_classes, weights)
        if len(np.unique(y)) < 2:
            raise TrainingError("all clips are of one class; a support vector machine needs at least two")
        classifier = SVC(
            C=self.C, gamma=self.gamma, class_weight="balanced" if self.class_weights else None
        ).fit(x, y, weights)
        classes = classifier.classes_
        # scikit-learn flips the signs when there are only two classes.
        sign = -1 if len(classes) == 2 else 1
        ends = np.cumsum(classifier.n_support_)
        members = {
            c: slice(end - n, end) for c, end, n in zip(classes, ends, classifier.n_support_, strict=True)
        }
        intercepts = iter(sign * classifier.intercept_)

        vectors = classifier.support_vectors_
        pairs = np.transpose(np.triu_indices(n_classes, 1))
        dual = np.zeros((len(vectors), len(pairs)))
        intercept = np.zeros(len(pairs))
        for k, (first, second) in enumerate(pairs):
            if first in members and second in members:
                i, j = np.searchsorted(classes, [first, second])
                # dual_coef_ has a row for each other class, so the indices skip the class itself.
                dual[members[first], k] = sign * classifier.dual_coef_[j - 1, members[first]]
                dual[members[second], k] = sign * classifier.dual_coef_[i, members[second]]
                intercept[k] = next(intercepts)
            else:
                # A class without clips loses against all others.
                intercept[k] = float(first in members) - float(second in members)

        values = [vectors, classifier._gamma, dual, intercept]
        return model_with_weights(self.model, x, n_classes, {"support_vectors": len(vectors)}, values)


def _round_down(threshold: np.ndarray) -> np.ndarray:
    """Round thresholds down to float32, so that comparisons with float32 values are unchanged."""
    single = threshold.astype(np.float32)
    return np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)
