"""Changes that make more of the training clips: of waveforms, as steps, and of batches of features.

Examples:
    >>> from ser_kit import augment
"""

from __future__ import annotations
