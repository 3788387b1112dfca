"""What a trained system leaves: calibrated probabilities, the card, and the file that answers."""

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
"""A prediction is uncertain when its confidence is below that of all but this share of held-out training
clips; of a bundle that was tested on corpora left out see :func:`ser_kit.evaluation.left_out.threshold`."""

STRANGE_SHARE = 0.01
"""A recording is strange when it is farther from the average of the training clips than all but this share of
them."""

_COMPARED = 24  # recordings that model.onnx is compared with the networks on

LIMITS = (
    "Its accuracy on voices, languages, rooms and microphones other than those it learned from is not known. "
    "What a voice sounds like is not what a person feels: not for decisions about people, such as hiring, policing, "
    "credit, health or schooling. The EU's AI Act (Regulation 2024/1689, Article 5) forbids to infer people's emotions "
    "at work and in education. The licences of the corpora bind the model too."
)
"""What every bundle's card says of its use."""


def with_temperature(bundle: Bundle, temperature: float) -> Bundle:
    """The bundle, calibrated by this temperature."""
    return replace(bundle, card={**bundle.card, "temperature": temperature})


def answering(bundle: Bundle, material: PreparedData) -> Bundle:
    """The bundle with its ``model.onnx`` where that can be made: what was trained is kept in any case."""
    clips = corpora.sample(material.table.iloc[material.originals], _COMPARED)
    try:
        return deploy.with_runtime(bundle, corpora.sources(clips))
    except Exception as error:  # what converters raise is of many kinds
        said = str(error) or type(error).__name__
        warnings.warn(f"the bundle has no {runtime.FILE}: {said}", NoRuntimeWarning, stacklevel=3)
        return replace(bundle, card={**bundle.card, "runtime": {"none_since": said}})


def calibrate(evaluation: Evaluation) -> tuple[Evaluation, float]:
    """The predictions of all folds, calibrated together by their own truth, and the temperature that does
    it."""
    said, predictions = evaluation.uncalibrated(), evaluation.predictions
    if across_corpora(evaluation.protocol):
        temperature = left_out.calibration(said, predictions, evaluation.labels).temperature
        said = apply_temperature(said, temperature)
        confidence = left_out.among(said, predictions["true"], predictions["corpus"], evaluation.labels).max(
            axis=1
        )
    else:
        temperature = fit_temperature(said, pd.Index(evaluation.labels).get_indexer(predictions["true"]))
        said = apply_temperature(said, temperature)
        confidence = said.max(axis=1)
    columns = [f"prob_{label}" for label in evaluation.labels]
    calibrated = dict(zip(columns, said.T, strict=True), confidence=confidence)
    return replace(evaluation, predictions=predictions.assign(**calibrated)), temperature


def across_corpora(protocol: str) -> bool:
    """Whether a protocol tests corpora that were not learned from."""
    return protocol in protocols.names() and "corpus" in protocols.get(protocol).independent_of


def versions() -> dict[str, str]:
    """Versions of Python, ser_kit and the packages that decide about numbers."""
    names = (
        "ser-kit", "tensorflow", "tensorflow-cpu", "keras", "scikit-learn", "numpy", "scipy", "librosa",
        "praat-parselmouth", "soxr", "soundfile", "noisereduce", "PyWavelets", "webrtcvad-wheels",
    )  # fmt: skip
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # tensorflow and tensorflow-cpu are the same package under two names
    return found


def card(
    system: System,
    material: PreparedData,
    fitted: Bundle,
    evaluation: Evaluation,
    calibrated: Evaluation,
    jobs: int | None,
    progress: bool,
) -> dict[str, Any]:
    """The card of a bundle: what it was trained on, how sure it can be, and what its evaluation showed.

    Args:
        system: what was trained.
        material: all clips.
        fitted: the members, with what their training put on the card.
        evaluation: on clips that were not trained on.
        calibrated: the same, its predictions calibrated.
        jobs: processes to extract with.
        progress: show progress bars.
    """
    table = material.table.iloc[material.originals].reset_index(drop=True)
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
            "data": material.data,
            "settings": system.declaration,
        },
        "versions": versions(),
    }


def _uncertain_below(calibrated: Evaluation, across: bool) -> float:
    """The confidence below which an answer is uncertain."""
    confidence = calibrated.predictions["confidence"]
    if across:
        alike = left_out.alike(calibrated.predictions["corpus"])
        return float(left_out.threshold(confidence, calibrated.correct(), alike))
    return float(np.quantile(confidence, UNCERTAIN_SHARE))


def _typical(system: System, table: pd.DataFrame, jobs: int | None, progress: bool) -> dict[str, Any]:
    """Functionals of the training clips by emotion, and from which distance on a recording is strange."""
    plain = extract(table, Functionals(), jobs=jobs, progress=progress)
    frame = plain.to_frame()
    names = list(plain.extractor.feature_names)
    typical = {
        emotion: {name: rounded((rows[name].mean(), rows[name].std(ddof=0))) for name in names}
        for emotion, rows in [("all", frame), *frame.groupby("emotion")]
    }
    strange_above = None
    if any(not isinstance(extractor, Waveform | SpeechEncoder) for extractor in system.extractors):
        # Features in absolute terms say little of other rooms and languages; networks on samples measure each
        # clip against itself, and speech encoders know many.
        distances = strangeness(plain.values, typical["all"]).mean(axis=1)
        strange_above = float(np.quantile(distances, 1 - STRANGE_SHARE))
    return {"strange_above": strange_above, "typical": typical}


def _voices(evaluation: Evaluation, calibrated: Evaluation, labels: tuple[str, ...]) -> dict[str, Any]:
    """The usual answer to neutral clips, and what adaptation to a speaker needs to know of speakers."""
    answers = calibrated.predictions
    for_no_distance = apply_temperature(
        answers[[f"prob_{label}" for label in evaluation.labels]].to_numpy(), evaluation.sharpness
    )
    plainly = for_no_distance[(answers["true"] == BASELINE).to_numpy()]
    baseline = dict(zip(evaluation.labels, rounded(mean_log(plainly)), strict=True)) if len(plainly) else {}
    if not evaluation.speaker_independent:  # then the answers know the voices
        return {"baseline": baseline}
    found = Voices.fit(for_no_distance, answers["true"], answers["speaker"], labels)
    return {"baseline": baseline, "voices": found.to_dict()}
