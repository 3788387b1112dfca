"""Clip table columns for protocols and the audit: classes, speakers, originals and copies, equal sounds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd

from ..audio.recording import MIN_SECONDS, Excerpt, fingerprint
from ..core.errors import AudioError, TableError
from ..corpora import UNKNOWN_SPEAKER, alike, sources, spans


def column(table: pd.DataFrame, name: str) -> np.ndarray:
    """A text column without missing values, as a NumPy array of ``str``."""
    if name not in table:
        raise TableError(
            f"the clip table has no column {name!r}; it has {', '.join(map(str, table.columns))}"
        )
    empty = (table[name].isna() | (table[name].astype(str) == "")).to_numpy()
    if empty.any():
        raise TableError(
            f"{empty.sum()} of {len(table)} clips have no {name}; the first is row {empty.argmax()}"
        )
    return table[name].to_numpy(dtype=str)


def classes(table: pd.DataFrame) -> np.ndarray:
    """Class of each row, ``str [n]``: column ``label`` if there is one, else ``emotion``."""
    if not len(table):
        raise TableError("the clip table is empty; nothing can be divided")
    labels = column(table, "label" if "label" in table else "emotion")
    if len(set(labels)) < 2:
        raise TableError(f"all clips are '{labels[0]}'; at least two classes are needed")
    return labels


def unseen_speakers(table: pd.DataFrame, labels: np.ndarray) -> np.ndarray:
    """Speaker of each row, ``str [n]``, after checking that each of them can be tested unseen."""
    speakers = column(table, "speaker")
    known = np.unique(speakers)
    if len(known) < 3:
        raise TableError(
            f"only {len(known)} speaker{'s' * (len(known) > 1)} ({listed(known)}); "
            "to train, validate and test on different people takes three or more. "
            "Name the speakers in the table, join another corpus, "
            "or use protocol 'random', which does not measure unseen speakers"
        )
    owners = pd.Series(speakers).groupby(labels).agg(["nunique", "first"])
    alone = owners[owners["nunique"] == 1]
    if len(alone):
        spoken = [f"'{label}' is spoken only by {who}" for label, who in alone["first"].items()]
        raise TableError(
            f"{', '.join(spoken)}; "
            "no other speaker is left to train the class on when its speaker is tested. Leave the class out, "
            "or use protocol 'random'"
        )
    return speakers


def unknown(speakers: np.ndarray) -> np.ndarray:
    """Whether each speaker is unknown, ``bool [n]``."""
    return np.array([name.rpartition(":")[2] == UNKNOWN_SPEAKER for name in speakers], dtype=bool)


def check_speakers_are_known(table: pd.DataFrame, sides: Iterable[np.ndarray], what: str) -> None:
    """Check that no clip of an unknown speaker may be of a speaker on another side.

    Any speaker of the corpus may have spoken it, so a corpus with such a clip must stay on one side.

    Raises:
        TableError: if it does not.
    """
    corpora, names = np.array([name.rpartition(":")[::2] for name in column(table, "speaker")], dtype=str).T
    for corpus in np.unique(corpora[names == UNKNOWN_SPEAKER]):
        of = corpora == corpus
        if sum(of[rows].any() for rows in sides) > 1:
            unknown = np.count_nonzero(of & (names == UNKNOWN_SPEAKER))
            raise TableError(
                f"the speaker of {unknown} of {np.count_nonzero(of)} clips of {listed([corpus])} is not "
                f"known, and may be one of those who are tested, so {what} cannot promise unseen speakers. "
                "Name the speakers, leave these clips out, or use protocol 'random', "
                "which does not measure unseen speakers"
            )


def warn_of_alike(table: pd.DataFrame) -> None:
    """Warn of speaker names that look like spellings of one name."""
    if groups := alike(column(table, "speaker")):
        warnings.warn(
            f"these names of speakers look alike: {'; '.join(listed(group) for group in groups)}. "
            "If they are the same person, name them the same way, "
            "or training speakers are tested as unseen ones",
            stacklevel=3,
        )


def listed(names: Iterable[str]) -> str:
    """Join names in quotes, for messages."""
    return ", ".join(repr(str(name)) for name in names)


def parents(table: pd.DataFrame) -> np.ndarray:
    """``clip_id`` of the original of each augmented copy, ``""`` for originals, ``str [n]``."""
    if "parent" not in table:
        return np.full(len(table), "")
    return table["parent"].fillna("").to_numpy(dtype=str)


def originals(table: pd.DataFrame) -> np.ndarray:
    """Row position of the original of each row, ``int [n]``; originals refer to themselves."""
    of = parents(table)
    found, copies = np.arange(len(table)), np.flatnonzero(of != "")
    if len(copies):
        clips = column(table, "clip_id")
        row_of = {clip: row for row, clip in enumerate(clips) if of[row] == ""}
        lost = [row for row in copies if of[row] not in row_of]
        if lost:
            raise TableError(
                f"{len(lost)} augmented copies have no original in the table; the first, "
                f"'{clips[lost[0]]}', is of '{of[lost[0]]}'. "
                "Keep originals and copies in one table, or leave these copies out"
            )
        found[copies] = [row_of[clip] for clip in of[copies]]
    return found


@cache
def _fingerprint(source: str | Excerpt, modified_ns: int, size: int) -> str:
    """Fingerprint of a clip, cached until the file changes."""
    return fingerprint(source)


def fingerprints(table: pd.DataFrame) -> np.ndarray:
    """Hash of the decoded samples of each clip, ``str [n]``; warns of clips that cannot be read."""
    found, unread = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # silent or truncated clips do not matter here
        for path, source in zip(column(table, "path"), sources(table), strict=True):
            try:
                status = os.stat(path)
                found.append(_fingerprint(source, status.st_mtime_ns, status.st_size))
            except (OSError, AudioError):
                found.append(f"unread:{source}")
                unread.append(source)
    if unread:
        warnings.warn(
            f"{len(unread)} of {len(table)} recordings cannot be read (the first: {unread[0]}); "
            "it could not be checked whether their sound is on two sides of a split",
            stacklevel=3,
        )
    return np.array(found)


def stretches(table: pd.DataFrame) -> np.ndarray:
    """Equal integers for rows that share 0.1 s or more of a file, directly or through others, ``int [n]``.

    A shorter overlap comes from rounded times: one part begins where the previous one ends.
    """
    files, (start, end) = codes(column(table, "path")), spans(table)
    found, file, until = np.empty(len(table), int), -1, 0.0
    number = -1
    for row in np.lexsort((start, files)):
        if files[row] != file or until - start[row] < MIN_SECONDS:
            file, until, number = files[row], 0.0, number + 1
        found[row], until = number, max(until, end[row])
    return found


def first_of_same_sound(table: pd.DataFrame) -> np.ndarray:
    """First original with the same sound as each row, so that duplicates (RAVDESS has one) stay together.

    Overlapping parts of a file stay together too. Augmented copies are not compared: their ``path`` is that
    of the original recording.
    """
    firsts = np.arange(len(table))
    if "path" in table:
        rows = np.flatnonzero(parents(table) == "")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the audit reports recordings that cannot be read
            sounds = _joined(codes(fingerprints(table.iloc[rows])), stretches(table.iloc[rows]))
        firsts[rows] = rows[np.unique(sounds, return_index=True)[1][sounds]]
    return firsts


def _joined(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Equal integers for rows that are equal in one of two ways, directly or through others, ``int [n]``."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    size = len(one) + len(other)
    edges = coo_array((np.ones(len(one), bool), (one, len(one) + other)), shape=(size, size))
    return codes(connected_components(edges, directed=False)[1][one])


def codes(values: np.ndarray) -> np.ndarray:
    """Encode values as integers from 0, ``int [n]``."""
    return pd.factorize(values)[0]
