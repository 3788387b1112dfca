"""Voting ensembles of CNNs, LSTMs and CNN-LSTMs; CoSTGA; a network on raw segments; and their baselines.

The document gives the types of features, networks and votes, L2, dropout, early stopping, Adam or RMSprop,
and 30 epochs. It gives no sizes. They are small here, so that a fold takes minutes on two cores: log-mel
spectrograms and frame features of 3 s with a hop of 20 to 23 ms; networks of 10,000 to 70,000 parameters; one
augmented copy of each clip; three rounds of bagging and boosting of the CNN-LSTM. The momentum of batch
normalisation is 0.9: with Keras's default of 0.99 the moving averages lag behind in 30 short epochs, and the
accuracy of the CNN on training clips is at chance in inference mode. The "overlapping frames" are taken to be
those of the short-time Fourier transform, and k-fold cross-validation to be the five stratified folds of
``random``. The grid and random searches use :data:`SPACE` with :func:`ser_kit.recipes.tuning.search`. The
variant "ours" of bagging and boosting takes the LSTM, which trains faster.

``voting_features`` votes over CNN-LSTMs on different features: log-mel spectrogram, MFCC, chroma, pitch and
energy. The networks of a vote do not depend on each other, so they can be trained in parallel: run the single
recipes in several processes with ``ser-kit reproduce``, the same ``--out`` and ``--folds``; the ensemble then
starts from their checkpoints.

CoSTGA is described in a paragraph of the document, with figures on IEMOCAP: dilated causal convolutions, a
bidirectional LSTM and transformer encoders in parallel, with multi-head self-attention. Here it has the audio
features, the training and the eight classes of the others; the text branch is left out.

The second system has a reported accuracy of 96.97 % on whole files, for 271 recordings of 783 s in total, of
a corpus that is not named (a table gives the same accuracy for RAVDESS). Half of EMO-DB is of that size; the
variant "EMO-DB" is for it. The document gives neither the widths of the network (here 256, 128, 64)
nor how segments are combined (here by the mean of their probabilities). It does not give the features of the
baselines (here means and deviations of the frame features), nor the layers of the deep belief network and the
stacked autoencoder on EMO-DB (here 128 and 64 sigmoid units on functionals; training of sigmoid layers starts
with a plateau, hence the patience of 60 epochs).
"""

from dataclasses import replace

from ..audio.augment import AddNoise, PitchShift, TimeStretch
from ..audio.transforms import RMSNormalise, SpectralSubtraction, Standardise, VoiceActivity, WaveletDenoise
from ..features import (
    FrameFeatures,
    FrameStatistics,
    Functionals,
    LogMel,
    PitchEnergy,
    Segments,
    StackedFrames,
)
from ..training.estimators import SVM, Forest
from ..training.settings import Training
from .ensemble import Ensemble
from .published import Published
from .single import Recipe

_REFERENCE = "CNN + LSTM ensemble: RAVDESS speech and song, eight classes; "
_CORPORA = ("ravdess", "ravdess_song")
_PREPROCESS = (SpectralSubtraction(), WaveletDenoise(), RMSNormalise())
_AUGMENTATION = (
    PitchShift(semitones=2.0),
    TimeStretch(low=0.9, high=1.1),
    AddNoise(kind="white", snr_low=15.0, snr_high=30.0),
)
_SPECTROGRAM = LogMel(
    sr=16000, n_fft=1024, win_length=640, hop_length=320, n_mels=40, seconds=3.0, preprocess=_PREPROCESS
)
_FRAMES = FrameFeatures(n_mels=40, frames=130, preprocess=_PREPROCESS)
_TRAINING = Training(
    optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=30, patience=8, class_weights=False
)  # fmt: skip


