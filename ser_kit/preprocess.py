"""What is done to the samples of a recording before anything is measured: steps, each usable alone.

A step is a frozen dataclass of its parameters and a function of samples and rate. Extractors take a chain of them
(``LogMel(preprocess=(Trim(), PeakNormalise()))``), which becomes part of what identifies the features.

Examples:
    >>> import numpy as np
    >>> tone = np.sin(np.arange(16000) / 10).astype("float32") / 4
    >>> float(np.abs(PeakNormalise()(tone, 16000)).max())
    1.0
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from .errors import PreprocessError, UnknownNameError

MIN_SECONDS = 0.1
"""A step that would leave less than this leaves the samples as they were: better too much sound than none."""

STEPS: dict[str, type[Step]] = {}
"""Every step class by name; those of :mod:`ser_kit.augment` too, once that is imported."""


@dataclass(frozen=True, kw_only=True)
class Step(ABC):
    """Turns samples into samples at the same rate.

    The fields of a subclass are its parameters. Two steps that are equal give equal samples; raise ``version`` whenever
    the same parameters begin to give others.
    """

    name: ClassVar[str]
    """What the registry calls it."""
    version: ClassVar[int] = 1

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "name" in vars(cls):
            STEPS[cls.name] = cls

    def __call__(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The samples after this step.

        Args:
            samples: mono float ``[n]``, full scale 1; not changed.
            rate: Hz.

        Returns:
            float32 ``[m]``; the samples as they were where less than 0.1 s would be left.

        Raises:
            PreprocessError: the samples are not one channel of finite numbers, or the rate does not suit the step.
        """
        samples = np.asarray(samples, np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise PreprocessError(f"{self.name}: expected one channel of finite samples, got shape {samples.shape}")
        changed = np.asarray(self._apply(samples, rate), np.float32)
        return changed if len(changed) >= MIN_SECONDS * rate else samples

    @abstractmethod
    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        """The samples after this step, for samples that are in order."""

    @property
    def identity(self) -> str:
        """Class, version and parameters in one line."""
        parameters = ", ".join(f"{key}={value!r}" for key, value in asdict(self).items())
        return f"{type(self).__name__}/{self.version}({parameters})"

    def to_dict(self) -> dict[str, Any]:
        """Name and parameters, ready for JSON; :func:`step` reads them."""
        return {"name": self.name, **asdict(self)}


def step(described: Step | str | Mapping[str, Any]) -> Step:
    """A step from its name, from what :meth:`Step.to_dict` gave, or as it is.

    Raises:
        UnknownNameError: no step has that name.
        PreprocessError: it has no such parameter.

    Examples:
        >>> step({"name": "peak_normalise", "peak": 0.5})
        PeakNormalise(peak=0.5)
    """
    if isinstance(described, Step):
        return described
    parameters = {"name": described} if isinstance(described, str) else dict(described)
    name = parameters.pop("name", None)
    if name not in STEPS:
        raise UnknownNameError("step", name, STEPS)
    try:
        return STEPS[name](**parameters)
    except TypeError as error:
        raise PreprocessError(f"step {name!r}: {error}") from None


def apply(steps: Iterable[Step], samples: np.ndarray, rate: int) -> np.ndarray:
    """The samples after each step in turn, float32 ``[m]``."""
    for each in steps:
        samples = each(samples, rate)
    return samples


@dataclass(frozen=True, kw_only=True)
class PeakNormalise(Step):
    """Scale to a largest magnitude; digital silence stays silence.

    Args:
        peak: the largest magnitude afterwards, full scale 1.
    """

    name: ClassVar[str] = "peak_normalise"

    peak: float = 1.0

    def _apply(self, samples: np.ndarray, rate: int) -> np.ndarray:
        loudest = np.abs(samples).max()
        return samples * (self.peak / loudest) if loudest > 0 else samples
