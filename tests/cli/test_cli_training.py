"""``ser-kit train``, ``evaluate`` and ``tune``."""

from __future__ import annotations

import json
import shlex
import shutil
import tomllib
from pathlib import Path

import pytest

from ser_kit import models, recipes
from ser_kit.evaluation import Evaluation
from ser_kit.training import loop

pytestmark = pytest.mark.slow


def test_train_is_interrupted_goes_on_and_predicts(ser_kit, quick, recordings, tmp_path, monkeypatch):
    out = tmp_path / "bundle"
    arguments = ("train", "rastogi_mlp", "--corpus", "folder", "--root", recordings, "--out", out)
    arguments += ("--protocol", "speaker_80_20")
    fit, trained = loop.fit, []

    def fit_once(*args, **kwargs):
        if trained:
            raise KeyboardInterrupt
        trained.append(kwargs["checkpoint"])
        return fit(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("ser_kit.recipes.single.fit", fit_once)
        status, said, err = ser_kit(*arguments)
    assert (status, said) == (130, "")
    assert err.splitlines()[-1].startswith("ser-kit: interrupted; run the same command to resume from")
    assert not out.exists() and tomllib.loads((tmp_path / "bundle.toml").read_text())["bundle"] == "bundle"
    kept = {folder: (folder / "state.json").stat().st_mtime_ns for folder in trained}
    assert {folder.parent for folder in kept} == {tmp_path / "bundle.run"}

    seen = {}

    def fit_and_look(*args, **kwargs):
        history = fit(*args, **kwargs)
        seen[kwargs["checkpoint"]] = (kwargs["checkpoint"] / "state.json").stat().st_mtime_ns
        return history

    monkeypatch.setattr("ser_kit.recipes.single.fit", fit_and_look)
    status, found, _ = ser_kit(*arguments, "--json")
    assert status == 0 and len(seen) == 2
    assert {folder: seen[folder] for folder in kept} == kept  # what was trained before was not trained again
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "bundle.toml"]
    assert (found["bundle"], found["labels"], found["trained_on"][0]["clips"]) == (
        str(out),
        ["sad", "angry"],
        20,
    )
    assert found["evaluation"]["speaker_independent"] is True
    assert found["evaluation"]["recipe"] == "rastogi_mlp"

    status, answers, _ = ser_kit("predict", recordings, "--bundle", out, "--json")
    assert status == 0 and [answer["path"] for answer in answers] == sorted(map(str, recordings.rglob("*.wav")))
    assert set(answers[0]["probabilities"]) == {"sad", "angry"}


def test_own_labels_from_training_to_answers(ser_kit, quick, recordings, tmp_path):
    mine, out = tmp_path / "mine", tmp_path / "bundle"
    for theirs, ours in (("angry", "all"), ("sad", "Müde; kaum, froh")):
        shutil.copytree(recordings / theirs, mine / ours)
    corpus = ("--corpus", f"mine:{mine}", "--labels", "own", "--protocol", "speaker_80_20", "--json")
    status, found, err = ser_kit("train", "rastogi_mlp", *corpus, "--out", out)
    assert status == 0 and found["labels"] == ["all", "Müde; kaum, froh"]
    assert "labels: Müde; kaum, froh 10, all 10" in err or "labels: all 10, Müde; kaum, froh 10" in err
    assert tomllib.loads((tmp_path / "bundle.toml").read_text("utf-8"))["labels"] == "own"

    status, answers, _ = ser_kit("predict", mine, "--bundle", out, "--labels", "own", "--json")
    assert status == 0 and set(answers[0]["probabilities"]) == set(found["labels"])
    status, said, _ = ser_kit("predict", mine, "--bundle", out, "--csv")
    assert status == 0 and 'p_all,"p_Müde; kaum, froh"' in said.splitlines()[0]
    status, _, err = ser_kit("predict", mine, "--bundle", out, "--labels", "six")
    assert status == 2 and "cannot answer in neutral, happy" in err

    status, found, _ = ser_kit("evaluate", out, "--corpus", f"mine:{mine}", "--json")
    assert status == 0 and found["evaluations"][0]["clips"] == 20
    status, _, err = ser_kit("evaluate", out, "--corpus", f"mine:{recordings}")
    assert status == 2 and "have sad, angry" in err and "a map (label,emotion)" in err
    (tmp_path / "map.csv").write_text('label,emotion\nangry,all\nsad,"Müde; kaum, froh"\n', "utf-8")
    mapped = ("--corpus", f"mine:{recordings}", "--map", tmp_path / "map.csv", "--json")
    assert ser_kit("evaluate", out, *mapped)[0] == 0


