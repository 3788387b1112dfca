"""The one way in for sound: any recording becomes mono float32 samples at a known rate.

WAV, AIFF, AU, CAF, W64, RF64, FLAC, Ogg (Vorbis, Opus), MP3 and more are decoded by libsndfile; M4A, AAC,
MP4, WebM, 3GP, AMR, WMA, AC-3 and whatever else libsndfile refuses by FFmpeg's libraries, which come with
PyAV, in a process of its own (:mod:`ser_kit.audio.ffmpeg`). Everything is decoded in blocks and resampled on
the way (soxr, high quality), so that a long recording costs little more memory than its result; the size of
the blocks does not change the samples.

What happens to the samples:

* Integers are scaled to [-1, 1) by their full scale; floats are taken as they are, also beyond 1. Nothing is
  clipped, normalised or freed from its DC offset.
* All chunks of data of a WAV file, and all blocks of a VOC file, are joined.
* Channels are averaged. One dead channel of two therefore halves the amplitude. Only where the channels
  cancel each other (the mean stays below a thousandth of the loudest channel, as with one channel inverted)
  is the loudest channel taken alone.
"""

from __future__ import annotations

import hashlib
import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import _old_names
from ..core.errors import AudioError, NotAudioError, SilentAudioWarning, TruncatedAudioWarning
from .blocks import MIN_RATE, Opener, Stream, check_pair, check_rate, loudest, open_array, read_mono
from .decode import open_file
from .files import Watch, contents, printable, read_all, readable

MIN_SECONDS = 0.1
"""Shortest clip that is measured: a shorter one holds no two frames of the lowest pitch looked for."""

SILENT_PEAK = 2 / 2**15
"""A recording whose samples never exceed this is silent: digital zero, or the dither of a 16-bit file."""


@dataclass(frozen=True, eq=False)
class Recording:
    """Mono sound in memory; made by :func:`read_audio`, which checks what comes in.

    Args:
        samples: float32 array ``[n]``, full scale 1; read-only.
        rate: sampling rate of ``samples`` in Hz.
        native_rate: sampling rate of the source in Hz.
        channels: number of channels of the source, before they were mixed.
        name: what to call the recording in messages; a file's name.

    Examples:
        >>> import numpy as np
        >>> recording = read_audio((np.sin(np.arange(48000) / 10), 48000))
        >>> recording.duration, recording.at(16000).shape, recording.at(48000) is recording.samples
        (1.0, (16000,), True)
    """

    samples: np.ndarray
    rate: int
    native_rate: int
    channels: int
    name: str
    _resampled: dict[int, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self):
        samples = np.asarray(self.samples, np.float32).view()
        samples.flags.writeable = False
        object.__setattr__(self, "samples", samples)

    def __reduce__(self):  # a pickle carries the samples once, and they come back read-only
        return Recording, (self.samples, self.rate, self.native_rate, self.channels, self.name)

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.rate

    def at(self, sr: int) -> np.ndarray:
        """The samples at another sampling rate, resampled once and remembered.

        Args:
            sr: sampling rate in Hz, 4,000 to 384,000.

        Returns:
            float32 array ``[m]``, read-only; :attr:`samples` itself when it is at this rate already.

        Raises:
            AudioError: the rate is out of range.
            TooShortError: the recording is shorter than one sample at this rate.
        """
        if sr == self.rate:
            return self.samples
        if sr not in self._resampled:
            native = partial(open_array, self.samples, self.rate)
            sr = check_rate(sr, "rate asked for")
            self._resampled.setdefault(sr, read_mono(native, self.name, sr).samples)
        return self._resampled[sr]


@dataclass(frozen=True)
class Excerpt:
    """A part of a sound file, such as one turn of a conversation; the file is decoded up to its end.

    Args:
        path: the file.
        start: where the part begins, s.
        end: where it ends, s; ``None`` for the end of the file. One that lies beyond is taken for the end of
            the file, with a :class:`~ser_kit.core.errors.TruncatedAudioWarning`.
        channel: the channel to take, from 1; ``None`` for the mean of all.

    Raises:
        AudioError: the times are no part of a file: ``0 <= start < end`` does not hold; or the channel is
            below 1.

    Examples:
        >>> print(Excerpt("talk.wav", 1.5, 3.25), Excerpt("talk.wav", 60))  # media fragments of the W3C
        talk.wav#t=1.5,3.25 talk.wav#t=60
        >>> print(Excerpt("talk.wav", 1.5, 3.25, channel=2), Excerpt("talk.wav", channel=1))
        talk.wav#t=1.5,3.25&channel=2 talk.wav#channel=1
    """

    path: str | os.PathLike
    start: float = 0.0
    end: float | None = None
    channel: int | None = None

    def __post_init__(self):
        if self.channel is not None and self.channel < 1:
            raise AudioError(f"{self.path}: channel {self.channel}; channels are counted from 1")
        if not (0 <= self.start < np.inf and (self.end is None or self.start < self.end < np.inf)):
            raise AudioError(
                f"{self.path}: a part of it from {self.start} to {self.end} s; expected 0 <= start < end"
            )

    def __str__(self) -> str:
        times = (self.start,) if self.end is None else (self.start, self.end)
        parts = ["t=" + ",".join(np.format_float_positional(t, trim="-") for t in times)]
        if self.channel is not None:
            whole = self.start == 0 and self.end is None
            parts = [*([] if whole else parts), f"channel={self.channel}"]
        return f"{os.fspath(self.path)}#{'&'.join(parts)}"


