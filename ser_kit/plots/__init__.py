"""Figures, from tables and arrays.

Each function returns a :class:`matplotlib.figure.Figure` of its own, draws nothing through ``pyplot`` and
changes no global settings, so figures can be made in threads, on servers and in widgets, and none is left
open. Distributions, boxes, heat maps and bars by class are seaborn's. A notebook shows the figure that a cell
returns; ``figure.savefig("name.png")`` keeps it.

Examples:
    >>> from ser_kit import plots
    >>> figure = plots.probabilities({"happy": 0.7, "sad": 0.2, "neutral": 0.1})
    >>> figure.axes[0].get_title(loc="left")
    'happy, 70%'
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
