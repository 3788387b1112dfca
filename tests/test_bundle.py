"""A bundle is loaded whole, or refused with what is wrong; nothing in it is ever executed."""

from __future__ import annotations

import json
import shutil

import pytest

from ser_kit.bundle import PRESETS, Bundle, preset_names, preset_path
from ser_kit.errors import BundleError, UnknownNameError


@pytest.fixture
def copied(demo_bundle, tmp_path):
    return shutil.copytree(demo_bundle, tmp_path / "bundle")


def edit(folder, **changes):
    card = json.loads((folder / "card.json").read_text())
    card.update(changes)
    (folder / "card.json").write_text(json.dumps({k: v for k, v in card.items() if v is not None}))


def test_a_bundle_holds_two_files_and_no_pickle(demo_bundle):
    assert sorted(path.name for path in demo_bundle.iterdir()) == ["card.json", "model.keras"]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "card.json").unlink(), "no card.json"),
        (lambda f: (f / "card.json").write_text("{"), "cannot be read"),
        (lambda f: edit(f, labels=None), "lacks labels"),
        (lambda f: edit(f, format=99), "format 99"),
        (lambda f: (f / "model.keras").write_bytes(b"other"), "not the file"),
        (lambda f: (f / "model.keras").unlink(), "missing"),
        (lambda f: edit(f, model={"builder": "no_such", "input_shape": [3], "hyperparameters": {}}), "cannot be built"),
        (lambda f: edit(f, model={"builder": "mlp", "input_shape": [7], "hyperparameters": {}}), "do not fit"),
        (lambda f: edit(f, extractor={"name": "functionals", "version": 0, "parameters": {}}), "train it again"),
    ],
)  # fmt: skip
def test_a_spoilt_bundle_is_refused_with_the_reason(copied, spoil, message):
    spoil(copied)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied)


def test_the_configuration_inside_the_keras_file_is_never_read(copied):
    """A model file whose configuration would be refused by Keras still loads: only its weights are looked at."""
    import hashlib
    import zipfile

    with zipfile.ZipFile(copied / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = b'{"module": "os", "class_name": "system", "config": {"command": "touch owned"}}'
    with zipfile.ZipFile(copied / "model.keras", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    edit(copied, model_sha256=hashlib.sha256((copied / "model.keras").read_bytes()).hexdigest())
    assert Bundle.load(copied).labels


def test_saving_replaces_a_bundle_but_nothing_else(demo_bundle, tmp_path):
    bundle = Bundle.load(demo_bundle)
    bundle.save(tmp_path / "new" / "bundle")
    bundle.save(tmp_path / "new" / "bundle")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bundle"]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    with pytest.raises(BundleError, match="not a bundle"):
        bundle.save(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.tex").exists()


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_small_licensed_and_loads(name):
    bundle = Bundle.load(preset_path(name))
    assert sum(path.stat().st_size for path in preset_path(name).iterdir()) < 8e6
    assert all(corpus["licence"] for corpus in bundle.card["trained_on"])
    assert bundle.card["evaluation"]["speaker_independent"]


def test_an_unknown_preset_is_named():
    assert PRESETS.is_dir()
    with pytest.raises(UnknownNameError, match="preset 'nope'"):
        preset_path("nope")
