"""Sound input: every way in gives the same samples, and whatever is no sound is refused in plain words."""

from __future__ import annotations

import io
import itertools
import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import coded
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from waves import (
    FORMAT,
    M4A_HEAD,
    PCM,
    WAV,
    babble,
    calls_until,
    chunk,
    encode,
    read_or_refuse,
    riff,
    spectrum,
    tone,
)

from ser_kit.audio import blocks, decode, files, fingerprint, load_audio, read_audio
from ser_kit.core.errors import (
    AudioError,
    EmptyAudioError,
    InvalidSamplesError,
    NotAudioError,
    PointerFileError,
    SilentAudioWarning,
    TooShortError,
    TruncatedAudioWarning,
)

# Resampling
# ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [4000, 8000, 11_025, 44_100, 96_000, 384_000])
def test_resampling_keeps_the_tone_and_adds_nothing(rate):
    samples = load_audio((tone(rate, 2.0), rate))
    levels = spectrum(samples[4000:-4000])
    frequencies = np.fft.rfftfreq(len(samples) - 8000, 1 / 16_000)
    assert len(samples) == 32_000
    assert frequencies[levels.argmax()] == 200 and levels.max() == pytest.approx(20 * np.log10(0.5), abs=0.01)
    assert levels[np.abs(frequencies - 200) > 20].max() < -90


def test_what_the_new_rate_cannot_hold_does_not_fold_back():
    samples = load_audio((tone(48_000, 2.0, 10_000), 48_000))
    assert 20 * np.log10(np.abs(samples[4000:-4000]).max()) < -90


@pytest.mark.parametrize("rate", [16_000, 22_050, 8000])
def test_resampling_on_the_way_in_is_resampling_afterwards(rate):
    content = encode(babble(50_000), 44_100, "WAV", "PCM_16")
    np.testing.assert_array_equal(load_audio(content, sr=rate), read_audio(content).at(rate))


@pytest.mark.parametrize("rate", [None, 16_000])
@pytest.mark.parametrize("block", [317, 4096, 50_001])
@pytest.mark.parametrize(
    ("form", "subtype"),
    [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None)],
)
def test_the_size_of_the_blocks_does_not_change_the_samples(monkeypatch, form, subtype, block, rate):
    content = encode(babble(), 48_000, form, subtype)
    whole = read_audio(content, sr=rate)
    monkeypatch.setattr(blocks, "BLOCK", block)
    np.testing.assert_array_equal(read_audio(content, sr=rate).samples, whole.samples)


def test_the_size_of_the_blocks_does_not_change_what_ffmpeg_s_libraries_give(monkeypatch, tmp_path):
    path = coded.encode(tmp_path / "x.m4a", babble(), 48_000)
    whole = load_audio(path)
    monkeypatch.setattr(blocks, "BLOCK", 1001)
    np.testing.assert_array_equal(load_audio(path), whole)


