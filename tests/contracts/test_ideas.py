"""Ideas for corpora left out do what they are called after, and two speakers given as one are noticed where they can
be."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from ser_kit import recipes
from ser_kit.extraction import Features
from ser_kit.features import SpeechEncoder
from ser_kit.recipes import PreparedData, Split
from ser_kit.training.linear import Linear

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside an installed package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import ideas, nested, several  # noqa: E402

LABELS = ("neutral", "happy", "sad")


def clips(n=180, dims=6):
    """Clips of three corpora, in the last of which another feature tells the emotions apart."""
    rng = np.random.default_rng(0)
    y, corpus = np.arange(n) % 3, np.repeat(["a", "b", "c"], n // 3)
    x = rng.normal(size=(n, dims))
    x[np.arange(n), y + 3 * (corpus == "c")] += 2
    return x.astype(np.float32), y, corpus, np.arange(n) // 10


def cross_entropies(estimator):
    """Of the clips of each corpus, of the classifier for all."""
    x, y, corpus, speaker = clips()
    model, _ = estimator.fit(x, y, 3, corpus=corpus, speaker=speaker)
    losses = -np.log(model.predict_on_batch(x)[np.arange(len(y)), y])
    return [losses[corpus == name].mean() for name in "abc"]


def test_the_corpus_that_is_understood_worst_counts_more():
    settings = {"own_components": 0, "doubt": 0.0, "shrinkage": 0.01}
    alike, more = cross_entropies(Linear(**settings)), cross_entropies(ideas.WorstCorpora(**settings))
    assert np.argmax(alike) == 2 and more[2] < alike[2] - 0.05
    assert np.ptp(more) < np.ptp(alike) / 2
    np.testing.assert_allclose(cross_entropies(ideas.WorstCorpora(**settings, rounds=1)), alike, atol=1e-5)


def test_classifiers_that_each_leave_a_corpus_out_are_averaged():
    x, y, corpus, _ = clips()
    corpus, excluded = pd.factorize(corpus)[0], np.zeros((3, 3))
    weights = np.full(len(y), 1 / len(y))

    def found(estimator, rows):
        part = weights[rows] / weights[rows].sum()
        return estimator._for_all([(1.0, x[rows], np.eye(6))], y[rows], corpus[rows], part, excluded)

    without = [found(Linear(), corpus != each) for each in range(3)]
    kernel, bias = found(ideas.LeftOutInTurn(), corpus >= 0)
    np.testing.assert_allclose(kernel, np.mean([each[0] for each in without], axis=0), atol=1e-6)
    np.testing.assert_allclose(bias, np.mean([each[1] for each in without], axis=0), atol=1e-6)


@pytest.mark.parametrize("name", [name for name, idea in ideas.SYSTEMS.items() if idea.model])
def test_networks_learn(name):
    """From the statistics of a small encoder's blocks."""
    x, y, corpus, speaker = clips()
    extractor = SpeechEncoder(encoder="whisper_tiny_en", blocks=(1, 2), statistics=("mean",))
    values = np.zeros((len(x), *extractor.shape), np.float32)
    values[:, :6] = x
    table = pd.DataFrame({"clip_id": np.arange(len(y)).astype(str), "corpus": corpus, "speaker": speaker.astype(str)})
    features = Features(values, table, table[:0], np.ones(len(y), int), extractor)
    material = PreparedData({extractor: features}, table, LABELS, y, table[:0])
    split = Split(material, np.arange(len(y)), np.arange(0), 0, False, lambda part: None)
    recipe = ideas.SYSTEMS[name].with_settings({"training.epochs": 30, "training.learning_rate": 0.01})
    (member,), (history,) = replace(recipe, extractor=extractor).train(split)
    said = member.probabilities(values)
    assert (said.argmax(axis=1) == y).mean() > 0.8 and history["loss"].iloc[-1] < history["loss"].iloc[0]


