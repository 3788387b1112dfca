"""Read and validate the card of a bundle from any source.

Everything in ``card.json`` is checked before use: types, ranges, consistency, and limits of time and memory.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..audio.transforms import Fix
from ..core.errors import BundleError
from ..core.errors import printable as printable_text
from ..core.schema import WrongValueError, short
from ..core.schema import check as check_schema
from ..features import Extractor, Functionals
from .card_schema import VOICES, schema
from .weights import MOST_PARAMETERS

FORMAT = 2
LONGEST = 8.0
"""Maximum input of a network (s)."""
MOST_VALUES = 10_000_000
"""Maximum size of an array during feature extraction."""
_MOST_BYTES = 16 << 20
_MOST_TEXT, _MOST_DEPTH, _MOST_ENTRIES, _LARGEST = 20_000, 20, 500_000, 1e15
_MOST_STEPS, _SLOWEST = 16, 4  # of preprocessing; maximum lengthening of a clip by a step
_REQUIRED = (
    "format", "name", "labels", "members", "combine", "temperature", "uncertain_below", "typical",
)  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    """Read and validate a card.

    Args:
        path: path of ``card.json``.

    Returns:
        The card. NaN, as Python writes it in JSON, becomes ``None``.

    Raises:
        BundleError: the file is missing, cannot be read, or is invalid; the message names the field.
    """
    try:
        card = parsed(content(path))
    except FileNotFoundError:
        raise BundleError(f"{path.parent} is not a bundle: it has no {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path} cannot be read: {error}") from None
    try:
        check(card)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    return card


def check(card: Any) -> None:
    """Validate a card.

    Args:
        card: parsed JSON.

    Raises:
        BundleError: the card is invalid; the message names the field.

    Examples:
        >>> check([])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.BundleError: it lacks format, name, labels, members, combine, ...
    """
    missing = [key for key in _REQUIRED if not isinstance(card, dict) or key not in card]
    if missing:
        raise BundleError(f"it lacks {', '.join(missing)}")
    if card["format"] != FORMAT:
        raise BundleError(f"it has bundle format {short(card['format'])}; this ser_kit reads {FORMAT}")
    _check_values(card)
    try:
        check_schema(schema(), card)
    except WrongValueError as error:
        raise BundleError(str(error)) from None
    _check_fit(card)


def check_member(card: Mapping[str, Any], extractor: Extractor) -> None:
    """Validate the entry of a member against its features.

    Args:
        card: entry of the member.
        extractor: its extractor.

    Raises:
        BundleError: they do not match, or the features would need too much memory; the message names the
            field.
    """
    columns, shape = card["columns"], extractor.shape
    if max(columns) >= shape[-1]:
        raise BundleError(f"columns={max(columns)} is too large; {extractor.name} has {shape[-1]} features")
    expected = [*shape[:-1], len(columns)]
    if card["model"]["input_shape"] != expected:
        raise BundleError(f"model.input_shape={card['model']['input_shape']} must be {expected}")
    steps = list(_steps(extractor.preprocess))
    if len(steps) > _MOST_STEPS:
        raise BundleError(f"extractor.parameters.preprocess must have at most {_MOST_STEPS} steps")
    for what, values in _sizes(extractor, steps):
        if values > MOST_VALUES:
            raise BundleError(
                f"{what} of {values:,.0f} values for its features; expected at most {MOST_VALUES:,}"
            )


def longest(extractor: Extractor) -> int:
    """Maximum number of frames of a network's input, for extractors without a fixed number."""
    seconds = getattr(extractor, "seconds", None) or LONGEST
    return 1 + math.ceil(seconds * extractor.sr / getattr(extractor, "hop_length", 1))


def parsed(content: str | bytes) -> Any:
    """Parse JSON, with ``None`` for NaN and the infinities, which Python writes for unknown numbers."""
    return json.loads(content, parse_constant=lambda _: None)


def printable(value: Any) -> Any:
    """A copy of a card in which a mark replaces each unprintable character."""
    if isinstance(value, str):
        return printable_text(value)
    if isinstance(value, Mapping):
        return {printable(key): printable(each) for key, each in value.items()}
    return [printable(each) for each in value] if isinstance(value, list | tuple) else value


