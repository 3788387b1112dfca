"""The cards of the page, one per recording, and the downloads."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Sequence
from pathlib import Path

import ipywidgets as widgets
from markupsafe import Markup

from ..inference import results
from ..inference.prediction import NOT_SURE
from ..inference.predictor import Predictor
from . import html
from .answer import Answer

_PLACES = ("head", "verdict", "player", "picture", "ribbon", "features", "saved")
"""On a card, from top to bottom."""
_SILENT = Markup(
    '<p class="sk-note">Its player was removed, to keep the page light; upload it again to play it.</p>'
)


class Card(widgets.VBox):
    """One recording; parts are added as soon as they are ready."""

    def __init__(self):
        super().__init__()
        self.answer: Answer | None = None
        self.begun = time.monotonic()
        self._pieces: dict[str, tuple[str | bytes, widgets.Widget]] = {}
        self.add_class("sk-card")

    def fill(self) -> None:
        """Show the parts that the answer has so far."""
        parts, before, self._pieces = self.answer.parts, self._pieces, {}
        for place in _PLACES:
            if place in parts:
                content, piece = before.get(place, (None, None))
                # Notebook servers limit the rate of changes to a widget, but not the number of new widgets.
                piece = piece if content is parts[place] else _piece(parts[place])
                self._pieces[place] = (parts[place], piece)
        self.children = tuple(piece for _, piece in self._pieces.values())
        for place, (_, piece) in before.items():
            if self._pieces.get(place, (None, None))[1] is not piece:
                close(piece)

    def save(self, png: bytes) -> None:
        """Offer a picture as a download."""
        link = _link(f"{Path(self.answer.name).stem}.png", "image/png", png, "Save the picture (PNG)")
        self.answer.parts["saved"] = Markup('<p class="sk-downloads">{}</p>').format(link)
        self.fill()

    @property
    def waiting(self) -> int:
        """Bytes of audio kept for drawing the picture."""
        return 0 if self.answer.played is None else self.answer.played.samples.nbytes

    @property
    def played(self) -> int:
        """Bytes of audio in the player."""
        player = self.answer.parts.get("player")
        return len(player) if isinstance(player, bytes) else 0

    def silence(self) -> None:
        """Replace the player with a note."""
        if self.played:
            self.answer.parts["player"] = _SILENT
            self.fill()


def set_shown(widget: widgets.DOMWidget, shown: bool) -> None:
    """Show or hide a widget."""
    widget.layout.display = None if shown else "none"


def replace(box: widgets.Box, content: str) -> None:
    """Replace the content of a box with HTML; ``""`` empties it."""
    before, box.children = box.children, (markup(content),) if content else ()
    for one in before:
        close(one)


def close(widget: widgets.Widget) -> None:
    """Close a widget, its children, its layout and its style (which are widgets too)."""
    parts = [*getattr(widget, "children", ()), *(getattr(widget, name, None) for name in ("layout", "style"))]
    widget.close()
    for part in parts:
        if isinstance(part, widgets.Widget):
            close(part)


def _piece(content: str | bytes) -> widgets.Widget:
    if isinstance(content, bytes):
        return widgets.Audio(value=content, format="wav", autoplay=False, loop=False)
    return markup(content)


def markup(content: str) -> widgets.HTML:
    """A widget that shows markup as it is and other text escaped."""
    return widgets.HTML(html.shown(content))


def portrait_png(answer: Answer) -> bytes:
    """The picture of a recording as a PNG file."""
    from .. import plots

    # Without the file name: Matplotlib reads $ as mathematics, and its font lacks many scripts.
    nearest = ", nearest" if answer.result.verdict == NOT_SURE else ""
    title = f"{answer.result.verdict}{nearest} {answer.result.emotion}, {answer.result.confidence:.0%}"
    return plots.png(plots.portrait(answer.played, ("waveform", "mel"), title=title.replace("$", r"\$")))


def links(predictor: Predictor, answers: Sequence[Answer]) -> Markup:
    """Links to all answers as CSV and JSON, with the columns of ``ser-kit predict``."""
    rows = [row for answer in answers for row in results.rows(answer.result)]
    table = results.csv_text(rows, results.columns(predictor))
    data = [results.to_dict(answer.result, answer.moments) for answer in answers]
    text = json.dumps(data, ensure_ascii=False, indent=1)
    return Markup('<p class="sk-downloads">Save all answers: {} {}</p>').format(
        _link("ser_kit.csv", "text/csv", table.encode(), "CSV"),
        _link("ser_kit.json", "application/json", text.encode(), "JSON"),
    )


def _link(name: str, kind: str, content: bytes, text: str) -> Markup:
    data = base64.b64encode(content).decode()
    link = Markup('<a class="sk-button" download="{}" href="data:{};base64,{}">{}</a>')
    return link.format(name, kind, data, text)