def test_the_contrastive_loss_is_about_clips_of_one_emotion_from_other_corpora():
    lost = ideas.SYSTEMS["whisper_base_mlp+absent classes wrong+contrastive"]._apart

    def loss(emotions, corpora, places):
        wanted = np.stack([emotions, corpora], axis=1).astype("float32")
        return np.asarray(lost(wanted, np.array(places, "float32"))).sum()

    near, far = [[1, 0], [1, 0], [0, 1], [0, 1]], [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert loss([0, 0, 1, 1], [0, 1, 0, 1], near) < 0.01 < 10 < loss([0, 0, 1, 1], [0, 1, 0, 1], far)
    assert loss([0, 0, 1, 1], [0, 0, 1, 1], far) == 0, "clips of one corpus need not come together"


def test_an_idea_is_found_by_its_name_beside_the_recipes():
    for name, idea in ideas.SYSTEMS.items():
        assert ideas.get(name) is idea
    assert ideas.get("whisper_base_linear") is recipes.get("whisper_base_linear")
    declared = [str(idea.declaration) for idea in ideas.SYSTEMS.values()]
    assert len(set(declared)) == len(declared), "records of one must not serve another"


def predictions(corpora, probabilities):
    """Ten clips of each emotion of two speakers in each corpus."""
    rng, rows = np.random.default_rng(0), []
    for corpus in corpora:
        for speaker in "xy":
            for label in LABELS:
                p = rng.dirichlet([1 + 3 * (label == each) for each in LABELS], 10)
                p = probabilities(p, speaker)
                rows += [
                    {"clip_id": f"{corpus}{speaker}{label}{i}", "corpus": corpus, "speaker": corpus + speaker,
                     "sex": "", "true": label, "fold": 0} | {f"prob_{each}": p[i, j] for j, each in enumerate(LABELS)}
                    for i in range(10)
                ]  # fmt: skip
    found = pd.DataFrame(rows)
    p = found[[f"prob_{label}" for label in LABELS]].to_numpy()
    return found.assign(predicted=np.array(LABELS)[p.argmax(axis=1)], confidence=p.max(axis=1))


def answers(name, probabilities=lambda p, speaker: p):
    left_out = [frozenset(each) for each in "abc"]
    return nested.Answers(
        name,
        {
            names: nested.Evaluation(
                name, "corpus", True, 0, LABELS, predictions(sorted(names), probabilities), temperatures=[1.0]
            )
            for names in left_out
        },
    )


def test_recipes_are_averaged_as_logarithms_clip_by_clip():
    one, other = answers("one"), answers("other", lambda p, speaker: np.roll(p, 1, axis=0))
    some = other.by_left_out[frozenset("a")]  # of which one clip could not be answered
    other.by_left_out[frozenset("a")] = replace(some, predictions=some.predictions.iloc[1:])
    both = nested.averaged([one, other])
    assert both.name == "one & other" and len(both.by_left_out[frozenset("a")].predictions) == 59
    columns = [f"prob_{label}" for label in LABELS]
    p, q, found = (
        each.by_left_out[frozenset("a")].predictions.set_index("clip_id").loc["axhappy3", columns].to_numpy(float)
        for each in (one, other, both)
    )
    np.testing.assert_allclose(found, np.sqrt(p * q) / np.sqrt(p * q).sum(), rtol=1e-6)
    assert np.isfinite(float(nested.scores([both])["mean"].iloc[0]))


def test_the_division_that_leaves_most_between_the_parts_is_found():
    assert several.apart(np.array([[0], [1], [2], [10], [11], [12]])) == pytest.approx(37.5)
    # Two clips that lie apart are no speaker of their own.
    assert several.apart(np.array([[0], [1], [2], [3], [4], [100], [101]])) < 5


def speakers(between):
    """Vectors of eight speakers in each of three corpora, who differ in the first value."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"corpus": np.repeat(["a", "b", "c"], 160), "speaker": np.tile(np.repeat([*"stuvwxyz"], 20), 3)}
    )
    x = rng.normal(size=(len(table), 4))
    x[:, 0] += between * rng.permutation(np.arange(24))[np.arange(len(table)) // 20]
    return x, table


def test_two_speakers_are_noticed_where_speakers_lie_apart_and_single_ones_are_not():
    x, table = speakers(between=8.0)
    found = several.directions(x, table["speaker"].to_numpy(), table["corpus"].to_numpy())
    assert np.abs(found[0, -1]) > 5 * np.abs(found[1:, -1]).max(), "the last is the one in which they differ most"
    two, one = several.noticed(x[:, :1], table, "a", draws=60)
    assert two > 0.8 and one < 0.05
    two, one = several.noticed(x[:, 1:], table, "a", draws=60)
    assert two < 0.2 and one < 0.1


def test_the_command_says_how_often_two_are_noticed_and_what_it_costs(monkeypatch, tmp_path, capsys):
    # Speaker x sounds sad.
    made = answers(
        "made", lambda p, speaker: p * [1, 1, 4] / (p * [1, 1, 4]).sum(1, keepdims=True) if speaker == "x" else p
    )
    for names, each in made.by_left_out.items():
        each.save(nested.folder_of(tmp_path, "made", names))
    table = pd.concat([each.predictions for each in made.by_left_out.values()], ignore_index=True)
    values = np.random.default_rng(0).normal(size=(len(table), 8)).astype(np.float32)
    values[:, 0] += 30 * table["speaker"].str.endswith("x")
    monkeypatch.setattr(several.corpora, "load", lambda names, labels: table)
    monkeypatch.setattr(several, "extract", lambda *_: SimpleNamespace(table=table, values=values))
    monkeypatch.setattr(several.recipes, "get", lambda name: SimpleNamespace(extractor=None))
    assert several.main(["--records", str(tmp_path), "--recipe", "made", "--draws", "20"]) == 0
    shown = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| a |")]
    assert shown[0][3] == "100.0", "the directions in which speakers differ"
    none, own, mixed = map(float, shown[1][1:])
    assert own >= mixed and own > none
    assert several.main(["--records", str(tmp_path), "--recipe", "other"]) == 1
    assert "has no answers of other; it has made" in capsys.readouterr().err
