"""What every corpus shares: finding the recordings, reading their names, and making the clip table."""

from __future__ import annotations

import logging
import os
import re
import shlex
import unicodedata
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import TYPE_CHECKING

from ..core.errors import CorpusNotFoundError, FileNameError, IncompleteCorpusWarning, LabelError
from ..core.paths import audio_files
from ..core.registry import Registry
from .naming import LEFT_OUT, Naming
from .table import COLUMNS, SPAN_COLUMNS, UNKNOWN_SPEAKER
from .understood import Understood

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

_NAMES = (
    "ravdess", "ravdess_song", "cremad", "tess", "savee", "emodb", "nemo", "emospeech", "iemocap", "folder",
    "demo",
)  # fmt: skip
CORPORA: Registry[ModuleType] = Registry("corpus", {name: f"{__package__}.{name}" for name in _NAMES})
"""Name -> the module that holds everything about a corpus."""

DATA_VARIABLE = "SER_KIT_DATA"
WHOLE = 0.9
"""Share of the published clips below which a warning is given that a copy of a corpus is incomplete."""

_RETRIES = 2


_TITLES = frozenset(
    {"actor", "actress", "id", "p", "participant", "person", "s", "sp", "speaker", "spk", "subject"}
)


def alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ in no more than case, leading zeros, punctuation or a word such as "speaker".

    Among recordings of your own, a name with letters that stands in several of them is one too.

    Examples:
        >>> alike(["folder:1", "folder:01", "folder:Actor_01", "folder:2", "folder:anna", "folder:Anna"])
        [['folder:01', 'folder:1', 'folder:Actor_01'], ['folder:Anna', 'folder:anna']]
        >>> alike(["folder:anna", "calls:anna", "folder:1", "calls:1"])
        [['calls:anna', 'folder:anna']]
    """
    groups = defaultdict(list)
    for name in sorted(set(names)):
        corpus, _, speaker = name.rpartition(":")
        words = re.findall(r"[^\W\d_]+|\d+", unicodedata.normalize("NFC", speaker).casefold())
        parts = [word.lstrip("0") if word.isdigit() else word for word in words]
        bare = [part for part in parts if part not in _TITLES]
        own = corpus not in CORPORA or corpus == "folder"
        if own and speaker != UNKNOWN_SPEAKER and any(map(str.isalpha, bare)):
            corpus = "folder"
        groups[corpus, *(bare or parts)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def name_error(corpus: str, filename: object, why: str, example: str) -> FileNameError:
    """The error for a name that is not one of the corpus's."""
    return FileNameError(
        f"{str(filename)!r} is not a file name of {corpus}: {why}; a right one is {example!r}"
    )


def stem(filename: object) -> str:
    """The name of a file without its folders and suffix."""
    return PurePosixPath(str(filename)).stem


@dataclass(frozen=True)
class Entry:
    """One recording found: with its fields, or with the reason why it cannot be used.

    Args:
        path: where the recording is.
        clip: its name within the corpus, the same for each copy of it.
        fields: fields of the clip table, empty where there is a reason.
        reason: why the recording is left out.
        kind: the reason without what is particular to this file, to count by; the reason itself if not given.
        line: in a list of recordings, the line that names this one; 0 elsewhere.
        label: as somebody wrote it, or in a published corpus the canonical emotion; "" where there is a
            reason of another kind.
    """

    path: Path
    clip: str
    fields: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    kind: str = ""
    line: int = 0
    label: str = ""


