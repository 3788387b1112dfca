"""Transfer learning: a frozen network of others, and a linear layer on what it hears.

The networks are fetched through kagglehub. The ablations put a small hidden layer between.
"""

from ..features import TRILLsson, YAMNet
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
