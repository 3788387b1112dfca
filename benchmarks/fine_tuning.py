"""``python -m benchmarks.fine_tuning``: what a head trained on your own clips gains over its start.

The preset was trained on nEMO and EMO-DB, so each is tested from a bundle like it that was not: ``whisper_base_linear``
without augmented copies, trained on the other corpora (kept under ``--out``; a second call uses it again).

- ``ic0``: nEMO's speaker IC0. Some of her clips, equally many of each emotion, are drawn and trained on; all others are
  tested. Mean, smallest and largest of the draws.
- ``emodb``: EMO-DB with its labels renamed to German, so that none is the start's; each speaker is left out in turn.

``--unfreeze`` measures what training the encoder's blocks instead would take: seconds for one pass over a clip of 3 s,
forward alone and with the gradients of the last block or of all blocks.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ser_kit import corpora, recipes
from ser_kit.bundles import Bundle
from ser_kit.core.errors import SerKitError
from ser_kit.core.labels import merged
from ser_kit.evaluation import metrics, to_markdown
from ser_kit.evaluation.resampling import paired_difference
from ser_kit.protocols import Fold
from ser_kit.training.head import matched

CORPORA = ("emodb", "nemo", "ravdess", "ravdess_song", "emospeech", "tess")
GERMAN = {
    "angry": "Wut", "boredom": "Langeweile", "disgust": "Ekel", "fear": "Angst", "happy": "Freude",
    "neutral": "neutral", "sad": "Trauer",
}  # fmt: skip
SIZES = (30, 100, 300)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a corpus cannot be had."""
    options = _options(argv)
    try:
        if options.unfreeze:
            print(to_markdown(unfrozen(options.seed)))
        if "ic0" in options.test:
            print(to_markdown(one_speaker(start_without("nemo", options.out), options.draws, options.seed)))
        if "emodb" in options.test:
            print(to_markdown(renamed(start_without("emodb", options.out), options.seed)))
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def start_without(corpus: str, out: Path) -> str:
    """Folder of a bundle that was trained on all corpora but one; trained if it is not there."""
    folder = out / f"without-{corpus}"
    if not (folder / "card.json").exists():
        system = recipes.get("whisper_base_linear+without copies")
        table = corpora.load([name for name in CORPORA if name != corpus], labels="seven")
        prepared = system.prepare(table)
        everything = np.arange(len(prepared.y))
        fold = Fold("all", 0, 0, train=everything, validation=everything[:0], test=everything[:0])
        bundle, _ = system.fit_fold(prepared, fold)
        Bundle({**bundle.card, "uncertain_below": 0.0, "typical": {}}, bundle.members).save(folder)
    return str(folder)


