"""Fine-tuning: your own clips and labels, starting from a trained bundle.

The bundle's speech encoder and network stay as they are; a linear head on the encoder's features corrects
their answers, or gives labels of your own (:class:`ser_kit.training.head.Head`). The encoder's weights are
not trained: ``docs/results/fine_tuning.md`` has what this would cost.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from .. import models, protocols
from ..audio.transforms import Step
from ..bundles.bundle import Bundle
from ..bundles.member import Member, chosen
from ..bundles.presets import bundle_path
from ..core.errors import FewClipsWarning, LabelError, RecipeError, TableError
from ..core.labels import OWN, LabelSet, merged
from ..corpora import UNKNOWN_SPEAKER
from ..evaluation.intervals import FEWEST_SPEAKERS, percent
from ..evaluation.record import Evaluation
from ..evaluation.resampling import paired_difference
from ..extraction import Features
from ..features import Extractor, SpeechEncoder
from ..protocols.base import Parts, Protocol
from ..protocols.groups import FOLDS, Groups
from ..training.head import Head, matched
from .prepared import PreparedData, Split
from .published import OURS
from .system import System

FEWEST_CLIPS = 30
"""Fewest clips that fine-tuning was measured with."""


@dataclass(frozen=True, kw_only=True)
class Continued(System):
    """A head on the features of a trained bundle, beside the bundle's own network.

    Args:
        start: name of a preset or folder of a bundle, with one network on one row of features for each clip.
        training: settings of the head.

    Examples:
        >>> Continued.of("cross_corpus_small").extractors[0].encoder
        'whisper_tiny_en'
    """

    start: str
    training: Head = dataclasses.field(default_factory=Head)

    kinds: ClassVar = System.kinds | {"start": str, "training": Head}

    @classmethod
    def of(cls, start: str, training: Head | None = None) -> Self:
        """The system that starts from a bundle.

        Args:
            start: name of a preset or folder of a bundle.
            training: settings of the head.

        Raises:
            BundleError: there is no such bundle.
            RecipeError: a head cannot be trained on its features.
        """
        card = _started(start).card
        name = Path(start).name
        return cls(
            name=f"{name}-continued",
            title=f"A linear head on the features of {name}, beside its own network",
            reference=f"started from: {card.get('title', name)}. {card.get('reference', '')}".strip(),
            labels=OWN,
            published=OURS,
            temperature=1.0,
            start=start,
            training=training or Head(),
        )

    @property
    def extractors(self) -> tuple[Extractor, ...]:
        return (self._member.extractor,)

    @property
    def augmentation(self) -> tuple[Step, ...]:
        return ()

    @property
    def copies(self) -> int:
        return 0

    @property
    def parts(self) -> tuple[str, ...]:
        return (self.name,)

    def check(self, temperature: float) -> None:
        """Nothing to check: a head has no settings that contradict each other."""

    @property
    def _member(self) -> Member:
        (member,) = _started(self.start).members
        return member

    def start_probabilities(self, prepared: PreparedData) -> np.ndarray:
        """Calibrated probabilities of the start for all clips, ``[clips, labels of the start]``."""
        return _started(self.start).probabilities(prepared.values(np.arange(len(prepared.y))))

    def train(
        self, split: Split, weights: np.ndarray | None = None
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        member, prepared = self._member, split.prepared
        train = split.note("training", split.train)
        values = prepared.features[member.extractor].values[train]
        x = member.scaler.transform(chosen(values, member.columns))
        head = self.training.fit(
            x, prepared.y[train], len(prepared.labels), start=member.probabilities(values),
            groups=_groups(prepared.table.iloc[train]), columns=_columns(member), weights=weights,
            seed=split.seed,
        )  # fmt: skip
        hyperparameters = {
            "builder": member.builder,
            "start_classes": member.model.output_shape[-1],
            "hyperparameters": dict(member.hyperparameters),
        }
        model = models.get("continued")((x.shape[1],), len(prepared.labels), **hyperparameters)
        model.get_layer("start").set_weights(member.model.get_weights())
        model.get_layer("emotion").set_weights([head.match, np.array([head.share]), head.kernel, head.bias])
        new = dataclasses.replace(
            member, builder="continued", hyperparameters=hyperparameters, model=model, weight=1.0
        )
        return [new], []


@dataclass(frozen=True)
class Gain:
    """A fine-tuned bundle compared with the bundle that it started from, on the same held-out clips.

    Args:
        own: UAR of the fine-tuned bundle, 0..1.
        start: UAR of the start alone, 0..1.
        low: lower end of the 95 % interval of ``own - start``; NaN where it cannot be drawn.
        high: upper end.
        over: what the interval is drawn over: ``"speakers"`` or ``"clips"``.
        groups: number of these.
        same_labels: whether the start has all labels. Else each of its labels counts as those with whose
            training clips it occurs.
    """

    own: float
    start: float
    low: float
    high: float
    over: str
    groups: int
    same_labels: bool

    @property
    def better(self) -> bool:
        """Whether the fine-tuned bundle is better: the interval is above 0."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the fine-tuned bundle is worse: the interval is below 0."""
        return self.high < 0

    def __str__(self) -> str:
        change = f"{100 * (self.own - self.start):+.1f} [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"
        few = self.over == "speakers" and self.groups < FEWEST_SPEAKERS
        over = f"{self.groups} {self.over}{' only' if few else ''}"
        said = "not shown to differ: the interval includes 0"
        if self.better or self.worse:
            said = "better" if self.better else "worse"
        return (
            f"UAR {percent(self.own)}, the start alone {percent(self.start)}; difference {change} (95 % "
            f"interval over {over}): {said}"
        )


