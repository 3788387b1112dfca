"""The log-mel spectrogram: the array, the Keras layer and Librosa agree."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import numpy as np
import pytest

from ser_kit import features
from ser_kit.audio import Recording

RATE = 16000
PARAMETERS = [
    {},
    {"sr": 22050, "n_fft": 1024, "win_length": 551, "hop_length": 220, "n_mels": 80},
    {"sr": 8000, "n_fft": 256, "win_length": 256, "hop_length": 100, "n_mels": 20},
    {"n_fft": 1024, "hop_length": 240, "n_mels": 128, "htk": True},
]


def voice(seed, n=RATE, rate=RATE):
    """Harmonics of a gliding tone, falling 12 dB an octave, over a faint noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(n) / rate
    phase = 2 * np.pi * np.cumsum(rng.uniform(90, 250) * (1 + 0.1 * np.sin(5 * time))) / rate
    sound = sum(np.sin(k * phase + rng.uniform(0, 6)) / k**2 for k in range(1, 12))
    return (0.2 * sound * np.abs(np.sin(7 * time)) + 1e-3 * rng.normal(size=n)).astype(np.float32)


def librosa_logmel(samples, sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=64, htk=False):
    import librosa

    power = librosa.feature.melspectrogram(
        y=samples, sr=sr, n_fft=n_fft, win_length=win_length, hop_length=hop_length, n_mels=n_mels, htk=htk
    )
    return 10 * np.log10(np.maximum(power, 1e-10)).T


@pytest.fixture(scope="module")
def keras():
    return pytest.importorskip("keras")


@pytest.fixture(scope="module")
def layers(keras):
    from ser_kit.models import layers

    return layers


def output(layer, waveforms):
    import keras

    return keras.ops.convert_to_numpy(layer(np.atleast_2d(waveforms)))


@pytest.mark.parametrize("parameters", PARAMETERS)
@pytest.mark.parametrize("n", [2205, 9999, 16000])
def test_array_layer_and_librosa_agree(layers, parameters, n):
    rate = parameters.get("sr", RATE)
    sound = voice(n, n, rate)
    expected = librosa_logmel(sound, **parameters)
    array = features.LogMel(**parameters).extract((sound, rate))
    assert array.shape == expected.shape
    np.testing.assert_allclose(array, expected, atol=1e-3)
    np.testing.assert_allclose(output(layers.LogMelSpectrogram(**parameters), sound)[0], array, atol=1e-3)


@pytest.mark.realdata
def test_array_layer_and_librosa_agree_on_real_speech(layers, real_data):
    from ser_kit.audio import load_audio

    paths = sorted((real_data / "ravdess-emotional-speech-audio").rglob("*.wav"))[::150]
    assert paths
    layer = layers.LogMelSpectrogram()
    for path in paths:
        sound = load_audio(path)
        array = features.LogMel().extract(path)
        np.testing.assert_allclose(array, librosa_logmel(sound), atol=1e-3)
        np.testing.assert_allclose(output(layer, sound)[0], array, atol=1e-3)


def test_silence_is_the_floor(layers):
    silence = output(layers.LogMelSpectrogram(), np.zeros((1, 3200), np.float32))
    np.testing.assert_allclose(silence, -100, atol=1e-4)
    assert np.all(features.LogMel().extract(Recording(np.zeros(3200), RATE, RATE, 1, "")) == -100)


def test_a_clip_does_not_depend_on_its_neighbours(layers):
    layer = layers.LogMelSpectrogram()
    quiet, loud, silent = 1e-3 * voice(0), 50 * voice(1), np.zeros(RATE, np.float32)
    together = output(layer, np.stack([quiet, loud, silent]))
    for i, sound in enumerate((quiet, loud, silent)):
        np.testing.assert_allclose(together[i], output(layer, sound)[0], atol=1e-3)


@pytest.mark.parametrize("n", [8000, 24000, 60000])
def test_a_fixed_length_is_the_padded_or_cut_waveform(layers, n):
    extractor = features.LogMel(seconds=1.5)
    sound = voice(2, n)
    fixed = np.pad(sound, (0, max(0, 24000 - n)))[:24000]
    values, valid = extractor.extract_with_length(Recording(sound, RATE, RATE, 1, ""))
    assert values.shape == extractor.shape == (151, 64)
    assert valid == 1 + min(n, 24000) // 160
    assert np.all(values[valid + 2 :] == -100)
    np.testing.assert_allclose(output(layers.LogMelSpectrogram(), fixed)[0], values, atol=1e-3)


@pytest.mark.parametrize("samples", [RATE, None])
def test_in_a_model_saved_and_loaded_safely(keras, layers, tmp_path, samples):
    inputs = keras.Input((samples,))
    hidden = layers.LogMelSpectrogram(n_mels=40, name="logmel")(inputs)
    assert hidden.shape == (None, samples and 101, 40)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(hidden)))
    waveforms = np.stack([voice(3), voice(4)])
    before = model.predict(waveforms, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded.predict(waveforms, verbose=0), before)
    assert loaded.get_layer("logmel").extractor == features.LogMel(n_mels=40)
    assert loaded.get_layer("logmel").weights == []


def test_stays_in_float32_under_a_mixed_precision_policy(keras, layers):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        layer = layers.LogMelSpectrogram()
        found = output(layer, voice(5))
    finally:
        keras.mixed_precision.set_global_policy("float32")
    np.testing.assert_allclose(found[0], features.LogMel().extract((voice(5), RATE)), atol=1e-3)


def test_impossible_parameters(layers):
    from ser_kit.core.errors import FeatureError

    with pytest.raises(FeatureError, match="win_length=800"):
        layers.LogMelSpectrogram(win_length=800)


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_the_same_on_jax(tmp_path):
    np.save(tmp_path / "sound.npy", np.stack([voice(6), voice(7)]))
    code = (
        "import sys, numpy, keras; from ser_kit.models.layers import LogMelSpectrogram;"
        "assert keras.backend.backend() == 'jax';"
        "model = keras.Sequential([keras.Input((16000,)), LogMelSpectrogram()]);"
        "numpy.save(sys.argv[2], model.predict(numpy.load(sys.argv[1]), verbose=0))"
    )
    arguments = [sys.executable, "-c", code, tmp_path / "sound.npy", tmp_path / "found.npy"]
    subprocess.run(arguments, check=True, env=os.environ | {"KERAS_BACKEND": "jax"})
    expected = np.stack([features.LogMel().extract((voice(seed), RATE)) for seed in (6, 7)])
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-3)
