"""Seeds: every random draw of a run follows from one number and the place of the draw."""

from __future__ import annotations

import zlib

import numpy as np

from ..core.backend import import_keras


def sequence(seed: int, *place: str | int) -> np.random.SeedSequence:
    """What a generator of its own is seeded with, for one of the places where a training draws.

    ``numpy.random.default_rng((seed, epoch))`` would be the generator of ``(seed, epoch, 0)`` too, and seeds
    that are added up meet those of other runs.

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
    """The seed of a part of a run, such as of one member of an ensemble, which no other part and no other run
    has.

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
