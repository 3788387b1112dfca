"""``ser-kit listen``."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core.errors import AudioError, MissingDependencyError
from ..core.formats import clock, portion
from .arguments import Command, Parser, add_labels, add_names, positive, seconds, share, whole
from .output import Result, error_line, note
from .speakers import add_bundle, add_over_time, add_speaker, over_time, predictor_of, second_best

if TYPE_CHECKING:
    import numpy as np

    from ..inference.stream import Alert, Moment


def _listen(args: argparse.Namespace) -> Result:
    from ..inference.stream import Alert, StreamPredictor

    predictor = predictor_of(args)
    alerts = [
        Alert(
            emotion, _print_alert, above=args.above, below=min(args.below, args.above), seconds=args.seconds
        )
        for emotion in args.alert or ()
    ]
    stream = StreamPredictor(
        predictor, sr=args.rate, alerts=alerts, adapt=args.same_speaker, **over_time(args)
    )
    blocks = _raw_blocks(args.rate, args.channels) if args.raw else _microphone(args.rate)
    note(args, "listening; press Ctrl-C to stop")
    with contextlib.suppress(BrokenPipeError):  # the reader, such as head, has closed the pipe
        with contextlib.suppress(KeyboardInterrupt):
            for block in blocks:
                for moment in stream.feed(block):
                    _print_moment(moment, args)
        for moment in stream.flush():
            _print_moment(moment, args)
    if args.save_adaptation:
        stream.adaptation.save(args.save_adaptation)
        note(args, f"adaptation to {stream.adaptation.clips} windows saved to {args.save_adaptation}")
    return Result(None, lambda console: None)


def _print_moment(moment: Moment, args: argparse.Namespace) -> None:
    """Print a line for a moment, and flush it."""
    if args.json:
        line = json.dumps(moment.to_dict())
    elif moment.emotion:
        second = second_best(moment.probabilities)
        line = f"{clock(moment.end, 1):>8}  {moment.emotion:<10} {portion(moment.confidence):>5}  {second}"
    else:
        line = f"{clock(moment.end, 1):>8}  –          {moment.reason}"
    print(line, file=args.stdout, flush=True)


def _print_alert(alert: Alert, moment: Moment) -> None:
    change = "begins" if alert.active else "ends"
    error_line(f"{clock(moment.end, 1):>8}  ! {alert.emotion} {change}")


def _raw_blocks(rate: int, channels: int) -> Iterator[np.ndarray]:
    """Blocks of 0.1 s of 16-bit samples (little-endian, channels interleaved) from standard input."""
    import numpy as np

    width = 2 * channels
    left = b""
    while data := sys.stdin.buffer.read1(max(1, rate // 10) * width):
        data = left + data
        end = len(data) // width * width
        left = data[end:]
        yield np.frombuffer(data[:end], "<i2").reshape(-1, channels)


def _microphone(rate: int) -> Iterator[np.ndarray]:
    """Blocks of 0.1 s from the default microphone."""
    try:
        import sounddevice
    except (ImportError, OSError) as error:  # OSError: the PortAudio library is missing
        purpose = f"listening to the microphone ({error}; without one, pipe samples to ser-kit listen --raw)"
        raise MissingDependencyError("sounddevice and PortAudio", "microphone", purpose) from None
    try:
        with sounddevice.InputStream(samplerate=rate, channels=1, dtype="float32") as microphone:
            while True:
                yield microphone.read(rate // 10)[0]
    except sounddevice.PortAudioError as error:
        raise AudioError(f"the microphone cannot be opened: {error}") from None


def _arguments(parser: Parser) -> None:
    text = "read 16-bit little-endian samples from standard input"
    parser.add_argument("--raw", action="store_true", help=text)
    text = "sampling rate (default: 16000)"
    parser.add_argument("--rate", type=positive, default=16000, metavar="HZ", help=text)
    text = "number of channels of raw samples (default: 1)"
    parser.add_argument("--channels", type=whole(1, 1024), default=1, metavar="N", help=text)
    add_bundle(parser)
    text = "the stream has one speaker: adapt to the voice during the stream"
    add_speaker(parser, "neutral recordings of the speaker", text)
    parser.set_defaults(speaker_per_folder=False)
    add_labels(parser, "those of the bundle")
    add_over_time(parser)
    add_names(parser, "--alert", "print when one of these emotions begins and ends", metavar="EMOTION")
    text = "onset threshold of an alert, a probability (default: 0.7)"
    parser.add_argument("--above", type=share, default=0.7, metavar="P", help=text)
    text = "offset threshold of an alert, a probability (default: 0.5)"
    parser.add_argument("--below", type=share, default=0.5, metavar="P", help=text)
    text = "minimum duration of an alert's emotion in seconds (default: 2)"
    parser.add_argument("--seconds", type=seconds, default=2.0, metavar="S", help=text)


LISTEN = Command(
    "listen",
    _listen,
    _arguments,
    "Predict the emotion of microphone input, or of a stream of samples, every second.",
    [
        "ser-kit listen",
        "ser-kit listen --alert angry --above 0.7 --seconds 2",
        "arecord -f S16_LE -r 16000 -t raw | ser-kit listen --raw",
        "sox talk.mp3 -t raw -e signed -b 16 -c 1 -r 16000 - | ser-kit listen --raw --json",
    ],
)
