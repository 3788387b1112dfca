"""What FFmpeg's libraries (PyAV) decode, in a process of its own that does one recording and ends.

:mod:`ser_kit.audio.decode` runs this file, with a recording as standard input, for what libsndfile does not
read. A stranger's file can make C code take all memory, loop or crash; here that ends a process that holds
nothing, reads and writes no other file, and has limits that the system enforces. Nothing but PyAV is
imported, which takes a tenth of a second.

Standard output begins with the rate and the number of channels (two little-endian 32-bit numbers), and
interleaved float32 samples follow; the exit status says how it ended. The limits need the module
``resource``, which Windows lacks; macOS does not enforce the one on memory.
"""

from __future__ import annotations

import logging
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

try:
    import resource
except ImportError:
    resource = None

WHOLE, CUT, NO_SOUND, EMPTY, UNREADABLE, TOO_LARGE = 0, 10, 11, 12, 13, 14
"""Exit statuses: all was decoded; not all of it; there is no sound in it; there is, but of no length; nothing
can be decoded; it takes too much memory. What takes too much time is ended by a signal."""

MEMORY = 512 << 20
"""Bytes of address space, of which Python and FFmpeg take 130 MB."""

SECONDS, IDLE_SECONDS = 120, 10
"""Of work, all in all and without any sound; three hours of AAC take some 15."""

_BARREN = 1000  # packets in a row that give no sound, after which no more are tried: 20 s or so of damage
_BUFFER = 1 << 16  # bytes written at a time

# By duration, since these say how long they are, and when they are cut short FFmpeg does not always notice.
_SAY_LENGTH = {"mov", "matroska", "asf", "avi", "wav", "w64", "aiff", "flv", "ape", "tta", "wv"}
_PADDING = 0.25  # s that a header may promise too much
_DAMAGE = ("partial file", "ended prematurely", "exhausted", "truncat", "invalid data")
_SMALL_DAMAGE = "packet corrupt"  # only a warning of FFmpeg's


class _Log(logging.Handler):
    """Looks for signs of damage in FFmpeg's messages, and keeps none of them.

    Args:
        demuxer: in CAF, the last packet of a file of unknown length counts as corrupt, which means nothing.
    """

    def __init__(self, demuxer: str):
        super().__init__()
        self.damage, self._small = False, () if demuxer == "caf" else (_SMALL_DAMAGE,)

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().lower()
        words = self._small if record.levelno < logging.ERROR else (*_DAMAGE, *self._small)
        self.damage = self.damage or any(each in text for each in words)


def main(demuxer: str) -> int:
    """Decode standard input to standard output; returns the exit status.

    Args:
        demuxer: FFmpeg's name of the format.
    """
    import av

    log = _Log(demuxer)
    logger = logging.getLogger("libav")
    logger.addHandler(log)
    logger.propagate = False
    av.logging.set_level(av.logging.WARNING)
    written = False
    try:
        # Each audio decoder, so that nothing decodes the pictures of a film only to know their size.
        decoders = ",".join(name for name in av.codecs_available if _decodes_sound(name))
        # From version 19 on, PyAV takes names of songs in any encoding without being asked to.
        odd_names = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
        _limit()
        with av.open(
            sys.stdin.buffer,
            format=demuxer,
            io_open=_refuse,
            container_options={
                "protocol_whitelist": "none",
                "format_whitelist": demuxer,
                "codec_whitelist": decoders,
            },
            **odd_names,
        ) as container:
            if not container.streams.audio:
                return NO_SOUND
            with open(1, "wb", buffering=_BUFFER, closefd=False) as out:
                for piece in _decoded(container, log):
                    out.write(piece)
                    written = True
                    _work_on()
    except MemoryError:
        return TOO_LARGE
    except BrokenPipeError:  # nobody reads on
        return WHOLE
    except Exception:  # noqa: BLE001 - whatever PyAV makes of damage
        log.damage = True
    if not written:
        return UNREADABLE if log.damage else EMPTY
    return CUT if log.damage else WHOLE


def _decoded(container, log: _Log) -> Iterator[bytes]:
    """Rate and channels, then the samples of the first sound in a container."""
    import av

    stream = container.streams.audio[0]
    stream.codec_context.thread_count = 1
    resampler, source, rate, channels, samples, barren = None, None, 0, 0, 0, 0
    for packet in _packets(container, stream, log):
        try:
            frames = packet.decode()
        except MemoryError:
            raise
        except av.error.FFmpegError:
            log.damage, frames = True, []
        barren = 0 if frames else barren + 1
        if barren == _BARREN:
            log.damage = True
            return
        for frame in frames:
            if not rate:
                rate, layout, channels = frame.sample_rate, frame.layout.name, len(frame.layout.channels)
                yield struct.pack("<II", rate, channels)
            # The rate and the channels of some formats change on the way.
            if source != (source := (frame.format.name, frame.layout.name, frame.sample_rate)):
                resampler = av.AudioResampler("flt", layout, rate)
            for packed in resampler.resample(frame):
                samples += packed.samples
                yield bytes(packed.planes[0])[: 4 * channels * packed.samples]
    if not rate:
        log.damage = log.damage or bool(stream.duration or stream.frames)
    elif container.format.name.split(",")[0] in _SAY_LENGTH:
        alone = not container.streams.video
        promised = _seconds(stream.duration, stream.time_base)
        promised = promised or (_seconds(container.duration, 1 / av.time_base) if alone else 0)
        log.damage = log.damage or samples / rate < promised - _PADDING


def _packets(container, stream, log: _Log) -> Iterator:
    import av

    try:
        yield from container.demux(stream)
    except MemoryError:
        raise
    except av.error.FFmpegError:
        log.damage = True


def _seconds(duration, unit) -> float:
    return float(duration * unit) if duration else 0.0


def _decodes_sound(name: str) -> bool:
    import av

    try:
        return av.Codec(name, "r").type == "audio"
    except ValueError:  # it only encodes
        return False


def _refuse(*_) -> None:
    raise PermissionError("a recording may not open other files")


def _limit() -> None:
    """From here on: so much memory, so much time, no file written."""
    if resource is None:
        return
    for kind, limit in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_CORE, 0)):
        with suppress(ValueError, OSError):  # beyond a limit that is there already
            resource.setrlimit(kind, (limit, limit))
    _work_on()


def _work_on() -> None:
    """Some seconds more, since there was sound."""
    if resource is not None:
        with suppress(ValueError, OSError):
            soon = min(SECONDS, int(time.process_time()) + IDLE_SECONDS)
            resource.setrlimit(resource.RLIMIT_CPU, (soon, SECONDS + 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
