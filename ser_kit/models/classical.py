"""Classifiers that scikit-learn trains, as networks: their parameters are weights that no training step changes.

:mod:`ser_kit.training.estimators` trains them and sets the weights, so that a bundle needs no pickle.
"""

from __future__ import annotations

import keras

from .layers import DecisionForest, SupportVectors, alone


def forest(input_shape: tuple[int, ...], n_classes: int, *, trees: int, nodes: int, depth: int) -> keras.Model:
    """A random forest: the mean of what many decision trees say.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of emotions.
        trees: number of trees.
        nodes: nodes of the largest tree.
        depth: steps from the root to the deepest leaf of any tree.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``, of ``trees * nodes * (4 + n_classes)``
        parameters, none trainable. Until they are set, all emotions are equally likely.

    Source:
        Breiman (2001), Random Forests, Machine Learning 45.

    Examples:
        >>> forest((30,), 6, trees=100, nodes=63, depth=8).count_params()
        63000
    """
    return alone(DecisionForest(trees, nodes, n_classes, depth, name="emotion"), input_shape, "forest")


def svm(input_shape: tuple[int, ...], n_classes: int, *, support_vectors: int) -> keras.Model:
    """A support vector classifier with a Gaussian kernel.

    Args:
        input_shape: ``(n_features,)``; the features should be standardised.
        n_classes: number of emotions, at least 2.
        support_vectors: their number.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``, of
        ``support_vectors * (n_features + pairs) + pairs + 1`` parameters, none trainable, where
        ``pairs = n_classes * (n_classes - 1) / 2``.

    Source:
        Cortes & Vapnik (1995), Support-Vector Networks, Machine Learning 20.

    Examples:
        >>> svm((30,), 6, support_vectors=500).count_params()
        22516
    """
    return alone(SupportVectors(support_vectors, n_classes, name="emotion"), input_shape, "svm")
