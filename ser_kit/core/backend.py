"""Import Keras quietly, and call its models as plain functions."""

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
    """Compile a model once for all batch sizes and lengths.

    Keras's own ``predict_on_batch`` is traced again for a second input shape, which takes longer than
    hundreds of predictions.

    Args:
        model: a built model with one input and one output.

    Returns:
        A function ``float32 [n, *input] -> float32 [n, *output]``. It raises
        :class:`~ser_kit.core.errors.ForkedError` in a process that was forked after TensorFlow had been used.

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
    # There is one graph only. Letting TensorFlow look it up for each call takes a tenth of the time of a
    # prediction.
    graph = traced if tf.config.functions_run_eagerly() else traced.get_concrete_function()

    def answer(inputs: np.ndarray) -> np.ndarray:
        before_tensorflow()
        return graph(tf.constant(inputs, tf.float32)).numpy()

    return answer


def import_keras() -> ModuleType:
    """Import Keras without the messages that TensorFlow's libraries write to standard error.

    On a machine without a GPU they write a warning at each import, which no setting of theirs turns off. The
    messages are shown if the import fails.
    """
    if "keras" in sys.modules:
        return sys.modules["keras"]
    with hidden_stderr():
        return importlib.import_module("keras")


@contextmanager
def hidden_stderr() -> Iterator[None]:
    """Hide the output of native libraries on standard error, unless an error is raised."""
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
