"""Transfer learning: a frozen network of others, and a linear layer on its embeddings.

Whisper's encoders are part of the package; the other networks are fetched through kagglehub.
"""

from dataclasses import replace

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
    title="Linear classifiers on Whisper base's encoder: one for voices of other corpora, and one for each corpus",
    reference="ser_kit; the encoder: Radford et al., Robust speech recognition via large-scale weak supervision, ICML "
    "2023, frozen",
    labels="eight",
    published=OURS,
    # The blocks that do best across corpora come first; the lower ones help within a corpus.
    extractor=SpeechEncoder(blocks=(3, 4, 5, 1, 2), preprocess=(HighPass(), Trim(margin_seconds=0.1))),
    training=Linear(shared=3 * 2 * 512),
    scale=False,
    temperature=1.0,
    copies=1,
    augmentation=_RECORDED,
    ablations={
        "without copies": {"copies": 0},
        "no classifiers of single corpora": {"training.own_components": 0},
        "features as they are": {"training.speaker_centred": 0.0},
        "speaker-centred": {"training.speaker_centred": 1.0},
        "absent classes wrong": {"training.absent": 0.0},
        "absent classes excluded": {"training.absent": 100.0},
        "weaker shrinkage": {"training.shrinkage": 0.01},
        "as sure when far": {"training.doubt": 0.0},
        "all blocks": {"training.shared": None},
    },
)

whisper_tiny_linear = replace(
    whisper_base_linear,
    name="whisper_tiny_linear",
    title=whisper_base_linear.title.replace("Whisper base's", "Whisper tiny.en's"),
    extractor=SpeechEncoder(
        encoder="whisper_tiny_en", blocks=(1, 2, 3), preprocess=whisper_base_linear.extractor.preprocess
    ),
    training=Linear(),
    ablations={},
)
