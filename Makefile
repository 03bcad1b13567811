# make demo    set up, and look at a real photo
# make test    set up everything, and run the tests
# make lint    format, lint, types and the import rule
# make check   lint and test: what must pass before a commit

PYTHON ?= python3
# Where PyTorch's own index can be reached, its CPU build saves gigabytes:
#   make test PIP_ARGS="--extra-index-url https://download.pytorch.org/whl/cpu"
PIP_ARGS ?=

.PHONY: demo test lint check clean

demo: .venv-demo/ready
	.venv-demo/bin/cmaen inference --image examples/astronaut.png --annotated annotated.png --output faces.json

test: .venv/ready
	.venv/bin/python -m pytest

lint: .venv/ready
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

check: lint test

.venv-demo/ready: pyproject.toml $(shell find src -type f -not -name '*.pyc')
	$(PYTHON) -m venv .venv-demo
	.venv-demo/bin/python -m pip install --quiet $(PIP_ARGS) .
	touch $@

.venv/ready: pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet $(PIP_ARGS) -e ".[dev]"
	touch $@

clean:
	rm -rf .venv .venv-demo annotated.png faces.json
