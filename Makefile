# Two commands do all the set-up: `make demo` and `make test`. VENV=path reuses an environment elsewhere.
PYTHON ?= python3
VENV ?= .venv
DOCS_VENV ?= .venv-docs
BIN := $(VENV)/bin
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

.PHONY: demo test test-full test-gpu check check-style check-types check-contracts bench-quick bench-stale format docs

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed
	rm -rf demo
	$(BIN)/obverse sample coins demo/coins
	$(BIN)/obverse train demo/coins --run demo/run --minutes 1
	$(BIN)/obverse predict demo/run --view obverse=demo/coins/XF40/obverse/coin0001.jpg \
		--view reverse=demo/coins/XF40/reverse/coin0001.jpg
	@echo "The report is demo/run/evaluation/test/report.html"

test: $(VENV)/.installed
	$(PYTEST) -m "not full and not gpu"

test-full: $(VENV)/.installed
	$(PYTEST) -m "not gpu"

test-gpu: $(VENV)/.installed
	$(BIN)/python -m pytest -m gpu tests/gpu

# Its parts may run at once: make -j2 check
check: check-style check-types check-contracts

check-style: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports

check-types: $(VENV)/.installed
	$(BIN)/mypy

check-contracts: $(VENV)/.installed
	$(BIN)/python -m pytest tests/contracts

# Ratios of speed in about ten minutes; nothing else should run meanwhile.
bench-quick: $(VENV)/.installed
	$(BIN)/python benchmarks/quick.py .bench

# Results whose code has changed since they were measured.
bench-stale: $(VENV)/.installed
	$(BIN)/python benchmarks/tables.py

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The site in site/, in an environment of its own; a link that leads nowhere is an error.
$(DOCS_VENV)/.installed: docs/requirements.txt
	$(PYTHON) -m venv $(DOCS_VENV)
	$(DOCS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --requirement docs/requirements.txt
	touch $@

docs: $(DOCS_VENV)/.installed
	NO_MKDOCS_2_WARNING=1 $(DOCS_VENV)/bin/mkdocs build --strict
	@echo "The first page is site/index.html; its search works when the folder is served: python -m http.server -d site"
