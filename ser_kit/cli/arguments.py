"""The parser, types of values, and options that several commands share.

Names in help texts come from the registries. A command's arguments are defined when the command is chosen, so
that ``ser-kit --help`` does not import the registries.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

from ..core.errors import UnknownNameError
from ..core.labels import LABEL_SETS, OWN
from .output import Result


class Command(NamedTuple):
    """A command of ``ser-kit``.

    Args:
        name: name on the command line.
        run: function that runs it.
        arguments: function that adds its arguments to its parser.
        description: text of ``--help``; the first sentence is shown by ``ser-kit --help``.
        examples: command lines.
    """

    name: str
    run: Callable[[argparse.Namespace], Result]
    arguments: Callable[[Parser], None]
    description: str
    examples: Sequence[str]


class Parser(argparse.ArgumentParser):
    """A parser that suggests the right spelling of commands, choices and options.

    Args:
        define: function that adds arguments when the parser is first used.
        settings: as for :class:`argparse.ArgumentParser`.
    """

    def __init__(self, *, define: Callable[[Parser], None] = lambda parser: None, **settings: Any):
        super().__init__(**settings)
        self._define: Callable[[Parser], None] | None = define

    def parse_known_args(self, args=None, namespace=None):
        """As in :class:`argparse.ArgumentParser`, but an unknown option is an error."""
        if self._define:
            define, self._define = self._define, None
            define(self)
        self._check_options(args)
        return super().parse_known_args(args, namespace)

    def _check_options(self, words: Iterable[str]) -> None:
        """Check for misspelt options first, as argparse would report missing arguments instead."""
        known = [option for option in self._option_string_actions if option.startswith("--")]
        for word in words:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                return  # the rest are not options, or belong to a command
            name = word.partition("=")[0]
            if re.fullmatch(r"--\S+", name) and not any(option.startswith(name) for option in known):
                self.error(str(UnknownNameError("option", name, known)))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            kind = "command" if action.metavar == "COMMAND" else action.dest
            raise argparse.ArgumentError(action, str(UnknownNameError(kind, value, action.choices)))


def add_commands(parser: Parser, commands: Iterable[Command]) -> None:
    """Add commands to a parser.

    The namespace gets ``run`` and ``when_interrupted``, the message after Ctrl-C.
    """
    group = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in commands:
        sub = group.add_parser(
            command.name,
            help=command.description.split(".")[0].lower(),
            description=textwrap.fill(command.description, 80),
            epilog="examples:\n" + "\n".join(f"  {example}" for example in command.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            define=command.arguments,
        )
        sub.add_argument("--json", action="store_true", help="write the result as JSON")
        text = "print only results and errors, no progress and no notes"
        sub.add_argument("--quiet", action="store_true", help=text)
        sub.set_defaults(run=command.run, when_interrupted="")


def listed(text: str) -> list[str]:
    """Parse comma-separated names. A comma before a space belongs to the name of an ablation."""
    names = [name.strip() for name in re.split(r",(?! )" if "+" in text else ",", text)]
    if not any(names):
        raise argparse.ArgumentTypeError(f"{text!r} holds no name")
    return list(dict.fromkeys(filter(None, names)))


def whole(least: int, most: float = math.inf) -> Callable[[str], int]:
    """A type for whole numbers from ``least`` to ``most``, both included."""

    def number(text: str) -> int:
        """Parse a whole number in the range."""
        if not text.isdecimal() or not least <= int(text) <= most:
            of = f"of {least} or more" if most == math.inf else f"from {least} to {most}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number {of}")
        return int(text)

    return number


positive = whole(1)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def share(text: str) -> float:
    """Parse a number from 0 to 1."""
    number = _number(text)
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return number


def seconds(text: str) -> float:
    """Parse a positive number of seconds."""
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return number


def seconds_or_none(text: str) -> float:
    """Parse a number of seconds, 0 or more."""
    return 0.0 if text in ("0", "0.0") else seconds(text)


def corpora_help() -> str:
    """Help text for corpora."""
    from .. import corpora

    notes = {"folder": " (your own)", "demo": " (synthetic)"}
    names = ", ".join(name + notes.get(name, "") for name in corpora.names())
    more = "NAME:PATH gives the path of a corpus or a name to your own: ravdess folder:mine calls:list.csv"
    return f"{names}; {more}"


def features_help() -> str:
    """Help text for extractors."""
    from .. import features

    return ", ".join(features.names())


def recipes_help() -> str:
    """Help text for recipes."""
    from .. import recipes

    published, own = ", ".join(recipes.RECIPES), ", ".join(recipes.OWN)
    return f"{published}; ser_kit's own: {own}; RECIPE+ABLATION for one of its ablations"


def protocols_help() -> str:
    """Help text for protocols, by their leaks."""
    from .. import protocols, recipes

    known = list(map(protocols.get, protocols.names()))
    unseen = ", ".join(each.name for each in known if each.speaker_independent)
    seen = ", ".join(each.name for each in known if each.leaks == ("speaker",))
    leaky = ", ".join(each.name for each in known if set(each.leaks) - {"speaker"})
    return (
        f"unseen speakers: {unseen}; speakers also in training: {seen}; with other leaks: {leaky}; "
        f"{recipes.PUBLISHED} (the recipe's own)"
    )


class _Names(argparse.Action):
    """Names separated by spaces or commas, without duplicates."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        setattr(namespace, self.dest, list(dict.fromkeys(itertools.chain.from_iterable(values))))


def add_names(parser: Parser, name: str, help: str, nargs: str = "+", **settings: Any) -> None:
    """Add an argument that takes names."""
    parser.add_argument(name, nargs=nargs, type=listed, action=_Names, help=help, **settings)


def add_root(parser: Parser) -> None:
    """Add ``--root``."""
    text = "folder of the corpus or of all corpora (default: SER_KIT_DATA, then a download)"
    parser.add_argument("--root", metavar="FOLDER", help=text)


def add_map(parser: Parser) -> None:
    """Add ``--map``."""
    text = "CSV file (label,emotion) of what labels become; those that it lacks stay as they would be"
    parser.add_argument("--map", metavar="FILE", help=text)


def add_corpora(parser: Parser, required: bool = True) -> None:
    """Add ``--corpus``, ``--root`` and ``--map``."""
    add_names(parser, "--corpus", corpora_help(), required=required, metavar="CORPUS", default=[])
    add_root(parser)
    add_map(parser)


def add_labels(parser: Parser, default: str) -> None:
    """Add ``--labels``."""
    text = (
        f"{', '.join(LABEL_SETS)}, emotions such as happy,sad,angry, or {OWN}: labels as they are "
        f"(default: {default})"
    )
    parser.add_argument("--labels", metavar="SET", help=text)


def add_jobs(parser: Parser) -> None:
    """Add ``--jobs``."""
    text = "number of processes for feature extraction (default: one per core)"
    parser.add_argument("--jobs", type=whole(1, 256), metavar="N", help=text)


def add_seed(parser: Any, help: str = "seed of folds, initial weights and order (default: 0)") -> None:
    """Add ``--seed``."""
    parser.add_argument("--seed", type=whole(0, 2**31 - 1), default=0, help=help)


def add_changes(parser: Parser) -> None:
    """Add ``--set``."""
    text = "change a setting of the recipe, such as training.epochs=50 or training.speaker_penalty=0.3"
    parser.add_argument("--set", action="append", default=[], metavar="SETTING=VALUE", help=text)
