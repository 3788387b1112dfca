"""The summary of the published systems, from records."""

from __future__ import annotations

import numpy as np
import pytest
from run_records import records

from ser_kit.recipes import reproduce
from ser_kit.recipes.summary import summary_table


def test_the_summary_compares_reported_reproduced_and_unseen():
    rows = [
        ("staged_cnn_lstm", "", "ravdess", "random_80_20_peeking", [0.7]),
        ("staged_cnn_lstm", "", "ravdess", "speaker", [0.4, 0.5]),
        ("rastogi_mlp", "", "ravdess", "random_70_15_15", [0.7]),
        ("rastogi_mlp", "", "ravdess", "speaker", [0.5]),
        ("ahmadov_forest", "", "cremad", "speaker_80_20", [0.4]),
    ]
    counts = {"a": [[9, 1], [5, 5]], "b": [[2, 8], [5, 5]]}
    kept = records(*rows).assign(versions=[{"numpy": "2"}] * 6, command="ser-kit reproduce")
    kept["confusion_by_speaker"] = [counts] * 6
    found = reproduce.summary(kept).set_index("system")
    staged = found.loc["staged_cnn_lstm"]
    names = ["reported_low", "reported_high", "reproduced", "unseen"]
    assert staged[names].tolist() == [0.94, 0.951, 0.7, 0.45]
    assert staged["explained"] == pytest.approx((0.7 - 0.45) / (0.951 - 0.45))
    assert (staged["unseen_low"], staged["unseen_high"]) == (0.35, 0.7)
    assert np.isnan(found.loc["rastogi_mlp", "explained"])  # not on the corpora of its authors
    assert np.isnan(found.loc["ahmadov_forest", "explained"])  # its split does not leak
    shown = summary_table(kept).set_index("system")
    assert shown.loc["staged_cnn_lstm", "unseen speakers"] == "45.0 ± 7.1"
    assert shown.loc["staged_cnn_lstm", "95 % interval"] == "35.0 to 70.0"
    assert shown.loc["staged_cnn_lstm", "share of the gap that the split explains"] == "50"
