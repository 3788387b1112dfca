"""Transfer learning: a frozen network of others, and a linear layer on its embeddings.

Whisper's encoders are part of the package; the other networks are fetched through kagglehub.
"""

from ..augment import AddNoise, Equalize, Offset, Room, Sometimes, SpeedChange, Telephone
from ..estimators import Linear
from ..features import SpeechEncoder, TRILLsson, YAMNet
from ..preprocess import HighPass, Trim
from ..training import Training
from ._base import OURS, Recipe

_LINEAR = {"units": (), "dropout": (), "batch_norm": ()}
_SMALL_HEAD = {"hyperparameters": {"units": (128,), "dropout": (0.4,), "batch_norm": (True,)}}
_TRAINING = Training(
    optimizer="adamw", learning_rate=1e-3, weight_decay=0.01, batch_size=32, epochs=100, patience=10
)  # fmt: skip

yamnet_linear = Recipe(
    name="yamnet_linear",
    title="A linear layer on YAMNet's embeddings",
    reference="Plakal & Ellis, YAMNet, TensorFlow Models 2020: a MobileNet trained on AudioSet, frozen",
    labels="eight",
    published=OURS,
    extractor=YAMNet(),
    model="mlp",
    hyperparameters=_LINEAR,
    training=_TRAINING,
    ablations={"small head": _SMALL_HEAD},
)

trillsson_linear = Recipe(
    name="trillsson_linear",
    title="A linear layer on TRILLsson's embeddings",
    reference="Shor & Venugopalan, TRILLsson: distilled universal paralinguistic speech representations, Interspeech "
    "2022; frozen",
    labels="eight",
    published=OURS,
    extractor=TRILLsson(),
    model="mlp",
    hyperparameters=_LINEAR,
    training=_TRAINING,
    ablations={"small head": _SMALL_HEAD, "largest network": {"extractor.size": 5}},
)

_RECORDED = (
    SpeedChange(low=0.88, high=1.14),
    Equalize(),
    Sometimes(step=Room(), share=0.3),
    Sometimes(step=Telephone(), share=0.2),
    Sometimes(step=AddNoise(snr_low=8, snr_high=35), share=0.25),
    Sometimes(step=AddNoise(kind="pink", snr_low=8, snr_high=35), share=0.25),
    Sometimes(step=Offset(), share=0.15),
)

whisper_base_linear = Recipe(
    name="whisper_base_linear",
    title="A linear classifier on Whisper base's encoder, for voices of other corpora",
    reference="ser_kit; the encoder: Radford et al., Robust speech recognition via large-scale weak supervision, ICML "
    "2023, frozen",
    labels="eight",
    published=OURS,
    extractor=SpeechEncoder(preprocess=(HighPass(), Trim())),
    training=Linear(),
    scale=False,
    copies=1,
    augmentation=_RECORDED,
    ablations={
        "without copies": {"copies": 0},
        "features as they are": {"training.speaker_centred": 0.0},
        "speaker-centred": {"training.speaker_centred": 1.0},
        "absent classes wrong": {"training.absent": 0.0},
        "absent classes excluded": {"training.absent": 100.0},
        "weaker shrinkage": {"training.C": 1e-2},
        "classifiers of single corpora": {"training.by_corpus": 0.9},
    },
)

whisper_tiny_linear = Recipe(
    name="whisper_tiny_linear",
    title="A linear classifier on Whisper tiny.en's encoder, for voices of other corpora",
    reference=whisper_base_linear.reference,
    labels="eight",
    published=OURS,
    extractor=SpeechEncoder(encoder="whisper_tiny_en", blocks=(1, 2, 3), preprocess=(HighPass(), Trim())),
    training=Linear(),
    scale=False,
    copies=1,
    augmentation=_RECORDED,
)

whisper_base_speakers = Recipe(
    name="whisper_base_speakers",
    title="A linear classifier on Whisper base's encoder, for new speakers of the corpora it is trained on",
    reference=whisper_base_linear.reference,
    labels="eight",
    published=OURS,
    extractor=SpeechEncoder(blocks=(1, 2, 3, 4), preprocess=(HighPass(), Trim())),
    training=Linear(components=600, speaker_centred=0.0),
    scale=False,
    temperature=1.0,
    copies=1,
    augmentation=_RECORDED,
)
