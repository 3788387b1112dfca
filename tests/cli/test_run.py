"""``ser-kit run``: a file that a command left gives the same numbers, wherever it is run."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from ser_kit.evaluation import Evaluation
from ser_kit.recipes import reproduce
from ser_kit.training import loop

pytestmark = pytest.mark.slow

QUICK = ("--set", "training.epochs=1", "--quiet")


@pytest.fixture
def folder(recordings, tmp_path, monkeypatch) -> Path:
    """A working directory with the recordings in ``clips``, so that relative paths are tried."""
    (tmp_path / "clips").symlink_to(recordings)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def predictions(out: Path) -> pd.DataFrame:
    """Those of all evaluations in a folder."""
    found = [Evaluation.load(path.parent) for path in sorted(out.glob("*/evaluation.json"))]
    return pd.concat([each.predictions.assign(seed=each.seed, protocol=each.protocol) for each in found])


def test_evaluations_on_the_demo_corpus_are_run_again_with_the_same_predictions(ser_kit, quick, tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    how = ("--protocol", "speaker_80_20,random_80_20", "--seed", 3, "--labels", "sad,angry")
    status, found, _ = ser_kit("evaluate", "rastogi_mlp", "--corpus", "demo", *how, *QUICK, "--out", first, "--json")
    assert status == 0 and found["experiment"] == str(first / "experiment.toml")
    status, rerun, _ = ser_kit("run", first / "experiment.toml", "--out", again, "--quiet", "--json")
    assert status == 0 and rerun["experiment"] == str(again / "experiment.toml")
    pd.testing.assert_frame_equal(predictions(first), predictions(again))
    changing = {"seconds", "folder"}
    assert [{k: v for k, v in one.items() if k not in changing} for one in found["evaluations"]] == [
        {k: v for k, v in one.items() if k not in changing} for one in rerun["evaluations"]
    ]
    texts = [(out / "experiment.toml").read_text().partition("[made_with]")[0] for out in (first, again)]
    assert texts[0] == texts[1]
    assert '"training.epochs" = 1' in texts[0] and "seeds = [3]" in texts[0] and "protocols = [" in texts[0]


def test_a_bundle_is_trained_again_with_the_same_answers(ser_kit, quick, folder):
    command = ("train", "rastogi_mlp", "--corpus", "mine:clips", *QUICK, "--protocol", "speaker_80_20")
    assert ser_kit(*command, "--out", "bundle")[0] == 0
    status, found, _ = ser_kit("run", "bundle.toml", "--out", "again", "--quiet", "--json")
    assert status == 0 and found["bundle"] == str(Path("again", "bundle"))
    answers = [ser_kit("predict", "clips", "--bundle", b, "--json")[1] for b in ("bundle", found["bundle"])]
    assert answers[0] == answers[1] and len(answers[0]) == 20
    cards = [json.loads((Path(path) / "card.json").read_text()) for path in ("bundle", found["bundle"])]
    assert cards[0]["temperature"] == cards[1]["temperature"]
    assert sorted(path.name for path in folder.iterdir()) == ["again", "bundle", "bundle.toml", "clips"]


def test_records_of_some_folds_are_made_again_and_resumed(ser_kit, quick, folder):
    command = (
        "reproduce",
        "rastogi_mlp",
        "--corpus",
        "mine:clips",
        "--protocols",
        "speaker",
        "--seeds",
        1,
        "--quiet",
    )
    assert ser_kit(*command, "--folds", 1, 2, "--out", "first")[0] == 0
    assert ser_kit("run", "first/experiment.toml", "--out", "again", "--quiet")[0] == 0
    first, again = map(reproduce.load, ("first", "again"))
    assert len(first) == 2
    varying = ["seconds", "command"]
    pd.testing.assert_frame_equal(first.drop(columns=varying), again.drop(columns=varying))

    before = {path: path.stat().st_mtime_ns for path in Path("first/records").rglob("*.json")}
    assert ser_kit(*command, "--out", "first")[0] == 0  # the other folds
    assert {path: path.stat().st_mtime_ns for path in before} == before
    files = sorted(path.name for path in Path("first").glob("*.toml"))
    assert len(files) == 2 and files[1] == "experiment.toml"  # both experiments are kept
    assert len(reproduce.load("first")) == 5


def test_a_search_is_made_again(ser_kit, quick, folder):
    space = ("--space", "training.batch_size=[8, 16]", "--method", "grid")
    command = ("tune", "rastogi_mlp", "--corpus", "mine:clips", *QUICK, *space, "--out", "first", "--json")
    status, found, _ = ser_kit(*command)
    assert status == 0
    status, again, _ = ser_kit("run", "first/experiment.toml", "--out", "again", "--quiet", "--json")
    results = [[{k: v for k, v in one.items() if k != "seconds"} for one in f["results"]] for f in (found, again)]
    assert status == 0 and results[0] == results[1]


def test_a_file_written_by_hand_is_run_resumed_and_reported(ser_kit, quick, folder, monkeypatch):
    (folder / "plans").mkdir()
    text = """# My first experiment.
