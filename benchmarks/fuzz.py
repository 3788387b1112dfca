"""``python -m benchmarks.fuzz``: damaged sound files through decoding, features and prediction.

Each file is one of some intact ones, of many formats, with bits flipped, bytes overwritten, parts cut out, doubled,
filled with zeros or taken from another. It follows from its number alone. It must be answered for and measured, or
refused with an :class:`~ser_kit.core.errors.AudioError`; a traceback, a crash, a hang, a gigabyte of memory, or a
probability or feature that is no number is a failure, and the file is kept. Files are judged in other processes, so
that a crash or a hang costs one file and is seen.
"""

from __future__ import annotations

import argparse
import io
import queue
import re
import resource
import subprocess
import sys
import tempfile
import threading
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import numpy as np
import soundfile
from tqdm import tqdm

from ser_kit import corpora
from ser_kit.audio import read_audio
from ser_kit.core.errors import AudioError
from ser_kit.core.parallel import cores
from ser_kit.inference.predictor import Predictor

COMMAND = "python -m benchmarks.fuzz"
WRITTEN = (
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "GSM610"), ("WAV", "IMA_ADPCM"),
    ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("CAF", "ALAC_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"), ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
)  # fmt: skip
BY_PYAV = {"m4a": "aac", "webm": "libopus", "amr": "libopencore_amrnb"}
GOOD = ("answered", "refused")
_COMMAND = (sys.executable, "-m", "benchmarks.fuzz", "--work")
_SECONDS = 20.0  # that a file may take
_START_SECONDS = 300.0  # that a process may take to load the model, on a busy machine
_MEMORY = 1 << 30  # bytes that a file may take beside the model


def intact(clip: str | Path, folder: Path) -> list[Path]:
    """A clip's first second and a half in every format that can be written here."""
    samples = read_audio(clip, sr=8000).samples[:12000]
    found = []
    for form, subtype in WRITTEN:
        path = folder / f"{subtype}.{form.lower()}"
        soundfile.write(path, samples, 8000, format=form, subtype=subtype)
        found.append(path)
    for suffix, codec in BY_PYAV.items():
        found.append(folder / f"clip.{suffix}")
        with av.open(str(found[-1]), "w") as container:
            stream = container.add_stream(codec, rate=8000, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
            frame.sample_rate = 8000
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return found


def mutated(files: Sequence[bytes], number: int) -> bytes:
    """The damaged file of a number.

    Args:
        files: intact ones.
        number: 0 or more.
    """
    rng = np.random.default_rng(number)
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 6)):
        # Half of the damage is to the first bytes, where the headers are.
        reach = min(len(data), 128) if rng.random() < 0.5 else len(data)
        if not reach:
            break
        start = int(rng.integers(reach))
        length = int(rng.integers(1, max(2, reach // 4)))
        match rng.integers(7):
            case 0:
                data[start] ^= 1 << int(rng.integers(8))
            case 1:
                data[start : start + 4] = rng.choice([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\x80"])
            case 2:
                data[start : start + length] = rng.bytes(length)
            case 3:
                del data[start : start + length]
            case 4:
                data[start:start] = data[start : start + length]
            case 5:
                data[start : start + length] = bytes(length)
            case 6:
                other = files[rng.integers(len(files))]
                data[start:] = other[start:]
    return bytes(data)


def outcome(predictor: Predictor, content: bytes) -> str:
    """``"answered"``, ``"refused"``, or what went wrong."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer = predictor.predict(io.BytesIO(content))
            measured = predictor.measure(io.BytesIO(content))
        except AudioError:
            return "refused"
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            return f"{type(error).__name__}: {error}".split("\n", 1)[0]
    numbers = [answer.confidence, *answer.probabilities.values()]
    if not np.isfinite(numbers).all() or not np.isclose(sum(answer.probabilities.values()), 1):
        return f"probabilities {numbers}"
    if not np.isfinite(list(measured.values())).all():
        return f"features {measured}"
    return "answered"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a file failed."""
    options = _options(argv)
    if options.work:
        return _work(*options.work)
    with tempfile.TemporaryDirectory() as folder:
        for path in intact(corpora.load("demo")["path"].iloc[0], Path(folder)):
            print(f"  {path.name}: {path.stat().st_size:,} bytes", file=sys.stderr)
        found, failed = Counter(), {}
        for number, told in _outcomes(Path(folder), options):
            found[told if told in GOOD else "failed"] += 1
            if told not in GOOD:
                failed[number] = told
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / str(number)).write_bytes(mutated(_files(Path(folder)), number))
    print(f"{options.files:,} damaged files: " + ", ".join(f"{count:,} {told}" for told, count in found.items()))
    for number, told in failed.items():
        print(f"{options.keep / str(number)}: {told}")
    return 1 if failed else 0


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def _outcomes(folder: Path, options: argparse.Namespace) -> Iterator[tuple[int, str]]:
    """Of all files, from a process for each core, each of which is started again behind a file that ends it."""
    told: queue.Queue = queue.Queue()
    first, jobs = options.first, options.jobs or cores()
    edges = np.linspace(first, first + options.files, jobs + 1).astype(int).tolist()
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        threading.Thread(target=_watch, args=(folder, start, stop, told), daemon=True).start()
    for _ in tqdm(range(options.files), unit="file", smoothing=0.05):
        yield told.get()


def _watch(folder: Path, start: int, stop: int, told: queue.Queue) -> None:
    while start < stop:
        process = subprocess.Popen(
            [*_COMMAND, *map(str, (folder, start, stop))], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        line, late = _line(process, _START_SECONDS)
        while line and start < stop:
            line, late = _line(process, _SECONDS)
            if line:
                told.put((start, line.rstrip("\n")))
                start += 1
        process.kill()
        status = process.wait()
        if start < stop:
            told.put((start, "took too long" if late else f"ended the process ({status})"))
            start += 1


def _line(process: subprocess.Popen, seconds: float) -> tuple[str, bool]:
    """What a process says next, nothing if it has ended; and whether it was ended because that took too long."""
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.start()
    line = process.stdout.readline()
    timer.cancel()
    return line, late.is_set()


def _work(folder: str, start: str, stop: str) -> int:
    files, predictor = _files(Path(folder)), Predictor.from_preset()
    outcome(predictor, files[0])  # compiles the network, which takes its time
    _limit_memory()
    print("ready", flush=True)
    for number in range(int(start), int(stop)):
        print(outcome(predictor, mutated(files, number)), flush=True)
    return 0


def _limit_memory() -> None:
    """What is asked for beyond the limit is refused, which ends as an error or a crash (Linux only)."""
    status = Path("/proc/self/status")
    if status.exists():
        now = int(re.search(r"VmData:\s+([0-9]+)", status.read_text())[1]) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (now + _MEMORY, resource.RLIM_INFINITY))


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--files", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--jobs", type=int, help="processes (default: one per core)")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="for files that fail (%(default)s)")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.files < 1:
        parser.error("--files must be at least 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
