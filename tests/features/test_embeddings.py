"""Frozen networks of others, by stand-ins of the same signatures in kagglehub's own cache."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ser_kit import extraction, features
from ser_kit.core.errors import FeatureError
from ser_kit.features import TRILLsson, YAMNet
from ser_kit.features import embeddings as module

RATE = 16000
BOTH = [YAMNet(), TRILLsson(), TRILLsson(size=1)]


@pytest.mark.parametrize("extractor", BOTH, ids=lambda e: e.identity)
def test_contract(extractor, networks):
    assert features.get(extractor.name)(**extractor.parameters) == extractor
    assert len(extractor.feature_names) == len(set(extractor.feature_names)) == extractor.shape[0]
    tone = 0.5 * np.sin(2 * np.pi * 200 * np.arange(2 * RATE) / RATE)
    row, length = extractor.extract_with_length((tone, RATE))
    assert row.shape == extractor.shape and row.dtype == np.float32 and length == 1
    np.testing.assert_allclose(row[:1024], 0.5 / np.sqrt(2) * np.arange(1, 1025), rtol=1e-3)
    np.testing.assert_allclose(extractor.extract((tone / 2, RATE)), row / 2, rtol=1e-4, atol=1e-5)
    short = extractor.extract((tone[: RATE // 4], RATE))
    assert np.isfinite(short).all() and short[0] > 0


def test_yamnet_tells_means_and_deviations_over_its_patches(networks):
    rising = np.repeat([0.1, 0.3], 15600) * np.tile([1.0, -1.0], 15600)
    row = YAMNet().extract((rising, RATE))
    levels = np.array([np.sqrt(np.mean(np.square(rising[i : i + 15600]))) for i in range(0, 15601, 7680)])
    np.testing.assert_allclose(row[[0, 1024]], [levels.mean(), levels.std()], rtol=1e-3)


@pytest.mark.slow
def test_a_table_is_extracted_by_worker_processes(demo_few, networks):
    few = demo_few.head(4)
    few.attrs = demo_few.attrs
    found = extraction.extract(few, TRILLsson(), jobs=2, cache=False, progress=False)
    assert found.values.shape == (4, 1024) and len(found.failures) == 0
    np.testing.assert_allclose(found.values[2], TRILLsson().extract(few["path"].iloc[2]), rtol=1e-4)


def test_a_network_that_cannot_be_had_is_one_clear_error(demo_few, tmp_path, monkeypatch):
    import kagglehub

    def refused(handle):
        raise OSError("no route\n to host")

    monkeypatch.setattr(kagglehub, "model_download", refused)
    module._network.cache_clear()
    expected = r"google/yamnet/tensorFlow2/yamnet/1 cannot be had: no route to host\. .*kaggle.com/models/google/yamnet"
    with pytest.raises(FeatureError, match=expected):
        extraction.extract(demo_few, YAMNet(), jobs=2, cache=False, progress=False)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: YAMNet(sr=8000), "sr=8000; the network takes 16000 Hz"),
        (lambda: TRILLsson(size=6), "size=6 must be a whole number from 1 to 5"),
    ],
)
def test_bad_parameters(make, message):
    with pytest.raises(FeatureError, match=message):
        make()


def test_a_network_of_another_shape_is_refused(kaggle_cache, networks, monkeypatch):
    monkeypatch.setattr(YAMNet, "handle", TRILLsson().handle)
    monkeypatch.setattr(YAMNet, "_embedding", lambda self, network, samples: network(samples[None])["embedding"][0])
    with pytest.raises(FeatureError, match=r"gives \(1024,\) values of a clip; expected \(2048,\)"):
        YAMNet().extract((np.ones(RATE), RATE))
    assert Path(kaggle_cache, "models").is_dir() and os.environ["KAGGLEHUB_CACHE"] == str(kaggle_cache)
