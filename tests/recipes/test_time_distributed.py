"""The time-distributed systems are as their document says: parameters, shapes, splits, noise, epochs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest

from ser_kit import corpora, features, protocols, recipes
from ser_kit.audio.transforms import Trim
from ser_kit.core.errors import TableError

MODELS = ("td_cnn_lstm", "td_cnn_bilstm_attention")
FILTERS, KERNELS, POOLS = (8, 16, 32, 64, 128, 256), (5, 5, 3, 3, 3, 3), (2, 2, 2, 4, 4, 4)


@pytest.fixture(params=MODELS)
def recipe(request):
    return recipes.get(request.param)


@pytest.fixture(scope="module")
def networks():
    return {name: recipes.get(name).build(8) for name in MODELS}


@pytest.fixture(scope="module")
def ravdess() -> pd.DataFrame:
    """Clip table of all of RAVDESS, without recordings."""
    corpus = corpora.get("ravdess")
    rows = [{"clip_id": name, **corpus.parse(f"{name}.wav")} for name in sorted(corpus.index())]
    return pd.DataFrame(rows).assign(corpus="ravdess").sample(frac=1, random_state=0, ignore_index=True)


def kinds(network, kind: str) -> list:
    return [layer for layer in network.layers if type(layer).__name__ == kind]


@pytest.mark.parametrize(("name", "parameters"), [(MODELS[0], 603_496), (MODELS[1], 809_065)])
def test_six_blocks(networks, name, parameters):
    network = networks[name]
    assert network.count_params() == parameters
    convolutions = kinds(network, "Conv2D")
    assert tuple(layer.filters for layer in convolutions) == FILTERS
    assert tuple(layer.kernel_size for layer in convolutions) == tuple((k, k) for k in KERNELS)
    assert all(layer.padding == "same" and layer.strides == (1, 1) for layer in convolutions)
    assert tuple(layer.pool_size for layer in kinds(network, "MaxPooling2D")) == tuple((p, p) for p in POOLS)
    assert [layer.rate for layer in kinds(network, "Dropout")] == [0.2] * 6
    order = [type(layer).__name__ for layer in network.layers]
    first = order.index("Conv2D")
    block = ["Conv2D", "BatchNormalization", "Activation", "MaxPooling2D", "Dropout"]
    assert order[first : first + 30] == block * 6
    assert all(layer.activation.__name__ == "elu" for layer in kinds(network, "Activation"))


def test_shapes_of_the_blocks(networks):
    """128 x 128 is enough for all blocks but the last, whose map is one point before its pooling."""
    network = networks["td_cnn_lstm"]
    assert network.input_shape == (None, 384, 128)
    assert kinds(network, "Chunks")[0].output.shape == (None, 3, 128, 128)
    sides = (64, 32, 16, 4, 1, 1)
    shapes = [layer.output.shape[1:] for layer in kinds(network, "Dropout")]
    assert shapes == [(side, side, filters) for side, filters in zip(sides, FILTERS, strict=True)]
    assert [layer.output.shape for layer in kinds(network, "LSTM")] == [(None, 128)]


def test_a_clip_takes_82_million_multiplications(networks):
    """The number that the page's estimates of time are made from."""
    network = networks["td_cnn_lstm"]
    areas = [np.prod(layer.output.shape[1:3]) for layer in kinds(network, "Conv2D")]
    channels = itertools.pairwise((1, *FILTERS))
    each = [area * k * k * a * b for area, k, (a, b) in zip(areas, KERNELS, channels, strict=True)]
    assert 3 * sum(each) == pytest.approx(82e6, rel=0.01)
    epoch = 2880 * 3 * 2 * 3 * sum(each)  # gradients cost twice as much again
    assert epoch == pytest.approx(1.4e12, rel=0.02)


