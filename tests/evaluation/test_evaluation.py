"""Metrics agree with scikit-learn and with paper and pencil; intervals and calibration with known answers."""

from __future__ import annotations

import json
import os

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit import evaluation
from ser_kit.core import probabilities
from ser_kit.core.errors import FewClipsWarning, LabelError, TableError
from ser_kit.evaluation import Evaluation

LABELS = ["neutral", "happy", "sad", "angry"]
names = st.sampled_from(LABELS)


def predictions(rows: int = 60, speakers: int = 6, folds: int = 3, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(len(LABELS)), rows)
    frame = pd.DataFrame(
        {
            "clip_id": [f"c:{i}" for i in range(rows)],
            "corpus": "c",
            "speaker": [f"c:{i % speakers}" for i in range(rows)],
            "sex": "",
            "fold": np.arange(rows) % speakers % folds,
            "true": [LABELS[i % 4] for i in range(rows)],
            "predicted": np.array(LABELS)[probabilities.argmax(1)],
            "confidence": probabilities.max(1),
        }
    )
    return frame.assign(**{f"prob_{label}": probabilities[:, i] for i, label in enumerate(LABELS)})


def make(frame: pd.DataFrame | None = None, **changes) -> Evaluation:
    values = {
        "recipe": "mlp",
        "protocol": "speaker",
        "speaker_independent": True,
        "seed": 4,
        "labels": LABELS,
        "predictions": predictions() if frame is None else frame,
        "histories": [pd.DataFrame({"epoch": [1, 2], "loss": [1.5, 1.0], "val_loss": [1.6, np.nan]})] * 3,
        "seconds": 1.5,
        "parameters": np.int64(51014),
        "corpora": ["ravdess"],
        "versions": {"numpy": np.__version__},
        "temperatures": [1.1, 0.9, 1.0],
        "settings": {"kind": "Recipe", "training": {"epochs": 3, "augment": [0.84, 1.16]}},
        "data": {"clips": 60, "speakers": 6, "digest": "00ff"},
        "command": "ser-kit evaluate mlp --corpus ravdess --out 'my results'",
    }
    return Evaluation(**values | changes)


class TestMetrics:
    @given(st.lists(st.tuples(names, names), min_size=1, max_size=40))
    def test_agree_with_scikit_learn(self, pairs):
        true, predicted = map(list, zip(*pairs, strict=True))
        present = sorted(set(true))
        found = evaluation.metrics(true, predicted, LABELS)
        options = {"labels": present, "zero_division": 0}
        expected = {
            "uar": sklearn.metrics.recall_score(true, predicted, average="macro", **options),
            "accuracy": sklearn.metrics.accuracy_score(true, predicted),
            "macro_precision": sklearn.metrics.precision_score(true, predicted, average="macro", **options),
            "macro_f1": sklearn.metrics.f1_score(true, predicted, average="macro", **options),
            "weighted_f1": sklearn.metrics.f1_score(true, predicted, average="weighted", **options),
        }
        assert found == pytest.approx(expected)

    @given(st.lists(st.tuples(names, names), min_size=1, max_size=40))
    def test_per_class_and_confusion_agree_with_scikit_learn(self, pairs):
        true, predicted = map(list, zip(*pairs, strict=True))
        table = evaluation.per_class(true, predicted, LABELS)
        expected = sklearn.metrics.precision_recall_fscore_support(true, predicted, labels=LABELS, zero_division=0)
        assert table.index.tolist() == LABELS
        for column, values in zip(["precision", "recall", "f1", "support"], expected, strict=True):
            assert table[column].to_numpy() == pytest.approx(values)
        counts = evaluation.confusion(true, predicted, LABELS)
        assert (counts.to_numpy() == sklearn.metrics.confusion_matrix(true, predicted, labels=LABELS)).all()
        assert counts.index.name == "true" and counts.columns.name == "predicted"

    def test_by_hand(self):
        # happy: 3 of 4 found; sad: 1 of 2 found; happy is named 4 times, sad twice.
        found = evaluation.metrics(list("hhhhss"), list("hhhshs"), ["h", "s"])
        assert found == pytest.approx(
            {"uar": 0.625, "accuracy": 4 / 6, "macro_precision": 0.625, "macro_f1": 0.625, "weighted_f1": 4 / 6}
        )

    def test_a_class_without_clips_does_not_count(self):
        assert evaluation.metrics(["sad", "sad"], ["sad", "happy"], LABELS)["uar"] == 0.5

    def test_unknown_label(self):
        with pytest.raises(LabelError, match="predicted labels 'joy' are not among 'neutral'"):
            evaluation.metrics(["sad"], ["joy"], LABELS)

    @pytest.mark.parametrize(("true", "predicted"), [([], []), (["sad"], ["sad", "sad"])])
    def test_nothing_to_score(self, true, predicted):
        with pytest.raises(TableError):
            evaluation.metrics(true, predicted, LABELS)