@dataclass(frozen=True)
class Corpus:
    """A corpus as its module describes it.

    The module holds the constants ``NAME``, ``SLUG``, ``LICENSE``, ``BIBTEX``, ``LANGUAGE``, ``EXPECTED``,
    ``KNOWN_BAD`` and the function ``parse(filename) -> fields``, whose ``clip_id`` (where it is not the file
    name without suffix) and ``speaker`` need not carry the name of the corpus. It may hold ``KAGGLE_HANDLE``,
    ``HOMEPAGE``, ``KNOWN_DUPLICATES``, ``SKIPPED_FOLDERS``, ``SPEAKERS_OF`` (another corpus, whose speakers
    these are), ``OWN_LABELS`` (whether its ``native_emotion`` is a label that anybody may have written, from
    which the emotion follows), and these functions:

    - ``fetch() -> Path``: gets the recordings when no local folder has them, instead of kagglehub;
    - ``read_labels(root) -> {clip: fields}``: what the corpus keeps in label files rather than in file names;
    - ``listing(file) -> Iterator[Entry]``: for a root that is not a folder but a file which lists recordings;
    - ``about(file) -> str``: how such a file was read;
    - ``index() -> Iterable[str]``: the name of every clip of the complete corpus.

    Args:
        module: the corpus's module.
        alias: a name of its own, for your own recordings.
        root: where this copy is: as for :meth:`locate`, which goes by it first.
        naming: how labels become emotions. The emotions of published corpora are canonical; a map changes
            them too.
    """

    module: ModuleType
    alias: str = ""
    root: Path | None = None
    naming: Naming = field(default_factory=Naming)

    def __repr__(self) -> str:
        return f"Corpus({self.name!r})"

    @property
    def name(self) -> str:
        """Name in the registry, or the one that your own recordings were given."""
        return self.alias or self.module.NAME

    @property
    def speakers_of(self) -> str:
        """Prefix of its speakers: its own name, or that of the corpus that the same people recorded."""
        return getattr(self.module, "SPEAKERS_OF", self.name)

    @property
    def slug(self) -> str:
        """Name of the folder that holds the corpus, as its distributor calls it."""
        return self.module.SLUG

    @property
    def kaggle_handle(self) -> str | None:
        """Pinned kagglehub handle, or ``None``."""
        return getattr(self.module, "KAGGLE_HANDLE", None)

    @property
    def homepage(self) -> str:
        """Where the corpus is described, or an empty string."""
        return getattr(self.module, "HOMEPAGE", "")

    @property
    def license(self) -> str:
        """Licence of the recordings."""
        return self.module.LICENSE

    @property
    def bibtex(self) -> str:
        """What to cite."""
        return self.module.BIBTEX

    @property
    def language(self) -> str:
        """ISO 639-1 code, or an empty string."""
        return self.module.LANGUAGE

    @property
    def expected(self) -> dict[str, int]:
        """Clips per canonical emotion in the complete corpus; empty where that is not known."""
        return dict(self.module.EXPECTED)

    @property
    def known_bad(self) -> dict[str, str]:
        """Clips that are left out, each with the reason."""
        return dict(self.module.KNOWN_BAD)

    @property
    def known_duplicates(self) -> dict[str, str]:
        """Clips that repeat another byte for byte under the same label; they are kept."""
        return dict(getattr(self.module, "KNOWN_DUPLICATES", {}))

    def parse(self, filename: str) -> dict[str, str]:
        """Fields of the clip table read from a file name.

        Args:
            filename: a name, or a path with forward slashes relative to the corpus's folder.

        Raises:
            FileNameError: the name does not follow the corpus's scheme.
        """
        return self.module.parse(filename)

    def index(self, folder: Path | None = None) -> set[str]:
        """Names of the clips that the complete corpus holds; empty where that cannot be known.

        Args:
            folder: what :meth:`locate` returned, for corpora whose clips are named in label files alone.
        """
        return set(self._hook("index")()) | set(self._hook("read_labels")(folder) if folder else ())

    def locate(self, root: str | os.PathLike | None = None) -> Path:
        """The folder (or listing) of the recordings; downloads them where no local folder has them.

        Args:
            root: the corpus's folder or one that contains it. Without it, ``SER_KIT_DATA/<slug>``, a Kaggle
                mount, and last kagglehub or the corpus's own download are tried.

        Raises:
            CorpusNotFoundError: the recordings cannot be had; the message says how to get them.
        """
        root = root if self.root is None else self.root
        if root is not None:
            return self._below(Path(root))
        local = self.find_local()
        if local is not None:
            return local
        fetch = getattr(self.module, "fetch", None)
        if fetch is None and self.kaggle_handle is None:
            raise self.not_found("no local folder has them, and they cannot be downloaded automatically")
        try:
            return Path(fetch() if fetch else _kaggle_download(self.kaggle_handle))
        except CorpusNotFoundError:
            raise
        # The clients below raise a dozen unrelated types; for the caller all of them mean the same.
        except Exception as error:
            raise self.not_found(
                f"the download failed ({type(error).__name__}: {_one_line(error)})"
            ) from error

    def entries(self, root: Path) -> Iterator[Entry]:
        """Every recording under a located root, copies included.

        Args:
            root: what :meth:`locate` returned.
        """
        yield from map(self._with_emotion, self._found(root))

    def _with_emotion(self, entry: Entry) -> Entry:
        """An entry whose emotion follows from its label, or with the reason why there is none."""
        if entry.reason:
            return entry
        own = getattr(self.module, "OWN_LABELS", False)
        label = entry.fields["native_emotion" if own else "emotion"]
        entry = replace(entry, label=label)
        try:
            emotion = self.naming.emotion(label) if own else self.naming.mapped(label)
        except LabelError as error:
            return replace(entry, fields={}, reason=str(error), kind="label not known")
        if emotion == "":
            return replace(entry, fields={}, reason=f"{LEFT_OUT}: {label}")
        return entry if emotion is None else replace(entry, fields={**entry.fields, "emotion": emotion})

    def _found(self, root: Path) -> Iterator[Entry]:
        if root.is_file():
            yield from self.module.listing(root)
            return
        labels = self._hook("read_labels")(root)
        for path in audio_files(root, getattr(self.module, "SKIPPED_FOLDERS", frozenset())):
            name = path.relative_to(root).as_posix()
            try:
                fields = dict(self.parse(name))
            except FileNameError as error:
                yield Entry(path, name, reason=str(error), kind="file name not understood")
                continue
            clip = fields.pop("clip_id", path.stem).removeprefix(f"{self.name}:")
            fields |= labels.get(clip, {})
            if fields.get("emotion") or getattr(self.module, "OWN_LABELS", False):
                yield Entry(path, clip, fields)
            else:
                yield Entry(path, clip, reason="no emotion is given for it in the corpus's label files")

    def load(self, root: str | os.PathLike | None = None) -> pd.DataFrame:
        """The clip table.

        Args:
            root: as for :meth:`locate`.

        Returns:
            One row per clip, ordered by ``clip_id``. ``attrs["excluded"]`` lists the recordings left out and
            why, ``attrs["lost"]`` counts them, ``attrs["failed"]`` names those of them that a list asks for
            and that cannot be used, ``attrs["read"]`` counts the labels as they are written.

        Raises:
            CorpusNotFoundError: the recordings cannot be had, or no file is one of the corpus.
            LabelError: no label is a known emotion.

        Warns:
            IncompleteCorpusWarning: fewer than nine in ten of the published clips are there, or none of an
                emotion.
            UserWarning: it is not known who speaks in some clips, or what some labels mean.
        """
        import pandas as pd

        seen = Understood()
        folder = Path(os.path.abspath(self.locate(root)))
        rows: dict[str, dict[str, str]] = {}
        excluded: dict[str, dict[str, str]] = {}
        lost: Counter[str] = Counter()
        for entry in self.entries(folder):
            clip_id = f"{self.name}:{entry.clip}"
            if clip_id in rows or clip_id in excluded:
                continue  # a copy: two of the Kaggle archives hold every clip twice
            seen.add(entry)
            reason = entry.reason or self.known_bad.get(entry.clip, "")
            if reason:
                excluded[clip_id] = {
                    "clip_id": clip_id, "path": str(entry.path), "corpus": self.name, "reason": reason,
                }  # fmt: skip
                lost[entry.kind or reason] += 1
            else:
                rows[clip_id] = self._row(entry, clip_id)
        seen.report_unknown(self.name, folder, len(rows) + len(excluded))
        if not rows:
            hint = f" ({next(iter(excluded.values()))['reason']})" if excluded else ""
            raise self.not_found(f"{folder} holds none of them{hint}")
        parts = any(row[column] for row in rows.values() for column in SPAN_COLUMNS)
        columns = [*COLUMNS, *(SPAN_COLUMNS if parts else ())]
        table = pd.DataFrame([rows[clip_id] for clip_id in sorted(rows)], columns=columns)
        table.attrs["excluded"] = list(excluded.values())
        asked = [clip for clip, lacks in excluded.items() if not lacks["reason"].startswith(LEFT_OUT)]
        table.attrs["failed"] = asked if folder.is_file() else []
        table.attrs["read"] = dict(seen.labels)
        table.attrs["lost"] = [
            {"corpus": self.name, "reason": r, "clips": n} for r, n in sorted(lost.items())
        ]
        self._report(table, folder, seen)
        self._check_is_whole(
            folder, table, [clip for clip in self.known_bad if f"{self.name}:{clip}" in excluded]
        )
        return table

    def _row(self, entry: Entry, clip_id: str) -> dict[str, str]:
        fields = {"language": self.language, **entry.fields}
        speaker = fields.get("speaker", "").removeprefix(f"{self.speakers_of}:")
        return {column: fields.get(column, "") for column in (*COLUMNS, *SPAN_COLUMNS)} | {
            "clip_id": clip_id,
            "path": str(entry.path),
            "corpus": self.name,
            "speaker": f"{self.speakers_of}:{speaker or UNKNOWN_SPEAKER}",
        }

    def _report(self, table: pd.DataFrame, folder: Path, seen: Understood) -> None:
        losses = "; ".join(f"{loss['clips']} left out: {loss['reason']}" for loss in table.attrs["lost"])
        logger.info("%s: %d clips%s", self.name, len(table), f" ({losses})" if losses else "")
        if getattr(self.module, "OWN_LABELS", False):
            about = [self._hook("about")(folder)] if folder.is_file() else []
            for line in (*about, *seen.lines()):
                logger.info("  %s", line)
        unknown = int((table["speaker"] == f"{self.speakers_of}:{UNKNOWN_SPEAKER}").sum())
        if unknown:
            warnings.warn(
                f"{self.name}: the speaker of {unknown} of {len(table)} clips is not known "
                f"({self.speakers_of}:{UNKNOWN_SPEAKER}); protocols of unseen speakers refuse the corpus "
                "while they are among its clips",
                stacklevel=4,
            )

    def _check_is_whole(self, folder: Path, table: pd.DataFrame, known_bad: list[str]) -> None:
        found, published = len(table) + len(known_bad), sum(self.expected.values())
        lacking = [] if self.naming.map else sorted(self.expected.keys() - set(table["emotion"]))
        if found < WHOLE * published or lacking:
            none = f", none of {', '.join(lacking)}" if lacking else ""
            command = shlex.join(["ser-kit", "validate", f"{self.name}:{folder}"])
            warnings.warn(
                f"{self.name}: {folder} holds {found:,} of {published:,} published clips{none}; "
                f"what is missing is listed by: {command}",
                IncompleteCorpusWarning,
                stacklevel=4,
            )

    def _hook(self, name: str) -> Callable:
        return getattr(self.module, name, lambda *_: {})

    def _below(self, root: Path) -> Path:
        if root.is_file() and hasattr(self.module, "listing"):
            return root
        if not root.is_dir():
            raise self.not_found(f"root={str(root)!r} is not a folder")
        return self.place_in(root) or root

    def place_in(self, folder: Path) -> Path | None:
        """The corpus's own folder in one that holds several, or ``None``."""
        return next((place for place in (folder / self.slug, folder / self.name) if place.is_dir()), None)

    def find_local(self) -> Path | None:
        """The corpus's folder under ``SER_KIT_DATA`` or a Kaggle mount, or ``None``; no download."""
        places = []
        if os.environ.get(DATA_VARIABLE):
            data = Path(os.environ[DATA_VARIABLE])
            places += [data / self.slug, data / self.name]
        # kagglehub's own variable; on Kaggle the mount point is the default.
        mount = Path(os.environ.get("KAGGLE_CACHE_MOUNT_FOLDER", "/kaggle/input"))
        places.append(mount / self.slug)
        if self.kaggle_handle:
            places.append(mount / "datasets" / self.kaggle_handle.split("/")[0] / self.slug)
        return next((place for place in places if place.is_dir()), None)

    def not_found(self, why: str) -> CorpusNotFoundError:
        """The error that says why the recordings cannot be had, and how to get them."""
        have = f"load({self.name!r}, root='their folder'), or set {DATA_VARIABLE} to a folder that holds"
        lines = [
            f"the recordings of {self.name!r} cannot be had: {why}.",
            f"- If you have them: {have} {self.slug!r}.",
        ]
        if self.kaggle_handle:
            page = "https://www.kaggle.com/datasets/" + "/".join(self.kaggle_handle.split("/")[:2])
            token = "KAGGLE_API_TOKEN (or set KAGGLE_USERNAME and KAGGLE_KEY, or save ~/.kaggle/kaggle.json)"
            lines += [
                f"- Or download {page} and unpack it there.",
                "- Or let kagglehub do it: make a token at https://www.kaggle.com/settings and set it as "
                f"{token}.",
            ]
        if self.homepage:
            lines.append(f"- About the corpus: {self.homepage} (licence: {self.license})")
        return CorpusNotFoundError("\n".join(lines))


def _kaggle_download(handle: str) -> str:
    import kagglehub
    from requests.exceptions import ChunkedEncodingError, ConnectionError

    for _ in range(_RETRIES):
        try:
            return kagglehub.dataset_download(handle)
        # kagglehub keeps what it has of an archive and asks only for the rest when called again.
        except (ChunkedEncodingError, ConnectionError) as error:
            logger.info("the connection to Kaggle broke (%s); trying again", error)
    return kagglehub.dataset_download(handle)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
