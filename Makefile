PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV ?= .venv
ARGS ?=
# Tests that run side by side: twice as many as there are cores, because most of them wait.
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(shell expr 2 '*' $(CORES))

BIN := $(VENV)/bin
PIP_ENV := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USE_PEP517=1

# A stamp in the environment says what is installed there. Its name holds a checksum of the
# requirements: new ones are installed, the same ones never twice, whatever their files' dates.
KEY := $(shell cat requirements*.txt requirements*.lock | cksum | tr ' ' -)
LOCKED_requirements := requirements.lock
LOCKED_requirements-dev := requirements-dev.lock
RUN := $(VENV)/requirements.txt-$(KEY)
DEV := $(VENV)/requirements-dev.txt-$(KEY)

# The tests of a file share services, so they run in one process.
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes \
  --custom-compile-command "make lock"

# What is left of the lock without PyTorch, for machines that take its CPU wheels instead.
define NO_TORCH
/^[a-z0-9]/ { out = /^(torch|torchvision|triton|(nvidia|cuda)-[a-z0-9-]+)==/ } !out
endef
export NO_TORCH

.DEFAULT_GOAL := help
.PHONY: help run stack test test-unit test-integration test-system demo bench accuracy scaling drift pad soak outages front fuzz lint types install lock audit licences clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN) ## serve on port 5005; settings come from the environment
	@exec $(BIN)/python entry.py

stack: $(DEV) ## the service, a stand-in for the liveness service, and a MongoDB
	@exec $(BIN)/python -m tools.stack $(ARGS)

test: $(DEV) ## run the tests, with ARGS="-k word" some of them
	$(PYTEST) tests $(ARGS)

test-unit: $(DEV) ## run the tests of parts alone, in seconds
	$(PYTEST) --numprocesses $(CORES) tests/unit $(ARGS)

test-integration: $(DEV) ## run the tests of parts together, in this process
	$(PYTEST) tests/integration $(ARGS)

test-system: $(DEV) ## run the tests of the service and its commands as processes
	$(PYTEST) tests/system $(ARGS)

demo: $(DEV) ## enrol faces and log in with them
	@$(BIN)/python demo.py $(ARGS)

bench: $(DEV) ## measure the service, with ARGS=--quick in few rounds
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m benchmarks $(ARGS)

accuracy: $(DEV) ## measure the pipeline and write docs/accuracy.md
	$(BIN)/python -m benchmarks.accuracy $(ARGS)

scaling: $(DEV) ## simulate how many pods are needed, from what was measured
	$(BIN)/python -m benchmarks.scaling

drift: $(DEV) ## find and repair drift by hand among 100,000 vectors in Milvus
	$(BIN)/python -m benchmarks.drift $(ARGS)

pad: $(DEV) ## measure fraud detection and write the table of docs/fraud.md
	$(BIN)/python -m benchmarks.pad $(ARGS)

soak: $(DEV) ## check every answer under kills and write docs/reliability.md
	$(BIN)/python -m benchmarks.soak $(ARGS)

outages: $(DEV) ## measure how the service bears a failing MongoDB and write docs/reliability.md
	$(BIN)/python -m benchmarks.outages
	$(BIN)/python -m benchmarks.following

front: $(DEV) ## measure what clients that misbehave cost others, and write docs/reliability.md
	$(BIN)/python -m benchmarks.front

fuzz: $(DEV) ## damage pictures and bodies 100,000 times and see what it does, with ARGS="--cases 1000"
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV) ## check types
	$(BIN)/mypy

install: $(DEV) ## set everything up and stop there

lock: | $(BIN)/pip ## pin anew, with hashes, what the requirements bring along
	$(PIP_ENV) $(BIN)/pip install --quiet uv
	$(LOCK) --upgrade --output-file requirements.lock requirements.txt
	$(LOCK) --upgrade -c requirements.lock --output-file requirements-dev.lock requirements-dev.txt
	$(LOCK) -c requirements-dev.lock --output-file requirements-milvus.lock requirements-milvus.txt
	awk "$$NO_TORCH" requirements.lock > requirements-cpu.lock

audit: $(DEV) ## look for known vulnerabilities in what is pinned, and at the licences
	$(BIN)/python -m tools.audit

licences: $(DEV) ## write docs/licences.md
	$(BIN)/python -m tools.licences --write

clean: ## remove what was installed and cached, but no employee and no weights
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -r {} +

$(VENV)/%.txt-$(KEY): | $(BIN)/pip
	@rm -f $(VENV)/*.txt-*
	$(PIP_ENV) $(BIN)/pip install --require-hashes -r $(LOCKED_$*)
	@touch $(RUN) $@

$(BIN)/pip:
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer with venv: install that" \
	    "(Debian and Ubuntu: apt-get install python3.11-venv), or name it with PYTHON=." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
