"""Recordings encoded by FFmpeg's libraries (PyAV), for the tests of what is read; libsndfile writes the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np

FILM = "FILM"
PICTURES = {".webm": "libvpx", ".flv": "flv", ".mpg": "mpeg1video", ".ts": "mpeg2video"}  # the others take MPEG-4
FORMATS = {".aac": "adts", ".mpg": "mpeg", ".aif": "aiff", ".mka": "matroska", ".mxf": "mxf_opatom"}


def encode(file: Path | BinaryIO, samples: np.ndarray, rate: int, codec: str = "", form: str = "") -> Path | BinaryIO:
    """Write samples into a file.

    Args:
        file: a path whose suffix says which container, or a file object.
        samples: ``[n]`` or ``[n, channels]``.
        rate: Hz.
        codec: a codec with options as ``ffmpeg`` takes them, of encoder and container: ``"libopus -b:a 32k"``. With the
            word ``FILM`` the container holds two seconds of pictures too; with that alone no sound. By default the
            container's own codec.
        form: the container of a file object.

    Returns:
        The file.
    """
    is_path = isinstance(file, Path)
    suffix = file.suffix if is_path else ""
    words = codec.replace(FILM, "").split()
    name, options = "".join(words[:1]), dict(zip([key[1:] for key in words[1::2]], words[2::2], strict=True))
    bits = round(1000 * float(options.pop("b:a", "128k").removesuffix("k")))
    form = form or FORMATS.get(suffix)
    with av.open(str(file) if is_path else file, "w", format=form, options=options) as container:
        streams = []
        if codec != FILM:
            sound = np.atleast_2d(np.asarray(samples, np.float32).T)
            layout = ("mono", "stereo")[len(sound) - 1]
            name = name or container.default_audio_codec
            stream = container.add_stream(name, rate=rate, layout=layout, options=options)
            stream.bit_rate = bits
            streams.append((stream, _sounds(sound, rate, layout)))
        if FILM in codec:
            stream = container.add_stream(PICTURES.get(suffix, "mpeg4"), rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
            streams.append((stream, _pictures()))
        for stream, frames in streams:
            for frame in [*frames, None]:
                container.mux(stream.encode(frame))
    return file


def _sounds(sound: np.ndarray, rate: int, layout: str) -> Iterator[av.AudioFrame]:
    for start in range(0, sound.shape[1], rate):
        block = np.ascontiguousarray(sound[:, start : start + rate])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, start
        yield frame


def _pictures() -> Iterator[av.VideoFrame]:
    for number in range(50):
        picture = av.VideoFrame.from_ndarray(np.full((64, 64, 3), 5 * number, np.uint8), format="rgb24")
        picture.pts = number
        yield picture
