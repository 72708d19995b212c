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
	@awk -F ':.*## ' '/^[.a-z][a-z-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# ---- set up ---------------------------------------------------------------------------------

.PHONY: venv
venv: $(READY) ## make .venv and install everything into it (the other commands do this themselves)

$(READY): pyproject.toml constraints.txt tools/bootstrap.py
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "penstock: $(PYTHON) is missing. Install Python 3.11 or newer" \
	    "(Debian, Ubuntu: \`apt-get install python3 python3-venv\`) and run make again" >&2; exit 1; }
	@$(PYTHON) tools/bootstrap.py $(VENV)
