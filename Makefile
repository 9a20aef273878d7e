# make run, make test: everything they need is installed by them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := squid-openssl c-icap tshark redis-server curl openssl samba smbclient systemd
BROWSER := chromium chromium-driver
BOOT := systemd-container python3-venv
PREFIX ?= /opt/katabridge
# The tests start programs hundreds of times: what Python compiled is to be kept.
unexport PYTHONDONTWRITEBYTECODE
MINUTES ?= 30

.PHONY: help run install uninstall test test-long lint docs bench bench-write soak peers browser boot clean

help:
	@echo "make run        emulated KATA, both doors, four cases; stays up until Ctrl-C"
	@echo "make install    both doors as services of this machine (PREFIX=/opt/katabridge, DESTDIR=), as root"
	@echo "make uninstall  takes away what that put there; configuration, state and logs stay"
	@echo "make test       linters and tests, with the real peers (at most 10 minutes)"
	@echo "make test-long  the tests that take longer"
	@echo "make lint       ruff and mypy alone"
	@echo "make docs       the tables of docs/configuration.md, made of the settings"
	@echo "make bench      icapd, c-icap and pyicap side by side (about 5 minutes)"
	@echo "make bench-write  that and the other costs, into docs/benchmarks.md (about 15 minutes)"
	@echo "make soak       mixed load with reloads, outages and restarts (MINUTES=30): does anything grow?"
	@echo "make clean      remove .venv, caches and var"

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || \
		{ echo "make: there is no $(PYTHON); name one: make PYTHON=python3.11 …" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "* A virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "make: $(PYTHON) has no venv; on Debian: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	@echo "* Installing katabridge and its packages"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[emulator]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	@echo "* Installing katabridge, its packages and the test tools"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.fuzz: pyproject.toml | $(VENV)/.test
	@echo "* Installing the fuzzer"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[fuzz]'
	@touch $@

run: $(VENV)/.run
	@exec $(BIN)/python -m examples.demo.tied $$PPID examples.demo

INSTALLER = PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" PYTHON="$(PYTHON)" sh conf/install.sh

install:
	@$(INSTALLER) install

uninstall:
	@$(INSTALLER) uninstall

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.test
	$(BIN)/python -m tests.reference --write

# Files begin in their order, which has quick ones last: one that began late would be waited for.
test: lint peers
	$(BIN)/pytest -m "not long" -n 4 --dist loadfile --no-loadscope-reorder

test-long: lint peers browser boot $(VENV)/.fuzz
	$(BIN)/pytest -m long

bench: $(VENV)/.test
	$(BIN)/python -m tests.bench

bench-write: $(VENV)/.test
	$(BIN)/python -m tests.bench --write
	$(BIN)/python -m tests.bench.costs --write

soak: $(VENV)/.test peers
	$(BIN)/python -m tests.soak --minutes $(MINUTES)

# The programs the tests talk to. Without root what is missing is named, and its tests are skipped.
peers:
	@sh tests/support/peers.sh $(PEERS)

# Three hundred megabytes, so only for the tests that look at pages.
browser:
	@sh tests/support/peers.sh $(BROWSER)

# For the test that boots a system with our services.
boot:
	@sh tests/support/peers.sh $(BOOT)

clean:
	rm -rf $(VENV) var build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
