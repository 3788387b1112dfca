"""A random forest as a network, whose weights :mod:`ser_kit.training.estimators` sets."""

from __future__ import annotations

import keras

from .building import alone
from .layers import DecisionForest


def forest(
    input_shape: tuple[int, ...], n_classes: int, *, trees: int, nodes: int, depth: int
) -> keras.Model:
    """A random forest: the mean of the probabilities of many decision trees.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of emotions.
        trees: number of trees.
        nodes: nodes of the largest tree.
        depth: steps from the root to the deepest leaf of any tree.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``, of ``trees * nodes * (4 +
        n_classes)`` parameters, none trainable. Until they are set, all emotions are equally likely.

    Source:
        Breiman (2001), Random Forests, Machine Learning 45.

    Examples:
        >>> forest((30,), 6, trees=100, nodes=63, depth=8).count_params()
        63000
    """
    return alone(DecisionForest(trees, nodes, n_classes, depth, name="emotion"), input_shape, "forest")
