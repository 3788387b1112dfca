"""The notebooks: their form, and that each runs alone, from top to bottom, in a kernel of its own."""

from __future__ import annotations

import ast
import builtins
import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

import ser_kit
from ser_kit import recipes
from ser_kit.app import notebooks
from ser_kit.core.labels import label_set
from ser_kit.corpora import demo as demo_corpus
from ser_kit.evaluation import METRICS
from ser_kit.features import Functionals
from ser_kit.inference.predictor import Predictor
from ser_kit.recipes import reproduce
from ser_kit.recipes.documents import DOCUMENTS

FOLDER = Path(__file__).parents[2] / "notebooks"
BLOB = "ser-kit/ser_kit/blob/main/notebooks"
MOST_BYTES = 1_000_000
ABSOLUTE_PATH = re.compile(r"(?<![\w<:/.\"=-])(?:/(?:[\w.-]+/)+[\w.-]+|[A-Z]:\\\w)")
FIGURES = {
    "01_corpora": ["01_clip", "01_durations", "01_emotions", "01_speakers"],
    "02_features": ["02_features_by_emotion", "02_frames"],
    "03_train": ["03_training_ahmadov_cnn_bilstm", "03_training_rastogi_mlp"],
    "04_evaluate": [
        "04_confusion_ahmadov_cnn_bilstm", "04_confusion_rastogi_mlp", "04_per_class", "04_protocols", "04_reliability",
    ],
    "05_predict": ["05_clip", "05_probabilities"],
    "06_published_systems": [
        "06_ablations", "06_clip", "06_emotions", "06_leakage", "06_published_systems", "06_staged_confusion",
        "06_staged_per_class", "06_staged_random_80_20", "06_staged_speaker", "06_staged_training",
    ],
    "06a_staged_cnn_lstm": ["06a_01", "06a_02", "06a_03", "06a_07", "06a_08", "06a_09", "06a_10"],
    "06c_ensembles": ["06c_01", "06c_02", "06c_04", "06c_05"],
    "06d_time_distributed": ["06d_01", "06d_02", "06d_03", "06d_04", "06d_10", "06d_14"],
    "06b_functionals": ["06b_02", "06b_06", "06b_08", "06b_09"],
    "06e_cnn_bilstm": ["06e_02", "06e_04", "06e_06", "06e_08", "06e_09", "06e_11", "06e_12"],
    "07_deploy": ["07_files", "07_probabilities", "07_pruning"],
    "08_own_recordings": ["08_confusion", "08_probabilities"],
}  # fmt: skip
TAUGHT = {"rastogi_mlp+ours", "ahmadov_cnn_bilstm+ours"}
"""The recipes of notebooks 03 and 04."""

OF_DOCUMENTS = dict(zip([name for name in notebooks.NOTEBOOKS if re.match(r"06[a-z]", name)], DOCUMENTS, strict=True))
"""Notebook -> the document that it shows."""

every_notebook = pytest.mark.parametrize("name", notebooks.NOTEBOOKS)


def read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook) -> list:
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def texts(notebook) -> list[str]:
    """Everything in the outputs that can be read."""
    found = []
    for output in outputs(notebook):
        if output.output_type == "stream":
            found.append(output.text)
        elif output.output_type in ("display_data", "execute_result"):
            found += [data for mime, data in output.data.items() if mime.startswith("text/")]
    return found


def check_outputs(notebook) -> None:
    """What holds for the outputs that are committed as for those of a run of today."""
    assert not [output for output in outputs(notebook) if output.output_type == "error"]
    assert not [output.text for output in outputs(notebook) if output.get("name") == "stderr"]
    assert not [match for text in texts(notebook) for match in ABSOLUTE_PATH.findall(text)]
    mimes = {mime for output in outputs(notebook) for mime in output.get("data", {})}
    assert not [mime for mime in mimes if mime.startswith(("audio/", "video/"))]
    assert not [text for text in texts(notebook) if "<audio" in text or "data:audio" in text]
    assert len(nbformat.writes(notebook).encode()) < MOST_BYTES


# ---------------------------------------------------------------------------------------------------------------- form


