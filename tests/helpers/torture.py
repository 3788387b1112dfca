"""Recordings from the wild, made of one clip of speech and a few voices: what comes of each is said beside it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from coded import encode

HOUR = 3600
BOMB_HOURS = 4  # more than is read
RATE = 16_000

ANSWERED = {  # as the clip is, uncertain or not
    "4 kHz": "rate_4000.wav",
    "8 kHz telephone": "rate_8000.wav",
    "11,127 Hz": "rate_11127.wav",
    "384 kHz": "rate_384000.wav",
    "8 bit": "depth_8.wav",
    "24 bit": "depth_24.wav",
    "double precision": "depth_64.wav",
    "A-law": "alaw.wav",
    "IMA ADPCM": "adpcm.wav",
    "GSM": "gsm.wav",
    "stereo": "stereo.wav",
    "stereo, one channel dead": "one_dead.wav",
    "stereo, one channel inverted": "inverted.wav",
    "eight channels, extensible header": "eight.wav",
    "as loud as may be": "loud.wav",
    "60 dB quieter than that": "quiet.wav",
    "DC offset": "offset.wav",
    "clipped": "clipped.wav",
    "chunks of other programs": "chunks.wav",
    "a length that was never filled in": "unfilled.wav",
    "FLAC": "clip.flac",
    "Ogg Vorbis": "clip.ogg",
    "MP3": "clip.mp3",
    "MP3 with a picture of its cover": "cover.mp3",
    "M4A": "clip.m4a",
    "WebM": "clip.webm",
    "Opus at 6 kbit/s": "opus6.opus",
    "film": "film.mp4",
    "babble of six": "babble.wav",
    "GSM without a header": "clip.gsm",
    "0.3 s": "short.wav",
    "an hour": "hour.flac",
    "truncated": "truncated.wav",
    "symbolic link": "link.wav",
}
UNCERTAIN = {"noise": "noise.wav", "music": "music.wav"}
EITHER = {  # an answer or an error
    "silence with a click": "click.wav",
    "bits flipped": "flipped.wav",
    "bits of a FLAC file flipped": "flipped.flac",
    "bits of an MP3 file flipped": "flipped.mp3",
}
REFUSED = {
    "0.02 s": ("too_short.wav", r"lasts 0\.020 s; expected 0\.1 s or more"),
    "silence": ("silence.wav", r"is silent"),
    "infinite samples": ("inf.wav", r"holds NaN, infinite"),
    "samples that are no numbers": ("nan.wav", r"holds NaN, infinite"),
    "samples beyond any scale": ("huge.wav", r"absurdly large"),
    "768 kHz": ("rate_768000.wav", r"the sampling rate is 768000 Hz; expected 4000 to 384000 Hz"),
    "1 Hz": ("rate_1.wav", r"the sampling rate is 1 Hz; expected 4000 to 384000 Hz"),
    "0 Hz": ("rate_0.wav", r"can decode it|the sampling rate is 0 Hz"),
    "no samples": ("no_samples.wav", r"holds no samples|can decode"),
    "truncated within the header": ("header.wav", r"damaged|no samples|not a sound file|can decode"),
    "zero bytes": ("empty.wav", r"is empty"),
    "text": ("text.wav", r"is not a sound file but text"),
    "picture": ("picture.wav", r"is not a sound file but a picture"),
    "FLAC bomb": ("bomb.flac", r"is longer than 3 hours"),
    "FLAC bomb that does not say its length": ("silent_bomb.flac", r"is longer than 3 hours"),
    "days, says the header": ("days.flac", r"is longer than 3 hours"),
    "no such file": ("missing.wav", r"no such file"),
    "folder": ("folder.wav", r"is a directory"),
    "pipe that nobody writes to": ("pipe.wav", r"is empty"),
    "socket": ("socket.wav", r"is a device or a socket"),
    "endless device": ("zero.wav", r"is a device or a socket"),
    "unreadable": ("unreadable.wav", r"cannot be read"),
    "dangling link": ("dangling.wav", r"no such file"),
    "link to itself": ("loop.wav", r"cannot be read"),
}
AS_THE_CLIP = {  # how far a probability may be off
    "24 bit": 1e-4,
    "double precision": 1e-4,
    "stereo": 1e-4,
    "stereo, one channel inverted": 1e-4,
    "eight channels, extensible header": 1e-4,
    "as loud as may be": 0.05,
    "60 dB quieter than that": 0.1,  # where the floor of -100 dB begins to tell
    "chunks of other programs": 1e-4,
    "a length that was never filled in": 1e-4,
    "FLAC": 1e-4,
    "symbolic link": 1e-4,
}
BY_PYAV = {"clip.m4a": "aac", "clip.webm": "libopus", "opus6.opus": "libopus -b:a 6k", "film.mp4": "aac FILM"}
NAMES = {
    "Arabic": "تسجيل صوتي.wav",
    "Hebrew": "הקלטה.wav",
    "Chinese": "录音.wav",
    "Japanese": "ろくおん.wav",
    "Devanagari": "रिकॉर्डिंग.wav",
    "Thai": "บันทึกเสียง.wav",
    "Greek, with marks that combine": "ή\u0323χος.wav",
    "emoji": "🎤👩\u200d🎤.wav",
    "written backwards": "\u202egnidrocer\u202c.wav",
    "a leading dash": "--json.wav",
    "spaces": "  a  recording .wav",
    "a pattern": "[a-z]*?.wav",
    "of the shell": "$HOME;'\"`%s\\.wav",
    "a line break and a bell": "two\nlines\a.wav",
    "as long as may be": "a" * 251 + ".wav",
    "no text": os.fsdecode(b"caf\xe9 \xff.wav"),
}


@dataclass(frozen=True)
class Made:
    """Where the recordings are.

    Args:
        paths: of all, as they are given to the command.
        missing: file names of those that cannot be made here -> why.
    """

    paths: list[str]
    missing: dict[str, str]


def make(clip: Path, voices: Sequence[Path], folder: Path, hour: bool = True) -> Made:
    """Make them all.

    Args:
        clip: speech of a second or two.
        voices: of several speakers.
        folder: an empty one.
        hour: one of speech too, which takes as long to judge as all others together.
    """
    samples, rate = soundfile.read(clip, always_2d=True)
    samples, missing = samples[:, 0], {}

    def write(name: str, samples, rate=rate, **how) -> None:
        soundfile.write(folder / name, samples, rate, **how)

    write("clip.wav", samples)
    for new_rate in (4_000, 8_000, 11_127, 384_000, 768_000):
        write(f"rate_{new_rate}.wav", soxr.resample(samples, rate, new_rate), new_rate)
    for bits, subtype in {8: "PCM_U8", 24: "PCM_24", 64: "DOUBLE"}.items():
        write(f"depth_{bits}.wav", samples, subtype=subtype)
    telephone = soxr.resample(samples, rate, 8000)
    for name, subtype in {"alaw": "ALAW", "adpcm": "IMA_ADPCM", "gsm": "GSM610"}.items():
        write(f"{name}.wav", telephone, 8000, subtype=subtype)
    write("clip.gsm", telephone, 8000, subtype="GSM610", format="RAW")
    write("stereo.wav", np.stack([samples] * 2, axis=1))
    write("one_dead.wav", np.stack([samples, 0 * samples], axis=1))
    write("inverted.wav", np.stack([samples, -samples], axis=1), subtype="FLOAT")
    write("eight.wav", np.stack([samples] * 8, axis=1), format="WAVEX")
    full_scale = samples / np.abs(samples).max()
    write("loud.wav", full_scale, subtype="FLOAT")
    write("quiet.wav", full_scale / 1000, subtype="FLOAT")
    write("offset.wav", 0.9 + 0.1 * samples, subtype="FLOAT")
    write("clipped.wav", np.clip(20 * full_scale, -1, 1))
    for name in ("clip.flac", "clip.ogg", "clip.mp3"):
        write(name, samples)
    middle = len(samples) // 2
    write("short.wav", samples[middle : middle + int(0.3 * rate)])
    write("too_short.wav", samples[middle : middle + int(0.02 * rate)])
    write("silence.wav", np.zeros(2 * rate))
    write("click.wav", 0.8 * (np.arange(2 * rate) == rate))
    for name, value in {"inf": np.inf, "nan": np.nan, "huge": 1e30}.items():
        write(f"{name}.wav", np.where(np.arange(len(samples)) == middle, value, samples), subtype="FLOAT")
    write("noise.wav", 0.1 * np.random.default_rng(0).standard_normal(2 * rate))
    write("music.wav", _music(), RATE)
    spoken = [soundfile.read(voice)[0] for voice in voices]
    shortest = min(map(len, spoken))
    write("babble.wav", np.mean([voice[:shortest] for voice in spoken], axis=0))
    if hour:
        _write_long(folder / "hour.flac", np.concatenate(spoken), rate, HOUR * rate)
    else:
        missing["hour.flac"] = "an hour is made of the synthetic clips"
    _damaged(folder)
    _bombs(folder)
    _no_recordings(folder, missing)
    for name, codec in BY_PYAV.items():
        encode(folder / name, samples, rate, codec)
    for name in NAMES.values():
        try:
            shutil.copyfile(folder / "clip.wav", folder / name)
        except OSError as error:
            missing[name] = f"no such name here: {error.strerror}"
    paths = {folder / "missing.wav", *folder.iterdir()}
    # Walked into: links to what is above must not lead in circles.
    (folder / "walked" / "deeper").mkdir(parents=True)
    (folder / "walked" / "deeper" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "walked" / "deeper" / "walked.wav").symlink_to(folder / "clip.wav")
    os.mkfifo(folder / "walked" / "pipe_that_is_left_out.wav")
    return Made(sorted(map(str, paths - {folder / "walked"})) + [str(folder / "walked")], missing)


def _music() -> np.ndarray:
    """Four seconds of chords and a drum."""
    time = np.arange(4 * RATE) / RATE
    beat = time % 0.5
    roots = 220 * 2 ** (np.array([0, 5, 7, 0])[(time // 1).astype(int)] / 12)
    chord = sum(np.sin(2 * np.pi * ratio * k * roots * time) / k for ratio in (1, 1.26, 1.5) for k in (1, 2, 3))
    drum = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-beat * 30)
    return 0.08 * chord * np.exp(-2 * (time % 1)) + 0.1 * drum


def _write_long(path: Path, samples: np.ndarray, rate: int, frames: int) -> None:
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        while frames > 0:
            file.write(samples[:frames])
            frames -= len(samples)


def _damaged(folder: Path) -> None:
    wav, flac, mp3 = ((folder / f"clip.{suffix}").read_bytes() for suffix in ("wav", "flac", "mp3"))
    (folder / "truncated.wav").write_bytes(wav[: 2 * len(wav) // 3])
    (folder / "header.wav").write_bytes(wav[:30])
    (folder / "no_samples.wav").write_bytes(wav[:40] + bytes(4))
    for rate in (0, 1):
        (folder / f"rate_{rate}.wav").write_bytes(wav[:24] + struct.pack("<I", rate) + wav[28:])
    (folder / "unfilled.wav").write_bytes(wav[:4] + b"\xff" * 4 + wav[8:40] + b"\xff" * 4 + wav[44:])
    junk = b"".join(name + struct.pack("<I", 300) + bytes(300) for name in (b"LIST", b"junk", b"bext", b"\xa9odd"))
    (folder / "chunks.wav").write_bytes(wav[:12] + junk + wav[12:] + junk)
    picture = b"\x89PNG\r\n\x1a\n" + bytes(5000)
    (folder / "picture.wav").write_bytes(picture)
    frame = b"\0image/png\0\x03\0" + picture
    tag = b"APIC" + struct.pack(">I", len(frame)) + bytes(2) + frame
    size = bytes(len(tag) >> shift & 127 for shift in (21, 14, 7, 0))
    (folder / "cover.mp3").write_bytes(b"ID3\x03\0\0" + size + tag + mp3)
    rng = np.random.default_rng(0)
    for suffix, whole in {"wav": wav, "flac": flac, "mp3": mp3}.items():
        damaged = bytearray(whole)
        for place in rng.integers(200, len(whole), 50):
            damaged[place] ^= 1 << rng.integers(8)
        (folder / f"flipped.{suffix}").write_bytes(damaged)


def _bombs(folder: Path) -> None:
    """Hours of silence in some hundred kilobytes; and headers that say otherwise than what follows them."""
    path, rate = folder / "bomb.flac", 4000
    _write_long(path, np.zeros(1 << 18, np.int16), rate, BOMB_HOURS * HOUR * rate)
    whole, clip = path.read_bytes(), (folder / "clip.flac").read_bytes()
    (folder / "silent_bomb.flac").write_bytes(_with_length(whole, 0))
    (folder / "days.flac").write_bytes(_with_length(clip, (1 << 36) - 1))


def _with_length(flac: bytes, frames: int) -> bytes:
    """A FLAC file whose header gives another number of samples; 0 stands for one that is not known."""
    first = flac[21] & 0xF0 | frames >> 32
    return flac[:21] + bytes([first]) + struct.pack(">I", frames & 0xFFFFFFFF) + flac[26:]


def _no_recordings(folder: Path, missing: dict[str, str]) -> None:
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("these are words\n")
    (folder / "folder.wav").mkdir()
    (folder / "link.wav").symlink_to("clip.wav")
    (folder / "dangling.wav").symlink_to("nothing.wav")
    (folder / "loop.wav").symlink_to("loop.wav")
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    try:
        # By a relative name, since those of sockets are short.
        with contextlib.chdir(folder), socket.socket(socket.AF_UNIX) as server:
            server.bind("socket.wav")
    except OSError as error:
        missing["socket.wav"] = str(error)
    if os.geteuid():
        shutil.copyfile(folder / "clip.wav", folder / "unreadable.wav")
        (folder / "unreadable.wav").chmod(0)
    else:  # who may read all there is, but not what is at the address 0
        (folder / "unreadable.wav").symlink_to("/proc/self/mem")
