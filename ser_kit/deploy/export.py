"""A bundle as one file for other runtimes: SavedModel, LiteRT or ONNX, samples in and probabilities out.

What the bundle does around its networks (trimming, scaling, the vote, balancing, calibration) is part of the file, so
that a runtime needs nothing of ser_kit. Systems on features that a network cannot compute, such as Praat's, take these
features instead of samples; the file's metadata says which.

Each file is compared with the bundle on clips before it is put in its place, and is not written where it differs.

Examples:
    >>> from ser_kit.deploy import export
    >>> from ser_kit.bundles.bundle import Bundle, preset_path
    >>> bundle = Bundle.load(preset_path("house"))                              # doctest: +SKIP
    >>> report = export.export(bundle, "house.onnx", table)                     # doctest: +SKIP
    >>> report.difference < 1e-4                                                # doctest: +SKIP
    True
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import re
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import corpora
from ..audio.recording import MIN_SECONDS, Source, read_audio
from ..bundles import runtime
from ..bundles.bundle import Bundle
from ..core.backend import import_keras, unheard
from ..core.errors import BundleError, ExportError, MissingDependencyError
from ..core.paths import put, replaceable, workshop
from ..evaluation.calibration import expected_calibration_error
from ..evaluation.scores import metrics
from ..features import SpeechEncoder, encoders
from . import graph

FORMATS = {"saved_model": "", "litert": ".tflite", "onnx": ".onnx"}
"""Name -> how the file's name ends; a SavedModel is a folder."""
QUANTIZATIONS = ("none", "float16", "dynamic", "int8")
"""What is made smaller: ``float16`` the weights, to half; ``dynamic`` the weights, to eight-bit integers; ``int8`` also
what flows between layers, to integers whose range is measured on clips. Spectrograms stay floats; with ``int8`` also
the statistics over time and the last layer."""
AGREEMENT = {"none": 1.0, "float16": 0.99, "dynamic": 0.97, "int8": 0.97}
"""Least share of the clips that must be named as the bundle names them."""
LARGEST_DIFFERENCE = 1e-4
"""Between two probabilities, where nothing is quantised."""
OPSET = 18
_NETWORK = r"^(?!.*(spectrogram|trim)).*$"
"""Names in the graph of all but what makes the networks' input."""
_INTEGERS = r"^(?!.*(spectrogram|trim|statistics|emotion)).*$"
"""Of what computes in integers: neither variances, small differences of large numbers, nor the last layer."""
_ASIDE = Path("assets.extra", "ser_kit.json")  # of a SavedModel
_OWN = re.compile(r"saved_model\.pb|fingerprint\.pb|ser_kit\.json|variables\.(index|data-\d+-of-\d+)")
_NO_TEXTS = ("labels", "rate", "longest_seconds", "pruned")
_MEASURED = 64  # clips that integers are scaled by
_RUNS = 20
_LENGTHS = (0.1, 0.31, 1.0, 2.5, 5.0, 8.0)  # s


class NotOneFileError(ExportError):
    """A bundle whose members or features no single file can hold."""


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


