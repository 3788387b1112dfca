"""``python -m benchmarks.robustness``: a system on unseen speakers, when recordings are worse than those learned from.

Every test clip of every fold is answered for as it is, in noise, over a telephone line, as MP3 of 32 kbit/s and in a
room. The table and the figure go into Markdown pages, between the marks
``<!-- robustness: made by python -m benchmarks.robustness -->`` and ``<!-- end of robustness -->``.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from ser_kit import corpora, recipes
from ser_kit.audio import read_audio
from ser_kit.audio.augment import AddNoise, Room, Telephone
from ser_kit.core.errors import SerKitError
from ser_kit.evaluation import metrics, percent
from ser_kit.recipes import reproduce

COMMAND = "python -m benchmarks.robustness"
RATE = 16_000
AT_10_DB = 8.0
"""Points of UAR that noise of 10 dB may cost at most."""


def _babble(voices: Sequence[np.ndarray], snr: float) -> Callable[[np.ndarray, int], np.ndarray]:
    """Six people at once, other than the one who is tested, so much softer than that one."""

    def add(samples: np.ndarray, number: int) -> np.ndarray:
        rng = np.random.default_rng(number)
        others = sum(np.resize(voices[i], len(samples)) for i in rng.choice(len(voices), 6, replace=False))
        return samples + others * (np.std(samples) / np.std(others) * 10 ** (-snr / 20))

    return add


def _step(step: Callable) -> Callable[[np.ndarray, int], np.ndarray]:
    return lambda samples, number: step(samples, RATE)


def mp3(samples: np.ndarray, number: int = 0) -> np.ndarray:
    """Through MP3 of 32 kbit/s and back, as long as before."""
    buffer = io.BytesIO()
    # libsndfile's constant bit rates for 16 kHz go from 8 to 160 kbit/s, the best quality (0.0) being the highest.
    level = 1 - (32 - 8) / (160 - 8)
    with soundfile.SoundFile(
        buffer, "w", RATE, 1, format="MP3", bitrate_mode="CONSTANT", compression_level=level
    ) as file:
        file.write(samples)
    decoded = read_audio(buffer.getvalue(), sr=RATE).samples
    return np.resize(decoded, len(samples)) if len(decoded) < len(samples) else decoded[: len(samples)]


def conditions(voices: Sequence[np.ndarray]) -> dict[str, Callable[[np.ndarray, int], np.ndarray]]:
    """Name -> what makes a clip's samples worse, given its number.

    Args:
        voices: clips of people who are not tested, for babble.
    """
    found: dict[str, Callable] = {"as recorded": lambda samples, number: samples}
    for snr in (20, 10, 5, 0):
        found[f"white noise, {snr} dB"] = _step(AddNoise(snr_low=snr, snr_high=snr))
    for snr in (20, 10, 5, 0):
        found[f"babble, {snr} dB"] = _babble(voices, snr)
    return found | {
        "telephone": _step(Telephone()),
        "MP3, 32 kbit/s": mp3,
        "a room": _step(Room()),
    }


def measured(
    system: recipes.System, names: Sequence[str], tested: str, protocol: str, out: Path, seed: int = 0
) -> pd.DataFrame:
    """The UAR of each fold (rows) under each condition (columns).

    Args:
        system: what is trained, where its checkpoints are not there yet.
        names: corpora to learn from.
        tested: the one of these that is tested.
        protocol: whose folds; its speakers must be unseen.
        out: folder of the checkpoints, as ``ser-kit reproduce`` leaves them with ``--folds``.
        seed: of folds and trainings.
    """
    table = corpora.load(list(names), labels=system.labels)
    material = system.prepare(table)
    rows = []
    for fold in system.folds(material, protocol, seed):
        bundle, _ = system.fit_fold(material, fold, out=out, title=f"{system.name} {fold.name}")
        train = material.table.iloc[fold.train]
        some = corpora.sample(train, 60)
        voices = [read_audio(source, sr=RATE).samples for source in corpora.sources(some)]
        clips = material.table.iloc[fold.test].query("corpus == @tested")
        made, row = conditions(voices), {}
        (extractor,) = bundle.extractors
        said = {name: [] for name in made}
        bar = tqdm(corpora.sources(clips), desc=f"fold {fold.index + 1}", unit="clip", leave=False)
        for number, source in enumerate(bar):
            samples = read_audio(source, sr=RATE).samples
            for name, worsen in made.items():
                values = extractor.extract((np.asarray(worsen(samples, number), np.float32), RATE))[None]
                said[name].append(material.labels[int(bundle.probabilities(values)[0].argmax())])
        for name, answers in said.items():
            row[name] = metrics(clips["emotion"], answers, material.labels)["uar"]
        rows.append(row)
    return pd.DataFrame(rows)


def shown(scores: pd.DataFrame) -> pd.DataFrame:
    """Text: mean ± standard deviation over folds, and the loss beside the clips as they were recorded."""
    clean = scores["as recorded"]
    return pd.DataFrame(
        {
            "recordings": scores.columns,
            "UAR": [f"{percent(scores[name].mean())} ± {percent(scores[name].std())}" for name in scores],
            "loss": [
                "–" if name == "as recorded" else f"{100 * (clean - scores[name]).mean():z.1f}" for name in scores
            ],
        }
    )


def figure(scores: pd.DataFrame, path: Path, title: str) -> None:
    """A bar for each condition, with the folds as dots."""
    import matplotlib.pyplot as plt

    drawn, axes = plt.subplots(figsize=(8, 4.2), layout="constrained")
    places = np.arange(len(scores.columns))
    axes.barh(places, 100 * scores.mean(), color="#4c78a8", alpha=0.85)
    for _, row in scores.iterrows():
        axes.plot(100 * row, places, ".", color="#222222", markersize=5)
    axes.set(yticks=places, yticklabels=scores.columns, xlabel="UAR on unseen speakers, %; dots are folds", title=title)
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    drawn.savefig(path, dpi=110)
    plt.close(drawn)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a corpus cannot be had or a page has no place for the table."""
    options = _options(argv)
    try:
        system = recipes.get(options.system)
        scores = measured(system, options.corpus, options.corpus[0], options.protocol, options.out, options.seed)
        table = shown(scores)
        for page in options.pages:
            reproduce.fill(page, {"robustness": lambda: table}, COMMAND)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    if options.figure:
        figure(scores, options.figure, f"{options.system}: worse recordings, clips of {options.corpus[0]}")
    print(table.to_string(index=False))
    loss = 100 * (scores["as recorded"] - scores["white noise, 10 dB"]).mean()
    print(f"white noise of 10 dB costs {loss:.1f} points; goal: at most {AT_10_DB:g}")
    return 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="Markdown pages with a place for the table")
    parser.add_argument("--system", default="from_scratch", help="(default: %(default)s)")
    text = "to learn from; the first is tested (default: ravdess)"
    parser.add_argument("--corpus", nargs="+", default=["ravdess"], metavar="NAME", help=text)
    parser.add_argument("--protocol", default="emobox", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/robustness"), help="for checkpoints (%(default)s)")
    parser.add_argument("--figure", type=Path, help="a PNG file to draw into")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
