"""Tables of the records of runs: reported and reproduced results, by system, class, fold and corpus."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..core.labels import ordered
from . import RECIPES
from .records import METRIC_NAMES, by_system, figures, full_name, on_corpora, over_runs, spread


def table(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Main table: reported accuracy, reproduced accuracy, and accuracy on unseen speakers.

    Args:
        records: from :func:`load`.
        name: names of the corpora (joined by ``", "``); for a system without runs on them, the first corpora
            that it was run on.

    Returns:
        DataFrame of text with a row for each published system. Accuracy and UAR are in percent, mean and
        standard deviation over folds and seeds. The cost of leakage is the difference of the two accuracies
        in percentage points, if the published split has test speakers in training.
    """
    rows = []
    for title, system, reported, runs in by_system(records):
        place, own = on_corpora(runs, name)
        here, recalls = (spread(own, metric).set_index("protocol") for metric in ("accuracy", "uar"))
        published, unseen = _row(here, system.published.protocol), _row(here, "speaker")
        both = published is not None and unseen is not None and not published["speaker_independent"]
        gap = published["mean"] - unseen["mean"] if both else None
        some = unseen if unseen is not None else published
        rows.append(
            {
                "system": title,
                "reported on": ", ".join(system.published.corpora),
                "reported accuracy": _range(reported),
                "run on": place or "not run here",
                "published split": system.published.protocol,
                "reproduced accuracy": _shown(published),
                "unseen speakers: accuracy": _shown(unseen),
                "unseen speakers: UAR": _shown(_row(recalls, "speaker")),
                "cost of leakage": "–" if gap is None else f"{100 * gap:.1f}",
                "seeds": "–" if some is None else str(some["seeds"]),
                "parameters": "–" if some is None else f"{some['parameters']:,}",
                "training time": "–" if some is None else _duration(some["seconds"]),
            }
        )
    return pd.DataFrame(rows)


