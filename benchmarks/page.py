"""``python -m benchmarks.page``: how soon the page of ``make app`` can be used and answers, and what it takes.

It is served by Voila as ``make app`` serves it, and driven in Chromium. ``--picture`` keeps a picture of it, as it
stands in the README. Memory is read from ``/proc``, on Linux.
"""

from __future__ import annotations

import argparse
import io
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE = 120
"""s for a server to start, or a model to be loaded."""
READY = "Ready: choose one or several recordings."
_GOAL, _USABLE, _RELOADS = 1.0, 5.0, 10  # s, s, times
_LEFT_ALONE = 60  # s after which the kernels of pages that were left are gone


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    options = _options(argv)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright, _browser(playwright) as browser, _timed() as since, served(app()) as address:
        page = browser.new_page(viewport={"width": 960, "height": 900})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.get_by_text(READY).first.wait_for()
        usable, alone = since(), sum(kernels().values())
        seconds = [_measure(page, options.clip, before) for before in range(options.rounds)]
        if options.picture:
            height = page.locator(".ser-kit").evaluate("page => page.scrollHeight")
            page.set_viewport_size({"width": 960, "height": height + 100})
            _keep(page.locator(".ser-kit").first.screenshot(), options.picture)
        answered = sum(kernels().values())
        for _ in range(_RELOADS):
            page.reload()
            page.get_by_text(READY).first.wait_for()
        time.sleep(_LEFT_ALONE)
        left = kernels()
    print(f"usable {usable:.1f} s after the server's start (goal: {_USABLE:g})")
    print(f"its kernel takes {alone} MB, {answered} MB after the answers; goal: 300")
    print(f"{_LEFT_ALONE} s after {_RELOADS} reloads there are {len(left)} kernels of {sum(left.values())} MB")
    first, *rest = zip(*seconds, strict=True)
    for what, values in zip(("answer", "all of it"), (first, *rest), strict=True):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{what}: median {middle:.2f} s, {low:.2f} to {high:.2f} s over {len(values)} uploads")
    print(f"the answer within {_GOAL:g} s: {'yes' if statistics.median(first) <= _GOAL else 'NO'}")
    return 0


def app() -> list[str]:
    """What ``make app`` serves the page by, without opening a browser."""
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    line = next(line for line in makefile.splitlines() if "/voila " in line)
    options = shlex.split(line.partition("/voila ")[2])
    notebook = str(files("ser_kit.app") / "page.ipynb")
    return [
        "voila",
        notebook,
        *(each for each in options if each.startswith("--")),
        "--no-browser",
        "--Voila.ip=127.0.0.1",
    ]


def kernels() -> dict[int, int]:
    """Processes of kernels that this process's servers have started -> resident MB; none but on Linux."""
    parents, found = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(place.name)] = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if b"ipykernel_launcher" in (place / "cmdline").read_bytes():
                status = (place / "status").read_text()
                found[int(place.name)] = int(status.partition("VmRSS:")[2].split()[0]) // 1000
        except (OSError, IndexError):  # it has ended since
            continue
    return {process: size for process, size in found.items() if os.getpid() in _ancestors(process, parents)}


def _ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while process in parents:
        process = parents[process]
        yield process


@contextmanager
def _browser(playwright) -> Iterator:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
    yield browser
    browser.close()


@contextmanager
def _timed() -> Iterator[Callable[[], float]]:
    began = time.perf_counter()
    yield lambda: time.perf_counter() - began


def _keep(png: bytes, path: Path) -> None:
    """With 256 colours, a third as large as with all."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.save(path, optimize=True)


def _measure(page, clip: Path, before: int) -> tuple[float, float]:
    """Seconds to the answer, and to the last piece of the card; on a page that holds some cards before."""
    began = time.perf_counter()
    page.get_by_label("Choose recordings").set_input_files(clip)
    page.locator(".sk-card .sk-verdict").nth(before).wait_for()
    answered = time.perf_counter() - began
    page.locator(".sk-card .sk-traits").nth(before).wait_for()
    done = time.perf_counter() - began
    page.get_by_text("Save the picture").nth(before).wait_for()  # so that the next upload finds nothing to wait for
    return answered, done


@contextmanager
def served(command: Sequence[str], python: str = sys.executable, **environment: str) -> Iterator[str]:
    """A Jupyter server on a free port, until the end of the block.

    Args:
        command: a module of Python and its options.
        python: the interpreter that runs it.
        environment: variables that it is given beside those of this process.

    Returns:
        Its address.

    Raises:
        RuntimeError: it did not start; the message is what it said.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = [python, "-m", *command, f"--port={port}"]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(run, env=os.environ | environment, stdout=log, stderr=log) as server,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not _listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, help="a recording to upload again and again")
    parser.add_argument("--rounds", type=int, default=10, help="how often (%(default)s)")
    parser.add_argument("--picture", type=Path, help="PNG file of the page to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
