"""``python -m benchmarks.page``: how soon the page without a server can be used and answers, and what it takes.

It is served from this machine and driven in Chromium. ``--picture`` keeps a picture of it, as it stands in the README.
Memory is that of all of Chromium's processes, from ``/proc``, on Linux.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ser_kit.app import site
from ser_kit.inference.predictor import DEFAULT_PRESET

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
_PATIENCE = 120_000  # ms
_GOAL = 3.0  # s


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    options = _options(argv)
    from playwright.sync_api import sync_playwright

    before = _processes()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        place = site.write_site(options.bundle, f"{folder}/site", runtime=options.runtime)
        size = sum(file.stat().st_size for file in place.rglob("*"))
        with site.served(place) as address:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            page = browser.new_page(viewport={"width": 820, "height": 900})
            page.set_default_timeout(_PATIENCE)
            empty = _memory(before)
            loads, firsts, others = [], [], []
            for _ in range(options.rounds):
                began = time.perf_counter()
                page.goto(address)
                page.get_by_text("Ready.").wait_for()
                loads.append(time.perf_counter() - began)
                seconds = [_answer(page, options.clip, number) for number in range(3)]
                firsts, others = [*firsts, seconds[0]], [*others, *seconds[1:]]
            answered = _memory(before)
            if options.picture:
                page.locator("#clear").click()
                _answer(page, options.clip, 0)
                _keep(page.screenshot(full_page=True), options.picture)
            browser.close()
    print(f"{options.bundle}: {size / 1e6:.1f} MB")
    for what, values in (("load", loads), ("first answer", firsts), ("further answers", others)):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{what}: median {middle:.2f} s, {low:.2f} to {high:.2f} s, {len(values)} times")
    print(f"the first answer within {_GOAL:g} s of the load: {'yes' if max(firsts) <= _GOAL else 'NO'}")
    print(f"Chromium takes {answered - empty} MB more than with an empty page, {answered} MB in all")
    return 0


def _answer(page, clip: Path, before: int) -> float:
    """Seconds to an answer on a page that holds some before."""
    began = time.perf_counter()
    page.locator("#files").set_input_files(clip)
    page.locator("#answers .sk-card").nth(before).wait_for()
    return time.perf_counter() - began


def _processes() -> set[int]:
    return {int(place.name) for place in Path("/proc").glob("[0-9]*")}


def _memory(before: set[int]) -> int:
    """Memory (MB) of the processes of Chromium that were started since; shared pages are divided among them."""
    total = 0
    for process in _processes() - before:
        try:
            name = os.readlink(f"/proc/{process}/exe")
            found = Path(f"/proc/{process}/smaps_rollup").read_text().partition("\nPss:")[2]
            total += int(found.split()[0]) if "chrom" in name else 0
        except (OSError, IndexError):  # it has ended since
            continue
    return total // 1000


def _keep(png: bytes, path: Path) -> None:
    """With 256 colours, a third as large as with all."""
    from PIL import Image

    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE)
    image.save(path, optimize=True)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__.split("\n")[0])
    parser.add_argument("clip", type=Path, help="a recording to answer again and again")
    parser.add_argument("--bundle", default=DEFAULT_PRESET, help="preset or folder (%(default)s)")
    parser.add_argument("--runtime", help="folder with the npm package onnxruntime-web")
    parser.add_argument("--rounds", type=int, default=5, help="how often the page is loaded (%(default)s)")
    parser.add_argument("--picture", type=Path, help="PNG file of the page to write")
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
