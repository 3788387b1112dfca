"""Transfer learning: linear classifiers on embeddings of frozen pre-trained networks.

The encoders of Whisper tiny.en and base are included in the package; other networks are downloaded through
kagglehub.

``whisper_small_linear``, ``whisper_medium_linear`` and ``whisper_large_linear`` use larger encoders than
``whisper_base_linear``, for machines with a GPU and internet access. Their blocks are at half, two thirds and
five sixths of the depth, as are blocks 3, 4 and 5 of the 6 blocks of base. They were not run here, so neither
this choice nor their accuracy has been measured.
"""

from dataclasses import replace

from ..audio.augment import AddNoise, Equalize, Offset, RandomApply, Room, SpeedChange, Telephone
from ..audio.transforms import HighPass, PeakNormalise, Trim
from ..features import SpeechEncoder, TRILLsson, YAMNet
from ..training.batches import Mixup
from ..training.linear import Linear
from ..training.settings import Training
from .published import OURS
from .single import Recipe

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
    reference="Shor & Venugopalan, TRILLsson: distilled universal paralinguistic speech representations, "
    "Interspeech 2022; frozen",
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
    RandomApply(step=Room(), share=0.3),
    RandomApply(step=Telephone(), share=0.2),
    RandomApply(step=AddNoise(snr_low=8, snr_high=35), share=0.25),
    RandomApply(step=AddNoise(kind="pink", snr_low=8, snr_high=35), share=0.25),
    RandomApply(step=Offset(), share=0.15),
)

whisper_base_linear = Recipe(
    name="whisper_base_linear",
    title="Linear classifiers on Whisper base's encoder: one for all corpora, and one for each corpus",
    reference="ser_kit; the encoder: Radford et al., Robust speech recognition via large-scale weak "
    "supervision, ICML 2023, frozen",
    labels="eight",
    published=OURS,
    # The blocks that are best across corpora come first; the lower ones help within a corpus. Peak
    # normalisation, since the level depends more on the microphone than on the speaker. Trimming ignores
    # clicks and low-frequency noise, which would otherwise keep leading and trailing silence.
    extractor=SpeechEncoder(
        blocks=(3, 4, 5, 1, 2),
        preprocess=(HighPass(), Trim(margin_seconds=0.1, shortest_seconds=0.08), PeakNormalise()),
    ),
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


# The same features with gradient training. None was better on corpora left out (docs/results/unheard.md).
whisper_base_mlp = replace(
    whisper_base_linear,
    name="whisper_base_mlp",
    title="A perceptron on Whisper base's encoder",
    model="mlp",
    hyperparameters={"units": (128,), "dropout": (0.5,), "batch_norm": (False,)},
    extractor=replace(whisper_base_linear.extractor, blocks=(3, 4, 5)),
    training=Training(
        optimizer="adamw",
        learning_rate=3e-4,
        weight_decay=0.1,
        cosine=True,
        label_smoothing=0.1,
        batch_size=64,
        epochs=12,
        patience=None,
        mask_absent=True,
    ),
    scale=True,
    temperature=1.0,
    ablations={
        "linear": {"hyperparameters": _LINEAR},
        "speakers unlearned": {"training.speaker_penalty": 0.3},
        "mixed clips": {"training.mask_absent": False, "training.augment": (Mixup(alpha=0.5),)},
        "absent classes wrong": {"training.mask_absent": False},
    },
)


def _on(name: str, whisper: str, encoder: str, blocks: tuple[int, ...], remark: str = "") -> Recipe:
    """The same classifiers on another encoder; all of them use all its blocks."""
    return replace(
        whisper_base_linear,
        name=name,
        title=whisper_base_linear.title.replace("Whisper base's", f"Whisper {whisper}'s") + remark,
        extractor=replace(whisper_base_linear.extractor, encoder=encoder, blocks=blocks),
        training=Linear(),
        ablations={},
    )


whisper_tiny_linear = _on("whisper_tiny_linear", "tiny.en", "whisper_tiny_en", (1, 2, 3))
whisper_small_linear = _on("whisper_small_linear", "small", "whisper_small", (6, 8, 10), "; not run here")
whisper_medium_linear = _on(
    "whisper_medium_linear", "medium", "whisper_medium", (12, 16, 20), "; not run here"
)
whisper_large_linear = _on(
    "whisper_large_linear", "large", "whisper_large_v2", (16, 21, 27), "; not run here"
)
