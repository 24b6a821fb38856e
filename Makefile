# SPDX-License-Identifier: GPL-2.0-or-later
# make setup   everything that is needed, on a Debian machine with git, make and Python >= 3.11
# make demo    a PBX, a caller, an assistant, four transfers and one not promised, on the terminal (ONCE=1: end after them)
# make test    all checks and all tests
# make fuzz    ten minutes of broken input from every side, under AddressSanitizer and UBSan (SECONDS=600, SEED=…);
#              RECOVER=1: the gateway is killed halfway, and calls outlive it; a minute, and ten seconds of that, are in make test
# make reconciled   ten minutes of transfers of every outcome while broker, PBX, webhook and gateway fail, and the table of
#              what everybody has counted (TRANSFERS=2000, SECONDS=600); half a minute of it is in make test
# make soak    an hour of transfers of every outcome, twenty a second, while whatever the gateway stands on fails in turn: none
#              is lost, and nothing is left (MINUTES=60, RATE=20); three minutes of it, at eight a second, are in make test;
#              RECOVER=1: the gateway is killed every two minutes as well, and calls outlive it
# make model   every order in which little can happen to a call, as far as DEPTH=8 moves: minutes; as far as 5 in make test
# make model-on-the-wire   a thousand of the ways through it, played against a gateway by scripted peers, in some minutes
#              (COUNT=1000, DEPTH=8); eighty of them are in make test
# make measure what transfers and calls cost on this machine, in about four minutes
# make bench   the same work for the gateway and for Asterisk, in turn: docs/benchmarks.md. It takes two and a half hours, its parts less:
#              BENCH="--parts transfers,media --rounds 3"; BENCH=--help says which there are, BENCH=--estimate how long they take
# make bench-quick   what a transfer takes of the gateway, in calls across SWIG, SQL statements, system calls, allocations …, in
#              half a minute; fails where any of it is far too much; it is in make test
# make rolling   three gateways behind a Kamailio, restarted one after the other under 30 transfers a second (ROLLING="--rate 30 --seconds 40")
# make processes   what two processes carry beside one on this machine, with callers on it too (PROCESSES="--rounds 3 --seconds 10"),
#              in some forty minutes
# make overload   what becomes of 1 to 8 times of the transfers that it takes (OVERLOAD="--can 100 --times 2,8"), in some ten minutes
# make dashboards   writes deploy/grafana/dashboards/*.json anew, from scripts/dashboards, and holds them against
#              Grafana's own schema, and draws docs/pictures (needs Node.js, npm and Chromium)
# make pictures   draws docs/pictures/now.png and what else the page shows, as its tests see it in Chromium
# make docs    the documents as a site, into build/site: to be opened there, or served; it fails where there is anything to warn of
# make deb     the Debian package, into build/, for this machine's release or DIST=bookworm, DIST=trixie (as root: it is
#              compiled in a clean root of that release, which mmdebstrap makes once)
# make release VERSION=1.2.3   the files of a release, into dist/: Debian packages, wheel, source, bill of materials, sums; it
#              makes nothing public, and says how that is done (as root; DIST="bookworm" for one Debian only)
# make release-check   whether a release of this tree can be made, and is the same twice (as root, some minutes)
# make transcript   an evening on a PBX host, from apt install to the first transfer and back, typed in a booted Debian:
#              docs/first-evening.md (as root; make test plays it too, and compares)
# make check   the checks and the quick tests
# Every target sets up first, which costs nothing once all is there.

PYTHON ?= python3
PREFIX ?= /opt/transfer-gateway
BIN := .venv/bin
ONCE ?=
SECONDS ?= 600
DEPTH ?= 8
COUNT ?= 1000
MINUTES ?= 60
RATE ?= 20
RECOVER ?=
SEED ?=
TRANSFERS ?= 2000
BENCH ?=
OVERLOAD ?=
ROLLING ?=
PROCESSES ?=
DIST ?=
VERSION ?=
WORKERS ?= 8
IN_PROCESS := not booted and not released and not sip and not broker and not pbx and not browser and not thorough and not alone
QUICK := $(IN_PROCESS) and not slow
# Where there is room for it, these keep their files in memory: they would wait for the disk with each transaction.
IN_MEMORY = $(shell df --output=avail /dev/shm 2>/dev/null | awk '$$1 + 0 > 500000 { print "PYTEST_DEBUG_TEMPROOT=/dev/shm" }')

