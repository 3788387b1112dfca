"""Tables of commands on narrow terminals."""

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ser_kit.cli.output import print_table

COLUMNS = ("recording", "emotion", "confidence", "note")
ROWS = [("/data/recordings/of long ago/Actor_01/03-01-05-02-01-02-01.wav", "angry", "97 %", "quiet, and with noise")]


def printed(width, columns=COLUMNS, rows=ROWS, wrap=("recording", "note"), **settings):
    console = Console(file=io.StringIO(), width=width, markup=False, highlight=False, emoji=False)
    print_table(console, columns, rows, wrap=wrap, **settings)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_wide_terminal_has_a_line_for_each_row():
    lines = printed(200)
    assert sum("97 %" in line and ROWS[0][0] in line and ROWS[0][3] in line for line in lines) == 1


def test_a_narrow_one_breaks_paths_after_slashes_and_texts_between_words():
    lines = printed(62)
    assert max(map(len, lines)) <= 62
    pieces = re.split(r"\s{2,}", "  ".join(lines))
    assert "03-01-05-02-01-02-01.wav" in pieces
    assert all(any(word in line.split() for line in lines) for word in ROWS[0][3].split())


def test_one_too_narrow_for_the_words_lists_the_cells_of_each_row():
    lines = printed(40, rows=[*ROWS, ("b.wav", "sad", "", "")], title="answers")
    assert lines[0] == "answers"
    assert "  emotion     angry" in lines and "  confidence  97 %" in lines
    assert lines[-2:] == ["b.wav", "  emotion     sad"]


WORDS = st.lists(st.text("abc/", min_size=1, max_size=12), max_size=5).map(" ".join)


@pytest.mark.parametrize("wrap", [(), ("a", "c")])
@given(st.lists(st.tuples(WORDS, WORDS, WORDS), max_size=4), st.integers(20, 90))
def test_no_word_is_lost_or_broken(wrap, rows, width):
    lines = printed(width, ("a", "b", "c"), rows, wrap)
    shown = {piece for line in lines for piece in re.findall(r"[^\s/]+", line)}
    assert {piece for row in rows for cell in row for piece in re.findall(r"[^\s/]+", cell)} <= shown
