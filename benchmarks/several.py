"""``python -m benchmarks.several``: whether adaptation could notice that its clips are of two speakers.

Ten clips (eight of EmoSpeech, whose speakers have few) are divided in two, at least three in each part, in the way that
leaves most of their differences between the parts. Where more lies between them than in 99 % of draws from single
speakers of the other corpora, they are taken for those of two. Nothing is learned of the tested corpus. Clips are
compared by:

* ``answers``: logarithms of a recipe's probabilities, which is what adaptation compares (from records of
  ``python -m benchmarks.unheard``);
* ``components``: principal components of its encoder's statistics, as a bundle holds them;
* ``speakers``: of these the four directions in which speakers of the other corpora differ most, beside what clips of
  one speaker differ by. No bundle holds these.

A second table says what it costs to adapt to two speakers as one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, recipes
from ser_kit.bundles.adaptation import centred, offset
from ser_kit.core.errors import SerKitError, TableError
from ser_kit.core.probabilities import apply_temperature, without_habit
from ser_kit.evaluation import left_out, metrics, percent, to_markdown
from ser_kit.extraction import Features, extract

from . import nested

CLIPS, OF_COMMANDS, FEWEST = 10, 8, 3
"""Clips that are divided; of one-word commands; and in a part, at least."""
_QUANTILE, _COMPONENTS, _DIRECTIONS, _SHRINKAGE = 0.99, 300, 4, 0.1


def apart(x: np.ndarray) -> float:
    """How much of the squared distances of clips lies between two parts of them, relative to what lies within, in the
    division where this is greatest.

    Args:
        x: ``[clips, values]``, six clips at least.

    Examples:
        >>> round(apart(np.array([[0], [1], [2], [10], [11], [12]])), 1)
        37.5
    """
    n = len(x)
    parts = (np.arange(1, 2 ** (n - 1))[:, None] >> np.arange(n)) & 1  # the last clip is always in the other part
    counts = parts.sum(axis=1)
    enough = (counts >= FEWEST) & (n - counts >= FEWEST)
    parts, counts, x = parts[enough], counts[enough], x - x.mean(axis=0)
    between = np.square(parts @ x).sum(axis=1) * (1 / counts + 1 / (n - counts))
    return float((between / (np.square(x).sum() - between + 1e-9)).max())


def directions(x: np.ndarray, speaker: np.ndarray, corpus: np.ndarray) -> np.ndarray:
    """Linear discriminants of the speakers of each corpus, ``[values, 4]``.

    Args:
        x: ``[clips, values]``.
        speaker: ``[clips]`` who speaks; the same name in two corpora means two speakers.
        corpus: ``[clips]``.
    """
    from scipy.linalg import eigh

    within, means = [], []
    for name in np.unique(corpus):
        here = corpus == name
        own = [x[here & (speaker == each)] for each in np.unique(speaker[here])]
        within += [np.cov(clips.T) for clips in own if len(clips) > 1]
        centres = np.array([clips.mean(axis=0) for clips in own])
        means.append(centres - centres.mean(axis=0))
    means, within = np.concatenate(means), np.mean(within, axis=0)
    k = len(within)
    within = (1 - _SHRINKAGE) * within + _SHRINKAGE * np.trace(within) / k * np.eye(k)
    return eigh(means.T @ means, within, subset_by_index=(max(0, k - _DIRECTIONS), k - 1))[1]


def noticed(x: np.ndarray, table: pd.DataFrame, corpus: str, draws: int) -> tuple[float, float]:
    """Shares of draws from two speakers, and from one, that are taken for those of two.

    Args:
        x: ``[clips, values]`` to compare them by.
        table: ``corpus`` and ``speaker`` of each, ``[clips]`` rows.
        corpus: that is tested; the threshold comes from the others.
        draws: from each corpus, of each kind.
    """
    rng = np.random.default_rng(0)

    def drawn(name: str, people: int) -> list[float]:
        n = (OF_COMMANDS if name == nested.COMMANDS else CLIPS) // people
        groups = table.index[table["corpus"] == name].groupby(table.loc[table["corpus"] == name, "speaker"])
        groups = [rows for rows in groups.values() if len(rows) >= n]
        found = []
        for _ in range(draws):
            chosen = rng.choice(len(groups), people, replace=False)
            rows = np.concatenate([rng.choice(groups[each], n, replace=False) for each in chosen])
            found.append(apart(x[rows]))
        return found

    known = [value for name in sorted(table["corpus"].unique()) if name != corpus for value in drawn(name, 1)]
    above = np.quantile(known, _QUANTILE)
    return tuple(float(np.mean(np.array(drawn(corpus, people)) > above)) for people in (2, 1))


def mixed(tested: nested.Tested, draws: int) -> dict[str, str]:
    """UAR in percent: not adapted, adapted by ten other clips of the speaker, and by five and five of another."""
    predictions, labels = tested.evaluation.predictions, np.array(tested.evaluation.labels)
    sharpness = tested.evaluation.sharpness
    plain = apply_temperature(tested.probabilities, sharpness)
    speaker, rows = predictions["speaker"].to_numpy(), np.arange(len(predictions))

    def uar(said: np.ndarray) -> float:
        given = left_out.among(said, predictions["true"], predictions["corpus"], labels)
        return metrics(predictions["true"], labels[given.argmax(axis=1)], labels)["uar"]

    scores = []
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        alone, both = np.empty_like(tested.probabilities), np.empty_like(tested.probabilities)
        for row in rows:
            own = rng.permutation(rows[(speaker == speaker[row]) & (rows != row)])[:CLIPS]
            another = rng.choice(speaker[speaker != speaker[row]])
            others = rng.permutation(rows[speaker == another])[: CLIPS // 2]
            for said, used in ((alone, own), (both, np.concatenate([own[: CLIPS // 2], others]))):
                habit = sharpness[row] * offset(tested.voices, plain[used])
                said[row] = without_habit(tested.probabilities[row], habit)
        scores.append((uar(alone), uar(both)))
    alone, both = np.mean(scores, axis=0)
    return {
        "none": percent(uar(tested.probabilities)),
        "ten clips of the speaker": percent(alone),
        "five, and five of another": percent(both),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if records or recordings cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.several", description=__doc__)
    text = "of python -m benchmarks.unheard (default: %(default)s)"
    parser.add_argument("--records", type=Path, default=Path("runs/unheard"), metavar="FOLDER", help=text)
    parser.add_argument("--recipe", default="whisper_base_linear", metavar="NAME", help="default: %(default)s")
    parser.add_argument("--draws", type=int, default=500, help="of each kind (default: %(default)s)")
    options = parser.parse_args(argv)
    try:
        found = {each.name: each for each in nested.load(options.records)}
        if options.recipe not in found:
            raise TableError(f"{options.records} has no answers of {options.recipe}; it has {', '.join(found)}")
        answers = found[options.recipe].corpora
        features = extract(corpora.load(list(answers), labels="seven"), recipes.get(options.recipe).extractor)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    for table in tables(answers, features, options.draws):
        print(f"{to_markdown(table)}\n")
    return 0


def tables(answers: Mapping[str, nested.Tested], features: Features, draws: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """How often two speakers are noticed, and what adapting to them costs; in percent.

    Args:
        answers: for each corpus that was left out.
        features: of the encoder, of these corpora.
        draws: for the first table; the second takes the mean of five.
    """
    from sklearn.decomposition import PCA

    said = [
        pd.DataFrame(centred(apply_temperature(each.probabilities, each.evaluation.sharpness))).set_index(
            each.evaluation.predictions["clip_id"]
        )
        for each in answers.values()
    ]
    table = features.table[["corpus", "speaker"]].reset_index(drop=True)
    said = pd.concat(said).reindex(features.table["clip_id"]).to_numpy()
    rows = []
    for name in tqdm(answers, unit="corpus", leave=False):
        others = (table["corpus"] != name).to_numpy()
        x = (features.values - features.values[others].mean(axis=0)) / features.values[others].std(axis=0)
        components = min(_COMPONENTS, *x[others].shape)
        x = PCA(components, svd_solver="randomized", random_state=0).fit(x[others]).transform(x)
        found = directions(x[others], table["speaker"].to_numpy()[others], table["corpus"].to_numpy()[others])
        views = {"answers": said, "components": x, "speakers": x @ found}
        shares = {view: noticed(values, table, name, draws) for view, values in views.items()}
        rows.append(
            {"left out": name}
            | {f"{view}: two noticed": percent(two) for view, (two, _) in shares.items()}
            | {f"{view}: one taken for two": percent(one) for view, (_, one) in shares.items()}
        )
    costs = [{"left out": name, **mixed(tested, 5)} for name, tested in answers.items()]
    return pd.DataFrame(rows), pd.DataFrame(costs)


if __name__ == "__main__":
    sys.exit(main())
