"""Time-distributed 2-D CNN with an LSTM, and with a bidirectional LSTM and attention.

The document gives 16 kHz, trimming, windows of 25 ms "with 10 ms overlap", the HTK mel scale, six convolution
blocks (8 to 256 filters, 5 x 5 twice and 3 x 3 four times, padding that keeps the size, batch normalisation,
ELU, max-pooling by 2, 2, 2, 4, 4, 4, dropout of 0.2), the attention, batches of 32, noise at 15 to 30 dB in
several copies of the training clips, and 60, 130 and 200 epochs without early stopping.

An overlap of 10 ms is a hop of 15 ms, the default; the usual hop of 10 ms is the variant "hop of 10 ms". The
pooling divides a chunk by 512 in all. Chunks have 128 frames and 128 mel bands, which the blocks shrink to
64, 32, 16, 4, 1 and 1: the sixth convolution covers a map of 1 x 1, of which only the centre of its kernel
sees anything but padding, and its pooling changes nothing. Three chunks side by side are 384 frames, 5.7 s,
longer than any clip of RAVDESS; shorter clips are filled up with silence, so that no frame is dropped.

The document trains on early recordings and tests on later ones. RAVDESS's names are sorted by emotion within
an actor, so that the last tenth of an actor's files are all of surprise and no other emotion would be tested.
The split is therefore by file order within each actor and emotion (``temporal_80_10_10``).

Settings that the document does not give: trimming at 30 dB below the peak, the transform (1,024 samples), the
size of the chunks, LSTM (128 units), dense layer (64, ReLU), optimiser (Adam, 1e-3), two copies, and the
momentum of batch normalisation: 0.9, since the averages of Keras's 0.99 lag behind at 30 steps an epoch.
Dropout after every pooling layer, as documented, also shifts what batch normalisation sees in prediction from
what it saw in training: after 20 epochs the networks are at chance, without dropout they are not. The
16-bit full scale by which it divides signal and noise cancels out of the signal-to-noise ratio, which
:class:`~ser_kit.audio.augment.AddNoise` sets.

The variant "ours" has 32 mel bands, a hop of 10 ms, four chunks of 64 frames (the last 0.45 s of a
clip of 3 s are dropped), and early stopping.
"""

from collections.abc import Mapping

from ..audio.augment import AddNoise
from ..audio.transforms import Trim
from ..features import LogMel
from ..training.settings import Training
from .published import Published
from .single import Recipe

_DOCUMENT = "Time-distributed 2D CNN-LSTM"
_CHUNK = 128
_HOP = 240  # 15 ms: windows of 25 ms that overlap by 10 ms


def _seconds(chunks: int, hop: int) -> float:
    """Length of a clip of whole chunks, in seconds."""
    return (chunks * _CHUNK - 1) * hop / 16000


_EXTRACTOR = LogMel(
    sr=16000, n_fft=1024, win_length=400, hop_length=_HOP, n_mels=128, seconds=_seconds(3, _HOP), htk=True,
    preprocess=(Trim(top_db=30.0),),
)  # fmt: skip
_TRAINING = Training(
    optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=200, patience=None, class_weights=False
)  # fmt: skip
_CHUNKS = {"chunk": _CHUNK, "hop": _CHUNK, "momentum": 0.9}
_SHORT, _FEW = "20 epochs, without noise", {"training.epochs": 20, "copies": 0}
_TUNED_CHUNKS = {"chunk": 64, "hop": 64}
_MODEL_2 = {"bidirectional": True, "attention": True}


def _variants(after_60: float, after_130: float, after_200: float) -> dict[str, tuple[float]]:
    """Accuracy reported after as many epochs, for the variants that train so long with the same network."""
    return {
        "one copy": (after_200,), "130 epochs": (after_130,), "60 epochs": (after_60,),
        "60 epochs, one copy": (after_60,),
    }  # fmt: skip


def _noise(kind: str, **settings: bool) -> tuple[AddNoise]:
    return (AddNoise(kind=kind, snr_low=15.0, snr_high=30.0, **settings),)


