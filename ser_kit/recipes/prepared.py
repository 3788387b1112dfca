"""Prepared data of a system: features and classes of clips, and the rows of a fold."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .. import protocols
from ..audio.augment import with_seed
from ..audio.transforms import Step
from ..bundles.member import rounded
from ..core.config import digest
from ..core.errors import LabelError, TableError, TrainingError
from ..core.labels import EMOTIONS, ordered
from ..evaluation import left_out
from ..extraction import Features, OnDisk, extract
from ..extraction.on_disk import valid_rows
from ..features import Extractor

if TYPE_CHECKING:
    from .system import System

MOST_IN_MEMORY = 512 << 20
"""Bytes of features of several rows per clip above which training reads them from a file, batch by batch:
beside them, a training holds a scaled copy."""


@dataclass(frozen=True, eq=False)
class PreparedData:
    """Features and classes of the clips of a system, with augmented copies.

    Args:
        features: features by extractor, with the rows of ``table``.
        table: the clips, followed by their augmented copies; column ``parent`` holds the ``clip_id`` of the
            original.
        labels: the classes, in the order of the outputs.
        y: class index of each row, ``[n]``.
        failures: clips that could not be used, see :attr:`ser_kit.extraction.Features.failures`.
    """

    features: Mapping[Extractor, Features]
    table: pd.DataFrame
    labels: tuple[str, ...]
    y: np.ndarray
    failures: pd.DataFrame

    @property
    def originals(self) -> np.ndarray:
        """Row positions of the originals."""
        return (
            np.flatnonzero(self.table["parent"].to_numpy() == "")
            if "parent" in self.table
            else np.arange(len(self.y))
        )

    @cached_property
    def data(self) -> dict[str, Any]:
        """Number of ``clips`` and ``speakers``, and a ``digest`` of clip ids, speakers, classes and
        samples."""
        clips = self.table.iloc[self.originals]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the audit warns of missing recordings
            sounds = protocols.fingerprints(clips)
        labels = np.array(self.labels)[self.y[self.originals]]
        rows = sorted(zip(clips["clip_id"], clips["speaker"], labels.tolist(), sounds.tolist(), strict=True))
        return {"clips": len(clips), "speakers": clips["speaker"].nunique(), "digest": digest(rows)}

    def with_copies(self, rows: np.ndarray) -> np.ndarray:
        """Row positions together with those of their copies."""
        if "parent" not in self.table:
            return rows
        clips, parents = self.table["clip_id"], self.table["parent"]
        return np.union1d(rows, np.flatnonzero(parents.isin(clips.iloc[rows]).to_numpy()))

    def values(self, rows: np.ndarray) -> dict[Extractor, np.ndarray]:
        """Feature arrays of some rows, by extractor."""
        return {extractor: found.values[rows] for extractor, found in self.features.items()}


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to train on, with a log of the rows that each part was fitted on.

    Args:
        prepared: the prepared data.
        train: row positions for training.
        validation: row positions for early stopping and calibration.
        seed: random seed of initial weights, order and augmentation.
        progress: show progress bars.
        checkpoint: function that returns the checkpoint folder of a part, or ``None``.
        title: label of the progress bars.
        fitted: fitted part -> row positions it was fitted on, for the leakage audit.
    """

    prepared: PreparedData
    train: np.ndarray
    validation: np.ndarray
    seed: int
    progress: bool
    checkpoint: Callable[[str], Path | None]
    title: str = ""
    fitted: dict[str, np.ndarray] = field(default_factory=dict)

    def note(self, what: str, rows: np.ndarray) -> np.ndarray:
        """Log that a part is fitted on these rows, and return them."""
        self.fitted[what] = np.union1d(self.fitted.get(what, np.array([], int)), rows)
        return rows


