"""Every published system on the corpora at hand: as its authors split them, and on speakers never heard.

One fold of one system with one seed is one run, and one JSON record when it is done. What has its record is not run
again, so a reproduction that was broken off goes on where it was; and everything that is shown afterwards (the table,
the page, the plots) is made of the records alone.

Examples:
    >>> from ser_kit import recipes
    >>> from ser_kit.recipes import reproduce
    >>> reproduce.run([recipes.get("rastogi_mlp")], ["ravdess"], out="results")  # doctest: +SKIP
    []
    >>> reproduce.table(reproduce.load("results"))  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from .. import corpora, protocols, recipes
from ..core.errors import TableError
from ..core.labels import EMOTIONS, labels_of
from ..core.paths import write_whole
from ..evaluation.record import Evaluation, plain, to_markdown
from ..evaluation.scores import METRICS
from . import PUBLISHED, RECIPES, Material, System

FORMAT = 1
RECORDS, CHECKPOINTS = "records", "checkpoints"
METRIC_NAMES = {
    "uar": "recall (UAR)", "accuracy": "accuracy", "macro_precision": "precision", "macro_f1": "macro F1",
    "weighted_f1": "weighted F1", "training_accuracy": "training accuracy", "precision": "precision",
    "recall": "recall", "f1": "F1",
}  # fmt: skip
"""How the figures of documents are called in tables and plots."""
DEFAULT_PROTOCOLS = (PUBLISHED, "speaker")
_BEGIN, _END = "<!-- {}: made by {} -->", "<!-- end of {} -->"


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
        divided: names in :mod:`ser_kit.protocols`, or ``"published"`` for all that each system's document names.
        seeds: of folds and trainings.
        out: folder of the records (``records/``) and of the state of what is under way (``checkpoints/``).
        labels: a label set for all systems instead of each one's own.
        numbers: of the folds to run, from 1; ``None`` for all. So several processes can share the work and the folder;
            a call for all, when they are done, clears up.
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
    prepared: tuple[str, System, Material] | None = None
    with tqdm(wanted, desc="reproduce", unit="run", disable=not progress) as bar:
        for task in bar:
            bar.set_postfix_str(str(task))
            if task.is_done():
                continue
            try:
                if prepared is None or prepared[0] != task.labels or not task.system.same_material(prepared[1]):
                    if task.labels not in tables:
                        tables[task.labels] = corpora.load(list(names), root=root, labels=labels_of(task.labels))
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
        """Shared by all systems on these corpora: the members of one ensemble are those of another, or recipes too."""
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

    def run(self, material: Material, chosen: set[int] | None, progress: bool) -> Iterator[str]:
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

    def record(self, material: Material, fold: protocols.Fold, folds: int, found: Evaluation) -> dict:
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
    """That of the epoch whose weights were kept, mean over the networks; ``None`` where nothing had epochs."""
    kept = [
        history["accuracy"].iloc[-1 if history["val_loss"].isna().all() else history["val_loss"].argmin()]
        for history in found.histories
    ]
    return round(float(np.mean(kept)), 6) if kept else None


# --------------------------------------------------------------------------------------------------- from the records


def load(out: str | os.PathLike) -> pd.DataFrame:
    """The records of a folder, a row each: their fields, with the metrics as columns.

    ``corpora`` is text, with the label set behind it where that is not the system's own.

    Raises:
        TableError: there is none, or one that this version cannot read.
    """
    rows = []
    for path in sorted(Path(out).glob(f"{RECORDS}/*/*/*.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            version = record.get("format")
        except (ValueError, AttributeError):
            raise TableError(f"{path} cannot be read; delete it, and ser-kit reproduce makes it again") from None
        if version != FORMAT:
            raise TableError(f"{path} has format {version!r}; this version reads {FORMAT}")
        name = record["recipe"]
        own = name in recipes.names() and record["label_set"] == recipes.get(name).labels
        place = ", ".join(record["corpora"]) + ("" if own else f" ({record['label_set']})")
        told = record.get("sources")  # the first records of this format do not tell
        rows.append({**record, **record["metrics"], "corpora": place, "sources": told})
    if not rows:
        raise TableError(f"{Path(out) / RECORDS} holds no records; ser-kit reproduce --all --out {out} makes them")
    return pd.DataFrame(rows)


def spread(records: pd.DataFrame, metric: str = "accuracy") -> pd.DataFrame:
    """Mean and spread of a metric, a row for each recipe, ablation, corpora and protocol.

    Args:
        records: from :func:`load`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        ``recipe, ablation, corpora, protocol, speaker_independent, mean, std`` (over all folds and seeds; NaN with
        one), ``over_seeds`` (standard deviation of the seeds' means), ``runs``, ``seeds``, ``complete`` (no fold is
        missing), ``parameters`` (of the first), ``epochs`` (mean of a run) and ``seconds`` (median).
    """
    if metric not in METRICS:
        raise TableError(f"unknown metric {metric!r}; expected one of {', '.join(METRICS)}")
    rows = []
    keys = ["recipe", "ablation", "corpora", "protocol", "speaker_independent"]
    for key, part in records.groupby(keys, sort=False):
        seeds = part.groupby("seed")[metric].mean()
        rows.append(
            {
                **dict(zip(keys, key, strict=True)),
                "mean": part[metric].mean(),
                "std": part[metric].std(),
                "over_seeds": seeds.std(),
                "runs": len(part),
                "seeds": len(seeds),
                "complete": len(part) == part.groupby("seed")["folds"].first().sum(),
                "parameters": int(part["parameters"].iloc[0]),
                "epochs": np.mean([max(epochs, default=0) for epochs in part["epochs"]]),
                "seconds": part["seconds"].median(),  # some fold may have waited for another process
            }
        )
    return pd.DataFrame(rows)


def table(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Reported, reproduced, and on unseen speakers: a row for each published system.

    Args:
        records: from :func:`load`.
        name: of the corpora (joined by ``", "``) that the runs were on; a system whose runs were on others only shows
            the first of these.

    Returns:
        Text columns. Accuracy and UAR are in percent, mean ± standard deviation over folds and seeds; the cost of
        leakage is the difference of the two accuracies in points, where speakers tested by the published split are
        known from training.
    """
    accuracy, uar = spread(records, "accuracy"), spread(records, "uar")
    rows = []
    for system in RECIPES.values():
        own = accuracy[(accuracy["recipe"] == system.name) & (accuracy["ablation"] == "")]
        places = [name, *own["corpora"].unique()]
        place = next((p for p in places if (own["corpora"] == p).any()), "")
        here = own[own["corpora"] == place].set_index("protocol")
        published, unseen = _row(here, system.published.protocol), _row(here, "speaker")
        recalls = uar[(uar["recipe"] == system.name) & (uar["ablation"] == "") & (uar["corpora"] == place)]
        both = published is not None and unseen is not None and not published["speaker_independent"]
        gap = published["mean"] - unseen["mean"] if both else None
        some = unseen if unseen is not None else published
        rows.append(
            {
                "system": system.name,
                "reported on": ", ".join(system.published.corpora),
                "reported accuracy": _reported(system),
                "run on": place or "not run here",
                "published split": system.published.protocol,
                "reproduced accuracy": _shown(published),
                "unseen speakers: accuracy": _shown(unseen),
                "unseen speakers: UAR": _shown(_row(recalls.set_index("protocol"), "speaker")),
                "cost of leakage": "–" if gap is None else f"{100 * gap:.1f}",
                "seeds": "–" if some is None else str(some["seeds"]),
                "parameters": "–" if some is None else f"{some['parameters']:,}",
                "training time": "–" if some is None else _duration(some["seconds"]),
            }
        )
    return pd.DataFrame(rows)


