"""Protocols, which divide clips into training, validation and test sets, and the leakage audit.

A protocol is called with a clip table and returns folds of row positions. ``speaker`` is the default: no test
speaker is in training. ``random`` is the split of most published numbers. It has every speaker on both sides,
so that it also measures how well a model knows the voices of a corpus. Other flaws of published splits have
their own protocols, with the flaws listed in ``leaks``; use them for comparison only.

Examples:
    >>> import pandas as pd
    >>> rows = [(f"{s}-{e}-{i}", f"demo:{s}", e) for s in range(6) for e in ("sad", "fear") for i in range(5)]
    >>> table = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion"])
    >>> folds = get("speaker")(table, seed=0)
    >>> len(folds), set(table.speaker[folds[0].train]) & set(table.speaker[folds[0].test])
    (5, set())
    >>> get("speaker").label, get("random_80_20_peeking").leaks
    ('speaker-independent', ('speaker', 'test as validation'))
"""

from ..core.registry import Registry
from .audit import audit
from .base import LEAKS, Fold, Protocol
from .cross_corpus import CORPUS, CROSS_CORPUS, CROSS_CORPUS_PAIRS, cross_corpus, leave_out
from .groups import FOLDS, VALIDATION_SHARE
from .nested import inner, inner_corpora
from .published import (
    RANDOM,
    RANDOM_80_10_10_COPIES,
    RANDOM_80_20,
    RANDOM_80_20_COPIES,
    RANDOM_80_20_PEEKING,
    RANDOM_SHARES,
    TEMPORAL,
    TEXT,
)
from .speaker_independent import EMOBOX, EMOBOX_FOLDS, LOSO, SPEAKER, SPEAKER_80_20
from .table import fingerprints

__all__ = [
    "EMOBOX", "FOLDS", "LEAKS", "PROTOCOLS", "VALIDATION_SHARE", "Fold", "Protocol", "audit", "cross_corpus",
    "fingerprints", "get", "inner", "inner_corpora", "leave_out", "names",
]  # fmt: skip

PROTOCOLS: Registry[Protocol] = Registry.of(
    "protocol", SPEAKER, RANDOM, LOSO, SPEAKER_80_20, RANDOM_80_20, RANDOM_80_20_COPIES, RANDOM_80_20_PEEKING,
    *RANDOM_SHARES, RANDOM_80_10_10_COPIES, TEMPORAL, EMOBOX_FOLDS, TEXT, CORPUS, CROSS_CORPUS,
    CROSS_CORPUS_PAIRS,
)  # fmt: skip
"""Every protocol by name, the default first."""


def get(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UnknownNameError: if there is none; the message lists the known ones.
    """
    return PROTOCOLS[name]


def names() -> list[str]:
    """Names of all protocols, the default first."""
    return list(PROTOCOLS)
