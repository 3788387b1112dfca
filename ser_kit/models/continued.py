"""A trained network, and a linear head beside it on the same features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers, ops

_TINY = 1e-3  # as in ser_kit.training.head


def continued(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    builder: str = "mlp",
    start_classes: int = 8,
    hyperparameters: Mapping[str, Any] | None = None,
) -> keras.Model:
    """A trained network, and a linear head beside it that corrects its answers or gives other labels.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of labels of the head.
        builder: name of the trained network's builder.
        start_classes: number of labels of the trained network.
        hyperparameters: the arguments of its builder.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``, with the trained network as layer
        ``start``. None of its parameters is trainable; :class:`ser_kit.training.head.Head` sets them. Until
        then all labels are equally likely.

    Source:
        Kumar et al. (2022), Fine-tuning can distort pretrained features and underperform out-of-distribution,
        ICLR: a head on frozen features.

    Examples:
        >>> [layer.name for layer in continued((30,), 3).layers]
        ['functionals', 'start', 'emotion']
    """
    from . import get

    inputs = keras.Input(input_shape, name="functionals")
    start = get(builder)(input_shape, start_classes, **(hyperparameters or {}))
    start.name, start.trainable = "start", False
    outputs = HeadBeside(n_classes, name="emotion")([inputs, start(inputs)])
    return keras.Model(inputs, outputs, name="continued")


@keras.saving.register_keras_serializable("ser_kit")
class HeadBeside(layers.Layer):
    """Probabilities from features ``[batch, features]`` and those of a start ``[batch, start labels]``.

    ``softmax(share * log(start @ match + 0.001) + features @ kernel + bias)``, in float32 whatever the
    precision policy. The weights, none trainable, are ``match`` (``[start labels, classes]``), ``share``
    (``[1]``), ``kernel`` (``[features, classes]``) and ``bias`` (``[classes]``).

    Args:
        classes: number of classes.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> layer = HeadBeside(2)
        >>> layer.build([(None, 1), (None, 2)])
        >>> layer.set_weights([np.eye(2), np.ones(1), np.zeros((1, 2)), np.zeros(2)])
        >>> found = layer([np.zeros((1, 1), "float32"), np.array([[0.25, 0.75]], "float32")])
        >>> keras.ops.convert_to_numpy(found).round(2).tolist()
        [[0.25, 0.75]]
    """

    def __init__(self, classes, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.classes = classes

    def build(self, input_shape):
        def weight(name, *shape):
            return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

        (_, features), (_, start_classes) = input_shape
        self.match = weight("match", start_classes, self.classes)
        self.share = weight("share", 1)
        self.kernel = weight("kernel", features, self.classes)
        self.bias = weight("bias", self.classes)

    def call(self, inputs):
        features, start = inputs
        given = ops.log(ops.matmul(start, self.match) + _TINY)
        return ops.softmax(self.share * given + ops.matmul(features, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        return input_shape[0][0], self.classes

    def get_config(self):
        return super().get_config() | {"classes": self.classes}
