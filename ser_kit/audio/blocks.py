"""Sound on its way in: blocks of samples at the source's rate, mixed to mono, resampled and joined.

Everything that can be read is opened as a :class:`Stream`: arrays and parts of a file here, files in
:mod:`ser_kit.audio.decode`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import numpy as np

from ..core.errors import AudioError, EmptyAudioError, InvalidSamplesError, NotAudioError, TooShortError

MIN_RATE, MAX_RATE = 4_000, 384_000
"""Sampling rates that are accepted, in Hz."""


MAX_SECONDS = 3 * 3600
"""Longest recording that is read."""

MAX_SAMPLES = MAX_SECONDS * 16_000
"""Most samples of a result, 0.7 GB, so that a small file that unpacks to days of sound cannot fill the
memory: the longest recording at 16 kHz, an hour at 48 kHz."""

BLOCK = 1 << 18
"""Samples decoded at a time, over all channels; the size of the blocks does not change the result."""

_INTEGERS = ("i1", "i2", "i4", "u1")  # in either byte order
_CANCELLED = 1e-3  # mean over loudest channel, below which the channels are taken to cancel each other
_LOUDEST = 1e10  # beyond any integer full scale; larger values would overflow float32 on the way
_MOST_DECODED = MAX_SECONDS * 192_000 * 2  # samples over all channels; a minute or so of work


@dataclass
class Stream:
    """An open recording: what its header says, and its samples as float32 blocks ``[m, channels]``, in order.

    A block is only valid until the next one is asked for.
    """

    rate: int
    channels: int
    frames: int | None  # as the header says; None where it does not
    blocks: Iterator[np.ndarray]
    missing: str = ""  # set at the end of the blocks: why they may not be all that the file should hold


Opener = Callable[[], AbstractContextManager[Stream]]
"""Opens a source, more than once if need be."""


def check_rate(rate: object, what: str, name: str = "") -> int:
    """A sampling rate as a whole number of Hz.

    Raises:
        AudioError: it is no whole number from 4,000 to 384,000.
    """
    prefix = f"{name}: " if name else ""
    try:
        whole = int(rate)
        if whole != rate:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise AudioError(f"{prefix}the {what} must be a whole number of Hz, not {rate!r}") from None
    if not MIN_RATE <= whole <= MAX_RATE:
        raise AudioError(f"{prefix}the {what} is {whole} Hz; expected {MIN_RATE} to {MAX_RATE} Hz")
    return whole


def check_pair(pair: tuple) -> tuple[np.ndarray, int]:
    """An ``(array, rate)`` pair as an array ``[n, channels]`` and its rate.

    Raises:
        AudioError: it is none.
    """
    if len(pair) != 2:
        raise NotAudioError(f"expected an (array, rate) pair, got a tuple of {len(pair)}")
    try:
        array, rate = np.asarray(pair[0]), pair[1]
    except (TypeError, ValueError) as error:  # rows of unequal length, a tensor on another device
        raise NotAudioError(f"<array>: cannot be made an array: {error}") from None
    if array.ndim == 0 and np.ndim(rate) > 0:
        raise NotAudioError("expected (array, rate), got (rate, array): swap the two")
    rate = check_rate(rate, "sampling rate", "<array>")
    if array.dtype.kind != "f" and array.dtype.str[1:] not in _INTEGERS:
        raise NotAudioError(
            f"<array>: {array.dtype} samples have no known scale; expected int8, int16, int32, uint8 or float"
        )
    if array.ndim not in (1, 2):
        raise NotAudioError(
            f"<array>: expected [n], [n, channels] or [channels, n], got the shape {array.shape}"
        )
    if array.size == 0:
        raise EmptyAudioError("<array>: holds no samples")
    if array.ndim == 1:
        array = array[:, None]
    return (array.T if array.shape[0] < array.shape[1] else array), rate


@contextmanager
def open_array(array: np.ndarray, rate: int) -> Iterator[Stream]:
    """A stream of an array ``[n]`` or ``[n, channels]``; integers are scaled by their full scale."""
    array = array if array.ndim == 2 else array[:, None]

    def blocks():
        for start in range(0, len(array), step):
            block = array[start : start + step]
            with np.errstate(over="ignore"):  # beyond float32 becomes infinite, and that is refused later
                floats = block.astype(np.float32)
            if array.dtype.kind != "f":
                if array.dtype.kind == "u":
                    floats -= 128
                floats /= 1 << (8 * array.dtype.itemsize - 1)
            yield floats

    step = block_frames(array.shape[1])
    yield Stream(rate, array.shape[1], len(array), blocks())


def block_frames(channels: int) -> int:
    """Samples of each channel in a block."""
    return max(1, BLOCK // max(1, channels))


def resampler(native_rate: int, rate: int) -> Callable[[np.ndarray, bool], np.ndarray]:
    """What resamples one block after the other, with the same result however long the blocks are.

    Args:
        native_rate: Hz of what comes in.
        rate: Hz of what goes out.

    Returns:
        ``(float32 [n], whether it is the last) -> float32 [m]``.

    Raises:
        AudioError: a rate is out of range.
    """
    native_rate, rate = check_rate(native_rate, "sampling rate"), check_rate(rate, "rate asked for")
    if native_rate == rate:
        return lambda samples, last: samples
    import soxr

    stream = soxr.ResampleStream(native_rate, rate, 1, dtype="float32", quality="HQ")
    return lambda samples, last: stream.resample_chunk(samples, last=last)


@dataclass
class Mono:
    """A recording that was read."""

    samples: np.ndarray  # at the rate asked for
    native_rate: int
    channels: int
    seconds: float
    peak: float  # of the mono samples at the native rate
    missing: str


def read_mono(opener: Opener, name: str, rate: int | None, channel: int | None = None) -> Mono:
    """Read a stream to its end: mix to mono, resample and join its blocks. There is no other way to samples.

    Args:
        opener: what opens the stream.
        name: of the recording, for messages.
        rate: Hz of the result; ``None`` keeps that of the stream.
        channel: the one to take; ``None`` for the mean of all.

    Raises:
        AudioError: as :func:`~ser_kit.audio.recording.read_audio`.
    """
    with opener() as stream:
        native_rate, channels = check_rate(stream.rate, "sampling rate", name), stream.channels
        most = min(MAX_SECONDS, MAX_SAMPLES / (rate or native_rate), _MOST_DECODED / (native_rate * channels))
        too_long = AudioError(
            f"{name}: is longer than {most / 3600:.3g} hours, the most that is read of {channels} channels "
            f"at {native_rate} Hz{f' for {rate} Hz' if rate else ''}; cut it into parts"
        )
        longest = most * native_rate
        if (stream.frames or 0) > longest:
            raise too_long
        if channel is not None and channel >= channels:
            raise AudioError(f"{name}: changed while it was read")
        resample = resampler(native_rate, rate or native_rate)
        joined = bytearray()  # grows in place, unlike an array, and so never stands in memory twice
        frames, peak, peaks = 0, 0.0, np.zeros(channels)
        for block in stream.blocks:
            frames += len(block)
            if frames > longest:
                raise too_long
            if channel is None and channels > 1:
                peaks = np.maximum(peaks, [_peak(samples) for samples in block.T])
                with np.errstate(over="ignore", invalid="ignore"):
                    mono = sum(block.T) / np.float32(channels)
            else:
                mono = np.ascontiguousarray(block[:, channel or 0])
            peak = max(peak, loudest(mono, name))
            joined += resample(mono, False).data
        if frames:
            joined += resample(np.empty(0, np.float32), True).data
        missing = stream.missing
    if not frames:
        raise EmptyAudioError(f"{name}: holds no samples")
    if not joined:
        raise TooShortError(
            f"{name}: {frames} samples at {native_rate} Hz are less than one sample at {rate} Hz"
        )
    if channel is None and peak < _CANCELLED * peaks.max():
        return read_mono(opener, name, rate, channel=int(peaks.argmax()))
    samples = np.frombuffer(joined, np.float32)
    samples.flags.writeable = False
    return Mono(samples, native_rate, channels, frames / native_rate, peak, missing)


def loudest(samples: np.ndarray, name: str) -> float:
    """Largest magnitude of samples.

    Raises:
        InvalidSamplesError: it is NaN, infinite or absurdly large.
    """
    peak = _peak(samples)
    if not peak < _LOUDEST:  # so that NaN is caught too
        raise InvalidSamplesError(
            f"{name}: holds NaN, infinite or absurdly large samples; expected finite numbers, full scale 1"
        )
    return peak


def _peak(samples: np.ndarray) -> float:
    """Largest magnitude; NaN if there is any."""
    return max(float(samples.max()), -float(samples.min()))
