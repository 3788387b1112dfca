"""Output of commands: results on standard output; progress, notes and errors on standard error.

A command returns a :class:`Result`. Only :func:`write` writes to standard output, so that results are never
mixed with other text.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..core.errors import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


class Result(NamedTuple):
    """Result of a command.

    Args:
        data: plain values, ready for JSON; ``None`` if the command has written its results already.
        show: function that prints the result as text.
        status: exit status: 0 on success, 1 if a part failed.
    """

    data: Any
    show: Callable[[Console], None]
    status: int = 0


def write(result: Result, as_json: bool) -> None:
    """Write a result to standard output, as JSON or text."""
    from rich.console import Console

    class Plain(Console):
        """Replaces control characters, which file names and cards of bundles may hold."""

        def render_str(self, text, **settings):
            return super().render_str(printable(text), **settings)

    if hasattr(sys.stdout, "reconfigure"):
        # A file name may hold characters that the terminal cannot show.
        sys.stdout.reconfigure(errors="replace")
    try:
        if as_json and result.data is not None:
            print(json.dumps(result.data, indent=2, allow_nan=False))
        else:
            # No markup: a file may be called [red].wav. Without a terminal the width is unlimited.
            width = None if sys.stdout.isatty() else 10_000
            console = Plain(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)
            with console.capture() as shown:  # written below, since rich exits when a pipe is broken
                result.show(console)
            sys.stdout.write(shown.get())
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader, such as head, has closed the pipe; Python flushes standard output at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def notes_to_stderr(quiet: bool) -> Iterator[None]:
    """Print warnings and log messages of ser_kit on standard error; drop those of other packages."""
    logger = logging.getLogger("ser_kit")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if not quiet:
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
            warnings.filterwarnings("default", module=r"ser_kit(\.|$)")
            warnings.showwarning = lambda message, *_, **__: error_line(f"note: {message}")
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


def error_line(text: str) -> None:
    """Print a line on standard error, and flush it."""
    print(printable(text), file=sys.stderr, flush=True)


def note(args: argparse.Namespace, text: str) -> None:
    """Print a line on standard error, unless ``--quiet`` was given."""
    if not args.quiet:
        error_line(text)


class Page:
    """A console that collects its output as Markdown."""

    def __init__(self):
        self._parts: list[str] = []

    def __str__(self) -> str:
        return "".join(f"{part.strip()}\n\n" for part in self._parts)

    def print(self, text: str, **_: Any) -> None:
        """Add a paragraph."""
        self._parts.append(text)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str) -> None:
        """Add a table."""
        lines = [columns, ["---"] * len(columns), *rows]
        cells = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
        self._parts += [title] if title else []
        self._parts.append("\n".join(f"| {' | '.join(line)} |" for line in cells))


def print_table(
    console: Console | Page,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    *,
    title: str = "",
    numbers: Iterable[str] = (),
    wrap: Iterable[str] = (),
) -> None:
    """Print a table.

    Args:
        console: console or page.
        columns: column titles.
        rows: cells of each row.
        title: title of the table.
        numbers: columns aligned to the right.
        wrap: columns that may wrap on a narrow terminal, between words and after the slashes of a path. On a
            terminal that is too narrow even so, each row is a list of its cells.
    """
    if isinstance(console, Page):
        console.table(columns, rows, title)
        return
    from rich import box
    from rich.table import Table

    columns, cells = list(map(str, columns)), [list(map(str, row)) for row in rows]
    widths = _widths(columns, cells, [name in wrap for name in columns], console.width)
    if widths is None:
        console.print(*([title] if title else []), *_lists(columns, cells), sep="\n")
        return
    table = Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False
    )
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", no_wrap=True)
    for row in cells:
        table.add_row(*map(_broken, row, widths))
    console.print(table)


def _widths(
    columns: Sequence[str], rows: Sequence[Sequence[str]], wrap: Sequence[bool], width: int
) -> list[int] | None:
    """Widths of the columns of a table on a terminal, in cells; ``None`` if a word would have to break."""
    from rich.cells import cell_len

    lines = [columns, *rows]
    longest = [max(map(cell_len, cells)) for cells in zip(*lines, strict=True)]
    least = [
        max(cell_len(piece) for cell in cells for piece in _PIECE.findall(cell) or [""]) if may else whole
        for cells, may, whole in zip(zip(*lines, strict=True), wrap, longest, strict=True)
    ]
    spare = width - (3 * len(columns) - 1) - sum(least)  # a table has 3 spaces between columns, 1 at each end
    if spare < 0:
        return None
    widths = list(least)
    for left, i in enumerate(sorted(range(len(columns)), key=lambda i: longest[i] - least[i])):
        more = min(longest[i] - least[i], spare // (len(columns) - left))
        widths[i], spare = widths[i] + more, spare - more
    return widths


def _broken(cell: str, width: int) -> str:
    """A cell in lines of a width, broken between words and after slashes."""
    from rich.cells import cell_len

    lines = [""]
    for piece in _PIECE.findall(cell):
        if cell_len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _lists(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The rows of a table as lists, without empty cells."""
    widest = max(map(len, columns[1:]), default=0)
    for first, *others in rows:
        yield first
        yield from (
            f"  {name:{widest}}  {cell}" for name, cell in zip(columns[1:], others, strict=True) if cell
        )


_PIECE = re.compile(r"[^\s/]*/+|[^\s/]+\s*|\s+")
"""What a line may be broken after."""


def progress_bar(quiet: bool) -> Progress:
    """A progress bar on standard error, which disappears at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet)


def followed(things: Iterable, total: int, what: str, quiet: bool) -> Iterator:
    """Yield things, with a progress bar if there are several."""
    if total < 2:
        yield from things
        return
    with progress_bar(quiet) as bar:
        yield from bar.track(things, total=total, description=what)
