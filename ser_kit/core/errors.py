"""Every exception and warning of ser_kit.

A message names the bad value, what would be right, and what to do about it. Each class also derives from the
matching built-in (``ValueError`` for a bad value, ``ImportError`` for a missing extra).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, unpaired surrogates, and marks that change the writing direction."""


def printable(text: str) -> str:
    """Replace the control characters of an untrusted text, such as a file name.

    Examples:
        >>> printable("red\\x1b[31m.wav")
        'red�[31m.wav'
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class SerKitError(Exception):
    """Base class of all errors that ser_kit raises on purpose."""


class UnknownNameError(SerKitError, ValueError):
    """There is no entry of that name in a registry.

    Examples:
        >>> raise UnknownNameError("corpus", "ravdes", ["ravdess"])
        Traceback (most recent call last):
        ...
        ser_kit.core.errors.UnknownNameError: unknown corpus 'ravdes'; did you mean 'ravdess'? Known: ravdess
    """

    def __init__(self, kind: str, name: object, known: Iterable[str]):
        known = sorted(known)
        close = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {close[0]!r}? Known: " if close else "; known: "
        super().__init__(f"unknown {kind} {name!r}{hint}{', '.join(known) or 'none'}")


class LabelError(SerKitError, ValueError):
    """An emotion name or a label set is not known."""


class CorpusNotFoundError(SerKitError, FileNotFoundError):
    """The recordings of a corpus were not found; the message says how to get them."""


class FileNameError(SerKitError, ValueError):
    """A file name does not follow its corpus's scheme."""


class TableError(SerKitError, ValueError):
    """A clip table lacks a column, or holds invalid values."""


class AudioError(SerKitError, ValueError):
    """A recording cannot be used; base class of the errors below."""


class AudioNotFoundError(AudioError, FileNotFoundError):
    """There is no file at the path given."""


class EmptyAudioError(AudioError):
    """The recording has no samples."""


class NotAudioError(AudioError):
    """The bytes are not in an audio format that can be decoded here."""


class PointerFileError(AudioError):
    """The file is a Git-LFS pointer, not the recording itself."""


class TooShortError(AudioError):
    """The recording is too short to be analysed."""


class InvalidSamplesError(AudioError):
    """The samples hold NaN or infinite values."""


class NoRuntimeWarning(UserWarning):
    """Keras predicts, which is slower: ONNX Runtime is not installed, or there is no ``model.onnx``."""


class SilentAudioWarning(UserWarning):
    """Every sample of the recording is zero, or indistinguishable from zero."""


class TruncatedAudioWarning(UserWarning):
    """The file is shorter than its header states, or damaged; the decodable part was used."""


class RecipeError(SerKitError, ValueError):
    """A recipe, an ensemble or a change to one is not valid."""


class PreprocessError(SerKitError, ValueError):
    """A preprocessing step has invalid settings, or cannot process these samples."""


class FeatureError(SerKitError, ValueError):
    """Features cannot be computed or saved as requested."""


class EncoderError(SerKitError, ValueError):
    """A speech encoder has no such block, or its weights are missing or have been changed."""


class StoreError(SerKitError):
    """The feature store cannot be read or written, for example because the disk is full."""


class IncompleteCorpusWarning(UserWarning):
    """A copy of a corpus lacks many of the published clips."""


class DamagedStoreWarning(UserWarning):
    """The feature store, or an entry of it, was damaged; its features are extracted again."""


class DamagedCheckpointWarning(UserWarning):
    """The checkpoint of an interrupted training was damaged; the training starts again."""


class LeakageError(SerKitError):
    """A clip or a speaker is on both sides of a split.

    Args:
        message: what is shared, and by which parts.
        offenders: all clip ids or speakers that are shared.
    """

    def __init__(self, message: str, offenders: Iterable[str] = ()):
        self.offenders = sorted(offenders)
        shown = ", ".join(self.offenders[:10])
        more = f" and {len(self.offenders) - 10} more" if len(self.offenders) > 10 else ""
        super().__init__(f"{message}: {shown}{more}" if shown else message)


class FewClipsWarning(UserWarning):
    """There are too few clips for a reliable fit."""


class TrainingError(SerKitError, ValueError):
    """Training cannot start or resume as requested."""


class TargetError(SerKitError, OSError):
    """Results cannot be written to the requested place."""


class BundleError(SerKitError, ValueError):
    """A folder is not a usable ser_kit bundle."""


class AdaptationError(SerKitError, ValueError):
    """A speaker adaptation cannot be used: its file is damaged, or belongs to another bundle."""


class ForkedError(SerKitError, RuntimeError):
    """TensorFlow would hang: this process was forked while TensorFlow's threads were running."""


class ExportError(SerKitError):
    """A bundle cannot be exported to another runtime, or would predict differently there."""


class MissingDependencyError(SerKitError, ImportError):
    """A package is not installed; the message names the extra of ser-kit, or the package, to install."""

    def __init__(self, package: str, extra: str, purpose: str):
        wanted = f'"ser-kit[{extra}]"' if extra else package
        super().__init__(f"{purpose} needs {package}: pip install {wanted}")
