"""Steps from samples to samples, taken before anything is measured; each can be used alone.

A step is a frozen dataclass of its parameters and a function of samples and rate. Extractors take a chain of
them (``LogMel(preprocess=(Trim(), PeakNormalise()))``), which becomes part of what identifies the features.

============================ ============================================== =================
step                         what it does                                   length
============================ ============================================== =================
:class:`PeakNormalise`       one largest magnitude for all clips            kept
:class:`Standardise`         zero mean, unit variance                       kept
:class:`RMSNormalise`        one level for all clips                        kept
:class:`HighPass`            take off offset and rumble, below speech       kept
:class:`Trim`                cut the quiet before and after                 shorter
:class:`Fix`                 cut or fill up to one length                   the one asked for
:class:`NoiseGate`           spectral gating (noisereduce)                  kept
:class:`SpectralSubtraction` take the spectrum of the quiet moments off all kept
:class:`WaveletDenoise`      shrink small wavelet coefficients (PyWavelets) kept
:class:`VoiceActivity`       keep what WebRTC's detector takes for speech   shorter
============================ ============================================== =================

:func:`frame` cuts samples into overlapping frames, for those who measure something of their own. Steps that
draw at random, to make more of the training clips, are in :mod:`ser_kit.audio.augment`.

Examples:
    >>> import numpy as np
    >>> from ser_kit.audio import transforms
    >>> tone = np.sin(np.arange(16000) / 10).astype("float32") / 4
    >>> float(np.abs(transforms.PeakNormalise()(tone, 16000)).max())
    1.0
    >>> steps = [transforms.Trim(), transforms.Fix(seconds=2), "rms_normalise"]
    >>> len(transforms.apply(steps, np.pad(tone, 8000), 16000)) / 16000
    2.0
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
