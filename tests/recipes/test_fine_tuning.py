"""Starting from a trained bundle: folds, comparison, card, and what is refused."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from ser_kit import recipes
from ser_kit.bundles import Bundle, card
from ser_kit.bundles.card_page import markdown
from ser_kit.core.errors import BundleError, RecipeError, TableError
from ser_kit.evaluation.resampling import paired_difference
from ser_kit.recipes import fine_tuning
from ser_kit.recipes.fine_tuning import Gain, fine_tune

pytestmark = pytest.mark.usefixtures("eagerly")
WORDS = {"angry": "Wut", "happy": "Freude", "sad": "Trauer"}


@pytest.fixture
def eagerly(monkeypatch):
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    monkeypatch.setattr("ser_kit.recipes.system.answering", lambda bundle, prepared: bundle)  # no model.onnx: slow
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def german(demo_table):
    """Clips of six speakers, whose labels are in German."""
    speakers = sorted(demo_table["speaker"].unique())[:6]
    kept = demo_table["speaker"].isin(speakers) & demo_table["emotion"].isin(WORDS)
    table = demo_table[kept].groupby(["speaker", "emotion"]).head(2).reset_index(drop=True)
    table["label"] = table["emotion"].map(WORDS)
    table.attrs = demo_table.attrs | {"labels": sorted(WORDS.values())}
    return table


@pytest.mark.slow
def test_labels_of_any_names_are_learned_and_the_bundle_is_an_ordinary_one(german, demo_bundle, tmp_path):
    found = fine_tune(german, str(demo_bundle), progress=False)
    assert found.bundle.labels == ("Freude", "Trauer", "Wut")
    assert found.evaluation.speaker_independent and len(found.evaluation.predictions) == len(german)
    assert "held-out speakers: 6" in found.held_out and not found.gain.same_labels
    folds = found.evaluation.predictions.groupby("fold")["speaker"].unique()
    assert len({name for names in folds for name in names}) == sum(map(len, folds))  # each in one fold
    given = found.bundle.card["started_from"]
    assert (given["name"], given["over"], given["groups"]) == ("bundle", "speakers", 6)
    assert given["identity"] == Bundle.load(demo_bundle).identity

    folder = found.bundle.save(tmp_path / "mine")
    again = Bundle.load(folder)
    assert "## Started from" in (folder / "README.md").read_text(encoding="utf-8")
    values = np.random.default_rng(0).normal(size=(3, *again.extractors[0].shape)).astype("float32")
    np.testing.assert_allclose(again.probabilities(values), found.bundle.probabilities(values), atol=1e-6)
    with pytest.raises(RecipeError, match="itself started from another bundle; start from bundle"):
        fine_tune(german, str(folder), progress=False)


@pytest.mark.slow
def test_one_speaker_is_tested_on_held_out_clips_and_it_says_so(german, demo_bundle):
    one = german[german["speaker"] == german["speaker"].iloc[0]].reset_index(drop=True)
    one.attrs = german.attrs
    with pytest.warns(match="only 6 clips"):
        found = fine_tune(one, str(demo_bundle), progress=False)
    assert "all clips are of one speaker" in found.held_out and "do not hold for other voices" in found.held_out
    assert found.gain.over == "clips" and not found.evaluation.speaker_independent


def prepared(**columns):
    table = pd.DataFrame({"clip_id": [f"c{i}" for i in range(12)], "corpus": "mine", "sex": "", "path": ""} | columns)
    labels = ("a", "b")
    y = pd.Index(labels).get_indexer(table["emotion"])
    return recipes.PreparedData({}, table, labels, y, pd.DataFrame())


@pytest.mark.parametrize(
    ("speakers", "emotions", "why"),
    [
        (["mine:x"] * 12, ["a", "b"] * 6, "all clips are of one speaker"),
        (["mine:unknown"] * 2 + ["mine:x"] * 5 + ["mine:y"] * 5, ["a", "b"] * 6, "known who speaks in 2 of 12"),
        (["mine:x"] * 6 + ["mine:y"] * 6, ["a"] * 3 + ["b"] * 3 + ["a"] * 6, "only mine:x has clips of 'b'"),
        (["mine:x"] * 6 + ["mine:y"] * 6, ["a", "b"] * 6, "held-out speakers: 2"),
    ],
)  # fmt: skip
def test_what_is_held_out(speakers, emotions, why, monkeypatch):
    monkeypatch.setattr("ser_kit.protocols.base.first_of_same_sound", lambda table: np.arange(len(table)))
    folds, held_out = fine_tuning._folds(prepared(speaker=speakers, emotion=emotions), 0)
    assert why in held_out
    tested = np.sort(np.concatenate([fold.test for fold in folds]))
    assert tested.tolist() == list(range(12))
    assert all(len(fold.validation) == 0 for fold in folds)


@pytest.mark.parametrize(
    ("emotions", "message"),
    [
        (["a"] * 12, "all 12 clips are 'a': a head needs two labels .* --same-speaker adapts it"),
        (["a"] * 11 + ["b"], "only one clip of 'b'.* or leave the label out: --labels a"),
    ],
)
def test_what_cannot_be_trained_on_says_what_can_be_done(emotions, message):
    with pytest.raises(TableError, match=message):
        fine_tuning._check_labels(pd.DataFrame({"emotion": emotions}), "cross_corpus")
    with pytest.raises(TableError, match="1 clip: a head needs two labels"):
        fine_tuning._check_labels(pd.DataFrame({"emotion": ["a"]}), "cross_corpus")


def test_a_start_without_one_row_of_features_is_refused():
    with pytest.raises(RecipeError, match="as cross_corpus and cross_corpus_small have"):
        recipes.Continued.of("from_scratch")
    with pytest.raises(BundleError, match="neither a bundle folder nor a preset"):
        recipes.Continued.of("no_such_preset")


def test_it_is_not_called_better_while_the_interval_includes_0():
    gain = Gain(0.8, 0.7, -0.01, 0.2, "speakers", 4, True)
    assert not gain.better and "not shown to differ" in str(gain) and "4 speakers only" in str(gain)
    assert (
        "better" in str(dataclasses.replace(gain, low=0.02)) and dataclasses.replace(gain, high=-0.005, low=-0.2).worse
    )
    unknown = dataclasses.replace(gain, low=np.nan, high=np.nan)
    assert not unknown.better and not unknown.worse


def test_two_systems_are_compared_on_the_same_resamples():
    rng = np.random.default_rng(0)
    truth = np.tile(["x", "y"], 50)
    first = pd.DataFrame({"clip_id": np.arange(100).astype(str), "speaker": np.repeat(list("abcdefghij"), 10)})
    first = first.assign(true=truth, predicted=np.where(rng.random(100) < 0.6, truth, "x"))
    assert paired_difference(first, first) == (0.0, 0.0)  # however uncertain each of them is
    low, high = paired_difference(first.assign(predicted=truth), first)
    assert 0 < low < high
    with pytest.raises(TableError, match="same clips"):
        paired_difference(first, first.iloc[::-1])


def test_a_card_with_a_start_is_valid_and_its_page_says_so():
    described = json.loads((fine_tuning.bundle_path("cross_corpus_small") / "card.json").read_text(encoding="utf-8"))
    described["started_from"] = {
        "name": "cross_corpus", "identity": "0" * 32, "held_out": "held-out speakers: 5, in 5 folds", "own": 0.8,
        "start": 0.6, "low": 0.1, "high": 0.3, "over": "speakers", "groups": 5, "same_labels": False, "blocks": [1, 2],
    }  # fmt: skip
    card.check(described)
    page = markdown(described)
    assert "UAR 80.0, of the start alone 60.0; difference 20.0 \\[10.0, 30.0\\]" in page or "[10.0, 30.0]" in page
    described["started_from"]["own"] = 2
    with pytest.raises(BundleError, match="started_from"):
        card.check(described)
