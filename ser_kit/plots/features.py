"""Figures of features.

Examples:
    >>> clips = pd.DataFrame({"emotion": ["happy", "happy", "sad"], "pitch_mean": [220.0, 240.0, 180.0]})
    >>> feature_by_emotion(clips, ["pitch_mean"]).axes[0].get_title(loc="left")
    'pitch mean'
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from ..core.errors import TableError
from ..core.labels import colours
from .style import INK, SOFT, emotions_of, new_figure, set_heading, set_note, set_title, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def feature_by_emotion(features: pd.DataFrame, names: Sequence[str]) -> Figure:
    """Box plots of features by emotion: the middle half of the clips as a box, the median as a line.

    Args:
        features: one row per clip, with the features and ``label`` or ``emotion`` as columns, as
            ``Features.to_frame()`` gives them. Clips without a value are left out of that feature.
        names: columns to draw, one panel each.

    Raises:
        TableError: a column is missing.
    """
    missing = [name for name in names if name not in features]
    if missing or not names:
        raise TableError(
            f"no feature {', '.join(missing) or 'named'}; there are {', '.join(map(str, features.columns))}"
        )
    import seaborn
    from matplotlib.patheffects import Normal, Stroke

    emotions = emotions_of(features).to_numpy()
    outline = [Stroke(linewidth=3.6, foreground="white"), Normal()]  # to be visible on dark boxes
    palette = colours(emotions)
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    width, height = max(5.0, 3.1 * columns + 1.0), 0.9 + rows * (0.75 + 0.27 * len(palette))
    figure, axes = new_figure(width, height, rows, columns, sharey=True)
    for ax, name in zip(axes.flat, names, strict=False):
        seaborn.boxplot(
            x=features[name].to_numpy(float), y=emotions, hue=emotions, order=list(palette), palette=palette,
            saturation=1, width=0.66, whis=(5, 95), showfliers=False, showcaps=False,
            boxprops={"edgecolor": "none"}, whiskerprops={"color": SOFT},
            medianprops={"color": INK, "linewidth": 1.6, "path_effects": outline}, legend=False, ax=ax,
        )  # fmt: skip
        tidy(ax, "x")
        set_title(ax, str(name).replace("_", " "))
    for ax in axes.flat[len(names) :]:
        ax.set_visible(False)
    set_heading(figure, f"Features by emotion, {len(features):,} clips")
    set_note(figure, "line: median; box: middle half of the clips; whiskers: 5% to 95%")
    return figure
