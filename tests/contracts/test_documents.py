"""The commands in README, docs, notebooks and help are commands that there are: each reaches the recordings."""

from __future__ import annotations

import argparse
import importlib.util
import re
import shlex
from pathlib import Path

import nbformat
import pytest
import soundfile

from ser_kit import corpora, extraction
from ser_kit.app import notebooks
from ser_kit.bundles import presets
from ser_kit.bundles.adaptation import Adaptation
from ser_kit.cli import commands as cli
from ser_kit.corpora.demo import synthesise_clip
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import fine_tuning, reproduce

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("ser_kit/presets/*/*.md")])
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))


def subcommands() -> dict[str, argparse.ArgumentParser]:
    (action,) = [each for each in cli.parser()._actions if isinstance(each, argparse._SubParsersAction)]
    return dict(action.choices)


NAMED = re.compile(rf"ser-kit (?:{'|'.join(subcommands())})\b[^\n\"`<)]*")


def code(markdown: str) -> list[str]:
    """The lines of a page's code blocks, and its code within lines."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", markdown, re.M | re.S)
    within = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", markdown, flags=re.M | re.S))
    # Where one of several words may stand, the first is taken.
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines()] + [
        re.sub(r"(?<=\S)\\?\|\S+", "", each) for each in within
    ]


def spoken(notebook: nbformat.NotebookNode) -> list[str]:
    """What a notebook's code and outputs say."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    texts = [cell.source for cell in cells] + [output.get("text", "") for output in outputs]
    texts += [text for output in outputs for mime, text in output.get("data", {}).items() if mime.startswith("text/")]
    found = [match.strip() for text in texts for match in NAMED.findall(text)]
    return [command for command in found if not command.endswith("...")]  # cut by a table


def commands() -> dict[str, str]:
    """Command -> where it stands; comments and what comes before and after pipes are left out."""
    lines = [(page.name, line) for page in PAGES for line in code(page.read_text())]
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        lines += [
            (path.name, line) for cell in notebook.cells if cell.cell_type == "markdown" for line in code(cell.source)
        ]
        lines += [(path.name, line) for line in spoken(notebook)]
    for name, parser in subcommands().items():
        lines += [(f"{name} --help", line) for line in parser.epilog.splitlines()[1:]]
    found: dict[str, str] = {}
    for place, line in lines:
        for match in re.finditer(r"(?:^|[\s/])(ser-kit [a-z].*)", line):
            words = shlex.split(match[1].replace("[…]", "[1]").replace(" …", " demo").replace("…", ""), comments=True)
            end = next((i for i, word in enumerate(words) if word in ("|", ">", "&&", ";")), len(words))
            found.setdefault(shlex.join(words[1:end]), place)
    return found


COMMANDS = commands()


EXPERIMENT = 'corpora = ["demo"]\nrecipes = ["rastogi_mlp"]\nevaluations = "results"\n'


class ReachedError(Exception):
    """A command has come to its recordings or bundle."""


@pytest.fixture
def nothing_is_there(monkeypatch, tmp_path):
    """Commands end where they would read recordings, bundles or records."""

    def reach(*args, **kwargs):
        raise ReachedError

    def load(names, root=None, labels=None, map=None):
        for name in names:
            corpora.get(name)
        raise ReachedError

    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, tmp_path / "results"):  # what "ser-kit run" is given
        folder.mkdir(exist_ok=True)
        (folder / "experiment.toml").write_text(EXPERIMENT)
    (tmp_path / "calls.csv").write_text("path\ncall.wav\n")
    (tmp_path / "turns.rttm").write_text("SPEAKER call 1 0.0 1.0 <NA> <NA> ann <NA> <NA>\n")
    monkeypatch.setattr(corpora, "load", load)
    monkeypatch.setattr(corpora, "write_map", lambda name, *_: load([name]))
    monkeypatch.setattr("ser_kit.app.site.write_site", reach)
    monkeypatch.setattr(corpora, "validate", lambda name, *_, **__: load([name]))
    monkeypatch.setattr(reproduce, "run", lambda systems, names, **_: load(names))
    for module in (presets, fine_tuning):
        monkeypatch.setattr(module, "bundle_path", reach)
    monkeypatch.setattr(Predictor, "open", reach)
    monkeypatch.setattr(Adaptation, "load", reach)
    monkeypatch.setattr(reproduce, "load", reach)
    monkeypatch.setattr(notebooks, "run", reach)
    monkeypatch.setattr(extraction, "Store", reach)
    monkeypatch.setattr("ser_kit.cli.extract.cluster", lambda scheduler: reach())


