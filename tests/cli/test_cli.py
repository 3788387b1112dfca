"""The ``ser-kit`` command: results on standard output, all else on standard error, and the exit status that fits."""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_kit import corpora, extraction, features, models, protocols, recipes
from ser_kit.bundles.adaptation import Adaptation
from ser_kit.cli import commands as cli
from ser_kit.core import labels
from ser_kit.evaluation import Evaluation
from ser_kit.inference.predictor import Predictor
from ser_kit.inference.stream import StreamPredictor, timeline
from ser_kit.recipes import tuning
from ser_kit.training import loop

COMMANDS = (
    "corpora", "validate", "extract", "train", "evaluate", "reproduce", "tune", "run", "predict", "listen", "export",
    "demo", "cache", "show-versions",
)  # fmt: skip


TUNE = ("tune", "rastogi_mlp", "--corpus", "demo", "--out", "x")


def process(*arguments, **settings) -> subprocess.Popen:
    environment = {**os.environ, **settings.pop("env", {})}
    command = [sys.executable, "-m", "ser_kit.cli", *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **settings
    )


# --------------------------------------------------------------------------------------------------------------- help


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
        "export": ("export", "house", "--format", "saved_model"),
        "evaluate": ("evaluate", "rastogi_mlp", "--corpus", "demo"),
        "reproduce": ("reproduce", "rastogi_mlp", "--corpus", "demo"),
        "tune": (*TUNE[:-2], "--space", "training.epochs=[1]"),
        "demo": ("demo", "--notebooks", Path(__file__).parents[2] / "notebooks"),
    }
    whole = {"train": "is not a bundle|", "export": "exists and is something else|"}  # replaced as a whole
    for name, command in commands.items():
        if out != "." or name in whole:
            status, _, err = ser_kit(*command, "--out", out)
            assert status == 2 and re.search(whole.get(name, "") + message, err)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and (tmp_path / "file").read_text() == "dear"


