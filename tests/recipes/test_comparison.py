"""Tables of runs, in the order of the documents."""

from __future__ import annotations

import pytest
from run_records import records

from ser_kit import recipes
from ser_kit.recipes import comparison


def test_every_system_has_its_runs_beside_what_is_reported():
    table = comparison.systems(records())
    assert list(table["system"].unique()) == list(recipes.RECIPES)
    own = table[table["system"] == "rastogi_mlp"]
    assert own["mean"].tolist() == pytest.approx([0.7, 0.5]) and own["speaker_independent"].tolist() == [
        False,
        True,
    ]
    assert own["reported"].iloc[0] == recipes.get("rastogi_mlp").published.accuracy
    assert own["chance"].tolist() == pytest.approx([1 / 6] * 2) and own["complete"].all()
    elsewhere = table[table["system"] == "deep_belief_network"]
    assert elsewhere["corpora"].tolist() == ["emodb"]
    missing = table[table["mean"].isna()]
    assert len(missing) == len(recipes.RECIPES) - 3 and (missing["corpora"] == "").all()


def test_variants_of_the_document_stand_beside_their_system_or_for_it():
    own = ("staged_cnn_lstm", "", "ravdess", "random_80_20_peeking", [0.6])
    beside = ("staged_cnn_lstm", "side by side", "ravdess", "random_80_20_peeking", [0.7])
    instead = ("td_cnn_lstm", "60 epochs", "ravdess", "temporal_80_10_10", [0.5])
    other = ("td_cnn_lstm", "ours", "ravdess", "temporal_80_10_10", [0.4])
    table = comparison.systems(records(own, beside, instead, other)).set_index("system")
    assert table.loc[["staged_cnn_lstm", "staged_cnn_lstm+side by side"], "mean"].tolist() == [0.6, 0.7]
    assert table.loc["td_cnn_lstm+60 epochs", ["mean", "reported"]].tolist() == [0.5, (0.60,)]
    assert not {"td_cnn_lstm", "td_cnn_lstm+ours"} & set(table.index)


def test_a_system_run_under_other_protocols_only_has_a_row_without_a_mean():
    table = comparison.systems(records(("rastogi_mlp", "", "ravdess", "loso", [0.5])))
    (row,) = table[table["system"] == "rastogi_mlp"].to_dict("records")
    assert row["corpora"] == "ravdess" and row["mean"] != row["mean"]


def test_protocols_go_from_the_leakiest_to_the_most_honest():
    table = comparison.by_protocol(records(), "uar")
    assert table["protocol"].tolist() == [
        "random_80_20_peeking", "random_80_20", "speaker", "random_70_15_15", "speaker",
    ]  # fmt: skip
    assert table["leaks"].iloc[0] == ("speaker", "test as validation") and table["leaks"].iloc[2] == ()
    assert set(table["metric"]) == {"uar"} and table["mean"].tolist() == pytest.approx([0.45, 0.4, 0.25, 0.35, 0.25])


def test_a_protocol_that_is_not_known_leaks_speakers_or_nothing():
    rows = [("rastogi_mlp", "", "ravdess", name, [0.5]) for name in ("their own", "speaker")]
    assert comparison.by_protocol(records(*rows))["leaks"].tolist() == [("speaker",), ()]


def test_ablations_are_compared_on_the_same_fold():
    gains = comparison.gains(records())
    assert gains["gain"].tolist() == pytest.approx([5, -10, -10, -10])
    assert gains["ablation"].unique().tolist() == ["wide"]
    assert not len(comparison.gains(records(("rastogi_mlp", "", "ravdess", "speaker", [0.5]))))
