"""The document of the time-distributed CNN-LSTM, and of the one with BiLSTM and attention (RAVDESS)."""

from __future__ import annotations

from collections.abc import Mapping

from ... import plots, recipes
from ...core.errors import TableError
from ..records import full_name
from .document import Document, Material, Picture, Row, Table
from .figures import Make, class_distribution, confusion, layers, portrait

_MODELS = {"Model 1": "td_cnn_lstm", "Model 2": "td_cnn_bilstm_attention"}
_MINUTES = {"Model 1": (20, 43, 71), "Model 2": (31, 68, 103)}
_ONE, _SHORT, _CLEAN = "one copy", "60 epochs, one copy", "20 epochs, without noise"
_RANDOM, _COPIES = "random_80_10_10", "random_80_10_10_copies"


def _accuracy(model: str, variant: str = "") -> float | None:
    """Accuracy that the document reports of a model or of a variant of it."""
    return recipes.get(_MODELS[model]).published.accuracies.get(variant, (None,))[0]


def _shortened(model: str, variant: str, unseen: bool = True, **about: Mapping) -> Row:
    """A row of a training that is shorter than the document's; 200 epochs are too long for five folds."""
    name = f"{model}, shortened: {variant}"
    return Row(label=name, system=f"{_MODELS[model]}+{variant}", unseen=unseen and variant != _ONE, **about)


def _epochs(model: str) -> list[Row]:
    """Rows of Table 2: those of the document, and the shortened training."""
    rows = []
    for epochs, minutes in zip((60, 130, 200), _MINUTES[model], strict=True):
        variant = "" if epochs == 200 else f"{epochs} epochs"
        reported = {"accuracy": _accuracy(model, variant), "epochs": epochs, "minutes": minutes}
        system = full_name(_MODELS[model], variant)
        label = f"{model}, {epochs} epochs"
        rows.append(Row(label=label, system=system, reported=reported, unseen=not variant))
    about = {"epochs": None, "minutes": None, "training_accuracy": None}
    for short in (_ONE, _SHORT, _CLEAN):
        rows.append(_shortened(model, short, reported={"accuracy": _accuracy(model, short), **about}))
    return rows


def _by_class(model: str) -> list[Row]:
    """Rows of Table 3: the documented training, and the shortened one beside the same values."""
    system, classes = _MODELS[model], recipes.get(_MODELS[model]).published.classes
    return [
        Row(label=model, system=system, classes=classes),
        *(_shortened(model, short, classes=classes) for short in (_ONE, _SHORT)),
    ]


def _ablations() -> list[Row]:
    """The three ablations of the second model."""
    system, rows = _MODELS["Model 2"], []
    reported = {"without LSTM": 0.95, "without bidirectional": 0.89, "without dropout": None}
    rows.append(Row(label="whole", system=system, reported={"accuracy": _accuracy("Model 2")}, unseen=False))
    for name, accuracy in reported.items():
        given = {"accuracy": accuracy}
        rows.append(Row(label=name, system=f"{system}+{name}", reported=given, unseen=False))
    for model, given in _MODELS.items():
        for name in ("", *(f", {each}" for each in reported if given == system or each == "without dropout")):
            rows.append(_shortened(model, f"{_CLEAN}{name}", unseen=False))
    return rows


def _longest(draw: Make, *others: Make) -> Make:
    """The first figure that can be drawn from the records: of the longest training that was run."""

    def make(material: Material):
        for each in (draw, *others[:-1]):
            try:
                return each(material)
            except TableError:
                continue
        return others[-1](material)

    return make


def _curves(system: str) -> Make:
    """Training and validation curves, with the name of the system."""

    def make(material: Material):
        figure = plots.training_curves(material.histories(system))
        figure.suptitle(system)
        return figure

    return make


def _trainings(model: str, noise: bool) -> list[str]:
    """Systems with or without noise, the longest training first."""
    names = ("", _ONE, "60 epochs", _SHORT) if noise else ("without noise", _CLEAN)
    return [full_name(_MODELS[model], name) for name in names]


