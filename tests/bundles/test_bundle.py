"""A bundle is loaded whole, or refused with what is wrong; nothing in it is ever executed."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import io
import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest

from ser_kit import models
from ser_kit.bundles import card_page
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.files import check_target
from ser_kit.bundles.presets import PRESETS, bundle_path, preset_names, preset_path
from ser_kit.bundles.weights import _check_networks
from ser_kit.core.errors import BundleError, RecipeError, TargetError, UnknownNameError
from ser_kit.inference.predictor import DEFAULT_PRESET


@pytest.fixture
def copied(demo_bundle, tmp_path):
    return shutil.copytree(demo_bundle, tmp_path / "bundle")


@pytest.fixture(scope="module")
def pair(demo_bundle, tmp_path_factory):
    """The folder of a bundle of two members, the second of them weightier."""
    whole = Bundle.load(demo_bundle)
    second = Bundle.load(demo_bundle).members[0]
    second.model.set_weights([0.5 * weights for weights in second.model.get_weights()])
    members = (*whole.members, dataclasses.replace(second, weight=2.0))
    return Bundle({**whole.card, "combine": "hard"}, members).save(tmp_path_factory.mktemp("pair") / "bundle")


@pytest.fixture
def copied_pair(pair, tmp_path):
    return shutil.copytree(pair, tmp_path / "pair")


def edit(folder, member=None, **changes):
    """Change the card, or what it says of one member; ``None`` takes an entry out."""
    card = json.loads((folder / "card.json").read_text())
    place = card if member is None else card["members"][member]
    place.update(changes)
    for key in [key for key, value in place.items() if value is None]:
        del place[key]
    (folder / "card.json").write_text(json.dumps(card))


def model(builder="mlp", shape=(45,), **hyperparameters):
    return {"builder": builder, "input_shape": list(shape), "hyperparameters": hyperparameters, "parameters": 1000}


def test_a_bundle_holds_a_card_and_a_file_for_each_member_and_no_pickle(demo_bundle, pair):
    assert sorted(path.name for path in demo_bundle.iterdir()) == ["README.md", "card.json", "model.keras"]
    assert sorted(path.name for path in pair.iterdir()) == ["README.md", "card.json", "model_1.keras", "model_2.keras"]


def test_the_model_card_tells_what_the_card_knows(demo_bundle):
    card = json.loads((demo_bundle / "card.json").read_text())
    page = (demo_bundle / "README.md").read_text()
    found = card["evaluation"]
    headings = [line for line in page.splitlines() if line.startswith("#")]
    assert headings[:4] == ["# rastogi_mlp+ours", "## Training data", "## Evaluation", "### By emotion"]
    assert headings[4] == "### By sex of the speaker" and "## Limits" in headings
    assert "speaker_80_20" in page and "test speakers were not in training; tested on " in page
    (tested,) = found["tested"]
    assert tested["corpus"] == "demo" and f"{tested['clips']:,} clips of demo ({tested['speakers']} speakers)" in page
    assert f"{100 * found['scores']['uar']['pooled']:.1f} [" in page and card["licence"] in page
    assert "AI Act" in page and "at work and in education" in page
    assert np.sum(found["confusion"]) == sum(each["support"] for each in found["classes"].values())
    for place, label in enumerate(card["labels"]):
        each, row = found["classes"][label], found["confusion"][place]
        assert each["recall"] == pytest.approx(row[place] / sum(row)) and each["low"] <= each["recall"] <= each["high"]
        assert f"| {label} | {' | '.join(map(str, row))} |" in page
    assert sum(each["clips"] for each in found["sexes"].values()) == np.sum(found["confusion"])
    assert sum(each["clips"] for each in found["reliability"]) == np.sum(found["confusion"])
    assert found["confident_half"] >= found["scores"]["accuracy"]["pooled"] - 0.2
    assert card_page.markdown(card) == page
    bare = {key: card[key] for key in ("name", "labels", "members")}
    page = card_page.markdown(bare)
    assert page.startswith("# rastogi_mlp+ours\n\n") and "##" not in page


@pytest.mark.parametrize("name", preset_names())
def test_the_page_of_a_preset_is_made_of_its_card(name):
    card = json.loads((preset_path(name) / "card.json").read_text(encoding="utf-8"))
    assert (preset_path(name) / "README.md").read_text(encoding="utf-8") == card_page.markdown(card)


def test_texts_of_a_card_are_no_markup_on_its_page(demo_bundle):
    card = json.loads((demo_bundle / "card.json").read_text())
    hostile = "<img src=x onerror=alert(1)> [here](http://x)\n# A title\n`run` & more"
    card |= {"title": hostile, "licence": hostile, "limits": hostile, "versions": {hostile: hostile}}
    card["trained_on"][0]["corpus"] = card["evaluation"]["tested"][0]["corpus"] = hostile
    page = card_page.markdown(card)
    assert page.count(r"\<img src=x onerror=alert(1)\> \[here\](http://x) # A title \`run\` &amp; more") == 7
    assert "\n# A title" not in page


def test_a_card_says_of_its_members_what_rebuilds_them(demo_bundle):
    card = json.loads((demo_bundle / "card.json").read_text())
    (member,) = card["members"]
    assert (card["format"], card["combine"], member["weight"]) == (2, "soft", 1.0)
    assert member["extractor"]["name"] == "functionals"
    assert member["model"]["builder"] == "mlp" and member["model"]["input_shape"] == [len(member["columns"])]
    assert len(member["scaler"]["mean"]) == len(member["scaler"]["scale"]) == len(member["columns"])
    loaded = Bundle.load(demo_bundle)
    assert member["model"]["parameters"] == loaded.parameters
    assert "members" not in loaded.card
    assert loaded.extractors == (loaded.members[0].extractor,) and loaded.rate == loaded.extractors[0].rate


def test_members_keep_their_order_weights_and_votes(pair, demo_functionals):
    bundle = Bundle.load(pair)
    assert [member.weight for member in bundle.members] == [1.0, 2.0]
    values = demo_functionals.values[:8]
    first, second = (member.probabilities(values).astype(float) for member in bundle.members)
    assert (first != second).any()
    mean = (first + 2 * second) / 3
    votes = np.eye(6)[first.argmax(axis=1)] + 2 * np.eye(6)[second.argmax(axis=1)]
    combined = bundle.combined({bundle.extractors[0]: values})
    np.testing.assert_allclose(combined, (votes + mean) / 4, atol=1e-12)
    np.testing.assert_allclose(combined.sum(axis=1), 1)
    assert (combined.argmax(axis=1) == second.argmax(axis=1)).all()


def test_a_large_table_is_predicted_piece_by_piece_to_the_same(demo_bundle, demo_functionals, monkeypatch):
    bundle = Bundle.load(demo_bundle)
    values = demo_functionals.values[:40]
    whole = bundle.probabilities(values)
    monkeypatch.setattr("ser_kit.bundles.member._BATCH", 16)
    np.testing.assert_allclose(bundle.probabilities(values), whole, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "card.json").unlink(), "no card.json"),
        (lambda f: (f / "card.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "card.json").write_text("[]"), "lacks format"),
        (lambda f: edit(f, labels=None), "lacks labels"),
        (lambda f: edit(f, members=None), "lacks members"),
        (lambda f: edit(f, format=99), "format 99"),
        (lambda f: edit(f, format=1), "format 1; this ser_kit reads 2"),
        (lambda f: edit(f, combine="loud"), "combine='loud' must be one of"),
        (lambda f: edit(f, prior=[0.5, 0.5]), "prior has 2 shares; expected 6, one per label"),
        (lambda f: edit(f, prior=[0.2] * 5 + [0]), r"prior\[5\]=0 must be 1e-12 or more"),
        (lambda f: edit(f, prior=["much"] * 6), r"prior\[0\]='much' must be a number"),
        (lambda f: edit(f, members=[]), r"members=\[\] must have 1 entries or more"),
        (lambda f: edit(f, members=5), "members=5 must be a list"),
        (lambda f: edit(f, labels=["sad"] * 6), "labels=.* must have no entry twice"),
        (lambda f: edit(f, name="../thesis"), "name='../thesis' must match"),
        (lambda f: edit(f, 0, columns=[1000] * 30), "columns=.* must have no entry twice"),
        (lambda f: edit(f, 0, sha256=None), r"members\[0\] lacks sha256"),
        (lambda f: edit(f, 0, weight="heavy"), r"members\[0\].weight='heavy' must be a number"),
        (lambda f: edit(f, 0, weight=-1), r"members\[0\].weight=-1 must be 1e-12 or more"),
        (lambda f: edit(f, title="\x1b[2J"), "title='.*' must be text"),
        (lambda f: edit(f, 0, scaler={"mean": [0], "scale": [1]}), r"members\[0\].scaler.mean has 1 numbers; expected"),
        (lambda f: (f / "model.keras").write_bytes(b"other"), "model.keras is not the file"),
        (lambda f: (f / "model.keras").unlink(), "model.keras is missing"),
        (lambda f: edit(f, 0, model=model("no_such")), "cannot be built"),
        (lambda f: edit(f, 0, model=model(drop_out=0.1)), "cannot be built"),
        (lambda f: edit(f, 0, model=model(shape=(7,))), r"model.input_shape=\[7\] must be \["),
        (lambda f: edit(f, 0, extractor={"name": "functionals", "version": 0, "parameters": {}}), "train it again"),
        (lambda f: edit(f, 0, extractor={"name": "no_such", "version": 1, "parameters": {}}), "cannot be built"),
    ],
)  # fmt: skip
def test_a_spoilt_bundle_is_refused_with_the_reason(copied, spoil, message):
    spoil(copied)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "model_2.keras").unlink(), "model_2.keras is missing"),
        (lambda f: (f / "model_2.keras").write_bytes(b"other"), "model_2.keras is not the file"),
        (lambda f: shutil.copy(f / "model_1.keras", f / "model_2.keras"), "model_2.keras is not the file"),
        (lambda f: edit(f, 1, model=model(shape=(7,))), "of model_2.keras cannot be built: model.input_shape"),
        (lambda f: edit(f, 1, extractor={"name": "functionals", "version": 0, "parameters": {}}), "train it again"),
    ],
)
def test_a_spoilt_member_is_named(copied_pair, spoil, message):
    spoil(copied_pair)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied_pair)


def test_a_card_cannot_name_files_elsewhere(copied):
    """Which file is read follows from the number of members; nothing that a card says is a path."""
    edit(copied, 0, file="/etc/passwd", path="../../secret")
    assert Bundle.load(copied).labels


def test_the_configuration_inside_the_keras_file_is_never_read(copied):
    """A model file whose configuration would be refused by Keras still loads: only its weights are looked at."""
    with zipfile.ZipFile(copied / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["config.json"] = b'{"module": "os", "class_name": "system", "config": {"command": "touch owned"}}'
    with zipfile.ZipFile(copied / "model.keras", "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    edit(copied, 0, sha256=hashlib.sha256((copied / "model.keras").read_bytes()).hexdigest())
    assert Bundle.load(copied).labels


def rewritten(folder, **parts):
    """Other contents of the Keras file, with a hash that fits."""
    with zipfile.ZipFile(folder / "model.keras") as archive:
        parts = {name: archive.read(name) for name in archive.namelist()} | parts
    with zipfile.ZipFile(folder / "model.keras", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    edit(folder, 0, sha256=hashlib.sha256((folder / "model.keras").read_bytes()).hexdigest())


def weights(folder, change) -> bytes:
    """The HDF5 file of the bundle, changed by a function of it."""
    with zipfile.ZipFile(folder / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content, "a") as file:
        change(file)
    return content.getvalue()


def some_array(file):
    """The name of one that is longer than a number."""
    return file.visititems(lambda name, thing: name if isinstance(thing, h5py.Dataset) and thing.size > 1 else None)


def replaced(**settings):
    """A change that puts another array in the place of one."""

    def change(file):
        name = some_array(file)
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, **{"shape": shape, "dtype": "f4"} | settings)

    return change


def linked(make):
    def change(file):
        name = some_array(file)
        del file[name]
        file[name] = make()

    return change


def virtual(file):
    name = some_array(file)
    layout = h5py.VirtualLayout(file[name].shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "x", file[name].shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


HOSTILE = {
    "a link to another file": (linked(lambda: h5py.ExternalLink("/etc/passwd", "/x")), "holds a link at"),
    "a link inside": (linked(lambda: h5py.SoftLink("/layers")), "holds a link at"),
    "numbers stored outside": (
        replaced(external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)]),
        "does not hold a plain array",
    ),
    "a view of another file": (virtual, "does not hold a plain array"),
    "text": (replaced(dtype=h5py.string_dtype()), "does not hold a plain array"),
    "terabytes in a few bytes": (replaced(shape=(1 << 40,), chunks=(1 << 16,)), "holds more numbers"),
    "a group inside itself": (lambda file: file.__setitem__("loop", file["/"]), "holds recursive groups"),
    "another shape": (replaced(shape=(3, 3)), "do not match"),
    "no numbers": (replaced(fillvalue=np.nan), "NaN or infinite"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_weights_are_refused(copied, name):
    change, message = HOSTILE[name]
    rewritten(copied, **{"model.weights.h5": weights(copied, change)})
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"../../owned.txt": b"x"}, "holds '../../owned.txt'"),
        ({"assets/vocabulary.txt": b"x"}, "holds 'assets/vocabulary.txt'"),
        ({"config.json": bytes(100 << 20)}, "would unpack to"),
        ({"model.weights.h5": b"no HDF5"}, "do not match"),
    ],
)
def test_a_hostile_archive_is_refused(copied, parts, message):
    rewritten(copied, **parts)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied)
    assert not (copied.parent.parent / "owned.txt").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"units": [4000] * 9, "dropout": [0] * 9, "batch_norm": [False] * 9}, "has [0-9,]+ parameters"),
        ({"units": [10**12]}, "a setting of 1000000000000"),
        ({"units": [8] * 10_000}, "more than 500 settings"),
        ({"units": [float("nan")]}, "units|cannot be built"),
    ],
)
def test_a_network_beyond_reason_is_not_built(copied, settings, message):
    edit(copied, 0, model=model(**settings))
    with pytest.raises(BundleError, match=message):
        Bundle.load(copied)


def test_a_card_beyond_reason_is_not_read(copied):
    (copied / "card.json").write_text("[" * 200_000)
    with pytest.raises(BundleError, match="cannot be read"):
        Bundle.load(copied)
    (copied / "card.json").write_bytes(b" " * (17 << 20))
    with pytest.raises(BundleError, match="larger than 16 MiB"):
        Bundle.load(copied)


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


def test_a_member_more_leaves_no_file_of_the_bundle_before(copied, pair):
    Bundle.load(pair).save(copied)
    assert sorted(path.name for path in copied.iterdir()) == [
        "README.md",
        "card.json",
        "model_1.keras",
        "model_2.keras",
    ]
    Bundle.load(copied)


def test_a_save_that_fails_leaves_the_bundle_as_it_was(copied, pair, monkeypatch):
    before = {path.name: path.read_bytes() for path in copied.iterdir()}
    bundle = Bundle.load(pair)
    monkeypatch.setattr(type(bundle.members[1]), "to_card", lambda member: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        bundle.save(copied)
    assert {path.name: path.read_bytes() for path in copied.iterdir()} == before
    assert [path.name for path in copied.parent.iterdir()] == ["bundle"]


def test_what_could_not_be_loaded_is_not_saved(demo_bundle, tmp_path):
    bundle = Bundle.load(demo_bundle)
    broken = dataclasses.replace(bundle.members[0], hyperparameters={"units": [8] * 10_000})
    with pytest.raises(BundleError, match="'mlp' network cannot be loaded: its network has more than 500 settings"):
        dataclasses.replace(bundle, members=(broken,)).save(tmp_path / "new")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_as_many_networks_as_are_joined_can_be_loaded(demo_bundle):
    """Settings that are the same in all members of a committee count once, and lists, which may make layers, often."""
    bundle = Bundle.load(demo_bundle)
    many = dataclasses.replace(bundle, members=bundle.members * (models.MOST_NETWORKS + 1))
    assert many.joined() is many
    shipped = Bundle.load(preset_path("from_scratch")).members[0].hyperparameters
    _check_networks("committee", {**shipped, "members": models.MOST_NETWORKS})
    with pytest.raises(RecipeError, match="hyperparameters.members=33 must be a whole number from 1 to 32"):
        _check_networks("committee", {**shipped, "members": models.MOST_NETWORKS + 1})


def test_what_lies_beside_a_bundle_is_never_deleted(copied, tmp_path):
    bundle = Bundle.load(copied)
    (copied / "notes.txt").write_text("years of work")
    for folder in (copied, str(copied)):
        with pytest.raises(BundleError, match="holds notes.txt besides its bundle"):
            check_target(folder)
        with pytest.raises(BundleError, match="holds notes.txt besides its bundle"):
            bundle.save(folder)
    assert (copied / "notes.txt").read_text() == "years of work" and Bundle.load(copied)


def test_a_link_to_a_bundle_stays_one(copied, pair, tmp_path):
    (tmp_path / "current").symlink_to(copied)
    saved = Bundle.load(pair).save(tmp_path / "current")
    assert saved == tmp_path / "current" and saved.is_symlink()
    assert len(Bundle.load(copied).members) == 2


def test_the_working_directory_is_not_replaced(copied, monkeypatch):
    monkeypatch.chdir(copied)
    for folder in (".", "", copied):
        with pytest.raises(TargetError, match="is the working directory"):
            Bundle.load(copied).save(folder)
    assert len(list(copied.iterdir())) == 3


def test_a_bundle_is_found_while_another_takes_its_place(copied):
    """As a kill leaves it where two folders cannot change places in one step."""
    copied.rename(copied.with_name(".bundle.replaced"))
    assert bundle_path(copied) == copied and Bundle.load(copied)


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_small_licensed_and_loads(name):
    bundle = Bundle.load(preset_path(name))
    assert sum(path.stat().st_size for path in preset_path(name).iterdir()) < 8e6
    assert all(corpus["licence"] for corpus in bundle.card["trained_on"])
    assert bundle.card["evaluation"]["speaker_independent"]


def test_the_default_preset_is_worth_shipping():
    """By what its card says of corpora that were not learned from."""
    bundle = Bundle.load(preset_path(DEFAULT_PRESET))
    assert len(bundle.labels) == 8 and bundle.card["evaluation"]["protocol"] == "corpus"
    found = {each["corpus"]: each for each in bundle.card["left_out"]}
    assert found.keys() == {"ravdess", "emodb", "tess", "nemo", "emospeech"}
    acted = [each for name, each in found.items() if name != "emospeech"]  # its one-word commands stay near chance
    assert np.mean([each["uar"] for each in acted]) > 0.55 and min(each["uar"] for each in acted) > 0.45
    assert np.mean([each["right"] for each in acted]) > 0.75 and min(each["answered"] for each in acted) > 0.1
    assert bundle.card["voices"] and bundle.card["strange_above"] is None


def test_the_house_is_worth_shipping():
    """By what its card says of speakers that were not learned from, none of which is in the network that answered."""
    bundle = Bundle.load(preset_path("from_scratch"))
    found = bundle.card["evaluation"]
    assert found["protocol"] == "emobox" and len(bundle.labels) == 8
    assert found["scores"]["uar"]["mean"] > 0.66
    assert found["expected_calibration_error"] <= 0.05
    assert found["confident_half"] - found["scores"]["accuracy"]["pooled"] >= 0.15
    assert bundle.parameters <= 2e6 and len(bundle.members) == 1 and bundle.members[0].extractor.sr == 16000


def test_an_unknown_preset_is_named():
    assert PRESETS.is_dir()
    with pytest.raises(UnknownNameError, match="preset 'nope'"):
        preset_path("nope")


@pytest.mark.slow
def test_a_card_holds_every_argument_of_the_builder_and_a_version(demo_bundle):
    card = json.loads((demo_bundle / "card.json").read_text())
    described = card["members"][0]["model"]
    taken = inspect.signature(models.get("mlp")).parameters.values()
    assert set(described["hyperparameters"]) == {each.name for each in taken if each.kind is each.KEYWORD_ONLY}
    assert described["version"] == 1
    (member,) = Bundle.load(preset_path("from_scratch")).members
    inner = inspect.signature(models.get("dual_view_cnn")).parameters.values()
    assert set(member.hyperparameters["hyperparameters"]) == {e.name for e in inner if e.kind is e.KEYWORD_ONLY}


@pytest.mark.parametrize("name", models.names())
def test_all_arguments_of_every_builder_go_into_a_card(name):
    taken = [each for each in inspect.signature(models.get(name)).parameters.values() if each.kind is each.KEYWORD_ONLY]
    required = {each.name: 7 for each in taken if each.default is each.empty}
    found = models.arguments(name, required)
    assert set(found) == {each.name for each in taken} and found.items() >= required.items()
    given = {taken[0].name: found[taken[0].name]}
    assert models.arguments(name, required | given) == found == json.loads(json.dumps(found))


def test_defaults_that_changed_since_do_not_change_an_old_bundle(demo_bundle, monkeypatch):
    before = Bundle.load(demo_bundle).members[0].model.count_params()
    builder = models.get("mlp")

    @functools.wraps(builder)
    def changed(*shape, units=(7, 7, 7), **others):
        return builder(*shape, units=units, **others)

    assert changed((45,), 6).count_params() != builder((45,), 6).count_params()
    monkeypatch.setattr(models, "get", lambda name: changed)
    assert Bundle.load(demo_bundle).members[0].model.count_params() == before


def test_a_builder_of_another_version_is_refused(copied, demo_bundle, monkeypatch):
    described = json.loads((copied / "card.json").read_text())["members"][0]["model"]
    edit(copied, 0, model={key: value for key, value in described.items() if key != "version"})
    Bundle.load(copied)  # as cards were written at first
    monkeypatch.setitem(models.VERSIONS, "mlp", 2)
    for folder in (copied, demo_bundle):
        with pytest.raises(BundleError, match="version 1 of 'mlp', this ser_kit has version 2"):
            Bundle.load(folder)
    monkeypatch.setitem(models.VERSIONS, "dual_view_cnn", 3)  # that the shipped committee is made of
    with pytest.raises(BundleError, match="this ser_kit has version 3"):
        Bundle.load(preset_path("from_scratch"), networks=True)
