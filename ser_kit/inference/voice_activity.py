"""Cut a recording into turns by voice activity.

Examples:
    >>> import numpy as np
    >>> turns((np.zeros(16000, np.float32), 16000))
    []
"""

from __future__ import annotations

import warnings

import numpy as np

from ..audio.recording import SILENT_PEAK, Source, read_audio
from ..audio.transforms.speech import voiced_frames
from ..core.errors import SilentAudioWarning

RATE = 16_000
FRAME_MS = 30
GAP_SECONDS = 0.6
"""A shorter pause (s) does not end a turn."""
SHORTEST_SECONDS = 0.5
"""A shorter turn (s) is left out: too short for a reliable answer."""
PADDING_SECONDS = 0.1
"""Sound kept before and after a turn (s)."""
CROSSTALK_DB = 25.0
"""Frames that are quieter than the loud ones (95 % of the voiced) by more than this do not count: on one
channel of a call the other party may be audible."""


def turns(source: Source) -> list[tuple[float, float]]:
    """Stretches of speech in a recording.

    They are what WebRTC's voice activity detector takes for speech, without pauses up to 0.6 s and without
    stretches below 0.5 s. Speakers are not told apart: where two people share a channel without a pause
    between them, they share a turn.

    Args:
        source: as for :func:`ser_kit.audio.read_audio`; an :class:`~ser_kit.audio.Excerpt` of one channel for
            one party of a call.

    Returns:
        Start and end of each turn (s), in order, milliseconds at most; empty without speech.

    Raises:
        AudioError: the recording cannot be read.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SilentAudioWarning)
        samples = read_audio(source, sr=RATE).samples
    if np.abs(samples).max() <= SILENT_PEAK:
        return []
    voiced = voiced_frames(samples, RATE, frame_ms=FRAME_MS)
    length = RATE * FRAME_MS // 1000
    power = np.add.reduceat(np.square(samples, dtype=np.float64), np.arange(0, len(samples), length))
    decibels = 10 * np.log10(np.maximum(power / length, 1e-12))
    if voiced.any():
        voiced &= decibels > np.quantile(decibels[voiced], 0.95) - CROSSTALK_DB
    step, whole = FRAME_MS / 1000, len(samples) / RATE
    found: list[list[float]] = []
    for frame in np.flatnonzero(voiced).tolist():
        start, end = frame * step, (frame + 1) * step
        if found and start - found[-1][1] <= GAP_SECONDS:
            found[-1][1] = end
        else:
            found.append([start, end])
    return [
        (round(max(0.0, start - PADDING_SECONDS), 3), round(min(whole, end + PADDING_SECONDS), 3))
        for start, end in found
        if end - start >= SHORTEST_SECONDS
    ]