Source = str | os.PathLike | Excerpt | bytes | bytearray | memoryview | BinaryIO | tuple | Recording
"""What :func:`read_audio` takes."""


@_old_names.keywords(rate="sr")
def read_audio(source: Source, *, sr: int | None = None, watch: Watch | None = None) -> Recording:
    """Read a recording: decode, mix to mono, resample, check.

    Args:
        source: a path; an :class:`Excerpt` of a file; the bytes of a sound file; a binary file object, which
            is read from its start to its end into memory (its ``name``, if it has one, appears in messages);
            an ``(array, rate)`` pair; or a :class:`Recording`. An array is ``[n]``, ``[n, channels]`` or
            ``[channels, n]`` (the shorter axis is taken for the channels), of int8, int16, int32, uint8 (128
            is zero) or float samples.
        sr: sampling rate of the result in Hz, 4,000 to 384,000; ``None`` keeps the source's own. Give it
            for long recordings: they are then resampled while they are decoded.
        watch: called again and again while the recording is read, so that somebody can end that: what it
            raises comes through, and nothing is left running.

    Returns:
        The recording, with float32 samples ``[n]``.

    Raises:
        AudioNotFoundError: no such file (also a ``FileNotFoundError``).
        EmptyAudioError: zero bytes, or zero samples.
        NotAudioError: a directory, text, a picture, or a format that cannot be decoded here.
        PointerFileError: a Git-LFS pointer stands where the recording should be.
        InvalidSamplesError: NaN or infinite samples.
        TooShortError: shorter than one sample at ``sr``.
        AudioError: base class of all these; a sampling rate or a length out of range, an unreadable file.

    Warns:
        SilentAudioWarning: no sample exceeds :data:`SILENT_PEAK`.
        TruncatedAudioWarning: the file ends before its header says, or is damaged; what can be decoded was.
            Formats that do not say how long they are, such as MP3, AC-3 and transport streams, may be cut
            between two frames, which cannot be noticed.

    Examples:
        >>> import numpy as np
        >>> recording = read_audio((np.full((2, 8000), 1 << 14, np.int16), 8000), sr=16000)
        >>> recording.rate, recording.native_rate, recording.channels, recording.samples.shape
        (16000, 8000, 2, (16000,))
    """
    sr = None if sr is None else check_rate(sr, "rate asked for")
    if isinstance(source, Recording):
        return source if sr in (None, source.rate) else replace(source, samples=source.at(sr), rate=sr)
    watch = watch or (lambda: None)
    name, opener = _locate(source, watch)
    decoded = read_mono(opener, name, sr)
    if decoded.missing:
        message = f"{name}: {decoded.missing}; {decoded.seconds:.2f} s were read"
        warnings.warn(message, TruncatedAudioWarning, stacklevel=3)
    if decoded.peak <= SILENT_PEAK:
        message = f"{name}: the recording is silent (no sample exceeds {SILENT_PEAK:.1e} of full scale)"
        warnings.warn(message, SilentAudioWarning, stacklevel=3)
    native_rate = decoded.native_rate
    return Recording(decoded.samples, sr or native_rate, native_rate, decoded.channels, name)


@_old_names.keywords(rate="sr")
def load_audio(source: Source, *, sr: int = 16_000) -> np.ndarray:
    """The samples of a recording at one rate; :func:`read_audio` for those who need nothing else.

    Args:
        source: as for :func:`read_audio`.
        sr: sampling rate of the result in Hz.

    Returns:
        Mono float32 array ``[n]``, read-only.

    Raises:
        AudioError: as for :func:`read_audio`.

    Examples:
        >>> load_audio(([0.0, 0.5] * 4000, 8000)).shape
        (16000,)
    """
    return read_audio(source, sr=sr).samples


