"""Networks of others that are no part of the package, fetched by kagglehub."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from ...core.errors import EncoderError, SerKitError

if TYPE_CHECKING:
    from . import Encoder


def encoder_folder(encoder: Encoder) -> str:
    """Where the weights of an encoder of ``keras_hub`` lie, once they were downloaded.

    Args:
        encoder: one whose weights are fetched.

    Raises:
        EncoderError: ``keras_hub`` is not installed, which is found out without loading it; the weights
            cannot be had.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise EncoderError(
            f"the encoder {encoder.name} needs the package keras_hub; install it with "
            'pip install "ser-kit[hub]", or take whisper_base or whisper_tiny_en, which are part of ser_kit'
        )
    return model_folder(encoder.handle, EncoderError)


def model_folder(handle: str, kind: type[SerKitError]) -> str:
    """Where a network lies: in kagglehub's cache, once it was downloaded.

    Args:
        handle: what kagglehub calls it, with its version.
        kind: of the error where it cannot be had.
    """
    try:
        import kagglehub

        return kagglehub.model_download(handle)
    except Exception as error:  # kagglehub and requests raise many kinds
        page = "https://www.kaggle.com/models/" + "/".join(handle.split("/")[:2])
        raise kind(
            f"the network {handle} cannot be had: {' '.join(str(error).split())[:300]}. It is fetched by "
            f"kagglehub from {page}; without a connection, put it into kagglehub's cache (KAGGLEHUB_CACHE)"
        ) from None
