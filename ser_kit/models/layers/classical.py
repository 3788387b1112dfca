"""Decision trees and support vectors as layers; their weights come from scikit-learn's classifiers."""

from __future__ import annotations

import numpy as np

from ...core.backend import import_keras

keras = import_keras()
ops = keras.ops


@keras.saving.register_keras_serializable("ser_kit")
class DecisionForest(keras.layers.Layer):
    """Mean of the leaves that decision trees lead to: ``[batch, features]`` -> ``[batch, classes]``.

    At each node an input goes to the left child if ``input[feature] <= threshold``, else to the right one. A
    leaf is its own child. Works in float32 whatever the precision policy, as the thresholds demand.

    The weights, none trainable, are ``feature`` (int32), ``threshold``, ``left`` and ``right`` (int32), all
    ``[trees, nodes]``, and ``leaf`` (``[trees, nodes, classes]``, probabilities). Node 0 is the root.

    Args:
        trees: number of trees.
        nodes: nodes of the largest tree.
        classes: number of classes.
        depth: steps from the root to the deepest leaf.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        A tree of one question, whether the only feature is at most 0.5:

        >>> import numpy as np
        >>> layer = DecisionForest(trees=1, nodes=3, classes=2, depth=1)
        >>> layer.build((None, 1))
        >>> values = [[[0, 0, 0]], [[0.5, 0, 0]], [[1, 1, 2]], [[2, 1, 2]], [[[0, 0], [1, 0], [0, 1]]]]
        >>> layer.set_weights([np.array(value) for value in values])
        >>> keras.ops.convert_to_numpy(layer(np.array([[0.5], [0.6]], "float32")))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, trees, nodes, classes, depth, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.trees, self.nodes, self.classes, self.depth = trees, nodes, classes, depth

    def build(self, input_shape):
        def weight(name, dtype, *shape, initializer="zeros"):
            shape = (self.trees, self.nodes, *shape)
            return self.add_weight(
                name=name, shape=shape, dtype=dtype, initializer=initializer, trainable=False
            )

        self.feature = weight("feature", "int32")
        self.threshold = weight("threshold", "float32")
        self.left = weight("left", "int32")
        self.right = weight("right", "int32")
        evenly = keras.initializers.Constant(1 / self.classes)
        self.leaf = weight("leaf", "float32", self.classes, initializer=evenly)

    def call(self, inputs):
        feature, threshold, left, right = (
            ops.reshape(weight, (-1,)) for weight in (self.feature, self.threshold, self.left, self.right)
        )
        roots = self.nodes * np.arange(self.trees, dtype="int32")
        # Places in the flattened weights, [batch, trees].
        place = ops.zeros_like(inputs[:, :1], dtype="int32") + roots
        for _ in range(self.depth):
            value = ops.take_along_axis(inputs, ops.take(feature, place), axis=1)
            goes_left = value <= ops.take(threshold, place)
            place = roots + ops.where(goes_left, ops.take(left, place), ops.take(right, place))
        leaves = ops.take(ops.reshape(self.leaf, (-1, self.classes)), place, axis=0)
        return ops.mean(leaves, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.classes

    def get_config(self):
        sizes = {"trees": self.trees, "nodes": self.nodes, "classes": self.classes, "depth": self.depth}
        return super().get_config() | sizes


@keras.saving.register_keras_serializable("ser_kit")
class SupportVectors(keras.layers.Layer):
    """One-against-one support vectors with a Gaussian kernel: ``[batch, features]`` -> ``[batch, classes]``.

    The decision of each pair of classes is a vote for the first of the two if it is not negative. The
    output is the softmax of the votes plus the sum of a class's decisions, squeezed into (-1/3, 1/3) so that
    they only break ties; as in scikit-learn's ``SVC.decision_function``. Works in float32 whatever the
    precision policy.

    The weights, none trainable, are ``vectors`` (``[count, features]``), ``gamma`` (the kernel is
    ``exp(-gamma * distance ** 2)``), ``dual`` (``[count, pairs]``) and ``intercept`` (``[pairs]``), where the
    pairs run 0-1, 0-2, ..., 1-2, ...

    Args:
        count: number of support vectors.
        classes: number of classes.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> layer = SupportVectors(count=2, classes=2)
        >>> layer.build((None, 1))
        >>> layer.set_weights([np.array(value) for value in ([[-1], [1]], 1.0, [[1], [-1]], [0])])
        >>> keras.ops.convert_to_numpy(layer(np.array([[-2], [3]], "float32"))).argmax(axis=1)
        array([0, 1])
    """

    def __init__(self, count, classes, **kwargs):
        super().__init__(**{"dtype": "float32"} | kwargs)
        self.count, self.classes = count, classes

    def build(self, input_shape):
        def weight(name, *shape):
            return self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False)

        pairs = self.classes * (self.classes - 1) // 2
        self.vectors = weight("vectors", self.count, input_shape[-1])
        self.gamma = weight("gamma")
        self.dual = weight("dual", self.count, pairs)
        self.intercept = weight("intercept", pairs)

    def call(self, inputs):
        lengths = ops.sum(ops.square(inputs), axis=1, keepdims=True) + ops.sum(
            ops.square(self.vectors), axis=1
        )
        distances = lengths - 2 * ops.matmul(inputs, ops.transpose(self.vectors))
        kernel = ops.exp(-self.gamma * ops.maximum(distances, 0))
        decisions = (ops.matmul(kernel, self.dual) + self.intercept)[:, :, None]
        first, second = (np.eye(self.classes, dtype="float32")[i] for i in np.triu_indices(self.classes, 1))
        votes = ops.sum(ops.where(decisions >= 0, first, second), axis=1)
        confidence = ops.sum(decisions * (first - second), axis=1)
        return ops.softmax(votes + confidence / (3 * (ops.abs(confidence) + 1)))

    def compute_output_shape(self, input_shape):
        return input_shape[0], self.classes

    def get_config(self):
        return super().get_config() | {"count": self.count, "classes": self.classes}
