"""A bundle as one TensorFlow function, and as a SavedModel."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from ..bundles.bundle import Bundle
from ..core.backend import import_keras
from ..core.errors import ExportError
from . import graph
from .formats import ASIDE


class NotOneFileError(ExportError):
    """The bundle cannot be exported as one file."""


def extractor_of(bundle: Bundle):
    """The extractor of a bundle.

    Raises:
        NotOneFileError: the members use different features.
    """
    if len(bundle.extractors) > 1:
        names = ", ".join(extractor.name for extractor in bundle.extractors)
        raise NotOneFileError(f"the members of {bundle.card['name']} use different features: {names}")
    return bundle.extractors[0]


def serving_module(bundle: Bundle, products: bool, places: bool = False):
    """The bundle as a TensorFlow module with a function from one input to ``{"probabilities"}``.

    Args:
        bundle: the bundle.
        products: whether to compute Fourier transforms as matrix products.
        places: whether to return ``sharpness`` and ``corpus`` of :class:`ser_kit.bundles.Places` as well, if
            the network measures them.

    Raises:
        ExportError: Keras does not run on TensorFlow.
        NotOneFileError: the bundle cannot be exported as one file.
    """
    if import_keras().backend.backend() != "tensorflow":
        raise ExportError("exporting needs Keras on TensorFlow; set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    from ..models.layers import fourier_as_products

    extractor = extractor_of(bundle)
    samples = graph.takes_samples(extractor)
    prepared = graph.inputs(extractor) if samples else tf.identity
    prior = np.array(bundle.card.get("prior", np.ones(len(bundle.labels))), np.float32)
    weights = np.array([member.weight for member in bundle.members], np.float32)
    if bundle.card["combine"] != "soft" and len(bundle.members) > 1:
        raise NotOneFileError("hard-voting ensembles cannot be exported; expected one network or soft voting")

    class Served(tf.Module):
        def __init__(self):
            super().__init__(name="ser_kit")
            self.networks = [member.model for member in bundle.members]
            self.encoders = graph.networks(extractor) if samples else []

        def answer(self, x):
            x = prepared(x)
            answers = []
            for member, network in zip(bundle.members, self.networks, strict=True):
                whole = len(member.columns) == x.shape[-1]
                columns = x if whole else tf.gather(x, list(member.columns), axis=-1)
                scaled = (columns - member.scaler.mean) / member.scaler.scale
                answers.append(network(scaled, training=False))
            mean = sum(w * p for w, p in zip(weights / weights.sum(), answers, strict=True)) / prior
            mean = mean / tf.reduce_sum(mean, axis=1, keepdims=True)
            logits = tf.math.log(tf.maximum(mean, 1e-12)) / np.float32(bundle.card["temperature"])
            found = {"probabilities": tf.nn.softmax(logits)}
            measure = getattr(self.networks[0].layers[-1], "places", None)
            if places and measure and len(answers) == 1:
                sharpness, corpus = measure(scaled)
                found |= {"sharpness": tf.identity(sharpness), "corpus": tf.identity(corpus)}
            return found

    module = Served()
    shape = (1, None) if samples else (1, *extractor.shape)
    spec = tf.TensorSpec(shape, tf.float32, name="samples" if samples else "features")
    module.serve = tf.function(module.answer, input_signature=[spec], autograph=False)
    with fourier_as_products() if products else nullcontext():
        module.serve.get_concrete_function()
    return module


def frozen_function(served):
    """The function with its variables as constants, for the converters."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Keep loops as they are, so that the converters recognise them.
    return convert_variables_to_constants_v2(served.serve.get_concrete_function(), lower_control_flow=False)


def save(served, folder: Path) -> None:
    """Save the module in TensorFlow's format."""
    import tensorflow as tf

    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # not for training
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve}, options=options)


def write_saved_model(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    """Write the module as a SavedModel, with its metadata in ``assets.extra``."""
    save(served, file)
    (file / ASIDE).parent.mkdir(exist_ok=True)
    (file / ASIDE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


@contextmanager
def quietly() -> Iterator[None]:
    """Suppress the messages of converters, which do not concern users."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
