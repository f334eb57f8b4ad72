# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help demo test lint prove clean wheel

help:
	@echo "make demo   set up and take synthetic ultrasound the whole way to a report"
	@echo "make test   set up, lint and run every test"
	@echo "make prove  the full figures of the requirements, saved under docs/proof/ (hours)"

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/bedside demo --out runs/demo

lint: $(STAMP)
	$(BIN)/ruff check src tests benchmarks examples
	$(BIN)/mypy

test: lint
	$(BIN)/pytest -n 2 --dist loadgroup

wheel: $(STAMP)
	$(BIN)/python -m build --wheel --outdir dist

prove: $(STAMP)
	$(MAKE) -C docs/proof BIN=$(abspath $(BIN))

clean:
	rm -rf $(VENV) dist build runs
