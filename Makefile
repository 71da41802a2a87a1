# Every command for working on the project. `make` alone lists them.
PYTHON ?= python3
UV = UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never UV_COMPILE_BYTECODE=1 .tools/bin/uv
PY = .venv/bin/python
DECLARED = uv.lock pyproject.toml $(wildcard services/*/pyproject.toml shared/*/pyproject.toml deploy/*/pyproject.toml tools/*/pyproject.toml) \
  services/console/browser/package-lock.json

# Where an environment forbids compiled modules, every process would compile all its imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run demo test test-all quick mutants fuzz check bench-ledger bench-peers bench-revocation bench-console bench-fairness bench-rest bench-messages bench-reconciliation assets screenshots docs migration processes sbom advisories clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

run: .venv/.ready ## start everything in one process; needs nothing else (CLIENTELE_DATA, CLIENTELE_PORT)
	@exec $(PY) -m clientele run

demo: .venv/.ready ## load example customers and walk through the life of two (BASE_URL= for a running system)
	@exec $(PY) -m devtools demo $(if $(BASE_URL),--base-url $(BASE_URL))

processes: .venv/.ready ## start the distributed mode as plain processes, on a private PostgreSQL and RabbitMQ
	@exec $(PY) -m devtools processes

# Three workers on two cores: one mostly waits for the broker, one for a browser.
test: .venv/.tested ## style, types, imports, tests, each test once (TESTS= for a part)
	@exec $(PY) -m pytest -n 3 $(TESTS)

test-all: .venv/.tested ## the same, with every test on both databases and the long runs and mutants (half an hour)
	@exec $(PY) -m pytest -n 3 --exhaustive $(TESTS)

quick: .venv/.tested ## style, types and the tests next to what changed, within 20 seconds
	@exec $(PY) -m tests.quick

mutants: .venv/.tested ## break the ledger line by line: a test must fail for each (a quarter of an hour)
	@LEDGER_MUTANTS=all $(PY) -m pytest --exhaustive tests/billing/ledger/test_mutations.py -v

fuzz: .venv/.tested ## valid and invalid requests for every operation, at least 200 each (an hour)
	@FUZZ=$(or $(FUZZ),70) $(PY) -m pytest tests/identity/test_contract.py -v

check: .venv/.tested ## style, types and imports only
	@$(PY) -m devtools check

bench-ledger: .venv/.tested ## how fast the ledger is, next to pgbench on the same PostgreSQL; needs wrk (ROWS= for a part)
	@exec $(PY) -m tests.bench.ledger $(ROWS)

bench-peers: .venv/.tested ## how fast the ledger's HTTP requests are, next to django-hordak on the same PostgreSQL; needs wrk (ROWS= for a part, DURATION= in seconds)
	@exec $(PY) -m tests.bench.peers $(ROWS)

bench-revocation: .venv/.tested ## how soon the gateway refuses revoked access, with the broker and without
	@exec $(PY) -m tests.bench.revocation

bench-console: .venv/.tested ## how long the server takes for pages with a hundred thousand customers, on both databases
	@exec $(PY) -m tests.bench.console

bench-fairness: .venv/.tested ## how much longer requests take while another tenant is at its limits
	@exec $(PY) -m tests.bench.fairness

bench-messages: .venv/.tested ## how fast listeners consume, next to kombu alone, and how soon org shows what billing did (ROWS= for a part, PROFILE=1 for a profile)
	@exec $(PY) -m tests.bench.messages $(ROWS)

bench-reconciliation: .venv/.tested ## how long a comparison of a hundred thousand organizations takes next to 50 charges a second
	@exec $(PY) -m tests.bench.reconciliation

bench-rest: .venv/.tested ## what all processes of the distributed mode take while nobody does anything (WORKERS=, DURATION=)
	@exec $(PY) -m tests.bench.rest

assets: .venv/.ready ## fetch the third-party files of the console's pages (the set-up does it once)
	@$(PY) -m clientele assets

screenshots: .venv/.tested ## pictures of every page into var/screenshots, light and dark, three widths (PAGES= for a part)
	@exec $(PY) -m tests.browser.screenshots $(PAGES)

docs: .venv/.ready ## regenerate the generated pages of docs/
	@$(PY) -m devtools docs

sbom: .venv/.ready ## write the bill of materials (CycloneDX) to var/sbom.json
	@$(PY) -m devtools sbom var/sbom.json

advisories: .venv/.ready ## look up known vulnerabilities of what we use at osv.dev; says so when it cannot be reached
	@$(PY) -m devtools advisories

migration: .venv/.ready ## write a new migration: make migration SERVICE=org NAME=add_something
	@$(PY) -m devtools migration $(SERVICE) $(NAME)

clean: ## delete the set-up and the embedded system's data
	rm -rf .venv .tools var

.tools/bin/uv:
	@echo "Setting up. This happens once."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is required (set PYTHON= to one)")'
	@$(PYTHON) -m venv .tools || { echo "python3-venv is missing: apt-get install python3-venv"; exit 1; }
	@.tools/bin/pip install --quiet --disable-pip-version-check uv==0.13.9

.venv/.ready: .tools/bin/uv $(DECLARED)
	@$(UV) sync --quiet --frozen --no-dev --inexact --python $(PYTHON) && $(PY) -m clientele assets && touch $@

.venv/.tested: .tools/bin/uv $(DECLARED)
	@$(UV) sync --quiet --frozen --inexact --python $(PYTHON) && $(PY) -m clientele assets && touch $@ .venv/.ready
