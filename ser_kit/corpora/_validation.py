"""Checks that a corpus on disk is the one that was published."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pandas as pd

from ..errors import AudioError, PointerFileError, SilentAudioWarning, TruncatedAudioWarning
from ._base import Corpus, Entry, sources

PROBLEMS = ("missing", "extra", "duplicate", "unreadable", "truncated", "silent", "pointer", "count")
"""Findings that make a corpus differ from the published one."""

NOTES = ("copy", "known")
"""Findings that are as published: a clip that the archive holds twice, a clip that is known to be bad."""


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
        return pd.DataFrame([vars(f) for f in self.findings], columns=["kind", "clip_id", "path", "detail"])

    def counts(self) -> pd.DataFrame:
        """Clips per emotion: columns ``emotion``, ``found``, ``expected``."""
        emotions = list(dict.fromkeys([*self.expected, *sorted(self.found)]))
        rows = [(e, self.found.get(e, 0), self.expected.get(e, 0)) for e in emotions]
        return pd.DataFrame(rows, columns=["emotion", "found", "expected"])

    def summary(self) -> str:
        """The result in a few lines."""
        of = f" of {sum(self.expected.values()):,}" if self.expected else ""
        lines = [
            f"{self.corpus}: {self.clips:,}{of} clips in {self.root}: {'sound' if self.ok else 'not as published'}"
        ]
        kinds = Counter(finding.kind for finding in self.findings)
        for kind in (*PROBLEMS, *NOTES):
            if kinds[kind]:
                examples = [f.clip_id for f in self.findings if f.kind == kind][:3]
                more = ", ..." if kinds[kind] > 3 else ""
                lines.append(f"  {kind}: {kinds[kind]:,} ({', '.join(examples)}{more})")
        return "\n".join(lines)


def validate(corpus: Corpus, root: str | os.PathLike | None = None, *, progress: bool = True) -> Validation:
    """Checks a corpus; see :func:`ser_kit.corpora.validate`."""
    from tqdm.auto import tqdm

    folder = Path(os.path.abspath(corpus.locate(root)))
    entries = list(corpus.entries(folder))
    clips: dict[str, list[Entry]] = defaultdict(list)
    findings = []
    for entry in entries:
        if entry.reason:
            kind = "extra" if entry.path.exists() else "missing"  # a CSV file may list what is not there
            findings.append(Finding(kind, f"{corpus.name}:{entry.clip}", str(entry.path), entry.reason))
        else:
            clips[entry.clip].append(entry)

    digests: dict[tuple[str, Path], str] = {}
    bar = tqdm(total=sum(map(len, clips.values())), desc=f"validate {corpus.name}", unit="file", disable=not progress)
    with bar:
        for entry in (entry for group in clips.values() for entry in group):
            kind, detail, digests[entry.clip, entry.path] = _read(entry)
            if kind:
                known = corpus.known_bad.get(entry.clip) if kind == "silent" else None
                clip_id = f"{corpus.name}:{entry.clip}"
                findings.append(Finding("known" if known else kind, clip_id, str(entry.path), known or detail))
            bar.update()

    findings += _presence(corpus, folder, clips)
    findings += _repeats(corpus, clips, digests)
    found = Counter(group[0].fields["emotion"] for group in clips.values())
    expected = corpus.expected
    for emotion in [*expected, *sorted(found.keys() - expected.keys())] if expected else []:
        if found[emotion] != expected.get(emotion, 0):
            detail = f"{found[emotion]} clips, expected {expected.get(emotion, 0)}"
            findings.append(Finding("count", emotion, "", detail))
    order = {kind: place for place, kind in enumerate((*PROBLEMS, *NOTES))}
    findings.sort(key=lambda f: (order[f.kind], f.clip_id, f.path))
    return Validation(corpus.name, str(folder), len(clips), dict(found), expected, tuple(findings))


@lru_cache(maxsize=1)  # the parts of a file stand together
def _content(path: Path) -> tuple[bytes, str]:
    content = path.read_bytes()
    return content, hashlib.sha256(content).hexdigest()


def _read(entry: Entry) -> tuple[str, str, str]:
    """Kind and detail of what is wrong with a clip, and what is equal for equal ones (empty if it cannot be read)."""
    from .. import audio

    (source,) = sources(pd.DataFrame([{"path": str(entry.path), **entry.fields}]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            content, digest = _content(entry.path)
            audio.read_audio(content if isinstance(source, str) else source)
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
    return "", "", digest


def _presence(corpus: Corpus, folder: Path, clips: dict[str, list[Entry]]) -> Iterator[Finding]:
    index = corpus.index(folder)
    if not index:
        return
    for clip in index - clips.keys():
        yield Finding("missing", f"{corpus.name}:{clip}", "", "no file of this name")
    for clip in clips.keys() - index:
        path = str(clips[clip][0].path)
        yield Finding(
            "extra", f"{corpus.name}:{clip}", path, "a well-formed name that the published corpus does not have"
        )


def _repeats(corpus: Corpus, clips: dict[str, list[Entry]], digests: dict[tuple[str, Path], str]) -> Iterator[Finding]:
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
            detail = f"the same bytes as {corpus.name}:{first}" + (f" ({known[clip]})" if clip in known else "")
            yield Finding(kind, f"{corpus.name}:{clip}", str(clips[clip][0].path), detail)
