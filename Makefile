# make lab, make demo and make test do all set-up themselves: the first one to run makes .venv, later ones use it.
# Without make: the same commands stand in README.md and README.en.md.

PYTHON ?= python3
ARGS ?=
MINUTES ?= 5

BIN := .venv/bin
READY := .venv/.ready
COLAB := .venv-colab/bin
COLAB_READY := .venv-colab/.ready
VERSION := import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 14) else \
	"MiniLLM needs Python 3.11 to 3.14 and this is %d.%d; name another one: make PYTHON=python3.13 ..." % v)
PIP := -m pip install --disable-pip-version-check
NBVAL := -m pytest -n 2 --dist loadfile --nbval-lax

.DEFAULT_GOAL := help
.PHONY: help lab demo test colab capstone lessons check book new-lesson reviewed address teaching bench ladder fuzz format clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo '  make demo ARGS="--steps 100"      more words for the command'
	@echo '  make test PYTHON=python3.13       which Python makes .venv (3.11 to 3.14)'

lab: $(READY) ## the course in JupyterLab, from its start page
	$(BIN)/python -m book.lab $(ARGS)

demo: $(READY) ## a minute: a model learns the bundled reader and writes
	$(BIN)/python -m minillm demo $(ARGS)

test: $(READY) ## all tests, then every lesson against its outputs
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)
	$(if $(ARGS),,$(BIN)/python $(NBVAL) notebooks/zh)

colab: $(COLAB_READY) ## the lessons, in English, with the versions that Colab has
	$(COLAB)/python $(NBVAL) notebooks/en
	$(COLAB)/python -m pytest -n 2 tests/test_notebooks.py tests/test_exercises.py tests/test_capstone.py -k "not twice and not (capstone and train)"

capstone: $(READY) ## your own GPT from nothing: check its steps (exercises/capstone)
	$(BIN)/python -m exercises.capstone $(ARGS)

lessons: $(READY) ## build the notebooks from book/lessons, run what changed (LESSON=05: only that)
	$(BIN)/python -m book.build lessons $(LESSON) $(ARGS)

check: $(READY) ## style, types, and lessons that have drifted
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m book.build check

book: $(READY) ## the site in two languages, and a PDF of each: book/_build
	$(BIN)/python -m book.site $(ARGS)

new-lesson: $(READY) ## a lesson from the template: make new-lesson N=08 NAME=heads_positions
	$(BIN)/python -m book.build new $(N) $(NAME)

reviewed: $(READY) ## both languages agree again: make reviewed LESSON=05 KEY=problem
	$(BIN)/python -m book.build reviewed $(LESSON) $(KEY)

address: $(READY) ## where the repository lives: make address URL=https://github.com/you/MiniLLM
	$(BIN)/python -m book.build address $(URL)

teaching: $(READY) ## for a class: nbgrader into .venv (book/teaching)
	$(BIN)/python $(PIP) 'nbgrader==0.9.6'

bench: $(READY) ## speed, beside transformers' GPT-2 and Llama
	$(BIN)/python -m minillm.bench $(ARGS)

ladder: $(READY) ## from a blind guess to the Transformer, in bits per character
	$(BIN)/python -m minillm.ladder $(ARGS)

fuzz: $(READY) ## odd bytes and texts into all that reads them, for some minutes (MINUTES=5)
	MINILLM_FUZZ=$(MINUTES) $(BIN)/python -m pytest -q tests/test_fuzz.py $(ARGS)

format: $(READY) ## let ruff put style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove .venv, caches and build output; runs/ stays
	rm -rf .venv .venv-colab book/_build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Installed once, and again when the lists of packages change.
$(READY): requirements.txt pyproject.toml
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { $(PYTHON) -c '$(VERSION)' && \
		echo 'Setting up .venv, once: a few minutes, mostly downloading.' && $(PYTHON) -m venv .venv; }
	$(BIN)/python $(PIP) -r requirements.txt
	$(BIN)/python $(PIP) --quiet --no-deps -e .
	@touch $@

# Colab's packages: the versions in tests/colab.txt.
$(COLAB_READY): tests/colab.txt $(READY)
	$(BIN)/python -m venv .venv-colab
	$(COLAB)/python $(PIP) -r tests/colab.txt
	@touch $@
