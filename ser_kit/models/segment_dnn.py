"""Dense layers over short segments of the samples, and the mean of their answers."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from .building import classifier
from .layers import MeanOfSound


def segment_dnn(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (256, 128, 64),
    dropout: float = 0.3,
) -> keras.Model:
    """Dense layers over each short segment of the samples, and the mean of a clip's segments.

    ``model.get_layer("segment")`` is the network of one segment, ``[batch, samples] -> [batch, n_classes]``.
    It can be trained on single segments; the whole model then has its weights. Segments of zeros are padding
    and are left out of the mean, so the inputs must be scaled without a shift.

    Args:
        input_shape: ``(segments, samples)``.
        n_classes: number of emotions, at least 2.
        units: width of each hidden layer.
        dropout: rate after the last hidden layer, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, segments, samples] -> [batch, n_classes]``;
        123,718 parameters at 320 samples and 6 classes with the defaults, however many segments.

    Source:
        Han, Yu & Tashev (2014), Speech Emotion Recognition Using Deep Neural Network and Extreme Learning
        Machine, Interspeech, whose network sees features of segments.

    Examples:
        >>> model = segment_dnn((100, 320), 6)
        >>> model.count_params()
        123718
        >>> model.get_layer("segment").output_shape
        (None, 6)
    """
    segments, samples = input_shape
    one = keras.Input((samples,), name="samples")
    x = one
    for width in units:
        x = layers.Dense(width, activation="relu")(x)
    x = layers.Dropout(dropout)(x)
    segment = classifier(one, x, n_classes, "segment")

    inputs = keras.Input(input_shape, name="segments")
    # As one long batch: keras.layers.TimeDistributed would run the perceptron once for each segment.
    x = ops.reshape(segment(ops.reshape(inputs, (-1, samples))), (-1, segments, n_classes))
    outputs = MeanOfSound(dtype="float32", name="emotion")(x, inputs)
    return keras.Model(inputs, outputs, name="segment_dnn")
