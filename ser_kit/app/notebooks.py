"""Runs the notebooks, headless and in order, in a kernel of this interpreter, and gathers what they found.

The notebooks are told what to do by two environment variables: ``SER_KIT_CORPUS`` (names with commas between them) and
``SER_KIT_OUTPUT`` (a folder, into which each also writes its key facts as ``<notebook>.json``).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import MissingDependencyError, SerKitError
from ..core.paths import writable

NOTEBOOKS = (
    "01_corpora", "02_features", "03_train", "04_evaluate", "05_predict", "06_published_systems", "07_deploy",
)  # fmt: skip
"""Names of the notebooks, in the order in which they run."""

CORPUS_VARIABLE = "SER_KIT_CORPUS"
OUTPUT_VARIABLE = "SER_KIT_OUTPUT"
DEFAULT_CORPUS = "demo"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class NotebookRun:
    """How one notebook went.

    Args:
        name: the notebook's, without suffix.
        seconds: wall-clock time, starting the kernel included.
        cells: code cells that ran to their end.
        total: code cells there are.
        notebook: the executed notebook.
        page: the same as HTML.
        error: the failing cell and its traceback; ``""`` when all went well.
    """

    name: str
    seconds: float
    cells: int
    total: int
    notebook: Path
    page: Path
    error: str

    @property
    def ok(self) -> bool:
        """Whether every cell ran."""
        return not self.error


@dataclass(frozen=True)
class Demo:
    """What came of the notebooks.

    Args:
        corpora: names of the corpora they ran on.
        out: folder with the executed notebooks, figures and results.
        runs: one per notebook that was started; the last one may have failed.
        facts: notebook -> the key facts that it wrote.
        seconds: wall-clock time of all.
    """

    corpora: tuple[str, ...]
    out: Path
    runs: tuple[NotebookRun, ...]
    facts: dict[str, Any] = field(repr=False)
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every notebook ran to its end."""
        return all(run.ok for run in self.runs)


def run(
    notebooks: str | os.PathLike | None = None,
    out: str | os.PathLike = "outputs/demo",
    corpora: Iterable[str] | None = None,
    *,
    progress: bool = True,
) -> Demo:
    """Execute the notebooks; the first failing cell ends the run.

    Args:
        notebooks: folder of the notebooks; by default ``./notebooks``, else those installed with ser_kit.
        out: folder for the executed notebooks (``.ipynb`` and ``.html``), their figures and results. A notebook that
            fails, or is interrupted, is kept as far as it came.
        corpora: names, see :func:`ser_kit.corpora.get`; by default those in ``SER_KIT_CORPUS``, else the synthetic
            demo corpus.
        progress: show a bar, and then a line, for each notebook on standard error.

    Raises:
        SerKitError: there are no notebooks, or they would be overwritten.
        TargetError: nothing can be written in ``out``.
        UnknownNameError: a corpus is unknown.
        MissingDependencyError: the packages that run notebooks are not installed.

    Examples:
        >>> from ser_kit.app import notebooks
        >>> notebooks.run(corpora=["demo"]).facts["05_predict"]["emotion"]  # doctest: +SKIP
        'angry'
    """
    from .. import corpora as registry

    started = time.perf_counter()
    paths = _find(notebooks)
    names = tuple(
        corpora or filter(None, map(str.strip, os.environ.get(CORPUS_VARIABLE, DEFAULT_CORPUS).split(",")))
    )
    # The notebooks run in another folder.
    chosen = map(registry.get, names)
    names = tuple(
        each.name if each.root is None else f"{each.name}:{each.root.absolute()}" for each in chosen
    )
    _require()
    out = Path(os.path.abspath(out))
    if out == Path(os.path.abspath(paths[0].parent)):
        raise SerKitError(
            f"out={str(out)!r} is the notebooks' own folder, which the executed ones would overwrite"
        )
    writable(out).mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        CORPUS_VARIABLE: ",".join(names),
        OUTPUT_VARIABLE: str(out),
        # The debugger, which nobody uses here, would warn in every notebook that it cannot look into frozen modules.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    # The kernel draws into the notebook unless this says otherwise.
    environment.pop("MPLBACKEND", None)
    fragments = {path.stem: out / f"{path.stem}.json" for path in paths}
    for fragment in fragments.values():
        fragment.unlink(missing_ok=True)  # what an earlier run found must not pass for this one's
    runs = []
    for path in paths:
        runs.append(_execute(path, out, environment, progress))
        if not runs[-1].ok:
            break
    facts = {name: _read(file) for name, file in fragments.items() if file.is_file()}
    return Demo(names, out, tuple(runs), facts, time.perf_counter() - started)


