"""Staged CNN-LSTM on stacked MFCC, chroma and mel spectrogram.

The document uses 16 kHz mono, clips of 3 s, windows of 25 ms every 10 ms, and resamples 40 MFCC to 150
frames. It stacks them with chroma and mel spectrogram, and can be read in two ways: as three channels of one
``[150, 40, 3]`` block, which is the default (each pitch class is repeated over three or four rows), or side
by side, ``[150, 92, 1]`` (the variant "side by side"). It stops training on the clips that it evaluates on,
so its protocol is ``random_80_20_peeking``; ``random_80_20`` stops on the loss of held-out training clips.
Settings that it does not give: the number of mel bands (here 40, as many as MFCC), the pool size (2 x 2) and
the maximum number of epochs (100). It reports no results for its other settings. The variant "ours"
has librosa's default of 22,050 Hz, side by side.
"""

from ..features import StackedFrames
from ..training.settings import Training
from .published import Published
from .single import Recipe

_SIDE_BY_SIDE = {"hyperparameters": {}}


def _alone(part: str) -> dict:
    return {**_SIDE_BY_SIDE, "extractor.parts": (part,)}


staged_cnn_lstm = Recipe(
    name="staged_cnn_lstm",
    title="Staged CNN-LSTM on stacked MFCC, chroma and mel frames",
    reference="Staged CNN-LSTM: RAVDESS, eight classes; reported accuracy 94 to 95.10 %, "
    "F1 sad 0.97, happy 0.95, fear 0.87",
    labels="eight",
    published=Published(
        document="Staged CNN-LSTM",
        corpora=("ravdess",),
        protocol="random_80_20_peeking",
        also=("random_80_20",),
        accuracy=(0.94, 0.951),
        variants={"side by side": (0.94, 0.951)},
        others={"training_accuracy": (0.9996,)},
        classes={"sad": {"f1": 0.97}, "happy": {"f1": 0.95}, "fear": {"f1": 0.87}},
    ),
    extractor=StackedFrames(sr=16000, n_mels=40),
    model="cnn2d_lstm",
    hyperparameters={"channels": (40, 12, 40)},
    training=Training(
        optimizer="adam", learning_rate=5e-4, batch_size=32, epochs=100, patience=10, class_weights=False
    ),
    ablations={
        "batch 128, dropout 0.3": {"training.batch_size": 128},
        "batch 32, dropout 0.5": {"hyperparameters.dropout": 0.5},
        "batch 16, dropout 0.1": {"training.batch_size": 16, "hyperparameters.dropout": 0.1},
        "MFCC alone": _alone("mfcc"),
        "chroma alone": _alone("chroma"),
        "mel alone": _alone("mel"),
        "side by side": _SIDE_BY_SIDE,
        "ours": {**_SIDE_BY_SIDE, "extractor.sr": 22050},
        "speaker-adversarial": {"training.speaker_penalty": 0.3},
    },
)
