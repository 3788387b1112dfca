from . import reproduce as reproduce
from . import tuning as tuning
from .ensemble import Ensemble as Ensemble
from .experiment import Experiment as Experiment
from .system import PUBLISHED as PUBLISHED
from .system import Material as Material
from .system import Published as Published
from .system import Recipe as Recipe
from .system import Split as Split
from .system import System as System
from .system import versions as versions

def names() -> list[str]: ...
def get(name: str) -> System: ...
def recipe(name: str) -> System: ...

RECIPES: dict[str, System]
OWN: dict[str, System]