def test_lstm_and_attention(networks):
    (both,) = kinds(networks["td_cnn_bilstm_attention"], "Bidirectional")
    assert both.output.shape == (None, 3, 256)
    (attention,) = kinds(networks["td_cnn_bilstm_attention"], "AttentionPooling")
    states = np.random.default_rng(0).normal(size=(1, 3, 256)).astype("float32")
    scores = np.tanh(states @ np.asarray(attention.kernel) + np.asarray(attention.bias))
    weights = np.exp(scores) / np.exp(scores).sum(axis=1)
    np.testing.assert_allclose(np.asarray(attention(states)), (weights * states).sum(axis=1), rtol=1e-4, atol=1e-6)


def test_features_are_those_of_the_document(recipe):
    extractor = recipe.extractor
    window, overlap = extractor.window / extractor.rate, (extractor.window - extractor.hop) / extractor.rate
    assert (extractor.rate, window, overlap) == (16000, 0.025, 0.01)
    assert [type(step) for step in extractor.preprocess] == [Trim] and extractor.htk
    usual = recipe.variant("hop of 10 ms")
    assert usual.extractor.hop / usual.extractor.rate == 0.01 and usual.input_shape == (512, 128)


def test_no_frame_of_a_clip_is_dropped(recipe):
    sound = np.random.default_rng(0).normal(0, 0.1, round(5.28 * 16000)).astype("float32")  # RAVDESS's longest: 5.27 s
    values, length = recipe.extractor.extract_with_length((sound, 16000))
    chunk = recipe.hyperparameters["chunk"]
    assert recipe.hyperparameters["hop"] == chunk and len(values) == 3 * chunk
    assert length == 1 + len(sound) // 240 < len(values)


@pytest.mark.realdata
def test_no_frame_of_a_clip_is_dropped_in_ravdess(real_data, recipe):
    import soundfile

    paths = (real_data / "ravdess-emotional-speech-audio").rglob("*.wav")
    longest = max(soundfile.info(path).duration for path in paths)
    assert longest < recipe.extractor.seconds


def test_training_is_that_of_the_document(recipe):
    training = recipe.training
    assert (training.batch_size, training.epochs, training.patience) == (32, 200, None)
    for epochs in (60, 130):
        assert recipe.variant(f"{epochs} epochs").training.epochs == epochs
        assert recipe.variant(f"{epochs} epochs").copies == recipe.copies > 1
    assert recipe.variant("without noise").copies == 0


@pytest.mark.parametrize(("name", "kind"), [(MODELS[0], "uniform"), (MODELS[1], "white")])
def test_noise_is_that_of_the_formula(name, kind):
    """signal + K noise, with the powers of both after division by the 16-bit full scale."""
    (step,) = recipes.get(name).augmentation
    assert (step.kind, step.snr_low, step.snr_high) == (kind, 15, 30)
    signal = np.random.default_rng(1).normal(0, 0.2, 8000).astype("float32")
    drawn = step.generator(signal)
    target_snr = drawn.integers(15, 30, endpoint=True)
    noise = drawn.uniform(-1, 1, 8000) if kind == "uniform" else drawn.standard_normal(8000)
    norm_constant = 2.0 ** (16 - 1)
    s_power, n_power = (np.sum((each.astype(float) / norm_constant) ** 2) / 8000 for each in (signal, noise))
    k = np.sqrt(s_power / n_power * 10 ** (-target_snr / 10))
    np.testing.assert_allclose(step(signal, 16000), signal + k * noise, atol=1e-6)


def test_ratios_of_the_noise_are_whole_decibels_from_15_to_30():
    (step,) = recipes.get("td_cnn_bilstm_attention").augmentation
    tone = np.sin(np.arange(4000) / 10).astype("float32")
    ratios = []
    for seed in range(200):
        added = dataclasses.replace(step, seed=seed)(tone, 16000).astype(float) - tone
        ratios.append(10 * np.log10(np.sum(tone**2) / np.sum(added**2)))
    assert {round(ratio) for ratio in ratios} == set(range(15, 31))
    np.testing.assert_allclose(ratios, np.round(ratios), atol=0.01)