def test_a_long_recording_costs_little_more_than_its_result(tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.tile(np.float32(tone(48_000, 1.0))[:, None], (90, 2)), 48_000, subtype="PCM_16")
    load_audio(WAV)  # so that importing is not measured
    tracemalloc.start()
    try:
        samples = load_audio(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(samples) == 90 * 16_000
    assert peak < 1.2 * samples.nbytes + 20 * blocks.BLOCK


# Sources
# -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [None, 16_000])
def test_every_source_gives_the_same_samples(tmp_path, rate):
    stereo = np.round(babble() * 32767).astype(np.int16)
    content = encode(stereo, 44_100, "WAV", "PCM_16")
    path = tmp_path / "clip.wav"
    path.write_bytes(content)
    expected = read_audio(path, sr=rate)
    named = io.BytesIO(content)
    named.name = str(tmp_path / "upload.wav")
    named.seek(100)  # a file object is read from its start, wherever it stands
    sources = [
        str(path), content, bytearray(content), memoryview(content), memoryview(content * 2)[: len(content)], named,
        (stereo, 44_100), (stereo.T, 44_100), (stereo.astype(">i2"), 44_100.0), (stereo / 32768, 44_100),
        (stereo.astype(np.int32) << 16, 44_100), expected, read_audio(path),
    ]  # fmt: skip
    for source in sources:
        recording = read_audio(source, sr=rate)
        np.testing.assert_array_equal(recording.samples, expected.samples)
        assert (recording.rate, recording.native_rate, recording.channels) == (rate or 44_100, 44_100, 2)
    with path.open("rb") as file:
        assert read_audio(file).name == "clip.wav"
        np.testing.assert_array_equal(read_audio(file, sr=rate).samples, expected.samples)  # and again
    assert read_audio(named).name == "upload.wav" and read_audio(content).name == "<bytes>"


def test_integers_are_scaled_by_their_full_scale():
    for dtype, low in ((np.int8, -128), (np.int16, -32768), (np.int32, -(2**31)), (np.uint8, 0)):
        samples = read_audio((np.array([low, 0 if low else 128, low // 2 if low else 64], dtype), 8000)).samples
        np.testing.assert_array_equal(samples, np.float32([-1, 0, -0.5]))


def test_floats_are_neither_clipped_nor_centred():
    wild = np.float32([3.5, -7.25, 0.5, 0.5])
    np.testing.assert_array_equal(read_audio((wild, 8000)).samples, wild)
    np.testing.assert_array_equal(read_audio(encode(wild, 8000, subtype="FLOAT")).samples, wild)


def test_the_callers_array_stays_its_own():
    mine = np.float32(tone())
    recording = read_audio((mine, 16_000))
    before = recording.samples.copy()
    mine[:] = 0
    np.testing.assert_array_equal(recording.samples, before)


def test_read_in_threads_is_read_in_turn():
    contents = [encode(babble(20_000) * gain, 48_000, "FLAC") for gain in (0.2, 0.4, 0.6, 0.8)] * 4
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(load_audio, contents))
    for samples, content in zip(together, contents, strict=True):
        np.testing.assert_array_equal(samples, load_audio(content))


# Mixing
# --------------------------------------------------------------------------------------------------------------


def test_channels_are_averaged():
    left, right = np.float32(tone()), np.float32(tone(frequency=300))
    for form in ("WAV", "WAVEX"):
        content = encode(np.stack([left, right], 1), subtype="FLOAT", form=form)
        np.testing.assert_array_equal(read_audio(content).samples, (left + right) / 2)


def test_a_dead_channel_halves_the_amplitude():
    stereo = np.stack([tone(), np.zeros(16_000)], 1)
    np.testing.assert_allclose(read_audio((stereo, 16_000)).samples, tone() / 2, atol=1e-7)


@pytest.mark.parametrize("form", ["array", "WAV", "FLAC"])
def test_where_channels_cancel_the_loudest_is_taken(form):
    stereo = np.round(np.stack([-0.5 * tone(), tone(), -0.5 * tone()], 1) * 32767).astype(np.int16)
    source = (stereo, 16_000) if form == "array" else encode(stereo, form=form)
    recording = read_audio(source)
    np.testing.assert_array_equal(recording.samples, stereo[:, 1] / np.float32(32768))
    assert recording.channels == 3


# Refusals
# ------------------------------------------------------------------------------------------------------------


def test_a_missing_file_is_also_a_file_not_found_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.wav: no such file") as caught:
        read_audio(tmp_path / "absent.wav")
    assert isinstance(caught.value, AudioError)


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (b"", EmptyAudioError, "zero bytes"),
        (riff(FORMAT, chunk(b"data", b"")), EmptyAudioError, "no samples"),
        (b"Dear all,\nthe recording follows.\n", NotAudioError, "but text"),
        (b"#EXTM3U\n#EXTINF:9,\n/etc/passwd\n", NotAudioError, "but text"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(80), NotAudioError, "but a picture"),
        (b"PK\x03\x04" + bytes(80), NotAudioError, "but a ZIP archive"),
        (bytes(1000), NotAudioError, "something unknown"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
            PointerFileError,
            "git lfs pull",
        ),
        (WAV[:30], NotAudioError, "looks like a WAV file"),
    ],
)
def test_what_is_no_sound_is_refused_by_name(tmp_path, content, error, words):
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    for source, name in ((path, "odd.wav"), (content, "<bytes>"), (io.BytesIO(content), "<file>")):
        with pytest.raises(error, match=words) as caught:
            read_audio(source)
        assert name in str(caught.value)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(NotAudioError, match="is a directory"):
        read_audio(tmp_path)


def test_strange_paths_are_refused(tmp_path):
    for path in ("a\0b.wav", "\ud800.wav", tmp_path / ("x" * 300), ""):
        with pytest.raises(AudioError):
            read_audio(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_read_but_not_waited_for_and_devices_are_refused(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(EmptyAudioError, match="pipe.wav: is empty"):
        read_audio(tmp_path / "pipe.wav")
    with pytest.raises(NotAudioError, match="null: is a device"):
        read_audio("/dev/null")
    (tmp_path / "in.wav").write_bytes(WAV)
    with subprocess.Popen(["cat", tmp_path / "in.wav"], stdout=subprocess.PIPE) as process:
        assert read_audio(f"/dev/fd/{process.stdout.fileno()}").duration == 1
    code = "from ser_kit.audio import read_audio; print(read_audio('/dev/stdin').duration)"
    done = subprocess.run([sys.executable, "-c", code], input=WAV, capture_output=True, check=True)
    assert float(done.stdout) == 1
    monkeypatch.setattr(files, "MOST_CONTENT", 1 << 10)
    (tmp_path / "big.raw").write_bytes(WAV)
    with pytest.raises(AudioError, match="^big.raw: holds more than"):
        read_audio(tmp_path / "big.raw")


@contextmanager
def written(pipe: Path, *pieces: bytes, pause: float = 0.0):
    """A pipe whose writer stays."""
    os.mkfifo(pipe)
    handle, over = os.open(pipe, os.O_RDWR), threading.Event()

    def write():
        for piece in pieces:
            over.wait(pause)
            os.write(handle, piece)
        if not pause:
            over.wait()
        os.close(handle)

    thread = threading.Thread(target=write)
    thread.start()
    yield pipe
    over.set()
    thread.join()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_may_take_its_time_but_not_for_ever(tmp_path, monkeypatch):
    with written(tmp_path / "slow.wav", WAV[:100], WAV[100:], pause=0.2) as pipe:
        assert read_audio(pipe).duration == 1
    with written(tmp_path / "watched.wav", WAV) as pipe, pytest.raises(KeyError):
        read_audio(pipe, watch=calls_until(KeyError, 5))
    for name, constant, value, words in (
        ("silent.wav", "PIPE_SECONDS", 0.2, "is a pipe that gave nothing for 0.2 s"),
        ("endless.wav", "MAX_SECONDS", 0, "is a pipe that .*or does not end; save the sound as a file"),
        ("large.wav", "MOST_CONTENT", 1 << 10, "holds more than .*, which is the most for a pipe"),
    ):
        with (
            written(tmp_path / name, WAV[:4096]) as pipe,
            monkeypatch.context() as patch,
            pytest.raises(AudioError, match=f"^{name}: {words}"),
        ):
            patch.setattr(files, constant, value)
            load_audio(pipe)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_a_name_need_not_be_text_and_fits_on_the_line_of_a_message(tmp_path):
    named = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9\n\x1b[31m.wav")
    Path(named).write_bytes(WAV)
    assert read_audio(named).name == r"caf\udce9\n\x1b[31m.wav"
    with pytest.raises(AudioError, match=r"gone\\n.wav: no such file"):
        read_audio(tmp_path / "gone\n.wav")


@pytest.mark.parametrize("suffix", ["gsm", "vox", "au", "snd"])
def test_no_suffix_makes_sound_of_something_else(tmp_path, suffix):
    for content, what in (b"words\n" * 900, "text"), (b"\x89PNG\r\n\x1a\n" + bytes(900), "a picture"):
        (tmp_path / f"x.{suffix}").write_bytes(content)
        with pytest.raises(NotAudioError, match=f"is not a sound file but {what}"):
            read_audio(tmp_path / f"x.{suffix}")


def test_a_file_that_is_replaced_while_it_is_read_is_told(tmp_path, monkeypatch):
    path = tmp_path / "x.wav"
    path.write_bytes(encode(np.stack([tone(), -1.0005 * tone()], axis=1)))  # channels that cancel are read twice
    opened = decode._open_sndfile

    def then_replaced(file):
        sound = opened(file)
        (tmp_path / "new.wav").write_bytes(WAV)
        os.replace(tmp_path / "new.wav", path)
        return sound

    monkeypatch.setattr(decode, "_open_sndfile", then_replaced)
    with pytest.raises(AudioError, match="changed while it was read"):
        read_audio(path)


def test_a_stream_is_read_but_not_without_end(monkeypatch):
    class Stream(io.RawIOBase):
        def __init__(self, content):
            self.content = content

        def read(self, size=-1):
            return next(self.content, b"")

    assert read_audio(Stream(iter([WAV[:99], WAV[99:]]))).duration == 1
    monkeypatch.setattr(files, "MOST_CONTENT", 1 << 16)
    with pytest.raises(AudioError, match="holds more than"):
        read_audio(Stream(itertools.repeat(WAV)))
    with pytest.raises(NotAudioError, match="binary mode"):
        read_audio(Stream(iter(["text"])))


def test_strange_file_objects_are_refused(tmp_path):
    closed = io.BytesIO(WAV)
    closed.close()
    with pytest.raises(AudioError, match="cannot be read"):
        read_audio(closed)
    with pytest.raises(NotAudioError, match="binary mode"):
        read_audio(io.StringIO("text"))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (None, "NoneType"),
        (5, "'int'"),
        (np.zeros(5), "needs its rate"),
        ((np.zeros(5),), "a tuple of 1"),
        ((16_000, np.zeros(5)), "swap the two"),
        ((np.zeros((2, 2, 2)), 16_000), r"the shape \(2, 2, 2\)"),
        ((np.zeros(5, np.int64), 16_000), "int64 samples have no known scale"),
        ((np.zeros(5, complex), 16_000), "complex128"),
        ((["a", "b"], 16_000), "no known scale"),
        (([[1.0], [1.0, 2.0]], 16_000), "cannot be made an array"),
        ((np.zeros(5), "high"), "'high'"),
        ((np.zeros(5), 16_000.5), "whole number of Hz, not 16000.5"),
        ((np.zeros(5), float("nan")), "whole number of Hz"),
        ((np.zeros(5), 3999), "3999 Hz; expected 4000 to 384000 Hz"),
        ((np.zeros(5), 384_001), "384001 Hz; expected 4000 to 384000 Hz"),
    ],
)
def test_strange_sources_are_refused(source, words):
    with pytest.raises(AudioError, match=words):
        read_audio(source)


@pytest.mark.parametrize("rate", [3999, 500_000])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(AudioError, match=f"<bytes>: the sampling rate is {rate} Hz; expected 4000 to 384000 Hz"):
        read_audio(encode(tone(), rate))
    with pytest.raises(AudioError, match=f"the rate asked for is {rate} Hz"):
        read_audio(WAV, sr=rate)
    with pytest.raises(AudioError, match=f"the rate asked for is {rate} Hz"):
        read_audio(WAV).at(rate)


def test_no_samples_and_too_few():
    for shape in ((0,), (0, 2), (2, 0)):
        with pytest.raises(EmptyAudioError):
            read_audio((np.zeros(shape), 16_000))
    with pytest.raises(TooShortError, match="less than one sample at 4000 Hz"):
        load_audio((np.ones(5), 384_000), sr=4000)
    with pytest.raises(TooShortError):
        read_audio((np.ones(5), 384_000)).at(4000)
    assert len(load_audio((np.ones(1), 16_000))) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("at", [0, 1000, 15_999])
def test_samples_that_are_no_numbers_are_refused(value, at):
    samples = tone()
    samples[at] = value
    stereo = np.stack([tone(), samples], 1)
    for source in ((samples, 16_000), (stereo, 16_000), encode(stereo, subtype="DOUBLE")):
        with pytest.raises(InvalidSamplesError, match="NaN, infinite"):
            load_audio(source, sr=8000)


def test_samples_beyond_the_length_limit_are_refused(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_SECONDS", 1)
    assert read_audio(WAV).duration == 1
    for source in (encode(tone(seconds=1.5), form="FLAC"), (tone(seconds=1.5), 16_000)):
        with pytest.raises(AudioError, match="is longer than .* hours"):
            read_audio(source)


def test_a_result_that_would_fill_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(blocks, "MAX_SAMPLES", 16_000)
    assert len(load_audio(WAV)) == 16_000
    with pytest.raises(AudioError, match="is longer than .* hours.* of 1 channels at 16000 Hz for 48000 Hz"):
        load_audio(WAV, sr=48_000)
    longer = encode(tone(seconds=1.5), form="FLAC")
    assert len(load_audio(longer, sr=8000)) == 12_000
    with pytest.raises(AudioError, match="is longer than"):
        load_audio(longer)


def test_more_channels_than_can_be_decoded_in_a_minute_are_refused(monkeypatch):
    monkeypatch.setattr(blocks, "_MOST_DECODED", 16_000 * 4)
    assert read_audio((np.ones((16_000, 4)), 16_000)).channels == 4
    with pytest.raises(AudioError, match="is longer than .* of 5 channels"):
        read_audio((np.ones((16_000, 5)), 16_000))


def test_a_length_that_no_header_gives_is_limited_too(monkeypatch, tmp_path):
    monkeypatch.setattr(blocks, "MAX_SECONDS", 1)
    path = coded.encode(tmp_path / "x.m4a", tone(seconds=3), 16_000)
    with pytest.raises(AudioError, match="x.m4a: is longer than"):
        read_audio(path)


def test_what_nothing_can_decode_is_refused(tmp_path):
    with pytest.raises(NotAudioError, match="looks like an MP4.*neither libsndfile nor FFmpeg can decode it"):
        read_audio(M4A_HEAD)
    path = coded.encode(tmp_path / "film.mp4", tone(), 16_000, "FILM")
    with pytest.raises(NotAudioError, match="film.mp4: is an MP4.* without any sound in it"):
        read_audio(path)


HEADS = [b"", b"RIFF\xff\0\0\0WAVEfmt ", riff(FORMAT)[:-1], b"FORM", b".snd", b"fLaC", b"OggS", b"\xff\xfb"]


@settings(max_examples=150)
@given(st.sampled_from(HEADS), st.binary(max_size=600))
def test_random_bytes_never_raise_anything_else(head, tail):
    read_or_refuse(head + tail)


@pytest.mark.parametrize("head", [*HEADS[1:], M4A_HEAD[:24], b"\x1a\x45\xdf\xa3", b"ID3\4\0\0\0\0\1\0", b"\xff\xf1"])
def test_random_bytes_never_raise_anything_else_by_ffmpeg_s_libraries(head):
    read_or_refuse(head + np.random.default_rng(len(head)).bytes(3000), processes=True)


# Warnings
# ------------------------------------------------------------------------------------------------------------


def test_silence_warns():
    dither = np.random.default_rng(0).integers(-1, 2, 8000).astype(np.int16)
    for source in ((np.zeros(8000), 8000), (dither, 8000), encode(np.zeros((8000, 2)), 8000, "FLAC")):
        with pytest.warns(SilentAudioWarning, match="the recording is silent"):
            assert len(load_audio(source)) == 16_000


def test_quiet_is_not_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_audio((tone() * 1e-3, 16_000))


TRUNCATED = [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAVEX", "FLOAT"), ("RF64", "PCM_16"), ("W64", "PCM_16")]
TRUNCATED += [("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", None)]


@pytest.mark.parametrize(("form", "subtype"), TRUNCATED)
def test_a_truncated_file_gives_what_is_there_and_warns(tmp_path, form, subtype):
    content = encode(babble(60_000), 16_000, form, subtype)
    whole = read_audio(content).samples
    path = tmp_path / "cut"
    for tenth in range(3 if form == "OGG" else 1, 10):  # the codebooks and the first page take up a quarter
        path.write_bytes(content[: len(content) * tenth // 10])
        with pytest.warns(TruncatedAudioWarning, match=r"cut: the file is cut short.* s were read"):
            samples = read_audio(path).samples
        assert len(samples) == pytest.approx(len(whole) * tenth / 10, abs=12_000 if form == "OGG" else 5000)
        if form not in ("MP3", "OGG"):  # these end with a frame that is completed differently
            np.testing.assert_array_equal(samples, whole[: len(samples)])


CUT_IN_THE_MIDDLE = [
    ("webm", "libopus"), ("m4a", "aac -movflags +faststart"), ("wma", "wmav2"), ("caf", "pcm_s16le"), ("wav", "g722"),
    ("wav", "mp2"), ("avi", "pcm_s16le"), ("flv", "aac"), ("aac", "aac"), ("mka", "flac"), ("w64", "pcm_s16le"),
    ("voc", "pcm_u8"), ("tta", "tta"), ("ogg", "flac"),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "codec"), CUT_IN_THE_MIDDLE)
def test_a_truncated_file_that_ffmpeg_s_libraries_read_warns(tmp_path, suffix, codec):
    path = coded.encode(tmp_path / f"x.{suffix}", babble(192_000, 1), 48_000, codec)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_audio(path).duration == pytest.approx(4, abs=0.2)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(TruncatedAudioWarning, match="cut short"):
        assert 1 < read_audio(path).duration < 2.5


# Recording and fingerprint
# -------------------------------------------------------------------------------------------


def test_a_recording_resamples_once_and_cannot_be_written_to():
    recording = read_audio((tone(48_000), 48_000))
    assert recording.at(48_000) is recording.samples and recording.at(16_000) is recording.at(16_000)
    assert recording.duration == 1 and len(recording.at(16_000)) == 16_000
    for samples in (recording.samples, recording.at(16_000), load_audio(recording)):
        with pytest.raises(ValueError, match="read-only"):
            samples[0] = 1


def test_a_recording_survives_a_pickle():
    recording = read_audio((tone(48_000), 48_000))
    small = len(pickle.dumps(recording))
    recording.at(384_000)
    content = pickle.dumps(recording)
    assert len(content) == small
    again = pickle.loads(content)
    np.testing.assert_array_equal(again.samples, recording.samples)
    assert (again.rate, again.native_rate, again.channels, again.name) == (48_000, 48_000, 1, "<array>")
    assert not again.samples.flags.writeable


def test_a_fingerprint_is_of_the_samples_alone():
    reference = fingerprint(WAV)
    assert len(reference) == 32
    odd = riff(chunk(b"bext", bytes(602)), FORMAT, chunk(b"data", PCM.tobytes()), chunk(b"LIST", b"INFO"))
    for source in (odd, encode(PCM, form="FLAC"), encode(PCM, form="AIFF"), (PCM, 16_000), read_audio(WAV)):
        assert fingerprint(source) == reference
    louder = PCM.copy()
    louder[77] += 1
    others = [(louder, 16_000), (PCM, 8000), (PCM[1:], 16_000)]
    assert len({reference, *map(fingerprint, others)}) == 4


def test_a_resampled_recording_has_no_fingerprint():
    with pytest.raises(AudioError, match="resampled from 16000 to 8000 Hz"):
        fingerprint(read_audio(WAV, sr=8000))


def test_importing_audio_does_not_import_the_decoders():
    code = "import sys, ser_kit.audio; print(sorted({'soundfile', 'soxr', 'librosa', 'tensorflow'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert result.stdout.strip() == "[]"


# Real recordings
# -----------------------------------------------------------------------------------------------------


@pytest.mark.realdata
def test_originals_with_odd_chunks_equal_their_unpacked_copies(real_data):
    originals = sorted((real_data / "originals").rglob("*.wav"))
    if not originals:
        pytest.skip("no originals/ beside the real recordings")
    compared = 0
    for path in originals:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            recording = read_audio(path)
        assert recording.rate == 48_000 and 2 < recording.duration < 6
        copy = real_data / "ravdess-emotional-speech-audio" / path.parent.name / path.name
        if copy.is_file():
            assert fingerprint(copy) == fingerprint(path)
            assert read_audio(copy).channels == recording.channels
            compared += 1
    assert compared or not (real_data / "ravdess-emotional-speech-audio").is_dir()
