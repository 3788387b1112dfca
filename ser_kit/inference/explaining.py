"""What an answer rests on: how much less probable it is without each stretch of time and band of frequency.

Each part is taken out of the recording in turn (occlusion), and the predictor answers for what is left. A
stretch of time is replaced by noise as loud as the quietest parts of the recording, and a band of frequency
is filtered out. This works for every bundle, and describes the predictor as it answers, with its windows and
its adaptation to a speaker. ``python -m benchmarks.explanations`` tests it: without the stretches of largest
effect the answer must become less probable than without random ones.

Examples:
    >>> from ser_kit.inference import Predictor, explain
    >>> found = explain(Predictor.from_preset(), "clip.wav")                  # doctest: +SKIP
    >>> max(found.stretches, key=lambda part: part.effect)                    # doctest: +SKIP
    Part(low=0.75, high=1.0, effect=0.21, share=0.4)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from ..audio.recording import Recording, Source
from ..core.config import digest
from ..core.errors import LabelError
from ..core.parallel import ahead, cores
from .pieces import Watch, path_of, watched
from .predictor import Predictor

STRETCH_SECONDS = 0.2
"""Length of a stretch (s)."""
MOST_STRETCHES = 120
"""Maximum number of stretches; those of long recordings are longer."""
BANDS = (0, 150, 300, 500, 750, 1100, 1600, 2300, 3300, 4800, 8000)
"""Edges of the bands (Hz). The lowest ones hold the pitch of voices, the next ones their vowels."""

_RAMP_SECONDS = 0.01  # over which a stretch is faded, since a click would be a sound of its own
_QUIET_SHARE = 0.1  # of the frames, whose level that of the noise is
_FRAME_SECONDS = 0.02


@dataclass(frozen=True)
class Part:
    """A stretch of time or a band of frequency, and what the answer owes to it.

    Args:
        low: start (s) of a stretch, or lower edge (Hz) of a band.
        high: end (s), or upper edge (Hz).
        effect: probability of the answer minus that without this part, -1..1; negative if the answer is more
            probable without it.
        share: this effect as a share of all positive effects of the same kind, 0..1; 0 for negative ones.
    """

    low: float
    high: float
    effect: float
    share: float


@dataclass(frozen=True)
class Explanation:
    """What an answer rests on.

    Args:
        emotion: the explained label.
        probability: its probability, 0..1.
        stretches: parts of the recording in order of time; they cover it, without what is silent in windows
            that are not used.
        bands: bands of frequency, from low to high.
        duration: length of the recording (s).
        path: path of the recording, or ``""``.
    """

    emotion: str
    probability: float
    stretches: tuple[Part, ...]
    bands: tuple[Part, ...]
    duration: float
    path: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The explanation as plain values, ready for JSON."""

        def listed(parts: Sequence[Part]) -> list[dict[str, float]]:
            return [{name: round(value, 6) for name, value in vars(part).items()} for part in parts]

        return {
            "path": self.path,
            "emotion": self.emotion,
            "probability": round(self.probability, 6),
            "duration": round(self.duration, 3),
            "stretches": listed(self.stretches),
            "bands": listed(self.bands),
        }


