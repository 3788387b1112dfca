from . import backend as backend
from . import checks as checks
from . import errors as errors
from . import labels as labels
from . import parallel as parallel
from . import paths as paths
from . import probabilities as probabilities
from . import schema as schema