def export(
    bundle: Bundle,
    out: str | os.PathLike,
    table: pd.DataFrame,
    *,
    format: str | None = None,
    quantize: str = "none",
    training: pd.DataFrame | None = None,
) -> Report:
    """Write a bundle as one file for another runtime, once it is known to give the same answers.

    Args:
        bundle: whose members take the same features.
        out: the file, or a SavedModel's folder; what is there is replaced.
        table: clips to compare on, of emotions that the bundle knows.
        format: one of :data:`FORMATS`; by default what the name of ``out`` says.
        quantize: one of :data:`QUANTIZATIONS`; a SavedModel is not quantised.
        training: clips that the bundle learned from, some of which ``int8`` is scaled by; by default those of
            ``table``, which should then be such clips.

    Returns:
        How it compares, on the clips of ``table``.

    Raises:
        ExportError: the settings do not go together, the bundle cannot be one file, or the file would answer
            differently.
        MissingDependencyError: the extra ``export`` is not installed.
    """
    out = Path(out)
    format = format or _format(out)
    if format not in FORMATS or quantize not in QUANTIZATIONS:
        raise ExportError(
            f"format {format!r}, quantize {quantize!r}; expected {', '.join(FORMATS)} and {', '.join(QUANTIZATIONS)}"
        )
    if format == "saved_model" and quantize != "none":
        raise ExportError("a SavedModel is not quantised; expected quantize 'none', or another format")
    place = check_target(out, format)
    answers = _answers(bundle, table)
    scaled = corpora.sample(table if training is None else training, _MEASURED)
    some = _inputs(bundle, scaled) if quantize == "int8" else []
    with _quietly():
        served = _served(bundle, products=format == "onnx")  # which has no transforms of such a shape
    with workshop(place.parent, ".saving-") as unfinished:
        file = unfinished / place.name
        with _quietly():
            _WRITERS[format](served, file, metadata(bundle) | {"quantize": quantize}, quantize, some)
        report = replace(_compared(file, quantize, answers, _emotions(table), bundle.labels), path=out)
        _check(report)
        put(file, place)
    return report


def with_runtime(bundle: Bundle, recordings: Sequence[Source]) -> Bundle:
    """A bundle with the ``model.onnx`` that answers without TensorFlow, known to give the same answers.

    Args:
        bundle: of any kind. The card of one that cannot have such a file, or cannot here, says why.
        recordings: to compare on, whole and cut to lengths from 0.1 s to 8 s.

    Returns:
        The bundle, to be saved. ``runtime`` of its card holds ``difference``, the largest between two probabilities,
        and ``recordings``, how many were compared; or ``none_since``.

    Raises:
        ExportError: the file would answer differently.

    Examples:
        >>> with_runtime(bundle, ["a.wav", "b.wav"]).save("bundle")  # doctest: +SKIP
    """
    try:
        made, said = _runtime(bundle, recordings)
    except (NotOneFileError, MissingDependencyError) as error:
        made, said = None, {"none_since": str(error)}
    return replace(bundle, card={**bundle.card, "runtime": said}, runtime=made)


def _runtime(bundle: Bundle, recordings: Sequence[Source]) -> tuple[runtime.Runtime, dict[str, Any]]:
    extractor = _extractor(bundle)
    if not graph.takes_samples(extractor):
        raise NotOneFileError(f"a graph cannot compute the {extractor.name!r} features of {bundle.card['name']}")
    encoder = extractor.encoder if isinstance(extractor, SpeechEncoder) else ""
    with _quietly():
        model = _exactly_half(_onnx(_served(bundle, products=True, places=True)))
    if encoder in encoders.names(packaged=True):
        model = _without_encoder(model, encoder)
    else:
        encoder = ""
    facts = metadata(bundle) | {"bundle": bundle.identity, "encoder": encoder}
    try:
        made = runtime.Runtime(_finished(model, facts, whole=not encoder))
    except BundleError as error:
        raise NotOneFileError(f"{error}") from None
    pieces, difference = _pieces(recordings, extractor.rate), 0.0
    for samples in pieces:
        values = {extractor: extractor.extract((samples, extractor.rate))[None]}
        (expected,), meant, said = bundle.probabilities(values), bundle.places(values), made.run(samples)
        difference = max(difference, float(np.abs(expected - said.probabilities).max()))
        sharpness = meant.sharpness[0]
        if not difference <= LARGEST_DIFFERENCE or not abs(said.sharpness - sharpness) <= 1e-3 * sharpness:
            raise ExportError(
                f"{runtime.FILE} is not equivalent to the networks: on {len(samples) / extractor.rate:.2f} s of sound "
                f"probabilities differ by {difference:.2g} (expected {LARGEST_DIFFERENCE:g}), and sharpness is "
                f"{said.sharpness:g} instead of {sharpness:g}; no bundle is written"
            )
    return made, {"difference": difference, "recordings": len(pieces)}


