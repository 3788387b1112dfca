"""What is learned of a speaker from clips without labels, and taken off the answers for the speaker's other clips.

A linear classifier on features less a speaker's mean gives the same answers as one on the features themselves whose
logits are less a constant. So for every kind of bundle a speaker is described by one number for each label: by how much
the logarithms of the calibrated probabilities, centred over the labels, lie above those that other people's clips have
on average. :func:`ser_kit.core.probabilities.without_habit` takes these numbers off.

Clips without labels do not say whether a speaker always sounds sad or is sad in all of them. :func:`offset` therefore
goes only as far as the clips differ in emotion.

Examples:
    >>> rng = np.random.default_rng(0)
    >>> true, speakers = np.tile(["happy", "sad"], 200), np.repeat(np.arange(20), 20)
    >>> logits = np.where(true == "sad", 1, -1) + rng.normal(size=20)[speakers] + rng.normal(size=400) / 2
    >>> sad = 1 / (1 + np.exp(-logits))
    >>> voices = Voices.fit(np.stack([1 - sad, sad], axis=1), true, speakers, ["happy", "sad"])
    >>> shifted = 1 / (1 + np.exp(-np.array([-1, 3, -1.2, 3.2, -0.8, 2.8, -1, 3])))  # a speaker who sounds sad
    >>> learned = offset(voices, np.stack([1 - shifted, shifted], axis=1))
    >>> bool(learned[1] > 0.2), bool(abs(learned.sum()) < 1e-9)
    (True, True)
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from ..core.errors import AdaptationError, LabelError, TableError, TargetError
from ..core.paths import replaceable, write_whole
from ..core.probabilities import floored_log
from ..core.schema import check
from .card import content, parsed

FORMAT = 1
MOST_CLIPS = 200
"""Clips, or windows of long ones, that an adaptation rests on, at most."""
MOST_OFFSET = 20.0
"""What may be taken off a log probability, at most: the largest difference there can be is that of 1 and 0.001."""
ENOUGH_CLIPS = 10
"""Clips after which further ones change little."""
_SHRINKAGE = 5.0
"""The mean of n clips counts n / (n + 5)."""
_CLOSED = 1.3
"""Times the spread of clips of one emotion up to which nothing is taken off: more costs speakers of mixed emotions a
little, less costs speakers who show one emotion only twice as much (docs/results/unheard.md)."""
_FEWEST = 9
"""Clips of a speaker, or of a speaker and an emotion, from which on their spread counts."""
_WITHIN_SHARE = 0.3  # of its mean variance in the covariance that spreads are measured by


@dataclass(frozen=True)
class Voices:
    """How speakers differ in what a bundle answers, beside how emotions do.

    All numbers are of the logarithms of calibrated probabilities, floored at 0.001 and centred over the labels.

    Args:
        labels: in the order of the probabilities.
        classes: mean of each label's clips for a speaker like the average one, ``[k, k]``, a row for each label.
        within: covariance of the clips of one speaker and one emotion, ``[k, k]``.
        speakers: covariance of the speakers' offsets, ``[k, k]``.
        spread: mean squared distance, in units of ``within``, of clips from their mean: of one speaker and one emotion,
            and of one speaker and all emotions.
    """

    labels: tuple[str, ...]
    classes: tuple[tuple[float, ...], ...]
    within: tuple[tuple[float, ...], ...]
    speakers: tuple[tuple[float, ...], ...]
    spread: tuple[float, float]

    @classmethod
    def fit(
        cls,
        probabilities: np.ndarray,
        true: Sequence[str] | np.ndarray,
        speakers: Sequence[str] | np.ndarray,
        labels: Sequence[str],
    ) -> Self:
        """Learn it from answers for clips of speakers that were not trained on.

        Each speaker and emotion counts alike; for the spreads those of nine clips or more, where there are such.
        Speakers need not have all emotions.

        Args:
            probabilities: calibrated, ``[n, k]``.
            true: the clips' labels, ``[n]``.
            speakers: who speaks in each clip, ``[n]``.
            labels: of the ``k`` columns.

        Raises:
            LabelError: a clip's label is none of them.
            TableError: there are no clips, or not one label and speaker for each.
        """
        import pandas as pd

        values = np.asarray(probabilities, dtype=float)
        emotion = pd.Index(list(labels)).get_indexer(pd.Index(np.asarray(true, dtype=object)))
        speaker, _ = pd.factorize(np.asarray(speakers, dtype=object))
        if not len(values) or values.shape != (len(emotion), len(labels)) or len(speaker) != len(emotion):
            raise TableError(
                f"probabilities {values.shape}, {len(emotion)} labels and {len(speaker)} speakers do not fit; expected "
                "one row, label and speaker for each clip, and a clip at least"
            )
        if (emotion < 0).any():
            unknown = sorted({str(name) for name in np.asarray(true, dtype=object)[emotion < 0]})
            raise LabelError(f"labels {', '.join(map(repr, unknown))} are not among {', '.join(map(repr, labels))}")
        values = centred(values)
        cells = pd.DataFrame(values).groupby([speaker, emotion])
        means = cells.mean()
        who, what = (means.index.get_level_values(level).to_numpy() for level in (0, 1))
        classes, offsets = _two_way(means.to_numpy(), who, what, speaker.max() + 1, len(labels))
        within = np.mean([np.cov(group.T) for group in _enough(cells)] or np.zeros((1, *classes.shape)), axis=0)
        metric = _metric(within)
        spread = [
            np.mean([_scatter(group, metric) / (len(group) - 1) for group in _enough(groups)] or 0.0)
            for groups in (cells, pd.DataFrame(values).groupby(speaker))
        ]
        return cls(
            labels=tuple(labels),
            classes=_plain(classes),
            within=_plain(within),
            speakers=_plain(offsets.T @ offsets / len(offsets)),
            spread=_plain(spread),
        )

    def to_dict(self) -> dict[str, Any]:
        """Its numbers, ready for JSON: what a bundle's card holds as ``voices``."""
        return {name: json.loads(json.dumps(getattr(self, name))) for name in _NUMBERS}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any], labels: Sequence[str]) -> Self:
        """What :meth:`to_dict` gave for these labels."""
        return cls(labels=tuple(labels), **{name: _plain(numbers[name]) for name in _NUMBERS})


