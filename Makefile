# Provisioning Bot. `make` alone lists the targets.
# Needs Python 3.11 or newer, make and git; everything else is installed into .venv from the hash-pinned requirements.

SHELL := /bin/sh
.DEFAULT_GOAL := help

BIN := .venv/bin
PY := $(BIN)/python
PIP_INSTALL := -m pip install --disable-pip-version-check --no-input -q --require-hashes --no-deps

# A stamp carries the checksum of its requirements file, so that a change of content, and nothing else, installs again.
stamp = .venv$(3)/.$(1)-$(shell cksum < $(2) | tr ' \t' '--')
RUNTIME := $(call stamp,runtime,requirements.txt)
DEV := $(call stamp,dev,requirements-dev.txt)
E2E := $(call stamp,e2e,requirements-e2e.txt)
BENCH := $(call stamp,bench,requirements-bench.txt,-bench)
NODE := tests/e2e/node_modules/$(notdir $(call stamp,npm,tests/e2e/package-lock.json))

.PHONY: help run test nightly check secrets advisories format e2e bench scale crash soak day messages readme package release lock install chromium node nginx prometheus clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

run: $(RUNTIME) ## start the service (FRESH=1 empties var/ first)
ifneq ($(filter-out 0 no false,$(FRESH)),)
	rm -rf var
endif
	$(PY) app.py

# What a file of tests sets up once is set up by one of the two processes. In the order of their names: the files with
# the fewest tests have the longest ones, and last would leave one process idle.
IN_TWO := -n 2 --dist loadfile --no-loadscope-reorder

test: $(DEV) ## run every test that needs Python alone, in two processes (ARGS="-k codes" narrows, in one)
	$(PY) -m pytest -q $(or $(ARGS),$(IN_TWO))

nightly: $(DEV) ## run the property tests with many more examples, new ones each time
	HYPOTHESIS_PROFILE=nightly $(PY) -m pytest -q -m hypothesis -o timeout=3600 $(or $(ARGS),$(IN_TWO))

check: $(DEV) ## lint, format, types, the import contract, and a look for secrets
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(BIN)/lint-imports
	$(PY) -m tests.secrets

secrets: $(DEV) ## take what looks like a secret and is none as known (.secrets.baseline)
	$(PY) -m tests.secrets --write

advisories: $(DEV) ## ask whether a pinned requirement has a known vulnerability (exit code 75: nobody could be asked)
	$(PY) -m tests.advisories

format: $(DEV) ## let ruff put the code in order
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

e2e: $(E2E) chromium node nginx prometheus ## run the browser, identity provider, proxy and Prometheus tests, in two processes (ARGS in one)
	$(PY) -m pytest -q tests/e2e $(or $(ARGS),$(IN_TWO))

bench: $(DEV) ## measure each target beside its anchor (ARGS="--only wire"; ARGS=--write puts a whole run into README)
	@$(MAKE) --no-print-directory -s $(BENCH) || echo "The SDKs to compare with are not installed; the rest is measured." >&2
	$(PY) -m tests.benchmarks $(ARGS)

scale: $(DEV) ## fill a store with 200 000 devices and ask it everything (ARGS="--devices 20000 --audit 50000")
	TEST_ROWS=200000 $(PY) -m pytest -q tests/storage/test_large.py
	$(PY) -m tests.scale $(ARGS)

crash: $(DEV) ## kill the store, cut the power, damage its files (ARGS="--only power")
	$(PY) -m tests.crash $(ARGS)

soak: $(DEV) ## kill, stop, fill up, damage and overload the whole service, over HTTP (ARGS="--only killed --scale 0.1")
	$(PY) -m tests.soak $(ARGS)

day: $(DEV) ## play a large rollout's morning against the service, on each store (ARGS="--minutes 2 --store tinydb")
	$(PY) -m tests.day $(ARGS)

LOCALES := provisioning/locale

messages: $(DEV) ## give translators every text of the code, and compile what they translated
	$(PY) -m babel.messages.frontend -q extract -F $(LOCALES)/babel.cfg \
	  --no-default-keywords -k _ -k N_ -k to_operator -k ngettext:1,2 \
	  --no-location --sort-output --width=120 --project='Provisioning Bot' --copyright-holder='Provisioning Bot contributors' \
	  -o $(LOCALES)/provisioning.pot app.py bot cards provisioning storage
	$(PY) -m tests.messages