def _pieces(recordings: Sequence[Source], rate: int) -> list[np.ndarray]:
    """Samples of recordings, and of parts of them of several lengths."""
    whole = [read_audio(source, rate=rate).samples for source in recordings]
    together = np.concatenate(whole)
    cut = [together[: round(seconds * rate)] for seconds in _LENGTHS]
    return [samples for samples in [*whole, *cut] if MIN_SECONDS * rate <= len(samples) and samples.any()]


def check_target(out: str | os.PathLike, format: str | None = None) -> Path:
    """Where a file may be exported to, to be called before work whose result is exported.

    Args:
        out: the file, or a SavedModel's folder.
        format: one of :data:`FORMATS`; by default what the name of ``out`` says.

    Returns:
        The absolute path, without links.

    Raises:
        ExportError: something else than a file of this kind is there, which would be lost.
        TargetError: nothing can be written there, or a folder there cannot be replaced.
    """
    place = Path(os.path.realpath(out))
    folder = (format or _format(Path(out))) == "saved_model"
    if place.exists() and (place.is_dir() != folder or (folder and not _is_saved_model(place))):
        raise ExportError(f"{out} exists and is something else; give a new name")
    others = [
        each
        for each in sorted(place.rglob("*"))
        if (each.is_file() or each.is_symlink()) and not _OWN.fullmatch(each.name)
    ]
    if others:
        raise ExportError(
            f"{out} holds {others[0].relative_to(place)} beside its SavedModel, and is replaced as a whole; give a new "
            "folder, or move what is not the model's elsewhere"
        )
    return replaceable(out)


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
    return _compared(path, told(path)["quantize"], _answers(bundle, table), _emotions(table), bundle.labels)


def uar(bundle: Bundle, table: pd.DataFrame) -> float:
    """The unweighted average recall of a bundle itself, given each clip as an exported file is.

    Raises:
        ExportError: there are no clips, or some of emotions that the bundle does not know.
    """
    _, said = _answers(bundle, table)
    return metrics(_emotions(table), np.array(bundle.labels)[said.argmax(axis=1)], bundle.labels)["uar"]


def metadata(bundle: Bundle) -> dict[str, Any]:
    """What an exported file says of itself."""
    extractor = _extractor(bundle)
    waveform = graph.takes_samples(extractor)
    return {
        "name": bundle.card["name"],
        "labels": list(bundle.labels),
        "input": "samples" if waveform else "features",
        "rate": extractor.rate,
        "normalisation": "none: mono samples at the rate, full scale 1; all else is inside"
        if waveform
        else f"{extractor.name} {json.dumps(extractor.parameters)}, columns {list(bundle.members[0].columns)}",
        "longest_seconds": getattr(extractor, "seconds", None),
        "pruned": bundle.card.get("pruned", {}).get("share", 0),
        "licence": bundle.card.get("licence", ""),
        "limits": bundle.card.get("limits", ""),
        "made_by": "ser_kit",
    }


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
        return json.loads((path / _ASIDE).read_text(encoding="utf-8"))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ExportError(f"{path} is no exported file: {error}") from None


# ------------------------------------------------------------------------------------------------ the bundle as a graph


def _extractor(bundle: Bundle):
    if len(bundle.extractors) > 1:
        names = ", ".join(extractor.name for extractor in bundle.extractors)
        raise NotOneFileError(
            f"the members of {bundle.card['name']} take different features ({names}), not one file's input"
        )
    return bundle.extractors[0]