@pytest.mark.parametrize(
    ("out", "message"),
    [("file/f.csv", "file is a file; expected a folder"), ("folder.csv", "folder.csv is a folder; expected the name")],
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
        ("reproduce", [*recipes.names(), *protocols.names(), *labels.LABEL_SETS, *corpora.names(), "published"]),
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
        ("export house --format onx", "unknown format 'onx'; did you mean 'onnx'?"),
        ("predict x.wav --bundel mine", "unknown option '--bundel'; did you mean '--bundle'?"),
        ("predict x.wav --bundel=mine", "unknown option '--bundel'; did you mean '--bundle'?"),
        ("train rastogi_mlp --corpus demo --otu x", "unknown option '--otu'; did you mean '--out'?"),
        ("--vresion", "unknown option '--vresion'; did you mean '--version'?"),
        ("evaluate rastogi_mlp --corpus demo --out x --seed -1", "'-1' is not a whole number from 0 to 2147483647"),
        ("train rastogi_mlp --corpus demo --out x --seed 1e3", "'1e3' is not a whole number from 0 to 2147483647"),
        ("tune rastogi_mlp --corpus demo --out x --space a=[1] --seed 4294967296", "from 0 to 2147483647"),
        ("evaluate rastogi_mlp --corpus demo --out x --seeds 1000000000000", "from 1 to 1000"),
        ("extract demo --out x.csv --jobs 100000", "from 1 to 256"),
        ("reproduce --all --corpus demo --out x --folds 0", "'0' is not a whole number of 1 or more"),
        ("evaluate rastogi_mlp --corpus , --out x", "',' names nothing"),
        ("listen --above 1.5", "'1.5' is not a number from 0 to 1"),
        ("listen --below nan", "'nan' is not a number from 0 to 1"),
        ("listen --raw --channels 99999999999", "from 1 to 1024"),
        ("export house --corpus demo --prune much", "'much' is not a number from 0 to 1"),
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
        (("train", "rastogi_mlp", "--set", "training.epochs", "--corpus", "demo", "--out", "x"), "SETTING=VALUE"),
        (("evaluate", "rastogi_mlp", "--set", "hyperparameters.drop=1", "--corpus", "demo", "--out", "x"), "dropout"),
        (("evaluate", "rastogi_mlp", "--corpus", "demo", "--protocol", "speaker,rand", "--out", "x"), "'random'"),
        (("reproduce", "--corpus", "demo", "--out", "x"), "name the recipes to reproduce, or give --all"),
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
        (("extract", "demo", "--features", "logmel", "--set", "seconds=x", "--out", "x.npz"), "'x' is no value"),
        (("extract", "demo", "--out", "x.csv", "--dask", "tcp://127.0.0.1:9"), "no scheduler answers there"),
        (("cache", "clear", "--features", "logmels"), "did you mean 'logmel'?"),
        (("cache", "check", "--features", "logmel"), "--features is for 'ser-kit cache clear'"),
        (("predict", "x.wav", "--bundle", "nowhere"), "neither a bundle's folder nor a preset"),
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
        ("rastogi_mlp", "model=", "do not go together"),
        ("rastogi_mlp", "extractor=logmel", "must be Extractor"),
        ("rastogi_mlp", "extractor.rate=loud", "a whole number from 4000"),
        ("rastogi_mlp", "extractor.n_mels=0", "a whole number from 1"),
        ("rastogi_mlp", "extractor.pitch_floor=600", "must not exceed pitch_ceiling"),
        ("rastogi_mlp", "extractor.preprocess=trim", "a list"),
        ("rastogi_mlp", 'extractor.preprocess=["trimm"]', "did you mean 'trim'"),
        ("rastogi_mlp", "copies=1.5", "a whole number from 0"),
        ("rastogi_mlp", "augmentation=noise", "a list"),
        ("rastogi_mlp", "scale=maybe", "one of False, True"),
        ("rastogi_mlp", "temperature=1", "expected validation clips"),
        ("rastogi_mlp", "temperature=-1", "a number from 0"),
        ("voting_cnn", "hyperparameters.pool=90", "'cnn2d' cannot be built with hyperparameters.pool=90"),
        ("voting_lstm", "hyperparameters.pool=max", "one of 'last', 'mean'"),
        ("voting_soft", "rounds=2.5", "a whole number from 1"),
        ("voting_soft", "method=softly", "one of 'bagging'"),
        ("voting_soft", "members=[3]", "one recipe at least"),
        ("voting_soft", "training.epochs=0", "a whole number from 1"),
        ("voting_svm", "training.C=0", "a number from 1e-06"),
        ("voting_svm", "training.gamma=wide", "'scale', 'auto' or a number"),
        ("voting_forest", "training.n_estimators=0", "a whole number from 1"),
        ("voting_forest", "training.max_features=sqr", "'sqrt', 'log2'"),
        ("voting_forest", "hyperparameters.trees=3", "a scikit-learn classifier"),
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


# ------------------------------------------------------------------------------------------------------------ corpora


def test_corpora_tells_what_there_is_and_where(ser_kit, tmp_path, monkeypatch):
    (tmp_path / "cremad").mkdir()
    (tmp_path / "nEMO").mkdir()
    (tmp_path / "nEMO" / "data.tsv").write_text("file_id\tgender\temotion\nSK1_sadness_1.wav\tfemale\tsadness\n")
    monkeypatch.setenv("SER_KIT_DATA", str(tmp_path))
    status, found, _ = ser_kit("corpora", "--json")
    by_name = {corpus["name"]: corpus for corpus in found}
    assert status == 0 and list(by_name) == list(corpora.names())
    assert (by_name["cremad"]["clips"], by_name["cremad"]["speakers"]) == (7442, 91)
    assert (by_name["cremad"]["path"], by_name["cremad"]["on_first_use"]) == (str(tmp_path / "cremad"), False)
    assert (by_name["ravdess"]["path"], by_name["ravdess"]["on_first_use"]) == (None, True)
    assert (by_name["nemo"]["clips"], by_name["nemo"]["speakers"]) == (4481, None)  # not what part of it is here
    assert by_name["emodb"]["language"] == "de" and "boredom" in by_name["emodb"]["emotions"]
    assert (by_name["iemocap"]["path"], by_name["iemocap"]["on_first_use"]) == (None, False)
    table = ser_kit("corpora")[1]
    assert str(tmp_path / "cremad") in table and "CC BY-NC-SA 4.0" in table


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


def test_validate_finds_a_sound_corpus_and_a_broken_one(ser_kit, recordings, tmp_path):
    status, found, _ = ser_kit("validate", "folder", "--root", recordings, "--json")
    assert (status, found["ok"], found["clips"], found["found"]) == (0, True, 20, {"angry": 10, "sad": 10})

    broken = shutil.copytree(recordings, tmp_path / "broken")
    (broken / "sad" / "05" / "x.wav").write_text("no sound")
    status, found, _ = ser_kit("validate", "folder", "--root", broken, "--json")
    assert (status, found["ok"]) == (1, False)
    assert [(f["kind"], Path(f["path"]).name) for f in found["findings"]] == [("unreadable", "x.wav")]
    status, table, _ = ser_kit("validate", "folder", "--root", broken)
    assert status == 1 and "unreadable" in table and "not all of it can be used" in table
    assert table.split()[:2] == ["emotion", "found"] and "<bytes>" not in table


# ----------------------------------------------------------------------------------------------------------- features


def test_extract_saves_a_table_or_arrays(ser_kit, recordings, tmp_path):
    out = tmp_path / "new" / "functionals.csv"
    status, found, err = ser_kit("extract", "folder", "--root", recordings, "--out", out, "--json")
    assert (status, found["clips"], found["failures"], found["out"]) == (0, 20, [], str(out))
    table = pd.read_csv(out)
    assert list(table.columns[-len(found["names"]) :]) == found["names"] and len(table) == 20
    assert "20/20" in err

    out = tmp_path / "logmel.npz"
    how = ("--features", "logmel", "--set", "seconds=1", "--labels", "sad,happy", "--quiet")
    status, _, err = ser_kit("extract", "folder", "--root", recordings, "--out", out, *how)
    assert (status, err) == (0, "")
    with np.load(out) as arrays:
        assert arrays["values"].shape == (10, 101, 64)
        assert set(arrays["label"]) == {"sad"} and len(arrays["lengths"]) == 10


def test_extract_tells_which_clips_failed(ser_kit, recordings, tmp_path):
    broken = shutil.copytree(recordings, tmp_path / "broken")
    (broken / "sad" / "05" / "x.wav").write_text("no sound")
    arguments = ("extract", "folder", "--root", broken, "--out", tmp_path / "f.parquet")
    status, found, _ = ser_kit(*arguments, "--json")
    assert (status, found["clips"]) == (1, 20)
    assert [Path(failure["path"]).name for failure in found["failures"]] == ["x.wav"]
    assert len(pd.read_parquet(tmp_path / "f.parquet")) == 20
    assert "not a sound file but text" in ser_kit(*arguments)[1]


def test_extract_answers_for_every_row_of_a_list(ser_kit, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    emotions = ["sad", "surprised", "sad", "wrath"]
    rows = [
        f"{path},{emotion}"
        for path, emotion in zip([*clips[:2], tmp_path / "gone.wav", clips[3]], emotions, strict=True)
    ]
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["path,emotion", *rows]))
    arguments = ("extract", "folder", "--root", listed, "--out", tmp_path / "f.csv", "--labels", "six")
    status, found, err = ser_kit(*arguments, "--json")
    assert (status, found["clips"]) == (1, 1)
    assert [clip["path"] for clip in found["failures"]] == [str(tmp_path / "gone.wav"), str(clips[3])]
    assert found["failures"][0]["reason"] == f"there is no file {tmp_path / 'gone.wav'}"
    assert [clip["path"] for clip in found["excluded"]] == [str(clips[1])]
    assert "1 left out: no such file" in err
    assert str(tmp_path / "gone.wav") in ser_kit(*arguments)[1]