class TestBootstrap:
    @staticmethod
    def speakers(right: dict[str, int], clips: int = 50) -> pd.DataFrame:
        rows = [
            (speaker, "sad", "sad" if i < share else "happy", f"{speaker}-{i}")
            for speaker, share in right.items()
            for i in range(clips)
        ]
        return pd.DataFrame(rows, columns=["speaker", "true", "predicted", "clip_id"])

    def test_speakers_are_drawn_and_not_clips(self):
        # One speaker all right and one all wrong: a quarter of the draws holds the one only, a quarter the other only.
        frame = self.speakers({"a": 50, "b": 0})
        assert evaluation.bootstrap(frame, "accuracy") == (0.0, 1.0)
        low, high = evaluation.bootstrap(frame, "accuracy", by="clip_id")
        assert 0.35 < low < 0.45 and 0.55 < high < 0.65  # 0.5 -+ 1.96 * sqrt(0.25 / 100)

    def test_equal_speakers_leave_no_doubt(self):
        assert evaluation.bootstrap(self.speakers(dict.fromkeys("abcd", 30)), "accuracy") == (0.6, 0.6)

    def test_one_speaker_says_nothing_about_others(self):
        assert np.isnan(evaluation.bootstrap(self.speakers({"a": 20}))).all()

    def test_width_agrees_with_theory(self):
        # The mean of n speakers, half with accuracy 1 and half with 0, has the standard error 0.5 / sqrt(n).
        frame = self.speakers({f"s{i}": 10 * (i % 2) for i in range(64)}, clips=10)
        low, high = evaluation.bootstrap(frame, "accuracy", n=4000)
        assert (high - low) == pytest.approx(2 * 1.96 * 0.5 / 8, rel=0.1)
        narrow = evaluation.bootstrap(frame, "accuracy", n=4000, confidence=0.5)
        assert (narrow[1] - narrow[0]) == pytest.approx(2 * 0.674 * 0.5 / 8, rel=0.15)

    def test_equals_resampling_rows_one_by_one(self):
        frame, rng = predictions(rows=120, speakers=5), np.random.default_rng(0)
        groups = [part for _, part in frame.groupby("speaker")]
        scores = []
        for _ in range(250):
            drawn = pd.concat([groups[i] for i in rng.integers(len(groups), size=len(groups))])
            scores.append(sklearn.metrics.balanced_accuracy_score(drawn["true"], drawn["predicted"]))
        expected = np.quantile(scores, [0.025, 0.975])
        assert evaluation.bootstrap(frame, "uar", n=4000) == pytest.approx(expected, abs=0.02)

    def test_covers_the_truth_about_as_often_as_promised(self):
        rng, hits = np.random.default_rng(5), 0
        for _ in range(100):
            skill = np.clip(rng.normal(0.6, 0.1, 30), 0, 1)
            right = rng.binomial(20, skill)
            low, high = evaluation.bootstrap(
                self.speakers({f"s{i}": int(r) for i, r in enumerate(right)}, clips=20), "accuracy", n=300
            )
            hits += low <= 0.6 <= high
        assert 86 <= hits <= 100

    def test_repeatable(self):
        frame = predictions()
        assert evaluation.bootstrap(frame, seed=1) == evaluation.bootstrap(frame, seed=1)
        assert evaluation.bootstrap(frame, seed=1) != evaluation.bootstrap(frame, seed=2)

    def test_unknown_metric(self):
        with pytest.raises(TableError, match="expected one of uar, accuracy"):
            evaluation.bootstrap(predictions(), "ua")

    def test_clips_without_a_speaker(self):
        frame = predictions()
        frame.loc[0, "speaker"] = None
        with pytest.raises(TableError, match="1 predictions have no speaker"):
            evaluation.bootstrap(frame)


