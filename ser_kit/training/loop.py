"""One Keras model, fitted: seeds, class weights, early stopping, a progress bar, interruption and resume.

The order of the clips in epoch *e* follows from the seed and *e* alone and everything else that changes during training
(weights, optimiser, dropout generators, early stopping) is in the checkpoint, so a run that was killed and started
again ends with the same weights as one that was left alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import time
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..core.backend import import_keras
from ..core.config import BOOLEAN, Settings, listed
from ..core.errors import DamagedCheckpointWarning, TrainingError
from ..core.parallel import ahead, cores
from ..core.paths import write_whole
from ..models import kernels
from .batches import BatchAugmentation, Mixup, batch_augmentation

if TYPE_CHECKING:
    import keras
    import pandas as pd


_OPTIMIZERS = frozenset(
    ["adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "muon", "nadam", "rmsprop", "sgd"]
)


@dataclass(frozen=True)
class Training(Settings):
    """Settings of one training.

    Raises:
        TrainingError: a setting is not what it may be, or two of them contradict each other.

    Args:
        optimizer: a Keras optimiser's name, such as ``"adam"`` or ``"nadam"``.
        learning_rate: its initial step size, up to 100.
        label_smoothing: of the cross-entropy, 0 to 0.99.
        batch_size: clips in a step.
        epochs: the most epochs to train.
        patience: stop when the validation loss has not improved for that many epochs; the best weights are kept.
            ``None`` trains all epochs and keeps the last weights.
        halve_after: halve the learning rate when it has not improved for that many; ``None`` never does.
        cosine: let the learning rate rise over the first tenth of the steps and fall along a half cosine to nothing
            over the others (Loshchilov & Hutter, "SGDR", ICLR 2017).
        weight_decay: of the optimiser, as a share of the learning rate; 0 is none.
        clip_norm: longest gradient of all weights together; 0 is no limit.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").
        mask_absent: judge each clip among the classes only that its corpus has: one without surprise says nothing about
            surprise. Not together with :class:`~ser_kit.training.batches.Mixup`.
        augment: changes of each training batch, such as :class:`~ser_kit.training.batches.SpecAugment` or its name, drawn anew
            every epoch.
        speaker_penalty: weight of the reversed gradient of a second head that learns to tell the training speakers
            apart from what the last layer sees; above 0 the network is pushed to forget who speaks (Ganin et al.,
            "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016). 0 leaves the head out.
        pretrain: ``"rbm"`` or ``"autoencoder"``: train the hidden layers of an ``mlp`` greedily, without labels, first.
        by_segment: train the inner model of ``segment_dnn`` on single segments; the whole network judges clips.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    label_smoothing: float = 0.0
    batch_size: int = 32
    epochs: int = 100
    patience: int | None = 10
    halve_after: int | None = None
    cosine: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    class_weights: bool = True
    mask_absent: bool = False
    augment: tuple[BatchAugmentation, ...] = ()
    speaker_penalty: float = 0.0
    pretrain: str | None = None
    by_segment: bool = False

    name: ClassVar[str] = "training"
    error = TrainingError
    valid = {
        "optimizer": _OPTIMIZERS,
        "learning_rate": (1e-9, 100.0),
        "label_smoothing": (0.0, 0.99),
        "batch_size": range(1, 1_000_001),
        "epochs": range(1, 1_000_001),
        "patience": range(1, 1_000_001),
        "halve_after": range(1, 1_000_001),
        "cosine": BOOLEAN,
        "weight_decay": (0.0, 100.0),
        "clip_norm": (0.0, 1e6),
        "class_weights": BOOLEAN,
        "mask_absent": BOOLEAN,
        "speaker_penalty": (0.0, 1000.0),
        "pretrain": frozenset({"autoencoder", "rbm"}),
        "by_segment": BOOLEAN,
    }

    @classmethod
    def _called(cls, key: str) -> str:
        return f"training.{key}"

    def __post_init__(self):
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", self.optimizer.lower())
        super().__post_init__()
        changes = listed("training.augment", self.augment, TrainingError)
        object.__setattr__(self, "augment", tuple(batch_augmentation(described) for described in changes))
        if self.cosine and self.halve_after:
            raise TrainingError("cosine and halve_after both set the learning rate; expected one of them")
        if self.mask_absent and any(isinstance(change, Mixup) for change in self.augment):
            raise TrainingError("mask_absent tells what a clip cannot be, which is lost where mixup joins two")


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardisation with the mean and standard deviation of training clips.

    Args:
        mean: ``[dims]``.
        scale: ``[dims]``; 1 where a dimension never changes.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def identity(cls, dims: int) -> Scaler:
        """The scaler that changes nothing."""
        return cls(np.zeros(dims, np.float32), np.ones(dims, np.float32))

    @classmethod
    def fit(cls, values: np.ndarray, lengths: np.ndarray | None = None) -> Scaler:
        """Measure training clips.

        Args:
            values: ``[clips, dims]`` or ``[clips, frames, dims]``.
            lengths: ``[clips]`` valid frames of each clip; padding beyond them is not measured.
        """
        if lengths is not None:
            rows = values[np.arange(values.shape[1])[None, :] < lengths[:, None]]
        else:
            rows = values.reshape(-1, values.shape[-1])
        scale = rows.std(axis=0, dtype=np.float64)
        # A constant dimension carries nothing: dividing by its rounding noise would blow it up.
        scale[scale < 1e-6 * np.maximum(1.0, np.abs(rows).max(axis=0))] = 1.0
        return cls(rows.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32))

    def transform(self, values: np.ndarray) -> np.ndarray:
        """Standardised copy, float32, of the shape given; the values themselves where nothing would change."""
        if not self.mean.any() and (self.scale == 1).all():
            return values.astype(np.float32, copy=False)
        return ((values - self.mean) / self.scale).astype(np.float32)


