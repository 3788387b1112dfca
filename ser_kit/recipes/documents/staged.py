"""The document of the staged CNN-LSTM (RAVDESS, eight classes)."""

from .document import Document, Picture, Row, Table
from .figures import class_distribution, class_scores, confusion, curves, layers, portrait

_NAME = "staged_cnn_lstm"
_F1 = {"sad": 0.97, "happy": 0.95, "fear": 0.87}
_HONEST = "random_80_20"


def _failed(batch: int, dropout: float, why: str) -> Row:
    variant = f"batch {batch}, dropout {dropout:g}"
    return Row(label=f"{variant} ({why})", system=f"{_NAME}+{variant}", unseen=False)


STAGED = Document(
    name="staged",
    title="Staged CNN-LSTM: the document beside ser_kit",
    corpora=("ravdess",),
    labels="eight",
    parts=(
        Picture(
            title="Fig. 1: clips by emotion and sex",
            make=class_distribution,
            alt="Bars: number of clips of each emotion, divided by the sex of the speaker",
            note="The document has 1,440 clips of 24 actors.",
        ),
        Picture(
            title="Fig. 2: MFCC, chroma and mel spectrogram of an angry clip",
            make=portrait("angry", ("mfcc", "chroma", "mel"), intensity="strong"),
            alt="Three panels over time: MFCC, chroma and mel spectrogram of one angry recording",
        ),
        Picture(
            title="Fig. 3: data flow",
            make=layers(_NAME),
            alt="Layers of the built network from input to softmax, with output shapes and parameters",
            note="Drawn from the built network; input: 3 s at 16 kHz, 150 frames x 40 rows x 3 channels.",
        ),
        Table(
            title="Table I: settings that failed",
            note="The document gives no figures: training collapsed, underfitted or overfitted.",
            rows=(
                Row(label="chosen: batch 32, dropout 0.3", system=_NAME, unseen=False),
                _failed(128, 0.3, "collapsed"),
                _failed(32, 0.5, "underfitted"),
                _failed(16, 0.1, "overfitted by epoch 5"),
            ),
        ),
        Table(
            title="Results: accuracy and F1 by emotion",
            note="The document stops training on the clips that it evaluates on (`random_80_20_peeking`). "
            "The second row stops on held-out training clips (`random_80_20`); its speakers are still in "
            "training. The third puts the parts side by side, the other reading of its stack.",
            rows=(
                Row(
                    label="three channels",
                    system=_NAME,
                    reported={"accuracy": (0.94, 0.951), "training_accuracy": 0.9996, "epochs": (20, 25),
                              "parameters": None, "minutes": None},
                    classes={emotion: {"f1": value} for emotion, value in _F1.items()},
                ),
                Row(label="three channels, honest early stopping", system=_NAME, protocol=_HONEST,
                    reported={"training_accuracy": None, "epochs": None}),
                Row(label="side by side", system=f"{_NAME}+side by side",
                    reported={"training_accuracy": None, "epochs": None}),
                Row(label="side by side, honest early stopping", system=f"{_NAME}+side by side",
                    protocol=_HONEST),
            ),
        ),
        Table(
            title="Single features against the stack",
            note="The document reports no figures, only that the stack was better than any single feature.",
            rows=(
                Row(label="stack, three channels", system=_NAME, unseen=False),
                *(Row(label=f"{part} alone", system=f"{_NAME}+{part} alone", unseen=False)
                  for part in ("MFCC", "chroma", "mel")),
            ),
        ),
        Picture(
            title="Fig. 4: F1 by emotion",
            make=class_scores(_NAME, "f1", _F1),
            alt="Bars: F1 of each emotion as reported, as documented here, and on unseen speakers",
            note="The document prints three of the eight values in its text.",
        ),
        Picture(
            title="Fig. 5: confusion matrix",
            make=confusion(_NAME),
            alt="Confusion matrix of the eight emotions under the document's split",
        ),
        Picture(
            title="Fig. 5 on unseen speakers",
            make=confusion(_NAME, "speaker"),
            alt="Confusion matrix of the eight emotions on unseen speakers",
        ),
        Picture(
            title="Fig. 6: training and validation curves",
            make=curves(_NAME),
            alt="Loss and accuracy by epoch, of training clips and of the clips that stop the training",
            note="The document's figure has 23 epochs. Its validation clips are its evaluation clips.",
        ),
    ),
    unsaid={
        "sample rate of the features": "16 kHz, as its figure of the data flow has it",
        "what 'stacked' means": "three channels of one block, each of 40 rows; side by side as a variant",
        "number of mel bands": "40, as many as MFCC",
        "size of the pooling": "2 x 2",
        "maximum number of epochs": "100",
        "measure of 'no improvement in testing performance'": "the loss of the evaluation clips",
        "how the random split was drawn": "stratified by emotion, seed 0",
        "normalisation of the features": "zero mean and unit variance of each column over the training clips",
    },
)  # fmt: skip
