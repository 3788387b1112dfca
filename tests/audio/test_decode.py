"""Formats: whatever a recording is stored in gives the same samples."""

from __future__ import annotations

import io
import struct
import warnings

import coded
import numpy as np
import pytest
from waves import FORMAT, PCM, WAV, babble, chunk, encode, riff, spectrum, tone

from ser_kit.audio import load_audio, read_audio
from ser_kit.core.errors import (
    TruncatedAudioWarning,
)

STEP = {"PCM_U8": 2**-7, "PCM_S8": 2**-7, "PCM_16": 2**-15, "PCM_24": 2**-23, "PCM_32": 2**-23}
STEP |= {"FLOAT": 2**-23, "DOUBLE": 2**-23}
LOSSLESS = [
    ("WAV", ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    ("WAVEX", ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")),
    ("RF64", ("PCM_16", "FLOAT")),
    ("W64", ("PCM_16", "PCM_24")),
    ("AIFF", ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT")),
    ("AU", ("PCM_16", "FLOAT")),
    ("CAF", ("PCM_16", "PCM_24")),
    ("FLAC", ("PCM_S8", "PCM_16", "PCM_24")),
]


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize(("form", "subtype"), [(form, subtype) for form, all_ in LOSSLESS for subtype in all_])
def test_a_tone_comes_back_within_the_quantisation_step(form, subtype, channels):
    expected = tone()
    recording = read_audio(encode(np.tile(expected[:, None], channels), 16_000, form, subtype))
    assert (recording.rate, recording.native_rate, recording.channels) == (16_000, 16_000, channels)
    assert recording.samples.dtype == np.float32 and recording.samples.shape == (16_000,)
    np.testing.assert_allclose(recording.samples, expected, rtol=0, atol=STEP[subtype])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM")],
)
def test_a_tone_survives_lossy_formats(form, subtype, channels):
    recording = read_audio(encode(np.tile(tone()[:, None], channels), 16_000, form, subtype))
    middle = recording.samples[4000:12_000]
    assert spectrum(middle).argmax() == 100 and spectrum(middle).max() == pytest.approx(-6, abs=0.3)
    assert len(recording.samples) == pytest.approx(16_000, abs=1200) and recording.channels == channels


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("m4a", "aac"),
        ("m4a", "aac -movflags +faststart"),
        ("m4a", "alac"),
        ("mp4", "aac"),
        ("3gp", "aac"),
        ("aac", "aac"),
        ("webm", "libopus"),
        ("mkv", "flac"),
        ("wma", "wmav2"),
        ("ac3", "ac3"),
        ("wav", "g722"),
        ("avi", "pcm_s16le"),
        ("-f dash.wv", "wavpack"),
    ],
)
def test_ffmpeg_s_libraries_decode_what_libsndfile_does_not(tmp_path, suffix, codec):
    samples = tone(48_000) if codec == "g722" else np.tile(tone(48_000)[:, None], 2)
    path = coded.encode(tmp_path / f"recording.{suffix}", samples, 48_000, codec)
    recording = read_audio(path, sr=16_000)
    middle = recording.samples[4000:12_000]
    assert spectrum(middle).argmax() == 100 and spectrum(middle).max() == pytest.approx(-6, abs=0.3)
    assert recording.native_rate == 48_000 and recording.duration == pytest.approx(1, abs=0.06)
    with path.open("rb") as file:
        np.testing.assert_array_equal(load_audio(file), recording.samples)


