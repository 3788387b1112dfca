"""``ser-kit predict``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..core.errors import AudioError, TableError
from ..core.formats import clock, portion
from ..core.parallel import ONE_EACH, ahead, at_once
from .arguments import Command, Parser, add_labels, whole
from .explaining import add_explain, check_explain, draw
from .listed import add_listed, items_of, write_plot
from .output import Result, followed, note, print_table, progress_bar
from .speakers import add_bundle, add_over_time, add_speaker, over_time, predictor_of, second_best

if TYPE_CHECKING:
    from rich.console import Console

    from ..inference.items import Item
    from ..inference.prediction import Failure, Prediction
    from ..inference.predictor import Predictor
    from ..inference.stream import Moment

    Answer = tuple[Prediction | Failure, list[Moment] | None]

_LEFT_OUT_SHOWN = 20


def _predict(args: argparse.Namespace) -> Result:
    items, kept = items_of(args)
    check_explain(args, len(items))
    jobs = min(args.jobs or at_once(), len(items))
    if jobs > 1:
        os.environ.update(ONE_EACH | os.environ)

    from ..inference.prediction import Failure
    from ..inference.results import Results, to_dict

    predictor = predictor_of(args)
    settings = over_time(args)
    if settings and not args.timeline:
        raise TableError("--window, --hop and --smoothing need --timeline")
    if args.same_speaker:
        predictor = _adapted(args, predictor, items)
        if args.save_adaptation:
            predictor.adaptation.save(args.save_adaptation)
    speakers = _by_folder(args, predictor, items) if args.speaker_per_folder else {}
    answer_one = _answering(args, predictor, speakers, settings, items)

    with contextlib.ExitStack() as stack:
        file, left = None, items
        if args.out:
            results = Results(args.out, predictor, args.timeline, settings, speakers.values(), kept)
            file = stack.enter_context(results)
            args.when_interrupted = f"; run the same command to resume from {args.out}"
            missing = set(file.missing(item.key for item in items))
            left = [item for item in items if item.key in missing]
        if len(left) < len(items):
            there = len(items) - len(left)
            note(args, f"{args.out} already has answers for {there} of {len(items)} recordings")
        incoming = ahead(answer_one, left, jobs) if jobs > 1 else map(answer_one, left)
        answers = []
        for item, (answer, moments) in zip(
            left, followed(incoming, len(left), "predict", args.quiet), strict=True
        ):
            answers.append((answer, moments))
            if file:
                file.add(answer, moments, item.cells)
    if args.plot:
        write_plot(args, left, answers)
    failed = any(isinstance(answer, Failure) for answer, _ in answers)
    show = functools.partial(_show, args, predictor, answers, [item.cells for item in left], kept)
    data = [
        to_dict(answer, moments) | ({"row": dict(item.cells)} if item.cells else {})
        for item, (answer, moments) in zip(left, answers, strict=True)
    ]
    if args.explain and answers and not failed:
        data[0]["explanation"] = draw(args, predictor, left[0].source, answers[0][0])
    return Result(data, show, 1 if failed else 0)


def _answering(
    args: argparse.Namespace,
    predictor: Predictor,
    speakers: dict[str, Predictor],
    settings: dict[str, float],
    items: Sequence[Item],
) -> Callable[[Item], Answer]:
    """A function that predicts one recording, with its timeline if requested."""
    from ..inference.items import parts_of
    from ..inference.prediction import Failure
    from ..inference.stream import timeline

    sound = parts_of(items)

    def answer_one(item: Item) -> Answer:
        if item.error:
            return Failure(item.key, item.error), None
        one = speakers.get(os.path.dirname(item.file), predictor)
        source = sound(item)
        (answer,) = one.predict_many([source])
        answer = dataclasses.replace(answer, path=item.key)
        if not args.timeline or isinstance(answer, Failure):
            return answer, None
        try:
            return answer, timeline(one, source, **settings)
        except Exception as error:
            return Failure.of(item.key, error), None

    return answer_one


def _adapted(args: argparse.Namespace, predictor: Predictor, items: Sequence[Item]) -> Predictor:
    """The predictor, adapted to the speaker of these recordings."""
    with progress_bar(args.quiet) as bar:
        task = bar.add_task("adapt", total=1)
        clips = [item.source for item in items]
        one = predictor.adapt(clips, watch=lambda share: bar.update(task, completed=share))
    left_out = one.adaptation.left_out
    note(args, f"adapted to the speaker with {one.adaptation.clips} clips")
    for path, reason in left_out[:_LEFT_OUT_SHOWN]:
        note(args, f"not used to adapt: {path}: {reason}")
    if len(left_out) > _LEFT_OUT_SHOWN:
        note(args, f"... and {len(left_out) - _LEFT_OUT_SHOWN} more")
    return one


def _by_folder(args: argparse.Namespace, predictor: Predictor, items: Sequence[Item]) -> dict[str, Predictor]:
    """Folder -> predictor adapted to the speaker of its recordings, where adaptation is possible."""
    found = {}
    for folder in dict.fromkeys(os.path.dirname(item.file) for item in items):
        try:
            own = [item for item in items if os.path.dirname(item.file) == folder]
            found[folder] = _adapted(args, predictor, own)
        except AudioError as error:
            note(args, f"{folder or 'this folder'}: predicting without adaptation: {error}")
    return found


def _show(
    args: argparse.Namespace,
    predictor: Predictor,
    answers: list[Answer],
    cells: Sequence[Mapping[str, str]],
    kept: Sequence[str],
    console: Console,
) -> None:
    from ..inference.prediction import Failure
    from ..inference.results import beside, columns, csv_text, rows, written

    if args.csv:
        names = written(columns(predictor, args.timeline), kept)
        flat = (
            beside(own, row, names)
            for own, (answer, moments) in zip(cells, answers, strict=True)
            for row in rows(answer, moments)
        )
        sys.stdout.write(csv_text(flat, [*kept, *names.values()]))
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
    rows = [(answer.path, answer.verdict, answer.emotion, portion(answer.confidence), second, answer.reason)]
    for moment in moments or ():
        time = f"  {clock(moment.start, 1)} to {clock(moment.end, 1)}"
        if moment.emotion:
            second = second_best(moment.probabilities)
            rows.append((time, "", moment.emotion, portion(moment.confidence), second, ""))
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
    text = "file, folder (all audio files in it), pattern, table (.csv, .tsv) or speakers' turns (.rttm)"
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
    add_listed(parser)
    add_explain(parser)
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
        "ser-kit predict calls.csv --out answers.csv",
        "ser-kit predict call.wav --channels each --turns --plot call.png",
        "ser-kit predict turns.rttm --root calls/ --csv",
        "ser-kit predict clip.wav --explain why.png",
        "ser-kit predict clips-of-ann/ --enroll ann-neutral-1.wav ann-neutral-2.wav",
        "ser-kit predict clips-of-ann/ --bundle my-bundle --same-speaker --save-adaptation ann.json",
        "ser-kit predict new-clip-of-ann.wav --bundle my-bundle --adaptation ann.json",
    ],
)
