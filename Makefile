# Each target sets up what it needs: Python 3.11 or newer, make and git are enough. A second call starts in seconds.
# "make help" prints what stands behind ## beside a target.

# The : at the end is for machines without a command called python: where the last one is not found, make takes the whole list for an error.
PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done; :))
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SOURCES := settings.ini constraints.txt setup.py pyproject.toml

.PHONY: help learn train bench quick test lint export notebooks long coverage mutants matrix load fuzz kill docs docs-preview
.DEFAULT_GOAL := help

help: ## print this list
	@echo "make ..."
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '  %-14s%s\n' "$$name" "$$text"; done

learn: .venv/learner ## write the lessons into my_course/ and open JupyterLab at the first one
	@$(BIN)/mnist-course start my_course $(ARGS)

train: .venv/learner ## train the network (options: make train ARGS="--recipe fast")
	@$(BIN)/mnist-course train $(ARGS)

bench: .venv/learner ## measure how fast training is here (ten minutes; nothing else should run meanwhile)
	@$(BIN)/python -m mnist_course.making bench --quick $(ARGS)

quick: .venv/developer ## test what a change of one module needs, in about a minute
	@$(BIN)/python tests/run.py lint format types quick

test: .venv/developer ## test everything, as CI does
	@$(BIN)/python tests/run.py

lint: .venv/developer ## look at form, spelling and types only
	@$(BIN)/python tests/run.py lint format spelling types

export: .venv/developer ## write the modules from the notebooks' cells
	@$(BIN)/nbdev_export

notebooks: .venv/developer ## run the notebooks whose code changed on the full MNIST, and keep their outputs
	@$(BIN)/python -m mnist_course.making notebooks $(ARGS)

long: .venv/developer ## test all of what make test draws a sample of, every notebook too
	@$(BIN)/python tests/run.py lint format spelling types whole

coverage: .venv/developer ## say which lines the tests reach (the slow ones too; some minutes)
	@$(BIN)/python tests/run.py coverage

mutants: .venv/developer ## change a module in sixty small places: do its tests notice? make mutants ROOM=data (some minutes a room)
	@$(BIN)/python tools/mutants.py $(ROOM) $(ARGS)

matrix: .venv/developer ## every Python there is here, with the oldest and the newest of each dependency (an hour, 20 GB)
	@$(BIN)/python tools/matrix.py $(ARGS)

load: .venv/developer ## thirty kernels, 300 submissions, 200 processes that want the data (an hour, 20 GB of memory)
	@$(BIN)/python tools/load.py $(ARGS)

fuzz: .venv/developer ## feed every reader with damaged inputs (make fuzz MINUTES=10)
	@$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev,fuzz]"
	@MNIST_COURSE_DATA=sample $(BIN)/python -m tests.fuzz.harness --minutes $(or $(MINUTES),10)

kill: .venv/developer ## kill processes at fifty random moments each, and look at what is left
	@MNIST_COURSE_DATA=sample $(BIN)/python -m pytest tests/long --whole --kills 50

docs: .venv/docs ## make the site in _docs/, with Quarto where it is installed and else without
	@$(BIN)/python -m mnist_course.making site

docs-preview: docs ## make the site and serve it
	@$(BIN)/python -m mnist_course.making site preview

.venv/learner: WHAT = course
.venv/docs: WHAT = docs
.venv/developer: WHAT = dev
.venv/learner .venv/docs .venv/developer: $(SOURCES)
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and was not found: install it, or say make PYTHON=/path/to/python3"; exit 1; fi
	@$(PYTHON) tools/install.py $(WHAT)
