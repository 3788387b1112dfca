"""Voice activity: what of a clip is speech."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from .base import Step, resampled
from .length import fitted


def voiced_frames(samples: np.ndarray, rate: int, aggressiveness: int = 2, frame_ms: int = 30) -> np.ndarray:
    """Which frames WebRTC's voice activity detector takes for speech.

    Args:
        samples: ``[n]``, not all 0; a copy is scaled to full scale, and is at 16 kHz where it does not take
            the rate.
        rate: Hz.
        aggressiveness: 0 to 3; the higher, the fewer.
        frame_ms: length of the frames, 10, 20 or 30 ms; the last one may be filled up with zeros.

    Returns:
        ``bool [frames]``.
    """
    import webrtcvad

    samples = samples / np.abs(samples).max()
    if rate not in (8000, 16000, 32000, 48000):
        samples, rate = resampled(samples, rate, 16000), 16000
    length = rate * frame_ms // 1000
    count = math.ceil(len(samples) / length)
    pcm = np.clip(np.rint(fitted(samples, count * length) * 32767), -32768, 32767).astype("<i2")
    detector = webrtcvad.Vad(aggressiveness)
    return np.array([detector.is_speech(each.tobytes(), rate) for each in pcm.reshape(count, length)])


@dataclass(frozen=True, kw_only=True)
class VoiceActivity(Step):
    """Keep only what WebRTC's voice activity detector takes for speech; pauses are cut out.

    Where it finds no speech at all, the samples are left as they were. The detector (a Gaussian mixture over
    the energies of six bands, 80 Hz to 4 kHz) takes 8, 16, 32 or 48 kHz; at other rates it is given a copy at
    16 kHz. It has thresholds of absolute level, so it is given a copy scaled to full scale: whispers that
    were recorded low count as well as shouts.

    Args:
        aggressiveness: 0 to 3; the higher, the more is cut.
        frame_ms: length of the frames, 10, 20 or 30 ms.
        padding_ms: sound kept before and after each stretch of speech, 0 to 1000 ms, in whole frames.

    Examples:
        >>> import numpy as np
        >>> VoiceActivity()(np.zeros(16000), 16000).shape
        (16000,)
    """

    name: ClassVar[str] = "voice_activity"
    packages: ClassVar = ("soxr", "webrtcvad-wheels")
    valid: ClassVar = {
        "aggressiveness": range(4), "frame_ms": frozenset({10, 20, 30}), "padding_ms": (0.0, 1000.0),
    }  # fmt: skip

    aggressiveness: int = 2
    frame_ms: int = 30
    padding_ms: float = 90.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        if not np.abs(samples).max():
            return samples
        voiced = voiced_frames(samples, rate, self.aggressiveness, self.frame_ms)
        count = len(voiced)
        around = math.ceil(self.padding_ms / self.frame_ms)
        kept = np.convolve(voiced, np.ones(2 * around + 1, int))[around : around + count] > 0
        if not kept.any():
            return samples
        ends = np.rint(np.arange(1, count + 1) * (self.frame_ms * rate / 1000)).astype(int)
        ends = np.append(np.minimum(ends[:-1], len(samples)), len(samples))
        return samples[np.repeat(kept, np.diff(ends, prepend=0))]
