"""A Jupyter server, for the tests of the widget in a browser."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

PATIENCE = 120
"""s for a server to start."""


@contextmanager
def served(command: Sequence[str], python: str = sys.executable, **environment: str) -> Iterator[str]:
    """A Jupyter server on a free port, until the end of the block.

    Args:
        command: a module of Python and its options.
        python: the interpreter that runs it.
        environment: variables that it is given beside those of this process.

    Returns:
        Its address.

    Raises:
        RuntimeError: it did not start; the message is what it said.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    run = [python, "-m", *command, f"--port={port}"]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(run, env=os.environ | environment, stdout=log, stderr=log) as server,
    ):
        try:
            deadline = time.monotonic() + PATIENCE
            while not _listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start:\n{log.read()}")
                time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
