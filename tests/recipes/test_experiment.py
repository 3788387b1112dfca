"""A file that describes an experiment: what it may hold, and that what is written is read again as it was."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_kit import recipes
from ser_kit.core.errors import RecipeError, SerKitError
from ser_kit.recipes import Experiment

PLAIN = 'corpora = ["demo"]\nrecipes = ["rastogi_mlp"]\n'

texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.lists(texts, min_size=1, unique=True)
numbers = st.integers() | st.floats(allow_nan=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
)
tables = st.dictionaries(texts, values)
experiments = st.fixed_dictionaries(
    {
        "corpora": names,
        "recipes": names,
        "protocols": names,
        "seeds": st.lists(st.integers(0, 2**31 - 1), min_size=1),
        "labels": texts,
        "root": texts,
        "changes": tables,
        "folds": st.lists(st.integers(1, 100)),
        "records": texts.filter(bool),
        "report": texts,
        "made_with": st.dictionaries(texts, texts),
    }
)


@pytest.mark.slow
@given(experiments)
def test_what_is_written_is_read_again(given):
    experiment = Experiment(**given)
    again = Experiment.from_toml(experiment.to_toml())
    assert again == experiment and again.made_with == experiment.made_with
    assert repr(again) == repr(experiment)  # 1 and 1.0 and true are equal, and are not the same setting


@pytest.mark.slow
@given(st.dictionaries(texts, st.lists(values, min_size=1), min_size=1), st.sampled_from(["random", "grid"]))
def test_what_is_written_of_a_search_is_read_again(space, method):
    kinds = {"recipes": ["a"], "protocols": ["b"], "seeds": [1]}
    experiment = Experiment(corpora=["c"], **kinds, space=space, method=method, candidates=3, tuning="out")
    assert repr(Experiment.from_toml(experiment.to_toml())) == repr(experiment)


def test_settings_are_named_as_after_set_or_by_tables():
    changes = """
