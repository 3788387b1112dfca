"""Finish a trained system: calibration, the model card, and the ONNX file."""

from __future__ import annotations

import platform
import warnings
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import corpora, deploy, protocols
from ..bundles import runtime
from ..bundles.adaptation import Voices
from ..bundles.bundle import BASELINE, Bundle, strangeness
from ..bundles.member import rounded
from ..core.errors import NoRuntimeWarning
from ..core.probabilities import apply_temperature, mean_log
from ..evaluation import left_out
from ..evaluation.calibration import expected_calibration_error, fit_temperature
from ..evaluation.record import Evaluation
from ..extraction import extract
from ..features import Functionals, SpeechEncoder, Waveform
from .prepared import PreparedData

if TYPE_CHECKING:
    from .system import System


UNCERTAIN_SHARE = 0.005
"""Share of held-out training clips with a confidence below the threshold of uncertain predictions. For
bundles tested on corpora left out of training, see :func:`ser_kit.evaluation.left_out.threshold`."""

STRANGE_SHARE = 0.01
"""Share of training clips that are farther from the average than the threshold for strange recordings."""

_COMPARED = 24  # recordings to compare model.onnx with the Keras models on

LIMITS = (
    "Its accuracy on voices, languages, rooms and microphones other than those it was trained on is unknown. "
    "The sound of a voice is not what a person feels: do not use it for decisions about people, such "
    "as hiring, policing, credit, health or schooling. The EU's AI Act (Regulation 2024/1689, Article 5) "
    "prohibits inferring people's emotions at work and in education. The licences of the corpora "
    "apply to the model too."
)
"""Limits of use, in the card of each bundle."""


def with_temperature(bundle: Bundle, temperature: float) -> Bundle:
    """Set the temperature of a bundle."""
    return replace(bundle, card={**bundle.card, "temperature": temperature})


def answering(bundle: Bundle, prepared: PreparedData) -> Bundle:
    """Add ``model.onnx`` to a bundle; if it cannot be exported, warn and return the bundle without it."""
    clips = corpora.sample(prepared.table.iloc[prepared.originals], _COMPARED)
    try:
        return deploy.with_runtime(bundle, corpora.sources(clips))
    except Exception as error:  # converters raise many types
        reason = str(error) or type(error).__name__
        warnings.warn(f"the bundle has no {runtime.FILE}: {reason}", NoRuntimeWarning, stacklevel=3)
        return replace(bundle, card={**bundle.card, "runtime": {"none_since": reason}})


def calibrate(evaluation: Evaluation) -> tuple[Evaluation, float]:
    """Calibrate the pooled predictions of all folds; returns them and the temperature."""
    probabilities, predictions = evaluation.uncalibrated(), evaluation.predictions
    if across_corpora(evaluation.protocol):
        temperature = left_out.calibration(probabilities, predictions, evaluation.labels).temperature
        probabilities = apply_temperature(probabilities, temperature)
        confidence = left_out.among(
            probabilities, predictions["true"], predictions["corpus"], evaluation.labels
        ).max(axis=1)
    else:
        temperature = fit_temperature(
            probabilities, pd.Index(evaluation.labels).get_indexer(predictions["true"])
        )
        probabilities = apply_temperature(probabilities, temperature)
        confidence = probabilities.max(axis=1)
    columns = [f"prob_{label}" for label in evaluation.labels]
    calibrated = dict(zip(columns, probabilities.T, strict=True), confidence=confidence)
    return replace(evaluation, predictions=predictions.assign(**calibrated)), temperature


def across_corpora(protocol: str) -> bool:
    """Whether a protocol tests on corpora left out of training."""
    return protocol in protocols.names() and "corpus" in protocols.get(protocol).independent_of


def versions() -> dict[str, str]:
    """Versions of Python, ser_kit and the packages that affect results."""
    names = (
        "ser-kit", "tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "numpy", "scipy", "librosa",
        "praat-parselmouth", "soxr", "soundfile", "noisereduce", "PyWavelets", "webrtcvad-wheels",
    )  # fmt: skip
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # for example tensorflow or tensorflow-cpu
    return found


