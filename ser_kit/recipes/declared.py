"""What a system declares: its settings, what its authors published, and the names of its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from .. import _old_names
from ..audio.transforms import Step
from ..bundles.member import Member
from ..core.config import BOOLEAN, Allowed, checked, digest
from ..core.errors import RecipeError, SerKitError
from ..features import Extractor
from .changes import decisive, type_name, with_setting
from .prepared import Split
from .published import Published


@dataclass(frozen=True, kw_only=True)
class Declared(ABC):
    """The settings of a system; base class of :class:`~ser_kit.recipes.System`.

    Args:
        name: name of the system.
        title: one-line description, for tables.
        reference: authors, title and reported results, as far as given.
        labels: name of the label set that the authors used.
        published: results and protocol of the authors.
        ablations: name -> changed settings, see :meth:`with_settings`.
        temperature: fixed temperature of the probabilities, up to 100; 0 to fit it on the validation clips of
            each fold. With a fixed temperature the validation clips are trained on too, so the training must
            not need them. The temperature of a bundle is always fitted on the held-out predictions of its
            evaluation.
        balanced: predict as if all emotions were equally frequent: probabilities are divided by the share of
            each emotion in the training clips (the logit adjustment of Menon et al., "Long-tail learning via
            logit adjustment", ICLR 2021).
    """

    name: str
    title: str
    reference: str
    labels: str
    published: Published
    ablations: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    temperature: float = 0.0
    balanced: bool = False

    valid: ClassVar[Mapping[str, Allowed]] = {"temperature": (0.0, 100.0), "balanced": BOOLEAN}
    """Valid values of the settings of the system itself."""
    kinds: ClassVar[Mapping[str, type]] = {
        "name": str, "title": str, "reference": str, "labels": str, "published": Published,
        "ablations": Mapping,
    }  # fmt: skip
    """Types of the other settings."""
    descriptive: ClassVar = ("name", "title", "reference", "ablations", "published")
    """Descriptive fields, which do not affect the results."""

    def __post_init__(self):
        for key, allowed in self.valid.items():
            object.__setattr__(self, key, checked(key, getattr(self, key), allowed, RecipeError))
        for key, kind in self.kinds.items():
            value = getattr(self, key)
            if not isinstance(value, kind):
                raise RecipeError(f"{key}={value!r} must be {type_name(kind)}")

    @property
    @abstractmethod
    def extractors(self) -> tuple[Extractor, ...]:
        """The feature extractors."""

    @property
    @abstractmethod
    def augmentation(self) -> tuple[Step, ...]:
        """Augmentation steps for the copies of a training clip."""

    @property
    @abstractmethod
    def copies(self) -> int:
        """Number of augmented copies of each training clip."""

    @property
    @abstractmethod
    def parts(self) -> tuple[str, ...]:
        """Names of the trained parts, for checkpoints."""

    @property
    def combine(self) -> str:
        """How the members are combined, see :data:`ser_kit.bundles.card_schema.COMBINATIONS`."""
        return "soft"

    @abstractmethod
    def train(
        self, split: Split, weights: np.ndarray | None = None
    ) -> tuple[list[Member], list[pd.DataFrame]]:
        """Train on a split.

        Args:
            split: rows to train on.
            weights: weight of each training row, ``[split.train]``.

        Returns:
            The members, and the history of each training with epochs.
        """

    @abstractmethod
    def check(self, temperature: float) -> None:
        """Check that the settings do not contradict each other.

        Args:
            temperature: fixed temperature of the whole system, or 0.

        Raises:
            TrainingError: if they do.
        """

    @property
    def declaration(self) -> dict[str, Any]:
        """All settings that affect the results, JSON-serialisable; without name, descriptions and
        ablations."""
        return decisive(self)

    @property
    def settings(self) -> str:
        """Hash of :attr:`declaration`, 16 hexadecimal digits."""
        return digest(self.declaration)

    def with_settings(self, changes: Mapping[str, Any], name: str = "") -> Self:
        """Copy the system with some settings changed.

        Args:
            changes: path of a setting -> value; paths are such as ``"training.batch_size"``,
                ``"hyperparameters.dropout"``, ``"extractor.parts"`` or ``"copies"``.
            name: suffix of the name of the copy, appended after a ``+``.

        Raises:
            RecipeError: if there is no such setting.
            SerKitError: if a value is not valid; the message names the setting and its valid values.

        Examples:
            >>> from ser_kit import recipes
            >>> recipes.get("rastogi_mlp").with_settings({"training.epochs": 3}, "short").name
            'rastogi_mlp+short'
        """
        changed = self
        for path, value in changes.items():
            try:
                changed = with_setting(changed, path.split("."), value, path)
            except SerKitError as error:
                if path.rpartition(".")[2] in str(error):
                    raise
                raise RecipeError(f"{path}: {error}") from None
        return replace(changed, name=f"{self.name}+{name}", ablations={}) if name else changed

    changed = _old_names.Renamed("with_settings")

    def variant(self, name: str) -> Self:
        """An ablation, as a system.

        Raises:
            RecipeError: if there is no ablation of that name.
        """
        if name not in self.ablations:
            known = ", ".join(map(repr, self.ablations)) or "none"
            raise RecipeError(f"{self.name} has no ablation {name!r}; it has: {known}")
        return self.with_settings(self.ablations[name], name)
