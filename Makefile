# Two commands matter: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo docs test fix lint types imports unit test-slow test-outside simulate clean

$(STAMP): pyproject.toml $(wildcard setup.py)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: $(STAMP)
	@$(BIN)/python demo/demo.py

test: lint types imports unit

lint: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check

fix: $(STAMP)
	$(BIN)/ruff check --quiet --fix --unsafe-fixes --select I,TC,UP,RUF,PIE,SIM,RET,F401 --ignore RUF100 || true
	$(BIN)/ruff format --quiet

docs: $(STAMP)
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/koi/generate.py

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports --no-logo

unit: $(STAMP)
	$(BIN)/python -m pytest -n auto -q

test-slow: $(STAMP)
	$(BIN)/python -m pytest -q -m slow

test-outside: $(STAMP)
	$(BIN)/python -m pytest -q -m outside

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

SIZES ?= 10000 100000 1000000
simulate: $(STAMP)
	$(BIN)/python -m benchmarks.simulate --sizes $(SIZES)

# bench-serve, bench-node, bench-dedup, …: one for each module in benchmarks/.
bench-%: $(STAMP)
	$(BIN)/python -m benchmarks.$*

.PHONY: openapi
openapi: $(STAMP)
	$(BIN)/python -m dpip.koi.openapi > src/dpip/koi/openapi.json
