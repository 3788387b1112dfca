"""Recipes on corpora that they did not learn from: what is trained, kept and shown by ``python -m benchmarks.unheard``.

Each corpus is tested by a model that learned from the others. Its temperature, its threshold and what adaptation needs
come from models that learned from neither it nor the corpus that they answer for (:func:`ser_kit.protocols.leave_out`
of both): two such corpora need one training, so five corpora take 5 and 10. Every training leaves its answers in a
folder, an :class:`~ser_kit.evaluation.Evaluation`; all tables are made of these.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from ser_kit import corpora, protocols
from ser_kit.bundles.adaptation import Voices, offset
from ser_kit.core.errors import TableError
from ser_kit.core.labels import EMOTIONS
from ser_kit.core.probabilities import apply_temperature, logarithms, softmax, without_habit
from ser_kit.evaluation import Evaluation, bootstrap, left_out, metrics, percent, plain, with_interval
from ser_kit.recipes import System

TESTED = ("ravdess", "emodb", "tess", "nemo", "emospeech")
ONLY_LEARNED = ("ravdess_song",)
COMMANDS = "emospeech"
"""A corpus of one-word commands, on which all that was tried stays near chance: means are given without it, too."""
CLIPS, OF_ONE_EMOTION = (2, 5, 10, 20, None), (5, 20, None)
"""Clips of a speaker that adaptation rests on; ``None`` for all."""
SHARES = (0.1, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Answers:
    """What one recipe answered for corpora that it did not learn from.

    Args:
        name: of the recipe.
        by_left_out: the corpora left out of a training, one or two -> answers for their clips.
    """

    name: str
    by_left_out: dict[frozenset[str], Evaluation]

    @property
    def tested(self) -> list[str]:
        """The corpora that were left out alone, in the usual order."""
        names = sorted(name for each in self.by_left_out if len(each) == 1 for name in each)
        return [*(name for name in TESTED if name in names), *(name for name in names if name not in TESTED)]

    @cached_property
    def corpora(self) -> dict[str, Tested]:
        """The answers for each corpus, calibrated by those for the others."""
        return {name: self._calibrated(name) for name in self.tested}

    @property
    def nested(self) -> bool:
        """Whether no temperature, threshold or adaptation comes from a model that learned from the tested corpus."""
        return all(frozenset(pair) in self.by_left_out for pair in combinations(self.tested, 2))

    def _others(self, name: str) -> tuple[np.ndarray, pd.DataFrame]:
        """Uncalibrated answers for the other corpora, by models that did not learn from this one where there are."""
        parts = []
        for other in self.tested:
            if other != name:
                found = self.by_left_out.get(frozenset((name, other)), self.by_left_out[frozenset((other,))])
                rows = (found.predictions["corpus"] == other).to_numpy()
                predictions = found.predictions.assign(sharpness=found.sharpness)
                parts.append((found.uncalibrated()[rows], predictions[rows]))
        if not parts:
            raise TableError(f"{self.name} has answers for {name} only; expected two corpora at least")
        return np.concatenate([raw for raw, _ in parts]), pd.concat([rows for _, rows in parts], ignore_index=True)

    def _calibrated(self, name: str) -> Tested:
        own, (raw, others) = self.by_left_out[frozenset((name,))], self._others(name)
        both = pd.concat([own.predictions, others], ignore_index=True)
        fold = protocols.Fold("corpus", 0, own.seed, [], [], np.arange(len(own.predictions)), ("corpus", "speaker"))
        used = np.arange(len(own.predictions), len(both))
        fitted = dict.fromkeys(("temperature", "threshold", "adaptation"), used)
        protocols.audit(both, fold, fingerprints=both["clip_id"], fitted=fitted)
        labels = own.labels
        calibration = left_out.calibration(raw, others, labels)
        said = apply_temperature(raw, calibration.temperature * others["sharpness"].to_numpy())
        voices = Voices.fit(said, others["true"], others["speaker"], labels)
        return Tested(apply_temperature(own.uncalibrated(), calibration.temperature), own, calibration, voices)


@dataclass(frozen=True, eq=False)
class Tested:
    """Calibrated answers for one corpus, and what was found on the others.

    Args:
        probabilities: of all labels, ``[n, k]``.
        evaluation: as it was recorded.
        calibration: temperature and threshold.
        voices: what adaptation needs.
    """

    probabilities: np.ndarray
    evaluation: Evaluation
    calibration: left_out.Calibration
    voices: Voices

    @cached_property
    def answers(self) -> Evaluation:
        """One clip at a time, among the emotions of the corpus."""
        return left_out.answers(self.probabilities, self.evaluation.predictions, self.evaluation.labels)

    @cached_property
    def measured(self) -> dict:
        """As a bundle's card holds it."""
        return left_out.measured(self.answers, self.calibration.threshold)

    def adapted(self, clips: int | None, draws: int, *, of_one_emotion: bool = False) -> float:
        """UAR when each clip's answer is adapted to its speaker from so many of the speaker's other clips.

        Args:
            clips: others drawn for each clip, fewer where the speaker has no more; ``None`` takes all of the
                speaker's clips, the answered one with them.
            draws: to take the mean of.
            of_one_emotion: take the clips of one speaker and one emotion for those of a speaker.
        """
        predictions, labels = self.evaluation.predictions, self.evaluation.labels
        sharpness = self.evaluation.sharpness
        plain = apply_temperature(self.probabilities, sharpness)
        by = ["speaker", "true"] if of_one_emotion else ["speaker"]
        speakers = list(predictions.groupby(by, sort=True).indices.values())
        scores = []
        for seed in range(draws if clips else 1):
            rng, said = np.random.default_rng(seed), np.empty_like(self.probabilities)
            for rows in speakers:
                for answered, used in _divided(rng.permutation(rows), clips):
                    habit = sharpness[answered, None] * offset(self.voices, plain[used])
                    said[answered] = without_habit(self.probabilities[answered], habit)
            found = left_out.among(said, predictions["true"], predictions["corpus"], labels)
            scores.append(metrics(predictions["true"], np.array(labels)[found.argmax(axis=1)], labels)["uar"])
        return float(np.mean(scores))


