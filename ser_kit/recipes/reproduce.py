"""Reproduce published systems: under the split of their authors, and on unseen speakers.

One run is one fold of one system with one seed, and writes one JSON record. Runs with a record are skipped,
so an interrupted reproduction resumes. Tables, pages and plots are made from the records alone.

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
from ..core.paths import file_digest, write_whole
from ..evaluation.record import Evaluation, plain
from ..evaluation.scores import confusion as confusion_matrix
from . import PUBLISHED, PreparedData, System
from .page import fill, write_page
from .records import FORMAT, METRIC_NAMES, RECORDS, confusion, figures, load, spread
from .summary import summary
from .tables import ablations, classes, folds, matrix, missing, reported, reported_classes, splits, table

__all__ = [
    "DEFAULT_PROTOCOLS", "FORMAT", "METRIC_NAMES", "Failure", "ablations", "classes", "confusion", "figures",
    "fill", "folds", "load", "matrix", "missing", "reported", "reported_classes", "run", "splits", "spread",
    "summary", "table", "write_page",
]  # fmt: skip

CHECKPOINTS = "checkpoints"
DEFAULT_PROTOCOLS = (PUBLISHED, "speaker")
"""Default protocols: the split of the authors, and unseen speakers."""


@dataclass(frozen=True)
class Failure:
    """A system that cannot be run under a protocol, and the reason."""

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
    map: str | os.PathLike | None = None,
    numbers: Iterable[int] | None = None,
    root: str | os.PathLike | None = None,
    jobs: int | None = None,
    progress: bool = True,
    command: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> list[Failure]:
    """Run all systems under all protocols, skipping runs that have a record.

    Args:
        systems: recipes, ensembles, or ablations of them.
        names: names of the corpora, combined under each system's label set; see :func:`ser_kit.corpora.get`.
        divided: names of protocols, or ``"published"`` for all protocols that a system's document names.
        seeds: random seeds of folds and training.
        out: folder of the records (``records/``) and checkpoints (``checkpoints/``).
        labels: a label set for all systems; by default that of each system.
        map: a CSV file of what labels become, see :func:`ser_kit.corpora.load`.
        numbers: numbers of the folds to run, from 1; ``None`` for all. Several processes can share a folder
            in this way; a final call for all folds removes the checkpoints.
        root: folder of the corpora, see :func:`ser_kit.corpora.load`.
        jobs: number of processes for extraction.
        progress: show progress bars.
        command: command line, for the records.
        tell: function that is called with a line of text after each run.

    Returns:
        Systems that cannot be run, for example speaker-independent folds of a corpus of two speakers.

    Raises:
        CorpusNotFoundError: if a corpus is not found.
        KeyboardInterrupt: on Ctrl-C; the same call resumes.
    """
    from tqdm.auto import tqdm

    seeds, chosen = list(seeds), None if numbers is None else set(numbers)
    asked = tuple(sorted(corpora.get(name).name for name in names))
    mapped = f"-map_{file_digest(map)[:8]}" if map else ""
    wanted = [
        _Task(system, asked, labels or system.labels, protocol, seed, Path(out), command, mapped)
        for system in systems
        for seed in seeds
        for protocol in dict.fromkeys(each for name in divided for each in _resolved(system, name))
    ]
    failures: list[Failure] = []
    tables: dict[str, pd.DataFrame] = {}
    latest: tuple[str, System, PreparedData] | None = None
    with tqdm(wanted, desc="reproduce", unit="run", disable=not progress) as bar:
        for task in bar:
            bar.set_postfix_str(str(task))
            if task.is_done():
                continue
            try:
                if latest is None or latest[0] != task.labels or not task.system.same_data(latest[1]):
                    if task.labels not in tables:
                        tables[task.labels] = corpora.load(
                            list(names), root=root, labels=labels_of(task.labels), map=map
                        )
                    prepared = task.system.prepare(tables[task.labels], jobs=jobs, progress=progress)
                    latest = task.labels, task.system, prepared
                for line in task.run(latest[2], chosen, progress):
                    tell(line)
            except TableError as error:
                failures.append(Failure(task.system.name, task.protocol, str(error)))
                tell(f"{task}: cannot be run: {error}")
    if chosen is None:  # else another process may use these checkpoints
        for task in wanted:
            task.clean()
    return failures


def _resolved(system: System, protocol: str) -> list[str]:
    published = (system.published.protocol, *system.published.also)
    return [protocols.get(name).name for name in (published if protocol == PUBLISHED else (protocol,))]


@dataclass(frozen=True)
class _Task:
    """All folds of a system under a protocol with a seed."""

    system: System
    corpora: tuple[str, ...]
    labels: str
    protocol: str
    seed: int
    out: Path
    command: str = ""
    mapped: str = ""  # records under one map do not stand for those under another

    def __str__(self) -> str:
        return f"{self.system.name}, {self.protocol}, seed {self.seed}"

    @property
    def folder(self) -> Path:
        place = "-".join((*self.corpora, self.labels.replace(",", "_"))) + self.mapped
        return self.out / RECORDS / place / re.sub(r"[^\w.+-]+", "_", self.system.name)

    @property
    def checkpoints(self) -> Path:
        """Shared by all systems on these corpora, since a recipe can be a member of several ensembles."""
        return self.out / CHECKPOINTS / self.folder.parent.name

    def clean(self) -> None:
        """Remove the checkpoints of finished trainings."""
        self.system.forget(self.checkpoints, self.protocol, self.seed)

    def path(self, fold: int) -> Path:
        return self.folder / f"{self.protocol}-{self.seed}-{fold}.json"

    def is_done(self) -> bool:
        first = self.recorded(0)
        return first is not None and all(self.recorded(fold) for fold in range(1, first["folds"]))

    def recorded(self, fold: int) -> dict | None:
        """The record of a fold, if there is one for the current settings of the system."""
        try:
            record = json.loads(self.path(fold).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # not JSON, or not text
            return None
        return record if isinstance(record, dict) and record.get("settings") == self.system.settings else None

    def run(self, prepared: PreparedData, chosen: set[int] | None, progress: bool) -> Iterator[str]:
        folds = self.system.folds(prepared, self.protocol, self.seed)
        for number, fold in enumerate(folds):
            if self.recorded(number) or (chosen is not None and number + 1 not in chosen):
                continue
            title = f"{self.system.name} {fold.name.replace('/', ' fold ')} of {len(folds)}"
            found = self.system.run_fold(prepared, fold, out=self.checkpoints, progress=progress, title=title)
            record = self.record(prepared, fold, len(folds), found)
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.path(number), _written(record).encode())
            uar = 100 * found.metrics()["uar"]
            yield f"{self}, fold {number + 1} of {len(folds)}: UAR {uar:.1f} ({found.seconds:.0f} s)"

    def record(self, prepared: PreparedData, fold: protocols.Fold, folds: int, found: Evaluation) -> dict:
        """The record of a run, JSON-serialisable."""
        import keras

        name, _, ablation = self.system.name.partition("+")
        sides, table = fold.sides(), prepared.table
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
            "confusion_by_speaker": _by_speaker(found),
            "histories": [_curves(history) for history in found.histories],
            "settings": self.system.settings,
            "declaration": self.system.declaration,
            "data": dict(found.data),
            "command": self.command,
            "backend": keras.backend.backend(),
            "versions": dict(found.versions),
        }


def _written(record: dict) -> str:
    """A record as JSON with lists of numbers on one line each."""
    text = json.dumps(plain(record), indent=1) + "\n"
    return re.sub(r"\[[-+.,\deE\snul]*\]", lambda numbers: " ".join(numbers[0].split()), text)


def _by_speaker(found: Evaluation) -> dict[str, list[list[int]]]:
    """Confusion matrix of each test speaker, by the speaker's name; without speakers, empty."""
    rows = found.predictions.groupby("speaker")
    return {
        str(speaker): confusion_matrix(part["true"], part["predicted"], found.labels).to_numpy().tolist()
        for speaker, part in rows
    }


def _curves(history: pd.DataFrame) -> dict[str, list[float | None]]:
    """Losses and accuracies by epoch; ``None`` where there is no validation clip."""
    shown = [each for each in ("loss", "val_loss", "accuracy", "val_accuracy") if each in history]
    return {
        name: [round(float(value), 4) if np.isfinite(value) else None for value in history[name]]
        for name in shown
    }


def _training_accuracy(found: Evaluation) -> float | None:
    """Training accuracy of the epoch whose weights are kept, mean over the networks; ``None`` if there are no
    epochs."""
    best = '"patience"' in json.dumps(found.settings)  # settings that are off are not in it
    kept = [
        history["accuracy"].iloc[
            history["val_loss"].argmin() if best and history["val_loss"].notna().any() else -1
        ]
        for history in found.histories
    ]
    return round(float(np.mean(kept)), 6) if kept else None
