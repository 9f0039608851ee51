PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV ?= .venv
ARGS ?=
# Test processes: twice as many as there are cores, because most tests wait.
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(shell expr 2 '*' $(CORES))

BIN := $(VENV)/bin
# Only wheels: building a package would run code that no hash covers. Python compiles what is
# imported at the first start.
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/pip install --only-binary :all: --no-compile

# A stamp in the environment records what is installed. Its name holds a checksum of the
# requirements, so changed ones are installed, and unchanged ones are not, whatever the files' dates.
KEY := $(shell cat requirements*.txt requirements*.lock | cksum | tr ' ' -)
LOCKED_requirements := requirements.lock
LOCKED_requirements-dev := requirements-dev.lock
RUN := $(VENV)/requirements.txt-$(KEY)
DEV := $(VENV)/requirements-dev.txt-$(KEY)

# The tests of one file share services, so they run in one process. Those that measure time come
# last, with no more processes than there are cores.
PYTEST := $(BIN)/python -m pytest --dist loadfile --no-loadscope-reorder
define RUN_TESTS
$(PYTEST) --numprocesses $(JOBS) -m "not timed" $(1) $(ARGS)
$(PYTEST) --numprocesses $(CORES) -m timed $(1) $(ARGS)
endef

LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --only-binary :all: \
  --custom-compile-command "make lock"

.DEFAULT_GOAL := help
.PHONY: help run stack test test-unit test-integration test-system demo bench accuracy strangers quality scaling drift challenges pad bulk soak endurance limits outages front fuzz lint types install lock image-test audit settings dashboard licences openapi console-shots clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# docs/operations.md#memory explains these variables of glibc.
run stack: export MALLOC_ARENA_MAX ?= 2
run stack: export MALLOC_MMAP_THRESHOLD_ ?= 4194304
run stack: export MALLOC_TRIM_THRESHOLD_ ?= 33554432

run: $(RUN) ## serve on port 5005; settings come from the environment
	@exec $(BIN)/python entry.py

stack: $(DEV) ## serve with a MongoDB and a stand-in for the liveness service
	@exec $(BIN)/python -m tools.stack $(ARGS)

test: $(DEV) ## run all tests; ARGS="-k word" selects some
	$(call RUN_TESTS,tests)

test-unit: $(DEV) ## run the tests that need no process and no network, in seconds
	$(PYTEST) --numprocesses $(CORES) tests/unit $(ARGS)

test-integration: $(DEV) ## run the tests of real parts in the test's process
	$(call RUN_TESTS,tests/integration)

test-system: $(DEV) ## run the tests of the running service and its commands
	$(call RUN_TESTS,tests/system)

demo: $(DEV) ## enrol people from sample photos and log them in
	@$(BIN)/python demo.py $(ARGS)

bench: $(DEV) ## measure the service; ARGS=--quick takes few rounds
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(BIN)/python -m benchmarks $(ARGS)

accuracy: $(DEV) ## measure the pipeline and write docs/accuracy.md and app/recognition/strangers.json
	$(BIN)/python -m benchmarks.accuracy $(ARGS)

strangers: $(DEV) ## compare what galleries say of themselves with the truth
	$(BIN)/python -m benchmarks.self_measurement $(ARGS)

quality: $(DEV) ## measure which poor photos are refused: the table of docs/quality.md
	$(BIN)/python -m benchmarks.quality $(ARGS)

scaling: $(DEV) ## simulate how many pods are needed, from the benchmarks
	$(BIN)/python -m benchmarks.scaling

drift: $(DEV) ## measure finding and repairing drift among 100,000 vectors in Milvus
	$(BIN)/python -m benchmarks.drift $(ARGS)

challenges: $(DEV) ## measure the challenges and write the table of docs/liveness-sessions.md
	$(BIN)/python -m benchmarks.challenges $(ARGS)

pad: $(DEV) ## measure fraud detection and write the table of docs/fraud.md
	$(BIN)/python -m benchmarks.pad $(ARGS)

bulk: $(DEV) ## enrol thousands of photos under kills, carry them over, and write docs/bulk.md
	$(BIN)/python -m benchmarks.bulk $(ARGS)

soak: $(DEV) ## check every answer under kills and write docs/reliability.md
	$(BIN)/python -m benchmarks.soak $(ARGS)

endurance: $(DEV) ## measure memory over 20,000 requests: docs/benchmarks/endurance.png
	$(BIN)/python -m benchmarks.endurance $(ARGS)

limits: $(DEV) ## measure starts, logins and memory within cgroups and write docs/operations.md (root)
	$(BIN)/python -m benchmarks.limits

outages: $(DEV) ## measure failures of MongoDB and write docs/reliability.md
	$(BIN)/python -m benchmarks.outages
	$(BIN)/python -m benchmarks.following

front: $(DEV) ## measure what misbehaving clients cost others, and write docs/reliability.md
	$(BIN)/python -m benchmarks.front

fuzz: $(DEV) ## send 100,000 damaged pictures and bodies; ARGS="--cases 1000" sends fewer
	$(BIN)/python -m tests.fuzz $(ARGS)

lint: $(DEV) ## check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(DEV) ## check types
	$(BIN)/mypy

install: $(DEV) ## install everything, and start nothing

lock: | $(BIN)/pip ## pin the requirements and all their dependencies anew, with hashes
	$(INSTALL) --quiet uv
	$(LOCK) --upgrade --output-file requirements.lock requirements.txt
	$(LOCK) --upgrade -c requirements.lock --output-file requirements-dev.lock requirements-dev.txt
	$(LOCK) -c requirements-dev.lock --output-file requirements-milvus.lock requirements-milvus.txt
	$(LOCK) -c requirements-dev.lock --output-file requirements-cuda.lock requirements-cuda.txt

image-test: $(DEV) ## build the image and use it as OpenShift would
	$(BIN)/python -m tools.try_image

audit: $(DEV) ## check pinned packages for known vulnerabilities and refused licences
	$(BIN)/python -m tools.audit

settings: $(DEV) ## write docs/settings.md from app/settings
	$(BIN)/python -m tools.settings_page

dashboard: $(DEV) ## write openshift/monitoring/dashboard.json
	$(BIN)/python -m tools.dashboard

licences: $(DEV) ## write docs/licences.md
	$(BIN)/python -m tools.licences --write

openapi: $(DEV) ## write docs/openapi.json
	@$(BIN)/python -m tools.openapi_snapshot

console-shots: $(DEV) ## write the pictures of the console in docs/console
	$(BIN)/python -m tools.console_shots

clean: ## remove everything installed or cached, but no employees and no weights
	rm -rf $(VENV) .cache .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -r {} +

$(VENV)/%.txt-$(KEY): | $(BIN)/pip
	@rm -f $(VENV)/*.txt-*
	$(INSTALL) --no-deps --require-hashes -r $(LOCKED_$*)
	@touch $(RUN) $@

$(BIN)/pip:
	@$(PYTHON) -c 'import ensurepip, sys; assert sys.version_info >= (3, 11)' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer with venv: install that" \
	    "(Debian and Ubuntu: apt-get install python3.11-venv), or name it with PYTHON=." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)
