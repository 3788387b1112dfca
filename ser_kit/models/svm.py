"""A support vector classifier as a network, whose weights :mod:`ser_kit.training.estimators` sets."""

from __future__ import annotations

import keras

from .building import alone
from .layers import SupportVectors


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
