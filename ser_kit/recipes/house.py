"""ser_kit's own systems: small networks on the samples themselves, trained from scratch.

What led to their settings is told in ``docs/research_log.md``; it was chosen on training speakers only.
"""

from ..augment import AddNoise, Mixup, Sometimes, SpeedChange, Vary
from ..features import Waveform
from ..preprocess import Trim
from ..training import Training
from ._base import OURS, Recipe
from ._ensemble import Ensemble

_REFERENCE = "ser_kit: convolutions over a log-mel and a harmonic spectrogram, attentive statistics"

_SECONDS = 2.24  # of a clip that is heard at a time
_NOISE = Sometimes(step=AddNoise(snr_low=5, snr_high=50), share=0.3)
_VARY = Vary(steps=(Sometimes(step=SpeedChange(low=0.84, high=1.16), share=0.8), _NOISE), seconds=_SECONDS)

house_one = Recipe(
    name="house_one",
    title="A small network on the samples",
    reference=_REFERENCE,
    labels="eight",
    published=OURS,
    extractor=Waveform(seconds=8.0, preprocess=(Trim(),)),
    model="house",
    scale=False,
    temperature=1.0,
    balanced=True,
    training=Training(
        optimizer="adamw",
        learning_rate=1e-3,
        cosine=True,
        weight_decay=0.02,
        clip_norm=1.0,
        label_smoothing=0.1,
        batch_size=32,
        epochs=50,
        patience=None,
        class_weights=False,
        mask_absent=True,
        augment=(_VARY,),
    ),
    ablations={
        "without the harmonic spectrogram": {"hyperparameters.harmonic_channels": ()},
        "without simulated speakers": {
            "training.augment": (Vary(steps=(_NOISE,), seconds=_SECONDS),),
            "hyperparameters": {"formants": 0.0, "pitch": 0.0, "tempo": 0.0},
        },
        "mixed clips": {"training.mask_absent": False, "training.augment": (_VARY, Mixup())},
    },
)

house = Ensemble(
    name="house",
    title="Three small networks on the samples, which vote",
    reference=_REFERENCE + "; the mean of three networks",
    labels="eight",
    published=OURS,
    members=(house_one,),
    method="seeds",
    rounds=3,
    temperature=0.9,
    balanced=True,
)