_NUMBERS = ("classes", "within", "speakers", "spread")


class LeftOut(NamedTuple):
    """A recording that nothing was learned from, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Adaptation:
    """What a predictor has learned of one speaker, to be kept and gone on with.

    Args:
        bundle: :attr:`ser_kit.bundles.bundle.Bundle.identity` of whose answers it is.
        labels: of that bundle.
        offset: what is taken off each label's log probability, ``[k]``.
        probabilities: of the clips that it rests on, without adaptation and for a distance of no account,
            ``[clips, k]``.
        sounds: a digest of each of these clips' samples, so that none counts twice.
        left_out: recordings that were given and could not be used; not kept in files.

    Examples:
        >>> Adaptation.begin("5ca1ab1e", ["happy", "sad"]).clips
        0
    """

    bundle: str
    labels: tuple[str, ...]
    offset: tuple[float, ...]
    probabilities: tuple[tuple[float, ...], ...] = ()
    sounds: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = field(default=(), compare=False)

    @classmethod
    def begin(cls, bundle: str, labels: Sequence[str]) -> Self:
        """An adaptation to a speaker of whom nothing is known yet.

        Args:
            bundle: identity of the bundle.
            labels: of the bundle.
        """
        return cls(bundle, tuple(labels), (0.0,) * len(labels))

    @property
    def clips(self) -> int:
        """How many clips, or windows of long ones, it rests on: the latest ones, at most :data:`MOST_CLIPS`."""
        return len(self.sounds)

    def more(
        self,
        voices: Voices,
        probabilities: Sequence[Sequence[float]] | np.ndarray,
        sounds: Sequence[str],
        left_out: Sequence[LeftOut] = (),
    ) -> Self:
        """The same speaker, after further clips; one that it rests on already is passed over.

        Args:
            voices: of the bundle.
            probabilities: of the bundle's labels, calibrated and without adaptation, ``[n, k]``.
            sounds: a digest of each clip's samples, ``[n]``.
            left_out: recordings that could not be used.
        """
        known = dict(zip(self.sounds, self.probabilities, strict=True))
        for sound, each in zip(sounds, probabilities, strict=True):
            known.setdefault(sound, _plain(each))
        kept = dict(list(known.items())[-MOST_CLIPS:])
        learned = offset(voices, np.array(list(kept.values())))
        return replace(
            self,
            offset=_plain(learned),
            probabilities=tuple(kept.values()),
            sounds=tuple(kept),
            left_out=(*self.left_out, *left_out),
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Write it as JSON, whole or not at all. It holds numbers of the voice, but no sound and no names of files.

        Raises:
            TargetError: nothing can be written there, or a folder is there.
        """
        place = target(path)
        kept = {name: getattr(self, name) for name in ("bundle", "labels", "offset", "probabilities", "sounds")}
        write_whole(place, (json.dumps({"format": FORMAT, **kept}, ensure_ascii=False) + "\n").encode())
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read what :meth:`save` wrote; :meth:`ser_kit.Predictor.with_adaptation` says whether it is of one's bundle.

        Raises:
            AdaptationError: there is no such file, or it holds something else; the message names what is wrong.
        """
        try:
            kept = parsed(content(Path(path)))
            _check(kept)
        except FileNotFoundError:
            raise AdaptationError(f"there is no file {path}; expected one that an adaptation was saved to") from None
        except (OSError, ValueError, RecursionError) as error:
            raise AdaptationError(f"{path} is not a saved adaptation: {error}") from None
        return cls(
            bundle=kept["bundle"],
            labels=tuple(kept["labels"]),
            offset=_plain(kept["offset"]),
            probabilities=_plain(kept["probabilities"]),
            sounds=tuple(kept["sounds"]),
        )


def target(path: str | os.PathLike) -> Path:
    """Where an adaptation can be saved, looked at before the work.

    Raises:
        TargetError: nothing can be written there, or a folder is there.
    """
    place = replaceable(path)
    if place.is_dir():
        raise TargetError(f"{path} is a folder; expected the name of a file for the adaptation")
    return place


def _check(kept: Any) -> None:
    """Whether a file's content can be used; a ``ValueError`` names what is wrong."""

    def listed(of: Mapping[str, Any], most: int, least: int = 0) -> dict:
        return {"type": "array", "items": of, "minItems": least, "maxItems": most}

    digest, name = {"type": "string", "pattern": "^[0-9a-f]{32}$"}, {"type": "string", "minLength": 1}
    share = {"type": "number", "minimum": 0, "maximum": 1}
    properties = {
        "format": {"const": FORMAT},
        "bundle": digest,
        "labels": listed(name, 100, 2),
        "offset": listed({"type": "number", "minimum": -MOST_OFFSET, "maximum": MOST_OFFSET}, 100),
        "probabilities": listed(listed(share, 100), MOST_CLIPS),
        "sounds": listed(digest, MOST_CLIPS) | {"uniqueItems": True},
    }
    schema = {"type": "object", "required": list(properties), "properties": properties}
    check(schema, kept)
    rows = [kept["offset"], *kept["probabilities"]]
    if {len(row) for row in rows} != {len(kept["labels"])} or len(kept["sounds"]) != len(kept["probabilities"]):
        raise ValueError(
            "offset, probabilities and sounds must have a number for each label and an entry for each clip"
        )


