"""``python -m benchmarks.page``: how soon the page answers, from the choice of a file to the answer on the screen.

The page is served by Voila and driven in Chromium. ``--picture`` keeps a picture of it, as it stands in the README.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
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
_GOAL = 1.0  # s


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    options = _options(argv)
    from playwright.sync_api import sync_playwright

    app = str(files("ser_kit") / "app.ipynb")
    with (
        served(["voila", app, "--no-browser", "--Voila.ip=127.0.0.1"]) as address,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 960, "height": 900})
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.get_by_text("Ready: choose one or several recordings.").first.wait_for()
        seconds = [_measure(page, options.clip, before) for before in range(options.rounds)]
        if options.picture:
            height = page.locator(".ser-kit").evaluate("page => page.scrollHeight")
            page.set_viewport_size({"width": 960, "height": height + 100})
            _keep(page.locator(".ser-kit").first.screenshot(), options.picture)
        browser.close()
    first, *rest = zip(*seconds, strict=True)
    for what, values in zip(("answer", "all of it"), (first, *rest), strict=True):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{what}: median {middle:.2f} s, {low:.2f} to {high:.2f} s over {len(values)} uploads")
    print(f"the answer within {_GOAL:g} s: {'yes' if statistics.median(first) <= _GOAL else 'NO'}")
    return 0


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
    page.locator(".sk-card .sk-told").nth(before).wait_for()
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
