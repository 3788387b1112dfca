"""``python -m benchmarks.explanations``: whether the stretches that an explanation names matter.

Of each clip a fifth of the stretches that hold sound is taken out: those of largest effect
(:func:`ser_kit.inference.explain`), and as many at random, the mean of ``--draws``. The answer must fall by more in
the first case. Two ways: replaced by noise, as where the effects were measured, and cut out, so that what stood before
and after is joined. Clips of one stretch and of more than one window are not counted. After Ctrl-C the table is of the
clips that are done.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora
from ser_kit.audio.recording import Recording, read_audio
from ser_kit.core.errors import SerKitError
from ser_kit.evaluation import to_markdown
from ser_kit.evaluation.resampling import interval
from ser_kit.inference import Explanation, Predictor, explain
from ser_kit.inference.explaining import silenced
from ser_kit.inference.pieces import LONG_SECONDS

SHARE = 0.2
_SOUND_DB = 40  # below the loudest stretch; what is lower may be silence, whose removal would prove nothing


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if the bundle or a corpus cannot be had."""
    options = _options(argv)
    try:
        predictor = Predictor.open(options.bundle)
        table = pd.concat([corpora.load(name) for name in options.corpus], ignore_index=True)
        table = corpora.sample(table, options.clips, options.seed)
        found = measured(predictor, corpora.sources(table), options.draws, options.seed)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.bundle or 'the default preset'}, {', '.join(options.corpus)}, seed {options.seed}\n")
    print(to_markdown(summary(found)))
    return 0


def measured(predictor: Predictor, sources: Sequence, draws: int, seed: int) -> pd.DataFrame:
    """Fall of the answer's probability for each clip, without the top stretches and without random ones."""
    rows: list[dict[str, float]] = []
    try:
        for number, source in enumerate(tqdm(sources, unit="clip")):
            rows += _of_clip(predictor, source, draws, np.random.default_rng([seed, number]))
    except KeyboardInterrupt:
        print(f"interrupted after {len(rows)} clips", file=sys.stderr)
    return pd.DataFrame(rows)


def _of_clip(predictor: Predictor, source, draws: int, rng: np.random.Generator) -> list[dict[str, float]]:
    recording = read_audio(source, sr=predictor.bundle.rate)
    if recording.duration > LONG_SECONDS:
        return []
    found = explain(predictor, recording, bands=())
    sounding = _sounding(recording, found)
    count = max(1, round(SHARE * len(sounding)))
    if len(sounding) <= count:
        return []
    top = sorted(sounding, key=lambda i: -found.stretches[i].effect)[:count]
    drawn = [list(rng.choice(sounding, count, replace=False)) for _ in range(draws)]
    row = {"answer": found.probability}
    for way, take_out in (("replaced by noise", _replaced), ("cut out", _cut)):
        falls = [found.probability - _after(predictor, found, take_out, recording, each) for each in (top, *drawn)]
        row |= {f"{way}, top": falls[0], f"{way}, random": float(np.mean(falls[1:]))}
    return [row]


def summary(found: pd.DataFrame) -> pd.DataFrame:
    """Mean fall in points, the difference and its bootstrap interval over clips, for each way."""
    rows = []
    for way in ("replaced by noise", "cut out"):
        top, chance = found[f"{way}, top"].to_numpy(), found[f"{way}, random"].to_numpy()
        drawn = np.random.default_rng(0).integers(len(found), size=(1000, len(found)))
        low, high = interval((top - chance)[drawn].mean(axis=1))
        rows.append(
            {
                "taken out": way,
                "clips": len(found),
                "top stretches": f"{100 * top.mean():.1f}",
                "random stretches": f"{100 * chance.mean():.1f}",
                "difference": f"{100 * (top - chance).mean():.1f} [{100 * low:.1f}, {100 * high:.1f}]",
                "clips where the top ones matter more": f"{100 * (top > chance).mean():.0f} %",
            }
        )
    return pd.DataFrame(rows)


def _sounding(recording: Recording, found: Explanation) -> list[int]:
    """Indices of the stretches that hold sound."""
    rate, powers = recording.rate, []
    for part in found.stretches:
        samples = recording.samples[round(part.low * rate) : round(part.high * rate)]
        powers.append(float(np.mean(np.square(samples))) if len(samples) else 0.0)
    least = max(powers) * 10 ** (-_SOUND_DB / 10)
    return [i for i, power in enumerate(powers) if power > least]


def _after(predictor: Predictor, found: Explanation, take_out, recording: Recording, places: Sequence[int]) -> float:
    left = take_out(recording, [(found.stretches[i].low, found.stretches[i].high) for i in sorted(places)])
    return predictor.answers.named(predictor.predict_window(left).probabilities)["probabilities"][found.emotion]


def _replaced(recording: Recording, spans: Sequence[tuple[float, float]]) -> Recording:
    for span in spans:
        recording = silenced(recording, *span)
    return recording


def _cut(recording: Recording, spans: Sequence[tuple[float, float]]) -> Recording:
    kept = np.ones(len(recording.samples), bool)
    for low, high in spans:
        kept[round(low * recording.rate) : round(high * recording.rate)] = False
    return replace(recording, samples=recording.samples[kept])


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.explanations", description=__doc__)
    parser.add_argument("--bundle", metavar="FOLDER_OR_PRESET", help="what predicts; the default preset if not given")
    text = "clips are drawn from these (default: %(default)s)"
    parser.add_argument("--corpus", nargs="+", default=["ravdess", "nemo", "emodb"], metavar="NAME", help=text)
    parser.add_argument("--clips", type=int, default=200, help="how many (default: %(default)s)")
    parser.add_argument("--draws", type=int, default=5, help="of random stretches (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of clips and stretches (default: %(default)s)")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
