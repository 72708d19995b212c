# Penstock: every command of the project. `make` alone lists them.
#
# Needs git, make and Python 3.11 or newer with its venv module. Everything else is installed
# into .venv (Python) and .tools (Go programs), and nothing outside this folder is touched.

SHELL := /bin/sh
.DEFAULT_GOAL := help

# A Python other than `python3`: make PYTHON=python3.12 run
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.stamp

# Ends after the example, with its exit status: ONCE=1 make run
ONCE ?=
# More for pytest: make test ARGS='-k lease -x'
ARGS ?=

.PHONY: help
help: ## list the commands
	@awk -F ':.*## ' '/^[.a-z][a-z-]*:.*## /{printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- set up ---------------------------------------------------------------------------------

# An environment holds absolute paths: when this folder was moved, or the Python that made it is
# gone, it is made anew.
ifneq ($(shell test -x $(BIN)/python && head -n 1 $(READY) 2>/dev/null),$(CURDIR))
.PHONY: $(READY)
endif

.PHONY: venv
venv: $(READY) ## make .venv and install everything into it (the other commands do this themselves)

$(READY): pyproject.toml constraints.txt tools/bootstrap.py
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "penstock: $(PYTHON) is missing. Install Python 3.11 or newer" \
	    "(Debian, Ubuntu: \`apt-get install python3 python3-venv\`) and run make again" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py $(VENV)

.PHONY: tools
tools: $(READY) ## build the Go programs that tests and the contract use (needs Go) into .tools
	@$(BIN)/python tools/go_tools.py

.PHONY: upgrade
upgrade: $(READY) ## move constraints.txt to the newest versions that pyproject.toml allows
	@$(BIN)/python tools/upgrade.py

.PHONY: clean
clean: ## remove everything that make built; data folders stay
	rm -rf $(VENV) $(VENV).lock .tools site dist
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- run ------------------------------------------------------------------------------------

.PHONY: run
run: $(READY) ## start everything, run the example, keep serving until Ctrl-C (ONCE=1: end after it)
	@exec $(BIN)/penstock up --example checksum_tree $(if $(ONCE),--once)

# ---- test -----------------------------------------------------------------------------------

# `logical`, because `auto` counts cores and leaves half of a hyper-threaded machine idle.
PYTEST := $(BIN)/pytest -n logical

.PHONY: test
test: $(READY) ## run every test except benchmarks (ARGS='…' goes to pytest)
	$(PYTEST) $(ARGS)

.PHONY: test-fast
test-fast: $(READY) ## run the tests that take two minutes together: rules, store, service
	$(PYTEST) -m 'not slow' $(wildcard tests/unit tests/store tests/service) $(ARGS)

# Rounds of two minutes with rising seeds. A round that breaks a promise ends the run and prints
# the command that plays it again.
MINUTES ?= 10
SEED ?=

.PHONY: robustness
robustness: $(READY) ## break things for MINUTES under load, with SEED or a fresh one; check every promise
	$(BIN)/python tests/robustness/run.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(ARGS)

.PHONY: robustness-short
robustness-short: $(READY) ## two rounds of it with fixed seeds, about a minute
	$(PYTEST) tests/robustness $(ARGS)

.PHONY: mutants
mutants: $(READY) ## switch each mechanism behind a promise off in a copy; a test must fail each time
	$(BIN)/python tests/mutants/run.py $(ARGS)

# Every part is killed KILLS times, evenly over TASKS.
TASKS ?= 100000
KILLS ?= 10

.PHONY: robustness-kills
robustness-kills: $(READY) ## TASKS tasks through KILLS kills (-9) of each part: lost 0, stale accepted 0
	$(BIN)/python tests/robustness/kills/run.py --tasks $(TASKS) --kills $(KILLS) $(ARGS)

.PHONY: soak
soak: $(READY) ## run steady traffic for MINUTES and see whether memory, streams or descriptors grow
	$(BIN)/python tests/soak/run.py --minutes $(MINUTES) $(ARGS)

