"""Embeddings of pre-trained audio networks (YAMNet, TRILLsson), one row per clip, from kagglehub."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np

from ..audio.recording import Recording
from ..core.errors import FeatureError
from ..core.parallel import before_tensorflow
from .base import RowExtractor
from .encoders.fetch import model_folder

_SHORTEST = 0.975  # s: YAMNet's first patch of 96 frames of 25 ms every 10 ms, with half a hop to spare


@dataclass(frozen=True, kw_only=True)
class _Embedding(RowExtractor):
    """A row that a frozen network gives of a whole clip; it needs TensorFlow and, once, a download."""

    packages: ClassVar = ("tensorflow", "tensorflow-cpu")

    sr: int = 16000

    @property
    @abstractmethod
    def handle(self) -> str:
        """What kagglehub calls the network; its version is pinned."""

    @abstractmethod
    def _embedding(self, network: Callable, samples: np.ndarray) -> np.ndarray:
        """The row, for samples at 16 kHz that are long enough for the network."""

    def __post_init__(self):
        super().__post_init__()
        if self.sr != 16000:
            raise FeatureError(f"{type(self).__name__}: sr={self.sr!r}; the network takes 16000 Hz")

    def ready(self) -> None:
        model_folder(self.handle, FeatureError)

    def _row(self, recording: Recording) -> np.ndarray:
        before_tensorflow()
        samples = np.asarray(recording.at(self.sr), np.float32)
        samples = np.pad(samples, (0, max(0, round(_SHORTEST * self.sr) - len(samples))))
        row = np.asarray(self._embedding(_network(self.handle), samples))
        if row.shape != self.shape:
            raise FeatureError(f"{self.handle} gives {row.shape} values of a clip; expected {self.shape}")
        return row


@dataclass(frozen=True, kw_only=True)
class YAMNet(_Embedding):
    """Mean and standard deviation of YAMNet's embeddings over a clip: 2,048 values.

    YAMNet names 521 kinds of sound; its last layer but one describes each 0.96 s, every 0.48 s, by 1,024
    numbers. Source: M. Plakal and D. Ellis, "YAMNet", TensorFlow Models, 2020, trained on AudioSet.

    Args:
        sr: 16000 Hz, the rate that the network takes.

    Examples:
        >>> YAMNet().extract("clip.wav").shape                        # doctest: +SKIP
        (2048,)
    """

    name: ClassVar[str] = "yamnet"

    @property
    def handle(self) -> str:
        return "google/yamnet/tensorFlow2/yamnet/1"

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"yamnet_{i:04d}_{kind}" for kind in ("mean", "std") for i in range(1, 1025))

    def _embedding(self, network: Callable, samples: np.ndarray) -> np.ndarray:
        _, embeddings, _ = network(samples)
        embeddings = np.asarray(embeddings)
        return np.concatenate([embeddings.mean(axis=0), embeddings.std(axis=0)])


@dataclass(frozen=True, kw_only=True)
class TRILLsson(_Embedding):
    """TRILLsson's embedding of a clip: 1,024 values.

    Small networks distilled from a large one that was trained on speech without any labels.
    Source: J. Shor and S. Venugopalan, "TRILLsson: Distilled universal paralinguistic speech
    representations", Interspeech 2022.

    Args:
        sr: 16000 Hz, the rate that the network takes.
        size: which of the five, 1 (the smallest) to 5.

    Examples:
        >>> TRILLsson(size=3).extract("clip.wav").shape               # doctest: +SKIP
        (1024,)
    """

    name: ClassVar[str] = "trillsson"

    size: int = 3

    @property
    def handle(self) -> str:
        return f"google/trillsson/tensorFlow2/{self.size}/1"

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(f"trillsson_{i:04d}" for i in range(1, 1025))

    def _embedding(self, network: Callable, samples: np.ndarray) -> np.ndarray:
        return np.asarray(network(samples[None])["embedding"])[0]


@cache
def _network(handle: str) -> Callable[[Any], Any]:
    """The network behind a handle."""
    import tensorflow as tf

    return tf.saved_model.load(model_folder(handle, FeatureError))