def test_train_leaves_a_folder_that_is_no_bundle_alone(ser_kit, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    status, _, err = ser_kit("train", "rastogi_mlp", "--corpus", "demo", "--out", tmp_path)
    assert status == 2 and "is not a bundle" in err
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_evaluate_compares_protocols_and_saves_records(ser_kit, quick, recordings, tmp_path):
    out = tmp_path / "results"
    arguments = ("evaluate", "rastogi_mlp", "--corpus", f"calls:{recordings}", "--out", out)
    status, found, err = ser_kit(*arguments, "--protocol", "speaker_80_20,random_80_20", "--seed", 3, "--json")
    assert status == 0
    runs = [(e["protocol"], e["seed"], e["speaker_independent"]) for e in found["evaluations"]]
    assert runs == [("speaker_80_20", 3, True), ("random_80_20", 3, False)]
    for record in found["evaluations"]:
        saved = Evaluation.load(record["folder"])
        assert record["uar"]["mean"] == pytest.approx(saved.metrics()["uar"])
        assert record["uar"]["std"] is None  # there is one fold
        assert record["confusion"]["counts"] == saved.confusion().to_numpy().tolist()
        assert set(record["per_class"]) == set(saved.labels) == {"sad", "angry"}
    assert "protocol random_80_20, seed 3: UAR" in err
    assert not (tmp_path / "results.run").exists()

    status, table, _ = ser_kit(*arguments, "--protocol", "random_80_20", "--seeds", 2, "--quiet")
    assert status == 0 and table.count("speaker-dependent") == table.count("true \\ predicted") == 2
    digest = saved.digest
    names = {path.name for path in out.glob("*random*")}
    assert names == {f"rastogi_mlp-random_80_20-{seed}-{digest}" for seed in (0, 1, 3)}


def test_a_run_says_how_it_came_about_and_other_settings_go_elsewhere(ser_kit, quick, recordings, tmp_path):
    out = tmp_path / "my results"
    arguments = ("evaluate", "rastogi_mlp", "--corpus", "folder", "--root", recordings, "--out", out)
    arguments += ("--protocol", "speaker_80_20", "--quiet", "--json")
    folders = [
        Path(ser_kit(*arguments, *more)[1]["evaluations"][0]["folder"])
        for more in ((), ("--set", "training.epochs=1"), ())
    ]
    assert folders[0] == folders[2] != folders[1]
    record = json.loads((folders[1] / "evaluation.json").read_text())
    assert shlex.split(record["command"]) == ["ser-kit", *map(str, arguments), "--set", "training.epochs=1"]
    assert record["settings"]["training"]["epochs"] == 1 and record["settings"]["model"] == "mlp"
    assert record["data"] | {"digest": ""} == {"clips": 20, "speakers": 5, "digest": ""}
    assert record["versions"]["ser-kit"]


def test_a_forest_is_trained_and_predicts_without_checkpoints(ser_kit, recordings, tmp_path):
    bundle = tmp_path / "forest"
    arguments = ("--corpus", "folder", "--root", recordings, "--set", "training.n_estimators=4", "--quiet")
    status, _, _ = ser_kit("train", "ahmadov_forest", *arguments, "--out", bundle)
    assert status == 0 and not (tmp_path / "forest.run").exists()
    clip = next(recordings.rglob("*.wav"))
    status, (answer,), _ = ser_kit("predict", clip, "--bundle", bundle, "--json")
    assert status == 0 and set(answer["probabilities"]) == {"sad", "angry"}


def test_settings_of_a_recipe_can_be_changed(ser_kit, quick, recordings, tmp_path):
    common = ("--corpus", "folder", "--root", recordings, "--quiet", "--json")
    changes = (
        "--set",
        "training.epochs=1",
        "--set",
        "hyperparameters.units=[7, 5, 3]",
        "--set",
        "training.optimizer=sgd",
    )
    status, found, err = ser_kit(
        "evaluate",
        "rastogi_mlp",
        *changes,
        *common,
        "--protocol",
        "speaker_80_20",
        "--out",
        tmp_path / "results",
    )
    assert (status, err) == (0, "")
    (record,) = found["evaluations"]
    saved = Evaluation.load(record["folder"])
    assert [len(history) for history in saved.histories] == [1]
    expected = recipes.get("rastogi_mlp").with_settings({"hyperparameters.units": (7, 5, 3)}).build(2).count_params()
    assert record["parameters"] == expected

    bundle = tmp_path / "bundle"
    status, _, _ = ser_kit("train", "rastogi_mlp", *changes, *common, "--protocol", "speaker_80_20", "--out", bundle)
    assert status == 0
    (member,) = json.loads((bundle / "card.json").read_text())["members"]
    assert member["model"]["hyperparameters"] == models.arguments("mlp", {"units": [7, 5, 3]})
    clip = next(recordings.rglob("*.wav"))
    assert ser_kit("predict", clip, "--bundle", bundle, "--json")[0] == 0


def test_tune_finds_settings_on_training_speakers(ser_kit, quick, recordings, tmp_path, monkeypatch):
    out = tmp_path / "tuned"
    command = ("tune", "rastogi_mlp", "--corpus", "folder", "--root", recordings, "--out", out, "--set",
               "training.epochs=1", "--space", "training.batch_size=[8, 16]", "--space",
               "hyperparameters.units=[[4, 4, 4], [8, 8, 8]]", "--method", "grid")  # fmt: skip
    status, found, _ = ser_kit(*command, "--json")
    assert status == 0 and len(found["results"]) == 4 and found["best"] == found["results"][0]
    assert {(one["training.batch_size"], tuple(one["hyperparameters.units"])) for one in found["results"]} == {
        (8, (4, 4, 4)), (8, (8, 8, 8)), (16, (4, 4, 4)), (16, (8, 8, 8)),
    }  # fmt: skip
    assert [one["uar"] for one in found["results"]] == sorted((one["uar"] for one in found["results"]), reverse=True)
    assert len(found["scored"]) == 1 and found["scored"][0].startswith("folder:")

    monkeypatch.setattr(recipes.System, "run_fold", lambda *_, **__: pytest.fail("what is known is run again"))
    status, table, err = ser_kit(*command, "--quiet")
    assert (status, err) == (0, "")
    assert "training.batch_size" in table and f"training speakers {found['scored'][0]}; no test speaker" in table
    told = shlex.split(table.split("to test the best: ser-kit ")[1])
    monkeypatch.undo()
    status, tested, _ = ser_kit(*told[:-1], tmp_path / "tested", "--json", "--protocol", "speaker_80_20")
    assert status == 0 and f"training.batch_size={found['best']['training.batch_size']}" in told
    assert tested["evaluations"][0]["recipe"] == "rastogi_mlp"
    status, _, err = ser_kit(*command, "--seed", "1")
    assert status == 2 and "another search" in err
