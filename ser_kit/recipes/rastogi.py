"""A multi-layer perceptron over functionals.

The document gives layers, dropout, Adam, the batch size and a patience of 10; it leaves the learning rate (Keras's
default of 1e-3 here), the most epochs (100) and class weights (none) open.
"""

from ..features import Functionals
from ..training import Training
from ._base import Recipe

rastogi_mlp = Recipe(
    name="rastogi_mlp",
    title="Multi-layer perceptron on prosodic and spectral functionals",
    reference=(
        "Rastogi: multi-corpus speech emotion recognition on TESS, CREMA-D and RAVDESS; six classes, 10,898 clips, "
        "reported accuracy 65.14 %, macro F1 0.65"
    ),
    labels="six",
    extractor=Functionals(),
    model="mlp",
    training=Training(
        optimizer="adam", learning_rate=1e-3, batch_size=32, epochs=100, patience=10, class_weights=False
    ),
)
