"""LSTMs over frame features."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, regularizers

from .building import classifier


def lstm(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (64, 64),
    bidirectional: bool = False,
    pool: str = "last",
    l2: float = 0.0,
    dense_units: int = 64,
    dropout: float = 0.3,
) -> keras.Model:
    """LSTMs over frame features. Padding is not masked.

    Args:
        input_shape: ``(frames, dims)``.
        n_classes: number of emotions, at least 2.
        units: units of each LSTM, in each direction.
        bidirectional: whether the LSTMs go both ways.
        pool: the ``"last"`` state of the last LSTM is classified, or the ``"mean"`` of all its states.
        l2: weight penalty of the LSTMs' input kernels and of the dense layer; 0 leaves it out.
        dense_units: width of the layer before the softmax.
        dropout: rate after each LSTM and before the softmax, in [0, 1).

    Returns:
        An uncompiled model, ``[batch, frames, dims] -> [batch, n_classes]``;
        93,638 parameters at ``(300, 154)`` and 6 classes with the defaults.

    Raises:
        ValueError: ``pool`` is neither.

    Source:
        Hochreiter & Schmidhuber (1997), Long Short-Term Memory, Neural Computation 9.

    Examples:
        >>> lstm((300, 154), 6).count_params()
        93638
    """
    if pool not in ("last", "mean"):
        raise ValueError(f"pool must be 'last' or 'mean', not {pool!r}")
    penalty = regularizers.L2(l2) if l2 else None
    inputs = keras.Input(input_shape, name="frames")
    x = inputs
    for i, width in enumerate(units, start=1):
        sequences = i < len(units) or pool == "mean"
        layer = layers.LSTM(width, return_sequences=sequences, kernel_regularizer=penalty)
        x = layers.Bidirectional(layer)(x) if bidirectional else layer(x)
        x = layers.Dropout(dropout)(x)
    if pool == "mean":
        x = layers.GlobalAveragePooling1D()(x)
    x = layers.Dense(dense_units, activation="relu", kernel_regularizer=penalty)(x)
    x = layers.Dropout(dropout)(x)
    return classifier(inputs, x, n_classes, "lstm")
