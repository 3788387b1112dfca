"""Praat, through praat-parselmouth: the one part of ser_kit that is under the GPL.

Whoever distributes ser_kit without it imports everything else as before; what measures or makes voices says
what is missing. See "Licence" in the README.
"""

from __future__ import annotations

from types import ModuleType

from ..core.errors import MissingDependencyError


def praat(purpose: str) -> ModuleType:
    """The module ``parselmouth``, imported when it is first needed.

    Args:
        purpose: what it is for, as the beginning of a sentence.

    Raises:
        MissingDependencyError: praat-parselmouth is not installed.

    Examples:
        >>> praat("an example").Sound([0.0, 1.0, 0.0], 16000).n_samples
        3
    """
    try:
        import parselmouth
        import parselmouth.praat  # noqa: F401 - used as an attribute
    except ImportError:
        raise MissingDependencyError("praat-parselmouth", "", purpose) from None
    return parselmouth
