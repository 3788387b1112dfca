"""The summary of all published systems: reported, reproduced, and on unseen speakers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import protocols
from ..evaluation.resampling import interval, resampled_counts
from .documents.document import UNSEEN
from .records import by_system, is_complete, speakers
from .system import System


def summary(records: pd.DataFrame) -> pd.DataFrame:
    """One row for each published system, or variant in its document, and set of corpora that it was run on.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.

    Returns:
        DataFrame with these columns; accuracies are fractions, ``sd`` is over folds and seeds, and
        ``complete`` says whether no fold is missing:
        ``system``, ``reported_on``, ``run_on``, ``same_corpora``, ``protocol`` (of the authors), ``leaks``,
        ``reported_low``, ``reported_high``, ``reproduced``, ``reproduced_sd``, ``reproduced_complete``,
        ``unseen``, ``unseen_sd``, ``unseen_complete``, ``unseen_low`` and ``unseen_high`` (95 % interval over
        speakers), ``explained``, ``seeds``, ``folds``, ``parameters``, ``minutes`` (of one fold),
        ``versions`` and ``command``.
        ``explained`` is the share of the gap between the reported accuracy and that on unseen speakers that
        the split of the authors explains here: (reproduced - unseen) / (reported - unseen), if that split
        leaks, the corpora are those of the authors, and the reported figure is higher; 1 at most.

    Examples:
        >>> from ser_kit.recipes import reproduce
        >>> summary(reproduce.load("results/published_systems")).to_csv("summary.csv")  # doctest: +SKIP
    """
    rows = [
        _row(name, system, reported or (np.nan,), place, runs)
        for name, system, reported, own in by_system(records)
        for place, runs in own.groupby("corpora", sort=False)
        if runs["protocol"].isin((system.published.protocol, UNSEEN)).any()
    ]
    return pd.DataFrame(rows)


def _row(name: str, system: System, reported: tuple[float, ...], place: str, runs: pd.DataFrame) -> dict:
    published = runs[runs["protocol"] == system.published.protocol]
    unseen = runs[runs["protocol"] == UNSEEN]
    leaks = protocols.get(system.published.protocol).leaks
    reproduced, accuracy = published["accuracy"].mean(), unseen["accuracy"].mean()
    gap, same = reported[-1] - accuracy, sorted(place.split(", ")) == sorted(system.published.corpora)
    low, high = _interval(unseen)
    return {
        "system": name,
        "reported_on": ", ".join(system.published.corpora),
        "run_on": place,
        "same_corpora": same,
        "protocol": system.published.protocol,
        "leaks": ", ".join(leaks),
        "reported_low": reported[0],
        "reported_high": reported[-1],
        "reproduced": reproduced,
        "reproduced_sd": published["accuracy"].std(),
        "reproduced_complete": is_complete(published),
        "unseen": accuracy,
        "unseen_sd": unseen["accuracy"].std(),
        "unseen_complete": is_complete(unseen),
        "unseen_low": low,
        "unseen_high": high,
        "explained": min(1, (reproduced - accuracy) / gap) if leaks and same and gap > 0 else np.nan,
        "seeds": runs["seed"].nunique(),
        "folds": len(runs),
        "parameters": int(runs["parameters"].iloc[0]),
        "minutes": runs["seconds"].median() / 60,
        "versions": ", ".join(f"{name} {each}" for name, each in runs["versions"].iloc[0].items()),
        "command": runs["command"].iloc[0],
    }


def _interval(runs: pd.DataFrame) -> tuple[float, float]:
    """Interval over speakers of the accuracy of all clips; NaN without the speakers' confusion."""
    by_speaker = speakers(runs) if len(runs) else None
    return interval(resampled_counts(by_speaker)["accuracy"] if by_speaker is not None else np.empty(0))


def summary_table(records: pd.DataFrame) -> pd.DataFrame:
    """:func:`summary` as text, in percent, for a page."""
    found = summary(records)
    return pd.DataFrame(
        {
            "system": found["system"],
            "run on": found["run_on"],
            "reported": [
                _percent(low) if low == high or np.isnan(low) else f"{_percent(low)} to {_percent(high)}"
                for low, high in zip(found["reported_low"], found["reported_high"], strict=True)
            ],
            "reported on the same corpora": np.where(found["same_corpora"], "yes", "no"),
            "reproduced": _spread(found, "reproduced"),
            "unseen speakers": _spread(found, "unseen"),
            "95 % interval": [
                f"{_percent(low)} to {_percent(high)}" if np.isfinite(low) else "–"
                for low, high in zip(found["unseen_low"], found["unseen_high"], strict=True)
            ],
            "share of the gap that the split explains": [_percent(each, 0) for each in found["explained"]],
            "seeds": found["seeds"],
        }
    )


def _spread(found: pd.DataFrame, name: str) -> list[str]:
    stars = np.where(found[f"{name}_complete"], "", " *")
    rows = zip(found[name], found[f"{name}_sd"], stars, strict=True)
    return [
        f"{_percent(mean)}{f' ± {_percent(sd)}' if np.isfinite(sd) else ''}{star}" for mean, sd, star in rows
    ]


def _percent(value: float, decimals: int = 1) -> str:
    return f"{100 * value:.{decimals}f}" if np.isfinite(value) else "–"
