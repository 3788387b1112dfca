"""Unsupervised adaptation to a speaker.

For a linear classifier, subtracting a speaker's mean from the features equals subtracting a constant from the
logits. So for every kind of bundle a speaker is described by one number for each label: the mean difference
between the speaker's and other speakers' logarithms of calibrated probabilities, centred over the labels.
:func:`ser_kit.core.probabilities.without_habit` subtracts these numbers.

Unlabelled clips do not show whether a speaker always sounds sad or is sad in all of them. Therefore
:func:`offset` is scaled down where the clips differ little in emotion.

Examples:
    >>> rng = np.random.default_rng(0)
    >>> true, speakers = np.tile(["happy", "sad"], 200), np.repeat(np.arange(20), 20)
    >>> logits = np.where(true == "sad", 1, -1) + rng.normal(size=20)[speakers] + rng.normal(size=400) / 2
    >>> sad = 1 / (1 + np.exp(-logits))
    >>> voices = Voices.fit(np.stack([1 - sad, sad], axis=1), true, speakers, ["happy", "sad"])
    >>> shifted = 1 / (1 + np.exp(-np.array([-1, 3, -1.2, 3.2, -0.8, 2.8, -1, 3])))  # sounds sad
    >>> found = offset(voices, np.stack([1 - shifted, shifted], axis=1))
    >>> bool(found[1] > 0.2), bool(abs(found.sum()) < 1e-9)
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
"""Maximum number of clips, or windows of long ones, in an adaptation."""
MOST_OFFSET = 20.0
"""Maximum offset of a log probability in a file. Probabilities are floored at 0.001, so real ones are
smaller."""
ENOUGH_CLIPS = 10
"""Number of clips after which further ones change little."""
_SHRINKAGE = 5.0
"""The mean of n clips is weighted by n / (n + 5)."""
_CLOSED = 1.3
"""Nothing is subtracted up to this multiple of the spread of one emotion. A larger value costs speakers with
mixed emotions a little; a smaller one costs speakers with a single emotion twice as much
(docs/results/unheard.md)."""
_FEWEST = 9
"""Minimum number of clips of a speaker, or of a speaker and an emotion, to measure their spread."""
_WITHIN_SHARE = 0.3  # shrinkage of the within covariance towards its mean variance


@dataclass(frozen=True)
class Voices:
    """Speaker statistics of a bundle: how its outputs differ between speakers and between emotions.

    All numbers refer to the logarithms of calibrated probabilities, floored at 0.001 and centred over the
    labels.

    Args:
        labels: in the order of the probabilities.
        classes: mean of each label for the average speaker, ``[k, k]``, a row for each label.
        within: covariance within a speaker and an emotion, ``[k, k]``.
        speakers: covariance of the speakers' offsets, ``[k, k]``.
        spread: mean squared distance of clips from their mean, in units of ``within``: for one speaker and
            one emotion, and for one speaker and all emotions.
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
        """Estimate the statistics from predictions for speakers who were not in training.

        Each speaker and emotion has equal weight. Spreads use groups of nine clips or more, if there are any.
        Speakers need not have all emotions.

        Args:
            probabilities: calibrated, ``[n, k]``.
            true: the clips' labels, ``[n]``.
            speakers: the clips' speakers, ``[n]``.
            labels: labels of the ``k`` columns.

        Raises:
            LabelError: a clip's label is not among ``labels``.
            TableError: there are no clips, or the lengths differ.
        """
        import pandas as pd

        values = np.asarray(probabilities, dtype=float)
        emotion = pd.Index(list(labels)).get_indexer(pd.Index(np.asarray(true, dtype=object)))
        speaker, _ = pd.factorize(np.asarray(speakers, dtype=object))
        if not len(values) or values.shape != (len(emotion), len(labels)) or len(speaker) != len(emotion):
            raise TableError(
                f"probabilities {values.shape}, {len(emotion)} labels and {len(speaker)} speakers do not "
                "match; expected one row, label and speaker for each clip, and at least one clip"
            )
        if (emotion < 0).any():
            unknown = sorted({str(name) for name in np.asarray(true, dtype=object)[emotion < 0]})
            raise LabelError(
                f"labels {', '.join(map(repr, unknown))} are not among {', '.join(map(repr, labels))}"
            )
        values = centred(values)
        cells = pd.DataFrame(values).groupby([speaker, emotion])
        means = cells.mean()
        who, what = (means.index.get_level_values(level).to_numpy() for level in (0, 1))
        classes, offsets = _two_way(means.to_numpy(), who, what, speaker.max() + 1, len(labels))
        within = np.mean(
            [np.cov(group.T) for group in _enough(cells)] or np.zeros((1, *classes.shape)), axis=0
        )
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
        """The numbers, ready for JSON: field ``voices`` of a bundle's card."""
        return {name: json.loads(json.dumps(getattr(self, name))) for name in _NUMBERS}

    @classmethod
    def from_dict(cls, numbers: Mapping[str, Any], labels: Sequence[str]) -> Self:
        """From the result of :meth:`to_dict` and the labels."""
        return cls(labels=tuple(labels), **{name: _plain(numbers[name]) for name in _NUMBERS})


_NUMBERS = ("classes", "within", "speakers", "spread")


