"""Types: every public function has them, and they are what a type checker sees of a program."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import ser_kit

PACKAGES = sorted(name for name in ser_kit.__all__ if inspect.ismodule(getattr(ser_kit, name)))


def functions(thing):
    """The public functions of a package, and the public methods of its classes."""
    for name in thing.__all__:
        found = getattr(thing, name)
        if not getattr(found, "__module__", "").startswith("ser_kit."):
            continue
        if inspect.isfunction(found):
            yield name, found
        elif inspect.isclass(found):
            for method, function in vars(found).items():
                function = getattr(function, "__func__", function)
                if inspect.isfunction(function) and not method.startswith("_"):
                    yield f"{name}.{method}", function


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_function_has_types(name):
    package = importlib.import_module(getattr(ser_kit, name).__name__)
    if not hasattr(package, "__all__"):
        pytest.skip("a module, whose names its package has")
    lacking = [
        f"{place}: {parameter}"
        for place, function in functions(package)
        for parameter in (*inspect.signature(function).parameters, "return")
        if parameter not in ("self", "cls") and parameter not in function.__annotations__
    ]
    assert not lacking


@pytest.mark.slow
def test_a_type_checker_sees_the_types(tmp_path):
    pytest.importorskip("mypy", reason="mypy is not installed")
    root = Path(ser_kit.__file__).parents[1]
    checked = Path(__file__).with_name("typed.py")
    options = ["--ignore-missing-imports", "--follow-imports=silent", "--strict-equality", "--cache-dir", str(tmp_path)]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", *options, str(checked)], capture_output=True, text=True, cwd=root
    )
    assert run.returncode == 0, run.stdout