def test_commands_are_found_everywhere():
    places = set(COMMANDS.values())
    assert {"README.md", "from_scratch.md", "deploy.md", "03_train.ipynb", "06_published_systems.ipynb"} <= places
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_comes_to_its_recordings(command, nothing_is_there, capsys):
    name, *rest = shlex.split(command)
    stand_ins = {"RECIPE": "rastogi_mlp", "BUNDLE": "cross_corpus", "CORPUS": "demo"}
    stand_ins["<name>"] = "demo" if name == "validate" else "rastogi_mlp"
    words = [name, *(stand_ins.get(word, word) for word in rest)]
    if len(words) == 1:
        assert words[0] in subcommands()  # mentioned, not called
        return
    if "--help" in words:
        with pytest.raises(SystemExit, match="0"):
            cli.main(words)
        return
    try:
        with pytest.raises(ReachedError):
            cli.main(words)
    except (SystemExit, pytest.fail.Exception):
        pytest.fail(f"ser-kit {command} ({COMMANDS[command]}): {capsys.readouterr().err}")


@pytest.mark.parametrize(
    "command",
    [
        "extract demo,ravdess --out x.npz",
        "train rastogi_mlp --corpus ravdess, cremad --protocol published --out x",
        "evaluate rastogi_mlp,ahmadov_forest --corpus ravdess,cremad --protocol published,speaker --out x",
        "evaluate 'staged_cnn_lstm+batch 16, dropout 0.1,rastogi_mlp' --corpus 'ravdess, cremad' --out x",
        "reproduce td_cnn_lstm,voting_soft --corpus ravdess,cremad --protocols loso --out x",
        "tune rastogi_mlp --corpus ravdess,cremad --space training.epochs=[1] --protocol published --out x",
        "listen --alert angry,sad",
    ],
)
def test_names_may_be_listed_with_commas(command, nothing_is_there):
    with pytest.raises(ReachedError):
        cli.main(shlex.split(command))


def test_cheap_commands_run(predictor, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "open", lambda *_: predictor)  # it takes seconds to load
    clip = synthesise_clip("01_angry_s1_t1.wav")
    (tmp_path / "recordings").mkdir()
    for place in (".", "recordings"):
        soundfile.write(tmp_path / place / "clip.wav", clip, 16000)
    for command in ("predict clip.wav recordings/ --json", "corpora", "cache", "show-versions"):
        assert command in COMMANDS
        assert cli.main(command.split()) == 0, capsys.readouterr().err


def test_the_tests_of_the_lowest_versions_exist():
    named = re.search(r"^LOWEST_TESTS := ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.M)[1]
    paths = named.replace("\\\n", " ").split()
    assert len(paths) > 10 and [path for path in paths if not (ROOT / "tests" / path).exists()] == []


def test_what_else_is_called_is_there():
    lines = {line.strip() for page in PAGES for line in code(page.read_text())}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert {line.split()[1] for line in lines if re.match(r"make [a-z]", line)} <= targets
    modules = {line.split()[2] for line in lines if line.startswith("python -m benchmarks")}
    assert len(modules) > 5 and all(importlib.util.find_spec(module) for module in modules)