class TestCalibration:
    def test_error_by_hand(self):
        # Bin 1: two at 0.55 and one right (gap 0.05); bin 2: three at 0.9 and all right (gap 0.1).
        confidence, correct = [0.55, 0.55, 0.9, 0.9, 0.9], [1, 0, 1, 1, 1]
        found = evaluation.expected_calibration_error(confidence, correct, bins=10)
        assert found == pytest.approx((2 * 0.05 + 3 * 0.1) / 5)

    def test_honest_confidence_has_no_error(self):
        rng = np.random.default_rng(0)
        confidence = rng.uniform(0.2, 1, 40_000)
        assert evaluation.expected_calibration_error(confidence, rng.uniform(size=40_000) < confidence) < 0.015

    def test_boasting_is_seen(self):
        rng = np.random.default_rng(0)
        correct = rng.uniform(size=5000) < 0.6
        assert evaluation.expected_calibration_error(np.full(5000, 0.95), correct) == pytest.approx(0.35, abs=0.03)

    def test_reliability_table(self):
        table = evaluation.reliability([0.0, 0.25, 0.2500001, 1.0], [0, 1, 0, 1], bins=4)
        assert table["clips"].tolist() == [2, 1, 0, 1]
        assert table["accuracy"].tolist()[:2] == [0.5, 0.0] and np.isnan(table["accuracy"][2])
        assert table[["low", "high"]].iloc[1].tolist() == [0.25, 0.5]

    @pytest.mark.parametrize(("confidence", "correct"), [([], []), ([0.5], [1, 0]), ([1.2], [1]), ([np.nan], [1])])
    def test_reliability_refuses(self, confidence, correct):
        with pytest.raises(TableError):
            evaluation.reliability(confidence, correct)

    @pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
    def test_a_known_temperature_is_found(self, temperature):
        rng = np.random.default_rng(1)
        honest = rng.dirichlet(np.ones(5) * 0.6, 6000)
        true = (honest.cumsum(1) > rng.uniform(size=(6000, 1))).argmax(1)
        shown = probabilities.apply_temperature(honest, 1 / temperature)
        fitted = evaluation.fit_temperature(shown, true)
        assert fitted == pytest.approx(temperature, rel=0.06)
        after = probabilities.apply_temperature(shown, fitted)
        error = evaluation.expected_calibration_error(after.max(1), after.argmax(1) == true)
        assert error < 0.03

    @pytest.mark.parametrize(("right", "least", "most"), [(10, 0.6, 0.95), (0, 1.1, 1.6)])
    def test_a_few_clips_make_no_model_sure_of_everything_or_of_nothing(self, right, least, most):
        said = np.tile([0.65, 0.2, 0.15], (10, 1))
        with pytest.warns(FewClipsWarning, match="only 10 clips"):
            assert least < evaluation.fit_temperature(said, np.where(np.arange(10) < right, 0, 1)) < most

    def test_the_prior_weighs_less_the_more_clips_there_are(self):
        rng = np.random.default_rng(0)
        honest = rng.dirichlet(np.ones(5) * 0.6, 3000)
        true = (honest.cumsum(1) > rng.uniform(size=(3000, 1))).argmax(1)
        shown = probabilities.apply_temperature(honest, 1 / 2.5)
        found = [evaluation.fit_temperature(shown[:n], true[:n]) for n in (100, 3000)]
        assert 1.5 < found[0] < 2.6 and found[1] == pytest.approx(2.5, rel=0.06)

    def test_enough_clips_are_no_reason_to_warn(self, recwarn):
        evaluation.fit_temperature(
            np.tile([0.6, 0.4], (evaluation.FEWEST_TO_CALIBRATE, 1)), [0] * evaluation.FEWEST_TO_CALIBRATE
        )
        assert not recwarn.list

    @given(st.lists(st.floats(0.001, 1), min_size=2, max_size=6), st.floats(0.4, 5))
    def test_temperature_keeps_sums_and_order(self, weights, temperature):
        before = np.array([weights]) / sum(weights)
        after = probabilities.apply_temperature(before, temperature)
        assert after.sum() == pytest.approx(1)
        order = np.argsort(before[0], kind="stable")
        assert (np.diff(after[0][order]) >= -1e-12).all()
        assert probabilities.apply_temperature(after, 1 / temperature) == pytest.approx(before, abs=1e-6)

    @pytest.mark.filterwarnings("ignore::ser_kit.core.errors.FewClipsWarning")
    def test_zeros_are_no_trouble(self):
        certain = np.eye(3)[[0, 1, 2, 0]]
        assert np.isfinite(probabilities.apply_temperature(certain, 3.0)).all()
        assert 0.05 <= evaluation.fit_temperature(certain, [0, 1, 2, 0]) < 1
        assert 1 < evaluation.fit_temperature(certain, [1, 0, 2, 0]) <= 20

    def test_refusals(self):
        with pytest.raises(TableError, match="above 0"):
            probabilities.apply_temperature([[0.5, 0.5]], 0)
        with pytest.raises(TableError, match=r"\[clips, labels\]"):
            probabilities.apply_temperature([0.5, 0.5], 1)
        with pytest.raises(TableError, match="one true label per row"):
            evaluation.fit_temperature([[0.5, 0.5]], [0, 1])


