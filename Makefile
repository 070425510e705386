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

.PHONY: help setup book site serve test replay corners golden fragile plain lint check lab sync tables picture bench lock clean
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
# A page is read again every time (--all), since its notebook may be unchanged while its outputs are not.
site: $(READY) sync
	@$(BIN)/python book/stamp.py _build || rm -rf _build/.jupyter_cache
	NEUREC_STATIC=1 $(BIN)/jupyter-book build . --toc book/_toc.yml --all -W -n --keep-going --quiet
	@$(BIN)/python book/stamp.py _build --write

serve: book  ## show the site in a browser
	$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE)

test: site  ## all tests: units, faults, the built site and JupyterLab in a browser, the notebooks' claims (TESTERS=1 for one process)
	$(BIN)/python -m pytest tests notebooks --nbval-lax --nbval-current-env --nbval-cell-timeout 1200 \
	  --numprocesses $(TESTERS) --dist loadfile

# Every row of a table that `make test` takes a part of, table by table.
replay: $(READY)  ## compute all rows of the published tables again and compare them (hours; TESTERS=2 for two processes)
	NEUREC_REPLAY_SECONDS=inf $(BIN)/python -m pytest tests/test_replay.py -k found_again --numprocesses $(TESTERS) --dist load

corners: $(READY)  ## every experiment at all corners of its parameters' ranges and all pairs of them, of which `make test` takes a part (minutes)
	NEUREC_CORNERS=all $(BIN)/python -m pytest tests/test_corners.py --numprocesses $(TESTERS) --dist load

golden: $(READY)  ## write the golden rows of tests again (EXPERIMENTS="paper.experiment ..." for some)
	$(BIN)/python tests/golden.py $(EXPERIMENTS)

fragile: $(READY)  ## mark the published rows whose outcome hangs on the last bit (EXPERIMENTS="paper.experiment ..." for some)
	set -e; for kernels in plain Nehalem numba numpy torch; do \
	  $(BIN)/python tests/kernels.py $$kernels $(BIN)/python tests/fragile.py $$kernels $(EXPERIMENTS); done

KERNELS ?= plain
# What rests on rounding: solvers, trainings, decisions.
ORACLES := $(patsubst %,tests/test_%.py,kernels replay golden rooms relu relu_random grouped tanh sides convex cones recovery \
	certificates cell finite_samples opposite_pairs min_norm orthogonal_inputs)

plain: $(READY)  ## replays and oracles with the kernels of an old processor (KERNELS=SkylakeX and others: tests/kernels.py)
	$(BIN)/python tests/kernels.py $(KERNELS) $(BIN)/python -m pytest $(ORACLES) -k "not benchmark" --numprocesses $(TESTERS) --dist load

lint: $(READY)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check: lint  ## style, types and house rules: a quick part of the tests
	$(BIN)/python -m pytest tests/test_house.py

lab: sync  ## explore live in JupyterLab
	$(BIN)/jupyter lab notebooks

