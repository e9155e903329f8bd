# Everything a person types. Sets up .venv by itself; needs Python 3.11 with its venv module, make and git.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
PIP := $(VENV)/bin/pip --disable-pip-version-check --quiet
# Each stands for an environment that holds what its lock names, and the project itself.
RUN_READY := $(VENV)/.ready-to-run
DEV_READY := $(VENV)/.ready-to-develop
SEED ?= 1

.PHONY: help run test check bench trials

help:
	@echo "make run            one whole store on this machine; Ctrl-C stops it"
	@echo "make test           all tests"
	@echo "make check          formatting, lint, strict types, house rules"
	@echo "make bench          measurements, into out/bench.json"
	@echo "make trials SEED=1  seeded simulations, into out/trials.json"

run: $(RUN_READY)
	@$(VENV)/bin/beckon up

test: $(DEV_READY)
	@$(VENV)/bin/python -m pytest

check: $(DEV_READY)
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/python -m pytest tests/house

bench: $(DEV_READY)
	@mkdir -p out
	@$(VENV)/bin/python -m tests.bench

trials: $(DEV_READY)
	@mkdir -p out
	@$(VENV)/bin/python -m tests.trials --seed $(SEED)

# pip appears last, so that an environment whose making was cut short is made again.
$(VENV)/bin/pip:
	@test -n "$(PYTHON)" || { echo "No python3.11 or python3 is installed. On Debian: apt install python3 python3-venv" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11; name another with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
		{ echo "$(PYTHON) has no venv module. On Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Making $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(RUN_READY): requirements/run.txt requirements/build.txt pyproject.toml | $(VENV)/bin/pip
	@echo "Installing what is needed to run (the first time takes a minute) ..."
	@$(PIP) install --require-hashes -r requirements/run.txt
	@$(PIP) install --require-hashes -r requirements/build.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements/dev.txt requirements/build.txt pyproject.toml | $(VENV)/bin/pip
	@echo "Installing what is needed to develop (the first time takes some minutes) ..."
	@$(PIP) install --require-hashes -r requirements/dev.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
