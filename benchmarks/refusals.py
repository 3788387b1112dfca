"""``python -m benchmarks.refusals``: what a predictor makes of sounds that are no speech, and of clips that are.

It hears made-up sounds of many kinds, and of the corpora named all clips that its thresholds were not set by
(:data:`SET_BY`). The goal: it refuses or doubts at least 95 % of the sounds, and at most 3 % of the clips of each
corpus of real voices.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from ser_kit import corpora
from ser_kit.audio import Source
from ser_kit.core.errors import SerKitError, TableError
from ser_kit.evaluation import to_markdown
from ser_kit.inference.prediction import Failure, Prediction
from ser_kit.inference.predictor import Predictor

from . import sounds

SOUNDS_AT_LEAST, CLIPS_AT_MOST = 95, 3  # %
DOUBTS = {
    "no speech": "it does not sound like speech",
    "strange": "it is unlike the training recordings",
    "no emotion": "no emotion stands out",
}
"""Why an answer is uncertain, and how the predictor's reason then begins."""
SET_BY = {
    "ravdess": {},
    "emodb": {
        "emotion": ("neutral", "happy", "sad", "angry"),
        "speaker": tuple(f"emodb:{i:02}" for i in (3, 8, 9, 10, 11)),
    },
    "nemo": {"speaker": ("nemo:EB0", "nemo:KS0")},
}
"""The clips that the thresholds of :mod:`ser_kit.inference.speech_check` were set by, so that none of them was refused,
and that the shipped bundle was trained on: corpus -> the values of columns that they have."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if the bundle or a corpus cannot be had."""
    options = _options(argv)
    try:
        table = measured(Predictor.open(options.bundle), options.corpus, options.seeds)
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.bundle or 'the default preset'}, {options.seeds} sounds of each kind; shares in %\n")
    print(to_markdown(table.round(1)))
    if options.json:
        facts = {"bundle": options.bundle, "seeds": options.seeds, "rows": table.to_dict("records")}
        options.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return 0


def measured(predictor: Predictor, names: Iterable[str], seeds: int) -> pd.DataFrame:
    """What comes of each kind of sound, of all of them, and of the clips of each corpus.

    Args:
        predictor: what hears them.
        names: corpora, without the clips of :data:`SET_BY`.
        seeds: how many sounds of each kind.

    Returns:
        ``what``, how many ``recordings``, the % that were ``refused`` (an error: silent, too short) or met each of
        :data:`DOUBTS`, the % ``in all``, and the ``goal`` with whether it is met (``""`` where there is none).

    Raises:
        SerKitError: a corpus is unknown, its recordings cannot be had, or all of them set the thresholds.
    """
    tables = {name: set_nothing(corpora.load(name)) for name in names}  # what is missing is missed before the work
    made = [(kind, seed) for kind in sounds.KINDS for seed in range(seeds)]
    sources = ((sounds.make(kind, seed), sounds.RATE) for kind, seed in made)
    outcomes = _outcomes(predictor, sources, len(made), "made-up sounds")
    heard = pd.DataFrame({"what": [kind for kind, _ in made], "outcome": outcomes})
    rows = [_row(kind, heard.loc[heard["what"] == kind, "outcome"]) for kind in sounds.KINDS]
    rows.append(_row("all sounds", heard["outcome"], at_least=SOUNDS_AT_LEAST))
    for name, table in tables.items():
        title = f"clips of {name}"
        # The demo corpus is made up too, and strange to whoever learned from people.
        at_most = None if name == "demo" else CLIPS_AT_MOST
        rows.append(_row(title, _outcomes(predictor, corpora.sources(table), len(table), title), at_most=at_most))
    return pd.DataFrame(rows)


def set_nothing(table: pd.DataFrame) -> pd.DataFrame:
    """The clips of a table that no threshold was set by.

    Raises:
        TableError: there are none.
    """
    used = pd.Series(False, table.index)
    for corpus, values in SET_BY.items():
        alike = [table[column].isin(known) for column, known in values.items()]
        used |= (table["corpus"] == corpus) & pd.concat([pd.Series(True, table.index), *alike], axis=1).all(axis=1)
    if used.all():
        raise TableError(
            f"the thresholds were set by all clips of {', '.join(table['corpus'].unique())} that are here; expected a "
            "corpus with others"
        )
    left = table[~used].reset_index(drop=True)
    left.attrs = table.attrs
    return left


def outcome(answer: Prediction | Failure) -> str:
    """``"refused"``, one of :data:`DOUBTS`, or ``""`` for an answer without a doubt.

    Args:
        answer: what :meth:`~ser_kit.inference.predictor.Predictor.predict_many` yielded.

    Examples:
        >>> outcome(Failure("clip.wav", "clip.wav is silent; expected a recording with speech in it"))
        'refused'
    """
    if isinstance(answer, Failure):
        return "refused"
    return next((name for name, reason in DOUBTS.items() if answer.reason.startswith(reason)), "")


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.refusals", description=__doc__)
    parser.add_argument("--bundle", metavar="FOLDER_OR_PRESET", help="what predicts; the default preset if not given")
    parser.add_argument("--seeds", type=int, default=10, help="sounds of each kind (default: %(default)s)")
    parser.add_argument("--corpus", nargs="+", default=["demo"], metavar="NAME", help="looked for in SER_KIT_DATA")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there")
    options = parser.parse_args(argv)
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    return options


def _outcomes(predictor: Predictor, sources: Iterable[Source], count: int, title: str) -> list[str]:
    answers = tqdm(predictor.predict_many(sources), total=count, desc=title, unit="recording", leave=False)
    return [outcome(answer) for answer in answers]


def _row(what: str, outcomes: Iterable[str], at_least: int | None = None, at_most: int | None = None) -> dict:
    outcomes = pd.Series(outcomes)
    shares = {name: 100 * float((outcomes == name).mean()) for name in ("refused", *DOUBTS)}
    together = 100 * float((outcomes != "").mean())
    goal = ""
    if at_least is not None:
        goal = f"at least {at_least}: {'yes' if together >= at_least else 'NO'}"
    if at_most is not None:
        goal = f"at most {at_most}: {'yes' if together <= at_most else 'NO'}"
    return {"what": what, "recordings": len(outcomes), **shares, "in all": together, "goal": goal}


if __name__ == "__main__":
    sys.exit(main())
