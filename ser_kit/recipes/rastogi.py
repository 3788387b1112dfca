"""Two networks on functionals, from a study of several corpora (Rastogi).

The document gives layers, dropout, Adam with a learning rate of 1e-3, batches of 32, 50 epochs (40 in another
place), early stopping without the patience, and balanced classes. Here the patience is 10 epochs, with at
most 100 epochs, and classes are not weighted; the ablation "50 epochs, balanced" follows the document. The
document names a 70/15/15 split, but reports on 1,308 test clips, 12 % of its corpora; so 76/12/12 is run too.
Its preprocessing (mono, 48 kHz, peak normalisation, noise reduction, trimming at -40 dB) is used for the
CNN-LSTM here, and as an ablation of the perceptron. Peak normalisation is the last step here, so that the
measured signal has a peak of 1. The convolutions run along the functionals, in the arbitrary order of
:class:`~ser_kit.features.Functionals`. The momentum of batch normalisation is 0.9: Keras's default of 0.99
needs more batches than a small corpus has in ten epochs, and training would stop while validation accuracy is
at chance.

The ablations "as documented" take the document's own 30 inputs of
:class:`~ser_kit.features.LibrosaFunctionals`, its sample rate of each file among them, without the
preprocessing: the rows of the table that it prints were measured without any. They train all 40 or 50 epochs,
weigh clips by the rarity of their class, and keep the weights of the epoch with the best validation loss. The
CNN-LSTM has convolutions without padding, pooling before normalisation and Keras's momentum; of 30 inputs one
step is left for its LSTMs, of all 43 columns two. "as in its notebook" is what the notebook that the document
links to does where it differs: pitch from 75 to 600 Hz, unweighted classes, 100 epochs at most, patience 10,
the learning rate halved after 4. It watches the validation accuracy; here it is the loss.
"""

from dataclasses import replace

from ..audio.transforms import NoiseGate, PeakNormalise, Trim
from ..features import Functionals, LibrosaFunctionals
from ..training.settings import Training
from .published import Published
from .single import Recipe

_PREPROCESS = (NoiseGate(), Trim(top_db=40.0), PeakNormalise())
_TRAINING = Training(
    optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=100, patience=10, class_weights=False
)
_AS_WRITTEN = {"training.epochs": 50, "training.class_weights": True}
_INPUTS = LibrosaFunctionals(mfcc_std=False)


def _documented(epochs: int, extractor: LibrosaFunctionals = _INPUTS) -> dict:
    return {
        "extractor": extractor,
        "corpus_markers": True,
        "training.epochs": epochs,
        "training.patience": epochs,
        "training.class_weights": True,
    }


_LAYERS = {"hyperparameters": {"padding": "valid", "pool_first": True}}
_REFERENCE = (
    "Rastogi: multi-corpus speech emotion recognition on TESS, CREMA-D and RAVDESS; six classes, 10,898 "
    "clips, reported accuracy 65.14 %, macro F1 0.65"
)
_PUBLISHED = Published(
    document="Rastogi, multi-corpus functionals",
    corpora=("tess", "cremad", "ravdess"),
    protocol="random_70_15_15",
    also=("random_76_12_12",),
    accuracy=(0.6514,),
    others={"macro_precision": (0.65,), "uar": (0.65,), "macro_f1": (0.65,), "weighted_f1": (0.65,)},
    classes={
        "angry": {"precision": 0.74, "recall": 0.79, "f1": 0.76},
        "disgust": {"precision": 0.71, "recall": 0.57, "f1": 0.63},
        "happy": {"precision": 0.71, "recall": 0.62, "f1": 0.66},
        "neutral": {"precision": 0.55, "recall": 0.71, "f1": 0.62},
        "sad": {"precision": 0.66, "recall": 0.67, "f1": 0.66},
        "fear": {"precision": 0.57, "recall": 0.56, "f1": 0.56},
    },
)

rastogi_mlp = Recipe(
    name="rastogi_mlp",
    title="Multi-layer perceptron on prosodic and spectral functionals",
    reference=_REFERENCE,
    labels="six",
    published=_PUBLISHED,
    extractor=Functionals(),
    model="mlp",
    training=_TRAINING,
    ablations={
        "48 kHz, denoised, trimmed": {"extractor.sr": 48000, "extractor.n_fft": 1536,
                                      "extractor.hop_length": 480, "extractor.preprocess": _PREPROCESS},
        "50 epochs, balanced": _AS_WRITTEN,
        "speaker-adversarial": {"training.speaker_penalty": 0.3},
        "as documented, 40 epochs": _documented(40),
        "as documented, 50 epochs": _documented(50),
        "as in its notebook": {
            "extractor": replace(_INPUTS, pitch_floor=75.0, pitch_ceiling=600.0),
            "corpus_markers": True,
            "training.halve_after": 4,
        },
    },
)  # fmt: skip

rastogi_cnn_lstm = Recipe(
    name="rastogi_cnn_lstm",
    title="1-D CNN and LSTM on prosodic and spectral functionals",
    reference=_REFERENCE,
    labels="six",
    published=_PUBLISHED,
    extractor=Functionals(sr=48000, n_fft=1536, hop_length=480, preprocess=_PREPROCESS),
    model="conv1d_lstm",
    hyperparameters={"momentum": 0.9},
    training=_TRAINING,
    ablations={
        "no preprocessing": {"extractor": Functionals()},
        "50 epochs, balanced": _AS_WRITTEN,
        "as documented": _documented(50) | _LAYERS,
        "as documented, 43 columns": _documented(50, LibrosaFunctionals()) | _LAYERS,
    },
)
