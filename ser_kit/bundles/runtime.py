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
        head = b"".join(b"\x08" + written(n) for n in values.shape) + b"\x10" + written(kind)
        tensor = head + tagged(8, key.encode()) + b"\x4a" + written(values.nbytes)
        weight = b"\x2a" + written(len(tensor) + values.nbytes) + tensor
        yield b"\x3a" + written(len(weight) + values.nbytes) + weight
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
