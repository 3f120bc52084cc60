.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

.PHONY: help setup demo test crash soak lint types imports notebooks check bench growth threads studio clean drill pages docs

help: ## Show what there is to run
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Make a virtual environment with everything in it
	@$(PYTHON) start.py setup

demo: ## Answer a question from real documents with a team of agents
	@$(PYTHON) start.py

test: ## Run the tests
	@$(PYTHON) start.py test

crash: setup ## Kill a process at every point of every pattern, on SQLite and PostgreSQL; ten minutes
	ORCHESTRA_CRASH_POINTS=all $(BIN)/python -m pytest tests/test_crash_matrix.py -s

soak: setup ## Kill processes at random times, COUNT=200 threads of them
	ORCHESTRA_SOAK=$(or $(COUNT),200) $(BIN)/python -m pytest tests/test_soak.py -s

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

growth: setup ## Measure what ten thousand runs and long threads leave behind
	$(BIN)/python -m benchmarks growth

pages: setup ## Write the pages that show what tests hold
	ORCHESTRA_WRITE_PAGES=1 $(BIN)/python -m pytest tests/test_fault_matrix.py tests/test_injection.py tests/test_docs.py tests/test_report.py tests/test_live_view.py -k "page or picture"

docs: setup ## Build the documentation into site/, without a network
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

drill: setup ## Break a service ten times in each way, and let the incident team mend it
	ORCHESTRA_DRILL=10 $(BIN)/python -m pytest tests/test_incident.py -k "breaks_is_healthy or asked_for_too_much"

threads: setup ## Save threads as this version leaves them, for the tests of later ones
	PYTHONPATH=tests $(BIN)/python -m make_threads

studio: setup ## Serve every graph for LangGraph Studio, on this machine
	$(BIN)/python -m orchestra dev

clean: ## Remove the virtual environment and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .orchestra