def _published(
    *accuracy: float, precision: float | None = None, recall: float | None = None, f1: float | None = None,
    corpora: tuple[str, ...] = _CORPORA, protocol: str = "random", variants: tuple[str, ...] = (),
) -> Published:  # fmt: skip
    others = {"macro_precision": precision, "uar": recall, "macro_f1": f1}
    others = {metric: (figure,) for metric, figure in others.items() if figure is not None}
    return Published(
        document="CNN + LSTM ensemble",
        corpora=corpora,
        protocol=protocol,
        accuracy=accuracy,
        others=others,
        variants=dict.fromkeys(variants, accuracy),
    )


def _network(kind: str, title: str, extractor, model: str, published: Published, **hyperparameters) -> Recipe:
    return Recipe(
        name=f"voting_{kind}",
        title=title,
        reference=_REFERENCE
        + (f"reported accuracy {published.accuracy[0]:.0%}" if published.accuracy else "a member"),
        labels="eight",
        published=published,
        extractor=extractor,
        model=model,
        hyperparameters={"l2": 1e-4, "dropout": 0.3, **hyperparameters},
        training=_TRAINING,
        copies=1,
        augmentation=_AUGMENTATION,
        ablations={
            "no augmentation": {"copies": 0},
            "RMSprop": {"training.optimizer": "rmsprop"},
            "30 epochs": {"training.patience": None},
        },
    )


voting_cnn = _network(
    "cnn", "CNN on log-mel spectrograms", _SPECTROGRAM, "cnn2d",
    _published(0.90, precision=0.885, recall=0.91, f1=0.8975),
    filters=(8, 16, 32), momentum=0.9,
)  # fmt: skip
voting_lstm = _network("lstm", "LSTM on MFCC, chroma and mel frames", _FRAMES, "lstm", _published())


def _cnn_lstm(kind: str, features: str, extractor, filters: tuple[int, ...] = (8, 16)) -> Recipe:
    return _network(
        kind, f"CNN-LSTM on {features}", extractor, "cnn2d_lstm", _published(),
        filters=filters, lstm_units=(64,), momentum=0.9,
    )  # fmt: skip


def _stacked(part: str) -> StackedFrames:
    return StackedFrames(
        sr=16000, window_ms=40.0, hop_ms=20.0, n_fft=1024, n_mfcc=13, n_mels=40, frames=151, parts=(part,),
        preprocess=_PREPROCESS,
    )  # fmt: skip


voting_cnn_lstm = _cnn_lstm("cnn_lstm", "log-mel spectrograms", _SPECTROGRAM)
voting_mfcc = _cnn_lstm("mfcc", "MFCC", _stacked("mfcc"))
voting_chroma = _cnn_lstm("chroma", "chroma", _stacked("chroma"))
voting_pitch_energy = _cnn_lstm(
    "pitch_energy", "pitch and energy", PitchEnergy(preprocess=_PREPROCESS), filters=(16,)
)
costga = replace(
    _network(
        "costga", "CoSTGA on MFCC, chroma and mel frames, without text", _FRAMES, "costga",
        _published(0.755, recall=0.7582, f1=0.7532, corpora=("iemocap",)),
    ),
    name="costga",
    hyperparameters={},
    reference="CoSTGA, in the CNN + LSTM ensemble's document: IEMOCAP; reported weighted accuracy 75.5 %",
)  # fmt: skip


def _vote(kind: str, title: str, members: tuple[Recipe, ...], method: str, **ablations) -> Ensemble:
    return Ensemble(
        name=f"voting_{kind}",
        title=title,
        reference=_REFERENCE + "reported accuracy 96.97 %",
        labels="eight",
        published=_published(0.9697, precision=0.955, recall=0.97, f1=0.9625),
        members=members,
        method=method,
        rounds=3,
        ablations=ablations,
    )


