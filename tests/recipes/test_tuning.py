"""Search over settings: on training speakers only, resumable, and the best is the best."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from quick import perceptron

from ser_kit import features, protocols, recipes
from ser_kit.audio.augment import AddNoise
from ser_kit.core.errors import LeakageError, RecipeError, TableError
from ser_kit.recipes import tuning

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]
# Two that learn next to nothing, and one that learns, so that there is a best.
SPACE = {"training.learning_rate": [1e-7, 1e-2], "hyperparameters.dropout": [(0.0, 0.0, 0), (0.3, 0.2, 0)]}


@pytest.fixture(scope="module")
def quick():
    return perceptron(training__epochs=2, training__batch_size=64)


@pytest.fixture(scope="module")
def forest():
    return recipes.get("ahmadov_forest").with_settings(
        {"extractor": features.Functionals(), "training.n_estimators": 5}
    )


@pytest.fixture(scope="module")
def searched(quick, demo_functionals):
    return tuning.search(quick, demo_functionals, SPACE, method="grid", progress=False)


def test_a_grid_tries_all_and_the_best_is_the_best(searched, quick):
    results = searched.results
    assert (
        len(results) == 4 and len(results.drop_duplicates(["training.learning_rate", "hyperparameters.dropout"])) == 4
    )
    assert list(results["uar"]) == sorted(results["uar"], reverse=True)
    best = results.iloc[0]
    assert best["training.learning_rate"] == searched.best.training.learning_rate == 1e-2
    assert best["hyperparameters.dropout"] == searched.best.hyperparameters["dropout"]
    assert searched.best == quick.with_settings(
        {key: best[key] for key in ("training.learning_rate", "hyperparameters.dropout")}
    )
    assert {"uar", "accuracy", "seconds"} < set(results.columns)


def test_the_parts_have_no_speaker_in_common_and_none_is_tested(searched, quick, demo_functionals):
    table = demo_functionals.table
    material = quick.prepare(demo_functionals, progress=False)
    outer = quick.folds(material)[0]
    inner = tuning._inner(quick, material, "speaker", 0, 0)
    speakers = [set(table["speaker"].iloc[rows]) for rows in (inner.train, inner.validation, inner.test, outer.test)]
    assert len(set.union(*speakers)) == sum(map(len, speakers)) == table["speaker"].nunique()
    assert set(searched.scored) == speakers[2]
    assert inner.speaker_independent


def test_a_random_search_draws_without_repetition_and_repeats_itself(forest, demo_functionals):
    space = {"training.n_estimators": [2, 3, 4, 5], "training.min_samples_leaf": [1, 5]}
    found = [
        tuning.search(forest, demo_functionals, space, candidates=3, seed=seed, progress=False) for seed in (1, 1, 2)
    ]
    drawn = [one.results[list(space)].to_dict("records") for one in found]
    assert len(drawn[0]) == 3 and len({json.dumps(each) for each in drawn[0]}) == 3
    assert drawn[0] == drawn[1]
    assert sorted(map(str, drawn[0])) != sorted(map(str, drawn[2]))
    assert len(tuning.search(forest, demo_functionals, space, candidates=99, progress=False).results) == 8


def test_settings_are_told_as_they_were_given(forest, demo_functionals):
    space = {"training.max_features": [None, 3], "training.min_samples_leaf": [2]}
    found = tuning.search(forest, demo_functionals, space, method="grid", progress=False)
    told = {row["training.max_features"] for row in found.results.to_dict("records")}
    assert told == {None, 3} and all(value is None or type(value) is int for value in told)
    assert found.results[["uar", "accuracy", "seconds"]].dtypes.unique().tolist() == [float]


def test_a_search_goes_on_where_it_was_broken_off(quick, searched, demo_functionals, tmp_path, monkeypatch):
    run_fold, ran = recipes.Recipe.run_fold, []

    def interrupted(self, *args, **kwargs):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(self)
        return run_fold(self, *args, **kwargs)

    settings = {"method": "grid", "out": tmp_path, "progress": False}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(recipes.Recipe, "run_fold", interrupted)
        tuning.search(quick, demo_functionals, SPACE, **settings)
    assert len(json.loads((tmp_path / "candidates.json").read_text())["candidates"]) == 2
    again = []
    monkeypatch.setattr(recipes.Recipe, "run_fold", lambda self, *a, **k: again.append(self) or run_fold(self, *a, **k))
    resumed = tuning.search(quick, demo_functionals, SPACE, **settings)
    assert len(again) == 2 and not any(one == other for one in ran for other in again)
    same = ["training.learning_rate", "hyperparameters.dropout", "uar", "accuracy"]
    assert resumed.results[same].equals(searched.results[same])
    assert resumed.best == searched.best

    # Nothing is left to do, and a value more is one candidate (of two) more.
    again.clear()
    assert tuning.search(quick, demo_functionals, SPACE, **settings).best == searched.best
    assert not again

    with pytest.raises(RecipeError, match="another search"):
        tuning.search(quick, demo_functionals, SPACE, seed=1, **settings)
    with pytest.raises(RecipeError, match="another search"):
        tuning.search(quick.with_settings({"training.batch_size": 32}), demo_functionals, SPACE, **settings)
    (tmp_path / "candidates.json").write_text("{")
    with pytest.raises(RecipeError, match="cannot be read"):
        tuning.search(quick, demo_functionals, SPACE, **settings)


@pytest.mark.parametrize(
    ("space", "settings", "message"),
    [
        ({"training.rate": [1]}, {}, "no setting 'training.rate'"),
        ({"training.epochs": [1], "hyperparameters.drop_out": [0.1]}, {}, "no setting 'hyperparameters.drop_out'"),
        ({}, {}, "at least one setting"),
        ({"training.epochs": []}, {}, "one value for each"),
        ({"training.epochs": [1]}, {"method": "genetic"}, "grid, random"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_any_work(
    quick, demo_functionals, space, settings, message, monkeypatch
):
    monkeypatch.setattr(recipes.Recipe, "prepare", lambda *_, **__: pytest.fail("work was begun"))
    with pytest.raises(RecipeError, match=message):
        tuning.search(quick, demo_functionals, space, progress=False, **settings)


def test_a_fold_that_is_not_there_is_refused(forest, demo_functionals):
    with pytest.raises(RecipeError, match="5 folds"):
        tuning.search(forest, demo_functionals, {"training.n_estimators": [2]}, fold=5, progress=False)


def test_a_tuner_on_test_clips_is_caught(forest, demo_functionals, monkeypatch):
    (fold,) = protocols.get("speaker_80_20")(demo_functionals.table, 0)
    honest = protocols.inner

    def careless(table, rows, seed=0, **settings):
        train, scored = honest(table, rows, seed, **settings)
        return train, np.append(scored, fold.test[0])

    monkeypatch.setattr(protocols, "inner", careless)
    with pytest.raises(LeakageError, match="the tuner was fitted on test clips"):
        tuning.search(
            forest, demo_functionals, {"training.n_estimators": [2]}, protocol="speaker_80_20", progress=False
        )


def test_too_few_speakers_to_divide_in_three_are_refused(forest, demo_functionals):
    few = sorted(demo_functionals.table["speaker"].unique())[:3]
    three = demo_functionals.subset(demo_functionals.table["speaker"].isin(few).to_numpy())
    with pytest.raises(TableError, match="too few for training, early stopping and scoring"):
        tuning.search(forest, three, {"training.n_estimators": [2]}, progress=False)


def test_speakers_may_be_shared_where_the_protocol_shares_them(forest, demo_functionals):
    found = tuning.search(
        forest, demo_functionals, {"training.n_estimators": [2]}, protocol="random_80_20", progress=False
    )
    assert len(found.results) == 1


def test_candidates_of_other_copies_have_rows_of_their_own(forest, demo_few, monkeypatch):
    """Copies are trained on where a candidate has them, and are not asked for where it has none."""
    seen = []
    run_fold = recipes.Recipe.run_fold

    def watched(self, material, fold, **kwargs):
        seen.append((self.copies, len(material.table), len(fold.train), len(fold.test)))
        return run_fold(self, material, fold, **kwargs)

    monkeypatch.setattr(recipes.Recipe, "run_fold", watched)
    noisy = dataclasses.replace(forest, augmentation=(AddNoise(),))
    for system in (noisy, noisy.with_settings({"copies": 1})):
        seen.clear()
        tuning.search(system, demo_few, {"copies": [0, 1]}, method="grid", jobs=0, progress=False)
        (_, clips, alone, scored), (_, both, doubled, same) = sorted(seen)
        assert (both, doubled, same) == (2 * clips, 2 * alone, scored)


def test_an_extractor_is_a_setting_too(forest, demo_few, tmp_path):
    space = {"extractor": [features.Functionals(), features.FrameStatistics()]}
    found = tuning.search(forest, demo_few, space, method="grid", jobs=0, out=tmp_path, progress=False)
    assert set(found.results["extractor"]) == set(space["extractor"])
    assert found.best.extractor == found.results["extractor"].iloc[0]