def test_odd_chunks_do_not_disturb():
    odd = [
        (b"FLLR", bytes(4043)),
        (b"bext", bytes(603)),
        (b"LIST", b"INFOISFT\x06\0\0\0Lavf58"),
        (b"_PMX", b"<x/>"),
    ]
    chunks = [chunk(*pair) for pair in odd]
    for content in (
        riff(*chunks[:2], FORMAT, *chunks[2:], chunk(b"data", PCM.tobytes())),
        riff(FORMAT, *chunks, chunk(b"data", PCM.tobytes()), *chunks),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            np.testing.assert_array_equal(read_audio(content).samples, PCM / np.float32(32768))


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
def test_a_header_written_before_the_length_was_known_is_no_truncation(size):
    content = b"RIFF" + struct.pack("<I", size) + b"WAVE" + FORMAT + b"data" + struct.pack("<I", size) + PCM.tobytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(read_audio(content).samples) == 16_000


class Pipe(io.RawIOBase):
    """What a program writes that cannot go back."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


CODECS = {"aiff": "pcm_s16be", "au": "pcm_s16be", "ogg": "libopus", "webm": "libopus"}


@pytest.mark.parametrize("form", ["flac", "aiff", "au", "caf", "ogg", "mp3", "wav", "webm"])
def test_a_file_that_was_piped_out_is_read_whole(form):
    rate = 48_000 if form == "webm" else 16_000
    pipe = Pipe()
    coded.encode(pipe, tone(rate), rate, CODECS.get(form, ""), form=form)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_audio(pipe.content).duration == pytest.approx(1, abs=0.12)


def test_an_mp3_that_does_not_say_its_length_is_read_whole(tmp_path):
    samples = np.concatenate([np.zeros(8000), babble(40_000, 1)[:, 0]])  # begins at another bit rate than it goes on
    path = coded.encode(
        tmp_path / "x.mp3", samples, 16_000, "libmp3lame -flags +qscale -global_quality 472 -write_xing 0"
    )
    assert read_audio(path).duration == pytest.approx(3, abs=0.15)


def test_all_chunks_of_data_are_read_in_order():
    half = PCM.tobytes()[:16_000]
    parts = FORMAT, chunk(b"data", half), chunk(b"LIST", b"INFO"), chunk(b"data", PCM.tobytes()[16_000:])
    np.testing.assert_array_equal(read_audio(riff(*parts)).samples, PCM / np.float32(32768))
    np.testing.assert_array_equal(
        read_audio(riff(FORMAT, chunk(b"data", b""), *parts[1:])).samples, PCM / np.float32(32768)
    )
    with pytest.warns(TruncatedAudioWarning, match="cut short"):
        assert len(read_audio(riff(*parts)[:-1000]).samples) == 15_500


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_a_format_that_leaves_out_the_depth_of_samples_does_not_change_them(bits):
    content = encode(tone(), 16_000, "WAV", "PCM_U8" if bits == 8 else f"PCM_{bits}")
    head = content[:12] + b"fmt " + struct.pack("<I", 14) + content[20:34] + content[36:]
    np.testing.assert_array_equal(read_audio(head).samples, read_audio(content).samples)


def block(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + struct.pack("<I", len(body))[:3] + body


def test_all_blocks_of_a_voc_file_are_read_and_nothing_between_them():
    head = b"Creative Voice File\x1a" + struct.pack("<HHH", 26, 0x10A, 0x1129)
    deep = struct.pack("<IBBHI", 16_000, 16, 1, 4, 0)
    narrow = bytes([256 - 1_000_000 // 8000, 0])
    data, bytes_ = PCM.tobytes(), (PCM // 256 + 128).astype(np.uint8).tobytes()
    files = {
        16_000: [
            [block(9, deep + data)],
            [block(9, deep + data[:16_000]), block(9, deep + data[16_000:])],
            [block(9, deep + data[:16_000]), block(2, data[16_000:])],
        ],
        8000: [[block(1, narrow + bytes_[:5000]), block(5, b"words\0"), block(1, narrow + bytes_[5000:])]],
    }
    for rate, kinds in files.items():
        expected = PCM / np.float32(32768) if rate == 16_000 else (PCM // 256) / np.float32(128)
        for parts in kinds:
            recording = read_audio(head + b"".join(parts) + b"\0")
            assert recording.native_rate == rate
            np.testing.assert_array_equal(recording.samples, expected)


def test_suffixes_mean_nothing(tmp_path):
    for name in ("x.raw", "x.mp3", "x", "x.txt", "höre ☃.wav"):
        (tmp_path / name).write_bytes(WAV)
        assert len(read_audio(tmp_path / name).samples) == 16_000
