"""Records of runs, as a reproduction leaves them."""

from __future__ import annotations

import pandas as pd


def records(*rows) -> pd.DataFrame:
    """As of :func:`ser_kit.recipes.reproduce.load`, from ``recipe, ablation, corpora, protocol, accuracies``."""
    rows = rows or [
        ("rastogi_mlp", "", "ravdess", "random_70_15_15", [0.7]),
        ("rastogi_mlp", "", "ravdess", "speaker", [0.4, 0.5, 0.6]),
        ("rastogi_mlp", "wide", "ravdess", "random_70_15_15", [0.75]),
        ("rastogi_mlp", "wide", "ravdess", "speaker", [0.3, 0.4, 0.5]),
        ("staged_cnn_lstm", "", "ravdess", "speaker", [0.5]),
        ("staged_cnn_lstm", "", "ravdess", "random_80_20_peeking", [0.9]),
        ("staged_cnn_lstm", "", "ravdess", "random_80_20", [0.8]),
        ("deep_belief_network", "", "emodb", "speaker", [0.6]),
    ]
    return pd.DataFrame(
        [
            {
                "recipe": recipe, "ablation": ablation, "corpora": corpora, "protocol": protocol,
                "speaker_independent": protocol == "speaker", "labels": list("abcdef"), "seed": 0, "fold": fold,
                "folds": len(found), "parameters": 1, "epochs": [1], "seconds": 1.0,
                "accuracy": value, "uar": value / 2,
                "per_class": {"fear": {"precision": value, "recall": value, "f1": value / 4, "support": 9}},
            }
            for recipe, ablation, corpora, protocol, found in rows
            for fold, value in enumerate(found)
        ]
    )  # fmt: skip
