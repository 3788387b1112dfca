# `make demo` and `make test` do all of their own set-up; both need Python 3.11+ and a package index, nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-lowest lint docs bench lab app notebooks wheel wheels clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp is remade whenever the dependencies change; sources are installed in place. Python compiles what it imports;
# to compile all that is installed takes half a minute more. What it compiled it must be allowed to keep, though: else
# each process compiles TensorFlow anew, which takes longer than to load it.
unexport PYTHONDONTWRITEBYTECODE
$(VENV)/.installed: setup.cfg pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "ser_kit needs Python 3.11 or later; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e ".[dev]"
	@touch $@

demo: $(VENV)/.installed  ## run notebooks 01 to 08 (SER_KIT_CORPUS=ravdess for real speech)
	$(BIN)/ser-kit demo

test: $(VENV)/.installed  ## run the test suite
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

test-fast: $(VENV)/.installed  ## run the tests that take little time, for the daily loop
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not browser" $(PYTEST_ARGS)

# The lowest versions that setup.cfg allows, on the lowest Python, to know that they are enough: by hand or weekly.
# Tests of the page's widget are written for ipywidgets 8; CONTRIBUTING.md says how a browser drives it with 7.
LOWEST       := .venv-lowest
LOWEST_TESTS := contracts/test_architecture.py audio cli corpora/test_demo_corpus.py training/test_estimators.py evaluation \
                deploy/test_exporter.py deploy/test_graph.py features/test_features.py extraction models plots \
                inference/test_predictor.py inference/test_speech_check.py
test-lowest:  ## run the fast tests on the lowest versions of all dependencies (PYTHON=python3.11)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "the lowest Python is meant; try: make PYTHON=python3.11 test-lowest"; exit 1; }
	$(PYTHON) -m venv --clear $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(LOWEST)/bin/uv pip install --quiet --python $(LOWEST) --resolution lowest-direct -e ".[test]"
	$(LOWEST)/bin/python -c 'import soundfile; from ser_kit.corpora.demo import synthesise_clip; soundfile.write("$(LOWEST)/clip.wav", synthesise_clip("01_angry_s1_t1.wav"), 16000)'
	$(LOWEST)/bin/ser-kit predict $(LOWEST)/clip.wav
	$(LOWEST)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not slow and not browser" $(PYTEST_ARGS) $(LOWEST_TESTS:%=tests/%)

lint: $(VENV)/.installed  ## check the style
	$(BIN)/ruff check . && $(BIN)/ruff format --check .

# Sphinx and its theme, which nothing else needs.
$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[docs]"
	@touch $@

# -E: the reference is found by walking the package, whose files Sphinx does not watch.
docs: $(VENV)/.installed-docs  ## build the documentation into build/docs; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -E -q -d build/doctrees docs build/docs

# openSMILE, which nothing else needs.
$(VENV)/.installed-bench: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[bench]"
	@touch $@

bench: $(VENV)/.installed-bench  ## speed and memory beside openSMILE and plain scripts (BENCH_ARGS=--help)
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

lab: $(VENV)/.installed  ## open JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

app: $(VENV)/.installed  ## serve a page that answers recordings in the browser
	$(BIN)/ser-kit app

notebooks: $(VENV)/.installed  ## run the notebooks on RAVDESS and keep their outputs
	rm -rf outputs/ravdess/store  # so that the times shown are those of a first run
	# A copy of some of the speakers will do; the warning of it would stand, with this machine's paths, in what is kept.
	PYTHONWARNINGS=ignore:ravdess SER_KIT_CORPUS=ravdess SER_KIT_STORE=$(CURDIR)/outputs/ravdess/store $(BIN)/ser-kit demo --out outputs/ravdess
	cp outputs/ravdess/0*.ipynb notebooks/
	cp outputs/ravdess/figures/04_protocols.png docs/images/protocols.png

wheel: $(VENV)/.installed  ## build the package as one file, dist/ser_kit-*.whl
	rm -rf build/lib build/bdist.* dist/ser_kit-*.whl  # else files that are gone from the sources would be in it
	$(BIN)/python -m build --wheel

# For a computer without internet, of the same Python version and platform as this one. What is installed there in a
# version that will do is not taken from the folder, so the largest may be left out of it: LEAVE="tensorflow numpy".
wheels: wheel  ## the wheel and every package that it needs, in dist/wheels, for a computer without internet
	rm -rf dist/wheels
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --wheel-dir dist/wheels "$$(ls $(CURDIR)/dist/ser_kit-*.whl)[export]"
	@for name in $(LEAVE); do rm -f dist/wheels/$$name-[0-9]*.whl; done
	@du -sh dist/wheels

clean:  ## remove what the commands above made, but not the environment
	rm -rf outputs runs build dist *.egg-info
