"""Random seeds: every draw of a run depends on one seed and on the place of the draw."""

from __future__ import annotations

import zlib

import numpy as np

from ..core.backend import import_keras


def sequence(seed: int, *place: str | int) -> np.random.SeedSequence:
    """Create the seed sequence of an independent random generator for one part of a run.

    ``numpy.random.default_rng((seed, epoch))`` would equal the generator of ``(seed, epoch, 0)``, and sums
    such as ``seed + epoch`` coincide with those of other runs.

    Args:
        seed: seed of the run, 0 or more.
        place: names and numbers that identify the part, such as ``"epoch", 3``; numbers 0 or more.

    Examples:
        >>> one, other = (np.random.default_rng(sequence(0, "epoch", *place)) for place in ([1], [1, 0]))
        >>> one.random() == other.random()
        False
    """
    key = (zlib.crc32(part.encode()) if isinstance(part, str) else part for part in place)
    return np.random.SeedSequence(seed, spawn_key=tuple(key))


def subseed(seed: int, *place: str | int) -> int:
    """Seed of a part of a run, such as a member of an ensemble, distinct from other parts and runs.

    Args:
        seed: seed of the run, 0 or more.
        place: see :func:`sequence`.

    Returns:
        A 32-bit integer, as scikit-learn and Keras expect.

    Examples:
        >>> len({subseed(seed, "member", i) for seed in range(10) for i in range(10)})
        100
    """
    return int(sequence(seed, *place).generate_state(1)[0])


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and the backend, and enable deterministic kernels.

    Call it before building a model, since the initial weights are drawn then.
    """
    keras = import_keras()
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.experimental.enable_op_determinism()
