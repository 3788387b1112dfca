"""One voice over weeks: shares that are those of the answers, intervals that cover, and what may not be concluded."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest
import soundfile

from ser_kit import plots
from ser_kit.core.errors import TableError
from ser_kit.inference import Predictor, follow_voice
from ser_kit.inference.results import csv_text, rows
from ser_kit.inference.voice_history import CAUTION

EMOTIONS = ("neutral", "sad", "happy")
SHARES = np.array([0.5, 0.3, 0.2])


def made(days, per_day, seed, shares=SHARES, hard=True):
    """Answers whose shares are known, on every day; certain ones, or ones of calibrated doubt."""
    rng = np.random.default_rng(seed)
    for day in pd.date_range("2026-03-01", periods=days):
        for _ in range(per_day):
            answer = np.eye(len(shares))[rng.choice(len(shares), p=shares)] if hard else rng.dirichlet(3 * shares)
            yield day, dict(zip(EMOTIONS, answer, strict=True))


def middle(history, emotion="sad"):
    part = history.shares[history.shares["emotion"] == emotion]
    return part.iloc[len(part) // 2]


@pytest.mark.parametrize(("days", "per_day", "hard"), [(28, 1, True), (12, 3, True), (28, 2, False)])
def test_intervals_cover_the_known_shares(days, per_day, hard):
    covered = np.array([
        [row["low"] <= share <= row["high"] for row, share in zip(
            [middle(history, emotion) for emotion in EMOTIONS], SHARES, strict=True)]
        for history in (follow_voice(made(days, per_day, seed, hard=hard)) for seed in range(120))
    ])  # fmt: skip
    assert 0.89 <= covered.mean() <= 0.99


def test_shares_follow_a_change_and_add_up_to_one():
    before, after = made(28, 3, 0, np.array([0.7, 0.2, 0.1])), made(28, 3, 1, np.array([0.2, 0.7, 0.1]))
    history = follow_voice([*before, *((day + pd.Timedelta(days=28), answer) for day, answer in after)])
    sad = history.shares.query("emotion == 'sad'").set_index("date")
    assert sad["share"].iloc[7] == pytest.approx(0.2, abs=0.15) and sad["share"].iloc[-8] == pytest.approx(
        0.7, abs=0.15
    )
    assert sad["high"].iloc[7] < sad["low"].iloc[-8]
    np.testing.assert_allclose(history.shares.groupby("date")["share"].sum(), 1)
    assert (history.shares["low"].between(0, 1) & history.shares["high"].between(0, 1)).all()


def test_each_day_counts_once_and_smoothing_is_by_the_distance_in_days():
    many = [("2026-03-01 08:00", {"sad": 1.0, "happy": 0.0})] * 9
    history = follow_voice([*many, ("2026-03-08", {"sad": 0.0, "happy": 1.0})], bandwidth=7)
    assert history.counts.tolist() == [9, 1] and list(history.days.index) == [
        *pd.to_datetime(["2026-03-01", "2026-03-08"])
    ]
    sad = history.shares.query("emotion == 'sad'")["share"].to_numpy()
    near, far = 1.0, np.exp(-0.5)
    assert len(sad) == 8 and sad[[0, -1]] == pytest.approx([near / (near + far), far / (near + far)])


def test_a_long_gap_is_left_open_and_one_day_alone_says_nothing():
    answer = {"sad": 0.4, "happy": 0.6}
    history = follow_voice([("2026-03-01", answer), ("2026-05-01", answer)], bandwidth=7)
    sad = history.shares.query("emotion == 'sad'").set_index("date")
    assert sad.loc["2026-03-09":"2026-04-23"].isna()[["share", "low", "high"]].all(axis=None)
    assert sad["share"].iloc[[0, -1]].tolist() == pytest.approx([0.4, 0.4])
    alone = follow_voice([("2026-03-01", answer)]).shares
    np.testing.assert_allclose(alone["low"], 0, atol=1e-6)
    np.testing.assert_allclose(alone["high"], 1, atol=1e-6)


def test_recordings_a_table_of_paths_and_a_file_of_answers_give_the_same(demo_bundle, demo_table, tmp_path):
    predictor = Predictor.from_bundle(demo_bundle)
    paths = demo_table["path"].iloc[:4].tolist()
    dates = [date(2026, 3, 1), datetime(2026, 3, 2, 23, tzinfo=UTC), "2026-03-04", np.datetime64("2026-03-04")]
    tone = tmp_path / "tone.wav"
    soundfile.write(tone, 0.1 * np.sin(np.arange(32000) / 4), 16000)
    pairs = [*zip(dates, paths, strict=True), ("2026-03-05", tone), ("2026-03-06", tmp_path / "missing.wav")]
    history = follow_voice(pairs, predictor)
    assert history.counts.tolist() == [1, 1, 2] and set(history.days) == set(predictor.labels)
    assert len(history.left_out) == 2 and "does not sound like speech" in history.left_out["reason"].iloc[0]
    table = pd.DataFrame(pairs, columns=["date", "path"])
    pd.testing.assert_frame_equal(follow_voice(table, predictor).shares, history.shares)
    answers = list(predictor.predict_many([path for _, path in pairs]))
    file = tmp_path / "answers.csv"
    columns = ["path", *(f"p_{label}" for label in predictor.labels), "reason", "error"]
    file.write_text(csv_text(({c: r.get(c, "") for c in columns} for a in answers for r in rows(a)), columns))
    written = follow_voice(pd.read_csv(file).assign(date=[day for day, _ in pairs]))
    pd.testing.assert_frame_equal(written.shares, history.shares, atol=1e-5)
    assert len(written.left_out) == 2


@pytest.mark.parametrize(
    ("recordings", "settings", "message"),
    [
        ([], {}, "no answer to follow"),
        ([("soon", {"sad": 1.0})], {}, "'soon' is no date; expected such as 2026-03-01"),
        ([(20260301, {"sad": 1.0})], {}, "20260301 is no date"),
        ([(None, {"sad": 1.0})], {}, "None is no date"),
        ([("2026-03-01", {"sad": 0.9, "happy": 0.3})], {}, "that sum to 1"),
        ([("2026-03-01", {"sad": 1.0}), ("2026-03-02", {"happy": 1.0})], {}, "the same emotions in all answers"),
        (pd.DataFrame({"day": [1]}), {}, "the columns day; expected date, and path or p_<emotion>"),
        ([("2026-03-01", {"sad": 1.0})], {"bandwidth": 0}, "a bandwidth of at least 0.5 days"),
        ([("2026-03-01", {"sad": 1.0})], {"confidence": 95}, "a confidence between 0 and 1"),
    ],
)
def test_what_cannot_be_followed_is_named(recordings, settings, message):
    with pytest.raises(TableError, match=message):
        follow_voice(recordings, **settings)


def test_the_figure_shows_each_emotion_and_what_may_not_be_concluded():
    history = follow_voice(made(28, 2, 0))
    figure = plots.voice_history(history, columns=2)
    assert [ax.get_title(loc="left") for ax in figure.axes] == list(EMOTIONS)
    assert "56 recordings on 28 days, 95% intervals" in figure.get_suptitle()
    assert " ".join(figure.get_supxlabel().split()) == CAUTION == history.caution
    assert "no diagnosis" in CAUTION and "acted emotions" in CAUTION
    for ax, emotion in zip(figure.axes, EMOTIONS, strict=True):
        part = history.shares[history.shares["emotion"] == emotion]
        np.testing.assert_array_equal(ax.lines[0].get_ydata(), part["share"])
        assert ax.get_ylim() == (0, 1)
    assert plots.png(figure).startswith(b"\x89PNG")
