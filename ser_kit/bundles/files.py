"""The files of a bundle: their names, their checks, and the target folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import BundleError, SerKitError
from ..core.parallel import before_tensorflow
from ..core.paths import file_digest, replaceable
from .member import Member
from .weights import load as load_weights
from .weights import most_bytes

_OWN = re.compile(r"card\.json|README\.md|model\.onnx|model(_\d+)?\.keras")
MOST_RUNTIME = 8 << 20  # bytes of ``model.onnx`` besides its weights: filters, Fourier transforms, the graph


class Unread(Sequence):
    """The members of a saved bundle, read on first use because TensorFlow takes long to load.

    Args:
        folder: folder of the bundle.
        described: entry of each member in the card.
        labels: number of labels.
    """

    def __init__(self, folder: Path, described: Sequence[Mapping[str, Any]], labels: int):
        self.folder, self.labels = folder, labels
        self.described = [dict(each) for each in described]
        self._found: tuple[Member, ...] = ()

    def check(self) -> None:
        """Check that the files exist and match the card."""
        for card, file in zip(self.described, files_of(len(self.described)), strict=True):
            _check_file(card, self.folder / file)

    def read(self) -> tuple[Member, ...]:
        """The members."""
        if not self._found:
            before_tensorflow()
            self._found = tuple(self._read())
        return self._found

    def _read(self) -> Iterator[Member]:
        for card, file in zip(self.described, files_of(len(self.described)), strict=True):
            yield _load_member(card, self.folder / file, self.labels)

    def __getstate__(self):
        return {**vars(self), "_found": ()}

    def __len__(self):
        return len(self.described)

    def __getitem__(self, place):
        return self.read()[place]


class Carried(Unread):
    """The members of an unpickled bundle, built on first use.

    An error during unpickling would end a worker of ``multiprocessing.Pool`` without a message, and the pool
    would wait for ever.

    Args:
        members: the members when the bundle was pickled.
        labels: number of labels.
    """

    def __init__(self, members: Sequence[Member], labels: int):
        self.labels, self._found = labels, ()
        self.described = [each.to_card() for each in members]
        self._weights = [each.model.get_weights() for each in members]

    def _read(self) -> Iterator[Member]:
        for card, weights in zip(self.described, self._weights, strict=True):
            member = Member.from_card(card, self.labels)
            member.model.set_weights(weights)
            yield member


def files_of(members: int) -> list[str]:
    """File names of the members; a card cannot change them."""
    return ["model.keras"] if members == 1 else [f"model_{i}.keras" for i in range(1, members + 1)]


def _check_file(card: Mapping[str, Any], weights: Path) -> None:
    # Size first: a file may be huge, and a pipe has no end.
    if not weights.is_file() or weights.stat().st_size > most_bytes(card["model"]["parameters"]):
        raise BundleError(f"{weights.name} is missing, no regular file, or larger than its network's weights")
    if file_digest(weights) != card["sha256"]:
        raise BundleError(f"{weights.name} is not the file that card.json describes")


def _load_member(card: Mapping[str, Any], weights: Path, n_labels: int) -> Member:
    _check_file(card, weights)
    try:
        member = Member.from_card(card, n_labels)
    except (SerKitError, KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the network of {weights.name} cannot be built: {error}") from None
    load_weights(member.model, weights)
    return member


def check_target(folder: str | os.PathLike) -> Path:
    """Check, before training, that a bundle can be saved in a folder.

    The folder must be new or empty, or hold a bundle and nothing else.

    Returns:
        The absolute path, without links.

    Raises:
        BundleError: the folder holds other files, which saving would delete.
        TargetError: the folder cannot be written or replaced.
    """
    place = Path(os.path.realpath(folder))
    if (
        place.exists()
        and not (place / "card.json").is_file()
        and (not place.is_dir() or any(place.iterdir()))
    ):
        raise BundleError(f"{folder} exists and is not a bundle; choose a new folder")
    others = sorted(
        each.name for each in place.glob("*") if not (_OWN.fullmatch(each.name) and each.is_file())
    )
    if others:
        raise BundleError(
            f"{folder} holds {', '.join(others[:3])} besides its bundle, and would be replaced as a whole; "
            "choose a new folder, or move the other files away"
        )
    return replaceable(folder)
