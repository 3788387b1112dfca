"""The page: upload or record speech, and see its emotion.

It works wherever ipywidgets 7.7 or later does: JupyterLab, Notebook, Voila, Colab, Kaggle, VS Code. Its
content is plain HTML in core widgets; a small anywidget uploads files by button, drag or microphone, in
parts, and moves a line over the pictures while a recording is played. Where Colab's frame refuses the upload
button or the microphone, :func:`upload_in_colab` and :func:`record_in_colab` use Colab's own.

Examples:
    >>> from ser_kit import app
    >>> app.show()                                                # doctest: +SKIP
"""

from __future__ import annotations

from .answer import ACCEPTED, LARGEST_UPLOAD, PLAYED_SECONDS, RIBBON_FROM
from .colab import record_in_colab, upload_in_colab
from .page import BUNDLE_VARIABLE, UploadWidget, show

__all__ = [
    "ACCEPTED", "BUNDLE_VARIABLE", "LARGEST_UPLOAD", "PLAYED_SECONDS", "RIBBON_FROM", "UploadWidget",
    "record_in_colab", "show", "upload_in_colab",
]  # fmt: skip
