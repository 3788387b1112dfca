"""ONNX Runtime: a bundle's answers without TensorFlow.

``model.onnx`` of a bundle takes samples and gives calibrated probabilities, and how near the recording is to what was
learned from. The weights of a speech encoder are part of ser_kit (:mod:`ser_kit.features.encoders`) and not of the file: they
are added when it is opened. A file is read here, before the runtime sees it, and refused where it holds anything that a
bundle's does not.

Examples:
    >>> from ser_kit.bundles import preset_path
    >>> runtime = Runtime.open(preset_path("cross_corpus") / "model.onnx")   # doctest: +SKIP
    >>> runtime.run(samples).probabilities.shape                             # doctest: +SKIP
    (8,)
"""

from __future__ import annotations

import io
import json
import math
import os
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import BundleError, MissingDependencyError, SerKitError
from ..features import encoders

FILE = "model.onnx"
"""Its name in a bundle."""
ENCODER = "encoder/"
"""What the names of weights begin with that are not in the file but in ser_kit's own encoder."""
OPERATORS = frozenset({
    "Abs", "Add", "And", "ArgMax", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat",
    "ConstantOfShape", "Conv", "Cos", "DequantizeLinear", "Div", "Equal", "Erf", "Exp", "Expand", "Flatten",
    "Floor", "GRU", "Gather", "GatherND", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater",
    "GreaterOrEqual", "Identity", "InstanceNormalization", "LSTM", "LayerNormalization", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pad",
    "Pow", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum",
    "ReduceSumSquare", "Relu", "Reshape", "ReverseSequence", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice",
    "Softmax", "Softplus", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze",
    "Where",
})  # fmt: skip
"""What a file may compute with: nothing that holds a graph of its own (``If``, ``Loop``, ``Scan``) is among them."""
MOST_BYTES = 512 << 20
_MOST_NODES = 20_000
_MOST_NUMBER = 10_000_000  # in a constant that lengths may be made of
_ENDS = frozenset({10**9, 2**31 - 1, 2**31, 2**63 - 1, 2**63})
"""Numbers that mean "to the end" or "without limit" to :data:`_CUTTING` operators."""
_CUTTING = frozenset({"Slice", "Min", "Where", "Equal"})
_MEMORY = 2 << 30
"""Bytes that all files together may take while they compute: what ours take for 8 s of sound, many times over."""


class Answer(NamedTuple):
    """What a file gives for one recording.

    Args:
        probabilities: calibrated, float64 ``[labels]``.
        sharpness: of :class:`ser_kit.bundles.Places`.
        corpus: likewise.
    """

    probabilities: np.ndarray
    sharpness: float
    corpus: int


class Runtime:
    """A bundle's ``model.onnx``, ready to answer; it may be called from several threads, each of which uses one core.

    Args:
        content: of the file.
        name: of the file, for messages.

    Raises:
        BundleError: it holds what no bundle's file does, or cannot be run.
        MissingDependencyError: onnxruntime is not installed.
    """

    def __init__(self, content: bytes, name: str = FILE):
        self.content, self.name = content, name
        self.facts = facts(content, name)
        self._lock = threading.Lock()
        self._open = (0, None)
        _ = self._session

    @classmethod
    def open(cls, path: str | os.PathLike) -> Runtime:
        """The file of a bundle.

        Raises:
            BundleError: as for the class; or it cannot be read.
            MissingDependencyError: onnxruntime is not installed.
        """
        path = Path(path)
        try:
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from None

    def run(self, samples: np.ndarray) -> Answer:
        """What one recording sounds like.

        Args:
            samples: float32 ``[n]`` at the rate of :attr:`facts`, 0.1 s or more, as they were read.

        Raises:
            BundleError: the file cannot be run, or would take too much memory.
        """
        session = self._session
        names = [each.name for each in session.get_outputs()]
        try:
            found = session.run(names, {"samples": np.asarray(samples, np.float32)[None]})
        except Exception as error:  # the runtime's errors are of many kinds of its own
            raise _cannot(self.name, error) from None
        said = {"sharpness": np.ones(1), "corpus": np.full(1, -1), **dict(zip(names, found, strict=True))}
        probabilities, sharpness = said["probabilities"].astype(float), float(said["sharpness"].ravel()[0])
        shares = (probabilities >= 0).all() and 0 < probabilities.sum() < np.inf
        if probabilities.shape != (1, len(self.facts["labels"])) or not shares or not 0 < sharpness < np.inf:
            raise BundleError(f"{self.name} gives no probabilities for {len(self.facts['labels'])} labels")
        return Answer(probabilities[0] / probabilities.sum(), sharpness, int(said["corpus"].ravel()[0]))

    @property
    def _session(self):
        """One for each process, since its threads are not there in a child that is forked."""
        process, session = self._open
        if process != os.getpid():
            with self._lock:
                process, session = self._open
                if process != os.getpid():
                    session = _session(self.content, self.facts, self.name)
                    self._open = os.getpid(), session
        return session

    def __getstate__(self):
        return {"content": self.content, "name": self.name, "facts": self.facts}

    def __setstate__(self, state):
        """Without opening it: an error then would end a worker of ``multiprocessing.Pool`` in silence."""
        vars(self).update(state, _lock=threading.Lock(), _open=(0, None))