@pytest.mark.parametrize("command", ["train", "evaluate", "tune"])
def test_speakers_half_named_are_refused_before_any_work(ser_kit, recordings, tmp_path, command):
    half = shutil.copytree(recordings, tmp_path / "half")
    for clip in half.rglob("*_s1_*.wav"):
        clip.rename(clip.parents[1] / clip.name)
    space = ("--space", "training.batch_size=[8, 16]") if command == "tune" else ()
    status, out, err = ser_kit(command, "rastogi_mlp", "--corpus", f"half:{half}", *space, "--out", tmp_path / "out")
    assert (status, out) == (2, "") and "functionals" not in err
    assert "ser-kit: the speaker of 10 of 20 clips of 'half' is not known" in err and "protocol 'random'" in err
    assert [path.name for path in tmp_path.iterdir()] == ["half"]


def test_corpora_at_places_of_their_own(ser_kit, recordings, tmp_path):
    listed = recordings / "list.csv"
    listed.write_text("path,emotion,speaker\n" + "".join(f"{p},angry,anna\n" for p in recordings.rglob("01_a*.wav")))
    arguments = ("extract", f"folder:{recordings}", f"calls:{listed}", "--out", tmp_path / "f.csv", "--json")
    status, found, _ = ser_kit(*arguments)
    assert (status, found["clips"]) == (0, 22)
    assert pd.read_csv(tmp_path / "f.csv")["corpus"].value_counts().to_dict() == {"folder": 20, "calls": 2}
    status, found, _ = ser_kit("validate", f"calls:{listed}", "--json")
    assert (status, found["corpus"], found["clips"]) == (0, "calls", 2)
    listed.unlink()
    status, _, err = ser_kit("extract", "ravdess", "folder", "--root", recordings, "--out", tmp_path / "g.csv")
    assert status == 2 and "given for 2 corpora, holds no folder 'ravdess-emotional-speech-audio'" in err
    assert "ravdess:PATH" in err and not (tmp_path / "g.csv").exists()


