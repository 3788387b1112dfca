"""The one way in for sound: any recording becomes mono float32 samples at a known rate.

WAV, AIFF, AU, CAF, W64, RF64, FLAC, Ogg (Vorbis, Opus), MP3 and more are decoded by libsndfile; M4A, AAC,
MP4, WebM, 3GP, AMR, WMA, AC-3 and whatever else libsndfile refuses by FFmpeg's libraries, which come with
PyAV, in a process of its own (:mod:`ser_kit.audio.decoder`). Everything is decoded in blocks and resampled on
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
import re
import select
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time
import unicodedata
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import (
    AudioError,
    AudioNotFoundError,
    EmptyAudioError,
    InvalidSamplesError,
    NotAudioError,
    PointerFileError,
    SilentAudioWarning,
    TooShortError,
    TruncatedAudioWarning,
)
from . import decoder

MIN_RATE, MAX_RATE = 4_000, 384_000
"""Sampling rates that are accepted, in Hz."""

MIN_SECONDS = 0.1
"""Clips shorter than this hold no two frames of the lowest pitch looked for, and nothing is measured of
them."""

MAX_SECONDS = 3 * 3600
"""Longest recording that is read."""

MAX_SAMPLES = MAX_SECONDS * 16_000
"""Most samples of a result, 0.7 GB, so that a small file that unpacks to days of sound cannot fill the
memory: the longest recording at 16 kHz, an hour at 48 kHz."""

SILENT_PEAK = 2 / 2**15
"""A recording whose samples never exceed this is silent: digital zero, or the dither of a 16-bit file."""

_CANCELLED = (
    1e-3  # mean of the channels over loudest channel, below which they are taken to cancel each other
)
_LOUDEST = 1e10  # beyond any integer full scale; larger values would overflow float32 on the way
_BLOCK = 1 << 18  # samples decoded at a time, over all channels
_MOST_DECODED = MAX_SECONDS * 192_000 * 2  # samples over all channels; a minute or so of work
_MOST_CONTENT = 1 << 29  # bytes of what must be taken into memory as it is

_WATCHED_EVERY = 0.1  # s
_MOST_CHUNKS = 1000  # of a WAV file that are looked at
_PIPE_SECONDS = 30  # that a pipe may be silent
_OUT_OF_TIME, _KILLED = -getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)  # exit statuses

_File = Path | io.BytesIO

Watch = Callable[[], object]
"""Called again and again while something is read; what it raises ends the reading."""


def _unwatched() -> None:
    pass


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

    def at(self, rate: int) -> np.ndarray:
        """The samples at another sampling rate, resampled once and remembered.

        Args:
            rate: sampling rate in Hz, 4,000 to 384,000.

        Returns:
            float32 array ``[m]``, read-only; :attr:`samples` itself when it is at this rate already.

        Raises:
            AudioError: the rate is out of range.
            TooShortError: the recording is shorter than one sample at this rate.
        """
        if rate == self.rate:
            return self.samples
        if rate not in self._resampled:
            native = partial(_open_array, self.samples, self.rate)
            self._resampled.setdefault(
                rate, _decode(native, self.name, _check_rate(rate, "rate asked for")).samples
            )
        return self._resampled[rate]


@dataclass(frozen=True)
class Excerpt:
    """A part of a sound file, such as one turn of a conversation; what it is cut from is decoded up to its
    end.

    Args:
        path: the file.
        start: where the part begins, s.
        end: where it ends, s; ``None`` for the end of the file. One that lies beyond is taken for the end of
            the file, with a :class:`~ser_kit.core.errors.TruncatedAudioWarning`.

    Raises:
        AudioError: the two are no part of a file: ``0 <= start < end`` does not hold.

    Examples:
        >>> print(Excerpt("talk.wav", 1.5, 3.25), Excerpt("talk.wav", 60))  # as the W3C writes media fragments
        talk.wav#t=1.5,3.25 talk.wav#t=60
    """

    path: str | os.PathLike
    start: float = 0.0
    end: float | None = None

    def __post_init__(self):
        if not (0 <= self.start < np.inf and (self.end is None or self.start < self.end < np.inf)):
            raise AudioError(
                f"{self.path}: a part of it from {self.start} to {self.end} s; expected 0 <= start < end"
            )

    def __str__(self) -> str:
        times = (self.start,) if self.end is None else (self.start, self.end)
        return f"{os.fspath(self.path)}#t=" + ",".join(np.format_float_positional(t, trim="-") for t in times)


Source = str | os.PathLike | Excerpt | bytes | bytearray | memoryview | BinaryIO | tuple | Recording
"""What :func:`read_audio` takes."""


def read_audio(source: Source, *, rate: int | None = None, watch: Watch | None = None) -> Recording:
    """Read a recording: decode, mix to mono, resample, check.

    Args:
        source: a path; an :class:`Excerpt` of a file; the bytes of a sound file; a binary file object, which
            is read from its start to its end into memory (its ``name``, if it has one, appears in messages);
            an ``(array, rate)`` pair; or a :class:`Recording`. An array is ``[n]``, ``[n, channels]`` or
            ``[channels, n]`` (the shorter axis is taken for the channels), of int8, int16, int32, uint8 (128
            is zero) or float samples.
        rate: sampling rate of the result in Hz, 4,000 to 384,000; ``None`` keeps the source's own. Give it
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
        TooShortError: shorter than one sample at ``rate``.
        AudioError: base class of all these; a sampling rate or a length out of range, an unreadable file.

    Warns:
        SilentAudioWarning: no sample exceeds :data:`SILENT_PEAK`.
        TruncatedAudioWarning: the file ends before its header says, or is damaged; what can be decoded was.
            Formats that do not say how long they are, such as MP3, AC-3 and transport streams, may be cut
            between two frames, and nobody can tell.

    Examples:
        >>> import numpy as np
        >>> recording = read_audio((np.full((2, 8000), 1 << 14, np.int16), 8000), rate=16000)
        >>> recording.rate, recording.native_rate, recording.channels, recording.samples.shape
        (16000, 8000, 2, (16000,))
        >>> round(float(recording.samples[8000]), 3)
        0.5
    """
    rate = None if rate is None else _check_rate(rate, "rate asked for")
    if isinstance(source, Recording):
        return source if rate in (None, source.rate) else replace(source, samples=source.at(rate), rate=rate)
    watch = watch or _unwatched
    name, opener = _locate(source, watch)
    decoded = _decode(opener, name, rate)
    if decoded.missing:
        message = f"{name}: {decoded.missing}; {decoded.seconds:.2f} s were read"
        warnings.warn(message, TruncatedAudioWarning, stacklevel=2)
    if decoded.peak <= SILENT_PEAK:
        message = f"{name}: the recording is silent (no sample exceeds {SILENT_PEAK:.1e} of full scale)"
        warnings.warn(message, SilentAudioWarning, stacklevel=2)
    return Recording(
        decoded.samples, rate or decoded.native_rate, decoded.native_rate, decoded.channels, name
    )


def load_audio(source: Source, *, rate: int = 16_000) -> np.ndarray:
    """The samples of a recording at one rate; :func:`read_audio` for those who need nothing else.

    Args:
        source: as for :func:`read_audio`.
        rate: sampling rate of the result in Hz.

    Returns:
        Mono float32 array ``[n]``, read-only.

    Raises:
        AudioError: as for :func:`read_audio`.

    Examples:
        >>> load_audio(([0.0, 0.5] * 4000, 8000)).shape
        (16000,)
    """
    return read_audio(source, rate=rate).samples


def fingerprint(source: Source) -> str:
    """A hash of what is heard, not of how it is stored: the decoded mono samples and their native rate.

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
            f"{recording.name}: resampled from {recording.native_rate} to {recording.rate} Hz when it was read; "
            "take the fingerprint of its source, or read it without a rate"
        )
    digest = hashlib.blake2b(struct.pack("<I", recording.native_rate), digest_size=16)
    digest.update(recording.samples.astype("<f4", copy=False).data)
    return digest.hexdigest()