def _confusions(letter: str, model: str, noise: bool) -> Picture:
    when = "after" if noise else "before"
    return Picture(
        title=f"Fig. 5 ({letter}): {model} {when} noise",
        make=_longest(*map(confusion, _trainings(model, noise))),
        alt=f"Confusion matrix of the eight emotions, {model} {when} noise; the heading names the training",
    )


def _losses(letter: str, model: str) -> list[Picture]:
    return [
        Picture(
            title=f"Fig. 6 ({letter}): {model} {when}",
            make=_longest(*map(_curves, _trainings(model, noise))),
            alt=f"Training and validation loss by epoch, {model} {when}; the heading names the training",
        )
        for when, noise in (("before noise", False), ("with noise", True))
    ]


TIME_DISTRIBUTED = Document(
    name="time_distributed",
    title="Time-distributed CNN-LSTM, and with BiLSTM and attention: the document beside ser_kit",
    corpora=("ravdess",),
    labels="eight",
    parts=(
        Picture(
            title="Fig. 1: the classes of RAVDESS",
            make=class_distribution,
            alt="Bars: number of clips of each emotion, divided by the sex of the speaker",
            note="The document shows a sample of each class, of 1,440 clips of 24 actors.",
        ),
        Picture(
            title="Fig. 2: mel spectrogram",
            make=portrait("happy", ("waveform", "mel"), intensity="strong"),
            alt="Waveform and mel spectrogram of one happy recording over time",
        ),
        Picture(
            title="Fig. 3: model 1",
            make=layers(_MODELS["Model 1"]),
            alt="Layers of the built network from mel spectrogram to softmax, with output shapes",
            note="Drawn from the built network. Three chunks of 128 x 128 go through six blocks, whose "
            "outputs are 64, 32, 16, 4, 1 and 1 wide: from the fifth block on a map is one point, so the "
            "last 3 x 3 convolution sees only padding beside its centre, and the last pooling changes "
            "nothing.",
        ),
        Picture(
            title="Fig. 4: model 2",
            make=layers(_MODELS["Model 2"]),
            alt="Layers of the built network with bidirectional LSTM and attention, with output shapes",
        ),
        Table(
            title="Table 2: epochs, minutes and accuracy",
            note="Rows called *shortened* are not the document's training: they have fewer epochs, or one "
            "noisy copy of each training clip or none, since the whole takes hours on two cores. The minutes "
            "of the document are on an NVIDIA RTX 3080. A clip takes 82 million multiplications, an epoch "
            "with gradients 1.4e12 operations. A T4 (8.1e12 a second at most) would take about 2 to 4 s for "
            "it, and 7 to 13 min for 200 epochs: an estimate, not measured. After 20 epochs, 600 steps, the "
            "networks are at chance, even on training clips, although the accuracy during training is near "
            "40 %: they have dropout after every pooling layer, before the next batch normalisation, whose "
            "averages are then of noisy inputs, and differ from those of prediction, which has no dropout "
            "(Li, Chen, Hu & Yang, CVPR 2019). Without dropout (see the ablations) it is not so.",
            rows=(*_epochs("Model 1"), *_epochs("Model 2")),
        ),
        Table(
            title="Table 3: precision, recall and F1 by class",
            note="The reported values of the shortened rows are those after 200 epochs.",
            rows=(*_by_class("Model 1"), *_by_class("Model 2")),
        ),
        Table(
            title="Its split, a random split, and a split after augmentation",
            note="The document's split is by file order within each actor and emotion. `random_80_10_10` "
            "draws clips at random. `random_80_10_10_copies` divides the clips after adding the noisy "
            "copies, so that copies of tested clips are in training; the document does not say that it did "
            "so. *Our settings* has chunks of 64 x 32 and early stopping.",
            rows=(
                *(Row(label=f"{model}, {name}", system=system, protocol=name, unseen=False)
                  for model, system in _MODELS.items() for name in (_RANDOM, _COPIES)),
                *(Row(label=f"{model}, with our settings", system=f"{system}+ours")
                  for model, system in _MODELS.items()),
                *(Row(label=f"Model 1, with our settings, {name}", system="td_cnn_lstm+ours",
                      protocol=name, unseen=False) for name in (_RANDOM, _COPIES)),
            ),
        ),
        Table(
            title="Ablations of model 2",
            note="Without dropout the document reports a validation loss 15 % higher, and no accuracy. Each "
            "training takes about 3 h on one core.",
            rows=tuple(_ablations()),
        ),
        Table(
            title="The other reading of 'a 25 ms window and 10 ms overlap'",
            note="The default takes it literally, a hop of 15 ms. The usual hop is 10 ms; three chunks then "
            "become four.",
            rows=tuple(
                Row(label=f"{model}, hop of 10 ms", system=f"{system}+hop of 10 ms", unseen=False)
                for model, system in _MODELS.items()
            ),
        ),
        *(_confusions(letter, model, noise)
          for letter, model, noise in (("a", "Model 1", False), ("b, e", "Model 1", True),
                                       ("c", "Model 2", False), ("d, f", "Model 2", True))),
        *_losses("a", "Model 1"),
        *_losses("b", "Model 2"),
        Table(
            title="SAVEE without retraining",
            note="The document reports 5 of 7 clips right. A trained bundle is tested on SAVEE with "
            "`ser-kit evaluate BUNDLE --corpus savee --root SAVEE`, and on five emotions with `--labels "
            "neutral,happy,sad,angry,fear`. The row is the protocol `cross_corpus`, which trains on RAVDESS "
            "and tests on SAVEE, and the other way round.",
            rows=(
                Row(label="Model 2, RAVDESS and SAVEE", system=_MODELS["Model 2"], protocol="cross_corpus",
                    corpora=("ravdess", "savee"), reported={"accuracy": 0.714}, unseen=False),
            ),
        ),
    ),
    unsaid={
        "hop: 'a 25 ms window and 10 ms overlap'": "15 ms, as an overlap of 10 ms is; 10 ms as a variant",
        "level below which silence is trimmed": "30 dB below the peak of the clip",
        "mel bands, length of the Fourier transform": "128 bands, 1,024 samples; its formula is HTK's scale",
        "size and overlap of the chunks": "128 frames x 128 bands side by side, three to a clip (5.7 s), "
        "filled up with silence: no frame is dropped",
        "what pooling by 512 in all does to a smaller map": "pooling is padded, so that a side of 1 stays 1",
        "LSTM of model 1: in its name and its figure, not in its text": "128 units, last state",
        "'2D LSTM' of model 2": "the bidirectional LSTM over the chunks, 128 units in each direction",
        "dense layer": "64 units, ReLU, before the softmax",
        "optimiser, learning rate, initial weights": "Adam, 1e-3, Glorot's uniform weights",
        "momentum of batch normalisation": "0.9; the averages of Keras's 0.99 lag behind",
        "number of noisy copies": "two of each training clip",
        "range of the uniform noise of model 1": "-1 to 1, scaled to 15 to 30 dB like the other",
        "sampling of the ratio": "whole decibels from 15 to 30, both ends included",
        "'early recordings for training, later for testing'": "file order within each actor and emotion; "
        "within an actor alone the last tenth of RAVDESS's files are all of surprise, of which none would be "
        "left to train on",
        "whether copies were made before the split": "after it: only training clips have copies",
        "clips of Fig. 5 (a) to (d)": "it uses validation clips; here all matrices are of test clips",
        "564 epochs in all": "Table 2 adds up to 390 epochs a model, or 200 if one run was continued",
        "normalisation of the spectrogram": "zero mean and unit variance of each band over training clips",
        "weights that are tested": "those of the last epoch: there is no early stopping",
        "random seeds": "seed 0",
    },
)  # fmt: skip