def one_speaker(start: str, draws: int, seed: int) -> pd.DataFrame:
    """Table of IC0: clips trained on, UAR of the start alone and of the head, and the difference."""
    table = corpora.load("nemo")
    table = table[table["speaker"] == "nemo:IC0"].reset_index(drop=True)
    system = recipes.Continued.of(start)
    prepared = system.prepare(table)
    given, rows = system.start_probabilities(prepared), []
    own = Bundle.load(start).labels
    counted = merged(own, prepared.labels)
    match = np.array([[name in counted[label] for label in prepared.labels] for name in own], float)
    for size in SIZES:
        scores = []
        for draw in range(draws):
            rng = np.random.default_rng([seed, draw])
            each = [rng.permutation(np.flatnonzero(prepared.y == k))[: size // 6] for k in range(len(prepared.labels))]
            train = np.concatenate(each)
            test = np.setdiff1d(np.arange(len(prepared.y)), train)
            fold = Fold("drawn", draw, seed, train=train, validation=train[:0], test=test)
            found, _ = system.fit_fold(prepared, fold)
            first = _predictions(prepared, test, found.probabilities(prepared.values(test)))
            second = _predictions(prepared, test, given[test] @ match)
            uar = [metrics(part["true"], part["predicted"], prepared.labels)["uar"] for part in (first, second)]
            scores.append((*uar, *paired_difference(first, second, by="clip_id")))
        head, alone, low, high = 100 * np.array(scores).T
        rows.append(
            {
                "clips of hers": 6 * (size // 6),
                "start alone": f"{alone.mean():.1f}",
                "with the head": f"{head.mean():.1f} ({head.min():.1f} to {head.max():.1f})",
                "difference": f"{(head - alone).mean():+.1f}",
                "95 % interval over clips, widest of the draws": f"{low.min():+.1f} to {high.max():+.1f}",
                "draws": draws,
            }
        )
    return pd.DataFrame(rows)


def renamed(start: str, seed: int) -> pd.DataFrame:
    """Table of EMO-DB with German labels; each speaker is left out in turn."""
    table = corpora.load("emodb")
    table["label"] = table["emotion"].map(GERMAN)
    table.attrs["labels"] = sorted(GERMAN.values())
    system = recipes.Continued.of(start)
    prepared = system.prepare(table)
    given, speakers = system.start_probabilities(prepared), prepared.table["speaker"].to_numpy()
    own, alone, changes = [], [], []
    for index, speaker in enumerate(np.unique(speakers)):
        test, train = np.flatnonzero(speakers == speaker), np.flatnonzero(speakers != speaker)
        fold = Fold("loso", index, seed, train, train[:0], test, ("speaker",))
        found, _ = system.fit_fold(prepared, fold)
        own.append(_predictions(prepared, test, found.probabilities(prepared.values(test))))
        match = matched(given[train], prepared.y[train], len(prepared.labels))
        alone.append(_predictions(prepared, test, given[test] @ match))
        right = [np.mean(each[-1]["true"] == each[-1]["predicted"]) for each in (own, alone)]
        changes.append(100 * (right[0] - right[1]))
    first, second = pd.concat(own, ignore_index=True), pd.concat(alone, ignore_index=True)
    uar = [metrics(part["true"], part["predicted"], prepared.labels)["uar"] for part in (first, second)]
    row = {
        "clips": len(first),
        "start alone": f"{100 * uar[1]:.1f}",
        "with the head": f"{100 * uar[0]:.1f}",
        "difference": f"{100 * (uar[0] - uar[1]):+.1f}",
    }
    for name, by in (("5 speakers", "speaker"), ("clips", "clip_id")):
        low, high = paired_difference(first, second, by=by)
        row[f"95 % interval over {name}"] = f"{100 * low:+.1f} to {100 * high:+.1f}"
    row["difference in accuracy of each speaker"] = ", ".join(f"{change:+.1f}" for change in changes)
    return pd.DataFrame([row])


def unfrozen(seed: int, rounds: int = 5) -> pd.DataFrame:
    """Seconds for a clip of 3 s, of all cores: forward, and with the gradients of some blocks of Whisper base."""
    import tensorflow as tf

    from ser_kit.features import encoders

    samples = np.random.default_rng(seed).normal(0, 0.1, (1, 48_000)).astype("float32")
    network = encoders.load("whisper_base", (5,))
    blocks = [layer for layer in network.layers if layer.name.startswith("block_")]

    @tf.function
    def step(x, variables):
        with tf.GradientTape() as tape:
            tape.watch(variables)
            loss = tf.reduce_mean(tf.square(network(x)))
        return tape.gradient(loss, variables)

    def timed(work) -> float:
        work()
        spent = []
        for _ in range(rounds):
            started = time.process_time()
            work()
            spent.append(time.process_time() - started)
        return min(spent)

    forward = tf.function(network)
    rows = [{"trained": "nothing (forward)", "seconds of one core": timed(lambda: forward(samples))}]
    for name, some in (("block 5", blocks[-1:]), ("blocks 1 to 5", blocks)):
        variables = [variable.value for block in some for variable in block.variables]
        rows.append({"trained": name, "seconds of one core": timed(lambda found=variables: step(samples, found))})
    table = pd.DataFrame(rows)
    table["minutes for 500 clips, 10 epochs, two cores"] = (table["seconds of one core"] * 5000 / 60 / 2).round(1)
    return table.round({"seconds of one core": 3})


def _predictions(prepared, rows: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    labels = np.array(prepared.labels)
    found = prepared.table.iloc[rows][["clip_id", "speaker"]].reset_index(drop=True)
    return found.assign(true=labels[prepared.y[rows]], predicted=labels[probabilities.argmax(axis=1)])


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fine_tuning", description=__doc__)
    text = "which of ic0 and emodb (default: both)"
    parser.add_argument("--test", nargs="*", choices=("ic0", "emodb"), default=["ic0", "emodb"], help=text)
    parser.add_argument("--draws", type=int, default=5, help="draws of clips of IC0 (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draws and folds (default: %(default)s)")
    parser.add_argument("--unfreeze", action="store_true", help="measure what training the encoder would take")
    text = "for the bundles that are started from (default: %(default)s)"
    parser.add_argument("--out", type=Path, default=Path("runs/fine_tuning"), metavar="FOLDER", help=text)
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