def explain(
    predictor: Predictor,
    source: Source,
    *,
    emotion: str | None = None,
    bands: Sequence[float] = BANDS,
    watch: Watch = None,
) -> Explanation:
    """Measure what an answer rests on, by answering again without each part of the recording.

    The effect of a part is a property of the model: it says what the answer would be without the part, not
    what the speaker felt there. Parts can stand in for one another, so the effects need not add up to the
    probability of the answer.

    Args:
        predictor: the predictor, adapted to a speaker or not.
        source: the recording, as for :meth:`Predictor.predict`.
        emotion: the label to explain; by default the answer.
        bands: edges of the bands (Hz), ascending; empty for none.
        watch: called with the share that is done, 0..1; an exception raised in it stops the work.

    Returns:
        The effects of stretches of 0.2 s (longer ones in recordings over 24 s) and of ten bands of frequency.

    Raises:
        AudioError: as for :meth:`Predictor.predict`.
        LabelError: the predictor has no such label.

    Source:
        Zeiler & Fergus (2014), Visualizing and understanding convolutional networks, ECCV (occlusion).
    """
    windowed = predictor.windowed(source)
    recording, pieces, whole = windowed.recording, windowed.pieces, windowed.results
    weights, before = windowed.weights, windowed.probabilities
    answer = predictor.answers.named(before)["probabilities"]
    emotion = max(answer, key=answer.__getitem__) if emotion is None else emotion
    if emotion not in answer:
        raise LabelError(f"the predictor has no label {emotion!r}; expected one of {', '.join(answer)}")
    spans = _spans(pieces)
    edges = _bands(recording, bands)
    changes = [(index, silenced, span) for index, span in spans]
    changes += [(index, without_band, band) for band in edges for index in range(len(pieces))]

    def answered(change: tuple) -> np.ndarray:
        """Probabilities of a window without a part; each is made when it is needed, to save memory."""
        index, take_out, part = change
        return predictor.predict_window(take_out(pieces[index][1], *part)).probabilities

    left = list(ahead(answered, watched(changes, watch), cores()))

    def without(found: Sequence[tuple[int, np.ndarray]]) -> float:
        """Probability of the answer with other probabilities of some windows."""
        pooled = before + sum(weights[i] * (values - whole[i].probabilities) for i, values in found)
        return predictor.answers.named(pooled)["probabilities"][emotion]

    found = [(index, values) for (index, *_), values in zip(changes, left, strict=True)]
    in_time, in_bands = found[: len(spans)], found[len(spans) :]
    of_stretches = [without([each]) for each in in_time]
    of_bands = [without(in_bands[i : i + len(pieces)]) for i in range(0, len(in_bands), len(pieces))]
    times = [(pieces[index][0] + low, pieces[index][0] + high) for index, (low, high) in spans]
    return Explanation(
        emotion=emotion,
        probability=answer[emotion],
        stretches=_parts(times, answer[emotion] - np.array(of_stretches)),
        bands=_parts(edges, answer[emotion] - np.array(of_bands)),
        duration=recording.duration,
        path=path_of(source),
    )


def silenced(piece: Recording, start: float, end: float) -> Recording:
    """Replace a stretch by noise as loud as the quietest tenth of the recording.

    Args:
        piece: the recording.
        start: start of the stretch (s).
        end: its end (s).
    """
    samples, rate = piece.samples, piece.rate
    frame = max(1, round(_FRAME_SECONDS * rate))
    count = max(1, len(samples) // frame)
    levels = np.sqrt(np.mean(np.square(samples[: count * frame].reshape(count, -1)), axis=1))
    level = float(np.quantile(levels, _QUIET_SHARE))
    # The same noise for the same stretch, so that an explanation can be repeated.
    rng = np.random.default_rng(int(digest([start, end, len(samples)], size=4), 16))
    noise = rng.normal(0, level, len(samples)).astype(np.float32)
    times = np.arange(len(samples)) / rate
    gain = np.clip(np.maximum(start - times, times - end) / _RAMP_SECONDS, 0, 1).astype(np.float32)
    return replace(piece, samples=gain * samples + (1 - gain) * noise)


def without_band(piece: Recording, low: float, high: float) -> Recording:
    """Filter a band of frequency out of a recording.

    Args:
        piece: the recording.
        low: lower edge (Hz).
        high: upper edge (Hz).
    """
    samples = piece.samples
    spectrum = np.fft.rfft(samples)
    frequencies = np.fft.rfftfreq(len(samples), 1 / piece.rate)
    spectrum[(frequencies >= low) & (frequencies < high)] = 0
    return replace(piece, samples=np.fft.irfft(spectrum, len(samples)).astype(np.float32))


def _spans(pieces: Sequence[tuple[float, Recording]]) -> list[tuple[int, tuple[float, float]]]:
    """Stretches of equal length within each window: its index, and start and end in it (s)."""
    length = max(STRETCH_SECONDS, sum(piece.duration for _, piece in pieces) / MOST_STRETCHES)
    found = []
    for index, (_, piece) in enumerate(pieces):
        edges = np.linspace(0, piece.duration, max(1, round(piece.duration / length)) + 1)
        found += [(index, (float(low), float(high))) for low, high in pairwise(edges)]
    return found


def _bands(recording: Recording, edges: Sequence[float]) -> list[tuple[float, float]]:
    """The bands that a recording can hold, the last of them up to half its sampling rate."""
    top = recording.rate / 2
    return [(float(low), float(min(high, top))) for low, high in pairwise(edges) if low < top]


def _parts(edges: Sequence[tuple[float, float]], effects: np.ndarray) -> tuple[Part, ...]:
    positive = np.maximum(effects, 0)
    shares = positive / max(positive.sum(), np.finfo(float).tiny)
    return tuple(
        Part(low, high, float(effect), float(share))
        for (low, high), effect, share in zip(edges, effects, shares, strict=True)
    )
