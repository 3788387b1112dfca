"""``python -m benchmarks.opensmile_svm``: the field's classical baseline, on the folds of unseen speakers.

openSMILE's ComParE_2016 functionals, standardised, and a linear support vector machine whose C is chosen for every fold
on its training speakers alone (the fold's functionals standardised on them alone, too). Needs openSMILE:
``pip install "ser-kit[bench]"``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, protocols
from ser_kit.audio import load_audio
from ser_kit.core.errors import SerKitError, TableError
from ser_kit.core.paths import write_whole

FILE = "opensmile_svm.json"
_CHOICES = (1e-5, 1e-4, 1e-3, 1e-2)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if the corpus cannot be had or openSMILE is not there."""
    options = _options(argv)
    try:
        table = corpora.load(options.corpus, labels="eight")
        scores = folds(table, compare(table), protocols.get(options.protocol)(table, 0))
    except ImportError:
        print('openSMILE is not installed: pip install "ser-kit[bench]"', file=sys.stderr)
        return 1
    except SerKitError as error:
        print(error, file=sys.stderr)
        return 1
    facts = {"corpus": options.corpus, "protocol": options.protocol, "folds": [round(score, 4) for score in scores]}
    options.out.mkdir(parents=True, exist_ok=True)
    write_whole(options.out / FILE, json.dumps(facts, indent=1).encode())
    print(f"UAR {100 * np.mean(scores):.1f} ± {100 * np.std(scores, ddof=1):.1f} %: {facts['folds']}")
    return 0


def compare(table: pd.DataFrame) -> np.ndarray:
    """ComParE_2016 functionals, ``[clips, 6373]``."""
    import opensmile

    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.ComParE_2016, feature_level=opensmile.FeatureLevel.Functionals
    )
    paths = tqdm(table["path"], desc="ComParE_2016", unit="clip")
    return np.concatenate([smile.process_signal(load_audio(path), 16000).to_numpy() for path in paths])


def folds(table: pd.DataFrame, values: np.ndarray, divided: Sequence[protocols.Fold]) -> list[float]:
    """UAR of each fold."""
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import LinearSVC

    labels, speakers = table["label"].to_numpy(), table["speaker"].to_numpy()
    scores = []
    for fold in tqdm(divided, desc="folds"):
        train = np.union1d(fold.train, fold.validation)
        machine = make_pipeline(StandardScaler(), LinearSVC(class_weight="balanced", random_state=0))
        search = GridSearchCV(machine, {"linearsvc__C": _CHOICES}, scoring="balanced_accuracy", cv=GroupKFold(5))
        search.fit(values[train], labels[train], groups=speakers[train])
        scores.append(float(balanced_accuracy_score(labels[fold.test], search.predict(values[fold.test]))))
    return scores


def load(folder: Path) -> list[float]:
    """What :func:`main` found: UAR of each fold.

    Raises:
        TableError: it has not been run.
    """
    try:
        return json.loads((folder / FILE).read_text(encoding="utf-8"))["folds"]
    except FileNotFoundError:
        raise TableError(f"{folder / FILE} is not there; python -m benchmarks.opensmile_svm makes it") from None


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.opensmile_svm", description=__doc__)
    parser.add_argument("--corpus", default="ravdess", help="looked for in SER_KIT_DATA (default: %(default)s)")
    parser.add_argument("--protocol", default="emobox", help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path("results/own_systems"), help=f"folder for {FILE} (default: %(default)s)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
