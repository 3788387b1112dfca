"""Run the systems of a document, and write its page from the records."""

from __future__ import annotations

import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from ... import corpora, plots, recipes
from ...core.errors import FewClipsWarning, SerKitError, TableError
from ...core.paths import write_whole
from .. import reproduce
from ..final import versions
from . import pages
from .document import UNSEEN, Document, Material, Table, shortened
from .measured import table


def run(
    document: Document,
    names: Sequence[str],
    *,
    out: str | os.PathLike,
    systems: Iterable[str] | None = None,
    seeds: Iterable[int] = (0,),
    numbers: Iterable[int] | None = None,
    root: str | os.PathLike | None = None,
    jobs: int | None = None,
    progress: bool = True,
    epochs: int = 0,
    command: str = "",
    tell: Callable[[str], None] = lambda line: None,
) -> list[reproduce.Failure]:
    """Run the systems of a document under its protocols and on unseen speakers; see
    :func:`ser_kit.recipes.reproduce.run`.

    Args:
        document: the document.
        names: names of the corpora; each row is run on those of its own that are among them, or on all.
        out: folder of the records.
        systems: names of the systems to run, of those of its rows; ``None`` for all.
        seeds: random seeds of folds and training.
        numbers: numbers of the folds to run, from 1; ``None`` for all.
        root: folder of the corpora.
        jobs: number of processes for extraction.
        progress: show progress bars.
        epochs: most epochs of a training, for a quick look; 0 for the document's number.
        command: command line, for the records.
        tell: function that is called with a line of text after each run.

    Returns:
        Systems that cannot be run.
    """
    names = [corpora.get(name).name for name in names]
    chosen = {row.system for row in document.rows} if systems is None else set(systems)
    wanted = dict.fromkeys(
        (tuple(document.places(row, names)), (row.split, *([UNSEEN] * row.unseen)), row.system)
        for row in document.rows
        if row.system in chosen
    )
    failures = []
    with warnings.catch_warnings():
        if epochs:  # a quick look, whose confidences nobody uses
            warnings.simplefilter("ignore", FewClipsWarning)
        for (place, divided), group in itertools.groupby(wanted, key=lambda each: each[:2]):
            failures += reproduce.run(
                [shortened(recipes.get(system), epochs) for *_, system in group], place, divided=divided,
                seeds=seeds, out=out, numbers=numbers, root=root, jobs=jobs, progress=progress,
                command=command, tell=tell,
            )  # fmt: skip
    return failures


def write_page(
    document: Document,
    names: Sequence[str],
    out: str | os.PathLike,
    *,
    root: str | os.PathLike | None = None,
    markdown: str | os.PathLike | None = None,
    figures: str | os.PathLike | None = None,
    epochs: int = 0,
) -> list[str]:
    """Write the page of a document from the records of a folder, as Markdown and as one HTML file.

    Args:
        document: the document.
        names: names of the corpora; figures are drawn of the runs on them.
        out: folder of the records, and of the page.
        root: folder of the corpora.
        markdown: path of the Markdown file, by default ``OUT/NAME.md``.
        figures: folder of the pictures, by default ``OUT/NAME``.
        epochs: as in :func:`run`.

    Returns:
        Paths of the files.

    Raises:
        TableError: if there are no records.
    """
    out = Path(out)
    folder = Path(figures or out / document.name)
    names = tuple(corpora.get(name).name for name in names)
    material = Material(document, reproduce.load(out), names, root, epochs)
    blocks: list[pages.Block] = [pages.Heading(document.title, 1), *_introduction(material)]
    drawn = []
    for number, part in enumerate(document.parts, 1):
        blocks.append(pages.Heading(part.title))
        if part.note:
            blocks.append(pages.Text(part.note))
        if isinstance(part, Table):
            blocks.append(table(material, part.rows))
            continue
        try:
            made = part.make(material)
            picture = None if isinstance(made, pd.DataFrame) else plots.png(made)
        except SerKitError as error:
            blocks.append(pages.Text(f"Not drawn: {str(error).splitlines()[0]}."))
            continue
        if picture is None:
            blocks.append(made)
            continue
        folder.mkdir(parents=True, exist_ok=True)
        drawn.append(folder / f"{number:02d}.png")
        write_whole(drawn[-1], picture)
        blocks.append(pages.Image(drawn[-1], part.alt))
    blocks.append(pages.Heading("What the document does not say, and what was taken"))
    blocks.append(pd.DataFrame(document.unsaid.items(), columns=["not in the document", "taken here"]))
    written = [Path(markdown or out / f"{document.name}.md"), out / f"{document.name}.html"]
    pages.write(blocks, *written)
    return [str(path) for path in (*written, *drawn)]


def _introduction(material: Material) -> list[pages.Block]:
    """What was run, on which corpora, and what the columns mean."""
    document = material.document
    shown = dict.fromkeys((row.system, split) for row in document.rows for split in (row.split, UNSEEN))
    runs = [material.of(name) for name, _ in shown]
    runs = pd.concat([own[own["protocol"] == split] for own, (_, split) in zip(runs, shown, strict=True)])
    if not len(runs):
        raise TableError(f"there is no record of a system of {document.name!r}; run ser-kit reproduce first")
    wanted = {name for row in document.rows for name in (row.corpora or document.corpora)}
    found = {name for place in runs["corpora"] for name in place.split(" (")[0].split(", ")}
    items = [f"Corpora of the document: {', '.join(sorted(wanted))}. Run on: {', '.join(sorted(found))}."]
    for name in sorted(wanted - found):
        about = corpora.get(name)
        items.append(
            f"**{name} was not available.** Get it at {about.homepage}, or let kagglehub download it; "
            f"then repeat the command with `{name}` after `--corpus`. No figure below is of {name}."
        )
    if material.epochs:
        items.append(f"**Trainings were cut to {material.epochs} epochs**, for a quick look.")
    known = runs[[isinstance(each, dict) and bool(each) for each in runs["data"]]]  # not in earlier records
    clips = {place: part["data"].iloc[0]["clips"] for place, part in known.groupby("corpora")}
    items.append(f"Clips: {', '.join(f'{count:,} of {place}' for place, count in clips.items())}.")
    seeds = sorted(map(int, set(runs["seed"])))
    items.append(f"Seeds: {', '.join(map(str, seeds))}. Versions: {_versions(runs)}.")
    whole = f"ser-kit reproduce {document.name} --corpus {' '.join(sorted(wanted))} --out results"
    made = dict.fromkeys(filter(None, runs["command"].dropna()))
    return [
        pages.Text(
            "Each table and figure of the document, beside the same figure here. *Here, as documented* is "
            "under the document's own split: mean ± standard deviation over folds and seeds, in percent, and "
            "leaky if tested speakers or clips were also used in training. *Here, unseen speakers* is under "
            "five folds of whole speakers: the score of all clips, with the 95 % bootstrap interval over "
            "speakers (`*`: folds are missing). Averages over emotions are macro averages, unless the "
            "document says otherwise."
        ),
        pages.Text(tuple(items)),
        pages.Text("The whole document in one command, with its corpora:"),
        pages.Code(whole),
        *([pages.Text("The commands of the runs shown here:"), pages.Code("\n".join(made))] if made else []),
    ]


def _versions(runs: pd.DataFrame) -> str:
    found = runs["versions"].iloc[-1] or versions()
    kept = ("ser_kit", "keras", "tensorflow", "librosa", "scikit-learn", "numpy")
    return ", ".join(f"{name} {found[name]}" for name in kept if name in found)
