from . import comparison as comparison
from . import pruning as pruning
from . import reproduce as reproduce
from . import tuning as tuning
from .ensemble import Ensemble as Ensemble
from .experiment import Experiment as Experiment
from .final import versions as versions
from .fine_tuning import Continued as Continued
from .fine_tuning import FineTuned as FineTuned
from .fine_tuning import Gain as Gain
from .fine_tuning import fine_tune as fine_tune
from .prepared import PreparedData as PreparedData
from .prepared import Split as Split
from .pruning import prune as prune
from .published import PUBLISHED as PUBLISHED
from .published import Published as Published
from .single import Recipe as Recipe
from .system import System as System

def names() -> list[str]: ...
def get(name: str) -> System: ...
def recipe(name: str) -> System: ...

RECIPES: dict[str, System]
OWN: dict[str, System]