def test_what_was_extracted_is_kept_checked_and_cleared(ser_kit, recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("SER_KIT_STORE", str(tmp_path / "store"))
    arguments = ("extract", "folder", "--root", recordings, "--out", tmp_path / "a.csv")
    assert "from the feature store" not in ser_kit(*arguments)[2]
    before = (tmp_path / "a.csv").read_bytes()
    assert "20 clips, 0 failed" in (err := ser_kit(*arguments)[2]) and "20 from the feature store" in err
    assert (tmp_path / "a.csv").read_bytes() == before
    assert "from the feature store" not in ser_kit(*arguments, "--no-cache")[2]
    ser_kit(*arguments[:-1], tmp_path / "b.npz", "--features", "logmel", "--set", "seconds=1")

    status, out, _ = ser_kit("cache")
    assert status == 0 and "Functionals/" in out and "LogMel/" in out and str(tmp_path / "store") in out
    assert ser_kit("cache", "clear", "--features", "logmel", "--json")[1]["removed"] == 20
    status, found, _ = ser_kit("cache", "check", "--json")
    assert (status, found["checked"], found["damaged"]) == (0, 20, 0)
    with extraction.Store() as store, store._guarded():
        store._database.execute("UPDATE entries SET length = 7 WHERE rowid < 4")
    status, out, _ = ser_kit("cache", "check")
    assert status == 1 and "20 entries checked, 3 were damaged and are removed" in out
    status, found, _ = ser_kit("cache", "clear", "--json")
    assert (status, found["removed"], found["holdings"]) == (0, 17, [])


# ------------------------------------------------------------------------------------ training, evaluation, prediction


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
    assert err.splitlines()[-1].startswith("ser-kit: interrupted; the same command goes on from there")
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
    assert (found["bundle"], found["labels"], found["trained_on"][0]["clips"]) == (str(out), ["sad", "angry"], 20)
    assert found["evaluation"]["speaker_independent"] is True
    assert found["evaluation"]["recipe"] == "rastogi_mlp"

    status, answers, _ = ser_kit("predict", recordings, "--bundle", out, "--json")
    assert status == 0 and [answer["path"] for answer in answers] == sorted(map(str, recordings.rglob("*.wav")))
    assert set(answers[0]["probabilities"]) == {"sad", "angry"}


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
        "evaluate", "rastogi_mlp", *changes, *common, "--protocol", "speaker_80_20", "--out", tmp_path / "results"
    )
    assert (status, err) == (0, "")
    (record,) = found["evaluations"]
    saved = Evaluation.load(record["folder"])
    assert [len(history) for history in saved.histories] == [1]
    expected = recipes.get("rastogi_mlp").changed({"hyperparameters.units": (7, 5, 3)}).build(2).count_params()
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


