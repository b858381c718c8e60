# make demo, make test: nothing has to be there but Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes of tests, each with a Prefect server of its own: ARGS="-n 0" runs them in one.
TWO := -n 2 --dist worksteal

.PHONY: demo test test-all bench lint types names lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      label real photographs from folder to dataset, on this machine"
	@echo "make test      the fast tests"
	@echo "make test-all  also those that need minutes, Azurite or more"
	@echo "make bench     figures, as ratios to the peers"
	@echo "make lint      ruff and mypy"
	@echo "make names     how many assigned names are words that say nothing"

$(VENV)/installed: pyproject.toml infra/requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r infra/requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/installed
	$(BIN)/labelwright demo $(ARGS)

test: $(VENV)/installed
	$(BIN)/python -m pytest $(TWO) $(ARGS)

test-all: $(VENV)/installed
	$(BIN)/python -m pytest $(TWO) -m "slow or not slow" $(ARGS)

bench: $(VENV)/installed
	$(BIN)/python tests/benchmarks/run.py $(ARGS)

lint: types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

names:
	$(PYTHON) tests/naming.py

# flows/, tasks/ and deployments/ are installed inside the package: links show mypy the package as it is installed.
types: $(VENV)/installed
	rm -rf build/typed && mkdir -p build/typed/labelwright
	ln -s $(CURDIR)/src/labelwright/* $(CURDIR)/flows $(CURDIR)/tasks $(CURDIR)/deployments build/typed/labelwright/
	MYPYPATH=build/typed $(BIN)/mypy -p labelwright

# The lock names no index: it holds for whichever one you use.
lock:
	uv pip compile pyproject.toml --group dev --extra obstore --extra postgres --extra azure --extra redis --extra results \
	  --extra dask --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file infra/requirements.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
