# Each target sets up what it needs: Python 3.11 or newer, make and git are enough. A second call starts in seconds.
#   make learn      write the lessons into my_course/ and open JupyterLab at the first one
#   make train      train the network (more options: make train ARGS="--recipe fast")
#   make test       everything that CI runs
#   make docs       make the site in _docs/, with Quarto where it is installed and else without; make docs-preview serves it
#   make notebooks  run the notebooks whose code changed on the full MNIST, and keep their outputs
#   make bench      measure how fast training is (some ten minutes; nothing else should run meanwhile)

# The : at the end is for machines without a command called python: where the last one is not found, make takes the whole list for an error.
PYTHON ?= $(firstword $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p; done; :))
BIN := .venv/$(if $(filter Windows_NT,$(OS)),Scripts,bin)
SOURCES := settings.ini constraints.txt setup.py pyproject.toml

.PHONY: learn train test docs docs-preview notebooks bench
.DEFAULT_GOAL := learn

learn: .venv/learner
	@$(BIN)/mnist-course start my_course

train: .venv/learner
	@$(BIN)/mnist-course train $(ARGS)

test: .venv/developer
	@$(BIN)/python tests/run.py

docs: .venv/docs
	@$(BIN)/python -m mnist_course.making site

docs-preview: docs
	@$(BIN)/python -m mnist_course.making site preview

notebooks: .venv/developer
	@$(BIN)/python -m mnist_course.making notebooks $(ARGS)

bench: .venv/learner
	@$(BIN)/python -m mnist_course.making bench --quick $(ARGS)

# The stamps are written last: an installation that broke off is done again. uv, where it is installed, takes a quarter of
# the time. Without --no-compile, pip compiles thousands of modules that nobody will import.
.venv/learner .venv/docs .venv/developer: WANTED = -c constraints.txt -e $(if $(filter %developer,$@),".[dev]",$(if $(filter %docs,$@),".[docs]",.))
.venv/learner .venv/docs .venv/developer: $(SOURCES)
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed and was not found: install it, or say make PYTHON=/path/to/python3"; exit 1; fi
	@start=$$(date +%s); \
	if [ ! -x $(BIN)/python ]; then echo "Making .venv with $(PYTHON) ..." && $(PYTHON) -m venv .venv; fi && \
	echo "Installing mnist_course and what it needs: a few minutes the first time, most of it PyTorch ..." && \
	{ { command -v uv > /dev/null && uv pip install --quiet --python $(BIN)/python $(WANTED); } || \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(WANTED); } && \
	touch .venv/learner $@ && \
	echo "Ready after $$(( $$(date +%s) - start )) s."
