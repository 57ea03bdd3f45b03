# Everything happens in .venv, which the targets make and fill by themselves: on a fresh machine with Python >= 3.11,
# `make test` or `make demo` is all there is to type. What was done is remembered in .venv/.did-*; `make clean`
# forgets it all. A C compiler is used where there is one, and not required.
#
#   make test        the tests; WITH_TORCH=1 adds the comparisons with PyTorch
#   make demo        train a report's network and draw its figure
#   make test-all    lint, every test, sanitizers, the wheel
#   make lint | format | build | wheel | sanitize | bench-quick | clean

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
    $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
WORKERS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
DID := $(VENV)/.did
PIP := $(PY) -m pip --disable-pip-version-check -q
C_FILES = $(wildcard csrc/*.[ch] tests/csrc/*.[ch])
PY_FILES = setup.py csrc $(wildcard tinygrad_edu tests examples bench)
ifeq ($(WITH_TORCH),1)
TORCH := $(DID)-torch
endif

.PHONY: test test-all demo lint format build wheel sanitize bench-quick data clean
.DELETE_ON_ERROR:

test: build $(DID)-test $(TORCH)
	$(PY) -m pytest -n $(WORKERS) -m "not slow"

test-all: lint sanitize build $(DID)-test $(TORCH)
	$(PY) -m pytest -n $(WORKERS)
	$(MAKE) wheel

demo: build $(DID)-examples data
	$(VENV)/bin/tinygrad-edu demo

bench-quick: build $(DID)-bench
	$(PY) -m bench.quick

# ---- the environment ----

$(DID)-venv:
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install "setuptools>=77" "cffi>=1.16"
	@touch $@

# The extension in place, for work in the source tree. Only what changed is compiled again.
build: $(DID)-venv
	@$(PY) setup.py -q build_ext --inplace

# The package with one of its extras (see pyproject.toml), by pip's -e: changes in the sources take effect at once.
$(DID)-test $(DID)-examples $(DID)-bench $(DID)-dev: $(DID)-%: pyproject.toml $(DID)-venv | build
	$(PIP) install --no-build-isolation -e ".[$*]"
	@touch $@

$(DID)-torch: $(DID)-venv
	$(PIP) install torch==2.13.0
	@touch $@

# Fashion-MNIST from the distribution where that is easy; elsewhere the package downloads it when it is first needed.
DATA := /usr/share/datasets/fashion-mnist
data:
	@if [ ! -e $(DATA) ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    { apt-get -qq update && apt-get -qq install -y --no-install-recommends dataset-fashion-mnist; } \
	    >/dev/null 2>&1 </dev/null || echo "apt-get has no dataset-fashion-mnist; going on without"; fi

# ---- checks ----

lint: build $(DID)-dev $(DID)-test
	$(VENV)/bin/ruff check $(PY_FILES)
	$(VENV)/bin/ruff format --check $(PY_FILES)
	$(VENV)/bin/mypy
	$(VENV)/bin/clang-format --dry-run -Werror $(C_FILES)

format: $(DID)-dev
	$(VENV)/bin/ruff check --fix $(PY_FILES)
	$(VENV)/bin/ruff format $(PY_FILES)
	$(VENV)/bin/clang-format -i $(C_FILES)

# The C core and its tests under the sanitizers: one build for memory and undefined behaviour, one for data races.
# The thread sanitizer of older compilers does not start where addresses are random in many bits, hence setarch; and
# it refuses threads in a forked child, which a test starts, unless told otherwise.
SANITIZE = $(PY) csrc/build.py tests/csrc/*.c --out build/sanitize-$(1) --flags "-g -O1 -fno-sanitize-recover=all $(2)"
sanitize: $(DID)-venv
	$(call SANITIZE,address,-fsanitize=address$(comma)undefined)
	build/sanitize-address/test
	$(call SANITIZE,thread,-fsanitize=thread)
	TSAN_OPTIONS=die_after_fork=0 $$(command -v setarch >/dev/null && echo setarch $$(uname -m) -R) \
	    build/sanitize-thread/test
comma := ,

# The wheel is tested where the source tree is out of sight.
wheel: build
	rm -rf build/lib* build/wheel dist
	TG_REQUIRE_CORE=1 $(PIP) wheel --no-deps --no-build-isolation -w dist .
	@ls dist/tinygrad_edu-*-cp311-abi3-*.whl || { echo "not an abi3 wheel:"; ls dist; exit 1; }
	$(PYTHON) -m venv build/wheel
	build/wheel/bin/pip install --disable-pip-version-check -q "$$(ls $(CURDIR)/dist/*.whl)[test]"
	cp -r tests pyproject.toml build/wheel
	cd build/wheel && bin/python -c 'import tinygrad_edu._core as c; assert "site-packages" in c.__file__, c.__file__'
	cd build/wheel && bin/python -m pytest -n $(WORKERS) -m "not slow" tests

clean:
	rm -rf $(VENV) build dist tinygrad_edu.egg-info tinygrad_edu/_core.abi3.so tinygrad_edu/_core_error.txt
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
