"""What exported files say of themselves, how they run, and how near their answers are to the bundle's."""

from __future__ import annotations

import json
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import corpora
from ..audio.recording import read_audio
from ..bundles import runtime
from ..bundles.bundle import Bundle
from ..core.backend import hidden_stderr
from ..core.errors import ExportError, MissingDependencyError
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.scores import metrics
from . import graph
from .formats import AGREEMENT, ASIDE, FORMATS, LARGEST_DIFFERENCE
from .saved_model import extractor_of

_NO_TEXTS = ("labels", "rate", "longest_seconds", "pruned")
MEASURED = 64  # clips that integers are scaled by
_RUNS = 20


Runner = Callable[[np.ndarray], np.ndarray]
"""One input, without its batch axis, to the probabilities."""


@dataclass(frozen=True)
class Report:
    """How an exported file compares with its bundle.

    Args:
        path: of the file, or of a SavedModel's folder.
        format: one of :data:`FORMATS`.
        quantize: one of :data:`QUANTIZATIONS`.
        clips: compared.
        difference: the largest between two probabilities.
        agreement: share of the clips that are named alike, 0..1.
        size: bytes.
        compressed: bytes of the file when it is packed (DEFLATE), as it is for a download.
        milliseconds: threads -> time of an answer to the longest of the clips, the least of 20.
        uar: of the file on these clips.
        bundle_uar: of the bundle.
        calibration_error: of the file on these clips, 0..1; see
            :func:`ser_kit.evaluation.expected_calibration_error`.
    """

    path: Path
    format: str
    quantize: str
    clips: int
    difference: float
    agreement: float
    size: int
    compressed: int
    milliseconds: dict[int, float]
    uar: float
    bundle_uar: float
    calibration_error: float


def compare(bundle: Bundle, path: str | os.PathLike, table: pd.DataFrame) -> Report:
    """An exported file beside its bundle, on any clips.

    Args:
        bundle: that it was made of.
        path: of the file.
        table: clips of emotions that the bundle knows, such as those of speakers that it never heard.

    Raises:
        ExportError: it is no exported file.
        MissingDependencyError: its runtime is not installed.
    """
    path = Path(path)
    return compared(path, told(path)["quantize"], answers_of(bundle, table), emotions_of(table), bundle.labels)


def uar(bundle: Bundle, table: pd.DataFrame) -> float:
    """The unweighted average recall of a bundle itself, given each clip as an exported file is.

    Raises:
        ExportError: there are no clips, or some of emotions that the bundle does not know.
    """
    _, said = answers_of(bundle, table)
    return metrics(emotions_of(table), np.array(bundle.labels)[said.argmax(axis=1)], bundle.labels)["uar"]


