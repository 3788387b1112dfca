"""Checks that a corpus on disk is the published one, or that your own recordings can be used."""

from __future__ import annotations

import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import AudioError, PointerFileError, SilentAudioWarning, TruncatedAudioWarning
from ..core.paths import file_digest
from . import checksums as _checksums
from .base import Corpus, Entry, alike
from .table import UNKNOWN_SPEAKER, sources

if TYPE_CHECKING:
    import pandas as pd

PROBLEMS = (
    "missing", "changed", "extra", "unused", "duplicate", "unreadable", "truncated", "silent", "short",
    "pointer", "count",
)  # fmt: skip
"""Findings that make a corpus differ from the published one, or your own clips unusable as they are."""

NOTES = ("speakers", "emotions", "copy", "known")
"""Findings that do no harm: what your own recordings lack for some protocols; of a published corpus, a clip
that the archive holds twice, a clip that is known to be bad."""


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Args:
        kind: one of :data:`PROBLEMS` or :data:`NOTES`.
        clip_id: the clip, or the emotion for ``count``.
        path: the file, if there is one.
        detail: what exactly.
    """

    kind: str
    clip_id: str
    path: str
    detail: str


@dataclass(frozen=True)
class Validation:
    """What :func:`ser_kit.corpora.validate` found.

    Args:
        corpus: name of the corpus.
        root: where it was looked for.
        clips: number of different clips found.
        found: clips found per canonical emotion, known-bad ones included, as in published counts.
        expected: clips per canonical emotion in the complete corpus; empty where that is not known.
        findings: everything found, problems first.
    """

    corpus: str
    root: str
    clips: int
    found: dict[str, int]
    expected: dict[str, int]
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether the corpus is complete and sound; :data:`NOTES` do not count against it."""
        return not any(finding.kind in PROBLEMS for finding in self.findings)

    def table(self) -> pd.DataFrame:
        """All findings: columns ``kind``, ``clip_id``, ``path``, ``detail``."""
        import pandas as pd

        return pd.DataFrame([vars(f) for f in self.findings], columns=["kind", "clip_id", "path", "detail"])

    def counts(self) -> pd.DataFrame:
        """Clips per emotion: columns ``emotion``, ``found``, and ``expected`` where that is known."""
        import pandas as pd

        emotions = list(dict.fromkeys([*self.expected, *sorted(self.found)]))
        rows = [(e, self.found.get(e, 0), self.expected.get(e, 0)) for e in emotions]
        counts = pd.DataFrame(rows, columns=["emotion", "found", "expected"])
        return counts if self.expected else counts.drop(columns="expected")

    def summary(self) -> str:
        """The result in a few lines."""
        of = f" of {sum(self.expected.values()):,}" if self.expected else ""
        verdict = "sound" if self.ok else "not as published" if self.expected else "not all of it can be used"
        lines = [f"{self.corpus}: {self.clips:,}{of} clips in {self.root}: {verdict}"]
        kinds = Counter(finding.kind for finding in self.findings)
        for kind in (*PROBLEMS, *NOTES):
            if kinds[kind]:
                examples = [f.clip_id for f in self.findings if f.kind == kind][:3]
                more = ", ..." if kinds[kind] > 3 else ""
                lines.append(f"  {kind}: {kinds[kind]:,} ({', '.join(examples)}{more})")
        return "\n".join(lines)


def validate(
    corpus: Corpus,
    root: str | os.PathLike | None = None,
    *,
    checksums: str | os.PathLike | None = None,
    progress: bool = True,
) -> Validation:
    """Checks a corpus; see :func:`ser_kit.corpora.validate`."""
    from tqdm.auto import tqdm

    folder = Path(os.path.abspath(corpus.locate(root)))
    entries = list(corpus.entries(folder))
    clips: dict[str, list[Entry]] = defaultdict(list)
    findings = []
    for entry in entries:
        if entry.reason:
            # A list may name what is not there; and who made it, or the folder, meant every recording in it.
            kind = "missing" if not os.path.exists(entry.path) else "extra" if corpus.expected else "unused"
            findings.append(Finding(kind, f"{corpus.name}:{entry.clip}", str(entry.path), entry.reason))
        else:
            clips[entry.clip].append(entry)

    if checksums is not None:
        for kind, name, path, detail in _checksums.differences(corpus, folder, checksums):
            findings.append(Finding(kind, f"{corpus.name}:{name}", str(path), detail))

    digests: dict[tuple[str, Path], str] = {}
    files = [entry for group in clips.values() for entry in group]
    for entry in tqdm(files, desc=f"validate {corpus.name}", unit="file", disable=not progress):
        kind, detail, digests[entry.clip, entry.path] = _read(entry)
        if kind:
            known = corpus.known_bad.get(entry.clip) if kind == "silent" else None
            clip_id = f"{corpus.name}:{entry.clip}"
            findings.append(Finding("known" if known else kind, clip_id, str(entry.path), known or detail))

    found = Counter(group[0].fields["emotion"] for group in clips.values())
    if corpus.expected:
        findings += [*_presence(corpus, folder, clips), *_miscounted(corpus.expected, found)]
    else:
        findings += _needs(corpus, clips)
    findings += _repeats(corpus, clips, digests)
    order = {kind: place for place, kind in enumerate((*PROBLEMS, *NOTES))}
    findings.sort(key=lambda f: (order[f.kind], f.clip_id, f.path))
    return Validation(corpus.name, str(folder), len(clips), dict(found), corpus.expected, tuple(findings))


