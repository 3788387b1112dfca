"""Adversarial speaker classifier on a reversed gradient, for speaker-invariant features."""

from __future__ import annotations

import keras
from keras import layers, ops


@keras.saving.register_keras_serializable("ser_kit")
class GradientReversal(layers.Layer):
    """Identity layer that reverses the sign of the gradient.

    Args:
        strength: factor of the reversed gradient, 0 or more.
        **kwargs: arguments of ``keras.layers.Layer``.

    Source:
        Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016.

    Examples:
        >>> float(GradientReversal(0.5)(ops.ones((1, 1)))[0, 0])
        1.0
    """

    def __init__(self, strength=1.0, **kwargs):
        super().__init__(**kwargs)
        self.strength = strength

    def call(self, inputs):
        return ops.stop_gradient(inputs * (1 + self.strength)) - inputs * self.strength

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config() | {"strength": self.strength}


def with_adversary(model: keras.Model, n_speakers: int, strength: float, *, units: int = 64) -> keras.Model:
    """Add a second output, ``"speaker"``, on a reversed gradient; the layers are shared with the model.

    Args:
        model: a model with a dense layer named ``"emotion"``; its input is the speaker head's input.
        n_speakers: number of outputs of the speaker head.
        strength: factor of the reversed gradient, 0 or more.
        units: hidden units of the speaker head.

    Returns:
        A model with the outputs ``{"emotion": [batch, n_classes], "speaker": [batch, n_speakers]}``.

    Examples:
        >>> from ser_kit import models
        >>> list(with_adversary(models.get("mlp")((30,), 6), 20, 0.1).output_names)
        ['emotion', 'speaker']
    """
    x = GradientReversal(strength)(model.get_layer("emotion").input)
    x = layers.Dense(units, activation="relu")(x)
    speaker = layers.Dense(n_speakers, activation="softmax", dtype="float32", name="speaker")(x)
    return keras.Model(model.input, {"emotion": model.output, "speaker": speaker})