def test_early_recordings_are_for_training_and_later_ones_for_testing(recipe, ravdess):
    published = recipe.published
    assert (published.protocol, published.also) == ("temporal_80_10_10", ("random_80_10_10",))
    (fold,) = protocols.get(published.protocol)(ravdess)
    assert [len(rows) for rows in fold.sides().values()] == [1152, 144, 144]
    side = pd.Series("", ravdess.index)
    for name, rows in fold.sides().items():
        side.iloc[rows] = name
    order = {"train": 0, "validation": 1, "test": 2}
    for _, clips in ravdess.assign(side=side.map(order)).groupby(["speaker", "emotion"]):
        assert clips.sort_values("clip_id")["side"].is_monotonic_increasing


def test_file_order_within_an_actor_alone_would_leave_no_surprise_to_train_on(ravdess):
    """The literal reading of the document's split: why the emotion is part of the order."""
    late = ravdess.sort_values("clip_id").groupby("speaker")["emotion"]
    assert set(late.tail(6)) == {"surprised"}
    assert "surprised" not in set(late.head(48))
    by_file = protocols.Protocol("by_file", "", lambda table, labels, seed: [_last_tenths(table)])
    with pytest.raises(TableError, match="would train on no clip of 'surprised'"):
        by_file(ravdess)


def _last_tenths(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    place = table.sort_values("clip_id").groupby("speaker").cumcount().reindex(table.index).to_numpy()
    return np.flatnonzero((place >= 48) & (place < 54)), np.flatnonzero(place >= 54)


def test_ablations_of_the_second_model():
    recipe = recipes.get("td_cnn_bilstm_attention")
    without = {name: recipe.variant(f"without {name}").build(8) for name in ("LSTM", "dropout", "bidirectional")}
    assert not kinds(without["LSTM"], "LSTM") and not kinds(without["LSTM"], "Bidirectional")
    assert {layer.rate for layer in kinds(without["dropout"], "Dropout")} == {0.0}
    assert kinds(without["bidirectional"], "LSTM") and not kinds(without["bidirectional"], "Bidirectional")
    assert all(kinds(network, "AttentionPooling") for network in without.values())


def test_shortened_trainings_say_so_and_change_nothing_else(recipe):
    for name, changed in {"60 epochs, one copy": (60, 1), "20 epochs, without noise": (20, 0)}.items():
        short = recipe.variant(name)
        assert (short.training.epochs, short.copies) == changed
        assert (short.extractor, short.hyperparameters) == (recipe.extractor, recipe.hyperparameters)


def test_what_was_here_before_is_a_variant(recipe):
    tuned = recipe.variant("ours")
    assert tuned.extractor == features.LogMel(n_mels=32, seconds=3.0, preprocess=(Trim(top_db=30.0),))
    assert (tuned.hyperparameters["chunk"], tuned.training.patience, tuned.augmentation[0].whole) == (64, 15, False)
    assert {key: tuned.hyperparameters.get(key) for key in ("bidirectional", "attention")} == {
        key: recipe.hyperparameters.get(key) for key in ("bidirectional", "attention")
    }


def test_table_3_is_that_of_the_document():
    accuracy = {name: recipes.get(name).published.accuracy for name in MODELS}
    assert accuracy == {"td_cnn_lstm": (0.965,), "td_cnn_bilstm_attention": (0.981,)}
    recalls = [each["recall"] for each in recipes.get("td_cnn_bilstm_attention").published.classes.values()]
    assert np.mean(recalls) == pytest.approx(0.981, abs=5e-4)
    pairs = itertools.product(MODELS, recipes.get(MODELS[0]).published.classes)
    for name, emotion in pairs:
        each = recipes.get(name).published.classes[emotion]
        f1 = 2 * each["precision"] * each["recall"] / (each["precision"] + each["recall"])
        assert each["f1"] == pytest.approx(f1, abs=0.011)