def card(
    system: System,
    prepared: PreparedData,
    fitted: Bundle,
    evaluation: Evaluation,
    calibrated: Evaluation,
    jobs: int | None,
    progress: bool,
) -> dict[str, Any]:
    """Model card of a bundle: training data, thresholds, and evaluation.

    Args:
        system: the trained system.
        prepared: all clips.
        fitted: the trained members, with a preliminary card.
        evaluation: the evaluation on held-out clips.
        calibrated: the evaluation with calibrated predictions.
        jobs: number of processes for extraction.
        progress: show progress bars.
    """
    table = prepared.table.iloc[prepared.originals].reset_index(drop=True)
    used = corpora.of(table)
    across = across_corpora(evaluation.protocol)
    return {
        "title": system.title,
        "reference": system.reference,
        **fitted.card,
        "uncertain_below": _uncertain_below(calibrated, across),
        **_typical(system, table, jobs, progress),
        **_voices(evaluation, calibrated, fitted.labels),
        "trained_on": [
            {
                "corpus": corpus.name,
                "clips": int((table["corpus"] == corpus.name).sum()),
                "speakers": int(table.loc[table["corpus"] == corpus.name, "speaker"].nunique()),
                "licence": corpus.license,
            }
            for corpus in used
        ],
        "licence": "; ".join(sorted({corpus.license for corpus in used})),
        "limits": LIMITS,
        "evaluation": {
            "protocol": evaluation.protocol,
            "speaker_independent": evaluation.speaker_independent,
            "seed": evaluation.seed,
            "scores": evaluation.summary(),
            "expected_calibration_error": expected_calibration_error(
                evaluation.predictions["confidence"].to_numpy(), evaluation.correct()
            ),
            **evaluation.details(),
        },
        **({"left_out": left_out.by_corpus(evaluation)} if across else {}),
        "training": {
            "protocol": evaluation.protocol,
            "seed": evaluation.seed,
            "command": evaluation.command,
            "data": prepared.data,
            "settings": system.declaration,
        },
        "versions": versions(),
    }


def _uncertain_below(calibrated: Evaluation, across: bool) -> float:
    """Confidence below which a prediction is uncertain."""
    confidence = calibrated.predictions["confidence"]
    if across:
        alike = left_out.alike(calibrated.predictions["corpus"])
        return float(left_out.threshold(confidence, calibrated.correct(), alike))
    return float(np.quantile(confidence, UNCERTAIN_SHARE))


def _typical(system: System, table: pd.DataFrame, jobs: int | None, progress: bool) -> dict[str, Any]:
    """Functionals of the training clips by emotion, and the distance above which a recording is strange."""
    plain = extract(table, Functionals(), jobs=jobs, progress=progress)
    frame = plain.to_frame()
    names = list(plain.extractor.feature_names)
    typical = {
        emotion: {name: rounded((rows[name].mean(), rows[name].std(ddof=0))) for name in names}
        for emotion, rows in [*frame.groupby("emotion"), ("all", frame)]  # last: a label may be "all"
    }
    strange_above = None
    if any(not isinstance(extractor, Waveform | SpeechEncoder) for extractor in system.extractors):
        # Hand-crafted features do not carry over to other rooms and languages. Networks on waveforms
        # normalise each clip, and speech encoders are trained on many rooms and languages.
        distances = strangeness(plain.values, typical["all"]).mean(axis=1)
        strange_above = float(np.quantile(distances, 1 - STRANGE_SHARE))
    return {"strange_above": strange_above, "typical": typical}


def _voices(evaluation: Evaluation, calibrated: Evaluation, labels: tuple[str, ...]) -> dict[str, Any]:
    """Mean log probabilities of neutral clips, and the statistics for speaker adaptation."""
    answers = calibrated.predictions
    undiscounted = apply_temperature(
        answers[[f"prob_{label}" for label in evaluation.labels]].to_numpy(), evaluation.sharpness
    )
    neutral = undiscounted[(answers["true"] == BASELINE).to_numpy()]
    baseline = dict(zip(evaluation.labels, rounded(mean_log(neutral)), strict=True)) if len(neutral) else {}
    if not evaluation.speaker_independent:  # the model has been trained on the test speakers
        return {"baseline": baseline}
    found = Voices.fit(undiscounted, answers["true"], answers["speaker"], labels)
    return {"baseline": baseline, "voices": found.to_dict()}