def _served(bundle: Bundle, products: bool, places: bool = False):
    """The bundle as a TensorFlow module with one function, ``input -> {"probabilities"}``, a clip at a time.

    Args:
        bundle: to be served.
        products: Fourier transforms are matrix products.
        places: give ``sharpness`` and ``corpus`` of :class:`ser_kit.bundles.bundle.Places`, too, where the network measures
            them.
    """
    if import_keras().backend.backend() != "tensorflow":
        raise ExportError("exporting needs Keras on TensorFlow; set KERAS_BACKEND=tensorflow")
    import tensorflow as tf

    from ..models.layers import fourier_as_products

    extractor = _extractor(bundle)
    samples = graph.takes_samples(extractor)
    prepared = graph.inputs(extractor) if samples else tf.identity
    prior = np.array(bundle.card.get("prior", np.ones(len(bundle.labels))), np.float32)
    weights = np.array([member.weight for member in bundle.members], np.float32)
    if bundle.card["combine"] != "soft" and len(bundle.members) > 1:
        raise NotOneFileError("members that vote by hand are not exported; expected one network or soft voting")

    class Served(tf.Module):
        def __init__(self):
            super().__init__(name="ser_kit")
            self.networks = [member.model for member in bundle.members]
            self.within = graph.networks(extractor) if samples else []

        def answer(self, x):
            x = prepared(x)
            said = []
            for member, network in zip(bundle.members, self.networks, strict=True):
                columns = x if len(member.columns) == x.shape[-1] else tf.gather(x, list(member.columns), axis=-1)
                scaled = (columns - member.scaler.mean) / member.scaler.scale
                said.append(network(scaled, training=False))
            mean = sum(w * p for w, p in zip(weights / weights.sum(), said, strict=True)) / prior
            mean = mean / tf.reduce_sum(mean, axis=1, keepdims=True)
            logits = tf.math.log(tf.maximum(mean, 1e-12)) / np.float32(bundle.card["temperature"])
            found = {"probabilities": tf.nn.softmax(logits)}
            measure = getattr(self.networks[0].layers[-1], "places", None)
            if places and measure and len(said) == 1:
                sharpness, corpus = measure(scaled)
                found |= {"sharpness": tf.identity(sharpness), "corpus": tf.identity(corpus)}
            return found

    module = Served()
    shape = (1, None) if samples else (1, *extractor.shape)
    spec = tf.TensorSpec(shape, tf.float32, name="samples" if samples else "features")
    module.serve = tf.function(module.answer, input_signature=[spec], autograph=False)
    with fourier_as_products() if products else nullcontext():
        module.serve.get_concrete_function()
    return module


# ------------------------------------------------------------------------------------------------------------- formats


def _frozen(served):
    """The function with its variables as constants: what the converters take."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    # Loops stay whole, so that the converters know them.
    return convert_variables_to_constants_v2(served.serve.get_concrete_function(), lower_control_flow=False)


def _save(served, folder: Path) -> None:
    import tensorflow as tf

    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)  # nobody will train it
    tf.saved_model.save(served, str(folder), signatures={"serving_default": served.serve}, options=options)


def _write_saved_model(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    _save(served, file)
    (file / _ASIDE).parent.mkdir(exist_ok=True)
    (file / _ASIDE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _write_litert(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    """Built-in operators only: the converter is allowed no others, and fails where it would need them."""
    import tensorflow as tf

    with workshop(file.parent, ".saved-") as folder:
        # A model of constants only, since the converter leaves variables of this form without values.
        frozen, constant = _frozen(served), tf.Module()
        constant.serve = tf.function(lambda x: {"probabilities": frozen(x)[0]}, served.serve.input_signature)
        _save(constant, folder / "model")
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "model"), ["serving_default"])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize == "float16":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        try:
            content = converter.convert()
        except Exception as error:  # converter errors are of several private kinds
            said = str(error).split("\n", 1)[0][:300]
            raise ExportError(f"LiteRT cannot hold this bundle with its built-in operators: {said}") from error
    if quantize in ("dynamic", "int8"):
        content = _integers(content, quantize, facts["input"], inputs)
    # Files attached as a ZIP archive, as LiteRT's own metadata library does; runtimes look past them.
    attached = io.BytesIO()
    with zipfile.ZipFile(attached, "w") as archive:
        archive.writestr("labels.txt", "\n".join(facts["labels"]) + "\n")
        archive.writestr("ser_kit.json", json.dumps(facts, indent=1) + "\n")
    file.write_bytes(bytes(content) + attached.getvalue())


def _integers(content: bytes, quantize: str, name: str, inputs: Sequence[np.ndarray]) -> bytes:
    """A LiteRT model whose convolutions and dense layers are of eight-bit integers, those of spectrograms excepted:
    what they lose, all that follows would lose."""
    try:
        from ai_edge_quantizer import qtyping, quantizer
    except ImportError:
        raise MissingDependencyError("ai-edge-quantizer", "export", f"quantize {quantize!r} for LiteRT") from None
    made = quantizer.Quantizer(bytearray(content))
    for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
        if quantize == "dynamic":
            made.add_dynamic_config(_NETWORK, operation, 8)
        else:
            made.add_static_config(_INTEGERS, operation, 8, 8)
    measured = made.calibrate({"serving_default": [{name: x[None]} for x in inputs]}) if quantize == "int8" else None
    return made.quantize(measured).quantized_model


def _write_onnx(served, file: Path, facts: dict, quantize: str, inputs: Sequence[np.ndarray]) -> None:
    model = _onnx(served)
    if quantize == "float16":
        model = _half(model)
    elif quantize == "dynamic":
        model = _eight_bits(model)
    elif quantize == "int8":
        model = _static(model, file, model.graph.input[0].name, inputs)
    file.write_bytes(_finished(model, facts))


def _onnx(served):
    """The module as an ONNX model, whose input and outputs are named as the function's."""
    try:
        import tf2onnx
    except ImportError:
        raise MissingDependencyError("tf2onnx and onnxruntime", "export", "writing ONNX") from None
    frozen = _frozen(served)
    (given,) = frozen.inputs
    names = {given.name: given.op.name}
    # Outputs of a function are in the order of their sorted names.
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
        model.opset_import.remove(each)  # those of others, which the converter names for nothing
    for node in model.graph.node:
        for names_of in (node.input, node.output):
            names_of[:] = [names.get(each, each) for each in names_of]
    for value in (*model.graph.input, *model.graph.output):
        value.name = names.get(value.name, value.name)
    return model