@dataclass(frozen=True, eq=False)
class FineTuned:
    """Result of :func:`fine_tune`.

    Args:
        bundle: trained on all clips.
        evaluation: each clip predicted by a model that was not trained on it, nor on its speaker where
            ``evaluation.speaker_independent``.
        start: the start's predictions for the same clips.
        gain: comparison of the two.
        held_out: what the clips were held out by, and why, in one sentence.
    """

    bundle: Bundle
    evaluation: Evaluation
    start: Evaluation
    gain: Gain
    held_out: str


def fine_tune(
    data: pd.DataFrame | Features | PreparedData,
    start: str = "cross_corpus",
    *,
    training: Head | None = None,
    seed: int = 0,
    jobs: int | None = None,
    progress: bool = True,
    command: str = "",
) -> FineTuned:
    """Train a bundle on your own clips, starting from a trained one, and compare the two.

    Clips are held out by speaker where each label is spoken by two or more known speakers, else clip by clip.
    The settings of each fold are chosen within its training clips, so that the comparison is fair to the
    start.

    Args:
        data: a clip table with labels of any names, its features, or prepared data.
        start: name of a preset or folder of a bundle.
        training: settings of the head.
        seed: random seed of the folds.
        jobs: number of processes for extraction.
        progress: show progress bars.
        command: command line, for the card.

    Raises:
        BundleError: there is no such bundle.
        RecipeError: a head cannot be trained on its features.
        TableError: there are clips of one label only, or a label has only one clip.

    Warns:
        FewClipsWarning: there are fewer than 30 clips.
        UserWarning: the fine-tuned bundle is worse than the start, which has the same labels.

    Examples:
        >>> import ser_kit
        >>> found = fine_tune(ser_kit.load("folder:my_clips"))  # doctest: +SKIP
        >>> print(found.gain)                                   # doctest: +SKIP
        >>> found.bundle.save("my_model")                       # doctest: +SKIP
    """
    system = Continued.of(start, training)
    _check_labels(data, start)
    prepared = system.prepare(data, jobs=jobs, progress=progress)
    if len(prepared.y) < FEWEST_CLIPS:
        warnings.warn(
            f"only {len(prepared.y)} clips (expected {FEWEST_CLIPS} or more): the figures say little",
            FewClipsWarning,
            stacklevel=2,
        )
    folds, held_out = _folds(prepared, seed)
    protocols.audit(prepared.table, folds)
    parts = [system.run_fold(prepared, fold, progress=progress) for fold in folds]
    evaluation = dataclasses.replace(
        parts[0],
        predictions=pd.concat([part.predictions for part in parts], ignore_index=True),
        seconds=sum(part.seconds for part in parts),
        temperatures=[temperature for part in parts for temperature in part.temperatures],
        command=command,
    )
    alone, same = _alone(system, prepared, folds, evaluation)
    gain = _gain(evaluation, alone, same)
    if same and gain.worse:
        warnings.warn(f"the fine-tuned model is worse than {start} alone: {gain}", UserWarning, stacklevel=2)
    rows = np.arange(len(prepared.y))
    bundle = system._finished(prepared, rows, rows[:0], evaluation, jobs=jobs, progress=progress)
    card = {**bundle.card, **_provenance(system, bundle, gain, held_out)}
    return FineTuned(dataclasses.replace(bundle, card=card), evaluation, alone, gain, held_out)


