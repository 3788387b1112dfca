"""The three examples of CONTRIBUTING.md: each is written where it says, registered, and used."""

from __future__ import annotations

import doctest
import importlib
import re
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import soundfile

import ser_kit
from ser_kit import corpora, errors, models, recipes
from ser_kit.corpora.demo import synthesise_clip

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"
EXAMPLE = re.compile(r"^```python\n# ser_kit/(\w+)/(\w+)\.py\n(.*?)^```", re.M | re.S)


@pytest.fixture
def example(tmp_path, monkeypatch):
    """Gives the module of an example, imported as if its file stood in the package."""

    imported = []

    def write(package: str):
        name, source = next((name, text) for where, name, text in EXAMPLE.findall(PAGE.read_text()) if where == package)
        (tmp_path / f"{name}.py").write_text(source, encoding="utf-8")
        home = importlib.import_module(f"ser_kit.{package}")
        monkeypatch.setattr(home, "__path__", [*home.__path__, str(tmp_path)])
        imported.append((home, name))
        return importlib.import_module(f"{home.__name__}.{name}")

    yield write
    for home, name in imported:
        del sys.modules[f"{home.__name__}.{name}"]
        delattr(home, name)


def test_add_a_corpus(example, tmp_path, monkeypatch):
    module = example("corpora")
    monkeypatch.setitem(corpora.CORPORA, module.NAME, module.__name__)
    assert doctest.testmod(module).attempted and not doctest.testmod(module).failed
    folder = tmp_path / "recordings"
    folder.mkdir()
    for speaker in ("anna", "ben"):
        for emotion in ("happy", "sad", "angry", "neutral"):
            soundfile.write(folder / f"{speaker}_{emotion}_01.wav", synthesise_clip("01_angry_s1_t1.wav"), 16000)
    (folder / "notes_01.wav").write_bytes(b"")

    table = ser_kit.load(f"plains:{folder}", labels="four")
    assert set(table["speaker"]) == {"plains:anna", "plains:ben"} and len(table) == 7
    assert table.attrs["labels"] == ["neutral", "happy", "sad", "angry"]
    reasons = {row["clip_id"].removeprefix("plains:"): row["reason"] for row in table.attrs["excluded"]}
    assert reasons["anna_sad_01"] == module.KNOWN_BAD["anna_sad_01"]
    assert "'anna_happy_03.wav'" in reasons["notes_01.wav"]
    with pytest.raises(errors.FileNameError):
        corpora.get("plains").parse("notes_01.wav")


def test_add_a_model_and_a_published_system(example, demo_few, tmp_path, monkeypatch):
    module = example("models")
    monkeypatch.setitem(models.BUILDERS, "pooled_gru", "ser_kit.models.pooled_gru:pooled_gru")
    network = models.get("pooled_gru")((101, 64), 6)
    assert f"{network.count_params():,} parameters" in module.pooled_gru.__doc__
    network.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 101, 64)).astype("float32")
    again = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again(x), network(x), atol=1e-6)
    with pytest.raises(errors.RecipeError, match="hyperparameters.dropout=1.5"):
        models.check("pooled_gru", {"dropout": 1.5})

    system = example("recipes").doe_gru
    monkeypatch.setitem(recipes.RECIPES, system.name, system)
    quick = ser_kit.recipe("doe_gru+wider").with_settings({"training.epochs": 1})
    assert quick.hyperparameters == {"units": 64}
    for protocol in ("published", "speaker"):
        evaluation = quick.run(demo_few, protocol, progress=False)
        assert len(evaluation.predictions) == {"published": 6, "speaker": 30}[protocol]
