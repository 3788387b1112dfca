"""Every exception and warning of ser_kit.

A message names the bad value, what would be right, and what to do about it. Each class also derives from
the built-in that a caller would expect (``ValueError`` for a bad value, ``ImportError`` for a missing extra).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of surrogate pairs, and what turns the direction of writing."""


def printable(text: str) -> str:
    """A text from outside, such as a file name, with its control characters replaced.

    Examples:
        >>> printable("red\\x1b[31m.wav")
        'red�[31m.wav'
    """
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


class SerKitError(Exception):
    """Base class: ``except SerKitError`` catches whatever ser_kit raises on purpose."""


class UnknownNameError(SerKitError, ValueError):
    """A registry was asked for a name it does not hold.

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
    """An emotion name or a label set cannot be understood."""


class CorpusNotFoundError(SerKitError, FileNotFoundError):
    """The recordings of a corpus cannot be had; the message says how to get them."""


class FileNameError(SerKitError, ValueError):
    """A file name does not follow its corpus's scheme."""


class TableError(SerKitError, ValueError):
    """A clip table lacks a column, or holds values that make no sense."""


class AudioError(SerKitError, ValueError):
    """A recording cannot be used; base class of the errors below."""


class AudioNotFoundError(AudioError, FileNotFoundError):
    """There is no file at the path given."""


class EmptyAudioError(AudioError):
    """No samples at all."""


class NotAudioError(AudioError):
    """The bytes are not a sound format that can be decoded here."""


class PointerFileError(AudioError):
    """A Git-LFS pointer stands where the recording should be."""


class TooShortError(AudioError):
    """The recording is too short to be analysed."""


class InvalidSamplesError(AudioError):
    """The samples hold NaN or infinite values."""


class NoRuntimeWarning(UserWarning):
    """A bundle's networks answer, which is slower: ONNX Runtime is not installed, or there is no
    ``model.onnx``."""


class SilentAudioWarning(UserWarning):
    """Every sample of the recording is zero (or indistinguishable from it)."""


class TruncatedAudioWarning(UserWarning):
    """The file ends before its header says, or is damaged; what can be decoded was."""


class RecipeError(SerKitError, ValueError):
    """A recipe, an ensemble or a change to one makes no sense."""


class PreprocessError(SerKitError, ValueError):
    """A step cannot be made, or cannot work on these samples."""


class FeatureError(SerKitError, ValueError):
    """Features cannot be computed or saved as asked."""


class EncoderError(SerKitError, ValueError):
    """A speech encoder has no such block, or its weights are missing or changed."""


class StoreError(SerKitError):
    """The feature store cannot be read or written: no room, no permission, a broken disk."""


class IncompleteCorpusWarning(UserWarning):
    """A copy of a corpus lacks many of the clips that were published."""


class DamagedStoreWarning(UserWarning):
    """The feature store, or an entry of it, was spoiled; what was lost is extracted anew."""


class DamagedCheckpointWarning(UserWarning):
    """The state of an interrupted training was spoiled; that training starts anew."""


class LeakageError(SerKitError):
    """A clip or a speaker stands on both sides of a split.

    Args:
        message: what crossed, and between which parts.
        offenders: the clip ids or speakers, all of them.
    """

    def __init__(self, message: str, offenders: Iterable[str] = ()):
        self.offenders = sorted(offenders)
        shown = ", ".join(self.offenders[:10])
        more = f" and {len(self.offenders) - 10} more" if len(self.offenders) > 10 else ""
        super().__init__(f"{message}: {shown}{more}" if shown else message)


class FewClipsWarning(UserWarning):
    """There are too few clips for what is fitted on them to be relied on."""


class TrainingError(SerKitError, ValueError):
    """Training cannot start or go on as asked."""


class TargetError(SerKitError, OSError):
    """Results cannot be put where they were asked for."""


class BundleError(SerKitError, ValueError):
    """A folder is not a usable ser_kit bundle."""


class AdaptationError(SerKitError, ValueError):
    """What was learned of a speaker cannot be used: its file is damaged, or it is of another bundle."""


class ForkedError(SerKitError, RuntimeError):
    """A network would hang: this process was forked while TensorFlow's threads ran."""


class ExportError(SerKitError):
    """A bundle cannot be written for another runtime, or would answer differently there."""


class MissingDependencyError(SerKitError, ImportError):
    """A package is absent; the message names what to install: an extra of ser-kit, or the package itself."""

    def __init__(self, package: str, extra: str, purpose: str):
        wanted = f'"ser-kit[{extra}]"' if extra else package
        super().__init__(f"{purpose} needs {package}: pip install {wanted}")