# Both halves of a notebook are committed; the newer one wins.
sync: $(READY)
	@$(BIN)/jupytext --quiet --sync notebooks/*.py

# experiment:preset:trials as committed, by paper; more trials go on where these end.
TABLES := $(addprefix convex_recovery., \
	skip_recovery:paper:5 skip_recovery:paper_exact:5 skip_distance:paper:5 skip_distance:paper_exact:1 \
	normalized_recovery:paper:5 normalized_recovery:paper_axis:5 normalized_recovery:paper_opposite:5 \
	normalized_distance:paper:1 normalized_distance:part_axis:1 normalized_distance:paper_opposite:1 \
	isometry:paper:10 convex_training:part:1 convex_training:part_normalized:1 cluster_patterns:paper:20 \
	network_training:part:2 network_training:part_normalized:2) \
	$(addprefix inconsistency., \
	crossing_probability:paper:10000 crossing_probability:paper_early:10000 crossing_probability:published:10000 \
	crossing_probability:paper_sgd:2000 crossing_probability:paper_sgd_small:2000 crossing_probability:wide:1000 \
	crossing_probability:widest:500 crossing_probability:law:1000 \
	crossing_probability:law_wide:1000 training_examples:paper:1 \
	training_examples:paper_repeated:100 event_estimation:paper:100 star:paper:100 star:paper_spectral:60 \
	movement_exponents:paper:40 comparison:paper_line:10) \
	$(addprefix local_linear_recovery., \
	ranks:paper:3 ranks:paper_shifted:3 ranks:paper_nulled:3 ranks:paper_images:2 deep_ranks:paper:20 \
	linearized_recovery:paper:20 linearized_recovery:paper_output_bias:20 linearized_recovery:split:20 \
	sample_sweep:paper:10 sample_sweep:polished:10 sample_sweep:paper_wide:3 sample_sweep:step_sizes:3 \
	sample_sweep:near_the_rank:200 \
	hmkt_sweep:paper:20 hmkt_sweep:paper_adam:20 hmkt_sweep:float32:5 \
	dropout:part:6 matrix_and_toy:paper:50 matrix_and_toy:paper_toy:100) \
	$(addprefix orthogonal_inputs., \
	saddle_to_saddle:published:20 saddle_to_saddle:paper:20 saddle_to_saddle:paper_orthogonal:20 \
	saddle_to_saddle:paper_width:50 non_orthogonal_toy:paper:10 non_orthogonal_toy:paper_random:10 \
	high_dimension:paper:1 high_dimension:paper_large:1 high_dimension:paper_dimension:20) \
	$(addprefix single_neuron., \
	alignment_vs_scale:part:5 alignment_vs_scale:part_64:3 alignment_vs_scale:stopped:3 alignment_vs_scale:published_angles:5 \
	width_study:part:2 trajectories:paper:5 trajectories:deep:10 two_teachers:part:5 \
	min_rank_vs_min_norm:paper:5 min_rank_vs_min_norm:paper_below:5 min_rank_vs_min_norm:paper_random:50) \
	$(addprefix multilayer_dynamics., \
	matrix_rule:readme_3:8 matrix_rule:readme_4:8 matrix_rule:paper:16 matrix_rule:population:4 matrix_rule:sampling:8 \
	matrix_rule:starts:8 matrix_rule:deep:4 luck:paper:8 reconstruction:paper:4 \
	knobs:small_points:2 knobs:data_std:2 knobs:rate:2 knobs:normalize:2 knobs:batch_norm:2 knobs:outputs:2 knobs:paper:2 \
	knobs:fresh:2 knobs:momentum:2 knobs:adam:2 knobs:cross_entropy:2 deep_specialization:part:2 deep_specialization:depth:2 \
	two_layer_specialization:readme:8 two_layer_specialization:adversarial:4 \
	two_layer_specialization:early:2 two_layer_specialization:strength:2) \
	$(addprefix relu_zonotopes., \
	vertex_counts:paper:5 vertex_counts:bias:5 vertex_counts:sampling:20 random_vertex:paper:200 random_vertex:paper_20:100 \
	random_vertex:odd:100 random_vertex:ridge:200 random_vertex:paper_100:20 vertex_selection:paper:20 vertex_selection:tries:20 vertex_selection:line:20 \
	sensitivity:paper:3 sensitivity:paper_line:100 sensitivity:paper_plane:50 local_search:paper:50 local_search:signs:50 \
	local_search:width:20 local_search:larger:5 local_search:three_units:10 polish:paper:20 polish:wide:10) \
	$(addprefix finite_samples., \
	irreducibility:paper:50 irreducibility:paper_planted:50 irreducibility:paper_flat:50 irreducibility:paper_wide:10 \
	non_identifiability:paper:100 non_identifiability:paper_width:50 non_identifiability:paper_unbiased:50 \
	relu_recovery:paper:40 relu_recovery:paper_blind:40 relu_recovery:paper_lines:20 relu_recovery:paper_rational:20 \
	relu_recovery:paper_space:20 relu_recovery:paper_pairs:20 \
	analytic_recovery:paper:20 analytic_recovery:paper_three:10 analytic_recovery:paper_directions:10 \
	analytic_recovery:paper_space:5)

tables: $(READY)  ## compute the committed tables again (hours; can be stopped and goes on; JOBS=2 for two processes)
	@set -e; for table in $(TABLES); do set -- $$(echo $$table | tr : ' '); name=$${1#*.}; \
	  $(BIN)/neurec sweep $$1 --preset $$2 --trials $$3 --jobs $(JOBS) --out runs/$$name; \
	  if [ $$name = comparison ]; then $(BIN)/python -m neurec_papers.inconsistency.refine runs/$$name $$3; fi; \
	  $(BIN)/neurec export runs/$$name neurec_papers/$${1%%.*}/tables/$$name.parquet; done

picture: $(READY)  ## draw the picture of the README again
	$(BIN)/neurec sweep convex_recovery.skip_recovery --over n=10:400:10 --over d=10:100:10 --trials 5 --out runs/picture
	$(BIN)/neurec plot runs/picture --png book/_static/phase_transition.png

bench: $(READY)  ## the published ways beside ours
	$(BIN)/python -m benchmarks

lock: $(READY)  ## write constraints.txt: the versions installed here, without local labels (after the tests passed)
	$(BIN)/uv pip freeze --python $(BIN)/python --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.new
	mv constraints.new constraints.txt

clean:  ## remove what was built (not .venv, not runs)
	rm -rf _build