def content(path: Path) -> bytes:
    """Read a regular file of at most 16 MiB; a pipe or a device has no end.

    Raises:
        BundleError: it is not a regular file, or larger.
        OSError: it cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise BundleError(f"{path} is not a regular file")
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise BundleError(f"{path} is larger than {_MOST_BYTES >> 20} MiB")
    return content


def _check_values(card: dict) -> None:
    """Check all fields, known or not: printable text, finite numbers of reasonable size."""
    left: list[tuple[str, Any, int]] = [("", card, 0)]
    entries = 0
    while left:
        place, value, depth = left.pop()
        entries += 1
        if entries > _MOST_ENTRIES or depth > _MOST_DEPTH:
            raise BundleError(f"it has more than {_MOST_ENTRIES:,} entries, or too many levels")
        if isinstance(value, dict):
            left += [(f"{place}.{key}".lstrip("."), each, depth + 1) for key, each in value.items()]
            left += [(f"the name of {place}.{short(key)}", key, depth) for key in value]
        elif isinstance(value, list):
            # Valid numbers are skipped here, as long lists hold numbers.
            plain = {
                i for i, each in enumerate(value) if type(each) in (int, float) and abs(each) <= _LARGEST
            }
            entries += len(plain)
            left += [(f"{place}[{i}]", each, depth + 1) for i, each in enumerate(value) if i not in plain]
        elif isinstance(value, str) and (len(value) > _MOST_TEXT or printable_text(value) != value):
            raise BundleError(
                f"{place}={short(value)} must be text of at most {_MOST_TEXT:,} printable characters"
            )
        elif isinstance(value, int | float) and not abs(value) <= _LARGEST:
            raise BundleError(f"{place}={short(value)} must be a number of at most {_LARGEST:g}")


def _check_fit(card: dict) -> None:
    """Check that the fields of a card are consistent."""
    labels, members = card["labels"], card["members"]
    if "prior" in card and len(card["prior"]) != len(labels):
        raise BundleError(f"prior has {len(card['prior'])} shares; expected {len(labels)}, one per label")
    baseline = card.get("baseline")
    if baseline and set(baseline) != set(labels):
        raise BundleError(f"baseline has labels {short(', '.join(baseline))}; expected {', '.join(labels)}")
    for key, matrix in card.get("voices", {}).items():
        if key in VOICES and {len(matrix), *map(len, matrix)} != {len(labels)}:
            raise BundleError(f"voices.{key} must have a row and a column for each of {len(labels)} labels")
    if card.get("strange_above") is not None:
        lacking = [name for name in Functionals().feature_names if name not in card["typical"].get("all", ())]
        if lacking:
            raise BundleError(f"typical.all lacks {lacking[0]}, which strange_above needs")
    for i, member in enumerate(members):
        for key, values in member["scaler"].items():
            if len(values) != len(member["columns"]):
                raise BundleError(
                    f"members[{i}].scaler.{key} has {len(values)} numbers; expected one for each of "
                    f"{len(member['columns'])} columns"
                )
    parameters = sum(member["model"]["parameters"] for member in members)
    if parameters > MOST_PARAMETERS:
        raise BundleError(f"networks have {parameters:,} parameters; expected at most {MOST_PARAMETERS:,}")
    confusion = card.get("evaluation", {}).get("confusion")
    if confusion is not None and [len(row) for row in confusion] != [len(labels)] * len(labels):
        raise BundleError("evaluation.confusion must have a row and a column for each label")


def _steps(steps: Any) -> Iterator[Any]:
    """Preprocessing steps, including nested ones."""
    for step in steps:
        yield step
        if hasattr(step, "step"):
            yield from _steps([step.step])


def _sizes(extractor: Extractor, steps: list) -> Iterator[tuple[str, float]]:
    """The largest arrays during feature extraction of a clip, as ``(name, number of values)``."""
    seconds = getattr(extractor, "seconds", None) or LONGEST
    longer = _SLOWEST ** sum(hasattr(step, "low") and hasattr(step, "high") for step in steps)
    fixed = max((step.seconds for step in steps if isinstance(step, Fix)), default=0.0)
    samples = extractor.sr * max(seconds, longer * max(LONGEST, fixed))
    yield "samples", samples
    yield "an array", math.prod(length for length in extractor.shape if length is not None)
    bins = (getattr(extractor, "transform", None) or getattr(extractor, "n_fft", None) or 0) // 2 + 1
    if bins > 1:
        yield "a spectrogram", samples / extractor.hop_length * bins
        yield "mel filters", getattr(extractor, "n_mels", 0) * bins
