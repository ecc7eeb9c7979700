"""A local page that shows a model at work: `fastnn show`, and `fastnn train --show` while it learns.

`PageServer` answers on this machine alone; `ModelPage` knows what to say; `index.html` draws it.
"""

from __future__ import annotations

from .live import TrainingWatcher
from .model_page import ModelPage
from .picture_inputs import Examples, PictureInputs, enlarged_digits
from .server import PageServer
from .table_inputs import TableData, TableInputs

__all__ = [
    "Examples",
    "ModelPage",
    "PageServer",
    "PictureInputs",
    "TableData",
    "TableInputs",
    "TrainingWatcher",
    "enlarged_digits",
]
