"""CNN-BiLSTM on frame features, and its random forest baseline (Ahmadov).

The document divides the speakers of CREMA-D 80/20, and states that it avoids a random split of the clips.
Here the random split is run too, for comparison. Settings that it does not give: the validation clips of its
early stopping (here of a sixth of the training speakers), the dropout (0.3), the weight of L2 (1e-5), the
pool size (2), and whether "standardized" features have a mean of 0 and a deviation of 1 (here they have; the
variant "not standardised" takes the word to mean their length alone). The number of parameters, 33,862, is
computed from the layers; the document does not report it. The variant "ours" keeps the level of each
recording, and pads short clips with the values of silence instead of zeros.
"""

from ..audio.transforms import PeakNormalise
from ..features import FrameFeatures, FrameStatistics
from ..training.estimators import Forest
from ..training.settings import Training
from .published import Published
from .single import Recipe

ahmadov_cnn_bilstm = Recipe(
    name="ahmadov_cnn_bilstm",
    title="CNN-BiLSTM on MFCC, chroma, mel and zero-crossing frames",
    reference="Ahmadov, a 1-D CNN and a BiLSTM on Librosa frame features; CREMA-D, six classes; "
    "reported accuracy 53 %, weighted F1 0.51 to 0.52",
    labels="six",
    published=Published(
        document="Ahmadov, CNN-BiLSTM with kagglehub",
        corpora=("cremad",),
        protocol="speaker_80_20",
        also=("random_80_20",),
        accuracy=(0.53,),
        others={"weighted_f1": (0.51, 0.52)},
    ),
    extractor=FrameFeatures(preprocess=(PeakNormalise(),), zero_padding=True),
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
    ablations={
        "ours": {"extractor": FrameFeatures()},
        "not standardised": {"scale": False},
        "100 epochs": {"training.epochs": 100, "training.patience": 100, "training.halve_after": None},
        "speaker-adversarial": {"training.speaker_penalty": 0.3},
    },
)

ahmadov_forest = Recipe(
    name="ahmadov_forest",
    title="Random forest on means and deviations of the frame features",
    reference="Ahmadov: baseline of the CNN-BiLSTM; CREMA-D, six classes, 100 trees; reported accuracy 42 %",
    labels="six",
    published=Published(
        document="Ahmadov, CNN-BiLSTM with kagglehub",
        corpora=("cremad",),
        protocol="speaker_80_20",
        also=("random_80_20",),
        accuracy=(0.42,),
        others={"weighted_f1": (0.40,)},
        classes={"neutral": {"recall": 0.473}, "happy": {"recall": 0.451}, "disgust": {"recall": 0.268}},
    ),
    extractor=FrameStatistics(preprocess=(PeakNormalise(),)),
    training=Forest(n_estimators=100, class_weights=True),
    ablations={"ours": {"extractor": FrameStatistics()}},
)
