"""``ser-kit predict``."""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..core.errors import AudioError, TableError
from ..core.formats import clock
from ..core.parallel import ONE_EACH, ahead, at_once
from .arguments import Command, Parser, add_labels, whole
from .output import Result, followed, note, percent, print_table, progress_bar
from .speakers import add_bundle, add_over_time, add_speaker, over_time, predictor_of, recordings, second_best

if TYPE_CHECKING:
    from rich.console import Console

    from ..inference.prediction import Failure, Prediction
    from ..inference.predictor import Predictor
    from ..inference.stream import Moment

    Answer = tuple[Prediction | Failure, list[Moment] | None]

_LEFT_OUT_SHOWN = 20


def _predict(args: argparse.Namespace) -> Result:
    paths = recordings(args.recording)
    jobs = min(args.jobs or at_once(), len(paths))
    if jobs > 1:
        os.environ.update(ONE_EACH | os.environ)

    from ..inference.prediction import Failure
    from ..inference.results import Results, to_dict

    predictor = predictor_of(args)
    settings = over_time(args)
    if settings and not args.timeline:
        raise TableError("--window, --hop and --smoothing need --timeline")
    if args.same_speaker:
        predictor = _adapted(args, predictor, paths)
        if args.save_adaptation:
            predictor.adaptation.save(args.save_adaptation)
    speakers = _by_folder(args, predictor, paths) if args.speaker_per_folder else {}
    answer_one = _answering(args, predictor, speakers, settings)

    with contextlib.ExitStack() as stack:
        file, left = None, paths
        if args.out:
            results = Results(args.out, predictor, args.timeline, settings, speakers.values())
            file = stack.enter_context(results)
            args.when_interrupted = f"; run the same command to resume from {args.out}"
            left = file.missing(paths)
        if len(left) < len(paths):
            note(
                args,
                f"{args.out} already has answers for {len(paths) - len(left)} of {len(paths)} recordings",
            )
        incoming = ahead(answer_one, left, jobs) if jobs > 1 else map(answer_one, left)
        answers = []
        for answer, moments in followed(incoming, len(left), "predict", args.quiet):
            answers.append((answer, moments))
            if file:
                file.add(answer, moments)
    failed = any(isinstance(answer, Failure) for answer, _ in answers)
    show = functools.partial(_show, args, predictor, answers)
    return Result([to_dict(answer, moments) for answer, moments in answers], show, 1 if failed else 0)


def _answering(
    args: argparse.Namespace, predictor: Predictor, speakers: dict[str, Predictor], settings: dict[str, float]
) -> Callable[[str], Answer]:
    """A function that predicts one recording, with its timeline if requested."""
    from ..inference.prediction import Failure
    from ..inference.stream import timeline

    def answer_one(path: str) -> Answer:
        one = speakers.get(os.path.dirname(path), predictor)
        (answer,) = one.predict_many([path])
        if not args.timeline or isinstance(answer, Failure):
            return answer, None
        try:
            return answer, timeline(one, path, **settings)
        except Exception as error:
            return Failure.of(path, error), None

    return answer_one


def _adapted(args: argparse.Namespace, predictor: Predictor, paths: Sequence[str]) -> Predictor:
    """The predictor, adapted to the speaker of these recordings."""
    with progress_bar(args.quiet) as bar:
        task = bar.add_task("adapt", total=1)
        one = predictor.adapt(paths, watch=lambda share: bar.update(task, completed=share))
    left_out = one.adaptation.left_out
    note(args, f"adapted to the speaker with {one.adaptation.clips} clips")
    for path, reason in left_out[:_LEFT_OUT_SHOWN]:
        note(args, f"not used to adapt: {path}: {reason}")
    if len(left_out) > _LEFT_OUT_SHOWN:
        note(args, f"... and {len(left_out) - _LEFT_OUT_SHOWN} more")
    return one


def _by_folder(args: argparse.Namespace, predictor: Predictor, paths: Sequence[str]) -> dict[str, Predictor]:
    """Folder -> predictor adapted to the speaker of its recordings, where adaptation is possible."""
    found = {}
    for folder in dict.fromkeys(map(os.path.dirname, paths)):
        try:
            own = [path for path in paths if os.path.dirname(path) == folder]
            found[folder] = _adapted(args, predictor, own)
        except AudioError as error:
            note(args, f"{folder or 'this folder'}: predicting without adaptation: {error}")
    return found


