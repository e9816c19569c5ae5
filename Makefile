# Everything from a bare clone: make demo, make test. Needs make, a POSIX shell and Python >= 3.11 with venv;
# without make (or on Windows) the same in plain pip lines is in README.md.

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES := setup.cfg pyproject.toml
EXTRAS := test dev docs notebooks train viz web sr gpu12 gpu13

.PHONY: help demo test lint format docs bench bench-gpu notebooks notebooks-sync clean distclean

help:
	@echo "make demo    simulate and image a freehand scan; the figure goes to out/"
	@echo "make test    the whole test suite; make test ARGS='-k name' for a part of it"
	@echo "make lint    ruff check and ruff format --check"
	@echo "make docs    build the documentation site into out/site"
	@echo "make bench   measure this machine and write docs/benchmarks.md"
	@echo "make bench-gpu  test and measure an NVIDIA GPU: docs/measurements/DATE-gpu.md; CUDA=12 for CUDA 12"
	@echo "make notebooks       run all notebooks; make notebooks ARGS='--output executed/' keeps what they showed"
	@echo "make notebooks-sync  write every .ipynb from its .py, without outputs"
	@echo "make clean   remove what was generated; make distclean removes $(VENV) too"

demo: $(VENV)/.installed
	$(BIN)/mmsar demo -o out/

test: $(VENV)/.installed-test
ifeq ($(strip $(ARGS)),)
	$(BIN)/python tests/run.py
else
	$(BIN)/pytest $(ARGS)
endif

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --jobs 2 --doctree-dir out/doctrees docs out/site

bench: $(VENV)/.installed-test
	$(BIN)/python tests/bench/table.py $(ARGS)

CUDA ?= 13
bench-gpu: $(VENV)/.installed-test $(VENV)/.installed-gpu$(CUDA)
	$(BIN)/python tests/bench/gpu.py $(ARGS)

notebooks: $(VENV)/.installed-notebooks $(VENV)/.installed-viz $(VENV)/.installed-sr
	$(BIN)/python tests/notebooks/execute.py $(ARGS)

notebooks-sync: $(VENV)/.installed-notebooks
	$(BIN)/python tests/notebooks/sync.py

# The stamps are renewed only when the dependencies changed: the install is editable, so code needs none.
$(VENV)/.installed: $(SOURCES) | $(BIN)/python
	@echo "installing mmsar and its dependencies into $(VENV)"
	@$(INSTALL) --editable .
	@touch $@

$(EXTRAS:%=$(VENV)/.installed-%): $(VENV)/.installed-%: $(SOURCES) | $(BIN)/python
	@echo "installing mmsar, its dependencies and the extra '$*' into $(VENV)"
	@$(INSTALL) --editable '.[$*]'
	@touch $@ $(VENV)/.installed

# PYTHON=/path/to/python chooses one; otherwise the first that is new enough.
$(BIN)/python:
	@for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
	    echo "creating $(VENV) with $$("$$p" --version)"; \
	    log=$$("$$p" -m venv $(VENV) 2>&1) && exit 0; \
	    rm -rf $(VENV); echo "$$log" >&2; \
	    echo "mmsar: '$$p -m venv' failed: Python's venv module is incomplete, wanted a working one;" \
	        "on Debian or Ubuntu: sudo apt install python3-venv" >&2; \
	    exit 1; \
	done; \
	echo "mmsar: no Python >= 3.11 found on PATH; install one (on Debian or Ubuntu: sudo apt install" \
	    "python3 python3-venv) or name it: make PYTHON=/path/to/python3" >&2; \
	exit 1

clean:
	rm -rf out docs/generated notebooks/out build dist .pytest_cache .ruff_cache .hypothesis .benchmarks *.egg-info
	find mmsar hardware tests -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