[changes]
model = "mlp"
"training.optimizer" = "sgd"
training.learning_rate = 0.01
training.patience = "null"
training.augment = [{ name = "mixup", alpha = 0.4 }]
hyperparameters = {}
[changes.extractor]
rate = 16000
"""
    assert Experiment.from_toml(PLAIN + 'records = "x"' + changes).changes == {
        "model": "mlp",
        "training.optimizer": "sgd",
        "training.learning_rate": 0.01,
        "training.patience": None,
        "training.augment": [{"name": "mixup", "alpha": 0.4}],
        "hyperparameters": {},
        "extractor.rate": 16000,
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recpies = []", "unknown key 'recpies'; did you mean 'recipes'?"),
        ("corpora", "not a TOML file: "),
        ('recipes = ["rastogi_mlp"]', "corpora is missing; give such as corpora = ["),
        ('corpora = ["demo"]', "recipes is missing"),
        ('corpora = "demo"\nrecipes = ["rastogi_mlp"]', "corpora='demo' must be a list, such as ["),
        ('corpora = [1]\nrecipes = ["rastogi_mlp"]', "corpora=[1] must be a list of texts"),
        (PLAIN + 'records = "x"\nprotocols = []', "protocols=[] must be a list, such as"),
        (PLAIN + 'records = "x"\nseeds = 3', "seeds=3 must be a list, such as [0, 1, 2]"),
        (PLAIN + 'records = "x"\nseeds = [true]', "seeds=True must be a whole number from 0 to 2147483647"),
        (PLAIN + 'records = "x"\nseeds = [-1]', "seeds=-1 must be a whole number"),
        (PLAIN + 'records = "x"\nfolds = [0]', "folds=0 must be a whole number from 1"),
        (PLAIN + "records = 3", "records=3 must be a text"),
        (PLAIN + 'records = "x"\nlabels = [1, 2]', "labels=[1, 2] must be a list of texts"),
        (PLAIN + 'records = "x"\nchanges = 3', "changes=3 must be a table"),
        (PLAIN + 'records = "x"\n[changes]\na = 2020-01-01', "must be JSON-serialisable"),
        (PLAIN, "gives one of bundle, evaluations, records, tuning; it has none"),
        (PLAIN + 'records = "x"\nbundle = "y"', "it has bundle and records"),
        (PLAIN + 'bundle = "x"\nseeds = [0, 1]', "seeds=[0, 1]: a bundle is of one"),
        (PLAIN + 'evaluations = "x"\nfolds = [1]', "folds=[1]: only records"),
        (PLAIN + 'tuning = "x"', "space and tuning go together"),
        (
            PLAIN + 'tuning = "x"\nmethod = "gird"\n[space]\na = [1]',
            "method='gird' must be one of 'grid', 'random'",
        ),
        (
            PLAIN + 'tuning = "x"\ncandidates = 0\n[space]\na = [1]',
            "candidates=0 must be a whole number from 1",
        ),
        (PLAIN + 'tuning = "x"\n[space]\na = 1', "space: a=1 must be a list of values"),
        (
            PLAIN.replace("demo", "dmeo") + 'records = "x"',
            "corpora: unknown corpus 'dmeo'; did you mean 'demo'?",
        ),
        (
            PLAIN.replace("_mlp", "_mpl") + 'records = "x"',
            "recipes: unknown recipe 'rastogi_mpl'; did you mean",
        ),
        (
            PLAIN + 'records = "x"\nprotocols = ["speakers"]',
            "protocols: unknown protocol 'speakers'; did you mean",
        ),
        (PLAIN + 'records = "x"\nlabels = "sixx"', "labels: unknown label set 'sixx'; did you mean 'six'?"),
        (
            PLAIN + 'records = "x"\n[changes]\ntraining.epoch = 1',
            "changes: there is no setting 'training.epoch'",
        ),
        (
            PLAIN + 'records = "x"\n[changes]\ntraining.epochs = 0',
            "changes: training.epochs=0 must be a whole number",
        ),
        (
            PLAIN + 'tuning = "x"\n[space]\ntraining.epoch = [1]',
            "space: there is no setting 'training.epoch'",
        ),
    ],
)
def test_what_makes_no_sense_is_named_with_the_file(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        Experiment.load(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecipeError, match="there is no file"):
        Experiment.load(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'labels = "\xe4"')
    with pytest.raises(RecipeError, match="not UTF-8"):
        Experiment.load(tmp_path / "latin.toml")


def test_paths_start_from_the_file(tmp_path):
    places = 'corpora = ["folder:clips", "demo"]\nrecipes = ["rastogi_mlp"]\nroot = "data"\nrecords = "out"\n'
    (tmp_path / "mine.toml").write_text(f'{places}report = "/absolute/report.md"')
    found = Experiment.load(tmp_path / "mine.toml")
    assert found.corpora == (f"folder:{tmp_path / 'clips'}", "demo") and found.root == str(tmp_path / "data")
    assert (found.records, found.report) == (str(tmp_path / "out"), "/absolute/report.md")
    moved = Experiment.load(tmp_path / "mine.toml", out="elsewhere")
    assert (moved.records, moved.root) == (str(Path("elsewhere", "out")), found.root)


def test_a_saved_experiment_moves_with_its_results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    experiment = Experiment(corpora=["folder:clips"], recipes=["rastogi_mlp"], root="data", records="results")
    path = experiment.save("results/experiment.toml", "ser-kit run mine.toml")
    assert path == tmp_path / "results" / "experiment.toml"
    given = tomllib.loads(path.read_text())
    assert (given["records"], given["root"]) == (".", str(tmp_path / "data"))
    assert given["made_with"]["ser-kit"] == recipes.versions()["ser-kit"]
    assert given["made_with"]["platform"] and given["made_with"]["command"] == "ser-kit run mine.toml"
    path.parent.rename(tmp_path / "moved")
    assert Experiment.load("moved/experiment.toml").records == "moved"


def test_no_other_experiment_is_overwritten(tmp_path):
    settings = {"corpora": ["demo"], "recipes": ["rastogi_mlp"], "records": str(tmp_path)}
    first = Experiment(**settings).save(tmp_path / "experiment.toml", "first")
    second = Experiment(**settings, seeds=[1]).save(tmp_path / "experiment.toml", "second")
    assert first.name == "experiment.toml" != second.name and "first" in first.read_text()
    assert Experiment(**settings).save(tmp_path / "experiment.toml", "again") == first
    assert Experiment(**settings, seeds=[1]).save(tmp_path / "experiment.toml", "again") == second
    assert "again" in first.read_text() and "again" in second.read_text()
    first.write_text("no TOML")
    third = Experiment(**settings).save(tmp_path / "experiment.toml")
    assert first.read_text() == "no TOML" and third not in (first, second)


def test_a_file_of_the_same_experiment_that_was_written_by_hand_stays(tmp_path):
    path = tmp_path / "experiment.toml"
    text = f'# mine\n{PLAIN}records = "../{tmp_path.name}/."\nprotocols = ["speaker"]\n'
    path.write_text(text.replace(f"../{tmp_path.name}/.", "."))
    before = path.read_text()
    assert Experiment.load(path).save(path) == path and path.read_text() == before


def test_changed_recipes_are_recorded_as_ablations():
    changed = {"corpora": ["demo"], "recipes": ["rastogi_mlp"], "changes": {"training.epochs": 2}}
    (recorded,) = Experiment(**changed, records="x").systems()
    (evaluated,) = Experiment(**changed, evaluations="x").systems()
    assert (recorded.name, evaluated.name) == ("rastogi_mlp+training.epochs=2", "rastogi_mlp")
    assert recorded.training == evaluated.training and recorded.training.epochs == 2


def test_a_value_that_is_none_of_a_setting_s_is_refused_in_python_too():
    with pytest.raises(SerKitError, match="must be JSON-serialisable"):
        Experiment(corpora=["demo"], recipes=["rastogi_mlp"], records="x", changes={"extractor": object()})
