# make demo, make test: nothing has to be there but Python 3.11 or newer and make.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Two processes of tests, each with a Prefect server of its own: ARGS="-n 0" runs them in one.
TWO := -n 2 --dist worksteal

.PHONY: demo test test-all bench lint types names docs lock release clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      label real photographs from folder to dataset, on this machine"
	@echo "make test      the fast tests"
	@echo "make test-all  also those that need minutes, Azurite or more"
	@echo "make bench     figures, as ratios to the peers"
	@echo "make lint      ruff and mypy"
	@echo "make docs      the documentation site, in build/docs/site"
	@echo "make release   sdist and wheel in dist/, checked in a fresh environment"
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

# The builder has an environment of its own, from infra/docs.lock. Any warning ends it, such as a link that leads nowhere.
docs: $(VENV)/installed build/docs/builder/installed
	$(BIN)/python infra/docs/source.py build/docs/source
	rm -rf build/docs/site
	build/docs/builder/bin/sphinx-build --quiet --fail-on-warning --keep-going --doctree-dir build/docs/doctrees \
	  --conf-dir infra/docs --builder html build/docs/source build/docs/site
	$(BIN)/python infra/docs/check.py build/docs/site
	@echo "build/docs/site/index.html is ready: a browser opens it from the disk"

build/docs/builder/installed: infra/docs.lock
	$(PYTHON) -m venv --clear build/docs/builder
	build/docs/builder/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r infra/docs.lock
	@touch $@

# The wheel is built from the sdist, so that what is missing in one is missing in both.
release: $(VENV)/installed
	rm -rf dist build/release
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*
	$(PYTHON) -m venv build/release/venv
	build/release/venv/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	build/release/venv/bin/labelwright demo --folder build/release/demo
	@echo "dist/ is ready: twine upload dist/*"

# The lock names no index: it holds for whichever one you use.
lock:
	uv pip compile pyproject.toml --group dev --extra obstore --extra postgres --extra azure --extra redis --extra results \
	  --extra dask --extra huggingface --extra video --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file infra/requirements.lock
	uv pip compile --group pyproject.toml:docs --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --quiet --output-file infra/docs.lock

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
