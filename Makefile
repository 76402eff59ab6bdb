# `make demo` and `make test` do their own set-up: they need Python 3.10 or newer, and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test docs clean

# What is compiled at its first use is compiled here, so that the first run is as quick as any
$(VENV)/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e .
	$(BIN)/imputevae impute test_data/example.vcf.gz -o $(VENV)/example.vcf.gz --force --quiet
	touch $@

$(VENV)/installed-test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -e '.[test]'
	touch $@ $(VENV)/installed

# Impute the example; the summary is printed at the end
demo: $(VENV)/installed
	mkdir -p demo
	$(BIN)/imputevae impute test_data/example.vcf.gz --popmap test_data/example.popmap -o demo/imputed.vcf.gz --force

test: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --cov --cov-report=term:skip-covered

# The documentation as a site, in site/; the tests build it too, with --strict
docs: $(VENV)/installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) demo site
