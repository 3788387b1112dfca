"""Changes of training batches: each is what it says, and its draws can be repeated."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit.audio import augment, transforms
from ser_kit.audio.transforms import rms
from ser_kit.core.errors import PreprocessError, UnknownNameError
from ser_kit.training import batches

RATE = 16000


def batch(n=8, shape=(100, 40), classes=4, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(1, 0.1, (n, *shape)).astype(np.float32)
    return x, np.eye(classes, dtype=np.float32)[rng.integers(0, classes, n)]


@pytest.mark.parametrize("name", batches.BATCH_AUGMENTATIONS)
def test_contract(name):
    each = batches.batch_augmentation(name)
    assert batches.batch_augmentation(json.loads(json.dumps(each.to_dict()))) == each
    assert batches.batch_augmentation(each) is each
    x, y = batch(shape=(32000, 1) if name in ("vary", "babble") else (100, 40))
    x.flags.writeable = y.flags.writeable = False
    first, again, other = (each(x, y, np.random.default_rng(seed)) for seed in (1, 1, 2))
    for one, two, before in zip(first, again, (x, y), strict=True):
        assert one.dtype == np.float32 and one.shape == before.shape and np.isfinite(one).all()
        np.testing.assert_array_equal(one, two)
    assert not np.array_equal(first[0], other[0])


@given(
    shape=st.tuples(st.integers(1, 5), st.integers(1, 60), st.integers(1, 30)),
    masks=st.tuples(*[st.integers(0, 4)] * 2),
    widths=st.tuples(*[st.integers(0, 100)] * 2),
    seed=st.integers(0, 1000),
)
@settings(max_examples=100)
def test_masks_are_whole_rows_and_columns(shape, masks, widths, seed):
    step = batches.SpecAugment(
        time_masks=masks[0], time_width=widths[0], band_masks=masks[1], band_width=widths[1], fill=-7
    )
    x, y = np.ones(shape), np.ones((shape[0], 1))
    after, labels = step(x, y, np.random.default_rng(seed))
    np.testing.assert_array_equal(labels, y)
    hidden = after == -7
    assert (hidden | (after == 1)).all()
    for clip in hidden:
        rows, columns = clip.all(axis=1), clip.all(axis=0)
        if not clip.all():
            np.testing.assert_array_equal(clip, rows[:, None] | columns[None])
            assert rows.sum() <= masks[0] * widths[0] and columns.sum() <= masks[1] * widths[1]
            starts = np.flatnonzero(np.diff(rows.astype(int), prepend=0) == 1)
            assert len(starts) <= masks[0]


def test_masked_share():
    x, y = np.ones((2000, 100, 50)), np.ones((2000, 1))
    after, _ = batches.SpecAugment(time_masks=1, time_width=20, band_masks=0)(x, y, np.random.default_rng(0))
    rows = (after == 0).all(axis=2)
    assert rows.sum(axis=1).max() == 20 and rows.sum(axis=1).min() == 0
    assert rows.mean() == pytest.approx(0.1, rel=0.05), "half of the greatest width, on average"
    middle = rows.mean(axis=0)[20:80]
    assert middle == pytest.approx(middle.mean(), rel=0.35), "anywhere with equal chance"
    after, _ = batches.SpecAugment(time_masks=0, band_masks=1, band_width=10)(x, y, np.random.default_rng(0))
    assert (after == 0).mean() == pytest.approx(0.1, rel=0.05)


def test_spec_augment_needs_frames():
    with pytest.raises(PreprocessError, match=r"spec_augment: .*\[batch, frames, dims\].*\(8, 5\)"):
        batches.SpecAugment()(*batch(shape=(5,)), np.random.default_rng(0))


@given(n=st.integers(1, 20), alpha=st.floats(0.01, 100), seed=st.integers(0, 1000))
@settings(max_examples=60)
def test_mixup_mixes_features_and_labels_alike(n, alpha, seed):
    y = np.eye(n)
    x = y * 10 + 1  # so that the features tell the share of every clip
    mixed, labels = batches.Mixup(alpha=alpha)(x, y, np.random.default_rng(seed))
    np.testing.assert_allclose(labels.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(mixed, labels * 10 + 1, atol=1e-4)
    assert (labels >= 0).all() and ((labels > 0).sum(axis=1) <= 2).all()


def test_vary_takes_the_steps_of_what_sounds():
    t = np.arange(19200) / RATE
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * t), 0, None)
    sound = (0.5 * np.sin(2 * np.pi * 300 * t) * envelope).astype(np.float32)
    x, y = np.zeros((3, 64000, 1), np.float32), np.eye(3, dtype=np.float32)
    x[0, :19200, 0], x[1, :8000, 0] = sound, sound[:8000]
    rng = np.random.default_rng(0)
    varied, labels = batches.Vary(steps=("peak_normalise",), seconds=2.0)(x, y, rng)
    assert varied.shape == (3, 32000, 1) and not varied[2].any()
    np.testing.assert_array_equal(labels, y)
    placed = np.flatnonzero(varied[0, :, 0])
    whole = transforms.without_filling(transforms.PeakNormalise()(sound, RATE))
    start = placed[0] - np.flatnonzero(whole)[0]
    np.testing.assert_array_equal(varied[0, start : start + len(whole), 0], whole)
    assert placed[-1] == start + len(whole) - 1, "and nothing but zeros behind it"
    starts = {np.flatnonzero(batches.Vary(steps=())(x, y, rng)[0][1])[0] for _ in range(20)}
    assert len(starts) > 15, "anywhere in the silence"


def test_vary_keeps_a_stretch_of_a_long_clip():
    ramp = np.arange(1, 32001, dtype=np.float32)[None, :, None] / 32000
    rng = np.random.default_rng(0)
    starts = []
    for _ in range(200):
        (clip,), _ = batches.Vary(steps=(), seconds=0.5)(ramp, np.ones((1, 1)), rng)
        starts.append(round(float(clip[0, 0]) * 32000) - 1)
        np.testing.assert_array_equal(clip, ramp[0, starts[-1] : starts[-1] + 8000])
    assert min(starts) < 2000 and max(starts) > 22000


def test_vary_draws_for_each_clip_apart():
    x = np.repeat(np.random.default_rng(0).normal(0, 0.1, (1, 32000, 1)), 4, axis=0)
    varied, _ = batches.Vary(steps=("gain",), seconds=2.0)(x, np.eye(4), np.random.default_rng(0))
    assert len({round(float(np.abs(clip).max()), 6) for clip in varied}) == 4


@pytest.mark.parametrize("name", ["vary", "babble"])
def test_waveforms_are_needed(name):
    with pytest.raises(PreprocessError, match=rf"{name}: .*\[batch, samples, 1\].*\(8, 100, 40\)"):
        batches.batch_augmentation(name)(*batch(), np.random.default_rng(0))


@pytest.mark.parametrize("voices", [1, 3, 6])
def test_babble_is_others_of_the_batch_at_the_ratio_asked_for(voices):
    x = np.random.default_rng(0).normal(0, 0.1, (8, 8000, 1)).astype("float32")
    step = batches.Babble(share=1.0, voices=voices, snr_low=10, snr_high=10)
    mixed, labels = step(x, np.eye(8), np.random.default_rng(1))
    np.testing.assert_array_equal(labels, np.eye(8))
    for clip, (before, after) in enumerate(zip(x, mixed, strict=True)):
        added = (after - before)[:, 0]
        assert 20 * np.log10(rms(before) / rms(added)) == pytest.approx(10, abs=0.1)
        shares = np.linalg.lstsq(x[..., 0].T, added, rcond=None)[0]
        heard = np.flatnonzero(np.abs(shares) > 0.01)
        assert len(heard) == voices and clip not in heard
        assert shares[heard] == pytest.approx(np.full(voices, shares[heard].mean()), rel=1e-3)


def test_babble_leaves_the_rest_alone():
    x = np.random.default_rng(0).normal(0, 0.1, (400, 100, 1)).astype("float32")
    mixed, _ = batches.Babble(share=0.25)(x, np.ones((400, 1)), np.random.default_rng(1))
    assert np.mean((mixed != x).any(axis=(1, 2))) == pytest.approx(0.25, abs=0.06)
    alone, _ = batches.Babble(share=1.0)(x[:1], np.ones((1, 1)), np.random.default_rng(1))
    np.testing.assert_array_equal(alone, x[:1], "nobody else is there")


def test_mixup_shares():
    n = 4000
    x, y = np.zeros((n, 2, 3, 4)), np.eye(n, dtype=np.float32)
    shares = np.diag(batches.Mixup(alpha=0.2)(x, y, np.random.default_rng(0))[1])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    assert np.mean((shares < 0.05) | (shares > 0.95)) == pytest.approx(0.58, abs=0.04)


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"name": "mixup", "alpha": 0}, "mixup: alpha=0 must be a number from 0.01 to 100"),
        ({"name": "spec_augment", "time_masks": -1}, "time_masks=-1 must be a whole number from 0 to 100"),
        ({"name": "spec_augment", "band_width": 2.5}, "band_width=2.5 must be a whole number"),
        ({"name": "spec_augment", "fill": float("nan")}, "fill=nan must be a number"),
        ({"name": "mixup", "beta": 1}, "batch augmentation 'mixup': .*'beta'"),
    ],
)
def test_bad_parameters(described, message):
    with pytest.raises(PreprocessError, match=message):
        batches.batch_augmentation(described)


def test_bad_batches():
    x, y = batch()
    for wrong in ((x, y[:3]), (x, y.argmax(axis=1)), (x[:, 0, 0], y)):
        with pytest.raises(PreprocessError, match=r"mixup: expected features \[batch, ...\]"):
            batches.Mixup()(*wrong, np.random.default_rng(0))


def test_unknown_name():
    with pytest.raises(UnknownNameError, match="unknown batch augmentation 'mixupp'; did you mean 'mixup'"):
        batches.batch_augmentation("mixupp")


def test_identity_names_the_steps():
    step = augment.RandomApply(step="telephone")
    assert batches.Vary(steps=(step,)).identity.startswith(f"Vary/1(steps=[{step.identity}], rate=16000")


def test_their_old_place_still_has_them():
    for name in ("BATCH_AUGMENTATIONS", "Babble", "BatchAugmentation", "Mixup", "SpecAugment", "Vary"):
        with pytest.warns(DeprecationWarning, match=f"ser_kit.training.batches.{name}"):
            assert getattr(augment, name) is getattr(batches, name)
    with pytest.raises(AttributeError, match="nonsense"):
        augment.nonsense  # noqa: B018
