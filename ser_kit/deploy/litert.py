"""Bundles as LiteRT (TensorFlow Lite) files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.errors import ExportError, MissingDependencyError
from ..core.paths import workshop
from .formats import INTEGERS, NETWORK
from .saved_model import frozen_function, save


def write_litert(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    """Write the module as LiteRT with built-in operators only; the converter fails if it needs others."""
    import tensorflow as tf

    with workshop(file.parent, ".saved-") as folder:
        # Constants only, since the converter does not keep the values of these variables.
        frozen, constant = frozen_function(served), tf.Module()
        constant.serve = tf.function(lambda x: {"probabilities": frozen(x)[0]}, served.serve.input_signature)
        save(constant, folder / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "model"), ["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # the converter raises several private classes
            text = str(error).split("\n", 1)[0][:300]
            raise ExportError(f"the bundle needs more than LiteRT's built-in operators: {text}") from error
    if quantize in ("dynamic", "int8"):
        content = _integers(content, quantize, facts["input"], inputs)
    # Attached as a ZIP archive, as LiteRT's metadata library does; runtimes ignore it.
    attached = io.BytesIO()
    with zipfile.ZipFile(attached, "w") as archive:
        archive.writestr("labels.txt", "\n".join(facts["labels"]) + "\n")
        archive.writestr("ser_kit.json", json.dumps(facts, indent=1) + "\n")
    file.write_bytes(bytes(content) + attached.getvalue())


def _integers(content: bytes, quantize: str, name: str, inputs: Sequence[np.ndarray]) -> bytes:
    """Quantise convolutions and dense layers to 8-bit integers.

    Spectrograms stay floats: their errors would affect everything after them.
    """
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError:
        raise MissingDependencyError(
            "ai-edge-quantizer", "export", f"quantize {quantize!r} for LiteRT"
        ) from None
    made = quantizer.Quantizer(bytearray(content))
    for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
        if quantize == "dynamic":
            made.add_dynamic_config(NETWORK, operation, 8)
        else:
            made.add_static_config(INTEGERS, operation, 8, 8)
    if quantize == "dynamic":
        return made.quantize().quantized_model
    ranges = made.calibrate({"serving_default": [{name: x[None]} for x in inputs]})
    return made.quantize(ranges).quantized_model
