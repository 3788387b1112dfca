"""``python -m tools.notebook_minutes FOLDER``: minutes of executed notebooks, and what a GPU would leave of them.

``FOLDER`` holds notebooks that were executed with their times, as ``ser-kit demo --out FOLDER`` leaves them. Cells that
train are counted as ``--faster`` times as fast, all others as they are: features are computed on the CPU, of which
Colab and Kaggle have two cores or more. **This is counted, not measured**: the factor is an assumption.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

TRAINS = re.compile(r"\.(run|fit|fit_fold|prune)\(")
"""What a cell calls that trains networks or other models."""
FASTER = 5.0


def seconds(notebook: dict) -> Iterator[tuple[bool, float]]:
    """Whether a code cell trains, and the seconds it took, for each that has its times.

    Args:
        notebook: a notebook, from JSON.
    """
    for cell in notebook["cells"]:
        times = cell.get("metadata", {}).get("execution", {})
        if "shell.execute_reply" in times:
            began, ended = (
                datetime.fromisoformat(times[key]) for key in ("iopub.execute_input", "shell.execute_reply")
            )
            yield bool(TRAINS.search("".join(cell["source"]))), (ended - began).total_seconds()


def main(given: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.notebook_minutes", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="executed notebooks")
    parser.add_argument("--faster", type=float, default=FASTER, help=f"how much faster a GPU trains ({FASTER:g})")
    options = parser.parse_args(given)
    print("| notebook | minutes on two cores | of which in cells that train | minutes with a T4, counted |")
    print("| --- | --- | --- | --- |")
    for path in sorted(options.folder.glob("*.ipynb")):
        found = list(seconds(json.loads(path.read_text(encoding="utf-8"))))
        if not found:
            continue
        whole, training = sum(each for _, each in found) / 60, sum(each for trains, each in found if trains) / 60
        counted = whole - training + training / options.faster
        print(f"| {path.stem} | {whole:.1f} | {training:.1f} | {counted:.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