def test_the_notebooks_are_those_that_the_demo_runs():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(notebooks.NOTEBOOKS)


@every_notebook
def test_form(name):
    notebook = read(name)
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"
    check_outputs(notebook)


@every_notebook
def test_it_opens_with_title_badges_and_time(name):
    first = read(name).cells[0]
    assert first.cell_type == "markdown"
    assert re.match(rf"# {name.partition('_')[0]} [\w ]+\n", first.source)
    assert f"(https://colab.research.google.com/github/{BLOB}/{name}.ipynb)" in first.source
    assert f"(https://kaggle.com/kernels/welcome?src=https://github.com/{BLOB}/{name}.ipynb)" in first.source
    assert re.search(r"\*\*Time\.\*\* .*two cores.*T4", first.source, re.DOTALL)


@every_notebook
def test_one_line_sets_up_and_later_cells_import_nothing_else(name):
    """What the cell before it installs is in ``test_install_cell.py``."""
    _, setup, *others = [cell.source for cell in code_cells(read(name))]
    *before, last = setup.split("\n")
    assert last == "here = ser_kit.notebook.setup()" and len(before) < 15
    assert all(re.match(r"(import|from|#) ?|$", line) for line in before)
    assert not [cell for cell in others if re.search(r"^\s*[%!]|^(import|from) (?!ser_kit)", cell, re.M)]


def names(sources: list[str]) -> tuple[set[str], set[str]]:
    """The names that code uses, and those that it gives a value."""
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    given = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    given |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    given |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ExceptHandler)}
    given |= {(each.asname or each.name) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)
              for each in node.names}  # fmt: skip
    return {node.id for node in nodes if isinstance(node, ast.Name)} - given, given


@every_notebook
def test_sections_run_alone_where_the_notebook_says_so(name):
    notebook = read(name)
    (order,) = re.findall(r"^\*\*Order\.\*\* (.+)$", notebook.cells[0].source, re.M)
    if not (last := re.search(r"down to \*(.+)\* first; after them each section runs alone", order)):
        assert "run the cells above first" in order
        return
    sections: dict[str, list[str]] = {}
    section = ""
    for cell in notebook.cells:
        if heading := re.match(r"## (.+)", cell.source if cell.cell_type == "markdown" else ""):
            section = heading[1]
        elif cell.cell_type == "code":
            sections.setdefault(section, []).append(cell.source)
    first = list(sections)[: list(sections).index(last[1]) + 1]
    known = {*dir(builtins), *names([source for each in first for source in sections[each]])[1]}
    for each, sources in sections.items():
        assert each in first or not names(sources)[0] - known, each


@every_notebook
def test_every_picture_has_a_text(name):
    for output in outputs(read(name)):
        if "image/png" in output.get("data", {}):
            assert output.metadata["image/png"]["alt"] == output.data["text/plain"] != ""


@every_notebook
def test_links_lead_somewhere(name):
    for cell in read(name).cells:
        if cell.cell_type == "markdown":
            for target in re.findall(r"\]\((?!https://)([^)]+)\)", cell.source):
                assert (FOLDER / target).is_file(), target


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/home/me/corpus/a.wav", True), ("in '/tmp/x/a.wav'", True), (r"C:\Users", True),
        ("https://zenodo.org/records/1188976", False), ("<td>a</td>", False), ("speaker/0 and 3 / 4", False),
    ],
)  # fmt: skip
def test_what_counts_as_an_absolute_path(text, found):
    assert bool(ABSOLUTE_PATH.search(text)) is found


# ------------------------------------------------------------------------------------------------------------- running


@pytest.fixture(scope="module")
def corpus():
    """The demo corpus is there before notebooks are run, so that its making is not part of any."""
    return demo_corpus.fetch()


