"""``python -m benchmarks.left_out RECIPE…``: what systems are worth on corpora left out of training, with and without
adaptation to each speaker.

Each corpus is answered for by a model trained on the others, among the emotions that it has. Temperature, threshold and
what adaptation knows of voices come from the answers for the other corpora left out. Evaluations are kept in ``--out``,
so a second call only prints; tables go into Markdown pages, between ``<!-- left_out: made by python -m
benchmarks.left_out -->`` and ``<!-- end of left_out -->``, and ``adaptation`` likewise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ser_kit import corpora, left_out, recipes, reproduce
from ser_kit.adaptation import Voices, offset
from ser_kit.errors import SerKitError
from ser_kit.evaluation import Evaluation, apply_temperature, metrics, percent, with_interval, without_habit
from ser_kit.recipes import Material, System

COMMAND = "python -m benchmarks.left_out"
CORPORA = ("ravdess", "ravdess_song", "emodb", "tess", "nemo", "emospeech")
"""Those that a copy was at hand of; songs are trained on, never tested on."""
CLIPS = (5, 20, None)
"""Clips of a speaker to adapt to; ``None`` is all of them."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a recipe or a corpus cannot be had, or a page has no place."""
    options = _options(argv)
    try:
        systems = [recipes.get(name) for name in options.recipes]
        table = corpora.load(options.corpus, labels=options.labels)
        found = list(_evaluations(systems, table, options))
        worth = pd.DataFrame([_worth(name, each) for name, each in found])
        adapted = pd.DataFrame([row for name, each in found for row in _adaptation(name, each, options)])
        for page in options.pages:
            reproduce.fill(page, {"left_out": lambda: worth, "adaptation": lambda: adapted}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(worth.T.to_string(header=False), adapted.to_string(index=False), sep="\n\n")
    return 0


def _evaluations(systems: Sequence[System], table: pd.DataFrame, options) -> Iterator[tuple[str, Evaluation]]:
    """Each system's evaluation, from the folder where it is of the same settings; what was prepared serves the next."""
    prepared: tuple[System, Material] | None = None
    for system in systems:
        kept = options.out / f"{system.name}-{options.labels}-{options.seed}-{system.settings}".replace(" ", "_")
        if not (kept / "evaluation.json").exists():
            same = prepared is not None and system.same_material(prepared[0])
            prepared = system, prepared[1] if same else system.prepare(table, jobs=options.jobs)
            system.run(prepared[1], "corpus", seed=options.seed, out=options.out / "checkpoints").save(kept)
        yield system.name, Evaluation.load(kept)


def _worth(name: str, evaluation: Evaluation) -> dict[str, str]:
    """A row of the first table."""
    rows = left_out.by_corpus(evaluation)
    row = {"recipe": name} | {
        each["corpus"]: with_interval(each["uar"], {key: each[key] for key in ("low", "high", "speakers")})
        for each in rows
    }
    row["mean"] = percent(np.mean([each["uar"] for each in rows]))
    row["lowest recall"] = ", ".join(
        f"{each['corpus']} {emotion} {percent(recall)}"
        for each in rows
        for emotion, recall in [min(each["recall"].items(), key=lambda pair: pair[1])]
    )
    row["calibration error"] = ", ".join(percent(each["expected_calibration_error"]) for each in rows)
    row["certain"] = ", ".join(percent(each["answered"]) for each in rows)
    row["of these right"] = ", ".join("–" if each["right"] is None else percent(each["right"]) for each in rows)
    return row


def _adaptation(name: str, evaluation: Evaluation, options) -> Iterator[dict[str, str]]:
    """Rows of the second table: UAR after adaptation less UAR without, for the same clips."""
    for single in (False, True):
        for clips in CLIPS:
            row = {
                "recipe": name,
                "speakers": "clips of one emotion only" if single else "as they are",
                "clips": "all" if clips is None else str(clips),
            }
            pairs = dict(_gains(evaluation, clips, single, options))
            row |= {corpus: f"{100 * after:.1f} ({100 * (after - before):+.1f})"
                    for corpus, (before, after) in pairs.items()}  # fmt: skip
            before, after = np.mean(list(pairs.values()), axis=0)
            yield row | {"mean": f"{100 * after:.1f} ({100 * (after - before):+.1f})"}


def _gains(evaluation: Evaluation, clips: int | None, single: bool, options) -> Iterator[tuple[str, tuple]]:
    """For each corpus UAR without and with adaptation, over the clips that were not adapted to."""
    predictions, labels, raw = evaluation.predictions, evaluation.labels, evaluation.uncalibrated()
    for corpus in sorted(predictions["corpus"].unique()):
        own = (predictions["corpus"] == corpus).to_numpy()
        found = left_out.calibration(raw[~own], predictions[~own], labels)
        said = apply_temperature(raw, found.temperature)
        others = predictions[~own]
        voices = Voices.fit(said[~own], others["true"], others["speaker"], labels)
        scores = []
        for draw in range(options.draws if clips else 1):
            rng = np.random.default_rng([options.seed, draw])
            plain, adapted = adapted_to(predictions[own], said[own], voices, clips, single, rng)
            scores.append(
                [
                    metrics(each.predictions["true"], each.predictions["predicted"], labels)["uar"]
                    for each in (left_out.answers(p, rows, labels) for p, rows in (plain, adapted))
                ]
            )
        yield corpus, tuple(np.mean(scores, axis=0))


def adapted_to(
    predictions: pd.DataFrame,
    probabilities: np.ndarray,
    voices: Voices,
    clips: int | None,
    single: bool,
    rng: np.random.Generator,
) -> tuple[tuple[np.ndarray, pd.DataFrame], tuple[np.ndarray, pd.DataFrame]]:
    """Answers without and with adaptation to some clips of each speaker, for the others.

    Args:
        predictions: ``speaker`` and ``true`` of each clip, ``[n]`` rows.
        probabilities: calibrated, ``[n, k]``.
        voices: of the bundle, known from other corpora.
        clips: to adapt to, drawn at random; half of the clips of who has no more; ``None`` adapts to all and answers
            for all.
        single: take the clips of one speaker and one emotion for a speaker of their own.
        rng: draws the clips.

    Returns:
        Twice probabilities and rows, of the same clips.
    """
    rest, changed = [], probabilities.copy()
    keys = ["speaker", "true"] if single else ["speaker"]
    for rows in predictions.reset_index(drop=True).groupby(keys, sort=True).indices.values():
        count = len(rows) if clips is None else min(clips, max(1, len(rows) // 2))
        drawn = rng.choice(rows, count, replace=False)
        left = rows if clips is None else np.setdiff1d(rows, drawn)
        changed[left] = without_habit(probabilities[left], offset(voices, probabilities[drawn]))
        rest.append(left)
    rest = np.sort(np.concatenate(rest))
    return (probabilities[rest], predictions.iloc[rest]), (changed[rest], predictions.iloc[rest])


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("recipes", nargs="+", metavar="RECIPE", help="names, RECIPE+ABLATION for one of its ablations")
    parser.add_argument("--pages", nargs="*", default=[], type=Path, metavar="PAGE", help="to write the tables into")
    parser.add_argument("--corpus", nargs="+", default=list(CORPORA), metavar="NAME", help="default: %(default)s")
    parser.add_argument("--labels", default="seven", help="label set (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/left_out"), metavar="FOLDER", help="keeps evaluations")
    parser.add_argument("--seed", type=int, default=0, help="of folds and draws (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=5, help="of clips to adapt to (default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="processes for features (default: one per core)")
    options = parser.parse_args(argv)
    if options.draws < 1:
        parser.error("--draws must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
