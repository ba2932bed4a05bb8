# Two commands do all the set-up on a fresh machine with Python 3.11+ and make: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= demo
PORT ?= 3000
export HF_HUB_OFFLINE ?= 1
export DAGSTER_DISABLE_TELEMETRY ?= 1
PYTEST := $(BIN)/python -m pytest

.PHONY: help install demo test test-fast test-slow test-demo check ui bench clean

help:  ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(VENV)/installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --upgrade pip
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $@

install: $(VENV)/installed  ## .venv with everything, versions from constraints.txt

demo: install  ## the curriculum study at real sizes (about a quarter of an hour on two cores), then its claims
	$(BIN)/squiggle demo --profile $(PROFILE)

test: install check test-fast test-demo  ## everything CI runs

check: install  ## style, types, import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-fast: install  ## fast tests, in parallel
	OMP_NUM_THREADS=1 $(PYTEST) -n 2 --dist worksteal -m "not slow and not demo" -q

test-demo: install  ## the whole study at test scale, end to end
	OMP_NUM_THREADS=1 $(PYTEST) -m "demo" -q

test-slow: install  ## minutes: kills, servers, simulated studies
	OMP_NUM_THREADS=1 $(PYTEST) -m "slow" -q

ui: install  ## Dagster at localhost:$(PORT), with what the demo made in it
	$(BIN)/squiggle ui --profile $(PROFILE) --port $(PORT)

bench: install  ## all benchmarks; each prints one JSON row
	for file in benchmarks/bench_*.py; do OMP_NUM_THREADS=1 $(BIN)/python $$file || exit 1; done

clean:  ## forget the environment (data/ stays)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache
