"""The document of the CNN + LSTM ensembles (RAVDESS speech and song, EMO-DB, IEMOCAP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from ... import plots
from ...core.errors import TableError
from ..records import METRIC_NAMES
from .document import UNSEEN, Document, Material, Picture, Row, Table
from .figures import Make, confusion, curves, layers

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SPEECH, _SONG, _EMODB = ("ravdess",), ("ravdess", "ravdess_song"), ("emodb",)
_CURVES = "voting_cnn_lstm+30 epochs"
_PEEKING = "random_80_20_peeking"


def _figures(accuracy: float, precision: float, recall: float, f1: float) -> dict[str, float]:
    return {"accuracy": accuracy, "macro_precision": precision, "uar": recall, "macro_f1": f1}


def _row(label: str, system: str, corpora: tuple[str, ...] = _SPEECH, **changes) -> Row:
    figures = {"reported": dict.fromkeys(("macro_precision", "macro_f1"))} | changes
    return Row(label=label, system=system, corpora=corpora, **figures)


_CNN_LSTM = _figures(0.9697, 0.955, 0.97, 0.9625)
_SVM = _figures(0.785, 0.75, 0.80, 0.775)
_FOREST = _figures(0.82, 0.805, 0.835, 0.8175)
_CNN = _figures(0.90, 0.885, 0.91, 0.8975)
_TABLE_2 = (
    _row("CNN + LSTM", "voting_features", reported=_CNN_LSTM),
    _row("deep belief network", "deep_belief_network", _EMODB, reported=_figures(0.65, 0.63, 0.66, 0.64)),
    _row("stacked autoencoder", "stacked_autoencoder", _EMODB, reported=_figures(0.705, 0.68, 0.72, 0.70)),
    _row("SVM", "voting_svm", reported=_SVM),
    _row("random forest", "voting_forest", reported=_FOREST),
    _row("CNN only", "voting_cnn", reported=_CNN),
)


def _clips(material: Material) -> Figure:
    clips = material.clips
    own = clips[clips["corpus"].isin(_SONG)]
    return plots.class_distribution(own if len(own) else clips)


def _bars(metric: str) -> Make:
    """A metric of the systems of Table 2: reported, as documented, and on unseen speakers."""

    def make(material: Material) -> Figure:
        table = {}
        for row in _TABLE_2:
            found = {"reported": row.reported[metric]}
            for name, protocol in (("here, as documented", row.split), ("here, unseen speakers", UNSEEN)):
                runs = material.of(row.system)
                own = (runs["protocol"] == protocol) & (runs["corpora"] == ", ".join(row.corpora))
                found[name] = runs.loc[own, metric].mean()
            table[row.label] = found
        scores = pd.DataFrame.from_dict(table, "index", dtype=float)
        if scores.iloc[:, 1:].isna().all(axis=None):
            raise TableError("there is no record of a system of Table 2")
        scores.index = scores.index.str.replace(" ", "\n")
        return plots.scores_by_class(scores, f"Table 2: {METRIC_NAMES[metric]}")

    return make


ENSEMBLES = Document(
    name="ensembles",
    title="CNN + LSTM ensembles: the document beside ser_kit",
    corpora=(*_SONG, *_EMODB),
    labels="eight",
    parts=(
        Picture(
            title="Fig. 1: architecture",
            make=layers("voting_cnn_lstm"),
            alt="Layers of the built CNN-LSTM from input to softmax, with output shapes and parameters",
            note="Drawn from the built network of the CNN-LSTM on spectrograms, one of the four that vote. "
            "The document gives no sizes.",
        ),
        Picture(
            title="Table 1: clips by emotion and sex",
            make=_clips,
            alt="Bars: number of clips of each emotion, divided by the sex of the speaker",
            note="The document has 1,440 clips of speech and 1,012 of song, of 24 actors.",
        ),
        Table(
            title="Section 5: CoSTGA",
            note="The document reports weighted accuracy, recall and F1 **on IEMOCAP, with a text branch**. "
            "IEMOCAP was not available: the figures here are of the audio branches alone, on RAVDESS, with "
            "eight emotions. The text branch is not built: RAVDESS has two sentences, each in all emotions, "
            "so the text says nothing about the emotion.",
            rows=(
                _row("CoSTGA (reported on IEMOCAP)", "costga",
                     reported={"accuracy": 0.755, "uar": 0.7582, "macro_f1": 0.7532}),
            ),
        ),
        Picture(
            title="Fig. 2: confusion matrix",
            make=confusion("voting_features"),
            alt="Confusion matrix of the eight emotions under the document's split",
        ),
        Picture(
            title="Fig. 2 on unseen speakers",
            make=confusion("voting_features", UNSEEN),
            alt="Confusion matrix of the eight emotions on unseen speakers",
        ),
        Picture(
            title="Figs. 3 and 4: loss and accuracy over 30 epochs",
            make=curves(_CURVES, _PEEKING),
            alt="Loss and accuracy by epoch, of training clips and of the tested clips",
            note="The document gives the tested clips to the training as its validation clips, as "
            f"`{_PEEKING}` does. All 30 epochs are trained, and the last weights kept.",
        ),
        Table(
            title="Figs. 3 and 4: the same network after 30 epochs",
            rows=(
                _row("CNN-LSTM on spectrograms, 30 epochs", _CURVES, protocol=_PEEKING, unseen=False,
                     reported={"training_accuracy": None, "epochs": 30}),
            ),
        ),
        Table(
            title="Section 7: network on raw segments of 20 ms",
            note="The document has 271 recordings of 783 s of a corpus that it does not name. Half of EMO-DB "
            "is of that size; it is shown here, and RAVDESS below it.",
            rows=(
                _row("segment network, EMO-DB", "segment_dnn+EMO-DB", _EMODB,
                     reported={"accuracy": 0.9697}),
                _row("segment network, RAVDESS", "segment_dnn", reported={"accuracy": 0.9697}),
            ),
        ),
        Table(
            title="Table 2: performance",
            note="CNN + LSTM: four CNN-LSTMs, on spectrogram, MFCC, chroma, and pitch and energy, soft "
            "voting. On RAVDESS: speech.",
            rows=_TABLE_2,
        ),
        Table(
            title="Table 2 on speech and song",
            note="The document has 1,012 clips of song. Those here are the first 2.4 s of each of 835. What "
            "was run on `ravdess` only is of speech: it was not run with the songs.",
            rows=(
                _row("CNN + LSTM", "voting_features", _SONG, reported=_CNN_LSTM),
                _row("SVM", "voting_svm", _SONG, reported=_SVM),
                _row("random forest", "voting_forest", _SONG, reported=_FOREST),
                _row("CNN only", "voting_cnn", _SONG, reported=_CNN),
            ),
        ),
        Table(
            title="The other ensembles that the document names, and single networks",
            note="The document reports one accuracy of its CNN + LSTM, 96.97 %, and does not say of which "
            "vote. Bagging and boosting with our settings: of three LSTMs.",
            rows=(
                _row("CNN-LSTMs on four types of features, hard voting", "voting_features+hard voting"),
                _row("CNN, LSTM and CNN-LSTM, soft voting", "voting_soft"),
                _row("CNN, LSTM and CNN-LSTM, hard voting", "voting_hard"),
                _row("three CNN-LSTMs, bagging", "voting_bagging"),
                _row("three CNN-LSTMs, boosting", "voting_boosting"),
                _row("bagging, with our settings", "voting_bagging+ours"),
                _row("boosting, with our settings", "voting_boosting+ours"),
                _row("CNN-LSTM on spectrograms", "voting_cnn_lstm"),
                _row("CNN-LSTM on MFCC", "voting_mfcc"),
                _row("CNN-LSTM on chroma", "voting_chroma"),
                _row("CNN-LSTM on pitch and energy", "voting_pitch_energy"),
                _row("LSTM on MFCC, chroma and mel frames", "voting_lstm"),
            ),
        ),
        Picture(
            title="Fig. 5: accuracy of Table 2",
            make=_bars("accuracy"),
            alt="Bars: accuracy of each system as reported, as documented here, and on unseen speakers",
        ),
        Picture(
            title="Fig. 5: F1 of Table 2",
            make=_bars("macro_f1"),
            alt="Bars: macro F1 of each system as reported, as documented here, and on unseen speakers",
        ),
    ),
    unsaid={
        "sizes of the CNN, the LSTM and the CNN-LSTM": "10,000 to 70,000 parameters, so that a fold takes "
        "minutes on two cores",
        "length of the clips": "3 s; longer clips are cut, shorter ones filled up with zeros",
        "overlapping frames": "those of the spectra: 40 ms every 20 ms",
        "number of mel bands and of MFCC": "40 and 13",
        "noise reduction": "spectral subtraction, then wavelets; the document names both as examples",
        "normalisation": "of the volume (RMS); then zero mean and unit variance of each column over the "
        "training clips",
        "extent of the augmentation": "one copy of each training clip: up to 2 semitones, 0.9 to 1.1 of the "
        "tempo, white noise at 15 to 30 dB",
        "optimiser": "Adam, 1e-3, batches of 32; the document names Adam or RMSprop (a variant)",
        "early stopping": "after 8 epochs without a lower validation loss, 30 epochs at most",
        "L2 and dropout": "1e-4 and 0.3",
        "number of folds": "five, stratified by emotion",
        "networks of the ensemble": "CNN-LSTMs on spectrogram, MFCC, chroma, pitch and energy; a CNN, an "
        "LSTM and a CNN-LSTM; three CNN-LSTMs for bagging and for boosting",
        "features of the support vector machine and the forest": "means and deviations of MFCC, chroma, mel "
        "bands and zero-crossing rate",
        "widths of the segment network, and how segments are combined": "256, 128, 64; mean of the "
        "probabilities",
        "corpus of the segment network": "EMO-DB, and RAVDESS",
        "layers of the deep belief network and the stacked autoencoder": "128 and 64 sigmoid units on "
        "functionals",
        "their training": "Adam, 1e-3, batches of 16; 300 epochs at most, and 60 without a lower validation "
        "loss: sigmoid layers start with a plateau, on which some trainings stay",
        "features, sizes and classes of CoSTGA": "MFCC, chroma and mel frames; 127,000 parameters; the eight "
        "emotions of RAVDESS",
        "how precision, recall and F1 are averaged": "over emotions, each alike",
    },
)  # fmt: skip