def execute(name: str, folder: Path, monkeypatch) -> tuple[nbformat.NotebookNode, dict]:
    """The executed notebook and its facts; it starts in an empty folder and finds nothing of the others there."""
    monkeypatch.setenv("SER_KIT_CORPUS", "demo")
    monkeypatch.setenv("SER_KIT_OUTPUT", "out")
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = read(name)
    for cell in code_cells(notebook):
        cell.outputs = []
    # Without folders to look in, the one kernel there is runs under sys.executable; an installed one might not.
    kernel = AsyncKernelManager(kernel_name=NATIVE_KERNEL_NAME, kernel_spec_manager=KernelSpecManager(kernel_dirs=[]))
    client = NotebookClient(notebook, km=kernel, timeout=None, resources={"metadata": {"path": str(folder)}})
    client.execute(cleanup_kc=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    check_outputs(notebook)
    assert "**Synthetic speech.**" in texts(notebook)[1]  # its plain text comes first
    pictures = sorted((folder / "out" / "figures").glob("*.png"))
    assert [picture.stem for picture in pictures] == FIGURES[name]
    assert all(picture.read_bytes().startswith(b"\x89PNG") and picture.stat().st_size < 200_000 for picture in pictures)
    shown = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert len(shown) == len(pictures)
    assert all(output.metadata["image/png"]["alt"] for output in shown)
    return notebook, json.loads((folder / "out" / f"{name}.json").read_text(), parse_constant=pytest.fail)


@pytest.mark.slow
def test_corpora(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("01_corpora", tmp_path, monkeypatch)
    assert facts == {
        "corpora": ["demo"],
        "clips": sum(demo_corpus.EXPECTED.values()),
        "speakers": len(demo_corpus.SPEAKERS),
        "emotions": demo_corpus.EXPECTED,
        "synthetic": True,
    }
    assert any("has no place for disgust" in text for text in texts(notebook))


@pytest.mark.slow
def test_features(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("02_features", tmp_path, monkeypatch)
    assert facts.pop("seconds") > 0
    assert facts == {
        "functionals": len(Functionals().feature_names),
        "clips": sum(demo_corpus.EXPECTED.values()),
        "failures": 0,
    }
    said = "\n".join(texts(notebook))
    assert "array and layer differ by less than 0.001 dB: True" in said
    assert "alone and in a batch differ by less than 0.001 dB: True" in said
    assert (tmp_path / "out" / "functionals.parquet").is_file() and (tmp_path / "out" / "functionals.csv").is_file()


@pytest.mark.slow
def test_train(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("03_train", tmp_path, monkeypatch)
    trained = {recipe["recipe"]: recipe for recipe in facts["recipes"]}
    assert set(trained) == TAUGHT
    assert trained["ahmadov_cnn_bilstm+ours"]["parameters"] == 33_862
    for name, recipe in trained.items():
        assert 1 <= recipe["epochs"] <= recipes.get(name).training.epochs
        assert 1 / 6 < recipe["validation_accuracy"] <= 1
        assert recipe["seconds"] > 0
    said = "\n".join(texts(notebook))
    for what in ("trained again", "from its checkpoint"):
        assert re.search(rf"^{what} \([\d.]+ s\): every probability the same\? True$", said, re.M)
    card = json.loads((tmp_path / "out" / "bundle" / "card.json").read_text())
    assert card["labels"] == list(label_set("six").labels)
    assert (tmp_path / "out" / "bundle" / "model.keras").is_file()


@pytest.mark.slow
def test_the_cell_that_trains_our_own_network(monkeypatch, tmp_path, demo_few, eagerly):
    """It is switched off in the runs above: with more epochs and wider layers it takes a GPU."""
    (cell,) = [cell.source for cell in code_cells(read("03_train")) if cell.source.startswith("OWN_CORPORA = []")]
    small = {"channels": (4, 4, 4, 4), "harmonic_channels": (), "width": 8, "heads": 1}
    quick = recipes.get("from_scratch_single").with_settings({"training.epochs": 1, "hyperparameters": small})
    monkeypatch.setattr(recipes, "get", lambda name: {"from_scratch": quick}[name])
    monkeypatch.setattr(ser_kit, "load", lambda names, labels: {("demo", "eight"): demo_few}[(*names, labels)])
    shown = []
    given = {
        "recipes": recipes,
        "here": ser_kit.notebook.Notebook((), tmp_path),
        "ser_kit": ser_kit,
        "evaluation": ser_kit.evaluation,
        "display": shown.append,
    }
    exec(cell.replace("OWN_CORPORA = []", 'OWN_CORPORA = ["demo"]'), given)
    assert shown[0]["recipe"].tolist() == ["from_scratch_single"]
    predictor = Predictor.from_bundle(tmp_path / "from_scratch")
    assert predictor.predict(demo_few["path"].iloc[0]).emotion in predictor.labels


@pytest.mark.slow
def test_evaluate(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("04_evaluate", tmp_path, monkeypatch)
    found = {(e["recipe"], e["speaker_independent"]): e for e in facts["evaluations"]}
    assert set(found) == {(name, independent) for name in TAUGHT for independent in (True, False)}
    for evaluation in found.values():
        for metric in ("uar", "accuracy"):
            numbers = evaluation[metric]
            assert set(numbers) == {"pooled", "low", "high", "speakers", "mean", "std"}
            assert 1 / 6 < numbers["low"] <= numbers["pooled"] <= numbers["high"] <= 1
            # A single fold has no standard deviation.
            assert (numbers["std"] is None) == evaluation["protocol"].endswith("80_20")
    unseen, known = (found["rastogi_mlp+ours", independent] for independent in (True, False))
    assert (unseen["protocol"], known["protocol"]) == ("speaker", "random")
    assert known["uar"]["mean"] > unseen["uar"]["mean"]
    said = "\n".join(texts(notebook))
    assert "the fold as it is: nothing found" in said
    assert re.search(
        r"copied into training: LeakageError\n.*the same sound is in train and in test: .*mine:augmented_0001", said
    )
    assert re.search(r"called speaker-independent: LeakageError\n.*the same speaker is in train and in", said)


@pytest.mark.slow
def test_predict(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("05_predict", tmp_path, monkeypatch)
    assert facts["true"] == demo_corpus.parse(facts["clip_id"].removeprefix("demo:"))["emotion"]
    assert facts["emotion"] in label_set("six").labels
    assert 1 / 6 < facts["confidence"] <= 1
    assert facts["uncertain"] in (True, False)
    speaker = demo_corpus.parse(facts["clip_id"].removeprefix("demo:"))["speaker"]
    assert any(f"of 9 speakers, without {speaker}" in text for text in texts(notebook))
    assert any("application/vnd.jupyter.widget-view+json" in output.get("data", {}) for output in outputs(notebook))


def write_records(folder: Path) -> int:
    """Records as a reproduction leaves them: a system under two protocols, one of its ablations; how many."""
    for system, protocol, folds, accuracy in [
        ("staged_cnn_lstm", "random_80_20", 1, 0.7), ("staged_cnn_lstm", "speaker", 5, 0.4),
        ("staged_cnn_lstm+MFCC alone", "random_80_20", 1, 0.6), ("staged_cnn_lstm+MFCC alone", "speaker", 5, 0.3),
    ]:  # fmt: skip
        place = folder / "records" / "ravdess-eight" / system.replace(" ", "_")
        place.mkdir(parents=True, exist_ok=True)
        recipe, _, ablation = system.partition("+")
        for fold in range(folds):
            scores = dict.fromkeys(("precision", "recall", "f1"), accuracy)
            record = {
                "format": reproduce.FORMAT, "recipe": recipe, "ablation": ablation, "corpora": ["ravdess"],
                "label_set": "eight", "labels": ["happy", "sad"], "protocol": protocol,
                "speaker_independent": protocol == "speaker", "seed": 0,
                "fold": fold, "folds": folds, "parameters": 10, "epochs": [3], "seconds": 1.0,
                "metrics": dict.fromkeys(METRICS, accuracy), "per_class": {"happy": scores, "sad": scores},
                "settings": recipes.get(system).settings, "confusion": [[7, 3], [3, 7]],
            }  # fmt: skip
            (place / f"{protocol}-0-{fold}.json").write_text(json.dumps(record))
    return 12


@pytest.mark.slow
def test_published_systems(corpus, tmp_path, monkeypatch):
    written = write_records(tmp_path / "results" / "published_systems")
    notebook, facts = execute("06_published_systems", tmp_path, monkeypatch)
    live = {(row["recipe"], row["protocol"]): row for row in facts.pop("live")}
    for name in ("rastogi_mlp", "ahmadov_forest"):
        published = recipes.get(name).published
        for protocol in (published.protocol, *published.also, "speaker"):
            row = live.pop((name, protocol))
            assert 1 / 6 < row["accuracy"] <= 1
            assert row["runs"] == (5 if protocol == "speaker" else 1)
            assert row["speaker_independent"] == protocol.startswith("speaker")
    assert not live
    assert len(list((tmp_path / "out" / "reproduced" / "records").glob("*/*/*.json"))) == 14
    staged = facts.pop("staged")
    assert staged["epochs"] == 3 and 0 < staged["accuracy"] <= 1
    not_run = set(recipes.RECIPES) - {"staged_cnn_lstm"}
    assert set(facts.pop("not_run")) == not_run
    assert facts == {
        "systems": len(recipes.RECIPES), "kept": True, "records": written, "recorded": ["staged_cnn_lstm"],
        "ablations": True,
    }  # fmt: skip
    said = "\n".join(texts(notebook))
    assert f"{written} records of 1 systems, kept in results/published_systems" in said
    assert all(f"ser-kit reproduce {name} --corpus" in said for name in not_run)
    assert "94 to 95.1" in said and "not run here" in said


@pytest.mark.parametrize("name", OF_DOCUMENTS)
def test_a_notebook_has_each_part_of_its_document_in_order(name):
    document, cells = DOCUMENTS[OF_DOCUMENTS[name]], read(name).cells
    heads = [i for i, cell in enumerate(cells) if cell.cell_type == "code" and cell.source.startswith("part(")]
    assert len(heads) == len(document.parts)
    for place, part in zip(heads, document.parts, strict=True):
        assert json.loads(re.match(r'part\((".*?(?<!\\)")', cells[place].source)[1]) == part.title
        assert cells[place - 1].source == f"## {part.title}" + (f"\n\n{part.note}" if part.note else "")


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_DOCUMENTS)
def test_a_document(name, corpus, tmp_path, monkeypatch):
    notebook, facts = execute(name, tmp_path, monkeypatch)
    records = list((tmp_path / "out" / "documents" / "records").glob("*/*/*.json"))
    assert facts == {"document": OF_DOCUMENTS[name], "records": len(records), "epochs": 1, "kept": True}
    assert len(records) >= 2
    said = "\n".join(texts(notebook))
    assert "here, unseen speakers" in said and "not in the document" in said


@pytest.mark.slow
def test_deploy(corpus, tmp_path, monkeypatch):
    notebook, facts = execute("07_deploy", tmp_path, monkeypatch)
    files = {each["file"]: each for each in facts["files"]}
    assert set(files) == {"LiteRT, float32", "LiteRT, float16", "LiteRT, dynamic", "LiteRT, int8", "ONNX, float32"}
    for name, each in files.items():
        assert 1 / 6 <= each["uar"] <= 1 and 0.5 < each["agreement"] <= 1
        assert each["difference"] <= (1e-4 if "float32" in name else 0.5)
        assert each["bytes"] <= files["ONNX, float32"]["bytes"]
    whole, half = facts["pruned"]
    assert (whole["share"], half["share"]) == (0, 0.5) and half["packed"] < 0.9 * whole["packed"]
    said = "\n".join(texts(notebook))
    assert re.search(r"tested on \d+ clips of \d+ others: UAR [\d.]+%", said)
    assert "'input': 'samples'" in said and "'rate': 16000" in said
    assert (tmp_path / "out" / "07_deploy" / "int8.tflite").stat().st_size > 10_000


@pytest.mark.slow
def test_own_recordings(corpus, tmp_path, monkeypatch):
    _, facts = execute("08_own_recordings", tmp_path, monkeypatch)
    assert facts["clips"] == 144 and facts["labels"] == ["down", "even", "tense"]
    assert 1 / 3 < facts["start_uar"] < facts["uar"] <= 1 and facts["page"]
    assert (tmp_path / "out" / "my_model" / "card.json").is_file()