def _show(args: argparse.Namespace, predictor: Predictor, answers: list[Answer], console: Console) -> None:
    from ..inference.prediction import Failure
    from ..inference.results import columns, csv_text, rows

    if args.csv:
        flat = (row for answer, moments in answers for row in rows(answer, moments))
        sys.stdout.write(csv_text(flat, columns(predictor, args.timeline)))
        return
    failed = [answer for answer, _ in answers if isinstance(answer, Failure)]
    if args.out:
        titles = ("emotion", "recordings", "uncertain")
        print_table(console, titles, _counted(answers), numbers=("recordings",))
        for failure in failed:
            console.print(f"{failure.path}: error: {failure.error}")
    else:
        titles = ("recording", "verdict", "emotion", "confidence", "next", "note")
        cells = [row for answer, moments in answers for row in _rows(answer, moments)]
        print_table(console, titles, cells, numbers=("confidence",), wrap=("recording", "note"))
    if failed:
        console.print(f"{len(failed)} of {len(answers)} recordings failed")


def _rows(answer: Prediction | Failure, moments: list[Moment] | None) -> list[tuple[str, ...]]:
    """Table rows of an answer and its timeline."""
    from ..inference.prediction import Failure

    if isinstance(answer, Failure):
        return [(answer.path, "–", "–", "–", "", f"error: {answer.error}")]
    second = second_best(answer.probabilities)
    rows = [(answer.path, answer.verdict, answer.emotion, percent(answer.confidence), second, answer.reason)]
    for moment in moments or ():
        time = f"  {clock(moment.start, 1)} to {clock(moment.end, 1)}"
        if moment.emotion:
            second = second_best(moment.probabilities)
            rows.append((time, "", moment.emotion, percent(moment.confidence), second, ""))
        else:
            rows.append((time, "", "–", "–", "", moment.reason))
    return rows


def _counted(answers: list[Answer]) -> list[tuple[str, int, int]]:
    """Number of recordings, and of uncertain ones, for each predicted emotion."""
    from ..inference.prediction import Failure

    sure = Counter((a.emotion, a.uncertain) for a, _ in answers if not isinstance(a, Failure))
    emotions = dict.fromkeys(emotion for emotion, _ in sure)
    rows = [(each, sure[each, False] + sure[each, True], sure[each, True]) for each in emotions]
    return sorted(rows, key=lambda row: -row[1])


def _arguments(parser: Parser) -> None:
    text = "file, folder (all audio files in it) or pattern"
    parser.add_argument("recording", nargs="+", metavar="RECORDING", help=text)
    add_bundle(parser)
    who = add_speaker(
        parser,
        "neutral recordings of the speaker of all other recordings, to calibrate the predictions",
        "all recordings have the same speaker: adapt to the voice first",
    )
    text = "each folder has one speaker: adapt to each voice first"
    who.add_argument("--speaker-per-folder", action="store_true", help=text)
    add_labels(parser, "those of the bundle; probabilities of merged emotions are added")
    parser.add_argument("--timeline", action="store_true", help="also predict the emotion over time")
    add_over_time(parser)
    parser.add_argument("--csv", action="store_true", help="print comma-separated values")
    text = "write each answer to this file at once; recordings with an answer in it are skipped"
    parser.add_argument("--out", metavar="FILE.csv|FILE.jsonl", help=text)
    text = "recordings processed at a time (default: number of cores + 1)"
    parser.add_argument("--jobs", type=whole(1, 256), metavar="N", help=text)


PREDICT = Command(
    "predict",
    _predict,
    _arguments,
    "Predict the emotion of recordings. Exit status 1 if some of them could not be used.",
    [
        "ser-kit predict clip.wav",
        "ser-kit predict recordings/ 'more/**/*.mp3' --json",
        "ser-kit predict clip.wav --bundle my-bundle",
        "ser-kit predict clip.wav --labels six",
        "ser-kit predict clips-of-ann/ --enroll ann-neutral-1.wav ann-neutral-2.wav",
        "ser-kit predict clips-of-ann/ --bundle my-bundle --same-speaker --save-adaptation ann.json",
        "ser-kit predict new-clip-of-ann.wav --bundle my-bundle --adaptation ann.json",
    ],
)
