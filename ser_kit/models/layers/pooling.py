"""Pooling of sequences of any length, and overlapping chunks of them."""

from __future__ import annotations

import numpy as np

from ...core.backend import import_keras

keras = import_keras()
ops = keras.ops


@keras.saving.register_keras_serializable("ser_kit")
class Chunks(keras.layers.Layer):
    """Overlapping chunks of a sequence: ``[batch, frames, dims]`` -> ``[batch, chunks, length, dims]``.

    Frames after the last whole chunk are dropped; a sequence shorter than one chunk is padded with zeros to
    one. The number of frames must be known when the model is built.

    Args:
        length: frames in a chunk.
        hop: frames between the starts of two chunks.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> keras.ops.convert_to_numpy(Chunks(4, 2)(np.arange(9.0).reshape(1, 9, 1)))[0, :, :, 0]
        array([[0., 1., 2., 3.],
               [2., 3., 4., 5.],
               [4., 5., 6., 7.]], dtype=float32)
    """

    def __init__(self, length, hop, **kwargs):
        super().__init__(**kwargs)
        self.length, self.hop = length, hop

    def call(self, sequence):
        missing = max(0, self.length - sequence.shape[1])
        sequence = ops.pad(sequence, [[0, 0], [0, missing], [0, 0]])
        starts = self.hop * np.arange(self._count(sequence.shape[1]))
        return ops.take(sequence, starts[:, None] + np.arange(self.length), axis=1)

    def compute_output_shape(self, input_shape):
        batch, frames, dims = input_shape
        return batch, self._count(frames), self.length, dims

    def _count(self, frames):
        return 1 + max(0, frames - self.length) // self.hop

    def get_config(self):
        return super().get_config() | {"length": self.length, "hop": self.hop}


@keras.saving.register_keras_serializable("ser_kit")
class AttentionPooling(keras.layers.Layer):
    """Average over time with learnt weights: ``[batch, steps, dims]`` -> ``[batch, dims]``.

    The weight of a step with the state ``h`` is the softmax over time of ``tanh(w h + b)``.

    Examples:
        >>> import numpy as np
        >>> tuple(AttentionPooling()(np.zeros((2, 8, 16), "float32")).shape)
        (2, 16)
    """

    def build(self, input_shape):
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], 1), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(1,), initializer="zeros")

    def attention(self, states):
        """Weights of the steps, ``[batch, steps, 1]``: above 0, and 1 in sum over the steps."""
        return ops.softmax(ops.tanh(ops.matmul(states, self.kernel) + self.bias), axis=1)

    def call(self, states):
        return ops.sum(self.attention(states) * states, axis=1)

    def compute_output_shape(self, input_shape):
        return input_shape[0], input_shape[2]


@keras.saving.register_keras_serializable("ser_kit")
class AttentiveStatistics(keras.layers.Layer):
    """Weighted mean and deviation over time: ``[batch, steps, dims]`` -> ``[batch, 2 * heads * dims]``.

    Each head weighs the steps by the softmax over time of a small network's output. Called on two arrays, the
    states and ``[batch, steps]`` that is true where there is sound, it leaves the other steps out. Source: K.
    Okabe, T. Koshinaka and K. Shinoda, "Attentive statistics pooling for deep speaker embedding", Interspeech
    2018.

    Args:
        heads: sets of weights.
        units: width of the small network.
        **kwargs: of ``keras.layers.Layer``.

    Examples:
        >>> import numpy as np
        >>> states, sound = np.zeros((2, 8, 16), "float32"), np.ones((2, 8), bool)
        >>> tuple(AttentiveStatistics(heads=4)(states, sound).shape)
        (2, 128)
    """

    def __init__(self, heads=4, units=32, **kwargs):
        super().__init__(**kwargs)
        self.heads, self.units = heads, units
        self.hidden = keras.layers.Dense(units, activation="tanh", dtype=self.dtype_policy)
        self.score = keras.layers.Dense(heads, dtype=self.dtype_policy)

    def build(self, states_shape, sound_shape=None):
        self.hidden.build(states_shape)
        self.score.build((*states_shape[:-1], self.units))

    def call(self, states, sound):
        scores = self.score(self.hidden(states))
        scores = ops.where(ops.expand_dims(sound, 2), scores, ops.full_like(scores, -1e9))
        weights = ops.transpose(ops.softmax(scores, axis=1), (0, 2, 1))
        mean, square = ops.matmul(weights, states), ops.matmul(weights, ops.square(states))
        # The difference can be below zero by rounding, and the root of zero has no gradient.
        deviation = ops.sqrt(ops.maximum(square - ops.square(mean), 1e-5))
        pooled = ops.concatenate([mean, deviation], axis=1)
        return ops.reshape(pooled, (-1, 2 * self.heads * states.shape[2]))

    def compute_output_shape(self, states_shape, sound_shape=None):
        return states_shape[0], 2 * self.heads * states_shape[2]

    def get_config(self):
        return super().get_config() | {"heads": self.heads, "units": self.units}


@keras.saving.register_keras_serializable("ser_kit")
class MeanOfSound(keras.layers.Layer):
    """Mean of the segments' posteriors without those of segments that are all zeros, which only pad a clip.

    Called on two arrays: posteriors ``[batch, segments, classes]`` and the segments they belong to,
    ``[batch, segments, samples]``. Gives ``[batch, classes]``; for a clip of zeros only, the mean of all
    segments.

    Examples:
        >>> import numpy as np
        >>> posteriors = np.array([[[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]])
        >>> segments = np.array([[[0.1, 0.0], [0.0, -0.3], [0.0, 0.0]]])
        >>> keras.ops.convert_to_numpy(MeanOfSound()(posteriors, segments)).round(2)
        array([[0.7, 0.3]], dtype=float32)
    """

    def call(self, posteriors, segments):
        sound = ops.cast(ops.any(segments != 0, axis=2, keepdims=True), posteriors.dtype)
        sound = ops.where(ops.any(segments != 0, axis=(1, 2), keepdims=True), sound, 1.0)
        return ops.sum(sound * posteriors, axis=1) / ops.sum(sound, axis=1)

    def compute_output_shape(self, posteriors_shape, segments_shape):
        return posteriors_shape[0], posteriors_shape[2]
