"""Exported files answer as their bundle does, say what they take, and are not written where they would not."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from made_bundles import SIX, SMALL, untrained

from ser_kit import cli, recipes
from ser_kit.audio import read_audio
from ser_kit.audio.transforms import Trim
from ser_kit.bundles.bundle import Bundle
from ser_kit.bundles.member import Member
from ser_kit.core.errors import ExportError
from ser_kit.deploy import graph
from ser_kit.features import SpeechEncoder
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import pruning
from ser_kit.training import Scaler
from ser_kit.training.linear import Linear

pytestmark = pytest.mark.slow

pytest.importorskip("tf2onnx", reason="the extra export is not installed")
from ser_kit import deploy  # noqa: E402

BUILDERS = {  # a recipe with each builder of a network
    recipe.model: recipe
    for recipe in map(recipes.get, reversed(recipes.names()))  # so that the first of each stays
    if isinstance(recipe, recipes.Recipe) and recipe.model
}


@pytest.fixture(scope="module")
def waveform_bundle():
    return untrained(recipes.get("from_scratch_single").with_settings(SMALL))


@pytest.fixture(scope="module")
def clips(demo_table, tmp_path_factory):
    """Clips of several lengths, one with zeros at its end and one with none before the voice."""
    some = demo_table[demo_table["emotion"].isin(SIX)].iloc[::60].reset_index(drop=True)
    folder = tmp_path_factory.mktemp("clips")
    samples = read_audio(some["path"].iloc[0]).samples
    some.loc[0, "path"] = str(folder / "zeros.wav")
    soundfile.write(folder / "zeros.wav", np.concatenate([samples[2000:20000], np.zeros(99)]), 16000)
    return some


@pytest.fixture(scope="module")
def written(waveform_bundle, clips, tmp_path_factory):
    """The bundle's file in each form: (path, report)."""
    folder, made = tmp_path_factory.mktemp("exported"), {}
    for format, quantize in [(f, "none") for f in deploy.FORMATS] + [("onnx", "dynamic"), ("litert", "float16")]:
        out = folder / f"{quantize}{deploy.FORMATS[format]}"
        made[format, quantize] = out, deploy.export(waveform_bundle, out, clips, quantize=quantize)
    return made


def test_samples_in_the_bundles_probabilities_out(waveform_bundle, clips, written):
    waveform = waveform_bundle.members[0].extractor
    for (_, quantize), (path, report) in written.items():
        run = deploy.runner(path)
        for clip in clips["path"]:
            expected = waveform_bundle.probabilities(waveform.extract(clip)[None])[0]
            tolerance = 1e-4 if quantize == "none" else 0.05
            np.testing.assert_allclose(run(read_audio(clip, sr=16000).samples), expected, atol=tolerance)
        assert report.clips == len(clips) and report.agreement == 1
        assert report.difference <= (deploy.LARGEST_DIFFERENCE if quantize == "none" else 0.05)
        assert report.size == deploy.size(path) > 10_000 and set(report.milliseconds) == {1, 2}


