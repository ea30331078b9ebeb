# make demo and make test do all set-up themselves: the first one to run makes .venv, later ones use it.
# Without make: the same commands stand in README.md and README.en.md.

PYTHON ?= python3
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
VERSION := import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 14) else \
	"MiniLLM needs Python 3.11 to 3.14 and this is %d.%d; name another one: make PYTHON=python3.13 ..." % v)

.DEFAULT_GOAL := help
.PHONY: help demo test bench check format clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  make demo ARGS="--steps 100"      more words for the command'
	@echo '  make test PYTHON=python3.13       which Python makes .venv (3.11 to 3.14)'

demo: $(READY) ## a minute: a model learns the bundled reader and writes
	$(BIN)/python -m minillm demo $(ARGS)

test: $(READY) ## all tests
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

bench: $(READY) ## speed, beside transformers' GPT-2
	$(BIN)/python -m minillm.bench $(ARGS)

check: $(READY) ## style and types: ruff, mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY) ## let ruff put style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and build output; runs/ stays
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again when the lists of packages change.
$(READY): requirements.txt pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(PYTHON) -c '$(VERSION)' && \
		echo 'Setting up .venv, once: a few minutes, mostly downloading.' && $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --disable-pip-version-check -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps -e .
	@touch $@
