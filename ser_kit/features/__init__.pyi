from . import encoders as encoders
from . import spectra as spectra
from .base import MIN_SECONDS as MIN_SECONDS
from .base import Extractor as Extractor
from .embeddings import TRILLsson as TRILLsson
from .embeddings import YAMNet as YAMNet
from .frames import FrameFeatures as FrameFeatures
from .functionals import Functionals as Functionals
from .librosa_functionals import LibrosaFunctionals as LibrosaFunctionals
from .logmel import LogMel as LogMel
from .pitch_energy import PitchEnergy as PitchEnergy
from .segments import Segments as Segments
from .speech_encoder import SpeechEncoder as SpeechEncoder
from .stacked import StackedFrames as StackedFrames
from .statistics import FrameStatistics as FrameStatistics
from .waveform import Waveform as Waveform

def names() -> list[str]: ...
def get(name: str) -> type[Extractor]: ...

EXTRACTORS: dict[str, type[Extractor]]