_THREE = (voting_cnn, voting_lstm, voting_cnn_lstm)
_FEATURES = (voting_cnn_lstm, voting_mfcc, voting_chroma, voting_pitch_energy)
_LSTMS = {"ours": {"members": (voting_lstm,)}}
voting_soft = _vote("soft", "CNN, LSTM and CNN-LSTM, soft voting", _THREE, "soft")
voting_hard = _vote("hard", "CNN, LSTM and CNN-LSTM, hard voting", _THREE, "hard")
voting_bagging = _vote("bagging", "Three CNN-LSTMs, bagging", (voting_cnn_lstm,), "bagging", **_LSTMS)
voting_boosting = _vote("boosting", "Three CNN-LSTMs, boosting", (voting_cnn_lstm,), "boosting", **_LSTMS)
voting_features = _vote(
    "features", "CNN-LSTMs on four types of features, soft voting", _FEATURES, "soft",
    **{"hard voting": {"method": "hard"}},
)  # fmt: skip

SPACE = {
    "hyperparameters.filters": [(8, 16), (16, 32), (32,)],
    "hyperparameters.kernel_size": [3, 5],
    "hyperparameters.lstm_units": [(32,), (64,), (128,), (64, 64)],
    "hyperparameters.dropout": [0.2, 0.3, 0.5],
    "training.learning_rate": [1e-4, 3e-4, 1e-3, 3e-3],
    "training.batch_size": [16, 32, 64],
}
"""Search space of the document for the CNN-LSTM."""

voting_svm = Recipe(
    name="voting_svm",
    title="Support vector machine on means and deviations of frames",
    reference=_REFERENCE + "reported accuracy 78.5 %",
    labels="eight",
    published=_published(0.785, precision=0.75, recall=0.80, f1=0.775),
    extractor=FrameStatistics(preprocess=_PREPROCESS),
    training=SVM(C=10.0),
)
voting_forest = Recipe(
    name="voting_forest",
    title="Random forest on means and deviations of frames",
    reference=_REFERENCE + "reported accuracy 82 %",
    labels="eight",
    published=_published(0.82, precision=0.805, recall=0.835, f1=0.8175),
    extractor=FrameStatistics(preprocess=_PREPROCESS),
    training=Forest(n_estimators=300, class_weights=False),
)
segment_dnn = Recipe(
    name="segment_dnn",
    title="Deep network on raw 20 ms segments",
    reference="Second system of the CNN + LSTM ensemble's document: 271 recordings; reported accuracy "
    "96.97 % of whole files",
    labels="eight",
    published=_published(0.9697, protocol="random_80_10_10", variants=("EMO-DB",)),
    extractor=Segments(preprocess=(VoiceActivity(), Standardise())),
    model="segment_dnn",
    scale=False,
    training=Training(
        optimizer="sgd",
        learning_rate=0.01,
        batch_size=128,
        epochs=30,
        patience=5,
        class_weights=False,
        by_segment=True,
    ),
    ablations={"EMO-DB": {"labels": "emodb"}},
)


def _pretrained(name: str, title: str, method: str, accuracy: float, **others: float) -> Recipe:
    return Recipe(
        name=name,
        title=title,
        reference=f"CNN + LSTM ensemble, comparison: EMO-DB; reported accuracy {accuracy:.1%}",
        labels="emodb",
        published=_published(accuracy, corpora=("emodb",), **others),
        extractor=Functionals(),
        model="mlp",
        hyperparameters={
            "units": (128, 64), "dropout": (0.0, 0.0), "batch_norm": (False, False),
            "activation": "sigmoid", "squash": True,
        },
        training=Training(
            optimizer="adam", learning_rate=1e-3, batch_size=16, epochs=300, patience=60, class_weights=False,
            pretrain=method,
        ),
        ablations={"no pretraining": {"training.pretrain": None}},
    )  # fmt: skip


deep_belief_network = _pretrained(
    "deep_belief_network",
    "Deep belief network on functionals",
    "rbm",
    0.65,
    precision=0.63,
    recall=0.66,
    f1=0.64,
)
stacked_autoencoder = _pretrained(
    "stacked_autoencoder", "Stacked autoencoders on functionals", "autoencoder", 0.705,
    precision=0.68, recall=0.72, f1=0.70,
)  # fmt: skip
