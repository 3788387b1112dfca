"""What a network is trained on: standardisation, and batches in an order that follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import models
from ..core.errors import TrainingError
from ..core.parallel import ahead, cores
from .seeds import sequence
from .settings import Training

_MOST_THREADS = 4  # that make batches: a network on a GPU takes no more of them


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
        """Standardised copy, float32, of the shape given; the values themselves where nothing would
        change."""
        if not self.mean.any() and (self.scale == 1).all():
            return values.astype(np.float32, copy=False)
        return ((values - self.mean) / self.scale).astype(np.float32)


def shuffled(x, targets, voices, weights, training: Training, seed: int, epoch: int) -> Iterator[tuple]:
    """The batches of one epoch; the seed and its number decide about their order and their augmentation.

    Of arrays, memory-mapped ones too, a batch at a time is copied and never the whole.
    """
    order = np.random.default_rng(sequence(seed, "epoch", epoch)).permutation(len(x))

    def made(index: int) -> tuple:
        rows = order[index * training.batch_size : (index + 1) * training.batch_size]
        inputs, wanted, who, counts = x[rows], targets[rows], voices[rows], weights[rows]
        if training.augment:
            rng = np.random.default_rng(sequence(seed, "epoch", epoch, "batch", index))
            # What mixes clips mixes all that is wanted of them. A label counts as much as its clip, so that
            # one of weight 0 says nothing where it is mixed with another.
            joined = np.column_stack([wanted * counts[:, None], who, counts])
            for change in training.augment:
                inputs, joined = change(inputs, joined, rng)
            wanted, who, counts = np.split(joined, [wanted.shape[1], joined.shape[1] - 1], axis=1)
            wanted, counts = (
                np.divide(wanted, counts, out=np.zeros_like(wanted), where=counts > 0),
                counts[:, 0],
            )
        return _batch(inputs, wanted, who, counts, heard=1)

    count = -(-len(x) // training.batch_size)
    # Much of what augmentation does, such as resampling, lets other threads run.
    threads = min(cores(), _MOST_THREADS)
    yield from ahead(made, range(count), threads) if training.augment else map(made, range(count))


def in_order(x, targets, voices, batch_size: int = 256) -> Iterator[tuple]:
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


def checked_inputs(x) -> np.ndarray:
    """Inputs of clips as float32 ``[clips, features]``, if they are that and finite."""
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or len(x) == 0:
        raise TrainingError(
            f"expected inputs of shape [clips, features] with at least one clip, not {list(x.shape)}"
        )
    if not np.isfinite(x).all():
        raise TrainingError("the inputs hold NaN or infinite values; expected finite features")
    return x


def counted_clips(x, y, n_classes, weights):
    """Inputs, labels and weights of the clips that weigh anything."""
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
    """A model of that name with these weights, and its hyperparameters."""
    model = models.get(name)((x.shape[1],), n_classes, **hyperparameters)
    model.set_weights([np.asarray(value) for value in values])
    return model, hyperparameters
