# Every target installs what it needs into .venv; JDK 17, Maven, Prometheus and Helm are yours to bring.
PYTHON ?= python3
# cython-lint looks pycodestyle up there.
BIN := .venv/bin
export PATH := $(CURDIR)/.venv/bin:$(PATH)
EXAMPLE := deploy/example
ROUNDS ?= 10
SIMULATION_SECONDS ?= 360
SEEDS ?= 0:1000000
CORE_TESTS := tests/parity $(patsubst %,tests/%.py,property/test_changelog property/test_folded_text \
	property/test_gates unit/test_arena unit/test_batch_records unit/test_checksum \
	unit/test_field_maps unit/test_isa unit/test_packed_batches unit/test_records \
	unit/test_rfc3339 unit/test_sketch unit/test_slow_path)
SOURCES := $(wildcard fastpath/*.pyx fastpath/*.pxd fastpath/*.pxi fastpath/*.h) setup.py pyproject.toml

.PHONY: demo test kafka faults simulation seeds sanitize fuzz fuzz-smoke bench lint deploy-check clean

## demo: run the main job on the shipped sample
demo: .venv/installed
	$(BIN)/weir scan $(EXAMPLE)/posts.ndjson.gz --bundle $(EXAMPLE)/bundle --out out/demo

## test: lint, types, import directions, then every test
test: .venv/dev lint
	FASTPATH_REQUIRE=1 $(BIN)/python -m tests

## sanitize: the tests of the core on a build under ASan and UBSan, but for the one of glibc's malloc
sanitize: build/sanitized/built
	FASTPATH_REQUIRE=1 $(BIN)/python -m tests.fuzz.sanitized -m pytest -q -n 2 $(CORE_TESTS) \
		--deselect tests/unit/test_arena.py::test_freed_memory_serves_the_next_fetch \
		--deselect tests/property/test_folded_text.py::test_generated_tables_are_those_of_the_database

## fuzz: every target for an hour, two at a time, added to tests/fuzz/record.md
fuzz: build/sanitized/built
	nice -n 19 $(BIN)/python -m tests.fuzz all --seconds 3600 --jobs 2 --record

## fuzz-smoke: every target for a few seconds
fuzz-smoke: build/sanitized/built
	$(BIN)/python -m tests.fuzz all --seconds 10 --jobs 2 --quiet

## kafka: start a development broker in the foreground; Ctrl-C stops it
kafka: .venv/installed
	$(BIN)/python -m deploy.local

## faults: ROUNDS of the scenarios on a real Kafka, added to tests/faults/record.json; then seeds
faults: .venv/dev
	$(BIN)/python -m tests.faults --rounds $(ROUNDS) --record
	$(MAKE) seeds

## bench: 200,000 posts through real Kafka with two processes per stage, checked against scan
bench: .venv/dev
	$(BIN)/python -m benchmarks.equalities

## lint: style, types, directions of imports
lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/cython-lint fastpath tests/fuzz

## simulation: as many seeds of the simulator as SIMULATION_SECONDS allow, on both cores
simulation: .venv/dev
	$(BIN)/python -m tests.simulation --seconds $(SIMULATION_SECONDS) --jobs 2

## seeds: a million seeds (SEEDS) of the simulator; goes on behind what the record holds
seeds: .venv/dev
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --jobs 2 --record tests/simulation/record.json

## deploy-check: chart, alerts, dashboards
deploy-check: .venv/dev
	$(BIN)/python -m pytest tests/deploy

clean:
	rm -rf build dist out *.egg-info .venv fastpath/*.so

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q pip==26.3

.venv/installed: .venv/bin/python $(SOURCES)
	$(BIN)/python -m pip install -q -e .
	touch $@

.venv/dev: .venv/installed
	$(BIN)/python -m pip install -q --group dev
	touch $@

.venv/fuzz: .venv/dev
	$(BIN)/python -m pip install -q --group fuzz
	touch $@

# A second core under ASan and UBSan, beside the one in place; its C is the same.
SANITIZED := $(wildcard fastpath/*.py fastpath/*/*.py fastpath/*/*.txt)
build/sanitized/built: .venv/fuzz $(SOURCES) $(SANITIZED) $(wildcard tests/fuzz/native*.px*)
	FASTPATH_SANITIZE=1 CC=clang LDSHARED="clang -shared" $(BIN)/python setup.py -q build_ext \
		--build-lib build/sanitized --build-temp build/sanitized/objects
	cp --parents $(SANITIZED) build/sanitized
	touch $@
