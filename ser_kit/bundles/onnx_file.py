"""Validate a bundle's ``model.onnx`` before ONNX Runtime opens it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.errors import BundleError
from ..features import encoders

FILE = "model.onnx"
"""File name in a bundle."""
ENCODER = "encoder/"
"""Prefix of the names of weights that belong to an encoder of ser_kit and are not in the file."""
OPERATORS = frozenset({
    "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
    "ConstantOfShape", "Conv", "Cos", "DequantizeLinear", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten",
    "Floor", "GRU", "Gather", "GatherND", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater",
    "GreaterOrEqual", "Identity", "InstanceNormalization", "LSTM", "LayerNormalization", "LeakyRelu",
    "Less", "LessOrEqual", "Log", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "NonZero", "Not",
    "Or", "Pad", "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
    "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "ReverseSequence", "Shape", "Sigmoid", "Sign", "Sin",
    "Size", "Slice", "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile",
    "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
"""Allowed operators; none has a graph of its own (``If``, ``Loop``, ``Scan``)."""
MOST_BYTES = 512 << 20
_MOST_NODES = 20_000
_MOST_NUMBER = 10_000_000  # in a constant that may be used as a length
_ENDS = frozenset({10**9, 2**31 - 1, 2**31, 2**63 - 1, 2**63})
"""Values that mean "to the end" or "no limit" for the operators in :data:`_CUTTING`."""
_CUTTING = frozenset({"Slice", "Min", "Where", "Equal"})


def facts(content: bytes, name: str = FILE) -> dict[str, Any]:
    """Validate a file and read its metadata.

    Args:
        content: content of the file.
        name: name of the file, for messages.

    Returns:
        The metadata from :func:`ser_kit.deploy.metadata`.

    Raises:
        BundleError: the file is truncated, or holds a part, an operator or a constant that is not allowed.
    """
    if len(content) > MOST_BYTES:
        raise BundleError(f"{name} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return _Reader(memoryview(content)).model()
    except _RefusedError as error:
        raise BundleError(f"{name} {error}") from None
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # such as a field of another type
        raise BundleError(f"{name} is truncated, or not an ONNX file") from None


class _RefusedError(Exception):
    """Part of a file that is not allowed."""


def _fields(part: memoryview) -> Iterator[tuple[int, Any]]:
    """Field numbers and values (integers or bytes) of a Protocol Buffers message."""
    place = 0
    while place < len(part):
        key, place = _varint(part, place)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _varint(part, place)
        else:
            length, place = _varint(part, place) if kind == 2 else ({5: 4, 1: 8}[kind], place)
            value, place = part[place : place + length], place + length
            if place > len(part):
                raise ValueError("truncated")
        yield number, value


def _varint(part: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = part[place]
        place += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("number too large")


def _text(value: memoryview) -> str:
    return bytes(value).decode()


_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
"""Allowed tensor types -> bytes: float32, uint8, int8, int32, int64, bool, float16, float64."""


class _Reader:
    """Parses an ONNX file as far as validation needs; field numbers are those of ``onnx.proto``."""

    def __init__(self, content: memoryview):
        self.content = content
        self.users: dict[str, set[str]] = {}  # name of a value -> operators with this input
        self.integers: list[tuple[str, list[int]]] = []  # integer constants

    def model(self) -> dict[str, Any]:
        graphs, metadata = 0, {}
        for number, value in _fields(self.content):
            if number == 7:
                graphs += 1
                self._graph(value)
            elif number == 8:
                self._domain(value)
            elif number == 14:
                key, text = (_text(each) for _, each in sorted(_fields(value)))
                metadata[key] = text
            elif number not in (1, 2, 3, 4, 5, 6):
                raise _RefusedError(f"holds a part of kind {number} (such as functions, training)")
        if graphs != 1:
            raise _RefusedError(f"holds {graphs} graphs; expected one")
        for name, numbers in self.integers:
            cuts = self.users.get(name, set()) <= _CUTTING
            if any(abs(n) > _MOST_NUMBER and not (cuts and abs(n) in _ENDS) for n in numbers):
                raise _RefusedError(f"holds a number beyond {_MOST_NUMBER:,} in its constant {name!r}")
        for key in ("labels", "rate"):
            metadata[key] = json.loads(metadata[key])
        labels, rate, encoder = metadata["labels"], metadata["rate"], metadata.get("encoder", "")
        texts = isinstance(labels, list) and all(isinstance(each, str) for each in labels)
        if not texts or not isinstance(rate, int) or "bundle" not in metadata:
            raise _RefusedError("lacks its labels, its rate or the identity of its bundle")
        if encoder and encoder not in encoders.names(packaged=True):
            raise _RefusedError(f"needs the encoder {encoder!r}, which this ser_kit does not have")
        return metadata

    def _domain(self, part: memoryview) -> None:
        domains = [_text(value) for number, value in _fields(part) if number == 1]
        if any(domain not in ("", "ai.onnx") for domain in domains):
            raise _RefusedError(f"needs operators of {domains[0]!r}; expected standard ONNX operators")

    def _graph(self, part: memoryview) -> None:
        nodes = 0
        for number, value in _fields(part):
            if number == 1:
                nodes += 1
                if nodes > _MOST_NODES:
                    raise _RefusedError(f"has more than {_MOST_NODES:,} nodes")
                self._node(value)
            elif number == 5:
                self._tensor(value)
            elif number not in (2, 10, 11, 12, 13):
                raise _RefusedError(f"holds a part of kind {number} in its graph (sparse, quantised)")

    def _node(self, part: memoryview) -> None:
        fields = list(_fields(part))
        operator = next((_text(value) for number, value in fields if number == 4), "")
        domain = "".join(_text(value) for number, value in fields if number == 7)
        if operator not in OPERATORS or domain not in ("", "ai.onnx"):
            raise _RefusedError(f"uses the operator {domain and domain + '.'}{operator}; not allowed")
        for number, value in fields:
            if number == 1:
                self.users.setdefault(_text(value), set()).add(operator)
            elif number == 5:
                self._attribute(value, operator)
            elif number not in (2, 3, 4, 6, 7):
                raise _RefusedError(f"holds a part of kind {number} in a node")

    def _attribute(self, part: memoryview, operator: str) -> None:
        for number, value in _fields(part):
            if number == 5:
                self._tensor(value)
            elif number not in (1, 2, 3, 4, 7, 8, 9, 13, 20):
                raise _RefusedError(f"holds a graph or similar (kind {number}) in a node {operator}")
            elif number == 3 and _signed(value) not in range(-_MOST_NUMBER, _MOST_NUMBER):
                raise _RefusedError(f"holds a number beyond {_MOST_NUMBER:,} in a node {operator}")
            elif number == 8:
                numbers = [value] if isinstance(value, int) else _varints(value)
                if any(_signed(n) not in range(-_MOST_NUMBER, _MOST_NUMBER) for n in numbers):
                    raise _RefusedError(f"holds a number beyond {_MOST_NUMBER:,} in a node {operator}")

    def _tensor(self, part: memoryview) -> None:
        dims, kind, raw, listed, name = [], 0, None, [], ""
        for number, value in _fields(part):
            if number == 1:
                dims += [value] if isinstance(value, int) else _varints(value)
            elif number == 2:
                kind = value
            elif number == 8:
                name = _text(value)
            elif number == 9:
                raw = value
            elif number in (5, 7):
                listed += [value] if isinstance(value, int) else _varints(value)
            elif number in (4, 10):
                listed += range(len(value) // (4 if number == 4 else 8))
                kind = kind or 1
            elif number == 14 and value == 0:
                pass
            elif number != 12:
                raise _RefusedError(f"holds a constant {name!r} of external data or text (kind {number})")
        if kind not in _BYTES:
            raise _RefusedError(f"holds a constant {name!r} of type {kind}")
        count = math.prod(dims)
        held = len(listed) if raw is None else len(raw) // _BYTES[kind]
        if count != held:
            raise _RefusedError(f"holds a constant {name!r} of {held:,} numbers; its shape needs {count:,}")
        if kind in (6, 7):
            if raw is not None:
                listed = np.frombuffer(raw, "<i4" if kind == 6 else "<i8").tolist()
            self.integers.append((name, [_signed(n) for n in listed]))


def _varints(part: memoryview) -> list[int]:
    found, place = [], 0
    while place < len(part):
        value, place = _varint(part, place)
        found.append(value)
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def written(value: int) -> bytes:
    """An integer as a Protocol Buffers varint."""
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found) + bytes([value])


def tagged(number: int, content: bytes) -> bytes:
    """A length-delimited Protocol Buffers field."""
    return written(number << 3 | 2) + written(len(content)) + content