_digest = lru_cache(maxsize=1)(file_digest)  # the parts of a file follow each other


def _read(entry: Entry) -> tuple[str, str, str]:
    """Kind and detail of what is wrong with a clip, and a digest of its content (empty if unreadable)."""
    import pandas as pd

    from .. import audio

    (source,) = sources(pd.DataFrame([{"path": str(entry.path), **entry.fields}]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            seconds = audio.read_audio(source).duration
            digest = _digest(entry.path)
        except PointerFileError as error:
            return "pointer", str(error), ""
        except (AudioError, OSError) as error:
            return "unreadable", str(error), ""
    if isinstance(source, audio.Excerpt):
        digest += f" {source.start} {source.end}"
    for category, kind in ((SilentAudioWarning, "silent"), (TruncatedAudioWarning, "truncated")):
        for warning in caught:
            if issubclass(warning.category, category):
                return kind, str(warning.message), digest
    if seconds < audio.MIN_SECONDS:
        return "short", f"{seconds:.3f} s; nothing is measured of less than {audio.MIN_SECONDS} s", digest
    return "", "", digest


def _presence(corpus: Corpus, folder: Path, clips: dict[str, list[Entry]]) -> Iterator[Finding]:
    index = corpus.index(folder)
    if not index:
        return
    for clip in index - clips.keys():
        yield Finding("missing", f"{corpus.name}:{clip}", "", "no file of this name")
    for clip in clips.keys() - index:
        detail = "a well-formed name that the published corpus does not have"
        yield Finding("extra", f"{corpus.name}:{clip}", str(clips[clip][0].path), detail)


def _miscounted(expected: dict[str, int], found: Counter[str]) -> Iterator[Finding]:
    """Emotions of which there are more or fewer clips than were published."""
    for emotion in [*expected, *sorted(found.keys() - expected.keys())]:
        if found[emotion] != expected.get(emotion, 0):
            detail = f"{found[emotion]} clips, expected {expected.get(emotion, 0)}"
            yield Finding("count", emotion, "", detail)


def _needs(corpus: Corpus, clips: dict[str, list[Entry]]) -> Iterator[Finding]:
    """What recordings of one's own lack for training and for tests on unseen speakers."""
    import pandas as pd

    fields = pd.DataFrame([group[0].fields for group in clips.values()], columns=["speaker", "emotion"])
    unknown = int((fields["speaker"] == "").sum())
    if unknown:
        yield Finding(
            "speakers", f"{corpus.name}:{UNKNOWN_SPEAKER}", "",
            f"it is not known who speaks in {unknown} of {len(fields)} clips, so unseen speakers cannot be "
            "tested: put them into folders such as angry/anna, or name the speakers in a list",
        )  # fmt: skip
    named = fields[fields["speaker"] != ""]
    for group in alike(named["speaker"]):
        yield Finding("speakers", group[0], "", f"written {', '.join(map(repr, group))}: the same person?")
    if not unknown and named["speaker"].nunique() < 3:
        number = named["speaker"].nunique()
        detail = f"{number} of them; to test on unseen ones takes three or more"
        yield Finding("speakers", corpus.name, "", detail)
    owners = named.groupby("emotion")["speaker"].agg(["nunique", "first"])
    for emotion, who in owners.loc[owners["nunique"] == 1, "first"].items():
        detail = f"only {who} speaks so; to test it on unseen speakers takes two"
        yield Finding("emotions", emotion, "", detail)
    if fields["emotion"].nunique() < 2:
        yield Finding("emotions", corpus.name, "", "all clips are of one; to learn anything takes two")


def _repeats(
    corpus: Corpus, clips: dict[str, list[Entry]], digests: dict[tuple[str, Path], str]
) -> Iterator[Finding]:
    """Files that hold the same bytes under two names, and copies of one clip."""
    owners: dict[str, list[str]] = defaultdict(list)
    for clip, (first, *copies) in clips.items():
        if digests[clip, first.path]:
            owners[digests[clip, first.path]].append(clip)
        for copy in copies:
            clip_id, path = f"{corpus.name}:{clip}", str(copy.path)
            if digests[clip, copy.path] == digests[clip, first.path]:
                yield Finding("copy", clip_id, path, f"the same bytes as {first.path}")
            elif copy.path.suffix.lower() != first.path.suffix.lower():
                yield Finding("copy", clip_id, path, f"another format of {first.path}")
            else:
                yield Finding("duplicate", clip_id, path, f"the same name as {first.path}, but other bytes")
    known = corpus.known_bad | {clip: "known to repeat another clip" for clip in corpus.known_duplicates}
    for first, *others in owners.values():
        for clip in others:
            kind = "known" if clip in known or first in known else "duplicate"
            detail = f"the same bytes as {corpus.name}:{first}" + (
                f" ({known[clip]})" if clip in known else ""
            )
            yield Finding(kind, f"{corpus.name}:{clip}", str(clips[clip][0].path), detail)