def test_predict_opens_folders_and_patterns_and_goes_on_after_a_failure(ser_kit, demo_bundle, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    for name in ("b.wav", "a.wav", "[red].wav"):
        shutil.copy(clips[0], tmp_path / name)
    (tmp_path / "notes.txt").write_text("no recording")
    (tmp_path / "none").mkdir()
    broken, missing = tmp_path / "broken.wav", tmp_path / "missing.wav"
    broken.write_text("no sound")
    named = (tmp_path / "[red].wav", missing, tmp_path / "none", tmp_path, f"{recordings}/**/01*_s1_*.wav")
    status, answers, err = ser_kit("predict", *named, "--bundle", demo_bundle, "--json")
    assert status == 1
    expected = [tmp_path / "[red].wav", missing, tmp_path / "none", tmp_path / "a.wav", tmp_path / "b.wav", broken]
    expected += [clip for clip in clips if clip.name.startswith("01") and "_s1_" in clip.name]
    assert [answer["path"] for answer in answers] == list(map(str, expected))
    assert [Path(a["path"]).name for a in answers if "error" in a] == ["missing.wav", "none", "broken.wav"]
    same = [answer["probabilities"] for answer in (answers[0], answers[3], answers[4])]
    assert same[0] == same[1] == same[2]

    for wanted, expected in [("four", ["neutral", "happy", "sad", "angry"]), ("sad,angry", ["sad", "angry"])]:
        status, answers, _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--labels", wanted, "--json")
        assert status == 0 and list(answers[0]["probabilities"]) == expected

    status, (known,), _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--enroll", clips[1], "--json")
    assert status == 0 and known["probabilities"] != same[0]

    status, table, _ = ser_kit("predict", *named[:2], "--bundle", demo_bundle)
    assert status == 1
    assert "[red].wav" in table and "no such file" in table.lower() and "1 of 2 recordings failed" in table


def test_names_of_files_do_nothing_to_the_terminal(ser_kit, demo_bundle, tmp_path):
    hostile = tmp_path / "\x1b]0;owned\x07[link=http:a]b\x1b[31m.wav"
    status, table, err = ser_kit("predict", hostile, "--bundle", demo_bundle)
    assert status == 1 and "�[31m.wav" in table and "[link=http:a]b" in table
    assert not {"\x1b", "\x07"} & {*table, *err}
    status, _, err = ser_kit("predict", "x.wav", "--bundle", hostile)
    assert status == 2 and "�[31m.wav" in err and "\x1b" not in err


def test_predict_in_threads_gives_the_same_answers(ser_kit, demo_bundle, recordings):
    one, two = (ser_kit("predict", recordings, "--bundle", demo_bundle, "--jobs", n, "--json") for n in (1, 3))
    assert one[:2] == two[:2] and len(one[1]) == 20


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_predict_opens_a_model_with_any_c_library(ser_kit, recordings, monkeypatch, error):
    (clip,) = sorted(recordings.rglob("*.wav"))[:1]
    expected = ser_kit("predict", clip, "--bundle", "cross_corpus_small", "--json")

    def has_not(name):
        raise error("no mallopt")

    monkeypatch.setattr(cli.ctypes, "CDLL", has_not)
    assert ser_kit("predict", clip, "--bundle", "cross_corpus_small", "--json") == expected


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize("timeline", [False, True])
def test_predict_goes_on_from_what_its_file_holds(ser_kit, demo_bundle, recordings, tmp_path, suffix, timeline):
    out, broken = tmp_path / f"answers.{suffix}", tmp_path / 'bro"ken, $.wav'
    broken.write_text("no sound")
    clips = sorted(recordings.rglob("*.wav"))[:4]
    command = ("predict", "--bundle", demo_bundle, "--out", out, *(["--timeline", "--window", "1"] * timeline))
    status, text, _ = ser_kit(*command, *clips, broken)
    assert status == 1 and "1 of 5 recordings failed" in text and "broken.wav" not in text and str(broken) in text
    whole = out.read_text()
    told = pd.read_csv(out) if suffix == "csv" else pd.read_json(out, lines=True)
    assert list(dict.fromkeys(told["path"])) == [*map(str, clips), str(broken)]
    assert (len(told) > 5) == (timeline and suffix == "csv")

    lines = whole.splitlines(keepends=True)
    third = next(i for i, line in enumerate(lines) if clips[2].name in line)
    out.write_text("".join(lines[:third]) + lines[third][:20])  # killed while it wrote
    status, _, err = ser_kit(*command, *clips, broken)
    assert status == 1 and out.read_text() == whole
    assert "2 of 5 recordings are answered for" in err
    status, _, err = ser_kit(*command, *clips, broken)  # what failed is tried again
    assert status == 1 and out.read_text() == whole and "4 of 5 recordings are answered for" in err
    status, _, _ = ser_kit(*command, *clips)
    assert status == 0 and out.read_text() == whole

    status, _, err = ser_kit(*command, *clips, "--labels", "four")
    assert status == 2 and "holds something else than answers for neutral, happy, sad, angry" in err
    status, _, err = ser_kit(*command, *clips, "--enroll", clips[0])
    assert status == 2 and "answers of another bundle, or with other settings" in err
    assert out.read_text() == whole

    broken.write_bytes(clips[0].read_bytes())  # mended
    status, _, _ = ser_kit(*command, *clips, broken)
    mended = pd.read_csv(out) if suffix == "csv" else pd.read_json(out, lines=True)
    assert status == 0 and set(mended["path"]) == {*map(str, clips), str(broken)}
    assert "error" not in mended or mended["error"].isna().all()


def test_predict_adapts_to_the_speaker_and_keeps_what_it_learned(ser_kit, demo_bundle, recordings, tmp_path):
    clips, known = sorted(recordings.rglob("*.wav"))[::4], tmp_path / "known.json"
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16000), 16000)
    command = ("predict", "--bundle", demo_bundle, "--same-speaker", "--json")
    status, found, err = ser_kit(*command, *clips, silent, "--save-adaptation", known)
    assert status == 1 and f"adapted to a voice from {len(clips)} clips" in err
    assert f"not adapted to {silent}" in err and "is silent" in err
    one = Predictor.from_bundle(demo_bundle).adapt(clips)
    assert found[:-1] == [one.predict(clip).to_dict() for clip in clips]

    status, again, _ = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--adaptation", known, "--json")
    assert status == 0 and again == found[:1]
    plain = ser_kit("predict", clips[0], "--bundle", demo_bundle, "--json")[1]
    assert again != plain

    out = tmp_path / "answers.csv"
    assert ser_kit(*command[:-1], *clips, "--out", out)[0] == 0
    whole = out.read_text()
    status, _, err = ser_kit(*command[:-1], *clips, "--out", out)
    assert status == 0 and out.read_text() == whole and f"{len(clips)} of {len(clips)} recordings are answered" in err
    status, _, err = ser_kit(*command[:3], "--adaptation", known, *clips, "--out", out)  # the same, from the file
    assert status == 0 and out.read_text() == whole
    status, _, err = ser_kit(*command[:3], *clips, "--out", out)
    assert status == 2 and "answers of another bundle, or with other settings" in err
    status, _, err = ser_kit(*command[:4], *clips[1:], "--out", out)
    assert status == 2 and "answers of another bundle, or with other settings" in err
    assert out.read_text() == whole