def told(path: str | os.PathLike) -> dict[str, Any]:
    """What an exported file says of itself: what :func:`metadata` gave, and how it is quantised.

    Raises:
        ExportError: it is no exported file.
    """
    path = Path(path)
    try:
        if path.suffix == ".onnx":
            facts = _onnx_session(path, threads=1).get_modelmeta().custom_metadata_map
            # Texts are written as they are, all else as JSON.
            return {key: json.loads(facts[key]) if key in _NO_TEXTS else facts[key] for key in facts}
        if path.suffix == ".tflite":
            with zipfile.ZipFile(path) as attached:
                return json.loads(attached.read("ser_kit.json"))
        return json.loads((path / ASIDE).read_text(encoding="utf-8"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path} is no exported file: {error}") from None


def format_of(path: Path) -> str:
    """What a file's name says it is."""
    return next((name for name, end in FORMATS.items() if end and path.suffix == end), "saved_model")


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is a SavedModel, or empty."""
    return (folder / "saved_model.pb").is_file() or not any(folder.iterdir())


# ---------------------------------------------------------------------------------------------------------- comparison


def runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """An exported file as a function from one input, ``[samples]`` or features, to probabilities ``[labels]``.

    Args:
        path: of a file that :func:`export` wrote.
        threads: that the runtime may use; those of a SavedModel are TensorFlow's own.

    Raises:
        ExportError: it is none.
        MissingDependencyError: its runtime is not installed.
    """
    path = Path(path)
    if path.suffix == ".onnx":
        return _onnx_runner(path, threads)
    if path.suffix == ".tflite":
        return _litert_runner(path, threads)
    if path.is_dir() and is_saved_model(path):
        import tensorflow as tf

        model = tf.saved_model.load(str(path))
        return lambda x: model.serve(x[None])["probabilities"].numpy()[0]
    raise ExportError(f"{path} is no exported file; expected .onnx, .tflite or a SavedModel's folder")


def _onnx_runner(path: Path, threads: int) -> Runner:
    session = _onnx_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda x: session.run(["probabilities"], {name: x[None]})[0][0]


def _onnx_session(path: Path, threads: int):
    """As programs with nothing of ser_kit open it: with none of what :mod:`ser_kit.bundles.runtime` sets."""
    onnxruntime = runtime.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _litert_runner(path: Path, threads: int) -> Runner:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingDependencyError("ai-edge-litert", "export", "running LiteRT") from None
    with hidden_stderr():
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(x: np.ndarray) -> np.ndarray:
        x = x[None]
        if tuple(interpreter.get_input_details()[0]["shape"]) != x.shape:
            interpreter.resize_tensor_input(given["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(found["index"])[0]

    return run


def inputs_of(bundle: Bundle, table: pd.DataFrame) -> list[np.ndarray]:
    """What an exported file is given for each clip."""
    extractor = extractor_of(bundle)
    samples = graph.takes_samples(extractor)
    recordings = (read_audio(source, rate=extractor.rate) for source in corpora.sources(table))
    return [each.samples if samples else extractor.extract(each).astype(np.float32) for each in recordings]


def emotions_of(table: pd.DataFrame) -> pd.Series:
    """The label of each clip, or its emotion."""
    return table["label"] if "label" in table else table["emotion"]


def answers_of(bundle: Bundle, table: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """The same, and what the bundle answers."""
    unknown = sorted(set(emotions_of(table)) - set(bundle.labels))
    if not len(table) or unknown:
        raise ExportError(
            f"{len(table)} clips to compare on{', some of ' + ', '.join(unknown) if unknown else ''}; expected one at "
            f"least, of {', '.join(bundle.labels)}"
        )
    inputs, extractor = inputs_of(bundle, table), extractor_of(bundle)
    samples = graph.takes_samples(extractor)
    values = ((extractor.extract((x, extractor.rate)) if samples else x) for x in inputs)
    return inputs, np.array([bundle.probabilities(each[None])[0] for each in values])


def compared(
    file: Path,
    quantize: str,
    answers: tuple[list[np.ndarray], np.ndarray],
    emotions: pd.Series,
    labels: Sequence[str],
) -> Report:
    """A file's answers beside the bundle's, to clips whose emotions are known."""
    run, (inputs, expected) = runner(file), answers
    found = np.array([run(x) for x in inputs])
    if not np.isfinite(found).all():
        raise ExportError(f"{file.name} answers NaN")
    names = np.array(labels)
    predicted, meant = names[found.argmax(axis=1)], names[expected.argmax(axis=1)]
    longest = max(inputs, key=len)
    return Report(
        path=file,
        format=format_of(file),
        quantize=quantize,
        clips=len(inputs),
        difference=float(np.abs(found - expected).max()),
        agreement=float(np.mean(predicted == meant)),
        size=size(file),
        compressed=sum(len(zlib.compress(each.read_bytes(), 9)) for each in _files(file)),
        milliseconds={1: _time(run, longest), 2: _time(runner(file, threads=2), longest)},
        uar=metrics(emotions, predicted, labels)["uar"],
        bundle_uar=metrics(emotions, meant, labels)["uar"],
        calibration_error=expected_calibration_error(found.max(axis=1), predicted == emotions.to_numpy()),
    )


def check(report: Report) -> None:
    """Refuse what is not equivalent."""
    exact = report.quantize == "none"
    if (exact and report.difference > LARGEST_DIFFERENCE) or report.agreement < AGREEMENT[report.quantize]:
        raise ExportError(
            f"the exported file is not equivalent: probabilities differ by up to {report.difference:.2g}, and "
            f"{100 * report.agreement:.1f} % of {report.clips} clips are named alike (expected "
            f"{100 * AGREEMENT[report.quantize]:g} %{f', {LARGEST_DIFFERENCE:g}' if exact else ''}); "
            f"{report.path} is not written"
        )


def size(path: str | os.PathLike) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(each.stat().st_size for each in _files(Path(path)))


def _files(path: Path) -> list[Path]:
    return [each for each in [path, *path.rglob("*")] if each.is_file()]


def _time(run: Runner, x: np.ndarray) -> float:
    """Milliseconds of an answer: the least of some, since all else that a machine does only adds to it."""
    took = []
    for _ in range(_RUNS + 2):
        began = time.perf_counter()
        run(x)
        took.append(1000 * (time.perf_counter() - began))
    return min(took[2:])
