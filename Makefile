# Python 3.11 or newer, make and git are all it takes: every target sets up what it needs in .venv.
#   make demo          the quickstart, offline, from its recordings
#   make test          the test suite; ARGS="-k name" picks tests
#   make test-pythons  the suite on the other supported Pythons found here, and on the oldest pytest
#   make test-litellm  LiteLLM's calls, in an environment of its own: it holds openai back to 2.x
#   make test-adapters  the metrics of ragas and deepeval, Presidio and lingua, in an environment of their own
#   make lint types    style, import floors, generated docs up to date; type checks
#   make bench         what the plugin costs
#   make docs          regenerate what is generated in docs/
# PYTHON=/path/to/python chooses the interpreter of .venv.

VENV := .venv
RUN := $(VENV)/bin/python
# What is imported is compiled then, and kept; all of it takes longer than the rest of the installation.
PIP := $(RUN) -m pip --disable-pip-version-check install --quiet --no-compile
unexport PYTHONDONTWRITEBYTECODE
JOBS ?= 2
ARGS ?=
PYTEST ?= -m pytest

ADAPTED := tests/e2e/test_libraries.py tests/unit/test_guardrails_presidio.py tests/unit/test_language_lingua.py

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-pythons test-litellm test-adapters lint types bench docs clean

help:
	@sed -n 's/^#   //p' Makefile

venv: $(VENV)/.lint

demo: $(VENV)/.package
	CI=true $(RUN) examples/quickstart/demo.py

test: $(VENV)/.test
	$(RUN) $(PYTEST) -n $(JOBS) --dist worksteal $(ARGS)

test-pythons: $(VENV)/.test
	.ci/test-pythons $(ARGS)

test-litellm: .venv-litellm/.ready
	.venv-litellm/bin/python $(PYTEST) -q tests/wire/test_sdks.py -k litellm $(ARGS)

test-adapters: .venv-adapters/.ready
	.venv-adapters/bin/python $(PYTEST) -q -p no:deepeval $(ADAPTED) $(ARGS)

lint: $(VENV)/.lint
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/lint-imports
	$(RUN) -m docs.generate --check

types: $(VENV)/.lint
	$(VENV)/bin/mypy

bench: $(VENV)/.test
	$(RUN) -m bench $(ARGS)

docs: $(VENV)/.test
	$(RUN) -m docs.generate

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --group needs pip 25.1, newer than what most Pythons bring.
$(VENV)/.pip: .ci/find-python
	@echo "setting up $(VENV)"
	@python=$$(PYTHON="$(PYTHON)" .ci/find-python) && "$$python" -m venv --clear $(VENV)
	@$(PIP) --upgrade pip
	@touch $@

$(VENV)/.package: $(VENV)/.pip pyproject.toml
	@echo "installing the package into $(VENV)"
	@$(PIP) --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.package
	@echo "installing the test tools into $(VENV); the first time takes a minute"
	@$(PIP) --group test
	@touch $@

.venv-%/.ready: $(VENV)/.pip pyproject.toml
	@echo "setting up .venv-$*"
	@$(RUN) -m venv --clear .venv-$*
	@.venv-$*/bin/python -m pip --disable-pip-version-check install --quiet --upgrade pip
	@.venv-$*/bin/python -m pip --disable-pip-version-check install --quiet --no-compile --editable . --group $*
	@touch $@

$(VENV)/.lint: $(VENV)/.test
	@echo "installing the linters into $(VENV)"
	@$(PIP) --group lint
	@touch $@
