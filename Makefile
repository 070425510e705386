# Two commands do everything from nothing but Python and make: `make book` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
PORT   ?= 8000
JOBS   ?= 1
TESTERS ?= auto
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SITE   := _build/html

# Small dense problems: more threads than one cost more than they bring, and 2 cores are soon too many.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
# Containers often set this; without bytecode each of the hundreds of processes would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup book site serve test notebooks replay corners golden fragile plain lint check lab sync tables picture bench lock clean
.DEFAULT_GOAL := help

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY)  ## set up .venv (every other target does, too)

# torch comes first, through pip, so that a wheel which pip is configured to find is preferred to the default one.
$(READY): pyproject.toml setup.py constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt uv torch
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[all]'
	@touch $@

book: site  ## run the notebooks and build the site
	@echo "The book is in $(CURDIR)/$(SITE)/index.html; 'make serve' shows it at http://127.0.0.1:$(PORT)"

# The notebook cache sees a notebook's cells only; the stamp covers what they call, the tables and the versions.
# Sphinx would execute what the cache lacks, too, but one notebook after another.
# A page is read again every time (--all), since its notebook may be unchanged while its outputs are not.
site: $(READY) sync
	@$(BIN)/python book/stamp.py _build
	@$(BIN)/python book/contents.py _build/toc.yml
	NEUREC_STATIC=1 $(BIN)/python book/execute.py _build
	NEUREC_STATIC=1 $(BIN)/jupyter-book build . --toc _build/toc.yml --all -W -n --keep-going --quiet

serve: book  ## show the site in a browser
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

# The site runs every notebook, once, and is not built where a cell raises. A file's tests stay in one process, which reads
# a table or compiles a kernel once; files come in the order of their names, in which none that takes long is among the last.
test: site  ## all tests: the notebooks' claims, units, faults, the built site and JupyterLab in a browser (TESTERS=1 for one process)
	$(BIN)/python -m pytest tests --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

notebooks: $(READY) sync  ## run every notebook again, cell by cell (nbval), whether or not the site has it
	$(BIN)/python -m pytest notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout 1200 \
	  --numprocesses $(TESTERS) --dist loadfile

# Every row of a table that `make test` takes a part of, table by table.
replay: $(READY)  ## compute all rows of the published tables again and compare them (hours; TESTERS=2 for two processes)
	NEUREC_REPLAY_SECONDS=inf $(BIN)/python -m pytest tests/papers/test_replay.py -k found_again --numprocesses $(TESTERS) --dist load

corners: $(READY)  ## every experiment at all corners of its parameters' ranges and all pairs of them, of which `make test` takes a part (minutes)
	NEUREC_CORNERS=all $(BIN)/python -m pytest tests/papers/test_corners.py --numprocesses $(TESTERS) --dist load

golden: $(READY)  ## write the golden rows of tests again (EXPERIMENTS="paper.experiment ..." for some)
	$(BIN)/python tests/helpers/golden.py $(EXPERIMENTS)

fragile: $(READY)  ## mark the published rows whose outcome hangs on the last bit (EXPERIMENTS="paper.experiment ..." for some)
	set -e; for kernels in plain Nehalem numba numpy torch; do \
	  $(BIN)/python tests/helpers/kernels.py $$kernels $(BIN)/python tests/helpers/fragile.py $$kernels $(EXPERIMENTS); done

KERNELS ?= plain
# What rests on rounding: solvers, trainings, decisions.
ORACLES := $(patsubst %,tests/smallnets/test_%.py,kernels rooms relu relu_random grouped tanh line convex cones recovery certificates cell opposite_pairs) \
	$(patsubst %,tests/papers/test_%.py,replay golden finite_samples min_norm orthogonal_inputs)

plain: $(READY)  ## replays and oracles with the kernels of an old processor (KERNELS=SkylakeX and others: tests/helpers/kernels.py)
	$(BIN)/python tests/helpers/kernels.py $(KERNELS) $(BIN)/python -m pytest $(ORACLES) --numprocesses $(TESTERS) --dist load

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint  ## style, types and house rules: a quick part of the tests
	$(BIN)/python -m pytest tests/site/test_house.py

lab: sync  ## explore live in JupyterLab
	$(BIN)/jupyter lab notebooks

# Both halves of a notebook are committed; the newer one wins.
sync: $(READY)
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

tables: $(READY)  ## compute the committed tables again (hours; can be stopped and goes on; JOBS=2 for two processes)
	$(BIN)/python -m neurec_papers.inconsistency.experiments.rates runs/inconsistency.comparison $(JOBS)  # step sizes that depend on a first stage
	$(BIN)/neurec publish --jobs $(JOBS) --out runs

picture: $(READY)  ## draw the picture of the README again
	$(BIN)/neurec sweep convex_recovery.skip_recovery --over n=10:400:10 --over d=10:100:10 --trials 5 --out runs/picture
	$(BIN)/neurec plot runs/picture --png book/_static/phase_transition.png

bench: $(READY)  ## the published ways and JAX beside ours
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[all,bench]'
	$(BIN)/python -m benchmarks

lock: $(READY)  ## write constraints.txt: the versions installed here, without local labels (after the tests passed)
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove what was built (not .venv, not runs)
	rm -rf _build
