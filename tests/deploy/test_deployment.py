"""What files cost on unseen speakers: tables made of records, and records that are not made twice."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from quick import perceptron

from ser_kit.core.errors import ExportError
from ser_kit.recipes import pruning

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside an installed package", allow_module_level=True)
pytest.importorskip("tf2onnx", reason="the extra export is not installed")
sys.path.insert(0, str(ROOT))

from benchmarks import deployment  # noqa: E402

SIZES = {"size": 2_000_000, "compressed": 1_500_000, "difference": 0.02, "calibration_error": 0.05}


def row(fold, share, format, quantize, uar, agreement=1.0):
    path = f"fold-{fold}/{share}-{quantize}-{format}"
    found = {"fold": fold, "share": share, "format": format, "quantize": quantize, "path": path}
    return found | SIZES | {"uar": uar, "bundle_uar": 0.6 + 0.1 * fold, "agreement": agreement}


def test_the_table_has_means_over_folds_beside_the_bundle(monkeypatch):
    monkeypatch.setattr(deployment, "_times", lambda files: {(name, n): 3.0 + n for name in files for n in (1, 2)})
    rows = [row(0, 0.0, "litert", "none", 0.6), row(1, 0.0, "litert", "none", 0.7)]
    rows += [row(0, 0.0, "litert", "int8", 0.58, 0.98), row(1, 0.0, "litert", "int8", 0.69, 0.96)]
    rows += [row(0, 0.5, "litert", "none", 0.65), {"fold": 1, "share": 0.5, "format": "litert", "quantize": "none"}]
    rows += [{"fold": 0, "share": 0.9, "format": "litert", "quantize": "none", "error": "not equivalent"}]
    table = deployment.shown(pd.DataFrame(rows), Path("runs")).set_index("file")
    assert list(table.index) == [
        "LiteRT, float32", "LiteRT, int8", "LiteRT, float32, pruned 50 %", "LiteRT, float32, pruned 90 %",
    ]  # fmt: skip
    assert table["UAR"].tolist() == ["65.0 ± 7.1", "63.5 ± 7.8", "65.0 ± –", "not equivalent"]
    assert table["beside the bundle"].tolist() == ["+0.0", "-1.5", "+5.0", "–"]
    assert table["named alike"].tolist() == ["100.0 %", "97.0 %", "100.0 %", "–"]
    assert table.loc["LiteRT, int8", ["MB", "packed", "1 thread", "2 threads", "folds"]].tolist() == [
        "2.00", "1.50", "4.0 ms", "5.0 ms", "2 of 2",
    ]  # fmt: skip
    assert table.loc["LiteRT, float32, pruned 50 %", "folds"] == "1 of 2"


def test_each_file_leaves_a_record_and_what_has_one_is_not_made_again(demo_few, tmp_path, monkeypatch):
    system = perceptron(training__epochs=1)
    made, pruned = [], []

    def export(bundle, file, table, *, format, quantize):
        assert not set(table["speaker"]) & unheard
        made.append((bundle.card["pruned"]["share"] if "pruned" in bundle.card else 0, format, quantize))
        if quantize == "int8":
            raise ExportError("not equivalent")
        return deployment.deploy.Report(file, format, quantize, 1, 0, 1, 1, 1, {1: 1, 2: 1}, 0.5, 0.5, 0)

    def prune(bundle, table, *, share, **settings):
        assert not set(table["speaker"]) & unheard
        pruned.append(share)
        return replace(bundle, card=bundle.card | {"pruned": {"share": share}})

    def compare(bundle, file, table):
        assert set(table["speaker"]) == unheard
        return deployment.deploy.Report(file, "", "", 1, 0, 1, 1, 1, {1: 1, 2: 1}, 0.5, 0.5, 0)

    fold = system.folds(system.prepare(demo_few, jobs=0, progress=False), "speaker")[1]
    unheard = set(demo_few["speaker"].iloc[fold.test])
    for name, stand_in in {"export": export, "compare": compare}.items():
        monkeypatch.setattr(deployment.deploy, name, stand_in)
    monkeypatch.setattr(pruning, "prune", prune)
    monkeypatch.setattr(deployment.corpora, "load", lambda names, labels: demo_few)
    settings = {"folds": [2], "shares": [0.5, 0.7]}
    found = deployment.unseen(system, ["demo"], "demo", "speaker", tmp_path, **settings)
    assert len(found) == len(made) == 8 + 3 and pruned == [0.5, 0.7]
    assert set(made[8:]) == {(0.5, "litert", "none"), (0.5, "litert", "int8"), (0.7, "litert", "none")}
    assert found["error"].notna().sum() == 3 and set(found["fold"]) == {1}
    record = next(tmp_path.rglob("0.7-none-litert.json"))
    assert json.loads(record.read_text())["path"].endswith("0.7-none.tflite")
    record.unlink()
    deployment.unseen(system, ["demo"], "demo", "speaker", tmp_path, **settings)
    assert made[11:] == [(0.7, "litert", "none")]