def _divided(rows: np.ndarray, clips: int | None):
    """Parts of a speaker's clips, and for each the clips that it is adapted by: others, as many as are wanted."""
    if clips is None:
        yield rows, rows
        return
    # As few parts as leave enough others; leaving one out where even that is not enough.
    parts = next((m for m in range(2, len(rows)) if len(rows) - -(-len(rows) // m) >= clips), len(rows))
    for part in np.array_split(np.arange(len(rows)), parts):
        others = np.delete(rows, part)
        # Beginning behind the part, so that the parts are not all adapted by the same clips.
        yield rows[part], np.roll(others, -part[0])[:clips]


# ------------------------------------------------------------------------------------------------------------- records


def folder_of(out: Path, name: str, names: frozenset[str]) -> Path:
    """Where the answers of one training are kept."""
    return out / name.replace("/", "_").replace(" ", "_") / "+".join(sorted(names))


def load(out: Path) -> list[Answers]:
    """The answers of all recipes in a folder.

    Raises:
        TableError: there are none.
    """
    found: dict[str, dict[frozenset[str], Evaluation]] = {}
    for record in sorted(Path(out).glob("*/*/evaluation.json")):
        evaluation = Evaluation.load(record.parent)
        found.setdefault(evaluation.recipe, {})[frozenset(record.parent.name.split("+"))] = evaluation
    if not found:
        raise TableError(f"{out} holds no answers; python -m benchmarks.unheard --recipe NAME --out {out} makes them")
    return [Answers(name, answers) for name, answers in found.items()]


def averaged(found: Sequence[Answers]) -> Answers:
    """Recipes as one: the mean of the logarithms of their probabilities, before calibration.

    Args:
        found: answers of several recipes in the same labels; what all of them answered counts.
    """
    together = {}
    for names in set.intersection(*(set(each.by_left_out) for each in found)):
        parts, numbers = [each.by_left_out[names] for each in found], []
        labels = np.array(parts[0].labels)
        columns = [f"prob_{label}" for label in labels]
        for part in parts:
            said = pd.DataFrame(logarithms(part.uncalibrated()), part.predictions["clip_id"], columns)
            numbers.append(said.assign(sharpness=part.sharpness))
        mean = (sum(numbers) / len(numbers)).dropna()
        mean[columns] = said = softmax(mean[columns].to_numpy())
        mean = mean.assign(predicted=labels[said.argmax(axis=1)], confidence=said.max(axis=1))
        about = parts[0].predictions[["clip_id", "corpus", "speaker", "sex", "true", "fold"]]
        together[names] = replace(parts[0], predictions=about.merge(mean, on="clip_id"), temperatures=[1.0])
    return Answers(" & ".join(each.name for each in found), together)


def nested(
    system: System,
    tested: Sequence[str],
    out: Path,
    *,
    only_learned: Sequence[str] = ONLY_LEARNED,
    labels: str = "seven",
    seed: int = 0,
    pairs: bool = True,
    command: str = "",
    progress: bool = True,
) -> Answers:
    """Train and test where there is no record yet, and give all answers.

    A record is used again where recipe settings, corpora, labels and seed are the same.

    Args:
        system: the recipe.
        tested: names of the corpora that are left out, each in turn.
        out: folder of the records.
        only_learned: corpora that are learned from and never tested.
        labels: label set that all are joined under.
        seed: of folds and trainings.
        pairs: leave two corpora out as well; else temperature, threshold and adaptation of a corpus come from answers
            of models that learned from it.
        command: that this is part of, for the records.
        progress: show progress bars.

    Raises:
        TableError: too few corpora to learn from.
        KeyboardInterrupt: on Ctrl-C; the same call goes on after the trainings that are done.
    """
    wanted = [frozenset(each) for size in (1, 2)[: 1 + pairs] for each in combinations(tested, size)]
    everything = sorted({*tested, *only_learned})
    found: dict[frozenset[str], Evaluation] = {}
    for names in wanted:
        try:
            record = Evaluation.load(folder_of(out, system.name, names))
        except TableError:
            continue
        same = (plain(record.settings), list(record.corpora), record.seed)
        if same == (json.loads(json.dumps(system.declaration)), everything, seed) and _answers_in(record, labels):
            found[names] = record
    todo = [names for names in wanted if names not in found]
    if todo:
        if len(everything) < 2 + pairs:
            raise TableError(f"{', '.join(everything)} are too few corpora; expected {2 + pairs} at least")
        material = system.prepare(corpora.load(everything, labels=labels), progress=progress)
        for names in todo:  # what cannot be divided is refused before the work
            protocols.leave_out(material.table, names, seed)
        for names in tqdm(todo, desc=system.name, unit="training", disable=not progress):
            fold, place = protocols.leave_out(material.table, names, seed), folder_of(out, system.name, names)
            state = place / "checkpoints"
            answered = system.run_fold(
                material, fold, out=state, progress=False, title=f"{system.name} without {', '.join(sorted(names))}"
            )
            answered = replace(answered, command=command)
            answered.save(place)
            shutil.rmtree(state, ignore_errors=True)
            found[names] = answered
    return Answers(system.name, found)


def _answers_in(record: Evaluation, labels: str) -> bool:
    from ser_kit.core.labels import label_set, labels_of

    return set(record.labels) <= set(label_set(labels_of(labels)).labels)


# -------------------------------------------------------------------------------------------------------------- tables


def scores(found: Sequence[Answers]) -> pd.DataFrame:
    """UAR for each corpus left out, and their mean with and without one-word commands: a row for each recipe."""
    rows = []
    for each in found:
        uar = {name: tested.measured["uar"] for name, tested in each.corpora.items()}
        error = max(tested.measured["expected_calibration_error"] for tested in each.corpora.values())
        rows.append(
            {"recipe": each.name} | {name: percent(value) for name, value in uar.items()} | _means(uar)
            | {"largest calibration error": percent(error)}
        )  # fmt: skip
    return pd.DataFrame(rows).fillna("–")


def _means(uar: dict[str, float]) -> dict[str, str]:
    acted = [value for name, value in uar.items() if name != COMMANDS]
    return {"mean": percent(np.mean(list(uar.values()))), f"mean without {COMMANDS}": percent(np.mean(acted or np.nan))}


def details(found: Sequence[Answers]) -> pd.DataFrame:
    """UAR with its interval over speakers and calibration error: a row for each recipe and corpus."""
    return pd.DataFrame(
        {
            "recipe": each.name,
            "left out": name,
            "emotions": len(tested.measured["recall"]),
            "clips": f"{tested.measured['clips']:,}",
            "speakers": tested.measured["speakers"],
            "UAR": with_interval(tested.measured["uar"], tested.measured),
            "calibration error": percent(tested.measured["expected_calibration_error"]),
            "temperature": f"{tested.calibration.temperature:.2f}",
        }
        for each in found
        for name, tested in each.corpora.items()
    )


def recalls(found: Sequence[Answers]) -> pd.DataFrame:
    """Recall of every emotion with its interval over speakers: a row for each recipe and corpus."""
    rows = []
    for each in found:
        for name, tested in each.corpora.items():
            classes = tested.answers.details()["classes"]
            there = [label for label in EMOTIONS if label in classes and classes[label]["support"]]
            shown = {label: with_interval(classes[label]["recall"], classes[label]) for label in there}
            rows.append({"recipe": each.name, "left out": name} | shown)
    table = pd.DataFrame(rows)
    return table[["recipe", "left out", *(label for label in EMOTIONS if label in table)]].fillna("–")


def curve(found: Sequence[Answers]) -> pd.DataFrame:
    """Share right at every share answered: ``recipe, corpus, confidence, answers, answered, right``."""
    parts = []
    for each in found:
        for name, tested in each.corpora.items():
            points = left_out.coverage(tested.answers.predictions["confidence"], tested.answers.correct())
            parts.append(points.assign(recipe=each.name, corpus=name))
    return pd.concat(parts, ignore_index=True)[["recipe", "corpus", "confidence", "answers", "answered", "right"]]


def certain(found: Sequence[Answers]) -> pd.DataFrame:
    """How many answers are certain and how many of these are right, and the curve at some shares; in percent."""
    points, rows = curve(found), []
    for each in found:
        for name, tested in each.corpora.items():
            measured, predictions = tested.measured, tested.answers.predictions
            sure = predictions[predictions["confidence"] >= tested.calibration.threshold]
            low, high = bootstrap(sure, "accuracy") if len(sure) else (np.nan, np.nan)
            interval = {"low": low, "high": high, "speakers": sure["speaker"].nunique()}
            own = points[(points["recipe"] == each.name) & (points["corpus"] == name)]
            enough = own[(own["right"] >= left_out.SURE_SHARE) & (own["answers"] >= left_out.FEWEST_ANSWERS)]
            best = enough.iloc[-1] if len(enough) else None
            rows.append(
                {
                    "recipe": each.name,
                    "left out": name,
                    "certain from": percent(tested.calibration.threshold),
                    "certain": percent(measured["answered"]),
                    "of these right": with_interval(measured["right"], interval),
                    **{
                        f"right of the surest {100 * share:.0f} %": percent(
                            own.loc[own["answered"] >= share - 1e-9, "right"].iloc[0]
                        )
                        for share in SHARES
                    },
                    "three of four right from": percent(None if best is None else best["confidence"]),
                    "then answered": percent(None if best is None else best["answered"]),
                }
            )
    return pd.DataFrame(rows)


def adapted(answers: Answers, draws: int) -> pd.DataFrame:
    """UAR after clips of the same speaker, and where these are all of one emotion, 0 to 1: a row for each corpus."""
    numbers = {}
    for name, tested in tqdm(answers.corpora.items(), desc=f"{answers.name}: adaptation", leave=False, unit="corpus"):
        numbers[name] = {"none": tested.measured["uar"]}
        for clips in CLIPS:
            numbers[name][str(clips or "all")] = tested.adapted(clips, draws)
        for clips in OF_ONE_EMOTION:
            one = tested.adapted(clips, draws, of_one_emotion=True)
            numbers[name][f"one emotion: {clips or 'all'}"] = one
    return pd.DataFrame.from_dict(numbers, orient="index")


def adaptation(found: Sequence[Answers], draws: int) -> pd.DataFrame:
    """What :func:`adapted` gives and its means, in percent: a row for each recipe and corpus."""
    rows = []
    for each in found:
        table = adapted(each, draws)
        table.loc["mean"] = table.mean()
        table.loc[f"mean without {COMMANDS}"] = table.drop(index=["mean", COMMANDS], errors="ignore").mean()
        shown = table.map(percent).reset_index(names="left out")
        shown.insert(0, "recipe", each.name)
        rows.append(shown)
    return pd.concat(rows, ignore_index=True)