class TestEvaluation:
    def test_folds_and_pool(self):
        found = make()
        folds = found.by_fold()
        frame = found.predictions
        assert folds.index.tolist() == [0, 1, 2]
        assert folds["clips"].tolist() == [20, 20, 20] and folds["speakers"].tolist() == [2, 2, 2]
        part = frame[frame["fold"] == 1]
        assert folds.loc[1, "accuracy"] == pytest.approx((part["true"] == part["predicted"]).mean())
        assert found.metrics()["accuracy"] == pytest.approx(found.correct().mean())

    def test_summary(self):
        found, folds = make(), make().by_fold()
        summary = found.summary()
        assert list(summary) == ["uar", "accuracy", "macro_f1", "weighted_f1"]
        assert summary["uar"]["mean"] == pytest.approx(folds["uar"].mean())
        assert summary["uar"]["std"] == pytest.approx(np.std(folds["uar"], ddof=1))
        interval = evaluation.bootstrap(found.predictions, "uar")
        assert (summary["uar"]["low"], summary["uar"]["high"]) == pytest.approx(interval)
        assert summary["accuracy"]["low"] < summary["accuracy"]["pooled"] < summary["accuracy"]["high"]

    def test_an_interval_stands_beside_the_score_that_it_is_of(self):
        # Two large folds that are right, and a small one that is not: the mean over folds lies below the interval.
        frame = predictions(rows=120, speakers=12, folds=3)
        frame["fold"] = np.repeat([0, 1, 2], [56, 60, 4])
        frame["predicted"] = np.where(frame["fold"] == 2, "happy", frame["true"])
        found = make(frame)
        numbers = found.summary()["uar"]
        assert numbers["mean"] < numbers["low"] < numbers["pooled"] < numbers["high"]
        expected = f"{100 * numbers['pooled']:.1f} [{100 * numbers['low']:.1f}, {100 * numbers['high']:.1f}]"
        assert evaluation.compare([found])["UAR"].item() == expected
        assert f"{expected}; folds {100 * numbers['mean']:.1f} ± {100 * numbers['std']:.1f}" in str(found)

    def test_an_emotion_that_few_speakers_show(self):
        # 20 speakers, of whom two show anger, and everything right: a draw without them says nothing of anger.
        frame = predictions(rows=400, speakers=20, folds=5)
        frame["true"] = [LABELS[i // 20 % 3] for i in range(400)]
        frame.loc[frame["speaker"].isin(["c:3", "c:8"]) & (frame.index > 300), "true"] = "angry"
        frame["predicted"] = frame["true"]
        found = make(frame)
        angry = found.details()["classes"]["angry"]
        assert (angry["recall"], angry["low"], angry["high"], angry["speakers"]) == (1, 1, 1, 2)
        # All anger wrong: without it a draw's mean recall would be 1, but that is another quantity.
        wrong = frame.assign(predicted=frame["predicted"].replace("angry", "sad"))
        assert evaluation.bootstrap(wrong, "uar")[1] == pytest.approx(0.75)
        low, high = evaluation.bootstrap(wrong, "accuracy")
        assert low < (wrong["true"] == wrong["predicted"]).mean() < high

    def test_an_emotion_without_clips_has_no_interval(self):
        frame = predictions().replace({"true": {"angry": "sad"}})
        angry = make(frame).details()["classes"]["angry"]
        assert (angry["support"], angry["speakers"], angry["low"], angry["high"]) == (0, 0, None, None)

    @pytest.mark.parametrize(("speakers", "flagged"), [(2, True), (9, True), (10, False), (20, False)])
    def test_intervals_of_few_speakers_are_flagged(self, speakers, flagged):
        found = make(predictions(rows=120, speakers=speakers, folds=1))
        words = f": of {speakers} speakers only]"
        assert str(found).count(words) == 4 * flagged
        compared = evaluation.compare([found])[["UAR", "accuracy"]]
        assert compared.map(lambda text: words in text).all(axis=None) == flagged
        assert found.summary()["uar"]["speakers"] == speakers

    def test_one_fold_of_one_speaker_has_no_spread(self):
        summary = make(predictions(speakers=1, folds=1)).summary()["uar"]
        assert np.isnan([summary["std"], summary["low"], summary["high"]]).all()
        assert np.isfinite(summary["mean"])

    def test_text_says_what_matters(self):
        text = str(make())
        people = "speaker-independent: unseen speakers"
        assert f"mlp on ravdess, protocol speaker ({people}): 60 clips, 6 speakers, 3 folds" in text
        uar = make().summary()["uar"]
        score, *limits = (f"{100 * uar[name]:.1f}" for name in ("pooled", "low", "high"))
        interval = f"{score} [{', '.join(limits)}: of 6 speakers only]"
        assert f"UAR          {interval}; folds {100 * uar['mean']:.1f} ± " in text
        assert "nan" not in str(make(predictions(speakers=1, folds=1)))
        assert "(speaker-dependent: also in training)" in str(make(speaker_independent=False))

    def test_predictions_are_checked(self):
        with pytest.raises(TableError, match="predictions lack sex, prob_angry"):
            make(predictions().drop(columns=["sex", "prob_angry"]))
        with pytest.raises(LabelError, match="'boredom'"):
            make(predictions().replace({"true": {"sad": "boredom"}}))
        with pytest.raises(TableError, match="no prediction"):
            make(predictions().iloc[:0])


class TestRecords:
    def test_what_is_saved_comes_back(self, tmp_path):
        before = make()
        after = Evaluation.load(before.save(tmp_path / "runs" / "one"))
        pd.testing.assert_frame_equal(after.predictions, before.predictions, check_dtype=False)
        assert len(after.histories) == 3
        pd.testing.assert_frame_equal(after.histories[0], before.histories[0])
        for name in (
            "recipe",
            "protocol",
            "speaker_independent",
            "seed",
            "labels",
            "corpora",
            "parameters",
            "versions",
            "temperatures",
            "settings",
            "data",
            "command",
            "digest",
        ):
            assert getattr(after, name) == getattr(before, name)
        assert after.summary() == before.summary()

    @settings(max_examples=10)
    @given(seed=st.integers(0, 1000))
    def test_record_is_strict_json(self, tmp_path_factory, seed):
        frame = predictions(rows=8, speakers=1, folds=1, seed=seed)
        folder = make(frame).save(tmp_path_factory.mktemp("run"))
        record = json.loads((folder / "evaluation.json").read_text(), parse_constant=pytest.fail)
        assert record["summary"]["uar"]["low"] is None
        assert record["summary"]["uar"]["mean"] == pytest.approx(make(frame).metrics()["uar"])

    def test_an_earlier_record_has_no_settings(self, tmp_path):
        record = json.loads((make().save(tmp_path) / "evaluation.json").read_text())
        for name in ("temperatures", "settings", "data", "command"):
            del record[name]
        (tmp_path / "evaluation.json").write_text(json.dumps(record))
        found = Evaluation.load(tmp_path)
        assert (found.temperatures, found.settings, found.data, found.command) == ((), {}, {}, "")

    def test_the_digest_tells_settings_labels_and_data_apart(self):
        changed = [{"settings": {"kind": "SVM"}}, {"data": {"digest": "1"}}, {"labels": [*LABELS, "fear"]}]
        frame = predictions().assign(prob_fear=0.0)
        digests = {make(frame, **change).digest for change in changed}
        assert len(digests | {make().digest}) == 4
        assert make(seed=5, command="other", seconds=9.0).digest == make().digest

    def test_saving_again_replaces_and_touches_nothing_else(self, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        make().save(tmp_path)
        make(predictions(seed=9), seed=9).save(tmp_path)
        assert Evaluation.load(tmp_path).seed == 9
        assert sorted(p.suffix for p in tmp_path.iterdir()) == [".json", ".parquet", ".txt"]

    @pytest.mark.parametrize("killed_at", [0, 1])
    def test_killed_while_saving_keeps_the_old(self, tmp_path, monkeypatch, killed_at):
        make().save(tmp_path)
        replaced, replace = [], os.replace

        def dying(source, target):
            if len(replaced) == killed_at:
                raise KeyboardInterrupt
            replaced.append(target)
            replace(source, target)

        monkeypatch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            make(predictions(seed=9), seed=9).save(tmp_path)
        found = Evaluation.load(tmp_path)
        assert found.seed == 4
        pd.testing.assert_frame_equal(found.predictions, predictions(), check_dtype=False)
        assert not list(tmp_path.glob(".*"))

    def test_no_evaluation_there(self, tmp_path):
        with pytest.raises(TableError, match="holds no saved evaluation: evaluation.json is missing"):
            Evaluation.load(tmp_path)
        make().save(tmp_path)
        next(tmp_path.glob("*.parquet")).unlink()
        with pytest.raises(TableError, match="predictions-.*is missing"):
            Evaluation.load(tmp_path)

    @pytest.mark.parametrize("content", ["{", "[]", "{}", '{"format": 2}', '{"format": 1, "predictions": 3}'])
    def test_a_broken_record(self, tmp_path, content):
        (tmp_path / "evaluation.json").write_text(content)
        with pytest.raises(TableError, match="format 2|no readable evaluation"):
            Evaluation.load(tmp_path)


def test_compare_puts_runs_side_by_side():
    table = evaluation.compare([make(), make(protocol="random", speaker_independent=False)])
    assert table["protocol"].tolist() == ["speaker", "random"]
    assert table["speakers"].tolist() == ["unseen", "speaker-dependent"]
    assert table["UAR"].str.fullmatch(r"\d+\.\d \[\d+\.\d, \d+\.\d: of 6 speakers only\]").all()
    assert table["UAR of folds"].str.fullmatch(r"\d+\.\d ± \d+\.\d").all()
    assert list(table.columns[-4:]) == ["UAR", "accuracy", "macro F1", "weighted F1"]


def test_markdown_table():
    text = evaluation.to_markdown(pd.DataFrame({"a": [1, 2], "b": ["x", "y|z"]}))
    assert text.splitlines() == ["| a | b |", "| --- | --- |", "| 1 | x |", "| 2 | y\\|z |"]
