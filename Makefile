# Two commands do everything from nothing but Python and make: `make book` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8000
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SITE   := _build/html

# Small dense problems: more threads than one cost more than they bring, and 2 cores are soon too many.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.PHONY: help setup book site serve test check lab sync tables bench lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## set up .venv (every other target does, too)

# torch comes first, through pip, so that a wheel which pip is configured to find is preferred to the default one.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv torch
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[all]'
	@touch $@

book: site  ## run the notebooks and build the site
	@echo "The book is in $(CURDIR)/$(SITE)/index.html; 'make serve' shows it at http://127.0.0.1:$(PORT)"

# The notebook cache sees a notebook's cells only; what they call, the tables and the versions are told by the stamp.
# A page is read again every time (--all), since its notebook may be unchanged while its outputs are not.
site: $(READY) sync
	@$(BIN)/python book/stamp.py _build || rm -rf _build/.jupyter_cache
	NEUREC_STATIC=1 $(BIN)/jupyter-book build . --toc book/_toc.yml --all -W -n --keep-going --quiet
	@$(BIN)/python book/stamp.py _build --write

serve: book  ## show the site in a browser
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

test: site  ## all tests: units, faults, the built site and JupyterLab in a browser, the notebooks' claims
	$(BIN)/python -m pytest tests notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout 300

check: $(READY)  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_house.py

lab: sync  ## explore live in JupyterLab
	$(BIN)/jupyter lab notebooks

# Both halves of a notebook are committed; the newer one wins.
sync: $(READY)
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

# The part of the paper's grid that the published program solves in half an hour of one core.
tables: $(READY)  ## compute the committed tables again (long; can be stopped and goes on)
	$(BIN)/neurec sweep convex_recovery.skip_recovery --over n=10:250:10 --over d=10:60:10 --trials 5 --out runs/skip_recovery
	$(BIN)/neurec export runs/skip_recovery notebooks/tables/skip_recovery.parquet
	$(BIN)/neurec plot runs/skip_recovery --png book/_static/phase_transition.png

bench: $(READY)  ## the published ways beside ours
	$(BIN)/python -m benchmarks

lock: $(READY)  ## write constraints.txt: the versions installed here, without local labels (after the tests passed)
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove what was built (not .venv, not runs)
	rm -rf _build
