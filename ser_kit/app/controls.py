"""Uploads in the browser: a button, dropped files, the microphone.

Files are sent in parts, since servers drop large messages. Uploads show progress and can be cancelled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anywidget
import traitlets

from ..core.errors import AudioError
from .answer import ACCEPTED, LARGEST_UPLOAD, too_large

HERE = Path(__file__).parent
MOST_SECONDS = 600
"""Maximum duration of a microphone recording (s)."""


@dataclass
class _Coming:
    """A partly uploaded file."""

    name: str
    size: int
    content: bytearray = field(default_factory=bytearray)


class Controls(anywidget.AnyWidget):
    """The upload button, the drop area and the recorder.

    Recording needs a page that is served over https or from the same machine. The browser converts the
    recording to a WAV file, 16 kHz, mono.

    Args:
        announced: called with the number of files about to be uploaded.
        arrived: called after each part with the file name, the bytes received and the file size.
        received: called with the file name and its bytes, or the error of its upload.

    Attributes:
        closed: whether uploads are disabled.
        status: text for screen readers.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("sound.js", "play.js", "page.js"))
    accept = traitlets.Unicode(ACCEPTED).tag(sync=True)
    largest = traitlets.Int(LARGEST_UPLOAD).tag(sync=True)
    most_seconds = traitlets.Int(MOST_SECONDS).tag(sync=True)
    closed = traitlets.Bool(False).tag(sync=True)
    status = traitlets.Unicode("").tag(sync=True)

    def __init__(
        self,
        announced: Callable[[int], object],
        arrived: Callable[[str, int, int], object],
        received: Callable[[str, bytes | AudioError], object],
    ):
        super().__init__()
        self._announced, self._arrived, self._received = announced, arrived, received
        self._coming: dict[str, _Coming] = {}
        self.on_msg(self._on_message)

    def stop(self) -> None:
        """Cancel all uploads in progress."""
        self._coming.clear()
        self.send({"kind": "stop"})

    def _on_message(self, _, message: Mapping, buffers: Sequence[memoryview]) -> None:
        if message["kind"] == "files":
            self._expect(message["files"])
        elif message["id"] in self._coming:  # otherwise it was cancelled
            if message["kind"] == "part":
                self._take(message["id"], buffers[0])
            elif message["kind"] == "lost":
                name = self._coming.pop(message["id"]).name
                self._received(name, AudioError(f"the browser cannot read {name}: {message['error']}"))

    def _expect(self, files: Sequence[Mapping]) -> None:
        self._announced(len(files))
        for file in files:
            name, size = str(file["name"]), int(file["size"])
            if size > LARGEST_UPLOAD:
                self._received(name, too_large(name, size))
            elif size == 0:
                self._received(name, b"")
            else:
                self._coming[file["id"]] = _Coming(name, size)

    def _take(self, key: str, part: memoryview) -> None:
        file = self._coming[key]
        file.content += part
        self._arrived(file.name, len(file.content), file.size)
        if len(file.content) >= file.size:
            del self._coming[key]
            self._received(file.name, bytes(file.content))
        self.send({"kind": "more", "id": key})
