"""The documents of the CNN-BiLSTM and of the functionals: their own tables and figures, on made recordings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ser_kit import cli, corpora, recipes
from ser_kit.core.errors import TableError
from ser_kit.features import LibrosaFunctionals
from ser_kit.recipes.documents import DOCUMENTS, Material, functionals

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def made_corpora(demo_few, monkeypatch):
    """Corpora of other names, of 30 synthetic clips; one has the name of the document's example."""

    def load(names, root=None, labels=None, **_):
        table = demo_few.copy()
        table["corpus"] = [names[i] for i in pd.factorize(table["speaker"])[0] % len(names)]
        for column in ("clip_id", "speaker"):
            table[column] = table["corpus"] + ":" + table[column].str.removeprefix("demo:")
        table.loc[7, "clip_id"] = "ravdess:03-01-03-02-01-02-13"
        table.attrs = demo_few.attrs
        return table

    monkeypatch.setattr(corpora, "load", load)


def material(name: str, records: pd.DataFrame | None = None) -> Material:
    document = DOCUMENTS[name]
    epochs = 1 if records is None else 0
    return Material(document, pd.DataFrame() if records is None else records, document.corpora, epochs=epochs)


def test_the_cnn_bilstm_is_one_command_on_crema_d(made_corpora, monkeypatch, tmp_path):
    network, forest = (recipes.get(f"ahmadov_{name}") for name in ("cnn_bilstm", "forest"))
    variants = {"ours": {"extractor.zero_padding": False}, "not standardised": {"scale": False}}
    small = {"ahmadov_cnn_bilstm": network.with_settings({"extractor.frames": 9, "ablations": variants}),
             "ahmadov_forest": forest.with_settings({"training.n_estimators": 3})}  # fmt: skip
    for name, recipe in small.items():
        monkeypatch.setitem(recipes.RECIPES, name, recipe)
    command = ["reproduce", "cnn_bilstm", "--corpus", "cremad", "--seeds", "1", "--folds", "1", "--epochs", "1"]
    assert cli.main([*command, "--out", str(tmp_path), "--quiet"]) == 0
    text = (tmp_path / "cnn_bilstm.md").read_text()
    assert "Run on: cremad." in text and "not available" not in text and "not run" not in text
    for part in ("| forest | accuracy | 42 | cremad |", "| CNN-BiLSTM | weighted F1 | 51 to 52 | cremad |",
                 "| all | 154 | 154 |", "| frames | 300 | 9 |", "| share of disgust | about 8 % | 17.1% |",
                 "| angry taken for disgust | 32.1% | "):  # fmt: skip
        assert part in text
    assert text.count("Not drawn") == 0 and len(list((tmp_path / "cnn_bilstm").glob("*.png"))) == 7


def test_the_functionals_are_one_command_on_their_three_corpora(made_corpora, tmp_path):
    command = ["reproduce", "functionals", "--corpus", "tess", "cremad", "ravdess", "--seeds", "1", "--folds", "1"]
    assert cli.main([*command, "--epochs", "1", "--out", str(tmp_path), "--quiet"]) == 0
    text = (tmp_path / "functionals.md").read_text()
    assert "Run on: cremad, ravdess, tess." in text and "not run" not in text
    for part in ("| perceptron, 70/15/15 | F1 of fear | 56 | cremad, ravdess, tess |",
                 "| perceptron, 70/15/15 | parameters | 51,014 | cremad, ravdess, tess | 51,014 |",
                 "Not drawn: not at hand: 03-01-01-01-01-02-01, "):  # fmt: skip
        assert part in text
    assert text.count("Not drawn") == 1 and len(list((tmp_path / "functionals").glob("*.png"))) == 5


def test_the_printed_layers_are_those_of_the_network_and_the_groups_hold_every_column():
    table = material("functionals").part("Fig. 4")
    assert table["reported parameters"].tolist() == table["parameters"].tolist()
    assert table.set_index("layer")["parameters"].loc[["all", "trainable", "not trainable"]].tolist() == [
        51_014, 50_246, 768,
    ]  # fmt: skip
    groups = material("functionals").part("Table 2")
    assert groups["columns"].sum() == len(LibrosaFunctionals().feature_names) == 43


def test_the_example_says_on_which_side_of_the_split_the_clip_is(made_corpora, demo_few):
    found = material("functionals")
    title = " ".join(found.part("Fig. 8").get_suptitle().split())
    recipe = recipes.get("rastogi_mlp")
    (fold,) = recipe.folds(recipe.prepare(found.clips, jobs=0, progress=False), "published")
    side = next(name for name, rows in fold.sides().items() if 7 in rows)
    assert title.startswith("03-01-03-02-01-02-13: ")
    assert title.endswith(f"one of the clips of {functionals._SIDES[side]}")
    with pytest.raises(TableError, match="elsewhere.wav is not at hand"):
        functionals.example(found, "elsewhere")


@pytest.mark.realdata
def test_the_printed_rows_are_measured_again(real_data):
    document = DOCUMENTS["functionals"]
    table = Material(document, pd.DataFrame(), ("ravdess",), real_data).part("Fig. 3").set_index("name")
    assert table.shape == (18, 5)
    differing = [text.split(", here ") for text in table.to_numpy().ravel() if "here" in text]
    assert len(differing) == 11
    for printed, found in differing:  # the same number of digits, few of which were read as others
        assert len(printed) == len(found)
        assert sum(a != b for a, b in zip(printed, found, strict=True)) <= 3


def test_named_confusions_are_shares_of_the_true_emotion():
    labels = ["neutral", "happy", "sad", "angry", "fear", "disgust"]
    counts = np.eye(6, dtype=int) * 6
    counts[labels.index("angry"), labels.index("disgust")] = 2
    counts[labels.index("fear"), labels.index("sad")] = 4
    records = pd.DataFrame([{
        "recipe": "ahmadov_forest", "ablation": "", "corpora": "cremad", "protocol": "speaker_80_20", "labels": labels,
        "confusion": counts.tolist(),
    }])  # fmt: skip
    table = material("cnn_bilstm", records).part("Baseline: confusions")
    assert table["here, as documented"].tolist() == ["25.0%", "40.0%"]
    other = records.assign(labels=[["neutral", "happy", "sad", "angry", "fear", "surprised"]])
    with pytest.raises(TableError, match="neutral, happy, sad, angry, fear, surprised, without disgust"):
        material("cnn_bilstm", other).part("Baseline: confusions")


def test_a_figure_of_an_emotion_that_a_run_does_not_have_is_left_open():
    labels = ["happy", "surprised"]
    run = {
        "recipe": "ahmadov_forest", "ablation": "", "corpora": "nemo (happy,surprised)", "labels": labels, "seed": 0,
        "folds": 1, "protocol": "speaker", "confusion_by_speaker": {"a": [[3, 1], [0, 4]], "b": [[2, 2], [0, 4]]},
        "per_class": {each: {"recall": 0.7, "support": 8} for each in labels}, "accuracy": 0.8, "uar": 0.8,
        "weighted_f1": 0.8,
    }  # fmt: skip
    records = pd.DataFrame([run, {**run, "protocol": "speaker_80_20"}])
    table = material("cnn_bilstm", records).part("Baseline: random forest").set_index(["system", "figure"])
    here = ["here, as documented", "here, unseen speakers"]
    assert table.loc[("forest", "recall of disgust"), here].tolist() == ["–", "–"]
    assert table.loc[("forest", "recall of happy"), here].tolist()[1].startswith("62.5 [")
