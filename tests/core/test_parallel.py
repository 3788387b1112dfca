"""Work done ahead comes in order, no further ahead than asked, and its errors in their turn."""

from __future__ import annotations

import time

import pytest

from ser_kit.core.parallel import ahead


@pytest.mark.parametrize("threads", [1, 3])
def test_what_is_made_ahead_comes_in_order_and_no_further_than_needed(threads):
    made = []

    def make(index):
        time.sleep(0.02 * (index % 2))
        made.append(index)
        return index

    coming = ahead(make, range(40), threads)
    assert [next(coming) for _ in range(3)] == [0, 1, 2]
    time.sleep(0.2)
    assert max(made) < 3 + threads + 1
    coming.close()
    assert max(made) < 3 + threads + 1
    assert list(ahead(make, range(7), threads)) == list(range(7))


def test_what_cannot_be_made_is_an_error_in_its_turn():
    def make(index):
        if index == 2:
            raise ValueError("the third")
        return index

    coming = ahead(make, range(20), 4)
    assert [next(coming), next(coming)] == [0, 1]
    with pytest.raises(ValueError, match="the third"):
        next(coming)


def test_no_more_is_taken_than_is_needed():
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    coming = ahead(str, endless(), 2)
    assert next(coming) == "0"
    assert len(taken) <= 4
    coming.close()
