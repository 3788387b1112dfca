"""Pages: the same blocks of text, tables and pictures as Markdown and as one HTML file."""

from __future__ import annotations

import base64
import html
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ...core.paths import write_whole
from ...evaluation.record import to_markdown

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2328; max-width: 62rem }
body { margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; font-size: 0.88rem; display: block; overflow-x: auto }
th, td { border-bottom: 1px solid #d8dde3; padding: 0.3rem 0.7rem; text-align: left; vertical-align: top }
img { max-width: 100% }
pre { background: #f3f5f7; padding: 0.8rem; overflow-x: auto }
code { font-size: 0.9em }
@media (prefers-color-scheme: dark) {
  body { color: #e6e8eb; background: #16181b } pre { background: #23262b } th, td { border-color: #3a3f46 }
}
"""


@dataclass(frozen=True)
class Heading:
    """A heading of a level from 1."""

    text: str
    level: int = 2


@dataclass(frozen=True)
class Text:
    """A paragraph, or the items of a list; code in backticks, ``**bold**`` and ``[text](address)``."""

    text: str | tuple[str, ...]


@dataclass(frozen=True)
class Code:
    """A block of code."""

    text: str


@dataclass(frozen=True)
class Image:
    """A picture with its description for readers who do not see it."""

    path: Path
    alt: str


Block = Heading | Text | Code | Image | pd.DataFrame


def write(blocks: Iterable[Block], markdown: str | os.PathLike, page: str | os.PathLike) -> None:
    """Write blocks as Markdown, with pictures by relative paths, and as an HTML file that holds them.

    Args:
        blocks: from top to bottom.
        markdown: path of the Markdown file.
        page: path of the HTML file.
    """
    blocks, markdown = list(blocks), Path(markdown)
    markdown.parent.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(_markdown(block, markdown.parent) for block in blocks)
    write_whole(markdown, f"{text}\n".encode())
    title = next(block.text for block in blocks if isinstance(block, Heading))
    body = "\n".join(map(_html, blocks))
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style>'
    write_whole(
        page, f'<!DOCTYPE html><html lang="en"><head>{head}</head><body>{body}</body></html>\n'.encode()
    )


def _markdown(block: Block, folder: Path) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {block.text}"
        case Text(text=str(text)):
            return text
        case Text():
            return "\n".join(f"- {item}" for item in block.text)
        case Code():
            return f"```\n{block.text}\n```"
        case Image():
            return f"![{block.alt}]({Path(os.path.relpath(block.path, folder)).as_posix()})"
    return to_markdown(block)


def _html(block: Block) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{_inline(block.text)}</h{block.level}>"
        case Text(text=str(text)):
            return f"<p>{_inline(text)}</p>"
        case Text():
            return f"<ul>{''.join(f'<li>{_inline(item)}</li>' for item in block.text)}</ul>"
        case Code():
            return f"<pre><code>{html.escape(block.text)}</code></pre>"
        case Image():
            data = base64.b64encode(block.path.read_bytes()).decode()
            return f'<img src="data:image/png;base64,{data}" alt="{html.escape(block.alt)}">'
    head = "".join(f"<th>{_inline(str(name))}</th>" for name in block.columns)
    rows = (
        f"<tr>{''.join(f'<td>{_inline(str(cell))}</td>' for cell in row)}</tr>"
        for row in block.itertuples(index=False)
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _inline(text: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"`([^`]+)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", text)
    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", r'<a href="\2">\1</a>', text)