@lru_cache(maxsize=4)
def _started(start: str) -> Bundle:
    """The bundle to start from, with its network."""
    path = bundle_path(start)
    if origin := Bundle.load(path).card.get("started_from"):  # read without TensorFlow
        raise RecipeError(f"{start} was itself started from another bundle; start from {origin['name']}")
    bundle = Bundle.load(path, networks=True)
    member, *others = bundle.members
    if (
        others
        or len(member.extractor.shape) != 1
        or member.builder in models.NESTED
        or "prior" in bundle.card
    ):
        raise RecipeError(
            f"{start} cannot be started from: a head needs one network on one row of features for each clip, "
            "as cross_corpus and cross_corpus_small have"
        )
    return bundle


def _check_labels(data: pd.DataFrame | Features | PreparedData, start: str) -> None:
    """Check that there is something to tell apart; the message says what can be done without."""
    table = data if isinstance(data, pd.DataFrame) else data.table
    column = table["label"] if "label" in table else table["emotion"]
    counts = column.value_counts()
    if len(counts) < 2:
        what = (
            f"all {len(column)} clips are {counts.index[0]!r}" if len(column) > 1 else f"{len(column)} clip"
        )
        raise TableError(
            f"{what}: a head needs two labels with two clips each; without training, ser-kit predict "
            f"--bundle {start} answers, and --enroll (neutral clips) or --same-speaker adapts it to the voice"
        )
    if counts.min() < 2:
        rare = ", ".join(repr(label) for label in counts.index[counts < 2])
        raise TableError(
            f"there is only one clip of {rare}, so that it can be trained on or tested, not both; add one, "
            f"or leave the label out: --labels {','.join(counts.index[counts > 1])}"
        )


def _groups(table: pd.DataFrame) -> np.ndarray:
    """Speakers to choose settings by; the clips themselves where there are not two known ones."""
    speakers = table["speaker"].to_numpy()
    known = not any(name.rpartition(":")[2] == UNKNOWN_SPEAKER for name in speakers)
    return speakers if known and len(set(speakers)) > 1 else np.arange(len(table))


def _columns(member: Member) -> list[np.ndarray]:
    """Columns to choose from: the lowest block of a speech encoder, the two lowest, all; or all features."""
    everything = np.arange(len(member.columns))
    extractor = member.extractor
    if not isinstance(extractor, SpeechEncoder) or len(member.columns) != extractor.shape[0]:
        return [everything]
    of_block = everything.reshape(len(extractor.blocks), -1)
    order = np.argsort(extractor.blocks)
    sets = [np.sort(of_block[order[:count]].ravel()) for count in (1, 2, len(order)) if count <= len(order)]
    return [each for i, each in enumerate(sets) if not i or len(each) > len(sets[i - 1])]


def _folds(prepared: PreparedData, seed: int) -> tuple[list[protocols.Fold], str]:
    """Folds of held-out speakers, or of held-out clips, and what was held out."""
    table, labels = prepared.table, np.array(prepared.labels)[prepared.y]
    table = table.assign(label=labels)
    speakers = table["speaker"]
    unknown = int((speakers.str.rpartition(":")[2] == UNKNOWN_SPEAKER).sum())
    owners = speakers.groupby(labels).agg(["nunique", "first"])
    alone = owners[owners["nunique"] < 2]
    if unknown:
        why = f"it is not known who speaks in {unknown} of {len(table)} clips"
    elif speakers.nunique() < 2:
        why = "all clips are of one speaker"
    elif len(alone):
        why = f"only {alone['first'].iloc[0]} has clips of {alone.index[0]!r}"
    else:
        for most in (FOLDS, speakers.nunique()):  # smaller parts, where one has all speakers of a label
            try:
                folds = Protocol("held_out_speakers", "", partial(_by_speaker, most=most), ("speaker",))(
                    table, seed
                )
            except TableError:
                continue
            return folds, f"held-out speakers: {speakers.nunique()}, in {len(folds)} folds"
        why = "the labels are spread too unevenly over the speakers"
    folds = Protocol("held_out_clips", "", _by_clip)(table, seed)
    return folds, f"held-out clips, not speakers, since {why}: the figures do not hold for other voices"


