"""What answers for corpora that were left out say: temperature, threshold, coverage, and the card."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from quick import perceptron

from ser_kit import protocols, training
from ser_kit.bundles import card, card_page
from ser_kit.core.errors import BundleError, LeakageError
from ser_kit.core.probabilities import apply_temperature
from ser_kit.evaluation import left_out
from ser_kit.recipes.prepared import Split

LABELS = ("happy", "sad", "angry")


def in_corpora(found):
    """The demo corpus's features as those of three corpora, of which ``west`` has no clips of disgust."""
    number = pd.factorize(found.table["speaker"], sort=True)[0]
    corpus = np.array(["north", "south", "west"])[number % 3]
    kept = np.flatnonzero((corpus != "west") | (found.table["emotion"] != "disgust").to_numpy())
    return dataclasses.replace(found, table=found.table.assign(corpus=corpus)).subset(kept)


@pytest.fixture(scope="module")
def quick():
    return perceptron(training=training.Training(epochs=3))


@pytest.fixture(scope="module")
def material(quick, demo_functionals):
    return quick.prepare(in_corpora(demo_functionals), progress=False)


@pytest.fixture(scope="module")
def evaluation(quick, material):
    return quick.run(material, "corpus", progress=False)


def answers(corpus, rights, confidence, true="happy"):
    """Clips of a corpus that has two emotions, of which so many are named rightly."""
    right = np.asarray(rights, dtype=bool)
    sure = np.broadcast_to(confidence, len(right))
    p = np.stack([np.where(right, sure, 1 - sure), np.where(right, 1 - sure, sure), np.zeros(len(right))], axis=1)
    table = pd.DataFrame({"corpus": corpus, "true": true}, index=range(len(right)))
    table.loc[table.index[-1], "true"] = "sad"
    return p, table


def test_an_answer_is_taken_among_the_emotions_of_its_corpus():
    given = left_out.among([[0.2, 0.1, 0.7]] * 3 + [[0, 0, 1]], ["happy", "sad", "angry", "sad"], [*"aabb"], LABELS)
    np.testing.assert_allclose(given[:2], [[2 / 3, 1 / 3, 0]] * 2)
    np.testing.assert_allclose(given[2], [0, 0.125, 0.875])
    np.testing.assert_allclose(given.sum(axis=1), 1)


def test_calm_counts_as_neutral_where_nobody_is_called_calm():
    labels, given = ["neutral", "calm", "happy"], [[0.3, 0.3, 0.4]] * 4
    true, corpora = ["neutral", "happy", "calm", "neutral"], ["a", "a", "b", "b"]
    found = left_out.among(given, true, corpora, labels)
    np.testing.assert_allclose(found, [[0.6, 0, 0.4]] * 2 + [[0.5, 0.5, 0]] * 2)


def test_coverage_goes_from_the_surest_answer_to_all():
    found = left_out.coverage([0.5, 0.9, 0.5, 0.7], [1, 1, 0, 0], [1, 1, 2, 1])
    assert found["confidence"].tolist() == [0.9, 0.7, 0.5] and found["answers"].tolist() == [1, 2, 4]
    np.testing.assert_allclose(found["answered"], [0.2, 0.4, 1])
    np.testing.assert_allclose(found["right"], [1, 0.5, 0.4])


def test_the_threshold_is_the_smallest_confidence_at_which_three_of_four_are_right():
    confidence = np.linspace(0.01, 1, 100)
    above = left_out.threshold(confidence, confidence > 0.405)
    assert (confidence >= above).sum() == 80
    assert left_out.threshold(confidence, np.arange(100) % 2) == left_out.SURE_SHARE  # never reached
    assert left_out.threshold(confidence, confidence > 0.9) == left_out.SURE_SHARE  # ten clips are too few to rest on
    assert left_out.threshold([0.9] * 60 + [0.5] * 20, [1] * 60 + [0] * 20) == 0.5


def test_every_corpus_counts_alike():
    (large, many), (small, few) = (
        answers(*each, 0.6) for each in (("a", np.arange(2000) % 10 < 9), ("b", np.arange(100) % 10 < 6))
    )
    both, table = np.concatenate([large, small]), pd.concat([many, few], ignore_index=True)
    together = left_out.calibration(both, table, LABELS).temperature
    alone = [left_out.calibration(*each, LABELS).temperature for each in ((large, many), (small, few))]
    assert alone[0] < together < alone[1]
    even = apply_temperature([[0.6, 0.4]], together)[0, 0]
    assert even == pytest.approx(0.75, abs=0.02)  # and not the 0.89 of all clips together


@pytest.mark.slow
def test_the_card_says_what_each_corpus_left_out_shows(quick, material, evaluation):
    bundle = quick.fit(material, protocol="corpus", evaluation=evaluation, progress=False)
    found = bundle.card["left_out"]
    assert [each["corpus"] for each in found] == ["north", "south", "west"]
    assert "disgust" not in found[2]["recall"] and len(found[0]["recall"]) == 6
    chosen = left_out.calibration(evaluation.uncalibrated(), evaluation.predictions, evaluation.labels)
    assert (bundle.card["temperature"], bundle.card["uncertain_below"]) == tuple(chosen)
    rows = evaluation.predictions["corpus"] == "west"
    assert not (evaluation.predictions[rows]["predicted"] == "disgust").any()
    own = evaluation.predictions[rows].groupby("true")[["true", "predicted"]]
    recalls = own.apply(lambda part: (part["true"] == part["predicted"]).mean())
    assert found[2]["uar"] == pytest.approx(recalls.mean()) and found[2]["recall"] == pytest.approx(recalls.to_dict())
    plain = json.loads(json.dumps({"format": 2, **bundle.card, "members": [m.to_card() for m in bundle.members]}))
    page = card_page.markdown(plain)
    assert "### Held-out corpora" in page and "| west | " in page
    plain["members"] = [{**each, "sha256": "0" * 64} for each in plain["members"]]
    card.check(plain)
    plain["left_out"][0]["uar"] = 2
    with pytest.raises(BundleError, match=r"left_out\[0\].uar"):
        card.check(plain)


def test_no_corpus_decides_about_its_own_figures(evaluation):
    first = left_out.by_corpus(evaluation)[0]
    changed = evaluation.predictions.copy()
    rows = changed["corpus"] == "north"
    changed.loc[rows, "true"] = np.roll(changed.loc[rows, "true"], 7)
    again = left_out.by_corpus(dataclasses.replace(evaluation, predictions=changed))[0]
    assert again["threshold"] == first["threshold"] and again["answered"] == first["answered"]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["scaler", "early stopping", "calibration"])
def test_a_training_that_sees_a_clip_of_the_corpus_left_out_is_refused(monkeypatch, quick, material, what):
    fold = protocols.leave_out(material.table, ["south"])
    note = Split.note

    def planted(self, part, rows):
        note(self, part, [*rows, fold.test[0]] if part == what else rows)
        return rows

    monkeypatch.setattr(Split, "note", planted)
    with pytest.raises(LeakageError, match=f"the {what} was fitted on test clips"):
        quick.with_settings({"training.epochs": 1}).fit_fold(material, fold, progress=False)
