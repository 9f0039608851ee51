PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV ?= .venv
ARGS ?=

BIN := $(VENV)/bin
PIP_ENV := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_USE_PEP517=1

# A stamp in the environment says what is installed there. Its name holds a checksum of the
# requirements: new ones are installed, the same ones never twice, whatever their files' dates.
KEY := $(shell cat requirements*.txt requirements.lock | cksum | tr ' ' -)
RUN := $(VENV)/requirements.txt-$(KEY)
DEV := $(VENV)/requirements-dev.txt-$(KEY)

.DEFAULT_GOAL := help
.PHONY: help run stack test demo bench accuracy scaling drift pad soak outages lint types install lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(RUN) ## serve on port 5005; settings come from the environment
	@exec $(BIN)/python entry.py

stack: $(DEV) ## the service, a stand-in for the liveness service, and a MongoDB
	@exec $(BIN)/python -m tests.stack $(ARGS)

test: $(DEV) ## run the tests, with ARGS="-k word" some of them
	$(BIN)/python -m pytest $(ARGS)

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

lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV) ## check types
	$(BIN)/mypy

install: $(DEV) ## set everything up and stop there

lock: | $(BIN)/pip ## pin anew what the requirements bring along
	$(PIP_ENV) $(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --universal --upgrade --custom-compile-command "make lock" \
	  --output-file requirements.lock requirements-dev.txt

clean: ## remove what was installed and cached, but no employee and no weights
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -r {} +

$(VENV)/%.txt-$(KEY): | $(BIN)/pip
	@rm -f $(VENV)/*.txt-*
	$(PIP_ENV) $(BIN)/pip install -r $*.txt -c requirements.lock
	@touch $(RUN) $@

$(BIN)/pip:
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer with venv: install that" \
	    "(Debian and Ubuntu: apt-get install python3.11-venv), or name it with PYTHON=." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
