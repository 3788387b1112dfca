"""Names of the release before still work, with a warning; what was stored under them is found without one."""

from __future__ import annotations

import dataclasses
import inspect
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

import ser_kit
from ser_kit import features, models, recipes
from ser_kit.audio import Recording, read_audio
from ser_kit.bundles.member import extractor_of
from ser_kit.core.config import made
from ser_kit.features import LogMel, StackedFrames, Waveform
from ser_kit.inference import Alert, Predictor, StreamPredictor
from ser_kit.recipes import reproduce
from ser_kit.training.batches import BATCH_AUGMENTATIONS, Vary

OLD = {"rate": 8000, "hop": 80, "window": 200}
NEW = LogMel(sr=8000, hop_length=80, win_length=200)


@pytest.fixture(autouse=True)
def no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        yield


class TestSettings:
    def test_old_keywords(self):
        with pytest.warns(DeprecationWarning) as caught:
            assert LogMel(**OLD) == NEW
        said = sorted(str(each.message).split(";")[0] for each in caught)
        assert said == [
            "LogMel(hop=...) is now LogMel(hop_length=...)",
            "LogMel(rate=...) is now LogMel(sr=...)",
            "LogMel(window=...) is now LogMel(win_length=...)",
        ]
        assert {each.filename for each in caught} == {__file__}
        with pytest.warns(DeprecationWarning, match="rate"):
            assert Vary(rate=8000) == Vary(sr=8000)
        with pytest.warns(DeprecationWarning, match="rate"):
            assert dataclasses.replace(NEW, rate=16000).sr == 16000

    def test_old_attributes(self):
        for old, value in OLD.items():
            with pytest.warns(DeprecationWarning, match=rf"LogMel\.{old} is now"):
                assert getattr(NEW, old) == value
        with pytest.warns(DeprecationWarning, match="win_length"):
            assert StackedFrames().window == 551

    def test_a_setting_that_a_class_does_not_have(self):
        with pytest.raises(TypeError, match="'hop'"):
            Waveform(hop=80)
        with pytest.raises(AttributeError, match="'hop'"):
            Waveform().hop  # noqa: B018
        assert not hasattr(NEW, "nonsense")

    def test_what_was_stored_stays_valid(self):
        assert NEW.identity == "LogMel/1(rate=8000, n_fft=512, window=200, hop=80, n_mels=64, seconds=None)"
        assert Vary().identity.endswith(", rate=16000, seconds=2.0)")
        for settings in (OLD, NEW.parameters, NEW.stored(NEW.parameters)):
            card = {"extractor": {"name": "logmel", "parameters": settings}}
            assert extractor_of(card) == made(features.EXTRACTORS, {"name": "logmel", **settings}) == NEW
        assert made(BATCH_AUGMENTATIONS, {"name": "vary", "rate": 8000}) == Vary(sr=8000)

    def test_paths_of_settings(self):
        recipe = recipes.get("rastogi_mlp")
        changes = {"extractor.rate": 22050, "extractor.hop": 200}
        assert recipe.with_settings(changes) == recipe.with_settings(
            {"extractor.sr": 22050, "extractor.hop_length": 200}
        )

    def test_signatures_copies_and_pickles(self):
        assert list(inspect.signature(Waveform).parameters) == ["sr", "preprocess", "seconds"]
        assert pickle.loads(pickle.dumps(NEW)) == dataclasses.replace(NEW) == NEW


def test_a_saved_layer_still_loads():
    from ser_kit.models.layers import LogMelSpectrogram

    layer = LogMelSpectrogram(8000, win_length=200, hop_length=80)
    config = layer.get_config()
    old = LogMel.stored(config)
    assert set(OLD) <= set(old)
    assert (
        LogMelSpectrogram.from_config(old).get_config() == LogMelSpectrogram.from_config(config).get_config() == config
    )


def test_reading_audio():
    sound = (np.ones(8000, np.float32), 8000)
    with pytest.warns(DeprecationWarning, match=r"read_audio\(rate=...\) is now read_audio\(sr=...\)"):
        assert isinstance(found := read_audio(sound, rate=16000), Recording) and found.rate == 16000
    with pytest.warns(DeprecationWarning, match="load_audio"):
        assert len(ser_kit.load_audio(sound, rate=4000)) == 4000
    assert list(inspect.signature(read_audio).parameters) == ["source", "sr", "watch"]


@pytest.mark.parametrize(
    ("owner", "old", "new"),
    [
        (Alert, "hear", "update"),
        (LogMel, "stands_on", "dependencies"),
        (Predictor, "judge", "predict_window"),
        (Predictor, "used_to", "with_observations"),
        (recipes.System, "changed", "with_settings"),
    ],
)
def test_methods(owner, old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is now .*{new};"):
        assert getattr(owner, old) is getattr(owner, new)


def test_a_method_of_an_object():
    with pytest.warns(DeprecationWarning, match="Settings.stands_on is now Settings.dependencies") as caught:
        assert NEW.stands_on == NEW.dependencies
    assert caught[0].filename == __file__


def test_recipes_and_models():
    for old, new in recipes.RENAMED.items():
        with pytest.warns(DeprecationWarning, match=f"recipe '{old}' is now '{new}'"):
            assert recipes.get(old) is recipes.get(new)
    recipe = recipes.get("from_scratch_single")
    with pytest.warns(DeprecationWarning, match="model 'house' is now 'dual_view_cnn'"):
        assert recipe.with_settings({"model": "house"}) == recipe
    assert models.get("house") is models.get(recipe.model) and models.version("house") == models.version(recipe.model)
    assert recipe.declaration["model"] == "house", "or its records would count as those of other settings"


def test_records_of_old_recipes(tmp_path):
    own = Path(ser_kit.__file__).parents[1] / "results" / "own_systems"
    if not own.is_dir():
        pytest.skip("the records are not beside an installed package")
    (path, *_) = sorted(own.glob("records/*/from_scratch/*.json"))
    copy = tmp_path / "records" / "ravdess-eight" / "house" / path.name
    copy.parent.mkdir(parents=True)
    copy.write_text(path.read_text().replace('"recipe": "from_scratch"', '"recipe": "house"'))
    assert reproduce.load(tmp_path)["recipe"].tolist() == ["from_scratch"]


def test_streams(predictor):
    with pytest.warns(DeprecationWarning, match=r"StreamPredictor\(rate=...\)"):
        StreamPredictor(predictor, rate=8000)
