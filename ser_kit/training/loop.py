"""Training loop: class weights, early stopping, progress bar, checkpoints and resuming.

The order of the clips in an epoch depends only on the seed and the epoch. All other state (weights,
optimiser, dropout generators, early stopping) is in the checkpoint. So an interrupted run that resumes ends
with the same weights as an uninterrupted one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from ..core.errors import TrainingError
from ..extraction.on_disk import in_parts
from ..models import kernels
from .checkpoint import State, assign
from .data import in_order, shuffled
from .settings import Training

if TYPE_CHECKING:
    import keras
    import pandas as pd


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
    """Train a model in place, and restore the weights of its best epoch.

    Args:
        model: an uncompiled model, built after :func:`seed_everything`.
        x: training inputs, ``[clips, ...]``.
        y: class indices, ``[clips]``.
        validation: inputs and class indices of the validation clips, for early stopping; ``None`` if the
            settings do not need a validation loss.
        training: the settings.
        weights: weights of the training clips, ``[clips]``, multiplied with the class weights.
        speakers: speakers of the training clips, ``[clips]``, of any type; needed for a speaker penalty.
        corpora: corpora of the training clips and of the validation clips, ``[clips]`` each; needed to mask
            absent classes.
        seed: random seed of the order of clips and of batch augmentation.
        checkpoint: folder for the state after each epoch. If it holds a state, training resumes from there:
            after an interruption, call again with the same arguments.
        keep_zeros: keep zero weights of :func:`ser_kit.models.kernels` at zero, for pruned networks; not
            possible together with a speaker penalty.
        progress: show a progress bar.
        title: label of the progress bar.

    Returns:
        DataFrame with a row per epoch: ``epoch, loss, accuracy, val_loss, val_accuracy, learning_rate,
        seconds``.

    Raises:
        TrainingError: if an input is empty or not finite; if the settings need validation clips, speakers or
            corpora that are not given; or if the checkpoint belongs to another run.

    Examples:
        >>> import numpy as np
        >>> from ser_kit import models, training
        >>> x, y = np.random.default_rng(0).normal(size=(64, 8)).astype("float32"), np.arange(64) % 2
        >>> training.seed_everything(0)
        >>> model = models.get("mlp")((8,), 2, units=(4,), dropout=(0,), batch_norm=(False,))
        >>> settings = training.Training(epochs=2)
        >>> history = training.fit(model, x, y, validation=(x, y), training=settings, progress=False)
        >>> len(history)
        2
    """
    import pandas as pd
    from tqdm.auto import tqdm

    _check(x, y, validation, training, speakers, corpora, keep_zeros)
    x_val, y_val = (x[:0], y[:0]) if validation is None else validation
    n_classes = model.output_shape[-1]
    clip_weights = _clip_weights(y, n_classes, training, weights)
    targets, targets_val = (np.eye(n_classes, dtype=np.float32)[each] for each in (y, y_val))
    if training.mask_absent:
        _mask_absent(targets, targets_val, *map(np.asarray, corpora))
    voices = _voices(speakers, len(y), training)

    kept = [np.asarray(kernel) != 0 for kernel in kernels(model)] if keep_zeros else []
    identity = _run_identity(
        model, (x, targets, x_val, targets_val, clip_weights, voices, *kept), training, seed
    )
    if training.speaker_penalty:
        from .adversary import with_adversary

        model = with_adversary(model, voices.shape[1], training.speaker_penalty)  # shares the layers
    with _compiled(model, training, steps=-(-len(x) // training.batch_size)) as compiled:
        state = State(compiled, training, checkpoint, identity)
        step = _keeping_zeros(compiled, kept) if keep_zeros else compiled.train_on_batch
        nobody = np.zeros((len(y_val), voices.shape[1]), np.float32)
        look = {"desc": title, "unit": "epoch", "disable": not progress, "leave": False}
        with tqdm(total=training.epochs, initial=state.epoch, **look) as bar:
            while not state.finished:
                began, epoch = time.perf_counter(), state.epoch
                drawn = shuffled(x, targets, voices, clip_weights, training, seed, epoch)
                logs = _mean(step, drawn)
                if validation is not None:
                    found = _mean(compiled.test_on_batch, in_order(x_val, targets_val, nobody))
                    logs |= {f"val_{name}": value for name, value in found.items()}
                state.update(_row(logs, training, compiled.optimizer, epoch + 1, time.perf_counter() - began))
                bar.set_postfix_str(state.summary)
                bar.update()
            bar.total = bar.n  # else a notebook draws it red where training stops early
        state.restore_best()
    return pd.DataFrame(state.history)


def _clip_weights(
    y: np.ndarray, n_classes: int, training: Training, weights: np.ndarray | None
) -> np.ndarray:
    """Weight of each training clip, ``float32 [clips]``."""
    found = np.ones(len(y), np.float32) if weights is None else np.asarray(weights, np.float32)
    if not training.class_weights:
        return found
    counts = np.bincount(y, minlength=n_classes)
    return found * (len(y) / (np.count_nonzero(counts) * counts[y])).astype(np.float32)


def _voices(speakers: np.ndarray | None, clips: int, training: Training) -> np.ndarray:
    """One-hot speakers for the adversary, ``float32 [clips, speakers]``; no columns without one."""
    if not training.speaker_penalty:
        return np.zeros((clips, 0), np.float32)
    codes = np.unique(np.asarray(speakers), return_inverse=True)[1]
    return np.eye(codes.max() + 1, dtype=np.float32)[codes]


def _check(x, y, validation, training: Training, speakers, corpora, keep_zeros: bool) -> None:
    """Validate the arguments of :func:`fit`."""
    if validation is None and (training.patience is not None or training.halve_after):
        raise TrainingError("patience and halve_after need the validation loss; expected validation clips")
    given = [("training", x, y)] if validation is None else [("training", x, y), ("validation", *validation)]
    for name, inputs, targets in given:
        if len(inputs) == 0 or len(inputs) != len(targets):
            raise TrainingError(
                f"{len(inputs)} {name} inputs for {len(targets)} labels; expected one label for each"
            )
        if not all(np.isfinite(part).all() for part in in_parts(inputs)):
            raise TrainingError(f"the {name} inputs hold NaN or infinite values; expected finite features")
    if training.speaker_penalty and (speakers is None or len(set(speakers)) < 2):
        raise TrainingError("a speaker penalty needs the speakers of the training clips, at least two")
    if training.speaker_penalty and keep_zeros:
        raise TrainingError("a pruned network cannot be trained with a speaker penalty")
    if training.mask_absent and corpora is None:
        raise TrainingError("mask_absent needs the corpora of the clips")


def _mask_absent(
    targets: np.ndarray, targets_val: np.ndarray, corpora: np.ndarray, corpora_val: np.ndarray
) -> None:
    """Mark the classes that no training clip of a clip's corpus has, in its targets."""
    for corpus in np.unique(corpora):
        absent = np.flatnonzero(~targets[corpora == corpus].any(axis=0))
        for wanted, clips in ((targets, corpora == corpus), (targets_val, corpora_val == corpus)):
            part = wanted[:, absent]
            wanted[:, absent] = np.where(clips[:, None] & (part == 0), _ABSENT, part)