def figures(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """All that the documents report beside accuracy, with what the records have of it: a row for each figure.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        ``system``, ``emotion`` (``""`` for all), ``metric``, ``reported`` (a tuple of fractions), ``run on`` (``""``
        where it was not), and for ``published`` (the split of the authors) and ``unseen`` (speakers) the values of all
        folds and seeds, a list of fractions; empty where no record tells, as of training accuracy those of earlier
        versions.
    """
    rows = []
    whole = records[records["ablation"] == ""]
    for system in RECIPES.values():
        own = whole[whole["recipe"] == system.name]
        place = next((p for p in (name, *own["corpora"].unique()) if (own["corpora"] == p).any()), "")
        own = own[own["corpora"] == place]
        sides = {"published": system.published.protocol, "unseen": "speaker"}
        parts = {side: own[own["protocol"] == protocol] for side, protocol in sides.items()}
        about = {"system": system.name, "run on": place}
        for metric, reported in system.published.others.items():
            found = {side: part.get(metric, pd.Series(dtype=float)).dropna().tolist() for side, part in parts.items()}
            rows.append({**about, "emotion": "", "metric": metric, "reported": reported, **found})
        for emotion, reported in system.published.classes.items():
            for metric, value in reported.items():
                found = {
                    side: [each[emotion][metric] for each in part["per_class"] if each.get(emotion, {}).get("support")]
                    for side, part in parts.items()
                }
                rows.append({**about, "emotion": emotion, "metric": metric, "reported": (value,), **found})
    return pd.DataFrame(rows)


def reported(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Precision, recall, F1 and training accuracy as the documents report them, beside ours.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        Text columns ``system, figure, reported, run on, reproduced`` (under the published split) and ``unseen
        speakers``, in percent, mean ± standard deviation over folds and seeds.
    """
    found = figures(records, name)
    found = found[found["emotion"] == ""]
    return pd.DataFrame(
        {
            "system": found["system"],
            "figure": [METRIC_NAMES[metric] for metric in found["metric"]],
            "reported": [_range(reported) for reported in found["reported"]],
            "run on": found["run on"].replace("", "not run here"),
            "reproduced": [_over_runs(values) for values in found["published"]],
            "unseen speakers": [_over_runs(values) for values in found["unseen"]],
        }
    )


def reported_classes(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """The same of single emotions, a row for each that a document reports on.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        Text columns ``system, emotion, run on`` and, for each of ``precision``, ``recall`` and ``F1``, what is
        reported, reproduced under the published split, and reached on unseen speakers, in percent; of ours the means
        over folds and seeds.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for each in figures(records, name).query("emotion != ''").to_dict("records"):
        row = rows.setdefault((each["system"], each["emotion"]), {"run on": each["run on"] or "not run here"})
        shown = METRIC_NAMES[each["metric"]]
        row[f"{shown}: reported"] = _range(each["reported"])
        for title, side in (("reproduced", "published"), ("unseen speakers", "unseen")):
            row[f"{shown}: {title}"] = f"{100 * np.mean(each[side]):.1f}" if each[side] else "–"
    columns = [
        f"{METRIC_NAMES[metric]}: {title}"
        for metric in ("precision", "recall", "f1")
        for title in ("reported", "reproduced", "unseen speakers")
    ]
    found = [{"system": system, "emotion": emotion, **row} for (system, emotion), row in rows.items()]
    return pd.DataFrame(found, columns=["system", "emotion", "run on", *columns]).fillna("–")


def ablations(records: pd.DataFrame, protocol: str | None = None) -> pd.DataFrame:
    """What each change to a system brought, under the same protocol, corpora and seeds.

    Args:
        records: from :func:`load`.
        protocol: one protocol only.

    Returns:
        Text columns ``system, change, run on, protocol, accuracy, UAR`` and ``against the system itself`` (points of
        accuracy).
    """
    accuracy, uar = spread(records, "accuracy"), spread(records, "uar")
    rows = []
    for i, row in accuracy[accuracy["ablation"] != ""].iterrows():
        if protocol not in (None, row["protocol"]):
            continue
        changed = records[_same(records, row) & (records["ablation"] == row["ablation"])]
        whole = records[_same(records, row) & (records["ablation"] == "") & records["seed"].isin(changed["seed"])]
        against = f"{100 * (changed['accuracy'].mean() - whole['accuracy'].mean()):+z.1f}" if len(whole) else "–"
        rows.append(
            {
                "system": row["recipe"],
                "change": row["ablation"],
                "run on": row["corpora"],
                "protocol": _named(row),
                "accuracy": _shown(row),
                "UAR": _shown(uar.loc[i]),
                "against the system itself": against,
            }
        )
    columns = ["system", "change", "run on", "protocol", "accuracy", "UAR", "against the system itself"]
    return pd.DataFrame(rows, columns=columns)


def splits(records: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of each system under every protocol that it was run under, from the leakiest to the most honest."""
    found = spread(records, "accuracy")
    found = found[found["ablation"] == ""].sort_values(["recipe", "corpora", "mean"], ascending=[True, True, False])
    return pd.DataFrame(
        {
            "system": found["recipe"],
            "run on": found["corpora"],
            "protocol": [_named(row) for _, row in found.iterrows()],
            "accuracy": [_shown(row) for _, row in found.iterrows()],
            "runs": found["runs"],
        }
    )


def folds(records: pd.DataFrame, metric: str = "uar") -> pd.DataFrame:
    """A metric on unseen speakers in every fold, in percent: a row for each seed of a system, ablations too.

    Args:
        records: from :func:`load`; those of corpora that were not learned from are in :func:`matrix`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        Text columns ``system, run on, protocol, parameters, seed, fold 1, fold 2, ...`` and ``mean ± sd``; after the
        seeds of a system a row over all of them.
    """
    rows = []
    keys = ["recipe", "ablation", "corpora", "protocol"]
    unseen = records[records["speaker_independent"] & ~_across(records)]
    for (recipe, ablation, place, protocol), part in unseen.groupby(keys, sort=False):
        parameters = f"{int(part['parameters'].iloc[0]):,}"
        about = [_full_name(recipe, ablation), place, protocol, parameters]
        seeds = part.pivot_table(index="seed", columns="fold", values=metric)
        for seed, scores in seeds.iterrows():
            rows.append([*about, str(seed), *scores, scores])
        if len(seeds) > 1:
            rows.append([*about, "all", *seeds.mean(), part[metric]])
    most = max((len(row) for row in rows), default=6) - 6

    def text(row: list) -> list[str]:
        *shown, scores = row
        shown = shown[:5] + [f"{100 * value:.1f}" for value in shown[5:]] + ["–"] * (most + 5 - len(shown))
        return [*shown, f"{100 * scores.mean():.1f}" + (f" ± {100 * scores.std():.1f}" if len(scores) > 1 else "")]

    numbered = [f"fold {i + 1}" for i in range(most)]
    columns = ["system", "run on", "protocol", "parameters", "seed", *numbered, "mean ± sd"]
    return pd.DataFrame([text(row) for row in rows], columns=columns)


def matrix(records: pd.DataFrame, metric: str = "uar") -> pd.DataFrame:
    """A metric on corpora that were not learned from, in percent: a row for what was, a column for what was tested.

    Args:
        records: from :func:`load`; those of folds that divide a corpus are left out.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        Text columns ``system``, ``labels`` (the label set), ``learned from`` and one for each tested corpus: mean ±
        standard deviation over seeds, and the number of classes in common.
    """
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    across = records[_across(records)]
    keys = ["recipe", "ablation", "label_set", across["sources"].map(str)]
    for (recipe, ablation, labels, _), part in across.groupby(keys, sort=False):
        learned, tested = (", ".join(part["sources"].iloc[0][side]) for side in ("train", "test"))
        common = sum(scores["support"] > 0 for scores in part["per_class"].iloc[0].values())
        deviation = f" ± {100 * part[metric].std():.1f}" if len(part) > 1 else ""
        row = rows.setdefault((_full_name(recipe, ablation), labels, learned), {})
        row[tested] = f"{100 * part[metric].mean():.1f}{deviation} ({common})"
    tested = sorted({name for row in rows.values() for name in row})
    shown = [(*about, *(row.get(name, "–") for name in tested)) for about, row in rows.items()]
    return pd.DataFrame(shown, columns=["system", "labels", "learned from", *tested])


def _full_name(recipe: str, ablation: str) -> str:
    return f"{recipe}+{ablation}" if ablation else recipe


def _across(records: pd.DataFrame) -> np.ndarray:
    """Which records are of corpora that were tested and not learned from."""
    across = [each is not None and not set(each["train"]) & set(each["test"]) for each in records["sources"]]
    return np.array(across, bool)


def classes(records: pd.DataFrame, metric: str = "recall") -> pd.DataFrame:
    """Recall, precision or F1 of each class, in percent, mean over folds and seeds: a row a system and protocol."""
    rows = []
    for (recipe, place, protocol), part in records[records["ablation"] == ""].groupby(
        ["recipe", "corpora", "protocol"]
    ):
        scores = pd.DataFrame([{label: row[metric] for label, row in one.items()} for one in part["per_class"]])
        rows.append(
            {"system": recipe, "run on": place, "protocol": protocol} | (100 * scores.mean()).round(1).to_dict()
        )
    found = pd.DataFrame(rows)
    return found[[*found.columns[:3], *(label for label in EMOTIONS if label in found)]].fillna("–")


def confusion(records: pd.DataFrame, recipe: str, protocol: str, ablation: str = "") -> pd.DataFrame:
    """Clips of all folds and seeds counted by true label (rows) and predicted label (columns).

    Args:
        records: from :func:`load`.
        recipe: name of a recipe.
        protocol: name of a protocol.
        ablation: name of one of its ablations; the recipe itself where it is left out.

    Raises:
        TableError: there is no such record, or they are of different emotions.
    """
    wanted = {"recipe": recipe, "protocol": protocol, "ablation": ablation}
    some = records[(records[list(wanted)] == pd.Series(wanted)).all(axis=1)]
    labels = set(map(tuple, some["labels"]))
    if len(labels) != 1:
        raise TableError(f"{recipe} under {protocol} has records of {len(labels) or 'no'} sets of emotions; expected 1")
    (names,) = map(list, labels)
    counts = np.sum(some["confusion"].tolist(), axis=0)
    return pd.DataFrame(counts, pd.Index(names, name="true"), pd.Index(names, name="predicted"))


def missing(records: pd.DataFrame) -> pd.DataFrame:
    """Systems that were not run on the corpora their authors used, and the command that runs them there."""
    rows = []
    for system in RECIPES.values():
        wanted = system.published.corpora
        if ", ".join(sorted(wanted)) in set(records.loc[records["recipe"] == system.name, "corpora"]):
            continue
        command = f"ser-kit reproduce {system.name} --corpus {' '.join(wanted)} --out results"
        rows.append(
            {"system": system.name, "corpora": ", ".join(wanted), "on these": "not run here", "command": f"`{command}`"}
        )
    return pd.DataFrame(rows, columns=["system", "corpora", "on these", "command"])


def write_page(path: str | os.PathLike, records: pd.DataFrame) -> list[str]:
    """Put the tables into a Markdown page, between the marks ``<!-- NAME: ... -->`` and ``<!-- end of NAME -->``.

    Args:
        path: a page that is there; what stands outside the marks is left alone.
        records: from :func:`load`.

    Returns:
        Names of the tables that it holds: some of ``table``, ``splits``, ``ablations``, ``classes``, ``missing``,
        ``folds``, ``matrix``, ``reported`` and ``reported_classes``.

    Raises:
        TableError: the page has no marks.
    """
    return fill(path, {name: functools.partial(make, records) for name, make in _TABLES.items()})


def fill(
    path: str | os.PathLike, tables: Mapping[str, Callable[[], pd.DataFrame]], made_by: str = "ser-kit reproduce"
) -> list[str]:
    """Put tables into a Markdown page, between the marks ``<!-- NAME: made by ... -->`` and ``<!-- end of NAME -->``.

    Args:
        path: a page that is there; what stands outside the marks is left alone.
        tables: name -> what makes the table; called if the page has a place for it.
        made_by: the command, as the marks name it.

    Returns:
        Names of the tables that it holds.

    Raises:
        TableError: the page has no marks.
    """
    path = Path(path)
    text, written = path.read_text(encoding="utf-8"), []
    for name, make in tables.items():
        begin, end = _BEGIN.format(name, made_by), _END.format(name)
        if begin in text and end in text:
            head, rest = text.split(begin, 1)
            text = f"{head}{begin}\n{to_markdown(make())}\n{end}{rest.split(end, 1)[1]}"
            written.append(name)
    if not written:
        wanted = _BEGIN.format(next(iter(tables)), made_by)
        raise TableError(f"{path} has no place for a table: it needs a line {wanted!r}, and its end")
    write_whole(path, text.encode())
    return written


_TABLES = {
    "table": table, "splits": splits, "ablations": ablations, "classes": classes, "missing": missing, "folds": folds,
    "matrix": matrix, "reported": reported, "reported_classes": reported_classes,
}  # fmt: skip


def _same(records: pd.DataFrame, row: pd.Series) -> pd.Series:
    """Records of the same recipe, corpora and protocol."""
    return (records[["recipe", "corpora", "protocol"]] == row[["recipe", "corpora", "protocol"]]).all(axis=1)


def _row(frame: pd.DataFrame, key: str) -> pd.Series | None:
    return frame.loc[key] if key in frame.index else None


def _reported(system: System) -> str:
    return _range(system.published.accuracy)


def _range(figures: Sequence[float]) -> str:
    return " to ".join(f"{100 * figure:.4g}" for figure in figures) or "–"


def _over_runs(values: Sequence[float]) -> str:
    if not values:
        return "–"
    return f"{100 * np.mean(values):.1f}" + (f" ± {100 * np.std(values, ddof=1):.1f}" if len(values) > 1 else "")


def _shown(row: pd.Series | None) -> str:
    """Such as ``"48.2 ± 3.1"``, with a star where folds are missing."""
    if row is None:
        return "–"
    shown = f"{100 * row['mean']:.1f}" + (f" ± {100 * row['std']:.1f}" if np.isfinite(row["std"]) else "")
    return shown if row["complete"] else f"{shown} *"


def _named(row: pd.Series) -> str:
    """A protocol's name and what it says of the speakers."""
    return f"{row['protocol']} ({'speaker-independent' if row['speaker_independent'] else 'speaker-dependent'})"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
