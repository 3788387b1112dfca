"""Read and run exported files, and compare them with their bundle."""

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
from ..core.formats import percent
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.scores import metrics
from . import graph
from .formats import AGREEMENT, ASIDE, FORMATS, LARGEST_DIFFERENCE
from .saved_model import extractor_of

_NO_TEXTS = ("labels", "rate", "longest_seconds", "pruned")
MEASURED = 64  # clips that calibrate the range of integers
_RUNS = 20

Runner = Callable[[np.ndarray], np.ndarray]
"""Function from one input, without batch axis, to probabilities."""


@dataclass(frozen=True)
class Report:
    """Comparison of an exported file with its bundle.

    Args:
        path: the file, or the folder of a SavedModel.
        format: one of :data:`FORMATS`.
        quantize: one of :data:`QUANTIZATIONS`.
        clips: number of clips.
        difference: maximum difference of probabilities.
        agreement: label agreement, 0..1.
        size: size (bytes).
        compressed: size after DEFLATE compression (bytes).
        milliseconds: threads -> time for the longest clip (ms), the minimum of 20 runs.
        uar: unweighted average recall of the file, 0..1; None, as for the next two, if no clip has a label.
        bundle_uar: unweighted average recall of the bundle, 0..1.
        calibration_error: expected calibration error of the file, 0..1; see
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
    uar: float | None
    bundle_uar: float | None
    calibration_error: float | None


def compare(bundle: Bundle, path: str | os.PathLike, table: pd.DataFrame) -> Report:
    """Compare an exported file with its bundle on any clips.

    Args:
        bundle: the bundle that was exported.
        path: the file, or the folder of a SavedModel.
        table: clips with labels of the bundle, for example of speakers who were not in training, or with
            missing labels.

    Raises:
        ExportError: it is not an exported file.
        MissingDependencyError: its runtime is not installed.
    """
    path = Path(path)
    return compared(
        path, read_metadata(path)["quantize"], answers_of(bundle, table), emotions_of(table), bundle.labels
    )


def uar(bundle: Bundle, table: pd.DataFrame) -> float:
    """Unweighted average recall of a bundle on the inputs of an exported file, 0..1.

    Args:
        bundle: the bundle.
        table: clips with labels of the bundle.

    Raises:
        ExportError: there are no clips, or some have labels that the bundle does not have.
    """
    _, probabilities = answers_of(bundle, table)
    predicted = np.array(bundle.labels)[probabilities.argmax(axis=1)]
    return metrics(emotions_of(table), predicted, bundle.labels)["uar"]


def read_metadata(path: str | os.PathLike) -> dict[str, Any]:
    """Read the metadata of an exported file.

    Args:
        path: the file, or the folder of a SavedModel.

    Returns:
        The fields of :func:`metadata`, and ``quantize``.

    Raises:
        ExportError: it is not an exported file.
    """
    path = Path(path)
    try:
        if path.suffix == ".onnx":
            facts = _onnx_session(path, threads=1).get_modelmeta().custom_metadata_map
            # Strings are stored as they are, other values as JSON.
            return {key: json.loads(facts[key]) if key in _NO_TEXTS else facts[key] for key in facts}
        if path.suffix == ".tflite":
            with zipfile.ZipFile(path) as attached:
                return json.loads(attached.read("ser_kit.json"))
        return json.loads((path / ASIDE).read_text(encoding="utf-8"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path} is not an exported file: {error}") from None


def format_of(path: Path) -> str:
    """Format of a file, from its suffix."""
    return next((name for name, end in FORMATS.items() if end and path.suffix == end), "saved_model")


def is_saved_model(folder: Path) -> bool:
    """Whether a folder is a SavedModel, or empty."""
    return (folder / "saved_model.pb").is_file() or not any(folder.iterdir())


def runner(path: str | os.PathLike, threads: int = 1) -> Runner:
    """Open an exported file as a function.

    Args:
        path: the file, or the folder of a SavedModel.
        threads: number of threads; ignored for a SavedModel.

    Returns:
        Function from one input, ``[samples]`` or features, to probabilities ``[labels]``.

    Raises:
        ExportError: it is not an exported file.
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
    raise ExportError(f"{path} is not an exported file; expected .onnx, .tflite or a SavedModel folder")


