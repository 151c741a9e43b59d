# Everything here brings up what it needs itself, from nothing but make and Python 3.11 or newer (PYTHON= names one).
# ARGS= is handed on: make test ARGS="tests/core -k compose", make lock ARGS=--upgrade

# Tests run side by side, one process for each processor, at most four. PARALLEL= runs them one after the other.
PARALLEL ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile

.DEFAULT_GOAL := help
.PHONY: help serve test test-scaled check bench lock clean
MAKEFLAGS += --no-print-directory
export PYTHON

help: ## show this list
	@sed -n 's/^\([a-z-]*\): .*## /\1\t/p; s/^\([a-z-]*\):## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r goal what; do printf '  make %-12s %s\n' "$$goal" "$$what"; done

serve: ## run the server on this machine; writes entrepot.toml first if there is none
	@sh tools/setup runtime
	@test -e entrepot.toml || { cp docs/entrepot.toml entrepot.toml && echo "wrote entrepot.toml, a copy of docs/entrepot.toml" >&2; }
	@exec .venv/bin/entrepot serve $(ARGS)

test: ## run all tests on one machine's shape: SQLite and local files
	@sh tools/setup dev
	@sh tools/system-packages
	@.venv/bin/pytest $(PARALLEL) $(ARGS)

test-scaled: ## run those with a database or a store on the scaled-out shape: PostgreSQL and S3
	@sh tools/setup dev
	@sh tools/system-packages
	@.venv/bin/pytest --db=postgres --storage=s3 $(PARALLEL) $(ARGS)

check: ## lint, format, types, imports between the rings, lock files in step
	@sh tools/setup dev
	@failed=; for tool in "python tools/lock.py check" "ruff check ." "ruff format --check ." mypy "lint-imports --no-logo"; do \
	    echo "== $$tool"; .venv/bin/$$tool || failed="$$failed, $$tool"; \
	done; [ -z "$$failed" ] || { echo "make check: failed:$${failed#,}"; exit 1; }

bench: ## run the benchmarks in bench/
	@sh tools/setup dev
	@if [ -x bench/run ]; then PATH="$$PWD/.venv/bin:$$PATH" exec bench/run $(ARGS); fi; \
	found=; for file in bench/*.py; do \
	    [ -e "$$file" ] || continue; found=1; echo "== $$file"; .venv/bin/python "$$file" $(ARGS) || exit 1; \
	done; [ -n "$$found" ] || echo "no benchmarks in bench/ yet"

lock: ## resolve the dependencies anew into the lock files (ARGS=--upgrade for newer versions)
	@sh tools/setup lock $(ARGS)

clean: ## remove what make brought up and what the tools left; not entrepot.toml, not entrepot-data
	rm -rf .tools .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
