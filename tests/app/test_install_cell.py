"""The first cell of every notebook: where it looks for ser_kit, in which order, and what it says in the end."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from ser_kit.app import _install as cell
from ser_kit.app.notebooks import NOTEBOOKS

FOLDER = Path(__file__).parents[2] / "notebooks"
WITH_EXPORT = {"07_deploy"}


@pytest.fixture
def computer(tmp_path):
    """A fake computer: a function that puts empty wheels on it, and the places of the cell on it."""

    def put(*wheels: str) -> list[str]:
        for wheel in wheels:
            path = tmp_path / wheel
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        places = ("notebooks/", "notebooks/dist/", "content/", *(each[1:] for each in (*cell.DRIVE, *cell.KAGGLE)))
        return [str(tmp_path / place) + "/" for place in places]

    return put


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_notebook_opens_with_the_same_cell(name):
    text = Path(cell.__file__).read_text(encoding="utf-8").rstrip()
    first, *_ = [each.source for each in nbformat.read(FOLDER / f"{name}.ipynb", 4).cells if each.cell_type == "code"]
    assert first == (text.replace('EXTRAS = ""', 'EXTRAS = "[export]"') if name in WITH_EXPORT else text)


def wheels_of(places) -> list[str]:
    return [Path(wanted[-1]).name for _, wanted in cell.attempts(places) if wanted[-1].endswith(".whl")]


def test_a_wheel_at_hand_comes_before_the_index_and_the_repository(computer):
    places = computer("notebooks/ser_kit-0.2.0-py3-none-any.whl")
    (_, alone), (_, helped), (_, index), (_, repository) = cell.attempts(places)
    assert alone == ["--no-index", *helped] and helped[:1] == ["--find-links"]
    assert Path(helped[1]) == Path(helped[2]).parent and Path(helped[1]).is_absolute()
    assert index[-1] == "ser-kit" and repository[-1].startswith("ser-kit @ git+https://")
    assert [what for what, _ in cell.attempts(computer()[3:])] == ["the package index", "the repository"]


@pytest.mark.parametrize(
    "place",
    [
        "content/drive/MyDrive", "content/drive/MyDrive/models", "kaggle/input/ser-kit",
        "kaggle/input/datasets/me/ser-kit/wheels",
    ],
)  # fmt: skip
def test_wheels_are_found_in_a_mounted_drive_and_in_kaggle_datasets(computer, place):
    assert wheels_of(computer(f"{place}/ser_kit-0.2.0-py3-none-any.whl")) == ["ser_kit-0.2.0-py3-none-any.whl"] * 2


def test_the_nearest_place_is_taken_and_in_it_the_newest_version(computer):
    names = [f"ser_kit-{version}-py3-none-any.whl" for version in ("0.9.0", "0.10.0", "0.11.0")]
    places = computer(*(f"notebooks/dist/{name}" for name in names[:2]), f"kaggle/input/a/{names[2]}")
    assert set(wheels_of(places)) == {names[1]}


@pytest.mark.parametrize("successes", [0, 1, 2, 3])
def test_it_stops_at_what_works(monkeypatch, capsys, computer, successes):
    asked, offered = [], list(cell.attempts(computer("content/ser_kit-0.2.0-py3-none-any.whl")))

    def run(command, **_):
        asked.append(command[5:])
        return SimpleNamespace(returncode=len(asked) != successes + 1, stderr="one line\nERROR: the reason\n")

    cell.install(*offered, run=run)
    assert asked == [wanted for _, wanted in offered[: successes + 1]]
    assert capsys.readouterr().out.count("Installing ser_kit from") == successes + 1


def test_where_nothing_works_it_says_in_one_sentence_what_to_do(capsys, computer):
    fails = SimpleNamespace(returncode=1, stderr="ERROR: no network")
    with pytest.raises(RuntimeError, match="make wheel.*beside this notebook.*Drive.*Kaggle.*internet"):
        cell.install(*cell.attempts(computer()), run=lambda *_, **__: fails)
    assert "the package index: ERROR: no network" in capsys.readouterr().out


def test_a_package_that_holds_no_ser_kit_does_not_count(monkeypatch, capsys):
    monkeypatch.setattr(cell.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeError, match="was not found"):
        cell.install(("the package index", ["x"]), run=lambda *_, **__: SimpleNamespace(returncode=0, stderr=""))
    assert "the package index: no ser_kit in it" in capsys.readouterr().out


@pytest.mark.slow
def test_the_cell_installs_a_wheel_without_a_network(tmp_path):
    """A stand-in of a few bytes, in an environment of its own; it needs a package that lies beside it."""
    for name, needs in (("ser_kit", "Requires-Dist: needed\n"), ("needed", "")):
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
            about = f"{name}-1.0.dist-info"
            wheel.writestr(f"{name}.py", "")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{needs}")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    text = Path(cell.__file__).read_text(encoding="utf-8") + "\nimport needed, ser_kit"
    settings = {"capture_output": True, "text": True, "env": {"PIP_NO_INDEX": "1"}}
    done = subprocess.run([python, "-c", text], cwd=tmp_path, **settings)
    assert done.returncode == 0, done.stderr
    (said,) = done.stdout.splitlines()
    assert said.startswith("Installing ser_kit from the wheel ser_kit-1.0-py3-none-any.whl and the packages beside it")
    again = subprocess.run([python, "-c", text], cwd="/", **settings)
    assert (again.returncode, again.stdout) == (0, "")
