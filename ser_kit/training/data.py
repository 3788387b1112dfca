"""Training data: standardisation, and batches in an order that depends on the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import models
from ..core.errors import TrainingError
from ..core.parallel import ahead, cores
from ..extraction.on_disk import OnDisk, valid_rows
from .seeds import sequence
from .settings import Training

_MOST_THREADS = 4  # for augmentation; more do not speed up training on a GPU


@dataclass(frozen=True, eq=False)
class Scaler:
    """Standardise features with the mean and standard deviation of the training clips.

    Args:
        mean: mean of each dimension, ``[dims]``.
        scale: standard deviation of each dimension, ``[dims]``; 1 for constant dimensions.
    """

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def identity(cls, dims: int) -> Scaler:
        """Create a scaler that changes nothing."""
        return cls(np.zeros(dims, np.float32), np.ones(dims, np.float32))

    @classmethod
    def fit(cls, values: np.ndarray, lengths: np.ndarray | None = None) -> Scaler:
        """Compute mean and standard deviation of training clips.

        Args:
            values: features, ``[clips, dims]`` or ``[clips, frames, dims]``.
            lengths: number of valid frames of each clip, ``[clips]``; padding is excluded.
        """
        if isinstance(values, OnDisk):
            return cls._fit_in_parts(values, lengths)
        (rows,) = valid_rows(values, lengths)
        scale = rows.std(axis=0, dtype=np.float64)
        # Dividing a constant dimension by its rounding error would produce large values.
        scale[scale < 1e-6 * np.maximum(1.0, np.abs(rows).max(axis=0))] = 1.0
        return cls(rows.mean(axis=0, dtype=np.float64).astype(np.float32), scale.astype(np.float32))

    @classmethod
    def _fit_in_parts(cls, values: OnDisk, lengths: np.ndarray | None) -> Scaler:
        """As :meth:`fit`, some clips at a time."""
        count, total, most = 0, 0.0, 0.0
        for rows in valid_rows(values, lengths):
            count += len(rows)
            total = total + rows.sum(axis=0, dtype=np.float64)
            most = np.maximum(most, np.abs(rows).max(axis=0))
        mean, squares = total / count, 0.0
        for rows in valid_rows(values, lengths):
            squares = squares + np.square(rows - mean).sum(axis=0)
        scale = np.sqrt(squares / count)
        scale[scale < 1e-6 * np.maximum(1.0, most)] = 1.0
        return cls(mean.astype(np.float32), scale.astype(np.float32))

    def transform(self, values: np.ndarray | OnDisk) -> np.ndarray | OnDisk:
        """Standardise features, float32 of the same shape; no copy is made if nothing would change.

        Those in a file are standardised whenever they are read.
        """
        if not self.mean.any() and (self.scale == 1).all():
            return values if isinstance(values, OnDisk) else values.astype(np.float32, copy=False)
        if isinstance(values, OnDisk):
            return values.then(self.transform)
        return ((values - self.mean) / self.scale).astype(np.float32)


def shuffled(x, targets, voices, weights, training: Training, seed: int, epoch: int) -> Iterator[tuple]:
    """Yield the batches of an epoch, shuffled and augmented depending on the seed and the epoch.

    One batch at a time is copied, so arrays that are in a file are not loaded as a whole.
    """
    order = np.random.default_rng(sequence(seed, "epoch", epoch)).permutation(len(x))

    def made(index: int) -> tuple:
        rows = order[index * training.batch_size : (index + 1) * training.batch_size]
        inputs, wanted, who, counts = np.asarray(x[rows]), targets[rows], voices[rows], weights[rows]
        if training.augment:
            rng = np.random.default_rng(sequence(seed, "epoch", epoch, "batch", index))
            # Mixup applies to labels, speakers and weights alike. Labels are multiplied by the clip's weight
            # first, so that a clip of weight 0 does not contribute its label.
            joined = np.column_stack([wanted * counts[:, None], who, counts])
            for change in training.augment:
                inputs, joined = change(inputs, joined, rng)
            wanted, who, counts = np.split(joined, [wanted.shape[1], joined.shape[1] - 1], axis=1)
            wanted, counts = (
                np.divide(wanted, counts, out=np.zeros_like(wanted), where=counts > 0),
                counts[:, 0],
            )
        return _batch(inputs, wanted, who, counts, counted=1)

    count = -(-len(x) // training.batch_size)
    # Much of augmentation, such as resampling, releases the GIL.
    threads = min(cores(), _MOST_THREADS)
    slow = training.augment or isinstance(x, OnDisk)
    yield from ahead(made, range(count), threads) if slow else map(made, range(count))


def in_order(x, targets, voices, batch_size: int = 256) -> Iterator[tuple]:
    """Yield the validation batches, in which the speaker head has weight 0."""
    for start in range(0, len(x), batch_size):
        rows = slice(start, start + batch_size)
        inputs = np.asarray(x[rows])
        yield _batch(inputs, targets[rows], voices[rows], np.ones(len(inputs), np.float32), counted=0)


def _batch(inputs, wanted, voices, weights, counted: int) -> tuple:
    """Inputs, targets of each head, and clip weights of each head."""
    if not voices.shape[1]:
        return inputs, wanted, weights
    speaker_weights = np.full(len(inputs), counted, np.float32)
    return inputs, {"emotion": wanted, "speaker": voices}, {"emotion": weights, "speaker": speaker_weights}


def checked_inputs(x) -> np.ndarray:
    """Validate inputs as finite float32 ``[clips, features]``."""
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or len(x) == 0:
        raise TrainingError(
            f"expected inputs of shape [clips, features] with at least one clip, not {list(x.shape)}"
        )
    if not np.isfinite(x).all():
        raise TrainingError("the inputs hold NaN or infinite values; expected finite features")
    return x


def counted_clips(x, y, n_classes, weights):
    """Validate inputs, labels and weights, and drop clips of weight 0."""
    x, y = checked_inputs(x), np.asarray(y)
    if y.shape != (len(x),) or y.min() < 0 or y.max() >= n_classes:
        raise TrainingError(f"expected {len(x)} class indices in 0..{n_classes - 1}, one for each clip")
    if weights is None:
        return x, y, None
    weights = np.asarray(weights, np.float64)
    if weights.shape != y.shape or not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise TrainingError(
            f"expected {len(x)} finite weights, none negative and not all 0, one for each clip"
        )
    rows = weights > 0
    return x[rows], y[rows], weights[rows]


def model_with_weights(name, x, n_classes, hyperparameters, values):
    """Build a model by name and set its weights; returns it with its hyperparameters."""
    model = models.get(name)((x.shape[1],), n_classes, **hyperparameters)
    model.set_weights([np.asarray(value) for value in values])
    return model, hyperparameters