def fingerprint(source: Source) -> str:
    """A hash of the sound, not of how it is stored: the decoded mono samples and their native rate.

    The same samples in a WAV with other chunks, or in a FLAC file, have the same fingerprint.

    Args:
        source: as for :func:`read_audio`.

    Returns:
        32 hexadecimal digits (128 bits of BLAKE2b).

    Raises:
        AudioError: as for :func:`read_audio`; also for a :class:`Recording` that was resampled when it was
            read, since the samples of its source are gone.

    Examples:
        >>> import numpy as np
        >>> tone = (np.arange(8000) % 100 * 300).astype(np.int16)
        >>> fingerprint((tone, 16000)) == fingerprint((tone / 32768, 16000))
        True
    """
    recording = read_audio(source)
    if recording.rate != recording.native_rate:
        raise AudioError(
            f"{recording.name}: resampled from {recording.native_rate} to {recording.rate} Hz when it was "
            "read; take the fingerprint of its source, or read it without a rate"
        )
    digest = hashlib.blake2b(struct.pack("<I", recording.native_rate), digest_size=16)
    digest.update(recording.samples.astype("<f4", copy=False).data)
    return digest.hexdigest()


def channels_of(source: Source) -> int:
    """Number of channels of a recording, without reading all of it.

    Args:
        source: as for :func:`read_audio`.

    Raises:
        AudioError: as for :func:`read_audio`.

    Examples:
        >>> channels_of((np.zeros((8000, 2), np.float32), 8000))
        2
    """
    if isinstance(source, Recording):
        return source.channels
    _, opener = _locate(source, lambda: None)
    with opener() as stream:
        return stream.channels


def to_mono(array: np.ndarray) -> np.ndarray:
    """A block of a stream as one channel, the mean of all; recordings come in by :func:`read_audio`.

    Args:
        array: as in an ``(array, rate)`` pair of :func:`read_audio`; it may be empty.

    Returns:
        float32 ``[n]``.

    Raises:
        AudioError: the samples are not finite, absurdly large, or of no known scale.

    Examples:
        >>> to_mono(np.array([[1 << 14, 0], [1 << 14, 0]], np.int16)).tolist()
        [0.25, 0.25]
    """
    if np.size(array) == 0:
        return np.zeros(0, np.float32)
    with open_array(*check_pair((array, MIN_RATE))) as stream:
        mono = np.concatenate([block.mean(axis=1) for block in stream.blocks])
    loudest(mono, "<stream>")
    return mono


def _locate(source: Source, watch: Watch) -> tuple[str, Opener]:
    """What to call the source, and what opens it (more than once, if need be)."""
    if isinstance(source, tuple):
        return "<array>", partial(open_array, *check_pair(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>", partial(open_file, io.BytesIO(bytes(source)), "<bytes>", watch)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = printable(path.name)
        with readable(path):
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError
        # soundfile takes *.raw for headerless samples.
        if stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and path.suffix.lower() == ".raw"):
            return name, partial(open_file, io.BytesIO(contents(path, name, watch)), name, watch)
        if not stat.S_ISREG(mode):
            raise NotAudioError(f"{name}: is a device or a socket; expected a sound file")
        return name, partial(open_file, path, name, watch)
    if isinstance(source, Excerpt):
        name, opener = _locate(source.path, watch)
        return str(replace(source, path=name)), partial(_open_excerpt, opener, source)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = printable(os.path.basename(name)) if isinstance(name, str) and name else "<file>"
        return name, partial(open_file, io.BytesIO(read_all(source, name)), name, watch)
    hint = "; an array needs its rate: (array, rate)" if hasattr(source, "__array__") else ""
    raise NotAudioError(
        f"cannot read sound from {type(source).__name__!r}; expected a path, bytes, a binary file object, "
        f"an (array, rate) pair or a Recording{hint}"
    )


@contextmanager
def _open_excerpt(opener: Opener, excerpt: Excerpt) -> Iterator[Stream]:
    with opener() as whole:
        one = slice(None) if excerpt.channel is None else slice(excerpt.channel - 1, excerpt.channel)
        if excerpt.channel is not None and excerpt.channel > whole.channels:
            raise AudioError(f"{excerpt}: the recording has no more than {whole.channels} channels")
        first = round(excerpt.start * whole.rate)
        last = None if excerpt.end is None else round(excerpt.end * whole.rate)

        def blocks():
            done = 0
            for block in whole.blocks:
                wanted = block[max(0, first - done) : None if last is None else last - done, one]
                done += len(block)
                if len(wanted):
                    yield wanted
                if last is not None and done >= last:
                    return
            if done <= first:
                raise AudioError(
                    f"{excerpt}: begins where nothing is; the recording lasts {done / whole.rate:.2f} s"
                )
            stream.missing = whole.missing
            if last is not None and not whole.missing:
                stream.missing = "the file ends before this part of it does"

        stream = Stream(whole.rate, 1 if excerpt.channel else whole.channels, None, blocks())
        yield stream
