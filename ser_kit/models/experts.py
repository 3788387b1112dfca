"""A linear classifier for all corpora and one for each, mixed by the distances from the corpora."""

from __future__ import annotations

import keras
from keras import ops

from .building import alone

_NONE = 1e9
"""The distance from a second corpus where there is only one."""
_STEEPNESS = 40.0
"""How fast belief in a corpus rises with the logarithm of the two distances' ratio."""


def experts(
    input_shape: tuple[int, ...], n_classes: int, *, corpora: int, components: int, shared: int
) -> keras.Model:
    """Linear classifiers of features: one for all corpora and one for each, mixed by distance.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of emotions.
        corpora: number of corpora, at least 1.
        components: number of components that distances are measured in.
        shared: how many features, from the first on, the classifier for all corpora and the distances rest
            on.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``, whose parameters are not
        trainable; :class:`ser_kit.training.linear.Linear` sets them. Until then all emotions are equally
        likely.

    Source:
        Jacobs, Jordan, Nowlan & Hinton (1991), Adaptive mixtures of local experts, Neural Computation 3, with
        a gate that is not trained but compares distances; Lee, Lee, Lee & Shin (2018), A simple unified
        framework for detecting out-of-distribution samples, NeurIPS 31, for these.

    Examples:
        >>> experts((3072,), 7, corpora=5, components=300, shared=3072).count_params()
        1052169
    """
    return alone(Experts(corpora, components, shared, n_classes, name="emotion"), input_shape, "experts")


@keras.saving.register_keras_serializable("ser_kit")
class Experts(keras.layers.Layer):
    """Linear classifiers mixed by distance: ``[batch, features]`` -> probabilities ``[batch, classes]``.

    The distance ``d`` from a corpus is the mean square of what a clip's components differ by from the
    corpus's centre. Where the nearest corpus is much nearer than the second, the clip is taken to be of that
    corpus, and that corpus's classifier answers. Else the one for all does, whose logits are multiplied by
    ``(reference / d) ** doubt``, so that answers are the less sure the farther the clip is from everything
    known. In between, the probabilities of both are mixed. Works in float32 whatever the precision policy.

    The weights, none trainable, are ``kernel`` (``[shared, classes]``) and ``bias`` (``[classes]``) for all
    corpora, ``own_kernel`` (``[features, corpora * classes]``) and ``own_bias`` (``[corpora * classes]``) for
    each, ``projection`` (float16 ``[shared, components]``, which takes the most room), ``centres``
    (``[corpora, components]``), and ``distance``: ``near`` (the ratio of the two smallest distances at which
    both cases are equally likely), ``doubt`` and ``reference``.

    Args:
        corpora: number of corpora.
        components: number of components.
        shared: number of features, from the first on, that all but ``own_kernel`` see.
        classes: number of classes.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> layer = Experts(corpora=2, components=1, shared=1, classes=2)
        >>> layer.build((None, 1))
        >>> weights = [[[1, 0]], [0, 0], [[9, 0, 0, 0]], [0] * 4, [[1]], [[1], [-1]], [0.7, 1.0, 2.0]]
        >>> layer.set_weights([np.array(value) for value in weights])
        >>> keras.ops.convert_to_numpy(layer(np.array([[1], [20]], "float32")))[:, 0].round(2)
        array([1.  , 0.53], dtype=float32)
    """

    def __init__(self, corpora, components, shared, classes, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.corpora, self.components, self.shared, self.classes = corpora, components, shared, classes

    def build(self, input_shape):
        def weight(name, *shape, dtype="float32"):
            return self.add_weight(name=name, shape=shape, dtype=dtype, initializer="zeros", trainable=False)

        self.kernel = weight("kernel", self.shared, self.classes)
        self.bias = weight("bias", self.classes)
        self.own_kernel = weight("own_kernel", input_shape[-1], self.corpora * self.classes)
        self.own_bias = weight("own_bias", self.corpora * self.classes)
        self.projection = weight("projection", self.shared, self.components, dtype="float16")
        self.centres = weight("centres", self.corpora, self.components)
        self.distance = weight("distance", 3)

    def call(self, inputs):
        known, sharpness, nearest = self.placed(inputs)
        own = ops.matmul(inputs, self.own_kernel) + self.own_bias
        own = ops.sum(ops.reshape(own, (-1, self.corpora, self.classes)) * nearest[:, :, None], axis=1)
        logits = ops.matmul(inputs[:, : self.shared], self.kernel) + self.bias
        return known * ops.softmax(own) + (1 - known) * ops.softmax(sharpness * logits)

    def placed(self, inputs):
        """Where clips lie relative to the corpora.

        Returns:
            Probability that the nearest corpus is the clip's ``[batch, 1]``, factor of the logits otherwise
            ``[batch, 1]``, and the nearest corpus as ones and zeros ``[batch, corpora]``.
        """
        near, doubt, reference = (self.distance[i] for i in range(3))
        shared = inputs[:, : self.shared]
        places = ops.matmul(shared, ops.cast(self.projection, "float32"))
        distances = ops.mean(ops.square(places[:, None, :] - self.centres), axis=2) + 1e-6
        first = ops.min(distances, axis=1, keepdims=True)
        nearest = ops.cast(distances <= first, "float32")
        second = ops.min(distances + _NONE * nearest, axis=1, keepdims=True)
        known = ops.sigmoid(_STEEPNESS * (ops.log(second / first) + ops.log(near + 1e-6)))
        return known, ops.power((reference + 1e-6) / first, doubt), nearest

    def places(self, inputs):
        """Factor of each answer's logits, and number of the corpus of each clip, both ``[batch]``.

        The number is -1 for no corpus, and where there is only one.
        """
        known, sharpness, nearest = (ops.convert_to_tensor(each) for each in self.placed(inputs))
        believed = ops.cast(known[:, 0] >= 0.5, "float32") * float(self.corpora > 1)
        # The first of equally near ones, without ``argmax``, which some export formats lack.
        numbers = self.corpora - ops.arange(self.corpora, dtype="float32")
        first = self.corpora - ops.max(nearest * numbers, axis=1)
        return (known + (1 - known) * sharpness)[:, 0], ops.cast(believed * (first + 1) - 1, "int32")

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.classes

    def get_config(self):
        return super().get_config() | {
            "corpora": self.corpora, "components": self.components, "shared": self.shared,
            "classes": self.classes,
        }  # fmt: skip