def _by_speaker(table: pd.DataFrame, labels: np.ndarray, seed: int, most: int) -> Iterator[Parts]:
    everything = np.arange(len(table))
    for test in Groups.of(table, labels, "speaker").parts(everything, most, seed):
        yield everything[:0], test


def _by_clip(table: pd.DataFrame, labels: np.ndarray, seed: int) -> Iterator[Parts]:
    from sklearn.model_selection import StratifiedKFold

    count = min(FOLDS, np.unique(labels, return_counts=True)[1].min())
    for _, test in StratifiedKFold(count, shuffle=True, random_state=seed).split(labels, labels):
        yield test[:0], test


def _alone(
    system: Continued, prepared: PreparedData, folds: list[protocols.Fold], evaluation: Evaluation
) -> tuple[Evaluation, bool]:
    """What the start alone answers for the test clips, and whether it has all labels."""
    probabilities, labels = system.start_probabilities(prepared), prepared.labels
    own = _started(system.start).labels
    try:
        counted = merged(own, LabelSet(OWN, labels))
    except LabelError:
        counted = {}
    same = set(counted) == set(labels)
    found = []
    for fold in folds:
        if same:
            match = np.array([[name in counted[label] for label in labels] for name in own], float)
        else:
            match = matched(probabilities[fold.train], prepared.y[fold.train], len(labels))
        shares = probabilities[fold.test] @ match
        found.append(shares / shares.sum(axis=1, keepdims=True))
    shares = np.concatenate(found)
    columns = dict(zip([f"prob_{label}" for label in labels], shares.T, strict=True))
    said = np.array(labels)[shares.argmax(axis=1)]
    predictions = evaluation.predictions.assign(predicted=said, confidence=shares.max(axis=1), **columns)
    name = Path(system.start).name
    return dataclasses.replace(evaluation, recipe=name, predictions=predictions, settings={}), same


def _gain(own: Evaluation, start: Evaluation, same: bool) -> Gain:
    """Compare two evaluations; over few speakers, by the wider of the intervals over speakers and clips."""
    over = "speaker" if own.speaker_independent else "clip_id"
    groups = own.predictions[over].nunique()
    low, high = paired_difference(own.predictions, start.predictions, by=over)
    if over == "speaker" and groups < FEWEST_SPEAKERS:
        by_clip = paired_difference(own.predictions, start.predictions, by="clip_id")
        low, high = float(np.fmin(low, by_clip[0])), float(np.fmax(high, by_clip[1]))
    uar = [each.metrics()["uar"] for each in (own, start)]
    return Gain(uar[0], uar[1], low, high, "speakers" if over == "speaker" else "clips", groups, same)


def _provenance(system: Continued, bundle: Bundle, gain: Gain, held_out: str) -> dict:
    """Fields of the card: what the bundle started from, and the licences of both."""
    start = _started(system.start)
    _, share, kernel, _ = bundle.members[0].model.get_layer("emotion").get_weights()
    used = np.flatnonzero(np.abs(kernel).sum(axis=1))
    extractor = start.extractors[0]
    chosen_blocks = {}
    if isinstance(extractor, SpeechEncoder):
        width = extractor.shape[0] // len(extractor.blocks)
        chosen_blocks["blocks"] = sorted({int(extractor.blocks[i]) for i in used // width})
    licences = [each.card.get("licence", "") for each in (bundle, start)]
    return {
        "licence": "; ".join(dict.fromkeys(part for each in licences for part in each.split("; ") if part)),
        "started_from": {
            "name": Path(system.start).name,
            "identity": start.identity,
            "labels": list(start.labels),
            "trained_on": [dict(each) for each in start.card.get("trained_on", ())],
            "held_out": held_out,
            "share": float(share[0]),
            **chosen_blocks,
            **{name: None if value != value else value for name, value in dataclasses.asdict(gain).items()},
        },
    }
