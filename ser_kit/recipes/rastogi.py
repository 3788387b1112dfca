"""Two networks on functionals, from a study of several corpora (Rastogi).

By default both are as documented: the 30 inputs of :class:`~ser_kit.features.LibrosaFunctionals`, the sample
rate of each file among them, without the preprocessing that the text gives, since the rows of the table that
it prints were measured without any; Adam with a learning rate of 1e-3, batches of 32, 50 epochs (40 in
another place: the variant "40 epochs"), clips weighted by the rarity of their class. The CNN-LSTM has
convolutions without padding, pooling before normalisation and Keras's momentum; of 30 inputs one step is left
for its LSTMs, of all 43 columns two. The document names early stopping without the patience; here all epochs
are trained, and the weights of the epoch with the best validation loss are kept. It names a 70/15/15 split,
but reports on 1,308 test clips, 12 % of its corpora; so 76/12/12 is run too.

"as in its notebook" is what the notebook that the document links to does where it differs: pitch from 75 to
600 Hz, unweighted classes, 100 epochs at most, patience 10, the learning rate halved after 4. It watches the
validation accuracy; here it is the loss.

"ours" has the inputs of :class:`~ser_kit.features.Functionals`, without the sample rate, unweighted
classes and a patience of 10 of at most 100 epochs. The CNN-LSTM then has the preprocessing of the text (mono,
48 kHz, noise reduction, trimming at -40 dB, peak normalisation; the peak comes last here, so that the
measured signal has a peak of 1), convolutions with padding, and a momentum of batch normalisation of 0.9:
Keras's default of 0.99 needs more batches than a small corpus has in ten epochs, and training would stop
while validation accuracy is at chance. The convolutions run along the functionals, in their arbitrary order.
"""

from dataclasses import replace

from ..audio.transforms import NoiseGate, PeakNormalise, Trim
from ..features import Functionals, LibrosaFunctionals
from ..training.settings import Training
from .published import Published
from .single import Recipe

_PREPROCESS = (NoiseGate(), Trim(top_db=40.0), PeakNormalise())
_INPUTS = LibrosaFunctionals(mfcc_std=False)
_TRAINING = Training(
    optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=50, patience=50, class_weights=True
)
_UNTIL_IT_STOPS = {"training.epochs": 100, "training.patience": 10, "training.class_weights": False}
_TUNED = {"extractor": Functionals(), "corpus_markers": False, **_UNTIL_IT_STOPS}


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
    published=replace(_PUBLISHED, parameters=51_014),
    extractor=_INPUTS,
    corpus_markers=True,
    model="mlp",
    training=_TRAINING,
    ablations={
        "40 epochs": {"training.epochs": 40, "training.patience": 40},
        "denoised, trimmed": {"extractor.preprocess": _PREPROCESS},
        "as in its notebook": {
            "extractor": replace(_INPUTS, pitch_floor=75.0, pitch_ceiling=600.0),
            "training.halve_after": 4,
            **_UNTIL_IT_STOPS,
        },
        "ours": _TUNED,
    },
)

rastogi_cnn_lstm = Recipe(
    name="rastogi_cnn_lstm",
    title="1-D CNN and LSTM on prosodic and spectral functionals",
    reference=_REFERENCE,
    labels="six",
    published=_PUBLISHED,
    extractor=_INPUTS,
    corpus_markers=True,
    model="conv1d_lstm",
    hyperparameters={"padding": "valid", "pool_first": True},
    training=_TRAINING,
    ablations={
        "43 columns": {"extractor": LibrosaFunctionals()},
        "ours": {
            **_TUNED,
            "extractor": Functionals(sr=48000, n_fft=1536, hop_length=480, preprocess=_PREPROCESS),
            "hyperparameters": {"momentum": 0.9},
        },
    },
)
