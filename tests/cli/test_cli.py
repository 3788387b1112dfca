"""The ``ser-kit`` command: help, usage and errors; results on standard output, all else on standard error."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import process

from ser_kit import corpora, features, protocols, recipes
from ser_kit.cli import commands as cli
from ser_kit.core import labels
from ser_kit.recipes import tuning

COMMANDS = (
    "corpora", "validate", "extract", "train", "evaluate", "reproduce", "tune", "run", "predict", "listen",
    "export", "demo", "cache", "show-versions",
)  # fmt: skip


TUNE = ("tune", "rastogi_mlp", "--corpus", "demo", "--out", "x")


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file", "file is a file; expected a folder"),
        ("file/results", "file is a file; expected a folder"),
        (".", "is the working directory"),
    ],
)
def test_where_results_go_is_checked_before_any_work(ser_kit, tmp_path, monkeypatch, out, message):
    """Even the recordings are not looked for."""
    monkeypatch.setattr("ser_kit.corpora.load", lambda *_, **__: pytest.fail("the corpus was read"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("dear")
    commands = {
        "train": ("train", "rastogi_mlp", "--corpus", "demo"),
        "export": ("export", "from_scratch", "--format", "saved_model"),
        "evaluate": ("evaluate", "rastogi_mlp", "--corpus", "demo"),
        "reproduce": ("reproduce", "rastogi_mlp", "--corpus", "demo"),
        "tune": (*TUNE[:-2], "--space", "training.epochs=[1]"),
        "demo": ("demo", "--notebooks", Path(__file__).parents[2] / "notebooks"),
    }
    whole = {"train": "is not a bundle|", "export": "exists and is not such an export|"}  # replaced as a whole
    for name, command in commands.items():
        if out != "." or name in whole:
            status, _, err = ser_kit(*command, "--out", out)
            assert status == 2 and re.search(whole.get(name, "") + message, err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "dear"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("file/f.csv", "file is a file; expected a folder"),
        ("folder.csv", "folder.csv is a folder; expected a file name"),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_where_features_go_is_checked_before_any_work(ser_kit, tmp_path, monkeypatch, out, message, suffix):
    monkeypatch.setattr("ser_kit.corpora.load", lambda *_, **__: pytest.fail("the corpus was read"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    (tmp_path / f"folder{suffix}").mkdir()
    status, _, err = ser_kit("extract", "demo", "--out", out.replace(".csv", suffix))
    assert status == 2 and message.replace(".csv", suffix) in err


def test_help_lists_the_commands(ser_kit):
    status, out, _ = ser_kit("--help")
    assert status == 0
    assert [name for name in COMMANDS if name not in out] == []


def test_version(ser_kit):
    assert ser_kit("--version")[:2] == (0, f"ser-kit {cli.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(ser_kit, command):
    status, out, _ = ser_kit(command, "--help")
    assert status == 0
    assert "--json" in out and f"\n  ser-kit {command}" in out


@pytest.mark.parametrize(
    ("command", "names"),
    [
        ("train", [*recipes.names(), *protocols.names(), *labels.LABEL_SETS, *corpora.names()]),
        ("evaluate", [*recipes.names(), *protocols.names(), *labels.LABEL_SETS, *corpora.names()]),
        (
            "reproduce",
            [*recipes.names(), *protocols.names(), *labels.LABEL_SETS, *corpora.names(), "published"],
        ),
        ("tune", [*recipes.names(), *labels.LABEL_SETS, *corpora.names(), *tuning.METHODS]),
        ("extract", [*features.names(), *labels.LABEL_SETS, *corpora.names()]),
        ("validate", corpora.names()),
        ("cache", ["show", "check", "clear", *features.names()]),
    ],
)
def test_help_names_all_there_is_to_choose(ser_kit, command, names, monkeypatch):
    monkeypatch.setenv("COLUMNS", "500")
    words = re.sub(r"[,;(){}\[\]]", " ", ser_kit(command, "--help")[1]).split()
    assert [name for name in names if name not in words] == []


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("sing",),
        ("train", "rastogi_mlp"),
        ("tune", "rastogi_mlp", "--corpus", "demo", "--out", "x"),
        ("reproduce", "--all", "--corpus", "demo"),
        ("reproduce", "--all", "--corpus", "demo", "--out", "x", "--seeds", "0"),
        ("extract", "demo", "--out", "x.csv", "--jobs", "0"),
        ("extract", "demo", "--out", "x.csv", "--timeout", "0"),
        ("extract", "demo", "--out", "x.csv", "--timeout", "soon"),
        ("cache", "sell"),
    ],
)
def test_wrong_usage_is_status_2(ser_kit, arguments):
    status, out, err = ser_kit(*arguments)
    assert (status, out) == (2, "")
    assert "usage:" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("predcit x.wav", "unknown command 'predcit'; did you mean 'predict'?"),
        ("cache claer", "unknown action 'claer'; did you mean 'clear'?"),
        ("export from_scratch --format onx", "unknown format 'onx'; did you mean 'onnx'?"),
        ("predict x.wav --bundel mine", "unknown option '--bundel'; did you mean '--bundle'?"),
        ("predict x.wav --bundel=mine", "unknown option '--bundel'; did you mean '--bundle'?"),
        ("train rastogi_mlp --corpus demo --otu x", "unknown option '--otu'; did you mean '--out'?"),
        ("--vresion", "unknown option '--vresion'; did you mean '--version'?"),
        (
            "evaluate rastogi_mlp --corpus demo --out x --seed -1",
            "'-1' is not a whole number from 0 to 2147483647",
        ),
        (
            "train rastogi_mlp --corpus demo --out x --seed 1e3",
            "'1e3' is not a whole number from 0 to 2147483647",
        ),
        ("tune rastogi_mlp --corpus demo --out x --space a=[1] --seed 4294967296", "from 0 to 2147483647"),
        ("evaluate rastogi_mlp --corpus demo --out x --seeds 1000000000000", "from 1 to 1000"),
        ("extract demo --out x.csv --jobs 100000", "from 1 to 256"),
        ("reproduce --all --corpus demo --out x --folds 0", "'0' is not a whole number of 1 or more"),
        ("evaluate rastogi_mlp --corpus , --out x", "',' holds no name"),
        ("listen --above 1.5", "'1.5' is not a number from 0 to 1"),
        ("listen --below nan", "'nan' is not a number from 0 to 1"),
        ("listen --raw --channels 99999999999", "from 1 to 1024"),
        ("export from_scratch --corpus demo --prune much", "'much' is not a number from 0 to 1"),
    ],
)
def test_wrong_usage_says_what_would_be_right(ser_kit, arguments, message):
    status, out, err = ser_kit(*arguments.split())
    assert (status, out) == (2, "")
    assert message in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("validate", "ravdes"), "did you mean 'ravdess'?"),
        (("train", "rastogi", "--corpus", "demo", "--out", "x"), "did you mean 'rastogi_mlp'?"),
        (("train", "staged_cnn_lstm+mfcc", "--corpus", "demo", "--out", "x"), "'MFCC alone'"),
        (("train", "rastogi_mlp", "--set", "training.epoch=3", "--corpus", "demo", "--out", "x"), "epochs"),
        (
            ("train", "rastogi_mlp", "--set", "training.epochs", "--corpus", "demo", "--out", "x"),
            "SETTING=VALUE",
        ),
        (
            ("evaluate", "rastogi_mlp", "--set", "hyperparameters.drop=1", "--corpus", "demo", "--out", "x"),
            "dropout",
        ),
        (
            ("evaluate", "rastogi_mlp", "--corpus", "demo", "--protocol", "speaker,rand", "--out", "x"),
            "'random'",
        ),
        (("reproduce", "--corpus", "demo", "--out", "x"), "give the recipes to reproduce, or --all"),
        ((*TUNE, "--space", "training.epochs=3"), "expected SETTING=[VALUE, ...], a JSON list"),
        ((*TUNE, "--space", "training.epochs"), "expected SETTING=[VALUE, ...], a JSON list"),
        ((*TUNE, "--space", "training.epochs=[1, 2"), "expected SETTING=[VALUE, ...], a JSON list"),
        ((*TUNE, "--space", "training.epochs=[]"), "expected SETTING=[VALUE, ...], a JSON list"),
        ((*TUNE, "--space", "training.epoch=[1]"), "epochs"),
        ((*TUNE, "--set", "training.epoch=1", "--space", "training.epochs=[1]"), "epochs"),
        (("extract", "demo", "--features", "logmels", "--out", "x.npz"), "did you mean 'logmel'?"),
        (("extract", "demo", "--features", "frames", "--out", "x.csv"), "saved as .npz, not as 'x.csv'"),
        (("extract", "demo", "--out", "x.txt"), ".parquet, .csv, .xlsx, .npz, not as 'x.txt'"),
        (("extract", "demo", "--features", "logmel", "--set", "second=3", "--out", "x.npz"), "seconds"),
        (
            ("extract", "demo", "--features", "logmel", "--set", "seconds=x", "--out", "x.npz"),
            "'x' is not a value",
        ),
        (("extract", "demo", "--out", "x.csv", "--dask", "tcp://127.0.0.1:9"), "the scheduler does not respond"),
        (("cache", "clear", "--features", "logmels"), "did you mean 'logmel'?"),
        (("cache", "check", "--features", "logmel"), "--features needs 'ser-kit cache clear'"),
        (("predict", "x.wav", "--bundle", "nowhere"), "neither a bundle folder nor a preset"),
        (("demo", "--notebooks", "nowhere"), "no notebooks in nowhere"),
    ],
)
def test_what_cannot_be_tried_is_one_line_and_status_2(ser_kit, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("ser_kit.cli.extract.SCHEDULER_SECONDS", 1)
    status, out, err = ser_kit(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("ser-kit: ") and message in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("recipe", "setting", "right"),
    [
        ("rastogi_mlp", "training.epochs=0", "a whole number from 1"),
        ("rastogi_mlp", "training.epochs=2.5", "a whole number from 1"),
        ("rastogi_mlp", "training.epochs=many", "a whole number from 1"),
        ("rastogi_mlp", "training.batch_size=-4", "a whole number from 1"),
        ("rastogi_mlp", "training.batch_size=true", "a whole number from 1"),
        ("rastogi_mlp", "training.patience=none", "or null"),
        ("rastogi_mlp", "training.halve_after=0", "or null"),
        ("rastogi_mlp", "training.optimizer=adamm", "one of 'adadelta'"),
        ("rastogi_mlp", "training.learning_rate=-0.1", "a number from"),
        ("rastogi_mlp", "training.learning_rate=NaN", "a number from"),
        ("rastogi_mlp", "training.label_smoothing=2", "a number from 0 to 0.99"),
        ("rastogi_mlp", "training.clip_norm=[]", "a number from"),
        ("rastogi_mlp", "training.class_weights=1", "one of False, True"),
        ("rastogi_mlp", "training.pretrain=magic", "one of 'autoencoder', 'rbm'"),
        ("rastogi_mlp", "training.by_segment=true", "for the network 'segment_dnn'"),
        ("rastogi_mlp", "training.augment=mixup", "a list"),
        ("rastogi_mlp", 'training.augment=["mixup", "mixdown"]', "known: babble, mixup"),
        ("rastogi_mlp", 'training.augment=[{"name": "mixup", "alpha": 0}]', "a number from 0.01"),
        ("rastogi_mlp", "training=adam", "Training or Forest or SVM"),
        ("rastogi_mlp", "training.valid={}", "no setting 'training.valid'"),
        ("rastogi_mlp", "hyperparameters.dropout=[0.4, 1.5, 0]", "a number from 0 to 0.99"),
        ("rastogi_mlp", "hyperparameters.dropout=0.4", "a list"),
        ("rastogi_mlp", "hyperparameters.units=[64, 32]", "units has 2, dropout has 3"),
        ("rastogi_mlp", "hyperparameters.units=[64, 32, 1.5]", "a whole number from 1"),
        ("rastogi_mlp", "hyperparameters.activation=rely", "one of 'elu'"),
        ("rastogi_mlp", "hyperparameters=3", "must be Mapping"),
        ("rastogi_mlp", "model=mpl", "did you mean 'mlp'"),
        ("rastogi_mlp", "model=", "cannot be combined"),
        ("rastogi_mlp", "extractor=logmel", "must be Extractor"),
        ("rastogi_mlp", "extractor.sr=loud", "a whole number from 4000"),
        ("rastogi_mlp", "extractor.n_mels=0", "a whole number from 1"),
        ("rastogi_mlp", "extractor.pitch_floor=600", "must not exceed pitch_ceiling"),
        ("rastogi_mlp", "extractor.preprocess=trim", "a list"),
        ("rastogi_mlp", 'extractor.preprocess=["trimm"]', "did you mean 'trim'"),
        ("rastogi_mlp", "copies=1.5", "a whole number from 0"),
        ("rastogi_mlp", "augmentation=noise", "a list"),
        ("rastogi_mlp", "scale=maybe", "one of False, True"),
        ("rastogi_mlp", "temperature=1", "need validation clips"),
        ("rastogi_mlp", "temperature=-1", "a number from 0"),
        ("voting_cnn", "hyperparameters.pool=90", "'cnn2d' cannot be built with hyperparameters.pool=90"),
        ("voting_lstm", "hyperparameters.pool=max", "one of 'last', 'mean'"),
        ("voting_soft", "rounds=2.5", "a whole number from 1"),
        ("voting_soft", "method=softly", "one of 'bagging'"),
        ("voting_soft", "members=[3]", "must be recipes, at least one"),
        ("voting_soft", "training.epochs=0", "a whole number from 1"),
        ("voting_svm", "training.C=0", "a number from 1e-06"),
        ("voting_svm", "training.gamma=wide", "'scale', 'auto' or a number"),
        ("voting_forest", "training.n_estimators=0", "a whole number from 1"),
        ("voting_forest", "training.max_features=sqr", "'sqrt', 'log2'"),
        ("voting_forest", "hyperparameters.trees=3", "a classifier without gradient training"),
    ],
)
def test_a_bad_setting_is_one_line_before_any_work(ser_kit, recipe, setting, right, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(corpora, "load", lambda *_, **__: pytest.fail("work has begun"))
    status, out, err = ser_kit("train", recipe, "--set", setting, "--corpus", "demo", "--out", "x")
    assert (status, out) == (2, "")
    name = re.split(r"[.=]", setting.partition("=")[0])[-1]
    assert err.startswith("ser-kit: ") and name in err and right in err
    assert len(err.splitlines()) == 1


def test_a_corpus_that_cannot_be_had_says_how_to_get_it(ser_kit, tmp_path):
    status, out, err = ser_kit("extract", "iemocap", "--root", tmp_path / "nowhere", "--out", tmp_path / "x.csv")
    assert (status, out) == (2, "")
    assert err.startswith("ser-kit: the recordings of 'iemocap' cannot be had")
    assert "SER_KIT_DATA" in err


@pytest.mark.parametrize("arguments", [["--help"], ["corpora", "--quiet"], ["predict", "--help"]])
def test_help_and_corpora_are_quick_since_nothing_heavy_is_imported(arguments):
    script = f"""
import contextlib, sys
from ser_kit import cli
with contextlib.suppress(SystemExit):
    cli.main({arguments})
heavy = ("tensorflow", "keras", "pandas", "scipy", "librosa", "matplotlib", "parselmouth")
print([module for module in heavy if module in sys.modules])
"""
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_quiet_json_leaves_standard_error_empty(demo_bundle, recordings):
    clip = next(recordings.rglob("*.wav"))
    command = process("predict", clip, "--bundle", demo_bundle, "--json", "--quiet", env={"TF_CPP_MIN_LOG_LEVEL": "3"})
    out, err = command.communicate(timeout=120)
    assert (command.returncode, err) == (0, "")
    assert json.loads(out)[0]["path"] == str(clip)


def test_a_reader_that_leaves_early_is_no_error():
    command = process("corpora")
    command.stdout.close()
    assert command.stderr.read() == ""
    assert command.wait(60) == 0


def test_show_versions(ser_kit):
    status, found, _ = ser_kit("show-versions", "--json")
    assert status == 0
    assert found["numpy"] == np.__version__ and found["ser-kit"] == cli.__version__ and found["tensorflow"]
    assert "praat-parselmouth" in ser_kit("show-versions")[1]