def test_predict_adapts_to_the_speaker_of_each_folder(ser_kit, demo_bundle, recordings, tmp_path):
    clips = sorted(recordings.rglob("*.wav"))
    folders = {"ann": clips[:3], "bob": clips[10:13], "one": clips[5:6]}
    for name, given in folders.items():
        (tmp_path / name).mkdir()
        for clip in given:
            shutil.copy(clip, tmp_path / name / f"{clip.parent.parent.name}-{clip.name}")
    command = ("predict", tmp_path, "--bundle", demo_bundle, "--speaker-per-folder")
    status, found, err = ser_kit(*command, "--json")
    assert status == 0 and f"{tmp_path / 'one'} is answered for without adaptation: 1 of 1 clips" in err
    anyone = Predictor.from_bundle(demo_bundle)
    expected = []
    for name in folders:
        paths = sorted(map(str, (tmp_path / name).iterdir()))
        one = anyone if name == "one" else anyone.adapt(paths)
        expected += [one.predict(path).to_dict() for path in paths]
    assert found == expected
    out = tmp_path / "answers.jsonl"
    assert ser_kit(*command, "--out", out)[0] == 0
    status, _, err = ser_kit(*command[:-1], "--same-speaker", "--out", out)
    assert status == 2 and "with other settings" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--same-speaker", "--enroll", "x.wav"), "not allowed with argument"),
        (("--same-speaker", "--speaker-per-folder"), "not allowed with argument"),
        (("--adaptation", "x.json", "--enroll", "x.wav"), "--adaptation and --enroll both say who speaks"),
        (
            ("--adaptation", "x.json", "--speaker-per-folder"),
            "--adaptation and --speaker-per-folder both say who speaks",
        ),
        (("--save-adaptation", "x.json"), "--save-adaptation keeps what is learned with --same-speaker"),
        (("--same-speaker", "--save-adaptation", "."), "is a folder"),
        (("--adaptation", "none.json"), "there is no file none.json"),
        (("--same-speaker", "--bundle", "house"), "cannot adapt to one; train the bundle again"),
    ],
)
def test_ways_to_say_who_speaks_exclude_each_other(ser_kit, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    tmp_path = tmp_path / "folder"
    tmp_path.mkdir()
    arguments = [str(tmp_path) if each == "." else each for each in arguments]
    for command in ("predict", "clip.wav"), ("listen", "--raw"):
        if command[0] == "predict" or "--speaker-per-folder" not in arguments:
            status, _, err = ser_kit(*command, *arguments)
            assert status == 2 and message in err, err


def test_a_timeline_that_fails_is_a_failure_of_its_recording(ser_kit, demo_bundle, recordings, monkeypatch):
    first, second = sorted(recordings.rglob("*.wav"))[:2]

    def broken(predictor, path, **settings):
        if path == str(first):
            raise FloatingPointError("of a library")
        return timeline(predictor, path, **settings)

    monkeypatch.setattr("ser_kit.inference.stream.timeline", broken)
    status, answers, _ = ser_kit("predict", first, second, "--bundle", demo_bundle, "--timeline", "--json")
    assert status == 1 and answers[0] == {"path": str(first), "error": "FloatingPointError: of a library"}
    assert answers[1]["timeline"]


def test_predict_prints_comma_separated_values_and_timelines(ser_kit, demo_bundle, recordings):
    clip = sorted(recordings.rglob("*.wav"))[0]
    _, (answer,), _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--timeline", "--window", "1", "--json")
    _, table, _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--csv")
    (row,) = pd.read_csv(io.StringIO(table)).to_dict("records")
    assert (row["path"], row["emotion"], row["confidence"]) == (str(clip), answer["emotion"], answer["confidence"])
    assert row["p_sad"] == answer["probabilities"]["sad"]
    ends = [moment["end"] for moment in answer["timeline"]]
    assert len(ends) > 1 and ends == sorted(ends) and ends[-1] == pytest.approx(answer["duration"], abs=0.1)
    _, text, _ = ser_kit("predict", clip, "--bundle", demo_bundle, "--timeline", "--window", "1")
    assert "0:00.0 to 0:01.0" in text
    status, _, err = ser_kit("predict", clip, "--hop", "1")
    assert status == 2 and "settings of --timeline" in err
    status, _, err = ser_kit("predict", clip, "--bundle", demo_bundle, "--out", "answers.xml")
    assert status == 2 and "written as .csv or .jsonl" in err


def test_listen_names_what_comes_through_a_pipe_second_by_second(demo_bundle, recordings):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))[:4]]
    samples = np.concatenate([*clips, np.zeros(5 * 16000, np.int16)])
    command = [sys.executable, "-m", "ser_kit.cli", "listen", "--raw", "--channels", "2", "--json", "--bundle"]
    stereo = np.stack([samples, samples], axis=1).astype("<i2").tobytes()
    found = subprocess.run([*command, str(demo_bundle)], input=stereo, capture_output=True, check=True)
    told = [json.loads(line) for line in found.stdout.splitlines()]
    expected = timeline(Predictor.from_bundle(demo_bundle), (samples, 16000))
    assert told == [moment.to_dict() for moment in expected]
    assert told[0]["emotion"] and told[-1]["reason"] == "silence"
    assert b"listening; Ctrl-C ends it" in found.stderr


