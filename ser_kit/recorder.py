"""A button that records from the microphone of whoever looks at the page.

Examples:
    >>> from ser_kit.recorder import Recorder
    >>> recorder = Recorder()                                     # doctest: +SKIP
    >>> recorder.observe(lambda change: print(len(change["new"])), names="content")  # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

import anywidget
import traitlets

MOST_SECONDS = 600


class Recorder(anywidget.AnyWidget):
    """Recording in the browser, by its MediaRecorder; the browser decodes what it recorded.

    It needs a page that is served by https or from the same machine; otherwise it says that the microphone cannot be
    used.

    Attributes:
        content: the last recording, a WAV file of 16 kHz, mono; empty before there is one.
        most_seconds: after which it stops by itself.
    """

    _esm = Path(__file__).parent / "recorder.js"
    # What comes from a browser is a memoryview.
    content = traitlets.Bytes(b"").tag(sync=True, from_json=lambda value, widget: bytes(value))
    most_seconds = traitlets.Int(MOST_SECONDS).tag(sync=True)
