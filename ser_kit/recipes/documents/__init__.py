"""Documents that describe speech emotion recognition systems: their tables and figures, beside ours.

Examples:
    >>> from ser_kit.recipes import documents
    >>> list(documents.DOCUMENTS)
    ['staged', 'functionals', 'ensembles', 'time_distributed', 'cnn_bilstm']
    >>> documents.DOCUMENTS["staged"].corpora
    ('ravdess',)
"""

from __future__ import annotations

from ...core.registry import Registry
from .document import Document, Material, Picture, Row, Table

__all__ = ["DOCUMENTS", "Document", "Material", "Picture", "Row", "Table"]

DOCUMENTS: Registry[Document] = Registry(
    "document",
    {
        "staged": f"{__name__}.staged:STAGED",
        "functionals": f"{__name__}.functionals:FUNCTIONALS",
        "ensembles": f"{__name__}.ensembles:ENSEMBLES",
        "time_distributed": f"{__name__}.time_distributed:TIME_DISTRIBUTED",
        "cnn_bilstm": f"{__name__}.cnn_bilstm:CNN_BILSTM",
    },
)
"""Documents by name, in the order of the documentation."""
