"""``python -m benchmarks.unheard``: what a bundle is worth on corpora that it never heard, and to listen to a person.

Each corpus is answered for over the emotions that it shares with the bundle. The last two columns are of the clips that
are left when a few neutral ones of each speaker are taken as a baseline (:meth:`ser_kit.Predictor.enroll`): the UAR
without it and with it. The table goes into Markdown pages, between the marks
``<!-- unheard: made by python -m benchmarks.unheard -->`` and ``<!-- end of unheard -->``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, reproduce
from ser_kit.bundle import BASELINE
from ser_kit.errors import SerKitError, TableError
from ser_kit.evaluation import (
    Evaluation,
    expected_calibration_error,
    mean_log,
    metrics,
    percent,
    with_interval,
    without_habit,
)
from ser_kit.labels import merged
from ser_kit.predictor import Failure, Predictor, habit

COMMAND = "python -m benchmarks.unheard"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if the bundle or a corpus cannot be had, or a page has no place."""
    options = _options(argv)
    try:
        tables = {name: corpora.load(name) for name in options.corpus}  # what is missing is missed before the work
        predictor = Predictor.open(options.bundle)
        rows = [_row(name, *answered(predictor, part), predictor, options) for name, part in tables.items()]
        for folder in options.evaluation:
            found = Evaluation.load(folder)
            title = f"{', '.join(found.corpora)} ({found.recipe}, {found.protocol}, seed {found.seed})"
            rows.append(_row(title, found.predictions, found.labels, None, options))
        table = pd.DataFrame(rows)
        for page in options.pages:
            reproduce.fill(page, {"unheard": lambda: table}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(table.to_string(index=False))
    return 0


def answered(predictor: Predictor, table: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """What a predictor says of the clips of a corpus whose emotions it knows.

    Args:
        predictor: in its bundle's own labels.
        table: a clip table; clips of other emotions, or that cannot be answered for, are left out.

    Returns:
        Predictions as :class:`ser_kit.evaluation.Evaluation` wants them, with a column ``uncertain``, and the emotions
        that both know. Probabilities are those of the bundle's labels.
    """
    common = [label for label in predictor.labels if (table["emotion"] == label).any()]
    table = table[table["emotion"].isin(common)].reset_index(drop=True)
    answers = tqdm(predictor.predict_many(corpora.sources(table)), total=len(table), unit="clip", leave=False)
    kept, rows = [], []
    for i, answer in enumerate(answers):
        if not isinstance(answer, Failure):
            kept.append(i)
            said = {f"prob_{label}": p for label, p in answer.probabilities.items()}
            rows.append({"uncertain": answer.uncertain, **said})
    columns = ["clip_id", "corpus", "speaker", "sex"]
    found = table.iloc[kept].reset_index(drop=True)
    return found[columns].assign(true=found["emotion"], fold=0).join(pd.DataFrame(rows)), tuple(common)


def enrolled(
    predictions: pd.DataFrame, labels: Sequence[str], clips: int, seed: int, usual: Mapping[str, float] | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions without and with a baseline of some neutral clips of each speaker, which are left out of both.

    Args:
        predictions: with ``speaker``, ``true`` and a ``prob_`` column for each label.
        labels: that the probabilities are of.
        clips: neutral ones to draw of each speaker; who has fewer, or nothing else, is left out.
        seed: of the draw.
        usual: mean log probabilities of others' neutral clips, by label; ``None`` takes the other speakers here.

    Raises:
        TableError: no speaker has so many neutral clips and others besides.
    """
    rng = np.random.default_rng(seed)
    columns = [f"prob_{label}" for label in labels]
    neutral = predictions["true"] == BASELINE
    without, adapted = [], []
    for speaker, own in predictions.groupby("speaker", sort=True):
        plain = own.index[own["true"] == BASELINE]
        if len(plain) < clips or len(own) == clips:
            continue
        drawn = rng.choice(plain, clips, replace=False)
        others = predictions.loc[neutral & (predictions["speaker"] != speaker), columns]
        expected = mean_log(others) if usual is None else [usual[label] for label in labels]
        rest = own.drop(index=drawn)
        adapt = without_habit(rest[columns], habit(predictions.loc[drawn, columns], expected))
        without.append(rest)
        adapted.append(rest.assign(**dict(zip(columns, adapt.T, strict=True))))
    if not without:
        raise TableError(
            f"no speaker has {clips} {BASELINE} clips and others besides; expected fewer clips to enroll, or a corpus "
            f"with {BASELINE} speech"
        )
    return pd.concat(without), pd.concat(adapted)


def judged(predictions: pd.DataFrame, labels: Sequence[str], common: Sequence[str]) -> Evaluation:
    """Predictions in a bundle's labels as an evaluation over fewer: the probabilities of merged labels add up."""
    said = pd.DataFrame(
        {
            f"prob_{label}": predictions[[f"prob_{each}" for each in given]].sum(axis=1)
            for label, given in merged(labels, common).items()
        }
    )
    said = said.div(said.sum(axis=1), axis=0)
    names = said.columns.str.removeprefix("prob_")
    about = predictions[["clip_id", "corpus", "speaker", "sex", "true", "fold"]]
    found = about.join(said).assign(predicted=names[said.to_numpy().argmax(axis=1)], confidence=said.max(axis=1))
    return Evaluation("", "", True, 0, tuple(names), found)


def _row(name: str, predictions: pd.DataFrame, common: Sequence[str], predictor: Predictor | None, options) -> dict:
    """Text, a row of the table; without a predictor the predictions are those of an evaluation, in its own labels."""
    labels = common if predictor is None else predictor.labels
    usual = None if predictor is None else predictor.bundle.card["baseline"]
    found = judged(predictions, labels, common)
    uar, correct, details = found.summary()["uar"], found.correct(), found.details()
    confidence = found.predictions["confidence"].to_numpy()
    gains = []
    for seed in range(options.draws):
        pair = [judged(each, labels, common) for each in enrolled(predictions, labels, options.enroll, seed, usual)]
        gains.append([metrics(e.predictions["true"], e.predictions["predicted"], e.labels)["uar"] for e in pair])
    before, after = np.mean(gains, axis=0)
    return {
        "corpus": name,
        "emotions": ", ".join(common),
        "clips": f"{len(predictions):,}",
        "speakers": str(predictions["speaker"].nunique()),
        "UAR": with_interval(uar["pooled"], uar),
        "accuracy": percent(correct.mean()),
        "of the surest half": percent(details["confident_half"]),
        "calibration error": percent(expected_calibration_error(confidence, correct)),
        "in doubt": percent(predictions["uncertain"].mean()) if "uncertain" in predictions else "–",
        f"UAR, {options.enroll} neutral clips a speaker left out": percent(before),
        "with them as a baseline": f"{percent(after)} ({100 * (after - before):+.1f})",
    }


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown pages with a place for the table")
    parser.add_argument("--bundle", metavar="FOLDER_OR_PRESET", help="what predicts; the default preset if not given")
    parser.add_argument("--corpus", nargs="*", default=[], metavar="NAME", help="that the bundle has not learned from")
    parser.add_argument(
        "--evaluation",
        nargs="*",
        default=[],
        metavar="FOLDER",
        help="of ser-kit evaluate: more rows, of its predictions",
    )
    parser.add_argument("--enroll", type=int, default=2, help="neutral clips of each speaker (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=20, help="of these clips (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.enroll < 1 or options.draws < 1:
        parser.error("--enroll and --draws must be at least 1")
    if not options.corpus and not options.evaluation:
        parser.error("name a corpus or an evaluation")
    return options


if __name__ == "__main__":
    sys.exit(main())
