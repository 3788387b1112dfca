"""Sounds made in tests, as arrays and as files."""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile

from ser_kit.audio import decode, load_audio
from ser_kit.core.errors import (
    AudioError,
    NotAudioError,
)


def tone(rate: int = 16_000, seconds: float = 1.0, frequency: float = 200.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def babble(frames: int = 30_000, channels: int = 2) -> np.ndarray:
    """Noise of changing level: compresses badly, so that files of it have many blocks and pages."""
    generator = np.random.default_rng(7)
    level = 0.2 + 0.1 * np.sin(np.arange(frames) / 3000)
    return np.clip(generator.normal(size=(frames, channels)) * level[:, None], -0.99, 0.99)


def encode(samples: np.ndarray, rate: int = 16_000, form: str = "WAV", subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=subtype)
    return file.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


PCM = np.round(tone() * 32767).astype("<i2")
FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16))
WAV = riff(FORMAT, chunk(b"data", PCM.tobytes()))
M4A_HEAD = struct.pack(">I", 24) + b"ftypM4A \0\0\2\0isomiso2" + bytes(400)


def spectrum(samples: np.ndarray) -> np.ndarray:
    """Amplitude of each frequency in dB, a full-scale sine at 0; the window's side lobes lie below -110
    dB."""
    window = np.kaiser(len(samples), 16)
    return 20 * np.log10(np.abs(np.fft.rfft(samples * window)) * 2 / window.sum() + 1e-12)


def calls_until(error: type[Exception], count: int):
    """What raises when it is called so many times."""
    calls = iter(range(count - 1))

    def call():
        if next(calls, None) is None:
            raise error

    return call


def read_or_refuse(content: bytes, processes: bool = False) -> None:
    """Decode bytes that may be anything; by libsndfile alone where a process for each of many would take
    long."""

    @contextmanager
    def nothing(*_):
        raise NotAudioError("not tried")
        yield

    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        if not processes:
            patch.setattr(decode, "_open_libav", nothing)
        try:
            samples = load_audio(content)
        except AudioError:
            return
    assert len(samples) and np.isfinite(samples).all()
