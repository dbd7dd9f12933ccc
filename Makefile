# The front doors of the repository. `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q
STAMP  := $(VENV)/.installed
# Two workers, one thread each: the tests measure correctness, not the machine.
PYTEST := OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: setup check test test-all demo report bench docs clean help
.DEFAULT_GOAL := help

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -c constraints.txt --upgrade pip
	$(PIP) install -c constraints.txt -e '.[test,check]'
	touch $(STAMP)

setup: $(STAMP)  ## make .venv and install everything at the pinned versions

check: $(STAMP)  ## ruff, mypy, generated tables up to date
	$(BIN)/ruff format --check src tests examples docs
	$(BIN)/ruff check src tests examples docs
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

test: $(STAMP)  ## the tests, without those marked slow
	$(PYTEST) -m "not slow"

test-all: $(STAMP)  ## all tests
	$(PYTEST)

demo: $(STAMP)  ## check every claim on real data and write out/report/index.html
	$(BIN)/coset verify --preset smoke --report

report: $(STAMP)  ## write the report from what is stored
	$(BIN)/coset report

bench: $(STAMP)  ## measure every benchmark case (correctness first)
	$(BIN)/coset bench --all

docs: $(STAMP)  ## fill the generated tables of the READMEs, draw the picture
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/picture.py

clean:  ## remove what the commands above made, results under out/ excepted
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache
	find src tests -name __pycache__ -prune -exec rm -rf {} +

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' Makefile
