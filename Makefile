# Two commands from a clean clone, with only Python 3.11+ and make:  make run,  make test
# Everything is installed into .venv; the stamps there keep a second run quick.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is imported is compiled then; compiling all of it first takes longer than the rest of a start.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile
SOURCES := higgs_shop tests benchmarks

# Only what stands on make's command line: shells export a HOST of their own.
given = $(filter command line,$(origin $(1)))
LISTEN := $(if $(call given,HOST),HIGGS_SHOP_HOST='$(HOST)') $(if $(call given,PORT),HIGGS_SHOP_PORT='$(PORT)')

.DEFAULT_GOAL := help
.PHONY: help run test check bench crash format install clean screenshot
.SILENT:
.DELETE_ON_ERROR:

help:
	echo 'make run      install what is needed and serve the store on http://127.0.0.1:8000'
	echo '              (make run PORT=8010 HOST=127.0.0.1; PORT=0 picks a free port)'
	echo 'make test     install what tests need, a browser too, and run every test'
	echo '              (make test ARGS="-k cart -x" hands options on to pytest)'
	echo 'make check    the same, tool by tool: format, lint, types, imports, tests'
	echo 'make bench    measure the store, and print the figures beside the goals (minutes)'
	echo 'make crash    kill the store, break its lines and disks, and count what is lost (an hour)'
	echo '              (make crash ARGS="--size everyday D1" is what make test does of it)'
	echo 'make format   format the code and mend what the linter can mend'
	echo 'make screenshot  take the picture of the README again'
	echo 'make install  everything for developing into .venv'
	echo 'make clean    remove .venv and all that tools leave behind (the store stays)'
	echo 'PYTHON=python3.12 make …  takes another Python (3.11 or newer)'

run: $(VENV)/run.stamp
	$(LISTEN) $(BIN)/python -m higgs_shop run

test: $(VENV)/browser.stamp $(VENV)/web_sdk.stamp
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/browser.stamp $(VENV)/web_sdk.stamp
	echo '== format' && $(BIN)/python -m ruff format --check $(SOURCES)
	echo '== lint' && $(BIN)/python -m ruff check $(SOURCES)
	echo '== types' && $(BIN)/python -m mypy --strict $(SOURCES)
	echo '== imports' && $(BIN)/lint-imports
	echo '== tests' && $(BIN)/python -m pytest --ignore=tests/test_quality.py \
		--deselect=tests/test_architecture.py::test_imports_keep_to_the_contracts $(ARGS)

bench: $(VENV)/test.stamp
	$(BIN)/python -m benchmarks $(ARGS)

crash: $(VENV)/test.stamp
	$(BIN)/python -m tests.reliability $(ARGS)

format: $(VENV)/test.stamp
	$(BIN)/python -m ruff check --fix-only $(SOURCES)
	$(BIN)/python -m ruff format $(SOURCES)

install: $(VENV)/browser.stamp $(VENV)/web_sdk.stamp

# The README's picture, from a fresh store.
screenshot: $(VENV)/browser.stamp
	$(BIN)/python -m docs.screenshot

clean:
	rm -rf $(VENV) build dist htmlcov test-results .coverage .hypothesis \
		.import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python.stamp:
	command -v '$(PYTHON)' >/dev/null || { \
		echo 'No $(PYTHON) here: install Python 3.11 or newer, or name it: make PYTHON=…' >&2; exit 1; }
	'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Higgs Shop needs Python 3.11 or newer, and $(PYTHON) is $$('$(PYTHON)' -V 2>&1); name another: make PYTHON=…" >&2; exit 1; }
	'$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "This Python cannot make virtual environments; on Debian and Ubuntu: apt install $$('$(PYTHON)' -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2; exit 1; }
	echo 'Making $(VENV) …'
	'$(PYTHON)' -m venv --clear $(VENV)
	touch $@

$(VENV)/run.stamp: $(VENV)/python.stamp pyproject.toml requirements.txt
	echo 'Installing what the store runs on …'
	$(PIP) -c requirements.txt -e .
	touch $@

$(VENV)/test.stamp: $(VENV)/python.stamp pyproject.toml requirements-test.txt
	echo 'Installing what tests need …'
	$(PIP) -c requirements-test.txt -e '.[test]'
	touch $(VENV)/run.stamp $@

# Asked each time: a browser that was there yesterday may be gone.
$(VENV)/browser.stamp: $(VENV)/test.stamp tests/install_browser.py FORCE
	$(BIN)/python -m tests.install_browser >$@

$(VENV)/web_sdk.stamp: $(VENV)/test.stamp tests/install_web_sdk.py tests/web_sdk/package-lock.json
	$(BIN)/python -m tests.install_web_sdk >$@

FORCE:
