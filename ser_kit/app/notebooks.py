"""Run the notebooks, in order, in a kernel of this interpreter, and collect their results.

Two environment variables configure the notebooks: ``SER_KIT_CORPUS`` (names separated by commas) and
``SER_KIT_OUTPUT`` (a folder for their output; each also writes its key facts there, ``<notebook>.json``).
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
    "01_corpora", "02_features", "03_train", "04_evaluate", "05_predict", "06_published_systems",
    "06a_staged_cnn_lstm", "06b_functionals", "06c_ensembles", "06d_time_distributed", "06e_cnn_bilstm",
    "07_deploy", "08_own_recordings",
)  # fmt: skip
"""Names of the notebooks, in the order in which they run."""

CORPUS_VARIABLE = "SER_KIT_CORPUS"
OUTPUT_VARIABLE = "SER_KIT_OUTPUT"
DEFAULT_CORPUS = "demo"

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class NotebookRun:
    """The result of one notebook.

    Args:
        name: name of the notebook, without suffix.
        seconds: wall-clock time including the start of the kernel (s).
        cells: number of code cells that succeeded.
        total: number of code cells.
        notebook: path of the executed notebook.
        page: path of the same as HTML.
        error: the failing cell and its traceback; ``""`` if none failed.
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
        """Whether every cell succeeded."""
        return not self.error


@dataclass(frozen=True)
class Demo:
    """The results of the notebooks.

    Args:
        corpora: names of the corpora.
        out: folder with the executed notebooks, figures and results.
        runs: one per notebook that was started; the last one may have failed.
        facts: name of a notebook -> its key facts.
        seconds: wall-clock time of all notebooks (s).
    """

    corpora: tuple[str, ...]
    out: Path
    runs: tuple[NotebookRun, ...]
    facts: dict[str, Any] = field(repr=False)
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every notebook succeeded."""
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
        out: folder for the executed notebooks (``.ipynb`` and ``.html``), their figures and results. A
            notebook that fails or is interrupted is saved with the cells that ran.
        corpora: names (see :func:`ser_kit.corpora.get`); by default those in ``SER_KIT_CORPUS``, else the
            synthetic demo corpus.
        progress: show a progress bar and a line per notebook on standard error.

    Returns:
        The runs and the key facts.

    Raises:
        SerKitError: notebooks not found, or ``out`` is their own folder.
        TargetError: ``out`` is not writable.
        UnknownNameError: a corpus is unknown.
        MissingDependencyError: a package for running notebooks is not installed.

    Examples:
        >>> from ser_kit.app import notebooks
        >>> notebooks.run(corpora=["demo"]).facts["05_predict"]["emotion"]  # doctest: +SKIP
        'angry'
    """
    started = time.perf_counter()
    paths = _find(notebooks)
    names = _corpora(corpora)
    _require()
    out = Path(os.path.abspath(out))
    if out == Path(os.path.abspath(paths[0].parent)):
        reason = "is the notebooks' own folder, which the executed ones would overwrite"
        raise SerKitError(f"out={str(out)!r} {reason}")
    writable(out).mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        CORPUS_VARIABLE: ",".join(names),
        OUTPUT_VARIABLE: str(out),
        # Otherwise the (unused) debugger warns about frozen modules in every notebook.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    # If set, the kernel would not draw into the notebook.
    environment.pop("MPLBACKEND", None)
    fragments = {path.stem: out / f"{path.stem}.json" for path in paths}
    for fragment in fragments.values():
        fragment.unlink(missing_ok=True)  # of an earlier run
    runs = []
    for path in paths:
        runs.append(_execute(path, out, environment, progress))
        if not runs[-1].ok:
            break
    facts = {name: _read(file) for name, file in fragments.items() if file.is_file()}
    return Demo(names, out, tuple(runs), facts, time.perf_counter() - started)


def _corpora(given: Iterable[str] | None) -> tuple[str, ...]:
    """Names of the corpora; paths are made absolute, since the notebooks run in another folder."""
    from .. import corpora

    listed = os.environ.get(CORPUS_VARIABLE, DEFAULT_CORPUS).split(",")
    chosen = map(corpora.get, given or filter(None, map(str.strip, listed)))
    return tuple(each.name if each.root is None else f"{each.name}:{each.root.absolute()}" for each in chosen)


def _find(folder: str | os.PathLike | None) -> list[Path]:
    installed = Path(sys.prefix) / "share" / "ser_kit" / "notebooks"
    places = [Path("notebooks"), installed] if folder is None else [Path(folder)]
    for place in places:
        found = [place / f"{name}.ipynb" for name in NOTEBOOKS if (place / f"{name}.ipynb").is_file()]
        if found:
            return found
    expected = f"{NOTEBOOKS[0]}.ipynb to {NOTEBOOKS[-1]}.ipynb"
    raise SerKitError(
        f"no notebooks in {' or '.join(map(str, places))}; expected {expected}. "
        "Run it in a clone of the repository, or give --notebooks FOLDER"
    )


def _read(fragment: Path) -> Any:
    # Python's json writes NaN, which is not JSON; as in saved evaluations, it becomes null.
    return json.loads(fragment.read_text("utf-8"), parse_constant=lambda _: None)


def _require() -> None:
    for package in ("nbformat", "nbclient", "nbconvert", "ipykernel"):
        try:
            __import__(package)
        except ImportError:
            raise MissingDependencyError(package, "notebooks", "running the notebooks") from None


class _Loop(asyncio.SelectorEventLoop):
    """An event loop in which nbclient cannot install its own handler of Ctrl-C.

    That handler kills the kernel, so that the cell fails as if it had crashed. Without it, ``asyncio.Runner``
    cancels the execution on Ctrl-C, shuts down the kernel and raises ``KeyboardInterrupt``.
    """

    def add_signal_handler(self, sig, callback, *args):
        raise RuntimeError("no signal handlers here")  # after this error nbclient runs without one


async def _run(client: Any, **kernel: Any) -> None:
    from nbclient.exceptions import DeadKernelError

    try:
        await client.async_execute(cleanup_kc=True, **kernel)
    except DeadKernelError:
        # nbclient also reports cancelled cells as a dead kernel.
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

        # Without kernel folders, the only kernel is that of sys.executable.
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
                last = log.read().decode(errors="replace").strip().splitlines()[-20:]
                error = "\n".join(["the kernel died (out of memory?); the end of its standard error:", *last])
            finally:
                page = _save(notebook, path.stem, out)
    seconds = round(time.perf_counter() - started, 2)
    found = NotebookRun(path.stem, seconds, done, total, out / path.name, page, error)
    if progress:
        state = "ok" if found.ok else "FAILED"
        line = f"{path.stem:<20} {state:<6} {seconds:7.1f} s  {done} of {total} cells"
        print(line, file=sys.stderr, flush=True)
    return found


def _save(notebook: Any, name: str, out: Path) -> Path:
    import nbformat
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    nbformat.write(notebook, out / f"{name}.ipynb")
    hidden = {"enabled": True, "remove_input_tags": {"hide-input"}}  # the cell that installs
    exporter = HTMLExporter(config=Config({"TagRemovePreprocessor": hidden}))
    html, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": name}})
    page = out / f"{name}.html"
    page.write_text(html, encoding="utf-8")
    return page
