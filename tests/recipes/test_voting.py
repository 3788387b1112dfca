"""The ensembles' document: what it fixes is what the recipes declare."""

from __future__ import annotations

import pytest

from ser_kit import features, recipes
from ser_kit.audio import augment, transforms
from ser_kit.models import layers
from ser_kit.recipes import voting
from ser_kit.recipes.documents.ensembles import ENSEMBLES as DOCUMENT

pytestmark = pytest.mark.usefixtures("eagerly")
TABLE_2 = {  # accuracy, precision, recall, F1, and the corpora
    "voting_features": (96.97, 95.50, 97.00, 96.25, ("ravdess", "ravdess_song")),
    "deep_belief_network": (65.00, 63.00, 66.00, 64.00, ("emodb",)),
    "stacked_autoencoder": (70.50, 68.00, 72.00, 70.00, ("emodb",)),
    "voting_svm": (78.50, 75.00, 80.00, 77.50, ("ravdess", "ravdess_song")),
    "voting_forest": (82.00, 80.50, 83.50, 81.75, ("ravdess", "ravdess_song")),
    "voting_cnn": (90.00, 88.50, 91.00, 89.75, ("ravdess", "ravdess_song")),
}
ENSEMBLES = {
    "voting_soft": "soft", "voting_hard": "hard", "voting_bagging": "bagging", "voting_boosting": "boosting",
    "voting_features": "soft",
}  # fmt: skip
NETWORKS = (
    "voting_cnn", "voting_lstm", "voting_cnn_lstm", "voting_mfcc", "voting_chroma", "voting_pitch_energy", "costga",
)  # fmt: skip


@pytest.mark.parametrize("name", TABLE_2)
def test_reported_figures_are_those_of_table_2(name):
    accuracy, precision, recall, f1, corpora = TABLE_2[name]
    published = recipes.get(name).published
    assert published.corpora == corpora
    assert [100 * figure for figure in published.accuracy] == pytest.approx([accuracy])
    others = {metric: 100 * figure for metric, (figure,) in published.others.items()}
    assert others == pytest.approx({"macro_precision": precision, "uar": recall, "macro_f1": f1})


@pytest.mark.parametrize(("title", "names"), [
    ("Table 2: performance", TABLE_2),
    ("Table 2 on speech and song", [name for name, (*_, corpora) in TABLE_2.items() if "ravdess" in corpora]),
])  # fmt: skip
def test_the_page_has_table_2(title, names):
    (table,) = [part for part in DOCUMENT.parts if part.title == title]
    assert {row.system for row in table.rows} == set(names)
    metrics = ("accuracy", "macro_precision", "uar", "macro_f1")
    for row in table.rows:
        assert [100 * row.reported[metric] for metric in metrics] == pytest.approx(TABLE_2[row.system][:4])
        assert set(row.corpora) <= set(TABLE_2[row.system][4])


def test_the_page_has_a_table_or_figure_for_each_of_the_document():
    titles = " ".join(part.title for part in DOCUMENT.parts)
    for each in ("Fig. 1", "Fig. 2", "Figs. 3 and 4", "Fig. 5", "Table 1", "Table 2", "CoSTGA", "segments of 20 ms"):
        assert each in titles
    assert {row.system.partition("+")[0] for row in DOCUMENT.rows} >= {*TABLE_2, *ENSEMBLES, "costga", "segment_dnn"}


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_have_the_training_of_the_document(name):
    recipe = recipes.get(name)
    assert recipe.training.epochs == 30 and recipe.training.optimizer == "adam" and recipe.training.patience
    assert recipe.variant("RMSprop").training.optimizer == "rmsprop"
    whole = recipe.variant("30 epochs").training
    assert whole.epochs == 30 and whole.patience is None
    assert recipe.hyperparameters.get("dropout", 0.3) == 0.3
    steps = (transforms.SpectralSubtraction, transforms.WaveletDenoise, transforms.RMSNormalise)
    assert tuple(map(type, recipe.extractor.preprocess)) == steps
    changes = (augment.PitchShift, augment.TimeStretch, augment.AddNoise)
    assert tuple(map(type, recipe.augmentation)) == changes and recipe.copies == 1
    weights = recipe.build(8).losses
    assert bool(weights) == (name != "costga"), "L2"


