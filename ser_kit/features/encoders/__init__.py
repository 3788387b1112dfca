"""Pre-trained speech encoders: small ones are part of the package, larger ones are fetched.

They stay as they are (frozen); what their blocks give of a recording is what heads for emotions are trained
on. Licence and origin of the weights in the package are in ``NOTICE`` beside them. Larger encoders are models
of the package ``keras_hub`` (``pip install "ser-kit[hub]"``), whose weights (MIT licence) kagglehub fetches
on first use.

Examples:
    >>> from ser_kit.features import encoders
    >>> encoders.names()
    ['whisper_base', 'whisper_large_v2', 'whisper_medium', 'whisper_small', 'whisper_tiny_en']
    >>> encoders.names(packaged=True)
    ['whisper_base', 'whisper_tiny_en']
    >>> encoders.get("whisper_tiny_en").width, encoders.get("whisper_tiny_en").blocks
    (384, 3)
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.backend import forward as _forward
from ...core.backend import import_keras
from ...core.config import checked, listed
from ...core.errors import EncoderError
from ...core.parallel import before_tensorflow
from ...core.registry import Registry
from .fetch import encoder_folder
from .file import packed, shapes, stored, unpacked

if TYPE_CHECKING:
    import keras

__all__ = [
    "ENCODERS", "FOLDER", "Encoder", "forward", "get", "load", "names", "packed", "shapes", "stored",
    "unpacked",
]  # fmt: skip

FOLDER = Path(__file__).parent / "weights"
"""Where the weights lie."""
_LOCK = threading.RLock()


@dataclass(frozen=True)
class Encoder:
    """What is known of an encoder without loading it.

    Args:
        name: of the encoder.
        title: what it is, for people.
        width: numbers that a block gives for a frame.
        blocks: transformer blocks that it has here, counted from 1.
        sha256: of the file with its weights, which is part of the package; empty where they are fetched.
        handle: what kagglehub calls weights that are fetched, with their version; empty for those in the
            package.
        rate: of the samples that it takes, in hertz.
        hop: samples to a frame of its blocks.
        longest: seconds that it was trained to take at a time.
    """

    name: str
    title: str
    width: int
    blocks: int
    sha256: str = ""
    handle: str = ""
    rate: int = 16000
    hop: int = 320
    longest: float = 30.0

    @property
    def path(self) -> Path:
        """The file with its weights, where they are part of the package."""
        return FOLDER / f"{self.name}.npz"

    @property
    def origin(self) -> str:
        """What identifies its weights: the digest of their file, or the handle they are fetched by."""
        return self.handle or self.sha256[:16]

    def chosen(self, blocks: Sequence[int] | None) -> tuple[int, ...]:
        """Numbers of blocks as a tuple, all where none are given.

        Raises:
            EncoderError: there is none, one that the encoder does not have, or one twice.
        """
        if blocks is None:
            return tuple(range(1, self.blocks + 1))
        found = listed("blocks", blocks, EncoderError)
        found = tuple(
            checked(f"each of blocks of {self.name}", n, range(1, self.blocks + 1), EncoderError)
            for n in found
        )
        if not found or len(set(found)) < len(found):
            raise EncoderError(f"blocks={list(found)!r} must be one or more numbers, none of them twice")
        return found

    def ready(self) -> None:
        """Sees to it that its weights are there; those that are no part of the package are fetched.

        Raises:
            EncoderError: as for :meth:`content`; or ``keras_hub`` is not installed, or its weights cannot be
                had.
        """
        if self.handle:
            encoder_folder(self)
        else:
            self.content()

    def weights(self) -> dict[str, np.ndarray]:
        """Its weights, float32, with the names and shapes of :func:`shapes`.

        Raises:
            EncoderError: as for :meth:`content`.
        """
        return unpacked(self.content())

    def content(self) -> bytes:
        """The file with its weights, checked but not unpacked.

        Raises:
            EncoderError: the file is missing, or is another one than belongs to this version of ser_kit.
        """
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise EncoderError(
                f"the weights of {self.name} cannot be read: {self.path}: {error.strerror}; "
                "install ser-kit again"
            ) from None
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise EncoderError(
                f"the weights of {self.name} were changed: {self.path} has the SHA-256 {found}; expected "
                f"{self.sha256}. Install ser-kit again"
            )
        return content


ENCODERS: Registry[Encoder] = Registry.of(
    "encoder",
    Encoder(
        name="whisper_base",
        title="Whisper base, many languages, blocks 1 to 5 of 6",
        width=512,
        blocks=5,
        sha256="b0ad9b7534a9d6eaa77ba8464df278f34d77683e8d9f99c39c8b49d9c2eadd97",
    ),
    Encoder(
        name="whisper_tiny_en",
        title="Whisper tiny.en, English, blocks 1 to 3 of 4",
        width=384,
        blocks=3,
        sha256="509477eee9a435245148823453f66014021f9c05493ff814cbbc03bac3f38325",
    ),
    Encoder(
        name="whisper_small",
        title="Whisper small, many languages",
        width=768,
        blocks=12,
        handle="keras/whisper/keras/whisper_small_multi/4",
    ),
    Encoder(
        name="whisper_medium",
        title="Whisper medium, many languages",
        width=1024,
        blocks=24,
        handle="keras/whisper/keras/whisper_medium_multi/4",
    ),
    Encoder(
        name="whisper_large_v2",
        title="Whisper large, second version, many languages",
        width=1280,
        blocks=32,
        handle="keras/whisper/keras/whisper_large_multi_v2/4",
    ),
)
"""Every encoder by name."""


def names(packaged: bool = False) -> list[str]:
    """Names of the encoders.

    Args:
        packaged: only of those whose weights are part of the package.
    """
    return sorted(name for name, encoder in ENCODERS.items() if not (packaged and encoder.handle))


def get(name: str) -> Encoder:
    """What is known of an encoder.

    Raises:
        UnknownNameError: there is none of that name.
    """
    return ENCODERS[name]


def load(name: str, blocks: Sequence[int] | None = None) -> keras.Model:
    """An encoder as a Keras model, loaded once per process; it may be called from several threads.

    Models of one encoder share their layers, which are not trainable. Blocks above the highest one asked for
    are not computed.

    Args:
        name: of the encoder.
        blocks: numbers of the blocks whose outputs are wanted, from 1, in that order; all if not given.

    Returns:
        A model that takes samples at 16 kHz, float32 ``[batch, n]``, ``n`` from 400, and gives float32
        ``[batch, frames, blocks, width]``, a frame every 0.02 s. Whisper was trained on 30 s at most.

    Raises:
        UnknownNameError: there is no such encoder.
        EncoderError: it has no such block; its weights are missing, were changed or cannot be fetched.
        ForkedError: TensorFlow has computed in the process that this one was forked from.

    Examples:
        >>> model = load("whisper_tiny_en", blocks=[1, 3])
        >>> tuple(model(np.zeros((1, 16000), np.float32)).shape)
        (1, 50, 2, 384)
    """
    chosen = get(name).chosen(blocks)
    if import_keras().backend.backend() == "tensorflow":
        before_tensorflow()
    with _LOCK:
        return _model(name, chosen)


def forward(name: str, blocks: Sequence[int] | None = None) -> Callable[[np.ndarray], np.ndarray]:
    """An encoder as a function, traced once for recordings of any length: the fast way to many answers.

    Args:
        name: as for :func:`load`.
        blocks: as for :func:`load`.

    Returns:
        ``float32 [batch, n] -> float32 [batch, frames, blocks, width]``.

    Raises:
        SerKitError: as for :func:`load`.

    Examples:
        >>> forward("whisper_tiny_en", blocks=[3])(np.zeros((1, 8000), np.float32)).shape
        (1, 25, 1, 384)
    """
    model, chosen = load(name, blocks), get(name).chosen(blocks)
    with _LOCK:
        return _function(name, chosen, model)


@lru_cache
def _function(name: str, blocks: tuple[int, ...], model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    return _forward(model)


@lru_cache
def _model(name: str, blocks: tuple[int, ...]) -> keras.Model:
    return _network(name).model(blocks)


@lru_cache
def _network(name: str):
    encoder = get(name)
    if encoder.handle:
        from .hub import loaded

        return loaded(encoder)
    from .whisper import Network

    return Network(encoder.width, encoder.blocks, encoder.weights())
