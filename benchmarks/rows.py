"""One row of the table for each thing measured, and the three ways to print it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

HEADINGS = ("what", "ours", "beside", "theirs", "ratio (spread)", "goal", "note")


@dataclass(frozen=True)
class Goal:
    """What a row is to reach.

    Args:
        value: the number.
        of: the number of the row that is meant, ``"ratio"`` or ``"ours"``.
        at_most: the number must not be exceeded, rather than be reached.
    """

    value: float
    of: str = "ratio"
    at_most: bool = False

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.value:g}"

    def met_by(self, row: Row) -> bool | None:
        """Whether the row reaches it; ``None`` if it was not measured."""
        number = getattr(row, self.of)
        return None if number is None else (number <= self.value if self.at_most else number >= self.value)


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        what: what was measured.
        beside: what it is compared to.
        unit: of ``ours`` and ``theirs``.
        ours: our number, the median over the rounds.
        theirs: the number it is compared to.
        ratios: of each round, such that more is better unless the goal says otherwise.
        goal: what is to be reached.
        note: a word of explanation; for a row that could not be measured, why.
    """

    what: str
    beside: str
    unit: str = ""
    ours: float | None = None
    theirs: float | None = None
    ratios: tuple[float, ...] = ()
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The median ratio."""
        return float(np.median(self.ratios)) if self.ratios else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; ``None`` without a goal or a measurement."""
        return self.goal.met_by(self) if self.goal else None

    def cells(self) -> tuple[str, ...]:
        """The row as text, in the order of :data:`HEADINGS`."""
        spread = ""
        if self.ratios:
            spread = f"{_number(self.ratio)}x"
            if len(self.ratios) > 1:
                spread += f" ({_number(min(self.ratios))} to {_number(max(self.ratios))})"
        numbers = ["" if n is None else f"{_number(n)} {self.unit}".strip() for n in (self.ours, self.theirs)]
        verdict = {None: "", True: ": yes", False: ": NO"}[self.met]
        goal = f"{self.goal}{' ' + self.unit if self.goal.of == 'ours' else 'x'}{verdict}" if self.goal else ""
        return self.what, numbers[0], self.beside, numbers[1], spread, goal, self.note

    def to_json(self) -> str:
        """The row in one line, which :meth:`from_json` understands."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str) -> Row:
        """The row that :meth:`to_json` wrote."""
        facts = json.loads(line)
        goal = facts.pop("goal")
        return cls(**facts | {"ratios": tuple(facts["ratios"]), "goal": goal and Goal(**goal)})

    def facts(self) -> dict[str, Any]:
        """The row for a JSON file."""
        return asdict(self) | {"ratio": self.ratio, "met": self.met}


def show(rows: Iterable[Row], title: str) -> None:
    """Print a table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, caption_justify="left")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("ours", "theirs", "ratio (spread)") else "left")
    for row in rows:
        table.add_row(*row.cells(), style={None: None, True: "green", False: "red"}[row.met])
    console = Console()
    # A terminal folds long notes; a file or a pipe has no width that matters.
    (console if console.is_terminal else Console(width=240)).print(table)


def markdown(rows: Iterable[Row], title: str) -> str:
    """The table for a document."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in rows)]
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines)])


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
