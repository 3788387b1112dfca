"""Settings of one training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..core.config import BOOLEAN, Settings, listed
from ..core.errors import TrainingError
from .batches import BatchAugmentation, Mixup, batch_augmentation

_OPTIMIZERS = frozenset(
    [
        "adadelta",
        "adafactor",
        "adagrad",
        "adam",
        "adamax",
        "adamw",
        "ftrl",
        "lion",
        "muon",
        "nadam",
        "rmsprop",
        "sgd",
    ]
)


@dataclass(frozen=True)
class TrainingSettings(Settings):
    """Base class of the settings under ``training`` in a recipe."""

    name: ClassVar[str] = "training"
    error = TrainingError

    @classmethod
    def _called(cls, key: str) -> str:
        return f"training.{key}"


@dataclass(frozen=True)
class Training(TrainingSettings):
    """Settings of one training.

    Args:
        optimizer: name of a Keras optimiser, such as ``"adam"`` or ``"nadam"``.
        learning_rate: initial learning rate, 1e-9 to 100.
        label_smoothing: label smoothing of the cross-entropy, 0 to 0.99.
        batch_size: number of clips in a batch, 1 to 1,000,000.
        epochs: maximum number of epochs, 1 to 1,000,000.
        patience: stop if the validation loss has not improved for this number of epochs, and keep the best
            weights. ``None`` trains all epochs and keeps the last weights.
        halve_after: halve the learning rate if the validation loss has not improved for this number of
            epochs; ``None`` for never.
        cosine: learning rate schedule: linear warm-up over the first tenth of the steps, then cosine decay to
            0 (Loshchilov & Hutter, "SGDR", ICLR 2017).
        weight_decay: weight decay of the optimiser, 0 to 100; 0 for none.
        clip_norm: maximum global gradient norm, 0 to 1e6; 0 for no limit.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").
        mask_absent: restrict the loss of each clip to the classes of its corpus, so that a corpus without
            surprise does not affect surprise. Not together with :class:`~ser_kit.training.batches.Mixup`.
        augment: batch augmentations, such as :class:`~ser_kit.training.batches.SpecAugment` or its name;
            drawn again in every epoch.
        speaker_penalty: factor of the reversed gradient of a speaker classifier on the input of the last
            layer, 0 to 1000; 0 for none. Above 0 the network learns speaker-invariant features (Ganin et al.,
            "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016).
        pretrain: ``"rbm"`` or ``"autoencoder"`` for layer-wise pretraining of an ``mlp`` without labels; see
            :func:`~ser_kit.training.pretraining.pretrain`.
        by_segment: train the inner model of ``segment_dnn`` on single segments; the whole network classifies
            clips.

    Raises:
        TrainingError: if a setting is not valid, or two settings contradict each other.
    """

    optimizer: str = "adam"
    learning_rate: float = 1e-3
    label_smoothing: float = 0.0
    batch_size: int = 32
    epochs: int = 100
    patience: int | None = 10
    halve_after: int | None = None
    cosine: bool = False
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    class_weights: bool = True
    mask_absent: bool = False
    augment: tuple[BatchAugmentation, ...] = ()
    speaker_penalty: float = 0.0
    pretrain: str | None = None
    by_segment: bool = False

    valid = {
        "optimizer": _OPTIMIZERS,
        "learning_rate": (1e-9, 100.0),
        "label_smoothing": (0.0, 0.99),
        "batch_size": range(1, 1_000_001),
        "epochs": range(1, 1_000_001),
        "patience": range(1, 1_000_001),
        "halve_after": range(1, 1_000_001),
        "cosine": BOOLEAN,
        "weight_decay": (0.0, 100.0),
        "clip_norm": (0.0, 1e6),
        "class_weights": BOOLEAN,
        "mask_absent": BOOLEAN,
        "speaker_penalty": (0.0, 1000.0),
        "pretrain": frozenset({"autoencoder", "rbm"}),
        "by_segment": BOOLEAN,
    }

    def __post_init__(self):
        if isinstance(self.optimizer, str):
            object.__setattr__(self, "optimizer", self.optimizer.lower())
        super().__post_init__()
        changes = listed("training.augment", self.augment, TrainingError)
        object.__setattr__(self, "augment", tuple(batch_augmentation(described) for described in changes))
        if self.cosine and self.halve_after:
            raise TrainingError("cosine and halve_after both set the learning rate; expected one of them")
        if self.mask_absent and any(isinstance(change, Mixup) for change in self.augment):
            raise TrainingError("mask_absent and mixup cannot be combined; expected one of them")
