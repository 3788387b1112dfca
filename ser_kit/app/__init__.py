"""The page: upload or record speech, and see its emotion.

It runs with ipywidgets 7.7 or later in JupyterLab, Notebook, Colab, Kaggle and VS Code. Its content is
HTML in core widgets. A small anywidget uploads files in parts (by button, drag or microphone) and moves a
playhead over the pictures. Where Colab's frame blocks the upload button or the microphone,
:func:`upload_in_colab` and :func:`record_in_colab` use Colab's own.

Examples:
    >>> from ser_kit import app
    >>> app.show()                                                # doctest: +SKIP
"""

from __future__ import annotations

from . import notebook as notebook
from .answer import ACCEPTED, LARGEST_UPLOAD, PLAYED_SECONDS, RIBBON_FROM
from .colab import record_in_colab, upload_in_colab
from .page import BUNDLE_VARIABLE, UploadWidget, show

__all__ = [
    "ACCEPTED", "BUNDLE_VARIABLE", "LARGEST_UPLOAD", "PLAYED_SECONDS", "RIBBON_FROM", "UploadWidget",
    "record_in_colab", "show", "upload_in_colab",
]  # fmt: skip