def _finished(model, facts: dict, *, whole: bool = True) -> bytes:
    """The file of a model, with what it says of itself; a model whose weights are elsewhere is not ``whole``."""
    import onnx

    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value if isinstance(value, str) else json.dumps(value))
    if whole:
        onnx.checker.check_model(model)
    return model.SerializeToString()


_WRITERS = {"saved_model": _write_saved_model, "litert": _write_litert, "onnx": _write_onnx}


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what converters say of their own workings, which is nothing that a user could mend."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


def _format(path: Path) -> str:
    """What a file's name says it is."""
    return next((name for name, end in FORMATS.items() if end and path.suffix == end), "saved_model")


def _is_saved_model(folder: Path) -> bool:
    return (folder / "saved_model.pb").is_file() or not any(folder.iterdir())


def _smaller(model, store: Callable[[Any, np.ndarray, int, str], list]):
    """The model with each large weight of its networks stored in another form, from which a node makes it anew.

    The constants of the spectrograms stay as they are: what they lose, all that follows would lose.
    """
    import onnx

    weights = {each.name: each for each in model.graph.initializer}
    used = {name: node for node in model.graph.node for name in node.input if name in weights}
    made = []
    for name, node in used.items():
        values = onnx.numpy_helper.to_array(weights[name])
        if values.dtype != np.float32 or values.size < 256 or not re.search(_NETWORK, node.name):
            continue
        axis = 0 if node.op_type == "Conv" else values.ndim - 1  # of the outputs
        made += store(model.graph, values, axis, name)
        model.graph.initializer.remove(weights[name])
    for node in reversed(made):
        model.graph.node.insert(0, node)
    return model


