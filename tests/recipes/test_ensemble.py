"""Ensembles: members that vote as their method says, learn what it hands them, and answer for recordings together."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick import perceptron

from ser_kit import features, recipes, training
from ser_kit.audio.augment import AddNoise
from ser_kit.bundles.bundle import Bundle
from ser_kit.core.errors import RecipeError, TrainingError
from ser_kit.core.probabilities import apply_temperature
from ser_kit.evaluation import fit_temperature
from ser_kit.features import FrameStatistics, Functionals
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import Ensemble, prepared

pytestmark = pytest.mark.usefixtures("eagerly")
FUNCTIONALS, STATISTICS = Functionals(), FrameStatistics()


def forest(name="forest", **changes):
    recipe = recipes.get("ahmadov_forest").with_settings(
        {"extractor": FUNCTIONALS, "training.n_estimators": 4, **changes}
    )
    return dataclasses.replace(recipe, name=name, ablations={})


@pytest.fixture(scope="module")
def mixed():
    """A network of functionals and a forest of frame statistics: two extractors, two sampling rates."""
    network = perceptron(training__epochs=1)
    return Ensemble.of(network, forest(extractor=FrameStatistics(sr=22050)))


@pytest.fixture(scope="module")
def material(mixed, demo_few):
    return mixed.prepare(demo_few, jobs=0, progress=False)


class Says:
    """A member that gives the same probabilities for every clip."""

    def __init__(self, *said, weight=1.0):
        self.said, self.weight, self.extractor = said, weight, FUNCTIONALS

    def probabilities(self, values):
        return np.tile(np.array(self.said, np.float32), (len(values), 1))


def combined(how, *members):
    labels = [f"class {i}" for i in range(len(members[0].said))]
    bundle = Bundle({"labels": labels, "combine": how, "temperature": 1.0}, members)
    return bundle.combined({FUNCTIONALS: np.zeros((2, 1))})[1]


# ------------------------------------------------------------------------------------------------------------- voting


def test_soft_voting_is_the_mean_of_the_probabilities():
    assert combined("soft", Says(0.6, 0.4), Says(0.1, 0.9)) == pytest.approx([0.35, 0.65])
    assert combined("soft", Says(0.6, 0.4, weight=3.0), Says(0.1, 0.9)) == pytest.approx([0.475, 0.525])


def test_hard_voting_is_the_majority_however_sure_the_others_are():
    found = combined("hard", Says(0.51, 0.49), Says(0.51, 0.49), Says(0.0, 1.0))
    assert found.argmax() == 0 and combined("soft", Says(0.51, 0.49), Says(0.51, 0.49), Says(0.0, 1.0)).argmax() == 1
    # Two votes and one, and the mean as a vote more, which cannot overturn them.
    assert found == pytest.approx([(2 + 0.34) / 4, (1 + 0.66) / 4])
    assert found.sum() == pytest.approx(1)


def test_a_tie_of_votes_goes_to_the_more_probable():
    assert combined("hard", Says(0.6, 0.4, 0.0), Says(0.0, 0.9, 0.1)).argmax() == 1
    assert combined("hard", Says(0.9, 0.1, 0.0), Says(0.4, 0.6, 0.0)).argmax() == 0


def test_the_weightier_member_wins_a_hard_vote():
    assert combined("hard", Says(0.9, 0.1), Says(0.9, 0.1), Says(0.4, 0.6, weight=2.5)).argmax() == 1
    # The mean counts no more than the least of the members.
    assert combined("hard", Says(0.51, 0.49, weight=2.0), Says(0.0, 1.0)).argmax() == 0


def test_a_single_member_keeps_its_probabilities():
    assert combined("hard", Says(0.6, 0.4)) == pytest.approx([0.6, 0.4])


# ------------------------------------------------------------------------------------------------------------ members


@pytest.mark.slow
def test_members_of_different_features_are_run_saved_and_answer_together(mixed, material, demo_few, tmp_path):
    assert mixed.name == "rastogi_mlp&forest" and mixed.extractors == tuple(m.extractor for m in mixed.members)
    assert mixed.labels == "six" and not mixed.published.accuracy
    evaluation = mixed.run(material, "speaker_80_20", progress=False)
    bundle = mixed.fit(material, evaluation=evaluation, jobs=0, progress=False)
    assert [member.builder for member in bundle.members] == ["mlp", "forest"]
    assert len(evaluation.histories) == 1  # a forest has no epochs
    loaded = Bundle.load(bundle.save(tmp_path / "bundle"))
    assert loaded.rate is None and loaded.parameters == bundle.parameters
    assert loaded.extractors == mixed.extractors
    said = [member.probabilities(material.features[member.extractor].values[:2]) for member in bundle.members]
    values = material.values(np.arange(2))
    np.testing.assert_allclose(bundle.combined(values), np.mean(said, axis=0), atol=1e-7)
    np.testing.assert_array_equal(loaded.probabilities(values), bundle.probabilities(values))
    with pytest.raises(ValueError, match="unpack"):
        bundle.probabilities(values[FUNCTIONALS])  # whose values these are is for the caller to say
    answer = Predictor(loaded).predict(demo_few["path"].iloc[1])
    np.testing.assert_allclose(list(answer.probabilities.values()), bundle.probabilities(values)[1], atol=1e-5)


def test_members_of_one_kind_of_features_share_them(demo_few):
    both = Ensemble.of(forest("a"), forest("b", **{"training.n_estimators": 2}), method="hard")
    assert both.extractors == (FUNCTIONALS,) and both.combine == "hard"
    material = both.prepare(demo_few, jobs=0, progress=False)
    assert list(material.features) == [FUNCTIONALS]
    assert both.run(material, "speaker_80_20", progress=False).parameters > 0


def test_the_audit_sees_what_members_were_fitted_on(mixed, material, monkeypatch):
    from ser_kit.core.errors import LeakageError

    (fold,) = mixed.folds(material, "speaker_80_20")
    note = recipes.Split.note
    monkeypatch.setattr(
        recipes.Split, "note",
        lambda self, what, rows: note(self, what, np.append(rows, fold.test[0])) if what == "training"
        and "forest" in self.title else note(self, what, rows),
    )  # fmt: skip
    with pytest.raises(LeakageError, match="training was fitted on test clips"):
        mixed.run_fold(material, fold, progress=False, title="forest")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Ensemble.of(forest(), method="loud"), "'loud' must be one of 'bagging', 'boosting', 'hard'"),
        (lambda: Ensemble.of(forest(), rounds=0), "rounds=0 must be a whole number from 1 to 100"),
        (lambda: dataclasses.replace(Ensemble.of(forest()), members=()), "must be recipes, at least one"),
        (lambda: Ensemble.of(forest("a"), forest("b", copies=1, augmentation=(AddNoise(),))), "these differ"),
        (lambda: Ensemble.of(forest("a"), forest("a")), "need different names"),
        (
            lambda: Ensemble.of(
                forest("a", copies=1, augmentation=(AddNoise(),)),
                forest("b", copies=1, augmentation=(AddNoise(snr_low=5.0),)),
            ),
            "share copies and augmentation",
        ),
    ],
)
def test_what_is_no_ensemble_is_refused(make, message):
    with pytest.raises(RecipeError, match=message):
        make()


# ------------------------------------------------------------------------------------------------ bagging and boosting


def split_of(table, y, values=None, seed=0):
    train = np.arange(len(table))
    found = None if values is None else {FUNCTIONALS: SimpleNamespace(values=values)}
    material = recipes.PreparedData(found, table, ("a", "b", "c"), np.asarray(y), None)
    return recipes.Split(material, train, train[:0], seed, False, lambda part: None)


def test_a_bootstrap_draws_clips_and_copies_go_with_them():
    n = 200
    clips = [f"c{i}" for i in range(n)]
    table = pd.DataFrame({"clip_id": [*clips, *(f"{c}#1" for c in clips)], "parent": [""] * n + clips})
    split = split_of(table, np.zeros(2 * n, int))
    drawn = Ensemble._drawn(split, 0)
    np.testing.assert_array_equal(drawn[:n], drawn[n:])
    assert drawn[:n].sum() == n and (drawn == drawn.round()).all()
    assert 0.28 < (drawn[:n] == 0).mean() < 0.46  # 1/e of the clips are left out
    np.testing.assert_array_equal(Ensemble._drawn(split, 0), drawn)
    assert (Ensemble._drawn(split, 1) != drawn).any()
    assert (Ensemble._drawn(dataclasses.replace(split, seed=1), 0) != drawn).any()
    plain = split_of(table[["clip_id"]].iloc[:n], np.zeros(n, int))
    np.testing.assert_array_equal(Ensemble._drawn(plain, 0), drawn[:n])


@pytest.fixture
def handed(monkeypatch):
    """What weights and seeds the recipes of an ensemble are trained with."""
    seen, train = [], recipes.Recipe.train

    def watched(self, split, weights=None):
        seen.append((self.name, split.seed, weights))
        return train(self, split, weights)

    monkeypatch.setattr(recipes.Recipe, "train", watched)
    return seen


@pytest.mark.parametrize("method", ["bagging", "boosting"])
def test_rounds_take_the_recipes_in_turn_with_weights_of_their_own(method, demo_few, handed):
    system = Ensemble.of(forest("a"), forest("b"), method=method, rounds=3)
    material = system.prepare(demo_few, jobs=0, progress=False)
    evaluation = system.run(material, "speaker_80_20", progress=False)
    assert [name for name, _, _ in handed] == [f"a-{method}-0", f"b-{method}-1", f"a-{method}-2"]
    assert [seed for _, seed, _ in handed] == [training.subseed(0, "member", i) for i in range(3)]
    weights = [given for _, _, given in handed]
    assert [given.sum() for given in weights[:2]] == pytest.approx([len(weights[0])] * 2)
    if method == "bagging":
        assert (weights[0] != weights[1]).any() and system.combine == "soft"
    else:
        assert (weights[0] == 1).all() and system.combine == "hard"
    assert evaluation.parameters > 0


def test_ensembles_of_neighbouring_seeds_share_no_member(monkeypatch):
    trained = []
    monkeypatch.setattr(
        recipes.Recipe, "train", lambda self, split, weights=None: trained.append(split.seed) or ([], [])
    )
    table = pd.DataFrame({"clip_id": list("abc")})
    for method in ("seeds", "bagging"):
        for seed in range(4):
            Ensemble.of(forest(), method=method, rounds=3).train(split_of(table, np.zeros(3, int), seed=seed))
    assert len(trained) == 24 and len(set(trained)) == 12 and not set(trained) & set(range(7))
    draws = {tuple(Ensemble._drawn(split_of(table, np.zeros(3, int), seed=s), i)) for s in range(9) for i in range(9)}
    assert len(draws) == 10, "all ways of drawing three of three"


class Known(Says):
    """A member that is wrong on the clips it is told, and says of each what it is else."""

    def __init__(self, y, wrong, weight=1.0):
        super().__init__(weight=weight)
        self.wrong = np.isin(np.arange(len(y)), wrong)
        self.said = np.eye(3)[np.where(self.wrong, (y + 1) % 3, y)]

    def probabilities(self, values):
        return self.said


def boosted(monkeypatch, wrongs):
    """The members and the weights they were handed, when each is wrong on the clips given for its round."""
    y = np.arange(12) % 3
    given, rounds = [], iter(wrongs)

    def train(self, split, weights=None):
        given.append(weights)
        return [Known(y, next(rounds))], []

    monkeypatch.setattr(recipes.Recipe, "train", train)
    monkeypatch.setattr("ser_kit.recipes.ensemble.replace", lambda thing, **changes: _changed(thing, changes))
    system = Ensemble.of(forest(), method="boosting", rounds=len(wrongs))
    table = pd.DataFrame({"clip_id": [f"c{i}" for i in range(12)]})
    members, _ = system.train(split_of(table, y, np.zeros((12, 1))))
    return members, given


def _changed(thing, changes):
    if isinstance(thing, Known):
        thing.weight = changes["weight"]
        return thing
    return dataclasses.replace(thing, **changes)


def test_boosting_attends_to_what_was_wrong_and_gives_the_better_the_larger_say(monkeypatch):
    members, given = boosted(monkeypatch, [[0, 1, 2], [0], []])
    error = 3 / 12
    say = np.log((1 - error) / error) + np.log(2)
    assert members[0].weight == pytest.approx(say)
    raised = np.where(np.arange(12) < 3, np.exp(say), 1.0)
    np.testing.assert_allclose(given[1], raised / raised.mean())
    assert given[2][0] == given[2].max() and given[2].mean() == pytest.approx(1)
    # Who was wrong on a clip that weighs much has less to say than who was wrong on none.
    assert members[2].weight > members[0].weight > 0 and members[2].weight > members[1].weight
    assert np.isfinite(members[2].weight)  # though it made no error


def test_who_only_guesses_has_no_say_and_changes_no_weight(monkeypatch):
    members, given = boosted(monkeypatch, [list(range(10)), [0]])
    assert 0 < members[0].weight < 1e-6 < members[1].weight
    np.testing.assert_allclose(given[1], given[0])


def test_boosting_is_the_samme_of_scikit_learn(demo_few, demo_functionals):
    """Trees of one level on the same clips: the same decisions, round by round, up to what is drawn."""
    system = Ensemble.of(
        forest(**{"training.n_estimators": 1, "training.min_samples_leaf": 60, "training.max_features": None}),
        method="boosting", rounds=3,
    )  # fmt: skip
    material = system.prepare(demo_functionals, jobs=0, progress=False)
    (fold,) = system.folds(material, "speaker_80_20")
    split = system._split(material, fold.train, fold.validation, 0, None, "", False, "")
    members, _ = system.train(split)
    values, y = material.features[FUNCTIONALS].values, material.y
    now = np.ones(len(fold.train))
    for member in members:
        wrong = member.probabilities(values[fold.train]).argmax(axis=1) != y[fold.train]
        error = np.average(wrong, weights=now)
        expected = np.log((1 - error) / error) + np.log(5)
        assert member.weight == pytest.approx(max(expected, 1e-9))
        now = now * np.exp(max(expected, 0) * wrong)


def test_the_published_ensembles_are_what_they_are_called():
    for method in ("soft", "hard", "bagging", "boosting"):
        system = recipes.get(f"voting_{method}")
        assert system.method == method and system.copies == system.members[0].copies > 0
        assert system.extractors == tuple(dict.fromkeys(m.extractor for m in system.members))
    assert features.Functionals() not in recipes.get("voting_soft").extractors


def test_settings_that_are_no_ensemble_s_own_are_changed_in_its_members():
    both = Ensemble.of(forest("a"), forest("b")).with_settings({"training.n_estimators": 3, "method": "hard"}, "small")
    assert both.name == "a&b+small" and both.method == "hard"
    assert [member.training.n_estimators for member in both.members] == [3, 3]
    with pytest.raises(RecipeError, match="no setting 'training.leaves'"):
        both.with_settings({"training.leaves": 1})


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(2, 5), st.integers(2, 4), st.integers(0, 10_000))
def test_the_mean_never_overturns_a_majority_of_weighted_votes(members, classes, seed):
    rng = np.random.default_rng(seed)
    said = rng.dirichlet(np.ones(classes), (members, 6))
    weights = rng.uniform(0.1, 3, members)
    bundle = Bundle(
        {"labels": list("abcd"[:classes]), "combine": "hard", "temperature": 1.0},
        tuple(Fixed(FUNCTIONALS, said[i], weights[i]) for i in range(members)),
    )
    found = bundle.combined({FUNCTIONALS: None})
    votes = np.tensordot(weights, np.eye(classes)[said.argmax(axis=-1)], axes=1)
    assert (votes[np.arange(6), found.argmax(axis=1)] > votes.max(axis=1) - 1e-9).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


@dataclasses.dataclass(frozen=True)
class Fixed:
    """A member that has its answers ready."""

    extractor: object
    said: np.ndarray
    weight: float

    def probabilities(self, values):
        return self.said


# -------------------------------------------------------------------------------- balanced answers, known temperature


@pytest.mark.slow
def test_a_balanced_system_takes_off_how_frequent_the_classes_were(demo_functionals):
    rare = demo_functionals.table["emotion"] == "neutral"
    some = demo_functionals.subset((~rare | (demo_functionals.table["clip_id"].str.endswith("_s1_t1"))).to_numpy())
    plain, balanced = forest(), forest(balanced=True)
    material = plain.prepare(some)
    (fold,) = plain.folds(material, "speaker_80_20")
    before, after = (system.run_fold(material, fold, progress=False).predictions for system in (plain, balanced))
    assert (after["prob_neutral"] >= before["prob_neutral"]).all()
    bundle = balanced.fit(material, progress=False)
    assert sum(bundle.card["prior"]) == pytest.approx(1) and len(bundle.card["prior"]) == len(bundle.labels)
    assert min(bundle.card["prior"]) == bundle.card["prior"][bundle.labels.index("neutral")] < 0.12
    bare = dataclasses.replace(bundle, card={key: bundle.card[key] for key in bundle.card if key != "prior"})
    values = {FUNCTIONALS: material.values(fold.test)[FUNCTIONALS]}
    expected = bare.combined(values) / bundle.card["prior"]
    np.testing.assert_allclose(bundle.combined(values), expected / expected.sum(axis=1, keepdims=True))


def test_what_a_corpus_lacks_does_not_count_as_rare():
    """A class is as frequent as among the clips of the corpora that have it."""
    table = pd.DataFrame({"corpus": ["a"] * 6 + ["b"] * 4})
    material = SimpleNamespace(table=table, labels=("x", "y", "z", "never"), y=np.array([0, 0, 1, 1, 2, 2, 0, 0, 1, 1]))
    shares = np.array([4 / 10, 4 / 10, 2 / 6, 1])
    np.testing.assert_allclose(prepared.class_shares(material, np.arange(10)), shares / shares.sum(), atol=1e-6)


@pytest.mark.slow
def test_members_that_differ_in_their_seeds_share_all_clips_when_the_temperature_is_known(
    demo_functionals, monkeypatch
):
    network = perceptron(training__epochs=2, training__patience=None, training__batch_size=128)
    system = Ensemble.of(network, method="seeds", rounds=2).with_settings({"temperature": 0.5})
    material = system.prepare(demo_functionals)
    (fold,) = system.folds(material, "speaker_80_20")
    seen, train = [], recipes.Recipe.train

    def watched(self, split, weights=None):
        seen.append(split)
        return train(self, split, weights)

    monkeypatch.setattr(recipes.Recipe, "train", watched)
    evaluation = system.run_fold(material, fold, progress=False)
    assert [split.seed for split in seen] == [training.subseed(0, "member", i) for i in range(2)]
    for split in seen:
        assert split.train.tolist() == np.union1d(fold.train, fold.validation).tolist() and not len(split.validation)
    plain = system.with_settings({"temperature": 1.0}).run_fold(material, fold, progress=False).predictions
    columns = [f"prob_{label}" for label in evaluation.labels]
    np.testing.assert_allclose(
        apply_temperature(plain[columns].to_numpy(), 0.5), evaluation.predictions[columns], atol=1e-6
    )
    seen.clear()
    bundle = system.fit(material, protocol="speaker_80_20", evaluation=evaluation, progress=False)
    assert all(split.train.tolist() == list(range(len(material.y))) for split in seen) and len(seen) == 2
    true = pd.Index(evaluation.labels).get_indexer(evaluation.predictions["true"])
    best = fit_temperature(plain[columns].to_numpy(), true)
    assert bundle.card["temperature"] == pytest.approx(best, rel=0.02), "refined on what was not learned from"


def test_who_waits_for_the_validation_loss_cannot_know_the_temperature_before(demo_few):
    waits = perceptron(temperature=1.0)
    with pytest.raises(TrainingError, match="need validation clips"):
        waits.run(waits.prepare(demo_few, jobs=0, progress=False), "speaker_80_20", progress=False)
