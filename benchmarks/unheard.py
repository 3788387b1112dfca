"""``python -m benchmarks.unheard``: what recipes and bundles are worth on corpora that they did not learn from.

``--recipe NAME`` leaves each corpus out in turn (protocol ``corpus``) and prints UAR, calibration error, recalls, how
often certain answers are right, and what adaptation to a speaker brings; see :mod:`benchmarks.nested`. What is
trained is kept under ``--out``, so that a second call only prints; ``--records FOLDER`` prints all that a folder holds.

Without these a bundle answers for each ``--corpus`` over the emotions that they share. The last two columns are then of
the clips that are left when a few neutral ones of each speaker are taken as a baseline
(:meth:`ser_kit.Predictor.enroll`): the UAR without it and with it.

Tables go into Markdown pages, between marks such as ``<!-- unheard: made by python -m benchmarks.unheard -->`` and
``<!-- end of unheard -->``: ``unheard`` for a bundle, and for recipes ``left_out``, ``left_out_details``,
``left_out_recalls``, ``left_out_certain`` and ``left_out_adaptation``.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, plots
from ser_kit.bundles.bundle import BASELINE
from ser_kit.core.errors import SerKitError, TableError
from ser_kit.core.labels import merged
from ser_kit.core.probabilities import mean_log, without_habit
from ser_kit.evaluation import Evaluation, expected_calibration_error, metrics, percent, to_markdown, with_interval
from ser_kit.inference.answers import habit
from ser_kit.inference.prediction import Failure
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import reproduce

from . import ideas, nested

COMMAND = "python -m benchmarks.unheard"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a recipe, bundle or corpus cannot be had, or a page has no place, and
    130 after Ctrl-C."""
    options = _options(argv)
    try:
        tables = _of_recipes(options) if options.recipe or options.records else {"unheard": _of_bundle(options)}
        for page in options.pages:
            reproduce.fill(page, {name: partial(tables.get, name) for name in tables}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on after the trainings that are done", file=sys.stderr)
        return 130
    for name, table in tables.items():
        print(table.to_string(index=False) if name == "unheard" else f"{to_markdown(table)}\n")
    return 0


def _of_bundle(options: argparse.Namespace) -> pd.DataFrame:
    tables = {name: corpora.load(name) for name in options.corpus}  # what is missing is missed before the work
    predictor = Predictor.open(options.bundle)
    rows = [_row(name, *answered(predictor, part), predictor, options) for name, part in tables.items()]
    for folder in options.evaluation:
        found = Evaluation.load(folder)
        title = f"{', '.join(found.corpora)} ({found.recipe}, {found.protocol}, seed {found.seed})"
        rows.append(_row(title, found.predictions, found.labels, None, options))
    return pd.DataFrame(rows)


def _of_recipes(options: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """The tables by name, written as CSV too where that is wanted."""
    command = shlex.join(["python", "-m", "benchmarks.unheard", *options.given])
    tested = options.corpus or nested.TESTED
    systems = [ideas.get(name) for name in options.recipe]  # what is unknown is refused before the work
    found = [
        nested.nested(
            system, tested, options.out, only_learned=options.only_learned, labels=options.labels, seed=options.seed,
            pairs=not options.approximate, command=command,
        )
        for system in systems
    ]  # fmt: skip
    for folder in options.records:
        found += nested.load(folder)
    if options.averaged:
        found.append(nested.averaged(found))
    for each in found:
        if not each.nested:
            print(
                f"{each.name}: temperature, threshold and adaptation of a corpus come from models that learned from it",
                file=sys.stderr,
            )
    tables = {
        "left_out": nested.scores(found),
        "left_out_details": nested.details(found),
        "left_out_recalls": nested.recalls(found),
        "left_out_certain": nested.certain(found),
        "left_out_adaptation": nested.adaptation(found, options.draws),
    }
    if options.figure:
        options.figure.parent.mkdir(parents=True, exist_ok=True)
        drawn = plots.left_out(nested.curve(found[:1]), 100 * nested.adapted(found[0], options.draws))
        drawn.savefig(options.figure, dpi=150)
    if options.csv:
        options.csv.mkdir(parents=True, exist_ok=True)
        for name, table in [*tables.items(), ("coverage", nested.curve(found))]:
            table.to_csv(options.csv / f"{name}.csv", index=False)
    return tables


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


def evaluated(predictions: pd.DataFrame, labels: Sequence[str], common: Sequence[str]) -> Evaluation:
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
    found = evaluated(predictions, labels, common)
    uar, correct, details = found.summary()["uar"], found.correct(), found.details()
    confidence = found.predictions["confidence"].to_numpy()
    gains = []
    for seed in range(options.draws):
        pair = [evaluated(each, labels, common) for each in enrolled(predictions, labels, options.enroll, seed, usual)]
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
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown pages with places for the tables")
    parser.add_argument("--recipe", nargs="+", default=[], metavar="NAME", help="trained with each corpus left out")
    parser.add_argument(
        "--records", nargs="+", type=Path, default=[], metavar="FOLDER", help="of earlier calls, to print"
    )
    text = "for the answers of each training (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=Path("runs/unheard"), metavar="FOLDER", help=text)
    parser.add_argument("--csv", type=Path, metavar="FOLDER", help="for the tables and the whole coverage curve as CSV")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="for curves of the first recipe, such as PNG")
    text = f"left out, each in turn (default: {', '.join(nested.TESTED)}); with a bundle: that it did not learn from"
    parser.add_argument("--corpus", nargs="*", default=[], metavar="NAME", help=text)
    text = "learned from beside the others and never tested (default: %(default)s)"
    parser.add_argument("--only-learned", nargs="*", default=nested.ONLY_LEARNED, metavar="NAME", help=text)
    parser.add_argument("--labels", default="seven", help="of recipes: the label set (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of recipes' trainings (default: %(default)s)")
    text = "leave no two corpora out: a third of the trainings, for recipes that take long"
    parser.add_argument("--approximate", action="store_true", help=text)
    text = "one more row: the mean logarithms of the probabilities of all recipes that are shown"
    parser.add_argument("--averaged", action="store_true", help=text)
    parser.add_argument("--bundle", metavar="FOLDER_OR_PRESET", help="what predicts; the default preset if not given")
    text = "of ser-kit evaluate: more rows beside a bundle's, of its predictions"
    parser.add_argument("--evaluation", nargs="*", default=[], metavar="FOLDER", help=text)
    text = "with a bundle: neutral clips of each speaker (default: %(default)s)"
    parser.add_argument("--enroll", type=int, default=2, help=text)
    text = "of the clips that are adapted or enrolled from (default: 20 with a bundle, else 5)"
    parser.add_argument("--draws", type=int, help=text)
    given = list(sys.argv[1:] if argv is None else argv)
    options = parser.parse_args(given)
    options.given, of_recipes = given, bool(options.recipe or options.records)
    options.draws = (5 if of_recipes else 20) if options.draws is None else options.draws
    if options.enroll < 1 or options.draws < 1:
        parser.error("--enroll and --draws must be at least 1")
    if of_recipes and (options.bundle or options.evaluation):
        parser.error("--bundle and --evaluation are not for --recipe and --records")
    if not of_recipes and not options.corpus and not options.evaluation:
        parser.error("name a recipe, a corpus or an evaluation")
    both = {*options.corpus} & {*options.only_learned}
    if of_recipes and both:
        parser.error(f"{', '.join(sorted(both))} is to be tested and not to be tested; name it once")
    return options


if __name__ == "__main__":
    sys.exit(main())
