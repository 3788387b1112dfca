"""Speech emotion recognition."""
from ._version import __version__
