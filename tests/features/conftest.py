"""Real recordings for the tests of features."""

from __future__ import annotations

import pytest

from ser_kit.audio import read_audio


@pytest.fixture(scope="package")
def real_clips(real_data):
    paths = sorted((real_data / "ravdess-emotional-speech-audio").rglob("*.wav"))[::97]
    assert paths
    return [read_audio(path) for path in paths]
