"""Reproductions: a record for every fold, nothing run twice, and tables made of the records alone."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from quick import perceptron

from ser_kit import cli, corpora, features, recipes, training
from ser_kit.core.errors import TableError
from ser_kit.core.labels import EMOTIONS
from ser_kit.recipes import reproduce
from ser_kit.recipes.page import TABLES as MAKERS
from ser_kit.training.checkpoint import State

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("eagerly")]
TABLES = ("table", "splits", "ablations", "classes", "missing", "folds", "matrix")


@pytest.fixture(scope="module", autouse=True)
def small_corpora(demo_few):
    """Every corpus is 30 synthetic clips; several divide them by speaker and call them theirs."""

    def load(names, root=None, labels=None, **_):
        names = [names] if isinstance(names, str) else list(names)
        table = demo_few.copy()
        owner = pd.factorize(table["speaker"])[0] % len(names)
        table["corpus"] = [names[i] for i in owner]
        for column in ("clip_id", "speaker"):
            table[column] = table["corpus"] + ":" + table[column].str.removeprefix("demo:")
        table.attrs = demo_few.attrs
        return table

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpora, "load", load)
        yield


@pytest.fixture(scope="module")
def quick():
    return perceptron(training__epochs=2)


@pytest.fixture(scope="module")
def forest():
    return recipes.get("ahmadov_forest").with_settings(
        {"extractor": features.Functionals(), "training.n_estimators": 5}
    )


@pytest.fixture(scope="module")
def systems(quick, forest):
    return [quick, forest, forest.with_settings({"training.n_estimators": 2}, "small")]


@pytest.fixture(scope="module")
def reproduced(systems, tmp_path_factory):
    out = tmp_path_factory.mktemp("results")
    told = []
    failures = reproduce.run(systems, ["demo"], seeds=range(2), out=out, jobs=1, progress=False, tell=told.append)
    return out, failures, told


@pytest.fixture(scope="module")
def records(reproduced):
    return reproduce.load(reproduced[0])


def written(out):
    """The records by path, without what the clock says."""
    found = {path.relative_to(out): json.loads(path.read_text()) for path in out.glob("records/**/*.json")}
    return {path: {k: v for k, v in record.items() if k != "seconds"} for path, record in found.items()}


def changed_at(out):
    return {path: path.stat().st_mtime_ns for path in out.glob("records/**/*.json")}


# -------------------------------------------------------------------------------------------------------------- runs


def test_every_fold_of_every_run_leaves_a_record(reproduced, records, quick):
    out, failures, told = reproduced
    assert failures == [] and len(told) == len(records)
    found = records.groupby(["recipe", "ablation", "protocol", "seed"]).size()
    protocols = {"rastogi_mlp": ["random_70_15_15", "random_76_12_12"],
                 "ahmadov_forest": ["random_80_20", "speaker_80_20"]}  # fmt: skip
    for name, ablation in [("rastogi_mlp", ""), ("ahmadov_forest", ""), ("ahmadov_forest", "small")]:
        for seed in (0, 1):
            assert found[name, ablation, "speaker", seed] == 5
            assert [found[name, ablation, protocol, seed] for protocol in protocols[name]] == [1, 1]
    assert len(records) == found.sum() == 42
    record = records.query("recipe == 'rastogi_mlp' and protocol == 'speaker'").iloc[0]
    assert record["speaker_independent"] and record["corpora"] == "demo" and record["folds"] == 5
    assert record["epochs"] == [2] and record["parameters"] == quick.build(6).count_params()
    assert sum(record["clips"].values()) == 30 and sum(record["speakers"].values()) == 5
    assert record["sources"] == dict.fromkeys(("train", "validation", "test"), ["demo"])
    assert sum(map(sum, record["confusion"])) == record["clips"]["test"]
    assert set(record["per_class"]) == set(record["labels"]) and record["versions"]["numpy"]
    assert np.sum(list(record["confusion_by_speaker"].values()), axis=0).tolist() == record["confusion"]
    (curves,) = record["histories"]
    assert [len(curves[name]) for name in ("loss", "val_loss", "accuracy", "val_accuracy")] == 4 * record["epochs"]
    assert not list((out / "checkpoints").glob("*/*"))  # nothing is under way any more


def test_what_is_recorded_is_not_run_again(reproduced, systems, monkeypatch):
    out, _, _ = reproduced
    before = changed_at(out)
    monkeypatch.setattr(recipes.System, "run_fold", lambda *_, **__: pytest.fail("run again"))
    monkeypatch.setattr(recipes.System, "prepare", lambda *_, **__: pytest.fail("prepared again"))
    told = []
    assert reproduce.run(systems, ["demo"], seeds=range(2), out=out, progress=False, tell=told.append) == []
    assert changed_at(out) == before and told == []


@pytest.mark.parametrize("stop_after", [2, 3, 4])
def test_what_was_broken_off_goes_on_to_the_same_records(quick, reproduced, tmp_path, monkeypatch, stop_after):
    """Broken off between two folds, and within the second: its first epoch, and its last."""
    update, epochs = State.update, []

    def interrupt(self, row):
        update(self, row)
        epochs.append(row)
        if len(epochs) == stop_after:
            raise KeyboardInterrupt

    arguments = {"divided": ["speaker"], "seeds": [1], "out": tmp_path, "jobs": 1, "progress": False}
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(State, "update", interrupt)
        reproduce.run([quick], ["demo"], **arguments)
    assert len(written(tmp_path)) == (0 if stop_after == 2 else 1)
    trained = []
    monkeypatch.setattr(State, "update", lambda self, row: trained.append(row) or update(self, row))
    reproduce.run([quick], ["demo"], **arguments)
    assert len(trained) == 10 - stop_after  # no epoch twice
    whole = {path: record for path, record in written(reproduced[0]).items() if path in written(tmp_path)}
    assert len(whole) == 5 and written(tmp_path) == whole
    assert not list((tmp_path / "checkpoints").glob("*/*"))


def test_cleaning_up_leaves_what_others_are_at(tmp_path):
    others = [
        "from_scratch_single-speaker-0-0", "from_scratch-seeds-0-speaker-0-0",
        "from_scratch_single-seeds-3-speaker-0-1", "from_scratch_single-seeds-0-speaker-1-0",
        "from_scratch_single-seeds-0-speaker_80_20-0-0", "voting_cnn_lstm-speaker-0-0", "notes",
    ]  # fmt: skip
    own = [f"from_scratch_single-seeds-{i}-speaker-0-{fold}" for i in range(3) for fold in (0, 11, "final")]
    for name in (*others, *own, "voting_cnn-speaker-0-0"):
        (tmp_path / name).mkdir()
    recipes.get("from_scratch").forget(tmp_path, "speaker", 0)
    recipes.get("voting_cnn").forget(tmp_path, "speaker", 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)
    for path in tmp_path.iterdir():
        path.rmdir()
    recipes.get("from_scratch").forget(tmp_path, "speaker", 0)
    assert not tmp_path.exists()


@pytest.mark.parametrize("name", ["rastogi_mlp", "voting_soft", "voting_hard", "voting_bagging", "from_scratch"])
def test_parts_are_the_names_of_checkpoints(name, monkeypatch):
    asked = []
    split = recipes.Split(None, np.arange(3), np.arange(0), 0, False, asked.append)
    monkeypatch.setattr(
        recipes.Recipe, "train", lambda self, split, weights=None: (split.checkpoint(self.name), ([], []))[1]
    )
    monkeypatch.setattr(recipes.Ensemble, "_drawn", staticmethod(lambda split, i: 1))
    recipes.get(name).train(split)
    assert tuple(asked) == recipes.get(name).parts


def test_an_ensemble_starts_from_the_checkpoints_of_its_members(quick, tmp_path, monkeypatch):
    """So that the members can be trained in parallel, each in a process of its own."""
    arguments = {"divided": ["speaker"], "seeds": [0], "numbers": [1], "out": tmp_path, "jobs": 1, "progress": False}
    other = dataclasses.replace(quick, name="other", extractor=features.Functionals(n_mfcc=5))
    for member in (quick, other):
        reproduce.run([member], ["demo"], **arguments)
    trained = []
    monkeypatch.setattr(State, "update", lambda self, row: trained.append(row))
    vote = recipes.Ensemble.of(quick, other)
    reproduce.run([vote], ["demo"], **arguments)
    assert not trained and len(written(tmp_path)) == 3


def test_a_system_that_was_changed_is_run_anew_and_what_only_reads_otherwise_is_not(forest, tmp_path):
    arguments = {"divided": ["speaker_80_20"], "seeds": [0], "out": tmp_path, "jobs": 1, "progress": False}
    reproduce.run([forest], ["demo"], **arguments)
    before = changed_at(tmp_path)
    reproduce.run([forest.with_settings({"title": "Trees", "reference": "A forest"})], ["demo"], **arguments)
    assert changed_at(tmp_path) == before
    larger = forest.with_settings({"training.n_estimators": 6})
    told = []
    reproduce.run([larger], ["demo"], **arguments, tell=told.append)
    assert len(told) == 1 and changed_at(tmp_path).keys() == before.keys() and changed_at(tmp_path) != before
    assert larger.settings != forest.settings
    twin = forest.with_settings({"name": "twin"})
    ensemble = recipes.Ensemble.of(forest, twin)
    assert ensemble.settings != recipes.Ensemble.of(forest, twin.with_settings({"training.n_estimators": 6})).settings
    assert ensemble.settings == ensemble.with_settings({"title": "Twice"}).settings


def test_folds_may_be_shared_out(forest, tmp_path):
    for numbers, there in (([2, 4], {1, 3}), ([4, 1, 9], {0, 1, 3}), (None, set(range(5)))):
        reproduce.run([forest], ["demo"], divided=["speaker"], seeds=[0], numbers=numbers, out=tmp_path, progress=False)
        assert set(reproduce.load(tmp_path)["fold"]) == there


@pytest.mark.parametrize("spoilt", [b"{", b"", b"null", b"[1]", b"\xff\xfe\x00", b'{"format": 1}'])
def test_a_spoilt_record_is_run_anew(forest, tmp_path, spoilt):
    arguments = {"divided": ["random_80_20"], "seeds": [0], "out": tmp_path, "jobs": 1, "progress": False}
    reproduce.run([forest], ["demo"], **arguments)
    ((path, record),) = written(tmp_path).items()
    (tmp_path / path).write_bytes(spoilt)
    if spoilt != b'{"format": 1}':
        with pytest.raises(TableError, match="cannot be read|holds no records"):
            reproduce.load(tmp_path)
    reproduce.run([forest], ["demo"], **arguments)
    assert written(tmp_path) == {path: record}


def test_what_cannot_be_run_is_reported_and_the_rest_goes_on(forest, tmp_path):
    told = []
    failures = reproduce.run(
        [forest], ["demo"], divided=["emobox", "cross_corpus", "random_80_20"], seeds=[0], out=tmp_path, jobs=1,
        progress=False, tell=told.append,
    )  # fmt: skip
    assert [(failure.system, failure.protocol) for failure in failures] == [
        ("ahmadov_forest", "emobox"), ("ahmadov_forest", "cross_corpus"),
    ]  # fmt: skip
    assert "protocol 'emobox' divides one corpus" in failures[0].reason
    assert sum("cannot be run" in line for line in told) == 2 and len(written(tmp_path)) == 1


def test_labels_may_be_listed(forest, tmp_path, monkeypatch):
    asked = []
    load = corpora.load
    monkeypatch.setattr(corpora, "load", lambda *a, labels=None, **k: asked.append(labels) or load(*a, **k))
    for labels in ("happy,sad", "four"):
        reproduce.run(
            [forest], ["demo"], divided=["random_80_20"], seeds=[0], out=tmp_path, labels=labels, jobs=1, progress=False
        )
    assert asked == [["happy", "sad"], "four"]


@pytest.mark.parametrize("name", ["rastogi_mlp", "voting_forest", "ahmadov_forest"])
def test_a_document_s_corpora_can_stand_in_for_by_others(name, tmp_path):
    """One light system of each document whose corpora are not all here, on synthetic speech under their names."""
    system = recipes.get(name)
    networks = isinstance(system.training, training.Training)
    system = system.with_settings({"training.epochs": 1} if networks else {"training.n_estimators": 3})
    wanted = system.published.corpora
    assert reproduce.run([system], list(wanted), seeds=[0], out=tmp_path, jobs=1, progress=False) == []
    records = reproduce.load(tmp_path)
    assert set(records["corpora"]) == {", ".join(sorted(wanted))}
    assert {system.published.protocol, "speaker"} <= set(records["protocol"])
    table = reproduce.table(records, ", ".join(sorted(wanted))).set_index("system")
    assert table.loc[name, "run on"] == ", ".join(sorted(wanted))
    assert table.loc[name, "reproduced accuracy"] != "–" != table.loc[name, "unseen speakers: UAR"]
    assert name not in set(reproduce.missing(records)["system"])


# ------------------------------------------------------------------------------------------------------------- tables


def test_no_records_are_none(tmp_path):
    with pytest.raises(TableError, match="holds no records"):
        reproduce.load(tmp_path)


def test_records_of_another_version_are_refused(reproduced, tmp_path):
    source = next(reproduced[0].glob("records/*/*/*.json"))
    target = tmp_path / source.relative_to(reproduced[0])
    target.parent.mkdir(parents=True)
    target.write_text(source.read_text().replace('"format": 1', '"format": 7'))
    with pytest.raises(TableError, match="format 7"):
        reproduce.load(tmp_path)


def test_spread_is_over_folds_and_over_seeds(records):
    found = reproduce.spread(records, "uar").set_index(["recipe", "ablation", "protocol"])
    part = records.query("recipe == 'ahmadov_forest' and ablation == '' and protocol == 'speaker'")
    row = found.loc["ahmadov_forest", "", "speaker"]
    assert row["mean"] == pytest.approx(part["uar"].mean()) and row["std"] == pytest.approx(part["uar"].std())
    assert row["over_seeds"] == pytest.approx(part.groupby("seed")["uar"].mean().std())
    assert (row["runs"], row["seeds"], row["complete"], row["epochs"]) == (10, 2, True, 0)
    assert found.loc["rastogi_mlp", "", "speaker"]["epochs"] == 2
    assert not reproduce.spread(records.drop(part.index[0])).query("recipe == 'ahmadov_forest'")["complete"].all()
    with pytest.raises(TableError, match="unknown metric 'f2'"):
        reproduce.spread(records, "f2")


def test_the_table_has_a_row_for_every_system_and_the_cost_of_leakage(records):
    table = reproduce.table(records, "demo").set_index("system")
    assert list(table.index) == list(recipes.RECIPES)
    row = table.loc["rastogi_mlp"]
    spread = reproduce.spread(records).query("recipe == 'rastogi_mlp' and ablation == ''").set_index("protocol")
    gap = spread.loc["random_70_15_15", "mean"] - spread.loc["speaker", "mean"]
    assert row["cost of leakage"] == f"{100 * gap:.1f}"
    row = table.loc["ahmadov_forest"]
    spread = reproduce.spread(records).query("recipe == 'ahmadov_forest' and ablation == ''").set_index("protocol")
    assert row["cost of leakage"] == "–"  # its published split tests unseen speakers, too
    assert row["reported accuracy"] == "42" and row["run on"] == "demo" and row["published split"] == "speaker_80_20"
    assert row["unseen speakers: accuracy"].startswith(f"{100 * spread.loc['speaker', 'mean']:.1f} ± ")
    assert row["training time"].endswith(" s")
    assert table.loc["staged_cnn_lstm", "reported accuracy"] == "94 to 95.1"
    assert (table.loc["staged_cnn_lstm", ["run on", "reproduced accuracy"]] == ["not run here", "–"]).all()
    # Where folds are missing, a star says so.
    lost = records.drop(records.query("recipe == 'ahmadov_forest' and protocol == 'speaker'").index[0])
    assert (
        reproduce.table(lost, "demo").set_index("system").loc["ahmadov_forest", "unseen speakers: UAR"].endswith(" *")
    )


def test_other_reported_figures_stand_beside_ours(records):
    table = reproduce.reported(records, "demo").set_index(["system", "figure"])
    row = table.loc["rastogi_mlp", "macro F1"]
    own = 100 * records.query("recipe == 'rastogi_mlp' and protocol == 'speaker'")["macro_f1"]
    assert (row["reported"], row["run on"]) == ("65", "demo")
    assert row["unseen speakers"] == f"{own.mean():.1f} ± {own.std():.1f}" and row["reproduced"] != "–"
    assert table.loc["ahmadov_cnn_bilstm", "weighted F1"].tolist() == ["51 to 52", "not run here", "–", "–"]
    assert table.loc[("staged_cnn_lstm", "training accuracy"), "reported"] == "99.96"
    shown = {(system, metric) for system in recipes.RECIPES for metric in recipes.get(system).published.others}
    assert len(table) == len(shown), "none that is stored is left out"

    table = reproduce.reported_classes(records, "demo").set_index(["system", "emotion"])
    row = table.loc["ahmadov_forest", "disgust"]
    part = records.query("recipe == 'ahmadov_forest' and ablation == '' and protocol == 'speaker'")
    recalls = [each["disgust"]["recall"] for each in part["per_class"]]
    assert row["recall: reported"] == "26.8" and row["F1: reported"] == row["F1: reproduced"] == "–"
    assert row["recall: unseen speakers"] == f"{100 * np.mean(recalls):.1f}"
    assert table.loc[("td_cnn_lstm", "calm"), "precision: reported"] == "90"
    assert len(table) == sum(len(system.published.classes) for system in recipes.RECIPES.values())


def test_training_accuracy_is_recorded_where_there_are_epochs(records):
    found = records.groupby("recipe")["training_accuracy"]
    assert found.get_group("rastogi_mlp").between(0, 1).all() and found.get_group("ahmadov_forest").isna().all()


@pytest.mark.parametrize(("patience", "expected"), [(5, 0.6), (None, 0.9)])
def test_training_accuracy_is_that_of_the_epoch_whose_weights_are_kept(patience, expected):
    history = pd.DataFrame({"accuracy": [0.2, 0.6, 0.9], "val_loss": [3.0, 1.0, 2.0]})
    settings = recipes.get("rastogi_mlp").with_settings({"training.patience": patience}).declaration
    found = SimpleNamespace(settings=settings, histories=[history])
    assert reproduce._training_accuracy(found) == expected


def test_ablations_are_compared_with_the_system_under_the_same_conditions(records):
    found = reproduce.ablations(records)
    assert set(found["system"]) == {"ahmadov_forest"} and set(found["change"]) == {"small"}
    only = reproduce.ablations(records, "speaker")
    assert len(only) == 1 < len(found)
    means = records.query("recipe == 'ahmadov_forest' and protocol == 'speaker'").groupby("ablation")["accuracy"].mean()
    assert only["against the system itself"].iloc[0] == f"{100 * (means['small'] - means['']):+.1f}"
    assert only["protocol"].iloc[0] == "speaker (speaker-independent)"


def test_splits_say_what_they_say_of_the_speakers(records):
    found = reproduce.splits(records)
    assert len(found) == 6  # three protocols of two systems; ablations are elsewhere
    assert set(found["protocol"]) >= {"speaker (speaker-independent)", "random_80_20 (speaker-dependent)"}
    assert found["runs"].sum() == len(records[records["ablation"] == ""])


def test_classes_are_those_of_the_records(records, demo_few):
    found = reproduce.classes(records)
    assert list(found.columns) == ["system", "run on", "protocol", *demo_few.attrs["labels"]]
    one = records.query("recipe == 'rastogi_mlp' and protocol == 'random_70_15_15'")["per_class"]
    row = found.query("system == 'rastogi_mlp' and protocol == 'random_70_15_15'").iloc[0]
    assert row["sad"] == pytest.approx(100 * sum(each["sad"]["recall"] for each in one) / len(one), abs=0.05)


def test_confusions_are_summed_over_folds_and_seeds(records):
    found = reproduce.confusion(records, "ahmadov_forest", "speaker")
    part = records.query("recipe == 'ahmadov_forest' and protocol == 'speaker' and ablation == ''")
    assert found.to_numpy().sum() == sum(clips["test"] for clips in part["clips"])
    assert list(found.index) == list(found.columns) == part["labels"].iloc[0]
    assert found.loc["sad", "angry"] == sum(
        each[labels.index("sad")][labels.index("angry")]
        for each, labels in zip(part["confusion"], part["labels"], strict=True)
    )
    with pytest.raises(TableError, match="records of no sets of emotions"):
        reproduce.confusion(records, "ahmadov_forest", "loso")


def test_folds_of_unseen_speakers_stand_side_by_side(records):
    found = reproduce.folds(records)
    assert set(found["protocol"]) == {"speaker", "speaker_80_20"}, "the others do not promise unseen speakers"
    found = found[found["protocol"] == "speaker"]
    own = records[(records["recipe"] == "rastogi_mlp") & (records["protocol"] == "speaker")]
    rows = found[found["system"] == "rastogi_mlp"].set_index("seed")
    assert rows.index.tolist() == ["0", "1", "all"]
    for _, record in own.iterrows():
        assert rows.loc[str(record["seed"]), f"fold {record['fold'] + 1}"] == f"{100 * record['uar']:.1f}"
    mean, std = 100 * own["uar"].mean(), 100 * own["uar"].std()
    assert rows.loc["all", "mean ± sd"] == f"{mean:.1f} ± {std:.1f}"
    assert "ahmadov_forest+small" in set(found["system"])
    assert reproduce.folds(records.iloc[:0]).empty


def test_the_matrix_has_what_was_learned_from_beside_what_was_tested():
    def record(learned, tested, seed, uar, classes, labels="four", ablation=""):
        sources = {"train": learned, "validation": learned, "test": [tested]}
        scores = {label: {"support": 5 * (i < classes)} for i, label in enumerate(EMOTIONS[:6])}
        about = {"recipe": "from_scratch_single", "ablation": ablation, "label_set": labels, "seed": seed}
        return about | {"sources": sources, "uar": uar, "per_class": scores}

    old = record([], "", 0, 0.9, 0) | {"sources": None}  # of a version that did not write them
    records = pd.DataFrame(
        [record(["a"], "b", 0, 0.5, 4), record(["a"], "b", 1, 0.6, 4), record(["b"], "a", 0, 0.4, 4)]
        + [record(["a", "b"], "c", 0, 0.3, 6), record(["a", "b"], "b", 0, 0.9, 4), old]
    )
    found = reproduce.matrix(records).set_index("trained on")
    assert found.loc["a"].tolist() == ["from_scratch_single", "four", "–", "55.0 ± 7.1 (4)", "–"]
    assert found.loc["b", "a"] == "40.0 (4)"
    assert found.loc["a, b"].tolist() == ["from_scratch_single", "four", "–", "–", "30.0 (6)"]
    assert reproduce.matrix(pd.DataFrame([old])).empty
    others = [record(["a"], "b", 0, 0.7, 6, labels="six"), record(["a"], "b", 0, 0.8, 4, ablation="small")]
    found = reproduce.matrix(pd.concat([records, pd.DataFrame(others)])).set_index(["system", "labels", "trained on"])
    assert found.loc[("from_scratch_single", "four", "a"), "b"] == "55.0 ± 7.1 (4)"
    assert found.loc[("from_scratch_single", "six", "a"), "b"] == "70.0 (6)"
    assert found.loc[("from_scratch_single+small", "four", "a"), "b"] == "80.0 (4)"


def test_missing_names_the_command_that_runs_a_system_where_it_was_reported(records):
    found = reproduce.missing(records).set_index("system")
    assert list(found.index) == list(recipes.RECIPES)  # demo is nobody's corpus
    assert found.loc["rastogi_mlp", "command"] == (
        "`ser-kit reproduce rastogi_mlp --corpus tess cremad ravdess --out results`"
    )
    ran = records.assign(corpora="cremad").query("recipe == 'ahmadov_forest'")
    assert "ahmadov_forest" not in set(reproduce.missing(ran)["system"])


def test_a_page_gets_its_tables_between_the_marks(records, tmp_path):
    page = tmp_path / "page.md"
    marks = "\n".join(f"<!-- {name}: made by ser-kit reproduce -->\nstale\n<!-- end of {name} -->\n" for name in TABLES)
    page.write_text(f"# Published systems\n\n{marks}\nThe end: é.\n", encoding="utf-8")
    assert reproduce.write_page(page, records) == list(TABLES)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Published systems\n") and text.endswith("\nThe end: é.\n") and "stale" not in text
    assert text.count("| ahmadov_forest |") > 3
    reproduce.write_page(page, records)
    assert page.read_text(encoding="utf-8") == text  # written again, it is the same
    some = tmp_path / "some.md"
    some.write_text("<!-- splits: made by ser-kit reproduce --><!-- end of splits -->")
    assert reproduce.write_page(some, records) == ["splits"]
    bare = tmp_path / "bare.md"
    bare.write_text("nothing")
    with pytest.raises(TableError, match="has no marks for a table"):
        reproduce.write_page(bare, records)
    assert bare.read_text() == "nothing"


def test_tables_can_be_made_of_few_records(records):
    """Of one fold of one system, every table has its columns, and none fails."""
    one = records.query("recipe == 'ahmadov_forest' and ablation == '' and protocol == 'speaker_80_20'").iloc[:1]
    assert all(len(MAKERS[name](one).columns) for name in TABLES)
    assert len(reproduce.ablations(one)) == 0


# ------------------------------------------------------------------------------------------------------------ command


@pytest.fixture
def ser_kit(capsys, monkeypatch, quick, forest):
    monkeypatch.setitem(recipes.RECIPES, "rastogi_mlp", quick.with_settings({"training.epochs": 1}))
    monkeypatch.setitem(recipes.RECIPES, "ahmadov_forest", forest)

    def run(*arguments):
        status = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, json.loads(out) if "--json" in arguments and out else out, err

    return run


def test_the_command_runs_reports_and_writes_the_page(ser_kit, quick, forest, tmp_path, monkeypatch):
    for system in (quick, forest):
        monkeypatch.setitem(recipes.RECIPES, system.name, system)
    out = tmp_path / "results"
    command = ("reproduce", "ahmadov_forest", "rastogi_mlp", "--corpus", "demo", "--out", out, "--seeds", "1")
    status, shown, err = ser_kit(*command, "--jobs", "1")
    assert status == 0 and "14 records in" in shown and "ahmadov_forest" in shown
    assert "ahmadov_forest, speaker, seed 0, fold 5 of 5: UAR" in err

    monkeypatch.setattr(recipes.System, "run_fold", lambda *_, **__: pytest.fail("a report runs nothing"))
    page = tmp_path / "page.md"
    page.write_text("<!-- table: made by ser-kit reproduce -->\n<!-- end of table -->\n")
    status, found, err = ser_kit(*command, "--report", "--page", page, "--json", "--quiet")
    assert (status, err, found["records"], found["failures"], found["page"]) == (0, "", 14, [], ["table"])
    assert {row["system"] for row in found["table"]} == set(recipes.RECIPES)
    assert "| ahmadov_forest |" in page.read_text()
    status, found, _ = ser_kit(*command, "--report", "--figures", tmp_path / "figures", "--json", "--quiet")
    drawn = [str(tmp_path / "figures" / name) for name in ("published_systems.png", "reported.png", "leakage.png")]
    assert (status, found["figures"]) == (0, drawn)  # no ablation has been run
    assert all(Path(path).read_bytes().startswith(b"\x89PNG") for path in drawn)
    status, _, err = ser_kit(*command, "--report", "--page", tmp_path / "none.md")
    assert status == 2 and "none.md" in err


def test_the_command_tells_what_failed_and_goes_on(ser_kit, tmp_path):
    command = ("reproduce", "ahmadov_forest", "--corpus", "demo", "--out", tmp_path, "--seeds", "1")
    status, found, _ = ser_kit(*command, "--protocols", "emobox,random_80_20", "--json", "--jobs", "1")
    assert status == 1 and found["records"] == 1
    assert [failure["protocol"] for failure in found["failures"]] == ["emobox"]


def test_the_command_runs_ablations(ser_kit, tmp_path, monkeypatch):
    small = recipes.get("ahmadov_forest")
    monkeypatch.setitem(
        recipes.RECIPES, "ahmadov_forest", small.with_settings({"ablations": {"small": {"training.n_estimators": 2}}})
    )
    command = ("reproduce", "ahmadov_forest", "--ablations", "--corpus", "demo", "--out", tmp_path, "--seeds", "1")
    assert ser_kit(*command, "--protocols", "random_80_20", "--jobs", "1")[0] == 0
    assert sorted(reproduce.load(tmp_path)["ablation"]) == ["", "small"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give the recipes to reproduce, or --all"),
        (("rastogi_mlp", "--all"), "give the recipes to reproduce, or --all"),
        (("rastogi",), "did you mean 'rastogi_mlp'?"),
        (("rastogi_mlp", "--protocols", "speakers"), "did you mean 'speaker'?"),
        (("rastogi_mlp", "--report"), "holds no records"),
    ],
)
def test_what_cannot_be_reproduced_is_status_2(ser_kit, arguments, message, tmp_path):
    status, shown, err = ser_kit("reproduce", *arguments, "--corpus", "demo", "--out", tmp_path)
    assert (status, shown) == (2, "") and message in err and len(err.splitlines()) == 1
