"""The document of the CNN-BiLSTM and its random forest (CREMA-D, six classes)."""

from __future__ import annotations

import pandas as pd

from ... import corpora, recipes
from ...core.errors import TableError
from .document import Document, Material, Picture, Row, Table
from .figures import class_distribution, class_scores, confusion, curves, layers, portrait

_NAME, _FOREST = "ahmadov_cnn_bilstm", "ahmadov_forest"
_SPLIT = "speaker_80_20"
_FOREST_RECALLS = recipes.get(_FOREST).published.classes
_USES = {
    "threshold actions": "`answer.confidence`, calibrated; `answer.uncertain`",
    "TensorFlow Lite": "`ser-kit export BUNDLE --format litert`",
    "ONNX": "`ser-kit export BUNDLE --format onnx`, from samples to probabilities",
    "streaming": "`ser-kit listen`, `inference.StreamPredictor`",
    "one voice over weeks": "`inference.follow_voice`, `plots.voice_history`",
}


def _input(material: Material) -> pd.DataFrame:
    """The features of the input, counted in the recipe's extractor."""
    extractor = recipes.get(_NAME).extractor
    blocks = pd.Series([name.partition("_")[0] for name in extractor.feature_names]).value_counts(sort=False)
    reported = {"mfcc": 13, "chroma": 12, "mel": 128, "zcr": 1}
    rows = [(name, reported[name], count) for name, count in blocks.items()]
    rows += [("all", 154, extractor.shape[1]), ("frames", 300, extractor.shape[0])]
    return pd.DataFrame(rows, columns=["feature", "reported", "here"])


def _corpus(material: Material) -> pd.DataFrame:
    """What the document says of CREMA-D, beside the published corpus."""
    expected = corpora.get("cremad").expected
    total = sum(expected.values())
    return pd.DataFrame(
        [
            ("clips", "7,442", f"{total:,}"),
            ("share of disgust", "about 8 %", f"{expected['disgust'] / total:.1%}"),
            ("share of happy", "about 18 %", f"{expected['happy'] / total:.1%}"),
            ("share of neutral", "about 18 %", f"{expected['neutral'] / total:.1%}"),
            ("sampling rate of the files", "48 kHz", "16 kHz"),
        ],
        columns=["CREMA-D", "reported", "published corpus"],
    )


def _confusions(material: Material) -> pd.DataFrame:
    """The confusions of the forest that the document names."""
    counts = material.confusion(_FOREST, _SPLIT)
    if "disgust" not in counts:
        raise TableError(f"the runs have the emotions {', '.join(counts)}, without disgust")
    shares = counts.div(counts.sum(axis=1), axis=0)
    rows = [
        (f"{true} taken for {taken}", f"{reported:.1%}", f"{shares.loc[true, taken]:.1%}")
        for true, taken, reported in (("angry", "disgust", 0.321), ("fear", "sad", 0.294))
    ]
    return pd.DataFrame(rows, columns=["forest", "reported", "here, as documented"])


def _uses(material: Material) -> pd.DataFrame:
    """What the document proposes the system for."""
    return pd.DataFrame(_USES.items(), columns=["use", "here"])


CNN_BILSTM = Document(
    name="cnn_bilstm",
    title="CNN-BiLSTM: the document beside ser_kit",
    corpora=("cremad",),
    labels="six",
    parts=(
        Picture(title="Data: the corpus", make=_corpus, alt="Numbers of CREMA-D, reported and published",
                note="The document has no numbered tables or figures; its sections follow in their order. "
                "Some of what it says of the corpus does not hold of the published one."),
        Picture(title="Data: clips by emotion and sex", make=class_distribution,
                alt="Bars: number of clips of each emotion, divided by the sex of the speaker"),
        Picture(title="Input: features", make=_input, alt="Features by kind, reported and here",
                note="22,050 Hz, scaled to a peak of 1, cut or zero-padded to 300 frames (6.97 s)."),
        Picture(title="Input: features of one clip",
                make=portrait("angry", ("waveform", "mel", "mfcc", "chroma")),
                alt="Waveform, mel spectrogram, MFCC and chroma of one angry recording"),
        Table(
            title="Baseline: random forest",
            note="100 trees on the means and deviations of the features, 308 values. **The document divides "
            "the speakers 80/20**, so its figures are of unseen speakers; `random_80_20` divides the clips.",
            rows=(
                Row(label="forest", system=_FOREST, reported={"accuracy": 0.42, "weighted_f1": 0.40},
                    classes=_FOREST_RECALLS),
                Row(label="forest, clips divided at random", system=_FOREST, protocol="random_80_20",
                    unseen=False),
                Row(label="forest, with our settings", system=f"{_FOREST}+ours"),
            ),
        ),
        Picture(title="Baseline: recall by emotion",
                make=class_scores(_FOREST, "recall", {k: v["recall"] for k, v in _FOREST_RECALLS.items()}),
                alt="Bars: recall of each emotion as reported, as documented here, and on unseen speakers"),
        Picture(title="Baseline: confusions", make=_confusions, alt="Two confusions, reported and here",
                note="Only of runs with all of the document's six emotions."),
        Picture(title="Baseline: confusion matrix", make=confusion(_FOREST),
                alt="Confusion matrix of the random forest, on the tested speakers"),
        Picture(title="Main model: layers", make=layers(_NAME),
                alt="Layers of the built CNN-BiLSTM from 300 x 154 to softmax, with shapes and parameters",
                note="The number of parameters is computed; the document does not report it."),
        Table(
            title="Main model: results",
            note="11 points above the forest in the document. It gives no figure of an emotion, and says "
            "that happy and neutral were recognised best and disgust worst.",
            rows=(
                Row(label="CNN-BiLSTM", system=_NAME,
                    reported={"accuracy": 0.53, "weighted_f1": (0.51, 0.52), "training_accuracy": None,
                              "parameters": None, "epochs": 20, "minutes": None}),
                Row(label="CNN-BiLSTM, clips divided at random", system=_NAME, protocol="random_80_20",
                    reported={"training_accuracy": None}, unseen=False),
                Row(label="CNN-BiLSTM, not standardised", system=f"{_NAME}+not standardised", unseen=False),
                Row(label="CNN-BiLSTM, with our settings", system=f"{_NAME}+ours"),
            ),
        ),
        Picture(title="Main model: loss and accuracy by epoch", make=curves(_NAME, _SPLIT),
                alt="Loss and accuracy by epoch, of training clips and of speakers held out"),
        Picture(title="Main model: confusion matrix", make=confusion(_NAME, _SPLIT),
                alt="Confusion matrix of the CNN-BiLSTM, on the tested speakers"),
        Picture(title="Usage", make=_uses, alt="Uses that the document proposes, and how they work here"),
    ),
    unsaid={
        "speakers that stop the training": "a sixth of the training speakers",
        "which speakers are tested": "20 % of the speakers, drawn with the seed",
        "'standardized' features": "mean 0 and deviation 1 over the frames of the training clips; the "
        "variant `not standardised` takes the word to mean their length alone",
        "frames": "2,048 samples, every 512, Librosa's defaults",
        "level of the decibels": "reference 1, at most 80 dB under the clip's loudest, Librosa's defaults",
        "where the zeros stand": "after the sound, before the features are standardised",
        "tuning of the chroma": "A440",
        "dropout": "0.3 twice",
        "weight of L2": "1e-5",
        "size of the pooling": "2",
        "weights of the classes": "by the rarity of the class in the training clips",
        "frames that the forest averages": "those with sound, without the padding",
        "trees of the forest beyond their number": "scikit-learn's defaults",
    },
)  # fmt: skip