def test_listen_gets_used_to_a_voice_and_keeps_it(ser_kit, demo_bundle, recordings, tmp_path, monkeypatch):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))[:8]]
    samples, known = np.concatenate(clips), tmp_path / "known.json"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(samples.tobytes()))))
    command = ("listen", "--raw", "--bundle", demo_bundle, "--same-speaker", "--save-adaptation", known)
    status, text, err = ser_kit(*command)
    stream = StreamPredictor(Predictor.from_bundle(demo_bundle), adapt=True)
    moments = stream.feed(samples) + stream.flush()
    assert status == 0 and len(text.splitlines()) == len(moments) and Adaptation.load(known) == stream.adaptation
    assert f"from {stream.adaptation.clips} windows is in {known}" in err


def test_listen_tells_when_an_emotion_begins_and_is_over(ser_kit, demo_bundle, recordings, monkeypatch):
    clips = [soundfile.read(path, dtype="int16")[0] for path in sorted(recordings.rglob("*.wav"))]
    pipe = io.TextIOWrapper(io.BufferedReader(io.BytesIO(np.concatenate(clips).tobytes())))
    monkeypatch.setattr(sys, "stdin", pipe)
    alert = ("--alert", "angry", "sad", "--above", "0.5", "--seconds", "1", "--labels", "sad,angry")
    status, out, err = ser_kit("listen", "--raw", "--bundle", demo_bundle, *alert)
    assert status == 0 and "! angry begins" in err and "! angry is over" in err and "! sad begins" in err
    assert re.match(r" +0:03\.0  (angry|sad) ", out)


