"""Weights of an encoder in one file: NumPy's own archive of arrays, nothing of which is ever executed.

Matrices and kernels are int8, each row (output) with a float32 scale of its own beside it, ``NAME.scale``;
vectors are float16. That is a quarter of float32, and what the encoder gives changes by less than speakers
and microphones do.
"""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np

_SCALE = ".scale"


def shapes(width: int, blocks: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of an encoder; a dense layer computes ``x @ weight.T + bias``.

    Args:
        width: of a frame.
        blocks: how many transformer blocks.
    """
    found: dict[str, tuple[int, ...]] = {}
    for name, channels in (("conv1", 80), ("conv2", width)):
        found |= {f"{name}.weight": (width, channels, 3), f"{name}.bias": (width,)}
    dense = {
        "self_attention.linear_0": (3 * width, width),
        "self_attention.linear_1": (width, width),
        "ffn.linear_0": (4 * width, width),
        "ffn.linear_1": (width, 4 * width),
    }
    for i in range(blocks):
        for name, shape in dense.items():
            found |= {f"layer_{i}.{name}.weight": shape, f"layer_{i}.{name}.bias": shape[:1]}
        for name in ("self_attention", "ffn"):
            found |= {f"layer_{i}.{name}.layer_norm.{part}": (width,) for part in ("gamma", "beta")}
    return found


def packed(weights: Mapping[str, np.ndarray]) -> bytes:
    """The file that holds these weights; the same bytes each time.

    Args:
        weights: finite arrays by name.
    """
    arrays = {}
    for name, values in sorted(weights.items()):
        values = np.asarray(values, np.float32)
        if values.ndim == 1:
            arrays[name] = values.astype(np.float16)
        else:
            rows = values.reshape(len(values), -1)
            scales = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / 127
            arrays[name] = np.rint(rows / scales[:, None]).astype(np.int8).reshape(values.shape)
            arrays[name + _SCALE] = scales.astype(np.float32)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def stored(content: bytes) -> Mapping[str, np.ndarray]:
    """The arrays in such a file as they are, by name, each read when it is asked for."""
    return np.load(io.BytesIO(content), allow_pickle=False)


def unpacked(content: bytes) -> dict[str, np.ndarray]:
    """The weights in such a file, float32 by name."""
    arrays, found = stored(content), {}
    for name, values in arrays.items():
        if not name.endswith(_SCALE):
            found[name] = values.astype(np.float32)
            if values.dtype == np.int8:
                found[name] *= arrays[name + _SCALE].reshape(-1, *[1] * (values.ndim - 1))
    return found