def to_mono(array: np.ndarray) -> np.ndarray:
    """A block of samples as one channel, the mean of all, for streams; recordings come in by
    :func:`read_audio`.

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
    with _open_array(*_check_pair((array, MIN_RATE))) as stream:
        mono = np.concatenate([block.mean(axis=1) for block in stream.blocks])
    _loudest(mono, "<stream>")
    return mono


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
    native_rate, rate = _check_rate(native_rate, "sampling rate"), _check_rate(rate, "rate asked for")
    if native_rate == rate:
        return lambda samples, last: samples
    import soxr

    stream = soxr.ResampleStream(native_rate, rate, 1, dtype="float32", quality="HQ")
    return lambda samples, last: stream.resample_chunk(samples, last=last)


def _check_rate(rate: object, what: str, name: str = "") -> int:
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


# From a source to a stream of blocks -----------------------------------------------------------------------


@dataclass
class _Stream:
    """An open recording: what its header says, and its samples as float32 blocks ``[m, channels]``, in order.

    A block is only valid until the next one is asked for.
    """

    rate: int
    channels: int
    frames: int | None  # as the header says; None where it does not
    blocks: Iterator[np.ndarray]
    missing: str = (
        ""  # set by the end of the blocks: why they are not, or may not be, all that the file should hold
    )


_Opener = Callable[[], AbstractContextManager[_Stream]]


def _locate(source: Source, watch: Watch) -> tuple[str, _Opener]:
    """What to call the source, and what opens it (more than once, if need be)."""
    if isinstance(source, tuple):
        return "<array>", partial(_open_array, *_check_pair(source))
    if isinstance(source, bytes | bytearray | memoryview):
        return "<bytes>", partial(_open_file, io.BytesIO(bytes(source)), "<bytes>", watch)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        name = _printable(path.name)
        with _readable(path):
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise IsADirectoryError
        # soundfile takes *.raw for headerless samples.
        if stat.S_ISFIFO(mode) or (stat.S_ISREG(mode) and path.suffix.lower() == ".raw"):
            return name, partial(_open_file, io.BytesIO(_content(path, name, watch)), name, watch)
        if not stat.S_ISREG(mode):
            raise NotAudioError(f"{name}: is a device or a socket; expected a sound file")
        return name, partial(_open_file, path, name, watch)
    if isinstance(source, Excerpt):
        name, opener = _locate(source.path, watch)
        return str(replace(source, path=name)), partial(_open_excerpt, opener, source)
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        name = _printable(os.path.basename(name)) if isinstance(name, str) and name else "<file>"
        return name, partial(_open_file, io.BytesIO(_read_all(source, name)), name, watch)
    hint = "; an array needs its rate: (array, rate)" if hasattr(source, "__array__") else ""
    raise NotAudioError(
        f"cannot read sound from {type(source).__name__!r}; expected a path, bytes, a binary file object, "
        f"an (array, rate) pair or a Recording{hint}"
    )


def _content(path: Path, name: str, watch: Watch) -> bytes:
    """The bytes of a file or a pipe, without waiting for somebody to open the pipe's other end, nor long for
    a silent
    one."""
    with _readable(path):
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
    data, began = bytearray(), time.monotonic()
    with open(handle, "rb", buffering=0) as file:
        silent_since = began
        while True:
            with _readable(path):
                piece = file.read(1 << 20)
            if piece == b"":
                return bytes(data)
            watch()
            if piece is None:  # there will be more
                select.select([file], [], [], _WATCHED_EVERY)
            else:
                data += piece
                silent_since = time.monotonic()
            _check_content(len(data), name)
            if time.monotonic() > min(silent_since + _PIPE_SECONDS, began + MAX_SECONDS):
                raise AudioError(
                    f"{name}: is a pipe that gave nothing for {_PIPE_SECONDS} s, or does not end; save the sound as a "
                    "file"
                )


def _printable(name: str) -> str:
    """A name for messages: line breaks, other control characters and what is no character are escaped."""
    return "".join(
        repr(c)[1:-1] if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in os.fspath(name)
    )


def _read_all(file: BinaryIO, name: str) -> bytes:
    try:
        seekable = file.seekable()
        if seekable:
            file.seek(0)
        data = file.read() if seekable else _beginning(file)
    except (OSError, ValueError) as error:  # ValueError: the file is closed
        raise AudioError(f"{name}: the file object cannot be read: {error}") from None
    if not isinstance(data, bytes):
        raise NotAudioError(
            f'{name}: the file object gives no bytes; open the file in binary mode, open(path, "rb")'
        )
    if not seekable:
        _check_content(len(data), name)
    return data


def _beginning(file: BinaryIO) -> bytes:
    """All of a stream, unless that is more than is taken."""
    content = io.BytesIO()
    while content.tell() <= _MOST_CONTENT and (piece := file.read(1 << 20)):
        if not isinstance(piece, bytes):
            return piece
        content.write(piece)
    return content.getvalue()


def _check_content(size: int, name: str) -> None:
    if size > _MOST_CONTENT:
        raise AudioError(
            f"{name}: holds more than {_MOST_CONTENT >> 20} MiB, which is the most for a pipe or an odd file; "
            "save it as a WAV, FLAC or MP3 file"
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in our own words why a path cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise AudioNotFoundError(f"{_printable(path)}: no such file") from None
    except IsADirectoryError:
        raise NotAudioError(f"{_printable(path)}: is a directory; expected a sound file") from None
    except OSError as error:
        raise AudioError(f"{_printable(path)}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a null byte in the name
        raise AudioError(f"{_printable(path)!r}: is no file name: {error}") from None


def _check_pair(pair: tuple) -> tuple[np.ndarray, int]:
    if len(pair) != 2:
        raise NotAudioError(f"expected an (array, rate) pair, got a tuple of {len(pair)}")
    try:
        array, rate = np.asarray(pair[0]), pair[1]
    except (TypeError, ValueError) as error:  # rows of unequal length, a tensor on another device
        raise NotAudioError(f"<array>: cannot be made an array: {error}") from None
    if array.ndim == 0 and np.ndim(rate) > 0:
        raise NotAudioError("expected (array, rate), got (rate, array): swap the two")
    rate = _check_rate(rate, "sampling rate", "<array>")
    if array.dtype.kind != "f" and array.dtype.str[1:] not in (
        "i1",
        "i2",
        "i4",
        "u1",
    ):  # in either byte order
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
def _open_excerpt(opener: _Opener, excerpt: Excerpt) -> Iterator[_Stream]:
    with opener() as whole:
        first = round(excerpt.start * whole.rate)
        last = None if excerpt.end is None else round(excerpt.end * whole.rate)

        def blocks():
            done = 0
            for block in whole.blocks:
                wanted = block[max(0, first - done) : None if last is None else last - done]
                done += len(block)
                if len(wanted):
                    yield wanted
                if last is not None and done >= last:
                    return
            if done <= first:
                raise AudioError(
                    f"{excerpt}: begins where nothing is; the recording lasts {done / whole.rate:.2f} s"
                )
            stream.missing = whole.missing or (
                "" if last is None else "the file ends before this part of it does"
            )

        stream = _Stream(whole.rate, whole.channels, None, blocks())
        yield stream


@contextmanager
def _open_array(array: np.ndarray, rate: int) -> Iterator[_Stream]:
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

    step = _block_frames(array.shape[1])
    yield _Stream(rate, array.shape[1], len(array), blocks())


def _block_frames(channels: int) -> int:
    return max(1, _BLOCK // max(1, channels))


@contextmanager
def _open_file(file: _File, name: str, watch: Watch) -> Iterator[_Stream]:
    """Open an encoded file by libsndfile or, where that cannot, by FFmpeg's libraries; else say what the file
    is."""
    head = _peek(file, 0, 4096)
    demuxer, what = _container(head)
    if demuxer == "wav":
        file = _plain_wav(file, name, watch)
    sound = _open_sndfile(file)
    if sound is not None:
        with sound:
            # libsndfile takes the length of an MP3 file that does not say it from the bit rate of its first
            # frame, and what stands between the blocks of a VOC file for samples. It finds none in some Ogg
            # files cut short.
            wrong = sound.format == "VOC" or (sound.format == "MP3" and not _mp3_says_length(file))
            if sound.frames > 0 and not (demuxer and wrong):
                yield _sndfile_stream(sound, file, watch)
                return
    if not head:
        raise EmptyAudioError(f"{name}: is empty (zero bytes); expected a sound file")
    if head.startswith(_LFS_POINTER):
        raise PointerFileError(
            f"{name}: is a Git-LFS pointer, not the recording; fetch the recordings themselves with 'git lfs pull'"
        )
    if not demuxer and sound is not None:
        raise EmptyAudioError(f"{name}: holds no samples")
    if not demuxer:
        raise NotAudioError(
            f"{name}: is not a sound file but {what}; expected WAV, FLAC, OGG, MP3, M4A or the like"
        )
    with _open_libav(demuxer, file, name, what, watch) as stream:
        yield stream


@contextmanager
def _opened(file: _File) -> Iterator[BinaryIO]:
    if isinstance(file, io.BytesIO):
        yield io.BytesIO(file.getvalue())  # the same bytes, uncopied, at a place of its own
    else:
        with _readable(file), open(file, "rb") as handle:
            yield handle


def _peek(file: _File, offset: int, size: int) -> bytes:
    with _opened(file) as handle:
        handle.seek(offset)
        return handle.read(size)


# What is odd about a file ----------------------------------------------------------------------------------


def _size(file: _File) -> int:
    if isinstance(file, io.BytesIO):
        return len(file.getbuffer())
    with _readable(file):
        return file.stat().st_size


def _ogg_cut(file: _File) -> str:
    tail = _peek(file, max(0, _size(file) - (1 << 16)), 1 << 16)  # an Ogg page is shorter than 64 KiB
    page = tail[max(0, tail.rfind(b"OggS")) :]
    body = 27 + page[26] if len(page) > 26 else len(page)  # behind the header and the lengths of the segments
    ended = body < len(page) and page[5] & 4 and len(page) >= body + sum(page[27:body])
    return "" if ended else "the file is cut short: its last Ogg page is not whole, or not marked as the last"


def _chunks(file: _File, magic: bytes, first: int, head: str, padded: bool) -> list[tuple[bytes, int, int]]:
    """Name, place and size of each, as the file says; none in a file that begins otherwise."""
    place, chunks, width = first, [], struct.calcsize(head)
    with _opened(file) as handle:
        if handle.read(len(magic)) != magic:
            return []
        end = handle.seek(0, os.SEEK_END)
        while place + width <= end and len(chunks) < _MOST_CHUNKS:
            handle.seek(place)
            kind, size = struct.unpack(
                head, handle.read(width).ljust(width, b"\0")
            )  # it may be cut at this moment
            if size < 0:  # up to the end
                break
            chunks.append((kind, place + width, size))
            place += width + size + (size % 2 if padded else 0)
    return chunks


def _wav_chunks(file: _File) -> list[tuple[bytes, int, int]]:
    return _chunks(file, b"RIFF", 12, "<4sI", padded=True)


def _wav_cut(file: _File) -> str:
    return _cut(
        [chunk for chunk in _wav_chunks(file) if chunk[0] == b"data" and chunk[2] < _LENGTH_UNKNOWN], file
    )


def _caf_cut(file: _File) -> str:
    return _cut(_chunks(file, b"caff", 8, ">4sq", padded=False), file)


def _cut(chunks: list[tuple[bytes, int, int]], file: _File) -> str:
    missing = max((start + size for _, start, size in chunks), default=0) - _size(file)
    return f"the file is cut short: its header promises {missing} more bytes" if missing > 0 else ""


_CUT = {"ogg": _ogg_cut, "wav": _wav_cut, "caf": _caf_cut}  # by demuxer: what FFmpeg does not notice


def _plain_wav(file: _File, name: str, watch: Watch) -> _File:
    """The file itself; or, if its chunks are such that decoders misunderstand it, one that says the same
    plainly.

    They read only one of several chunks of data, take samples for 8 bits where a format of 14 bytes leaves
    out how many they have, and find none where the sizes were never filled in and are zero.
    """
    chunks = _wav_chunks(file)
    formats = [chunk[1:] for chunk in chunks if chunk[0] == b"fmt "]
    data = [chunk[1:] for chunk in chunks if chunk[0] == b"data"]
    if not formats or not data:
        return file
    (start, length), (_, size) = formats[0], data[0]
    unfilled = size == 0 and _peek(file, 4, 4) in (bytes(4), b"\xff" * 4)
    if length != 14 and len(data) == 1 and not unfilled:
        return file
    content = file.getvalue() if isinstance(file, io.BytesIO) else _content(file, name, watch)
    form = content[start : start + length]
    if len(form) < length:  # it changed, or is cut within
        return file
    if length == 14:
        channels, width = struct.unpack_from("<2xH8xH", form)
        form += struct.pack("<H", 8 * width // max(1, channels))
    if unfilled:
        data = [(data[0][0], len(content))]
    samples = b"".join(content[start : start + size] for start, size in data)
    promised = len(samples) if unfilled else min(sum(size for _, size in data), 0xFFFF_FFFF)
    parts = [b"WAVEfmt ", struct.pack("<I", len(form)), form, b"data", struct.pack("<I", promised), samples]
    body = b"".join(parts)
    return io.BytesIO(b"RIFF" + struct.pack("<I", len(body)) + body)


# libsndfile ------------------------------------------------------------------------------------------------


def _open_sndfile(file: _File):
    import soundfile

    source: io.BytesIO | bytes | str
    if isinstance(file, io.BytesIO):
        file.seek(0)
        source = file
    else:  # bytes, since a name need not be text
        source = str(file) if os.name == "nt" else os.fsencode(file)
    try:
        sound = soundfile.SoundFile(source)
    except soundfile.SoundFileError:
        return None
    if sound.format == "RAW" and _container(_peek(file, 0, 4096)) != _UNKNOWN:
        # libsndfile takes whatever is named *.gsm, *.vox, *.au or *.snd for headerless samples.
        sound.close()
        return None
    # Else soundfile seeks after every block to where it is already, which in Opus and FLAC changes what comes
    # next.
    sound.seekable = lambda: False
    return sound


def _sndfile_stream(sound, file: _File, watch: Watch) -> _Stream:
    import soundfile

    # A FLAC file made by a program that could not seek does not say its length; libsndfile then gives the
    # largest.
    frames = sound.frames if sound.frames < 1 << 62 else None
    # A WAV file that holds MP3 counts the silence that its encoder puts first, which decoders leave out.
    delay = _MP3_FRAME if (sound.format, sound.subtype) == ("WAV", "MPEG_LAYER_III") else 0

    def blocks():
        size = _block_frames(sound.channels)
        shape = (size if frames is None else min(size, frames), sound.channels)
        # NumPy makes floats of 16-bit samples three times as fast as libsndfile; but where these are
        # compressed and may be damaged, only floats can tell how much was decoded.
        integers = sound.subtype == "PCM_16" and sound.format != "FLAC"
        buffer = np.empty(shape, np.int16 if integers else np.float32)
        done, broken = 0, False
        while done != frames and not broken:
            watch()
            if not integers:
                buffer.fill(np.nan)
            try:
                block = sound.read(out=buffer)
            except soundfile.SoundFileError:
                # Damage, or the file ends here: what was decoded before is no longer NaN.
                block, broken = buffer[: 0 if integers else int(np.isfinite(buffer[:, -1]).sum())], True
            if len(block) == 0:
                break
            done += len(block)
            yield block.astype(np.float32) / (1 << 15) if integers else block
        if frames is not None and done < frames - delay:
            stream.missing = f"the file is cut short: its header promises {frames / sound.samplerate:.2f} s"
        else:
            stream.missing = _missing_data(sound, file)

    stream = _Stream(sound.samplerate, sound.channels, frames, blocks())
    return stream


_MP3_FRAME = 1152  # samples
_SHORT_DATA = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be \d+\)"  # WAV, AIFF, AU, W64
    r"|does not match value from 'ds64' chunk of (\d+)",  # RF64
    re.MULTILINE,
)
_LENGTH_UNKNOWN = 0x7FFF_0000  # recorders that cannot seek leave zero in the header, or a size from here on


def _missing_data(sound, file: _File) -> str:
    """How the file falls short of its header, as far as libsndfile's log and the container tell."""
    if sound.format == "OGG":
        return _ogg_cut(file)
    found = _SHORT_DATA.search(sound.extra_info)
    if not found:
        return ""
    if found[2]:
        return f"the file is cut short: its header promises {int(found[2]) / sound.samplerate:.2f} s"
    promised = int(found[1])
    return (
        f"the file is cut short: its header promises {promised} bytes"
        if 0 < promised < _LENGTH_UNKNOWN
        else ""
    )


