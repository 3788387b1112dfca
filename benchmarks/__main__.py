"""``python -m benchmarks``: runs each part in a process of its own and prints one table of ratios."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ser_kit.extraction import workers

from .rows import Row, markdown, show


class Part(NamedTuple):
    """Some rows of the table, measured in a process of their own.

    Args:
        module: has a function ``rows``.
        environment: variables that its process is given.
        one_core: keep the process to one core.
        needs: a package without which there is nothing to measure.
        clips: how many clips it takes, as a multiple of the number asked for.
    """

    module: str
    environment: dict[str, str]
    one_core: bool = False
    needs: str = "ser_kit"
    clips: int = 1


PARTS = {
    "extraction": Part("extraction", workers._SETTINGS, one_core=True),  # all sides run as the library's workers do
    "runs": Part("runs", {}, clips=4),
    "memory": Part("memory", {}),
    "tensorflow": Part("pipeline", {"KERAS_BACKEND": "tensorflow"}, needs="tensorflow", clips=4),
    "steps": Part("steps", {"KERAS_BACKEND": "tensorflow"}, needs="tensorflow"),
    "answering": Part("answering", {}, needs="onnxruntime", clips=10),
    "jax": Part("pipeline", {"KERAS_BACKEND": "jax"}, needs="jax", clips=4),
}


def main() -> int:
    """The command; returns the exit status: 130 after Ctrl-C, 1 if a part failed."""
    options = _options()
    # Else each process that is measured would compile the library anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if options.part:
        return _work(PARTS[options.part], options)
    rows, status = [], 0
    started = time.perf_counter()
    try:
        for name in options.only or PARTS:
            print(f"{name} ...", file=sys.stderr)
            for row in _run(name, options):
                rows.append(row)
    except KeyboardInterrupt:
        status = 130
        print("interrupted; this is what was measured", file=sys.stderr)
    except subprocess.CalledProcessError as error:
        status = 1
        print(f"{error}; this is what was measured", file=sys.stderr)
    title = f"{_source(options)[1]}; {_machine()}; {time.perf_counter() - started:.0f} s"
    if options.markdown:
        print(markdown(rows, title))
    else:
        show(rows, title)
    if options.json:
        facts = {"title": title, "rows": [row.facts() for row in rows]}
        options.json.write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return status


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--clips", type=int, default=120, help="how many, evenly spaced over the speakers")
    parser.add_argument("--only", action="append", choices=PARTS, help="one part; may be given more than once")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all numbers there")
    parser.add_argument("--markdown", action="store_true", help="print the table for a document")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.clips < 1:
        parser.error("--clips must be at least 1")
    return options


def _run(name: str, options: argparse.Namespace) -> Iterator[Row]:
    """The rows of one part as its process writes them."""
    part = PARTS[name]
    if importlib.util.find_spec(part.needs) is None:
        yield Row(f"input pipeline on {name}", "", note=f"{part.needs} is not installed")
        return
    command = [sys.executable, "-m", "benchmarks", "--part", name, "--clips", str(options.clips)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | part.environment)
    try:
        with process:
            for line in process.stdout:
                yield Row.from_json(line)
    finally:
        process.terminate()  # nothing to do unless this process was interrupted and that one was not
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)


def _work(part: Part, options: argparse.Namespace) -> int:
    """What the process of a part does: measures, and writes a row a line."""
    out, sys.stdout = sys.stdout, sys.stderr
    if part.one_core and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        for row in importlib.import_module(f".{part.module}", __package__).rows(_clips(part, options)):
            print(row.to_json(), file=out, flush=True)
    except KeyboardInterrupt:
        return 130
    return 0


def _source(options: argparse.Namespace) -> tuple[str, str]:
    """The corpus: real recordings where they are at hand, else the synthetic ones; and how to call it."""
    from ser_kit import corpora

    name = "demo" if corpora.get("ravdess").find_local() is None else "ravdess"
    return name, f"{options.clips} clips of {name}"


def _clips(part: Part, options: argparse.Namespace) -> pd.DataFrame:
    from ser_kit import corpora

    table = corpora.load(_source(options)[0]).sort_values(["speaker", "clip_id"], ignore_index=True)
    wanted = min(len(table), part.clips * options.clips)
    return table.iloc[np.linspace(0, len(table) - 1, wanted).astype(int)].reset_index(drop=True)


def _machine() -> str:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
