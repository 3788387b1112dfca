"""How clips are divided to train, validate and test, and the audit that nothing leaks.

A protocol is called with a clip table and returns folds of row positions. ``speaker`` is the default: nobody who is
heard in training is tested. ``random`` is the split that most published numbers rest on; every speaker stands on both
sides of it, so it measures how well a model knows the voices of a corpus as much as how well it knows emotions.
Other flaws of published splits have protocols of their own, which name them (``leaks``): to compare with, not to trust.

Examples:
    >>> import pandas as pd
    >>> rows = [(f"{s}-{e}-{i}", f"demo:{s}", e) for s in range(6) for e in ("happy", "sad") for i in range(5)]
    >>> table = pd.DataFrame(rows, columns=["clip_id", "speaker", "emotion"])
    >>> folds = get("speaker")(table, seed=0)
    >>> len(folds), set(table.speaker[folds[0].train]) & set(table.speaker[folds[0].test])
    (5, set())
    >>> get("speaker").label, get("random_80_20_peeking").leaks
    ('speaker-independent', ('speaker', 'test as validation'))
"""

from .audit import audit
from .base import LEAKS, Fold, Protocol, get, names
from .groups import VALIDATION_SHARE
from .splits import EMOBOX, FOLDS, cross_corpus, inner, inner_corpora, leave_out
from .table import fingerprints

__all__ = [
    "EMOBOX", "FOLDS", "LEAKS", "VALIDATION_SHARE",
    "Fold", "Protocol", "audit", "cross_corpus", "fingerprints", "get", "inner",
    "inner_corpora", "leave_out", "names",
]  # fmt: skip