def _onnx_runner(path: Path, threads: int) -> Runner:
    session = _onnx_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda x: session.run(["probabilities"], {name: x[None]})[0][0]


def _onnx_session(path: Path, threads: int):
    """Open a file with default options, as programs without ser_kit do."""
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
    """Input of an exported file for each clip."""
    extractor = extractor_of(bundle)
    samples = graph.takes_samples(extractor)
    recordings = (read_audio(source, sr=extractor.sr) for source in corpora.sources(table))
    return [each.samples if samples else extractor.extract(each).astype(np.float32) for each in recordings]


def emotions_of(table: pd.DataFrame) -> pd.Series:
    """Label of each clip, or its emotion if the table has no labels."""
    return table["label"] if "label" in table else table["emotion"]


def answers_of(bundle: Bundle, table: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """Inputs of an exported file, and the bundle's probabilities ``[clips, labels]``."""
    unknown = sorted(set(emotions_of(table).dropna()) - set(bundle.labels))
    if not len(table) or unknown:
        found = f", with unknown labels {', '.join(unknown)}" if unknown else ""
        raise ExportError(
            f"{len(table)} clips to compare{found}; expected at least one, with labels "
            f"{', '.join(bundle.labels)}"
        )
    inputs, extractor = inputs_of(bundle, table), extractor_of(bundle)
    samples = graph.takes_samples(extractor)
    values = ((extractor.extract((x, extractor.sr)) if samples else x) for x in inputs)
    return inputs, np.array([bundle.probabilities(each[None])[0] for each in values])


def compared(
    file: Path,
    quantize: str,
    answers: tuple[list[np.ndarray], np.ndarray],
    emotions: pd.Series,
    labels: Sequence[str],
) -> Report:
    """Compare a file with the bundle's answers on clips; their labels may be missing."""
    run, (inputs, expected) = runner(file), answers
    found = np.array([run(x) for x in inputs])
    if not np.isfinite(found).all():
        raise ExportError(f"{file.name} gives NaN")
    names = np.array(labels)
    predicted, by_bundle = names[found.argmax(axis=1)], names[expected.argmax(axis=1)]
    longest = max(inputs, key=len)
    known = emotions.notna().to_numpy()
    right, best = (predicted == emotions.to_numpy())[known], found.max(axis=1)[known]
    return Report(
        path=file,
        format=format_of(file),
        quantize=quantize,
        clips=len(inputs),
        difference=float(np.abs(found - expected).max()),
        agreement=float(np.mean(predicted == by_bundle)),
        size=size(file),
        compressed=sum(len(zlib.compress(each.read_bytes(), 9)) for each in _files(file)),
        milliseconds={1: _time(run, longest), 2: _time(runner(file, threads=2), longest)},
        uar=_uar(emotions[known], predicted[known], labels),
        bundle_uar=_uar(emotions[known], by_bundle[known], labels),
        calibration_error=expected_calibration_error(best, right) if known.any() else None,
    )


def _uar(emotions: pd.Series, predicted: np.ndarray, labels: Sequence[str]) -> float | None:
    return metrics(emotions, predicted, labels)["uar"] if len(emotions) else None


def check(report: Report) -> None:
    """Raise an error if the file is not equivalent to the bundle."""
    exact = report.quantize == "none"
    if (exact and report.difference > LARGEST_DIFFERENCE) or report.agreement < AGREEMENT[report.quantize]:
        raise ExportError(
            f"the exported file is not equivalent: probabilities differ by up to {report.difference:.2g}"
            f"{f' (expected at most {LARGEST_DIFFERENCE:g})' if exact else ''}, label agreement is "
            f"{percent(report.agreement, 1)} on {report.clips} clips (expected at least "
            f"{percent(AGREEMENT[report.quantize])}); {report.path} is not written"
        )


def size(path: str | os.PathLike) -> int:
    """Size of a file, or of all files in a folder (bytes)."""
    return sum(each.stat().st_size for each in _files(Path(path)))


def _files(path: Path) -> list[Path]:
    return [each for each in [path, *path.rglob("*")] if each.is_file()]


def _time(run: Runner, x: np.ndarray) -> float:
    """Time of one run (ms): the minimum of several, as other load on the machine only adds to it."""
    took = []
    for _ in range(_RUNS + 2):
        began = time.perf_counter()
        run(x)
        took.append(1000 * (time.perf_counter() - began))
    return min(took[2:])
