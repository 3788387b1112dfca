"""Features in a file: the values of the array in memory to the last bit, in a fraction of its memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ser_kit import extraction, recipes
from ser_kit.core.errors import DamagedStoreWarning, StoreError
from ser_kit.extraction import OnDisk, Store
from ser_kit.extraction.on_disk import in_parts
from ser_kit.features import FrameFeatures, LogMel, Waveform
from ser_kit.recipes import prepared
from ser_kit.recipes.prepared import real_rows
from ser_kit.training import Training, fit, seed_everything
from ser_kit.training.data import Scaler

ROWS, DIMS = 6, 2


def both(counts, repeats, seed=0):
    """The same clips in memory and in a file."""
    rng = np.random.default_rng(seed)
    array = np.zeros((len(counts), ROWS, DIMS), np.float32)
    filed = OnDisk(array.shape, repeats=repeats)
    for place, count in enumerate(counts):
        rows = rng.normal(size=(count, DIMS)).astype(np.float32)
        array[place, :count] = rows
        if repeats:
            array[place, count:] = rows[-1]
        filed.put(place, rows)
    return array, filed


@settings(max_examples=60)
@given(st.lists(st.integers(1, ROWS), min_size=1, max_size=9), st.booleans(), st.data())
def test_it_stands_for_the_array(counts, repeats, data):
    array, filed = both(counts, repeats)
    n = len(array)
    assert (len(filed), filed.shape, filed.ndim, filed.dtype) == (n, array.shape, 3, array.dtype)
    assert filed.nbytes == array.nbytes
    rows = data.draw(st.one_of(
        st.lists(st.integers(-n, n - 1), max_size=12).map(lambda each: np.array(each, int)),
        st.lists(st.booleans(), min_size=n, max_size=n).map(np.array),
        st.slices(n),
    ))  # fmt: skip
    np.testing.assert_array_equal(np.asarray(filed[rows]), array[rows])
    again = data.draw(st.slices(len(array[rows])))
    np.testing.assert_array_equal(np.asarray(filed[rows][again]), array[rows][again])
    place = data.draw(st.integers(-n, n - 1))
    np.testing.assert_array_equal(filed[place], array[place])
    np.testing.assert_array_equal(list(filed), list(array))
    np.testing.assert_array_equal(filed[:, 1:3], array[:, 1:3])
    doubled = filed.then(lambda values: 2 * values)
    np.testing.assert_array_equal(np.asarray(doubled[rows]), 2 * array[rows])
    np.testing.assert_array_equal(np.concatenate([*in_parts(filed)]), array)


def test_what_is_beyond_it_is_refused_as_of_an_array():
    _, filed = both([1, 2], repeats=False)
    for wrong in (2, [5], np.array([True])):
        with pytest.raises(IndexError):
            filed[wrong]


def test_several_are_joined():
    (one, first), (other, second) = both([1, 6], False), both([3, 2, 4], False, seed=1)
    whole = OnDisk.joined([first[[1]], second, first])
    np.testing.assert_array_equal(np.asarray(whole), np.concatenate([one[[1]], other, one]))


@pytest.mark.parametrize("extractor", [Waveform(), Waveform(seconds=0.5), LogMel(seconds=2.0), FrameFeatures()])
def test_what_is_extracted_is_the_same(demo_few, extractor, tmp_path):
    table = demo_few.head(8)
    there = [
        extraction.extract(table, extractor, jobs=0, cache=tmp_path, most=most, progress=False) for most in (None, 0)
    ]
    array, filed = (found.values for found in there)
    assert isinstance(array, np.ndarray) and isinstance(filed, OnDisk)
    np.testing.assert_array_equal(np.asarray(filed), array)
    np.testing.assert_array_equal(there[0].lengths, there[1].lengths)
    few = there[1].subset([5, 0])
    np.testing.assert_array_equal(np.asarray(few.values), array[[5, 0]])


def test_one_row_per_clip_stays_in_memory(demo_functionals):
    table, extractor = demo_functionals.table.head(3), demo_functionals.extractor
    assert isinstance(extraction.extract(table, extractor, most=0, progress=False).values, np.ndarray)


def test_damaged_entries_are_extracted_anew(demo_few, tmp_path):
    table, extractor = demo_few.head(4), Waveform()
    array = extraction.extract(table, extractor, jobs=0, cache=tmp_path, progress=False).values
    with Store(tmp_path) as store:
        store._database.execute("UPDATE entries SET checksum = checksum + 1 WHERE rowid = 2")
    with pytest.warns(DamagedStoreWarning, match="1 entries"):
        filed = extraction.extract(table, extractor, jobs=0, cache=tmp_path, most=0, progress=False).values
    np.testing.assert_array_equal(np.asarray(filed), array)


@pytest.mark.parametrize("repeats", [False, True])
def test_a_scaler_is_fitted_some_clips_at_a_time(monkeypatch, repeats):
    monkeypatch.setattr("ser_kit.extraction.on_disk._PART", 3)
    lengths = np.random.default_rng(0).integers(1, ROWS + 1, 20)
    array, filed = both(lengths, repeats)
    for valid in (None, lengths):
        expected, found = Scaler.fit(array, valid), Scaler.fit(filed, valid)
        np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-6)
        np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-6)
        scaled = found.transform(filed[3:9])
        assert isinstance(scaled, OnDisk)
        np.testing.assert_array_equal(np.asarray(scaled), found.transform(array[3:9]))
    np.testing.assert_array_equal(real_rows(filed, lengths), real_rows(array, lengths))
    assert Scaler.identity(DIMS).transform(filed) is filed


def test_a_training_gives_the_same_weights_and_goes_on_from_the_same_checkpoint(tmp_path):
    import keras

    array, filed = both([1, 2, 3, 4, 5, 6] * 6, repeats=False)
    y = np.arange(36) % 2

    def trained(x, checkpoint):
        seed_everything(0)
        model = keras.Sequential([keras.Input((ROWS, DIMS)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
        history = fit(
            model, x[6:], y[6:], validation=(x[:6], y[:6]), training=Training(epochs=2, batch_size=8),
            checkpoint=checkpoint, progress=False,
        )  # fmt: skip
        return model.get_weights(), history["seconds"].tolist()

    expected, seconds = trained(array, tmp_path / "one")
    for checkpoint in ("one", "another"):
        found, again = trained(filed, tmp_path / checkpoint)
        assert (again == seconds) is (checkpoint == "one"), "what was trained on the array is not trained again"
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ahmadov_cnn_bilstm+ours", "from_scratch_single"])
def test_a_recipe_answers_the_same(name, demo_few, monkeypatch, eagerly):
    changes = {"training.epochs": 1}
    if name == "from_scratch_single":
        changes["hyperparameters"] = {"channels": (4, 4, 4, 4), "harmonic_channels": (), "width": 8, "heads": 1}
    recipe, found = recipes.get(name).with_settings(changes), []
    for most in (1 << 40, 0):
        monkeypatch.setattr(prepared, "MOST_IN_MEMORY", most)
        data = recipe.prepare(demo_few, jobs=0, progress=False)
        assert isinstance(data.features[recipe.extractor].values, OnDisk) is (most == 0)
        fold = recipe.folds(data, "speaker_80_20")[0]
        found.append(recipe.run_fold(data, fold, progress=False).predictions)
    columns = [column for column in found[0] if column.startswith("prob_")]
    np.testing.assert_allclose(found[0][columns], found[1][columns], atol=1e-5)


def test_a_full_disk_is_said_in_one_sentence(monkeypatch):
    filed = OnDisk((1, ROWS, DIMS), repeats=False)

    def full(values):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filed._files[0], "_file", type("Full", (), {"write": staticmethod(full)}))
    with pytest.raises(StoreError, match="No space left on device. Make room, or name another folder"):
        filed.put(0, np.zeros((1, DIMS), np.float32))


def test_going_through_a_file_holds_some_clips_at_a_time():
    filed = OnDisk((2000, 500, 4), repeats=False)
    for place in range(2000):
        filed.put(place, np.full((3, 4), place, np.float32))
    tracemalloc.start()
    total = sum(float(part[:, 0, 0].sum()) for part in in_parts(filed))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert total == 1999 * 1000 and most < filed.nbytes / 3
