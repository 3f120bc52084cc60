.DEFAULT_GOAL := help
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help setup demo test lint types imports notebooks check bench studio clean

help: ## Show what there is to run
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(BIN)/.installed ## Make a virtual environment with everything in it

$(BIN)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	@touch $@

demo: setup ## Answer a question from real documents with a team of agents
	$(BIN)/orchestra run research "How does Python resolve a name in a nested scope?"

test: setup ## Run the tests
	$(BIN)/python -m pytest

lint: setup ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup ## Check types, strictly
	$(BIN)/mypy

imports: setup ## Check that imports point one way
	$(BIN)/lint-imports

notebooks: setup ## Execute the notebooks and compare their outputs
	$(BIN)/python -m pytest tests/test_notebooks.py

check: lint types imports test ## Everything that CI checks

bench: setup ## Measure, and print the figures
	$(BIN)/python -m benchmarks

studio: setup ## Serve every graph for LangGraph Studio, on this machine
	$(BIN)/langgraph dev --no-browser

clean: ## Remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .orchestra
