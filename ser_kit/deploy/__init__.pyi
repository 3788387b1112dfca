from . import export as export
from . import graph as graph
from .export import Report as Report
from .export import compare as compare
from .export import runner as runner
