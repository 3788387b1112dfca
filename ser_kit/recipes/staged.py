"""Staged CNN-LSTM on stacked MFCC, chroma and mel spectrogram.

The document uses 16 kHz mono, resamples 40 MFCC to 150 frames, ``[150, 40, 1]``, and stacks them with chroma
and mel spectrogram as three channels. Here the rate is 22,050 Hz, librosa's default, and the parts are
concatenated, ``[150, 92, 1]``; the ablations "16 kHz" and "as channels" (``[150, 40, 3]``, each pitch class
repeated over three or four rows) follow the document. Settings that it does not give: the number of mel bands
(here 40, as many as MFCC), the pool size (2 x 2), the maximum number of epochs (100) and the early stopping
criterion (the loss of held-out training clips; the protocol ``random_80_20_peeking`` shows the effect of
early stopping on the test clips). It reports no results for its other settings.
"""

from ..features import StackedFrames
from ..training.settings import Training
from .published import Published
from .single import Recipe

staged_cnn_lstm = Recipe(
    name="staged_cnn_lstm",
    title="Staged CNN-LSTM on stacked MFCC, chroma and mel frames",
    reference="Staged CNN-LSTM: RAVDESS, eight classes; reported accuracy 94 to 95.10 %, "
    "F1 sad 0.97, happy 0.95, fear 0.87",
    labels="eight",
    published=Published(
        document="Staged CNN-LSTM",
        corpora=("ravdess",),
        protocol="random_80_20",
        accuracy=(0.94, 0.951),
        others={"training_accuracy": (0.9996,)},
        classes={"sad": {"f1": 0.97}, "happy": {"f1": 0.95}, "fear": {"f1": 0.87}},
    ),
    extractor=StackedFrames(n_mels=40),
    model="cnn2d_lstm",
    training=Training(
        optimizer="adam", learning_rate=5e-4, batch_size=32, epochs=100, patience=10, class_weights=False
    ),
    ablations={
        "batch 128, dropout 0.3": {"training.batch_size": 128},
        "batch 32, dropout 0.5": {"hyperparameters.dropout": 0.5},
        "batch 16, dropout 0.1": {"training.batch_size": 16, "hyperparameters.dropout": 0.1},
        "16 kHz": {"extractor.sr": 16000},
        "as channels": {"hyperparameters.channels": (40, 12, 40)},
        "MFCC alone": {"extractor.parts": ("mfcc",)},
        "chroma alone": {"extractor.parts": ("chroma",)},
        "mel alone": {"extractor.parts": ("mel",)},
        "speaker-adversarial": {"training.speaker_penalty": 0.3},
    },
)
