"""Export a bundle as one file for other runtimes: SavedModel, LiteRT or ONNX, from samples to probabilities.

The file includes trimming, scaling, voting, prior correction and calibration, so a runtime needs nothing of
ser_kit. If the features cannot be computed in the graph, as those of Praat, the file takes features instead
of samples; its metadata names them.

Each file is compared with the bundle on clips, and is only written if it is equivalent.

Examples:
    >>> from ser_kit.deploy import export
    >>> from ser_kit.bundles import Bundle, preset_path
    >>> bundle = Bundle.load(preset_path("from_scratch"))                       # doctest: +SKIP
    >>> report = export(bundle, "from_scratch.onnx", table)                     # doctest: +SKIP
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
    """Write a bundle as one file for another runtime, after a check that it is equivalent.

    Args:
        bundle: the bundle; its members must use the same features.
        out: the file, or the folder of a SavedModel; it is replaced if it exists.
        table: clips for the comparison, with labels of the bundle or with missing labels.
        format: one of :data:`FORMATS`; by default from the suffix of ``out``.
        quantize: one of :data:`QUANTIZATIONS`; a SavedModel is not quantised.
        training: training clips of the bundle, some of which calibrate the range of integers for ``int8``; by
            default those of ``table``.

    Returns:
        The comparison on the clips of ``table``.

    Raises:
        ExportError: the settings do not match, the bundle cannot be exported as one file, or the file would
            not be equivalent.
        MissingDependencyError: the extra ``export`` is not installed.
    """
    out = Path(out)
    format = format or format_of(out)
    if format not in FORMATS or quantize not in QUANTIZATIONS:
        raise ExportError(
            f"unknown format {format!r} or quantize {quantize!r}; expected {', '.join(FORMATS)} and "
            f"{', '.join(QUANTIZATIONS)}"
        )
    if format == "saved_model" and quantize != "none":
        raise ExportError("a SavedModel is not quantised; expected quantize 'none', or another format")
    place = check_target(out, format)
    answers = answers_of(bundle, table)
    calibration = corpora.sample(table if training is None else training, MEASURED)
    inputs = inputs_of(bundle, calibration) if quantize == "int8" else []
    with quietly():
        served = serving_module(bundle, products=format == "onnx")  # ONNX lacks such transforms
    with workshop(place.parent, ".saving-") as unfinished:
        file = unfinished / place.name
        with quietly():
            _WRITERS[format](served, file, metadata(bundle) | {"quantize": quantize}, quantize, inputs)
        report = replace(compared(file, quantize, answers, emotions_of(table), bundle.labels), path=out)
        check(report)
        put(file, place)
    return report


def with_runtime(bundle: Bundle, recordings: Sequence[Source]) -> Bundle:
    """Add a ``model.onnx`` to a bundle, for prediction without TensorFlow.

    The file is checked to be equivalent to the networks.

    Args:
        bundle: the bundle. If it cannot have such a file, its card gives the reason.
        recordings: recordings for the comparison, used whole and cut to lengths from 0.1 s to 8 s.

    Returns:
        The bundle, to be saved. Field ``runtime`` of its card holds ``difference``, the maximum difference of
        probabilities, and ``recordings``, the number of recordings compared; or ``none_since``, the reason.

    Raises:
        ExportError: the file would not be equivalent.
        MissingDependencyError: the extra ``export`` is not installed.

    Examples:
        >>> with_runtime(bundle, ["a.wav", "b.wav"]).save("bundle")  # doctest: +SKIP
    """
    try:
        made, facts = _runtime(bundle, recordings)
    except NotOneFileError as error:
        made, facts = None, {"none_since": str(error)}
    return replace(bundle, card={**bundle.card, "runtime": facts}, runtime=made)


def _runtime(bundle: Bundle, recordings: Sequence[Source]) -> tuple[runtime.Runtime, dict[str, Any]]:
    extractor = extractor_of(bundle)
    if not graph.takes_samples(extractor):
        raise NotOneFileError(f"a graph cannot compute {extractor.name!r} features of {bundle.card['name']}")
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
    pieces, difference = _pieces(recordings, extractor.sr), 0.0
    for samples in pieces:
        values = {extractor: extractor.extract((samples, extractor.sr))[None]}
        (expected,), sharpness = bundle.probabilities(values), bundle.places(values).sharpness[0]
        found = made.run(samples)
        difference = max(difference, float(np.abs(expected - found.probabilities).max()))
        if not difference <= LARGEST_DIFFERENCE or not abs(found.sharpness - sharpness) <= 1e-3 * sharpness:
            raise ExportError(
                f"{runtime.FILE} is not equivalent to the networks: on {len(samples) / extractor.sr:.2f} s "
                f"of audio probabilities differ by {difference:.2g} (expected {LARGEST_DIFFERENCE:g}), and "
                f"sharpness is {found.sharpness:g} instead of {sharpness:g}"
            )
    return made, {"difference": difference, "recordings": len(pieces)}


def _pieces(recordings: Sequence[Source], rate: int) -> list[np.ndarray]:
    """Samples of recordings, and of excerpts of several lengths."""
    whole = [read_audio(source, sr=rate).samples for source in recordings]
    together = np.concatenate(whole)
    cut = [together[: round(seconds * rate)] for seconds in _LENGTHS]
    return [samples for samples in [*whole, *cut] if MIN_SECONDS * rate <= len(samples) and samples.any()]


def check_target(out: str | os.PathLike, format: str | None = None) -> Path:
    """Check, before the work, that a file can be exported to a path.

    Args:
        out: the file, or the folder of a SavedModel.
        format: one of :data:`FORMATS`; by default from the suffix of ``out``.

    Returns:
        The absolute path, without links.

    Raises:
        ExportError: the path holds other files, which would be deleted.
        TargetError: the path cannot be written or replaced.
    """
    place = Path(os.path.realpath(out))
    folder = (format or format_of(Path(out))) == "saved_model"
    if place.exists() and (place.is_dir() != folder or (folder and not is_saved_model(place))):
        raise ExportError(f"{out} exists and is not such an export; choose a new name")
    others = [
        each
        for each in sorted(place.rglob("*"))
        if (each.is_file() or each.is_symlink()) and not OWN.fullmatch(each.name)
    ]
    if others:
        raise ExportError(
            f"{out} holds {others[0].relative_to(place)} besides its SavedModel, and would be replaced as a "
            "whole; choose a new folder, or move the other files away"
        )
    return replaceable(out)


def metadata(bundle: Bundle) -> dict[str, Any]:
    """Metadata of an exported file.

    Args:
        bundle: the bundle.

    Returns:
        Name, labels, kind of input, sampling rate (Hz), longest input (s), licence and limits.
    """
    extractor = extractor_of(bundle)
    waveform = graph.takes_samples(extractor)
    features = (
        f"{extractor.name} {json.dumps(extractor.parameters)}, columns {list(bundle.members[0].columns)}"
    )
    return {
        "name": bundle.card["name"],
        "labels": list(bundle.labels),
        "input": "samples" if waveform else "features",
        "rate": extractor.sr,
        "normalisation": "none: mono samples at the rate, full scale 1; all else is inside"
        if waveform
        else features,
        "longest_seconds": getattr(extractor, "seconds", None),
        "pruned": bundle.card.get("pruned", {}).get("share", 0),
        "licence": bundle.card.get("licence", ""),
        "limits": bundle.card.get("limits", ""),
        "made_by": "ser_kit",
    }


_WRITERS = {"saved_model": write_saved_model, "litert": write_litert, "onnx": write_onnx}
