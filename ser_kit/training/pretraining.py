"""Greedy layer-wise pretraining without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..core.config import checked
from ..core.errors import TrainingError
from .data import checked_inputs
from .seeds import subseed
from .settings import Training

if TYPE_CHECKING:
    import keras


_BATCH = 32  # clips in a step of pretraining


def pretrain(
    model: keras.Model,
    x: np.ndarray,
    method: str,
    *,
    epochs: int = 100,
    learning_rate: float = 1e-3,
    seed: int = 0,
) -> None:
    """Train the hidden layers of a perceptron one by one, each on the output of the previous one, without
    labels.

    The weights of the hidden dense layers are set; the output layer is not changed. Batch normalisation and
    dropout run in inference mode.

    Args:
        model: a sequential model, such as from :func:`ser_kit.models.mlp <ser_kit.models.mlp.mlp>`.
        x: features, ``[clips, features]``.
        method: ``"rbm"``: each layer is a restricted Boltzmann machine (for ``mlp`` with
            ``activation="sigmoid"`` and ``squash=True``). ``"autoencoder"``: each is the encoder of an
            autoencoder with a linear decoder and squared error.
        epochs: number of epochs for each layer.
        learning_rate: learning rate of the Boltzmann machine or of Adam. With 0.1 all hidden units of a
            Boltzmann machine can end at 0 for all clips, from where backpropagation does not recover.
        seed: random seed; the result also depends on the initial weights of the model.

    Raises:
        TrainingError: if the method is unknown, ``x`` is not valid, or the model does not suit Boltzmann
            machines.

    Source:
        Hinton, Osindero & Teh (2006), A Fast Learning Algorithm for Deep Belief Nets, Neural Computation 18;
        Bengio, Lamblin, Popovici & Larochelle (2007), Greedy Layer-Wise Training of Deep Networks, NIPS 19.

    Examples:
        >>> from ser_kit import models
        >>> x = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
        >>> model = models.get("mlp")((4,), 2, units=(3,), dropout=(0,), batch_norm=(False,))
        >>> before = model.get_weights()[0]
        >>> pretrain(model, x, "autoencoder", epochs=1)
        >>> (before != model.get_weights()[0]).any()
        np.True_
    """
    import keras

    checked("method", method, Training.valid["pretrain"], TrainingError)
    x = checked_inputs(x)
    for i, layer in enumerate(layer for layer in model.layers[:-1] if isinstance(layer, keras.layers.Dense)):
        inputs = keras.Model(model.inputs, layer.input).predict(x, batch_size=256, verbose=0)
        if method == "rbm":
            layer.set_weights(_rbm(layer, inputs, epochs, learning_rate, subseed(seed, "layer", i)))
        else:
            layer.set_weights(_encoder(layer, inputs, epochs, learning_rate, subseed(seed, "layer", i)))


def _rbm(layer, inputs, epochs, learning_rate, seed) -> list[np.ndarray]:
    from sklearn.neural_network import BernoulliRBM

    if layer.activation.__name__ != "sigmoid" or inputs.min() < 0 or inputs.max() > 1:
        raise TrainingError(
            "restricted Boltzmann machines need sigmoid layers and inputs in 0..1; build the model with "
            'activation="sigmoid", squash=True and no batch normalisation'
        )
    machine = BernoulliRBM(
        layer.units, learning_rate=learning_rate, batch_size=_BATCH, n_iter=epochs, random_state=seed
    ).fit(inputs)
    return [machine.components_.T, machine.intercept_hidden_]


def _encoder(layer, inputs, epochs, learning_rate, seed) -> list[np.ndarray]:
    import keras

    encoder = keras.layers.Dense.from_config(layer.get_config())
    decoder = keras.layers.Dense(
        inputs.shape[1], kernel_initializer=keras.initializers.GlorotUniform(seed), name="decoder"
    )
    autoencoder = keras.Sequential([keras.Input(inputs.shape[1:]), encoder, decoder])
    encoder.set_weights(layer.get_weights())
    autoencoder.compile(keras.optimizers.Adam(learning_rate), "mean_squared_error")
    # TensorFlow traces a step that creates variables twice.
    autoencoder.optimizer.build(autoencoder.trainable_variables)
    order = np.random.default_rng(seed)
    for _ in range(epochs):
        for rows in np.split(order.permutation(len(inputs)), range(_BATCH, len(inputs), _BATCH)):
            autoencoder.train_on_batch(inputs[rows], inputs[rows])
    return encoder.get_weights()
