"""Bundles as ONNX files: float32, half precision, or 8-bit integers."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..bundles import runtime
from ..core.errors import MissingDependencyError
from .formats import INTEGERS, NETWORK, OPSET
from .saved_model import frozen_function


def write_onnx(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    """Write the module as ONNX, with quantised weights or computations if requested."""
    model = written(served)
    if quantize == "float16":
        model = _half(model)
    elif quantize == "dynamic":
        model = _eight_bits(model)
    elif quantize == "int8":
        model = _static(model, file, model.graph.input[0].name, inputs)
    file.write_bytes(finished(model, facts))


def written(served):
    """The module as an ONNX model, with the names of the function's input and outputs."""
    try:
        import tf2onnx
    except ImportError:
        raise MissingDependencyError("tf2onnx and onnxruntime", "export", "writing ONNX") from None
    frozen = frozen_function(served)
    (given,) = frozen.inputs
    names = {given.name: given.op.name}
    # A function's outputs are sorted by name.
    called = sorted(served.serve.get_concrete_function().structured_outputs)
    names |= {found.name: name for found, name in zip(frozen.outputs, called, strict=True)}
    model, _ = tf2onnx.convert.from_graph_def(
        frozen.graph.as_graph_def(),
        name="ser_kit",
        input_names=[given.name],
        output_names=[found.name for found in frozen.outputs],
        opset=OPSET,
    )
    used = {node.domain for node in model.graph.node}
    for each in [each for each in model.opset_import if each.domain not in used]:
        model.opset_import.remove(each)  # unused
    for node in model.graph.node:
        for names_of in (node.input, node.output):
            names_of[:] = [names.get(each, each) for each in names_of]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    return model


def finished(model, facts: dict, *, whole: bool = True) -> bytes:
    """Add metadata and serialise a model.

    Args:
        model: the ONNX model.
        facts: metadata.
        whole: whether the model holds all its weights, so that it can be checked.
    """
    import onnx

    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    if whole:
        onnx.checker.check_model(model)
    return model.SerializeToString()


def _smaller(model, store: Callable[[Any, np.ndarray, int, str], list]):
    """Store large weights of the networks in another form, from which a node restores them.

    Constants of spectrograms are unchanged: their errors would affect everything after them.

    Args:
        model: the ONNX model.
        store: function of graph, values, output axis and name that returns the restoring nodes.
    """
    import onnx

    weights = {each.name: each for each in model.graph.initializer}
    used = {name: node for node in model.graph.node for name in node.input if name in weights}
    made = []
    for name, node in used.items():
        values = onnx.numpy_helper.to_array(weights[name])
        if values.dtype != np.float32 or values.size < 256 or not re.search(NETWORK, node.name):
            continue
        axis = 0 if node.op_type == "Conv" else values.ndim - 1  # of the outputs
        made += store(model.graph, values, axis, name)
        model.graph.initializer.remove(weights[name])
    for node in reversed(made):
        model.graph.node.insert(0, node)
    return model


def without_encoder(model, name: str):
    """Remove the weights of an encoder of ser_kit, which :mod:`ser_kit.bundles.runtime` adds again."""
    import onnx

    stored = dict(runtime.quantised(name))
    weights = {key: values for key, values in stored.items() if not key.endswith(".scale")}
    made = []
    for held in [each for each in model.graph.initializer if math.prod(each.dims) >= 256]:
        values = onnx.numpy_helper.to_array(held)
        for key, whole in weights.items():
            axis = 1 if whole.ndim == 2 else 0
            scale = stored[f"{key}.scale"].reshape([-1 if i == axis else 1 for i in range(whole.ndim)])
            if whole.shape == values.shape and np.array_equal(whole * scale, values):
                names = [key, f"{key}.scale"]
                node = onnx.helper.make_node("DequantizeLinear", names, [held.name], f"{key}_wide", axis=axis)
                made.append(node)
                model.graph.initializer.remove(held)
                break
    for node in reversed(made):
        model.graph.node.insert(0, node)
    return model


def exactly_half(model):
    """Store weights in 16 bits where this loses nothing."""
    import onnx

    for held in [each for each in model.graph.initializer if each.data_type == onnx.TensorProto.FLOAT]:
        values = onnx.numpy_helper.to_array(held)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size >= 256 and np.array_equal(half, values):
            (cast,) = _stored_as_half(model.graph, values, 0, held.name)
            model.graph.initializer.remove(held)
            model.graph.node.insert(0, cast)
    return model


def _stored_as_half(graph, values: np.ndarray, axis: int, name: str) -> list:
    """Add 16-bit weights to a graph, and return the node that casts them to float32."""
    import onnx

    graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
    return [onnx.helper.make_node("Cast", [f"{name}_16"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)]


def _half(model):
    """Store weights in 16 bits."""
    return _smaller(model, _stored_as_half)


def _eight_bits(model):
    """Store weights in 8 bits, with a scale for each output."""
    import onnx

    def store(graph, values, axis, name):
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = np.maximum(np.abs(values).max(axis=others), 1e-12).astype(np.float32) / np.float32(127)
        shape = [-1 if i == axis else 1 for i in range(values.ndim)]
        whole = np.round(values / scale.reshape(shape)).astype(np.int8)
        zero = np.zeros(len(scale), np.int8)
        names = [f"{name}_8", f"{name}_scale", f"{name}_zero"]
        for each, part in zip(names, (whole, scale, zero), strict=True):
            graph.initializer.append(onnx.numpy_helper.from_array(part, each))
        return [onnx.helper.make_node("DequantizeLinear", names, [name], f"{name}_wide", axis=axis)]

    return _smaller(model, store)


def _static(model, file: Path, name: str, inputs: Sequence[np.ndarray]):
    """Compute convolutions and dense layers in 8-bit integers, whose range is calibrated on clips."""
    import onnx
    from onnxruntime import quantization

    class Clips(quantization.CalibrationDataReader):
        def __init__(self):
            self.left = iter(inputs)

        def get_next(self):
            x = next(self.left, None)
            return None if x is None else {name: x[None]}

    wide, narrow = file.with_suffix(".wide"), file.with_suffix(".narrow")
    onnx.save(model, wide)
    quantization.quantize_static(
        wide,
        narrow,
        Clips(),
        quant_format=quantization.QuantFormat.QDQ,
        op_types_to_quantize=["Conv", "MatMul", "Gemm"],
        nodes_to_exclude=[node.name for node in model.graph.node if not re.search(INTEGERS, node.name)],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return onnx.load(narrow)