def reported(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Table of reported and reproduced precision, recall, F1 and training accuracy.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        DataFrame of text with the columns ``system, figure, reported, run on, reproduced`` (under the
        published split) and ``unseen speakers``, in percent, mean and standard deviation over folds and
        seeds.
    """
    found = figures(records, name)
    found = found[found["emotion"] == ""]
    return pd.DataFrame(
        {
            "system": found["system"],
            "figure": [METRIC_NAMES[metric] for metric in found["metric"]],
            "reported": [_range(reported) for reported in found["reported"]],
            "run on": found["run on"].replace("", "not run here"),
            "reproduced": [over_runs(values) for values in found["published"]],
            "unseen speakers": [over_runs(values) for values in found["unseen"]],
        }
    )


def reported_classes(records: pd.DataFrame, name: str = "ravdess") -> pd.DataFrame:
    """Table of reported and reproduced metrics of single emotions.

    Args:
        records: from :func:`load`.
        name: as in :func:`table`.

    Returns:
        DataFrame of text with the columns ``system, emotion, run on`` and, for each of ``precision``,
        ``recall`` and ``F1``, the reported value, the value under the published split, and the value on
        unseen speakers, in percent, mean over folds and seeds.
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
    """Table of ablations, compared under the same protocol, corpora and seeds.

    Args:
        records: from :func:`load`.
        protocol: name of a protocol; by default all.

    Returns:
        DataFrame of text with the columns ``system, change, run on, protocol, accuracy, UAR`` and ``against
        the system itself`` (difference in accuracy, in percentage points).
    """
    accuracy, uar = spread(records, "accuracy"), spread(records, "uar")
    rows = []
    for i, row in accuracy[accuracy["ablation"] != ""].iterrows():
        if protocol not in (None, row["protocol"]):
            continue
        changed = records[_same(records, row) & (records["ablation"] == row["ablation"])]
        whole = records[
            _same(records, row) & (records["ablation"] == "") & records["seed"].isin(changed["seed"])
        ]
        against = (
            f"{100 * (changed['accuracy'].mean() - whole['accuracy'].mean()):+z.1f}" if len(whole) else "–"
        )
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
    """Table of the accuracy of each system under each protocol, highest accuracy first."""
    found = spread(records, "accuracy")
    found = found[found["ablation"] == ""].sort_values(
        ["recipe", "corpora", "mean"], ascending=[True, True, False]
    )
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
    """Table of a metric on unseen speakers in each fold, in percent.

    Args:
        records: from :func:`load`; for corpora left out of training see :func:`matrix`.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        DataFrame of text with a row for each seed of a system or ablation, and a row for all seeds. Columns:
        ``system, run on, protocol, parameters, seed, fold 1, fold 2, ...`` and ``mean ± sd``.
    """
    rows = []
    keys = ["recipe", "ablation", "corpora", "protocol"]
    unseen = records[records["speaker_independent"] & ~_across(records)]
    for (recipe, ablation, place, protocol), part in unseen.groupby(keys, sort=False):
        parameters = f"{int(part['parameters'].iloc[0]):,}"
        about = [full_name(recipe, ablation), place, protocol, parameters]
        seeds = part.pivot_table(index="seed", columns="fold", values=metric)
        for seed, scores in seeds.iterrows():
            rows.append([*about, str(seed), *scores, scores])
        if len(seeds) > 1:
            rows.append([*about, "all", *seeds.mean(), part[metric]])
    most = max((len(row) for row in rows), default=6) - 6

    def text(row: list) -> list[str]:
        *shown, scores = row
        shown = shown[:5] + [f"{100 * value:.1f}" for value in shown[5:]] + ["–"] * (most + 5 - len(shown))
        return [
            *shown,
            f"{100 * scores.mean():.1f}" + (f" ± {100 * scores.std():.1f}" if len(scores) > 1 else ""),
        ]

    numbered = [f"fold {i + 1}" for i in range(most)]
    columns = ["system", "run on", "protocol", "parameters", "seed", *numbered, "mean ± sd"]
    return pd.DataFrame([text(row) for row in rows], columns=columns)


def matrix(records: pd.DataFrame, metric: str = "uar") -> pd.DataFrame:
    """Table of a metric on corpora left out of training, in percent.

    Args:
        records: from :func:`load`; records of folds that divide a corpus are ignored.
        metric: one of :data:`ser_kit.evaluation.METRICS`.

    Returns:
        DataFrame of text with a row for each system and set of training corpora. Columns: ``system``,
        ``labels`` (the label set), ``trained on`` and one for each test corpus: mean and standard deviation
        over seeds, and the number of classes in common.
    """
    rows: dict[tuple[str, str, str], dict[str, str]] = {}
    across = records[_across(records)]
    keys = ["recipe", "ablation", "label_set", across["sources"].map(str)]
    for (recipe, ablation, labels, _), part in across.groupby(keys, sort=False):
        learned, tested = (", ".join(part["sources"].iloc[0][side]) for side in ("train", "test"))
        common = sum(scores["support"] > 0 for scores in part["per_class"].iloc[0].values())
        deviation = f" ± {100 * part[metric].std():.1f}" if len(part) > 1 else ""
        row = rows.setdefault((full_name(recipe, ablation), labels, learned), {})
        row[tested] = f"{100 * part[metric].mean():.1f}{deviation} ({common})"
    tested = sorted({name for row in rows.values() for name in row})
    shown = [(*about, *(row.get(name, "–") for name in tested)) for about, row in rows.items()]
    return pd.DataFrame(shown, columns=["system", "labels", "trained on", *tested])


def _across(records: pd.DataFrame) -> np.ndarray:
    """Whether each record is of test corpora that were left out of training, ``bool [n]``."""
    across = [each is not None and not set(each["train"]) & set(each["test"]) for each in records["sources"]]
    return np.array(across, bool)


def classes(records: pd.DataFrame, metric: str = "recall") -> pd.DataFrame:
    """Table of the recall, precision or F1 of each class, in percent, mean over folds and seeds.

    Args:
        records: from :func:`load`.
        metric: ``"recall"``, ``"precision"`` or ``"f1"``.

    Returns:
        DataFrame with a row for each system and protocol."""
    rows = []
    for (recipe, place, protocol), part in records[records["ablation"] == ""].groupby(
        ["recipe", "corpora", "protocol"]
    ):
        scores = pd.DataFrame(
            [{label: row[metric] for label, row in one.items()} for one in part["per_class"]]
        )
        rows.append(
            {"system": recipe, "run on": place, "protocol": protocol}
            | (100 * scores.mean()).round(1).to_dict()
        )
    found = pd.DataFrame(rows)
    return found[[*found.columns[:3], *ordered(found.columns[3:])]].fillna("–")


def missing(records: pd.DataFrame) -> pd.DataFrame:
    """Table of systems that were not run on the corpora of their authors, with the command to run them."""
    rows = []
    for system in RECIPES.values():
        wanted = system.published.corpora
        if ", ".join(sorted(wanted)) in set(records.loc[records["recipe"] == system.name, "corpora"]):
            continue
        command = f"ser-kit reproduce {system.name} --corpus {' '.join(wanted)} --out results"
        rows.append(
            {
                "system": system.name,
                "corpora": ", ".join(wanted),
                "on these": "not run here",
                "command": f"`{command}`",
            }
        )
    return pd.DataFrame(rows, columns=["system", "corpora", "on these", "command"])


def _same(records: pd.DataFrame, row: pd.Series) -> pd.Series:
    """Whether each record is of the same recipe, corpora and protocol as a row."""
    return (records[["recipe", "corpora", "protocol"]] == row[["recipe", "corpora", "protocol"]]).all(axis=1)


def _row(frame: pd.DataFrame, key: str) -> pd.Series | None:
    return frame.loc[key] if key in frame.index else None


def _range(figures: Sequence[float]) -> str:
    return " to ".join(f"{100 * figure:.4g}" for figure in figures) or "–"


def _shown(row: pd.Series | None) -> str:
    """Format mean and standard deviation, such as ``"48.2 ± 3.1"``, with a star if folds are missing."""
    if row is None:
        return "–"
    shown = f"{100 * row['mean']:.1f}" + (f" ± {100 * row['std']:.1f}" if np.isfinite(row["std"]) else "")
    return shown if row["complete"] else f"{shown} *"


def _named(row: pd.Series) -> str:
    """Name of a protocol with its label, such as ``"random (speaker-dependent)"``."""
    return (
        f"{row['protocol']} ({'speaker-independent' if row['speaker_independent'] else 'speaker-dependent'})"
    )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