@pytest.mark.parametrize("name", ENSEMBLES)
def test_ensembles_vote_as_documented(name):
    system = recipes.get(name)
    assert system.method == ENSEMBLES[name]
    assert system.published.protocol == "random" and len(system.parts) >= 3


def test_bagging_and_boosting_are_of_cnn_lstms():
    for name in ("voting_bagging", "voting_boosting"):
        assert [member.name for member in recipes.get(name).members] == ["voting_cnn_lstm"]
        assert [member.name for member in recipes.get(f"{name}+ours").members] == ["voting_lstm"]


def test_cnn_lstms_on_each_type_of_features():
    system = recipes.get("voting_features")
    assert {member.model for member in system.members} == {"cnn2d_lstm"}
    names = [member.extractor.feature_names for member in system.members]
    assert [each[0] for each in names] == ["mel_01", "mfcc_01", "chroma_C", "pitch"]
    assert [len(each) for each in names] == [40, 13, 12, 2]
    # The same frames: 3 s, windows of 40 ms every 20 ms.
    assert {member.extractor.shape[0] for member in system.members} == {151}
    assert all(recipes.get(member.name) == member for member in system.members), "each can be trained alone"
    assert recipes.get("voting_features+hard voting").method == "hard"


def test_the_search_is_over_what_the_document_names():
    names = {path.rpartition(".")[2] for path in voting.SPACE}
    assert names == {"filters", "kernel_size", "lstm_units", "dropout", "learning_rate", "batch_size"}
    for path, values in voting.SPACE.items():  # each can be set; units stand for the number of layers, too
        for value in values:
            recipes.get("voting_cnn_lstm").with_settings({path: value})
    assert {len(units) for units in voting.SPACE["hyperparameters.lstm_units"]} == {1, 2}


def test_the_segment_network_reads_20_ms_of_raw_sound():
    recipe = recipes.get("segment_dnn")
    assert isinstance(recipe.extractor, features.Segments)
    assert recipe.extractor.segment_ms == 20 and recipe.input_shape[1] == 20 * recipe.extractor.rate / 1000
    assert tuple(map(type, recipe.extractor.preprocess)) == (transforms.VoiceActivity, transforms.Standardise)
    assert recipe.training.optimizer == "sgd" and recipe.training.by_segment and not recipe.scale
    assert recipe.published.protocol == "random_80_10_10" and recipe.published.accuracy == (0.9697,)
    assert any(isinstance(layer, layers.MeanOfSound) for layer in recipe.build(7).layers), "whole files"


def test_the_networks_of_emodb_are_pretrained_layer_by_layer():
    assert recipes.get("deep_belief_network").training.pretrain == "rbm"
    assert recipes.get("stacked_autoencoder").training.pretrain == "autoencoder"
    assert recipes.get("deep_belief_network").labels == "emodb"


def test_costga_has_the_branches_of_the_document_in_parallel():
    import keras

    recipe = recipes.get("costga")
    assert recipe.published.corpora == ("iemocap",) and recipe.published.accuracy == (0.755,)
    assert recipe.published.others == {"uar": (0.7582,), "macro_f1": (0.7532,)}
    model = recipe.build(8)
    (joined,) = [layer for layer in model.layers if isinstance(layer, keras.layers.Concatenate)]
    for branch, kind in zip(joined.input, ("Conv1D", "Bidirectional", "MultiHeadAttention"), strict=True):
        kinds = {type(layer).__name__ for layer in keras.Model(model.input, branch).layers}
        assert kinds & {"Conv1D", "Bidirectional", "MultiHeadAttention"} == {kind}
        assert branch.shape[1] == recipe.extractor.frames
    convolutions = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    assert [layer.dilation_rate for layer in convolutions] == [(1,), (2,), (4,), (8,)]
    assert {layer.padding for layer in convolutions} == {"causal"}
    attention = [layer for layer in model.layers if isinstance(layer, keras.layers.MultiHeadAttention)]
    assert len(attention) == 2 and {layer._num_heads for layer in attention} == {4}