corpora = ["mine:../clips"]
recipes = ["rastogi_mlp"]
protocols = ["speaker_80_20"]
seeds = [0, 1]
labels = ["sad", "angry"]
evaluations = "."
report = "report.md"

[changes.training]
epochs = 1
"""
    file = folder / "plans" / "experiment.toml"
    file.write_text(text)
    fit, calls = loop.fit, []

    def fit_once(*args, **kwargs):
        calls.append(kwargs["checkpoint"])
        if len(calls) == 2:
            raise KeyboardInterrupt
        return fit(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr("ser_kit.recipes.single.fit", fit_once)
        status, _, err = ser_kit("run", file)
    assert status == 130 and "interrupted; run the same command to resume" in err
    assert len(list(file.parent.glob("*/evaluation.json"))) == 1 and not (file.parent / "report.md").exists()
    state = (calls[0] / "state.json").stat().st_mtime_ns

    seen = []

    def fit_and_look(*args, **kwargs):
        history = fit(*args, **kwargs)
        seen.append((kwargs["checkpoint"] / "state.json").stat().st_mtime_ns)
        return history

    monkeypatch.setattr("ser_kit.recipes.single.fit", fit_and_look)
    status, _, err = ser_kit("run", file)
    assert status == 0 and seen[0] == state and f"report saved as {file.parent / 'report.md'}" in err
    assert file.read_text() == text  # the same experiment, and not of ser-kit's hand
    assert len(list(file.parent.glob("*/evaluation.json"))) == 2
    report = (file.parent / "report.md").read_text()
    assert "| recipe | corpora | protocol | seed |" in report
    assert report.count("true \\ predicted") == 2 and '"training.epochs" = 1' in report


def test_other_versions_and_settings_are_noted(ser_kit, quick, folder):
    text = 'corpora = ["mine:clips"]\nrecipes = ["rastogi_mlp"]\nprotocols = ["speaker_80_20"]\nevaluations = "x"\n'
    made_with = '[made_with]\nnumpy = "0.1"\n"recipe rastogi_mlp" = "other settings"\nelsewhere = "1"\n'
    (folder / "old.toml").write_text(text + made_with)
    err = ser_kit("run", "old.toml")[2]
    assert "made with numpy 0.1, now" in err and "elsewhere" not in err
    assert "made with recipe rastogi_mlp other settings, now" in err
    assert tomllib.loads((folder / "x" / "experiment.toml").read_text())["made_with"]["numpy"] != "0.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('recpie = ["rastogi_mlp"]', "mine.toml: unknown key 'recpie'; did you mean 'recipes'?"),
        (
            'corpora = "demo"\nrecipes = ["rastogi_mlp"]\nrecords = "x"',
            "mine.toml: corpora='demo' must be a list",
        ),
        (None, "there is no file mine.toml"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_line_and_status_2(ser_kit, folder, text, message):
    if text:
        (folder / "mine.toml").write_text(text)
    status, out, err = ser_kit("run", "mine.toml")
    assert (status, out) == (2, "") and err.startswith("ser-kit: ") and message in err
    assert len(err.splitlines()) == 1 and not (folder / "x").exists()