_DRAWN = 2  # to be raised when the same seed gives different random draws
_ABSENT = -1.0  # target of a class that the clip's corpus does not have

_idle: dict[tuple, tuple[keras.Model, list[np.ndarray]]] = {}
"""The last compiled model and the initial state of its optimiser, by what its training function depends
on."""


@contextmanager
def _compiled(model: keras.Model, training: Training, steps: int) -> Iterator[keras.Model]:
    """Compiled copy of the model; the trained state is copied back to the model.

    Tracing and compiling a training function takes seconds, longer than training a small network. So networks
    that differ only in their weights, such as those of the folds of a run, share one compiled copy.
    """
    import keras

    key = (
        _architecture(model),
        repr(training),
        steps if training.cosine else None,
        keras.config.dtype_policy().name,
    )
    if key in _idle:
        copy, first = _idle.pop(key)
    else:
        _idle.clear()
        copy = keras.models.clone_model(model)
        _compile(copy, training, steps)
        copy.optimizer.build(copy.trainable_variables)
        first = [np.asarray(variable).copy() for variable in copy.optimizer.variables]
    assign(copy.optimizer.variables, first)
    assign(copy.variables, model.variables)
    yield copy
    assign(model.variables, copy.variables)
    _idle[key] = copy, first


def _keeping_zeros(model: keras.Model, kept: Sequence[np.ndarray]) -> Callable[..., dict[str, float]]:
    """Training step that resets the kernel weights outside the masks to zero."""
    pairs = list(zip(kernels(model), [mask.astype(np.float32) for mask in kept], strict=True))

    def step(*batch, **settings):
        logs = model.train_on_batch(*batch, **settings)
        for kernel, mask in pairs:
            kernel.assign(kernel.value * mask)
        return logs

    return step


