"""A bundle as one file for other runtimes: SavedModel, LiteRT or ONNX, samples in and probabilities out.

What the bundle does around its networks (trimming, scaling, the vote, balancing, calibration) is part of the file, so
that a runtime needs nothing of ser_kit. Systems on features that a network cannot compute, such as Praat's, take these
features instead of samples; the file's metadata says which.

Each file is compared with the bundle on clips before it is put in its place, and is not written where it differs.

Examples:
    >>> from ser_kit.deploy import export
    >>> from ser_kit.bundles import Bundle, preset_path
    >>> bundle = Bundle.load(preset_path("from_scratch"))                       # doctest: +SKIP
    >>> report = export.export(bundle, "from_scratch.onnx", table)                     # doctest: +SKIP
    >>> report.difference < 1e-4                                                # doctest: +SKIP
    True
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import corpora
from ..audio.recording import MIN_SECONDS, Source, read_audio
from ..bundles import runtime
from ..bundles.bundle import Bundle
from ..core.errors import BundleError, ExportError
from ..core.paths import put, replaceable, workshop
from ..features import SpeechEncoder, encoders
from . import graph
from .comparison import (
    MEASURED,
    Report,
    answers_of,
    check,
    compared,
    emotions_of,
    format_of,
    inputs_of,
    is_saved_model,
)
from .formats import FORMATS, LARGEST_DIFFERENCE, OWN, QUANTIZATIONS
from .litert import write_litert
from .onnx import exactly_half, finished, without_encoder, write_onnx, written
from .saved_model import NotOneFileError, extractor_of, quietly, serving_module, write_saved_model

_LENGTHS = (0.1, 0.31, 1.0, 2.5, 5.0, 8.0)  # s


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
    format = format or format_of(out)
    if format not in FORMATS or quantize not in QUANTIZATIONS:
        raise ExportError(
            f"format {format!r}, quantize {quantize!r}; expected {', '.join(FORMATS)} and {', '.join(QUANTIZATIONS)}"
        )
    if format == "saved_model" and quantize != "none":
        raise ExportError("a SavedModel is not quantised; expected quantize 'none', or another format")
    place = check_target(out, format)
    answers = answers_of(bundle, table)
    scaled = corpora.sample(table if training is None else training, MEASURED)
    some = inputs_of(bundle, scaled) if quantize == "int8" else []
    with quietly():
        served = serving_module(bundle, products=format == "onnx")  # which has no transforms of such a shape
    with workshop(place.parent, ".saving-") as unfinished:
        file = unfinished / place.name
        with quietly():
            _WRITERS[format](served, file, metadata(bundle) | {"quantize": quantize}, quantize, some)
        report = replace(compared(file, quantize, answers, emotions_of(table), bundle.labels), path=out)
        check(report)
        put(file, place)
    return report


def with_runtime(bundle: Bundle, recordings: Sequence[Source]) -> Bundle:
    """A bundle with the ``model.onnx`` that answers without TensorFlow, known to give the same answers.

    Args:
        bundle: of any kind. The card of one that cannot have such a file says why.
        recordings: to compare on, whole and cut to lengths from 0.1 s to 8 s.

    Returns:
        The bundle, to be saved. ``runtime`` of its card holds ``difference``, the largest between two probabilities,
        and ``recordings``, how many were compared; or ``none_since``.

    Raises:
        ExportError: the file would answer differently.
        MissingDependencyError: the extra ``export`` is not installed.

    Examples:
        >>> with_runtime(bundle, ["a.wav", "b.wav"]).save("bundle")  # doctest: +SKIP
    """
    try:
        made, said = _runtime(bundle, recordings)
    except NotOneFileError as error:
        made, said = None, {"none_since": str(error)}
    return replace(bundle, card={**bundle.card, "runtime": said}, runtime=made)


def _runtime(bundle: Bundle, recordings: Sequence[Source]) -> tuple[runtime.Runtime, dict[str, Any]]:
    extractor = extractor_of(bundle)
    if not graph.takes_samples(extractor):
        raise NotOneFileError(f"a graph cannot compute the {extractor.name!r} features of {bundle.card['name']}")
    encoder = extractor.encoder if isinstance(extractor, SpeechEncoder) else ""
    with quietly():
        model = exactly_half(written(serving_module(bundle, products=True, places=True)))
    if encoder in encoders.names(packaged=True):
        model = without_encoder(model, encoder)
    else:
        encoder = ""
    facts = metadata(bundle) | {"bundle": bundle.identity, "encoder": encoder}
    try:
        made = runtime.Runtime(finished(model, facts, whole=not encoder))
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
                f"{said.sharpness:g} instead of {sharpness:g}"
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
    folder = (format or format_of(Path(out))) == "saved_model"
    if place.exists() and (place.is_dir() != folder or (folder and not is_saved_model(place))):
        raise ExportError(f"{out} exists and is something else; give a new name")
    others = [
        each
        for each in sorted(place.rglob("*"))
        if (each.is_file() or each.is_symlink()) and not OWN.fullmatch(each.name)
    ]
    if others:
        raise ExportError(
            f"{out} holds {others[0].relative_to(place)} beside its SavedModel, and is replaced as a whole; give a new "
            "folder, or move what is not the model's elsewhere"
        )
    return replaceable(out)


def metadata(bundle: Bundle) -> dict[str, Any]:
    """What an exported file says of itself."""
    extractor = extractor_of(bundle)
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


# ------------------------------------------------------------------------------------------------ the bundle as a graph


_WRITERS = {"saved_model": write_saved_model, "litert": write_litert, "onnx": write_onnx}
