"""``ser-kit demo``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import nbformat
import numpy as np
import pytest
from commands import process

pytestmark = pytest.mark.slow

HEAD = """
import json, os, sys
from pathlib import Path
out = Path(os.environ["SER_KIT_OUTPUT"])
def fact(name, **facts):
    (out / f"{name}.json").write_text(json.dumps(facts))
"""
FACTS = {
    "01_corpora": """fact("01_corpora", corpora=os.environ["SER_KIT_CORPUS"].split(","), clips=480, speakers=10,
        emotions={"sad": 240, "angry": 240}, synthetic=True)""",
    "05_predict": """(out / "figures").mkdir()
fact("05_predict", clip_id="demo:x", true="sad", emotion="angry", confidence=0.625, uncertain=True)""",
}


def write_notebook(folder: Path, name: str, *cells: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(f"# {name}")])
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in (HEAD, *cells)]
    nbformat.write(notebook, folder / f"{name}.ipynb")


def outputs_of(path: Path) -> str:
    return "".join(o.get("text", "") for cell in nbformat.read(path, 4).cells for o in cell.get("outputs", []))


@pytest.fixture
def notebooks(tmp_path) -> Path:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder


def test_demo_runs_the_notebooks_and_sums_up(ser_kit, notebooks, tmp_path, monkeypatch):
    evaluated = {
        "evaluations": [
            {
                "recipe": "rastogi_mlp",
                "protocol": "speaker",
                "speaker_independent": True,
                "uar": {"mean": 0.7, "std": 0.05, "low": 0.6, "high": 0.8},
                "accuracy": {"mean": 0.71, "std": np.nan, "low": 0.6, "high": 0.8},  # of one fold
            }
        ]
    }
    write_notebook(notebooks, "01_corpora", "print(sys.executable)", FACTS["01_corpora"])
    write_notebook(notebooks, "04_evaluate", "from math import nan", f"fact('04_evaluate', **{evaluated!r})")
    write_notebook(notebooks, "05_predict", FACTS["05_predict"])
    write_notebook(notebooks, "99_other", "1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SER_KIT_CORPUS", "demo,folder")
    status, said, err = ser_kit("demo")
    assert status == 0
    out = tmp_path / "outputs" / "demo"
    assert [line.split()[:2] for line in err.splitlines() if line.endswith("cells")] == [
        ["01_corpora", "ok"], ["04_evaluate", "ok"], ["05_predict", "ok"],
    ]  # fmt: skip
    for expected in (
        "480 of 10 speakers, 2 emotions: demo, folder (synthetic speech)",
        "70.0 ± 5.0         71.0",
        "demo:x (held out, true emotion sad): angry, confidence 62 %, uncertain",
        f"3 ran, as .ipynb and .html in {out}",
        str(out / "figures"),
    ):
        assert expected in said
    assert outputs_of(out / "01_corpora.ipynb").strip() == sys.executable
    assert sys.executable in (out / "01_corpora.html").read_text()


def test_demo_stops_at_a_failing_cell_and_keeps_what_ran(ser_kit, notebooks, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "05_predict.json").write_text("{}")  # of an earlier run
    write_notebook(notebooks, "02_features", "print('before')", "raise ValueError('no pitch')", "print('after')")
    write_notebook(notebooks, "05_predict", FACTS["05_predict"])
    arguments = ("demo", "--notebooks", notebooks, "--out", out, "--corpus", "demo")
    status, found, _ = ser_kit(*arguments, "--json")
    assert (status, found["ok"], found["facts"]) == (1, False, {})
    (run,) = found["notebooks"]
    assert (run["name"], run["ok"], run["cells"], run["total"]) == ("02_features", False, 2, 4)
    assert "raise ValueError('no pitch')" in run["error"] and "\x1b" not in run["error"]
    assert outputs_of(Path(run["notebook"])) == "before\n"
    assert "no pitch" in Path(run["html"]).read_text()


def test_demo_survives_a_kernel_that_dies(ser_kit, notebooks, tmp_path):
    write_notebook(notebooks, "03_train", "os.write(2, b'out of memory'); os.kill(os.getpid(), 9)")
    status, said, _ = ser_kit("demo", "--notebooks", notebooks, "--out", tmp_path / "out")
    assert status == 1
    assert "03_train failed in code cell 2 of 2" in said and "the kernel died" in said


def test_demo_never_overwrites_the_notebooks(ser_kit, notebooks):
    write_notebook(notebooks, "01_corpora")
    before = (notebooks / "01_corpora.ipynb").read_bytes()
    status, _, err = ser_kit("demo", "--notebooks", notebooks, "--out", notebooks)
    assert status == 2 and "overwrite" in err
    assert (notebooks / "01_corpora.ipynb").read_bytes() == before


def test_interrupting_the_demo_ends_its_kernel(notebooks, tmp_path):
    out = tmp_path / "out"
    waiting = "(out / 'pid').write_text(str(os.getpid())); (out / 'ready').touch(); import time; time.sleep(600)"
    write_notebook(notebooks, "01_corpora", "print('before')", waiting)
    command = process("demo", "--notebooks", notebooks, "--out", out, start_new_session=True)
    deadline = time.monotonic() + 120
    while not (out / "ready").exists():
        assert command.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    command.send_signal(signal.SIGINT)
    said, err = command.communicate(timeout=120)
    assert (command.returncode, said) == (130, "")
    assert err.splitlines()[-1] == "ser-kit: interrupted"
    with pytest.raises(ProcessLookupError):
        os.kill(int((out / "pid").read_text()), 0)
    assert outputs_of(out / "01_corpora.ipynb") == "before\n"
