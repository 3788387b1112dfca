"""``python -m benchmarks.standing``: ser_kit's own systems beside what others reach on the same unseen speakers.

The table goes into Markdown pages, between the marks ``<!-- standing: made by python -m benchmarks.standing -->`` and
``<!-- end of standing -->``. Ours are from the records of ``ser-kit reproduce``, openSMILE's row from
``python -m benchmarks.opensmile_svm``; how long ours take to answer is measured now, on one core.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from ser_kit import corpora, models, recipes
from ser_kit.core.errors import SerKitError, TableError
from ser_kit.evaluation import percent
from ser_kit.features import Waveform
from ser_kit.recipes import reproduce

from . import opensmile_svm
from .racing import race

if TYPE_CHECKING:
    import keras

COMMAND = "python -m benchmarks.standing"
CORPUS, PROTOCOL = "ravdess", "emobox"
_SECONDS = 3.0  # of sound that an answer is timed for


class Mark(NamedTuple):
    """What somebody reported on unseen speakers of RAVDESS, eight emotions.

    Args:
        model: what it is.
        parameters: how many.
        learned_from: before it saw RAVDESS; ``""`` for nothing.
        uar: in percent.
        source: where it is reported.
    """

    model: str
    parameters: str
    learned_from: str
    uar: str
    source: str


_EMOBOX = "Z. Ma et al., EmoBox, Interspeech 2024 (arXiv 2406.07162)"
MARKS = (
    Mark("ResLSTM-SA-h64", "46,800", "", "62.3 ± 1.2", "D. Krasnoproshin & M. Vashkevich, 2026 (arXiv 2606.03359)"),
    Mark("WavLM-large, frozen, a linear layer", "316 M", "94,000 h of speech", "72.0", _EMOBOX),
    Mark("Whisper-large-v3's encoder, frozen, a linear layer", "635 M", "5 million h of speech", "75.3", _EMOBOX),
    Mark(
        "CNN14, fine-tuned", "80 M", "AudioSet", "76.6 (accuracy)",
        "C. Luna-Jiménez et al., Sensors 21(22):7665, 2021",
    ),
)  # fmt: skip
_NOTHING = "–"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if there are no records, or a page has no place for the table."""
    options = _options(argv)
    try:
        records, baseline = reproduce.load(options.records), opensmile_svm.load(options.records)
        found = table(records, baseline, _milliseconds())
        for page in options.pages:
            reproduce.fill(page, {"standing": lambda: found}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(found.to_string(index=False))
    return 0


def table(records: pd.DataFrame, baseline: Sequence[float], milliseconds: Mapping[str, float]) -> pd.DataFrame:
    """A row a model, the best of ours last.

    Args:
        records: from :func:`ser_kit.recipes.reproduce.load`.
        baseline: UAR of openSMILE's functionals and a support vector machine in each fold.
        milliseconds: system -> what an answer for 3 s takes.

    Returns:
        Text: ``model``, ``parameters``, ``size``, ``latency``, ``pre-training data``, a column a fold, ``UAR``
        (mean ± standard deviation over folds and seeds), ``seeds`` and ``source``.

    Raises:
        TableError: a fold of a system has no record.
    """
    rows = [_row("openSMILE ComParE_2016, linear SVM", uar=_mean(baseline), folds=baseline, seeds="1", source="here")]
    rows += [
        _row(mark.model, parameters=mark.parameters, learned=mark.learned_from, uar=mark.uar, source=mark.source)
        for mark in MARKS
    ]
    tested = records["corpora"].str.split(", ").map(lambda names: CORPUS in names)
    emobox = records[tested & (records["protocol"] == PROTOCOL) & (records["ablation"] == "")]
    found = {key: part for key, part in emobox.groupby(["recipe", "corpora"]) if key[0] in milliseconds}
    for (name, place), part in sorted(found.items(), key=lambda item: item[1]["uar"].mean()):
        others = [corpus for corpus in place.split(", ") if corpus != CORPUS]
        each = part.pivot_table(index="seed", columns="fold", values="uar")
        if each.isna().any(axis=None) or len(each.columns) < len(baseline):
            raise TableError(f"{name} has no record of some folds; ser-kit reproduce {name} makes them")
        count = int(part["parameters"].iloc[0])
        also = f", also trained on {' and '.join(others)}" if others else ""
        rows.append(
            _row(
                f"**`{name}`**{also}", parameters=f"{count:,}", size=f"{4e-6 * count:.1f} MB",
                latency=f"{milliseconds[name]:.0f} ms", folds=each.mean(), uar=f"**{_mean(part['uar'])}**",
                seeds=str(len(each)), source="here",
            )
        )  # fmt: skip
    return pd.DataFrame(rows)


def _row(
    model: str, *, parameters: str = "", size: str = "", latency: str = "", learned: str = "",
    folds: Sequence[float] = (), uar: str, seeds: str = "", source: str,
) -> dict[str, str]:  # fmt: skip
    shown = list(map(percent, folds)) or [_NOTHING] * 5
    return {
        "model": model,
        "parameters": parameters or _NOTHING,
        "size": size or _NOTHING,
        "latency, 3 s": latency or _NOTHING,
        "pre-training data": learned or _NOTHING,
        **{f"fold {i}": score for i, score in enumerate(shown, start=1)},
        "UAR": uar,
        "seeds": seeds or _NOTHING,
        "source": source,
    }


def _mean(scores: Sequence[float]) -> str:
    return f"{percent(np.mean(scores))} ± {percent(np.std(scores, ddof=1))}"


def _milliseconds() -> dict[str, float]:
    """What an answer takes each of our systems, in the middle, on one core."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    waveform, table = Waveform(seconds=_SECONDS), corpora.load(CORPUS).head(40)
    clips = [waveform.extract(path)[None] for path in table["path"]]

    def answer(name: str) -> Callable[[int], np.ndarray]:
        ours = network(recipes.get(name))
        return lambda i: ours.predict_on_batch(clips[i])

    took = race({name: answer(name) for name in names()}, len(clips), "answers")
    return {name: float(np.median(each)) for name, each in took.items()}


def names() -> list[str]:
    """Systems of our own that take the samples themselves and need no network from elsewhere."""
    return [name for name, system in recipes.OWN.items() if isinstance(system.extractors[0], Waveform)]


def network(system: recipes.System) -> keras.Model:
    """A system's network for eight emotions, an ensemble's as the one that it is saved as; untrained, since what the
    weights are does not matter for how long it takes."""
    if isinstance(system, recipes.Ensemble):
        (member,) = system.members
        options = {"builder": member.model, "members": system.rounds, "hyperparameters": member.hyperparameters}
        return models.get("committee")((None, 1), 8, **options)
    return system.build(8)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown pages with a place for it")
    parser.add_argument("--records", type=Path, default=Path("results/own_systems"), help="(default: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
