"""ser_kit's own network: what it hears, and the system around it from samples to a bundle of one file."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from quick import perceptron

from ser_kit import models, protocols, recipes
from ser_kit.audio import read_audio
from ser_kit.bundles.bundle import Bundle
from ser_kit.inference.predictor import DEFAULT_PRESET, Predictor

pytestmark = pytest.mark.slow

RATE = 16000
SMALL = {"channels": (4, 4, 4, 4), "harmonic_channels": (4, 4, 4, 4), "width": 8, "heads": 1}


@pytest.fixture(scope="module")
def harmonics():
    models.import_keras()
    from ser_kit.models.layers import HarmonicSpectrogram

    layer = HarmonicSpectrogram()
    return lambda samples: np.asarray(layer(np.atleast_2d(samples).astype("float32")))[0]


def tone(hertz, seconds=1.0):
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)


@pytest.mark.parametrize("hertz", [85, 120, 200, 440, 1000, 1200])
def test_a_tone_is_loudest_in_its_band_at_its_level(harmonics, hertz):
    spectrum = harmonics(tone(hertz))
    assert spectrum.shape == (101, 64)
    octaves = np.log2(hertz / 80)
    assert abs(spectrum[50].argmax() - 16 * octaves) <= 0.51
    louder = harmonics(2 * tone(hertz))
    np.testing.assert_allclose(louder[50].max() - spectrum[50].max(), 20 * np.log10(2), atol=0.01)


def test_an_octave_up_is_the_same_picture_moved_up(harmonics):
    def peaks(pitch):
        voice = sum(tone(k * pitch) / k for k in range(1, 5))
        levels = harmonics(voice)[50]
        return {i for i in range(1, 63) if levels[i] > max(levels[i - 1], levels[i + 1]) and levels[i] > 10}

    assert {i + 16 for i in peaks(125)} == peaks(250)


@pytest.mark.parametrize("hertz", [1990, 2500, 3200, 5000, 7900])
def test_what_lies_above_the_bands_does_not_fold_into_them(harmonics, hertz):
    assert harmonics(tone(hertz))[50].max() < harmonics(tone(440))[50].max() - 50


def test_frames_stand_where_those_of_the_mel_spectrogram_do(harmonics):
    from ser_kit.models.layers import LogMelSpectrogram

    for n in (1600, 15999, 16000, 16001, 16159, 16160):
        samples = np.zeros(n)
        samples[n // 2] = 1  # a click
        mel = np.asarray(LogMelSpectrogram()(samples[None].astype("float32")))[0].sum(axis=1)
        narrow = harmonics(samples).sum(axis=1)
        assert len(mel) == len(narrow) == 1 + n // 160
        centre = (narrow > narrow.min() + 1).nonzero()[0].mean()
        assert abs(centre - n // 2 / 160) < 1, "the click is in the middle of the frames that hold it"


def test_silence_is_the_floor(harmonics):
    np.testing.assert_allclose(harmonics(np.zeros(8000)), -100)


@pytest.mark.parametrize("wrong", [{"bands": 80}, {"hop": 161}, {"rate": 8000}])
def test_bands_beyond_what_is_kept_are_refused(wrong):
    models.import_keras()
    from ser_kit.models.layers import HarmonicSpectrogram

    with pytest.raises(ValueError, match="expected at most"):
        HarmonicSpectrogram(**wrong)


@pytest.mark.parametrize(("name", "most"), [("Vtlp", 0.1), ("BandShift", 2.0), ("Tempo", 0.12)])
class TestSimulatedSpeakers:
    """The layers that move formants, pitch and tempo while a network trains."""

    @pytest.fixture
    def layer(self, name, most):
        keras = models.import_keras()
        from ser_kit.models import layers

        keras.utils.set_random_seed(0)
        return getattr(layers, name)(most)

    def test_a_clip_that_is_heard_is_left_alone(self, layer):
        x = np.random.default_rng(0).uniform(size=(3, 50, 64)).astype("float32")
        np.testing.assert_array_equal(layer(x), x)
        np.testing.assert_array_equal(type(layer)(0)(x, training=True), x)

    def test_a_peak_moves_as_far_as_said_and_otherwise_in_every_clip(self, layer, name, most):
        from ser_kit.features.spectra import mel_corners

        axis = 1 if name == "Tempo" else 2
        places = {"Vtlp": mel_corners(RATE, 64)[1:-1], "BandShift": np.arange(64), "Tempo": np.arange(64)}[name]
        x = np.zeros((200, 64, 64), "float32")
        for i, height in ((-2, 0.25), (-1, 0.75), (0, 1), (1, 0.75), (2, 0.25)):
            x[(slice(None),) * axis + (40 + i,)] = height
        moved = np.asarray(layer(x, training=True))
        assert moved.min() >= 0 and moved.max() <= 1
        found = places[moved.sum(axis=3 - axis).argmax(axis=1)]
        step = places[41] - places[40]
        if name == "BandShift":
            low, high = places[40] - most, places[40] + most
        else:
            low, high = places[40] / (1 + most), places[40] / (1 - most)
        assert low - step <= found.min() <= low + step and high - step <= found.max() <= high + step

    def test_it_comes_back_from_a_file(self, layer):
        again = type(layer).from_config(layer.get_config())
        assert (again.most, again.name) == (layer.most, layer.name)


@pytest.mark.parametrize("samples", [1600, 10079, 10080, 10239, 10240, 20000])
def test_lengths_are_few_and_nothing_is_cut_off(samples):
    from ser_kit.models.layers import LogMelSpectrogram, WholeFrames

    x = np.random.default_rng(0).normal(size=(2, samples)).astype("float32")
    whole = np.asarray(WholeFrames(frames=64, hop=160)(x))
    np.testing.assert_array_equal(whole[:, :samples], x)
    assert not whole[:, samples:].any()
    frames = LogMelSpectrogram()(whole).shape[1]
    assert frames % 64 == 0 and frames - 64 < 1 + samples // 160 <= frames, "the next multiple"


def test_its_size_is_the_documented_one():
    assert recipes.get("from_scratch_single").build(8).count_params() == 272_236


def test_how_loud_and_how_long_before_and_after_changes_little():
    models.import_keras().utils.set_random_seed(0)
    network = models.get("dual_view_cnn")((None, 1), 4)
    rng = np.random.default_rng(0)
    voice = sum(tone(k * 180) / k for k in range(1, 20)) * (1.2 + np.sin(np.arange(RATE) / 1500))
    clip = (0.1 * voice + 1e-3 * rng.normal(size=RATE)).astype("float32")

    def said(samples):
        return np.asarray(network(samples[None, :, None]))[0]

    np.testing.assert_allclose(said(0.2 * clip), said(clip), atol=1e-4)
    np.testing.assert_allclose(said(np.pad(clip, (0, 9600))), said(clip), atol=0.02)


def test_the_house_system_from_samples_to_one_file(demo_few, tmp_path, eagerly):
    quick = {"training.epochs": 1, "hyperparameters": SMALL, "training.batch_size": 30, "rounds": 2}
    system = recipes.get("from_scratch").with_settings(quick)
    material = system.prepare(demo_few, jobs=0, progress=False)
    (fold,) = protocols.get("speaker_80_20")(material.table, 0)
    evaluation = system.run_fold(material, fold, progress=False)
    assert len(evaluation.predictions) == len(fold.test) and len(evaluation.histories) == 2
    bundle = system.fit(material, evaluation=evaluation, jobs=0, progress=False)
    assert len(bundle.members) == 1 and bundle.members[0].builder == "committee"
    folder = bundle.save(tmp_path / "bundle")
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "card.json", "model.keras", "model.onnx"]
    assert "ensemble of 2 networks" in (folder / "README.md").read_text()
    path = demo_few["path"][0]
    predictor = Predictor.from_bundle(folder)
    answer = predictor.predict(path)
    assert predictor.bundle.runtime is not None and predictor.bundle.members._found == (), "model.onnx answers"
    np.testing.assert_allclose(sum(answer.probabilities.values()), 1)
    values = bundle.extractors[0].extract(path)[None]
    np.testing.assert_allclose(list(answer.probabilities.values()), bundle.probabilities(values)[0], atol=1e-6)


def test_members_joined_say_what_they_said_apart(demo_few, tmp_path, eagerly):
    system = recipes.Ensemble.of(perceptron(training__epochs=1, scale=False), method="seeds", rounds=4)
    material = system.prepare(demo_few, jobs=0, progress=False)
    (fold,) = system.folds(material, "speaker_80_20")
    split = system._split(material, fold.train, fold.validation, 0, None, "x", False, "x")
    apart, _ = system._fitted(split)
    joined = apart.joined()
    assert (len(apart.members), len(joined.members)) == (4, 1)
    values = material.values(fold.test)
    np.testing.assert_allclose(joined.probabilities(values), apart.probabilities(values), atol=1e-6)
    assert joined.parameters == apart.parameters
    assert joined.joined() is joined

    first = apart.members[0]
    other = [
        dataclasses.replace(apart, members=(first, dataclasses.replace(first, weight=2.0))),
        dataclasses.replace(apart, members=(first, dataclasses.replace(first, columns=first.columns[1:]))),
        dataclasses.replace(apart, card={**apart.card, "combine": "hard"}),
    ]
    for bundle in other:
        assert bundle.joined() is bundle, "what differs in more than weights stays apart"
    assert isinstance(joined, Bundle)


@pytest.mark.parametrize(("preset", "most"), [("from_scratch", 0.1), (DEFAULT_PRESET, 0.05)])
def test_an_offset_or_a_rumble_changes_no_answer(preset, most, some_clips):
    predictor = Predictor.from_preset(preset)
    for path in some_clips["path"].iloc[:6]:
        plain = read_audio(path, sr=16000).samples
        rumble = 0.1 * np.sin(2 * np.pi * 10 * np.arange(len(plain)) / 16000)
        answers = [predictor.predict((plain + what, 16000)) for what in (0, 0.1, rumble)]
        for answer in answers[1:]:
            assert (answer.emotion, answer.uncertain) == (answers[0].emotion, answers[0].uncertain)
            differences = [abs(p - answers[0].probabilities[e]) for e, p in answer.probabilities.items()]
            assert max(differences) < most
        assert answers[1].probabilities == pytest.approx(answers[0].probabilities, abs=1e-3)
