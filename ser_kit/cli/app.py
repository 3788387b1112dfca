"""``ser-kit app``."""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import threading
import webbrowser

from ..core.errors import ExportError
from .arguments import Command, Parser, whole
from .output import Result, note


def add_runtime(parser: Parser) -> None:
    """Add the options for ONNX Runtime Web."""
    text = "folder with the npm package onnxruntime-web, for machines without a network"
    parser.add_argument("--runtime", metavar="FOLDER", help=text)
    text = "visitors load ONNX Runtime Web from a content delivery network"
    parser.add_argument("--cdn", action="store_true", help=text)


def _app(args: argparse.Namespace) -> Result:
    from ..app import site
    from ..inference.predictor import DEFAULT_PRESET

    with tempfile.TemporaryDirectory(prefix="ser_kit-app-") as folder:
        note(args, "writing the page")
        place = site.write_site(
            args.bundle or DEFAULT_PRESET, f"{folder}/site", runtime=args.runtime, cdn=args.cdn
        )
        try:
            with site.served(place, args.port) as address:
                print(address, file=args.stdout, flush=True)
                note(args, "press Ctrl-C to stop")
                if not args.no_browser:
                    webbrowser.open(address)
                with contextlib.suppress(KeyboardInterrupt):
                    threading.Event().wait()
        except OSError as error:
            raise ExportError(
                f"port {args.port} cannot be used: {error.strerror}; choose another by --port"
            ) from None
    return Result(None, lambda console: None)


def _arguments(parser: Parser) -> None:
    text = "name of a preset or folder of a bundle (default: the default preset)"
    parser.add_argument("bundle", nargs="?", metavar="BUNDLE", help=text)
    parser.add_argument(
        "--port", type=whole(0, 65535), default=8000, metavar="N", help="port (default: 8000; 0: any)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open the page")
    add_runtime(parser)


APP = Command(
    "app",
    _app,
    _arguments,
    "Serve a page on this machine that answers recordings in the browser.",
    ["ser-kit app", "ser-kit app my-bundle --port 8080"],
)
