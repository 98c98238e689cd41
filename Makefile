# `make sweep` and `make test` set themselves up: Python 3.11-3.13, make and a package index are all they need.
PYTHON ?= python3
VENV ?= .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
# Test files run at the same time; each process holds TensorFlow, about 1 GB. In their order, for the quick ones come last.
JOBS ?= 2
FILES := -n $(JOBS) --dist loadfile --no-loadscope-reorder
# Hundreds of workspaces with databases in them: in memory, where 4 GB of it are free, they take half the time that a disk takes.
export PYTEST_DEBUG_TEMPROOT ?= $(shell df -k --output=avail /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 > 4000000 {print "/dev/shm"}')

# TensorFlow's own notices say nothing a user can act on.
export TF_CPP_MIN_LOG_LEVEL ?= 3

.PHONY: setup sweep test test-all lint experiments bench bench-quality bench-search ui lock audit clean

setup: $(READY)

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

sweep: $(READY)
	$(BIN)/regsweep run

test: $(READY)
	$(BIN)/python -m pytest -m "not slow" $(FILES)

test-all: $(READY)
	$(BIN)/python -m pytest $(FILES)

lint: $(READY)
	$(BIN)/ruff check src tests benchmarks experiments
	$(BIN)/ruff format --check src tests benchmarks experiments
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every experiment: tables and figures under experiments/. Splits that are judged in mlruns/ are kept; without that folder all is run
# anew. Two tables are fetched, or lie in the folder REGSWEEP_DATA.
experiments: $(READY)
	$(BIN)/python -m experiments

bench: $(READY)
	$(BIN)/python -m benchmarks

# Ten splits of three tables, the default study on each: docs/quality.md. The two tables that are fetched need internet or
# REGSWEEP_DATA.
bench-quality: $(READY)
	$(BIN)/python -m benchmarks.quality

# Works through what is missing of the bake-off, for days; any sitting can be cut: docs/bakeoff.md. Needs the two tables, too.
bench-search: $(READY)
	$(BIN)/python -m benchmarks.search
	$(BIN)/python -m benchmarks.search report

ui: $(READY)
	$(BIN)/regsweep ui

# Needs uv; written without index lines, so that the lock works with any package index.
lock:
	uv pip compile --universal --python-version 3.11 --group dev --generate-hashes \
	    --no-emit-index-url --no-annotate --no-header --quiet pyproject.toml -o requirements.lock

# Asks the advisory service of pip-audit about every package of the lock; fails where it has no answer, as without internet.
audit:
	$(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	build/audit/bin/pip-audit --strict --disable-pip --require-hashes --requirement requirements.lock \
	    $$(sed 's/#.*//; s/[^[:space:]][^[:space:]]*/--ignore-vuln &/g' .pip-audit-accepted)

clean:
	rm -rf $(VENV) build dist