def _find(folder: str | os.PathLike | None) -> list[Path]:
    installed = Path(sys.prefix) / "share" / "ser_kit" / "notebooks"
    places = [Path("notebooks"), installed] if folder is None else [Path(folder)]
    for place in places:
        found = [place / f"{name}.ipynb" for name in NOTEBOOKS if (place / f"{name}.ipynb").is_file()]
        if found:
            return found
    raise SerKitError(
        f"no notebooks in {' or '.join(map(str, places))}; expected {NOTEBOOKS[0]}.ipynb to {NOTEBOOKS[-1]}.ipynb. "
        "Run it where the repository is checked out, or say --notebooks FOLDER"
    )


def _read(fragment: Path) -> Any:
    # Python's json writes NaN, which is no JSON; here as in saved evaluations null says that a number is not known.
    return json.loads(fragment.read_text("utf-8"), parse_constant=lambda _: None)


def _require() -> None:
    for package in ("nbformat", "nbclient", "nbconvert", "ipykernel"):
        try:
            __import__(package)
        except ImportError:
            raise MissingDependencyError(package, "notebooks", "running the notebooks") from None


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in which nbclient cannot take Ctrl-C for itself.

    nbclient's own handler kills the kernel and lets the cell fail as if it had crashed. Left to ``asyncio.Runner``,
    Ctrl-C cancels the execution, the kernel is shut down on the way out, and ``KeyboardInterrupt`` is raised.
    """

    def add_signal_handler(self, sig, callback, *args):
        raise RuntimeError("no signal handlers here")  # the error on which nbclient goes on without


async def _run(client: Any, **kernel: Any) -> None:
    from nbclient.exceptions import DeadKernelError

    try:
        await client.async_execute(cleanup_kc=True, **kernel)
    except DeadKernelError:
        # nbclient takes every cancelled cell for one whose kernel died.
        if asyncio.current_task().cancelling():
            raise asyncio.CancelledError from None
        raise


def _execute(path: Path, out: Path, environment: dict[str, str], progress: bool) -> NotebookRun:
    import nbformat
    from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from tqdm.auto import tqdm

    started = time.perf_counter()
    notebook = nbformat.read(path, as_version=4)
    total = sum(cell.cell_type == "code" and bool(cell.source.strip()) for cell in notebook.cells)
    done, error = 0, ""
    with tqdm(total=total, desc=path.stem, unit="cell", leave=False, disable=not progress) as bar:

        def executed(cell, cell_index, execute_reply):
            nonlocal done
            done += execute_reply["content"]["status"] == "ok"
            bar.update()

        # Without folders to look in, the one kernel there is runs under sys.executable; an installed one might not.
        specs = KernelSpecManager(kernel_dirs=[])
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=specs),
            timeout=None,
            on_cell_executed=executed,
        )
        with tempfile.TemporaryFile() as log, asyncio.Runner(loop_factory=_Loop) as runner:
            try:
                runner.run(_run(client, env=environment, stdout=subprocess.DEVNULL, stderr=log))
            except CellExecutionError as failure:
                error = _COLOURS.sub("", str(failure)).strip()
            except DeadKernelError:
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()[-20:]
                error = "\n".join(["the kernel died (killed for want of memory?); its last words:", *said])
            finally:
                page = _save(notebook, path.stem, out)
    seconds = round(time.perf_counter() - started, 2)
    found = NotebookRun(path.stem, seconds, done, total, out / path.name, page, error)
    if progress:
        state = "ok" if found.ok else "FAILED"
        print(
            f"{path.stem:<20} {state:<6} {seconds:7.1f} s  {done} of {total} cells",
            file=sys.stderr,
            flush=True,
        )
    return found


def _save(notebook: Any, name: str, out: Path) -> Path:
    import nbformat
    from nbconvert import HTMLExporter

    nbformat.write(notebook, out / f"{name}.ipynb")
    html, _ = HTMLExporter().from_notebook_node(notebook, resources={"metadata": {"name": name}})
    page = out / f"{name}.html"
    page.write_text(html, encoding="utf-8")
    return page
