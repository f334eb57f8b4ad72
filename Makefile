# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
APP := src/bedside/services/app/dist/index.html
APP_SOURCES := $(shell find web -type f -not -path '*/node_modules/*')

.PHONY: help demo test quick lint prove clean wheel app test-app

help:
	@echo "make demo   set up and take synthetic ultrasound the whole way to a report"
	@echo "make test   set up, lint and run every test"
	@echo "make quick  lint and the unit tests, about two minutes (the inner loop)"
	@echo "make app    build the web app (needs Node.js 20 and npm)"
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
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

web/node_modules/.installed: web/package.json web/package-lock.json
	@command -v npm >/dev/null || { echo "The web app needs Node.js 20 or newer and npm."; exit 3; }
	cd web && npm ci --no-audit --no-fund
	@touch $@

$(APP): web/node_modules/.installed $(APP_SOURCES)
	cd web && npm run --silent build

app: $(APP)

test-app: web/node_modules/.installed
	cd web && npm test --silent

# Without what starts processes, needs a browser, walks every table or is marked slow.
quick: lint
	$(BIN)/pytest -n 2 --dist loadgroup -q -m "not slow" --ignore tests/integration \
		--ignore tests/browser --ignore tests/contract

test: lint app test-app
	$(BIN)/pytest -n 2 --dist loadgroup

wheel: $(STAMP) app
	$(BIN)/python -m build --wheel --outdir dist

prove: $(STAMP)
	$(MAKE) -C docs/proof BIN=$(abspath $(BIN))

clean:
	rm -rf $(VENV) dist build runs web/node_modules src/bedside/services/app/dist