readme: $(DEV) ## write README's transcript and table of commands anew
	$(PY) -m tests.readme

package: $(RUNTIME) ## build the Teams app package
	$(PY) app.py package

release: $(DEV) ## write source, bill of materials, licences and checksums of this commit into dist/
	$(PY) -m tests.release

install: $(DEV) ## only make .venv, with everything the tests need

clean: ## remove environments and caches; var/ stays
	rm -rf .venv .venv-bench tests/e2e/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# ── the environment ──────────────────────────────────────────────────────────────────────────────────────────────

$(PY):
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "$$python -m venv .venv"; exec "$$python" -m venv .venv; \
	  fi; \
	done; echo "Python 3.11 or newer was not found; set PYTHON=/path/to/python3" >&2; exit 1

$(RUNTIME): | $(PY)
	$(PY) $(PIP_INSTALL) -r requirements.txt
	@rm -f .venv/.runtime-* && touch $@

$(DEV): | $(PY)
	$(PY) $(PIP_INSTALL) -r requirements-dev.txt
	@rm -f .venv/.runtime-* .venv/.dev-* && touch $(RUNTIME) $@

$(E2E): | $(PY)
	$(PY) $(PIP_INSTALL) -r requirements-e2e.txt
	@rm -f .venv/.runtime-* .venv/.dev-* .venv/.e2e-* && touch $(RUNTIME) $(DEV) $@

# The SDKs to compare with, whose requirements are not ours. Gone again where not all of it could be installed.
$(BENCH): | $(PY)
	rm -rf .venv-bench && $(PY) -m venv .venv-bench
	.venv-bench/bin/python $(PIP_INSTALL) -r requirements-bench.txt || { rm -rf .venv-bench; exit 1; }
	@touch $@

# ── what the browser tests need beyond Python ────────────────────────────────────────────────────────────────────

SUDO := $(shell [ "$$(id -u)" = 0 ] || command -v sudo)
APT_INSTALL := DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends

chromium: $(E2E)
	@for name in $(CHROMIUM) chromium chromium-browser google-chrome google-chrome-stable; do \
	  if command -v "$$name" >/dev/null 2>&1; then exit 0; fi; \
	done; \
	if command -v apt-get >/dev/null 2>&1; then \
	  $(SUDO) apt-get update -q && $(SUDO) env $(APT_INSTALL) chromium; \
	else \
	  $(PY) -m playwright install chromium; \
	fi

nginx:
	@command -v nginx >/dev/null 2>&1 || ! command -v apt-get >/dev/null 2>&1 || \
	  { $(SUDO) apt-get update -q && $(SUDO) env $(APT_INSTALL) nginx-light; }

node: $(NODE)

$(NODE):
	@command -v npm >/dev/null 2>&1 || { $(SUDO) apt-get update -q && $(SUDO) env $(APT_INSTALL) nodejs npm; }
	cd tests/e2e && npm ci --no-audit --no-fund
	@touch $@

# Only unpacked: installed, it would begin to run.
prometheus: $(E2E)
	@command -v promtool >/dev/null 2>&1 || [ -x .venv/prometheus/usr/bin/promtool ] || { \
	  $(SUDO) apt-get update -q && mkdir -p .venv/prometheus && cd .venv/prometheus \
	  && apt-get download -q prometheus && dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb; }

# ── pinning ──────────────────────────────────────────────────────────────────────────────────────────────────────

UV_COMPILE := $(PY) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

lock: $(DEV) ## pin every requirement again, with hashes (ARGS=--upgrade takes newer releases)
	$(UV_COMPILE) $(ARGS) requirements.in -o requirements.txt
	$(UV_COMPILE) $(ARGS) -c requirements.txt requirements-dev.in -o requirements-dev.txt
	$(UV_COMPILE) $(ARGS) -c requirements-dev.txt requirements-e2e.in -o requirements-e2e.txt
	$(UV_COMPILE) $(ARGS) requirements-bench.in -o requirements-bench.txt
	cd tests/e2e && npm install --package-lock-only --omit-lockfile-registry-resolved --no-audit --no-fund
