"""What the first bytes and the headers of a sound file tell: its format, and whether it is cut short."""

from __future__ import annotations

import io
import os
import struct

from .files import File, Watch, contents, opened, peek, size_of

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""What a Git-LFS pointer begins with."""

LENGTH_UNKNOWN = 0x7FFF_0000
"""Recorders that cannot seek leave zero in the header, or a size from here on."""

UNKNOWN = "", "something unknown"
"""Demuxer and name of what is not recognised."""

_MOST_CHUNKS = 1000  # of a WAV file that are looked at

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


def container(head: bytes) -> tuple[str, str]:
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
    return ("", "text") if text else UNKNOWN


def mp3_says_length(file: File) -> bool:
    """Whether the first frame is the kind that holds the number of frames (Xing, Info or VBRI)."""
    head = peek(file, 0, 10)
    start = 0
    if head[:3] == b"ID3" and len(head) == 10:
        start = 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9])
    first_frame = peek(file, start, 512)
    return any(tag in first_frame for tag in (b"Xing", b"Info", b"VBRI"))


def ogg_cut(file: File) -> str:
    """How an Ogg file shows that it is cut short; empty where it does not."""
    tail = peek(file, max(0, size_of(file) - (1 << 16)), 1 << 16)  # an Ogg page is shorter than 64 KiB
    page = tail[max(0, tail.rfind(b"OggS")) :]
    body = 27 + page[26] if len(page) > 26 else len(page)  # behind the header and the lengths of the segments
    ended = body < len(page) and page[5] & 4 and len(page) >= body + sum(page[27:body])
    return "" if ended else "the file is cut short: its last Ogg page is not whole, or not marked as the last"


def _chunks(file: File, magic: bytes, first: int, head: str, padded: bool) -> list[tuple[bytes, int, int]]:
    """Name, place and size of each, as the file says; none in a file that begins otherwise."""
    place, chunks, width = first, [], struct.calcsize(head)
    with opened(file) as handle:
        if handle.read(len(magic)) != magic:
            return []
        end = handle.seek(0, os.SEEK_END)
        while place + width <= end and len(chunks) < _MOST_CHUNKS:
            handle.seek(place)
            header = handle.read(width).ljust(width, b"\0")  # the file may be cut at this moment
            kind, size = struct.unpack(head, header)
            if size < 0:  # up to the end
                break
            chunks.append((kind, place + width, size))
            place += width + size + (size % 2 if padded else 0)
    return chunks


def _wav_chunks(file: File) -> list[tuple[bytes, int, int]]:
    return _chunks(file, b"RIFF", 12, "<4sI", padded=True)


def _wav_cut(file: File) -> str:
    return _cut([each for each in _wav_chunks(file) if each[0] == b"data" and each[2] < LENGTH_UNKNOWN], file)


def _caf_cut(file: File) -> str:
    return _cut(_chunks(file, b"caff", 8, ">4sq", padded=False), file)


def _cut(chunks: list[tuple[bytes, int, int]], file: File) -> str:
    missing = max((start + size for _, start, size in chunks), default=0) - size_of(file)
    return f"the file is cut short: its header promises {missing} more bytes" if missing > 0 else ""


CUT = {"ogg": ogg_cut, "wav": _wav_cut, "caf": _caf_cut}
"""By demuxer: how a file that is cut short shows it where FFmpeg does not notice."""


def plain_wav(file: File, name: str, watch: Watch) -> File:
    """A WAV file as all decoders understand it: the file itself, or a repaired copy in memory.

    Decoders read only one of several chunks of data, take samples for 8 bits where a format of 14 bytes
    leaves out how many they have, and find none where the sizes were never filled in and are zero.
    """
    chunks = _wav_chunks(file)
    formats = [chunk[1:] for chunk in chunks if chunk[0] == b"fmt "]
    data = [chunk[1:] for chunk in chunks if chunk[0] == b"data"]
    if not formats or not data:
        return file
    (start, length), (_, size) = formats[0], data[0]
    unfilled = size == 0 and peek(file, 4, 4) in (bytes(4), b"\xff" * 4)
    if length != 14 and len(data) == 1 and not unfilled:
        return file
    content = file.getvalue() if isinstance(file, io.BytesIO) else contents(file, name, watch)
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