export PYTHON PREFIX
# Or pytest would look through each test file anew for what it asserts, which takes longer than the quick tests.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo test fuzz reconciled soak model model-on-the-wire measure bench bench-quick overload rolling processes dashboards pictures docs deb release release-check transcript check lint format schemas lock install rollback uninstall clean

help:
	@sed -n 's/^# make/  make/p' Makefile

setup:
	@scripts/setup.sh

demo: setup
	@$(BIN)/python -m tests.demo $(if $(ONCE),--once)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

# Those without SIP, broker and PBX first, with what they reach of each package; then those with them side by side, most
# of which wait; then what measures, loads or floods, two at a time: each of them leaves a core free, or runs little at all.
# At last the package, in a Debian that is booted for it: with this machine's own network, by which what it is made of is
# fetched.
test: lint
	$(IN_MEMORY) $(BIN)/pytest -n 2 -m "$(IN_PROCESS)" --cov --cov-report=json:build/coverage.json
	$(BIN)/python -m scripts.coverage_floors build/coverage.json
	$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not alone and not booted and not released and not ($(IN_PROCESS))"
	$(BIN)/pytest -n 2 --dist loadfile -m alone
	$(BIN)/pytest -m booted
	$(BIN)/python -m tests.compare.quick

fuzz: setup
	@$(BIN)/python -m tests.fuzz --seconds $(SECONDS) $(if $(SEED),--seed $(SEED)) $(if $(RECOVER),--recover)

reconciled: setup
	@$(BIN)/python -m tests.reconciled --transfers $(TRANSFERS) --seconds $(SECONDS)

soak: setup
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) --per-second $(RATE) $(if $(RECOVER),--recover)

model: setup
	@$(BIN)/python -m tests.model --depth $(DEPTH)

model-on-the-wire: setup
	@$(BIN)/python -m tests.model.on_the_wire --depth $(DEPTH) --count $(COUNT)

measure: setup
	@$(BIN)/python -m tests.measure

bench: setup
	@$(BIN)/python -m tests.compare $(BENCH)

bench-quick: setup
	@$(BIN)/python -m tests.compare.quick

rolling: setup
	@$(BIN)/python -m tests.kamailio $(ROLLING)

processes: setup
	@$(BIN)/python -m tests.measure.processes $(PROCESSES)

overload: setup
	@$(BIN)/python -m tests.overload $(OVERLOAD)

dashboards: setup
	@$(BIN)/python -m scripts.dashboards
	@scripts/dashboards/schema/hold.sh
	@scripts/dashboards/pictures/draw.sh

pictures: export ALSO := chromium
pictures: setup
	PICTURES=$(CURDIR)/docs/pictures unshare -rn sh -c 'ip link set lo up && $(BIN)/pytest -q -m "browser and pbx"'

docs: setup
	@$(BIN)/python -m scripts.website

# mmdebstrap makes Debian roots, systemd-container boots them, podman builds the image and runs it, chromium shows the page.
deb release release-check: export ALSO := mmdebstrap
transcript: export ALSO := mmdebstrap systemd-container
test: export ALSO := mmdebstrap systemd-container podman crun chromium

deb: setup
	@$(BIN)/python -m scripts.deb $(if $(DIST),--dist $(DIST))

release: setup
	@$(if $(VERSION),,echo 'release: which one? make release VERSION=1.2.3' >&2; exit 2)
	@$(BIN)/python -m scripts.release $(VERSION) $(if $(DIST),--dist $(DIST))

release-check: setup
	$(BIN)/pytest -m released

transcript: setup
	@$(BIN)/python -m tests.deploy.debian.evening $(DIST)

check: lint
	$(IN_MEMORY) $(BIN)/pytest -n 2 --hypothesis-profile=quick -m "$(QUICK)"

# make format   lays out the code as `make lint` wants it, and writes which tests keep which promise
format: setup
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format
	$(BIN)/python -m scripts.conformance

# make schemas  writes docs/schema anew, from the code
schemas: setup
	$(BIN)/python -m scripts.schemas

# make lock     pins the newest releases that the *.in files allow, with their hashes
lock: setup
	@scripts/lock.sh

# make install  the gateway, without this tree, into PREFIX (/opt/transfer-gateway)
install: setup
	@scripts/install.sh

# make rollback the release before, from PREFIX; make uninstall takes all of it away
rollback uninstall:
	@scripts/install.sh $@

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
