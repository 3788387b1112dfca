"""Dense layers over functionals."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers

from .building import classifier, dense_layers


def mlp(
    input_shape: tuple[int, ...],
    n_classes: int,
    *,
    units: Sequence[int] = (256, 128, 64),
    dropout: Sequence[float] = (0.4, 0.3, 0.0),
    batch_norm: Sequence[bool] = (True, True, False),
    activation: str = "relu",
    squash: bool = False,
) -> keras.Model:
    """Dense layers, each with optional batch normalisation and dropout, then softmax.

    Args:
        input_shape: ``(n_features,)``.
        n_classes: number of emotions, at least 2.
        units: width of each hidden layer.
        dropout: rate after each hidden layer, in [0, 1); 0 leaves the layer out.
        batch_norm: whether each hidden layer is followed by batch normalisation.
        activation: of the hidden layers, by its name in Keras.
        squash: apply a sigmoid to the (standardised) input, for restricted Boltzmann machines.

    Returns:
        An uncompiled model, ``[batch, n_features] -> [batch, n_classes]``;
        51,014 parameters at 30 features and 6 classes with the defaults.

    Source:
        Rumelhart, Hinton & Williams (1986), Learning representations by back-propagating errors, Nature 323.

    Examples:
        >>> mlp((30,), 6).output_shape
        (None, 6)
    """
    inputs = keras.Input(input_shape, name="functionals")
    x = layers.Activation("sigmoid")(inputs) if squash else inputs
    x = dense_layers(x, units, dropout, batch_norm, activation)
    return classifier(inputs, x, n_classes, "mlp")