def _ablations(parts: Mapping[str, Mapping], tuned: Mapping) -> dict[str, dict]:
    """Variants: epochs, noise and hop of the document, removed parts, short runs, and ours."""
    return {
        "60 epochs": {"training.epochs": 60},
        "130 epochs": {"training.epochs": 130},
        "without noise": {"copies": 0},
        "hop of 10 ms": {"extractor.hop_length": 160, "extractor.seconds": _seconds(4, 160)},
        **parts,
        "one copy": {"copies": 1},
        "60 epochs, one copy": {"training.epochs": 60, "copies": 1},
        _SHORT: _FEW,
        **{f"{_SHORT}, {name}": {**_FEW, **each} for name, each in parts.items()},
        "ours": {
            "extractor.n_fft": 512, "extractor.hop_length": 160, "extractor.n_mels": 32,
            "extractor.seconds": 3.0, "extractor.htk": False, "training.patience": 15, **tuned,
        },
    }  # fmt: skip


def _classes(**figures: tuple[float, float, float]) -> dict[str, dict[str, float]]:
    return {
        emotion: dict(zip(("precision", "recall", "f1"), each, strict=True))
        for emotion, each in figures.items()
    }


td_cnn_lstm = Recipe(
    name="td_cnn_lstm",
    title="Time-distributed 2-D CNN and LSTM on log-mel chunks",
    reference=f"{_DOCUMENT}: RAVDESS, eight classes; reported accuracy 96.5 % after 200 epochs",
    labels="eight",
    published=Published(
        document=_DOCUMENT, corpora=("ravdess",), protocol="temporal_80_10_10", also=("random_80_10_10",),
        accuracy=(0.965,),
        variants=_variants(0.60, 0.80, 0.965),
        classes=_classes(
            surprised=(1.00, 1.00, 1.00), neutral=(1.00, 1.00, 1.00), calm=(0.90, 0.95, 0.92),
            happy=(0.95, 0.95, 0.95), sad=(0.95, 0.95, 0.95), angry=(0.90, 0.95, 0.92),
            fear=(1.00, 1.00, 1.00), disgust=(1.00, 0.95, 0.97),
        ),
    ),
    extractor=_EXTRACTOR,
    model="td_cnn_lstm",
    hyperparameters=_CHUNKS,
    training=_TRAINING,
    copies=2,
    augmentation=_noise("uniform", whole=True),
    ablations=_ablations(
        {"without dropout": {"hyperparameters.dropout": 0.0}},
        {"hyperparameters": _TUNED_CHUNKS, "augmentation": _noise("uniform")},
    ),
)  # fmt: skip

td_cnn_bilstm_attention = Recipe(
    name="td_cnn_bilstm_attention",
    title="Time-distributed 2-D CNN, BiLSTM and attention on log-mel chunks",
    reference=f"{_DOCUMENT}, with BiLSTM and attention: RAVDESS, eight classes; "
    "reported accuracy 98.1 % after 200 epochs",
    labels="eight",
    published=Published(
        document=_DOCUMENT, corpora=("ravdess",), protocol="temporal_80_10_10", also=("random_80_10_10",),
        accuracy=(0.981,),
        variants=_variants(0.67, 0.85, 0.981),
        classes=_classes(
            surprised=(1.00, 0.95, 0.97), neutral=(1.00, 1.00, 1.00), calm=(0.95, 1.00, 0.97),
            happy=(1.00, 1.00, 1.00), sad=(1.00, 1.00, 1.00), angry=(0.95, 1.00, 0.97),
            fear=(0.95, 1.00, 0.97), disgust=(0.95, 0.90, 0.92),
        ),
    ),
    extractor=_EXTRACTOR,
    model="td_cnn_lstm",
    hyperparameters={**_CHUNKS, **_MODEL_2},
    training=_TRAINING,
    copies=2,
    augmentation=_noise("white", whole=True),
    ablations=_ablations(
        {
            "without LSTM": {"hyperparameters.recurrent": False},
            "without dropout": {"hyperparameters.dropout": 0.0},
            "without bidirectional": {"hyperparameters.bidirectional": False},
        },
        {"hyperparameters": {**_TUNED_CHUNKS, **_MODEL_2}, "augmentation": _noise("white")},
    ),
)  # fmt: skip
