"""What ``python -m benchmarks.left_out`` makes of kept evaluations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks import left_out as benchmark
from ser_kit.adaptation import Voices
from ser_kit.evaluation import Evaluation, without_habit

LABELS = ("happy", "sad", "angry")


@pytest.fixture(scope="module")
def evaluation():
    """Answers for three corpora of four speakers, each with a leaning of their own."""
    rng = np.random.default_rng(0)
    true = np.tile(np.repeat(np.arange(3), 20), 12)
    speaker = np.repeat(np.arange(12), 60)
    logits = 2.0 * np.eye(3)[true] + rng.normal(0, 0.5, (720, 3)) + rng.normal(0, 1.2, (12, 3))[speaker]
    given = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    corpus = np.array(["a", "b", "c"])[speaker // 4]
    table = pd.DataFrame(
        {
            "clip_id": [f"{i}" for i in range(720)],
            "corpus": corpus,
            "speaker": [f"{c}:{s}" for c, s in zip(corpus, speaker, strict=True)],
            "sex": "",
            "true": np.array(LABELS)[true],
            "predicted": np.array(LABELS)[given.argmax(axis=1)],
            "confidence": given.max(axis=1),
            "fold": speaker // 4,
        }
    )
    shares = {f"prob_{label}": given[:, i] for i, label in enumerate(LABELS)}
    return Evaluation("made", "corpus", True, 0, LABELS, table.assign(**shares), temperatures=[1.0] * 3)


def test_clips_that_are_adapted_to_are_not_tested(evaluation):
    predictions = evaluation.predictions
    given = predictions[[f"prob_{label}" for label in LABELS]].to_numpy()
    voices = Voices.fit(given, predictions["true"], predictions["speaker"], LABELS)
    for single, left in ((False, 720 - 12 * 5), (True, 720 - 36 * 5)):
        rng = np.random.default_rng(0)
        (plain, rows), (adapted, _) = benchmark.adapted_to(predictions, given, voices, 5, single, rng)
        assert len(plain) == len(adapted) == len(rows) == left
        np.testing.assert_array_equal(plain, given[rows.index])
    # What is taken off a speaker's clips is one offset.
    (plain, rows), (adapted, _) = benchmark.adapted_to(predictions, given, voices, None, False, rng)
    for _, own in rows.reset_index(drop=True).groupby("speaker"):
        offset = np.log(plain[own.index[0]]) - np.log(adapted[own.index[0]])
        np.testing.assert_allclose(without_habit(plain[own.index], offset), adapted[own.index], atol=1e-9)


def test_speakers_with_a_leaning_gain_and_those_of_one_emotion_lose_little(evaluation):
    class Options:
        seed, draws = 0, 2

    rows = pd.DataFrame(benchmark._adaptation("made", evaluation, Options))
    gains = rows["mean"].str.extract(r"\(([+-][\d.]+)\)")[0].astype(float)
    assert list(rows["clips"]) == ["5", "20", "all"] * 2
    assert gains[2] > 3 and gains[:3].is_monotonic_increasing and (gains[3:] > -1).all()


def test_each_corpus_stands_in_the_table(evaluation):
    row = benchmark._worth("made", evaluation)
    assert set(row) >= {"a", "b", "c", "mean", "calibration error", "certain"} and row["lowest recall"].count(",") == 2