class LeftOut(NamedTuple):
    """A recording that could not be used to adapt, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Adaptation:
    """The adaptation to one speaker. It can be saved and continued.

    Args:
        bundle: :attr:`ser_kit.bundles.bundle.Bundle.identity` of the bundle.
        labels: labels of the bundle.
        offset: offset subtracted from each label's log probability, ``[k]``.
        probabilities: probabilities of the clips, without adaptation and without the correction for distance
            from the training data, ``[clips, k]``.
        sounds: digest of each clip's samples, so that none counts twice.
        left_out: recordings that could not be used; not saved.

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
        """An adaptation without clips.

        Args:
            bundle: identity of the bundle.
            labels: labels of the bundle.
        """
        return cls(bundle, tuple(labels), (0.0,) * len(labels))

    @property
    def clips(self) -> int:
        """Number of clips, or windows of long ones: the latest ones, at most :data:`MOST_CLIPS`."""
        return len(self.sounds)

    def more(
        self,
        voices: Voices,
        probabilities: Sequence[Sequence[float]] | np.ndarray,
        sounds: Sequence[str],
        left_out: Sequence[LeftOut] = (),
    ) -> Self:
        """The adaptation with further clips of the same speaker; clips that it already holds are skipped.

        Args:
            voices: speaker statistics of the bundle.
            probabilities: of the bundle's labels, calibrated and without adaptation, ``[n, k]``.
            sounds: digest of each clip's samples, ``[n]``.
            left_out: recordings that could not be used.
        """
        known = dict(zip(self.sounds, self.probabilities, strict=True))
        for sound, each in zip(sounds, probabilities, strict=True):
            known.setdefault(sound, _plain(each))
        kept = dict(list(known.items())[-MOST_CLIPS:])
        return replace(
            self,
            offset=_plain(offset(voices, np.array(list(kept.values())))),
            probabilities=tuple(kept.values()),
            sounds=tuple(kept),
            left_out=(*self.left_out, *left_out),
        )

    def save(self, path: str | os.PathLike) -> Path:
        """Write the adaptation as JSON, atomically. The file holds no audio and no file names.

        Raises:
            TargetError: the path cannot be written, or is a folder.
        """
        place = target(path)
        kept = {
            name: getattr(self, name) for name in ("bundle", "labels", "offset", "probabilities", "sounds")
        }
        write_whole(place, (json.dumps({"format": FORMAT, **kept}, ensure_ascii=False) + "\n").encode())
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> Self:
        """Read a file written by :meth:`save`.

        :meth:`ser_kit.Predictor.with_adaptation` checks that it belongs to the bundle.

        Raises:
            AdaptationError: there is no such file, or its content is invalid.
        """
        try:
            kept = parsed(content(Path(path)))
            _check(kept)
        except FileNotFoundError:
            raise AdaptationError(f"{path} does not exist; expected a saved adaptation") from None
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
    """Check, before the work, that an adaptation can be saved at a path.

    Returns:
        The absolute path, without links.

    Raises:
        TargetError: the path cannot be written, or is a folder.
    """
    place = replaceable(path)
    if place.is_dir():
        raise TargetError(f"{path} is a folder; expected a file name for the adaptation")
    return place


def _check(kept: Any) -> None:
    """Check a file's content; raises a ``ValueError`` that names what is wrong."""

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
    rows, clips = [kept["offset"], *kept["probabilities"]], len(kept["sounds"])
    if {len(row) for row in rows} != {len(kept["labels"])} or len(rows) != 1 + clips:
        raise ValueError(
            "offset and probabilities need a number for each label, probabilities and sounds an entry for "
            "each clip"
        )


def offset(voices: Voices, probabilities: np.ndarray) -> np.ndarray:
    """Offset of a speaker, for :func:`ser_kit.core.probabilities.without_habit`.

    The mean of the clips, minus that of the average speaker with all emotions equally often, times n / (n +
    5), times a factor from 0 to 1. The factor is 0 where the spread of the clips is less than 1.3 times that
    of one emotion, and 1 where it is that of all emotions.

    Args:
        voices: speaker statistics of the bundle.
        probabilities: calibrated, of one speaker's clips, ``[n, k]``; without clips the offset is zero.

    Returns:
        ``float64 [k]``; its sum is 0.
    """
    values = centred(np.asarray(probabilities, dtype=float).reshape(-1, len(voices.labels)))
    if not len(values):
        return np.zeros(len(voices.labels))
    of_one, of_all = voices.spread
    count, metric = len(values), _metric(np.array(voices.within))
    # Two extra clips with the spread of one emotion: a few clips seldom open the gate.
    spread = (_scatter(values, metric) + 2 * of_one) / (count + 1)
    closed = _CLOSED * of_one
    gate = np.clip((spread - closed) / (of_all - closed), 0, 1) if of_all > closed else 0.0
    return gate * count / (count + _SHRINKAGE) * (values.mean(axis=0) - np.mean(voices.classes, axis=0))


def centred(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms of probabilities, floored at 0.001, minus their mean over the labels.

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
    """Least-squares effects of emotions ``[k, k]`` and of speakers ``[people, k]`` on the means of cells.

    The effects of the speakers have a ridge penalty, so that the solution is unique.
    """
    design = np.zeros((len(means), k + people))
    design[np.arange(len(means)), what] = design[np.arange(len(means)), k + who] = 1
    penalty = np.diag(np.r_[np.zeros(k), np.ones(people)])
    found = np.linalg.lstsq(design.T @ design + penalty, design.T @ means, rcond=None)[0]
    return found[:k], found[k:]


def _enough(groups) -> list[np.ndarray]:
    """Groups of nine clips or more; if there are none, of two or more."""
    found = [group.to_numpy() for _, group in groups if len(group) > 1]
    return [group for group in found if len(group) >= _FEWEST] or found


def _metric(within: np.ndarray) -> np.ndarray:
    """Inverse of a covariance, after shrinkage towards its mean variance."""
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
    """Nested tuples of floats with seven significant digits, as in JSON."""
    if np.ndim(values):
        return tuple(_plain(each) for each in values)
    return float(f"{values:.7g}")
