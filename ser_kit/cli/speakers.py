"""Common parts of ``predict`` and ``listen``: predictor, speaker, and timeline."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import AdaptationError
from ..core.formats import portion
from ..core.labels import labels_of
from .arguments import Parser, seconds, seconds_or_none
from .memory import freed_at_once

if TYPE_CHECKING:
    from ..inference.predictor import Predictor


def recordings(named: Iterable[str]) -> list[str]:
    """Files, including those in folders and patterns; names without a file are kept, and fail later."""
    from ..core.paths import audio_files

    found: list[str] = []
    for name in named:
        if os.path.isdir(name):
            found += sorted(map(str, audio_files(Path(name)))) or [name]
        elif os.path.exists(name):
            found.append(name)
        else:
            found += sorted(glob.glob(name, recursive=True)) or [name]
    return list(dict.fromkeys(found))


def predictor_of(args: argparse.Namespace) -> Predictor:
    """The predictor for ``--bundle``, ``--labels``, ``--enroll`` and ``--adaptation``."""
    from ..bundles.adaptation import Adaptation, target
    from ..inference.predictor import Predictor

    if args.adaptation and (args.enroll or args.speaker_per_folder):
        other = "--enroll" if args.enroll else "--speaker-per-folder"
        raise AdaptationError(f"--adaptation and {other} cannot be used together")
    if args.save_adaptation:
        if not args.same_speaker:
            raise AdaptationError("--save-adaptation needs --same-speaker")
        target(args.save_adaptation)
    adaptation = Adaptation.load(args.adaptation) if args.adaptation else None
    with freed_at_once():
        predictor = Predictor.open(args.bundle, labels_of(args.labels))
    if adaptation:
        predictor = predictor.with_adaptation(adaptation)
    return predictor.enroll(recordings(args.enroll)) if args.enroll else predictor


def over_time(args: argparse.Namespace) -> dict[str, float]:
    """The given settings of a timeline."""
    return {
        key: getattr(args, key) for key in ("window", "hop", "smoothing") if getattr(args, key) is not None
    }


def second_best(probabilities: Mapping[str, float]) -> str:
    """The second most probable emotion."""
    label, probability = sorted(probabilities.items(), key=lambda item: -item[1])[1]
    return f"{label} {portion(probability)}"


def add_bundle(parser: Parser) -> None:
    """Add ``--bundle``."""
    text = "name of a preset or folder of a bundle (default: cross_corpus)"
    parser.add_argument("--bundle", metavar="BUNDLE", help=text)


def add_speaker(parser: Parser, enroll: str, same: str) -> Any:
    """Add the options for the speaker, and return the group of mutually exclusive ones."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--enroll", nargs="+", metavar="RECORDING", help=enroll)
    group.add_argument("--same-speaker", action="store_true", help=same)
    parser.add_argument("--adaptation", metavar="FILE", help="saved adaptation to the speaker")
    text = "save the adaptation of --same-speaker to this file, for --adaptation"
    parser.add_argument("--save-adaptation", metavar="FILE", help=text)
    return group


def add_over_time(parser: Parser) -> None:
    """Add ``--window``, ``--hop`` and ``--smoothing``."""
    text = "window length in seconds (default: 3)"
    parser.add_argument("--window", type=seconds, metavar="S", help=text)
    parser.add_argument("--hop", type=seconds, metavar="S", help="time between predictions (default: 1)")
    text = "time constant of the smoothing in seconds; 0: none (default: 2)"
    parser.add_argument("--smoothing", type=seconds_or_none, metavar="S", help=text)
