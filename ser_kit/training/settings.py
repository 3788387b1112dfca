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
class OfTraining(Settings):
    """What stands under ``training`` in a recipe: of a network, or of one of the estimators."""

    name: ClassVar[str] = "training"
    error = TrainingError

    @classmethod
    def _called(cls, key: str) -> str:
        return f"training.{key}"


@dataclass(frozen=True)
class Training(OfTraining):
    """Settings of one training.

    Raises:
        TrainingError: a setting is not what it may be, or two of them contradict each other.

    Args:
        optimizer: a Keras optimiser's name, such as ``"adam"`` or ``"nadam"``.
        learning_rate: its initial step size, up to 100.
        label_smoothing: of the cross-entropy, 0 to 0.99.
        batch_size: clips in a step.
        epochs: the most epochs to train.
        patience: stop when the validation loss has not improved for that many epochs; the best weights are
            kept. ``None`` trains all epochs and keeps the last weights.
        halve_after: halve the learning rate when it has not improved for that many; ``None`` never does.
        cosine: let the learning rate rise over the first tenth of the steps and fall along a half cosine to
            nothing over the others (Loshchilov & Hutter, "SGDR", ICLR 2017).
        weight_decay: of the optimiser, as a share of the learning rate; 0 is none.
        clip_norm: longest gradient of all weights together; 0 is no limit.
        class_weights: weigh each clip by the rarity of its class (scikit-learn's "balanced").
        mask_absent: judge each clip among the classes only that its corpus has: one without surprise says
            nothing about surprise. Not together with :class:`~ser_kit.training.batches.Mixup`.
        augment: changes of each training batch, such as :class:`~ser_kit.training.batches.SpecAugment` or its
            name, drawn anew every epoch.
        speaker_penalty: weight of the reversed gradient of a second head that learns to tell the training
            speakers apart from what the last layer sees; above 0 the network is pushed to forget who speaks
            (Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 17, 2016). 0 leaves the head
            out.
        pretrain: ``"rbm"`` or ``"autoencoder"``: train the hidden layers of an ``mlp`` greedily, without
            labels, first.
        by_segment: train the inner model of ``segment_dnn`` on single segments; the whole network judges
            clips.
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
            raise TrainingError(
                "mask_absent tells what a clip cannot be, which is lost where mixup joins two"
            )
