# Everything a newcomer types. Each target makes what it needs; nothing outside this folder is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ASSETS := node_modules/.installed
ROUNDS ?= 300
EVERY ?= 5
LIVE ?= 0
JOBS ?= 2

.PHONY: help install demo demo-discord test test-long check format bench example lock clean

help:
	@echo "make install     the virtual environment, in $(VENV)"
	@echo "make demo        run the main job on a simulated game server (ROUNDS=$(ROUNDS) EVERY=$(EVERY))"
	@echo "make demo-discord  an evening in a stand-in Discord; every message and picture into demo-output/discord"
	@echo "make test        run the tests"
	@echo "make test-long   run the long proofs whole (thirty kills, soaks)"
	@echo "make check       ruff, mypy --strict, import-linter"
	@echo "make bench       measure beside the raw tools, as a table and JSON"
	@echo "make example     build etlegacy_production.db.example anew"
	@echo "make lock        pin the newest versions that pyproject.toml allows"

$(STAMP): requirements-dev.txt pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade uv
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet -r requirements-dev.txt -e .
	touch $@

# Two small scripts for browsers. Pages work without them, so a machine without npm lacks nothing but smoothness.
$(ASSETS): package.json package-lock.json
	@mkdir -p node_modules
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund; \
	else echo "npm is not there: pages are served without htmx and uPlot, and work all the same"; fi
	@mkdir -p node_modules && touch $@

install: $(STAMP) $(ASSETS)

demo: $(STAMP) $(ASSETS)
	$(BIN)/python -m bot demo --rounds $(ROUNDS) --every $(EVERY) --live $(LIVE)

demo-discord: $(STAMP)
	$(BIN)/python -m tools.demo_discord demo-output/discord

test: $(STAMP) $(ASSETS)
	$(BIN)/python -m pytest -n $(JOBS) -m "not long" $(ARGS)

test-long: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) -m long $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)
	$(BIN)/python -m tools.bench $(ARGS)

example: $(STAMP)
	$(BIN)/python -m tools.build_example etlegacy_production.db.example

lock:
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url \
		pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --no-header --no-emit-index-url \
		pyproject.toml --group dev -o requirements-dev.txt

clean:
	rm -rf $(VENV) node_modules demo-data demo-output bench-output .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
