"""Time-distributed 2-D CNN with an LSTM, and with a bidirectional LSTM and attention.

The document gives the convolution blocks, the attention, the sample rate of 16 kHz, trimming, frames of 25 ms
that overlap by 10 ms, batches of 32, noise augmentation, and accuracies after 60, 130 and 200 epochs: 60, 80
and 96.5 % for the first system, 67, 85 and 98.1 % for the second. It uses augmentation instead of early
stopping. Its ablations are of the second system: 95 % without LSTM, 89 % without the second direction. Here
the hop is 10 ms, as is usual, while a literal reading gives 15 ms (the ablation "hop of 15 ms"), and training
uses early stopping (the ablation "200 epochs" does not).

Settings that the document does not give: mel bands (here 32), length of the clips (3 s) and of the chunks
(640 ms without overlap, so four chunks; the last 0.45 s of a clip are dropped), LSTM (128 units), dense layer
(64), optimiser (Adam, 1e-3), patience (15 epochs), noise of the first system (uniform, at 15 to 30 dB), and
number of copies (2). Its normalisation of the noise by the 16-bit full scale cancels out of the
signal-to-noise ratio, which :class:`~ser_kit.audio.augment.AddNoise` sets. Pooling 2 x 2 three times and 4 x
4 three times would shrink the axes to less than one, so pooling stops at one: the fifth block has maps of 2 x
1, the sixth of 1 x 1. "Temporal separation" is taken to mean that the last recordings of each speaker and
emotion are tested.
"""

from ..audio.augment import AddNoise
from ..audio.transforms import Trim
from ..features import LogMel
from ..training.settings import Training
from .published import Published
from .single import Recipe

_DOCUMENT = "Time-distributed 2D CNN-LSTM"
_EXTRACTOR = LogMel(
    sr=16000, n_fft=512, win_length=400, hop_length=160, n_mels=32, seconds=3.0,
    preprocess=(Trim(top_db=30.0),),
)  # fmt: skip
_TRAINING = Training(
    optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=200, patience=15, class_weights=False
)  # fmt: skip

_AS_WRITTEN = {"hop of 15 ms": {"extractor.hop_length": 240}, "200 epochs": {"training.patience": None}}


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
        document=_DOCUMENT, corpora=("ravdess",), protocol="temporal_80_10_10", accuracy=(0.965,),
        classes=_classes(
            surprised=(1.00, 1.00, 1.00), neutral=(1.00, 1.00, 1.00), calm=(0.90, 0.95, 0.92),
            happy=(0.95, 0.95, 0.95), sad=(0.95, 0.95, 0.95), angry=(0.90, 0.95, 0.92),
            fear=(1.00, 1.00, 1.00), disgust=(1.00, 0.95, 0.97),
        ),
    ),
    extractor=_EXTRACTOR,
    model="td_cnn_lstm",
    hyperparameters={"chunk": 64, "hop": 64},
    training=_TRAINING,
    copies=2,
    augmentation=(AddNoise(kind="uniform", snr_low=15.0, snr_high=30.0),),
    ablations={
        "without LSTM": {"hyperparameters.recurrent": False},
        "without dropout": {"hyperparameters.dropout": 0.0},
        "no augmentation": {"copies": 0},
        **_AS_WRITTEN,
    },
)  # fmt: skip

td_cnn_bilstm_attention = Recipe(
    name="td_cnn_bilstm_attention",
    title="Time-distributed 2-D CNN, BiLSTM and attention on log-mel chunks",
    reference=f"{_DOCUMENT}, with BiLSTM and attention: RAVDESS, eight classes; "
    "reported accuracy 98.1 % after 200 epochs",
    labels="eight",
    published=Published(
        document=_DOCUMENT, corpora=("ravdess",), protocol="temporal_80_10_10", accuracy=(0.981,),
        classes=_classes(
            surprised=(1.00, 0.95, 0.97), neutral=(1.00, 1.00, 1.00), calm=(0.95, 1.00, 0.97),
            happy=(1.00, 1.00, 1.00), sad=(1.00, 1.00, 1.00), angry=(0.95, 1.00, 0.97),
            fear=(0.95, 1.00, 0.97), disgust=(0.95, 0.90, 0.92),
        ),
    ),
    extractor=_EXTRACTOR,
    model="td_cnn_lstm",
    hyperparameters={"chunk": 64, "hop": 64, "bidirectional": True, "attention": True},
    training=_TRAINING,
    copies=2,
    augmentation=(AddNoise(kind="white", snr_low=15.0, snr_high=30.0),),
    ablations={
        "without LSTM": {"hyperparameters.recurrent": False},
        "without bidirectional": {"hyperparameters.bidirectional": False},
        "without attention": {"hyperparameters.attention": False},
        "without dropout": {"hyperparameters.dropout": 0.0},
        **_AS_WRITTEN,
    },
)  # fmt: skip
