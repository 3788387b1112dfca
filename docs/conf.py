"""Settings of the documentation's pages; ``make docs`` builds them."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from pathlib import Path

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(DOCS))

from api import Reference  # noqa: E402

from ser_kit import __version__  # noqa: E402

project = "ser_kit"
version = release = __version__
copyright = "the authors of ser_kit"
language = "en"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
nitpicky = True
# Types of other packages, whose documentation is not fetched; names without a module are those of docstrings' own.
nitpick_ignore_regex = [("py:.*", r"(?!ser_kit\.).*")]

html_theme = "pydata_sphinx_theme"
html_title = f"ser_kit {release}"
html_copy_source = False
html_sidebars = {page: [] for page in ("index", "quickstart", "limits")}  # which have no pages below them
html_static_path = ["_static"]
html_css_files = ["site.css"]
toc_object_entries_show_parents = "hide"
html_theme_options = {
    "icon_links": [{"name": "GitHub", "url": "https://github.com/ser-kit/ser_kit", "icon": "fa-brands fa-github"}],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}

highlight_language = "none"
nb_execution_mode = "off"  # the notebooks are shown with the outputs that are committed
nb_ipywidgets_js = {}  # nothing is fetched from elsewhere
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = True
python_use_unqualified_type_names = True

_WIDGET = "application/vnd.jupyter.widget-view+json"
SOURCE = "https://github.com/ser-kit/ser_kit/blob/main/"
_LINK = re.compile(r"(?<=\]\()([^)#\s:]+)(#[^)\s]*)?(?=\))")
_BADGE = re.compile(r"\[!\[([^\]]*)\]\([^)]*\)\]")


def links_of_the_site(text: str, page: str, site_page: str) -> str:
    """Links of a page as they work on the site.

    Args:
        text: Markdown.
        page: its path in the repository, for whose readers its links are written.
        site_page: its path on the site, relative to ``docs/``.

    Returns:
        The same text; a link to a notebook or a preset's card leads to its page, one to another file outside ``docs/``
        to the repository on GitHub.
    """

    def link(match: re.Match) -> str:
        target = os.path.normpath(os.path.join(os.path.dirname(page), match[1]))
        if not (ROOT / target).exists():
            return match[0]  # MyST says that it leads nowhere
        place = site_place(target)
        return (os.path.relpath(place, os.path.dirname(site_page) or ".") if place else SOURCE + target) + (
            match[2] or ""
        )

    return _LINK.sub(link, text)


def site_place(path: str) -> str | None:
    """Where a file of the repository stands on the site, relative to ``docs/``; ``None`` if it is not there."""
    if card := re.fullmatch(r"ser_kit/presets/(\w+)/README\.md", path):
        return f"results/cards/{card[1]}.md"
    if path.startswith("notebooks/"):
        return path
    if path in ("CONTRIBUTING.md", "CHANGELOG.md"):
        return path.lower()
    return path.removeprefix("docs/") if path.startswith("docs/") else None


def write_pages(app) -> None:
    """The pages that are made: the API reference, and copies of the notebooks and of the presets' cards."""
    app.reference = Reference()
    app.reference.write(DOCS / "reference" / "api")
    for folder, pages in (
        ("notebooks", ROOT.glob("notebooks/*.ipynb")),
        ("results/cards", ROOT.glob("ser_kit/presets/*/README.md")),
    ):
        shutil.rmtree(DOCS / folder, ignore_errors=True)
        (DOCS / folder).mkdir()
        for page in pages:
            path = page.relative_to(ROOT).as_posix()
            place = site_place(path)
            text = page.read_text(encoding="utf-8")
            made = notebook(text, path) if page.suffix == ".ipynb" else links_of_the_site(text, path, place)
            (DOCS / place).write_text(made, encoding="utf-8")


def notebook(text: str, path: str) -> str:
    """A notebook as the site shows it: links that work, a badge as text, and no widgets, which need a kernel."""
    content = json.loads(text)
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            source = _BADGE.sub(r"[\1]", "".join(cell["source"]))
            cell["source"] = links_of_the_site(source, path, path)
        if "outputs" in cell:
            cell["outputs"] = [each for each in cell["outputs"] if _WIDGET not in each.get("data", {})]
    return json.dumps(content)


def rewrite_links(app, docname: str, source: list[str]) -> None:
    """Links of the pages under ``docs/``, which are written for readers of the repository."""
    path = Path(app.env.doc2path(docname)).relative_to(DOCS).as_posix()
    if path.endswith(".md") and not path.startswith("results/cards/"):
        source[0] = links_of_the_site(source[0], f"docs/{path}", path)


def resolve(app, env, node, contnode):
    """A reference to an object under another of its names; one to what has no description is left without a link."""
    module, inside = node.get("py:module"), node.get("py:class")
    for prefix in ("", f"{module}.", f"{module}.{inside}."):
        full = prefix + node.get("reftarget", "")
        try:
            home = app.reference.home(full) if full.startswith("ser_kit.") else ""
        except LookupError:
            continue
        if home in env.domains.python_domain.objects:
            domain = env.domains.python_domain
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", home, node, contnode)
        if home != "":
            return contnode
    return None


def skip(app, what, name, obj, skip, options) -> bool | None:
    """Leave out the fields of named tuples, which the class describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def setup(app) -> None:
    app.connect("builder-inited", write_pages)
    app.connect("source-read", rewrite_links)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-skip-member", skip)