def _mp3_says_length(file: _File) -> bool:
    """Whether the first frame is the kind that holds the number of frames (Xing, Info or VBRI)."""
    head = _peek(file, 0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    first_frame = _peek(file, start, 512)
    return any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI"))


# FFmpeg's libraries ----------------------------------------------------------------------------------------

_LFS_POINTER = b"version https://git-lfs.github.com/spec/"

# What a file begins with (offset, bytes), FFmpeg's demuxer for it, and what to call it. The demuxer is always
# named, since FFmpeg might otherwise take a file for a play list and open what that points to.
_CONTAINERS: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ftyp", "mov", "an MP4, M4A or 3GP file"),
    (4, b"moov", "mov", "a QuickTime file"),
    (4, b"mdat", "mov", "a QuickTime file"),
    (0, b"\x1a\x45\xdf\xa3", "matroska", "a WebM or Matroska file"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "asf", "a WMA file"),
    (8, b"AVI ", "avi", "an AVI file"),
    (8, b"WAVE", "wav", "a WAV file"),
    (0, b"riff\x2e\x91\xcf\x11", "w64", "a Wave64 file"),
    (8, b"AIFF", "aiff", "an AIFF file"),
    (8, b"AIFC", "aiff", "an AIFF file"),
    (0, b".snd", "au", "an AU file"),
    (0, b"caff", "caf", "a CAF file"),
    (0, b"fLaC", "flac", "a FLAC file"),
    (0, b"OggS", "ogg", "an Ogg file"),
    (0, b"ID3", "mp3", "an MP3 file"),
    (0, b"#!AMR", "amr", "an AMR file"),
    (0, b"FLV", "flv", "an FLV file"),
    (0, b"wvpk", "wv", "a WavPack file"),
    (0, b"MAC ", "ape", "a Monkey's Audio file"),
    (0, b"TTA1", "tta", "a True Audio file"),
    (0, b"\x0b\x77", "ac3", "an AC-3 file"),
    (0, b"\x7f\xfe\x80\x01", "dts", "a DTS file"),
    (4, b"\xf8\x72\x6f\xba", "truehd", "a TrueHD file"),
    (0, b"\0\0\1\xba", "mpeg", "an MPEG file"),
    (0, b"Creative Voice File\x1a", "voc", "a VOC file"),
    (0, b".SoX", "sox", "a SoX file"),
    (0, b".RMF", "rm", "a RealMedia file"),
    (0, b"\x06\x0e\x2b\x34", "mxf", "an MXF file"),
)
_UNKNOWN = "", "something unknown"


