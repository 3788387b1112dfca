"""Keras, loaded without noise, and its models as plain functions."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from .parallel import before_tensorflow

if TYPE_CHECKING:
    import keras


def forward(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A model as a function from inputs to outputs, compiled once for all batch sizes and lengths.

    Keras's own ``predict_on_batch`` is traced anew for the second shape that it sees, which takes longer than
    hundreds of answers.

    Args:
        model: with one input and one output.

    Returns:
        ``float32 [n, *input] -> float32 [n, *output]``. It raises :class:`~ser_kit.core.errors.ForkedError`
        in a process that was forked since.

    Examples:
        >>> from ser_kit import models
        >>> forward(models.get("mlp")((30,), 6))(np.zeros((2, 30), np.float32)).shape
        (2, 6)
    """
    if import_keras().backend.backend() != "tensorflow":
        return lambda inputs: np.asarray(model.predict_on_batch(inputs))
    import tensorflow as tf

    shape = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
    traced = tf.function(
        lambda inputs: model(inputs, training=False), input_signature=[shape], autograph=False
    )
    # Looking for the graph that fits the arguments, of which there is one, would take a tenth of an answer's
    # time.
    graph = traced if tf.config.functions_run_eagerly() else traced.get_concrete_function()

    def answer(inputs: np.ndarray) -> np.ndarray:
        before_tensorflow()
        return graph(tf.constant(inputs, tf.float32)).numpy()

    return answer


def import_keras() -> ModuleType:
    """Keras, without what TensorFlow's libraries write to standard error while they load.

    On a machine without a GPU they say so each time, in a way that no setting of theirs turns off. Should the
    import fail, what they wrote is shown after all.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    with unheard():
        return importlib.import_module("keras")


@contextmanager
def unheard() -> Iterator[None]:
    """Hide what native libraries write to standard error; it is shown if an error is raised."""
    try:
        stderr = os.dup(2)
    except OSError:  # no standard error to keep clean
        stderr = None
    if stderr is None:
        yield
        return
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        except BaseException:
            written.seek(0)
            os.write(stderr, written.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