def prepare(system: System, data: pd.DataFrame | Features, jobs: int | None, progress: bool) -> PreparedData:
    """Prepare the data of a system; see :meth:`System.prepare`."""
    table = data.table if isinstance(data, Features) else data
    column = "label" if "label" in table else "emotion"
    order = table.attrs.get("labels", ordered(table[column].unique())) if column == "label" else EMOTIONS
    unknown = [repr(label) for label in table[column].unique() if label not in order]
    if unknown:
        raise LabelError(f"the column {column!r} has {', '.join(unknown)}; expected {', '.join(order)}")
    if isinstance(data, Features) and data.extractor not in system.extractors:
        wanted = ", ".join(extractor.identity for extractor in system.extractors)
        raise TrainingError(f"{system.name} needs features of {wanted}, not of {data.extractor.identity}")
    features = {
        e: data if isinstance(data, Features) and e == data.extractor
        else extract(table, e, jobs=jobs, most=_most(system.copies), progress=progress)
        for e in system.extractors
    }  # fmt: skip
    failures = pd.concat([f.failures for f in features.values()]).drop_duplicates(
        "clip_id", ignore_index=True
    )
    features = same_rows(features)
    found = next(iter(features.values())).table
    present = set(found[column])
    labels = tuple(label for label in order if label in present)
    if len(labels) < 2:
        raise TableError(
            f"training needs at least two emotions; there are clips of {', '.join(labels) or 'none'}"
        )
    if system.copies:
        features = {
            e: with_copies(f, system.augmentation, system.copies, jobs, progress) for e, f in features.items()
        }
        features = same_rows(features)
        found = next(iter(features.values())).table
    return PreparedData(features, found, labels, pd.Index(labels).get_indexer(found[column]), failures)


def _most(copies: int) -> int:
    """Bytes of features that may be held in memory for each copy of the clips."""
    return MOST_IN_MEMORY // (1 + copies)


def class_shares(prepared: PreparedData, rows: np.ndarray) -> list[float]:
    """Relative frequency of each class among the clips of the corpora that have it."""
    codes, names = pd.factorize(prepared.table["corpus"].iloc[rows])
    counts = np.zeros((len(names), len(prepared.labels)))
    np.add.at(counts, (codes, prepared.y[rows]), 1)
    whole = np.where(counts > 0, counts.sum(axis=1, keepdims=True), 0).sum(axis=0)
    shares = np.where(whole > 0, counts.sum(axis=0), 1) / np.maximum(whole, 1)
    return rounded(shares / shares.sum())


def real_rows(values: np.ndarray | OnDisk, lengths: np.ndarray) -> np.ndarray:
    """Remove padding from ``[clips, rows, dims]``, giving ``[rows of all clips, dims]``."""
    parts = list(valid_rows(values, lengths))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


def same_rows(features: dict[Extractor, Features]) -> dict[Extractor, Features]:
    """Restrict features to the clips that all extractors could process, in the order of the first."""
    tables = [found.table["clip_id"] for found in features.values()]
    if all(np.array_equal(ids, tables[0]) for ids in tables):
        return features  # each keeps the order of the table
    common = set(tables[0]).intersection(*tables[1:])
    return {e: found.subset(found.table["clip_id"].isin(common).to_numpy()) for e, found in features.items()}


def tested_rows(prepared: PreparedData, fold: protocols.Fold, probabilities: np.ndarray) -> pd.DataFrame:
    """Predictions for the test rows, as for :class:`Evaluation`. For corpora left out of training, predicted
    label and confidence are restricted to the emotions of the corpus; the probabilities are not."""
    labels = np.array(prepared.labels)
    frame = prepared.table.iloc[fold.test][["clip_id", "corpus", "speaker", "sex"]].reset_index(drop=True)
    frame["true"] = labels[prepared.y[fold.test]]
    across = "corpus" in fold.independent_of
    given = left_out.among(probabilities, frame["true"], frame["corpus"], labels) if across else probabilities
    frame["predicted"] = labels[given.argmax(axis=1)]
    frame["confidence"] = given.max(axis=1)
    shares = {f"prob_{label}": probabilities[:, i] for i, label in enumerate(labels)}
    return frame.assign(**shares, fold=fold.index)


def with_copies(
    found: Features, augmentation: Sequence[Step], copies: int, jobs: int | None, progress: bool
) -> Features:
    """Append the features of augmented copies of the clips."""
    parts = [replace(found, table=found.table.assign(parent=""))]
    for i in range(1, copies + 1):
        steps = (*found.extractor.preprocess, *with_seed(augmentation, i))
        varied = extract(
            found.table,
            replace(found.extractor, preprocess=steps),
            jobs=jobs,
            most=_most(copies),
            progress=progress,
        )
        originals = varied.table["clip_id"]
        parts.append(
            replace(varied, table=varied.table.assign(clip_id=originals + f"#{i}", parent=originals))
        )
    table = pd.concat([part.table for part in parts], ignore_index=True)
    table.attrs = found.table.attrs
    arrays = [part.values for part in parts]
    on_disk = all(isinstance(each, OnDisk) for each in arrays)
    values = OnDisk.joined(arrays) if on_disk else np.concatenate(arrays)
    return replace(
        found, values=values, table=table, lengths=np.concatenate([part.lengths for part in parts])
    )