def available() -> bool:
    """Whether ONNX Runtime is installed."""
    try:
        onnxruntime()
    except MissingDependencyError:
        return False
    return True


def onnxruntime():
    """The package.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("onnxruntime", "", "answering without TensorFlow") from None
    return onnxruntime


@cache
def _limited() -> int:
    """Let all sessions of this process compute in one arena, which refuses to grow beyond a limit: lengths of arrays
    are computed, and so cannot all be known before. Gives the number of the process."""
    ort = onnxruntime()
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_asked = {"max_mem": _MEMORY, "arena_extend_strategy": 1}
    ort.create_and_register_allocator(place, ort.OrtArenaCfg(as_asked))
    return os.getpid()


def _session(content: bytes, facts: Mapping[str, Any], name: str):
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Weights of eight bits are made float32 once, and not for each answer.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if _limited() == os.getpid():  # the arena of a process that this one was forked from may be locked for ever
        options.add_session_config_entry("session.use_env_allocators", "1")
    whole = io.BytesIO()
    whole.write(content)
    for part in encoder_weights(facts["encoder"]) if facts.get("encoder") else ():
        whole.write(part)
    try:
        session = ort.InferenceSession(whole.getvalue(), options, providers=["CPUExecutionProvider"])
        session._model_bytes = None  # 20 MB that the package keeps for other providers than the one there is
        given, found = session.get_inputs(), {each.name: each for each in session.get_outputs()}
        shapes = [each.shape for each in given]
        if [each.name for each in given] != ["samples"] or len(shapes[0]) != 2 or given[0].type != "tensor(float)":
            raise BundleError(f"{name} takes {[(each.name, each.shape) for each in given]}; expected samples [1, n]")
        expected = {"probabilities"}, {"probabilities", "sharpness", "corpus"}
        if set(found) not in expected or found["probabilities"].shape[-1] not in (len(facts["labels"]), None):
            raise BundleError(f"{name} gives {sorted(found)}; expected probabilities of {len(facts['labels'])} labels")
    except SerKitError:
        raise
    except Exception as error:  # likewise
        raise _cannot(name, error) from None
    return session


def _cannot(name: str, error: Exception) -> BundleError:
    return BundleError(f"{name} cannot be run: {str(error)[:300]}")


# -------------------------------------------------------------------------------------------------- what a file holds


def facts(content: bytes, name: str = FILE) -> dict[str, Any]:
    """What a file says of itself, once it is known to hold nothing that a bundle's file does not.

    Args:
        content: of the file.
        name: of the file, for messages.

    Returns:
        The metadata that :func:`ser_kit.deploy.metadata` gave.

    Raises:
        BundleError: it is cut, or holds a part, an operator or a constant that no bundle's file has.
    """
    if len(content) > MOST_BYTES:
        raise BundleError(f"{name} is larger than {MOST_BYTES >> 20} MiB")
    try:
        return _Reader(memoryview(content)).model()
    except _RefusedError as error:
        raise BundleError(f"{name} {error}") from None
    except (ValueError, IndexError, KeyError, TypeError, RecursionError):  # a field of another kind, among others
        raise BundleError(f"{name} is cut, or no ONNX file") from None


class _RefusedError(Exception):
    """What a file holds that it may not."""


def _fields(part: memoryview) -> Iterator[tuple[int, Any]]:
    """Numbers and values of a message of Protocol Buffers: integers, or bytes."""
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
                raise ValueError("cut")
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
            raise ValueError("no such number")


def _text(value: memoryview) -> str:
    return bytes(value).decode()


_BYTES = {1: 4, 2: 1, 3: 1, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
"""Types of numbers in a tensor that are allowed: float32, uint8, int8, int32, int64, bool, float16, float64."""


class _Reader:
    """Reads an ONNX file as far as is needed to know what it would do; field numbers are those of ``onnx.proto``."""

    def __init__(self, content: memoryview):
        self.content = content
        self.users: dict[str, set[str]] = {}  # name of a value -> operators that take it
        self.whole: list[tuple[str, list[int]]] = []  # constants of integers

    def model(self) -> dict[str, Any]:
        graphs, said = 0, {}
        for number, value in _fields(self.content):
            if number == 7:
                graphs += 1
                self._graph(value)
            elif number == 8:
                self._domain(value)
            elif number == 14:
                key, text = (_text(each) for _, each in sorted(_fields(value)))
                said[key] = text
            elif number not in (1, 2, 3, 4, 5, 6):
                raise _RefusedError(f"holds a part of kind {number} that is not needed to answer (functions, training)")
        if graphs != 1:
            raise _RefusedError(f"holds {graphs} graphs; expected one")
        for name, numbers in self.whole:
            cuts = self.users.get(name, set()) <= _CUTTING
            if any(abs(n) > _MOST_NUMBER and not (cuts and abs(n) in _ENDS) for n in numbers):
                raise _RefusedError(f"holds a number beyond {_MOST_NUMBER:,} in its constant {name!r}")
        for key in ("labels", "rate"):
            said[key] = json.loads(said[key])
        labels, rate, encoder = said["labels"], said["rate"], said.get("encoder", "")
        texts = isinstance(labels, list) and all(isinstance(each, str) for each in labels)
        if not texts or not isinstance(rate, int) or "bundle" not in said:
            raise _RefusedError("does not say its labels, its rate and the bundle that it was made of")
        if encoder and encoder not in encoders.names(packaged=True):
            raise _RefusedError(f"rests on an encoder {encoder!r} that is no part of this ser_kit")
        return said

    def _domain(self, part: memoryview) -> None:
        domains = [_text(value) for number, value in _fields(part) if number == 1]
        if any(domain not in ("", "ai.onnx") for domain in domains):
            raise _RefusedError(f"wants operators of {domains[0]!r}; expected ONNX's own only")

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
                raise _RefusedError(f"holds a part of kind {number} in its graph (sparse or quantised by annotation)")

    def _node(self, part: memoryview) -> None:
        fields = list(_fields(part))
        operator = next((_text(value) for number, value in fields if number == 4), "")
        domain = "".join(_text(value) for number, value in fields if number == 7)
        if operator not in OPERATORS or domain not in ("", "ai.onnx"):
            raise _RefusedError(f"computes {domain and domain + '.'}{operator}, which no bundle does")
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
                raise _RefusedError(f"holds a graph or the like (kind {number}) in a node {operator}")
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
                raise _RefusedError(f"holds a constant {name!r} outside the file, or of texts (kind {number})")
        if kind not in _BYTES:
            raise _RefusedError(f"holds a constant {name!r} of type {kind}")
        count = math.prod(dims)
        held = len(listed) if raw is None else len(raw) // _BYTES[kind]
        if count != held:
            raise _RefusedError(f"holds a constant {name!r} of {held:,} numbers; its shape says {count:,}")
        if kind in (6, 7):
            if raw is not None:
                listed = np.frombuffer(raw, "<i4" if kind == 6 else "<i8").tolist()
            self.whole.append((name, [_signed(n) for n in listed]))


def _varints(part: memoryview) -> list[int]:
    found, place = [], 0
    while place < len(part):
        value, place = _varint(part, place)
        found.append(value)
    return found


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


# ---------------------------------------------------------------------------------------------- an encoder's weights


def encoder_weights(name: str) -> Iterator[bytes | memoryview]:
    """The weights of an encoder as the end of an ONNX file, in parts, whose graph they are added to.

    Messages of Protocol Buffers, one after the other, are one that holds the parts of all: each weight is a graph of
    its own. Matrices are eight-bit integers, as :func:`quantised` gives them.

    Args:
        name: of the encoder.

    Raises:
        EncoderError: the weights are missing, or were changed.
    """
    for key, values in quantised(name):
        kind = {np.dtype(np.float32): 1, np.dtype(np.int8): 3}[values.dtype]
        head = b"".join(b"\x08" + _written(n) for n in values.shape) + b"\x10" + _written(kind)
        tensor = head + _message(8, key.encode()) + b"\x4a" + _written(values.nbytes)
        weight = b"\x2a" + _written(len(tensor) + values.nbytes) + tensor
        yield b"\x3a" + _written(len(weight) + values.nbytes) + weight
        yield values.data


def quantised(name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Matrices and kernels of an encoder as ONNX takes them: ``encoder/KEY``, int8, and ``encoder/KEY.scale``, float32
    ``[outputs]``. A matrix is ``[inputs, outputs]``, a kernel ``[outputs, inputs, 1, width]``.

    Args:
        name: of the encoder.
    """
    for key, values in encoders.stored(encoders.get(name).content()).items():
        if values.dtype != np.float16:  # vectors, which are part of the file
            turned = values[:, :, None] if values.ndim == 3 else values.T  # of a vector, the vector itself
            yield f"{ENCODER}{key}", np.ascontiguousarray(turned)


def _written(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes(found) + bytes([value])


def _message(number: int, content: bytes) -> bytes:
    return _written(number << 3 | 2) + _written(len(content)) + content
