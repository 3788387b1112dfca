"""Documents: what they declare exists, and their pages hold every figure beside ours."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest

from ser_kit import cli, corpora, protocols, recipes
from ser_kit.core.errors import TableError, UnknownNameError
from ser_kit.core.labels import label_set
from ser_kit.evaluation import METRICS
from ser_kit.recipes import reproduce
from ser_kit.recipes.documents import DOCUMENTS, Document, Material, Picture, Row, Table, making, measured, pages
from ser_kit.recipes.documents.document import shortened

PLAIN = ("training_accuracy", "parameters", "epochs", "minutes")
BUILT = [DOCUMENTS[name] for name in DOCUMENTS]


@pytest.fixture(params=BUILT, ids=lambda document: document.name)
def document(request):
    return request.param


def test_a_document_names_what_exists(document):
    assert DOCUMENTS[document.name] is document and document.name not in recipes.names()
    emotions = set(label_set(document.labels).labels)
    assert document.rows and document.unsaid
    for row in document.rows:
        system = recipes.get(row.system)
        assert protocols.get(row.split).name == row.split
        assert set(row.corpora or document.corpora) <= set(corpora.names())
        assert set(row.reported) <= {*METRICS, *PLAIN}
        allowed = set(label_set(system.labels).labels) | emotions
        assert set(row.classes) <= allowed and all(
            set(each) <= {"precision", "recall", "f1"} for each in row.classes.values()
        )
    titles = [part.title for part in document.parts]
    assert len(set(titles)) == len(titles)
    assert all(part.alt for part in document.parts if isinstance(part, Picture))


def test_reported_scores_are_fractions(document):
    for row in document.rows:
        scores = [value for metric, value in row.reported.items() if metric not in PLAIN[1:] and value is not None]
        scores += [value for each in row.classes.values() for value in each.values()]
        assert all(0 < each <= 1 for value in scores for each in (value if isinstance(value, tuple) else (value,)))


def test_what_a_document_reports_is_what_its_recipes_publish(document):
    """The accuracy of a system stands in one place, and is repeated only for variants."""
    for row in document.rows:
        published = recipes.get(row.system).published.accuracy
        reported = row.reported.get("accuracy")
        if (
            reported is not None
            and published
            and "+" not in row.system
            and row.split == recipes.get(row.system).published.protocol
        ):
            reported = reported if isinstance(reported, tuple) else (reported,)
            assert set(reported) <= set(published), row.label


@pytest.fixture(scope="module")
def one() -> Document:
    """A small document of systems that need no training to speak of."""
    forest = "ahmadov_forest"
    return Document(
        name="one", title="A document", corpora=("demo",), labels="six",
        parts=(
            Table(title="Table 1", note="A note.", rows=(
                Row(label="forest", system=forest, reported={"accuracy": 0.42, "parameters": 12345, "epochs": (20, 25)},
                    classes={"happy": {"recall": 0.451, "f1": 0.4}}),
                Row(label="forest, random", system=forest, protocol="random_80_20", unseen=False),
            )),
            Picture(title="Fig. 1", make=lambda material: drawn(material), alt="bars"),
            Picture(title="Fig. 2", make=lambda material: material.histories(forest), alt="curves"),
        ),
        unsaid={"seed": "0"},
    )  # fmt: skip


def drawn(material: Material):
    from ser_kit.recipes.documents import figures

    return figures.confusion("ahmadov_forest")(material)


@pytest.fixture(scope="module")
def made(one, tmp_path_factory):
    out = tmp_path_factory.mktemp("documents")
    with pytest.MonkeyPatch.context() as patch:
        small = recipes.get("ahmadov_forest").with_settings({"training.n_estimators": 5})
        patch.setitem(recipes.RECIPES, "ahmadov_forest", small)
        patch.setitem(DOCUMENTS, "one", one)
        arguments = ["reproduce", "one", "--corpus", "demo", "--seeds", "1", "--out", str(out), "--quiet", "--json"]
        assert cli.main(arguments) == 0
        yield out, reproduce.load(out)


def test_the_page_of_a_document_has_its_tables_and_figures(made, one):
    out, records = made
    text, page = (out / "one.md").read_text(), (out / "one.html").read_text()
    assert "| forest | accuracy | 42 | demo |" in text and "[" in text
    assert "A note." in text and "## Fig. 1" in text and "![bars](one/02.png)" in text
    assert "Not drawn: the records of ahmadov_forest hold no curves" in text
    assert page.count("<table>") == 2 and page.count("data:image/png;base64,") == 1
    assert set(records["protocol"]) == {"speaker_80_20", "speaker", "random_80_20"}
    assert len(records) == 1 + 5 + 1


def test_values_of_a_page_are_those_of_the_records(made, one):
    _, records = made
    table = measured.table(Material(one, records, ("demo",)), one.rows).set_index(["system", "figure"])
    unseen = records[records["protocol"] == "speaker"]
    counts = np.sum(unseen["confusion"].tolist(), axis=0)
    shown = table.loc[("forest", "accuracy"), "here, unseen speakers"]
    value, low, high = map(float, re.fullmatch(r"([\d.]+) \[([\d.]+), ([\d.]+)\]", shown).groups())
    assert value == round(100 * np.trace(counts) / counts.sum(), 1) and low <= value <= high
    documented = records[records["protocol"] == "speaker_80_20"].iloc[0]
    assert table.loc[("forest", "accuracy"), "here, as documented"] == f"{100 * documented['accuracy']:.1f}"
    happy = documented["per_class"]["happy"]["recall"]
    assert table.loc[("forest", "recall of happy"), "here, as documented"] == f"{100 * happy:.1f}"
    assert table.loc[("forest", "parameters"), "reported"] == "12,345"
    assert table.loc[("forest", "epochs"), "reported"] == "20 to 25"
    leaky = table.loc[("forest, random", "accuracy"), "here, as documented"]
    assert leaky.endswith(" (leaky: speaker)")


def test_a_part_is_found_by_its_title(made, one):
    material = Material(one, made[1], ("demo",))
    assert list(material.part("Table 1").columns) == list(measured.COLUMNS)
    assert material.part("Fig. 1").axes[0].get_xlabel()
    with pytest.raises(UnknownNameError, match=r"did you mean 'Fig. 1'"):
        material.part("Fig. 11")


def test_shortened_trainings_have_records_of_their_own():
    short = shortened(recipes.get("staged_cnn_lstm+MFCC alone"), 2)
    assert (short.name, short.training.epochs) == ("staged_cnn_lstm+MFCC alone+2 epochs", 2)
    assert {member.training.epochs for member in shortened(recipes.get("voting_soft"), 2).members} == {2}
    assert shortened(recipes.get("voting_svm"), 2) is recipes.get("voting_svm")


def test_a_page_says_which_corpus_is_missing(made, one, tmp_path):
    _, records = made
    elsewhere = Document(
        name="one", title="A document", corpora=("cremad",), labels="six", parts=one.parts, unsaid=one.unsaid
    )
    making.write_page(elsewhere, ["demo"], made[0], markdown=tmp_path / "page.md", figures=tmp_path / "figures")
    text = (tmp_path / "page.md").read_text()
    assert "**cremad was not available.**" in text and "No figure below is of cremad." in text
    assert "| forest | accuracy | 42 | demo |" in text  # the column says what it was run on


def test_a_page_without_records_says_what_to_run(one, tmp_path):
    record = {
        "format": 1,
        "recipe": "rastogi_mlp",
        "ablation": "",
        "label_set": "six",
        "corpora": ["demo"],
        "protocol": "speaker",
        "metrics": {},
    }
    path = tmp_path / "records" / "demo-six" / "rastogi_mlp" / "speaker-0-0.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record))
    with pytest.raises(TableError, match="no record of a system of 'one'; run ser-kit reproduce first"):
        making.write_page(one, ["demo"], tmp_path)


def test_a_row_is_run_on_its_own_corpora_where_they_are_asked_for():
    document = Document(name="x", title="", corpora=("tess", "cremad"), labels="six", parts=(), unsaid={})
    row, german = Row(label="", system="rastogi_mlp"), Row(label="", system="rastogi_mlp", corpora=("emodb",))
    assert document.places(row, ["ravdess", "tess"]) == ["tess"]
    assert document.places(row, ["ravdess", "nemo"]) == ["ravdess", "nemo"]
    assert document.places(german, ["ravdess", "emodb"]) == ["emodb"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["staged", "rastogi_mlp"], "rastogi_mlp is a recipe and staged a document"),
        (["staged", "--ablations"], "a document has its own variants"),
        (["staged", "--protocols", "speaker"], "a document has its own variants"),
    ],
)
def test_options_that_a_document_does_not_take(words, message, tmp_path, capsys):
    assert cli.main(["reproduce", *words, "--corpus", "demo", "--out", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_blocks_become_markdown_and_html(tmp_path):
    frame = pd.DataFrame({"a": ["1 < 2"], "b": ["x | y"]})
    blocks = [
        pages.Heading("Title", 1), pages.Text("**bold** `code <b>` [link](https://x.org/a?b=1&c=2)"),
        pages.Text(("one", "two")), pages.Code("ser-kit <x>"), frame,
    ]  # fmt: skip
    pages.write(blocks, tmp_path / "page.md", tmp_path / "page.html")
    text, page = (tmp_path / "page.md").read_text(), (tmp_path / "page.html").read_text()
    assert text.startswith("# Title\n\n**bold**") and "- one\n- two" in text and "x \\| y" in text
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code &lt;b&gt;</code>", "<li>two</li>",
                 '<a href="https://x.org/a?b=1&amp;c=2">link</a>', "<td>1 &lt; 2</td>",
                 "ser-kit &lt;x&gt;"):  # fmt: skip
        assert part in page
