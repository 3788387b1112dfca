"""Pruned networks lack the smallest of their weights, have learned further, and are the same after an interruption."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from quick import perceptron

from ser_kit import recipes
from ser_kit.bundles import card_page
from ser_kit.bundles.bundle import Bundle
from ser_kit.core.errors import RecipeError, TableError, TrainingError
from ser_kit.models import kernels
from ser_kit.recipes import pruning
from ser_kit.training import loop

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]


@pytest.fixture(scope="module")
def bundle(demo_bundle):
    return Bundle.load(demo_bundle)


@pytest.fixture(scope="module")
def material(bundle, demo_functionals):
    return recipes.get("rastogi_mlp+ours").prepare(demo_functionals, progress=False)


@pytest.fixture(scope="module")
def pruned(bundle, material):
    return pruning.prune(bundle, material, share=0.5, epochs=3, progress=False)


def weights(bundle: Bundle) -> list[np.ndarray]:
    return [np.asarray(kernel) for member in bundle.members for kernel in kernels(member.model)]


def test_each_kernel_loses_its_smallest_weights(bundle, pruned):
    before, after = weights(bundle), weights(pruned)
    assert len(before) > 2 and all((kernel != 0).all() for kernel in before)
    for one, other in zip(before, after, strict=True):
        assert np.mean(other == 0) == pytest.approx(0.5, abs=0.01)
        # The others have moved on since they were chosen, so some that were small may have stayed: not many.
        assert np.median(np.abs(one[other == 0])) < np.median(np.abs(one[other != 0])) / 2
    assert pruning.zeros(pruned) == pytest.approx(0.5, abs=0.01) and pruning.zeros(bundle) == 0


def test_the_others_learn_further(bundle, pruned, material):
    cut = dataclasses.replace(bundle.members[0], model=bundle.members[0].stripped())
    pruning._cut(cut.model, 0.5)
    values = material.features[bundle.extractors[0]].values

    def loss(member):
        return -np.log(member.probabilities(values)[np.arange(len(values)), material.y] + 1e-9).mean()

    assert loss(pruned.members[0]) < loss(cut)
    biases = [np.asarray(v) for v in pruned.members[0].model.trainable_variables if len(v.shape) == 1]
    assert all((bias != 0).any() for bias in biases)


def test_the_card_says_so_and_the_rest_of_the_bundle_stays(bundle, pruned, material, tmp_path):
    assert pruned.card == bundle.card | {"pruned": {"share": 0.5, "epochs": 3, "clips": len(material.y)}}
    again = Bundle.load(pruned.save(tmp_path / "pruned"))
    values = material.features[bundle.extractors[0]].values
    np.testing.assert_allclose(again.probabilities(values), pruned.probabilities(values), atol=1e-6)
    assert "50 % of the weights" in card_page.markdown(pruned.card)
    assert "of the weights" not in card_page.markdown(bundle.card)


def test_what_was_interrupted_goes_on(bundle, pruned, material, tmp_path, monkeypatch):
    step, done = loop._keeping_zeros, []

    def killed(*given):
        done.append(given)
        if len(done) == 3:
            raise KeyboardInterrupt
        return step(*given)

    monkeypatch.setattr(loop, "_keeping_zeros", killed)
    settings = {"share": 0.5, "epochs": 3, "out": tmp_path, "progress": False}
    with pytest.raises(KeyboardInterrupt):
        pruning.prune(bundle, material, **settings)
    monkeypatch.undo()
    assert len(list(tmp_path.iterdir())) >= 2
    for one, other in zip(weights(pruning.prune(bundle, material, **settings)), weights(pruned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_networks_of_a_committee_are_pruned_one_by_one(bundle, material):
    member = bundle.members[0]
    two = dataclasses.replace(bundle, members=(member, dataclasses.replace(member, model=member.stripped()))).joined()
    assert two.members[0].builder == "committee"
    system = recipes.Ensemble.of(perceptron(), method="seeds", rounds=2)
    pruned = pruning.prune(two, material, share=0.8, epochs=1, system=system, progress=False)
    one, other = (pruned.members[0].model.get_layer(f"member_{i}") for i in (1, 2))
    for kernel in (*kernels(one), *kernels(other)):
        assert np.mean(np.asarray(kernel) == 0) == pytest.approx(0.8, abs=0.01)
    # Alike before; their clips came in another order.
    assert not np.array_equal(np.asarray(kernels(one)[0]), np.asarray(kernels(other)[0]))


def test_what_cannot_be_pruned_is_an_error(bundle, material, demo_few):
    def wrong(error, message, given=bundle, data=material, **settings):
        with pytest.raises(error, match=message):
            pruning.prune(given, data, **settings, progress=False)

    for share in (0, 1, -1, 1.5):
        wrong(TrainingError, "above 0 and below 1|between 0 and 1", share=share)
    wrong(TrainingError, "at least one epoch", epochs=0)
    wrong(RecipeError, "did not train this bundle", system=recipes.get("from_scratch_single"))
    wrong(TrainingError, "nothing to prune", system=recipes.get("ahmadov_forest"))
    fewer = dataclasses.replace(bundle, card=bundle.card | {"labels": ["happy", "sad"]})
    wrong(TableError, "clips of neutral, angry|clips of angry", given=fewer)