def sequence(seed: int, *place: str | int) -> np.random.SeedSequence:
    """What a generator of its own is seeded with, for one of the places where a training draws.

    ``numpy.random.default_rng((seed, epoch))`` would be the generator of ``(seed, epoch, 0)`` too, and seeds that are
    added up meet those of other runs.

    Args:
        seed: of the whole, 0 or more.
        place: names and numbers of what draws, such as ``"epoch", 3``; numbers 0 or more.

    Examples:
        >>> one, other = (np.random.default_rng(sequence(0, "epoch", *place)) for place in ([1], [1, 0]))
        >>> one.random() == other.random()
        False
    """
    key = (zlib.crc32(part.encode()) if isinstance(part, str) else part for part in place)
    return np.random.SeedSequence(seed, spawn_key=tuple(key))


def subseed(seed: int, *place: str | int) -> int:
    """The seed of a part of a run, such as of one member of an ensemble, which no other part and no other run has.

    Args:
        seed: of the whole, 0 or more.
        place: as for :func:`sequence`.

    Returns:
        An integer of 32 bits, which is what scikit-learn and Keras take.

    Examples:
        >>> len({subseed(seed, "member", i) for seed in range(10) for i in range(10)})
        100
    """
    return int(sequence(seed, *place).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Make what follows repeatable: Python, NumPy and backend generators, and deterministic kernels.

    Call it before the model is built, since its initial weights are drawn then.
    """
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()


def fit(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray,
    *,
    validation: tuple[np.ndarray, np.ndarray] | None,
    training: Training = Training(),
    weights: np.ndarray | None = None,
    speakers: np.ndarray | None = None,
    corpora: tuple[np.ndarray, np.ndarray] | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike | None = None,
    keep_zeros: bool = False,
    progress: bool = True,
    title: str = "train",
) -> pd.DataFrame:
    """Train a model in place; it ends with the weights of its best epoch.

    Args:
        model: uncompiled, built after :func:`seed_everything`.
        x: ``[clips, ...]`` training inputs.
        y: ``[clips]`` class indices.
        validation: the same for the validation clips, whose loss decides when to stop; ``None`` where nothing waits for
            it, and all clips are better trained on.
        training: the settings.
        weights: ``[clips]`` of the training clips, multiplied with the class weights.
        speakers: ``[clips]`` who speaks in the training clips, any values; needed for a speaker penalty.
        corpora: of the training clips and of the validation clips, ``[clips]`` each; needed to mask absent classes.
        seed: order of the clips in each epoch, and what batch augmentation draws.
        checkpoint: folder for the state after each epoch. When it holds a state, training goes on from there;
            after Ctrl-C (or a power cut) call again with the same arguments.
        keep_zeros: weights of :func:`ser_kit.models.kernels` that are zero stay so, as those of a pruned network; not
            together with a speaker penalty.
        progress: show a progress bar.
        title: what stands before the bar.

    Returns:
        A row an epoch: ``epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, seconds``.

    Raises:
        TrainingError: an input is empty or not finite, patience lacks validation clips, a speaker penalty its speakers
            or a mask its corpora, or the checkpoint belongs to another run.

    Examples:
        >>> import numpy as np
        >>> from ser_kit import models, training
        >>> x, y = np.random.default_rng(0).normal(size=(64, 8)).astype("float32"), np.arange(64) % 2
        >>> training.seed_everything(0)
        >>> model = models.get("mlp")((8,), 2, units=(4,), dropout=(0,), batch_norm=(False,))
        >>> history = training.fit(model, x, y, validation=(x, y), training=training.Training(epochs=2), progress=False)
        >>> len(history)
        2
    """
    import pandas as pd
    from tqdm.auto import tqdm

    if validation is None and (training.patience is not None or training.halve_after):
        raise TrainingError("patience and halve_after wait for the validation loss; expected validation clips")
    x_val, y_val = (x[:0], y[:0]) if validation is None else validation
    given = [("training", x, y)] + [("validation", x_val, y_val)] * (validation is not None)
    for name, inputs, targets in given:
        if len(inputs) == 0 or len(inputs) != len(targets):
            raise TrainingError(
                f"{len(inputs)} {name} inputs for {len(targets)} labels; expected one each, at least one"
            )
        if not np.isfinite(inputs).all():
            raise TrainingError(f"the {name} inputs hold NaN or infinite values; expected finite features")

    if training.speaker_penalty and (speakers is None or len(set(speakers)) < 2):
        raise TrainingError("a speaker penalty needs the speakers of the training clips, two at least")
    if training.speaker_penalty and keep_zeros:
        raise TrainingError("a pruned network is trained further without a speaker penalty")
    if training.mask_absent and corpora is None:
        raise TrainingError("to mask the classes that a corpus lacks, training needs the corpora of the clips")

    n_classes = model.output_shape[-1]
    clip_weights = np.ones(len(y), np.float32) if weights is None else np.asarray(weights, np.float32)
    if training.class_weights:
        counts = np.bincount(y, minlength=n_classes)
        clip_weights = clip_weights * (len(y) / (np.count_nonzero(counts) * counts[y])).astype(np.float32)
    targets, targets_val = np.eye(n_classes, dtype=np.float32)[y], np.eye(n_classes, dtype=np.float32)[y_val]
    if training.mask_absent:
        mine, theirs = map(np.asarray, corpora)
        for corpus in np.unique(mine):
            absent = np.setdiff1d(np.arange(n_classes), y[mine == corpus])
            for wanted, clips in ((targets, mine == corpus), (targets_val, theirs == corpus)):
                part = wanted[:, absent]
                wanted[:, absent] = np.where(clips[:, None] & (part == 0), _ABSENT, part)
    voices = np.zeros((len(y), 0), np.float32)
    if training.speaker_penalty:
        codes = np.unique(np.asarray(speakers), return_inverse=True)[1]
        voices = np.eye(codes.max() + 1, dtype=np.float32)[codes]

    kept = [np.asarray(kernel) != 0 for kernel in kernels(model)] if keep_zeros else []
    identity = _run_identity(model, (x, targets, x_val, targets_val, clip_weights, voices, *kept), training, seed)
    if training.speaker_penalty:
        from .adversary import with_adversary

        model = with_adversary(model, voices.shape[1], training.speaker_penalty)  # around it, sharing its layers
    with _compiled(model, training, steps=-(-len(x) // training.batch_size)) as compiled:
        state = _State(compiled, training, checkpoint, identity)
        step = _keeping_zeros(compiled, kept) if keep_zeros else compiled.train_on_batch
        nobody = np.zeros((len(y_val), voices.shape[1]), np.float32)
        with tqdm(
            total=training.epochs, initial=state.epoch, desc=title, unit="epoch", disable=not progress, leave=False
        ) as bar:
            while not state.finished:
                began, epoch = time.perf_counter(), state.epoch
                drawn = _shuffled(x, targets, voices, clip_weights, training, seed, epoch)
                logs = _mean(step, drawn)
                if validation is not None:
                    found = _mean(compiled.test_on_batch, _in_order(x_val, targets_val, nobody))
                    logs |= {f"val_{name}": value for name, value in found.items()}
                state.update(_row(logs, training, compiled.optimizer, epoch + 1, time.perf_counter() - began))
                bar.set_postfix_str(state.summary)
                bar.update()
        state.restore_best()
    return pd.DataFrame(state.history)


_MOST_THREADS = 4  # that make batches: a network on a GPU takes no more of them
_DRAWN = 2  # another number when the same seed begins to draw otherwise
_ABSENT = -1.0  # in a clip's targets: a class that its corpus does not have

_idle: dict[tuple, tuple[keras.Model, list[np.ndarray]]] = {}
"""The compiled model that was trained last and the first state of its optimiser, by all that its training function
depends on."""


@contextmanager
def _compiled(model: keras.Model, training: Training, steps: int) -> Iterator[keras.Model]:
    """A compiled copy of the model, whose state the model takes over when the training ends.

    To trace and compile a training function takes seconds, longer than a small network learns. So networks that differ
    in nothing but their weights, such as those of a run's folds, are trained in one copy after the other.
    """
    import keras

    key = (_architecture(model), repr(training), steps if training.cosine else None, keras.config.dtype_policy().name)
    if key in _idle:
        copy, first = _idle.pop(key)
    else:
        _idle.clear()
        copy = keras.models.clone_model(model)
        _compile(copy, training, steps)
        copy.optimizer.build(copy.trainable_variables)
        first = [np.asarray(variable).copy() for variable in copy.optimizer.variables]
    _assign(copy.optimizer.variables, first)
    _assign(copy.variables, model.variables)
    yield copy
    _assign(model.variables, copy.variables)
    _idle[key] = copy, first


def _keeping_zeros(model: keras.Model, kept: Sequence[np.ndarray]) -> Callable[..., dict[str, float]]:
    """The model's training step, after which what is not kept of its kernels is zero."""
    pairs = list(zip(kernels(model), [mask.astype(np.float32) for mask in kept], strict=True))

    def step(*batch, **settings):
        logs = model.train_on_batch(*batch, **settings)
        for kernel, mask in pairs:
            kernel.assign(kernel.value * mask)
        return logs

    return step


def _assign(variables, values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _architecture(model: keras.Model) -> str:
    """The layers, their settings and how they are joined; layers go by their places, since Keras numbers their names
    within a process."""
    places: dict[str, int] = {}

    def nameless(value):
        if isinstance(value, dict):
            named = value.get("config")
            if isinstance(named, dict) and "name" in named and value["class_name"] != "DTypePolicy":
                places[named["name"]] = len(places)
            return {key: nameless(each) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [nameless(each) for each in value]
        return places.get(value, value) if isinstance(value, str) else value

    return str(nameless({"class_name": type(model).__name__, "config": model.get_config()}))


def _compile(model: keras.Model, training: Training, steps: int) -> None:
    import keras

    rate = training.learning_rate
    if training.cosine:
        steps *= training.epochs
        rise = max(1, steps // 10)
        rate = keras.optimizers.schedules.CosineDecay(0.0, max(1, steps - rise), warmup_target=rate, warmup_steps=rise)
    settings = {"learning_rate": rate, "weight_decay": training.weight_decay, "global_clipnorm": training.clip_norm}
    settings = {key: value for key, value in settings.items() if value}
    optimizer = keras.optimizers.get({"class_name": training.optimizer, "config": settings})
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=training.label_smoothing)
    if training.mask_absent:
        loss = _masked_crossentropy(training.label_smoothing)
    metrics = [keras.metrics.CategoricalAccuracy(name="accuracy")]
    if training.speaker_penalty:
        loss = {"emotion": loss, "speaker": keras.losses.CategoricalCrossentropy()}
        metrics = {"emotion": metrics}
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics)


def _masked_crossentropy(label_smoothing: float):
    """Cross-entropy among the classes that are not marked as absent."""
    from keras import ops

    def loss(wanted, said):
        present = ops.cast(wanted > _ABSENT / 2, said.dtype)
        wanted = ops.cast(wanted, said.dtype) * present
        even = present / ops.sum(present, axis=-1, keepdims=True)
        said = said * present
        said = said / ops.maximum(ops.sum(said, axis=-1, keepdims=True), 1e-7)
        wanted = (1 - label_smoothing) * wanted + label_smoothing * even
        return -ops.sum(wanted * ops.log(ops.maximum(said, 1e-7)), axis=-1)

    return loss


def _run_identity(model, arrays: tuple[np.ndarray, ...], training: Training, seed: int) -> str:
    """What must be equal for a checkpoint to be this run's own."""
    digest = hashlib.blake2b(digest_size=16)
    facts = [_DRAWN, repr(training), seed, [array.shape for array in arrays], _architecture(model)]
    digest.update(json.dumps(facts).encode())
    for array in arrays:
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _shuffled(x, targets, voices, weights, training: Training, seed: int, epoch: int) -> Iterator[tuple]:
    """The batches of one epoch; the seed and its number decide about their order and their augmentation.

    Of arrays, memory-mapped ones too, a batch at a time is copied and never the whole.
    """
    order = np.random.default_rng(sequence(seed, "epoch", epoch)).permutation(len(x))

    def made(index: int) -> tuple:
        rows = order[index * training.batch_size : (index + 1) * training.batch_size]
        inputs, wanted, who, counts = x[rows], targets[rows], voices[rows], weights[rows]
        if training.augment:
            rng = np.random.default_rng(sequence(seed, "epoch", epoch, "batch", index))
            # What mixes clips mixes all that is wanted of them. A label counts as much as its clip, so that one of
            # weight 0 says nothing where it is mixed with another.
            joined = np.column_stack([wanted * counts[:, None], who, counts])
            for change in training.augment:
                inputs, joined = change(inputs, joined, rng)
            wanted, who, counts = np.split(joined, [wanted.shape[1], joined.shape[1] - 1], axis=1)
            wanted, counts = np.divide(wanted, counts, out=np.zeros_like(wanted), where=counts > 0), counts[:, 0]
        return _batch(inputs, wanted, who, counts, heard=1)

    count = -(-len(x) // training.batch_size)
    # Much of what augmentation does, such as resampling, lets other threads run.
    threads = min(cores(), _MOST_THREADS)
    yield from ahead(made, range(count), threads) if training.augment else map(made, range(count))


def _in_order(x, targets, voices, batch_size: int = 256) -> Iterator[tuple]:
    """The batches to validate on, where nobody knows the speakers and their head counts nothing."""
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        inputs = np.asarray(x[rows])
        yield _batch(inputs, targets[rows], voices[rows], np.ones(len(inputs), np.float32), heard=0)


def _batch(inputs, wanted, voices, weights, heard: int) -> tuple:
    """Inputs, what is wanted of each head, and how much each clip counts there."""
    if not voices.shape[1]:
        return inputs, wanted, weights
    heard = np.full(len(inputs), heard, np.float32)
    return inputs, {"emotion": wanted, "speaker": voices}, {"emotion": weights, "speaker": heard}


def _mean(step: Callable, batches: Iterable[tuple]) -> dict[str, float]:
    """What a step says of each batch, such as its loss, averaged over the clips.

    ``Model.fit`` would do this too, through a data pipeline that takes longer than a small network itself.
    """
    sums: dict[str, float] = {}
    clips = 0
    for inputs, wanted, weights in batches:
        for name, value in step(inputs, wanted, weights, return_dict=True).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(inputs)
        clips += len(inputs)
    return {name: value / clips for name, value in sums.items()}


def _row(logs: dict[str, float], training: Training, optimizer, epoch: int, seconds: float) -> dict[str, float]:
    """What the history says of an epoch."""
    names = ["loss", "accuracy", "val_loss", "val_accuracy"]
    # With an adversary beside it, the emotion's own figures go by longer names.
    known = {n: re.sub(r"(loss|accuracy)$", r"emotion_\1", n) if training.speaker_penalty else n for n in names}
    found = {name: logs.get(known[name], np.nan) for name in names}
    return {"epoch": epoch, **found, "learning_rate": float(optimizer.learning_rate), "seconds": seconds}


class _State:
    """All that a training must remember from one epoch to the next, in memory and (optionally) on disk."""

    def __init__(self, model, training: Training, folder, identity: str):
        self.model, self.training, self.identity = model, training, identity
        self.folder = Path(folder) if folder is not None else None
        self.history: list[dict] = []
        self.best_loss, self.best_weights, self.stale, self.stale_rate = np.inf, None, 0, 0
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            if (self.folder / "state.json").exists():
                self._read()

    @property
    def epoch(self) -> int:
        return len(self.history)

    @property
    def finished(self) -> bool:
        patience = self.training.patience
        return self.epoch >= self.training.epochs or (patience is not None and self.stale >= patience)

    def update(self, row: dict) -> None:
        """Take in one epoch: early stopping, learning rate, checkpoint."""
        self.history.append(row)
        better = row["val_loss"] < self.best_loss
        if better:
            self.best_loss, self.stale, self.stale_rate = row["val_loss"], 0, 0
        else:
            self.stale += 1
            self.stale_rate += 1
        if better or self.training.patience is None:
            self.best_weights = self.model.get_weights()
        if self.training.halve_after and self.stale_rate >= self.training.halve_after:
            self.model.optimizer.learning_rate = float(self.model.optimizer.learning_rate) / 2
            self.stale_rate = 0
        if self.folder is not None:
            self._write()

    @property
    def summary(self) -> str:
        """How the last epoch went, in a few words."""
        last = self.history[-1]
        if np.isfinite(last["val_loss"]):
            return f"validation accuracy {last['val_accuracy']:.3f}, loss {last['val_loss']:.3f}"
        return f"accuracy {last['accuracy']:.3f}, loss {last['loss']:.3f}"

    def restore_best(self) -> None:
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def _write(self) -> None:
        arrays = {f"variable_{i:04d}": np.asarray(v) for i, v in enumerate(self._variables())}
        arrays |= {f"best_{i:04d}": w for i, w in enumerate(self.best_weights or [])}
        state = {
            "identity": self.identity, "history": self.history, "best_loss": self.best_loss,
            "stale": self.stale, "stale_rate": self.stale_rate, "arrays": f"epoch_{self.epoch:04d}.npz",
        }  # fmt: skip
        packed = io.BytesIO()
        np.savez(packed, **arrays)
        # The JSON names its arrays, which are on the disk before it, and is replaced in one step: a kill or a power cut
        # at any moment leaves a whole state.
        self.folder.mkdir(parents=True, exist_ok=True)
        write_whole(self.folder / state["arrays"], packed.getbuffer())
        write_whole(self.folder / "state.json", json.dumps(state).encode())
        for old in self.folder.glob("epoch_*.npz"):
            if old.name != state["arrays"]:
                old.unlink()

    def _read(self) -> None:
        variables = self._variables()
        try:
            state = json.loads((self.folder / "state.json").read_bytes())
            other = state["identity"] != self.identity
            if not other:
                history, best_loss = state["history"], float(state["best_loss"])
                stale, stale_rate = int(state["stale"]), int(state["stale_rate"])
                path = self.folder / state["arrays"]
                with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                    found = [arrays[f"variable_{i:04d}"] for i in range(len(variables))]
                    best = [arrays[name] for name in sorted(arrays.files) if name.startswith("best_")]
                for value, variable in zip([*found, *best], [*variables, *self.model.weights], strict=False):
                    if value.shape != tuple(variable.shape):
                        raise ValueError(f"an array of shape {value.shape} stands for one of {tuple(variable.shape)}")
        except Exception as error:  # JSON, ZIP and NumPy raise many kinds over spoiled bytes
            warnings.warn(
                f"{self.folder} holds a damaged checkpoint ({error}); this training starts anew",
                DamagedCheckpointWarning,
                stacklevel=2,
            )
            return
        if other:
            raise TrainingError(
                f"{self.folder} holds the checkpoint of another run (other data, model, settings or seed); "
                "delete that folder to start anew, or give another one"
            )
        self.history, self.best_loss, self.stale, self.stale_rate = history, best_loss, stale, stale_rate
        self.best_weights = best or None
        _assign(variables, found)

    def _variables(self) -> list:
        # Model.variables holds the weights and the states of the dropout generators.
        return [*self.model.variables, *self.model.optimizer.variables]