def test_listen_without_a_microphone_says_what_to_do(ser_kit, demo_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    status, _, err = ser_kit("listen", "--bundle", demo_bundle)
    assert status == 2 and 'pip install "ser-kit[microphone]"' in err and "--raw" in err


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


# --------------------------------------------------------------------------------------------------------------- demo

HEAD = """
import json, os, sys
from pathlib import Path
out = Path(os.environ["SER_KIT_OUTPUT"])
def fact(name, **facts):
    (out / f"{name}.json").write_text(json.dumps(facts))
"""
FACTS = {
    "01_corpora": """fact("01_corpora", corpora=os.environ["SER_KIT_CORPUS"].split(","), clips=480, speakers=10,
        emotions={"sad": 240, "angry": 240}, synthetic=True)""",
    "05_predict": """(out / "figures").mkdir()
fact("05_predict", clip_id="demo:x", true="sad", emotion="angry", confidence=0.625, uncertain=True)""",
}


def write_notebook(folder: Path, name: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {name}")])
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (HEAD, *cells)]
    nbformat.write(notebook, folder / f"{name}.ipynb")


def outputs_of(path: Path) -> str:
    return "".join(o.get("text", "") for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", []))


@pytest.fixture
def notebooks(tmp_path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder


def test_demo_runs_the_notebooks_and_sums_up(ser_kit, notebooks, tmp_path, monkeypatch):
    evaluated = {
        "evaluations": [
            {
                "recipe": "rastogi_mlp",
                "protocol": "speaker",
                "speaker_independent": True,
                "uar": {"mean": 0.7, "std": 0.05, "low": 0.6, "high": 0.8},
                "accuracy": {"mean": 0.71, "std": np.nan, "low": 0.6, "high": 0.8},  # of one fold
            }
        ]
    }
    write_notebook(notebooks, "01_corpora", "print(sys.executable)", FACTS["01_corpora"])
    write_notebook(notebooks, "04_evaluate", "from math import nan", f"fact('04_evaluate', **{evaluated!r})")
    write_notebook(notebooks, "05_predict", FACTS["05_predict"])
    write_notebook(notebooks, "99_other", "1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_KIT_CORPUS", "demo,folder")
    status, said, err = ser_kit("demo")
    assert status == 0
    out = tmp_path / "outputs" / "demo"
    assert [line.split()[:2] for line in err.splitlines() if line.endswith("cells")] == [
        ["01_corpora", "ok"], ["04_evaluate", "ok"], ["05_predict", "ok"],
    ]  # fmt: skip
    for expected in (
        "480 of 10 speakers, 2 emotions: demo, folder (synthetic speech)",
        "70.0 ± 5.0         71.0",
        "demo:x (held out, truly sad): angry, confidence 62 %, uncertain",
        f"3 ran, as .ipynb and .html in {out}",
        str(out / "figures"),
    ):
        assert expected in said
    assert outputs_of(out / "01_corpora.ipynb").strip() == sys.executable
    assert sys.executable in (out / "01_corpora.html").read_text()


def test_demo_stops_at_a_failing_cell_and_keeps_what_ran(ser_kit, notebooks, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "05_predict.json").write_text("{}")  # of an earlier run
    write_notebook(notebooks, "02_features", "print('before')", "raise ValueError('no pitch')", "print('after')")
    write_notebook(notebooks, "05_predict", FACTS["05_predict"])
    arguments = ("demo", "--notebooks", notebooks, "--out", out, "--corpus", "demo")
    status, found, _ = ser_kit(*arguments, "--json")
    assert (status, found["ok"], found["facts"]) == (1, False, {})
    (run,) = found["notebooks"]
    assert (run["name"], run["ok"], run["cells"], run["total"]) == ("02_features", False, 2, 4)
    assert "raise ValueError('no pitch')" in run["error"] and "\x1b" not in run["error"]
    assert outputs_of(Path(run["notebook"])) == "before\n"
    assert "no pitch" in Path(run["html"]).read_text()


def test_demo_survives_a_kernel_that_dies(ser_kit, notebooks, tmp_path):
    write_notebook(notebooks, "03_train", "os.write(2, b'out of memory'); os.kill(os.getpid(), 9)")
    status, said, _ = ser_kit("demo", "--notebooks", notebooks, "--out", tmp_path / "out")
    assert status == 1
    assert "03_train failed in code cell 2 of 2" in said and "the kernel died" in said


def test_demo_never_overwrites_the_notebooks(ser_kit, notebooks):
    write_notebook(notebooks, "01_corpora")
    before = (notebooks / "01_corpora.ipynb").read_bytes()
    status, _, err = ser_kit("demo", "--notebooks", notebooks, "--out", notebooks)
    assert status == 2 and "overwrite" in err
    assert (notebooks / "01_corpora.ipynb").read_bytes() == before


def test_interrupting_the_demo_ends_its_kernel(notebooks, tmp_path):
    out = tmp_path / "out"
    waiting = "(out / 'pid').write_text(str(os.getpid())); (out / 'ready').touch(); import time; time.sleep(600)"
    write_notebook(notebooks, "01_corpora", "print('before')", waiting)
    command = process("demo", "--notebooks", notebooks, "--out", out, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (out / "ready").exists():
        assert command.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    said, err = command.communicate(timeout=120)
    assert (command.returncode, said) == (130, "")
    assert err.splitlines()[-1] == "ser-kit: interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(int((out / "pid").read_text()), 0)
    assert outputs_of(out / "01_corpora.ipynb") == "before\n"