def offset(voices: Voices, probabilities: np.ndarray) -> np.ndarray:
    """What clips of one speaker say of the speaker, to be taken off by :func:`ser_kit.core.probabilities.without_habit`.

    The clips' mean, less that of a speaker like the average one who shows all emotions alike, times n / (n + 5), times
    a factor from 0 to 1: it is 0 where the squared distances between the clips are less than 1.3 times those
    of one emotion, and 1 where they are those of all emotions.

    Args:
        voices: of the bundle.
        probabilities: calibrated, of one speaker's clips, ``[n, k]``; no clip at all gives zeros.

    Returns:
        ``float64 [k]``; its sum is 0.
    """
    values = centred(np.asarray(probabilities, dtype=float).reshape(-1, len(voices.labels)))
    if not len(values):
        return np.zeros(len(voices.labels))
    of_one, of_all = voices.spread
    count, metric = len(values), _metric(np.array(voices.within))
    # As if there were two more clips, which differ as those of one emotion do: a few clips seldom open the gate.
    spread = (_scatter(values, metric) + 2 * of_one) / (count + 1)
    closed = _CLOSED * of_one
    gate = np.clip((spread - closed) / (of_all - closed), 0, 1) if of_all > closed else 0.0
    return gate * count / (count + _SHRINKAGE) * (values.mean(axis=0) - np.mean(voices.classes, axis=0))


def centred(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, below one in a thousand all alike, less their mean over the labels.

    Args:
        probabilities: ``[n, k]``.

    Returns:
        ``float64 [n, k]``; rows sum to 0.

    Examples:
        >>> centred([[0.5, 0.5]]).tolist()
        [[0.0, 0.0]]
    """
    logs = floored_log(probabilities)
    return logs - logs.mean(axis=1, keepdims=True)


def _two_way(means: np.ndarray, who: np.ndarray, what: np.ndarray, people: int, k: int):
    """Effects of emotions ``[k, k]`` and of speakers ``[people, k]`` that add up to the means of cells, by least
    squares; the speakers' are shrunk a little, so that there is one solution."""
    design = np.zeros((len(means), k + people))
    design[np.arange(len(means)), what] = design[np.arange(len(means)), k + who] = 1
    penalty = np.diag(np.r_[np.zeros(k), np.ones(people)])
    found = np.linalg.lstsq(design.T @ design + penalty, design.T @ means, rcond=None)[0]
    return found[:k], found[k:]


def _enough(groups) -> list[np.ndarray]:
    """The clips of each group of nine or more, since the spread of fewer says little; where there is none such, of two
    or more."""
    found = [group.to_numpy() for _, group in groups if len(group) > 1]
    return [group for group in found if len(group) >= _FEWEST] or found


def _metric(within: np.ndarray) -> np.ndarray:
    """The inverse of a covariance, of which a share is replaced by its mean variance in all directions."""
    k = len(within)
    inside = np.eye(k) - 1 / k  # centred values have k - 1 directions
    shrunk = (1 - _WITHIN_SHARE) * within + _WITHIN_SHARE * np.trace(within) / max(k - 1, 1) * inside
    return np.linalg.pinv(shrunk, hermitian=True)


def _scatter(values: np.ndarray, metric: np.ndarray) -> float:
    """Sum of the squared distances of rows from their mean."""
    values = np.asarray(values)
    apart = values - values.mean(axis=0)
    return float(np.einsum("ni,ij,nj->", apart, metric, apart))


def _plain(values: Any) -> Any:
    """Nested tuples of floats with seven digits, as JSON keeps them."""
    if np.ndim(values):
        return tuple(_plain(each) for each in values)
    return float(f"{values:.7g}")
