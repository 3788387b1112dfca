"""Every published system on the corpora at hand: as its authors split them, and on speakers never heard.

One fold of one system with one seed is one run, and one JSON record when it is done. What has its record is
not run again, so a reproduction that was broken off goes on where it was; and everything that is shown
afterwards (the table, the page, the plots) is made of the records alone.

Examples:
    >>> from ser_kit import recipes
    >>> from ser_kit.recipes import reproduce
    >>> reproduce.run([recipes.get("rastogi_mlp")], ["ravdess"], out="results")  # doctest: +SKIP
    []
    >>> reproduce.table(reproduce.load("results"))  # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .. import corpora, protocols
from ..core.errors import TableError
from ..core.labels import labels_of
from ..core.paths import write_whole
from ..evaluation.record import Evaluation, plain
from . import PUBLISHED, PreparedData, System
from .page import fill, write_page
from .tables import (
    FORMAT,
    METRIC_NAMES,
    RECORDS,
    ablations,
    classes,
    confusion,
    figures,
    folds,
    load,
    matrix,
    missing,
    reported,
    reported_classes,
    splits,
    spread,
    table,
)

__all__ = [
    "DEFAULT_PROTOCOLS", "FORMAT", "METRIC_NAMES", "Failure", "ablations", "classes", "confusion", "figures", "fill",
    "folds", "load", "matrix", "missing", "reported", "reported_classes", "run", "splits", "spread", "table", "write_page",
]  # fmt: skip

CHECKPOINTS = "checkpoints"
DEFAULT_PROTOCOLS = (PUBLISHED, "speaker")
"""Each system runs under these unless others are named: its authors' split, and unseen speakers."""


@dataclass(frozen=True)
class Failure:
    """A system that could not be run under a protocol, and why."""

    system: str
    protocol: str
    reason: str


