"""The house stands as its plan says: rooms import only what lies below them, and importing it is quick."""

from __future__ import annotations

import ast
import configparser
import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import ser_kit
from ser_kit import _old_names
from ser_kit.bundles.presets import RENAMED, bundle_path, preset_path

ROOT = Path(ser_kit.__file__).parent
ORDER = [
    "_version", "_old_names", "core", "audio", "corpora", "features", "extraction", "protocols", "models",
    "evaluation", "plots", "training", "bundles", "deploy", "recipes", "inference", "app", "cli",
]  # fmt: skip
MODULES = sorted(m.name for m in pkgutil.walk_packages([str(ROOT)], "ser_kit.") if not m.name.endswith("__main__"))
HEAVY = {
    "tensorflow", "keras", "librosa", "matplotlib", "seaborn", "parselmouth", "sklearn", "scipy", "kagglehub",
    "ipywidgets",
}  # fmt: skip


def room(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Rooms that a file imports, wherever the import stands in it."""
    package = ["ser_kit", *path.relative_to(ROOT).parent.parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1] + (node.module.split(".") if node.module else [])
            found |= {base[1]} if len(base) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ser_kit."):
            found.add(node.module.split(".")[1])
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    here = room(path)
    if here == "__init__":
        return
    assert here in ORDER, f"{here} has no place in the plan"
    above = {name for name in imports(path) - {here} if name in ORDER and ORDER.index(name) > ORDER.index(here)}
    assert not above, f"{here} imports {above}, which stand above it"


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short_enough_to_read(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 450
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            described = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno - 1
            signature = node.body[0].lineno - node.lineno if ast.get_docstring(node) else 0
            assert node.end_lineno - described + signature <= 60, node.name


def test_the_drawing_is_that_of_the_imports():
    document = ROOT.parent / "docs" / "architecture.md"
    if not document.exists():
        pytest.skip("the documents are not beside an installed package")
    text = document.read_text(encoding="utf-8")
    drawing = text.split("```")[1]
    assert re.findall(r"^(\w+)/ ", drawing, re.M) == [name for name in ORDER if not name.startswith("_")]
    assert len(text.split()) <= 1500


def test_requirements_hold_what_the_package_and_the_notebooks_need():
    top = ROOT.parent
    if not (top / "setup.cfg").exists():
        pytest.skip("the project's files are not beside an installed package")
    config = configparser.ConfigParser(interpolation=None)
    config.read(top / "setup.cfg")
    needed = set(config["options"]["install_requires"].split()) | set(config["options.extras_require"]["xlsx"].split())
    listed = {line for line in (top / "requirements.txt").read_text().splitlines() if not line.startswith("#")}
    assert listed == needed
    assert not [line for line in listed if "<" in line or "==" in line], "upper pins break Colab"


def test_importing_ser_kit_loads_nothing_heavy():
    code = "import sys, ser_kit, ser_kit.cli; print(' '.join(m.split('.')[0] for m in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_public_names_resolve():
    packages = [ser_kit, *(getattr(ser_kit, name) for name in ORDER if not name.startswith("_") and name != "cli")]
    for package in packages:
        assert package.__all__
        for name in package.__all__:
            assert getattr(package, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        ser_kit.nonsense  # noqa: B018


@pytest.mark.slow
def test_old_names_still_import_with_a_warning():
    """In a process of its own, since a module is imported once."""
    code = """
import importlib, warnings, ser_kit
from ser_kit import _old_names
from ser_kit.bundles.presets import RENAMED, bundle_path, preset_path
for old, new in _old_names.MODULES.items():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(f"ser_kit.{old}")
    said = [str(warning.message) for warning in caught if warning.category is DeprecationWarning]
    assert f"ser_kit.{old} is now ser_kit.{new}; the old name goes with the next release" in said, (old, said)
    assert module is importlib.import_module(f"ser_kit.{new}") is getattr(ser_kit, old), old
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_old_preset_still_loads_with_a_warning():
    for old, new in RENAMED.items():
        with pytest.warns(DeprecationWarning, match=new):
            assert bundle_path(old) == preset_path(new)


@pytest.mark.parametrize(
    ("module", "old"), [(module, old) for module, names in _old_names.NAMES.items() for old in names]
)
def test_names_that_moved_still_work_with_a_warning(module, old):
    place, new = _old_names.NAMES[module][old]
    with pytest.warns(DeprecationWarning, match=f"{module}.{old} is now {place}.{new};"):
        assert getattr(importlib.import_module(module), old) is getattr(importlib.import_module(place), new)


def test_changing_settings_by_the_old_name_still_works():
    recipe = ser_kit.recipe("rastogi_mlp")
    with pytest.warns(DeprecationWarning, match="with_settings"):
        assert recipe.changed({"training.epochs": 3}) == recipe.with_settings({"training.epochs": 3})


@pytest.mark.slow
@pytest.mark.parametrize("name", MODULES)
def test_docstrings_exist_and_their_examples_run(name, monkeypatch, tmp_path):
    module = importlib.import_module(name)
    if name == "ser_kit.app._install":  # the text of a notebook's cell, which has a title instead
        return
    assert module.__doc__, f"{name} has no docstring"
    for public in (n for n in vars(module) if not n.startswith("_")):
        thing = getattr(module, public)
        if callable(thing) and getattr(thing, "__module__", None) == name:
            assert thing.__doc__, f"{name}.{public} has no docstring"
    monkeypatch.chdir(tmp_path)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL)
    assert not failed


def test_nothing_calls_a_program_of_ffmpeg_s():
    """What PyAV brings must do, on a machine that has nothing else."""
    top = ROOT.parent
    files = [path for folder in ("ser_kit", "tests", "benchmarks", "examples") for path in (top / folder).rglob("*.py")]
    called = re.compile(r"[\"']ff(mpeg|probe|play)\b")
    assert files and not [path for path in files if called.search(path.read_text(encoding="utf-8"))]
