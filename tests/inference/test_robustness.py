"""Worse recordings: each is worse in the way that is said, and the loss is told beside the clips as they were."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ser_kit import recipes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside an installed package", allow_module_level=True)
sys.path.insert(0, str(ROOT))

from benchmarks import robustness  # noqa: E402

RATE = robustness.RATE


@pytest.fixture(scope="module")
def speech():
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(RATE) * (1 + np.sin(np.arange(RATE) / 800))).astype("float32") for _ in range(9)]


@pytest.fixture(scope="module")
def made(speech):
    return robustness.conditions(speech[1:])


@pytest.mark.parametrize("kind", ["white noise", "babble"])
@pytest.mark.parametrize("snr", [20, 10, 5, 0])
def test_noise_is_as_loud_as_said(speech, made, kind, snr):
    added = made[f"{kind}, {snr} dB"](speech[0], 3) - speech[0]
    assert 20 * np.log10(np.std(speech[0]) / np.std(added)) == pytest.approx(snr, abs=0.3)
    again = made[f"{kind}, {snr} dB"](speech[0], 3)
    np.testing.assert_array_equal(again - speech[0], added)


def test_a_telephone_has_no_high_tones_and_the_length_stays(speech, made):
    for name, worsen in made.items():
        assert len(worsen(speech[0], 0)) == len(speech[0]), name
    spectrum = np.abs(np.fft.rfft(made["telephone"](speech[0], 0)))
    assert spectrum[5000:].sum() < 0.01 * spectrum[500:3000].sum()
    as_mp3 = made["MP3, 32 kbit/s"](speech[0], 0)
    assert np.std(as_mp3 - speech[0]) > 0
    np.testing.assert_array_equal(made["as recorded"](speech[0], 0), speech[0])


def test_mp3_has_the_rate_that_is_said(monkeypatch, speech):
    sizes = []
    read = robustness.read_audio
    monkeypatch.setattr(robustness, "read_audio", lambda source, sr: sizes.append(len(source)) or read(source, sr=sr))
    robustness.mp3(np.tile(speech[0], 8))
    assert 8 * sizes[0] / 8 == pytest.approx(32_000, rel=0.05)


def test_the_loss_is_beside_the_clips_as_recorded():
    scores = pd.DataFrame({"as recorded": [0.7, 0.6], "telephone": [0.6, 0.55]})
    table = robustness.shown(scores).set_index("recordings")
    assert table.loc["as recorded"].tolist() == ["65.0 ± 7.1", "–"]
    assert table.loc["telephone"].tolist() == ["57.5 ± 3.5", "7.5"]


def test_every_fold_is_tested_under_every_condition(demo_few, monkeypatch, tmp_path, capsys):
    small = {"channels": (4, 4, 4, 4), "harmonic_channels": (4, 4, 4, 4), "width": 8}
    system = recipes.get("from_scratch_single").with_settings({"training.epochs": 1, "hyperparameters": small})
    monkeypatch.setattr(recipes, "get", lambda name: system)
    monkeypatch.setattr(robustness.corpora, "load", lambda names, labels: demo_few)
    page = tmp_path / "page.md"
    page.write_text(f"<!-- robustness: made by {robustness.COMMAND} -->\n<!-- end of robustness -->\n")
    command = [
        page,
        "--corpus",
        "demo",
        "--protocol",
        "speaker_80_20",
        "--out",
        tmp_path,
        "--figure",
        tmp_path / "f.png",
    ]
    assert robustness.main(list(map(str, command))) == 0
    assert page.read_text().count("\n| ") == 2 + 12 and (tmp_path / "f.png").stat().st_size > 5_000
    assert "white noise of 10 dB costs" in capsys.readouterr().out
