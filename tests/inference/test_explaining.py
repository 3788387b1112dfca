"""What an answer rests on."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from ser_kit import plots
from ser_kit.audio.recording import read_audio
from ser_kit.core.errors import LabelError
from ser_kit.inference.explaining import BANDS, explain, silenced, without_band
from ser_kit.inference.predictor import Predictor

RATE = 16_000


class Fake(Predictor):
    """Says "tone" as far as there is power around 1 kHz in the second half second, else "none"."""

    def __init__(self):
        super().__init__(SimpleNamespace(rate=RATE, labels=("tone", "none")))

    def predict_window(self, piece):
        part = piece.samples[RATE // 2 : RATE]
        spectrum = np.abs(np.fft.rfft(part))
        share = spectrum[480:520].max() / len(part) * 4
        tone = float(np.clip(share, 0.05, 0.95))
        return SimpleNamespace(probabilities=np.array([tone, 1 - tone]), evidence=SimpleNamespace(voiced=1.0))


def sound(seconds=2.0):
    times = np.arange(int(RATE * seconds)) / RATE
    tone = np.sin(2 * np.pi * 1000 * times) * ((times >= 0.5) & (times < 1.0))
    return (0.5 * tone + 0.2 * np.sin(2 * np.pi * 4000 * times)).astype(np.float32), RATE


def test_the_stretch_and_the_band_that_the_answer_rests_on_are_found():
    found = explain(Fake(), sound())
    assert (found.emotion, found.duration) == ("tone", 2.0)
    best = max(found.stretches, key=lambda part: part.effect)
    assert best.low >= 0.4 and best.high <= 1.1
    band = max(found.bands, key=lambda part: part.effect)
    assert band.low <= 1000 < band.high and band.share > 0.9
    assert sum(part.share for part in found.stretches) == pytest.approx(1)
    assert all(part.effect == pytest.approx(0, abs=0.02) for part in found.stretches if part.low >= 1.05)
    assert (found.stretches[0].low, found.stretches[-1].high) == (0, 2)
    assert [part.low for part in found.bands] == list(BANDS[:-1]) and found.bands[-1].high == 8000


def test_another_label_can_be_explained_and_an_unknown_one_is_refused():
    found = explain(Fake(), sound(), emotion="none", bands=())
    assert found.bands == () and max(part.effect for part in found.stretches) <= 0.02
    with pytest.raises(LabelError, match="no label 'sad'; expected one of tone, none"):
        explain(Fake(), sound(), emotion="sad")


def test_a_long_recording_has_the_effects_of_all_its_windows():
    found = explain(Fake(), sound(20.0), bands=())
    assert len(found.stretches) <= 130
    assert (found.stretches[0].low, round(found.stretches[-1].high, 3)) == (0, 20)


def test_it_is_the_same_every_time_and_can_be_stopped():
    assert explain(Fake(), sound()) == explain(Fake(), sound())
    shares = []
    explain(Fake(), sound(), watch=shares.append)
    assert shares == sorted(shares) and shares[0] >= 0 and shares[-1] < 1


def test_only_the_part_that_is_taken_out_changes():
    recording = read_audio(sound())
    quiet = silenced(recording, 0.5, 1.0).samples
    kept = np.r_[0 : int(0.48 * RATE), int(1.02 * RATE) : len(quiet)]
    np.testing.assert_array_equal(quiet[kept], recording.samples[kept])
    assert np.std(quiet[int(0.55 * RATE) : int(0.95 * RATE)]) < np.std(recording.samples[: RATE // 2]) * 1.5
    filtered = np.abs(np.fft.rfft(without_band(recording, 900, 1100).samples))
    before = np.abs(np.fft.rfft(recording.samples))
    assert filtered[2000] < 1e-3 * before[2000] and filtered[8000] == pytest.approx(before[8000], rel=1e-3)


def test_the_figure_shows_each_part():
    recording = sound()
    figure = plots.explanation(explain(Fake(), recording), recording)
    assert figure.get_suptitle().startswith('What "tone')
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "By time" and "By frequency" in titles


def test_it_is_plain_values_for_json():
    import json

    found = json.loads(json.dumps(explain(Fake(), sound()).to_dict()))
    assert set(found["stretches"][0]) == {"low", "high", "effect", "share"}
