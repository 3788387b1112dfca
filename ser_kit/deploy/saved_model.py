"""A bundle's whole work as one TensorFlow function, and as a SavedModel."""

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
    """A bundle whose members or features no single file can hold."""


def extractor_of(bundle: Bundle):
    """The one extractor of a bundle.

    Raises:
        NotOneFileError: it has several.
    """
    if len(bundle.extractors) > 1:
        names = ", ".join(extractor.name for extractor in bundle.extractors)
        raise NotOneFileError(
            f"the members of {bundle.card['name']} take different features ({names}), not one file's input"
        )
    return bundle.extractors[0]


def serving_module(bundle: Bundle, products: bool, places: bool = False):
    """The bundle as a TensorFlow module with one function, ``input -> {"probabilities"}``, a clip at a time.

    Args:
        bundle: to be served.
        products: Fourier transforms are matrix products.
        places: give ``sharpness`` and ``corpus`` of :class:`ser_kit.bundles.Places`, too, where the network measures
            them.
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
        raise NotOneFileError("members that vote by hand are not exported; expected one network or soft voting")

    class Served(tf.Module):
        def __init__(self):
            super().__init__(name="ser_kit")
            self.networks = [member.model for member in bundle.members]
            self.within = graph.networks(extractor) if samples else []

        def answer(self, x):
            x = prepared(x)
            said = []
            for member, network in zip(bundle.members, self.networks, strict=True):
                columns = x if len(member.columns) == x.shape[-1] else tf.gather(x, list(member.columns), axis=-1)
                scaled = (columns - member.scaler.mean) / member.scaler.scale
                said.append(network(scaled, training=False))
            mean = sum(w * p for w, p in zip(weights / weights.sum(), said, strict=True)) / prior
            mean = mean / tf.reduce_sum(mean, axis=1, keepdims=True)
            logits = tf.math.log(tf.maximum(mean, 1e-12)) / np.float32(bundle.card["temperature"])
            found = {"probabilities": tf.nn.softmax(logits)}
            measure = getattr(self.networks[0].layers[-1], "places", None)
            if places and measure and len(said) == 1:
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


# ------------------------------------------------------------------------------------------------------------- formats


def frozen_function(served):
    """The function with its variables as constants: what the converters take."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Loops stay whole, so that the converters know them.
    return convert_variables_to_constants_v2(served.serve.get_concrete_function(), lower_control_flow=False)


def save(served, folder: Path) -> None:
    """Save the module as TensorFlow does."""
    import tensorflow as tf

    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # nobody will train it
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve}, options=options)


def write_saved_model(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    """Write the module as a SavedModel, and what it says of itself beside it."""
    save(served, file)
    (file / ASIDE).parent.mkdir(exist_ok=True)
    (file / ASIDE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


@contextmanager
def quietly() -> Iterator[None]:
    """Without what converters say of their own workings, which is nothing that a user could mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
