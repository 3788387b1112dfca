"""A convolution and a bidirectional LSTM over frame features."""

from ..features import FrameFeatures
from ..training import Training
from ._base import Recipe

ahmadov_cnn_bilstm = Recipe(
    name="ahmadov_cnn_bilstm",
    title="CNN-BiLSTM on MFCC, chroma, mel and zero-crossing frames",
    reference="Ahmadov, a 1-D CNN and a BiLSTM on Librosa frame features; six classes, 33,862 parameters",
    labels="six",
    extractor=FrameFeatures(),
    model="cnn_bilstm",
    training=Training(
        optimizer="nadam",
        learning_rate=5e-4,
        label_smoothing=0.1,
        batch_size=32,
        epochs=20,
        patience=5,
        halve_after=3,
        class_weights=True,
    ),
)
