"""What the wheel must hold beside modules: presets, weights, scripts, styles, stubs and notebooks."""

from __future__ import annotations

import configparser
from fnmatch import fnmatch
from pathlib import Path

import pytest

import ser_kit

PACKAGE = Path(ser_kit.__file__).parent
SETTINGS = PACKAGE.parent / "setup.cfg"
if not SETTINGS.is_file():
    pytest.skip("the sources are not beside an installed package", allow_module_level=True)
NOT_FOR_USERS = {"ruff.toml"}


@pytest.fixture(scope="module")
def settings():
    found = configparser.ConfigParser()
    found.read(SETTINGS, encoding="utf-8")
    return found


def patterns(text: str) -> list[str]:
    return [pattern.strip() for pattern in text.replace("\n", ",").split(",") if pattern.strip()]


def test_every_file_of_the_package_is_in_the_wheel(settings):
    listed = settings["options.package_data"]
    here, everywhere = patterns(listed["ser_kit"]), patterns(listed["*"])
    missing = []
    for path in sorted(PACKAGE.rglob("*")):
        name = path.relative_to(PACKAGE).as_posix()
        hidden = name.startswith(".") or "/." in name  # caches of tools
        if path.is_dir() or hidden or path.suffix in (".py", ".pyc") or name in NOT_FOR_USERS:
            continue
        # As in setuptools, * does not stand for a slash.
        deep = any(fnmatch(name, each) and name.count("/") == each.count("/") for each in here)
        if not deep and not any(fnmatch(path.name, each) for each in everywhere):
            missing.append(name)
    assert not missing, "name them under [options.package_data] in setup.cfg"


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert not [str(each) for each in folders if not (each / "__init__.py").is_file()]


def test_the_notebooks_are_installed(settings):
    assert settings["options.data_files"]["share/ser_kit/notebooks"] == "notebooks/*.ipynb"
