"""What tests of the ``ser-kit`` command have in common."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from quick import perceptron

from ser_kit import cli, recipes
from ser_kit.corpora.demo import synthesise_clip


@pytest.fixture
def ser_kit(capsys):
    """Runs the command; returns exit status, standard output (parsed, with --json) and standard error."""

    def run(*arguments):
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as end:  # argparse
            status = end.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, json.loads(out) if "--json" in arguments and out else out, err

    return run


@pytest.fixture(scope="module")
def recordings(tmp_path_factory) -> Path:
    """20 synthetic clips of five speakers, in a folder for each of two emotions."""
    root = tmp_path_factory.mktemp("recordings")
    for emotion in ("angry", "sad"):
        for speaker in ("01", "02", "03", "04", "05"):
            folder = root / emotion / speaker
            folder.mkdir(parents=True)
            for text in ("s1", "s2"):
                name = f"{speaker}_{emotion}_{text}_t1.wav"
                soundfile.write(folder / name, synthesise_clip(name), 16000)
    return root


@pytest.fixture
def quick(monkeypatch):
    """The recipe of functionals, with two epochs and without the seconds that tracing each model takes."""
    import tensorflow as tf

    monkeypatch.setitem(recipes.RECIPES, "rastogi_mlp", perceptron(training__epochs=2))
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)
