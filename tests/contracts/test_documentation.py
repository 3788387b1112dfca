"""The documentation: every public name is in the reference, links lead somewhere, and the README is short."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import ser_kit

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md"), *DOCS.glob("*/*.md")])
README_WORDS = 900
LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?\)")


@pytest.fixture(scope="module")
def api():
    """The module that finds the names of the reference."""
    spec = importlib.util.spec_from_file_location("api", DOCS / "api.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def reference(api):
    return api.Reference()


@pytest.fixture(scope="module")
def written(reference, tmp_path_factory) -> str:
    """The text of all pages of the reference."""
    folder = tmp_path_factory.mktemp("reference")
    reference.write(folder)
    return "\n".join(page.read_text(encoding="utf-8") for page in sorted(folder.glob("*.rst")))


def lists() -> dict[str, list[str]]:
    """Public module -> the names that it lists in ``__all__``, found here without the reference's own code."""
    names = [ser_kit.__name__, *(found.name for found in pkgutil.walk_packages(ser_kit.__path__, "ser_kit."))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        modules = [importlib.import_module(name) for name in names if "._" not in name]
    return {module.__name__: list(module.__all__) for module in modules if hasattr(module, "__all__")}


def test_every_public_name_is_in_the_reference(reference, written):
    described = set(re.findall(r"^\.\. (?:auto\w+|py:data):: (ser_kit[\w.]*)$", written, re.M))
    found = lists()
    assert len(found) > 5 and len(described) > 200
    missing = [
        f"{module}.{name}"
        for module, names in found.items()
        for name in names
        if not inspect.ismodule(getattr(sys.modules[module], name))
        and reference.home(f"{module}.{name}") not in described
    ]
    assert not missing
    for name in ser_kit.__all__:
        if inspect.ismodule(getattr(ser_kit, name)):
            assert getattr(ser_kit, name).__name__ in described


def test_a_name_is_described_once_and_linked_from_its_other_places(reference, written):
    described = re.findall(r"^\.\. autoclass:: (ser_kit[\w.]*\.Predictor)$", written, re.M)
    assert described == [reference.home("ser_kit.Predictor")] != ["ser_kit.Predictor"]
    assert f"<{described[0]}>" in written
    assert reference.home("ser_kit.Predictor.predict") == f"{described[0]}.predict"
    with pytest.raises(LookupError):
        reference.home("ser_kit.Predictor.nonsense")


def test_what_is_in_the_reference_has_a_description(reference):
    empty = [
        f"{module}.{name}"
        for module, names in reference.homes.items()
        for name in names
        if not name.startswith("__") and not reference.text(module, name)
    ]
    assert not empty


def heading_ids(text: str) -> set[str]:
    """The anchors that GitHub and MyST give to a page's headings."""
    headings = re.findall(r"^#+ +(.+?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S), re.M)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_within_the_repository_lead_somewhere(page):
    text = re.sub(r"^```(?!\{).*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for target in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in heading_ids(place.read_text(encoding="utf-8")), f"{page.name} links to {target}"


def test_every_page_is_in_a_table_of_contents():
    listed = {"index"}
    for page in [*DOCS.glob("*.md"), *DOCS.glob("*/*.md")]:
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(encoding="utf-8"), re.M | re.S):
            entries = [line for line in block.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / entry).relative_to(DOCS).as_posix() for entry in entries}
    found = [*DOCS.glob("*.md"), *DOCS.glob("*/*.md"), *DOCS.glob("results/documents/*.md")]
    pages = {page.relative_to(DOCS).with_suffix("").as_posix() for page in found}
    assert pages <= listed
    assert {entry for entry in listed if "*" not in entry and "/api/" not in entry} <= pages


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").split()) <= README_WORDS


def test_the_citation_and_the_changelog_name_this_version():
    assert f"\nversion: {ser_kit.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\n## [{ser_kit.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_quickstart_runs(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in re.findall(
        r"^```python\n(.*?)^```", (DOCS / "quickstart.md").read_text(encoding="utf-8"), re.M | re.S
    ):
        exec(block, names)
    assert len(names["features"].values) + len(names["features"].failures) == len(names["table"])
    assert names["answer"].emotion in names["answer"].probabilities


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    for package in ("sphinx", "myst_nb", "pydata_sphinx_theme"):
        pytest.importorskip(package, reason="the site needs the extra docs: make docs")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "trees", DOCS, tmp_path / "site"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pages = {page.relative_to(tmp_path / "site").as_posix() for page in (tmp_path / "site").rglob("*.html")}
    assert {"index.html", "quickstart.html", "notebooks/05_predict.html", "reference/api/ser_kit.html"} <= pages
