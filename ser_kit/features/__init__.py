"""From recordings to numbers, over a whole clip table at once.

One row per clip: functionals, frame statistics, and what frozen networks hear. One row per moment: frame features,
stacked frames, log-mel spectrograms, segments of the waveform, and its samples.

Examples:
    >>> from ser_kit import features
    >>> features.names()
    ['frame_statistics', 'frames', 'functionals', 'logmel', 'segments', 'speech_encoder', 'stacked',
    'trillsson', 'waveform', 'yamnet']
    >>> features.get("logmel")(seconds=3.0).shape
    (301, 64)
"""

from __future__ import annotations

import importlib
from typing import Any

from .. import _old_names
from ..core.errors import UnknownNameError
from .base import MIN_SECONDS, Extractor
from .embeddings import TRILLsson, YAMNet
from .frames import FrameFeatures
from .functionals import Functionals
from .logmel import LogMel
from .segments import Segments
from .speech_encoder import SpeechEncoder
from .stacked import StackedFrames
from .statistics import FrameStatistics
from .waveform import Waveform

__all__ = [
    "EXTRACTORS", "MIN_SECONDS", "Extractor", "FrameFeatures", "FrameStatistics", "Functionals", "LogMel", "Segments",
    "SpeechEncoder", "StackedFrames", "TRILLsson", "Waveform", "YAMNet", "get", "names",
]  # fmt: skip

EXTRACTORS: dict[str, type[Extractor]] = {
    cls.name: cls
    for cls in (
        Functionals,
        FrameStatistics,
        FrameFeatures,
        StackedFrames,
        LogMel,
        Segments,
        Waveform,
        YAMNet,
        TRILLsson,
        SpeechEncoder,
    )
}
"""Every extractor class by name."""


def __getattr__(name: str) -> Any:
    if name in _old_names.EXTRACTION:
        _old_names.warn(f"ser_kit.features.{name}", f"ser_kit.extraction.{name}")
        return getattr(importlib.import_module("ser_kit.extraction"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> list[str]:
    """Names of the extractors."""
    return sorted(EXTRACTORS)


def get(name: str) -> type[Extractor]:
    """An extractor class by name; call it with parameters, or with none for the defaults.

    Raises:
        UnknownNameError: no extractor has that name.
    """
    if name not in EXTRACTORS:
        raise UnknownNameError("extractor", name, EXTRACTORS)
    return EXTRACTORS[name]