def test_labels_of_ones_own_are_exported_without_clips_that_have_them(waveform_bundle, tmp_path, capsys):
    labels = [f"own {label}" for label in waveform_bundle.labels]
    own = dataclasses.replace(waveform_bundle, card={**waveform_bundle.card, "labels": labels})
    folder, out = own.save(tmp_path / "own"), tmp_path / "own.onnx"
    assert cli.main(["export", str(folder), "--out", str(out), "--clips", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["clips"], report["agreement"]) == (3, 1)
    assert report["uar"] is report["bundle_uar"] is report["calibration_error"] is None
    assert deploy.read_metadata(out)["labels"] == labels
    assert cli.main(["export", str(folder), "--out", str(out), "--clips", "3"]) == 0  # the table has no UAR
    assert cli.main(["export", str(folder), "--out", str(out), "--corpus", "demo"]) == 2
    assert "no clip of demo has one of the labels own" in capsys.readouterr().err


def test_quantised_files_are_smaller(written):
    assert written["litert", "float16"][1].size < written["litert", "none"][1].size
    assert written["onnx", "dynamic"][1].size < written["onnx", "none"][1].size


def test_a_file_tells_what_it_takes_and_what_it_says(waveform_bundle, written):
    import onnx

    with zipfile.ZipFile(written["litert", "none"][0]) as archive:
        litert = json.loads(archive.read("ser_kit.json"))
        assert archive.read("labels.txt").decode().split() == list(waveform_bundle.labels)
    saved = json.loads((written["saved_model", "none"][0] / "assets.extra" / "ser_kit.json").read_text())
    model = onnx.load(written["onnx", "none"][0])
    facts = {each.key: each.value for each in model.metadata_props}
    assert litert == saved
    assert litert["labels"] == list(waveform_bundle.labels) == json.loads(facts["labels"])
    assert (litert["input"], litert["rate"], facts["input"], facts["rate"]) == ("samples", 16000, "samples", "16000")
    assert "full scale 1" in litert["normalisation"] and litert["licence"] == facts["licence"] == "CC0"
    assert [each.name for each in model.graph.input] == ["samples"]
    assert [each.name for each in model.graph.output] == ["probabilities"]
    for (_, quantize), (path, _) in written.items():
        assert deploy.read_metadata(path) == deploy.metadata(waveform_bundle) | {"quantize": quantize}


def test_litert_needs_built_in_operators_only(written):
    content = written["litert", "none"][0].read_bytes()
    assert b"Flex" not in content and b"FlexRFFT" not in content


@pytest.fixture(scope="module", params=sorted(BUILDERS.keys() - {"dual_view_cnn"}))
def built(request):
    return BUILDERS[request.param], untrained(BUILDERS[request.param])


@pytest.mark.parametrize("format", deploy.FORMATS)
def test_every_network_of_a_recipe_can_be_exported(built, format, clips, tmp_path):
    recipe, bundle = built
    out = tmp_path / f"model{deploy.FORMATS[format]}"
    report = deploy.export(bundle, out, clips.iloc[:3])
    assert report.difference <= deploy.LARGEST_DIFFERENCE and report.agreement == 1
    samples = graph.takes_samples(recipe.extractor)
    assert deploy.metadata(bundle)["input"] == ("samples" if samples else "features")


def test_a_speech_encoder_is_part_of_the_file(clips, tmp_path):
    extractor = SpeechEncoder(
        encoder="whisper_tiny_en", blocks=(1,), preprocess=(Trim(margin_seconds=0.1, shortest_seconds=0.08),)
    )
    rng, corpus = np.random.default_rng(0), np.tile(["a", "b", "c"], 20)
    x = np.stack([extractor.extract(path) for path in clips["path"]])
    x = np.tile(x, (60 // len(x) + 1, 1))[:60] * rng.uniform(0.8, 1.2, (60, x.shape[1]))
    y = rng.integers(0, len(SIX), 60)
    model, hyperparameters = Linear(components=20).fit(x, y, len(SIX), corpus=corpus, speaker=corpus)
    member = Member(
        extractor=extractor,
        columns=tuple(range(x.shape[1])),
        scaler=Scaler.identity(x.shape[1]),
        builder="experts",
        hyperparameters=hyperparameters,
        model=model,
    )
    facts = {"name": "encoded", "labels": list(SIX), "combine": "soft", "temperature": 1.3, "licence": "CC0"}
    encoded, out = Bundle(facts, (member,)), tmp_path / "model.onnx"
    report = deploy.export(encoded, out, clips.iloc[:3])
    assert report.difference <= deploy.LARGEST_DIFFERENCE and report.agreement == 1
    assert deploy.metadata(encoded)["input"] == "samples"
    run = deploy.runner(out)
    for seconds in (0.2, 31.0):  # followed by silence, and in two windows
        samples = rng.normal(0, 0.1, round(seconds * 16000)).astype(np.float32)
        values = extractor.extract((samples, 16000))
        np.testing.assert_allclose(run(samples), encoded.probabilities(values[None])[0], atol=1e-4)


def test_which_recipes_take_samples():
    single = [recipe for recipe in map(recipes.get, recipes.names()) if isinstance(recipe, recipes.Recipe)]
    said = {recipe.name: deploy.metadata(untrained(recipe)) for recipe in single if recipe.model}
    samples = {name for name, facts in said.items() if facts["input"] == "samples"}
    assert samples == {
        "from_scratch_single", "td_cnn_lstm", "td_cnn_bilstm_attention", "ahmadov_cnn_bilstm", "staged_cnn_lstm",
        "whisper_base_mlp",
    }  # fmt: skip
    for name in set(said) - samples:  # the others tell what has to be computed, and how
        extractor = recipes.get(name).extractor
        assert said[name]["normalisation"].startswith(extractor.name) and said[name]["rate"] == extractor.sr


def test_a_bundle_on_features_takes_these(demo_bundle, demo_table, tmp_path):
    bundle = Bundle.load(demo_bundle)
    deploy.export(bundle, tmp_path / "model.onnx", demo_table.iloc[::100])
    run, clip = deploy.runner(tmp_path / "model.onnx"), demo_table["path"].iloc[7]
    answer = Predictor(bundle).predict(clip)
    values = bundle.extractors[0].extract(read_audio(clip, sr=bundle.rate))
    assert run(values) == pytest.approx(list(answer.probabilities.values()), abs=1e-4)
    assert "functionals" in deploy.metadata(bundle)["normalisation"]


def test_zeros_make_a_file_smaller_when_it_is_packed(waveform_bundle, clips, written, tmp_path):
    pruned = dataclasses.replace(
        waveform_bundle, card=waveform_bundle.card | {"pruned": {"share": 0.9}}, members=(copy_of(waveform_bundle),)
    )
    pruning._cut(pruned.members[0].model, 0.9)
    before = written["litert", "none"][1]
    report = deploy.export(pruned, tmp_path / "model.tflite", clips)
    assert report.size == pytest.approx(before.size, rel=0.02)
    assert report.compressed < 0.7 * before.compressed < 0.95 * before.size
    assert deploy.read_metadata(tmp_path / "model.tflite")["pruned"] == 0.9
    assert report.bundle_uar == deploy.uar(pruned, clips)


def copy_of(bundle: Bundle):
    (member,) = bundle.members
    return dataclasses.replace(member, model=member.stripped())


def test_a_file_is_compared_on_other_clips_than_it_was_made_with(waveform_bundle, clips, tmp_path):
    made, others = clips.iloc[:4].reset_index(drop=True), clips.iloc[4:].reset_index(drop=True)
    read = []
    whole = deploy.comparison.inputs_of
    with pytest.MonkeyPatch.context() as patch:
        for place in ("comparison", "exporter"):
            patch.setattr(
                f"ser_kit.deploy.{place}.inputs_of",
                lambda bundle, table: read.append(len(table)) or whole(bundle, table),
            )
        report = deploy.export(waveform_bundle, tmp_path / "model.onnx", others, quantize="int8", training=made)
    assert sorted(read) == sorted([len(made), len(others)]) and report.clips == len(others)
    again = deploy.compare(waveform_bundle, tmp_path / "model.onnx", clips)
    assert (again.format, again.quantize, again.clips) == ("onnx", "int8", len(clips))
    assert 0 < again.difference < 0.2 and 0 <= again.calibration_error <= 1
    with pytest.raises(ExportError, match="is not an exported file"):
        deploy.compare(waveform_bundle, tmp_path, clips)


def test_a_file_that_differs_is_not_written(waveform_bundle, clips, tmp_path, monkeypatch):
    (tmp_path / "model.tflite").write_bytes(b"the one before")
    served = deploy.saved_model.serving_module

    def other(bundle, products):
        return served(dataclasses.replace(bundle, card=bundle.card | {"temperature": 0.9}), products)

    monkeypatch.setattr("ser_kit.deploy.exporter.serving_module", other)
    with pytest.raises(ExportError, match="not equivalent: probabilities differ by up to"):
        deploy.export(waveform_bundle, tmp_path / "model.tflite", clips)
    assert [path.name for path in tmp_path.iterdir()] == ["model.tflite"]
    assert (tmp_path / "model.tflite").read_bytes() == b"the one before"


def test_what_cannot_be_exported_is_an_error(waveform_bundle, demo_bundle, clips, tmp_path):
    def wrong(message, bundle=waveform_bundle, out="model.onnx", table=clips, **settings):
        with pytest.raises(ExportError, match=message):
            deploy.export(bundle, tmp_path / out, table, **settings)

    wrong("expected saved_model, litert, onnx and none", format="h5")
    wrong("a SavedModel is not quantised", format="saved_model", quantize="float16")
    wrong("0 clips to compare", table=clips.iloc[:0])
    wrong("unknown labels bored", table=clips.assign(label="bored"))
    two = (*waveform_bundle.members, *Bundle.load(demo_bundle).members)
    wrong("use different features", bundle=dataclasses.replace(waveform_bundle, members=two))
    (tmp_path / "folder.onnx").mkdir()
    wrong("exists and is not such an export", out="folder.onnx")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("dear")
    wrong("exists and is not such an export", out="mine")
    for name in ("saved_model.pb", "variables/variables.index", "variables/thesis.txt"):
        (tmp_path / "saved" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "saved" / name).touch()
    wrong("holds variables/thesis.txt besides its SavedModel", out="saved")
    with pytest.raises(ExportError, match="is not an exported file"):
        deploy.runner(tmp_path / "mine")


def test_the_command_writes_a_file_and_shows_how_it_compares(waveform_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = dataclasses.replace(waveform_bundle, card={"format": 2, **waveform_bundle.card}).save(tmp_path / "bundle")
    assert cli.main(["export", str(saved), "--format", "litert", "--clips", "4"]) == 0
    shown = capsys.readouterr()
    assert (
        "from_scratch_single.tflite" in shown.out and "label agreement, %" in shown.out and "takes samples" in shown.out
    )
    assert "comparing it on" in shown.err and "were in training" not in shown.out
    assert (tmp_path / "from_scratch_single.tflite").stat().st_size > 10_000
    assert cli.main(["export", str(tmp_path / "nothing")]) == 2
    assert cli.main(["export", str(saved), "--prune", "0.5"]) == 2
    assert "--corpus" in capsys.readouterr().err


def test_the_command_prunes_first(demo_bundle, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["export", str(demo_bundle), "--prune", "0.8", "--epochs", "2", "--corpus", "demo", "--clips", "20"]
    assert cli.main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pruned"] == 0.8 and found["compressed"] < 0.6 * found["size"]
    assert 0 < found["bundle_uar"] <= 1 and 0 < found["unpruned_uar"] <= 1
    assert [path.name for path in tmp_path.iterdir()] == ["rastogi_mlp+ours.onnx"]
    assert deploy.read_metadata("rastogi_mlp+ours.onnx")["pruned"] == 0.8
    for more in ((), ("--compare", "demo")):
        assert cli.main([*command, *more, "--quiet"]) == 0
        shown = capsys.readouterr().out
        assert "80 % pruned" in shown and "packed" in shown
        assert ("these clips were in training; UAR on other speakers is lower" in shown) == (not more)


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_the_examples_need_neither_tensorflow_nor_ser_kit(name, waveform_bundle, written, clips):
    script = Path(__file__).parents[2] / "examples" / f"{name}_predict.py"
    if not script.exists():
        pytest.skip("the examples are not beside an installed package")
    hidden = "import sys; sys.modules.update(tensorflow=None, keras=None, ser_kit=None); sys.argv = sys.argv[1:]; "
    run = hidden + "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    paths = clips["path"].iloc[:3].tolist()
    command = [sys.executable, "-c", run, script, written[name, "none"][0], *paths]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    for line, path in zip(lines, paths, strict=True):
        (expected,) = waveform_bundle.probabilities(waveform_bundle.extractors[0].extract(path)[None])
        told, emotion, probability = line.split("\t")
        assert (told, emotion) == (path, waveform_bundle.labels[expected.argmax()])
        assert float(probability) == pytest.approx(expected.max(), abs=1e-3)
