"""From recordings to numbers, over a whole clip table at once.

One row per clip: functionals, frame statistics, and embeddings of frozen networks. One row per moment: frame
features, stacked frames, log-mel spectrograms, pitch and energy, segments of the waveform, and its samples.

Examples:
    >>> from ser_kit import features
    >>> features.names()
    ['frame_statistics', 'frames', 'functionals', 'librosa_functionals', 'logmel', 'pitch_energy', 'segments',
    'speech_encoder', 'stacked', 'trillsson', 'waveform', 'yamnet']
    >>> features.get("logmel")(seconds=3.0).shape
    (301, 64)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import lazy_loader

from .. import _old_names
from ..core.registry import Registry

if TYPE_CHECKING:
    from .base import Extractor

_public, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["EXTRACTORS", "get", "names"]

EXTRACTORS: Registry[type[Extractor]] = Registry(
    "extractor",
    {
        "functionals": f"{__name__}.functionals:Functionals",
        "librosa_functionals": f"{__name__}.librosa_functionals:LibrosaFunctionals",
        "frame_statistics": f"{__name__}.statistics:FrameStatistics",
        "frames": f"{__name__}.frames:FrameFeatures",
        "pitch_energy": f"{__name__}.pitch_energy:PitchEnergy",
        "stacked": f"{__name__}.stacked:StackedFrames",
        "logmel": f"{__name__}.logmel:LogMel",
        "segments": f"{__name__}.segments:Segments",
        "waveform": f"{__name__}.waveform:Waveform",
        "yamnet": f"{__name__}.embeddings:YAMNet",
        "trillsson": f"{__name__}.embeddings:TRILLsson",
        "speech_encoder": f"{__name__}.speech_encoder:SpeechEncoder",
    },
)
"""Every extractor class by name."""


__getattr__ = _old_names.moved(__name__, _public)


def names() -> list[str]:
    """Names of the extractors."""
    return sorted(EXTRACTORS)


def get(name: str) -> type[Extractor]:
    """An extractor class by name; call it with parameters, or with none for the defaults.

    Raises:
        UnknownNameError: no extractor has that name.
    """
    return EXTRACTORS[name]