def _architecture(model: keras.Model) -> str:
    """The layers, their settings and connections. Layers are identified by position, since Keras numbers
    their names within a process; the first of them may have the name of the model."""
    places: dict[str, int] = {}
    position = itertools.count()

    def nameless(value):
        if isinstance(value, dict):
            named = value.get("config")
            if isinstance(named, dict) and "name" in named and value["class_name"] != "DTypePolicy":
                places[named["name"]] = next(position)
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
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - rise), warmup_target=rate, warmup_steps=rise
        )
    settings = {
        "learning_rate": rate,
        "weight_decay": training.weight_decay,
        "global_clipnorm": training.clip_norm,
    }
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

    def loss(targets, predicted):
        present = ops.cast(targets > _ABSENT / 2, predicted.dtype)
        targets = ops.cast(targets, predicted.dtype) * present
        even = present / ops.sum(present, axis=-1, keepdims=True)
        predicted = predicted * present
        predicted = predicted / ops.maximum(ops.sum(predicted, axis=-1, keepdims=True), 1e-7)
        targets = (1 - label_smoothing) * targets + label_smoothing * even
        return -ops.sum(targets * ops.log(ops.maximum(predicted, 1e-7)), axis=-1)

    return loss


def _run_identity(model, arrays: tuple[np.ndarray, ...], training: Training, seed: int) -> str:
    """Hash of everything that must match between a checkpoint and this run."""
    digest = hashlib.blake2b(digest_size=16)
    facts = [_DRAWN, repr(training), seed, [array.shape for array in arrays], _architecture(model)]
    digest.update(json.dumps(facts).encode())
    for array in arrays:
        for part in in_parts(array):
            digest.update(np.ascontiguousarray(part))
    return digest.hexdigest()


def _mean(step: Callable, batches: Iterable[tuple]) -> dict[str, float]:
    """Average the results of a step, such as the loss, over the clips of all batches.

    ``Model.fit`` does this too, but its data pipeline takes longer than a small network.
    """
    sums: dict[str, float] = {}
    clips = 0
    for inputs, wanted, weights in batches:
        for name, value in step(inputs, wanted, weights, return_dict=True).items():
            sums[name] = sums.get(name, 0.0) + float(value) * len(inputs)
        clips += len(inputs)
    return {name: value / clips for name, value in sums.items()}


def _row(
    logs: dict[str, float], training: Training, optimizer, epoch: int, seconds: float
) -> dict[str, float]:
    """Row of the history for an epoch."""
    names = ["loss", "accuracy", "val_loss", "val_accuracy"]
    # With an adversary, the metrics of the emotion output have a prefix.
    known = {
        n: re.sub(r"(loss|accuracy)$", r"emotion_\1", n) if training.speaker_penalty else n for n in names
    }
    found = {name: logs.get(known[name], np.nan) for name in names}
    return {"epoch": epoch, **found, "learning_rate": float(optimizer.learning_rate), "seconds": seconds}
