# Every target sets up what it needs first; `make help` lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install --quiet --disable-pip-version-check
STAMP := $(VENV)/.installed
WORKERS ?= 2
BENCH ?= output/performance
CODE := train.py predict.py export.py serve.py parse_results.py amu_raft trainers datasets experiments scripts \
	benchmarks toolbox/dassl tests/golden.py

.DEFAULT_GOAL := help
.PHONY: help setup demo sweep test test-slow test-datasets datasets-scripts datasets-prepare lint types check golden bench coverage weights audit clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(STAMP)  ## make the virtual environment .venv from the pinned versions

REQUIREMENTS := requirements.txt requirements-serve.txt requirements-export.txt requirements-dev.txt

$(STAMP): $(REQUIREMENTS) requirements-library.txt constraints.txt pyproject.toml toolbox/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: $(PYTHON) is older than Python 3.10; run make PYTHON=/path/to/python3.10 or newer" >&2; exit 1; }
	@echo "Setting up $(VENV): two to three minutes and 6 GB, once"
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "error: $(PYTHON) cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2; exit 1; }
	$(PIP) -c constraints.txt setuptools
	$(PIP) -c constraints.txt $(REQUIREMENTS:%=-r %)
	$(PIP) --no-deps --no-build-isolation -e ./toolbox -e .
	@touch $(STAMP)

demo: setup  ## adapt a small CLIP to real digits and to drawn shapes by AMU, RAFT and two linear probes
	$(PY) -m scripts.demo

sweep: setup  ## zero-shot CLIP, AMU and RAFT on digits and shapes, 1 to 16 shots, three seeds, into output/sweep
	$(PY) -m scripts.sweep --trainers ZeroshotCLIP AMU RAFT --datasets digits shapes --backbones tiny \
		--output-dir output/sweep --table

test: setup  ## run the tests, in two processes of one thread each
	OMP_NUM_THREADS=1 $(PY) -m pytest --numprocesses $(WORKERS) --dist worksteal

test-slow: setup  ## run the tests that take minutes
	$(PY) -m pytest -m slow

test-datasets: setup  ## a miniature of every benchmark: prepare, faults, every script (minutes)
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target datasets-scripts datasets-prepare

datasets-scripts datasets-prepare: datasets-%: setup
	OMP_NUM_THREADS=1 $(PY) -m pytest -m datasets $(if $(filter scripts,$*),tests/scripts,--ignore=tests/scripts)

lint: setup  ## check style
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

types: setup  ## check types
	$(PY) -m mypy $(CODE)
	$(PY) -m mypy tests --allow-untyped-defs --allow-untyped-calls --allow-incomplete-defs

check: lint types test  ## everything that .ci/run does

golden: setup  ## compare with the recorded reference numbers
	$(PY) -m tests.golden tests/data/golden
	$(PY) -m tests.golden tests/data/golden/methods

bench: setup  ## time the fast paths against the slow ones (see docs/performance.md)
	$(PY) -m benchmarks.region_attention --json $(BENCH)/region_attention.json
	$(PY) -m benchmarks.extraction --json $(BENCH)/extraction.json
	$(PY) -m benchmarks.whole_run --classes 4 --json $(BENCH)/whole_run.json
	$(PY) -m benchmarks.sweep_cost --json $(BENCH)/sweep_cost.json
	$(PY) -m benchmarks.prediction --photographs 60 --rounds 2 --counts 100 2000 --json $(BENCH)/prediction.json

coverage: setup  ## run the tests and report coverage
	$(PY) -m pytest --cov --cov-report=term

weights: setup  ## make the bundled tiny encoders again (minutes; replaces amu_raft/weights)
	$(PY) -m scripts.pretraining.make

audit: setup  ## look the installed versions up in the vulnerability database (needs the network)
	$(PIP) -c constraints.txt pip-audit
	$(PY) -m pip_audit --skip-editable

clean:  ## remove the virtual environment and what tools leave behind
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
