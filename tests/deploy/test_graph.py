"""What a graph makes of samples is what the extractor makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ser_kit import features, recipes
from ser_kit.audio import read_audio
from ser_kit.audio.transforms import HighPass, PeakNormalise, Trim
from ser_kit.core.backend import import_keras
from ser_kit.deploy import graph

keras = import_keras()
pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's")

EXTRACTORS = [
    features.Waveform(seconds=1.5, preprocess=(Trim(),)),
    features.Waveform(preprocess=(HighPass(), Trim(margin_seconds=0.1, shortest_seconds=0.08))),
    features.SpeechEncoder(encoder="whisper_tiny_en", blocks=(3, 1), preprocess=(Trim(), PeakNormalise())),
    features.LogMel(sr=8000, preprocess=(HighPass(cutoff=70.0),)),
    features.LogMel(),
    features.LogMel(seconds=1.5, n_mels=40, preprocess=(Trim(),)),
    features.FrameFeatures(frames=60, n_mels=40),
    features.FrameFeatures(frames=60, zero_padding=True, preprocess=(PeakNormalise(),)),
    features.FrameFeatures(sr=16000, n_fft=512, hop_length=200, n_mels=20, n_mfcc=20, top_db=30.0),
    features.StackedFrames(),
    features.StackedFrames(sr=16000, seconds=2.0, n_fft=2048, frames=90, n_mels=50, top_db=40.0, preprocess=(Trim(),)),
    features.StackedFrames(parts=("chroma",)),
    features.StackedFrames(parts=("mfcc", "mel")),
]


@pytest.fixture(scope="module")
def sounds(some_clips):
    """Recordings, and samples that make rounding or rows of zeros matter."""
    rng, seconds = np.random.default_rng(0), np.arange(32000) / 16000
    found = [(read_audio(path).samples, read_audio(path).rate) for path in some_clips["path"].iloc[:3]]
    made = [
        np.sin(2 * np.pi * 440 * seconds),
        np.where(seconds < 0.3, 0.5 * np.sin(2 * np.pi * 150 * seconds), 0),
        rng.normal(0, 1e-4, 32000) + (np.abs(seconds - 1) < 0.01),
        np.sign(np.sin(2 * np.pi * 100 * seconds)),
        rng.normal(0, 0.1, 1700),
    ]
    return found + [(samples.astype(np.float32), 16000) for samples in made]


@pytest.mark.parametrize("extractor", EXTRACTORS, ids=lambda e: e.identity[:60])
def test_a_graph_makes_of_samples_what_the_extractor_makes(extractor, sounds):
    assert graph.takes_samples(extractor)
    made = graph.inputs(extractor)
    for sound in sounds:
        recording = read_audio(sound, sr=extractor.sr)
        expected = extractor.extract(recording)
        found = made(recording.samples[None])[0].numpy()
        if extractor.shape[0] is None:
            expected = expected[: len(found)]  # the zeros at its end left out
        assert found.shape == expected.shape
        # Of decibels float32 keeps a few thousandths, and MFCCs sum some forty of them. Where there is no floor, what
        # lies 100 dB under a loud tone drowns in its rounding.
        drowned = 1e-6 * 10 ** ((expected.max() - expected) / 20) if type(extractor) is features.LogMel else 0
        allowed = 0.01 + 1e-4 * np.abs(expected) + drowned
        assert (np.abs(found - expected) <= allowed).all()


def test_each_extractor_that_some_recipe_has_is_in_the_graph_or_named_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "guides" / "deploy.md").read_text(encoding="utf-8")
    rows = [row for row in page.splitlines() if row.startswith("| ")]
    (samples,) = [row for row in rows if row.startswith("| samples |")]
    for name in recipes.names():
        extractors = recipes.get(name).extractors
        takes = len(extractors) == 1 and graph.takes_samples(extractors[0])
        assert (f"`{name}`" in samples) == takes, name
        assert any(f"`{name}`" in row for row in rows), name
