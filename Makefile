.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test lint types imports notebooks check bench studio clean

help: ## Show what there is to run
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make a virtual environment with everything in it
	@$(PYTHON) start.py setup

demo: ## Answer a question from real documents with a team of agents
	@$(PYTHON) start.py

test: ## Run the tests
	@$(PYTHON) start.py test

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
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .orchestra
