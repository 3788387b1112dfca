"""Run a bundle with ONNX Runtime, without TensorFlow.

``model.onnx`` of a bundle maps samples to calibrated probabilities and the distance from the training data.
The weights of a speech encoder are part of ser_kit (:mod:`ser_kit.features.encoders`), not of the file; they
are added when it is opened. Each file is validated (:mod:`ser_kit.bundles.onnx_file`) before ONNX Runtime
opens it.

Examples:
    >>> from ser_kit.bundles import preset_path
    >>> runtime = Runtime.open(preset_path("cross_corpus") / "model.onnx")   # doctest: +SKIP
    >>> runtime.run(samples).probabilities.shape                             # doctest: +SKIP
    (8,)
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..core.errors import BundleError, MissingDependencyError, SerKitError
from ..features import encoders
from .onnx_file import ENCODER, FILE, facts, tagged, written

_MEMORY = 2 << 30
"""Memory limit of all sessions together (bytes): many times what ours need for 8 s of audio."""


class Answer(NamedTuple):
    """Output for one recording.

    Args:
        probabilities: calibrated, ``float64 [labels]``.
        sharpness: see :class:`ser_kit.bundles.Places`.
        corpus: see :class:`ser_kit.bundles.Places`.
    """

    probabilities: np.ndarray
    sharpness: float
    corpus: int


class Runtime:
    """An ONNX Runtime session for a bundle's ``model.onnx``.

    It can be used from several threads; each uses one core.

    Args:
        content: content of the file.
        name: name of the file, for messages.

    Raises:
        BundleError: the file is not valid for a bundle, or cannot be run.
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
        """Open a file.

        Raises:
            BundleError: as for the class, or the file cannot be read.
            MissingDependencyError: onnxruntime is not installed.
        """
        path = Path(path)
        try:
            return cls(path.read_bytes(), path.name)
        except OSError as error:
            raise BundleError(f"{path} cannot be read: {error.strerror}") from None

    def run(self, samples: np.ndarray) -> Answer:
        """Classify one recording.

        Args:
            samples: ``float32 [n]`` at the sampling rate of :attr:`facts`, 0.1 s or more.

        Raises:
            BundleError: the file cannot be run, needs too much memory, or gives no probabilities.
        """
        session = self._session
        names = [each.name for each in session.get_outputs()]
        try:
            found = session.run(names, {"samples": np.asarray(samples, np.float32)[None]})
        except Exception as error:  # ONNX Runtime has many error classes of its own
            raise _cannot(self.name, error) from None
        outputs = {"sharpness": np.ones(1), "corpus": np.full(1, -1), **dict(zip(names, found, strict=True))}
        probabilities, sharpness = (
            outputs["probabilities"].astype(float),
            float(outputs["sharpness"].ravel()[0]),
        )
        valid = (probabilities >= 0).all() and 0 < probabilities.sum() < np.inf and 0 < sharpness < np.inf
        if probabilities.shape != (1, len(self.facts["labels"])) or not valid:
            raise BundleError(f"{self.name} gives no probabilities for {len(self.facts['labels'])} labels")
        return Answer(probabilities[0] / probabilities.sum(), sharpness, int(outputs["corpus"].ravel()[0]))

    @property
    def _session(self):
        """One session per process, since a forked child has none of its threads."""
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
        """Open no session: an error would end a worker of ``multiprocessing.Pool`` without a message."""
        vars(self).update(state, _lock=threading.Lock(), _open=(0, None))


def available() -> bool:
    """Whether ONNX Runtime is installed."""
    try:
        onnxruntime()
    except MissingDependencyError:
        return False
    return True


def onnxruntime():
    """Import the package.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError:
        raise MissingDependencyError("onnxruntime", "", "predicting without TensorFlow") from None
    return onnxruntime


@cache
def _limited() -> int:
    """Give all sessions of this process one arena with a memory limit.

    Array sizes are only known at run time.

    Returns:
        The process id.
    """
    ort = onnxruntime()
    place = ort.OrtMemoryInfo("Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT)
    as_requested = {"max_mem": _MEMORY, "arena_extend_strategy": 1}
    ort.create_and_register_allocator(place, ort.OrtArenaCfg(as_requested))
    return os.getpid()


def _session(content: bytes, facts: Mapping[str, Any], name: str):
    ort = onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    if facts.get("encoder"):  # 20 ms sooner, and as fast; convolutions need all optimisations
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Convert 8-bit weights to float32 once, not in every run.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    if _limited() == os.getpid():  # after a fork, the parent's arena may be locked for ever
        options.add_session_config_entry("session.use_env_allocators", "1")
    whole = io.BytesIO()
    whole.write(content)
    for part in encoder_weights(facts["encoder"]) if facts.get("encoder") else ():
        whole.write(part)
    try:
        session = ort.InferenceSession(whole.getvalue(), options, providers=["CPUExecutionProvider"])
        session._model_bytes = None  # 20 MB that the package keeps for other providers
        given, found = session.get_inputs(), {each.name: each for each in session.get_outputs()}
        shapes = [each.shape for each in given]
        if (
            [each.name for each in given] != ["samples"]
            or len(shapes[0]) != 2
            or given[0].type != "tensor(float)"
        ):
            raise BundleError(
                f"{name} takes {[(each.name, each.shape) for each in given]}; expected samples [1, n]"
            )
        expected = {"probabilities"}, {"probabilities", "sharpness", "corpus"}
        if set(found) not in expected or found["probabilities"].shape[-1] not in (len(facts["labels"]), None):
            raise BundleError(f"{name} gives {sorted(found)}; expected {len(facts['labels'])} probabilities")
    except SerKitError:
        raise
    except Exception as error:  # as above
        raise _cannot(name, error) from None
    return session


def _cannot(name: str, error: Exception) -> BundleError:
    return BundleError(f"{name} cannot be run: {str(error)[:300]}")


def encoder_weights(name: str) -> Iterator[bytes | memoryview]:
    """The weights of an encoder as bytes to append to an ONNX file, in parts.

    Concatenated Protocol Buffers messages are merged, so each weight is appended as a graph of its own.
    Matrices are 8-bit integers, see :func:`quantised`.

    Args:
        name: name of the encoder.

    Raises:
        EncoderError: the weights are missing, or were changed.
    """
    for key, values in quantised(name):
        kind = {np.dtype(np.float32): 1, np.dtype(np.int8): 3}[values.dtype]
        head = b"".join(b"\x08" + written(n) for n in values.shape) + b"\x10" + written(kind)
        tensor = head + tagged(8, key.encode()) + b"\x4a" + written(values.nbytes)
        weight = b"\x2a" + written(len(tensor) + values.nbytes) + tensor
        yield b"\x3a" + written(len(weight) + values.nbytes) + weight
        yield values.data


def quantised(name: str) -> Iterator[tuple[str, np.ndarray]]:
    """Matrices and kernels of an encoder in the layout of ONNX.

    Args:
        name: name of the encoder.

    Yields:
        ``encoder/KEY``, int8, and ``encoder/KEY.scale``, ``float32 [outputs]``. A matrix is
        ``[inputs, outputs]``, a kernel ``[outputs, inputs, 1, width]``.
    """
    for key, values in encoders.stored(encoders.get(name).content()).items():
        if values.dtype != np.float16:  # vectors are part of the file
            turned = values[:, :, None] if values.ndim == 3 else values.T  # unchanged for a vector
            yield f"{ENCODER}{key}", np.ascontiguousarray(turned)
