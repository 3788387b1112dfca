"""Sound files as streams of samples, decoded by libsndfile or by FFmpeg's libraries.

libsndfile reads WAV, AIFF, AU, CAF, W64, RF64, FLAC, Ogg (Vorbis, Opus), MP3 and more. M4A, AAC, MP4, WebM,
3GP, AMR, WMA, AC-3 and whatever else it refuses are read by :mod:`ser_kit.audio.ffmpeg`, in a process of its
own.
"""

from __future__ import annotations

import io
import os
import re
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import numpy as np

from ..core.errors import AudioError, EmptyAudioError, NotAudioError, PointerFileError
from . import containers, ffmpeg
from .blocks import Stream, block_frames
from .files import WATCHED_EVERY, File, Watch, as_handle, peek

_MP3_FRAME = 1152  # samples
_SHORT_DATA = re.compile(
    r"^\s*(?:data|SSND|Data Size|riff)\s*: (\d+) \(should be \d+\)"  # WAV, AIFF, AU, W64
    r"|does not match value from 'ds64' chunk of (\d+)",  # RF64
    re.MULTILINE,
)
_OUT_OF_TIME, _KILLED = -getattr(signal, "SIGXCPU", 0), -getattr(signal, "SIGKILL", 0)  # exit statuses


@contextmanager
def open_file(file: File, name: str, watch: Watch) -> Iterator[Stream]:
    """Open an encoded file by libsndfile or, where that cannot, by FFmpeg's libraries.

    Raises:
        AudioError: neither can read it; the message says what the file is.
    """
    head = peek(file, 0, 4096)
    demuxer, what = containers.container(head)
    if demuxer == "wav":
        file = containers.plain_wav(file, name, watch)
    sound = _open_sndfile(file)
    if sound is not None:
        with sound:
            # libsndfile takes the length of an MP3 file that does not say it from the bit rate of its first
            # frame, and what stands between the blocks of a VOC file for samples. It finds none in some Ogg
            # files cut short.
            wrong = sound.format == "VOC" or (sound.format == "MP3" and not containers.mp3_says_length(file))
            if sound.frames > 0 and not (demuxer and wrong):
                yield _sndfile_stream(sound, file, watch)
                return
    if not head:
        raise EmptyAudioError(f"{name}: is empty (zero bytes); expected a sound file")
    if head.startswith(containers.LFS_POINTER):
        raise PointerFileError(
            f"{name}: is a Git-LFS pointer, not the recording; "
            "fetch the recordings themselves with 'git lfs pull'"
        )
    if not demuxer and sound is not None:
        raise EmptyAudioError(f"{name}: holds no samples")
    if not demuxer:
        raise NotAudioError(
            f"{name}: is not a sound file but {what}; expected WAV, FLAC, OGG, MP3, M4A or the like"
        )
    with _open_libav(demuxer, file, name, what, watch) as stream:
        yield stream


def _open_sndfile(file: File):
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
    if sound.format == "RAW" and containers.container(peek(file, 0, 4096)) != containers.UNKNOWN:
        # libsndfile takes whatever is named *.gsm, *.vox, *.au or *.snd for headerless samples.
        sound.close()
        return None
    # Else soundfile seeks after every block to where it is, which in Opus and FLAC changes what comes next.
    sound.seekable = lambda: False
    return sound


def _sndfile_stream(sound, file: File, watch: Watch) -> Stream:
    import soundfile

    # For a FLAC file that does not say its length libsndfile gives the largest number.
    frames = sound.frames if sound.frames < 1 << 62 else None
    # A WAV file that holds MP3 counts the silence that its encoder puts first, which decoders leave out.
    delay = _MP3_FRAME if (sound.format, sound.subtype) == ("WAV", "MPEG_LAYER_III") else 0

    def blocks():
        size = block_frames(sound.channels)
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

    stream = Stream(sound.samplerate, sound.channels, frames, blocks())
    return stream


def _missing_data(sound, file: File) -> str:
    """How the file falls short of its header, as far as libsndfile's log and the container tell."""
    if sound.format == "OGG":
        return containers.ogg_cut(file)
    found = _SHORT_DATA.search(sound.extra_info)
    if not found:
        return ""
    if found[2]:
        return f"the file is cut short: its header promises {int(found[2]) / sound.samplerate:.2f} s"
    promised = int(found[1])
    if not 0 < promised < containers.LENGTH_UNKNOWN:
        return ""
    return f"the file is cut short: its header promises {promised} bytes"


@contextmanager
def _open_libav(demuxer: str, file: File, name: str, what: str, watch: Watch) -> Iterator[Stream]:
    """Decode in a process of its own, which can be limited and ended: see :mod:`ser_kit.audio.ffmpeg`."""
    command = [sys.executable, "-P", ffmpeg.__file__, demuxer]
    # It finds PyAV where this process does, by a path set by hand in a notebook too.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry or os.getcwd() for entry in sys.path)}
    with as_handle(file) as handle, ThreadPoolExecutor(1) as reader:
        process = subprocess.Popen(
            command, stdin=handle, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            start_new_session=True,  # Ctrl-C is for this process, which ends the other itself
        )  # fmt: skip

        def read(size: int) -> bytes:
            data = reader.submit(process.stdout.read, size)
            while not data.done():
                watch()
                wait([data], WATCHED_EVERY)
            return data.result()

        def blocks():
            width = 4 * channels
            while data := read(block_frames(channels) * width):
                yield np.frombuffer(data[: len(data) // width * width], "<f4").reshape(-1, channels)
            _check_ending(process.wait(), name, what)
            if process.returncode != ffmpeg.WHOLE:
                stream.missing = "the file is cut short or damaged: not all of it could be decoded"
            elif demuxer in containers.CUT:
                stream.missing = containers.CUT[demuxer](file)

        try:
            header = read(8)
            if len(header) < 8:
                _check_ending(process.wait(), name, what)
                raise NotAudioError(
                    f"{name}: looks like {what}, but neither libsndfile nor FFmpeg can decode it; it may be "
                    "damaged or incomplete"
                )
            rate, channels = struct.unpack("<II", header)
            stream = Stream(rate, channels, None, blocks())
            yield stream
        finally:
            process.kill()
            reader.shutdown()
            process.stdout.close()
            process.wait()


def _check_ending(status: int, name: str, what: str) -> None:
    """Raise the error that an exit status of the decoding process stands for, if it stands for one."""
    looks, instead = f"{name}: looks like {what}, but", "; save it as a WAV or FLAC file"
    if status == ffmpeg.NO_SOUND:
        raise NotAudioError(f"{name}: is {what} without any sound in it")
    if status in (ffmpeg.TOO_LARGE, _KILLED):
        raise AudioError(f"{looks} takes more memory than decoding may ({ffmpeg.MEMORY >> 20} MiB){instead}")
    if status == _OUT_OF_TIME:
        raise AudioError(
            f"{looks} takes longer than decoding may ({ffmpeg.SECONDS} s of work, or {ffmpeg.IDLE_SECONDS} s "
            f"without any sound){instead}"
        )
    if status == 1:  # as Python ends that cannot import something
        raise AudioError(
            f"{looks} PyAV, which should decode it, does not work here; see python -c 'import av'"
        )
    if status == ffmpeg.EMPTY:
        raise EmptyAudioError(f"{name}: holds no samples")
