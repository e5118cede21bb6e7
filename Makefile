# Everyday commands. `make run` and `make test` are the whole set-up of a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
SECONDS ?= 60
TESTS ?= tests
PIP = 'pip>=25.1' # knows dependency groups
FUZZ = fuzz_records fuzz_lanes
SOURCES = $(wildcard csrc/* csrc/*/*) $(wildcard tep_parallel/*.py tep_parallel/*/*.py tep_parallel/*/*/*.py) build_ext.py pyproject.toml

.DEFAULT_GOAL := help
.PHONY: help run example test test-long test-sanitized fuzz test-arm test-peers test-services test-engines test-pythons lint bench docs wheel wheels try-wheels clean

help: ## Show this help
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/installed ## Set up, and run the main job: digests of three files
	$(BIN)/tep-parallel digest /etc/hosts /etc/passwd /etc/resolv.conf

example: $(VENV)/examples ## Set up, and run one of examples/: make example RUN="digests.py"
	cd examples && $(abspath $(BIN))/python $(RUN)

test: $(VENV)/test ## Set up, and run the tests; TESTS=tests/test_seed.py for some of them
	$(BIN)/pytest $(TESTS)

test-long: $(VENV)/test ## Chaos and strays for a minute each, then 20,000 calls; SECONDS=600 for longer
	$(BIN)/python tests/long/chaos.py --seconds $(SECONDS)
	$(BIN)/python tests/long/scribble.py --seconds $(SECONDS)
	$(BIN)/python tests/long/soak.py

test-sanitized: $(VENV)/test ## Run the tests with the extension under ASan and UBSan
	.ci/test-sanitized $(BIN)/python

fuzz: $(FUZZ:%=build/%) ## libFuzzer on records and digests, with clang; SECONDS=600 for longer
	build/fuzz_records -max_total_time=$(SECONDS) -max_len=600 -print_final_stats=1
	build/fuzz_lanes -max_total_time=$(SECONDS) -max_len=9000 -print_final_stats=1

build/fuzz_%: tests/c/fuzz_%.c tests/c/oracle.h $(wildcard csrc/* csrc/*/*)
	mkdir -p build
	clang -std=c11 -D_GNU_SOURCE -DWITH_LIBFUZZER -g -O1 -fsanitize=fuzzer,address,undefined -Icsrc \
		$(filter-out csrc/py_%.c,$(wildcard csrc/*.c csrc/*/*.c)) $< -o $@

test-arm: ## Run the C tests of digests for ARM, in QEMU
	.ci/test-arm

test-peers: $(VENV)/peers ## Run the tests beside gevent, gRPC, numpy, Jupyter and others
	$(BIN)/pytest tests -m peers

test-services: SECONDS = 20
test-services: $(VENV)/services ## Real servers under load, and stopped in it; SECONDS=60 for each
	$(BIN)/python tests/services/run.py --seconds $(SECONDS) $(BRIEF)

test-engines: $(VENV)/engines ## The same worker on Dask, Ray, mpi4py, Parsl and others; ENGINES="-k dask" for one
	$(BIN)/pytest tests/engines tests/test_docs.py tests/test_examples.py -m engines $(ENGINES)

test-pythons: wheel ## Run the tests with the wheel on every python3.10 and later that is found
	.ci/pythons | sed 's|^|.ci/test-wheel dist/*.whl |' | .ci/at-a-time 2

lint: $(VENV)/lint ## Format, style and types; C with every warning an error
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/zizmor --offline --quiet --persona auditor .github
	.ci/lint-c $(BIN)/python

bench: build/bench/installed ## Side by side with os.fork, the peers and sha256sum: docs/figures.txt and the plots
	{ build/bench/bin/python -W ignore benchmarks/one_child_an_item.py && \
	  build/bench/bin/python -W ignore benchmarks/pools.py --plot docs/pools && \
	  build/bench/bin/python -W ignore benchmarks/streams.py && \
	  build/bench/bin/python -W ignore benchmarks/kept.py --big && \
	  build/bench/bin/python -W ignore benchmarks/kept_costs.py && \
	  build/bench/bin/python -W ignore benchmarks/asyncio_cost.py && \
	  build/bench/bin/python -W ignore benchmarks/services.py && \
	  build/bench/bin/python -W ignore benchmarks/executor.py && \
	  build/bench/bin/python -W ignore benchmarks/engines.py && \
	  build/bench/bin/python -W ignore benchmarks/digests.py --plot docs/digests && \
	  build/bench/bin/python -W ignore benchmarks/small_digests.py; } > docs/figures.txt
	cat docs/figures.txt

# As a user has it: the wheel of a release, by the release's compiler.
build/bench/installed: $(SOURCES)
	$(MAKE) wheels
	$(PYTHON) -m venv build/bench
	build/bench/bin/pip install --quiet $(PIP)
	build/bench/bin/pip install --quiet --force-reinstall dist/*-manylinux_*_$$(uname -m).whl --group bench
	touch $@

docs: $(VENV)/docs ## Build the documentation as a site, build/docs/index.html; check its links
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs . build/docs
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going -c docs -b linkcheck . build/links

wheel: $(VENV)/bare ## Build the wheel and the sdist into dist/
	rm -rf dist build/lib* build/temp* build/bdist*
	$(BIN)/pip install --quiet build
	$(BIN)/python -m build --outdir dist .

wheels: $(VENV)/wheels ## Build the sdist and the wheels of a release into dist/, and check them
	.ci/wheels $(BIN)
	PYTHONWARNINGS=ignore $(BIN)/check-manifest --no-build-isolation
	$(BIN)/validate-pyproject pyproject.toml

try-wheels: $(VENV)/wheels ## Install those wheels on Debian 11 to sid, on aarch64 and on musl, and run them
	.ci/try-wheels $(BIN)

clean: ## Remove what was built
	rm -rf $(VENV) build dist *.egg-info tep_parallel/*.so

$(VENV)/bare:
	.ci/setup $(PYTHON)
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/installed: $(VENV)/bare $(SOURCES)
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet $(PIP) --editable .
	touch $@

$(VENV)/examples $(VENV)/test $(VENV)/lint $(VENV)/peers $(VENV)/services $(VENV)/engines $(VENV)/docs $(VENV)/wheels: $(VENV)/%: $(VENV)/installed
	$(BIN)/pip install --quiet --group $*
	touch $@
