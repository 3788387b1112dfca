"""What a document prints, as declarations: tables with reported figures, and pictures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from ... import corpora, recipes
from ...core.errors import RecipeError, TableError, UnknownNameError
from ..records import confusion

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ..system import System

UNSEEN = "speaker"
"""Protocol of the figures on unseen speakers."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """Figures that a document reports of one system.

    Args:
        label: name of the row, after the document.
        system: name of a recipe, or ``"recipe+variant"``.
        reported: metric -> reported value. Scores are fractions, or the lowest and the highest as a tuple;
            metrics are those of :data:`ser_kit.evaluation.METRICS`, ``training_accuracy``, ``parameters``,
            ``epochs`` and ``minutes``.
        classes: emotion -> ``precision``, ``recall`` or ``f1`` -> reported fraction.
        protocol: protocol of the document; by default that of the system's authors.
        corpora: corpora of the row; by default those of the document.
        unseen: whether to run the system on unseen speakers too.
    """

    label: str
    system: str
    reported: Mapping[str, Any] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    protocol: str = ""
    corpora: tuple[str, ...] = ()
    unseen: bool = True

    @property
    def split(self) -> str:
        """Name of the document's protocol."""
        return self.protocol or recipes.get(self.system).published.protocol


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a document.

    Args:
        title: number and subject, after the document.
        rows: the systems that it reports on.
        note: what a reader has to know, in Markdown.
    """

    title: str
    rows: tuple[Row, ...]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A figure of a document.

    Args:
        title: number and subject, after the document.
        make: function that draws it, or makes a table if the figure is one; raises a
            :class:`~ser_kit.core.errors.TableError` if a record or a recording is missing.
        alt: description for readers who do not see it.
        note: what a reader has to know, in Markdown.
    """

    title: str
    make: Callable[[Material], Figure | pd.DataFrame]
    alt: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document that describes systems.

    Args:
        name: name on the command line and of the page.
        title: title of the document or of its system.
        corpora: names of its corpora.
        labels: name of its label set.
        parts: tables and figures in the document's order.
        unsaid: subject -> what was taken here, for all that the document does not say.
    """

    name: str
    title: str
    corpora: tuple[str, ...]
    labels: str
    parts: tuple[Table | Picture, ...]
    unsaid: Mapping[str, str]

    @property
    def rows(self) -> list[Row]:
        """Rows of all tables."""
        return [row for part in self.parts if isinstance(part, Table) for row in part.rows]

    def places(self, row: Row, asked: Sequence[str]) -> list[str]:
        """Corpora to run a row on: those of the row that are asked for, or all that are asked for."""
        wanted = row.corpora or self.corpora
        return [name for name in asked if name in wanted] or list(asked)


@dataclass(frozen=True)
class Material:
    """What the figures of a page are drawn from.

    Args:
        document: the document.
        records: records of runs, from :func:`ser_kit.recipes.reproduce.load`.
        names: names of the corpora.
        root: folder of the corpora, see :func:`ser_kit.corpora.load`.
        epochs: most epochs of a training, if trainings were shortened; else 0. See :func:`shortened`.
    """

    document: Document
    records: pd.DataFrame
    names: tuple[str, ...]
    root: str | os.PathLike | None = None
    epochs: int = 0

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Clip table of the corpora, with the document's labels."""
        return corpora.load(list(self.names), root=self.root, labels=self.document.labels)

    def runs(self, system: str, protocol: str = "") -> pd.DataFrame:
        """Records of a system on the corpora, under a protocol (by default that of its authors).

        Raises:
            TableError: if there are none.
        """
        found, place = self.of(system), ", ".join(sorted(self.names))
        protocol = protocol or recipes.get(system).published.protocol
        found = found[found["protocol"] == protocol]
        found = found[found["corpora"] == (place if (found["corpora"] == place).any() else _first(found))]
        if not len(found):
            raise TableError(f"there is no record of {system} under {protocol}")
        return found

    def of(self, system: str) -> pd.DataFrame:
        """All records of a system, of its shortened trainings if trainings were shortened."""
        recipe, _, variant = shortened(recipes.get(system), self.epochs).name.partition("+")
        return self.records[(self.records["recipe"] == recipe) & (self.records["ablation"] == variant)]

    def part(self, title: str) -> pd.DataFrame | Figure:
        """The table or figure of the document whose title begins like this, for notebooks.

        Raises:
            UnknownNameError: if there is none.
            TableError: if a record or a recording is missing.
        """
        from .measured import table  # which needs this module

        for part in self.document.parts:
            if part.title.startswith(title):
                return table(self, part.rows) if isinstance(part, Table) else part.make(self)
        raise UnknownNameError("part", title, [part.title for part in self.document.parts])

    def confusion(self, system: str, protocol: str = "") -> pd.DataFrame:
        """Confusion matrix of a system over all folds and seeds; see :meth:`runs`."""
        runs = self.runs(system, protocol)
        first = runs.iloc[0]
        return confusion(runs, first["recipe"], first["protocol"], first["ablation"])

    def histories(self, system: str, protocol: str = "") -> list[pd.DataFrame]:
        """Loss and accuracy of each epoch, a DataFrame for each training; see :meth:`runs`."""
        kept = self.runs(system, protocol).get("histories", pd.Series(dtype=object)).dropna()
        found = [pd.DataFrame(each) for run in kept for each in run]
        if not found:
            raise TableError(f"the records of {system} hold no curves; run it again")
        return [each.assign(epoch=range(1, len(each) + 1)).astype(float) for each in found]


def shortened(system: System, epochs: int) -> System:
    """A system whose trainings have at most so many epochs, named after them; the system itself with 0, or if
    it has no epochs."""
    if not epochs:
        return system
    try:
        return system.with_settings({"training.epochs": epochs}, f"{epochs} epochs")
    except RecipeError:
        return system


def _first(records: pd.DataFrame) -> str:
    return next(iter(records["corpora"]), "")
