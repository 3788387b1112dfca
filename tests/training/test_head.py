"""The head that is trained on the features of a trained network."""

from __future__ import annotations

import numpy as np
import pytest

from ser_kit.core.errors import TrainingError
from ser_kit.training.head import Head, answers, matched


def data(clips=90, noise=0.3, seed=0):
    """Three classes: feature 0 to 2 show them, 3 to 22 are noise; a start that knows two of them by other names."""
    rng = np.random.default_rng(seed)
    y = np.arange(clips) % 3
    x = np.hstack([np.eye(3)[y] + rng.normal(0, noise, (clips, 3)), rng.normal(size=(clips, 20))])
    start = np.full((clips, 4), 0.05)
    start[np.arange(clips), y + 1] = 0.85
    return x, y, start


def predicted(head, x, start):
    return (head.share * answers(start, head.match) + x @ head.kernel + head.bias).argmax(axis=1)


def test_it_finds_the_columns_that_show_the_classes():
    x, y, _ = data()
    start = np.full((90, 4), 0.25)  # knows nothing
    columns = [np.arange(3, 23), np.arange(3)]
    head = Head().fit(x, y, 3, start=start, groups=np.arange(90) // 9, columns=columns)
    assert head.columns == 1 and not head.kernel[3:].any()
    more, truth, _ = data(seed=1)
    assert (predicted(head, more, start) == truth).mean() > 0.9


def test_it_leans_on_a_start_that_is_right_and_whose_labels_have_other_names():
    x, y, start = data(noise=20)
    head = Head().fit(x, y, 3, start=start, groups=np.arange(90), columns=[np.arange(23)])
    assert head.share > 0.5 and head.match.argmax(axis=0).tolist() == [1, 2, 3]
    assert (predicted(head, x, start) == y).mean() > 0.95


def test_the_settings_are_chosen_on_other_speakers():
    """A feature that gives the class away within a speaker, and misleads across speakers, is left aside."""
    rng = np.random.default_rng(0)
    y, speaker = np.tile([0, 1], 60), np.repeat(np.arange(6), 20)
    marker = np.where(speaker % 2 == 0, y, 1 - y) * 4.0  # the meaning turns round from speaker to speaker
    x = np.stack([marker, y + rng.normal(0, 0.5, 120), rng.normal(size=120)], axis=1)
    start = np.full((120, 2), 0.5)
    head = Head().fit(x, y, 2, start=start, groups=speaker, columns=[[0], [1, 2]])
    assert head.columns == 1


def test_the_same_clips_and_seed_give_the_same_head():
    x, y, start = data()
    heads = [Head().fit(x, y, 3, start=start, groups=np.arange(90), columns=[np.arange(23)], seed=3) for _ in "ab"]
    np.testing.assert_array_equal(heads[0].kernel, heads[1].kernel)


def test_labels_are_matched_by_what_the_start_answers():
    start = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9]])
    found = matched(start, np.array([0, 0, 1]), 2)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found[0, 0] > 0.8 and found[1, 1] > 0.8


def test_clips_of_weight_0_do_not_count():
    x, y, start = data()
    wrong = np.concatenate([y, (y + 1) % 3])
    weights = np.repeat([1.0, 0.0], 90)
    twice = dict(start=np.vstack([start, start]), groups=np.arange(180), columns=[np.arange(23)])
    head = Head().fit(np.vstack([x, x]), wrong, 3, weights=weights, **twice)
    assert (predicted(head, x, start) == y).all()


@pytest.mark.parametrize("settings", [{"folds": 1}, {"shrinkages": ()}, {"shrinkages": (0.0,)}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(TrainingError, match="training"):
        Head(**settings)


def test_one_class_or_one_group_is_refused():
    x, y, start = data()
    with pytest.raises(TrainingError, match="two emotions"):
        Head().fit(x, np.zeros(90, int), 3, start=start, groups=np.arange(90), columns=[[0]])
    with pytest.raises(TrainingError, match="two clips or speakers"):
        Head().fit(x, y, 3, start=start, groups=np.zeros(90), columns=[[0]])
