"""The ``ser-kit`` command.

The exit status is 0 on success, 1 if a part failed (a recording, a validation, a notebook), 2 if the command
could not run, 130 after Ctrl-C.

It uses argparse from the standard library, which takes 2 ms to import. click takes 40 ms, while ``ser-kit
--help`` takes 0.1 s in all; names from registries, JSON results and broken pipes would still be handled here.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
from collections.abc import Sequence

from .._version import __version__
from ..core.errors import SerKitError
from .app import APP
from .arguments import Parser, add_commands
from .cache import CACHE
from .check import CHECK
from .corpora import CORPORA, VALIDATE
from .demo import DEMO
from .evaluate import EVALUATE
from .export import EXPORT
from .extract import EXTRACT
from .listen import LISTEN
from .output import error_line, notes_to_stderr, write
from .predict import PREDICT
from .reproduce import REPRODUCE
from .run import RUN
from .show_versions import SHOW_VERSIONS
from .train import TRAIN
from .tune import TUNE

COMMANDS = (
    CORPORA, VALIDATE, EXTRACT, CACHE, TRAIN, EVALUATE, REPRODUCE, TUNE, RUN, PREDICT, CHECK, LISTEN, EXPORT,
    APP, DEMO, SHOW_VERSIONS,
)  # fmt: skip
"""Commands in the order of ``ser-kit --help``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        argv: arguments; by default those of the process.

    Returns:
        The exit status.

    Examples:
        >>> main(["show-versions", "--json"])  # doctest: +SKIP
        {
          "ser-kit": "0.1.0",
        ...
        0
    """
    given = sys.argv[1:] if argv is None else list(argv)
    written = shlex.join(["ser-kit", *map(str, given)])
    args = argparse.Namespace(stdout=sys.stdout, written=written, when_interrupted="")
    try:
        parser().parse_args(given, args)  # help texts may need packages that are not installed
        with notes_to_stderr(args.quiet), contextlib.redirect_stdout(sys.stderr):
            result = args.run(args)
        write(result, args.json)
        return result.status
    except (SerKitError, OSError) as error:
        error_line(f"ser-kit: {error}")
        return 2
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("ser_kit"):
            raise
        error_line(f"ser-kit: this command needs {error.name}, which is not installed: pip install ser-kit")
        return 2
    except KeyboardInterrupt:
        error_line(f"\nser-kit: interrupted{args.when_interrupted}")
        return 130


def parser() -> Parser:
    """The parser of all commands."""
    found = Parser(
        prog="ser-kit",
        description="Speech emotion recognition: predict emotions, train and evaluate systems.",
        epilog="ser-kit COMMAND --help shows the options. Results go to standard output, messages to stderr.",
    )
    found.add_argument("--version", action="version", version=f"ser-kit {__version__}")
    add_commands(found, COMMANDS)
    return found