def _without_encoder(model, name: str):
    """The model without the weights of an encoder that is part of ser_kit, which :mod:`ser_kit.bundles.runtime` adds."""
    import onnx

    stored = runtime.quantised(name)
    weights = {key: values for key, values in stored.items() if not key.endswith(".scale")}
    made = []
    for held in [each for each in model.graph.initializer if math.prod(each.dims) >= 256]:
        values = onnx.numpy_helper.to_array(held)
        for key, whole in weights.items():
            axis = 1 if whole.ndim == 2 else 0
            scale = stored[f"{key}.scale"].reshape([-1 if i == axis else 1 for i in range(whole.ndim)])
            if whole.shape == values.shape and np.array_equal(whole * scale, values):
                names = [key, f"{key}.scale"]
                made.append(onnx.helper.make_node("DequantizeLinear", names, [held.name], f"{key}_wide", axis=axis))
                model.graph.initializer.remove(held)
                break
    for node in reversed(made):
        model.graph.node.insert(0, node)
    return model


def _exactly_half(model):
    """The model with weights of 16 bits where these are what the weights are."""
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
    """Weights of 16 bits in a graph, and the node that widens them."""
    import onnx

    graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_16"))
    return [onnx.helper.make_node("Cast", [f"{name}_16"], [name], f"{name}_cast", to=onnx.TensorProto.FLOAT)]


def _half(model):
    """Weights of 16 bits."""
    return _smaller(model, _stored_as_half)


def _eight_bits(model):
    """Weights of 8 bits, with a scale for each output."""
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
    """Eight-bit integers in and between the convolutions and dense layers, scaled by what they were on some clips."""
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
        nodes_to_exclude=[node.name for node in model.graph.node if not re.search(_INTEGERS, node.name)],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    return onnx.load(narrow)


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
    if path.is_dir() and _is_saved_model(path):
        import tensorflow as tf

        model = tf.saved_model.load(str(path))
        return lambda x: model.serve(x[None])["probabilities"].numpy()[0]
    raise ExportError(f"{path} is no exported file; expected .onnx, .tflite or a SavedModel's folder")


def _onnx_runner(path: Path, threads: int) -> Runner:
    session = _onnx_session(path, threads)
    name = session.get_inputs()[0].name
    return lambda x: session.run(["probabilities"], {name: x[None]})[0][0]


def _onnx_session(path: Path, threads: int):
    onnxruntime = runtime.onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _litert_runner(path: Path, threads: int) -> Runner:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise MissingDependencyError("ai-edge-litert", "export", "running LiteRT") from None
    with unheard():
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


def _inputs(bundle: Bundle, table: pd.DataFrame) -> list[np.ndarray]:
    """What an exported file is given for each clip."""
    extractor = _extractor(bundle)
    samples = graph.takes_samples(extractor)
    recordings = (read_audio(source, rate=extractor.rate) for source in corpora.sources(table))
    return [each.samples if samples else extractor.extract(each).astype(np.float32) for each in recordings]


def _emotions(table: pd.DataFrame) -> pd.Series:
    return table["label"] if "label" in table else table["emotion"]


def _answers(bundle: Bundle, table: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """The same, and what the bundle answers."""
    unknown = sorted(set(_emotions(table)) - set(bundle.labels))
    if not len(table) or unknown:
        raise ExportError(
            f"{len(table)} clips to compare on{', some of ' + ', '.join(unknown) if unknown else ''}; expected one at "
            f"least, of {', '.join(bundle.labels)}"
        )
    inputs, extractor = _inputs(bundle, table), _extractor(bundle)
    samples = graph.takes_samples(extractor)
    values = ((extractor.extract((x, extractor.rate)) if samples else x) for x in inputs)
    return inputs, np.array([bundle.probabilities(each[None])[0] for each in values])


def _compared(
    file: Path,
    quantize: str,
    answers: tuple[list[np.ndarray], np.ndarray],
    emotions: pd.Series,
    labels: Sequence[str],
) -> Report:
    run, (inputs, expected) = runner(file), answers
    found = np.array([run(x) for x in inputs])
    if not np.isfinite(found).all():
        raise ExportError(f"{file.name} answers NaN")
    names = np.array(labels)
    predicted, meant = names[found.argmax(axis=1)], names[expected.argmax(axis=1)]
    longest = max(inputs, key=len)
    return Report(
        path=file,
        format=_format(file),
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


def _check(report: Report) -> None:
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
