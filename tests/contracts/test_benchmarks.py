"""The benchmarks measure like with like, say what they could not measure, and print what they have when interrupted."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from quick import perceptron

from ser_kit import features, protocols, recipes
from ser_kit.core.errors import CorpusNotFoundError, LeakageError, TableError

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside an installed package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import (  # noqa: E402
    all_corpora,
    answering,
    extraction,
    memory,
    nested,
    opensmile_svm,
    pipeline,
    racing,
    standing,
    steps,
    straightforward,
    unheard,
)
from benchmarks.rows import Goal, Row, markdown  # noqa: E402


@pytest.fixture(scope="module")
def voice(demo_table) -> str:
    """A clip at 16 kHz, which nothing needs to resample for functionals."""
    return demo_table["path"].iloc[3]


def test_straightforward_functionals_are_the_same_functionals(voice):
    expected, extractor = straightforward.functionals(voice), features.Functionals()
    found = dict(zip(extractor.feature_names, extractor.extract(voice).tolist(), strict=True))
    assert soundfile.info(voice).samplerate == extractor.sr
    assert set(found) == set(expected) and found["voiced_ratio"] > 0.2
    by_definition = {"tempo"}  # of Librosa's own frames
    # Praat's median may lie anywhere between the middle frames, and it divides by n - 1.
    loosely = {"pitch_median", "pitch_std", "pitch_variation"}
    exactly = set(expected) - loosely - by_definition
    assert {k: found[k] for k in exactly} == pytest.approx({k: expected[k] for k in exactly}, rel=1e-4, abs=1e-4)
    assert {k: found[k] for k in loosely} == pytest.approx({k: expected[k] for k in loosely}, rel=0.02)


def test_straightforward_frames_and_logmel_are_the_same(voice):
    values, valid = features.FrameFeatures().extract_with_length(voice)
    np.testing.assert_allclose(values[:valid], straightforward.frames(voice)[:valid], rtol=1e-4, atol=2e-3)
    np.testing.assert_allclose(features.LogMel(seconds=3.0).extract(voice), straightforward.logmel(voice), atol=1e-3)


def test_contestants_do_every_clip_once_after_a_warm_up():
    done = {"a": [], "b": []}
    times = racing.race({name: clips.append for name, clips in done.items()}, 5, "race")
    assert done == {"a": [0, *range(5)], "b": [0, *range(5)]}
    assert all(len(each) == 5 and (each > 0).all() for each in times.values())


@pytest.mark.parametrize(
    "goal, met", [(Goal(2.0), True), (Goal(4.0), False), (Goal(4.0, at_most=True), True), (Goal(11, of="ours"), False)]
)
def test_rows_judge_their_goal_and_survive_the_pipe(goal, met):
    row = Row("this", "that", "ms", 10.0, 30.0, (2.0, 3.0, 5.0), goal, "note")
    assert row.ratio == 3 and row.met is met
    assert Row.from_json(row.to_json()) == row
    assert Row("this", "that", goal=goal).met is None
    assert "| this | 10 ms | that | 30 ms | 3x (2 to 5) | at " in markdown([row], "title")


def test_rows_that_need_what_is_not_there_say_so(monkeypatch, voice):
    monkeypatch.setitem(sys.modules, "opensmile", None)
    rows = list(extraction._against_opensmile([voice]))
    assert len(rows) == 2 and all(row.ratio is None and "openSMILE is not installed" in row.note for row in rows)
    monkeypatch.setitem(command.PARTS, "jax", command.PARTS["jax"]._replace(needs="no_such_package"))
    (row,) = command._run("jax", None)
    assert "no_such_package is not installed" in row.note


def test_memory_and_pipeline_give_their_rows(monkeypatch, demo_table):
    monkeypatch.setattr(memory, "_FEW", 2)
    monkeypatch.setattr(memory, "_MANY", 6)
    (row,) = memory.rows(demo_table.head(4))
    assert 50 < row.ours < 5000 and row.ratio > 0
    monkeypatch.setattr(pipeline, "_ROUNDS", 1)
    rows = list(pipeline.rows(demo_table.head(2)))
    assert [row.what.rpartition(", ")[2] for row in rows] == ["in memory", "memory-mapped"]
    assert all(row.ratio > 0 for row in rows)


def test_all_corpora_are_trained_on_in_both_ways(monkeypatch, demo_few, tmp_path, capsys):
    """The same loss from features in a file and in memory; clips may stand in several rows."""
    monkeypatch.setenv("SER_KIT_STORE", str(tmp_path))
    monkeypatch.setattr(all_corpora, "table", lambda clips=0: demo_few)
    monkeypatch.setattr(all_corpora.prepared, "MOST_IN_MEMORY", 0)  # which a measurement changes
    small = {"channels": (4, 4, 4, 4), "harmonic_channels": (), "width": 8, "heads": 1}
    quick = recipes.get("from_scratch_single").with_settings({"hyperparameters": small})
    monkeypatch.setattr(all_corpora.recipes, "get", lambda name: quick)

    def run(command, **settings):
        assert all_corpora.main(command[3:]) == 0
        return subprocess.CompletedProcess(command, 0, stdout=capsys.readouterr().out)

    monkeypatch.setattr(all_corpora.subprocess, "run", run)
    assert all_corpora.main([]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if "| in " in line]
    assert [row[0] for row in rows] == ["| in a file", "| in memory"]
    assert rows[0][1] == "30" and rows[0][-1] == rows[1][-1]


def test_without_corpora_the_benchmark_says_so(monkeypatch):
    monkeypatch.setenv("SER_KIT_DATA", "nowhere")
    with pytest.raises(CorpusNotFoundError, match="no corpus is in 'nowhere'"):
        all_corpora.table()


def test_a_training_step_is_measured_with_and_without_our_setting(monkeypatch, demo_table):
    """Each side in a process of its own, which makes a step for each line that it is told."""
    told = "import sys, time\nfor _ in sys.stdin: time.sleep(0.1 * (sys.argv[2] == 'theirs')); print(flush=True)"
    monkeypatch.setattr(steps, "_COMMAND", (sys.executable, "-c", told))
    monkeypatch.setattr(steps, "_STEPS", 2)
    found = list(steps.rows(demo_table))
    assert [row.what.split()[3] for row in found] == ["td_cnn_lstm,", "staged_cnn_lstm,", "voting_cnn_lstm,"]
    assert all(0 < row.ours < 50 < row.theirs and row.ratio > 1 for row in found)


def test_a_step_is_made_for_each_line(monkeypatch, capsys, eagerly):
    monkeypatch.setattr(sys, "stdin", ["\n"] * 3)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "1")
    made = []
    monkeypatch.setattr("keras.Model.train_on_batch", lambda model, x, y: made.append((x.shape, y.shape)))
    steps._steps("rastogi_mlp", "theirs")
    assert capsys.readouterr().out == "\n" * 3 and "TF_ENABLE_ONEDNN_OPTS" not in os.environ
    assert made == [((32, *recipes.get("rastogi_mlp").input_shape), (32, 8))] * 3


def test_answers_by_the_file_are_set_beside_those_by_the_networks(monkeypatch, demo_table, tmp_path):
    """The real commands for one preset, once; the sides differ in the runtime alone."""
    monkeypatch.setattr(answering, "_ROUNDS", 1)
    monkeypatch.setattr(answering, "PRESETS", ())
    cold, memory, *alone, first = answering.rows(demo_table.head(1))
    assert [row.what for row in alone] == ["ser-kit --help", "ser-kit corpora"]
    assert cold.ratio > 0 and first.ratio > 0 and memory.ratio > 2, "TensorFlow takes more memory than an answer"
    assert all(row.theirs is None and 0 < row.ours < 60 for row in alone)
    monkeypatch.setattr(answering, "_whole", lambda script: (2.0 + ("onnxruntime" in script), 1.0))
    monkeypatch.setattr(answering, "_told", lambda script: 1.0 + ("onnxruntime" in script))
    monkeypatch.setattr(answering, "PRESETS", (("from_scratch", 25, 0.03, 80),))
    answer, stream, long, folder = list(answering.rows(demo_table.head(3)))[5:]
    assert (answer.ours, answer.theirs, stream.ratio) == (1000, 2000, 2)
    assert (long.ours, long.theirs, long.ratio) == (300, 200, 1.5), "seconds of ten minutes in a second"
    assert (folder.ours, folder.theirs, folder.ratio) == (1.5, 1.0, 1.5), "files a second"


def test_our_own_systems_answer_in_some_time(monkeypatch, demo_table):
    assert standing.names() == ["from_scratch", "from_scratch_single"]
    assert standing.network(recipes.get("from_scratch").with_settings({"rounds": 2})).count_params() == 2 * 272_236
    monkeypatch.setattr(standing, "names", lambda: ["from_scratch_single"])
    monkeypatch.setattr(standing.corpora, "load", lambda _: demo_table.head(2))
    monkeypatch.delattr(standing.os, "sched_setaffinity", raising=False)  # the tests that follow want all cores
    ((name, milliseconds),) = standing._milliseconds().items()
    assert name == "from_scratch_single" and milliseconds > 0


def test_the_classical_baseline_sees_training_speakers_only(demo_table, tmp_path):
    rng = np.random.default_rng(0)
    codes = demo_table["label"].factorize()[0]
    values = np.eye(codes.max() + 1)[codes] + 0.1 * rng.normal(size=(len(codes), codes.max() + 1))
    divided = protocols.get("speaker")(demo_table, 0)
    assert opensmile_svm.folds(demo_table, values, divided) == [1.0] * len(divided)
    values[divided[0].test] = 0  # nothing to know there, and what is known of the others stays
    first, *others = opensmile_svm.folds(demo_table, values, divided)
    assert first < 0.5 and min(others) > 0.7
    with pytest.raises(TableError, match="opensmile_svm makes it"):
        opensmile_svm.load(tmp_path)


def test_the_standing_is_of_all_folds_and_goes_into_pages(monkeypatch, tmp_path, capsys):
    def record(recipe, seed, fold, uar, place="ravdess"):
        return {
            "recipe": recipe,
            "corpora": place,
            "ablation": "",
            "protocol": "emobox",
            "seed": seed,
            "fold": fold,
            "uar": uar,
            "parameters": 1000,
        }

    scores = [0.5, 0.6, 0.7, 0.6, 0.6]
    records = pd.DataFrame(
        [record("from_scratch", 0, fold, score) for fold, score in enumerate(scores)]
        + [
            record("from_scratch_single", seed, fold, score - 0.1 * seed)
            for seed in (0, 1)
            for fold, score in enumerate(scores)
        ]
        + [record("from_scratch", 0, fold, 0.9, "emodb, ravdess") for fold in range(5)]
    )
    monkeypatch.setattr(standing.reproduce, "load", lambda _: records)
    monkeypatch.setattr(standing, "_milliseconds", lambda: {"from_scratch": 21.4, "from_scratch_single": 7.2})
    (tmp_path / opensmile_svm.FILE).write_text(json.dumps({"folds": [0.4, 0.5, 0.6, 0.5, 0.5]}))
    page = tmp_path / "page.md"
    page.write_text(f"<!-- standing: made by {standing.COMMAND} -->\noutdated\n<!-- end of standing -->\n")
    assert standing.main([str(page), "--records", str(tmp_path)]) == 0
    rows = [line.split(" | ") for line in page.read_text().splitlines() if line.startswith("| ")]
    assert "outdated" not in page.read_text() and len(rows) == 2 + 1 + len(standing.MARKS) + 3
    names = ["| **`from_scratch_single`**", "| **`from_scratch`**", "| **`from_scratch`**, also trained on emodb"]
    assert [row[0] for row in rows[-3:]] == names
    assert rows.pop()[5:10] == ["90.0"] * 5
    assert rows[-1][1:4] == ["1,000", "0.0 MB", "21 ms"] and rows[-1][5:11] == [
        "50.0", "60.0", "70.0", "60.0", "60.0", "**60.0 ± 7.1**",
    ]  # fmt: skip
    assert rows[-2][5] == "45.0" and rows[-2][11] == "2" and rows[2][10] == "50.0 ± 7.1"

    monkeypatch.setattr(standing.reproduce, "load", lambda folder: records.drop(index=0))
    assert standing.main([str(page), "--records", str(tmp_path)]) == 1
    assert "from_scratch has no record of some folds" in capsys.readouterr().err


def test_the_command_on_the_demo_corpus(demo_table, tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "SER_KIT_DATA"}
    arguments = ["--clips", "2", "--only", "extraction", "--only", "runs", "--markdown", "--json", tmp_path / "b.json"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "2 clips of demo" in done.stdout
    facts = json.loads((tmp_path / "b.json").read_text())["rows"]
    assert len(facts) == 9
    for row in facts:
        assert f"| {row['what']} |" in done.stdout
        assert row["note"] if row["ratio"] is None else row["ours"] > 0
    if importlib.util.find_spec("opensmile"):
        assert all(row["ratio"] for row in facts if "openSMILE" in row["beside"])


def test_ctrl_c_prints_what_was_measured(monkeypatch, capsys, demo_table):
    def interrupted(name, options):
        yield Row("the first row", "another way", "ms", 1.0, 2.0, (2.0,))
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_run", interrupted)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "runs"])
    assert command.main() == 130
    shown = capsys.readouterr()
    assert "the first row" in shown.out and "interrupted" in shown.err


def said(speakers, labels, habit):
    """Ten clips of each label and speaker, named rightly with 0.6, with habits of each speaker."""
    rows = []
    for speaker in speakers:
        for label in labels:
            p = np.where(np.array(labels) == label, 0.6, 0.4 / (len(labels) - 1)) * np.exp(habit.get(speaker, 0))
            shown = {f"prob_{each}": x for each, x in zip(labels, p / p.sum(), strict=True)}
            rows += [
                {
                    "clip_id": f"{speaker}{label}{i}",
                    "corpus": "c",
                    "speaker": speaker,
                    "sex": "",
                    "true": label,
                    "fold": 0,
                }
                | shown
                for i in range(10)
            ]
    return pd.DataFrame(rows)


def test_a_baseline_takes_a_habit_off_and_leaves_its_clips_out():
    labels = ("neutral", "happy", "sad")
    predictions = said("abcd", labels, {"a": np.array([0, 0, 2])})  # a sounds sad, always
    without, adapted = unheard.enrolled(predictions, labels, clips=3, seed=0)
    assert list(without["clip_id"]) == list(adapted["clip_id"]) and len(without) == 4 * 27
    assert without["true"].value_counts().to_dict() == {"happy": 40, "sad": 40, "neutral": 28}
    before, after = (unheard.evaluated(each, labels, labels) for each in (without, adapted))
    assert before.correct().mean() < 0.85 and after.correct().all()
    np.testing.assert_allclose(adapted[[f"prob_{label}" for label in labels]].sum(axis=1), 1)
    few = predictions[~((predictions["speaker"] == "b") & (predictions["true"] == "neutral"))]
    assert set(unheard.enrolled(few, labels, clips=3, seed=0)[0]["speaker"]) == set("acd")
    with pytest.raises(TableError, match="no speaker has 11 neutral clips"):
        unheard.enrolled(predictions, labels, clips=11, seed=0)


def test_an_answer_in_more_labels_is_judged_in_those_of_the_corpus():
    predictions = said("ab", ("neutral", "calm", "happy", "fear"), {})
    predictions = predictions[predictions["true"].isin(["neutral", "happy"])]
    found = unheard.evaluated(predictions, ("neutral", "calm", "happy", "fear"), ("neutral", "happy"))
    assert found.labels == ("neutral", "happy")
    by_true = found.predictions.groupby(predictions["true"])["confidence"].first()
    assert by_true["neutral"] == pytest.approx((0.6 + 0.4 / 3) / (0.6 + 0.8 / 3))


def test_what_a_bundle_is_worth_unheard_goes_into_pages(monkeypatch, demo_bundle, demo_few, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"<!-- unheard: made by {unheard.COMMAND} -->\n<!-- end of unheard -->\n")
    labels = ("neutral", "happy", "sad")
    unheard.evaluated(said("abcd", labels, {}), labels, labels).save(tmp_path / "evaluation")
    monkeypatch.setattr(unheard.corpora, "load", lambda name: demo_few)
    command = [str(page), "--bundle", str(demo_bundle), "--corpus", "demo", "--enroll", "1", "--draws", "1"]
    assert unheard.main([*command, "--evaluation", str(tmp_path / "evaluation")]) == 0
    _, _, heard, evaluated = (line.split(" | ") for line in page.read_text().splitlines() if line[0] == "|")
    assert heard[0] == "| demo" and heard[2:4] == ["30", "5"]
    assert 0 <= float(heard[4].split(" ")[0]) <= 100 and float(heard[-2]) <= 100
    assert evaluated[4].startswith("100.0 ") and evaluated[-3] == "–" and evaluated[-1] == "100.0 (+0.0) |"
    assert unheard.main(["--bundle", str(tmp_path / "nothing"), "--corpus", "demo"]) == 1
    assert "neither a bundle folder nor a preset" in capsys.readouterr().err


def recorded(folder, tested=("a", "b", "c"), labels=("neutral", "happy", "sad")):
    """Answers of a recipe for three corpora left out alone and in pairs, b without clips of sadness."""
    for names in [{each} for each in tested] + [{*tested} - {each} for each in tested]:
        parts = []
        for corpus in sorted(names):
            part = said([f"{corpus}:{i}" for i in range(4)], labels, {f"{corpus}:0": np.array([0, 0, 1.0])})
            parts.append(part[(part["true"] != "sad") | (corpus != "b")].assign(corpus=corpus))
        found = pd.concat(parts, ignore_index=True)
        p = found[[f"prob_{label}" for label in labels]].to_numpy()
        found = found.assign(predicted=np.array(labels)[p.argmax(axis=1)], confidence=p.max(axis=1))
        kept = unheard.Evaluation("made", "corpus", True, 0, labels, found, temperatures=[1.0], corpora=sorted(tested))
        kept.save(nested.folder_of(folder, "made", frozenset(names)))


def test_each_corpus_is_calibrated_on_models_that_learned_from_neither(tmp_path):
    recorded(tmp_path)
    (found,) = nested.load(tmp_path)
    assert found.tested == ["a", "b", "c"] and found.nested
    before = found.corpora["a"].calibration
    found.by_left_out[frozenset("b")].predictions["prob_sad"] = 0.9  # learned from a
    assert nested.Answers("made", found.by_left_out).corpora["a"].calibration == before
    some = {names: each for names, each in found.by_left_out.items() if len(names) == 1}
    assert not nested.Answers("made", some).nested


def test_a_clip_of_the_tested_corpus_in_what_it_is_calibrated_on_is_refused(tmp_path):
    recorded(tmp_path)
    (found,) = nested.load(tmp_path)
    pair = found.by_left_out[frozenset("ab")].predictions
    pair.loc[pair.index[pair["corpus"] == "b"][0], "clip_id"] = pair["clip_id"].iloc[0]
    with pytest.raises(LeakageError, match="the temperature was fitted on test clips: a:0neutral0"):
        _ = found.corpora


@pytest.mark.parametrize("clips", [1, 2, 5, 20])
def test_each_clip_is_adapted_by_others_of_its_speaker(clips):
    rows = np.random.default_rng(0).permutation(12) + 100
    parts = list(nested._divided(rows, clips))
    assert sorted(np.concatenate([answered for answered, _ in parts])) == sorted(rows)
    for answered, used in parts:
        assert len(set(used)) == min(clips, 11) and not set(used) & set(answered)
    assert [len(used) for _, used in nested._divided(rows, None)] == [12]
    assert [len(used) for _, used in nested._divided(rows[:1], 5)] == [0]


def test_recipes_are_trained_once_and_shown_from_their_records(monkeypatch, demo_functionals, tmp_path, capsys):
    number = pd.factorize(demo_functionals.table["speaker"], sort=True)[0]
    table = demo_functionals.table.assign(corpus=np.array(["a", "b", "c"])[number % 3])
    quick, trained = perceptron(training__epochs=1), []
    monkeypatch.setattr(unheard.ideas, "get", lambda name: quick)
    monkeypatch.setattr(nested.corpora, "load", lambda names, labels: table)
    run_fold = type(quick).run_fold
    monkeypatch.setattr(type(quick), "run_fold", lambda *a, **b: trained.append(1) or run_fold(*a, **b))
    page = tmp_path / "page.md"
    page.write_text("".join(f"<!-- {name}: made by {unheard.COMMAND} -->\n<!-- end of {name} -->\n" for name in (
        "left_out", "left_out_recalls", "left_out_certain", "left_out_adaptation")))  # fmt: skip
    command = [str(page), "--recipe", "quick", "--corpus", "a", "b", "c", "--only-learned", "--out", str(tmp_path)]
    command += ["--labels", "six", "--draws", "1", "--csv", str(tmp_path / "csv")]
    assert unheard.main(command) == 0 and len(trained) == 6
    written, shown = page.read_text(), capsys.readouterr().out
    assert "| rastogi_mlp | a |" in written and "| recipe | a | b | c | mean | mean without emospeech |" in written
    assert shown.count("| recipe |") == 5 and (tmp_path / "csv" / "coverage.csv").is_file()
    assert unheard.main(command) == 0 and len(trained) == 6, "what has its record is not trained again"
    assert unheard.main([str(page), "--records", str(tmp_path), "--draws", "1"]) == 0 and page.read_text() == written
    shutil.rmtree(nested.folder_of(tmp_path, quick.name, frozenset("ab")))

    def interrupted(*a, **b):
        raise KeyboardInterrupt

    monkeypatch.setattr(type(quick), "run_fold", interrupted)
    assert unheard.main(command) == 130 and "interrupted" in capsys.readouterr().err
    assert unheard.main(["--records", str(tmp_path / "nothing")]) == 1
    with pytest.raises(SystemExit):
        unheard.main(["--recipe", "quick", "--bundle", "from_scratch"])