def _container(head: bytes) -> tuple[str, str]:
    """FFmpeg's demuxer for a file that begins so (empty if it is no sound), and what to call the file."""
    for offset, magic, demuxer, what in _CONTAINERS:
        if head[offset : offset + len(magic)] == magic:
            return demuxer, what
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # MPEG frame; layer 0 is AAC
        return ("aac", "an AAC file") if head[1] & 0xF6 == 0xF0 else ("mp3", "an MP3 file")
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")):
        return "", "a picture"
    if head.startswith(b"PK\x03\x04"):
        return "", "a ZIP archive"
    if head[:565:188] == b"GGGG":  # each packet of 188 bytes begins so
        return "mpegts", "an MPEG transport stream"
    text = b"\0" not in head and all(byte >= 32 or byte in b"\t\n\r\f" for byte in head)
    return ("", "text") if text else _UNKNOWN


@contextmanager
def _open_libav(demuxer: str, file: _File, name: str, what: str, watch: Watch) -> Iterator[_Stream]:
    """Decode in a process of its own, which can be limited and ended: see :mod:`ser_kit.audio.decoder`."""
    command = [sys.executable, "-P", decoder.__file__, demuxer]
    # It finds PyAV where this process does, by a path set by hand in a notebook too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    with _as_handle(file) as handle, ThreadPoolExecutor(1) as reader:
        process = subprocess.Popen(
            command, stdin=handle, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,  # Ctrl-C is for this process, which ends the other itself
        )  # fmt: skip

        def read(size: int) -> bytes:
            data = reader.submit(process.stdout.read, size)
            while not data.done():
                watch()
                wait([data], _WATCHED_EVERY)
            return data.result()

        def outcome(decoded: bool) -> str:
            """Why something is missing, or an empty string."""
            status = process.wait()
            looks = f"{name}: looks like {what}, but"
            if status == decoder.NO_SOUND:
                raise NotAudioError(f"{name}: is {what} without any sound in it")
            if status in (decoder.TOO_LARGE, _KILLED):
                raise AudioError(
                    f"{looks} takes more memory than decoding may ({decoder.MEMORY >> 20} MiB){instead}"
                )
            if status == _OUT_OF_TIME:
                raise AudioError(
                    f"{looks} takes longer than decoding may ({decoder.SECONDS} s of work, or {decoder.IDLE_SECONDS} s "
                    f"without any sound){instead}"
                )
            if status == 1:  # as Python ends that cannot import something
                raise AudioError(
                    f"{looks} PyAV, which should decode it, does not work here; see python -c 'import av'"
                )
            if status == decoder.EMPTY:
                raise EmptyAudioError(f"{name}: holds no samples")
            if not decoded:
                raise NotAudioError(
                    f"{looks} neither libsndfile nor FFmpeg can decode it; it may be damaged or incomplete"
                )
            return (
                ""
                if status == decoder.WHOLE
                else "the file is cut short or damaged: not all of it could be decoded"
            )

        def blocks():
            width = 4 * channels
            while data := read(_block_frames(channels) * width):
                yield np.frombuffer(data[: len(data) // width * width], "<f4").reshape(-1, channels)
            missing = outcome(decoded=True)
            stream.missing = missing or (_CUT[demuxer](file) if demuxer in _CUT else "")

        instead = "; save it as a WAV or FLAC file"
        try:
            header = read(8)
            if len(header) < 8:
                outcome(decoded=False)
            rate, channels = struct.unpack("<II", header)
            stream = _Stream(rate, channels, None, blocks())
            yield stream
        finally:
            process.kill()
            reader.shutdown()
            process.stdout.close()
            process.wait()


@contextmanager
def _as_handle(file: _File) -> Iterator[BinaryIO]:
    """A file as another process can read and seek in it."""
    if isinstance(file, Path):
        with _readable(file):
            handle = open(file, "rb")  # noqa: SIM115 - it is closed below
    else:
        handle = tempfile.TemporaryFile()  # noqa: SIM115
        handle.write(file.getbuffer())
        handle.seek(0)
    with handle:
        yield handle


# From blocks to a recording --------------------------------------------------------------------------------


@dataclass
class _Decoded:
    samples: np.ndarray  # at the rate asked for
    native_rate: int
    channels: int
    seconds: float
    peak: float  # of the mono samples at the native rate
    missing: str


def _decode(opener: _Opener, name: str, rate: int | None, channel: int | None = None) -> _Decoded:
    """Take one channel, or the mean of all, from every block, resample and join; the only way to samples."""
    with opener() as stream:
        native_rate, channels = _check_rate(stream.rate, "sampling rate", name), stream.channels
        seconds = min(
            MAX_SECONDS, MAX_SAMPLES / (rate or native_rate), _MOST_DECODED / (native_rate * channels)
        )
        too_long = AudioError(
            f"{name}: is longer than {seconds / 3600:.3g} hours, the most that is read of {channels} channels at "
            f"{native_rate} Hz{f' for {rate} Hz' if rate else ''}; cut it into parts"
        )
        longest = seconds * native_rate
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
            peak = max(peak, _loudest(mono, name))
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
        return _decode(opener, name, rate, channel=int(peaks.argmax()))
    samples = np.frombuffer(joined, np.float32)
    samples.flags.writeable = False
    return _Decoded(samples, native_rate, channels, frames / native_rate, peak, missing)


def _loudest(samples: np.ndarray, name: str) -> float:
    """Largest magnitude, once it is known to be a reasonable number."""
    peak = _peak(samples)
    if not peak < _LOUDEST:  # so that NaN is caught too
        raise InvalidSamplesError(
            f"{name}: holds NaN, infinite or absurdly large samples; expected finite numbers, full scale 1"
        )
    return peak


def _peak(samples: np.ndarray) -> float:
    """Largest magnitude; NaN if there is any."""
    return max(float(samples.max()), -float(samples.min()))
