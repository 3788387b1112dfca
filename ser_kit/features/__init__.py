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
from typing import TYPE_CHECKING, Any

from ..errors import UnknownNameError
from ._base import MIN_SECONDS, Extractor
from .embeddings import TRILLsson, YAMNet
from .encoded import SpeechEncoder
from .frames import FrameFeatures
from .functionals import Functionals
from .logmel import LogMel
from .segments import Segments
from .stacked import StackedFrames
from .statistics import FrameStatistics
from .waveform import Waveform

if TYPE_CHECKING:
    from .driver import Extraction, Features, extract, extract_to
    from .store import Store

__all__ = [
    "EXTRACTORS", "MIN_SECONDS", "Extraction", "Extractor", "Features", "FrameFeatures", "FrameStatistics",
    "Functionals", "LogMel", "Segments", "SpeechEncoder", "StackedFrames", "Store", "TRILLsson", "Waveform", "YAMNet",
    "extract", "extract_to", "get", "names",
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


_LAZY = {"Extraction": "driver", "Features": "driver", "extract": "driver", "extract_to": "driver", "Store": "store"}
"""What needs pandas or a database, and predicting does not."""


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
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
