"""What ``predict`` and ``listen`` have in common: the predictor, who speaks, and answers over time."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import AdaptationError
from ..core.labels import labels_of
from .arguments import Parser, seconds, seconds_or_none
from .memory import freed_at_once
from .output import percent

if TYPE_CHECKING:
    from ..inference.predictor import Predictor


def recordings(named: Iterable[str]) -> list[str]:
    """Files, and those in folders and patterns; a name of nothing stays, and fails with its reason."""
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
    """The predictor of ``--bundle``, ``--labels``, ``--enroll`` and ``--adaptation``."""
    from ..bundles.adaptation import Adaptation, target
    from ..inference.predictor import Predictor

    if args.adaptation and (args.enroll or args.speaker_per_folder):
        other = "--enroll" if args.enroll else "--speaker-per-folder"
        raise AdaptationError(f"--adaptation and {other} both say who speaks; give one of them")
    if args.save_adaptation:
        if not args.same_speaker:
            raise AdaptationError("--save-adaptation keeps what is learned with --same-speaker; give that, too")
        target(args.save_adaptation)
    known = Adaptation.load(args.adaptation) if args.adaptation else None
    with freed_at_once():
        predictor = Predictor.open(args.bundle, labels_of(args.labels))
    if known:
        predictor = predictor.with_adaptation(known)
    return predictor.enroll(recordings(args.enroll)) if args.enroll else predictor


def over_time(args: argparse.Namespace) -> dict[str, float]:
    """The settings of a timeline that were given."""
    return {key: getattr(args, key) for key in ("window", "hop", "smoothing") if getattr(args, key) is not None}


def second_best(probabilities: Mapping[str, float]) -> str:
    """The second most probable emotion."""
    label, probability = sorted(probabilities.items(), key=lambda item: -item[1])[1]
    return f"{label} {percent(probability)}"


def add_bundle(parser: Parser) -> None:
    """Add ``--bundle``."""
    text = "a preset's name or a bundle's folder (default: house)"
    parser.add_argument("--bundle", metavar="BUNDLE", help=text)


def add_speaker(parser: Parser, enroll: str, same: str) -> Any:
    """Add the options that name the speaker; returns the group of those that exclude each other."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--enroll", nargs="+", metavar="RECORDING", help=enroll)
    group.add_argument("--same-speaker", action="store_true", help=same)
    parser.add_argument("--adaptation", metavar="FILE", help="what was learned of the speaker before")
    text = "write what is learned with --same-speaker there, for --adaptation"
    parser.add_argument("--save-adaptation", metavar="FILE", help=text)
    return group


def add_over_time(parser: Parser) -> None:
    """Add ``--window``, ``--hop`` and ``--smoothing``."""
    text = "length of each window in seconds (default: 3)"
    parser.add_argument("--window", type=seconds, metavar="S", help=text)
    parser.add_argument("--hop", type=seconds, metavar="S", help="from one answer to the next (default: 1)")
    text = "of the answers; 0: none (default: 2)"
    parser.add_argument("--smoothing", type=seconds_or_none, metavar="S", help=text)