def run(
    systems: Iterable[System],
    names: Sequence[str],
    *,
    divided: Sequence[str] = DEFAULT_PROTOCOLS,
    seeds: Iterable[int] = range(3),
    out: str | os.PathLike,
    labels: str | None = None,
    numbers: Iterable[int] | None = None,
    root: str | os.PathLike | None = None,
    jobs: int | None = None,
    progress: bool = True,
    command: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> list[Failure]:
    """Run what has no record yet.

    Args:
        systems: recipes, ensembles, or variants of them.
        names: of the corpora, joined under each system's label set; see :func:`ser_kit.corpora.get`.
        divided: names in :mod:`ser_kit.protocols`, or ``"published"`` for all that each system's document
            names.
        seeds: of folds and trainings.
        out: folder of the records (``records/``) and of the state of what is under way (``checkpoints/``).
        labels: a label set for all systems instead of each one's own.
        numbers: of the folds to run, from 1; ``None`` for all. So several processes can share the work and
            the folder; a call for all, when they are done, clears up.
        root: where the corpora are; see :func:`ser_kit.corpora.load`.
        jobs: processes for extraction.
        progress: show progress bars.
        command: that this is a part of, for the records.
        tell: is given a line for every run that is done.

    Returns:
        What could not be run, such as folds by speaker on a corpus of two. The rest is in the records.

    Raises:
        CorpusNotFoundError: a corpus is not there.
        KeyboardInterrupt: on Ctrl-C; the same call goes on from there.
    """
    from tqdm.auto import tqdm

    seeds, chosen = list(seeds), None if numbers is None else set(numbers)
    asked = tuple(sorted(corpora.get(name).name for name in names))
    wanted = [
        _Task(system, asked, labels or system.labels, protocol, seed, Path(out), command)
        for system in systems
        for seed in seeds
        for protocol in dict.fromkeys(each for name in divided for each in _resolved(system, name))
    ]
    failures: list[Failure] = []
    tables: dict[str, pd.DataFrame] = {}
    prepared: tuple[str, System, PreparedData] | None = None
    with tqdm(wanted, desc="reproduce", unit="run", disable=not progress) as bar:
        for task in bar:
            bar.set_postfix_str(str(task))
            if task.is_done():
                continue
            try:
                if (
                    prepared is None
                    or prepared[0] != task.labels
                    or not task.system.same_material(prepared[1])
                ):
                    if task.labels not in tables:
                        tables[task.labels] = corpora.load(
                            list(names), root=root, labels=labels_of(task.labels)
                        )
                    material = task.system.prepare(tables[task.labels], jobs=jobs, progress=progress)
                    prepared = task.labels, task.system, material
                for line in task.run(prepared[2], chosen, progress):
                    tell(line)
            except TableError as error:
                failures.append(Failure(task.system.name, task.protocol, str(error)))
                tell(f"{task}: cannot be run: {error}")
    if chosen is None:  # else another process may be training what shares these checkpoints
        for task in wanted:
            task.clean()
    return failures


def _resolved(system: System, protocol: str) -> list[str]:
    published = (system.published.protocol, *system.published.also)
    return [protocols.get(name).name for name in (published if protocol == PUBLISHED else (protocol,))]


@dataclass(frozen=True)
class _Task:
    """All folds of one system under one protocol with one seed."""

    system: System
    corpora: tuple[str, ...]
    labels: str
    protocol: str
    seed: int
    out: Path
    command: str = ""

    def __str__(self) -> str:
        return f"{self.system.name}, {self.protocol}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        place = "-".join((*self.corpora, self.labels.replace(",", "_")))
        return self.out / RECORDS / place / re.sub(r"[^\w.+-]+", "_", self.system.name)

    @property
    def checkpoints(self) -> Path:
        """Shared by all systems on these corpora: the members of one ensemble are those of another, or
        recipes too."""
        return self.out / CHECKPOINTS / self.folder.parent.name

    def clean(self) -> None:
        """Remove the state of trainings that are over."""
        self.system.forget(self.checkpoints, self.protocol, self.seed)

    def path(self, fold: int) -> Path:
        return self.folder / f"{self.protocol}-{self.seed}-{fold}.json"

    def is_done(self) -> bool:
        first = self.recorded(0)
        return first is not None and all(self.recorded(fold) for fold in range(1, first["folds"]))

    def recorded(self, fold: int) -> dict | None:
        """The record of a fold, if there is one and the system is still the one it was made with."""
        try:
            record = json.loads(self.path(fold).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # what is no JSON, or no text
            return None
        return record if isinstance(record, dict) and record.get("settings") == self.system.settings else None

    def run(self, material: PreparedData, chosen: set[int] | None, progress: bool) -> Iterator[str]:
        folds = self.system.folds(material, self.protocol, self.seed)
        for number, fold in enumerate(folds):
            if self.recorded(number) or (chosen is not None and number + 1 not in chosen):
                continue
            title = f"{self.system.name} {fold.name.replace('/', ' fold ')} of {len(folds)}"
            found = self.system.run_fold(material, fold, out=self.checkpoints, progress=progress, title=title)
            record = self.record(material, fold, len(folds), found)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path(number), (json.dumps(plain(record), indent=1) + "\n").encode())
            uar = 100 * found.metrics()["uar"]
            yield f"{self}, fold {number + 1} of {len(folds)}: UAR {uar:.1f} ({found.seconds:.0f} s)"

    def record(self, material: PreparedData, fold: protocols.Fold, folds: int, found: Evaluation) -> dict:
        """What is kept of a run."""
        import keras

        name, _, ablation = self.system.name.partition("+")
        sides, table = fold.sides(), material.table
        return {
            "format": FORMAT,
            "recipe": name,
            "ablation": ablation,
            "corpora": list(self.corpora),
            "label_set": self.labels,
            "labels": list(found.labels),
            "protocol": self.protocol,
            "speaker_independent": found.speaker_independent,
            "seed": self.seed,
            "fold": fold.index,
            "folds": folds,
            "clips": {side: len(rows) for side, rows in sides.items()},
            "speakers": {side: table["speaker"].iloc[rows].nunique() for side, rows in sides.items()},
            "sources": {side: sorted(table["corpus"].iloc[rows].unique()) for side, rows in sides.items()},
            "parameters": found.parameters,
            "epochs": [len(history) for history in found.histories],
            "seconds": round(found.seconds, 1),
            "metrics": {key: round(value, 6) for key, value in found.metrics().items()},
            "training_accuracy": _training_accuracy(found),
            "per_class": found.per_class().round(6).to_dict("index"),
            "confusion": found.confusion().to_numpy().tolist(),
            "settings": self.system.settings,
            "declaration": self.system.declaration,
            "data": dict(found.data),
            "command": self.command,
            "backend": keras.backend.backend(),
            "versions": dict(found.versions),
        }


def _training_accuracy(found: Evaluation) -> float | None:
    """That of the epoch whose weights were kept, mean over the networks; ``None`` where nothing had
    epochs."""
    kept = [
        history["accuracy"].iloc[-1 if history["val_loss"].isna().all() else history["val_loss"].argmin()]
        for history in found.histories
    ]
    return round(float(np.mean(kept)), 6) if kept else None