# Not among the packages of development: it is large, and there are builds of it for Linux only.
FUZZER := atheris==3.0.0
SECONDS ?= 20
# Whole services instead, so many requests to each: make fuzz REQUESTS=100000
REQUESTS ?=

.PHONY: fuzz
fuzz: $(READY) ## feed tokens, cursors, settings, frames and requests with whatever leads to new code
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet $(FUZZER)
	$(BIN)/python tests/fuzz/run.py $(if $(REQUESTS),--requests $(REQUESTS),--seconds $(SECONDS)) $(ARGS)

.PHONY: bench
bench: $(READY) ## measure throughput and latency on this machine
	$(BIN)/python tests/bench/run.py $(ARGS)

PEERS := tests/bench/peers/programs

.PHONY: bench-peers
bench-peers: ## install the other libraries that `make bench` measures beside Penstock (needs npm)
	$(PYTHON) -m venv .bench/venv
	.bench/venv/bin/pip install --quiet --requirement $(PEERS)/requirements.txt
	cp $(PEERS)/package.json .bench/
	cd .bench && npm install --no-package-lock --no-audit --no-fund --loglevel=error

# ---- check ----------------------------------------------------------------------------------

CONTRACT := proto/released/penstock.binpb

.PHONY: check
check: check-format check-lint check-types check-imports check-proto check-breaking ## run every check that is not a test
check: check-generated check-sizes check-docs

.PHONY: check-format
check-format: $(READY) ## ruff: layout (make format repairs it)
	$(BIN)/ruff format --check

.PHONY: check-lint
check-lint: $(READY) ## ruff: rules
	$(BIN)/ruff check

.PHONY: check-types
check-types: $(READY) ## mypy --strict
	$(BIN)/mypy

.PHONY: check-imports
check-imports: $(READY) ## import-linter: which room may import which
	$(BIN)/lint-imports

.PHONY: check-proto
check-proto: $(READY) ## buf: style and comments of the contract
	$(BIN)/buf lint

.PHONY: check-breaking
check-breaking: $(READY) ## buf: nothing in the contract breaks a client of the last release
	@test -f $(CONTRACT) || { \
	  echo "penstock: $(CONTRACT) is missing: there is no released contract to compare with." \
	    "If this is the first release, make it with \`make release-contract\`" >&2; exit 1; }
	$(BIN)/buf breaking --against $(CONTRACT)

.PHONY: check-generated
check-generated: $(READY) ## generated code is what the contract generates
	$(BIN)/python tools/generate.py --check

.PHONY: check-sizes
check-sizes: $(READY) ## functions and files stay small; prints the largest
	@$(BIN)/python tools/sizes.py

# The theme prints news about its successor on every build; pyproject.toml says where we stand.
export NO_MKDOCS_2_WARNING := 1

.PHONY: check-docs
check-docs: $(READY) ## the documentation site builds without a warning
	@# Not --quiet: a warning that is not shown is not counted either, and --strict passes it.
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	  { $(BIN)/mkdocs build --strict --site-dir "$$folder/site" >"$$folder/log" 2>&1 || \
	    { cat "$$folder/log"; exit 1; }; }

# ---- write ----------------------------------------------------------------------------------

.PHONY: gen
gen: $(READY) ## generate the code of the contract (Go code where Go is installed)
	$(BIN)/python tools/generate.py

.PHONY: format
format: $(READY) ## repair layout and the lint rules that have a safe repair
	$(BIN)/ruff check --fix-only --exit-zero
	$(BIN)/ruff format

.PHONY: docs
docs: $(READY) ## build the documentation into site/
	$(BIN)/mkdocs build --strict

RELEASED := tests/e2e/upgrade/released.tar.xz

.PHONY: release-server
release-server: ## keep this release's server, which a test runs beside later ones over one store
	git archive HEAD server/penstock_server clients/python/penstock ':!*.pyi' \
	  ':!clients/python/penstock/cli' | xz -9e > $(RELEASED)

.PHONY: release-contract
release-contract: $(READY) ## keep the contract of this release, for check-breaking to compare with
	@mkdir -p $(dir $(CONTRACT))
	$(BIN)/buf build --exclude-source-info --output $(CONTRACT)
