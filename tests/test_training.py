"""Training: repeatable, resumable to the bit, and plain about bad input."""

import numpy as np
import pytest

from ser_kit import models, training
from ser_kit.errors import TrainingError

FAST = training.Training(epochs=6, patience=6, halve_after=1, label_smoothing=0.1, batch_size=16, learning_rate=0.01)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 90)
    x = rng.normal(size=(90, 8)).astype("float32") + 1.5 * np.eye(3, 8, dtype="float32")[y]
    return (x[:64], y[:64]), (x[64:], y[64:])


def new_model(seed=1):
    training.seed_everything(seed)
    return models.get("mlp")((8,), 3, units=(16, 8), dropout=(0.3, 0.2), batch_norm=(True, False))


def run(data, checkpoint=None, settings=FAST, seed=1):
    (x, y), validation = data
    model = new_model(seed)
    history = training.fit(
        model, x, y, validation=validation, training=settings, seed=seed, checkpoint=checkpoint, progress=False
    )
    return model.get_weights(), history.drop(columns="seconds")


@pytest.fixture(scope="module")
def reference(data):
    return run(data)


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_same_seed_gives_the_same_weights_and_another_seed_others(data, reference):
    assert equal(run(data)[0], reference[0])
    assert not equal(run(data, seed=2)[0], reference[0])


def test_memory_mapped_input_trains_to_the_same_weights(data, reference, tmp_path):
    (x, y), (x_val, y_val) = data
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "x_val.npy", x_val)
    mapped = [np.load(tmp_path / name, mmap_mode="r") for name in ("x.npy", "x_val.npy")]
    weights, history = run(((mapped[0], y), (mapped[1], y_val)))
    assert equal(weights, reference[0])
    assert history.equals(reference[1])


def test_it_learns(reference):
    assert reference[1]["loss"].iloc[-1] < reference[1]["loss"].iloc[0]
    assert list(reference[1].columns) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


@pytest.mark.parametrize("stop_after", [1, 3, 5])
def test_an_interrupted_run_resumes_to_the_same_weights(data, reference, tmp_path, monkeypatch, stop_after):
    update = training._State.update

    def interrupt(self, row):
        update(self, row)
        if self.epoch == stop_after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(training._State, "update", interrupt)
        run(data, tmp_path)
    weights, history = run(data, tmp_path)
    assert equal(weights, reference[0])
    assert history.equals(reference[1])


def test_a_finished_run_is_not_trained_again(data, reference, tmp_path, monkeypatch):
    run(data, tmp_path)
    monkeypatch.setattr(training._State, "update", lambda *_: pytest.fail("trained again"))
    assert equal(run(data, tmp_path)[0], reference[0])


def test_a_checkpoint_of_another_run_is_refused(data, tmp_path):
    run(data, tmp_path)
    with pytest.raises(TrainingError, match="another run"):
        run(data, tmp_path, seed=3)


def test_best_weights_are_kept_and_patience_ends_training(data):
    (x, y), (x_val, y_val) = data
    model = new_model()
    # Validation labels that contradict training: the loss on them only rises once the model learns.
    history = training.fit(
        model, x, y, validation=(x_val, (y_val + 1) % 3), seed=1, progress=False,
        training=training.Training(epochs=60, patience=3, learning_rate=0.01),
    )  # fmt: skip
    best = history["val_loss"].idxmin()
    assert len(history) == best + 1 + 3 < 60
    targets = np.eye(3)[(y_val + 1) % 3]
    loss = -np.mean(np.sum(targets * np.log(model.predict(x_val, verbose=0)), axis=1))
    assert loss == pytest.approx(history["val_loss"][best], rel=1e-4)


def test_the_learning_rate_is_halved(data):
    (x, y), (x_val, y_val) = data
    history = training.fit(
        new_model(), x, y, validation=(x_val, (y_val + 1) % 3), seed=1, progress=False,
        training=training.Training(epochs=30, patience=6, halve_after=2, learning_rate=0.01),
    )  # fmt: skip
    assert history["learning_rate"].iloc[-1] == pytest.approx(0.01 / 2 ** ((6 - 1) // 2))


@pytest.mark.parametrize("spoil", ["nan", "empty", "length"])
def test_bad_input_is_named(data, spoil):
    (x, y), validation = data
    if spoil == "nan":
        x = x.copy()
        x[0, 0] = np.nan
    elif spoil == "empty":
        x, y = x[:0], y[:0]
    else:
        y = y[:-1]
    with pytest.raises(TrainingError, match="expected"):
        training.fit(new_model(), x, y, validation=validation, progress=False)


def test_scaler_ignores_padding_and_constant_dimensions():
    values = np.zeros((2, 4, 2), np.float32)
    values[:, :, 1] = 5.0
    values[0, :2, 0], values[1, :2, 0] = (1, 3), (5, 7)
    values[:, 2:, 0] = 1e6
    scaler = training.Scaler.fit(values, lengths=np.array([2, 2]))
    assert scaler.mean == pytest.approx([4, 5])
    assert scaler.scale == pytest.approx([np.std([1, 3, 5, 7]), 1])
    assert scaler.transform(values).dtype == np.float32
