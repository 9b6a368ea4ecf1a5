# The two commands are `make demo` and `make test`; both need only Python 3.11 or newer and make.
.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs bench clean

PYTHON ?= python3
BIN := .venv/bin
JOBS ?= 2
CUSTOMERS ?= 20000
SEED ?= 1
BENCH ?= 100000

# The public data sets some tests run on; where they are not, those tests say so and are skipped.
ifeq ($(origin TIERWISE_DATA), undefined)
ifneq ($(wildcard ../shared/data/.),)
export TIERWISE_DATA := $(abspath ../shared/data)
endif
endif
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help:
	@echo "make demo    a simulated shop of $(CUSTOMERS) customers, every one in a tier (SERVE=0: end after printing)"
	@echo "make test    lint, types, floors, tests, documentation"
	@echo "make lint    the same without the tests"
	@echo "make format  let ruff rewrite the code"
	@echo "make docs    write the generated reference pages again"
	@echo "make bench   the standard set of $(BENCH) customers against SQL by hand, Polars and pandas"
	@echo "make clean   remove .venv, caches and the demo"

# Nothing serves a console yet, so SERVE makes no difference today: the demo ends after printing.
demo: .venv/.installed
	@test -e demo/tierwise.yaml || $(BIN)/tierwise init demo --pack demo --customers $(CUSTOMERS) --seed $(SEED)
	$(BIN)/tierwise --project demo run
	$(BIN)/tierwise --project demo show tiers

test: lint
	$(BIN)/python -m pytest -n $(JOBS) --dist loadgroup

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --cache-dir .cache/import-linter

format: .venv/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: .venv/.installed-dev
	$(BIN)/python -m docs.generate

bench: .venv/.installed-bench
	$(BIN)/python -m benchmarks --customers $(BENCH)

clean:
	rm -rf .venv .cache .hypothesis .ruff_cache build dist demo

# Installed again only when the dependencies or their pins change.
.venv/.installed: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	@touch $@

.venv/.installed-dev: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	@touch $@ .venv/.installed

.venv/.installed-bench: pyproject.toml constraints.txt | .venv/bin/pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[bench]"
	@touch $@

.venv/bin/pip:
	@$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11))" || \
		{ echo "Tierwise needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv
